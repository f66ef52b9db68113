/* SPDX-License-Identifier: MIT */
/* Tries each record by every rule that is about it, counts the outcomes, and rules on the whole. */
#include "config.h"

#include "judge/court.h"

#include <inttypes.h>
#include <math.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge/field.h"
#include "base/text.h"

const char *const tu_outcome_verdicts[] = {"pass", "fail", "fail", "fail", "allowed", "unjudged"};
const char *const tu_outcome_words[] = {"passed",  "failed",  "incomparable",
                                        "missing", "allowed", "not judged"};

/* ---- One record against the rules ---- */

/* What the rules make of a record. */
struct hearing {
    const struct tensor_value *record;
    const char *name;
    bool compare;     /* it is a compare record, which has to have the fields that rules ask for */
    bool lenient;     /* what is NaN is no concern of a rule: its status was allowed */
    size_t applied;   /* rules that are about it */
    bool below;       /* it broke one on the leading field */
    char broken[512]; /* those it breaks, as text */
    size_t broken_used; /* bytes of it; more than its size: it was cut */
};

static void note_broken(struct hearing *h, const struct tu_rule *rule, bool leads,
                        const struct tensor_value *value)
{
    char text[200], number[TU_NUMBER_SIZE] = "";
    double x;
    tu_rule_text(rule, true, text, sizeof text);
    h->below |= leads;
    if (!leads && !value)
        snprintf(number, sizeof number, "absent");
    else if (!leads && tu_value_number(value, &x))
        tu_format_double(x, number);
    if (h->broken_used < sizeof h->broken)
        h->broken_used += (size_t)snprintf(
            h->broken + h->broken_used, sizeof h->broken - h->broken_used, "%snot %s%s%s",
            h->broken_used ? ", " : "", text, *number ? ": " : "", number);
}

/* Whether a rule's condition is met.  A record that lacks the field of the condition is not what
 * the rule asks for; *asked tells whether it has it. */
static bool meets_condition(const struct tu_rule *rule, const struct tensor_value *record,
                            bool *asked)
{
    struct tensor_value room;
    const struct tensor_value *value =
        rule->condition ? tu_field(record, rule->condition->field, &room) : NULL;
    *asked = value != NULL;
    return !rule->condition || tu_rule_holds(rule->condition, value);
}

/* A rule on a field that records of other kinds do not have is not about them. */
static void try_rule(struct tu_court *c, size_t i, struct hearing *h)
{
    const struct tu_rule *rule = &c->rules.items[i];
    struct tensor_value room;
    double number;
    bool asked;
    if (!tu_rule_applies(rule, h->name))
        return;
    bool met = meets_condition(rule, h->record, &asked);
    c->uses[i].asked |= asked;
    const struct tensor_value *value = tu_field(h->record, rule->field, &room);
    bool undefined = !value || (tu_value_number(value, &number) && isnan(number));
    if (!met || (!value && (!h->compare || rule->optional)) || (undefined && h->lenient))
        return;
    h->applied++;
    c->uses[i].asked = true;
    c->uses[i].judged++;
    if (!tu_rule_holds(rule, value))
        note_broken(h, rule, i == 0 || strcmp(rule->field, tu_court_field(c)) == 0, value);
}

static void try_rules(struct tu_court *c, struct hearing *h)
{
    for (size_t i = 0; i < c->rules.count; i++)
        try_rule(c, i, h);
}

/* ---- Outcomes ---- */

static const char *copy_string(struct tu_court *c, const struct tensor_value *value,
                               const char *fallback)
{
    if (!value || value->type != TENSOR_STRING)
        return fallback;
    return tu_arena_copy(&c->arena, value->string.bytes, value->string.length);
}

/* GitHub's runner takes "##[command]" for one wherever it stands in what a step prints. */
static void break_commands(char *text)
{
    for (char *p = text; (p = strstr(p, "##["));) {
        p += 2;
        memmove(p + 4, p + 1, strlen(p + 1) + 1);
        memcpy(p, "\\x5B", 4);
    }
}

/* Text with control characters escaped, whole; NULL when there is no memory. */
static const char *printable(struct tu_court *c, const char *text, size_t length)
{
    size_t size = 4 * length + 8;
    char *room = tu_arena_alloc(&c->arena, size);
    if (!room)
        return NULL;
    tu_escape(text, length, room, size);
    break_commands(room);
    return room;
}

