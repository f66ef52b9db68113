/* SPDX-License-Identifier: MIT */
/* tensor-origin: which operation of a network made the error that two traces show. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "hunt/decide.h"
#include "hunt/measure.h"
#include "hunt/record.h"
#include "hunt/weights.h"
#include "model/source-record.h"
#include "tool/main.h"
#include "tool/output.h"
#include "trace/forward.h"

static struct tu_tool tool;
static struct tu_output output;
static struct tu_list models, traces;
static const char *tokens, *map;

static const struct tu_option options[] = {
    {0, "models", "A B", "the models of the two traces: each operation is computed by itself",
     tu_option_list, &models},
    {0, "traces", "A B", "the traces, where the results do not name them", tu_option_list, &traces},
    {0, "tokens", "LIST", "the token ids of traces that do not say them, as of tensor-trace",
     tu_option_string, &tokens},
    {0, "map", "auto|none|MAP", "how names of the models meet that differ, as of tensor-cos",
     tu_option_string, &map},
    TU_PACKS_OPTION(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* Everything that a run works with; of pairs, a and b. */
struct run {
    struct tu_hunt hunt;
    struct tu_hunt_weights weights;
    struct tu_trace_model models[2];
    struct tu_hunt_trace traces[2];
    bool traced[2]; /* the trace is open */
    struct tu_arena arena;
    struct tensor_value sources[2]; /* of the traces, as the results name them; of no type: none */
};

/* ---- Results ---- */

/* A table has no room for facts: those that differ stand above it. */
static int put_fact(const struct tensor_value *fact, struct tu_error *error)
{
    char note[2048];
    if (output.mode == TU_MODE_TABLE && tu_value_equals(tu_value_get(fact, "status"), "differs")) {
        tu_format_cell(tu_value_get(fact, "note"), false, note, sizeof note);
        printf("differs  %s\n", note);
    }
    return tu_output_record(&output, fact, error);
}

static int take_source(struct run *r, const struct tensor_value *record, struct tu_error *error)
{
    int side = tu_value_equals(tu_value_get(record, "operand"), "b");
    if (tu_value_get(record, "operand") && r->sources[side].type == TENSOR_NULL &&
        tu_value_copy(record, &r->arena, &r->sources[side], error) < 0)
        return -1;
    return tu_output_record(&output, record, error);
}

static int take_item(struct run *r, const char *path, const struct tu_item *item,
                     struct tu_error *error)
{
    if (item->kind == TU_KIND_SOURCE)
        return take_source(r, &item->map, error);
    if (item->kind == TU_KIND_TENSOR)
        return tu_fail(error, TU_EINVALID,
                       "%s: these are tensors, and no results (tensor-cos a.tsr b.tsr comes first)",
                       tu_operand_name(path));
    if (item->kind != TU_KIND_RESULT)
        return 0;
    if (tu_hunt_take(&r->hunt, &item->map, error) < 0)
        return -1;
    if (tu_value_equals(tu_value_get(&item->map, "kind"), "fact"))
        return put_fact(&item->map, error);
    return 0;
}

static int take_results(struct run *r, char **operands, size_t count, struct tu_error *error)
{
    struct tu_feed feed;
    struct tu_item item;
    int more;
    tu_feed_open(&feed, &tool.session, operands, count, false);
    while ((more = tu_feed_next(&feed, &item, error)) > 0) {
        if (take_item(r, count ? operands[0] : "-", &item, error) < 0) {
            more = -1;
            break;
        }
    }
    tu_feed_close(&feed);
    return more;
}

/* ---- The models ---- */

static bool wants_all(void *context, const struct tu_stage *s)
{
    (void)context, (void)s;
    return true;
}

/* Of which model a graph is gone through. */
struct graph {
    struct tu_hunt *hunt;
    int side;
};

static int know_stage(void *context, const struct tu_stage *s, struct tu_error *error)
{
    const struct graph *g = context;
    return tu_hunt_know(g->hunt, g->side, s, error);
}

/* What a dump does not say of its stages, the model's graph does. */
static int know_stages(struct run *r, int side, struct tu_error *error)
{
    static const uint32_t one_token[] = {0};
    struct graph g = {&r->hunt, side};
    const struct tu_stage_sink sink = {.wants = wants_all, .begin = know_stage, .context = &g};
    struct tu_forward f = {.config = &r->models[side].config,
                           .weights = &r->models[side].weights,
                           .ids = one_token,
                           .tokens = 1,
                           .options = {.wide = true},
                           .sink = &sink};
    uint64_t wanted;
    return tu_forward_plan(&f, &wanted, error);
}

static int open_models(struct run *r, struct tu_error *error)
{
    for (size_t i = 0; i < models.count; i++)
        if (tu_trace_model_open(&r->models[i], &tool.session, models.items[i], error) < 0 ||
            know_stages(r, (int)i, error) < 0)
            return -1;
    return 0;
}

/* Facts of the models, where the traces stated none. */
static int put_facts(struct run *r, struct tu_error *error)
{
    for (size_t i = 0; i < r->weights.fact_count && !r->hunt.facts_seen; i++) {
        if (put_fact(&r->weights.facts[i], error) < 0)
            return -1;
    }
    bool known = r->hunt.facts_seen > 0;
    for (size_t i = 0; i < r->weights.fact_count && !known; i++)
        if (tu_hunt_take(&r->hunt, &r->weights.facts[i], error) < 0)
            return -1;
    return 0;
}

