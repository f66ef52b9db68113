/* SPDX-License-Identifier: MIT */
/* verdict: judges records by rules.  The only filter that exits 1. */
#include "config.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "feed.h"
#include "json.h"
#include "rule.h"
#include "text.h"

enum { STATUS_PASS = 0, STATUS_FAIL = 1, WORST_DEFAULT = 5 };

static struct tu_tool tool;
static struct tu_list rule_texts, allow_texts;
static const char *minimum;
static uint64_t worst_count = WORST_DEFAULT;
static bool allow_empty;

static int parse_minimum(void *target, const char *text, struct tu_error *error)
{
    double number;
    return tu_option_double(&number, text, error) < 0 ? -1 : tu_option_string(target, text, error);
}

static const struct tu_option options[] = {
    {0, "min", "X", "the rule 'cosine_similarity >= X'", parse_minimum, &minimum},
    {0, "rule", "RULE", "'FIELD OP VALUE' or 'GLOB:FIELD OP VALUE'; may be repeated",
     tu_option_list, &rule_texts},
    {0, "allow", "STATUS[:GLOB]", "do not fail tensors of this status; may be repeated",
     tu_option_list, &allow_texts},
    {0, "allow-empty", NULL, "pass when nothing was judged", tu_option_flag, &allow_empty},
    {0, "worst", "N", "show the N worst tensors (default 5)", tu_option_u64, &worst_count},
    {0, "table", NULL, "print text (the default, also into a pipe)", tu_option_table, &tool},
    {0, "json", NULL, "print everything as one JSON object", tu_option_json, &tool},
    {0, "tsv", NULL, "print one row a tensor", tu_option_tsv, &tool},
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

enum outcome { PASSED, FAILED, ALLOWED, UNJUDGED, OUTCOMES };
static const char *const outcome_words[] = {"pass", "fail", "allowed", "unjudged"};

/* Statuses of records that could not be compared, or not wholly. */
static const char *const statuses[] = {"only_a",    "only_b",    "shape_mismatch",
                                       "nonfinite", "undefined", "not_real"};
enum { STATUSES = sizeof statuses / sizeof *statuses };

/* One judged record. */
struct judged {
    const char *name, *status;
    enum outcome outcome;
    double value;       /* of the leading field; NaN where there is none */
    const char *reason; /* of a failure: the status, or the rules that were broken */
};

struct court {
    struct tu_arena arena;
    struct tu_rule *rules;
    size_t rule_count;
    bool *rule_used;
    struct judged *items;
    size_t count, capacity;
    size_t counts[OUTCOMES];
    size_t incomparable; /* of the failed: by status alone */
    size_t below;        /* of the failed: that broke a rule */
};

/* ---- Rules ---- */

static int parse_rules(struct court *c, struct tu_error *error)
{
    char text[64];
    size_t total = rule_texts.count + (minimum ? 1 : 0);
    if (total == 0)
        return tu_fail(error, TU_EUSAGE,
                       "nothing to judge by: give --min or --rule (see verdict --help)");
    c->rules = calloc(total, sizeof *c->rules);
    c->rule_used = calloc(total, sizeof *c->rule_used);
    if (!c->rules || !c->rule_used)
        return tu_fail_memory(error);
    if (minimum) {
        snprintf(text, sizeof text, "cosine_similarity >= %.32s", minimum);
        if (tu_rule_parse(text, &c->rules[c->rule_count], error) < 0)
            return -1;
        c->rule_count++;
    }
    for (size_t i = 0; i < rule_texts.count; i++) {
        if (tu_rule_parse(rule_texts.items[i], &c->rules[c->rule_count], error) < 0)
            return -1;
        c->rule_count++;
    }
    return 0;
}

static bool is_allowed(const char *status, const char *name)
{
    for (size_t i = 0; i < allow_texts.count; i++) {
        const char *text = allow_texts.items[i], *glob = strchr(text, ':');
        size_t length = glob ? (size_t)(glob - text) : strlen(text);
        if (strlen(status) == length && memcmp(status, text, length) == 0 &&
            (!glob || fnmatch(glob + 1, name, 0) == 0))
            return true;
    }
    return false;
}

static bool is_status(const char *text, size_t length)
{
    for (size_t i = 0; i < STATUSES; i++)
        if (strlen(statuses[i]) == length && memcmp(text, statuses[i], length) == 0)
            return true;
    return false;
}

static int check_allowed(struct tu_error *error)
{
    for (size_t i = 0; i < allow_texts.count; i++) {
        size_t length = strcspn(allow_texts.items[i], ":");
        if (!is_status(allow_texts.items[i], length))
            return tu_fail(error, TU_EUSAGE,
                           "--allow: '%.*s' is no status (only_a, only_b, shape_mismatch, "
                           "nonfinite, undefined, not_real)",
                           (int)length, allow_texts.items[i]);
    }
    return 0;
}

/* ---- Judging ---- */

static const char *copy_string(struct court *c, const struct tensor_value *value,
                               const char *fallback)
{
    if (!value || value->type != TENSOR_STRING)
        return fallback;
    return tu_arena_copy(&c->arena, value->string.bytes, value->string.length);
}

/* The rules a record breaks, as text; empty if it keeps them all.  applied tells how many were
 * about it: a rule on a field that records of other kinds do not have is not about them. */
static void test_rules(struct court *c, const struct tensor_value *map, const char *name,
                       bool lenient_null, char *broken, size_t size, size_t *applied)
{
    bool compare = tu_value_equals(tu_value_get(map, "kind"), "compare");
    size_t used = 0;
    broken[0] = '\0';
    *applied = 0;
    for (size_t i = 0; i < c->rule_count; i++) {
        const struct tu_rule *rule = &c->rules[i];
        const struct tensor_value *value = tu_value_get(map, rule->field);
        double number;
        bool undefined = !value || (tu_value_number(value, &number) && isnan(number));
        if (!tu_rule_applies(rule, name) || (!value && !compare) || (undefined && lenient_null))
            continue;
        ++*applied;
        c->rule_used[i] = true;
        if (!tu_rule_holds(rule, value) && used < size)
            used += (size_t)snprintf(broken + used, size - used, "%snot %s %s %s", used ? ", " : "",
                                     rule->field, tu_operator_text(rule->op), rule->text);
    }
}

static int add_judged(struct court *c, struct judged j, const char *reason, struct tu_error *error)
{
    j.reason = tu_arena_copy(&c->arena, reason, strlen(reason));
    if (!j.reason || !j.name || !j.status || !TU_GROW(c->items, c->count, c->capacity))
        return tu_fail_memory(error);
    c->counts[j.outcome]++;
    c->items[c->count++] = j;
    return 0;
}

static int judge(struct court *c, const struct tensor_value *map, struct tu_error *error)
{
    char broken[512];
    size_t applied;
    struct judged j = {.name = copy_string(c, tu_value_get(map, "name"), ""),
                       .status = copy_string(c, tu_value_get(map, "status"), "ok"),
                       .value = NAN};
    if (!j.name || !j.status)
        return tu_fail_memory(error);
    bool ok = strcmp(j.status, "ok") == 0, allowed = !ok && is_allowed(j.status, j.name);
    bool numbers = ok || strcmp(j.status, "nonfinite") == 0 || strcmp(j.status, "undefined") == 0;
    tu_value_number(tu_value_get(map, c->rules[0].field), &j.value);
    test_rules(c, map, j.name, allowed, broken, sizeof broken, &applied);
    if (allowed && (!numbers || !applied)) {
        j.outcome = ALLOWED;
        return add_judged(c, j, j.status, error);
    }
    if (!ok && !allowed) {
        j.outcome = FAILED;
        c->incomparable++;
        return add_judged(c, j, j.status, error);
    }
    bool is_compare = tu_value_equals(tu_value_get(map, "kind"), "compare");
    if (!applied && !is_compare)
        return 0;
    j.outcome = !applied ? UNJUDGED : *broken ? FAILED : PASSED;
    c->below += *broken != '\0';
    return add_judged(c, j, broken, error);
}

static int hear(struct court *c, struct tu_feed *feed, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0)
        if (item.kind == TU_KIND_RESULT && judge(c, &item.map, error) < 0)
            return -1;
    return more;
}

