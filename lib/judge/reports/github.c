/* SPDX-License-Identifier: MIT */
/* Workflow commands of GitHub Actions, which become annotations of a run. */
#include "config.h"

#include "judge/reports/parts.h"

/* GitHub shows ten of one step: failures, what was not compared, and the verdict. */
enum { ANNOTATIONS = 9 };

/* One notice for all that is only listed. */
static void put_listed(FILE *out, const struct tu_court *c)
{
    if (!c->counts[TU_LISTED])
        return;
    fprintf(out, "::notice title=not compared::%zu not compared", c->counts[TU_LISTED]);
    for (size_t i = tu_court_ranked(c); i < c->count; i++) {
        fputs(i == tu_court_ranked(c) ? ": " : ", ", out);
        tu_report_put(out, TU_MARKUP_COMMAND, c->items[i].shown);
    }
    putc('\n', out);
}

int tu_report_github(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    const struct tu_court *c = r->court;
    char trouble[512], relations[128];
    (void)error;
    size_t room = ANNOTATIONS - (c->counts[TU_LISTED] > 0);
    for (size_t i = 0; i < c->count && i < room; i++) {
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
    put_listed(out, c);
    tu_court_trouble(c, trouble, sizeof trouble);
    fprintf(out, "::%s title=verdict::%s: ", tu_court_ruling(c) == TU_PASS ? "notice" : "error",
            tu_court_words(c));
    tu_report_put(out, TU_MARKUP_COMMAND, trouble);
    for (size_t i = 0; i < TU_OUTCOMES; i++)
        fprintf(out, "%s%zu %s", i || *trouble ? ", " : "", c->counts[i], tu_outcome_words[i]);
    if (tu_court_relations(c, relations, sizeof relations))
        fprintf(out, "; weights: %s", relations);
    putc('\n', out);
    return 0;
}
