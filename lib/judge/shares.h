/* SPDX-License-Identifier: MIT */
/* Which shares of a comparison came, where several jobs made it (--shard I/N). */
#ifndef TU_JUDGE_SHARES_H
#define TU_JUDGE_SHARES_H

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

#endif
