/* SPDX-License-Identifier: MIT */
/* tensor-map: renames and transforms tensors by the rules of a map. */
#include "config.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "tool/main.h"
#include "model/feed.h"
#include "tool/output.h"
#include "tool/put-view.h"
#include "map/apply.h"

static struct tu_tool tool;
static struct tu_output output;
static const char *map_name = "auto", *to;

static const struct tu_option options[] = {
    {0, "map", "auto|MAP", "a map's name or file (default auto: by metadata or names)",
     tu_option_string, &map_name},
    {0, "to", "SIDE", "hf, gguf or another side of the map (default: the other one)",
     tu_option_string, &to},
    TU_PACKS_OPTION(tool),
    TU_SELECT_OPTIONS(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* Where to: the left side, or a section of the right one. */
enum { TO_LEFT = -1 };

enum { ORIGIN = 1 };

struct work {
    struct tu_feed feed;
    struct tu_maps maps;
    const struct tu_map *map;
    bool renaming;                 /* the map needs to see no more than one tensor */
    struct tu_catalogue catalogue; /* of the current operand's models */
    uint64_t catalogued;           /* the operand it is of */
    struct tu_facts facts;
    int direction;
    struct tu_arena names; /* that were put out */
    void *tree;
};

/* ---- What there is ---- */

static int catalogue_operand(struct work *w, struct tu_error *error)
{
    const struct tu_operand *o = &w->feed.operand;
    tu_catalogue_free(&w->catalogue);
    if (tu_catalogue_operand(&w->catalogue, o, error) < 0)
        return -1;
    w->facts.metadata[0] = o->model_count ? &o->models[0].metadata : NULL;
    return 0;
}

static int parse_direction(const struct work *w, struct tu_error *error)
{
    if (strcmp(to, w->map->left) == 0)
        return TO_LEFT;
    for (size_t i = 0; i < w->map->sections.count; i++)
        if (strcmp(to, w->map->sections.items[i]) == 0)
            return (int)i;
    tu_fail(error, TU_EUSAGE, "--to: map %s has no side '%s'", w->map->name, to);
    return -2;
}

/* To the left, where names that stand on the right alone prevail; else to the first of the right.
 */
static int find_direction(const struct work *w)
{
    size_t left = 0;
    for (size_t i = 0; i < w->catalogue.count; i++) {
        const struct tu_entry *e = &w->catalogue.entries[i];
        struct tu_place place = {0};
        left += tu_map_find(w->map, true, TU_ANY_SECTION, e->bare, e->bare_length, &place);
    }
    return tu_map_knows(w->map, &w->catalogue) > left ? TO_LEFT : 0;
}

static int settle(struct work *w, struct tu_error *error)
{
    const struct tu_catalogue *const both[2] = {&w->catalogue, NULL};
    if (strcmp(map_name, "auto") == 0)
        w->map = tu_maps_choose(&w->maps, &w->facts, both);
    if (!w->map)
        return tu_fail(error, TU_EINVALID,
                       "%s: no map fits its metadata or names (name one: --map)",
                       w->feed.operand.models[0].source.path);
    w->direction = to ? parse_direction(w, error) : find_direction(w);
    return w->direction < TO_LEFT ? -1 : 0;
}

/* ---- Putting out ---- */

/* A name that was put out, and by which rule: parts of one tensor lead to it several times. */
struct made {
    char *name; /* first: the tree is ordered by it */
    const struct tu_map_rule *rule;
};

static int compare_made(const void *a, const void *b)
{
    const struct made *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void ignore(void *node)
{
    (void)node;
}

/* 1 if a name is new, 0 if the same rule made it before. */
static int note_name(struct work *w, const char *name, size_t length,
                     const struct tu_map_rule *rule, struct tu_error *error)
{
    struct made *m = tu_arena_alloc(&w->names, sizeof *m);
    if (!m || !(m->name = tu_arena_copy(&w->names, name, length)))
        return tu_fail_memory(error);
    m->rule = rule;
    struct made **node = tsearch(m, &w->tree, compare_made);
    if (!node)
        return tu_fail_memory(error);
    if (*node == m)
        return 1;
    return rule && (*node)->rule == rule
               ? 0
               : tu_fail(error, TU_EINVALID, "two tensors would be called '%s'", name);
}

/* Where a tensor comes from: the source it was made of stays, its place there does not. */
static void keep_origin(const struct tensor_value *map, struct tensor_pair *pairs,
                        struct tensor_value *out)
{
    size_t count = 0;
    for (size_t i = 0; i < map->map.count && count < ORIGIN; i++)
        if (strcmp(map->map.pairs[i].key.string.bytes, "source") == 0)
            pairs[count++] = map->map.pairs[i];
    *out = (struct tensor_value){.type = TENSOR_MAP, .map = {pairs, count}};
}

static int put_view(struct work *w, const struct tu_view *v, const char *name, size_t length,
                    const struct tu_item *item, struct tu_error *error)
{
    struct tensor_pair pairs[ORIGIN];
    struct tensor_value extra;
    keep_origin(&item->map, pairs, &extra);
    return tu_put_view(&output, v, (struct tu_view_name){name, length}, &extra, &w->feed, error);
}

/* ---- One tensor ---- */

static int put_made(struct work *w, const struct tu_resolver *r, const struct tu_map_rule *rule,
                    const char *name, size_t length, bool left, const struct tu_item *item,
                    struct tu_error *error)
{
    struct tu_found f;
    int fresh = note_name(w, name, length, rule, error);
    if (fresh <= 0)
        return fresh;
    struct tu_resolver by_rules = *r;
    by_rules.by_rules = true;
    int found = left ? tu_resolve(&by_rules, name, length, &f, error)
                     : tu_compose(r, name, length, &f, error);
    if (found > 0)
        return put_view(w, f.view, name, length, item, error);
    return found < 0 ? -1
                     : tu_fail(error, TU_EINVALID,
                               "tensor '%s' cannot be made: not all of its parts are there", name);
}

/* What becomes of a tensor with a left name. */
static int put_from_left(struct work *w, const struct tu_resolver *r,
                         const struct tu_map_rule *maker, const char *name, size_t length,
                         const struct tu_item *item, struct tu_error *error)
{
    struct tu_place place;
    int found =
        w->direction == TO_LEFT ? 0 : tu_find_complete(r, true, name, length, &place, error);
    if (found <= 0)
        return found < 0 ? -1 : put_made(w, r, maker, name, length, true, item, error);
    for (size_t i = 0; i < place.rule->right_count; i++) {
        char *made =
            tu_pattern_name(&place.rule->right[i], &place.bindings, r->maker.arena, &length);
        if (!made)
            return tu_fail_memory(error);
        if (put_made(w, r, place.rule, made, length, false, item, error) < 0)
            return -1;
    }
    return 0;
}

/* The left names that stand for a tensor with a right one, and what becomes of them. */
static int put_from_right(struct work *w, const struct tu_resolver *r, struct tu_place *place,
                          const struct tu_item *item, struct tu_error *error)
{
    const struct tu_map_rule *rule = place->rule;
    bool unstacks = rule->stacked >= 0;
    uint64_t items = !unstacks ? 1 : item->tensor.rank ? item->tensor.shape[0] : 0;
    for (uint64_t n = 0; n < items; n++) {
        if (unstacks) {
            place->bindings.bound |= 1u << rule->stacked;
            place->bindings.numbers[rule->stacked] = n;
        }
        for (size_t i = 0; i < rule->left_count; i++) {
            size_t length;
            char *name = tu_pattern_name(&rule->left[i], &place->bindings, r->maker.arena, &length);
            if (!name)
                return tu_fail_memory(error);
            if (put_from_left(w, r, rule, name, length, item, error) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- Streams, of which one tensor is there at a time ---- */

static int pass(struct work *w, const struct tu_item *item, struct tu_error *error)
{
    const struct tu_tensor *t = &item->tensor;
    return note_name(w, t->name, t->name_length, NULL, error) < 0
               ? -1
               : tu_feed_pass(&w->feed, item, &output, error);
}

static int rename_passing(struct work *w, struct tu_item *item, struct tu_error *error)
{
    bool left = w->direction == TO_LEFT;
    struct tu_tensor *t = &item->tensor;
    struct tu_place place = {0};
    if (tu_map_find(w->map, !left, left ? TU_ANY_SECTION : (size_t)w->direction, t->name,
                    t->name_length, &place)) {
        const struct tu_pattern *other = left ? place.rule->left : place.rule->right;
        t->name = tu_pattern_name(other, &place.bindings, &w->feed.arena, &t->name_length);
        if (!t->name)
            return tu_fail_memory(error);
    }
    return pass(w, item, error);
}

/* ---- Going through ---- */

static int map_name_of(struct work *w, const struct tu_resolver *r, const struct tu_item *item,
                       struct tu_error *error)
{
    const struct tu_tensor *t = &item->tensor;
    bool to_left = w->direction == TO_LEFT;
    struct tu_place place;
    int found = to_left ? 0 : tu_find_complete(r, true, t->name, t->name_length, &place, error);
    if (found > 0)
        return put_from_left(w, r, place.rule, t->name, t->name_length, item, error);
    if (found == 0)
        found = tu_find_complete(r, false, t->name, t->name_length, &place, error);
    if (found < 0)
        return -1;
    return found && (to_left || place.rule->section != r->section)
               ? put_from_right(w, r, &place, item, error)
               : pass(w, item, error);
}

static int map_tensor(struct work *w, struct tu_item *item, struct tu_error *error)
{
    struct tu_arena arena = {0};
    bool to_left = w->direction == TO_LEFT;
    const struct tu_resolver r = {.map = w->map,
                                  .in = &w->catalogue,
                                  .facts = w->facts,
                                  .section = to_left ? TU_ANY_SECTION : (size_t)w->direction,
                                  .maker = {&arena, tool.session.kernels}};
    int result = map_name_of(w, &r, item, error);
    tu_arena_free(&arena);
    return result;
}

static int map_item(struct work *w, struct tu_item *item, struct tu_error *error)
{
    if (item->kind != TU_KIND_TENSOR)
        return tu_output_record(&output, &item->map, error);
    if (!tu_selects(&tool.session.selection, &item->tensor))
        return pass(w, item, error);
    if (w->renaming)
        return rename_passing(w, item, error);
    if (w->catalogued != w->feed.next_operand) {
        w->catalogued = w->feed.next_operand;
        if (catalogue_operand(w, error) < 0 || settle(w, error) < 0)
            return -1;
    }
    return map_tensor(w, item, error);
}

static int map_items(struct work *w, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(&w->feed, &item, error)) > 0)
        if (map_item(w, &item, error) < 0)
            return -1;
    return more;
}

/* A map that only renames, and in a direction that is known, leaves streams streams. */
static int load(struct work *w, struct tu_error *error)
{
    if (strcmp(map_name, "auto") == 0)
        return tu_maps_load(&w->maps, error);
    if (tu_maps_load_one(&w->maps, map_name, error) < 0)
        return -1;
    w->map = w->maps.list;
    w->renaming = to && tu_map_renames(w->map);
    w->direction = to ? parse_direction(w, error) : TO_LEFT;
    return w->direction < TO_LEFT ? -1 : 0;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct work w = {0};
    int result = tu_output_open(&output, t, "tensor", tu_tensor_columns, error);
    if (result == 0)
        result = load(&w, error);
    if (result == 0) {
        tu_feed_open(&w.feed, &t->session, operands, count, false);
        w.feed.access = w.renaming ? TU_ACCESS_SEQUENTIAL : TU_ACCESS_RANDOM;
        result = map_items(&w, error);
        tu_feed_close(&w.feed);
    }
    tu_catalogue_free(&w.catalogue);
    tu_maps_free(&w.maps);
    if (w.tree)
        tdestroy(w.tree, ignore);
    tu_arena_free(&w.names);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-map",
        .synopsis = "[OPTION]... [MODEL|-]...",
        .about =
            "Renames, transposes, splits, stacks and otherwise transforms tensors by the rules\n"
            "of a map: what is called and stored one way becomes another.",
        .options = options,
        .max_operands = SIZE_MAX,
        .packs = TU_PACKS_VALUES,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
