/* SPDX-License-Identifier: MIT */
/* Keeps keys and values of all layers in memory. */
#include "config.h"

#include "trace/keys.h"

#include <stdlib.h>
#include <string.h>

int tu_keys_make(struct tu_keys *c, const struct tu_trace_config *config, bool wide,
                 uint64_t tokens, struct tu_error *error)
{
    uint64_t count;
    *c = (struct tu_keys){
        .layers = config->layers, .tokens = tokens, .width = config->kv_heads * config->head_dim};
    if (__builtin_mul_overflow(tokens, c->width, &count))
        return tu_fail(error, TU_EINVALID, "the cache of %zu tokens is too large", (size_t)tokens);
    c->k = calloc((size_t)c->layers, sizeof *c->k);
    c->v = calloc((size_t)c->layers, sizeof *c->v);
    if (!c->k || !c->v)
        return tu_fail_memory(error);
    for (uint64_t i = 0; i < c->layers; i++)
        if (tu_values_make(&c->k[i], wide, count, error) < 0 ||
            tu_values_make(&c->v[i], wide, count, error) < 0)
            return -1;
    return 0;
}

void tu_keys_free(struct tu_keys *c)
{
    for (uint64_t i = 0; i < c->layers && c->k && c->v; i++) {
        tu_values_free(&c->k[i]);
        tu_values_free(&c->v[i]);
    }
    free(c->k);
    free(c->v);
    *c = (struct tu_keys){0};
}

void tu_keys_put(const struct tu_keys *c, struct tu_values *to, uint64_t first,
                 const struct tu_values *rows)
{
    size_t size = tu_values_size(to), at = (size_t)(first * c->width);
    char *bytes = to->wide ? (char *)to->wide : (char *)to->narrow;
    memcpy(bytes + at * size, tu_values_bytes(rows), (size_t)rows->count * size);
}
