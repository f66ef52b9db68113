/* SPDX-License-Identifier: MIT */
/* Maps: what was parsed keeps its bounds, and a name that a rule makes is one that it knows. */
#include "config.h"

#include "fuzz.h"

#include <string.h>

#include "map/language.h"
#include "base/text.h"

static void check_name(const struct tu_pattern *pattern, const struct tu_bindings *bindings,
                       struct tu_arena *arena)
{
    size_t length;
    struct tu_bindings found = {0};
    char *name = tu_pattern_name(pattern, bindings, arena, &length);
    FUZZ_CHECK(name && strlen(name) == length && tu_is_utf8(name, length));
    FUZZ_CHECK(tu_pattern_matches(pattern, name, length, &found));
    FUZZ_CHECK((found.bound & pattern->numbers) == pattern->numbers);
    found = *bindings;
    FUZZ_CHECK(tu_pattern_matches(pattern, name, length, &found));
    tu_pattern_matches(pattern, name, length / 2, &found);
}

static void check_side(const struct tu_map *map, const struct tu_pattern *side, size_t count)
{
    static const struct tu_bindings bindings[] = {
        {.numbers = {0, 1, 2, 3},
         .bound = 15,
         .part = "weight",
         .part_length = 6,
         .star = "",
         .star_length = 0},
        {.numbers = {12, 999999999, 7, 0},
         .bound = 15,
         .part = "bias",
         .part_length = 4,
         .star = "model.x",
         .star_length = 7},
    };
    struct tu_arena arena = {0};
    FUZZ_CHECK(count >= 1 && count <= TU_MAP_SIDE_MAX);
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(side[i].count >= 1 && (!side[i].weight || tu_map_count(map, side[i].weight)));
        for (size_t k = 0; k < sizeof bindings / sizeof *bindings; k++)
            check_name(&side[i], &bindings[k], &arena);
    }
    tu_arena_free(&arena);
}

static void check_rule(const struct tu_map *map, const struct tu_map_rule *rule)
{
    check_side(map, rule->left, rule->left_count);
    check_side(map, rule->right, rule->right_count);
    FUZZ_CHECK(rule->left_count == 1 || rule->right_count == 1);
    FUZZ_CHECK(rule->section < map->sections.count && rule->step_count <= TU_MAP_STEPS_MAX);
    FUZZ_CHECK(rule->stacked < TU_MAP_NUMBERS_MAX);
    for (size_t i = 0; i < rule->step_count; i++) {
        const struct tu_step *s = &rule->steps[i];
        FUZZ_CHECK(s->rank <= TU_MAP_RANK_MAX);
        FUZZ_CHECK(s->kind != TU_STEP_ROPE || s->head_count || tu_map_count(map, s->heads));
        FUZZ_CHECK((s->kind != TU_STEP_ROWS && s->kind != TU_STEP_COLUMNS) || s->first < s->end);
    }
}

void fuzz_map(const uint8_t *data, size_t size)
{
    struct tu_map map;
    struct tu_error error = {0};
    if (tu_map_parse(&map, "maps/fuzz.map", (const char *)data, size, &error) < 0) {
        fuzz_check_error(&error);
        return;
    }
    FUZZ_CHECK(strcmp(map.name, "fuzz") == 0 && map.left && map.rule_count > 0);
    for (size_t i = 0; i < map.rule_count; i++)
        check_rule(&map, &map.rules[i]);
    tu_map_renames(&map);
    tu_map_free(&map);
}
