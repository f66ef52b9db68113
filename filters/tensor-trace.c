/* SPDX-License-Identifier: MIT */
/* tensor-trace: the forward pass of a model from its files, stage by stage.  Longer than 400 lines,
 * since each stage is put out in one of three ways, values, statistics or a plan, which share the
 * run. */
#include "config.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compute/gpu.h"
#include "compute/stat/stat.h"
#include "model/source-record.h"
#include "tool/main.h"
#include "tool/output.h"
#include "trace/decode.h"
#include "trace/model.h"
#include "trace/record.h"

static struct tu_tool tool;
static struct tu_output output;
static const char *tokens_value, *start;
static struct tu_list stages;
static uint64_t further;
static bool half_cache, on_device;
static bool wide = true, fused, planning, measuring, stopping, logits_only;

static int parse_precision(void *target, const char *text, struct tu_error *error)
{
    return tu_take_word(target, text, "f32", "f64", error);
}

static int parse_weights(void *target, const char *text, struct tu_error *error)
{
    return tu_take_word(target, text, "decoded", "fused", error);
}

static int parse_attention(void *target, const char *text, struct tu_error *error)
{
    return tu_take_word(target, text, "cpu", "gpu", error);
}

static int parse_cache(void *target, const char *text, struct tu_error *error)
{
    return tu_take_word(target, text, "f32", "f16", error);
}