/* ---- Order of the worst ---- */

/* Failures come first; then by the leading field, worst first, what has no number before all. */
static bool smaller_is_worse;

static int compare_worst(const void *a, const void *b)
{
    const struct judged *x = a, *y = b;
    int fail = (y->outcome == FAILED) - (x->outcome == FAILED);
    if (fail)
        return fail;
    if (isnan(x->value) || isnan(y->value))
        return isnan(y->value) - isnan(x->value);
    int order = (x->value > y->value) - (x->value < y->value);
    if (order == 0)
        return strverscmp(x->name, y->name);
    return smaller_is_worse ? order : -order;
}

static void sort_worst(struct court *c)
{
    enum tu_operator op = c->rules[0].op;
    smaller_is_worse = op == TU_GREATER || op == TU_GREATER_EQUAL;
    if (c->count)
        qsort(c->items, c->count, sizeof *c->items, compare_worst);
}

/* The judged record with the smallest (or largest) value; NULL if none has a number. */
static const struct judged *extreme(const struct court *c, bool smallest)
{
    const struct judged *best = NULL;
    for (size_t i = 0; i < c->count; i++) {
        const struct judged *j = &c->items[i];
        if (!isnan(j->value) &&
            (!best || (smallest ? j->value < best->value : j->value > best->value)))
            best = j;
    }
    return best;
}

