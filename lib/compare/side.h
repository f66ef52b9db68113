/* SPDX-License-Identifier: MIT */
/*
 * The two operands of a comparison, as sides on which tensors are found.  Models are read in place;
 * of a stream, what has to wait for its partner waits in a temporary file.
 */
#ifndef TU_SIDE_H
#define TU_SIDE_H

#include "map/coverage.h"
#include "map/maps.h"
#include "model/facts/facts.h"
#include "model/operand.h"
#include "compare/origin.h"
#include "compare/conventions.h"

struct tu_arrival;

/* What of a tensor has met a partner. */
struct tu_met {
    struct tu_coverage shown;
    bool by_name; /* its namesake, or it came up itself */
};

/* A record of a kind that is not compared, on its way through. */
struct tu_passing {
    struct tu_arena arena;
    struct tensor_value map;
};

struct tu_side {
    struct tu_operand operand;
    const struct tu_selection *names;
    const char *operand_name; /* "a" or "b" */
    uint64_t *sources;        /* of both sides, that were put out */
    struct tu_met **met;      /* of each model, for its tensors */
    size_t position;
    struct tu_member *order; /* the selected tensors of models */
    size_t selected;

    struct tu_spool spool;
    void *tree;
    struct tu_arrival **list;
    size_t count, capacity, next_waiting;
    struct tu_arena arena; /* of the waiting, and of the metadata */
    bool ended;
    struct tu_model spooled_model; /* the temporary file, once the stream has ended */
    struct tensor_value *metadata; /* of a stream's first source: its short values */
    struct tu_model_facts *facts;  /* of a stream's first source that states any; or NULL */
    struct tu_stated stated;       /* of it, too */
    struct tu_passing *passing;    /* that was met */
};

/* What a search came to, where it did not fail. */
enum {
    TU_ENDED,
    TU_FOUND,
    TU_PASSING, /* a record was met, which is in passing: put it out and go on */
};

/* names is what the session's selection says of names; sources counts the sources of both sides
 * that were put out.  They live as long as the side. */
int tu_side_open(struct tu_side *s, struct tu_session *session, const struct tu_selection *names,
                 const char *path, const char *operand_name, uint64_t *sources,
                 struct tu_error *error) TU_MUST_CHECK;
/* Also after tu_side_open failed. */
void tu_side_close(struct tu_side *s);
void tu_passing_free(struct tu_passing *p);

/* The next tensor of a stream that has a selected name. */
int tu_side_next(struct tu_side *s, struct tu_record *record, struct tu_error *error) TU_MUST_CHECK;
/* Lets the stream's current tensor wait. */
int tu_side_keep(struct tu_side *s, const struct tu_tensor *t,
                 struct tu_error *error) TU_MUST_CHECK;
/* The same for the current tensor that tu_side_lead gave. */
int tu_side_unmeet(struct tu_side *s, struct tu_error *error) TU_MUST_CHECK;

/* The next tensor of a side that is gone through. */
int tu_side_lead(struct tu_side *s, struct tu_record *record, struct tu_origin *out,
                 struct tu_error *error) TU_MUST_CHECK;
/* The next that was not met, or not whole, once the other side has ended.  shown: what of it was,
 * or NULL where nothing was. */
int tu_side_left_over(struct tu_side *s, struct tu_record *record, struct tu_origin *out,
                      const struct tu_coverage **shown, struct tu_error *error) TU_MUST_CHECK;
/* The tensor of the name of another. */
int tu_side_find(struct tu_side *s, const struct tu_tensor *like, struct tu_record *record,
                 struct tu_origin *out, struct tu_error *error) TU_MUST_CHECK;

/* What can be read in any order: all of a model; of a stream, once it has ended, what waits. */
int tu_side_catalogue(struct tu_side *s, struct tu_catalogue *c,
                      struct tu_error *error) TU_MUST_CHECK;
/* Notes that a view of tensors of the catalogue has met its partner: TU_FOUND; or TU_ENDED, and
 * nothing is noted, where some of what it shows has met another already. */
int tu_side_mark(struct tu_side *s, const struct tu_view *v, struct tu_error *error) TU_MUST_CHECK;
/* What the operand says of itself, as far as it came by now. */
struct tu_stated tu_side_stated(const struct tu_side *s);

#endif
