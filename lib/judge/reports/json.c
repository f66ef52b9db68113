/* SPDX-License-Identifier: MIT */
/* The whole of a verdict as one JSON object. */
#include "config.h"

#include "judge/reports/parts.h"

#include <string.h>

#include "tree/value.h"

static int put_rule(struct tu_builder *b, const char *key, const struct tu_rule *r,
                    struct tu_error *error)
{
    if (tu_builder_open(b, key, key ? strlen(key) : 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        (r->glob && tu_put_string(b, "names", r->glob, error) < 0) ||
        tu_put_string(b, "field", r->field, error) < 0 ||
        tu_put_string(b, "operator", tu_operator_text(r->op), error) < 0 ||
        tu_put_string(b, "value", r->text, error) < 0 ||
        (r->condition && put_rule(b, "if", r->condition, error) < 0))
        return -1;
    return tu_builder_close(b, error);
}

static int put_rules(struct tu_builder *b, const struct tu_court *c, struct tu_error *error)
{
    if ((c->claim && tu_put_string(b, "claim", c->claim, error) < 0) ||
        (c->expected && tu_put_uint(b, "expected_tensors", c->expected, error) < 0) ||
        (c->expected_streams &&
         tu_put_uint(b, "expected_streams", c->expected_streams, error) < 0) ||
        (c->profile && tu_put_string(b, "profile", c->profile, error) < 0))
        return -1;
    if (tu_builder_open(b, "rules", 5, TENSOR_ARRAY, TENSOR_MAP, error) < 0)
        return -1;
    for (size_t i = 0; i < c->rules.count; i++)
        if (tu_court_names(c, i) && put_rule(b, NULL, &c->rules.items[i], error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

static int fill(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_report *r = subject;
    const struct tu_court *c = r->court;
    size_t ranked = tu_court_ranked(c), worst = r->worst < ranked ? r->worst : ranked;
    if (tu_put_string(b, "kind", "verdict", error) < 0 ||
        tu_put_string(b, "verdict", tu_court_words(c), error) < 0 || put_rules(b, c, error) < 0 ||
        tu_put_totals(b, c, error) < 0 || tu_put_records(b, "worst", c, 0, worst, error) < 0 ||
        tu_put_records(b, "failures", c, 0, tu_court_failures(c), error) < 0)
        return -1;
    return tu_put_records(b, "listed_records", c, ranked, c->count, error);
}

int tu_report_json(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    return tu_report_tree(out, fill, r, error);
}
