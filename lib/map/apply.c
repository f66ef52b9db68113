/* SPDX-License-Identifier: MIT */
/* Turns a name of one layout into a view of the tensors that hold it in the other, step by step. */
#include "config.h"

#include "map/apply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- In words ---- */

void tu_say_step(char *steps, size_t size, const char *format, ...)
{
    size_t used = strlen(steps);
    va_list arguments;
    va_start(arguments, format);
    if (used && used + 2 < size)
        used += (size_t)snprintf(steps + used, size - used, ", ");
    vsnprintf(steps + used, size - used, format, arguments);
    va_end(arguments);
}

/* A step that undoes the one before takes its words away. */
static void say_or_cancel(struct tu_found *f, const char *step, const char *opposite)
{
    size_t used = strlen(f->steps), n = strlen(opposite);
    if (used < n || strcmp(f->steps + used - n, opposite) != 0 ||
        (used > n && f->steps[used - n - 1] != ' ')) {
        tu_say_step(f->steps, sizeof f->steps, "%s", step);
        return;
    }
    f->steps[used - n > 2 ? used - n - 2 : 0] = '\0';
}

/* Puts the rule that cannot be kept before the reason. */
static int blame(const struct tu_resolver *r, const struct tu_map_rule *rule, const char *name,
                 const struct tu_error *reason, struct tu_error *error)
{
    return tu_fail(error, reason->code, "map %s, line %u: tensor '%.200s': %s", r->map->name,
                   rule->line, name, reason->text);
}

/* ---- Steps ---- */

static int count_of(const struct tu_resolver *r, const struct tu_map_rule *rule, const char *name,
                    const struct tu_bindings *b, uint64_t *out, struct tu_error *error)
{
    uint64_t layer = 0;
    for (unsigned i = 0; i < TU_MAP_NUMBERS_MAX && rule->names[i]; i++)
        if (strcmp(rule->names[i], "layer") == 0 && b->bound & 1u << i)
            layer = b->numbers[i];
    const struct tu_count *count = tu_map_count(r->map, name);
    if (tu_facts_count(&r->facts, r->map, count, layer, out))
        return 0;
    return tu_fail(error, TU_EINVALID, "the metadata does not say how many %s there are (no '%s')",
                   name, count->sources[0].text);
}

static const struct tu_view *rope(const struct tu_resolver *r, const struct tu_map_rule *rule,
                                  const struct tu_step *s, const struct tu_bindings *b, bool undo,
                                  const struct tu_view *v, struct tu_found *f,
                                  struct tu_error *error)
{
    uint64_t heads;
    f->roped = true;
    if (r->without_rope)
        return v;
    heads = s->head_count;
    if (s->heads && count_of(r, rule, s->heads, b, &heads, error) < 0)
        return NULL;
    char words[2][40];
    snprintf(words[0], sizeof words[0], "rope(%" PRIu64 ")", heads);
    snprintf(words[1], sizeof words[1], "unrope(%" PRIu64 ")", heads);
    say_or_cancel(f, words[undo], words[!undo]);
    return tu_view_rope(&r->maker, v, heads, undo, error);
}

/* Whether a step says no more than that all elements lie in a row, as those of the partner do. */
static bool is_any_shape(const struct tu_resolver *r, const struct tu_step *s,
                         const struct tu_view *v)
{
    return s->rank == 1 && s->shape[0] == 0 && r->like && r->like->elements == v->tensor.elements;
}