static int name_record(struct tu_court *c, const struct tensor_value *record, struct tu_judged *j,
                       struct tu_error *error)
{
    const char *name = "";
    size_t length = 0;
    const struct tensor_value *value = tu_value_get(record, "name");
    (void)tu_value_string(value, &name, &length);
    j->name = copy_string(c, value, "");
    j->shown = printable(c, name, length);
    j->status = copy_string(c, tu_value_get(record, "status"), "ok");
    return j->name && j->shown && j->status ? 0 : tu_fail_memory(error);
}

/* The reason with what the record says of an explanation, to be read by people. */
static const char *explain(struct tu_court *c, const struct tensor_value *record,
                           struct tu_judged *j)
{
    j->hypothesis = copy_string(c, tu_value_get(record, "hypothesis"), NULL);
    j->remedy = copy_string(c, tu_value_get(record, "remedy"), NULL);
    if (!j->hypothesis || !tu_outcome_fails(j->outcome))
        return printable(c, j->reason, strlen(j->reason));
    size_t size = strlen(j->reason) + strlen(j->hypothesis) + sizeof "; hypothesis: ";
    char *both = tu_arena_alloc(&c->arena, size);
    if (!both)
        return NULL;
    snprintf(both, size, "%s; hypothesis: %s", j->reason, j->hypothesis);
    return printable(c, both, strlen(both));
}

static bool is_missing(const char *status)
{
    return strcmp(status, "only_a") == 0 || strcmp(status, "only_b") == 0;
}

/* Whether a record of a status has numbers that can be judged at all. */
static bool has_numbers(const char *status)
{
    return strcmp(status, "ok") == 0 || strcmp(status, "nonfinite") == 0 ||
           strcmp(status, "undefined") == 0;
}

/* False for a record that is none of the court's business: of another kind, and no rule is about
 * it. */
