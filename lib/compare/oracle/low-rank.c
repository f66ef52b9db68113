/* SPDX-License-Identifier: MIT */
/* A difference of low rank: what a fine-tune by an adapter (LoRA) leaves in the weights it was
 * merged into. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Some rows of the difference span what all of them do, if that is of lower dimension.  The
 * eigenvalues of their Gram matrix are the squares of their singular values: those of a rank stand
 * above a floor that rounding, which is alike in all directions, makes level.  The eigenvectors
 * give the directions, on which then every row is projected: what is left of it was not explained.
 */
enum { SIDE = 128, RANK_MAX = SIDE / 2, WIDEST = 1 << 15, SWEEPS = 30 };

#define STEP   4    /* from the last eigenvalue of a rank down to the floor, at least */
#define LEVEL  10   /* from the highest of the floor to its median, at most: noise has 4 */
#define NEARLY 1e-9 /* of all: what is less is nothing */
#define FAINT  0.01 /* of the mean: what is less is not touched */

/* The difference of some rows, and its directions. */
struct difference {
    size_t rows, columns;
    size_t rank, rank_max;
    double *values; /* rows of columns */
    double gram[SIDE][SIDE], vectors[SIDE][SIDE];
    double eigenvalues[SIDE]; /* from the largest down */
    size_t order[SIDE];
};

/* ---- Eigenvalues ---- */

static void rotate(struct difference *d, size_t p, size_t q)
{
    double theta = (d->gram[q][q] - d->gram[p][p]) / (2 * d->gram[p][q]);
    double t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (size_t k = 0; k < d->rows; k++) {
        double x = d->gram[k][p], y = d->gram[k][q];
        d->gram[k][p] = c * x - s * y;
        d->gram[k][q] = s * x + c * y;
    }
    for (size_t k = 0; k < d->rows; k++) {
        double x = d->gram[p][k], y = d->gram[q][k], u = d->vectors[p][k], v = d->vectors[q][k];
        d->gram[p][k] = c * x - s * y;
        d->gram[q][k] = s * x + c * y;
        d->vectors[p][k] = c * u - s * v;
        d->vectors[q][k] = s * u + c * v;
    }
}

/* The cyclic method of Jacobi: rows of vectors become the eigenvectors. */
static void diagonalize(struct difference *d, double trace)
{
    for (size_t i = 0; i < d->rows; i++)
        for (size_t k = 0; k < d->rows; k++)
            d->vectors[i][k] = i == k;
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        bool moved = false;
        for (size_t p = 0; p + 1 < d->rows; p++)
            for (size_t q = p + 1; q < d->rows; q++)
                if (fabs(d->gram[p][q]) > 1e-14 * trace) {
                    rotate(d, p, q);
                    moved = true;
                }
        if (!moved)
            break;
    }
}

static void sort(struct difference *d)
{
    for (size_t i = 0; i < d->rows; i++) {
        double value = fmax(d->gram[i][i], 0);
        size_t k = i;
        for (; k && d->eigenvalues[k - 1] < value; k--) {
            d->eigenvalues[k] = d->eigenvalues[k - 1];
            d->order[k] = d->order[k - 1];
        }
        d->eigenvalues[k] = value;
        d->order[k] = i;
    }
}

/* ---- A sample ---- */

/* Whether a difference is of most lines, by their squares: one that is of few is damage, and of low
 * rank because they are few. */
static bool is_spread(const double *squares, size_t count)
{
    double all = 0;
    size_t touched = 0;
    for (size_t i = 0; i < count; i++)
        all += squares[i];
    for (size_t i = 0; i < count; i++)
        touched += squares[i] > FAINT * all / (double)count;
    return 2 * touched >= count;
}

static bool is_of_all(const struct difference *d, double *columns)
{
    double rows[SIDE] = {0};
    memset(columns, 0, d->columns * sizeof *columns);
    for (size_t r = 0; r < d->rows; r++)
        for (size_t i = 0; i < d->columns; i++) {
            double x = d->values[r * d->columns + i];
            rows[r] += x * x;
            columns[i] += x * x;
        }
    return is_spread(rows, d->rows) && is_spread(columns, d->columns);
}

