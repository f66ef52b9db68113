/* SPDX-License-Identifier: MIT */
/* verdict: judges records by rules.  The only filter that exits 1. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "feed.h"
#include "report.h"
#include "save.h"
#include "text.h"

enum { STATUS_PASS = 0, STATUS_FAIL = 1, WORST_DEFAULT = 5 };

static struct tu_tool tool;
static struct tu_list rule_texts, allow_texts;
static struct tu_report_orders orders;
static const char *minimum, *profile;
static uint64_t worst_count = WORST_DEFAULT;
static bool allow_empty;

static int parse_minimum(void *target, const char *text, struct tu_error *error)
{
    double number;
    return tu_option_double(&number, text, error) < 0 ? -1 : tu_option_string(target, text, error);
}

static const struct tu_option options[] = {
    {0, "min", "X", "the rule 'cosine_similarity >= X'", parse_minimum, &minimum},
    {0, "rule", "RULE", "'[GLOB:]FIELD OP VALUE'; may be repeated", tu_option_list, &rule_texts},
    {0, "profile", "NAME", "rules of auto (default without a rule), exact, same-type or a file",
     tu_option_string, &profile},
    {0, "allow", "STATUS[:GLOB]", "do not fail tensors of this status; may be repeated",
     tu_option_list, &allow_texts},
    {0, "allow-empty", NULL, "pass when nothing was judged", tu_option_flag, &allow_empty},
    {0, "report", "LIST", "json=, junit=, tap=, markdown=, html=, sarif=, github=FILE, or github",
     tu_report_parse, &orders},
    {0, "worst", "N", "show the N worst tensors (default 5)", tu_option_u64, &worst_count},
    {0, "table", NULL, "print text (the default, also into a pipe)", tu_option_table, &tool},
    {0, "json", NULL, "print everything as one JSON object", tu_option_json, &tool},
    {0, "tsv", NULL, "print one row a tensor", tu_option_tsv, &tool},
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* ---- Rules ---- */

static int take_minimum(struct tu_rules *rules, struct tu_error *error)
{
    char text[64];
    snprintf(text, sizeof text, "cosine_similarity >= %.32s", minimum);
    return tu_rules_add(rules, text, error);
}

/* --min comes first: its field leads. */
static int take_rules(struct tu_court *c, struct tu_error *error)
{
    struct tu_rules *rules = &c->rules;
    struct tu_error inner = {0};
    c->profile = profile || minimum || rule_texts.count ? profile : "auto";
    if (minimum && take_minimum(rules, error) < 0)
        return -1;
    if (c->profile && tu_rules_profile(rules, c->profile, error) < 0)
        return -1;
    for (size_t i = 0; i < rule_texts.count; i++)
        if (tu_rules_add(rules, rule_texts.items[i], error) < 0)
            return -1;
    for (size_t i = 0; i < allow_texts.count; i++)
        if (tu_rules_allow(rules, allow_texts.items[i], &inner) < 0)
            return tu_fail(error, inner.code, "--allow: %s", inner.text);
    if (rules->count == 0)
        return tu_fail(error, TU_EINVALID, "%s: there is no rule in it", c->profile);
    return 0;
}

static int hear(struct tu_court *c, struct tu_feed *feed, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0)
        if (item.kind == TU_KIND_RESULT && tu_judge(c, &item.map, error) < 0)
            return -1;
    return more;
}

/* ---- Text ---- */

static void print_escaped(const char *text)
{
    char shown[1024];
    tu_escape(text, strlen(text), shown, sizeof shown);
    fputs(shown, stdout);
}

static void print_extreme(const char *word, const struct tu_judged *j)
{
    char number[TU_NUMBER_SIZE];
    tu_format_double(j->value, number);
    printf("  %s %s  %s\n", word, number, j->shown);
}

static void print_rules(const struct tu_court *c)
{
    char text[1024];
    if (c->profile) {
        fputs("profile: ", stdout);
        print_escaped(c->profile);
        putchar('\n');
    }
    for (size_t i = 0; i < c->rules.count; i++) {
        if (!tu_court_names(c, i))
            continue;
        tu_rule_text(&c->rules.items[i], false, text, sizeof text);
        fputs("rule: ", stdout);
        print_escaped(text);
        puts(c->uses && c->uses[i].asked ? "" : "  (was about no record)");
    }
}

/* How many records of a status there are that did not come to be judged. */
static void print_status(const struct tu_court *c, const char *status)
{
    size_t failed = 0, allowed = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct tu_judged *j = &c->items[i];
        bool here = strcmp(j->status, status) == 0;
        failed += here && (j->outcome == TU_MISSING || j->outcome == TU_INCOMPARABLE);
        allowed += here && j->outcome == TU_ALLOWED;
    }
    if (failed || allowed)
        printf("  %s: %zu (%zu allowed)\n", status, failed + allowed, allowed);
}

static void print_counts(const struct tu_court *c)
{
    const size_t *n = c->counts;
    printf("records: %zu judged, %zu passed, %zu failed (%zu broke a rule, %zu incomparable, %zu "
           "missing), %zu allowed, %zu not judged\n",
           n[TU_PASSED] + tu_court_failures(c), n[TU_PASSED], tu_court_failures(c), n[TU_FAILED],
           n[TU_INCOMPARABLE], n[TU_MISSING], n[TU_ALLOWED], n[TU_UNJUDGED]);
    for (size_t i = 0; i < tu_status_count; i++)
        print_status(c, tu_statuses[i]);
}

