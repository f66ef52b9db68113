/* SPDX-License-Identifier: MIT */
/* Divides the tensors of a model into shares of about equal bytes, each of which a job takes. */
#include "config.h"

#include "model/share.h"

#include <inttypes.h>
#include <stdio.h>

#include "tree/value.h"

bool tu_share_is_last(const struct tu_share *s)
{
    return s->number == s->count;
}

bool tu_share_takes(const struct tu_share *s, struct tu_share_progress *progress, uint64_t bytes)
{
    uint64_t middle = progress->passed + bytes / 2;
    progress->passed += bytes;
    progress->tensors++;
    if (!s->count)
        return true;
    uint64_t share =
        progress->total ? (uint64_t)((unsigned __int128)middle * s->count / progress->total) : 0;
    return (share < s->count ? share : s->count - 1) == s->number - 1;
}

int tu_share_record(const struct tu_share *s, const struct tu_share_progress *progress,
                    struct tu_arena *arena, struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", "shard", error) == 0 &&
        tu_put_uint(&b, "shard", s->number, error) == 0 &&
        tu_put_uint(&b, "of", s->count, error) == 0 &&
        tu_put_uint(&b, "bytes", progress->total, error) == 0 &&
        tu_put_uint(&b, "tensors", progress->tensors, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

int tu_option_share(void *target, const char *text, struct tu_error *error)
{
    struct tu_share *s = target;
    int length = 0;
    if (*text < '0' || *text > '9' ||
        sscanf(text, "%7" SCNu64 "/%7" SCNu64 "%n", &s->number, &s->count, &length) != 2 ||
        text[length] || s->number < 1 || s->number > s->count)
        return tu_fail(error, TU_EUSAGE, "'%s' is no I/N, the I-th of N shares (1/8 to 8/8)", text);
    return 0;
}
