/* SPDX-License-Identifier: MIT */
/* tensor-attn-gpu: scaled dot-product attention on a CUDA device. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool/attention.h"
#include "compute/attention/gpu.h"
#include "tool/main.h"
#include "tool/bench.h"

static struct tu_tool tool;
static struct tu_output output;
static struct tu_attention_command what = {.group.scale = NAN};
static uint64_t device, memory;
static bool list_devices;

static const struct tu_option options[] = {
    {0, "device", "N", "the device to use (default 0)", tu_option_u64, &device},
    {0, "list-devices", NULL, "show the devices, and do nothing else", tu_option_flag,
     &list_devices},
    {0, "memory", "SIZE", "device memory to use at most (default: what is free)", tu_option_size,
     &memory},
    TU_ATTENTION_OPTIONS(what),
    TU_SELECT_OPTIONS(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* The device, once something is to be computed, and the group whose tensors are in memory. */
struct state {
    struct tu_gpu gpu;
    bool open;
    const struct tu_qkv *group;
    struct tu_attention_input input;
    float *q;
    void *k, *v;
};

static void free_group(struct state *s)
{
    free(s->q);
    free(s->k);
    free(s->v);
    s->q = s->k = s->v = NULL;
    s->group = NULL;
}

static int open_device(struct state *s, struct tu_error *error)
{
    if (s->open)
        return 0;
    if (!tu_gpu_has_kernels())
        return tu_fail(error, TU_EUSAGE,
                       "built without CUDA kernels (no nvcc and no clang when it was configured)");
    if (device > INT32_MAX)
        return tu_fail(error, TU_EUSAGE, "--device: there are not that many");
    if (tu_gpu_open(&s->gpu, (int)device, error) < 0)
        return -1;
    s->open = true;
    return 0;
}

/* ---- A group ---- */

/* The type in which the device can take a tensor as it is. */
static bool plain_type(const struct tu_tensor *t, enum tu_cache_type *type)
{
    *type = t->dtype == TENSOR_F16    ? TU_CACHE_F16
            : t->dtype == TENSOR_BF16 ? TU_CACHE_BF16
                                      : TU_CACHE_F32;
    return t->dtype == TENSOR_F32 || *type != TU_CACHE_F32;
}

static void *read_plain(const struct tu_qkv_tensor *t, struct tu_error *error)
{
    uint64_t length = t->member.tensor->nbytes;
    char *bytes = malloc(length + 1);
    if (!bytes) {
        tu_fail_memory(error);
        return NULL;
    }
    if (tu_model_read(t->member.model, t->member.tensor, 0, bytes, length, error) == 0)
        return bytes;
    free(bytes);
    return NULL;
}

static int load_group(struct state *s, const struct tu_qkv *g, struct tu_error *error)
{
    enum tu_cache_type k, v;
    if (s->group == g)
        return 0;
    free_group(s);
    bool plain = plain_type(g->k.member.tensor, &k) && plain_type(g->v.member.tensor, &v) && k == v;
    s->q = tu_qkv_floats(&g->q, error);
    s->k = !s->q ? NULL : plain ? read_plain(&g->k, error) : tu_qkv_floats(&g->k, error);
    s->v = !s->k ? NULL : plain ? read_plain(&g->v, error) : tu_qkv_floats(&g->v, error);
    if (!s->v)
        return -1;
    s->group = g;
    s->input = (struct tu_attention_input){
        .q = s->q, .type = plain ? k : TU_CACHE_F32, .k = s->k, .v = s->v};
    return 0;
}

static size_t out_count(const struct tu_attention *a)
{
    return (size_t)(a->batches * a->queries * a->heads * a->value_dim);
}

static size_t score_count(const struct tu_attention *a)
{
    return (size_t)(a->batches * a->heads * a->queries * a->keys);
}

static int attend(void *context, struct tu_qkv *group, enum tu_attention_result result,
                  const struct tu_attention_how *how, const struct tu_attention_sink *sink,
                  struct tu_error *error)
{
    struct state *s = context;
    const struct tu_attention *a = &group->attention;
    const struct tu_gpu_attention_options how_much = {.memory = memory};
    bool stage = result != TU_ATTENTION_OUT;
    (void)how;
    if (load_group(s, group, error) < 0 || open_device(s, error) < 0)
        return -1;
    float *out = malloc(out_count(a) * sizeof *out);
    float *scores = stage ? malloc(score_count(a) * sizeof *scores + 1) : NULL;
    struct tu_attention_output made = {.out = out};
    if (result == TU_ATTENTION_SCORES)
        made.scores = scores;
    else if (stage)
        made.weights = scores;
    int done = !out || (stage && !scores)
                   ? tu_fail_memory(error)
                   : tu_gpu_attend(&s->gpu, a, &s->input, &made, &how_much, NULL, error);
    if (done == 0)
        done = stage ? sink->put(sink->context, scores, score_count(a), error)
                     : sink->put(sink->context, out, out_count(a), error);
    free(out);
    free(scores);
    return done;
}