/* Fills the Gram matrix; gives its trace, and what its squares add up to. */
static double multiply(struct difference *d, double *squares)
{
    double trace = 0;
    *squares = 0;
    for (size_t i = 0; i < d->rows; i++)
        for (size_t k = 0; k <= i; k++) {
            const double *x = d->values + i * d->columns, *y = d->values + k * d->columns;
            double sums[4] = {0};
            size_t j = 0;
            for (; j + 4 <= d->columns; j += 4)
                for (size_t l = 0; l < 4; l++)
                    sums[l] += x[j + l] * y[j + l];
            for (; j < d->columns; j++)
                sums[0] += x[j] * y[j];
            d->gram[i][k] = d->gram[k][i] = sums[0] + sums[1] + sums[2] + sums[3];
            *squares += (i == k ? 1 : 2) * d->gram[i][k] * d->gram[i][k];
            trace += i == k ? d->gram[i][k] : 0;
        }
    return trace;
}

/* The rank that stands above the floor; 0: there is none.  left: the share of all below it. */
static size_t find_rank(const struct difference *d, double trace, double *left)
{
    double rest = trace;
    for (size_t k = 1; k <= d->rank_max; k++) {
        const double *e = d->eigenvalues;
        rest -= e[k - 1];
        *left = fmax(rest, 0) / trace;
        bool level = e[k] <= LEVEL * e[k + (d->rows - k) / 2] || *left <= NEARLY;
        if (e[k - 1] >= STEP * e[k] && level)
            return *left <= 0.5 ? k : 0;
    }
    return 0;
}

/* Rows of directions, each of length 1. */
static void make_directions(const struct difference *d, double *out)
{
    memset(out, 0, d->rank * d->columns * sizeof *out);
    for (size_t i = 0; i < d->rank; i++) {
        const double *vector = d->vectors[d->order[i]];
        double *direction = out + i * d->columns, length = sqrt(d->eigenvalues[i]);
        for (size_t r = 0; r < d->rows; r++)
            for (size_t k = 0; k < d->columns; k++)
                direction[k] += vector[r] / length * d->values[r * d->columns + k];
    }
}

/* ---- All elements ---- */

struct directions {
    size_t rank, columns;
    const double *rows;
};

struct sums {
    double dot, aa, bb, left; /* of a and what b becomes, and what that leaves */
};

/* A row of a, and that of b with the part of the difference that lies in the directions. */
static void project(const struct directions *d, const float *a, const float *b, double *made,
                    struct sums *sums)
{
    for (size_t i = 0; i < d->columns; i++)
        made[i] = (double)b[i];
    for (size_t k = 0; k < d->rank; k++) {
        const double *direction = d->rows + k * d->columns;
        double along = 0;
        for (size_t i = 0; i < d->columns; i++)
            along += direction[i] * ((double)a[i] - (double)b[i]);
        for (size_t i = 0; i < d->columns; i++)
            made[i] += along * direction[i];
    }
    for (size_t i = 0; i < d->columns; i++) {
        double x = (double)a[i];
        sums->dot += x * made[i];
        sums->aa += x * x;
        sums->bb += made[i] * made[i];
        sums->left += (x - made[i]) * (x - made[i]);
    }
}

static int measure(struct tu_search *s, struct tu_candidate *c)
{
    const struct directions *d = c->terms;
    uint64_t rows = s->base->tensor.elements / d->columns;
    struct sums sums = {0};
    float *a = malloc(2 * d->columns * sizeof *a), *b = a + d->columns;
    double *made = malloc(d->columns * sizeof *made);
    int result = a && made ? 0 : tu_fail_memory(s->error);
    for (uint64_t r = 0; r < rows && result == 0; r++) {
        result = tu_view_values(s->c->sides[0], s->maker.kernels, r * d->columns, d->columns, a,
                                s->error);
        if (result == 0)
            result =
                tu_view_values(s->base, s->maker.kernels, r * d->columns, d->columns, b, s->error);
        if (result == 0)
            project(d, a, b, made, &sums);
    }
    free(a);
    free(made);
    c->cosine = sums.aa > 0 && sums.bb > 0 ? fmin(sums.dot / sqrt(sums.aa * sums.bb), 1) : 0;
    c->unexplained = sums.aa > 0 ? sums.left / sums.aa : 1;
    return result;
}

