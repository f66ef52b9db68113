/* SPDX-License-Identifier: MIT */
/* Counts the shares of a whole, so that a job that never ran is no pass. */
#include "config.h"

#include "judge/shares.h"

#include <inttypes.h>
#include <stdlib.h>

/* As many as an option of tensor-cos takes. */
enum { SHARES_MAX = 9999999 };

static int begin(struct tu_shares *s, uint64_t of, uint64_t bytes, uint64_t tensors,
                 struct tu_error *error)
{
    if (!of || of > SHARES_MAX)
        return tu_fail(error, TU_EINVALID, "a shard of %" PRIu64 " cannot be", of);
    s->came = calloc(of, sizeof *s->came);
    if (!s->came)
        return tu_fail_memory(error);
    s->of = of;
    s->bytes = bytes;
    s->tensors = tensors;
    return 0;
}

int tu_shares_note(struct tu_shares *s, const struct tensor_value *record, struct tu_error *error)
{
    uint64_t number, of, bytes, tensors;
    if (!tu_value_uint(tu_value_get(record, "shard"), &number) ||
        !tu_value_uint(tu_value_get(record, "of"), &of) ||
        !tu_value_uint(tu_value_get(record, "bytes"), &bytes) ||
        !tu_value_uint(tu_value_get(record, "tensors"), &tensors))
        return tu_fail(error, TU_EINVALID, "a shard record lacks a number");
    if (!s->of && begin(s, of, bytes, tensors, error) < 0)
        return -1;
    if (of != s->of || bytes != s->bytes || tensors != s->tensors)
        return tu_fail(error, TU_EINVALID,
                       "shards of two wholes: %" PRIu64 " of %" PRIu64 " tensors in %" PRIu64
                       " bytes, and %" PRIu64 " of %" PRIu64 " in %" PRIu64,
                       s->of, s->tensors, s->bytes, of, tensors, bytes);
    if (!number || number > of)
        return tu_fail(error, TU_EINVALID, "there is no shard %" PRIu64 " of %" PRIu64, number, of);
    if (s->came[number - 1])
        return tu_fail(error, TU_EINVALID, "shard %" PRIu64 " of %" PRIu64 " comes twice", number,
                       of);
    s->came[number - 1] = true;
    s->count++;
    return 0;
}

uint64_t tu_shares_missing(const struct tu_shares *s)
{
    return s->of - s->count;
}

uint64_t tu_shares_first_missing(const struct tu_shares *s)
{
    for (uint64_t i = 0; i < s->of; i++)
        if (!s->came[i])
            return i + 1;
    return 0;
}
