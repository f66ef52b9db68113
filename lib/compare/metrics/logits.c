/* SPDX-License-Identifier: MIT */
/* Takes rows of logits one by one: the largest, the softmax, and the divergence of two of them. */
#include "config.h"

#include "compare/metrics/logits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool tu_logits_shape(const struct tu_tensor *t)
{
    return t->rank >= 2 && t->elements && t->shape[t->rank - 1] > 1;
}

/* ---- Rows ---- */

/* One row of both sides; values of a type that float64 does not hold are rounded to it. */
struct rows {
    struct tu_decoder decoders[2];
    double *values[2], *low;
    size_t width;
};

static int begin(struct rows *r, const struct tu_view *const views[2],
                 const struct tu_kernels *kernels, size_t width, struct tu_error *error)
{
    *r = (struct rows){.width = width};
    for (int i = 0; i < 2; i++)
        if (tu_view_decoder(views[i], kernels, &r->decoders[i], error) < 0 ||
            !(r->values[i] = calloc(width, sizeof **r->values)))
            return r->values[i] ? -1 : tu_fail_memory(error);
    r->low = calloc(width, sizeof *r->low);
    return r->low ? 0 : tu_fail_memory(error);
}

static void end(struct rows *r)
{
    free(r->values[0]);
    free(r->values[1]);
    free(r->low);
}

static int read_row(struct rows *r, const struct tu_view *const views[2], uint64_t row,
                    struct tu_error *error)
{
    for (int i = 0; i < 2; i++) {
        uint64_t offset, length, first = row * r->width;
        tu_geometry_span(&views[i]->geometry, first, r->width, &offset, &length);
        uint8_t *raw = malloc((size_t)length);
        int result = raw ? tu_view_read(views[i], offset, raw, (size_t)length, error)
                         : tu_fail_memory(error);
        if (result == 0)
            tu_decode_wide(&r->decoders[i], raw, first, r->width, r->values[i], r->low);
        for (size_t k = 0; k < r->width && result == 0; k++)
            r->values[i][k] += r->low[k];
        free(raw);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* ---- What is in a row ---- */

struct top {
    size_t places[TU_LOGITS_TOP], count;
};

/* The largest first, of equal ones the first; NaN is none of them. */
static struct top find_top(const double *x, size_t n)
{
    struct top t = {.count = 0};
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i]) || (t.count == TU_LOGITS_TOP && !(x[i] > x[t.places[t.count - 1]])))
            continue;
        size_t at = t.count < TU_LOGITS_TOP ? t.count++ : TU_LOGITS_TOP - 1;
        for (; at > 0 && x[i] > x[t.places[at - 1]]; at--)
            t.places[at] = t.places[at - 1];
        t.places[at] = i;
    }
    return t;
}

static uint64_t count_shared(const struct top *a, const struct top *b)
{
    uint64_t shared = 0;
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++)
            shared += a->places[i] == b->places[k];
    return shared;
}

/* log sum exp */
static double log_sum(const double *x, size_t n)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (x[i] > most || isnan(x[i]))
            most = x[i];
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - most);
    return most + log(sum);
}

/* What a calls impossible adds nothing. */
static double divergence(const double *a, const double *b, size_t n, const double sums[2])
{
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        double p = exp(a[i] - sums[0]);
        if (p != 0)
            total += p * ((a[i] - sums[0]) - (b[i] - sums[1]));
    }
    return total;
}

/* ---- The whole ---- */

static int make_room(struct tu_arena *arena, struct tu_logits *out, struct tu_error *error)
{
    size_t n = (size_t)out->positions;
    for (int i = 0; i < 2; i++)
        if (!(out->argmax[i] = tu_arena_alloc(arena, n * sizeof **out->argmax)))
            return tu_fail_memory(error);
    out->overlap = tu_arena_alloc(arena, n * sizeof *out->overlap);
    out->divergence = tu_arena_alloc(arena, n * sizeof *out->divergence);
    return out->overlap && out->divergence ? 0 : tu_fail_memory(error);
}

static void look_at_row(const struct rows *r, uint64_t row, const uint32_t *next,
                        struct tu_logits *out)
{
    const double *const *x = (const double *const *)r->values;
    const struct top tops[2] = {find_top(x[0], r->width), find_top(x[1], r->width)};
    const double sums[2] = {log_sum(x[0], r->width), log_sum(x[1], r->width)};
    for (int i = 0; i < 2; i++)
        out->argmax[i][row] = tops[i].count ? tops[i].places[0] : r->width;
    out->overlap[row] = count_shared(&tops[0], &tops[1]);
    out->divergence[row] = divergence(x[0], x[1], r->width, sums);
    out->agreeing += tops[0].count && out->argmax[0][row] == out->argmax[1][row];
    out->top_share += (double)out->overlap[row];
    out->mean += out->divergence[row];
    if (row == 0 || (!isnan(out->most) && !(out->divergence[row] <= out->most))) {
        out->most_position = row;
        out->most = out->divergence[row];
    }
    for (int i = 0; i < 2 && next && row + 1 < out->positions; i++)
        out->likelihood[i] += sums[i] - x[i][next[row + 1]];
}

int tu_logits_compare(const struct tu_view *const views[2], const struct tu_kernels *kernels,
                      const uint32_t *next, struct tu_arena *arena, struct tu_logits *out,
                      struct tu_error *error)
{
    const struct tu_tensor *t = &views[0]->tensor;
    struct rows r;
    uint64_t width = t->shape[t->rank - 1];
    *out = (struct tu_logits){.positions = t->elements / width, .ids = width};
    int result = make_room(arena, out, error);
    if (result == 0) {
        result = begin(&r, views, kernels, (size_t)width, error);
        for (uint64_t row = 0; row < out->positions && result == 0; row++) {
            result = read_row(&r, views, row, error);
            if (result == 0)
                look_at_row(&r, row, next, out);
        }
        end(&r);
    }
    double positions = (double)out->positions,
           top = (double)(width < TU_LOGITS_TOP ? width : TU_LOGITS_TOP);
    out->top_share /= positions * top;
    out->mean /= positions;
    for (int i = 0; i < 2; i++)
        out->likelihood[i] =
            next && out->positions > 1 ? out->likelihood[i] / (positions - 1) : NAN;
    return result;
}
