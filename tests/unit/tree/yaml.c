/* SPDX-License-Identifier: MIT */
/* YAML: what plain scalars mean, and where it ends. */
#include "config.h"

#include "../tap.h"

#include <string.h>

#include "tree/yaml.h"

static struct tu_arena arena;
static struct tensor_value map;
static struct tu_error error;

static int parse(const char *text)
{
    error = (struct tu_error){0};
    return tu_yaml_parse(text, strlen(text), &arena, &map, &error);
}

/* The value of "a: TEXT". */
static const struct tensor_value *value_of(const char *text)
{
    char line[256];
    snprintf(line, sizeof line, "a: %s\n", text);
    static const struct tensor_value none = {.type = TENSOR_MAP};
    return parse(line) == 0 ? tu_value_get(&map, "a") : &none;
}

static void check_type(const char *text, enum tensor_value_type type)
{
    const struct tensor_value *v = value_of(text);
    if (v->type != type)
        tap_fail(__FILE__, __LINE__, "'%s' is of type %d, not %d", text, v->type, type);
}

TEST(whole_numbers)
{
    CHECK(value_of("339")->type == TENSOR_INT64 && value_of("339")->sint == 339);
    CHECK(value_of("-0")->type == TENSOR_INT64 && value_of("-0")->sint == 0);
    CHECK(value_of("+7")->sint == 7);
    CHECK(value_of("007")->sint == 7);
    CHECK(value_of("-9223372036854775808")->sint == INT64_MIN);
    CHECK(value_of("18446744073709551615")->type == TENSOR_UINT64);
    CHECK(value_of("18446744073709551615")->uint == UINT64_MAX);
    check_type("18446744073709551616", TENSOR_FLOAT64);
    check_type("-9223372036854775809", TENSOR_FLOAT64);
}

TEST(other_numbers)
{
    CHECK_REAL(value_of("0.999")->real, 0.999);
    CHECK_REAL(value_of(".5")->real, 0.5);
    CHECK_REAL(value_of("5.")->real, 5);
    CHECK_REAL(value_of("-1e-3")->real, -1e-3);
    CHECK_REAL(value_of("1E+2")->real, 100);
    CHECK_REAL(value_of(".nan")->real, NAN);
    CHECK_REAL(value_of("-.Inf")->real, -INFINITY);
    CHECK_REAL(value_of("+.inf")->real, INFINITY);
    CHECK_REAL(value_of("1e999")->real, INFINITY);
}

TEST(what_looks_like_a_number_and_is_text)
{
    static const char *const texts[] = {
        "0x10", "0o17",  "1_000", "1,5", "1e",    "e1",  ".",   "+",     "-.",        "--1",
        "1-1",  "1.2.3", "nan",   "inf", "-.nan", "1e+", "1 2", "12:30", "2001-01-01"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_type(texts[i], TENSOR_STRING);
}

TEST(words)
{
    static const char *const texts[] = {"yes",  "no",     "on",    "off", "y", "tRUE",
                                        "nULL", "'true'", "\"1\"", "'~'", "''"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_type(texts[i], TENSOR_STRING);
    CHECK(value_of("true")->boolean && value_of("TRUE")->boolean);
    check_type("False", TENSOR_BOOLEAN);
    check_type("~", TENSOR_NULL);
    check_type("", TENSOR_NULL);
    check_type("null", TENSOR_NULL);
}

TEST(structure)
{
    CHECK(parse("a: [1, {b: c}]\n'd': |\n  two\n  lines\n? e\n: f\n") == 0);
    const struct tensor_value *a = tu_value_get(&map, "a");
    CHECK(a && a->type == TENSOR_ARRAY && a->array.count == 2);
    CHECK(tu_value_equals(tu_value_get(&a->array.items[1], "b"), "c"));
    CHECK(tu_value_equals(tu_value_get(&map, "d"), "two\nlines\n"));
    CHECK(tu_value_equals(tu_value_get(&map, "e"), "f"));
    CHECK(parse("\xEF\xBB\xBF"
                "a: b\n") == 0);
    CHECK(parse("--- {}\n...\n") == 0 && map.map.count == 0);
    /* a key that looks like something else is text */
    CHECK(parse("1: x\ntrue: y\n~: z\n") == 0 && tu_value_equals(tu_value_get(&map, "~"), "z"));
}

TEST(depth)
{
    char text[200];
    size_t inner = TU_VALUE_DEPTH - 1; /* besides the outermost mapping */
    snprintf(text, sizeof text, "a: %.*s%.*s", (int)inner,
             "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", (int)inner,
             "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    CHECK(parse(text) == 0);
    snprintf(text, sizeof text, "a: %.*s", (int)inner + 1,
             "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    CHECK_FAILS(parse(text), error, "nested too deep");
}

TEST(refusals)
{
    CHECK_FAILS(parse(""), error, "it is empty");
    CHECK_FAILS(parse("a: 1\na: 2\n"), error, "key 'a' occurs twice");
    CHECK_FAILS(parse("a: &b 1\nc: *b\n"), error, "line 2: an alias");
    CHECK_FAILS(parse("a: !x 1\n"), error, "a tag");
    CHECK_FAILS(parse("a: !!str 1\n"), error, "a tag");
    CHECK_FAILS(parse("a: 1\n---\nb: 2\n"), error, "line 2: a second document");
    CHECK_FAILS(parse("[a]: b\n"), error, "a key that is no text");
    CHECK_FAILS(parse("- a\n"), error, "this is no mapping");
    CHECK_FAILS(parse("a: \"\\0\"\n"), error, "text with a NUL");
    CHECK_FAILS(parse("a: \xC0\x80\n"), error, "byte 3: ");
    CHECK_FAILS(parse("a: b: c\n"), error, "line 1: ");
}
