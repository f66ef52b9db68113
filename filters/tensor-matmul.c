/* SPDX-License-Identifier: MIT */
/* tensor-matmul: y = W x, and why two of its answers differ. */
#include "config.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "tool/main.h"
#include "compute/matmul.h"
#include "tool/output.h"
#include "tool/bench.h"

static struct tu_tool tool;
static struct tu_output output;
static enum tu_path path;
static const char *x_name, *against;
static bool fitting, explaining;
static uint64_t bench, repeat;

static int parse_path(void *target, const char *text, struct tu_error *error)
{
    return tu_path_parse(text, target)
               ? 0
               : tu_fail(error, TU_EUSAGE, "'%s' is none of auto, f64, f32, row, block and fused",
                         text);
}

static int parse_runs(void *target, const char *text, struct tu_error *error)
{
    uint64_t *runs = target;
    if (tu_option_u64(target, text, error) < 0)
        return -1;
    return *runs >= 1 && *runs <= 1000000
               ? 0
               : tu_fail(error, TU_EUSAGE, "'%s' is not a number from 1 to 1000000", text);
}

static const struct tu_option options[] = {
    {0, "path", "PATH", "order of the sums: auto (default), f64, f32, row, block or fused",
     parse_path, &path},
    {0, "x", "NAME", "multiply every matrix with this tensor of X", tu_option_string, &x_name},
    {0, "fitting", NULL, "leave out matrices that no x fits", tu_option_flag, &fitting},
    {0, "explain", NULL, "records of what moves y: order, decoding, rounding of x", tu_option_flag,
     &explaining},
    {0, "against", "MODEL", "with --explain: the same matrices, decoded otherwise",
     tu_option_string, &against},
    {0, "bench", "N", "records of the time that N runs take", parse_runs, &bench},
    {0, "repeat", "N", "records that N runs on any threads and instructions agree", parse_runs,
     &repeat},
    TU_SELECT_OPTIONS(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* ---- Which x belongs to a matrix ---- */

/* Everything that is open during a run. */
struct run {
    char **operands;
    struct tu_feed feed;
    struct tu_operand x, against;
    struct tu_vectors vectors; /* of the x that was used last */
    struct tu_member member;
    uint64_t matrices;
};

static bool ends_with_x(const struct tu_tensor *t)
{
    return t->name_length >= 2 && strcmp(t->name + t->name_length - 2, ".x") == 0;
}

static bool has_columns(const struct tu_tensor *t, const struct tu_tensor *w)
{
    return t->rank > 0 && t->shape[t->rank - 1] == tu_matrix_columns(w);
}

/* Whether x has rows for each matrix of a stack. */
static bool is_divided(const struct tu_tensor *x, const struct tu_tensor *w)
{
    return w->rank == 3 && x->rank == 3;
}

static bool fits(const struct tu_tensor *t, const struct tu_tensor *w)
{
    return has_columns(t, w) && tool.session.kernels->decode[t->dtype] &&
           (w->rank == 2 || t->rank < 3 || (t->rank == 3 && t->shape[0] == w->shape[0]));
}

/* The only tensor for all that fits; *count receives how many there are. */
static struct tu_member find_common(const struct run *r, const struct tu_tensor *w, size_t *count)
{
    struct tu_member found = {0};
    *count = 0;
    for (size_t i = 0; i < r->x.model_count; i++) {
        const struct tu_model *m = &r->x.models[i];
        for (size_t k = 0; k < m->count; k++) {
            if (ends_with_x(&m->tensors[k]) || !fits(&m->tensors[k], w))
                continue;
            if ((*count)++ == 0)
                found = (struct tu_member){m, &m->tensors[k]};
        }
    }
    return found;
}

static struct tu_member find_own(const struct run *r, const struct tu_tensor *w,
                                 struct tu_error *error)
{
    size_t length = w->name_length + 2;
    char *name = malloc(length + 1);
    struct tu_member found = {0};
    if (!name) {
        tu_fail_memory(error);
        return found;
    }
    memcpy(name, w->name, w->name_length);
    memcpy(name + w->name_length, ".x", 3);
    found = tu_operand_find(&r->x, name, length);
    free(name);
    return found;
}

/* Why an x is none for a matrix. */
static int fail_fit(const char *in, const struct tu_tensor *x, const struct tu_tensor *w,
                    struct tu_error *error)
{
    if (!tool.session.kernels->decode[x->dtype])
        return tu_fail(error, TU_EINVALID, "%s: tensor '%.200s': type %s is no x", in, x->name,
                       tu_dtype(x->dtype)->name);
    if (has_columns(x, w))
        return tu_fail(error, TU_EINVALID,
                       "%s: tensor '%.200s' is neither [n, in] nor [%" PRIu64
                       ", n, in], as '%.200s' has %" PRIu64 " matrices",
                       in, x->name, tu_matrices(w), w->name, tu_matrices(w));
    return tu_fail(error, TU_EINVALID,
                   "%s: tensor '%.200s' has %" PRIu64 " columns, '%.200s' has %" PRIu64, in,
                   x->name, x->rank ? x->shape[x->rank - 1] : 0, w->name, tu_matrix_columns(w));
}

/* 1: it has one; 0: it has none, and is to be left out. */
static int find_x(const struct run *r, const struct tu_tensor *w, struct tu_member *out,
                  struct tu_error *error)
{
    const char *in = tu_operand_name(r->operands[1]);
    uint64_t columns = tu_matrix_columns(w);
    size_t count = 1;
    *out = x_name ? tu_operand_find(&r->x, x_name, strlen(x_name)) : find_own(r, w, error);
    if (error->code)
        return -1;
    if (x_name && !out->model)
        return tu_fail(error, TU_EUSAGE, "%s: has no tensor '%.200s' (as --x says)", in, x_name);
    if (!out->model)
        *out = find_common(r, w, &count);
    bool fit = out->model && fits(out->tensor, w);
    if (fit && count == 1)
        return 1;
    if (fitting && !fit)
        return 0;
    /* Not all that has three dimensions is a stack of matrices. */
    if (w->rank == 3 && (count != 1 || (x_name && !has_columns(out->tensor, w))))
        return 0;
    if (!out->model)
        return tu_fail(error, TU_EINVALID,
                       "%s: has no x for '%.200s': neither '%.200s.x' nor one of %" PRIu64
                       " columns (choose matrices with --match or --fitting)",
                       in, w->name, w->name, columns);
    if (!fit)
        return fail_fit(in, out->tensor, w, error);
    return tu_fail(error, TU_EINVALID,
                   "%s: has %zu tensors of %" PRIu64 " columns, as '%.200s' has (choose one with "
                   "--x, or name it '%.200s.x')",
                   in, count, columns, w->name, w->name);
}

/* Loads it, unless it was the last one, too. */
static int load_x(struct run *r, const struct tu_member *member, struct tu_error *error)
{
    if (r->vectors.values && r->member.tensor == member->tensor)
        return 0;
    tu_vectors_free(&r->vectors);
    r->member = *member;
    return tu_vectors_load(&r->vectors, member, tool.session.kernels, error);
}

/* ---- y as a tensor ---- */

/* A matrix with its x, ready to be multiplied. */
struct task {
    struct tu_matrix w;
    struct tu_vectors *x;
    const struct tu_tensor *x_tensor;
    enum tu_path path;
    const struct tu_dtype *rounded; /* type of activations of the fused product; NULL: none */
};

struct result {
    float *y;
    double *y64;
    size_t count;
};

static void free_result(struct result *y)
{
    free(y->y);
    free(y->y64);
}

static int make_result(const struct task *t, bool wide, struct result *y, struct tu_error *error)
{
    uint64_t count;
    *y = (struct result){0};
    bool divided = is_divided(t->x_tensor, t->w.tensor);
    if (__builtin_mul_overflow(tu_matrix_rows(t->w.tensor), t->x->rows, &count) ||
        (!divided && __builtin_mul_overflow(count, tu_matrices(t->w.tensor), &count)) ||
        count > SIZE_MAX / sizeof(double) - 1)
        return tu_fail_memory(error);
    y->count = (size_t)count;
    if (wide)
        y->y64 = calloc(y->count + 1, sizeof *y->y64);
    else
        y->y = calloc(y->count + 1, sizeof *y->y);
    return y->y || y->y64 ? 0 : tu_fail_memory(error);
}

static struct tu_product product_of(const struct task *t, enum tu_path how,
                                    const struct tu_vectors *x, const struct result *y)
{
    return (struct tu_product){.path = how,
                               .x = x,
                               .divided = is_divided(t->x_tensor, t->w.tensor),
                               .y = y->y,
                               .y64 = y->y64};
}

/* Fills y; may be repeated where the matrix can be read again. */
static int multiply(const struct task *t, unsigned threads, const struct result *y,
                    struct tu_error *error)
{
    const struct tu_product product = product_of(t, t->path, t->x, y);
    return tu_multiply(&t->w, &product, 1, threads, error);
}

static int put_kinds(struct tu_builder *b, const struct task *t, struct tu_error *error)
{
    const struct tu_dtype *x = t->path == TU_PATH_FUSED ? t->rounded : t->x->geometry.dtype;
    if (tu_put_string(b, "path", tu_path_names[t->path], error) < 0 ||
        tu_put_string(b, "dtype_w", t->w.geometry.dtype->name, error) < 0)
        return -1;
    return tu_put_string(b, "dtype_x", x->name, error);
}

/* Y has the shape of x with the last dimension that of the rows of W; of a stack, with the number
 * of matrices before it, if x has not got that. */
static int describe(const struct task *t, struct tu_arena *arena, struct tu_tensor *out,
                    struct tu_geometry *geometry, struct tu_error *error)
{
    const struct tu_tensor *w = t->w.tensor, *x = t->x_tensor;
    uint32_t more = w->rank == 3 && !is_divided(x, w), rank = x->rank + more;
    uint64_t *shape = tu_arena_alloc(arena, rank * sizeof *shape);
    char *name = tu_arena_alloc(arena, w->name_length + 3);
    if (!shape || !name)
        return tu_fail_memory(error);
    shape[0] = tu_matrices(w);
    memcpy(shape + more, x->shape, x->rank * sizeof *shape);
    shape[rank - 1] = tu_matrix_rows(w);
    memcpy(name, w->name, w->name_length);
    memcpy(name + w->name_length, ".y", 3);
    *out = (struct tu_tensor){.name = name,
                              .name_length = w->name_length + 2,
                              .dtype = t->path == TU_PATH_F64 ? TENSOR_F64 : TENSOR_F32,
                              .rank = rank,
                              .shape = shape};
    struct tu_error inner = {0};
    if (tu_geometry(out->dtype, TENSOR_PACKING_ROWS, shape, rank, geometry, &inner) == 0) {
        out->nbytes = geometry->nbytes;
        if (tu_tensor_check(out, geometry, &inner) == 0)
            return 0;
    }
    return tu_fail(error, inner.code, "y of tensor '%.200s': %s", w->name, inner.text);
}

static int put_numbers(const struct result *y, struct tu_error *error)
{
    enum { PIECE = 4096 };
    uint8_t bytes[PIECE * sizeof(double)];
    size_t size = y->y64 ? sizeof *y->y64 : sizeof *y->y;
    for (size_t first = 0, n; first < y->count; first += n) {
        n = y->count - first < PIECE ? y->count - first : PIECE;
        for (size_t i = 0; i < n; i++) {
            uint64_t bits = 0;
            uint32_t half;
            if (y->y64)
                memcpy(&bits, &y->y64[first + i], sizeof bits);
            else if (memcpy(&half, &y->y[first + i], sizeof half))
                bits = half;
            for (size_t k = 0; k < size; k++)
                bytes[i * size + k] = (uint8_t)(bits >> 8 * k);
        }
        if (tu_writer_bytes(&output.writer, bytes, n * size, error) < 0)
            return -1;
    }
    return 0;
}

static int build_extra(const struct task *t, struct tu_arena *arena, struct tensor_value *out,
                       struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (put_kinds(&b, t, error) == 0 &&
        tu_put_bytes(&b, "x", t->x_tensor->name, t->x_tensor->name_length, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

static int put_product(const struct task *t, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_tensor made;
    struct tu_geometry geometry;
    struct tensor_value extra;
    struct result y = {0};
    int result = describe(t, &arena, &made, &geometry, error);
    if (result == 0)
        result = build_extra(t, &arena, &extra, error);
    if (result == 0 && tu_output_streams(&output)) {
        result = make_result(t, t->path == TU_PATH_F64, &y, error);
        if (result == 0)
            result = multiply(t, (unsigned)tool.session.threads, &y, error);
    }
    if (result == 0)
        result = tu_output_tensor(&output, &made, &extra, error);
    if (result == 0 && tu_output_streams(&output))
        result = put_numbers(&y, error);
    free_result(&y);
    tu_arena_free(&arena);
    return result;
}

/* ---- Records ---- */

static int put_names(struct tu_builder *b, const char *kind, const struct task *t,
                     struct tu_error *error)
{
    const struct tu_tensor *w = t->w.tensor;
    if (tu_put_string(b, "kind", kind, error) < 0 ||
        tu_put_bytes(b, "name", w->name, w->name_length, error) < 0 ||
        tu_put_bytes(b, "x", t->x_tensor->name, t->x_tensor->name_length, error) < 0 ||
        put_kinds(b, t, error) < 0 || tu_put_uint(b, "rows", tu_matrix_rows(w), error) < 0 ||
        tu_put_uint(b, "columns", tu_matrix_columns(w), error) < 0 ||
        (w->rank == 3 && tu_put_uint(b, "matrices", tu_matrices(w), error) < 0))
        return -1;
    return tu_put_uint(b, "vectors", t->x->rows, error);
}

struct named_real {
    const char *key;
    double value;
};

static int put_all(struct tu_builder *b, const struct named_real *reals, size_t count,
                   struct tu_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (tu_put_real(b, reals[i].key, reals[i].value, error) < 0)
            return -1;
    return 0;
}

/* ---- --bench ---- */

static const struct tu_column bench_columns[] = {
    {.key = "median_ms", .title = "median_ms", .width = -10},
    {.key = "p10_ms", .title = "p10_ms", .width = -10},
    {.key = "p90_ms", .title = "p90_ms", .width = -10},
    {.key = "gb_per_s", .title = "GB/s", .width = -9},
    {.key = "read_gb_per_s", .title = "read GB/s", .width = -9},
    {.key = "path", .title = "path", .width = -5},
    {.key = "dtype_w", .title = "w", .width = -7},
    {.key = "dtype_x", .title = "x", .width = -5},
    {.key = "rows", .title = "rows", .width = 7},
    {.key = "columns", .title = "columns", .width = 7},
    {.key = "vectors", .title = "vectors", .width = 7},
    {.key = "read_ms", .title = "read_ms", .width = -10, .detail = true},
    {.key = "runs", .title = "runs", .width = 5, .detail = true},
    {.key = "threads", .title = "threads", .width = 7, .detail = true},
    {.key = "instructions", .title = "instructions", .width = -12, .detail = true},
    {.key = "name", .title = "name"},
    {0},
};

struct timing {
    const struct task *task;
    double median, p10, p90, read; /* seconds */
};

static int fill_timing(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct timing *t = subject;
    double bytes = (double)t->task->w.tensor->nbytes;
    const struct named_real reals[] = {
        {"median_ms", 1e3 * t->median}, {"p10_ms", 1e3 * t->p10},
        {"p90_ms", 1e3 * t->p90},       {"gb_per_s", 1e-9 * bytes / t->median},
        {"read_ms", 1e3 * t->read},     {"read_gb_per_s", 1e-9 * bytes / t->read},
    };
    if (put_names(b, "timing", t->task, error) < 0 ||
        put_all(b, reals, sizeof reals / sizeof *reals, error) < 0 ||
        tu_put_uint(b, "runs", bench, error) < 0 ||
        tu_put_uint(b, "threads", tool.session.threads, error) < 0)
        return -1;
    return tu_put_string(b, "instructions", tool.session.kernels->name, error);
}

/* The times of so many runs, sorted; without products the matrix is only read. */
static int time_runs(const struct task *t, const struct tu_product *products, size_t count,
                     double *times, struct tu_error *error)
{
    for (uint64_t i = 0; i <= bench; i++) {
        double started = tu_seconds();
        if (tu_multiply(&t->w, products, count, (unsigned)tool.session.threads, error) < 0)
            return -1;
        if (i > 0) /* the first one warms up */
            times[i - 1] = tu_seconds() - started;
    }
    tu_sort_times(times, (size_t)bench);
    return 0;
}

static int put_timing(const struct task *t, struct tu_error *error)
{
    struct result y;
    double *times = calloc((size_t)bench, sizeof *times);
    if (!times)
        return tu_fail_memory(error);
    int result = make_result(t, t->path == TU_PATH_F64, &y, error);
    const struct tu_product product = product_of(t, t->path, t->x, &y);
    struct timing timing = {.task = t};
    if (result == 0)
        result = time_runs(t, NULL, 0, times, error);
    if (result == 0) {
        timing.read = tu_quantile(times, (size_t)bench, 0.5);
        result = time_runs(t, &product, 1, times, error);
    }
    if (result == 0) {
        timing.median = tu_quantile(times, (size_t)bench, 0.5);
        timing.p10 = tu_quantile(times, (size_t)bench, 0.1);
        timing.p90 = tu_quantile(times, (size_t)bench, 0.9);
        result = tu_output_built(&output, fill_timing, &timing, error);
    }
    free_result(&y);
    free(times);
    return result;
}

/* ---- --repeat ---- */

static const struct tu_column repeat_columns[] = {
    {.key = "status", .title = "status", .width = -8},
    {.key = "runs", .title = "runs", .width = 5},
    {.key = "differing", .title = "differing", .width = 9},
    {.key = "differing_count", .title = "elements", .width = 8},
    {.key = "path", .title = "path", .width = -5},
    {.key = "dtype_w", .title = "w", .width = -7},
    {.key = "dtype_x", .title = "x", .width = -5},
    {.key = "first_index", .title = "first_index", .width = 11, .detail = true},
    {.key = "first_a", .title = "first_a", .width = -12, .detail = true},
    {.key = "first_b", .title = "first_b", .width = -12, .detail = true},
    {.key = "first_threads", .title = "first_threads", .width = 7, .detail = true},
    {.key = "first_instructions", .title = "first_instructions", .width = -9, .detail = true},
    {.key = "instruction_sets", .title = "instruction_sets", .width = 5, .detail = true},
    {.key = "threads", .title = "threads", .width = 7, .detail = true},
    {.key = "name", .title = "name"},
    {0},
};

/* What the runs of one matrix have shown so far. */
struct repetition {
    const struct task *task;
    struct result first, other;
    uint64_t runs, differing, elements; /* elements that differ in the first run that does */
    uint64_t sets, threads;
    size_t index;
    double a, b;
    unsigned first_threads;
    const char *first_set;
};

static int fill_repetition(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct repetition *r = subject;
    if (put_names(b, "repeat", r->task, error) < 0 ||
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

static void compare_runs(struct repetition *r, unsigned threads, const char *set)
{
    const struct result *a = &r->first, *b = &r->other;
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
static int repeat_runs(struct repetition *r, struct task *t, unsigned threads,
                       struct tu_error *error)
{
    for (uint64_t i = 0; i < repeat; i++) {
        if (multiply(t, threads, r->runs ? &r->other : &r->first, error) < 0)
            return -1;
        if (r->runs++)
            compare_runs(r, threads, t->w.kernels->name);
    }
    return 0;
}

static int repeat_with(struct repetition *r, const struct tu_kernels *kernels,
                       const struct tu_member *x, struct tu_error *error)
{
    struct task t = *r->task;
    struct tu_vectors vectors;
    const unsigned counts[] = {1, 2, 3, (unsigned)tool.session.threads};
    if (tu_vectors_load(&vectors, x, kernels, error) < 0)
        return -1;
    t.x = &vectors;
    t.w.kernels = kernels;
    int result = t.path == TU_PATH_FUSED ? tu_vectors_round(&vectors, t.rounded, error) : 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts && result == 0; i++)
        if (i < 3 || counts[i] > 3)
            result = repeat_runs(r, &t, counts[i], error);
    r->threads = tool.session.threads > 3 ? tool.session.threads : 3;
    r->sets++;
    tu_vectors_free(&vectors);
    return result;
}

static int put_repetition(const struct task *t, const struct tu_member *x, struct tu_error *error)
{
    struct repetition r = {.task = t};
    const struct tu_kernels *kernels;
    bool supported, wide = t->path == TU_PATH_F64;
    int result = make_result(t, wide, &r.first, error);
    if (result == 0)
        result = make_result(t, wide, &r.other, error);
    for (size_t i = 0; result == 0 && (kernels = tu_kernels_built(i, &supported)); i++)
        if (supported && strcmp(kernels->base, kernels->name) == 0) /* its own products */
            result = repeat_with(&r, kernels, x, error);
    if (result == 0)
        result = tu_output_built(&output, fill_repetition, &r, error);
    free_result(&r.first);
    free_result(&r.other);
    return result;
}

/* ---- --explain ---- */

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

static const struct tu_column explain_columns[] = {
    {.key = "explains", .title = "explains", .width = -9},
    {.key = "share", .title = "share", .width = -9},
    {.key = "order_relative", .title = "order", .width = -12},
    {.key = "decoding_relative", .title = "decoding", .width = -12},
    {.key = "rounding_relative", .title = "rounding", .width = -12},
    {.key = "fused_relative", .title = "fused", .width = -12},
    {.key = "dtype_w", .title = "w", .width = -7},
    {.key = "dtype_against", .title = "against", .width = -7},
    {.key = "dtype_rounded", .title = "rounded", .width = -7},
    {.key = "order_rmse", .title = "order_rmse", .width = -12, .detail = true},
    {.key = "decoding_rmse", .title = "decoding_rmse", .width = -12, .detail = true},
    {.key = "rounding_rmse", .title = "rounding_rmse", .width = -12, .detail = true},
    {.key = "fused_rmse", .title = "fused_rmse", .width = -12, .detail = true},
    {.key = "status", .title = "status", .width = -9, .detail = true},
    {.key = "name", .title = "name"},
    {0},
};

/* Differences of pairs of finite numbers. */
struct distance {
    uint64_t pairs;
    double rmse, max, relative, cosine;
};

struct explanation {
    const struct task *task;
    const struct tu_tensor *other;
    struct result y[ANSWERS];
    struct distance distances[DIFFERENCES];
    size_t most;
    double share, rms;
};

static struct distance measure(const struct result *a, const struct result *b)
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

static bool has(const struct explanation *e, size_t k)
{
    return e->y[differences[k].a].y64 && e->y[differences[k].b].y64;
}

static void explain(struct explanation *e)
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
    const struct named_real reals[] = {
        {"rmse", d->rmse}, {"max", d->max}, {"relative", d->relative}, {"cosine", d->cosine}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%s", key, reals[i].key);
        if (tu_put_real(b, name, reals[i].value, error) < 0)
            return -1;
    }
    return 0;
}

static int fill_explanation(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct explanation *e = subject;
    const struct task *t = e->task;
    bool finite = true;
    for (size_t k = 0; k < DIFFERENCES; k++)
        finite = finite && (!has(e, k) || e->distances[k].pairs == e->y[EXACT].count);
    if (put_names(b, "explain", t, error) < 0 ||
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
static int open_other(const struct run *r, const struct tu_tensor *w, struct tu_matrix *out,
                      struct tu_error *error)
{
    struct tu_member m = tu_operand_find(&r->against, w->name, w->name_length);
    struct tu_tensor check;
    if (!m.model)
        return tu_fail(error, TU_EINVALID, "%s: has no tensor '%.200s'", against, w->name);
    if (m.tensor->rank != w->rank ||
        memcmp(m.tensor->shape, w->shape, w->rank * sizeof *w->shape) != 0)
        return tu_fail(error, TU_EINVALID, "%s: tensor '%.200s' has another shape", against,
                       w->name);
    *out = (struct tu_matrix){.kernels = tool.session.kernels, .tensor = m.tensor, .member = m};
    check = *m.tensor;
    return tu_tensor_check(&check, &out->geometry, error);
}

static int compute(const struct run *r, struct explanation *e, struct tu_vectors *rounded,
                   struct tu_error *error)
{
    const struct task *t = e->task;
    static const enum tu_path paths[ANSWERS] = {TU_PATH_F64,   TU_PATH_ROW, TU_PATH_BLOCK,
                                                TU_PATH_FUSED, TU_PATH_F64, TU_PATH_F64};
    struct tu_product products[ANSWERS];
    size_t count = t->rounded ? OTHER : FUSED;
    struct tu_matrix other;
    if (t->rounded && (tu_vectors_round(t->x, t->rounded, error) < 0 ||
                       tu_vectors_rounded(t->x, rounded, error) < 0))
        return -1;
    if (against && open_other(r, t->w.tensor, &other, error) < 0)
        return -1;
    for (size_t k = 0; k < ANSWERS; k++) {
        if (k == OTHER ? !against : k >= count)
            continue;
        if (make_result(t, true, &e->y[k], error) < 0)
            return -1;
        products[k] = product_of(t, paths[k], k == ROUNDED ? rounded : t->x, &e->y[k]);
    }
    if (tu_multiply(&t->w, products, count, (unsigned)tool.session.threads, error) < 0)
        return -1;
    e->other = against ? other.tensor : NULL;
    return against ? tu_multiply(&other, &products[OTHER], 1, (unsigned)tool.session.threads, error)
                   : 0;
}

static int put_explanation(const struct run *r, const struct task *t, struct tu_error *error)
{
    struct explanation e = {.task = t};
    struct tu_vectors rounded = {0};
    int result = compute(r, &e, &rounded, error);
    if (result == 0) {
        explain(&e);
        result = tu_output_built(&output, fill_explanation, &e, error);
    }
    for (size_t k = 0; k < ANSWERS; k++)
        free_result(&e.y[k]);
    tu_vectors_free(&rounded);
    return result;
}

/* ---- The run ---- */

static int do_matrix(struct run *r, const struct tu_item *item, struct tu_error *error)
{
    const struct tu_tensor *w = &item->tensor;
    struct tu_member x;
    int found = find_x(r, w, &x, error);
    if (found <= 0)
        return found;
    if (!tool.session.kernels->decode[w->dtype])
        return tu_fail(error, TU_EINVALID,
                       "tensor '%.200s': type %s does not decode to real numbers", w->name,
                       tu_dtype(w->dtype)->name);
    r->matrices++;
    if (load_x(r, &x, error) < 0)
        return -1;
    struct task t = {.w = {.kernels = tool.session.kernels,
                           .tensor = w,
                           .geometry = item->geometry,
                           .feed = &r->feed,
                           .member = r->feed.current},
                     .x = &r->vectors,
                     .x_tensor = x.tensor,
                     .path = tu_path_settle(path, item->geometry.dtype, tu_matrix_columns(w)),
                     .rounded = tu_activation_type(item->geometry.dtype, tu_matrix_columns(w))};
    if (explaining) {
        t.path = TU_PATH_F64;
        return put_explanation(r, &t, error);
    }
    if (t.path == TU_PATH_FUSED && !t.rounded)
        return tu_fail(error, TU_EINVALID,
                       "tensor '%.200s': has no fused product: %s with %" PRIu64
                       " columns (take --path f32, or auto)",
                       w->name, t.w.geometry.dtype->name, tu_matrix_columns(w));
    if (t.path == TU_PATH_FUSED && tu_vectors_round(&r->vectors, t.rounded, error) < 0)
        return -1;
    if (bench)
        return put_timing(&t, error);
    return repeat ? put_repetition(&t, &x, error) : put_product(&t, error);
}

static int do_items(struct run *r, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(&r->feed, &item, error)) > 0) {
        int result = 0;
        if (item.kind == TU_KIND_RESULT)
            result = tu_output_record(&output, &item.map, error);
        else if (item.kind == TU_KIND_TENSOR && (item.tensor.rank == 2 || item.tensor.rank == 3))
            result = do_matrix(r, &item, error);
        if (result < 0)
            return -1;
    }
    if (more == 0 && r->matrices == 0)
        return tu_fail(error, TU_EINVALID, "%s: no matrix was multiplied (%s)",
                       tu_operand_name(r->operands[0]),
                       fitting ? "none is selected and fits an x"
                               : "no tensor of two dimensions is selected, nor of three with an x");
    return more;
}

static int check_options(char **operands, struct tu_error *error)
{
    int minus = (strcmp(operands[0], "-") == 0) + (strcmp(operands[1], "-") == 0) +
                (against && strcmp(against, "-") == 0);
    if (minus > 1)
        return tu_fail(error, TU_EUSAGE, "standard input can be only one of the operands");
    if (explaining + (bench > 0) + (repeat > 0) > 1)
        return tu_fail(error, TU_EUSAGE, "--explain, --bench and --repeat exclude one another");
    if (explaining && path != TU_PATH_AUTO)
        return tu_fail(error, TU_EUSAGE, "--explain takes all paths, --path cannot choose one");
    if (against && !explaining)
        return tu_fail(error, TU_EUSAGE, "--against goes with --explain");
    return 0;
}

static int open_output(struct tu_tool *t, struct tu_error *error)
{
    if (explaining)
        return tu_output_open(&output, t, "explain", explain_columns, error);
    if (bench)
        return tu_output_open(&output, t, "timing", bench_columns, error);
    if (repeat)
        return tu_output_open(&output, t, "repeat", repeat_columns, error);
    return tu_output_open(&output, t, "tensor", tu_tensor_columns, error);
}

static int run_all(struct run *r, struct tu_error *error)
{
    if (tu_operand_open(&r->x, &tool.session, r->operands[1], TU_ACCESS_RANDOM, error) < 0)
        return -1;
    if (against &&
        tu_operand_open(&r->against, &tool.session, against, TU_ACCESS_RANDOM, error) < 0)
        return -1;
    if (bench || repeat)
        r->feed.access = TU_ACCESS_RANDOM;
    return do_items(r, error);
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct run r = {.operands = operands,
                    .x = {.is_stream = true, .fd = -1},
                    .against = {.is_stream = true, .fd = -1}};
    (void)count;
    if (check_options(operands, error) < 0 || open_output(t, error) < 0)
        return -1;
    tu_feed_open(&r.feed, &t->session, operands, 1, true);
    int result = run_all(&r, error);
    tu_feed_close(&r.feed);
    tu_vectors_free(&r.vectors);
    tu_operand_close(&r.x);
    tu_operand_close(&r.against);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-matmul",
        .synopsis = "[OPTION]... W X",
        .about =
            "Multiplies the matrices of W with the rows of X: y = W x, decoded or as integers, in\n"
            "an order that is stated.  Either may be -, a pipe or a file.",
        .options = options,
        .min_operands = 2,
        .max_operands = 2,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
