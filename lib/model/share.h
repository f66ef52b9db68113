/* SPDX-License-Identifier: MIT */
/*
 * One of N shares of a model's tensors, of about equal bytes, as --shard I/N names it: what a job of
 * many takes.  Whole tensors belong to a share, so that results do not depend on how many there are.
 */
#ifndef TU_SHARE_H
#define TU_SHARE_H

#include "base/arena.h"
#include "base/error.h"
#include "tree/value.h"

/* Zero: all. */
struct tu_share {
    uint64_t number, count; /* from 1 to count */
};

/* What a share was taken of: the tensors that were gone through so far, and all of them. */
struct tu_share_progress {
    uint64_t passed, total; /* bytes */
    uint64_t tensors;
};

/* Whether the next tensor, of so many bytes, belongs to the share: where its middle lies decides. */
bool tu_share_takes(const struct tu_share *s, struct tu_share_progress *progress, uint64_t bytes);
/* Whether it is the share of what is found at the end. */
bool tu_share_is_last(const struct tu_share *s);

/* The `shard` record, by which a reader knows what is missing. */
int tu_share_record(const struct tu_share *s, const struct tu_share_progress *progress,
                    struct tu_arena *arena, struct tensor_value *out,
                    struct tu_error *error) TU_MUST_CHECK;

/* Option parser (tool/options.h): target is a struct tu_share. */
int tu_option_share(void *target, const char *text, struct tu_error *error);

#endif