/* ---- Reports ---- */

/* A rule that was about nothing, though there was something to judge: a misspelt glob, most likely.
 */
static const struct tu_rule *idle_rule(const struct court *c)
{
    for (size_t i = 0; i < c->rule_count && c->counts[PASSED]; i++)
        if (!c->rule_used[i])
            return &c->rules[i];
    return NULL;
}

static const char *word_of(const struct court *c)
{
    if (c->counts[FAILED])
        return "fail";
    if (idle_rule(c))
        return "a rule was about no record";
    return c->counts[PASSED] || allow_empty ? "pass" : "nothing judged";
}

static size_t shown(const struct court *c)
{
    return worst_count < c->count ? (size_t)worst_count : c->count;
}

static void print_name(const char *name)
{
    char text[1024];
    tu_escape(name, strlen(name), text, sizeof text);
    fputs(text, stdout);
}

static void print_extreme(const char *word, const struct judged *j)
{
    char number[TU_NUMBER_SIZE];
    tu_format_double(j->value, number);
    printf("  %s %s  ", word, number);
    print_name(j->name);
    putchar('\n');
}

/* How many were not compared, by status. */
static void print_incomparable(const struct court *c)
{
    for (size_t s = 0; s < STATUSES; s++) {
        size_t failed = 0, allowed = 0;
        for (size_t i = 0; i < c->count; i++) {
            const struct judged *j = &c->items[i];
            bool here = strcmp(j->reason, statuses[s]) == 0;
            failed += here && j->outcome == FAILED;
            allowed += here && j->outcome == ALLOWED;
        }
        if (failed || allowed)
            printf("  %s: %zu (%zu allowed)\n", statuses[s], failed + allowed, allowed);
    }
}

static void print_text(const struct court *c)
{
    printf("verdict: %s\n", word_of(c));
    for (size_t i = 0; i < c->rule_count; i++) {
        const struct tu_rule *r = &c->rules[i];
        printf("rule: %s%s%s %s %s%s\n", r->glob ? r->glob : "", r->glob ? ":" : "", r->field,
               tu_operator_text(r->op), r->text, c->rule_used[i] ? "" : "  (was about no record)");
    }
    printf("records: %zu judged, %zu passed, %zu failed (%zu broke a rule, %zu could not be "
           "compared), %zu allowed, %zu with no rule about them\n",
           c->counts[PASSED] + c->counts[FAILED], c->counts[PASSED], c->counts[FAILED], c->below,
           c->incomparable, c->counts[ALLOWED], c->counts[UNJUDGED]);
    print_incomparable(c);
    const struct judged *least = extreme(c, true), *most = extreme(c, false);
    if (least) {
        printf("%s:\n", c->rules[0].field);
        print_extreme("min", least);
        print_extreme("max", most);
    }
    if (shown(c))
        printf("worst %zu:\n", shown(c));
    for (size_t i = 0; i < shown(c); i++) {
        char number[TU_NUMBER_SIZE];
        tu_format_double(c->items[i].value, number);
        printf("  %-8s %-22s ", outcome_words[c->items[i].outcome], number);
        print_name(c->items[i].name);
        printf("%s%s%s\n", *c->items[i].reason ? "  (" : "", c->items[i].reason,
               *c->items[i].reason ? ")" : "");
    }
}

static void print_tsv(const struct court *c)
{
    printf("verdict\tstatus\t%s\treason\tname\n", c->rules[0].field);
    for (size_t i = 0; i < c->count; i++) {
        char number[TU_NUMBER_SIZE];
        tu_format_double(c->items[i].value, number);
        printf("%s\t%s\t%s\t%s\t", outcome_words[c->items[i].outcome], c->items[i].status, number,
               c->items[i].reason);
        print_name(c->items[i].name);
        putchar('\n');
    }
}

