/* SPDX-License-Identifier: MIT */
/* tensor-matmul: y = W x, and why two of its answers differ. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "tool/main.h"
#include "compute/matmul/explain.h"
#include "compute/matmul/repeat.h"
#include "compute/matmul/task.h"
#include "compute/matmul/x.h"
#include "tool/output.h"
#include "tool/bench.h"

static struct tu_tool tool;
static struct tu_output output;
static enum tu_path path;
static const char *against;
static struct tu_matmul_xs xs;
static bool explaining;
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
    {0, "x", "NAME", "multiply every matrix with this tensor of X", tu_option_string, &xs.chosen},
    {0, "fitting", NULL, "leave out matrices that no x fits", tu_option_flag, &xs.fitting},
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

/* Everything that is open during a run. */
struct run {
    char **operands;
    struct tu_feed feed;
    struct tu_operand x, against;
    struct tu_vectors vectors; /* of the x that was used last */
    struct tu_member member;
    uint64_t matrices;
};

/* Loads it, unless it was the last one, too. */
static int load_x(struct run *r, const struct tu_member *member, struct tu_error *error)
{
    if (r->vectors.values && r->member.tensor == member->tensor)
        return 0;
    tu_vectors_free(&r->vectors);
    r->member = *member;
    return tu_vectors_load(&r->vectors, member, tool.session.kernels, error);
}

static int put_bytes(void *context, const void *bytes, size_t length, struct tu_error *error)
{
    return tu_writer_bytes(context, bytes, length, error);
}

static int put_product(const struct tu_matmul_task *t, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_tensor made;
    struct tu_geometry geometry;
    struct tensor_value extra;
    struct tu_matmul_result y = {0};
    int result = tu_matmul_describe(t, &arena, &made, &geometry, error);
    if (result == 0)
        result = tu_matmul_extra(t, &arena, &extra, error);
    if (result == 0 && tu_output_streams(&output)) {
        result = tu_matmul_result_make(t, t->path == TU_PATH_F64, &y, error);
        if (result == 0)
            result = tu_matmul_run(t, (unsigned)tool.session.threads, &y, error);
    }
    if (result == 0)
        result = tu_output_tensor(&output, &made, &extra, error);
    if (result == 0 && tu_output_streams(&output))
        result = tu_matmul_result_bytes(&y, put_bytes, &output.writer, error);
    tu_matmul_result_free(&y);
    tu_arena_free(&arena);
    return result;
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
    const struct tu_matmul_task *task;
    double median, p10, p90, read; /* seconds */
};

static int fill_timing(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct timing *t = subject;
    double bytes = (double)t->task->w.tensor->nbytes;
    const struct tu_named_real reals[] = {
        {"median_ms", 1e3 * t->median}, {"p10_ms", 1e3 * t->p10},
        {"p90_ms", 1e3 * t->p90},       {"gb_per_s", 1e-9 * bytes / t->median},
        {"read_ms", 1e3 * t->read},     {"read_gb_per_s", 1e-9 * bytes / t->read},
    };
    if (tu_matmul_put_names(b, "timing", t->task, error) < 0 ||
        tu_put_reals(b, reals, sizeof reals / sizeof *reals, error) < 0 ||
        tu_put_uint(b, "runs", bench, error) < 0 ||
        tu_put_uint(b, "threads", tool.session.threads, error) < 0)
        return -1;
    return tu_put_string(b, "instructions", tool.session.kernels->name, error);
}

/* The times of so many runs, sorted; without products the matrix is only read. */
static int time_runs(const struct tu_matmul_task *t, const struct tu_product *products,
                     size_t count, double *times, struct tu_error *error)
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

static int put_timing(const struct tu_matmul_task *t, struct tu_error *error)
{
    struct tu_matmul_result y;
    double *times = calloc((size_t)bench, sizeof *times);
    if (!times)
        return tu_fail_memory(error);
    int result = tu_matmul_result_make(t, t->path == TU_PATH_F64, &y, error);
    const struct tu_product product = tu_matmul_product(t, t->path, t->x, &y);
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
    tu_matmul_result_free(&y);
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

static int put_repetition(const struct tu_matmul_task *t, const struct tu_member *x,
                          struct tu_error *error)
{
    struct tu_matmul_repetition r;
    int result = tu_matmul_repeat(t, x, (unsigned)tool.session.threads, repeat, &r, error);
    if (result == 0)
        result = tu_output_built(&output, tu_matmul_fill_repetition, &r, error);
    tu_matmul_repetition_free(&r);
    return result;
}

/* ---- --explain ---- */

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

static int put_explanation(const struct run *r, const struct tu_matmul_task *t,
                           struct tu_error *error)
{
    const struct tu_matmul_other other = {&r->against, against};
    struct tu_matmul_explanation *e =
        tu_matmul_explain(t, against ? &other : NULL, (unsigned)tool.session.threads, error);
    int result = e ? tu_output_built(&output, tu_matmul_fill_explanation, e, error) : -1;
    tu_matmul_explanation_free(e);
    return result;
}

/* ---- The run ---- */

static int do_matrix(struct run *r, const struct tu_item *item, struct tu_error *error)
{
    const struct tu_tensor *w = &item->tensor;
    struct tu_member x;
    int found = tu_matmul_find_x(&xs, w, &x, error);
    if (found <= 0)
        return found;
    if (!tool.session.kernels->decode[w->dtype])
        return tu_fail(error, TU_EINVALID,
                       "tensor '%.200s': type %s does not decode to real numbers", w->name,
                       tu_dtype(w->dtype)->name);
    r->matrices++;
    if (load_x(r, &x, error) < 0)
        return -1;
    struct tu_matmul_task t = {
        .w = {.kernels = tool.session.kernels,
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
                       xs.fitting
                           ? "none is selected and fits an x"
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
    xs.kernels = tool.session.kernels;
    xs.operand = &r->x;
    xs.path = r->operands[1];
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
