/* SPDX-License-Identifier: MIT */
/* The configuration that a forward pass works with: a model's facts after its reader's defaults,
 * checked. */
#ifndef TU_TRACE_CONFIG_H
#define TU_TRACE_CONFIG_H

#include "model/facts/facts.h"
#include "trace/arch.h"

/* Sizes that no model has; larger ones are refused. */
enum { TU_TRACE_LAYERS_MAX = 4096, TU_TRACE_WIDTH_MAX = 1 << 24 };

/* How q and k are turned (trace/rope.h). */
struct tu_trace_rope {
    double base, base_local; /* local: in layers with a window */
    double factor, factor_local;
    double attn_factor; /* multiplies cos and sin */
    uint64_t dim;       /* numbers of a head that are turned; even */
    bool adjacent;      /* the code that the file is for pairs neighbours; else halves */
    enum tu_rope_scaling {
        TU_ROPE_NONE,
        TU_ROPE_LINEAR,
        TU_ROPE_LLAMA3,
        TU_ROPE_YARN,
        TU_ROPE_LONG,
    } scaling;
    double beta_fast, beta_slow, original; /* YARN; original: LONG, too */
    bool truncate;
    bool local_differs;           /* layers with a window have a base or factor of their own */
    const double *divisors;       /* LLAMA3: [dim / 2] */
    const double *long_, *short_; /* LONG: [dim / 2] */
};

struct tu_trace_config {
    const struct tu_trace_arch *arch;
    uint64_t layers, hidden, heads, kv_heads, head_dim, ffn; /* ffn 0: not stated */
    double eps, embedding_scale, attn_scale;
    double attn_cap, logit_cap; /* 0: none */
    bool gelu;                  /* the tanh form; else SiLU */
    bool tied, untied; /* the output is the embedding, or is not; neither where nothing says it */
    uint64_t window;   /* 0: none */
    const bool *windowed;                           /* [layers] */
    uint64_t experts, used, expert_ffn, shared_ffn; /* experts 0: none */
    bool renormalised;
    double expert_scale;
    struct tu_trace_rope rope;
    const struct tu_model_facts *facts;
};

/* Settles the configuration of a model; path is for messages.  Everything lives in the arena, and
 * as long as the facts.  Numbers that files state are taken as float32, in which the formats and
 * the programs hold them, so that all forms of a model are one. */
int tu_trace_configure(const struct tu_model_facts *facts, const char *path, struct tu_arena *arena,
                       struct tu_trace_config *out, struct tu_error *error) TU_MUST_CHECK;

/* Puts it into a record that is being built, as a map under a key. */
int tu_trace_put_config(struct tu_builder *b, const char *key, const struct tu_trace_config *c,
                        struct tu_error *error) TU_MUST_CHECK;

#endif
