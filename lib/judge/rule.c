/* SPDX-License-Identifier: MIT */
/* Parses a rule, which is never evaluated as code, and holds a value against it. */
#include "config.h"

#include "judge/rule.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/dtype.h"
#include "base/text.h"

/* Longer spellings first: "<=" is not "<" and a value. */
static const struct {
    const char *text;
    enum tu_operator op;
} operators[] = {
    {"<=", TU_LESS_EQUAL}, {">=", TU_GREATER_EQUAL}, {"==", TU_EQUAL},
    {"!=", TU_NOT_EQUAL},  {"<", TU_LESS},           {">", TU_GREATER},
};

const char *tu_operator_text(enum tu_operator op)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (operators[i].op == op)
            return operators[i].text;
    return "?";
}

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* The field stands behind the last colon before the operator, since names may hold colons. */
static const char *find_operator(const char *text, size_t *which)
{
    for (const char *p = text; *p; p++) {
        for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
            if (strncmp(p, operators[i].text, strlen(operators[i].text)) == 0) {
                *which = i;
                return p;
            }
        }
    }
    return NULL;
}

static bool is_field(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '_')
            return false;
    return length > 0;
}

static char *copy_trimmed(const char *text, const char *end)
{
    text = skip_blanks(text);
    while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return end >= text ? strndup(text, (size_t)(end - text)) : strdup("");
}

static int bad_rule(const char *text, const char *why, struct tu_error *error)
{
    return tu_fail(error, TU_EUSAGE, "'%s' is no rule: %s (as 'max_diff < 1e-4')", text, why);
}

/* Where an "if" stands between blanks behind the value, else the end. */
static const char *find_condition(const char *value)
{
    value = skip_blanks(value);
    for (const char *p = value; (p = strstr(p, "if")); p += 2)
        if (p > value && strchr(" \t", p[-1]) && p[2] && strchr(" \t", p[2]))
            return p;
    return value + strlen(value);
}

/* FIELD or FIELD?, up to the operator. */
static int parse_field(const char *text, const char *start, const char *end, struct tu_rule *out,
                       struct tu_error *error)
{
    while (end > start && strchr(" \t", end[-1]))
        end--;
    out->optional = end > start && end[-1] == '?';
    out->field = copy_trimmed(start, end - out->optional);
    if (!out->field)
        return tu_fail_memory(error);
    if (!is_field(out->field, strlen(out->field)))
        return bad_rule(text, "before the operator stands no field name", error);
    return 0;
}

static int parse_value(const char *text, const char *start, const char *end, struct tu_rule *out,
                       struct tu_error *error)
{
    out->text = copy_trimmed(start, end);
    if (!out->text)
        return tu_fail_memory(error);
    if (!*out->text)
        return bad_rule(text, "it has no value", error);
    out->is_number = tu_parse_double(out->text, &out->number);
    if (out->is_number && !isfinite(out->number))
        return bad_rule(text,
                        isnan(out->number) ? "no number can be compared with NaN"
                                           : "its number is not finite",
                        error);
    if (!out->is_number && out->op != TU_EQUAL && out->op != TU_NOT_EQUAL)
        return bad_rule(text, "its value is no number", error);
    return 0;
}

/* The parts in front of a condition, which begins at *rest or is none. */
static int parse_parts(const char *text, struct tu_rule *out, const char **rest,
                       struct tu_error *error)
{
    size_t which;
    const char *op = find_operator(text, &which), *colon = NULL;
    if (!op)
        return bad_rule(text, "it has no operator", error);
    for (const char *p = text; p < op; p++)
        if (*p == ':')
            colon = p;
    const char *value = op + strlen(operators[which].text);
    *rest = find_condition(value);
    *out = (struct tu_rule){
        .glob = colon ? copy_trimmed(text, colon) : NULL, .op = operators[which].op, .number = NAN};
    if (colon && !out->glob)
        return tu_fail_memory(error);
    if (parse_field(text, colon ? colon + 1 : text, op, out, error) < 0)
        return -1;
    return parse_value(text, value, *rest, out, error);
}

/* The next of the words between commas; false behind the last. */
static bool next_word(const char **at, size_t *length)
{
    *at += *length + (*length ? strspn(*at + *length, ",") : 0);
    *length = strcspn(*at, ",");
    return *length > 0;
}

/* A condition that names an element type that there is not would never hold, and nobody would see
 * it. */
