/* SPDX-License-Identifier: MIT */
/* The tensors that a model of a known architecture has. */
#ifndef TU_LAYOUT_H
#define TU_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "tree/value.h"

/* Sizes of a model; 0 stands for that of the layout's best known member. */
struct tu_layout_options {
    uint64_t layers;
    uint64_t hidden;   /* width of the residual stream */
    uint64_t heads;    /* query heads */
    uint64_t kv_heads; /* key and value heads; divides heads */
    uint64_t head_dim;
    uint64_t ffn;   /* width between up and down projection */
    uint64_t vocab; /* rows of the embedding */
    /* Refused where the layout has none. */
    uint64_t experts, experts_used; /* of a layer; of these for a token */
    uint64_t expert_ffn;            /* width of an expert, where that is not ffn */
    uint64_t shared_ffn;            /* width of the expert that all tokens share */
    bool tied;                      /* no lm_head, also where the best known member has one */
    bool untied;                    /* an lm_head, also where it has none */
};

struct tu_layout_tensor {
    const char *name;
    uint32_t rank;
    uint64_t shape[4];      /* outermost first: [out, in] */
    double mean, deviation; /* of values that look like trained ones */
};

/* Lists the tensors of a layout in the order of the model, in the arena.  Refuses sizes whose
 * tensors would have 2^63 elements or more; what their type allows is checked with the type. */
int tu_layout(const char *name, const struct tu_layout_options *options, struct tu_arena *arena,
              struct tu_layout_tensor **tensors, size_t *count,
              struct tu_error *error) TU_MUST_CHECK;

/* Adds the configuration, with the names it has in config.json, to the map that is open. */
int tu_layout_metadata(const char *name, const struct tu_layout_options *options,
                       struct tu_builder *b, struct tu_error *error) TU_MUST_CHECK;

#endif
