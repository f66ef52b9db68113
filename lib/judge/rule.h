/* SPDX-License-Identifier: MIT */
/*
 * Rules that records are judged by: "[GLOB:]FIELD[?] OP VALUE [if FIELD OP VALUE]".  The language
 * is that of tensor-rules(5).
 */
#ifndef TU_RULE_H
#define TU_RULE_H

#include "base/error.h"
#include "tree/value.h"

enum tu_operator { TU_LESS, TU_LESS_EQUAL, TU_GREATER, TU_GREATER_EQUAL, TU_EQUAL, TU_NOT_EQUAL };

struct tu_rule {
    char *glob;    /* NULL: every name */
    char *field;   /* letters, digits and _ */
    bool optional; /* FIELD?: records without the field are no concern of it */
    enum tu_operator op;
    char *text;    /* the value as it was written: a number, a word, or words between commas */
    double number; /* NaN where the value is a word */
    bool is_number;
    struct tu_rule *condition; /* what stands behind "if"; NULL: nothing */
};

/* Parses a rule; what it allocates is given back by tu_rule_free. */
int tu_rule_parse(const char *text, struct tu_rule *out, struct tu_error *error) TU_MUST_CHECK;
void tu_rule_free(struct tu_rule *rule);

/* Parses what may stand behind "if": a rule without a glob and a condition of its own. */
int tu_condition_parse(const char *text, struct tu_rule *out, struct tu_error *error) TU_MUST_CHECK;

/* Whether the rule is about a name. */
bool tu_rule_applies(const struct tu_rule *rule, const char *name);
/* Whether a value keeps the rule.  NaN, a missing value and one of another type never do;
 * true is 1, and false 0. */
bool tu_rule_holds(const struct tu_rule *rule, const struct tensor_value *value);

/* The rule in the spelling of reports, cut to the size: "FIELD OP VALUE" if brief, else the whole.
 */
void tu_rule_text(const struct tu_rule *rule, bool brief, char *out, size_t size);
const char *tu_operator_text(enum tu_operator op);

#endif
