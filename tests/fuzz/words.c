/* SPDX-License-Identifier: MIT */
/* What users and files say in words: JSON, shard indexes, rules, names, numbers, lists. */
#include "config.h"

#include "fuzz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/parts.h"
#include "tensor/name.h"
#include "tree/json.h"
#include "judge/rule.h"
#include "model/select.h"
#include "base/text.h"

static char *as_string(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* ---- JSON ---- */

static int feed(struct tu_json_parser *parser, const uint8_t *data, size_t size, size_t piece)
{
    int result = 0;
    for (size_t done = 0, n; result == 0 && done < size; done += n) {
        n = size - done < piece ? size - done : piece;
        result = tu_json_parser_feed(parser, data + done, n);
    }
    return result;
}

/* Parses JSON that comes in pieces; its text, or NULL with the failure checked. */
static const char *parse(const uint8_t *data, size_t size, size_t piece,
                         enum tu_duplicates duplicates, struct tu_arena *arena)
{
    struct tu_builder builder;
    struct tu_error error = {0};
    struct tensor_value map;
    FUZZ_WORKS(tu_builder_begin(&builder, arena, duplicates, &error), &error);
    struct tu_json_parser *parser = tu_json_parser_new(&builder, &error);
    FUZZ_CHECK(parser);
    int result = feed(parser, data, size, piece);
    if (result == 0)
        result = tu_json_parser_end(parser);
    else
        tu_json_parser_cancel(parser);
    if (result == 0)
        result = tu_builder_end(&builder, &map, &error);
    else
        tu_builder_cancel(&builder);
    if (result < 0) {
        fuzz_check_error(&error);
        return NULL;
    }
    fuzz_check_metadata(&map);
    return fuzz_json_text(&map, arena);
}

void fuzz_json(const uint8_t *data, size_t size)
{
    struct tu_arena arena = {0};
    const char *whole = parse(data, size, size + 1, TU_DUPLICATES_REPLACE, &arena);
    const char *pieces = parse(data, size, 3, TU_DUPLICATES_REPLACE, &arena);
    const char *refused = parse(data, size, size + 1, TU_DUPLICATES_REFUSED, &arena);
    FUZZ_CHECK(!whole == !pieces && (!whole || strcmp(whole, pieces) == 0));
    FUZZ_CHECK(!refused || (whole && strcmp(whole, refused) == 0));
    tu_arena_free(&arena);
}

/* ---- Shard indexes ---- */

/* Every part lies in the folder of the index, and comes once. */
static void check_parts(const struct tu_parts *parts)
{
    size_t folder = strlen(parts->folder);
    FUZZ_CHECK(parts->count > 0 && parts->count <= parts->weight_map.map.count);
    for (size_t i = 0; i < parts->count; i++) {
        const char *path = parts->paths[i], *name = path + folder + 1;
        FUZZ_CHECK(strncmp(path, parts->folder, folder) == 0 && path[folder] == '/');
        FUZZ_CHECK(*name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, ".."));
        FUZZ_CHECK(i == 0 || strcmp(parts->paths[i - 1], path) < 0);
    }
}

void fuzz_index(const uint8_t *data, size_t size)
{
    struct tu_arena arena = {0};
    struct tu_parts parts;
    struct tu_error error = {0};
    char path[64];
    int fd = fuzz_file(data, size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    tu_is_shard_index("model.index.json", data, size);
    if (tu_parts_of_index(path, &arena, &parts, &error) < 0)
        fuzz_check_error(&error);
    else
        check_parts(&parts);
    char *text = as_string(data, size);
    error = (struct tu_error){0};
    if (tu_parts_of_split(text, 3, &arena, &parts, &error) < 0)
        fuzz_check_error(&error);
    else
        FUZZ_CHECK(parts.count == 0 || parts.count == 3);
    free(text);
    close(fd);
    tu_arena_free(&arena);
}

/* ---- Rules ---- */

static void check_judgement(struct tu_rule *rule)
{
    static const double numbers[] = {0, -1, 1e-4, 1e300, INFINITY, -INFINITY, NAN};
    static const enum tu_operator opposites[] = {
        [TU_LESS] = TU_GREATER_EQUAL, [TU_GREATER_EQUAL] = TU_LESS, [TU_GREATER] = TU_LESS_EQUAL,
        [TU_LESS_EQUAL] = TU_GREATER, [TU_EQUAL] = TU_NOT_EQUAL,    [TU_NOT_EQUAL] = TU_EQUAL};
    struct tu_rule opposite = *rule;
    opposite.op = opposites[rule->op];
    FUZZ_CHECK(!tu_rule_holds(rule, NULL));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct tensor_value v = {.type = TENSOR_FLOAT64, .real = numbers[i]};
        bool holds = tu_rule_holds(rule, &v), other = tu_rule_holds(&opposite, &v);
        FUZZ_CHECK(rule->is_number && !isnan(v.real) ? holds != other : !holds && !other);
    }
    struct tensor_value word = {.type = TENSOR_STRING, .string = {rule->text, strlen(rule->text)}};
    FUZZ_CHECK(tu_rule_holds(rule, &word) == (!rule->is_number && rule->op == TU_EQUAL));
    bool applies = tu_rule_applies(rule, "model.layers.0.mlp.weight");
    FUZZ_CHECK(rule->glob || applies);
}

