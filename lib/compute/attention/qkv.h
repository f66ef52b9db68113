/* SPDX-License-Identifier: MIT */
/*
 * The tensors of attention in an operand: PREFIX.q [n_q, heads, head_dim], PREFIX.k and PREFIX.v
 * [n_kv, kv_heads, head_dim], each with a dimension for a batch before it or not; beside them
 * PREFIX.mask, [n_q, n_kv] or [heads, n_q, n_kv], which is added to the scores or, if it is BOOL,
 * says which keys are seen, and PREFIX.sinks [heads].  The names may stand without a prefix.
 */
#ifndef TU_QKV_H
#define TU_QKV_H

#include "compute/attention/attention.h"
#include "tensor/elements.h"
#include "model/operand.h"

/* What the command line says of every group. */
struct tu_qkv_options {
    uint64_t heads, kv_heads; /* of tensors [n, heads * head_dim]; 0: not given */
    double scale;             /* NaN: 1 / sqrt(head_dim) */
    double soft_cap;
    uint64_t window;
    bool causal, alibi;
};

/* Rows for option tables, each with its target in a struct tu_qkv_options whose scale is NaN at
 * first. */
/* clang-format off */
#define TU_QKV_OPTIONS(o) \
    {0, "scale", "X", "factor of q.k (default 1/sqrt(head_dim))", tu_option_double, &(o).scale}, \
    {0, "causal", NULL, "a query sees no later keys; the last query is at the last key", tu_option_flag, &(o).causal}, \
    {0, "window", "N", "a query sees only the last N keys up to its own", tu_option_u64, &(o).window}, \
    {0, "soft-cap", "X", "bound scores by X tanh(score / X)", tu_option_double, &(o).soft_cap}, \
    {0, "alibi", NULL, "add the linear biases of ALiBi", tu_option_flag, &(o).alibi}, \
    {0, "heads", "N", "query heads, where q is [n, heads * head_dim]", tu_option_u64, &(o).heads}, \
    {0, "kv-heads", "N", "key heads in such tensors (default: as --heads)", tu_option_u64, &(o).kv_heads}
/* clang-format on */

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
int tu_qkv_find(const struct tu_operand *o, const struct tu_session *session,
                const struct tu_qkv_options *options, struct tu_qkv **groups, size_t *count,
                struct tu_error *error) TU_MUST_CHECK;
void tu_qkv_free(struct tu_qkv *group);

/* Reads rows of a group's tensors: struct tu_attention_rows' read, with the group as context. */
int tu_qkv_read(void *group, enum tu_attention_part part, uint64_t batch, uint64_t first,
                uint64_t count, float *narrow, double *wide, struct tu_error *error);

/* Elements of a tensor, decoded exactly but for 64-bit integers beyond 2^53. */
int tu_qkv_elements(const struct tu_qkv_tensor *t, uint64_t first, uint64_t count, double *wide,
                    struct tu_error *error) TU_MUST_CHECK;
/* Makes a tensor ready for reading. */
int tu_qkv_open(struct tu_qkv_tensor *t, struct tu_member member, const struct tu_session *session,
                struct tu_error *error) TU_MUST_CHECK;
/* The tensor that stands beside q under another name, as P.attn_out; no model: there is none. */
struct tu_member tu_qkv_beside(const struct tu_operand *o, const struct tu_qkv *group,
                               const char *suffix);

/* The whole of a group's tensor, decoded; the caller frees it. */
float *tu_qkv_floats(const struct tu_qkv_tensor *t, struct tu_error *error);

#endif
