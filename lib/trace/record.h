/* SPDX-License-Identifier: MIT */
/* What a trace says of itself and of its stages, in records: tensor-trace(1) has their keys. */
#ifndef TU_TRACE_RECORD_H
#define TU_TRACE_RECORD_H

#include "tensor/tensor.h"
#include "trace/config.h"
#include "trace/stage.h"
#include "trace/tokens.h"
#include "tree/cell.h"
#include "tree/value.h"

/* What is the same for all stages. */
struct tu_trace_about {
    const struct tu_trace_config *config;
    const struct tu_token_list *tokens;
    const char *program;             /* "tensor-trace 0.1" */
    const char *precision, *weights; /* "f64"; "decoded" */
    const char *cache;               /* "f32", or what keys and values are rounded to */
    uint64_t decoded;                /* tokens that were not given, at the end */
    uint64_t recorded;               /* stages that others are computed from as recorded */
    uint64_t unused;                 /* tensors of the model that the graph has no place for */
};

/* Columns of `stage` records. */
extern const struct tu_column tu_stage_columns[];

/* The `trace` record. */
int tu_trace_record(const struct tu_trace_about *about, struct tu_arena *arena,
                    struct tensor_value *out, struct tu_error *error) TU_MUST_CHECK;

/* The tensor of a stage, and what stands beside its description in a `tensor` record. */
int tu_stage_tensor(const struct tu_trace_about *about, const struct tu_stage *s,
                    struct tu_arena *arena, struct tu_tensor *out, struct tensor_value *extra,
                    struct tu_error *error) TU_MUST_CHECK;

/* Puts the same into a record of another kind, which is being built: name, dtype, shape, what the
 * tensor is of, and what stands beside. */
int tu_stage_put(struct tu_builder *b, const struct tu_trace_about *about, const struct tu_stage *s,
                 struct tu_error *error) TU_MUST_CHECK;

#endif
