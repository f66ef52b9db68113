/* SPDX-License-Identifier: MIT */
/* Workflow commands of GitHub Actions, which become annotations of a run. */
#include "config.h"

#include "judge/reports/parts.h"

/* GitHub shows no more of one step. */
enum { ANNOTATIONS = 9 };

int tu_report_github(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    const struct tu_court *c = r->court;
    char trouble[512];
    (void)error;
    for (size_t i = 0; i < c->count && i < ANNOTATIONS; i++) {
        const struct tu_judged *j = &c->items[i];
        if (!tu_outcome_fails(j->outcome))
            break;
        fprintf(out, "::error title=%s%%3A ", tu_outcome_words[j->outcome]);
        tu_report_put(out, TU_MARKUP_PARAMETER, j->shown);
        fputs("::", out);
        tu_report_put(out, TU_MARKUP_COMMAND, j->shown);
        fputs(": ", out);
        tu_report_put(out, TU_MARKUP_COMMAND, j->reason);
        putc('\n', out);
    }
    tu_court_trouble(c, trouble, sizeof trouble);
    fprintf(out, "::%s title=verdict::%s: ", tu_court_ruling(c) == TU_PASS ? "notice" : "error",
            tu_court_words(c));
    tu_report_put(out, TU_MARKUP_COMMAND, trouble);
    for (size_t i = 0; i < TU_OUTCOMES; i++)
        fprintf(out, "%s%zu %s", i || *trouble ? ", " : "", c->counts[i], tu_outcome_words[i]);
    putc('\n', out);
    return 0;
}
