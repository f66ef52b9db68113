/* SPDX-License-Identifier: MIT */
/* TAP 13: a test point a tensor, with a YAML block where it did not pass. */
#include "config.h"

#include "judge/reports/parts.h"

#include "base/text.h"

static void put_block(FILE *out, const struct tu_court *c, const struct tu_judged *j)
{
    char number[TU_NUMBER_SIZE];
    tu_format_double(j->value, number);
    fprintf(out, "  ---\n  outcome: \"%s\"\n  message: \"", tu_outcome_words[j->outcome]);
    tu_report_put(out, TU_MARKUP_QUOTED, j->reason);
    fprintf(out, "\"\n  %s: \"%s\"\n  ...\n", tu_court_field(c), number);
}

int tu_report_tap(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    const struct tu_court *c = r->court;
    char trouble[512], relations[128];
    (void)error;
    tu_court_trouble(c, trouble, sizeof trouble);
    fprintf(out, "TAP version 13\n1..%zu%s\n", c->count + (*trouble != '\0'),
            c->count || *trouble ? "" : " # SKIP nothing to judge, which was allowed");
    if (tu_court_relations(c, relations, sizeof relations))
        fprintf(out, "# weights: %s\n", relations);
    for (size_t i = 0; i < c->count; i++) {
        const struct tu_judged *j = &c->items[i];
        bool skipped = j->outcome == TU_ALLOWED || j->outcome == TU_LISTED;
        bool ok = j->outcome == TU_PASSED || skipped;
        fprintf(out, "%s %zu - ", ok ? "ok" : "not ok", i + 1);
        tu_report_put(out, TU_MARKUP_TAP, j->shown);
        if (skipped) {
            fprintf(out, " # SKIP %s: ", tu_outcome_words[j->outcome]);
            tu_report_put(out, TU_MARKUP_TAP, j->reason);
        }
        putc('\n', out);
        if (!ok)
            put_block(out, c, j);
    }
    if (*trouble) {
        fprintf(out, "not ok %zu - verdict: ", c->count + 1);
        tu_report_put(out, TU_MARKUP_TAP, trouble);
        putc('\n', out);
    }
    return 0;
}
