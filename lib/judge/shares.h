/* SPDX-License-Identifier: MIT */
/* Which shares of a comparison came, where several jobs made it (--shard I/N), and which
 * comparisons: one that came twice does not stand for another that never ran. */
#ifndef TU_JUDGE_SHARES_H
#define TU_JUDGE_SHARES_H

#include "base/digest.h"
#include "base/error.h"
#include "tree/value.h"

/* Zero: none came, and none is missing. */
struct tu_shares {
    uint64_t of, bytes, tensors; /* that all of them state */
    uint64_t count;              /* that came */
    bool *came;                  /* each of them; freed by the court */
};

/* Notes a `shard` record.  One that came before, or one of another whole, fails. */
int tu_shares_note(struct tu_shares *s, const struct tensor_value *record,
                   struct tu_error *error) TU_MUST_CHECK;
/* How many did not come. */
uint64_t tu_shares_missing(const struct tu_shares *s);
/* The first of them, counted from 1; 0 where none is missing. */
uint64_t tu_shares_first_missing(const struct tu_shares *s);

/* Zero: none came. */
struct tu_streams {
    struct tu_digest *digest; /* of the sources and results of the current stream */
    size_t number;            /* of it, from 1 on */
    bool sources, results;    /* it has some */
    void *came;               /* a tree of those that ended */
};

/* The next stream begins, and the one before ends; at the end of all, too.  One with the sources
 * and the results of an earlier stream fails. */
int tu_streams_next(struct tu_streams *s, struct tu_error *error) TU_MUST_CHECK;
/* Notes a `source` record of the current stream. */
int tu_streams_source(struct tu_streams *s, const struct tensor_value *record,
                      struct tu_error *error) TU_MUST_CHECK;
/* Notes a result: `compare` and `fact` records count, for what else there is may be made twice. */
int tu_streams_result(struct tu_streams *s, const struct tensor_value *record,
                      struct tu_error *error) TU_MUST_CHECK;
void tu_streams_free(struct tu_streams *s);

#endif
