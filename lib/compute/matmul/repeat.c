/* SPDX-License-Identifier: MIT */
/* One product many times, in all ways there are, bit against bit. */
#include "config.h"

#include "compute/matmul/repeat.h"

/* What runs of one matrix share. */
struct repetition {
    const struct tu_matmul_task *task;
    struct tu_matmul_result first, other;
    uint64_t runs; /* in each way */
    struct tu_repeats *repeats;
};

static struct tu_departure departure_of(const struct repetition *r)
{
    const struct tu_matmul_result *a = &r->first, *b = &r->other;
    struct tu_departure d = {0};
    if (a->y)
        tu_departure_add(&d, a->y, b->y, sizeof *a->y, a->count, 0);
    else
        tu_departure_add(&d, a->y64, b->y64, sizeof *a->y64, a->count, 0);
    return d;
}

static int repeat_runs(struct repetition *r, const struct tu_matmul_task *t,
                       const struct tu_way *way, struct tu_error *error)
{
    for (uint64_t i = 0; i < r->runs; i++) {
        bool begins = r->repeats->runs == 0;
        struct tu_departure d = {0};
        if (tu_matmul_run(t, way->threads, begins ? &r->first : &r->other, error) < 0)
            return -1;
        if (!begins)
            d = departure_of(r);
        tu_repeats_note(r->repeats, way, &d);
    }
    return 0;
}

/* All ways of one instruction set, which makes the x of its runs; to the first way of the next. */
static int repeat_with(struct repetition *r, const struct tu_member *x, size_t *at,
                       struct tu_error *error)
{
    const struct tu_ways *ways = r->repeats->ways;
    const struct tu_kernels *kernels = ways->list[*at].kernels;
    struct tu_matmul_task t = *r->task;
    struct tu_vectors vectors;
    if (tu_vectors_load(&vectors, x, kernels, error) < 0)
        return -1;
    t.x = &vectors;
    t.w.kernels = kernels;
    int result = t.path == TU_PATH_FUSED ? tu_vectors_round(&vectors, t.rounded, error) : 0;
    for (; result == 0 && *at < ways->count && ways->list[*at].kernels == kernels; ++*at)
        result = repeat_runs(r, &t, &ways->list[*at], error);
    tu_vectors_free(&vectors);
    return result;
}

int tu_matmul_repeat(const struct tu_matmul_task *t, const struct tu_member *x, uint64_t runs,
                     struct tu_repeats *out, struct tu_error *error)
{
    struct repetition r = {.task = t, .runs = runs, .repeats = out};
    bool wide = t->path == TU_PATH_F64;
    int result = tu_matmul_result_make(t, wide, &r.first, error);
    if (result == 0)
        result = tu_matmul_result_make(t, wide, &r.other, error);
    for (size_t at = 0; result == 0 && at < out->ways->count;)
        result = repeat_with(&r, x, &at, error);
    tu_matmul_result_free(&r.first);
    tu_matmul_result_free(&r.other);
    return result;
}