static int check_types(const struct tu_rule *condition, const char *text, struct tu_error *error)
{
    const char *word = condition->text;
    size_t length = 0;
    bool unproven = strcmp(condition->field, "unproven") == 0;
    if (strncmp(condition->field, "dtype", 5) != 0 && strcmp(condition->field, "coarser") != 0 &&
        !unproven)
        return 0;
    while (next_word(&word, &length)) {
        if (unproven && length == 4 && strncmp(word, "none", 4) == 0)
            continue;
        const struct tu_dtype *type = tu_dtype_by_name(word, length);
        if (!type || strncmp(type->name, word, length) != 0)
            return bad_rule(text, "its condition names no element type of tensor-types(7)", error);
    }
    return 0;
}

int tu_condition_parse(const char *text, struct tu_rule *out, struct tu_error *error)
{
    const char *rest;
    *out = (struct tu_rule){0};
    int result = parse_parts(text, out, &rest, error);
    if (result == 0 && (out->glob || out->optional || *rest))
        result = bad_rule(text, "a condition is FIELD OP VALUE and no more", error);
    if (result == 0)
        result = check_types(out, text, error);
    if (result < 0)
        tu_rule_free(out);
    return result;
}

int tu_rule_parse(const char *text, struct tu_rule *out, struct tu_error *error)
{
    const char *rest;
    *out = (struct tu_rule){0};
    int result = parse_parts(text, out, &rest, error);
    if (result == 0 && *rest) {
        out->condition = calloc(1, sizeof *out->condition);
        result = out->condition ? tu_condition_parse(rest + 2, out->condition, error)
                                : tu_fail_memory(error);
    }
    if (result < 0)
        tu_rule_free(out);
    return result;
}

void tu_rule_free(struct tu_rule *rule)
{
    if (rule->condition)
        tu_rule_free(rule->condition);
    free(rule->condition);
    free(rule->glob);
    free(rule->field);
    free(rule->text);
    *rule = (struct tu_rule){0};
}

void tu_rule_text(const struct tu_rule *rule, bool brief, char *out, size_t size)
{
    const struct tu_rule *when = brief ? NULL : rule->condition;
    bool glob = rule->glob && !brief;
    snprintf(out, size, "%s%s%s%s %s %s%s%s%s%s%s%s", glob ? rule->glob : "", glob ? ":" : "",
             rule->field, rule->optional && !brief ? "?" : "", tu_operator_text(rule->op),
             rule->text, when ? " if " : "", when ? when->field : "", when ? " " : "",
             when ? tu_operator_text(when->op) : "", when ? " " : "", when ? when->text : "");
}

bool tu_rule_applies(const struct tu_rule *rule, const char *name)
{
    return !rule->glob || fnmatch(rule->glob, name, 0) == 0;
}

static bool number_holds(const struct tu_rule *rule, double x)
{
    switch (rule->op) {
    case TU_LESS:
        return x < rule->number;
    case TU_LESS_EQUAL:
        return x <= rule->number;
    case TU_GREATER:
        return x > rule->number;
    case TU_GREATER_EQUAL:
        return x >= rule->number;
    case TU_EQUAL:
        return x == rule->number;
    case TU_NOT_EQUAL:
        return !isnan(x) && x != rule->number;
    }
    return false;
}

/* Whether a value is the text, or one of the words between its commas. */
static bool is_among(const struct tensor_value *value, const char *text)
{
    const char *word = text;
    size_t length = 0;
    if (tu_value_equals(value, text))
        return true;
    while (next_word(&word, &length))
        if (value->string.length == length && memcmp(value->string.bytes, word, length) == 0)
            return true;
    return false;
}

static bool is_word(const char *word, const struct tu_rule *rule)
{
    const struct tensor_value v = {.type = TENSOR_STRING, .string = {word, strlen(word)}};
    return is_among(&v, rule->text) == (rule->op == TU_EQUAL);
}

bool tu_rule_holds(const struct tu_rule *rule, const struct tensor_value *value)
{
    double number;
    if (!value)
        return false;
    if (value->type == TENSOR_BOOLEAN)
        return rule->is_number ? number_holds(rule, value->boolean)
                               : is_word(value->boolean ? "true" : "false", rule);
    if (rule->is_number)
        return tu_value_number(value, &number) && number_holds(rule, number);
    return value->type == TENSOR_STRING && is_among(value, rule->text) == (rule->op == TU_EQUAL);
}