static void print_worst(const struct tu_report *r)
{
    const struct tu_court *c = r->court;
    size_t count = r->worst < c->count ? r->worst : c->count;
    if (count)
        printf("worst %zu:\n", count);
    for (size_t i = 0; i < count; i++) {
        const struct tu_judged *j = &c->items[i];
        char number[TU_NUMBER_SIZE];
        tu_format_double(j->value, number);
        printf("  %-8s %-22s %s%s%s%s\n", tu_outcome_verdicts[j->outcome], number, j->shown,
               *j->reason ? "  (" : "", j->reason, *j->reason ? ")" : "");
    }
}

static void print_text(const struct tu_report *r)
{
    const struct tu_court *c = r->court;
    printf("verdict: %s\n", tu_court_words(c));
    print_rules(c);
    print_counts(c);
    const struct tu_judged *least = tu_court_extreme(c, true);
    if (least) {
        printf("%s:\n", tu_court_field(c));
        print_extreme("min", least);
        print_extreme("max", tu_court_extreme(c, false));
    }
    print_worst(r);
}

static void print_tsv(const struct tu_court *c)
{
    printf("verdict\tstatus\t%s\treason\tname\n", tu_court_field(c));
    for (size_t i = 0; i < c->count; i++) {
        const struct tu_judged *j = &c->items[i];
        char number[TU_NUMBER_SIZE];
        tu_format_double(j->value, number);
        printf("%s\t", tu_outcome_verdicts[j->outcome]);
        print_escaped(j->status);
        printf("\t%s\t%s\t", number, j->reason);
        tu_report_put(stdout, TU_MARKUP_CELL, j->shown);
        putchar('\n');
    }
}

/* ---- Reports ---- */

static bool is_same(const struct stat *a, const char *path)
{
    struct stat b;
    return path && stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* Whether a report would take the place of what this run reads. */
static bool is_input(const char *path, char **operands, size_t count)
{
    struct stat st, in;
    if (stat(path, &st) < 0)
        return false;
    if (fstat(STDIN_FILENO, &in) == 0 && in.st_dev == st.st_dev && in.st_ino == st.st_ino)
        return true;
    return is_same(&st, profile) || (count && is_same(&st, operands[0]));
}

static int check_orders(char **operands, size_t count, struct tu_error *error)
{
    for (size_t i = 0; i < orders.count; i++) {
        const struct tu_report_order *order = &orders.items[i];
        if (!order->path && tool.mode != TU_MODE_AUTO && tool.mode != TU_MODE_TABLE)
            return tu_fail(error, TU_EUSAGE,
                           "--report: %s goes with the text on standard output; name a file",
                           order->format);
        if (order->path && is_input(order->path, operands, count))
            return tu_fail(error, TU_EUSAGE, "--report: %s is read, too", order->path);
    }
    return tu_report_clear(&orders, error);
}

/* Whether a report shows more of the records than the court has to remember. */
static bool shows_records(void)
{
    for (size_t i = 0; i < orders.count; i++)
        if (orders.items[i].write == tu_report_html)
            return true;
    return false;
}

static int put_report(const struct tu_report_order *order, const struct tu_report *r,
                      struct tu_error *error)
{
    char *text;
    size_t length;
    if (tu_report_make(order, r, &text, &length, error) < 0)
        return -1;
    int result = 0;
    if (order->path)
        result = tu_save_text(order->path, true, text, length, error);
    else
        fwrite(text, 1, length, stdout);
    free(text);
    return result;
}

static int announce(struct tu_court *c, struct tu_error *error)
{
    char trouble[512];
    struct tu_report report = {.court = c, .worst = (size_t)worst_count};
    tu_court_sort(c);
    if (tool.mode == TU_MODE_JSON) {
        if (tu_report_json(stdout, &report, error) < 0)
            return -1;
    } else if (tool.mode == TU_MODE_TSV) {
        print_tsv(c);
    } else {
        print_text(&report);
    }
    for (size_t i = 0; i < orders.count; i++)
        if (put_report(&orders.items[i], &report, error) < 0)
            return -1;
    tu_report_trouble(c, trouble, sizeof trouble);
    if (*trouble)
        return tu_fail(error, TU_EINVALID, "%s", trouble);
    return tu_court_ruling(c) == TU_PASS ? STATUS_PASS : STATUS_FAIL;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_court c = {.empty_passes = allow_empty, .keeping = shows_records()};
    struct tu_feed feed;
    int result = take_rules(&c, error) < 0 ? -1 : check_orders(operands, count, error);
    if (result == 0) {
        tu_feed_open(&feed, t, operands, count, false);
        result = hear(&c, &feed, error);
        tu_feed_close(&feed);
    }
    if (result == 0)
        result = announce(&c, error);
    tu_court_free(&c);
    return result;
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "verdict",
        .synopsis = "[OPTION]... [RESULTS|-]",
        .about =
            "Judges the results that another filter put out, by rules on their fields, and says\n"
            "what was compared, what failed and what was not compared.",
        .options = options,
        .max_operands = 1,
        .judges = true,
        .run = run,
    };
    int status = tu_main(&command, &tool, argc, argv);
    free(rule_texts.items);
    free(allow_texts.items);
    tu_report_orders_free(&orders);
    return status;
}