/* Where the shape that is wanted is known, it is that of the partner. */
static const struct tu_view *reshape(const struct tu_resolver *r, const struct tu_step *s,
                                     bool undo, const struct tu_view *v, struct tu_found *f,
                                     struct tu_error *error)
{
    uint64_t shape[TU_MAP_RANK_MAX], known = 1;
    tu_say_step(f->steps, sizeof f->steps, "reshape");
    if ((undo && r->like) || is_any_shape(r, s, v))
        return tu_view_reshape(&r->maker, v, r->like->shape, r->like->rank, error);
    if (undo) {
        tu_fail(error, TU_EINVALID, "reshape cannot be undone: the shape before is not known");
        return NULL;
    }
    for (uint32_t i = 0; i < s->rank; i++)
        if (s->shape[i] && __builtin_mul_overflow(known, s->shape[i], &known))
            known = UINT64_MAX;
    for (uint32_t i = 0; i < s->rank; i++)
        shape[i] = s->shape[i] ? s->shape[i] : v->tensor.elements / known;
    return tu_view_reshape(&r->maker, v, shape, s->rank, error);
}

static const struct tu_view *cut(const struct tu_resolver *r, const struct tu_step *s, bool undo,
                                 const struct tu_view *v, struct tu_found *f,
                                 struct tu_error *error)
{
    bool rows = s->kind == TU_STEP_ROWS;
    if (undo) {
        tu_fail(error, TU_EINVALID, "what was cut off cannot be put back");
        return NULL;
    }
    tu_say_step(f->steps, sizeof f->steps, "%s(%" PRIu64 ":%" PRIu64 ")", rows ? "rows" : "columns",
                s->first, s->end);
    return rows ? tu_view_rows(&r->maker, v, s->first, s->end, error)
                : tu_view_columns(&r->maker, v, s->first, s->end, error);
}

static const struct tu_view *retype(const struct tu_resolver *r, const struct tu_step *s, bool undo,
                                    const struct tu_view *v, struct tu_found *f,
                                    struct tu_error *error)
{
    if (undo) {
        tu_fail(error, TU_EINVALID, "the type that the bytes had before is not known");
        return NULL;
    }
    tu_say_step(f->steps, sizeof f->steps, "type(%s)", tu_dtype(s->dtype)->name);
    return tu_view_type(&r->maker, v, s->dtype, error);
}

static const struct tu_view *apply(const struct tu_resolver *r, const struct tu_map_rule *rule,
                                   const struct tu_step *s, const struct tu_bindings *b, bool undo,
                                   const struct tu_view *v, struct tu_found *f,
                                   struct tu_error *error)
{
    switch (s->kind) {
    case TU_STEP_ROPE:
    case TU_STEP_UNROPE:
        return rope(r, rule, s, b, undo != (s->kind == TU_STEP_UNROPE), v, f, error);
    case TU_STEP_TRANSPOSE:
        if (v->tensor.rank > 1)
            say_or_cancel(f, "transpose", "transpose");
        return tu_view_transpose(&r->maker, v, error);
    case TU_STEP_PERMUTE:
        tu_say_step(f->steps, sizeof f->steps, "permute");
        return tu_view_permute(&r->maker, v, s->shape, s->rank, undo, error);
    case TU_STEP_RESHAPE:
        return reshape(r, s, undo, v, f, error);
    case TU_STEP_ROWS:
    case TU_STEP_COLUMNS:
        return cut(r, s, undo, v, f, error);
    case TU_STEP_ADD:
        /* f32(x) + 1 is what converters compute; taking it away again would not be exact. */
        if (undo && r->like) {
            tu_say_step(f->steps, sizeof f->steps, "add(%g)", (double)s->addend);
            f->addend += s->addend;
            return v;
        }
        tu_say_step(f->steps, sizeof f->steps, "add(%g)", (double)(undo ? -s->addend : s->addend));
        return tu_view_add(&r->maker, v, undo ? -s->addend : s->addend, error);
    case TU_STEP_SCALE:
        tu_say_step(f->steps, sizeof f->steps, "scale(%g)",
                    (double)(undo ? 1 / s->addend : s->addend));
        return tu_view_scale(&r->maker, v, undo ? 1 / s->addend : s->addend, error);
    case TU_STEP_ORDER:
        tu_say_step(f->steps, sizeof f->steps, "order");
        return tu_view_order(&r->maker, v, undo ? s->back : s->order, s->shares, error);
    case TU_STEP_TYPE:
        return retype(r, s, undo, v, f, error);
    case TU_STEP_SWAP:
        say_or_cancel(f, "byteswap", "byteswap");
        return tu_view_swapped(&r->maker, v, error);
    }
    return v;
}

