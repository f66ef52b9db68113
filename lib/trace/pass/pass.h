/* SPDX-License-Identifier: MIT */
/* One forward pass while it goes on: what the rooms that make its stages share. */
#ifndef TU_TRACE_PASS_H
#define TU_TRACE_PASS_H

#include "trace/forward.h"

/* An activation: rows of so many elements.  Its values are there while the pass computes. */
struct tu_activations {
    struct tu_values values;
    const char *name; /* of its stage, once that was put */
    uint64_t width;
    struct tu_activations *next; /* of those of the layer */
};

struct tu_pass {
    const struct tu_forward *f;
    const struct tu_trace_config *config;
    bool computing;
    uint64_t order;        /* of the next stage */
    uint64_t found;        /* stages that are recorded */
    uint64_t wanted, last; /* stages, so far, and the last of them */
    bool in_layer;
    uint64_t layer;
    struct tu_arena arena;       /* of the layer */
    struct tu_activations *made; /* in the layer */
    struct tu_activations *x;    /* residual stream; of no layer */
    double *frequencies[2];      /* of rope: of all layers, and of those with a window */
};

/* What makes stages returns 0, 1 where the last stage that is wanted has been put, and -1. */

/* "model.layers.3.NAME": the name of a weight of the layer, or NULL. */
const char *tu_pass_weight_name(struct tu_pass *p, struct tu_error *error, const char *format, ...)
    TU_PRINTF(3, 4);
/* Room for rows of so many elements, which lives as long as the layer's arena. */
struct tu_activations *tu_pass_make(struct tu_pass *p, uint64_t rows, uint64_t width,
                                    struct tu_error *error);

/* Puts a stage whose values are out's: fills its name, layer, order, and what it has not said of
 * its type and arithmetic; out gets its name. */
int tu_pass_put(struct tu_pass *p, struct tu_stage *s, struct tu_activations *out,
                struct tu_error *error) TU_MUST_CHECK;
/* The same of other values, which come from a function where the stage is wanted; what was recorded
 * of it is left to the caller. */
typedef int tu_pass_fill_fn(struct tu_pass *p, const struct tu_stage *s, const void *context,
                            struct tu_error *error);
int tu_pass_put_by(struct tu_pass *p, struct tu_stage *s, tu_pass_fill_fn *fill,
                   const void *context, struct tu_error *error) TU_MUST_CHECK;
/* For that function: hands values on. */
int tu_pass_hand(struct tu_pass *p, const struct tu_stage *s, const void *values, size_t count,
                 struct tu_error *error) TU_MUST_CHECK;

/* Puts what was recorded of a stage that was put in place of its values. */
int tu_pass_replace(struct tu_pass *p, const struct tu_stage *s, struct tu_values *values,
                    struct tu_error *error) TU_MUST_CHECK;

/* A stage of rows of the width of out: [tokens, width]. */
struct tu_stage tu_pass_rows(const struct tu_pass *p, const char *stage, const char *op,
                             const char *axis, uint64_t width);

/* out = x w, and a bias; s is finished and put.  bias may be NULL. */
int tu_pass_product(struct tu_pass *p, struct tu_stage *s, const struct tu_activations *x,
                    const struct tu_weight *w, const struct tu_weight *bias,
                    struct tu_activations **out, struct tu_error *error) TU_MUST_CHECK;
/* The product alone, of rows that are in memory. */
int tu_pass_multiply(struct tu_pass *p, const char *name, const struct tu_values *x,
                     const struct tu_weight *w, struct tu_values *y,
                     struct tu_error *error) TU_MUST_CHECK;
/* What its sums are made in: "f64", "f32", "fused:Q8_K". */
const char *tu_pass_arithmetic(const struct tu_pass *p, const struct tu_weight *w);

/* RMS norm of each width elements of x by the layer's weight of a name, as a stage of the shape
 * that s has. */
int tu_pass_norm(struct tu_pass *p, struct tu_stage *s, const struct tu_activations *x,
                 const char *weight, uint64_t width, struct tu_activations **out,
                 struct tu_error *error) TU_MUST_CHECK;
/* a + b */
int tu_pass_add(struct tu_pass *p, const char *stage, const struct tu_activations *a,
                const struct tu_activations *b, struct tu_activations **out,
                struct tu_error *error) TU_MUST_CHECK;

/* The two blocks of a layer: from what their norm gives to what is added to the stream. */
int tu_pass_attention(struct tu_pass *p, const struct tu_activations *x,
                      struct tu_activations **out, struct tu_error *error) TU_MUST_CHECK;
int tu_pass_feed_forward(struct tu_pass *p, const struct tu_activations *x,
                         struct tu_activations **out, struct tu_error *error) TU_MUST_CHECK;
/* gate, up, act, mul and down of x, for stages that begin with a prefix. */
int tu_pass_mlp(struct tu_pass *p, const char *prefix, const struct tu_activations *x,
                const struct tu_weight weights[3], struct tu_activations **out,
                struct tu_error *error) TU_MUST_CHECK;
/* The experts of a layer, the shared one among them. */
int tu_pass_experts(struct tu_pass *p, const struct tu_activations *x, struct tu_activations **out,
                    struct tu_error *error) TU_MUST_CHECK;

#endif
