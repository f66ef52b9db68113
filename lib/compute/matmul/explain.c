/* SPDX-License-Identifier: MIT */
/* Why two answers for y = W x differ: all ways of adding up, compared in float64. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/matmul/explain.h"

/* What is computed of a matrix. */
enum answer { EXACT, ROW, BLOCK, FUSED, ROUNDED, OTHER, ANSWERS };

/* Two of these, which differ for one reason. */
static const struct {
    const char *key;
    enum answer a, b;
} differences[] = {
    {"order", ROW, BLOCK},        /* block-wise against whole-row sums */
    {"decoding", EXACT, OTHER},   /* what the other model's W is */
    {"rounding", EXACT, ROUNDED}, /* 8 bits of x */
    {"row", EXACT, ROW},          {"block", EXACT, BLOCK}, {"fused", EXACT, FUSED},
    {"integer", ROUNDED, FUSED}, /* what the fused product adds to the rounding */
};
enum { REASONS = 3, DIFFERENCES = sizeof differences / sizeof *differences };

/* Differences of pairs of finite numbers. */
struct distance {
    uint64_t pairs;
    double rmse, max, relative, cosine;
};

struct tu_matmul_explanation {
    const struct tu_matmul_task *task;
    const struct tu_tensor *other;
    struct tu_matmul_result y[ANSWERS];
    struct distance distances[DIFFERENCES];
    size_t most;
    double share, rms;
};

static struct distance measure(const struct tu_matmul_result *a, const struct tu_matmul_result *b)
{
    double aa = 0, bb = 0, ab = 0, dd = 0;
    struct distance d = {0};
    for (size_t i = 0; i < a->count; i++) {
        double x = a->y64[i], y = b->y64[i], e = x - y;
        if (!isfinite(x) || !isfinite(y))
            continue;
        aa += x * x, bb += y * y, ab += x * y, dd += e * e;
        d.max = fabs(e) > d.max ? fabs(e) : d.max;
        d.pairs++;
    }
    d.rmse = d.pairs ? sqrt(dd / (double)d.pairs) : (double)NAN;
    d.relative = aa > 0 ? sqrt(dd) / sqrt(aa) : (double)NAN;
    d.cosine = aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : (double)NAN;
    return d;
}

static bool has(const struct tu_matmul_explanation *e, size_t k)
{
    return e->y[differences[k].a].y64 && e->y[differences[k].b].y64;
}

static void explain(struct tu_matmul_explanation *e)
{
    double sum = 0, most = 0;
    e->most = REASONS; /* none */
    for (size_t k = 0; k < DIFFERENCES; k++) {
        if (!has(e, k))
            continue;
        e->distances[k] = measure(&e->y[differences[k].a], &e->y[differences[k].b]);
        double rmse = e->distances[k].rmse;
        if (k >= REASONS || !(rmse > 0))
            continue;
        sum += rmse * rmse;
        if (rmse > most) {
            most = rmse;
            e->most = k;
        }
    }
    e->share = sum > 0 ? most * most / sum : (double)NAN;
    double squares = 0;
    for (size_t i = 0; i < e->y[EXACT].count; i++)
        squares += e->y[EXACT].y64[i] * e->y[EXACT].y64[i];
    e->rms = e->y[EXACT].count ? sqrt(squares / (double)e->y[EXACT].count) : (double)NAN;
}

static int put_distance(struct tu_builder *b, const char *key, const struct distance *d,
                        struct tu_error *error)
{
    const struct tu_named_real reals[] = {
        {"rmse", d->rmse}, {"max", d->max}, {"relative", d->relative}, {"cosine", d->cosine}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%s", key, reals[i].key);
        if (tu_put_real(b, name, reals[i].value, error) < 0)
            return -1;
    }
    return 0;
}

