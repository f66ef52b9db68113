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
#include "tool/repeat.h"

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

static const struct tu_option options[] = {
    {0, "path", "PATH", "order of the sums: auto (default), f64, f32, row, block or fused",
     parse_path, &path},
    {0, "x", "NAME", "multiply every matrix with this tensor of X", tu_option_string, &xs.chosen},
    {0, "fitting", NULL, "leave out matrices that no x fits", tu_option_flag, &xs.fitting},
    {0, "explain", NULL, "records of what moves y: order, decoding, rounding of x", tu_option_flag,
     &explaining},
    {0, "against", "MODEL", "with --explain: the same matrices, decoded otherwise",
     tu_option_string, &against},
    TU_BENCH_OPTION(bench),
    TU_REPEAT_OPTION(repeat),
    TU_PACKS_OPTION(tool),
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
    TU_TIMING_COLUMNS,
    {.key = "dtype_w", .title = "w", .width = -7},
    {.key = "dtype_x", .title = "x", .width = -5},
    {.key = "rows", .title = "rows", .width = 7},
    {.key = "columns", .title = "columns", .width = 7},
    {.key = "vectors", .title = "vectors", .width = 7},
    {.key = "name", .title = "name"},
    {0},
};

/* The times of so many runs in milliseconds; without products the matrix is only read. */
static int time_runs(const struct tu_matmul_task *t, const struct tu_product *products,
                     size_t count, double *times, struct tu_error *error)
{
    for (uint64_t i = 0; i <= bench; i++) {
        double started = tu_seconds();
        if (tu_multiply(&t->w, products, count, (unsigned)tool.session.threads, error) < 0)
            return -1;
        if (i > 0) /* the first one warms up */
            times[i - 1] = 1e3 * (tu_seconds() - started);
    }
    return 0;
}

/* A record of reading the matrix, and one of the product, which reads it, too. */
static int put_timings(const struct tu_matmul_task *t, struct tu_error *error)
{
    const struct tu_tensor *w = t->w.tensor;
    struct tu_matmul_result y;
    double *times = calloc((size_t)bench, sizeof *times);
    struct tu_timing timing = {.what = "read",
                               .ms = times,
                               .runs = (size_t)bench,
                               .threads = (unsigned)tool.session.threads,
                               .instructions = tool.session.kernels->name,
                               .bytes = (double)w->nbytes};
    if (!times)
        return tu_fail_memory(error);
    int result = tu_matmul_result_make(t, t->path == TU_PATH_F64, &y, error);
    const struct tu_product product = tu_matmul_product(t, t->path, t->x, &y);
    if (result == 0)
        result = time_runs(t, NULL, 0, times, error);
    if (result == 0)
        result = tu_put_timing(&output, tu_matmul_fill_names, t, &timing, error);
    if (result == 0)
        result = time_runs(t, &product, 1, times, error);
    timing.what = "product";
    timing.flops = 2 * (double)y.count * (double)tu_matrix_columns(w);
    if (result == 0)
        result = tu_put_timing(&output, tu_matmul_fill_names, t, &timing, error);
    tu_matmul_result_free(&y);
    free(times);
    return result;
}

/* ---- --repeat ---- */

static const struct tu_column repeat_columns[] = {
    TU_REPEAT_COLUMNS,
    {.key = "path", .title = "path", .width = -5},
    {.key = "dtype_w", .title = "w", .width = -7},
    {.key = "dtype_x", .title = "x", .width = -5},
    {.key = "name", .title = "name"},
    {0},
};

static int put_repeats(const struct tu_matmul_task *t, const struct tu_member *x,
                       struct tu_error *error)
{
    const struct tu_ways ways = tu_ways_of_processor((unsigned)tool.session.threads);
    struct tu_repeats repeats = {.ways = &ways};
    return tu_matmul_repeat(t, x, repeat, &repeats, error) < 0
               ? -1
               : tu_put_repeats(&output, tu_matmul_fill_names, t, &repeats, error);
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
        return put_timings(&t, error);
    return repeat ? put_repeats(&t, &x, error) : put_product(&t, error);
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
        .packs = TU_PACKS_VALUES,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