static const struct tu_view *apply_all(const struct tu_resolver *r, const struct tu_map_rule *rule,
                                       const struct tu_bindings *b, bool undo,
                                       const struct tu_view *v, struct tu_found *f,
                                       struct tu_error *error)
{
    for (size_t i = 0; v && i < rule->step_count; i++)
        v = apply(r, rule, &rule->steps[undo ? rule->step_count - 1 - i : i], b, undo, v, f, error);
    return v;
}

/* ---- Joining and splitting ---- */

static int share(const struct tu_resolver *r, const struct tu_map_rule *rule,
                 const struct tu_pattern *p, const struct tu_bindings *b, uint64_t *out,
                 struct tu_error *error)
{
    *out = 1;
    return p->weight ? count_of(r, rule, p->weight, b, out, error) : 0;
}

/* The rows that are one name's share of a tensor. */
static const struct tu_view *split(const struct tu_resolver *r, const struct tu_map_rule *rule,
                                   const struct tu_pattern *side, size_t count, size_t which,
                                   const struct tu_bindings *b, const struct tu_view *v,
                                   struct tu_found *f, struct tu_error *error)
{
    uint64_t total = 0, before = 0, own = 0, rows = v->tensor.rank ? v->tensor.shape[0] : 1;
    if (count == 1)
        return v;
    for (size_t i = 0; i < count; i++) {
        uint64_t n;
        if (share(r, rule, &side[i], b, &n, error) < 0)
            return NULL;
        if (n > UINT32_MAX)
            n = UINT32_MAX;
        before += i < which ? n : 0;
        own = i == which ? n : own;
        total += n;
    }
    if (rows % total) {
        tu_fail(error, TU_EINVALID, "%" PRIu64 " rows cannot be split into %" PRIu64 " shares",
                rows, total);
        return NULL;
    }
    uint64_t unit = rows / total, first = before * unit, end = (before + own) * unit;
    tu_say_step(f->steps, sizeof f->steps, "rows(%" PRIu64 ":%" PRIu64 ")", first, end);
    return tu_view_rows(&r->maker, v, first, end, error);
}

static const struct tu_view *leaf_of(const struct tu_resolver *r, const struct tu_pattern *p,
                                     const struct tu_bindings *b, struct tu_error *error)
{
    size_t length;
    char *name = tu_pattern_name(p, b, r->maker.arena, &length);
    if (!name) {
        tu_fail_memory(error);
        return NULL;
    }
    struct tu_member m = tu_catalogue_find(r->in, name, length);
    return m.tensor ? tu_view_leaf(&r->maker, m, error) : NULL;
}

/* ---- From the right to the left ---- */

static const struct tu_view *take_right(const struct tu_resolver *r, const struct tu_map_rule *rule,
                                        const struct tu_bindings *b, struct tu_found *f,
                                        struct tu_error *error)
{
    const struct tu_view *parts[TU_MAP_SIDE_MAX];
    for (size_t i = 0; i < rule->right_count; i++)
        if (!(parts[i] = leaf_of(r, &rule->right[i], b, error)))
            return NULL;
    if (rule->right_count > 1) {
        tu_say_step(f->steps, sizeof f->steps, "join(%zu)", rule->right_count);
        return tu_view_join(&r->maker, parts, rule->right_count, false, error);
    }
    if (rule->stacked < 0)
        return parts[0];
    uint64_t index = b->numbers[rule->stacked];
    if (!parts[0]->tensor.rank || index >= parts[0]->tensor.shape[0])
        return NULL;
    tu_say_step(f->steps, sizeof f->steps, "item(%" PRIu64 ")", index);
    return tu_view_item(&r->maker, parts[0], index, error);
}