int tu_matmul_fill_explanation(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_matmul_explanation *e = subject;
    const struct tu_matmul_task *t = e->task;
    bool finite = true;
    for (size_t k = 0; k < DIFFERENCES; k++)
        finite = finite && (!has(e, k) || e->distances[k].pairs == e->y[EXACT].count);
    if (tu_put_string(b, "kind", "explain", error) < 0 || tu_matmul_fill_names(b, t, error) < 0 ||
        (e->other &&
         tu_put_string(b, "dtype_against", tu_dtype(e->other->dtype)->name, error) < 0) ||
        (t->rounded && tu_put_string(b, "dtype_rounded", t->rounded->name, error) < 0) ||
        tu_put_string(b, "status", finite ? "ok" : "nonfinite", error) < 0 ||
        tu_put_uint(b, "element_count", e->y[EXACT].count, error) < 0 ||
        tu_put_real(b, "rms", e->rms, error) < 0)
        return -1;
    for (size_t k = 0; k < DIFFERENCES; k++)
        if (has(e, k) && put_distance(b, differences[k].key, &e->distances[k], error) < 0)
            return -1;
    if (tu_put_real(b, "share", e->share, error) < 0)
        return -1;
    return tu_put_string(b, "explains", e->most < REASONS ? differences[e->most].key : "none",
                         error);
}

/* The same tensor of the other model. */
static int open_other(const struct tu_matmul_other *o, const struct tu_kernels *kernels,
                      const struct tu_tensor *w, struct tu_matrix *out, struct tu_error *error)
{
    struct tu_member m = tu_operand_find(o->operand, w->name, w->name_length);
    struct tu_tensor check;
    if (!m.model)
        return tu_fail(error, TU_EINVALID, "%s: has no tensor '%.200s'", o->path, w->name);
    if (m.tensor->rank != w->rank ||
        memcmp(m.tensor->shape, w->shape, w->rank * sizeof *w->shape) != 0)
        return tu_fail(error, TU_EINVALID, "%s: tensor '%.200s' has another shape", o->path,
                       w->name);
    *out = (struct tu_matrix){.kernels = kernels, .tensor = m.tensor, .member = m};
    check = *m.tensor;
    return tu_tensor_check(&check, &out->geometry, error);
}

static int compute(const struct tu_matmul_other *o, struct tu_matmul_explanation *e,
                   struct tu_vectors *rounded, unsigned threads, struct tu_error *error)
{
    const struct tu_matmul_task *t = e->task;
    static const enum tu_path paths[ANSWERS] = {TU_PATH_F64,   TU_PATH_ROW, TU_PATH_BLOCK,
                                                TU_PATH_FUSED, TU_PATH_F64, TU_PATH_F64};
    struct tu_product products[ANSWERS];
    size_t count = t->rounded ? OTHER : FUSED;
    struct tu_matrix other;
    if (t->rounded && (tu_vectors_round(t->x, t->rounded, error) < 0 ||
                       tu_vectors_rounded(t->x, rounded, error) < 0))
        return -1;
    if (o && open_other(o, t->w.kernels, t->w.tensor, &other, error) < 0)
        return -1;
    for (size_t k = 0; k < ANSWERS; k++) {
        if (k == OTHER ? !o : k >= count)
            continue;
        if (tu_matmul_result_make(t, true, &e->y[k], error) < 0)
            return -1;
        products[k] = tu_matmul_product(t, paths[k], k == ROUNDED ? rounded : t->x, &e->y[k]);
    }
    if (tu_multiply(&t->w, products, count, threads, error) < 0)
        return -1;
    e->other = o ? other.tensor : NULL;
    return o ? tu_multiply(&other, &products[OTHER], 1, threads, error) : 0;
}

struct tu_matmul_explanation *tu_matmul_explain(const struct tu_matmul_task *t,
                                                const struct tu_matmul_other *other,
                                                unsigned threads, struct tu_error *error)
{
    struct tu_vectors rounded = {0};
    struct tu_matmul_explanation *e = calloc(1, sizeof *e);
    if (!e) {
        tu_fail_memory(error);
        return NULL;
    }
    e->task = t;
    int result = compute(other, e, &rounded, threads, error);
    tu_vectors_free(&rounded);
    if (result == 0) {
        explain(e);
        return e;
    }
    tu_matmul_explanation_free(e);
    return NULL;
}

void tu_matmul_explanation_free(struct tu_matmul_explanation *e)
{
    for (size_t k = 0; e && k < ANSWERS; k++)
        tu_matmul_result_free(&e->y[k]);
    free(e);
}
