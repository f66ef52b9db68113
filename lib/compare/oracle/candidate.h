/* SPDX-License-Identifier: MIT */
/* One explanation of the layout oracle, and the search that weighs it against the others. */
#ifndef TU_CANDIDATE_H
#define TU_CANDIDATE_H

#include "compare/oracle/oracle.h"
#include "compare/oracle/sample.h"

enum {
    TU_SEARCH_FEWEST = 16,  /* elements from which anything can be concluded */
    TU_SEARCH_MIDDLE = 128, /* elements of another tensor that decide whether it is sampled */
    TU_STEPS_SIZE = 4096,
    TU_TOLD_NAME_MAX = 1000, /* bytes of a name that is told */
};

/* What is left of the variance where rounding alone leaves it. */
#define TU_NOTHING 1e-9
/* What a glance may leave of the variance. */
#define TU_HOPELESS 0.6

struct tu_search;

struct tu_candidate {
    const struct tu_view *sides[2];
    double unexplained;
    double cosine; /* of all elements; NAN: not known yet */
    const char *text;
    bool layout; /* of dimensions, rows or shares: all numbers are there, elsewhere */
    /* What it comes to on all elements, where that is more than to compare the two sides: sets
     * cosine and unexplained, and may set text.  NULL: the sides are compared. */
    int (*measure)(struct tu_search *s, struct tu_candidate *c);
    const void *terms;             /* that it measures by */
    const char *from, *to, *steps; /* the sides of the rule that undoes it; NULL: there is none */
};

/* The rows of b as one matrix, or a vector: of a stack those of all its items. */
struct tu_rows {
    const struct tu_view *view;
    bool turned;           /* of b the other way round */
    uint64_t count, items; /* all of them; matrices they are of */
    uint64_t shape[2];
    uint32_t rank;
};

struct tu_search {
    const struct tu_oracle_case *c;
    struct tu_arena *texts;
    struct tu_view_maker maker;
    struct tu_sample a;                /* of side a */
    struct tu_sample other, b;         /* of the candidate that is looked at */
    float middle[2][TU_SEARCH_MIDDLE]; /* of a and base */
    const struct tu_view *base;        /* b in the shape of a */
    double level;                      /* a cosine that types like these reach */
    double now;                        /* what b as it is leaves unexplained; slight: of all */
    struct tu_likeness as_is;          /* of a and base */
    struct tu_rows rows;               /* of base; no view: it has none */
    struct tu_candidate best;
    struct tu_error reason; /* why a view cannot be made */
    struct tu_error *error;
};

/* A text in the search's arena; NULL without memory, which tu_search_failed then tells. */
const char *tu_search_say(struct tu_search *s, const char *format, ...) TU_PRINTF(2, 3);
/* "reshape(3,4)" */
const char *tu_search_say_reshape(struct tu_search *s, const uint64_t *shape, uint32_t rank);
/* "experts(2,0,1)", of many the first ones */
const char *tu_search_say_order(struct tu_search *s, const char *word, const uint64_t *order,
                                size_t count);
/* "3,4,5" */
void tu_list_numbers(const uint64_t *numbers, size_t count, char out[static TU_STEPS_SIZE]);

/* Whether what kept a view from being made is more than that there is no such view; the error is
 * then set. */
bool tu_search_failed(struct tu_search *s);
/* Whether a varies at all: else nothing that fits it says anything. */
bool tu_search_varies(const struct tu_search *s);
/* Nothing that comes later can win. */
bool tu_search_settled(const struct tu_search *s);
/* Keeps a candidate if it explains much more than the best so far, of which there may be none. */
void tu_search_weigh(struct tu_search *s, const struct tu_candidate *c);
/* Looks at a candidate; a view that is NULL says that it cannot be. */
int tu_search_try(struct tu_search *s, struct tu_candidate c) TU_MUST_CHECK;
/* b with its elements in other places, as steps of a map say. */
int tu_search_try_layout(struct tu_search *s, const struct tu_view *b, const char *text,
                         const char *steps) TU_MUST_CHECK;
/* b seen another way, as steps of a map say. */
int tu_search_try_view(struct tu_search *s, const struct tu_view *b, const char *text,
                       const char *steps) TU_MUST_CHECK;

bool tu_has_shape(const struct tu_view *v, const uint64_t *shape, uint32_t rank);
/* A view in another shape; it stays itself where it has that shape, and NULL where it is NULL. */
const struct tu_view *tu_search_shaped(struct tu_search *s, const struct tu_view *v,
                                       const uint64_t *shape, uint32_t rank);

#endif
