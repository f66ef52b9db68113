/* SPDX-License-Identifier: MIT */
/* Says a comparison in the words of apr diff: names, statuses, one object for all. */
#include "config.h"

#include "compare/apr/diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Results ---- */

static bool is_swapped(const struct tu_apr_result *r)
{
    const uint64_t *a = r->shapes[0], *b = r->shapes[1];
    return r->ranks[0] == 2 && r->ranks[1] == 2 && a[0] != a[1] && a[0] == b[1] && a[1] == b[0];
}

/* The first that holds. */
static enum tu_apr_status find_status(const struct tu_apr_result *r)
{
    float max = r->counts.max;
    bool alike = r->ranks[0] == r->ranks[1] &&
                 memcmp(r->shapes[0], r->shapes[1], r->ranks[0] * sizeof *r->shapes[0]) == 0;
    if (r->elements == 0)
        return TU_APR_CRITICAL;
    if (is_swapped(r) && (double)r->counts.identical > 0.99 * (double)r->elements)
        return TU_APR_TRANSPOSED;
    if (is_swapped(r) && max < 0.1f)
        return TU_APR_MEDIUM;
    if (!alike)
        return TU_APR_CRITICAL;
    return max == 0       ? TU_APR_IDENTICAL
           : max < 0.001f ? TU_APR_NEARLY_IDENTICAL
           : max < 0.01f  ? TU_APR_SMALL
           : max < 0.1f   ? TU_APR_MEDIUM
           : max < 1.0f   ? TU_APR_LARGE
                          : TU_APR_CRITICAL;
}

static void find_means(struct tu_apr_result *r, const struct tu_partial *sums)
{
    double n = (double)r->elements;
    struct tu_metrics m = tu_partial_metrics(sums);
    r->mean = (float)(r->counts.sum / n);
    r->rmse = (float)sqrt(r->counts.squares / n);
    r->cosine = isnan(m.cosine_similarity) ? 0 : (float)m.cosine_similarity;
}

/* Names of llama.cpp become those of Hugging Face as `apr diff` does it: wherever one of these
 * stands.  Those of the embedding, the head and the last norm stay. */
static const struct {
    const char *from, *to;
} words[] = {
    {"blk.", "model.layers."},
    {".attn_q.", ".self_attn.q_proj."},
    {".attn_k.", ".self_attn.k_proj."},
    {".attn_v.", ".self_attn.v_proj."},
    {".attn_output.", ".self_attn.o_proj."},
    {".ffn_gate.", ".mlp.gate_proj."},
    {".ffn_up.", ".mlp.up_proj."},
    {".ffn_down.", ".mlp.down_proj."},
    {".attn_norm.", ".input_layernorm."},
    {".ffn_norm.", ".post_attention_layernorm."},
};

static char *replace(struct tu_arena *arena, const char *text, const char *from, const char *to)
{
    size_t count = 0, length = strlen(from), other = strlen(to);
    for (const char *p = text; (p = strstr(p, from)); p += length)
        count++;
    char *out = tu_arena_alloc(arena, strlen(text) + count * other + 1), *at = out;
    if (!out)
        return NULL;
    for (const char *p; (p = strstr(text, from)); text = p + length)
        at = mempcpy(mempcpy(at, text, (size_t)(p - text)), to, other);
    strcpy(at, text);
    return out;
}

static const char *name_of(struct tu_arena *arena, const char *name)
{
    const char *out = tu_arena_copy(arena, name, strlen(name));
    for (size_t i = 0; i < sizeof words / sizeof *words && out; i++)
        if (strstr(out, words[i].from))
            out = replace(arena, out, words[i].from, words[i].to);
    return out;
}

static int keep_shape(struct tu_apr_diff *d, struct tu_apr_result *r, int i,
                      const struct tu_tensor *t, struct tu_error *error)
{
    uint64_t *shape = tu_arena_alloc(&d->arena, (t->rank + 1) * sizeof *shape);
    if (!shape)
        return tu_fail_memory(error);
    if (t->rank)
        memcpy(shape, t->shape, t->rank * sizeof *shape);
    r->shapes[i] = shape;
    r->ranks[i] = t->rank;
    return 0;
}

