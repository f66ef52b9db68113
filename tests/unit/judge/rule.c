/* SPDX-License-Identifier: MIT */
/* Rules: how they are written, and what keeps them. */
#include "config.h"

#include "judge/rule.h"

#include "../tap.h"

static const struct tensor_value nan_value = {.type = TENSOR_FLOAT64, .real = NAN};

static bool holds(const char *text, const struct tensor_value *value)
{
    struct tu_rule rule;
    struct tu_error error = {0};
    if (tu_rule_parse(text, &rule, &error) < 0)
        return tap_fail(__FILE__, __LINE__, "'%s': %s", text, error.text);
    bool result = tu_rule_holds(&rule, value);
    tu_rule_free(&rule);
    return result;
}

TEST(the_parts_of_a_rule)
{
    static const struct {
        const char *text, *glob, *field, *value;
        enum tu_operator op;
    } cases[] = {
        {"max_diff < 1e-4", NULL, "max_diff", "1e-4", TU_LESS},
        {"max_diff<=1e-4", NULL, "max_diff", "1e-4", TU_LESS_EQUAL},
        {"  rmse  >  0.5  ", NULL, "rmse", "0.5", TU_GREATER},
        {"rmse >= -1", NULL, "rmse", "-1", TU_GREATER_EQUAL},
        {"status == ok", NULL, "status", "ok", TU_EQUAL},
        {"status!=ok", NULL, "status", "ok", TU_NOT_EQUAL},
        {"*.norm.*:max_diff <= 0", "*.norm.*", "max_diff", "0", TU_LESS_EQUAL},
        {"a:b : c:nan_a == 0", "a:b : c", "nan_a", "0", TU_EQUAL},
        {"\tblk.[0-9] : rmse\t<\t1\t", "blk.[0-9]", "rmse", "1", TU_LESS},
        {"x < 0x1p-3", NULL, "x", "0x1p-3", TU_LESS},
        {"name == two words", NULL, "name", "two words", TU_EQUAL},
        {"name == a:b", NULL, "name", "a:b", TU_EQUAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tu_rule rule;
        struct tu_error error = {0};
        if (!CHECK(tu_rule_parse(cases[i].text, &rule, &error) == 0))
            continue;
        CHECK_STRING(rule.field, cases[i].field);
        CHECK_STRING(rule.text, cases[i].value);
        CHECK(rule.op == cases[i].op);
        if (cases[i].glob)
            CHECK_STRING(rule.glob, cases[i].glob);
        else
            CHECK(rule.glob == NULL);
        tu_rule_free(&rule);
    }
}

TEST(what_is_no_rule)
{
    static const char *const cases[] = {
        "",         "max_diff", "<",        "< 1",        "max_diff <", "max_diff <= ",
        "name !=",  "name == ", "a b < 1",  "a.b < 1",    "a-b < 1",    "glob: < 1",
        ": < 1",    "x < inf",  "x > -inf", "x == 1e999", "x < nan",    "x < one",
        "x >= ok",  "x = 1",    "x =< 1",   "x <> 1",     "x < 1 2",    "x < 1,5",
        "x <= nan", "x == NaN", "x << 1",   "x <== 1",    "x ~ 1",      "1 < x < 2"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tu_rule rule;
        struct tu_error error = {0};
        if (tu_rule_parse(cases[i], &rule, &error) == 0) {
            tap_fail(__FILE__, __LINE__, "'%s' was taken", cases[i]);
            tu_rule_free(&rule);
        } else {
            CHECK(error.code == TU_EUSAGE && strstr(error.text, cases[i]) && !rule.field &&
                  !rule.text && !rule.glob);
        }
    }
}

TEST(numbers)
{
    struct tensor_value half = {.type = TENSOR_FLOAT64, .real = 0.5},
                        two = {.type = TENSOR_UINT64, .uint = 2},
                        minus = {.type = TENSOR_INT8, .sint = -1},
                        single = {.type = TENSOR_FLOAT32, .real = 0.5};
    CHECK(holds("x < 0.6", &half) && !holds("x < 0.5", &half) && holds("x <= 0.5", &half));
    CHECK(holds("x > 0.4", &half) && !holds("x > 0.5", &half) && holds("x >= 0.5", &half));
    CHECK(holds("x == 0.5", &half) && !holds("x != 0.5", &half) && holds("x != 0.6", &half));
    CHECK(holds("x == 5e-1", &single) && holds("x == 2", &two) && holds("x == 2.0", &two));
    CHECK(holds("x < 0", &minus) && holds("x == -1", &minus));
    struct tensor_value zero = {.type = TENSOR_FLOAT64, .real = -0.0};
    CHECK(holds("x == 0", &zero) && holds("x <= 0", &zero) && holds("x >= 0", &zero));
}

TEST(nan_keeps_no_rule)
{
    static const char *const rules[] = {"x < 1", "x <= 1", "x > 1", "x >= 1", "x == 1", "x != 1"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        CHECK(!holds(rules[i], &nan_value));
}

TEST(what_is_missing_keeps_no_rule)
{
    static const char *const rules[] = {"x < 1",  "x >= 1",  "x == 1",
                                        "x != 1", "x == ok", "x != ok"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        CHECK(!holds(rules[i], NULL));
}

TEST(words)
{
    struct tensor_value ok = {.type = TENSOR_STRING, .string = {"ok", 2}},
                        number = {.type = TENSOR_UINT64, .uint = 1},
                        digits = {.type = TENSOR_STRING, .string = {"1", 1}},
                        empty = {.type = TENSOR_STRING, .string = {"", 0}};
    CHECK(holds("x == ok", &ok) && !holds("x != ok", &ok) && holds("x != bad", &ok) &&
          !holds("x == bad", &ok));
    CHECK(!holds("x == o", &ok) && !holds("x == okay", &ok) && !holds("x == OK", &ok));
    /* a word is no number and a number no word, whatever the operator */
    CHECK(!holds("x == one", &number) && !holds("x != one", &number));
    CHECK(!holds("x == 1", &digits) && !holds("x != 1", &digits) && !holds("x < 2", &digits));
    CHECK(holds("x != ok", &empty));
    struct tensor_value array = {.type = TENSOR_ARRAY}, null = {.type = TENSOR_NULL},
                        yes = {.type = TENSOR_BOOLEAN, .boolean = true};
    CHECK(!holds("x != 1", &array) && !holds("x != ok", &array) && !holds("x != 1", &null) &&
          !holds("x != 1", &yes));
}

TEST(globs)
{
    struct tu_rule rule;
    struct tu_error error = {0};
    CHECK(tu_rule_parse("blk.*.attn_?.weight:x < 1", &rule, &error) == 0);
    CHECK(tu_rule_applies(&rule, "blk.0.attn_q.weight") &&
          tu_rule_applies(&rule, "blk.1.2.attn_k.weight"));
    CHECK(!tu_rule_applies(&rule, "blk.0.attn_norm.weight") && !tu_rule_applies(&rule, "") &&
          !tu_rule_applies(&rule, "xblk.0.attn_q.weight"));
    tu_rule_free(&rule);
    CHECK(tu_rule_parse("x < 1", &rule, &error) == 0);
    CHECK(tu_rule_applies(&rule, "anything") && tu_rule_applies(&rule, ""));
    tu_rule_free(&rule);
}

TEST(a_rule_for_some_records)
{
    struct tu_rule rule;
    struct tu_error error = {0};
    char text[200];
    CHECK(tu_rule_parse(" a if b:noise? <= 2 if  coarser==Q4_K,Q6_K ", &rule, &error) == 0);
    CHECK_STRING(rule.glob, "a if b");
    CHECK_STRING(rule.field, "noise");
    CHECK_STRING(rule.text, "2");
    CHECK(rule.optional && rule.condition && !rule.condition->optional &&
          rule.condition->op == TU_EQUAL);
    CHECK_STRING(rule.condition->field, "coarser");
    CHECK_STRING(rule.condition->text, "Q4_K,Q6_K");
    tu_rule_text(&rule, false, text, sizeof text);
    CHECK_STRING(text, "a if b:noise? <= 2 if coarser == Q4_K,Q6_K");
    tu_rule_text(&rule, true, text, sizeof text);
    CHECK_STRING(text, "noise <= 2");
    tu_rule_free(&rule);
    /* only between blanks, and with something behind it */
    CHECK(tu_rule_parse("name == gif", &rule, &error) == 0 && !rule.condition);
    tu_rule_free(&rule);
    CHECK(tu_rule_parse("name == what if", &rule, &error) == 0 && !rule.condition);
    CHECK_STRING(rule.text, "what if");
    tu_rule_free(&rule);
    CHECK(tu_rule_parse("name ==  if x", &rule, &error) == 0 && !rule.condition);
    CHECK_STRING(rule.text, "if x");
    tu_rule_free(&rule);
}

TEST(what_is_no_condition)
{
    static const char *const cases[] = {"x < 1 if y",
                                        "x < 1 if y < 1 if z < 1",
                                        "x < 1 if a:y < 1",
                                        "x < 1 if y? < 1",
                                        "x < 1 if coarser == Q",
                                        "x < 1 if dtype_a == q4_k",
                                        "x < 1 if dtype_b == F32,,X",
                                        "x < 1 if y < b",
                                        "x < 1 if y <"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tu_rule rule;
        struct tu_error error = {0};
        if (tu_rule_parse(cases[i], &rule, &error) == 0) {
            tap_fail(__FILE__, __LINE__, "'%s' was taken", cases[i]);
            tu_rule_free(&rule);
        } else {
            CHECK(error.code == TU_EUSAGE && !rule.field && !rule.condition);
        }
    }
}

TEST(several_words)
{
    struct tensor_value b = {.type = TENSOR_STRING, .string = {"b", 1}},
                        ab = {.type = TENSOR_STRING, .string = {"a,b", 3}},
                        empty = {.type = TENSOR_STRING, .string = {"", 0}};
    CHECK(holds("x == a,b", &b) && holds("x == b,a", &b) && !holds("x == a,bb", &b) &&
          !holds("x == ab,c", &b));
    CHECK(!holds("x != a,b", &b) && holds("x != a,c", &b));
    CHECK(holds("x == a,b", &ab) && !holds("x == a,b", &empty) && !holds("x == ,,", &empty));
}

TEST(operators_have_their_text)
{
    CHECK_STRING(tu_operator_text(TU_LESS), "<");
    CHECK_STRING(tu_operator_text(TU_LESS_EQUAL), "<=");
    CHECK_STRING(tu_operator_text(TU_GREATER), ">");
    CHECK_STRING(tu_operator_text(TU_GREATER_EQUAL), ">=");
    CHECK_STRING(tu_operator_text(TU_EQUAL), "==");
    CHECK_STRING(tu_operator_text(TU_NOT_EQUAL), "!=");
}
