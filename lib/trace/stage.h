/* SPDX-License-Identifier: MIT */
/* One stage of a forward pass, as it is handed to who asked for it. */
#ifndef TU_TRACE_STAGE_H
#define TU_TRACE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "tensor/dtype.h"
#include "trace/values.h"

enum { TU_STAGE_INPUTS = 4 };

struct tu_stage {
    const char *name;  /* "layers.3.q", "logits" */
    const char *stage; /* "q" */
    bool has_layer;
    uint64_t layer, order; /* order: running, in the direction of the data */
    enum tensor_dtype dtype;
    uint32_t rank;
    uint64_t shape[3];
    const char *axes[3];
    const char *op;                      /* "product", "rms_norm", ... */
    const char *inputs[TU_STAGE_INPUTS]; /* names of the stages it reads; NULL ends them */
    const char *weight, *bias;           /* as the file calls them; NULL: none */
    const char *weight_dtype;
    uint64_t k_dim;         /* length of the sum of a product; 0: none */
    const char *layout;     /* "half-split": of q and k; or NULL */
    const int32_t *experts; /* of each slot [token, slot], once they are chosen; else NULL */
    bool masked;            /* entries above the diagonal are not used */
    const char *arithmetic;
};

/* Who asked.  Functions but wants may be NULL. */
struct tu_stage_sink {
    /* Whether a stage is to be put. */
    bool (*wants)(void *context, const struct tu_stage *s);
    /* A stage comes; then its values, in order and in pieces; then it has come. */
    int (*begin)(void *context, const struct tu_stage *s, struct tu_error *error);
    int (*put)(void *context, const struct tu_stage *s, const void *values, size_t count,
               struct tu_error *error);
    int (*end)(void *context, const struct tu_stage *s, struct tu_error *error);
    void *context;
};

#endif
