/* SPDX-License-Identifier: MIT */
/* The architectures that can be traced, as data: how each one's graph differs from Llama's. */
#ifndef TU_TRACE_ARCH_H
#define TU_TRACE_ARCH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A new architecture is a row of the table in arch.c, where its graph is made of what is here:
 *
 *   embedding, scaled; for each layer  norm -> q k v, with biases where they are there -> norm of
 *   each head -> rope -> attention -> o_proj -> norm -> add;  norm -> gate, up -> act(gate) up ->
 *   down, or experts, with one that all share -> norm -> add;  norm, product, soft cap
 *
 * Numbers come from the model's facts (model/facts/facts.h), weights by the names of Hugging Face
 * and a map.
 */
struct tu_trace_arch {
    const char *name;   /* the fact arch */
    bool plus_one;      /* norms are stored without the 1 that is added to them */
    bool post_norms;    /* of what attention and the feed-forward block give, before the add */
    bool head_norms;    /* of q and k, before rope */
    bool fused;         /* one weight for q, k and v, and one for gate and up */
    bool attention_cap; /* these four: the graph has it, so that a model has to say how much */
    bool logit_cap, window;
    bool scaled_embedding;
    const char *act;                            /* the fact act, where a model states none */
    const char *attn_norm, *ffn_norm;           /* names of norms in a layer: "input_layernorm" */
    const char *attn_post_norm, *ffn_post_norm; /* with post_norms */
    const char *router;               /* in a layer: "mlp.gate"; NULL: there are no experts */
    const char *expert;               /* in a layer, before the number: "mlp.experts." */
    const char *gate, *up, *down;     /* after it */
    const char *shared, *shared_gate; /* the expert that all share; NULL: there is none */
};

/* The architecture of a name, which need not end in a NUL; NULL if it cannot be traced. */
const struct tu_trace_arch *tu_trace_arch(const char *name, size_t length);
/* All of them; *count receives how many. */
const struct tu_trace_arch *tu_trace_archs(size_t *count);

#endif
