/* SPDX-License-Identifier: MIT */
/* Rows, or columns, that have to be multiplied with a factor each. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <math.h>
#include <stdlib.h>

enum { PROBES = 64, WIDEST = 1 << 16, AT_ONCE = 1 << 16 };

/* Sums over pairs that are finite, of what shares a factor. */
struct line {
    double aa, bb, ab;
};

static void add(struct line *l, float a, float b)
{
    if (!isfinite(a) || !isfinite(b))
        return;
    l->aa += (double)a * (double)a;
    l->bb += (double)b * (double)b;
    l->ab += (double)a * (double)b;
}

/* ---- A sample ---- */

/* What the factors of lines leave of a, where those follow from every second element of a line and
 * are tried on the others: numbers that have nothing in common have no such factors. */
static double left_of_lines(const float *a, const float *b, size_t rows, size_t columns,
                            bool by_row)
{
    size_t lines = by_row ? rows : columns, length = by_row ? columns : rows;
    double squares = 0, all = 0;
    for (size_t i = 0; i < lines; i++) {
        struct line fit = {0}, test = {0};
        for (size_t k = 0; k < length; k++) {
            size_t at = by_row ? i * columns + k : k * columns + i;
            add(k % 2 ? &test : &fit, a[at], b[at]);
        }
        double factor = fit.bb > 0 ? fit.ab / fit.bb : 0;
        squares += test.aa - 2 * factor * test.ab + factor * factor * test.bb;
        all += test.aa;
    }
    return all > 0 ? fmax(squares, 0) / all : 1;
}

/* ---- All elements ---- */

/* What becomes of lines with the best factor each. */
struct factors {
    double aa, explained, least, most;
};

static void close_line(struct factors *f, const struct line *l)
{
    f->aa += l->aa;
    if (l->bb <= 0)
        return;
    double factor = l->ab / l->bb;
    f->explained += factor * l->ab;
    f->least = fmin(f->least, factor);
    f->most = fmax(f->most, factor);
}

/* Adds whole rows to the lines, which are theirs or those of the columns. */
static void add_rows(struct factors *f, struct line *columns, const float *a, const float *b,
                     size_t rows, size_t width)
{
    for (size_t r = 0; r < rows; r++) {
        struct line row = {0};
        for (size_t i = 0; i < width; i++)
            add(columns ? &columns[i] : &row, a[r * width + i], b[r * width + i]);
        if (!columns)
            close_line(f, &row);
    }
}

static int go_through(struct tu_search *s, struct factors *f, struct line *columns, float *values,
                      size_t width, size_t at_once)
{
    uint64_t rows = s->base->tensor.elements / width;
    float *a = values, *b = values + at_once * width;
    for (uint64_t row = 0; row < rows; row += at_once) {
        size_t n = rows - row < at_once ? (size_t)(rows - row) : at_once;
        if (tu_view_values(s->c->sides[0], s->maker.kernels, row * width, n * width, a, s->error) <
                0 ||
            tu_view_values(s->base, s->maker.kernels, row * width, n * width, b, s->error) < 0)
            return -1;
        add_rows(f, columns, a, b, n, width);
    }
    for (size_t i = 0; columns && i < width; i++)
        close_line(f, &columns[i]);
    return 0;
}

static int measure(struct tu_search *s, struct tu_candidate *c, bool by_row)
{
    const struct tu_tensor *t = &s->base->tensor;
    size_t width = (size_t)t->shape[t->rank - 1], at_once = width < AT_ONCE ? AT_ONCE / width : 1;
    struct factors f = {.least = INFINITY, .most = -INFINITY};
    struct line *columns = by_row ? NULL : calloc(width, sizeof *columns);
    float *values = malloc(2 * at_once * width * sizeof *values);
    int result = values && (by_row || columns) ? 0 : tu_fail_memory(s->error);
    if (result == 0)
        result = go_through(s, &f, columns, values, width, at_once);
    free(values);
    free(columns);
    if (result < 0)
        return -1;
    double share = f.aa > 0 ? fmin(f.explained / f.aa, 1) : 0;
    c->cosine = sqrt(share);
    c->unexplained = 1 - share;
    c->text = tu_search_say(s, "%s-scale(%.4g..%.4g)", by_row ? "row" : "column", f.least, f.most);
    return tu_search_failed(s) ? -1 : 0;
}

static int measure_rows(struct tu_search *s, struct tu_candidate *c)
{
    return measure(s, c, true);
}

static int measure_columns(struct tu_search *s, struct tu_candidate *c)
{
    return measure(s, c, false);
}

int tu_try_factors(struct tu_search *s)
{
    const struct tu_tensor *t = &s->base->tensor;
    uint64_t width = t->rank > 1 ? t->shape[t->rank - 1] : 0;
    uint64_t rows = width ? t->elements / width : 0;
    size_t n = rows < PROBES ? (size_t)rows : PROBES;
    if (!s->c->sums || width < TU_SEARCH_FEWEST || width > WIDEST || n < TU_SEARCH_FEWEST ||
        tu_search_settled(s) || !tu_search_varies(s))
        return 0;
    size_t count = n * (size_t)width;
    float *a = malloc(2 * count * sizeof *a), *b = a + count;
    int result = a ? 0 : tu_fail_memory(s->error);
    if (result == 0)
        result = tu_sample_rows(s->c->sides[0], s->maker.kernels, width, n, a, s->error);
    if (result == 0)
        result = tu_sample_rows(s->base, s->maker.kernels, width, n, b, s->error);
    for (int by_row = 1; by_row >= 0 && result == 0; by_row--) {
        const struct tu_candidate c = {.sides = {s->c->sides[0], s->base},
                                       .unexplained = left_of_lines(a, b, n, (size_t)width, by_row),
                                       .text = by_row ? "row-scale" : "column-scale",
                                       .measure = by_row ? measure_rows : measure_columns};
        tu_search_weigh(s, &c);
    }
    free(a);
    return result;
}
