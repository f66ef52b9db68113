/* SPDX-License-Identifier: MIT */
/* Attention in float64, one formula after the other: what every faster way is held to. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/attention/attention.h"

enum { TILE_KEYS = 64 };

struct exact {
    const struct tu_attention *a;
    const struct tu_attention_rows *rows;
    const struct tu_attention_range *range;
    double *q;      /* [queries][all heads][head_dim] */
    double *tile;   /* of K or V */
    double *scores; /* [heads][queries][keys], which become weights */
};

static double dot(const double *x, const double *y, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

static double *score_row(const struct exact *e, uint64_t head, uint64_t query)
{
    return e->scores + (head * e->range->queries + query) * e->a->keys;
}

static double finish_score(const struct tu_attention *a, uint64_t head, uint64_t query,
                           uint64_t key, double product)
{
    double s = product * a->scale;
    double away = (double)key - ((double)query + (double)a->keys - (double)a->queries);
    if (a->soft_cap != 0)
        s = a->soft_cap * tanh(s / a->soft_cap);
    if (a->slopes)
        s += (double)a->slopes[head] * away;
    float mask = a->mask ? a->mask[(head % a->mask_heads * a->queries + query) * a->keys + key] : 0;
    bool hidden =
        mask == -INFINITY || (a->causal && away > 0) || (a->window && away <= -(double)a->window);
    return hidden ? -INFINITY : a->mask ? s + (double)mask : s;
}

/* The scores of all heads of the range against keys [key, key + count), whose K is in the tile. */
static void score_tile(const struct exact *e, uint64_t key, uint64_t count)
{
    const struct tu_attention *a = e->a;
    uint64_t dim = a->head_dim, group = a->heads / a->kv_heads;
    for (uint64_t h = 0; h < e->range->heads; h++) {
        uint64_t head = e->range->head + h;
        for (uint64_t i = 0; i < e->range->queries; i++)
            for (uint64_t j = 0; j < count; j++) {
                double product = dot(e->q + (i * a->heads + head) * dim,
                                     e->tile + (j * a->kv_heads + head / group) * dim, dim);
                score_row(e, h, i)[key + j] =
                    finish_score(a, head, e->range->query + i, key + j, product);
            }
    }
}

/* Scores become weights; what was hidden becomes -0, which a weight is not. */
static void soften_row(const struct tu_attention *a, uint64_t head, double *s)
{
    double max = -INFINITY, sum = 0;
    for (uint64_t j = 0; j < a->keys; j++)
        max = isnan(s[j]) || s[j] > max ? s[j] : max;
    if (max == -INFINITY) {
        for (uint64_t j = 0; j < a->keys; j++)
            s[j] = -0.0;
        return;
    }
    if (a->sinks && (double)a->sinks[head] > max)
        max = (double)a->sinks[head];
    for (uint64_t j = 0; j < a->keys; j++) {
        bool hidden = s[j] == -INFINITY;
        s[j] = hidden ? -0.0 : exp(s[j] - max);
        sum += hidden ? 0 : s[j];
    }
    if (a->sinks)
        sum += exp((double)a->sinks[head] - max);
    for (uint64_t j = 0; j < a->keys; j++)
        s[j] /= sum;
}

static bool is_hidden(double weight)
{
    return weight == 0 && signbit(weight);
}

/* Adds what keys [key, key + count), whose V is in the tile, give to the output. */
static void weigh_tile(const struct exact *e, uint64_t key, uint64_t count, double *out)
{
    const struct tu_attention *a = e->a;
    uint64_t dim = a->value_dim, group = a->heads / a->kv_heads;
    for (uint64_t h = 0; h < e->range->heads; h++)
        for (uint64_t i = 0; i < e->range->queries; i++) {
            const double *w = score_row(e, h, i) + key;
            double *to = out + (i * e->range->heads + h) * dim;
            for (uint64_t j = 0; j < count; j++) {
                const double *v = e->tile + (j * a->kv_heads + (e->range->head + h) / group) * dim;
                for (uint64_t c = 0; c < dim && !is_hidden(w[j]); c++)
                    to[c] += w[j] * v[c];
            }
        }
}

static int score_all(struct exact *e, struct tu_error *error)
{
    for (uint64_t key = 0, n; key < e->a->keys; key += n) {
        n = e->a->keys - key < TILE_KEYS ? e->a->keys - key : TILE_KEYS;
        if (e->rows->read(e->rows->context, TU_ATTENTION_K, e->range->batch, key, n, NULL, e->tile,
                          error) < 0)
            return -1;
        score_tile(e, key, n);
    }
    return 0;
}

static int weigh_all(struct exact *e, double *out, struct tu_error *error)
{
    for (uint64_t key = 0, n; key < e->a->keys; key += n) {
        n = e->a->keys - key < TILE_KEYS ? e->a->keys - key : TILE_KEYS;
        if (e->rows->read(e->rows->context, TU_ATTENTION_V, e->range->batch, key, n, NULL, e->tile,
                          error) < 0)
            return -1;
        weigh_tile(e, key, n, out);
    }
    return 0;
}

static int compute(struct exact *e, enum tu_attention_result result, double *out,
                   struct tu_error *error)
{
    const struct tu_attention_range *r = e->range;
    if (e->rows->read(e->rows->context, TU_ATTENTION_Q, r->batch, r->query, r->queries, NULL, e->q,
                      error) < 0 ||
        score_all(e, error) < 0)
        return -1;
    for (uint64_t row = 0; result != TU_ATTENTION_SCORES && row < r->heads * r->queries; row++)
        soften_row(e->a, r->head + row / r->queries, e->scores + row * e->a->keys);
    if (result == TU_ATTENTION_OUT)
        return weigh_all(e, out, error);
    for (uint64_t i = 0; i < r->heads * r->queries * e->a->keys; i++)
        out[i] = is_hidden(e->scores[i]) && result == TU_ATTENTION_WEIGHTS ? 0 : e->scores[i];
    return 0;
}

int tu_attend_exactly(const struct tu_attention *a, const struct tu_attention_rows *rows,
                      enum tu_attention_result result, const struct tu_attention_range *range,
                      double *out, struct tu_error *error)
{
    uint64_t dim = a->head_dim > a->value_dim ? a->head_dim : a->value_dim;
    struct exact e = {.a = a, .rows = rows, .range = range};
    e.q = calloc(range->queries * a->heads * a->head_dim, sizeof *e.q);
    e.tile = calloc(TILE_KEYS * a->kv_heads * dim, sizeof *e.tile);
    e.scores = calloc(range->heads * range->queries * a->keys + 1, sizeof *e.scores);
    if (result == TU_ATTENTION_OUT)
        memset(out, 0, range->queries * range->heads * a->value_dim * sizeof *out);
    int made = e.q && e.tile && e.scores ? compute(&e, result, out, error) : tu_fail_memory(error);
    free(e.q);
    free(e.tile);
    free(e.scores);
    return made;
}
