/* SPDX-License-Identifier: MIT */
/* A verdict for people, and a row a tensor for scripts. */
#include "config.h"

#include "judge/reports/parts.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

enum { LISTED_MAX = 100 };

static void put_escaped(FILE *out, const char *text)
{
    char shown[1024];
    tu_escape(text, strlen(text), shown, sizeof shown);
    fputs(shown, out);
}

static void put_extreme(FILE *out, const char *word, const struct tu_judged *j)
{
    char number[TU_NUMBER_SIZE];
    tu_format_double(j->value, number);
    fprintf(out, "  %s %s  %s\n", word, number, j->shown);
}

static void put_claim(FILE *out, const struct tu_court *c)
{
    if (c->claim) {
        fputs("claim: ", out);
        put_escaped(out, c->claim);
        fprintf(out, ": %zu tensors compared, %" PRIu64 " expected\n", c->compared, c->expected);
    } else if (c->expected) {
        fprintf(out, "tensors: %zu compared, %" PRIu64 " expected\n", c->compared, c->expected);
    }
    if (c->expected_streams)
        fprintf(out, "streams: %zu, %" PRIu64 " expected\n", c->streams, c->expected_streams);
}

static void put_rules(FILE *out, const struct tu_court *c)
{
    char text[1024];
    if (c->profile) {
        fputs("profile: ", out);
        put_escaped(out, c->profile);
        putc('\n', out);
    }
    for (size_t i = 0; i < c->rules.count; i++) {
        if (!tu_court_names(c, i))
            continue;
        tu_rule_text(&c->rules.items[i], false, text, sizeof text);
        fputs("rule: ", out);
        put_escaped(out, text);
        fputs(c->uses[i].asked ? "\n" : "  (was about no record)\n", out);
    }
}

/* How many records of a status there are that did not come to be judged. */
static void put_status(FILE *out, const struct tu_court *c, const char *status)
{
    size_t failed = 0, allowed = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct tu_judged *j = &c->items[i];
        bool here = strcmp(j->status, status) == 0;
        failed += here && (j->outcome == TU_MISSING || j->outcome == TU_INCOMPARABLE);
        allowed += here && j->outcome == TU_ALLOWED;
    }
    if (failed || allowed)
        fprintf(out, "  %s: %zu (%zu allowed)\n", status, failed + allowed, allowed);
}

static void put_counts(FILE *out, const struct tu_court *c)
{
    const size_t *n = c->counts;
    char relations[128];
    if (c->facts)
        fprintf(out, "facts: %zu same, %zu differ, %zu stated by one side alone\n",
                c->facts - c->differing - c->listed, c->differing, c->listed);
    fprintf(out,
            "records: %zu judged, %zu passed, %zu failed (%zu broke a rule, %zu incomparable, %zu "
            "missing%s), %zu allowed, %zu not judged, %zu listed\n",
            tu_court_judged(c), n[TU_PASSED], tu_court_failures(c), n[TU_FAILED],
            n[TU_INCOMPARABLE], n[TU_MISSING], n[TU_DIFFERS] ? ", the rest facts" : "",
            n[TU_ALLOWED], n[TU_UNJUDGED], n[TU_LISTED]);
    if (tu_court_relations(c, relations, sizeof relations))
        fprintf(out, "weights: %s\n", relations);
    for (size_t i = 0; i < tu_status_count; i++)
        put_status(out, c, tu_statuses[i]);
    if (c->repeated)
        fprintf(out, "  names that came before: %zu\n", c->repeated);
}

static void put_row(FILE *out, const struct tu_judged *j)
{
    char number[TU_NUMBER_SIZE];
    tu_format_double(j->value, number);
    fprintf(out, "  %-8s %-22s %s%s%s%s\n", tu_outcome_verdicts[j->outcome],
            j->fact ? "fact" : number, j->shown, *j->reason ? "  (" : "", j->reason,
            *j->reason ? ")" : "");
}

static void put_worst(FILE *out, const struct tu_report *r)
{
    const struct tu_court *c = r->court;
    size_t ranked = tu_court_ranked(c), count = r->worst < ranked ? r->worst : ranked;
    if (count)
        fprintf(out, "worst %zu:\n", count);
    for (size_t i = 0; i < count; i++)
        put_row(out, &c->items[i]);
}

/* What was not compared is nothing that a pass may hide, so --worst does not shorten it. */
static void put_listed(FILE *out, const struct tu_court *c)
{
    size_t first = tu_court_ranked(c), end = c->count;
    if (end - first > LISTED_MAX)
        end = first + LISTED_MAX;
    if (first < end)
        fputs("not compared:\n", out);
    for (size_t i = first; i < end; i++)
        put_row(out, &c->items[i]);
    if (end < c->count)
        fprintf(out, "  and %zu more (--json and --tsv show all)\n", c->count - end);
}

int tu_report_text(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    const struct tu_court *c = r->court;
    (void)error;
    fprintf(out, "verdict: %s\n", tu_court_words(c));
    put_claim(out, c);
    put_rules(out, c);
    put_counts(out, c);
    const struct tu_judged *least = tu_court_extreme(c, true);
    if (least) {
        fprintf(out, "%s:\n", tu_court_field(c));
        put_extreme(out, "min", least);
        put_extreme(out, "max", tu_court_extreme(c, false));
    }
    put_worst(out, r);
    put_listed(out, c);
    return 0;
}

int tu_report_tsv(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    const struct tu_court *c = r->court;
    (void)error;
    fprintf(out, "verdict\tstatus\t%s\treason\tname\n", tu_court_field(c));
    for (size_t i = 0; i < c->count; i++) {
        const struct tu_judged *j = &c->items[i];
        char number[TU_NUMBER_SIZE];
        tu_format_double(j->value, number);
        fprintf(out, "%s\t", tu_outcome_verdicts[j->outcome]);
        put_escaped(out, j->status);
        fprintf(out, "\t%s\t%s\t", number, j->reason);
        tu_report_put(out, TU_MARKUP_CELL, j->shown);
        putc('\n', out);
    }
    return 0;
}
