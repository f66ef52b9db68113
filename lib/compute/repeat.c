/* SPDX-License-Identifier: MIT */
/* Runs of the same work in every way that this machine has, held against the first, bit by bit. */
#include "config.h"

#include "compute/repeat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct tu_ways tu_ways_of_processor(unsigned threads)
{
    const unsigned counts[] = {1, 2, 3, threads};
    struct tu_ways ways = {.threads = threads > 3 ? threads : 3};
    const struct tu_kernels *kernels;
    bool supported;
    for (size_t i = 0; (kernels = tu_kernels_built(i, &supported)); i++) {
        if (!supported)
            continue;
        ways.sets++;
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            if ((k < 3 || threads > 3) && ways.count < TU_WAYS_MAX)
                ways.list[ways.count++] = (struct tu_way){kernels, counts[k]};
    }
    return ways;
}

struct tu_ways tu_ways_of_device(void)
{
    return (struct tu_ways){.count = 1};
}

void tu_departure_add(struct tu_departure *d, const void *first, const void *other, size_t size,
                      size_t count, uint64_t position)
{
    const char *was = first, *is = other;
    for (size_t i = 0; i < count; i++, was += size, is += size) {
        if (memcmp(was, is, size) == 0 || d->count++)
            continue;
        d->element = position + i;
        if (size == sizeof(float)) {
            float values[2];
            memcpy(&values[0], was, size);
            memcpy(&values[1], is, size);
            d->first = (double)values[0];
            d->other = (double)values[1];
        } else {
            memcpy(&d->first, was, size);
            memcpy(&d->other, is, size);
        }
    }
}

/* Of a field one record may have none: NULL. */
static void note_field(struct tu_departure *d, const struct tensor_value *key,
                       const struct tensor_value *was, const struct tensor_value *is)
{
    if ((was && is && tu_value_same(was, is)) || d->count++)
        return;
    snprintf(d->field, sizeof d->field, "%s", key->string.bytes);
    d->unvalued = !tu_value_number(was, &d->first) || !tu_value_number(is, &d->other);
}

struct tu_departure tu_departure_of_records(const struct tensor_value *first,
                                            const struct tensor_value *other)
{
    struct tu_departure d = {0};
    for (size_t i = 0; i < first->map.count; i++) {
        const struct tensor_pair *p = &first->map.pairs[i];
        const struct tensor_string *key = &p->key.string;
        note_field(&d, &p->key, &p->value, tu_value_find(other, key->bytes, key->length));
    }
    for (size_t i = 0; i < other->map.count; i++) {
        const struct tensor_pair *p = &other->map.pairs[i];
        const struct tensor_string *key = &p->key.string;
        if (!tu_value_find(first, key->bytes, key->length))
            note_field(&d, &p->key, NULL, &p->value);
    }
    return d;
}

void tu_repeats_note(struct tu_repeats *r, const struct tu_way *way,
                     const struct tu_departure *departure)
{
    if (!r->runs++ || !departure->count || r->differing++)
        return;
    r->departure = *departure;
    if (way->kernels)
        snprintf(r->how, sizeof r->how, "run %" PRIu64 ": %s, %u threads", r->runs,
                 way->kernels->name, way->threads);
    else
        snprintf(r->how, sizeof r->how, "run %" PRIu64, r->runs);
}

int tu_repeats_fill(struct tu_builder *b, const struct tu_repeats *r, struct tu_error *error)
{
    const struct tu_departure *d = &r->departure;
    if (tu_put_string(b, "status", r->differing ? "differs" : "ok", error) < 0 ||
        tu_put_uint(b, "runs", r->runs, error) < 0 ||
        (r->ways->sets && tu_put_uint(b, "instruction_sets", r->ways->sets, error) < 0) ||
        (r->ways->sets && tu_put_uint(b, "threads", r->ways->threads, error) < 0) ||
        tu_put_uint(b, "differing", r->differing, error) < 0 ||
        tu_put_uint(b, "differing_count", d->count, error) < 0)
        return -1;
    if (!r->differing)
        return 0;
    if ((*d->field ? tu_put_string(b, "field", d->field, error)
                   : tu_put_uint(b, "first_difference", d->element, error)) < 0)
        return -1;
    if (!d->unvalued && (tu_put_real(b, "value", d->first, error) < 0 ||
                         tu_put_real(b, "other_value", d->other, error) < 0))
        return -1;
    return tu_put_string(b, "how", r->how, error);
}
