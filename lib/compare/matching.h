/* SPDX-License-Identifier: MIT */
/* Which tensors of two operands meet: by their names, or by way of a map. */
#ifndef TU_MATCHING_H
#define TU_MATCHING_H

#include "compare/plan.h"
#include "compare/side.h"

struct tu_matching {
    struct tu_session *session;
    const struct tu_pair_options *options;
    struct tu_side sides[2]; /* a, b */
    unsigned opened;
    struct tu_selection names; /* what the session's selection says of names */
    int lead;                  /* the side that is gone through; the other is asked */
    struct tu_pair *filling;   /* being found; a record may come in between */
    uint64_t given, sources;   /* that were put out */
    struct tu_share_progress shared;
    struct tu_partners partners;
    struct tu_conventions conventions; /* once the partners are open */
    struct tu_terms terms;
    bool draining;       /* b, a stream that led, is being moved to its temporary file */
    bool drained;        /* it was: all of it can be looked at */
    bool warned, mapped; /* a partner was found by way of a map */
};

/* Opens both operands.  To be closed in any case; it must not move meanwhile. */
int tu_matching_open(struct tu_matching *p, struct tu_session *session, const char *const paths[2],
                     const struct tu_pair_options *options, struct tu_error *error) TU_MUST_CHECK;
void tu_matching_close(struct tu_matching *p);

/* The next pair, or tensor without a partner: TU_FOUND, and it is the caller's;
 * TU_PASSING, and tu_matching_passing gives a record that stands before it; TU_ENDED, or -1. */
int tu_matching_next(struct tu_matching *p, struct tu_pair **out,
                     struct tu_error *error) TU_MUST_CHECK;
/* The caller's, too; NULL: there is none. */
struct tu_passing *tu_matching_passing(struct tu_matching *p);

#endif
