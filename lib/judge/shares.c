/* SPDX-License-Identifier: MIT */
/* Counts the shares of a whole, so that a job that never ran is no pass, and tells a stream that
 * says of the same files what an earlier one said. */
#include "config.h"

#include "judge/shares.h"

#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "tree/msgpack.h"

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

/* ---- Streams ---- */

/* A stream that ended. */
struct stream {
    char digest[TU_DIGEST_TEXT];
    size_t number;
};

static int compare_streams(const void *a, const void *b)
{
    const struct stream *x = a, *y = b;
    return strcmp(x->digest, y->digest);
}

static int add(struct tu_streams *s, const struct tensor_value *value, struct tu_error *error)
{
    char *bytes;
    size_t length;
    if (!s->digest && !(s->digest = tu_digest_new(TU_SHA256, error)))
        return -1;
    if (tu_pack(value, &bytes, &length, error) < 0)
        return -1;
    tu_digest_add(s->digest, bytes, length);
    free(bytes);
    return 0;
}

/* Where there is no source, nothing says what was compared. */
static int end(struct tu_streams *s, struct tu_error *error)
{
    struct stream *now = calloc(1, sizeof *now);
    if (!now)
        return tu_fail_memory(error);
    tu_digest_take(s->digest, now->digest);
    now->number = s->number;
    struct stream **found =
        s->sources && s->results ? tsearch(now, &s->came, compare_streams) : NULL;
    if (found && *found == now)
        return 0;
    free(now);
    if (!found)
        return s->sources && s->results ? tu_fail_memory(error) : 0;
    return tu_fail(error, TU_EINVALID,
                   "stream %zu is stream %zu again: the same files with the same results, which "
                   "show nothing of another comparison (give each once)",
                   s->number, (*found)->number);
}

int tu_streams_next(struct tu_streams *s, struct tu_error *error)
{
    int result = s->digest ? end(s, error) : 0;
    s->number++;
    s->sources = s->results = false;
    return result;
}

/* The commands say how the results were asked for, which makes them no others, and the number
 * counts sources of all streams. */
int tu_streams_source(struct tu_streams *s, const struct tensor_value *record,
                      struct tu_error *error)
{
    s->sources = true;
    for (size_t i = 0; record->type == TENSOR_MAP && i < record->map.count; i++) {
        const struct tensor_pair *p = &record->map.pairs[i];
        if (!tu_value_equals(&p->key, "commands") && !tu_value_equals(&p->key, "id") &&
            (add(s, &p->key, error) < 0 || add(s, &p->value, error) < 0))
            return -1;
    }
    return 0;
}

int tu_streams_result(struct tu_streams *s, const struct tensor_value *record,
                      struct tu_error *error)
{
    const struct tensor_value *kind = tu_value_get(record, "kind");
    if (!tu_value_equals(kind, "compare") && !tu_value_equals(kind, "fact"))
        return 0;
    s->results = true;
    return add(s, record, error);
}

void tu_streams_free(struct tu_streams *s)
{
    if (s->came)
        tdestroy(s->came, free);
    tu_digest_free(s->digest);
    *s = (struct tu_streams){0};
}
