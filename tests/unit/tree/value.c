/* SPDX-License-Identifier: MIT */
/* Trees of values, and JSON there and back. */
#include "config.h"

#include "tree/value.h"

#include "tree/json.h"
#include "../tap.h"

/* ---- Building ---- */

static struct tensor_value natural(uint64_t n)
{
    return (struct tensor_value){.type = TENSOR_UINT64, .uint = n};
}

TEST(a_tree_is_what_was_built)
{
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tu_builder b;
    struct tensor_value v, copy, one = natural(1);
    char text[] = "changes";
    CHECK(tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, &error) == 0);
    CHECK(tu_put_string(&b, "s", text, &error) == 0);
    CHECK(tu_builder_open(&b, "a", 1, TENSOR_ARRAY, TENSOR_UINT64, &error) == 0);
    for (int i = 0; i < 1000; i++)
        CHECK(tu_builder_add(&b, NULL, 0, &one, &error) == 0);
    CHECK(tu_builder_close(&b, &error) == 0);
    CHECK(tu_builder_open(&b, "m", 1, TENSOR_MAP, TENSOR_NULL, &error) == 0);
    CHECK(tu_put_real(&b, "x", 0.5, &error) == 0 && tu_builder_close(&b, &error) == 0);
    CHECK(tu_builder_end(&b, &v, &error) == 0);
    text[0] = 'C'; /* strings were copied */
    CHECK(v.map.count == 3 && tu_value_equals(tu_value_get(&v, "s"), "changes"));
    CHECK(tu_value_get(&v, "a")->array.count == 1000 && tu_value_get(&v, "a")->element == TENSOR_UINT64);
    struct tu_arena other = {0};
    CHECK(tu_value_copy(&v, &other, &copy, &error) == 0);
    tu_arena_free(&arena);
    double x;
    CHECK(tu_value_equals(tu_value_get(&copy, "s"), "changes"));
    CHECK(tu_value_get(&copy, "a")->array.items[999].uint == 1);
    CHECK(tu_value_number(tu_value_get(tu_value_get(&copy, "m"), "x"), &x) && x == 0.5);
    tu_arena_free(&other);
}

TEST(keys_belong_to_maps)
{
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tu_builder b;
    struct tensor_value v, one = natural(1);
    CHECK(tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, &error) == 0);
    CHECK_FAILS(tu_builder_add(&b, NULL, 0, &one, &error), error, "key");
    error = (struct tu_error){0};
    CHECK(tu_builder_open(&b, "a", 1, TENSOR_ARRAY, TENSOR_NULL, &error) == 0);
    CHECK_FAILS(tu_builder_add(&b, "k", 1, &one, &error), error, "key");
    error = (struct tu_error){0};
    CHECK_FAILS(tu_builder_end(&b, &v, &error), error, "open"); /* gives everything back */
    error = (struct tu_error){0};
    CHECK(tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, &error) == 0);
    CHECK_FAILS(tu_builder_close(&b, &error), error, "closed");
    tu_builder_cancel(&b);
    tu_arena_free(&arena);
}

TEST(duplicate_keys_are_refused_or_replaced)
{
    for (int replace = 0; replace < 2; replace++) {
        struct tu_arena arena = {0};
        struct tu_error error = {0};
        struct tu_builder b;
        struct tensor_value v;
        CHECK(tu_builder_begin(&b, &arena, replace ? TU_DUPLICATES_REPLACE : TU_DUPLICATES_REFUSED, &error) == 0);
        for (uint64_t i = 0; i < 3; i++)
            CHECK(tu_put_uint(&b, "k", i, &error) == 0 && tu_put_uint(&b, i == 1 ? "x" : "k2", i, &error) == 0);
        int result = tu_builder_end(&b, &v, &error);
        if (!replace) {
            CHECK_FAILS(result, error, "twice");
        } else if (CHECK(result == 0)) {
            uint64_t n;
            CHECK_UINT(v.map.count, 3);
            CHECK(tu_value_uint(tu_value_get(&v, "k"), &n) && n == 2);
            CHECK(tu_value_uint(tu_value_get(&v, "k2"), &n) && n == 2);
            CHECK(tu_value_uint(tu_value_get(&v, "x"), &n) && n == 1);
        }
        tu_arena_free(&arena);
    }
}

TEST(keys_that_differ_behind_a_nul_are_two)
{
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tu_builder b;
    struct tensor_value v, one = natural(1);
    CHECK(tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, &error) == 0);
    CHECK(tu_builder_add(&b, "a\0b", 3, &one, &error) == 0);
    CHECK(tu_builder_add(&b, "a\0c", 3, &one, &error) == 0);
    CHECK(tu_builder_add(&b, "a", 1, &one, &error) == 0);
    CHECK(tu_builder_end(&b, &v, &error) == 0 && v.map.count == 3);
    tu_arena_free(&arena);
}