int tu_apr_diff_add(struct tu_apr_diff *d, const struct tu_pair_result *r, struct tu_error *error)
{
    const char *name = name_of(&d->arena, r->name);
    if (!name || !TU_GROW(d->results, d->count, d->capacity))
        return tu_fail_memory(error);
    if (!r->a || !r->b) {
        d->some_absent = d->absent++ ? d->some_absent : name;
        return 0;
    }
    struct tu_apr_result *out = &d->results[d->count];
    *out = (struct tu_apr_result){.name = name};
    if (keep_shape(d, out, 0, r->a, error) < 0 || keep_shape(d, out, 1, r->b, error) < 0)
        return -1;
    if (r->match == TU_MATCH_BOTH && r->elements) {
        out->elements = r->elements;
        out->counts = *r->buckets;
        find_means(out, &r->sums);
    } else if (r->match != TU_MATCH_BOTH) {
        d->some_unlike = d->unlike++ ? d->some_unlike : name;
    }
    out->status = find_status(out);
    d->count++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct tu_apr_result *x = a, *y = b;
    return strcmp(x->name, y->name);
}

void tu_apr_diff_close(struct tu_apr_diff *d, uint64_t limit)
{
    if (d->count)
        qsort(d->results, d->count, sizeof *d->results, by_name);
    if (limit && limit < d->count)
        d->count = (size_t)limit;
}

void tu_apr_diff_free(struct tu_apr_diff *d)
{
    tu_arena_free(&d->arena);
    free(d->results);
    *d = (struct tu_apr_diff){0};
}

/* ---- The object, whose keys are in the order of the alphabet ---- */

static const char *const statuses[TU_APR_STATUSES] = {
    "Identical", "NearlyIdentical", "SmallDiff", "MediumDiff",
    "LargeDiff", "Transposed",      "Critical",
};

static int put_result(struct tu_builder *b, const struct tu_apr_result *r, struct tu_error *error)
{
    const struct tu_apr_buckets *c = &r->counts;
    if (tu_builder_open(b, NULL, 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_real(b, "cosine_similarity", (double)r->cosine, error) < 0 ||
        tu_put_uint(b, "element_count", r->elements, error) < 0 ||
        tu_put_uint(b, "identical_count", c->identical, error) < 0 ||
        tu_put_uint(b, "large_diff_count", c->large, error) < 0 ||
        tu_put_real(b, "max_diff", (double)c->max, error) < 0 ||
        tu_put_real(b, "mean_diff", (double)r->mean, error) < 0 ||
        tu_put_uint(b, "medium_diff_count", c->medium, error) < 0 ||
        tu_put_string(b, "name", r->name, error) < 0 ||
        tu_put_real(b, "rmse", (double)r->rmse, error) < 0 ||
        tu_put_shape(b, "shape_a", r->shapes[0], r->ranks[0], error) < 0 ||
        tu_put_shape(b, "shape_b", r->shapes[1], r->ranks[1], error) < 0 ||
        tu_put_uint(b, "small_diff_count", c->small, error) < 0 ||
        tu_put_string(b, "status", statuses[r->status], error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int put_results(struct tu_builder *b, const struct tu_apr_diff *d, struct tu_error *error)
{
    if (tu_builder_open(b, "results", 7, TENSOR_ARRAY, TENSOR_MAP, error) < 0)
        return -1;
    for (size_t i = 0; i < d->count; i++)
        if (put_result(b, &d->results[i], error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

/* SmallDiff is in no count, there as here. */
int tu_apr_diff_fill(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_apr_diff *d = subject;
    uint64_t counts[TU_APR_STATUSES] = {0};
    for (size_t i = 0; i < d->count; i++)
        counts[d->results[i].status]++;
    uint64_t identical = counts[TU_APR_IDENTICAL] + counts[TU_APR_NEARLY_IDENTICAL];
    return tu_put_uint(b, "critical_count", counts[TU_APR_CRITICAL], error) < 0 ||
                   tu_put_uint(b, "identical_count", identical, error) < 0 ||
                   tu_put_uint(b, "large_count", counts[TU_APR_LARGE], error) < 0 ||
                   tu_put_uint(b, "medium_count", counts[TU_APR_MEDIUM], error) < 0 ||
                   tu_put_string(b, "model_a", d->model_a, error) < 0 ||
                   tu_put_string(b, "model_b", d->model_b, error) < 0 ||
                   put_results(b, d, error) < 0 ||
                   tu_put_uint(b, "tensors_compared", d->count, error) < 0 ||
                   tu_put_uint(b, "transposed_count", counts[TU_APR_TRANSPOSED], error) < 0
               ? -1
               : 0;
}
