/* SPDX-License-Identifier: MIT */
/* The whole work of a filter that computes attention, whoever computes it. */
#include "config.h"

#include "tool/attention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tool/bench.h"
#include "tool/main.h"
#include "tool/repeat.h"

struct filter {
    struct tu_tool *tool;
    struct tu_output *output;
    const struct tu_attention_command *command;
    const struct tu_attention_backend *backend;
};

static struct tu_attention_how how_of(const struct filter *f)
{
    return (struct tu_attention_how){.wide = f->command->wide,
                                     .threads = (unsigned)f->tool->session.threads,
                                     .kernels = f->tool->session.kernels};
}

/* ---- The tensors ---- */

static char *result_name(const struct tu_qkv *g, enum tu_attention_result result)
{
    static const char *const names[] = {[TU_ATTENTION_OUT] = "attn_out",
                                        [TU_ATTENTION_SCORES] = "scores",
                                        [TU_ATTENTION_WEIGHTS] = "weights"};
    char *name;
    return asprintf(&name, "%.*s%s", (int)g->prefix_length, g->prefix, names[result]) < 0 ? NULL
                                                                                          : name;
}

static uint32_t result_shape(const struct tu_qkv *g, enum tu_attention_result result,
                             uint64_t shape[4])
{
    const struct tu_attention *a = &g->attention;
    uint32_t rank = 0;
    if (g->has_batches)
        shape[rank++] = a->batches;
    if (result != TU_ATTENTION_OUT) {
        shape[rank++] = a->heads;
        shape[rank++] = a->queries;
        shape[rank++] = a->keys;
        return rank;
    }
    shape[rank++] = a->queries;
    if (!g->is_flat)
        shape[rank++] = a->heads;
    shape[rank++] = g->is_flat ? a->heads * a->value_dim : a->value_dim;
    return rank;
}

static int write_values(void *context, const void *values, size_t count, struct tu_error *error)
{
    const struct filter *f = context;
    size_t size = f->command->wide ? sizeof(double) : sizeof(float);
    return tu_writer_bytes(&f->output->writer, values, count * size, error);
}

static int put_result(struct filter *f, struct tu_qkv *g, enum tu_attention_result result,
                      struct tu_error *error)
{
    uint64_t shape[4];
    struct tu_geometry geometry;
    char *name = result_name(g, result);
    struct tu_tensor t = {.name = name,
                          .name_length = name ? strlen(name) : 0,
                          .dtype = f->command->wide ? TENSOR_F64 : TENSOR_F32,
                          .rank = result_shape(g, result, shape),
                          .shape = shape};
    const struct tu_attention_sink sink = {.put = write_values, .context = f};
    const struct tu_attention_how how = how_of(f);
    if (!name)
        return tu_fail_memory(error);
    int made = tu_geometry(t.dtype, TENSOR_PACKING_ROWS, shape, t.rank, &geometry, error);
    t.nbytes = geometry.nbytes;
    if (made == 0)
        made = tu_tensor_check(&t, &geometry, error);
    if (made == 0)
        made = tu_output_tensor(f->output, &t, NULL, error);
    if (made == 0 && tu_output_streams(f->output))
        made = f->backend->attend(f->backend->context, g, result, &how, &sink, error);
    free(name);
    return made;
}

/* ---- --bench ---- */

static int drop_values(void *context, const void *values, size_t count, struct tu_error *error)
{
    (void)context, (void)values, (void)count, (void)error;
    return 0;
}

/* Pairs of a query and a key that it sees, over all heads and batches. */
static double seen_pairs(const struct tu_attention *a)
{
    double pairs = 0;
    for (uint64_t i = 0; i < a->queries; i++) {
        uint64_t first, end;
        tu_attention_seen(a, i, &first, &end);
        pairs += (double)(end - first);
    }
    return pairs * (double)(a->heads * a->batches);
}

int tu_attention_fill_made(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_attention_made *m = subject;
    return tu_put_string(b, "name", m->name, error) < 0 ? -1
                                                        : tu_put_string(b, "path", m->path, error);
}

static int bench(struct filter *f, struct tu_qkv *g, const struct tu_attention_made *made,
                 struct tu_error *error)
{
    const struct tu_attention_sink sink = {.put = drop_values};
    const struct tu_attention_how how = how_of(f);
    const struct tu_attention *a = &g->attention;
    uint64_t runs = f->command->bench;
    double *ms = calloc(runs, sizeof *ms);
    int result = ms ? 0 : tu_fail_memory(error);
    for (uint64_t i = 0; i <= runs && result == 0; i++) {
        double start = tu_seconds();
        result = f->backend->attend(f->backend->context, g, TU_ATTENTION_OUT, &how, &sink, error);
        if (i > 0) /* the first one warms up */
            ms[i - 1] = (tu_seconds() - start) * 1e3;
    }
    const struct tu_timing timing = {
        .what = "attention",
        .ms = ms,
        .runs = runs,
        .threads = how.threads,
        .instructions = how.kernels->name,
        .bytes = (double)(g->k.member.tensor->nbytes + g->v.member.tensor->nbytes),
        .flops = 2 * seen_pairs(a) * (double)(a->head_dim + a->value_dim)};
    if (result == 0)
        result = tu_put_timing(f->output, tu_attention_fill_made, made, &timing, error);
    free(ms);
    return result;
}

