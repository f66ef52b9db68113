/* SPDX-License-Identifier: MIT */
/* Markdown for a job summary or a comment: counts, rules, and the tensors that did not pass. */
#include "config.h"

#include "judge/reports/parts.h"

#include <string.h>

#include "base/text.h"

/* Comments and summaries have a limit, and nobody reads more. */
enum { ROWS = 100 };

static void put_rules(FILE *out, const struct tu_court *c)
{
    if (c->profile) {
        char shown[1024];
        tu_escape(c->profile, strlen(c->profile), shown, sizeof shown);
        fputs("Profile: ", out);
        tu_report_put(out, TU_MARKUP_MARKDOWN, shown);
        fputs("\n\n", out);
    }
    for (size_t i = 0; i < c->rules.count; i++) {
        char text[512], shown[2048];
        if (!tu_court_names(c, i))
            continue;
        tu_rule_text(&c->rules.items[i], false, text, sizeof text);
        tu_escape(text, strlen(text), shown, sizeof shown);
        fputs("- ", out);
        tu_report_put(out, TU_MARKUP_MARKDOWN, shown);
        putc('\n', out);
    }
}

static void put_row(FILE *out, const struct tu_judged *j)
{
    char number[TU_NUMBER_SIZE];
    tu_format_double(j->value, number);
    fprintf(out, "| %s | ", tu_outcome_words[j->outcome]);
    tu_report_put(out, TU_MARKUP_MARKDOWN, j->shown);
    fprintf(out, " | %s | ", number);
    tu_report_put(out, TU_MARKUP_MARKDOWN, j->reason);
    fputs(" |\n", out);
}

/* The records of a part of the court that have something to be told, in a table of their own. */
static void put_table(FILE *out, const struct tu_court *c, size_t first, size_t end, size_t total)
{
    size_t rows = 0;
    if (!total)
        return;
    fprintf(out, "\n| | tensor | %s | why |\n|---|---|---|---|\n", tu_court_field(c));
    for (size_t i = first; i < end && rows < ROWS; i++) {
        const struct tu_judged *j = &c->items[i];
        if (j->outcome != TU_PASSED && j->outcome != TU_ALLOWED) {
            put_row(out, j);
            rows++;
        }
    }
    if (total > rows)
        fprintf(out, "\n%zu more are not shown.\n", total - rows);
}

int tu_report_markdown(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    const struct tu_court *c = r->court;
    char trouble[512], relations[128];
    (void)error;
    tu_court_trouble(c, trouble, sizeof trouble);
    fprintf(out, "## verdict: %s\n\n", tu_court_words(c));
    if (*trouble) {
        tu_report_put(out, TU_MARKUP_MARKDOWN, trouble);
        fputs("\n\n", out);
    }
    fputs("|", out);
    for (size_t i = 0; i < TU_OUTCOMES; i++)
        fprintf(out, " %s |", tu_outcome_words[i]);
    fputs("\n|", out);
    for (size_t i = 0; i < TU_OUTCOMES; i++)
        fputs("---:|", out);
    fputs("\n|", out);
    for (size_t i = 0; i < TU_OUTCOMES; i++)
        fprintf(out, " %zu |", c->counts[i]);
    fputs("\n\n", out);
    if (tu_court_relations(c, relations, sizeof relations))
        fprintf(out, "Weights: %s.\n\n", relations);
    put_rules(out, c);
    put_table(out, c, 0, tu_court_ranked(c), tu_court_failures(c) + c->counts[TU_UNJUDGED]);
    put_table(out, c, tu_court_ranked(c), c->count, c->counts[TU_LISTED]);
    return 0;
}