static int resolve_by(const struct tu_resolver *r, const struct tu_map_rule *rule, const char *name,
                      size_t length, struct tu_found *out, struct tu_error *error)
{
    for (size_t i = 0; i < rule->left_count; i++) {
        struct tu_bindings b = {0};
        struct tu_error reason = {0};
        if (!tu_pattern_matches(&rule->left[i], name, length, &b))
            continue;
        struct tu_found f = {.padded = rule->padded, .tied = rule->tied};
        const struct tu_view *v = take_right(r, rule, &b, &f, &reason);
        if (v)
            v = apply_all(r, rule, &b, true, v, &f, &reason);
        if (v)
            v = split(r, rule, rule->left, rule->left_count, i, &b, v, &f, &reason);
        if (reason.code != TU_OK)
            return blame(r, rule, name, &reason, error);
        f.view = v;
        if (rule->tied)
            tu_say_step(f.steps, sizeof f.steps, "tied");
        if (v) {
            *out = f;
            return 1;
        }
    }
    return 0;
}

typedef int try_fn(const struct tu_resolver *r, const struct tu_map_rule *rule, const char *name,
                   size_t length, struct tu_found *out, struct tu_error *error);

/* What the first rule gives whose result has the size that is looked for, or else the first. */
static int try_rules(const struct tu_resolver *r, try_fn *try, size_t section, bool tied,
                     const char *name, size_t length, struct tu_found *out, struct tu_error *error)
{
    int found = 0;
    for (size_t i = 0; r->map && i < r->map->rule_count; i++) {
        const struct tu_map_rule *rule = &r->map->rules[i];
        struct tu_found f;
        if ((section != TU_ANY_SECTION && rule->section != section) || (rule->tied && !tied))
            continue;
        int result = try(r, rule, name, length, &f, error);
        bool fits =
            result > 0 && (!r->like || f.padded || f.view->tensor.elements == r->like->elements);
        if (fits || (result > 0 && !found))
            *out = f;
        if (fits || result < 0)
            return result;
        found |= result;
    }
    return found;
}

int tu_resolve(const struct tu_resolver *r, const char *name, size_t length, struct tu_found *out,
               struct tu_error *error)
{
    *out = (struct tu_found){0};
    struct tu_member m = tu_catalogue_find(r->in, name, length);
    if (!m.tensor || r->by_rules)
        return try_rules(r, resolve_by, TU_ANY_SECTION, true, name, length, out, error);
    out->view = tu_view_leaf(&r->maker, m, error);
    return out->view ? 1 : -1;
}

/* ---- From the left to the right ---- */

/* The left names of a rule, joined and transformed. */
static int make_one(const struct tu_resolver *r, const struct tu_map_rule *rule,
                    const struct tu_bindings *b, struct tu_found *f, struct tu_error *error)
{
    const struct tu_view *parts[TU_MAP_SIDE_MAX];
    struct tu_resolver exact = *r;
    exact.like = NULL; /* which is like the whole, not like its parts */
    for (size_t i = 0; i < rule->left_count; i++) {
        size_t length;
        struct tu_found part;
        char *name = tu_pattern_name(&rule->left[i], b, r->maker.arena, &length);
        if (!name)
            return tu_fail_memory(error);
        int found = tu_resolve(&exact, name, length, &part, error);
        if (found <= 0)
            return found;
        parts[i] = part.view;
        f->roped |= part.roped;
        f->tied |= part.tied;
        f->addend += part.addend;
        if (*part.steps && i == 0)
            tu_say_step(f->steps, sizeof f->steps, "%s", part.steps);
    }
    if (rule->left_count > 1)
        tu_say_step(f->steps, sizeof f->steps, "join(%zu)", rule->left_count);
    f->view = tu_view_join(&r->maker, parts, rule->left_count, false, error);
    if (f->view && f->view->kind == TU_VIEW_LEAF && rule->left_count > 1)
        *f->steps = '\0'; /* it was taken apart and put together again */
    if (f->view)
        f->view = apply_all(r, rule, b, false, f->view, f, error);
    return f->view ? 1 : -1;
}