static const struct tu_option options[] = {
    {0, "tokens", "LIST", "token ids, as 1,2,3; @FILE or @- reads them", tu_option_string,
     &tokens_value},
    {0, "precision", "f64|f32", "f64 (default): the oracle; or f32: products by OpenBLAS",
     parse_precision, &wide},
    {0, "weights", "decoded|fused", "with f32: decoded (default), or as GGUF runtimes multiply",
     parse_weights, &fused},
    {0, "decode", "N", "N further tokens, the likeliest, one by one through a cache", tu_option_u64,
     &further},
    {0, "cache-type", "f32|f16", "keys and values as they are (default), or in halves", parse_cache,
     &half_cache},
    {0, "attn", "cpu|gpu", "with f32: attention by the processor (default) or a CUDA device",
     parse_attention, &on_device},
    {0, "layers", "LIST", "only stages of these layers, as 0-3,27", tu_select_layers,
     &tool.session.selection},
    {0, "stages", "GLOB", "only stages that match, as q_* or layers.0.*; may be repeated",
     tu_option_list, &stages},
    {0, "logits-only", NULL, "only the logits", tu_option_flag, &logits_only},
    {0, "start-from", "TRACE", "compute each stage from the stages before it that TRACE recorded",
     tu_option_string, &start},
    {0, "plan", NULL, "list the stages, compute nothing", tu_option_flag, &planning},
    {0, "stat", NULL, "statistics and digests of the stages instead", tu_option_flag, &measuring},
    {0, "stop-on-nan", NULL, "stop at the first NaN or infinity", tu_option_flag, &stopping},
    TU_PACKS_OPTION(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* Everything that a run works with. */
struct run {
    const char *path;
    struct tu_trace_model model;
    struct tu_operand trace;
    struct tu_recorded recorded;
    struct tu_arena arena, stage_arena;
    struct tu_token_list tokens;
    struct tu_trace_about about;
    struct tu_stats stats;
    const struct tu_stage *stage; /* the current one */
    struct tu_gpu gpu;
    bool gpu_open;
    uint64_t seen;      /* values of the current stage */
    uint64_t first_bad; /* the first of them that is NaN or infinite; UINT64_MAX: none */
    double bad;
};

/* ---- What is put out of a stage ---- */

static bool wants(void *context, const struct tu_stage *s)
{
    const struct tu_tensor named = {.name = s->name, .name_length = strlen(s->name)};
    bool matches = stages.count == 0;
    (void)context;
    for (size_t i = 0; i < stages.count && !matches; i++)
        matches =
            fnmatch(stages.items[i], s->stage, 0) == 0 || fnmatch(stages.items[i], s->name, 0) == 0;
    return matches && (!logits_only || strcmp(s->stage, "logits") == 0) &&
           tu_selects(&tool.session.selection, &named);
}

/* A record of the stage without its values. */
static int put_stage_record(struct run *r, const char *kind, const struct tu_stage *s,
                            struct tu_stat *stat, struct tu_error *error)
{
    struct tu_builder b;
    struct tensor_value record;
    if (tu_builder_begin(&b, &r->stage_arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", kind, error) == 0 && tu_stage_put(&b, &r->about, s, error) == 0 &&
        (!stat || tu_stats_put(&r->stats, stat, 0, &b, error) == 0) &&
        tu_builder_end(&b, &record, error) == 0)
        return tu_output_record(&output, &record, error);
    tu_builder_cancel(&b);
    return -1;
}

static int list_stage(void *context, const struct tu_stage *s, struct tu_error *error)
{
    struct run *r = context;
    int result = put_stage_record(r, "stage", s, NULL, error);
    tu_arena_free(&r->stage_arena);
    return result;
}

static int put_stat(void *context, struct tu_stats *s, struct tu_stat *stat, uint64_t index,
                    struct tu_error *error)
{
    struct run *r = context;
    (void)s;
    (void)index;
    return put_stage_record(r, "stat", r->stage, stat, error);
}

static int begin_stage(void *context, const struct tu_stage *s, struct tu_error *error)
{
    struct run *r = context;
    struct tu_tensor t;
    struct tensor_value extra;
    r->seen = 0;
    r->first_bad = UINT64_MAX;
    int result = tu_stage_tensor(&r->about, s, &r->stage_arena, &t, &extra, error);
    if (result == 0 && measuring) {
        t.scope.operation = extra;
        result = tu_stats_begin(&r->stats, TU_STAT_ALL, &t, put_stat, r, error) < 0 ? -1 : 0;
    } else if (result == 0) {
        result = tu_output_tensor(&output, &t, &extra, error);
    }
    tu_arena_free(&r->stage_arena);
    return result;
}

static void look_for_bad(struct run *r, const struct tu_stage *s, const void *values, size_t count)
{
    const float *narrow = values;
    const double *doubles = values;
    for (size_t i = 0; i < count && s->dtype != TENSOR_I32 && r->first_bad == UINT64_MAX; i++) {
        double x = s->dtype == TENSOR_F64 ? doubles[i] : (double)narrow[i];
        if (!isfinite(x)) {
            r->first_bad = r->seen + i;
            r->bad = x;
        }
    }
    r->seen += count;
}

static int put_values(void *context, const struct tu_stage *s, const void *values, size_t count,
                      struct tu_error *error)
{
    struct run *r = context;
    if (stopping)
        look_for_bad(r, s, values, count);
    r->stage = s;
    if (measuring)
        return tu_stats_add_native(&r->stats, s->dtype, values, count, error);
    size_t size = s->dtype == TENSOR_F64 ? sizeof(double) : sizeof(float);
    return tu_writer_bytes(&output.writer, values, count * size, error);
}

static int end_stage(void *context, const struct tu_stage *s, struct tu_error *error)
{
    struct run *r = context;
    r->stage = s;
    int result = measuring ? tu_stats_end(&r->stats, error) : 0;
    tu_stats_free(&r->stats);
    tu_arena_free(&r->stage_arena);
    if (result == 0 && r->first_bad != UINT64_MAX)
        return tu_fail(error, TU_EINVALID, "%s: %s: element %" PRIu64 " is %s (--stop-on-nan)",
                       r->path, s->name, r->first_bad,
                       isnan(r->bad) ? "NaN"
                       : r->bad > 0  ? "infinity"
                                     : "-infinity");
    return result;
}

/* ---- The run ---- */

static void show_progress(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    tu_progress(&tool.session, done, total);
}

static int put_sources(struct run *r, struct tu_error *error)
{
    struct tensor_value record;
    for (size_t i = 0; i < r->model.operand.model_count; i++) {
        if (tu_source_record(&r->model.operand.models[i], i ? NULL : &r->model.gathered.facts, i,
                             &r->arena, &record, error) < 0 ||
            tu_output_record(&output, &record, error) < 0)
            return -1;
    }
    return tu_trace_record(&r->about, &r->arena, &record, error) < 0
               ? -1
               : tu_output_record(&output, &record, error);
}

/* What a trace leaves out of account is said. */
static int warn_unused(struct run *r, struct tu_error *error)
{
    const char *first = NULL;
    if (tu_weights_unused(&r->model.weights, &r->about.unused, &first, error) < 0)
        return -1;
    if (r->about.unused)
        tu_warn(&tool.session, "%s: the graph of %s does not use %" PRIu64 " tensors (%.100s%s)",
                tu_operand_name(r->path), r->model.config.arch->name, r->about.unused, first,
                r->about.unused > 1 ? ", ..." : "");
    return 0;
}

/* What a trace is of is known once all tokens are. */
static int decode(struct run *r, const struct tu_forward *f, const struct tu_stage_sink *sink,
                  struct tu_error *error)
{
    struct tu_decoding d = {0};
    r->about.decoded = further;
    int result = tu_decode_run(&d, f, further, &r->tokens, error);
    if (result == 0)
        result = put_sources(r, error);
    if (result == 0)
        result = tu_decode_put(&d, sink, error);
    tu_decode_free(&d);
    return result;
}

static int compute(struct run *r, struct tu_error *error)
{
    const bool listing = planning || (!measuring && !tu_output_streams(&output));
    const struct tu_stage_sink nobody = {.wants = wants},
                               list = {.wants = wants, .begin = list_stage, .context = r},
                               sink = {.wants = wants,
                                       .begin = begin_stage,
                                       .put = put_values,
                                       .end = end_stage,
                                       .context = r};
    struct tu_forward f = {.config = &r->model.config,
                           .weights = &r->model.weights,
                           .ids = r->tokens.ids,
                           .tokens = r->tokens.count,
                           .options = {.half_cache = half_cache,
                                       .wide = wide,
                                       .fused = fused,
                                       .threads = (unsigned)tool.session.threads,
                                       .gpu = r->gpu_open ? &r->gpu : NULL,
                                       .progress = show_progress},
                           .sink = &nobody,
                           .recorded = start ? &r->recorded : NULL};
    uint64_t wanted;
    if (tu_forward_plan(&f, &wanted, error) < 0)
        return -1;
    if (warn_unused(r, error) < 0)
        return -1;
    if (wanted == 0)
        return tu_fail(error, TU_EUSAGE, "%s: no stage is selected (--plan lists them)", r->path);
    if (start && f.found == 0)
        return tu_fail(error, TU_EINVALID, "%s: holds no stage of this model (by name: layers.0.q)",
                       tu_operand_name(start));
    r->about.recorded = f.found;
    if (further)
        return decode(r, &f, listing ? &list : &sink, error);
    if (put_sources(r, error) < 0)
        return -1;
    f.sink = listing ? &list : &sink;
    return listing ? tu_forward_plan(&f, &wanted, error) : tu_forward_run(&f, error);
}

static int open_model(struct run *r, struct tu_error *error)
{
    if (tu_trace_model_open(&r->model, &tool.session, r->path, error) < 0)
        return -1;
    r->about = (struct tu_trace_about){.config = &r->model.config,
                                       .tokens = &r->tokens,
                                       .program = "tensor-trace " PACKAGE_VERSION,
                                       .cache = half_cache ? "f16" : "f32",
                                       .precision = wide ? "f64" : "f32",
                                       .weights = fused ? "fused" : "decoded"};
    return 0;
}

/* A trace that is a pipe is copied first: its stages are read in their own order. */
static int open_trace(struct run *r, struct tu_error *error)
{
    if (!start)
        return 0;
    r->recorded = (struct tu_recorded){.operand = &r->trace,
                                       .kernels = tool.session.kernels,
                                       .tokens = &r->tokens,
                                       .path = tu_operand_name(start)};
    return tu_operand_open(&r->trace, &tool.session, start, TU_ACCESS_RANDOM, error);
}

/* The first device; nothing is computed there but attention. */
static int open_device(struct run *r, struct tu_error *error)
{
    if (!on_device || planning)
        return 0;
    if (tu_gpu_open(&r->gpu, 0, error) < 0)
        return -1;
    r->gpu_open = true;
    return 0;
}

static int check_options(const char *operand, struct tu_error *error)
{
    if (!tokens_value)
        return tu_fail(error, TU_EUSAGE, "--tokens is not given (token ids, as --tokens 1,2,3)");
    int minus = (strcmp(operand, "-") == 0) + (strcmp(tokens_value, "@-") == 0) +
                (start && strcmp(start, "-") == 0);
    if (minus > 1)
        return tu_fail(error, TU_EUSAGE, "standard input can be only one of them");
    if (fused && wide)
        return tu_fail(error, TU_EUSAGE, "--weights fused goes with --precision f32");
    if (on_device && wide)
        return tu_fail(error, TU_EUSAGE, "--attn gpu goes with --precision f32");
    if (further && (planning || start))
        return tu_fail(error, TU_EUSAGE,
                       "--decode computes: it goes without --plan and --start-from");
    if (planning && measuring)
        return tu_fail(error, TU_EUSAGE, "--plan and --stat exclude one another");
    if (logits_only && stages.count)
        return tu_fail(error, TU_EUSAGE, "--logits-only and --stages exclude one another");
    return 0;
}

static int open_output(struct tu_tool *t, struct tu_error *error)
{
    if (measuring)
        return tu_output_open(&output, t, "stat", tu_stat_columns, error);
    return tu_output_open(&output, t, "stage", tu_stage_columns, error);
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct run r = {.path = operands[0],
                    .model = TU_TRACE_MODEL_CLOSED,
                    .trace = {.is_stream = true, .fd = -1}};
    (void)count;
    if (check_options(r.path, error) < 0 || open_output(t, error) < 0)
        return -1;
    int result = tu_tokens_read(&r.tokens, tokens_value, error);
    if (result == 0)
        result = open_model(&r, error);
    if (result == 0)
        result = open_trace(&r, error);
    if (result == 0)
        result = open_device(&r, error);
    if (result == 0)
        result = compute(&r, error);
    if (r.gpu_open)
        tu_gpu_close(&r.gpu);
    if (result == 0)
        result = tu_operand_unchanged(&r.model.operand, error);
    if (result == 0 && start)
        result = tu_operand_unchanged(&r.trace, error);
    tu_stats_free(&r.stats);
    tu_trace_model_close(&r.model);
    tu_operand_close(&r.trace);
    tu_arena_free(&r.stage_arena);
    tu_arena_free(&r.arena);
    free(r.tokens.ids);
    free(stages.items);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-trace",
        .synopsis = "[OPTION]... MODEL --tokens LIST",
        .about =
            "Runs a model from its files over the ids of some tokens, and puts out every stage of\n"
            "the forward pass, layers.L.STAGE, with what it was computed from.",
        .options = options,
        .min_operands = 1,
        .max_operands = 1,
        .packs = TU_PACKS_VALUES,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
