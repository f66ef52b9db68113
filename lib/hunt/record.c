/* SPDX-License-Identifier: MIT */
/* Says of each stage, and of the whole, where an error began, in records and in words. */
#include "config.h"

#include "hunt/record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hunt/decide.h"

const struct tu_column tu_origin_columns[] = {
    {.key = "verdict", .title = "verdict", .width = -8},
    {.key = "error_in", .title = "error_in", .width = -12},
    {.key = "error_out", .title = "error_out", .width = -12},
    {.key = "own_error", .title = "own_error", .width = -12},
    {.key = "floor", .title = "floor", .width = -12},
    {.key = "op", .title = "op", .width = -10},
    {.key = "name", .title = "name"},
    {.key = "gain", .title = "gain", .width = -12, .detail = true},
    {.key = "excess", .title = "excess", .width = -12, .detail = true},
    {.key = "order", .title = "order", .width = 6, .detail = true},
    {.key = "layer", .title = "layer", .width = 6, .detail = true},
    {.key = "cause", .title = "cause", .width = -14, .detail = true},
    {.key = "weight", .title = "weight", .width = -24, .detail = true},
    {.key = "fact", .title = "fact", .width = -14, .detail = true},
    {.key = "from", .title = "from", .width = -24, .detail = true},
    {.key = "hypothesis", .title = "hypothesis", .detail = true},
    {.key = "reason", .title = "reason", .remark = true},
    {0},
};

/* ---- Words ---- */

static const struct tensor_value *fact_record(const struct tu_hunt *h, const char *name)
{
    for (size_t i = 0; i < h->fact_count; i++)
        if (tu_value_equals(tu_value_get(&h->facts[i], "name"), name))
            return &h->facts[i];
    return NULL;
}

static void say_fact(const struct tu_hunt *h, const struct tu_hunt_stage *s, char *out, size_t size)
{
    const struct tensor_value *record = fact_record(h, s->fact);
    const char *note = NULL;
    size_t length = 0;
    (void)tu_value_string(tu_value_get(record, "note"), &note, &length);
    snprintf(out, size, "the models differ in %s", s->fact);
    if (note)
        snprintf(out, size, "the models differ: %.*s", (int)(length < 600 ? length : 600), note);
}

static void say_cause(const struct tu_hunt *h, const struct tu_hunt_stage *s, char *out,
                      size_t size)
{
    switch (s->cause) {
    case TU_CAUSE_WEIGHT:
        snprintf(out, size, "the weight '%.200s': %.400s", s->weight,
                 s->because ? s->because : "differs");
        return;
    case TU_CAUSE_CONFIGURATION:
        say_fact(h, s, out, size);
        return;
    case TU_CAUSE_MODELS:
        snprintf(out, size, "the two models compute something else of the same inputs");
        return;
    case TU_CAUSE_PROGRAM_A:
    case TU_CAUSE_PROGRAM_B:
        snprintf(out, size, "the program of %c computed something else than its model says",
                 s->cause == TU_CAUSE_PROGRAM_A ? 'a' : 'b');
        return;
    case TU_CAUSE_INPUTS:
        snprintf(out, size, "%s",
                 isinf(s->error) ? "its inputs are as they should be"
                                 : "its inputs agree, and it does not (--models A B says why)");
        return;
    case TU_CAUSE_NONE:
    case TU_CAUSES:
        snprintf(out, size, "%s", "");
        return;
    }
}

static void say_error(const struct tu_hunt_stage *s, char *out, size_t size)
{
    double error = isnan(s->own_error) ? s->error : s->own_error;
    if (isinf(error))
        snprintf(out, size, "it has another shape, or numbers that are not finite");
    else if (isnan(s->own_error))
        snprintf(out, size, "error %.2g", error);
    else
        snprintf(out, size, "own error %.2g where %.2g is rounding", error, s->floor);
}

static void say(const struct tu_hunt *h, const struct tu_hunt_stage *s, char *out, size_t size)
{
    char error[128], cause[1000];
    const char *from = s->from == SIZE_MAX ? "rounding on the way" : h->stages[s->from].name;
    *out = '\0';
    switch (s->blame) {
    case TU_MADE:
        say_error(s, error, sizeof error);
        say_cause(h, s, cause, sizeof cause);
        snprintf(out, size, "made by %s: %s; %s", s->op, error, cause);
        return;
    case TU_CARRIED:
        snprintf(out, size, "from %.200s", from);
        return;
    case TU_ROUTING:
        snprintf(out, size, "other experts, of probabilities that are as good as equal");
        return;
    case TU_UNKNOWN:
        if (s->alone)
            snprintf(out, size,
                     "only side %c has it, and nothing that follows from it was compared",
                     s->alone);
        else
            snprintf(out, size,
                     "error %.2g, of which nothing tells how much was made here (--models A B)",
                     s->error);
        return;
    case TU_ABSENT:
        snprintf(out, size, "only side %c has it", s->alone);
        return;
    case TU_CLEAN:
    case TU_HEALED:
    case TU_BLAMES:
        return;
    }
}

/* ---- Records ---- */