/* All that have a number, from 0 on. */
static int make_stack(const struct tu_resolver *r, const struct tu_map_rule *rule,
                      struct tu_bindings *b, struct tu_found *f, struct tu_error *error)
{
    const struct tu_view **items = NULL;
    size_t count = 0, capacity = 0;
    int found = 1;
    b->bound |= 1u << rule->stacked;
    while (found > 0) {
        struct tu_found item = {0};
        b->numbers[rule->stacked] = count;
        found = make_one(r, rule, b, &item, error);
        if (found > 0 && !TU_GROW(items, count, capacity))
            found = tu_fail_memory(error);
        if (found <= 0)
            break;
        if (count == 0)
            *f = item;
        items[count++] = item.view;
    }
    if (found == 0 && count) {
        tu_say_step(f->steps, sizeof f->steps, "stack(%zu)", count);
        f->view = tu_view_join(&r->maker, items, count, true, error);
        found = f->view ? 1 : -1;
    }
    free(items);
    return found;
}

static int compose_by(const struct tu_resolver *r, const struct tu_map_rule *rule, const char *name,
                      size_t length, struct tu_found *out, struct tu_error *error)
{
    for (size_t i = 0; i < rule->right_count; i++) {
        struct tu_bindings b = {0};
        struct tu_error reason = {0};
        struct tu_found f = {0};
        if (!tu_pattern_matches(&rule->right[i], name, length, &b))
            continue;
        int found = rule->stacked >= 0 ? make_stack(r, rule, &b, &f, &reason)
                                       : make_one(r, rule, &b, &f, &reason);
        if (found > 0) {
            f.view = split(r, rule, rule->right, rule->right_count, i, &b, f.view, &f, &reason);
            found = f.view ? 1 : -1;
        }
        if (found < 0)
            return blame(r, rule, name, &reason, error);
        f.padded |= rule->padded;
        if (found > 0) {
            *out = f;
            return 1;
        }
    }
    return 0;
}

int tu_compose(const struct tu_resolver *r, const char *name, size_t length, struct tu_found *out,
               struct tu_error *error)
{
    *out = (struct tu_found){0};
    return try_rules(r, compose_by, r->section, false, name, length, out, error);
}

/* ---- Leaves ---- */

/* Whether all that a rule joins is there. */
static int is_complete(const struct tu_resolver *r, const struct tu_place *place, bool left,
                       struct tu_error *error)
{
    const struct tu_map_rule *rule = place->rule;
    size_t count = left ? rule->left_count : rule->right_count;
    for (size_t i = 0; count > 1 && i < count; i++) {
        struct tu_found f;
        size_t length;
        char *name = tu_pattern_name(left ? &rule->left[i] : &rule->right[i], &place->bindings,
                                     r->maker.arena, &length);
        if (!name)
            return tu_fail_memory(error);
        int found = left ? tu_resolve(r, name, length, &f, error)
                         : tu_catalogue_find(r->in, name, length).tensor != NULL;
        if (found <= 0)
            return found;
    }
    return 1;
}

int tu_find_complete(const struct tu_resolver *r, bool left, const char *name, size_t length,
                     struct tu_place *out, struct tu_error *error)
{
    *out = (struct tu_place){0};
    while (tu_map_find(r->map, left, left ? r->section : TU_ANY_SECTION, name, length, out)) {
        int complete = is_complete(r, out, left, error);
        if (complete)
            return complete;
    }
    return 0;
}

struct tu_member tu_view_first_leaf(const struct tu_view *v)
{
    while (v->kind != TU_VIEW_LEAF)
        v = v->of[0];
    return v->leaf;
}

void tu_view_leaves(const struct tu_view *v, void (*each)(void *context, struct tu_member leaf),
                    void *context)
{
    if (v->kind == TU_VIEW_LEAF)
        each(context, v->leaf);
    for (size_t i = 0; i < v->count; i++)
        tu_view_leaves(v->of[i], each, context);
}