TEST(depth_has_a_limit)
{
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tu_builder b;
    int depth = 1;
    CHECK(tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, &error) == 0);
    CHECK(tu_builder_open(&b, "a", 1, TENSOR_ARRAY, TENSOR_NULL, &error) == 0);
    do
        depth++;
    while (depth < 1000 && tu_builder_open(&b, NULL, 0, TENSOR_ARRAY, TENSOR_NULL, &error) == 0);
    CHECK_UINT((uint64_t)depth, TU_VALUE_DEPTH);
    CHECK(strstr(error.text, "nested deeper"));
    tu_builder_cancel(&b);
    tu_arena_free(&arena);
}

TEST(numbers_convert_where_that_is_exact)
{
    struct tensor_value v;
    uint64_t n;
    double x;
    v = (struct tensor_value){.type = TENSOR_INT8, .sint = 5};
    CHECK(tu_value_uint(&v, &n) && n == 5 && tu_value_number(&v, &x) && x == 5);
    v.sint = -5;
    CHECK(!tu_value_uint(&v, &n) && tu_value_number(&v, &x) && x == -5);
    v = (struct tensor_value){.type = TENSOR_FLOAT64, .real = 5};
    CHECK(!tu_value_uint(&v, &n) && tu_value_number(&v, &x) && x == 5);
    v = (struct tensor_value){.type = TENSOR_STRING, .string = {"5", 1}};
    CHECK(!tu_value_uint(&v, &n) && !tu_value_number(&v, &x));
    v = (struct tensor_value){.type = TENSOR_BOOLEAN, .boolean = true};
    CHECK(!tu_value_uint(&v, &n) && !tu_value_number(&v, &x));
    CHECK(!tu_value_uint(NULL, &n) && !tu_value_number(NULL, &x) && !tu_value_equals(NULL, ""));
}

TEST(type_names_go_there_and_back)
{
    for (int type = TENSOR_NULL; type <= TENSOR_MAP; type++) {
        enum tensor_value_type back;
        const char *name = tu_value_type_name((enum tensor_value_type)type);
        CHECK(tu_value_type_parse(name, strlen(name), &back) && (int)back == type);
        CHECK(!tu_value_type_parse(name, strlen(name) - 1, &back));
    }
}

/* ---- JSON ---- */

/* Parses text in pieces of a size and gives it as JSON again, or the message. */
static const char *rewrite(const char *text, size_t length, size_t piece, enum tu_duplicates duplicates)
{
    static char out[4096];
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tu_builder b;
    struct tensor_value v;
    int result = tu_builder_begin(&b, &arena, duplicates, &error);
    struct tu_json_parser *p = tu_json_parser_new(&b, &error);
    for (size_t at = 0; at < length && result == 0; at += piece)
        result = tu_json_parser_feed(p, text + at, length - at < piece ? length - at : piece);
    if (result == 0)
        result = tu_json_parser_end(p);
    else
        tu_json_parser_cancel(p);
    if (result < 0)
        tu_builder_cancel(&b);
    else
        result = tu_builder_end(&b, &v, &error);
    if (result == 0) {
        const char *json;
        size_t json_length;
        result = tu_json_text(&v, &arena, &json, &json_length, &error);
        CHECK(result < 0 || strlen(json) == json_length);
        snprintf(out, sizeof out, "%s", json);
    }
    if (result < 0) {
        CHECK(error.text[0] != '\0');
        snprintf(out, sizeof out, "error: %s", error.text);
    }
    tu_arena_free(&arena);
    return out;
}

static const char *once(const char *text)
{
    return rewrite(text, strlen(text), SIZE_MAX, TU_DUPLICATES_REFUSED);
}

TEST(json_comes_back)
{
    static const char *const cases[] = {
        "{}",
        "{\"a\":1,\"b\":-1,\"c\":1.5,\"d\":\"x\",\"e\":null,\"f\":true,\"g\":false,\"h\":[],\"i\":{},\"j\":[1,[2,{\"k\":3}]]}",
        "{\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":9223372036854775807}",
        "{\"a\":0.1,\"b\":1e+300,\"c\":1e-05}",
        "{\"\":0}",
        "{\"a\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}",
        "{\"a\":\"\\\"\\\\\"}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 12; piece++)
            CHECK_STRING(rewrite(cases[i], strlen(cases[i]), piece, TU_DUPLICATES_REFUSED), cases[i]);
}