/* ---- The candidate ---- */

static int weigh(struct tu_search *s, struct difference *d, double left)
{
    double *rows = tu_arena_alloc(s->maker.arena, d->rank * d->columns * sizeof *rows);
    struct directions *terms = tu_arena_alloc(s->maker.arena, sizeof *terms);
    if (!rows || !terms)
        return tu_fail_memory(s->error);
    make_directions(d, rows);
    *terms = (struct directions){d->rank, d->columns, rows};
    const struct tu_candidate c = {.sides = {s->c->sides[0], s->base},
                                   .unexplained = left * s->now,
                                   .text = tu_search_say(s, "low-rank(%zu)", d->rank),
                                   .measure = measure,
                                   .terms = terms};
    if (c.text)
        tu_search_weigh(s, &c);
    return tu_search_failed(s) ? -1 : 0;
}

static int take_difference(struct tu_search *s, struct difference *d, bool *finite)
{
    size_t count = d->rows * d->columns;
    float *a = malloc(2 * count * sizeof *a), *b = a + count;
    int result = a ? 0 : tu_fail_memory(s->error);
    if (result == 0)
        result = tu_sample_rows(s->c->sides[0], s->maker.kernels, d->columns, d->rows, a, s->error);
    if (result == 0)
        result = tu_sample_rows(s->base, s->maker.kernels, d->columns, d->rows, b, s->error);
    *finite = true;
    for (size_t i = 0; i < count && result == 0; i++) {
        d->values[i] = (double)a[i] - (double)b[i];
        *finite &= isfinite(d->values[i]) != 0;
    }
    free(a);
    return result;
}

static int look(struct tu_search *s, struct difference *d, double *columns)
{
    bool finite;
    double squares, left;
    if (take_difference(s, d, &finite) < 0)
        return -1;
    if (!finite || !is_of_all(d, columns))
        return 0;
    double trace = multiply(d, &squares);
    /* Of so many directions that count alike there are too many for a rank. */
    if (!(trace > 0) || trace * trace / squares > 0.8 * (double)d->rows)
        return 0;
    diagonalize(d, trace);
    sort(d);
    d->rank = find_rank(d, trace, &left);
    return d->rank ? weigh(s, d, left) : 0;
}

/* Of matrices with few rows or columns any difference has few directions. */
static size_t most_rank(uint64_t rows, uint64_t columns)
{
    uint64_t least = rows < columns ? rows : columns;
    return least / 4 < RANK_MAX ? (size_t)(least / 4) : RANK_MAX;
}

int tu_try_low_rank(struct tu_search *s)
{
    const struct tu_tensor *t = &s->base->tensor;
    uint64_t columns = t->rank == 2 ? t->shape[1] : 0, rows = t->rank == 2 ? t->shape[0] : 0;
    if (!s->c->sums || rows < TU_SEARCH_FEWEST || columns < TU_SEARCH_FEWEST || columns > WIDEST ||
        tu_search_settled(s) || !tu_search_varies(s))
        return 0;
    struct difference *d = calloc(1, sizeof *d);
    double *sums = malloc((size_t)columns * sizeof *sums);
    int result = d && sums ? 0 : tu_fail_memory(s->error);
    if (result == 0) {
        d->rows = (size_t)(rows < columns ? rows : columns);
        d->rows = d->rows < SIDE ? d->rows : SIDE;
        d->columns = (size_t)columns;
        d->rank_max = most_rank(rows, columns);
        d->values = malloc(d->rows * d->columns * sizeof *d->values);
        result = d->values ? look(s, d, sums) : tu_fail_memory(s->error);
        free(d->values);
    }
    free(d);
    free(sums);
    return result;
}