static int put_judged(struct tu_builder *b, const char *key, const struct judged *j,
                      struct tu_error *error)
{
    if (tu_builder_open(b, key, key ? strlen(key) : 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_string(b, "name", j->name, error) < 0 ||
        tu_put_string(b, "verdict", outcome_words[j->outcome], error) < 0 ||
        tu_put_string(b, "status", j->status, error) < 0 ||
        tu_put_real(b, "value", j->value, error) < 0 ||
        tu_put_string(b, "reason", j->reason, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int put_rules(struct tu_builder *b, const struct court *c, struct tu_error *error)
{
    if (tu_builder_open(b, "rules", 5, TENSOR_ARRAY, TENSOR_MAP, error) < 0)
        return -1;
    for (size_t i = 0; i < c->rule_count; i++) {
        const struct tu_rule *r = &c->rules[i];
        if (tu_builder_open(b, NULL, 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
            (r->glob && tu_put_string(b, "names", r->glob, error) < 0) ||
            tu_put_string(b, "field", r->field, error) < 0 ||
            tu_put_string(b, "operator", tu_operator_text(r->op), error) < 0 ||
            tu_put_string(b, "value", r->text, error) < 0 || tu_builder_close(b, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

/* The first count records in the order of the worst; of failures alone if so asked. */
static int put_list(struct tu_builder *b, const char *key, const struct court *c, size_t count,
                    bool failures, struct tu_error *error)
{
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_MAP, error) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if ((!failures || c->items[i].outcome == FAILED) &&
            put_judged(b, NULL, &c->items[i], error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

static int put_totals(struct tu_builder *b, const struct court *c, struct tu_error *error)
{
    const struct judged *least = extreme(c, true), *most = extreme(c, false);
    if (tu_put_uint(b, "judged", c->counts[PASSED] + c->counts[FAILED], error) < 0 ||
        tu_put_uint(b, "passed", c->counts[PASSED], error) < 0 ||
        tu_put_uint(b, "failed", c->counts[FAILED], error) < 0 ||
        tu_put_uint(b, "broke_a_rule", c->below, error) < 0 ||
        tu_put_uint(b, "not_compared", c->incomparable, error) < 0 ||
        tu_put_uint(b, "allowed", c->counts[ALLOWED], error) < 0 ||
        tu_put_uint(b, "unjudged", c->counts[UNJUDGED], error) < 0 ||
        tu_put_string(b, "field", c->rules[0].field, error) < 0)
        return -1;
    return least ? (put_judged(b, "min", least, error) < 0 ? -1 : put_judged(b, "max", most, error))
                 : 0;
}

static int print_json(struct court *c, struct tu_error *error)
{
    struct tu_builder b;
    struct tensor_value map;
    const char *text;
    size_t length;
    if (tu_builder_begin(&b, &c->arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", "verdict", error) < 0 ||
        tu_put_string(&b, "verdict", word_of(c), error) < 0 || put_rules(&b, c, error) < 0 ||
        put_totals(&b, c, error) < 0 || put_list(&b, "worst", c, shown(c), false, error) < 0 ||
        put_list(&b, "failures", c, c->count, true, error) < 0) {
        tu_builder_cancel(&b);
        return -1;
    }
    if (tu_builder_end(&b, &map, error) < 0 ||
        tu_json_text(&map, &c->arena, &text, &length, error) < 0)
        return -1;
    printf("%s\n", text);
    return 0;
}

static int announce(struct court *c, struct tu_error *error)
{
    sort_worst(c);
    if (tool.mode == TU_MODE_JSON) {
        if (print_json(c, error) < 0)
            return -1;
    } else if (tool.mode == TU_MODE_TSV) {
        print_tsv(c);
    } else {
        print_text(c);
    }
    if (c->counts[FAILED])
        return STATUS_FAIL;
    const struct tu_rule *idle = idle_rule(c);
    if (idle)
        return tu_fail(error, TU_EINVALID, "the rule '%s%s%s %s %s' was about no record",
                       idle->glob ? idle->glob : "", idle->glob ? ":" : "", idle->field,
                       tu_operator_text(idle->op), idle->text);
    if (c->counts[PASSED] == 0 && !allow_empty)
        return tu_fail(error, TU_EINVALID,
                       "no record was judged (is there a tensor-cos before this? --allow-empty "
                       "accepts it)");
    return STATUS_PASS;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct court c = {0};
    struct tu_feed feed;
    int result = check_allowed(error) < 0 ? -1 : parse_rules(&c, error);
    if (result == 0) {
        tu_feed_open(&feed, t, operands, count, false);
        result = hear(&c, &feed, error);
        tu_feed_close(&feed);
    }
    if (result == 0)
        result = announce(&c, error);
    for (size_t i = 0; i < c.rule_count; i++)
        tu_rule_free(&c.rules[i]);
    free(c.rules);
    free(c.rule_used);
    free(c.items);
    tu_arena_free(&c.arena);
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
    return status;
}
