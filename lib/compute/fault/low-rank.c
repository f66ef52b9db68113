/* SPDX-License-Identifier: MIT */
/* A fine-tune: a matrix of low rank is added, as large as a share of the tensor. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "compute/random.h"
#include "compute/fault/victim.h"

enum { RANK = 8 };

/* u[rows][RANK] * v[RANK][columns], normal numbers of which those of u are made again and again.
 * Those of v follow all of u. */
struct tu_low_rank {
    struct tu_random random;
    double factor;
    float v[]; /* [columns][RANK] */
};

static void make_row(const struct tu_low_rank *r, uint64_t row, float u[RANK])
{
    tu_random_normal(&r->random, row * RANK, RANK, 0, 1, u);
}

static void add_product(const struct tu_victim *v, uint64_t row, uint64_t column, size_t n,
                        float *values)
{
    const struct tu_low_rank *r = v->low_rank;
    float u[RANK];
    make_row(r, row, u);
    for (size_t i = 0; i < n; i++) {
        const float *w = r->v + (column + i) * RANK;
        double sum = 0;
        for (int k = 0; k < RANK; k++)
            sum += (double)u[k] * w[k];
        values[i] = (float)(values[i] + r->factor * sum);
    }
}

/* Adds u_k u_l of all k and l. */
static void add_gram(const float u[RANK], double gram[RANK][RANK])
{
    for (int k = 0; k < RANK; k++)
        for (int l = 0; l < RANK; l++)
            gram[k][l] += (double)u[k] * u[l];
}

/* The Frobenius norm of the product: the trace of the product of the Gram matrices of its sides. */
static double norm_of(const struct tu_low_rank *r, uint64_t rows, uint64_t columns)
{
    double left[RANK][RANK] = {{0}}, right[RANK][RANK] = {{0}}, sum = 0;
    for (uint64_t i = 0; i < rows; i++) {
        float u[RANK];
        make_row(r, i, u);
        add_gram(u, left);
    }
    for (uint64_t i = 0; i < columns; i++)
        add_gram(r->v + i * RANK, right);
    for (int k = 0; k < RANK; k++)
        for (int l = 0; l < RANK; l++)
            sum += left[k][l] * right[k][l];
    return sqrt(sum);
}

static int norm_of_tensor(const struct tu_victim *v, double *norm, struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    struct tu_edited e;
    uint64_t blocks = v->row_bytes / t->bytes;
    double sum = 0;
    if (tu_edited_init(v, &e, error) < 0)
        return -1;
    int result = 0;
    for (uint64_t row = 0; row < v->rows && result == 0; row++)
        for (uint64_t first = 0; first < blocks && result == 0; first += e.blocks) {
            size_t n = blocks - first < e.blocks ? (size_t)(blocks - first) : e.blocks;
            uint64_t left = v->row - first * t->elements, count = n * t->elements;
            result = tu_read_original(v, row * v->row_bytes + first * t->bytes, e.raw, n * t->bytes,
                                      error);
            if (result < 0)
                break;
            v->work->session->kernels->decode[t->code](e.raw, n, e.values);
            for (uint64_t i = 0; i < (left < count ? left : count); i++)
                sum += (double)e.values[i] * e.values[i];
        }
    tu_edited_free(&e);
    *norm = sqrt(sum);
    return result;
}

int tu_fault_fine_tune(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_fault_settings *s = v->work->settings;
    double norm;
    bool changes;
    if (tu_victim_rows(v, error) < 0 || tu_victim_numbers(v, error) < 0 ||
        norm_of_tensor(v, &norm, error) < 0)
        return -1;
    if (!isfinite(norm))
        return tu_refuse(v, error, "a number of it is not finite");
    if (v->row > (SIZE_MAX - sizeof *v->low_rank) / (RANK * sizeof *v->low_rank->v))
        return tu_fail_memory(error);
    v->low_rank = malloc(sizeof *v->low_rank + v->row * RANK * sizeof *v->low_rank->v);
    if (!v->low_rank)
        return tu_fail_memory(error);
    v->low_rank->random = tu_random_init(s->seed, v->tensor->name, v->tensor->name_length);
    tu_random_normal(&v->low_rank->random, v->rows * RANK, v->row * RANK, 0, 1, v->low_rank->v);
    v->low_rank->factor = s->size * norm / norm_of(v->low_rank, v->rows, v->row);
    v->edit = add_product;
    if (tu_victim_changes(v, &changes, error) < 0)
        return -1;
    return changes ? 0 : tu_refuse(v, error, "that is less than its numbers can tell");
}

void tu_low_rank_free(struct tu_low_rank *low_rank)
{
    free(low_rank);
}