/* The rule as users would write it. */
static char *print_rule(const struct tu_rule *rule, size_t room)
{
    char *text = malloc(room);
    if (!text)
        abort();
    tu_rule_text(rule, false, text, room);
    FUZZ_CHECK(strlen(text) + 1 < room);
    return text;
}

static void check_same_rule(const struct tu_rule *a, const struct tu_rule *b)
{
    FUZZ_CHECK(!a->glob == !b->glob && (!a->glob || strcmp(a->glob, b->glob) == 0));
    FUZZ_CHECK(strcmp(a->field, b->field) == 0 && strcmp(a->text, b->text) == 0);
    FUZZ_CHECK(a->op == b->op && a->is_number == b->is_number && a->optional == b->optional);
    FUZZ_CHECK(!a->condition == !b->condition);
    if (a->condition)
        check_same_rule(a->condition, b->condition);
    FUZZ_CHECK(!a->is_number || (a->number == b->number && !isnan(a->number)));
}

void fuzz_rule(const uint8_t *data, size_t size)
{
    struct tu_rule rule, again;
    struct tu_error error = {0};
    char *text = as_string(data, size);
    if (tu_rule_parse(text, &rule, &error) < 0) {
        fuzz_check_error(&error);
    } else {
        char *printed = print_rule(&rule, 2 * size + 64);
        check_judgement(&rule);
        FUZZ_WORKS(tu_rule_parse(printed, &again, &error), &error);
        check_same_rule(&rule, &again);
        tu_rule_free(&again);
        tu_rule_free(&rule);
        free(printed);
    }
    free(text);
}

/* ---- Text and options ---- */

static void check_escape(const char *text, size_t length, size_t size)
{
    char *out = malloc(size);
    if (!out)
        abort();
    size_t n = tu_escape(text, length, out, size);
    FUZZ_CHECK(n < size && out[n] == '\0' && strlen(out) == n);
    fuzz_check_printable(out, n);
    free(out);
}

static void check_number(const uint8_t *data)
{
    double value, again;
    char text[TU_NUMBER_SIZE];
    memcpy(&value, data, sizeof value);
    tu_format_double(value, text);
    FUZZ_CHECK(strlen(text) < sizeof text && tu_parse_double(text, &again));
    FUZZ_CHECK(isnan(value) ? isnan(again) : again == value);
}

static void check_words(const char *text, size_t length)
{
    uint64_t number;
    double real;
    enum tensor_value_type type;
    const struct tu_dtype *dtype = tu_dtype_by_name(text, length);
    FUZZ_CHECK(!dtype || tu_dtype(dtype->code) == dtype);
    if (tu_value_type_parse(text, length, &type))
        FUZZ_CHECK(strcmp(tu_value_type_name(type), text) == 0);
    tu_parse_double(text, &real);
    tu_parse_size(text, &number);
    tu_layer_of(text, &number);
    if (tu_parse_u64(text, &number))
        FUZZ_CHECK(tu_parse_size(text, &number) || length >= 24);
}

static void check_selection(const char *text)
{
    static int (*const parsers[])(void *, const char *, struct tu_error *) = {
        tu_select_layers, tu_select_dtypes, tu_select_order};
    for (size_t i = 0; i < sizeof parsers / sizeof *parsers; i++) {
        struct tu_selection selection = {0};
        struct tu_error error = {0};
        struct tu_tensor tensor = {
            .name = "model.layers.3.weight", .name_length = 21, .dtype = TENSOR_F32};
        if (parsers[i](&selection, text, &error) < 0)
            fuzz_check_error(&error);
        else
            tu_selects(&selection, &tensor);
        tu_selection_free(&selection);
    }
}

void fuzz_text(const uint8_t *data, size_t size)
{
    char *text = as_string(data, size);
    check_escape(text, size, 1);
    check_escape(text, size, 4);
    check_escape(text, size, 1 + size);
    check_escape(text, size, 4 * size + 8);
    if (size >= sizeof(double))
        check_number(data);
    check_words(text, strlen(text));
    check_selection(text);
    free(text);
}
