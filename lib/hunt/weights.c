/* SPDX-License-Identifier: MIT */
/* Compares the weights of two models and keeps what each pair came to. */
#include "config.h"

#include "hunt/weights.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare/operands.h"
#include "compare/record.h"
#include "judge/court.h"

struct trial {
    struct tu_hunt_weights *weights;
    struct tu_court court;
};

static int copy_text(struct tu_arena *arena, const char *text, const char **out,
                     struct tu_error *error)
{
    *out = text ? tu_arena_copy(arena, text, strlen(text)) : NULL;
    return text && !*out ? tu_fail_memory(error) : 0;
}

/* What the court made of the record that it heard last. */
static int take_ruling(struct trial *t, const struct tensor_value *record, struct tu_hunt_weight *w,
                       struct tu_error *error)
{
    const struct tu_judged *j = &t->court.items[t->court.count - 1];
    const struct tensor_value *name_b = tu_value_get(record, "name_b");
    struct tu_arena *arena = &t->weights->arena;
    double norm;
    uint64_t elements;
    *w = (struct tu_hunt_weight){.rmse = NAN, .error = NAN};
    w->fails = tu_outcome_fails(j->outcome);
    if (tu_value_number(tu_value_get(record, "rmse"), &w->rmse) &&
        tu_value_number(tu_value_get(record, "norm_a"), &norm) &&
        tu_value_uint(tu_value_get(record, "element_count"), &elements))
        w->error = w->rmse == 0 ? 0 : w->rmse * sqrt((double)elements) / norm;
    if (copy_text(arena, j->name, &w->name, error) < 0 ||
        copy_text(arena, name_b ? name_b->string.bytes : j->name, &w->name_b, error) < 0 ||
        copy_text(arena, w->fails ? j->reason : NULL, &w->reason, error) < 0)
        return -1;
    return copy_text(arena, j->hypothesis, &w->hypothesis, error);
}

static int take_pair(void *context, const struct tu_pair_result *r, struct tu_error *error)
{
    struct trial *t = context;
    struct tu_hunt_weights *w = t->weights;
    struct tu_arena arena = {0};
    struct tensor_value record;
    size_t heard = t->court.count;
    int result = tu_compare_record(r, &arena, &record, error);
    if (result == 0)
        result = tu_judge(&t->court, &record, error);
    if (result == 0 && t->court.count > heard) {
        result = TU_GROW(w->items, w->count, w->capacity) ? 0 : tu_fail_memory(error);
        if (result == 0)
            result = take_ruling(t, &record, &w->items[w->count++], error);
    }
    tu_arena_free(&arena);
    return result;
}

static int take_record(void *context, const struct tensor_value *map, struct tu_error *error)
{
    struct tu_hunt_weights *w = ((struct trial *)context)->weights;
    if (!tu_value_equals(tu_value_get(map, "kind"), "fact"))
        return 0;
    if (!TU_GROW(w->facts, w->fact_count, w->fact_capacity))
        return tu_fail_memory(error);
    return tu_value_copy(map, &w->arena, &w->facts[w->fact_count++], error);
}

int tu_hunt_weights_compare(struct tu_hunt_weights *w, struct tu_session *session,
                            const char *const paths[2], const char *map, struct tu_error *error)
{
    struct trial t = {.weights = w};
    const struct tu_pair_options options = {
        .map = map ? map : "auto", .facts = true, .oracle = true};
    const struct tu_pair_sink sink = {take_pair, take_record, &t};
    int result = tu_rules_profile(&t.court.rules, "auto", false, error);
    if (result == 0)
        result = tu_court_open(&t.court, error);
    if (result == 0)
        result = tu_compare_operands(session, paths[0], paths[1], &options, &sink, error);
    tu_court_free(&t.court);
    return result;
}

void tu_hunt_weights_free(struct tu_hunt_weights *w)
{
    tu_arena_free(&w->arena);
    free(w->items);
    free(w->facts);
    *w = (struct tu_hunt_weights){0};
}

static bool is_worse(const struct tu_hunt_weight *x, const struct tu_hunt_weight *than)
{
    if (!than || x->fails != than->fails)
        return !than || x->fails;
    return isnan(x->error) || x->error > than->error;
}

const struct tu_hunt_weight *tu_hunt_weights_find(const struct tu_hunt_weights *w, int side,
                                                  const char *name)
{
    const struct tu_hunt_weight *worst = NULL;
    for (size_t i = 0; i < w->count; i++) {
        const struct tu_hunt_weight *x = &w->items[i];
        const char *called = side ? x->name_b : x->name;
        bool is = strcmp(called, name) == 0 || fnmatch(name, called, FNM_NOESCAPE) == 0;
        if (is && is_worse(x, worst))
            worst = x;
    }
    return worst;
}