static bool decide(struct tu_court *c, struct hearing *h, struct tu_judged *j)
{
    bool ok = strcmp(j->status, "ok") == 0;
    bool allowed = !ok && tu_rules_allowed(&c->rules, h->record, j->status, j->name);
    j->reason = j->status;
    if (!ok && !allowed) {
        j->outcome = is_missing(j->status) ? TU_MISSING : TU_INCOMPARABLE;
        return true;
    }
    h->lenient = allowed;
    try_rules(c, h);
    if (allowed && (!has_numbers(j->status) || !h->applied)) {
        j->outcome = TU_ALLOWED;
        return true;
    }
    j->outcome = *h->broken ? TU_FAILED : TU_PASSED;
    j->reason = h->broken;
    if (!h->applied) {
        allowed = tu_rules_allowed(&c->rules, h->record, "unjudged", j->name);
        j->outcome = allowed ? TU_ALLOWED : TU_UNJUDGED;
        j->reason = "no rule is about it";
    }
    return h->applied || h->compare;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* A claim counts tensors: one whose result comes twice would stand for one that is missing. */
static int note_name(struct tu_court *c, const struct tu_judged *j, struct tu_error *error)
{
    if (tfind(j->name, &c->names, compare_names))
        return tu_fail(error, TU_EINVALID,
                       "the results of tensor '%.256s' come twice, for the claim %s", j->shown,
                       c->claim);
    return tsearch(j->name, &c->names, compare_names) ? 0 : tu_fail_memory(error);
}

static int begin(struct tu_court *c, struct tu_error *error)
{
    if (!c->uses)
        c->uses = calloc(c->rules.count, sizeof *c->uses);
    return c->uses ? 0 : tu_fail_memory(error);
}

int tu_judge(struct tu_court *c, const struct tensor_value *record, struct tu_error *error)
{
    struct tu_judged j = {.value = NAN};
    struct tensor_value room;
    if (begin(c, error) < 0 || name_record(c, record, &j, error) < 0)
        return -1;
    struct hearing h = {.record = record,
                        .name = j.name,
                        .compare = tu_value_equals(tu_value_get(record, "kind"), "compare")};
    tu_value_number(tu_field(record, tu_court_field(c), &room), &j.value);
    if (!decide(c, &h, &j))
        return 0;
    if (c->claim && h.compare && note_name(c, &j, error) < 0)
        return -1;
    j.reason = explain(c, record, &j);
    if (!j.reason || !TU_GROW(c->items, c->count, c->capacity))
        return tu_fail_memory(error);
    if (c->keeping && tu_value_copy(record, &c->arena, &j.record, error) < 0)
        return -1;
    c->counts[j.outcome]++;
    c->below += h.below;
    c->items[c->count++] = j;
    return 0;
}

static void ignore(void *node)
{
    (void)node;
}

void tu_court_free(struct tu_court *c)
{
    if (c->names)
        tdestroy(c->names, ignore);
    tu_rules_free(&c->rules);
    tu_arena_free(&c->arena);
    free(c->uses);
    free(c->items);
    *c = (struct tu_court){0};
}

/* ---- The whole ---- */

bool tu_outcome_fails(enum tu_outcome outcome)
{
    return outcome == TU_FAILED || outcome == TU_INCOMPARABLE || outcome == TU_MISSING;
}

size_t tu_court_failures(const struct tu_court *c)
{
    return c->counts[TU_FAILED] + c->counts[TU_INCOMPARABLE] + c->counts[TU_MISSING];
}

size_t tu_court_judged(const struct tu_court *c)
{
    return c->counts[TU_PASSED] + tu_court_failures(c);
}

const char *tu_court_field(const struct tu_court *c)
{
    return c->rules.items[0].field;
}

bool tu_court_wants_large(const struct tu_court *c)
{
    enum tu_operator op = c->rules.items[0].op;
    return op == TU_GREATER || op == TU_GREATER_EQUAL;
}

bool tu_court_names(const struct tu_court *c, size_t rule)
{
    return c->rules.given[rule] || (c->uses && c->uses[rule].judged);
}

/* A misspelt glob or field, most likely. */
const struct tu_rule *tu_court_idle(const struct tu_court *c)
{
    for (size_t i = 0; i < c->rules.count; i++)
        if (c->rules.given[i] && !c->rules.items[i].optional && !(c->uses && c->uses[i].asked))
            return &c->rules.items[i];
    return NULL;
}

enum tu_ruling tu_court_ruling(const struct tu_court *c)
{
    if (tu_court_failures(c))
        return TU_FAIL;
    if (c->claim && tu_court_judged(c) != c->expected)
        return TU_WRONG_COUNT;
    if (!c->counts[TU_PASSED] && !c->empty_passes)
        return TU_NOTHING_JUDGED;
    if (c->counts[TU_PASSED] && tu_court_idle(c))
        return TU_IDLE_RULE;
    return c->counts[TU_UNJUDGED] ? TU_NOT_ALL_JUDGED : TU_PASS;
}

const char *tu_court_words(const struct tu_court *c)
{
    static const char *const words[] = {
        "pass", "fail", "fail", "a rule was about no record", "nothing judged", "not all judged"};
    return words[tu_court_ruling(c)];
}

void tu_court_trouble(const struct tu_court *c, char *out, size_t size)
{
    char rule[400], claim[200];
    const struct tu_rule *idle = tu_court_idle(c);
    switch (tu_court_ruling(c)) {
    case TU_PASS:
    case TU_FAIL:
        *out = '\0';
        return;
    case TU_WRONG_COUNT:
        tu_escape(c->claim, strlen(c->claim), claim, sizeof claim);
        snprintf(out, size, "%zu tensors were judged, the claim %s expects %" PRIu64,
                 tu_court_judged(c), claim, c->expected);
        return;
    case TU_IDLE_RULE:
        tu_rule_text(idle, false, rule, sizeof rule);
        snprintf(out, size, "the rule '%s' was about no record", rule);
        return;
    case TU_NOTHING_JUDGED:
        snprintf(
            out, size,
            "no record was judged (is there a tensor-cos before this? --allow-empty accepts it)");
        return;
    case TU_NOT_ALL_JUDGED:
        snprintf(out, size, "%zu records have no rule about them (--allow unjudged accepts it)",
                 c->counts[TU_UNJUDGED]);
        return;
    }
}

static int compare_worst(const void *a, const void *b, void *wants_large)
{
    const struct tu_judged *x = a, *y = b;
    int fail = tu_outcome_fails(y->outcome) - tu_outcome_fails(x->outcome);
    if (fail)
        return fail;
    if (isnan(x->value) != isnan(y->value))
        return isnan(y->value) - isnan(x->value);
    int order = (x->value > y->value) - (x->value < y->value);
    if (order == 0)
        return strverscmp(x->name, y->name);
    return *(bool *)wants_large ? order : -order;
}

void tu_court_sort(struct tu_court *c)
{
    bool wants_large = tu_court_wants_large(c);
    if (c->count)
        qsort_r(c->items, c->count, sizeof *c->items, compare_worst, &wants_large);
}

const struct tu_judged *tu_court_extreme(const struct tu_court *c, bool smallest)
{
    const struct tu_judged *best = NULL;
    for (size_t i = 0; i < c->count; i++) {
        const struct tu_judged *j = &c->items[i];
        if (!isnan(j->value) &&
            (!best || (smallest ? j->value < best->value : j->value > best->value)))
            best = j;
    }
    return best;
}
