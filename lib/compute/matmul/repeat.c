/* SPDX-License-Identifier: MIT */
/* One product many times, on all numbers of threads and instruction sets, bit against bit. */
#include "config.h"

#include <string.h>

#include "compute/matmul/repeat.h"

int tu_matmul_fill_repetition(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_matmul_repetition *r = subject;
    if (tu_matmul_put_names(b, "repeat", r->task, error) < 0 ||
        tu_put_string(b, "status", r->differing ? "differs" : "ok", error) < 0 ||
        tu_put_uint(b, "runs", r->runs, error) < 0 ||
        tu_put_uint(b, "instruction_sets", r->sets, error) < 0 ||
        tu_put_uint(b, "threads", r->threads, error) < 0 ||
        tu_put_uint(b, "differing", r->differing, error) < 0 ||
        tu_put_uint(b, "differing_count", r->elements, error) < 0)
        return -1;
    if (!r->differing)
        return 0;
    if (tu_put_uint(b, "first_index", r->index, error) < 0 ||
        tu_put_real(b, "first_a", r->a, error) < 0 || tu_put_real(b, "first_b", r->b, error) < 0 ||
        tu_put_uint(b, "first_threads", r->first_threads, error) < 0)
        return -1;
    return tu_put_string(b, "first_instructions", r->first_set, error);
}

static void compare_runs(struct tu_matmul_repetition *r, unsigned threads, const char *set)
{
    const struct tu_matmul_result *a = &r->first, *b = &r->other;
    size_t differing = 0, index = 0;
    for (size_t i = a->count; i-- > 0;) {
        bool same = a->y ? memcmp(&a->y[i], &b->y[i], sizeof *a->y) == 0
                         : memcmp(&a->y64[i], &b->y64[i], sizeof *a->y64) == 0;
        differing += !same;
        index = same ? index : i;
    }
    if (differing == 0)
        return;
    if (r->differing++ == 0) {
        r->index = index;
        r->elements = differing;
        r->a = a->y ? (double)a->y[index] : a->y64[index];
        r->b = b->y ? (double)b->y[index] : b->y64[index];
        r->first_threads = threads;
        r->first_set = set;
    }
}

/* Runs with an x that the same instructions have made; the first of all runs is what others are
 * compared with. */
static int repeat_runs(struct tu_matmul_repetition *r, struct tu_matmul_task *t, unsigned threads,
                       uint64_t repeat, struct tu_error *error)
{
    for (uint64_t i = 0; i < repeat; i++) {
        if (tu_matmul_run(t, threads, r->runs ? &r->other : &r->first, error) < 0)
            return -1;
        if (r->runs++)
            compare_runs(r, threads, t->w.kernels->name);
    }
    return 0;
}

static int repeat_with(struct tu_matmul_repetition *r, const struct tu_kernels *kernels,
                       const struct tu_member *x, unsigned threads, uint64_t repeat,
                       struct tu_error *error)
{
    struct tu_matmul_task t = *r->task;
    struct tu_vectors vectors;
    const unsigned counts[] = {1, 2, 3, threads};
    if (tu_vectors_load(&vectors, x, kernels, error) < 0)
        return -1;
    t.x = &vectors;
    t.w.kernels = kernels;
    int result = t.path == TU_PATH_FUSED ? tu_vectors_round(&vectors, t.rounded, error) : 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts && result == 0; i++)
        if (i < 3 || counts[i] > 3)
            result = repeat_runs(r, &t, counts[i], repeat, error);
    r->threads = threads > 3 ? threads : 3;
    r->sets++;
    tu_vectors_free(&vectors);
    return result;
}

int tu_matmul_repeat(const struct tu_matmul_task *t, const struct tu_member *x, unsigned threads,
                     uint64_t runs, struct tu_matmul_repetition *out, struct tu_error *error)
{
    const struct tu_kernels *kernels;
    bool supported, wide = t->path == TU_PATH_F64;
    *out = (struct tu_matmul_repetition){.task = t};
    int result = tu_matmul_result_make(t, wide, &out->first, error);
    if (result == 0)
        result = tu_matmul_result_make(t, wide, &out->other, error);
    for (size_t i = 0; result == 0 && (kernels = tu_kernels_built(i, &supported)); i++)
        if (supported && strcmp(kernels->base, kernels->name) == 0) /* its own products */
            result = repeat_with(out, kernels, x, threads, runs, error);
    return result;
}

void tu_matmul_repetition_free(struct tu_matmul_repetition *r)
{
    tu_matmul_result_free(&r->first);
    tu_matmul_result_free(&r->other);
}