/* ---- --repeat ---- */

/* The result of the first run, and where another one departs from it. */
struct recorder {
    char *values;
    size_t length, capacity, position;
    size_t size; /* of a value */
    bool comparing;
    struct tu_departure departure;
};

static int record_values(void *context, const void *values, size_t count, struct tu_error *error)
{
    struct recorder *r = context;
    size_t length = count * r->size;
    if (r->comparing) {
        tu_departure_add(&r->departure, r->values + r->position, values, r->size, count,
                         r->position / r->size);
        r->position += length;
        return 0;
    }
    while (r->capacity - r->length < length)
        if (tu_grow((void **)&r->values, 1, &r->capacity) == 0)
            return tu_fail_memory(error);
    memcpy(r->values + r->length, values, length);
    r->length += length;
    return 0;
}

static int repeat(struct filter *f, struct tu_qkv *g, const struct tu_attention_made *made,
                  struct tu_error *error)
{
    const struct tu_ways ways = f->backend->on_device
                                    ? tu_ways_of_device()
                                    : tu_ways_of_processor((unsigned)f->tool->session.threads);
    struct recorder r = {.size = f->command->wide ? sizeof(double) : sizeof(float)};
    struct tu_repeats repeats = {.ways = &ways};
    const struct tu_attention_sink sink = {.put = record_values, .context = &r};
    int result = 0;
    for (uint64_t i = 0; i < ways.count * f->command->repeat && result == 0; i++) {
        const struct tu_way *way = &ways.list[i / f->command->repeat];
        struct tu_attention_how how = how_of(f);
        how.kernels = way->kernels;
        how.threads = way->threads;
        r.comparing = i > 0;
        r.departure = (struct tu_departure){0};
        r.position = 0;
        result = f->backend->attend(f->backend->context, g, TU_ATTENTION_OUT, &how, &sink, error);
        tu_repeats_note(&repeats, way, &r.departure);
    }
    if (result == 0)
        result = tu_put_repeats(f->output, tu_attention_fill_made, made, &repeats, error);
    free(r.values);
    return result;
}

/* ---- The work ---- */

static int report(struct filter *f, struct tu_qkv *g, struct tu_error *error)
{
    const struct tu_attention_backend *b = f->backend;
    char *name = result_name(g, TU_ATTENTION_OUT);
    const struct tu_attention_made made = {name, f->command->wide ? "f64" : b->path};
    int result = name ? 0 : tu_fail_memory(error);
    if (result == 0 && f->command->repeat)
        result = repeat(f, g, &made, error);
    else if (result == 0 && b->bench)
        result = b->bench(b->context, g, &made, f->command->bench, f->output, error);
    else if (result == 0)
        result = bench(f, g, &made, error);
    free(name);
    return result;
}

static int put_group(struct filter *f, struct tu_qkv *g, struct tu_error *error)
{
    if (f->command->bench || f->command->repeat)
        return report(f, g, error);
    int result = put_result(f, g, TU_ATTENTION_OUT, error);
    if (result == 0 && f->command->stages)
        result = put_result(f, g, TU_ATTENTION_SCORES, error);
    if (result == 0 && f->command->stages)
        result = put_result(f, g, TU_ATTENTION_WEIGHTS, error);
    return result;
}

static int open_output(struct filter *f, struct tu_error *error)
{
    const struct tu_attention_command *c = f->command;
    if (c->repeat)
        return tu_output_open(f->output, f->tool, "repeat", tu_repeat_columns, error);
    if (c->bench)
        return tu_output_open(f->output, f->tool, "timing", tu_timing_columns, error);
    return tu_output_open(f->output, f->tool, "tensor", tu_tensor_columns, error);
}

static int check(const struct tu_attention_command *c, const struct tu_attention_backend *backend,
                 struct tu_error *error)
{
    if (c->bench && c->repeat)
        return tu_fail(error, TU_EUSAGE, "--bench and --repeat exclude each other");
    if (c->repeat == 1 && backend->on_device)
        return tu_fail(error, TU_EUSAGE, "--repeat 1 compares nothing on a device: at least 2");
    return 0;
}

int tu_attention_filter(struct tu_tool *tool, struct tu_output *output, const char *operand,
                        const struct tu_attention_command *command,
                        const struct tu_attention_backend *backend, struct tu_error *error)
{
    struct filter f = {tool, output, command, backend};
    struct tu_operand o;
    struct tu_qkv *groups = NULL;
    size_t count = 0;
    if (check(command, backend, error) < 0 || open_output(&f, error) < 0 ||
        tu_operand_open(&o, &tool->session, operand, TU_ACCESS_RANDOM, error) < 0)
        return -1;
    int result = tu_qkv_find(&o, &tool->session, &command->group, &groups, &count, error);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = put_group(&f, &groups[i], error);
        tu_progress(&tool->session, i + 1, count);
    }
    if (result == 0)
        result = tu_operand_unchanged(&o, error);
    if (result == 0)
        result = tu_output_close(output, error);
    for (size_t i = 0; i < count; i++)
        tu_qkv_free(&groups[i]);
    free(groups);
    tu_operand_close(&o);
    return result;
}
