/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "rule.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

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

static int parse_parts(const char *text, struct tu_rule *out, struct tu_error *error)
{
    size_t which;
    const char *op = find_operator(text, &which), *colon = NULL;
    if (!op)
        return bad_rule(text, "it has no operator", error);
    for (const char *p = text; p < op; p++)
        if (*p == ':')
            colon = p;
    const char *field = colon ? colon + 1 : text;
    const char *value = op + strlen(operators[which].text);
    *out = (struct tu_rule){.glob = colon ? copy_trimmed(text, colon) : NULL,
                            .field = copy_trimmed(field, op),
                            .op = operators[which].op,
                            .text = copy_trimmed(value, value + strlen(value)),
                            .number = NAN};
    if (!out->field || !out->text || (colon && !out->glob))
        return tu_fail_memory(error);
    if (!is_field(out->field, strlen(out->field)))
        return bad_rule(text, "before the operator stands no field name", error);
    if (!*out->text)
        return bad_rule(text, "it has no value", error);
    out->is_number = tu_parse_double(out->text, &out->number);
    if (out->is_number && isnan(out->number))
        return bad_rule(text, "no number can be compared with NaN", error);
    if (!out->is_number && (out->op != TU_EQUAL && out->op != TU_NOT_EQUAL))
        return bad_rule(text, "its value is no number", error);
    return 0;
}

int tu_rule_parse(const char *text, struct tu_rule *out, struct tu_error *error)
{
    *out = (struct tu_rule){0};
    if (parse_parts(text, out, error) == 0)
        return 0;
    tu_rule_free(out);
    return -1;
}

void tu_rule_free(struct tu_rule *rule)
{
    free(rule->glob);
    free(rule->field);
    free(rule->text);
    *rule = (struct tu_rule){0};
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

bool tu_rule_holds(const struct tu_rule *rule, const struct tensor_value *value)
{
    double number;
    if (!value)
        return false;
    if (rule->is_number)
        return tu_value_number(value, &number) && number_holds(rule, number);
    bool equal = tu_value_equals(value, rule->text);
    return value->type == TENSOR_STRING && equal == (rule->op == TU_EQUAL);
}