TEST(json_escapes)
{
    CHECK_STRING(once("{\"a\":\"\\u0041\\u00e4\\ud83d\\ude00\\/\"}"), "{\"a\":\"A\xc3\xa4\xf0\x9f\x98\x80/\"}");
    /* what a terminal obeys is escaped, whatever its encoding */
    CHECK(strstr(once("{\"a\":\"\\u001b[2J\"}"), "\\u001B[2J") || strstr(once("{\"a\":\"\\u001b[2J\"}"), "\\u001b[2J"));
    CHECK_STRING(once("{\"a\":\"\\u007f\xc2\x9b\"}"), "{\"a\":\"\\u007f\\u009b\"}");
    CHECK_STRING(once("{\"a\":\"\\n\\t\"}"), "{\"a\":\"\\n\\t\"}");
}

TEST(json_numbers)
{
    CHECK_STRING(once("{\"a\":1.0}"), "{\"a\":1}");
    CHECK_STRING(once("{\"a\":1e2}"), "{\"a\":100}");
    CHECK_STRING(once("{\"a\":-0.0}"), "{\"a\":-0}");
    CHECK_STRING(once("{\"a\":18446744073709551616}"), "{\"a\":1.8446744073709552e+19}"); /* 2^64 is a double */
    CHECK_STRING(once("{\"a\":-9223372036854775809}"), "{\"a\":-9.223372036854776e+18}");
    CHECK_STRING(once("{\"a\":0.1e-400}"), "{\"a\":0}");
}

TEST(json_that_is_refused)
{
    static const char *const cases[] = {
        "",        "[]",          "1",        "null",         "\"a\"",       "{",           "}",         "{}}",
        "{}{}",    "{} x",        "{\"a\"}",  "{\"a\":}",     "{\"a\":1,}",  "{,}",         "{a:1}",     "{'a':1}",
        "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":0x10}", "{\"a\":NaN}", "{\"a\":tru}", "{\"a\":[1,]}",
        "{\"a\":[1 2]}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\n\"}", "{\"a\":\"\x1b\"}", "{\"a\":\"\xff\"}",
        "{\"a\":1 /* */}", "{\"a\":1}\x01", "{\"a\":\"",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 8; piece += 6)
            if (strncmp(rewrite(cases[i], strlen(cases[i]), piece, TU_DUPLICATES_REFUSED), "error: ", 7) != 0)
                tap_fail(__FILE__, __LINE__, "'%s' was taken", cases[i]);
}

TEST(json_half_surrogates_are_refused)
{
    static const char *const cases[] = {"{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\\ud800\\ud800\"}",
                                        "{\"\\ud800\":1}", "{\"a\":\"\\ud800x\"}"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strncmp(once(cases[i]), "error: ", 7) != 0)
            tap_fail(__FILE__, __LINE__, "'%s' was taken", cases[i]);
}

TEST(json_duplicates)
{
    static const char text[] = "{\"a\":1,\"b\":{\"c\":1,\"c\":2},\"a\":3}";
    CHECK(strstr(once(text), "twice"));
    CHECK_STRING(rewrite(text, strlen(text), 5, TU_DUPLICATES_REPLACE), "{\"b\":{\"c\":2},\"a\":3}");
}

TEST(json_depth)
{
    static const size_t depths[] = {1, TU_VALUE_DEPTH - 1, TU_VALUE_DEPTH, 200};
    char text[4096];
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        size_t depth = depths[i], n = (size_t)sprintf(text, "{\"a\":");
        memset(text + n, '[', depth);
        memset(text + n + depth, ']', depth);
        strcpy(text + n + 2 * depth, "}");
        bool refused = strstr(once(text), "deep") != NULL;
        CHECK(refused == (depth > TU_VALUE_DEPTH - 1));
    }
    /* and where nobody would guess it: a million of them */
    size_t length = 1000000;
    char *bomb = malloc(length + 6);
    memcpy(bomb, "{\"a\":", 5);
    memset(bomb + 5, '[', length);
    CHECK(strstr(rewrite(bomb, length + 5, 65536, TU_DUPLICATES_REFUSED), "deep"));
    free(bomb);
}

TEST(values_that_json_does_not_have)
{
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tensor_value items[] = {
        {.type = TENSOR_FLOAT64, .real = NAN},       {.type = TENSOR_FLOAT64, .real = -INFINITY},
        {.type = TENSOR_FLOAT32, .real = (double)0.1f}, {.type = TENSOR_STRING, .string = {"\xff\x1b", 2}},
        {.type = TENSOR_UINT8, .uint = 255},         {.type = TENSOR_INT8, .sint = -128}};
    struct tensor_value array = {.type = TENSOR_ARRAY, .array = {items, 6}};
    const char *text;
    size_t length;
    CHECK(tu_json_text(&array, &arena, &text, &length, &error) == 0);
    CHECK_STRING(text, "[null,null,0.1,\"\\\\xff\\\\x1b\",255,-128]");
    tu_arena_free(&arena);
}