static int compare_models(struct run *r, struct tu_error *error)
{
    if (!models.count)
        return 0;
    if (tu_hunt_weights_compare(&r->weights, &tool.session, models.items, map, error) < 0)
        return -1;
    return put_facts(r, error);
}

/* ---- The traces ---- */

static bool is_same(const struct tensor_value *a, const struct tensor_value *b)
{
    static const char *const keys[] = {"bytes", "modified", "device", "inode"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct tensor_value *x = tu_value_get(a, keys[i]), *y = tu_value_get(b, keys[i]);
        uint64_t n, m;
        if (x && y && tu_value_uint(x, &n) && tu_value_uint(y, &m) && n != m)
            return false;
    }
    return true;
}

/* The file that the results were made of, and no other one that has its name by now. */
static int check_trace(struct run *r, int side, struct tu_error *error)
{
    struct tensor_value now;
    const struct tu_operand *o = &r->traces[side].operand;
    if (traces.count || !o->model_count)
        return 0;
    if (tu_source_record(&o->models[0], NULL, 0, &r->arena, &now, error) < 0)
        return -1;
    return is_same(&r->sources[side], &now)
               ? 0
               : tu_fail(error, TU_EINVALID, "%s: is another file than the one that was compared",
                         r->traces[side].path);
}

/* A trace that went by in a pipe is not there any more. */
static int open_trace(struct run *r, int side, struct tu_error *error)
{
    const char *path = NULL;
    size_t length;
    if (traces.count)
        path = traces.items[side];
    else if (!tu_value_string(tu_value_get(&r->sources[side], "path"), &path, &length) ||
             strcmp(path, "-") == 0)
        return 0;
    r->traced[side] = true;
    if (tu_hunt_trace_open(&r->traces[side], &tool.session, path, tokens, &r->hunt, error) < 0)
        return -1;
    return check_trace(r, side, error);
}

static int measure(struct run *r, enum tu_hunt_run which, int model, int trace,
                   struct tu_error *error)
{
    if (!r->traced[trace])
        return 0;
    return tu_hunt_measure(&r->hunt, &tool.session, &r->models[model], &r->traces[trace], which,
                           error);
}

/* Each operation by itself, where the models are given. */
static int measure_all(struct run *r, struct tu_error *error)
{
    if (!models.count)
        return 0;
    if (open_trace(r, 0, error) < 0 || open_trace(r, 1, error) < 0)
        return -1;
    for (int side = 0; side < 2; side++)
        if (!r->traced[side])
            return tu_fail(error, TU_EUSAGE,
                           "the results do not name the trace of %c (--traces A B does)",
                           "ab"[side]);
    if (measure(r, TU_RUN_MODELS, 1, 0, error) < 0 || measure(r, TU_RUN_A, 0, 0, error) < 0 ||
        measure(r, TU_RUN_B, 1, 1, error) < 0)
        return -1;
    return tu_hunt_unmask(&r->hunt, &tool.session, r->traces, error);
}

/* ---- The run ---- */

static int put_origins(struct run *r, struct tu_error *error)
{
    struct tensor_value record;
    for (size_t i = 0; i < r->hunt.count; i++) {
        struct tu_arena arena = {0};
        int result = tu_hunt_record(&r->hunt, &r->hunt.stages[i], &arena, &record, error);
        if (result == 0)
            result = tu_output_record(&output, &record, error);
        tu_arena_free(&arena);
        if (result < 0)
            return -1;
    }
    if (tu_hunt_closing(&r->hunt, models.count ? &r->weights : NULL, &r->arena, &record, error) < 0)
        return -1;
    if (output.mode == TU_MODE_JSON)
        output.kind = "origins";
    return tu_output_record(&output, &record, error);
}

static int check_options(struct tu_error *error)
{
    if (models.count > 2 || traces.count > 2)
        return tu_fail(error, TU_EUSAGE, "--models and --traces can be given once");
    if (!models.count && (traces.count || tokens || map))
        return tu_fail(error, TU_EUSAGE, "--traces, --tokens and --map go with --models");
    return 0;
}

static int hunt(struct run *r, char **operands, size_t count, struct tu_error *error)
{
    if (take_results(r, operands, count, error) < 0 || open_models(r, error) < 0 ||
        tu_hunt_order(&r->hunt, error) < 0 || compare_models(r, error) < 0 ||
        measure_all(r, error) < 0)
        return -1;
    tu_hunt_decide(&r->hunt, models.count ? &r->weights : NULL);
    return put_origins(r, error);
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct run r = {.models = {TU_TRACE_MODEL_CLOSED, TU_TRACE_MODEL_CLOSED}};
    if (check_options(error) < 0 ||
        tu_output_open(&output, t, "origin", tu_origin_columns, error) < 0)
        return -1;
    int result = hunt(&r, operands, count, error);
    for (int i = 0; i < 2; i++) {
        tu_trace_model_close(&r.models[i]);
        if (r.traced[i])
            tu_hunt_trace_close(&r.traces[i]);
    }
    tu_hunt_weights_free(&r.weights);
    tu_hunt_free(&r.hunt);
    tu_arena_free(&r.arena);
    free(models.items);
    free(traces.items);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-origin",
        .synopsis = "[OPTION]... [--models A B] [RESULTS|-]",
        .about =
            "Says of each stage of two traces that tensor-cos compared whether its operation made\n"
            "an error, or its inputs had it, and names the first operation that did, and why.",
        .options = options,
        .max_operands = 1,
        .packs = TU_PACKS_VALUES,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