/* Numbers that are not known are left out. */
static int put_number(struct tu_builder *b, const char *key, double x, struct tu_error *error)
{
    return isnan(x) ? 0 : tu_put_real(b, key, x, error);
}

static int put_inputs(struct tu_builder *b, const struct tu_hunt_stage *s, struct tu_error *error)
{
    static const char key[] = "inputs";
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_STRING, error) < 0)
        return -1;
    for (size_t i = 0; i < s->input_count; i++)
        if (tu_put_string(b, NULL, s->input_names[i], error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

static int put_numbers(struct tu_builder *b, const struct tu_hunt_stage *s, struct tu_error *error)
{
    static const char *const keys[TU_HUNT_RUNS] = {"own_models", "own_a", "own_b"};
    double gain = s->error_in > 0 ? s->error / s->error_in : NAN;
    if (put_number(b, "error_in", s->error_in, error) < 0 ||
        put_number(b, "error_out", s->error, error) < 0 ||
        put_number(b, "gain", isfinite(gain) ? gain : NAN, error) < 0 ||
        put_number(b, "floor", s->floor, error) < 0 ||
        put_number(b, "own_error", s->own_error, error) < 0 ||
        put_number(b, "excess", s->own_error / s->floor, error) < 0)
        return -1;
    for (int run = 0; run < TU_HUNT_RUNS; run++)
        if (s->own[run].known && put_number(b, keys[run], s->own[run].error, error) < 0)
            return -1;
    return 0;
}

static int put_cause(struct tu_builder *b, const struct tu_hunt *h, const struct tu_hunt_stage *s,
                     struct tu_error *error)
{
    const char *cause = s->blame == TU_MADE ? tu_cause_words[s->cause] : NULL;
    const char *from = s->from == SIZE_MAX ? NULL : h->stages[s->from].name;
    if (tu_put_text(b, "cause", cause, error) < 0 ||
        tu_put_text(b, "weight", s->blame == TU_MADE ? s->weight : s->sides[0].weight, error) < 0 ||
        tu_put_text(b, "fact", s->blame == TU_MADE ? s->fact : NULL, error) < 0 ||
        tu_put_text(b, "hypothesis", s->blame == TU_MADE ? s->hypothesis : NULL, error) < 0)
        return -1;
    return tu_put_text(b, "from", from, error);
}

static int fill_stage(struct tu_builder *b, const struct tu_hunt *h, const struct tu_hunt_stage *s,
                      struct tu_error *error)
{
    char reason[1400];
    say(h, s, reason, sizeof reason);
    if (tu_put_string(b, "kind", "origin", error) < 0 ||
        tu_put_string(b, "name", s->name, error) < 0 ||
        tu_put_string(b, "verdict", tu_blame_words[s->blame], error) < 0 ||
        tu_put_text(b, "reason", reason, error) < 0 ||
        tu_put_text(b, "stage", s->stage, error) < 0 ||
        (s->has_layer && tu_put_uint(b, "layer", s->layer, error) < 0) ||
        tu_put_uint(b, "order", s->order, error) < 0 || tu_put_string(b, "op", s->op, error) < 0 ||
        put_inputs(b, s, error) < 0 || put_numbers(b, s, error) < 0)
        return -1;
    return put_cause(b, h, s, error);
}

int tu_hunt_record(const struct tu_hunt *h, const struct tu_hunt_stage *s, struct tu_arena *arena,
                   struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (fill_stage(&b, h, s, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

/* ---- The whole ---- */

/* Also those that no operation of these tokens has shown. */
static int put_failing(struct tu_builder *b, const struct tu_hunt_weights *weights,
                       struct tu_error *error)
{
    uint64_t failing = 0;
    const char *first = NULL;
    for (size_t i = 0; weights && i < weights->count; i++) {
        failing += weights->items[i].fails;
        first = weights->items[i].fails && !first ? weights->items[i].name : first;
    }
    if (!weights || tu_put_uint(b, "failing_weights", failing, error) < 0)
        return weights ? -1 : 0;
    return tu_put_text(b, "failing_weight", first, error);
}

static int fill_closing(struct tu_builder *b, const struct tu_hunt *h,
                        const struct tu_hunt_weights *weights, struct tu_error *error)
{
    const struct tu_hunt_stage *first = tu_hunt_first(h);
    char reason[1400];
    size_t counts[TU_BLAMES];
    tu_hunt_count(h, counts);
    if (tu_put_string(b, "kind", "origins", error) < 0 ||
        tu_put_uint(b, "stages", h->count, error) < 0)
        return -1;
    for (int i = 0; i < TU_BLAMES; i++)
        if (tu_put_uint(b, tu_blame_words[i], counts[i], error) < 0)
            return -1;
    if (put_failing(b, weights, error) < 0)
        return -1;
    if (!first)
        return 0;
    say(h, first, reason, sizeof reason);
    if (tu_put_string(b, "first", first->name, error) < 0 ||
        tu_put_string(b, "op", first->op, error) < 0 || tu_put_text(b, "reason", reason, error) < 0)
        return -1;
    return put_cause(b, h, first, error);
}

int tu_hunt_closing(const struct tu_hunt *h, const struct tu_hunt_weights *weights,
                    struct tu_arena *arena, struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (fill_closing(&b, h, weights, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}
