/* SPDX-License-Identifier: MIT */
/* The key/value cache of a pass that goes on: what queries of later tokens see of the earlier ones.
 */
#ifndef TU_TRACE_KEYS_H
#define TU_TRACE_KEYS_H

#include "trace/config.h"
#include "trace/values.h"

/* Keys after rope, and values, of every layer: [tokens][kv_heads][head_dim]. */
struct tu_keys {
    uint64_t layers, tokens, width;
    struct tu_values *k, *v; /* [layers] */
};

/* Room for so many tokens, in float64 if wide. */
int tu_keys_make(struct tu_keys *c, const struct tu_trace_config *config, bool wide,
                 uint64_t tokens, struct tu_error *error) TU_MUST_CHECK;
void tu_keys_free(struct tu_keys *c);

/* Puts rows from a token on into one of them, which has room for them. */
void tu_keys_put(const struct tu_keys *c, struct tu_values *to, uint64_t first,
                 const struct tu_values *rows);

#endif
