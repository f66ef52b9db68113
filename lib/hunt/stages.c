/* SPDX-License-Identifier: MIT */
/* Takes the stages of two traces from the records of their comparison, and puts them in order. */
#include "config.h"

#include "hunt/stages.h"

#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "judge/schema.h"

const char *const tu_blame_words[TU_BLAMES] = {"clean",   "carried", "made",  "healed",
                                               "routing", "unknown", "absent"};
const char *const tu_cause_words[TU_CAUSES] = {"none",      "weight",    "configuration", "models",
                                               "program_a", "program_b", "inputs"};

/* ---- Names ---- */

struct place {
    const char *name;
    size_t index;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void ignore(void *node)
{
    (void)node;
}

static int note_place(struct tu_hunt *h, size_t index, struct tu_error *error)
{
    struct place *p = tu_arena_alloc(&h->arena, sizeof *p);
    if (!p)
        return tu_fail_memory(error);
    *p = (struct place){h->stages[index].name, index};
    return tsearch(p, &h->names, compare_places) ? 0 : tu_fail_memory(error);
}

struct tu_hunt_stage *tu_hunt_find(const struct tu_hunt *h, const char *name)
{
    const struct place wanted = {.name = name};
    struct place *const *found = tfind(&wanted, &h->names, compare_places);
    return found ? &h->stages[(*found)->index] : NULL;
}

/* ---- Records ---- */

static int copy_text(struct tu_hunt *h, const struct tensor_value *map, const char *key,
                     const char **out, struct tu_error *error)
{
    const char *text;
    size_t length;
    if (!tu_value_string(tu_value_get(map, key), &text, &length))
        return 0;
    *out = tu_arena_copy(&h->arena, text, length);
    return *out ? 0 : tu_fail_memory(error);
}

static int take_inputs(struct tu_hunt *h, const struct tensor_value *operation,
                       struct tu_hunt_stage *s, struct tu_error *error)
{
    const struct tensor_value *inputs = tu_value_get(operation, "inputs");
    const char *text;
    size_t length;
    for (size_t i = 0; inputs && inputs->type == TENSOR_ARRAY && i < inputs->array.count &&
                       s->input_count < TU_STAGE_INPUTS;
         i++) {
        if (!tu_value_string(&inputs->array.items[i], &text, &length))
            return tu_fail(error, TU_EINVALID, "'%.100s': an input is no string", s->name);
        if (!(s->input_names[s->input_count++] = tu_arena_copy(&h->arena, text, length)))
            return tu_fail_memory(error);
    }
    return 0;
}

/* What one side says of the operation. */
static int take_operation(struct tu_hunt *h, const struct tensor_value *operation, int side,
                          struct tu_hunt_stage *s, struct tu_error *error)
{
    struct tu_hunt_side *here = &s->sides[side];
    if (!operation)
        return 0;
    if (!s->has_order)
        s->has_order = tu_value_uint(tu_value_get(operation, "order"), &s->order);
    if (!s->k_dim)
        (void)tu_value_uint(tu_value_get(operation, "k_dim"), &s->k_dim);
    s->masked = s->masked || tu_value_equals(tu_value_get(operation, "mask"), "causal");
    if ((!s->op && copy_text(h, operation, "op", &s->op, error) < 0) ||
        copy_text(h, operation, "weight", &here->weight, error) < 0 ||
        copy_text(h, operation, "bias", &here->bias, error) < 0 ||
        copy_text(h, operation, "weight_dtype", &here->weight_dtype, error) < 0 ||
        copy_text(h, operation, "arithmetic", &here->arithmetic, error) < 0)
        return -1;
    return s->input_count ? 0 : take_inputs(h, operation, s, error);
}

/* The distance relative to the norm of a; infinite where numbers are not finite, shapes differ, or
 * nothing was left to be compared.  Two tensors of zeros are not apart. */
static int take_error(const struct tensor_value *record, struct tu_hunt_stage *s,
                      struct tu_error *error)
{
    double rmse, norm;
    s->alone = strcmp(s->status, "only_a") == 0 ? 'a' : strcmp(s->status, "only_b") == 0 ? 'b' : 0;
    s->norm = NAN;
    s->error = s->alone ? NAN : INFINITY;
    (void)tu_value_uint(tu_value_get(record, "element_count"), &s->elements);
    if (strcmp(s->status, "nonfinite") == 0 ||
        !tu_value_number(tu_value_get(record, "rmse"), &rmse) || isnan(rmse) ||
        !tu_value_number(tu_value_get(record, "norm_a"), &norm))
        return 0;
    if (!(rmse >= 0) || !(norm >= 0) || isinf(norm))
        return tu_fail(error, TU_EINVALID, "'%.100s': its rmse or norm_a cannot be", s->name);
    double distance = rmse * sqrt((double)s->elements);
    s->norm = norm;
    s->error = distance == 0 ? 0 : distance / norm;
    return 0;
}

static int take_stage(struct tu_hunt *h, const struct tensor_value *record, struct tu_error *error)
{
    struct tu_hunt_stage s = {.from = SIZE_MAX, .own_error = NAN, .floor = NAN, .error_in = NAN};
    const char *side = tu_value_get(record, "stage_a") ? "stage_a" : "stage_b";
    const char *layer = tu_value_get(record, "layer_a") ? "layer_a" : "layer_b";
    if (tu_schema_check(record, error) < 0)
        return -1;
    /* Where a dump of another program comes first, the name of the stage is that of b. */
    bool by_b = strcmp(side, "stage_b") == 0 && tu_value_get(record, "name_b");
    if (copy_text(h, record, by_b ? "name_b" : "name", &s.name, error) < 0 ||
        copy_text(h, record, "status", &s.status, error) < 0 ||
        copy_text(h, record, "reason", &s.reason, error) < 0 ||
        copy_text(h, record, side, &s.stage, error) < 0)
        return -1;
    if (!s.name || !s.status)
        return tu_fail(error, TU_EINVALID, "a compare record has no name or no status");
    if (strcmp(s.status, "incomparable") == 0)
        return tu_fail(error, TU_EINVALID, "'%.100s' is incomparable: %.200s", s.name,
                       s.reason ? s.reason : "values of something else");
    s.has_layer = tu_value_uint(tu_value_get(record, layer), &s.layer);
    if (take_operation(h, tu_value_get(record, "operation_a"), 0, &s, error) < 0 ||
        take_operation(h, tu_value_get(record, "operation_b"), 1, &s, error) < 0)
        return -1;
    if (take_error(record, &s, error) < 0)
        return -1;
    s.integers = tu_value_equals(tu_value_get(record, "dtype_a"), "I32");
    if (tu_hunt_find(h, s.name))
        return tu_fail(error, TU_EINVALID, "'%.100s' comes twice", s.name);
    if (!TU_GROW(h->stages, h->count, h->capacity))
        return tu_fail_memory(error);
    h->stages[h->count++] = s;
    return note_place(h, h->count - 1, error);
}

static int take_fact(struct tu_hunt *h, const struct tensor_value *record, struct tu_error *error)
{
    h->facts_seen++;
    if (!tu_value_equals(tu_value_get(record, "status"), "differs"))
        return 0;
    if (!TU_GROW(h->facts, h->fact_count, h->fact_capacity))
        return tu_fail_memory(error);
    return tu_value_copy(record, &h->arena, &h->facts[h->fact_count++], error);
}

int tu_hunt_take(struct tu_hunt *h, const struct tensor_value *record, struct tu_error *error)
{
    const struct tensor_value *kind = tu_value_get(record, "kind");
    if (tu_value_equals(kind, "compare"))
        return take_stage(h, record, error);
    return tu_value_equals(kind, "fact") ? take_fact(h, record, error) : 0;
}

/* Where nothing is known yet. */
static int know_text(struct tu_hunt *h, const char *text, const char **out, struct tu_error *error)
{
    if (!text || *out)
        return 0;
    *out = tu_arena_copy(&h->arena, text, strlen(text));
    return *out ? 0 : tu_fail_memory(error);
}

static int know_operation(struct tu_hunt *h, const struct tu_stage *s, struct tu_hunt_stage *known,
                          struct tu_error *error)
{
    known->has_order = true;
    known->order = s->order;
    known->masked = s->masked;
    known->k_dim = s->k_dim;
    known->has_layer = s->has_layer;
    known->layer = s->layer;
    known->integers = s->dtype == TENSOR_I32;
    for (size_t i = 0; i < TU_STAGE_INPUTS && s->inputs[i]; i++)
        if (know_text(h, s->inputs[i], &known->input_names[known->input_count++], error) < 0)
            return -1;
    return know_text(h, s->stage, &known->stage, error) < 0
               ? -1
               : know_text(h, s->op, &known->op, error);
}

int tu_hunt_know(struct tu_hunt *h, int side, const struct tu_stage *s, struct tu_error *error)
{
    struct tu_hunt_stage *known = tu_hunt_find(h, s->name);
    if (!known)
        return 0;
    struct tu_hunt_side *here = &known->sides[side];
    if ((!known->op || !known->has_order) && know_operation(h, s, known, error) < 0)
        return -1;
    if (know_text(h, s->weight, &here->weight, error) < 0 ||
        know_text(h, s->bias, &here->bias, error) < 0)
        return -1;
    return know_text(h, s->weight_dtype, &here->weight_dtype, error);
}

/* ---- Order ---- */

static int compare_order(const void *a, const void *b)
{
    const struct tu_hunt_stage *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return strcmp(x->name, y->name);
}

int tu_hunt_order(struct tu_hunt *h, struct tu_error *error)
{
    if (h->count == 0)
        return tu_fail(error, TU_EINVALID,
                       "there is no stage in it (tensor-cos a.tsr b.tsr compares two traces)");
    for (size_t i = 0; i < h->count; i++)
        if (!h->stages[i].has_order || !h->stages[i].op)
            return tu_fail(error, TU_EINVALID,
                           "neither side says what '%.100s' was made of, as tensor-trace does "
                           "(--models says it; results of weights have no stages)",
                           h->stages[i].name);
    qsort(h->stages, h->count, sizeof *h->stages, compare_order);
    tdestroy(h->names, ignore);
    h->names = NULL;
    for (size_t i = 0; i < h->count; i++)
        if (note_place(h, i, error) < 0)
            return -1;
    for (size_t i = 0; i < h->count; i++) {
        struct tu_hunt_stage *s = &h->stages[i];
        for (size_t k = 0; k < s->input_count; k++) {
            const struct tu_hunt_stage *input = tu_hunt_find(h, s->input_names[k]);
            s->inputs[k] = input && input < s ? (size_t)(input - h->stages) : SIZE_MAX;
        }
    }
    return 0;
}

void tu_hunt_free(struct tu_hunt *h)
{
    if (h->names)
        tdestroy(h->names, ignore);
    tu_arena_free(&h->arena);
    free(h->stages);
    free(h->facts);
    *h = (struct tu_hunt){0};
}
