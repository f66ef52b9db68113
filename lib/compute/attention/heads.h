/* SPDX-License-Identifier: MIT */
/*
 * Which heads an attention has paired: every head of an output against what each query head would
 * have made with each key head.
 */
#ifndef TU_HEADS_H
#define TU_HEADS_H

#include "compute/attention/heads-variants.h"
#include "compute/attention/qkv.h"

/* The residual up to which an output is what the inputs make: arithmetic with bfloat16 stays below
 * it, where a window that is wrong by one key among 64, or another scale, does not. */
#define TU_HEADS_EXPLAINED 0.02

/* A pairing that may explain an output: output head h is what query head query(h) makes with key
 * head key(h). */
struct tu_head_mapping {
    const char *text;      /* lives in the result */
    double least;          /* least cosine over the heads */
    double residual;       /* largest residual over the heads */
    bool right;            /* the one that attention.h defines */
    uint64_t *query, *key; /* [heads] */
};

struct tu_heads {
    uint64_t heads, kv_heads;
    /* [heads of the output][heads][kv_heads]: the cosine; NaN where a side is 0 throughout. */
    double *cosine;
    /* The same: |output - made| / |output|, 0 where both are 0 throughout. */
    double *residual;
    struct tu_head_mapping *mappings; /* best first: the first one explains the output best */
    size_t mapping_count;

    /* Whether the right rule explains the output: its residual is at most TU_HEADS_EXPLAINED, and
     * nothing else that was tried leaves less than a quarter of it. */
    bool right;
    double right_cosine, right_residual;
    struct tu_heads_variant variant; /* that explains it better; empty text: there is none */
    struct tu_arena arena;
};

/* Computes the candidates in float64 from the group's q, k and v, and compares them with out, whose
 * elements are [queries][heads][value_dim] of all batches.  Freed by tu_heads_free. */
int tu_heads_compare(struct tu_qkv *group, const struct tu_qkv_tensor *out,
                     const struct tu_session *session, struct tu_heads *heads,
                     struct tu_error *error) TU_MUST_CHECK;
void tu_heads_free(struct tu_heads *heads);

/* Of an output head with what a query head makes with a key head. */
double tu_heads_cosine(const struct tu_heads *heads, uint64_t head, uint64_t query, uint64_t key);

/* The candidate that output head h resembles most; of equal ones that of the right pairing, or else
 * the first. */
void tu_heads_best(const struct tu_heads *heads, uint64_t head, uint64_t *query, uint64_t *key);

#endif
