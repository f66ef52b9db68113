/* SPDX-License-Identifier: MIT */
/* Rules that records are judged by: "FIELD OP VALUE", or "GLOB:FIELD OP VALUE" for some names. */
#ifndef TU_RULE_H
#define TU_RULE_H

#include "error.h"
#include "value.h"

enum tu_operator { TU_LESS, TU_LESS_EQUAL, TU_GREATER, TU_GREATER_EQUAL, TU_EQUAL, TU_NOT_EQUAL };

struct tu_rule {
    char *glob;  /* NULL: every name */
    char *field; /* letters, digits and _ */
    enum tu_operator op;
    char *text;    /* the value as it was written */
    double number; /* NaN where the value is a word */
    bool is_number;
};

/* Parses a rule; what it allocates is given back by tu_rule_free. */
int tu_rule_parse(const char *text, struct tu_rule *out, struct tu_error *error) TU_MUST_CHECK;
void tu_rule_free(struct tu_rule *rule);

/* Whether the rule is about a name. */
bool tu_rule_applies(const struct tu_rule *rule, const char *name);
/* Whether a value keeps the rule.  NaN, a missing value and one of another type never do. */
bool tu_rule_holds(const struct tu_rule *rule, const struct tensor_value *value);

const char *tu_operator_text(enum tu_operator op);

#endif
