/* SPDX-License-Identifier: MIT */
/*
 * The tensors of attention in an operand: PREFIX.q [n_q, heads, head_dim], PREFIX.k and PREFIX.v
 * [n_kv, kv_heads, head_dim], each with a dimension for a batch before it or not; beside them
 * PREFIX.mask, [n_q, n_kv] or [heads, n_q, n_kv], which is added to the scores or, if it is BOOL,
 * says which keys are seen, and PREFIX.sinks [heads].  The names may stand without a prefix.
 */
#ifndef TU_QKV_H
#define TU_QKV_H

#include "attention.h"
#include "decode.h"
#include "operand.h"

/* What the command line says of every group. */
struct tu_qkv_options {
    uint64_t heads, kv_heads; /* of tensors [n, heads * head_dim]; 0: not given */
    double scale;             /* NaN: 1 / sqrt(head_dim) */
    double soft_cap;
    uint64_t window;
    bool causal, alibi;
};

struct tu_qkv_tensor {
    struct tu_member member; /* no model: there is none */
    struct tu_decoder decoder;
};

/* One problem.  Names and tensors live in the operand. */
struct tu_qkv {
    const char *prefix; /* of the names, with its dot; not ended by a NUL */
    size_t prefix_length;
    bool has_batches; /* the tensors have that dimension */
    bool is_flat;     /* heads and head_dim are one dimension */
    struct tu_qkv_tensor q, k, v;
    struct tu_attention attention;
    float *mask, *sinks, *slopes; /* of attention */
};

/* Finds the groups among the selected tensors, in the order of their q.  They are freed by
 * tu_qkv_free and by free.  A group that lacks k or v, or whose shapes do not agree, is an error;
 * so is an operand without any. */
int tu_qkv_find(const struct tu_operand *o, const struct tu_tool *tool,
                const struct tu_qkv_options *options, struct tu_qkv **groups, size_t *count,
                struct tu_error *error) TU_MUST_CHECK;
void tu_qkv_free(struct tu_qkv *group);

/* Reads rows of a group's tensors: struct tu_attention_rows' read, with the group as context. */
int tu_qkv_read(void *group, enum tu_attention_part part, uint64_t batch, uint64_t first,
                uint64_t count, float *narrow, double *wide, struct tu_error *error);

/* The whole of a group's tensor, decoded; the caller frees it. */
float *tu_qkv_floats(const struct tu_qkv_tensor *t, struct tu_error *error);

#endif