/* ---- --bench ---- */

static int put_timings(const struct state *s, const struct tu_attention_made *of,
                       const struct tu_gpu_timing *t, uint64_t runs, struct tu_error *error)
{
    const struct tu_timing kernel = {.what = "kernel",
                                     .ms = t->kernels,
                                     .runs = runs,
                                     .bytes = (double)t->cache_bytes,
                                     .peak_gb_per_s = s->gpu.device.bandwidth / 1e9};
    const struct tu_timing transfer = {.what = "transfer",
                                       .ms = t->transfers,
                                       .runs = runs,
                                       .bytes = (double)(t->uploaded + t->downloaded)};
    return tu_put_timing(&output, tu_attention_fill_made, of, &kernel, error) < 0
               ? -1
               : tu_put_timing(&output, tu_attention_fill_made, of, &transfer, error);
}

static int bench(void *context, struct tu_qkv *group, const struct tu_attention_made *of,
                 uint64_t runs, struct tu_output *to, struct tu_error *error)
{
    struct state *s = context;
    const struct tu_attention *a = &group->attention;
    const struct tu_gpu_attention_options how_much = {.memory = memory, .repeats = (unsigned)runs};
    struct tu_gpu_timing timing = {.kernels = calloc(runs, sizeof(double)),
                                   .transfers = calloc(runs, sizeof(double))};
    float *out = malloc(out_count(a) * sizeof *out);
    struct tu_attention_output made = {.out = out};
    (void)to;
    int result = timing.kernels && timing.transfers && out ? load_group(s, group, error)
                                                           : tu_fail_memory(error);
    if (result == 0)
        result = open_device(s, error);
    if (result == 0)
        result = tu_gpu_attend(&s->gpu, a, &s->input, &made, &how_much, &timing, error);
    if (result == 0)
        result = put_timings(s, of, &timing, runs, error);
    free(timing.kernels);
    free(timing.transfers);
    free(out);
    return result;
}

/* ---- --list-devices ---- */

static const struct tu_column device_columns[] = {
    {.key = "device", .title = "device", .width = 6},
    {.key = "capability", .title = "capability", .width = -10},
    {.key = "multiprocessors", .title = "multiprocessors", .width = 15},
    {.key = "memory", .title = "memory", .width = 10, .bytes = true},
    {.key = "peak_gb_per_s", .title = "GB/s", .width = -10},
    {.key = "name", .title = "name"},
    {0},
};

struct numbered {
    int number;
    struct tu_gpu_device device;
};

static int fill_device(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct numbered *n = subject;
    const struct tu_gpu_device *d = &n->device;
    char capability[32];
    snprintf(capability, sizeof capability, "%d.%d", d->major, d->minor);
    if (tu_put_string(b, "kind", "device", error) < 0 ||
        tu_put_uint(b, "device", (uint64_t)n->number, error) < 0 ||
        tu_put_string(b, "name", d->name, error) < 0 ||
        tu_put_string(b, "capability", capability, error) < 0 ||
        tu_put_uint(b, "multiprocessors", (uint64_t)d->multiprocessors, error) < 0 ||
        tu_put_uint(b, "memory", d->memory, error) < 0)
        return -1;
    return d->bandwidth > 0 ? tu_put_real(b, "peak_gb_per_s", d->bandwidth / 1e9, error) : 0;
}

static int show_devices(struct tu_tool *t, struct tu_error *error)
{
    int count;
    if (tu_gpu_count(&count, error) < 0 ||
        tu_output_open(&output, t, "device", device_columns, error) < 0)
        return -1;
    for (struct numbered n = {0}; n.number < count; n.number++)
        if (tu_gpu_describe(n.number, &n.device, error) < 0 ||
            tu_output_built(&output, fill_device, &n, error) < 0)
            return -1;
    return tu_output_close(&output, error);
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct state state = {0};
    const struct tu_attention_backend backend = {
        .on_device = true, .path = "cuda", .attend = attend, .bench = bench, .context = &state};
    if (list_devices)
        return show_devices(t, error);
    int result = tu_attention_filter(t, &output, count ? operands[0] : "-", &what, &backend, error);
    free_group(&state);
    if (state.open)
        tu_gpu_close(&state.gpu);
    return result;
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-attn-gpu",
        .synopsis = "[OPTION]... [MODEL|-]\n--list-devices [OPTION]...",
        .about = "Computes the attention of every P.q, P.k and P.v on a CUDA device and puts out\n"
                 "P.attn_out, as tensor-attn does on the processor.",
        .options = options,
        .max_operands = 1,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
