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
#include "judge/schema.h"
#include "base/text.h"
#include "tree/cell.h"

const char *const tu_outcome_verdicts[] = {"pass", "fail",    "fail",     "fail",
                                           "fail", "allowed", "unjudged", "listed"};
const char *const tu_outcome_words[] = {"passed",  "failed",  "incomparable", "missing",
                                        "differs", "allowed", "not judged",   "listed"};

const char *const tu_relation_words[TU_RELATIONS] = {"identical", "widened", "rounded",
                                                     "requantized", "changed"};

/* ---- One record against the rules ---- */

/* What the rules make of a record. */
struct hearing {
    const struct tensor_value *record;
    const char *name;
    bool compare;      /* it is a compare record, which has to have the fields that rules ask for */
    bool identical;    /* every place holds equal numbers */
    bool integers;     /* on both sides, and they are not identical */
    bool lenient;      /* what is NaN is no concern of a rule: its status was allowed */
    size_t applied;    /* rules that are about it, and whose keeping says something */
    bool below;        /* it broke one on the leading field */
    char broken[1024]; /* those it breaks, as text */
    char status[512];  /* the status, with its reason */
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

/* A field of the record.  What the numbers of equal tensors leave open follows from their being
 * equal: zeros have no angle, and tensors of nothing no mean. */
static const struct tensor_value *value_of(const struct hearing *h, const char *field,
                                           struct tensor_value *room)
{
    double number;
    const struct tensor_value *value = tu_field(h->record, field, room);
    bool open = !value || (tu_value_number(value, &number) && isnan(number));
    const struct tensor_value *follows =
        h->identical && open ? tu_field_of_equals(field, room) : NULL;
    return follows ? follows : value;
}

/* Whether a rule's condition is met.  A record that lacks the field of the condition is not what
 * the rule asks for; *asked tells whether it has it. */
static bool meets_condition(const struct tu_rule *rule, const struct hearing *h, bool *asked)
{
    struct tensor_value room;
    const struct tensor_value *value =
        rule->condition ? value_of(h, rule->condition->field, &room) : NULL;
    *asked = value != NULL;
    return !rule->condition || tu_rule_holds(rule->condition, value);
}

/* Integers that differ have no angle that could excuse it: how many they are is said instead. */
static void note_integers(struct hearing *h, const struct tu_rule *rule, bool leads)
{
    char text[200];
    uint64_t differing = 0, elements = 0;
    struct tensor_value room;
    tu_rule_text(rule, true, text, sizeof text);
    h->below |= leads;
    bool counted = tu_value_uint(tu_field(h->record, "differing_count", &room), &differing) &&
                   tu_value_uint(tu_value_get(h->record, "element_count"), &elements);
    if (h->broken_used >= sizeof h->broken || strstr(h->broken, "integers differ"))
        return;
    char *out = h->broken + h->broken_used;
    size_t size = sizeof h->broken - h->broken_used;
    const char *lead = h->broken_used ? ", " : "";
    h->broken_used +=
        (size_t)(counted
                     ? snprintf(out, size,
                                "%s%" PRIu64 " of %" PRIu64 " integers differ, which no %s excuses",
                                lead, differing, elements, rule->field)
                     : snprintf(out, size, "%sintegers differ, or may: not %s", lead, text));
}

/* A rule on a field that records of other kinds do not have is not about them.  That a rule of a
 * profile with a ? is kept does not make a judged pair: it may ask for a NaN, and no more. */
static void try_rule(struct tu_court *c, size_t i, struct hearing *h)
{
    const struct tu_rule *rule = &c->rules.items[i];
    struct tensor_value room;
    double number;
    bool asked;
    if (!tu_rule_applies(rule, h->name))
        return;
    bool met = meets_condition(rule, h, &asked);
    c->uses[i].asked |= asked;
    const struct tensor_value *value = value_of(h, rule->field, &room);
    bool undefined = !value || (tu_value_number(value, &number) && isnan(number));
    if (!met || (!value && (!h->compare || rule->optional)) || (undefined && h->lenient))
        return;
    h->applied += !h->compare || !rule->optional || c->rules.given[i];
    c->uses[i].asked = true;
    c->uses[i].judged++;
    bool leads = i == 0 || strcmp(rule->field, tu_court_field(c)) == 0;
    if (h->integers && tu_field_is_geometric(rule->field))
        note_integers(h, rule, leads);
    else if (!tu_rule_holds(rule, value))
        note_broken(h, rule, leads, value);
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
    if (!j->hypothesis || !tu_outcome_fails(j->outcome) || strstr(j->reason, j->hypothesis))
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

/* Whether a record of a status has numbers that can be judged at all: of two complex tensors it
 * is how many are equal. */
static bool has_numbers(const struct hearing *h, const char *status)
{
    bool counted =
        h->compare && tu_record_of_complex(h->record) && tu_value_get(h->record, "identical_count");
    return strcmp(status, "ok") == 0 || strcmp(status, "nonfinite") == 0 ||
           strcmp(status, "undefined") == 0 || (strcmp(status, "not_real") == 0 && counted);
}

/* The status, with what the record says of it. */
static void say_status(struct hearing *h, struct tu_judged *j)
{
    const char *reason;
    size_t length;
    j->reason = j->status;
    if (!tu_value_string(tu_value_get(h->record, "reason"), &reason, &length) || !length)
        return;
    snprintf(h->status, sizeof h->status, "%s: %.*s", j->status, (int)length, reason);
    j->reason = h->status;
}

/* Of a pair that passed, what was not compared: rows that one side alone has, which are padding,
 * and what a mask hides. */
static void say_rows(struct hearing *h, struct tu_judged *j)
{
    static const char *const keys[] = {"rows_only_a", "rows_only_b"};
    uint64_t rows;
    if (tu_value_uint(tu_value_get(h->record, "masked_count"), &rows) && rows) {
        snprintf(h->status, sizeof h->status, "%" PRIu64 " masked entries were not compared", rows);
        j->reason = h->status;
    }
    for (int i = 0; i < 2; i++) {
        if (!tu_value_uint(tu_value_get(h->record, keys[i]), &rows) || !rows)
            continue;
        snprintf(h->status, sizeof h->status, "%" PRIu64 " rows of %c alone were not compared",
                 rows, "ab"[i]);
        j->reason = h->status;
    }
}

/* Experts that one side alone has chosen for a token have nothing to be compared with. */
static void note_missing_slots(struct hearing *h, bool allowed)
{
    uint64_t slots;
    if (allowed || !tu_value_uint(tu_value_get(h->record, "missing_slots"), &slots) || !slots)
        return;
    h->broken_used = (size_t)snprintf(
        h->broken, sizeof h->broken,
        "%" PRIu64 " slots have an expert that the other side has not chosen", slots);
}

/* Judges by the rules what has numbers. */
static void weigh(struct tu_court *c, struct hearing *h, struct tu_judged *j, bool allowed)
{
    h->lenient = allowed;
    try_rules(c, h);
    note_missing_slots(h, allowed);
    bool heard = h->applied || *h->broken;
    if (allowed && !heard) {
        j->outcome = TU_ALLOWED;
        return;
    }
    j->outcome = *h->broken ? TU_FAILED : TU_PASSED;
    j->reason = h->broken;
    if (j->outcome == TU_PASSED)
        say_rows(h, j);
    if (!heard) {
        allowed = tu_rules_allowed(&c->rules, h->record, "unjudged", j->name);
        j->outcome = allowed ? TU_ALLOWED : TU_UNJUDGED;
        j->reason = "no rule is about it";
    }
}

/* Another layout is accepted where what it fits by keeps the rules; a record that does not say how
 * well it fits is judged by nobody. */
static void weigh_layout(struct tu_court *c, struct hearing *h, struct tu_judged *j)
{
    const struct tensor_value *fitted = tu_value_get(h->record, "fitted");
    if (!fitted || fitted->type != TENSOR_MAP) {
        j->outcome = TU_INCOMPARABLE;
        j->reason = "layout: nothing says how well it fits";
        return;
    }
    const struct tensor_value *record = h->record;
    h->record = fitted;
    h->identical = tu_record_identical(fitted);
    h->integers = !h->identical && tu_record_of_integers(fitted);
    try_rules(c, h);
    h->record = record;
    j->outcome = *h->broken ? TU_FAILED : TU_ALLOWED;
    if (*h->broken)
        j->reason = h->broken;
}

/* False for a record that is none of the court's business: of another kind, and no rule is about
 * it. */
static bool decide(struct tu_court *c, struct hearing *h, struct tu_judged *j)
{
    bool numbers = has_numbers(h, j->status);
    bool ok = strcmp(j->status, "ok") == 0 || (numbers && h->identical);
    bool allowed = !ok && tu_rules_allowed(&c->rules, h->record, j->status, j->name);
    say_status(h, j);
    if (strcmp(j->status, "extra") == 0 || strcmp(j->status, "side") == 0)
        j->outcome = TU_LISTED;
    else if (!ok && !allowed)
        j->outcome = is_missing(j->status) ? TU_MISSING : TU_INCOMPARABLE;
    else if (strcmp(j->status, "layout") == 0)
        weigh_layout(c, h, j);
    else if (!ok && !numbers)
        j->outcome = TU_ALLOWED;
    else {
        weigh(c, h, j, allowed);
        return h->applied || *h->broken || h->compare;
    }
    return true;
}

/* ---- Facts ---- */

/* One side of a fact in words: its value, and where it comes from. */
static void say_side(const struct tensor_value *record, const char *side, char *out, size_t size)
{
    const char *origin = "unknown";
    size_t length = strlen(origin);
    char key[16], value[256];
    const struct tensor_value *v = tu_value_get(record, side);
    snprintf(key, sizeof key, "origin_%s", side);
    (void)tu_value_string(tu_value_get(record, key), &origin, &length);
    if (v)
        tu_format_cell(v, false, value, sizeof value);
    snprintf(out, size, "%s has %s (%.*s)", side, v ? value : "none", (int)length, origin);
}

/* What a fact record says of itself, or else both sides of it. */
static void say_fact(struct hearing *h)
{
    char a[512], b[512];
    const char *note;
    size_t length;
    if (tu_value_string(tu_value_get(h->record, "note"), &note, &length) && length) {
        snprintf(h->broken, sizeof h->broken, "%.*s", (int)length, note);
        return;
    }
    say_side(h->record, "a", a, sizeof a);
    say_side(h->record, "b", b, sizeof b);
    snprintf(h->broken, sizeof h->broken, "%.250s, %.250s", a, b);
}

/* False for a fact that is the same on both sides: it is counted, and no more is to be said. */
static bool hear_fact(struct tu_court *c, struct hearing *h, struct tu_judged *j)
{
    j->fact = true;
    c->facts++;
    if (strcmp(j->status, "same") == 0 || strcmp(j->status, "ok") == 0)
        return false;
    say_fact(h);
    j->reason = h->broken;
    bool differs = strcmp(j->status, "differs") == 0;
    j->outcome = !differs                                                     ? TU_LISTED
                 : tu_rules_allowed(&c->rules, h->record, j->status, j->name) ? TU_ALLOWED
                                                                              : TU_DIFFERS;
    c->differing += differs;
    return true;
}

/* ---- Origins ---- */

/* What tensor-origin says of a stage is judged by its word; rules about its numbers come on top. */
static bool hear_origin(struct tu_court *c, struct hearing *h, struct tu_judged *j)
{
    static const enum tu_outcome outcomes[] = {TU_PASSED, TU_PASSED, TU_FAILED,  TU_PASSED,
                                               TU_LISTED, TU_LISTED, TU_UNJUDGED};
    const struct tensor_value *verdict = tu_value_get(h->record, "verdict");
    const char *reason = "";
    size_t length = 0;
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
        if (tu_value_equals(verdict, tu_origin_verdicts[i]))
            j->outcome = outcomes[i];
    if (j->outcome == TU_PASSED)
        try_rules(c, h);
    if (*h->broken)
        j->outcome = TU_FAILED;
    else if (j->outcome != TU_PASSED &&
             tu_value_string(tu_value_get(h->record, "reason"), &reason, &length))
        snprintf(h->broken, sizeof h->broken, "%.*s", (int)length, reason);
    if (j->outcome == TU_FAILED && tu_rules_allowed(&c->rules, h->record, "made", j->name))
        j->outcome = TU_ALLOWED;
    c->unmeasured += j->outcome == TU_UNJUDGED;
    j->reason = h->broken;
    return true;
}

/* ---- Health ---- */

/* A finding of tensor-stat is a failure by itself; rules about numbers come on top. */
static bool hear_health(struct tu_court *c, struct hearing *h, struct tu_judged *j)
{
    bool ok = strcmp(j->status, "ok") == 0;
    if (strcmp(j->status, "not_real") == 0)
        return decide(c, h, j);
    j->outcome = TU_PASSED;
    try_rules(c, h);
    j->reason = h->broken;
    if (*h->broken)
        j->outcome = TU_FAILED;
    else if (!ok) {
        say_status(h, j);
        bool allowed = tu_rules_allowed(&c->rules, h->record, j->status, j->name);
        j->outcome = allowed ? TU_ALLOWED : TU_FAILED;
    }
    return true;
}

/* What closes origins: weights that differ may show in no operation of these tokens. */
static bool hear_origins(struct hearing *h, struct tu_judged *j)
{
    uint64_t failing, made;
    const char *first = "";
    size_t length = 0;
    if (!tu_value_uint(tu_value_get(h->record, "failing_weights"), &failing) || !failing ||
        (tu_value_uint(tu_value_get(h->record, "made"), &made) && made))
        return false;
    (void)tu_value_string(tu_value_get(h->record, "failing_weight"), &first, &length);
    snprintf(h->broken, sizeof h->broken,
             "%" PRIu64 " weights differ by more than their types explain, as '%.*s', though no "
             "operation of these tokens shows it",
             failing, (int)length, first);
    j->outcome = TU_FAILED;
    j->shown = "weights";
    j->reason = h->broken;
    return true;
}

/* ---- What has come before ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Whether records of a kind are about what they name, and come once. */
static bool comes_once(const struct tensor_value *kind)
{
    static const char *const kinds[] = {"compare", "fact", "repeat", "hash", "entry", "origin"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (tu_value_equals(kind, kinds[i]))
            return true;
    return false;
}

/* Where tensors are counted, one whose result comes twice would stand for one that is missing: in
 * the whole for a claim, in its stream where so many are expected of several. */
static int note_name(struct tu_court *c, const struct hearing *h, const struct tu_judged *j,
                     struct tu_error *error)
{
    const struct tensor_value *kind = tu_value_get(h->record, "kind");
    if (!*j->name || !comes_once(kind))
        return 0;
    size_t size = strlen(j->name) + kind->string.length + 32;
    char *key = tu_arena_alloc(&c->arena, size);
    if (!key)
        return tu_fail_memory(error);
    snprintf(key, size, "%.*s %zu %s", (int)kind->string.length, kind->string.bytes,
             c->claim || !c->expected ? 0 : c->streams, j->name);
    if (!tfind(key, &c->names, compare_names))
        return tsearch(key, &c->names, compare_names) ? 0 : tu_fail_memory(error);
    c->repeated++;
    if (!c->expected)
        return 0;
    return tu_fail(error, TU_EINVALID, "the results of %.*s '%.256s' come twice%s%s",
                   h->compare ? 6 : (int)kind->string.length,
                   h->compare ? "tensor" : kind->string.bytes, j->shown,
                   c->claim ? ", for the claim " : "", c->claim ? c->claim : "");
}

void tu_court_stream(struct tu_court *c, const char *tool)
{
    c->streams++;
    c->is_foreign = strcmp(tool, "tensor-cos") != 0;
    c->foreign += c->is_foreign;
}

/* ---- Hearing ---- */

static int ask_for(struct tu_court *c, const char *field, struct tu_error *error)
{
    if (tu_schema_has(field))
        return 0;
    if (!TU_GROW(c->unknown, c->unknown_count, c->unknown_capacity))
        return tu_fail_memory(error);
    c->unknown[c->unknown_count++] = (struct tu_unknown){.field = field};
    return 0;
}

/* Fields that the user asks for, and that may be misspelt. */
static int list_unknown(struct tu_court *c, struct tu_error *error)
{
    const struct tu_rules *r = &c->rules;
    for (size_t i = 0; i < r->count; i++) {
        const struct tu_rule *rule = &r->items[i];
        if (r->given[i] && (ask_for(c, rule->field, error) < 0 ||
                            (rule->condition && ask_for(c, rule->condition->field, error) < 0)))
            return -1;
    }
    for (size_t i = 0; i < r->allowed; i++)
        if (r->allowances[i].condition && ask_for(c, r->allowances[i].condition->field, error) < 0)
            return -1;
    return 0;
}

int tu_court_open(struct tu_court *c, struct tu_error *error)
{
    c->uses = calloc(c->rules.count, sizeof *c->uses);
    return c->uses ? list_unknown(c, error) : tu_fail_memory(error);
}

static void look_for_unknown(struct tu_court *c, const struct tensor_value *record)
{
    for (size_t i = 0; i < c->unknown_count; i++)
        c->unknown[i].seen = c->unknown[i].seen || tu_value_get(record, c->unknown[i].field);
}

static void look_at(struct tu_court *c, const struct tensor_value *record, struct hearing *h,
                    struct tu_judged *j)
{
    struct tensor_value room;
    h->compare = tu_value_equals(tu_value_get(record, "kind"), "compare");
    h->identical = h->compare && tu_record_identical(record);
    h->integers = h->compare && !h->identical && tu_record_of_integers(record);
    tu_value_number(value_of(h, tu_court_field(c), &room), &j->value);
    look_for_unknown(c, record);
    c->foreign -= h->compare && c->is_foreign;
    c->is_foreign = c->is_foreign && !h->compare;
}

static void count(struct tu_court *c, const struct hearing *h, const struct tu_judged *j)
{
    uint64_t elements;
    bool empty = tu_value_uint(tu_value_get(h->record, "element_count"), &elements) && !elements;
    c->counts[j->outcome]++;
    c->listed += j->fact && j->outcome == TU_LISTED;
    c->compared += h->compare && (j->outcome == TU_PASSED || tu_outcome_fails(j->outcome));
    c->substantial += j->outcome == TU_PASSED && !empty;
    c->below += h->below;
}

static void count_relation(struct tu_court *c, const struct tensor_value *record)
{
    const struct tensor_value *relation = tu_value_get(record, "relation");
    for (size_t i = 0; relation && i < TU_RELATIONS; i++)
        c->relations[i] += tu_value_equals(relation, tu_relation_words[i]);
}

bool tu_court_relations(const struct tu_court *c, char *out, size_t size)
{
    size_t used = 0, all = 0;
    for (size_t i = 0; i < TU_RELATIONS; i++) {
        all += c->relations[i];
        if (used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%zu %s", i ? ", " : "",
                                     c->relations[i], tu_relation_words[i]);
    }
    return all > 0;
}

int tu_judge(struct tu_court *c, const struct tensor_value *record, struct tu_error *error)
{
    struct tu_judged j = {.value = NAN};
    if (tu_schema_check(record, error) < 0 || name_record(c, record, &j, error) < 0)
        return -1;
    struct hearing h = {.record = record, .name = j.name};
    look_at(c, record, &h, &j);
    bool fact = tu_value_equals(tu_value_get(record, "kind"), "fact");
    if (tu_value_equals(tu_value_get(record, "kind"), "shard") &&
        tu_shares_note(&c->shares, record, error) < 0)
        return -1;
    c->facts_alone |= tu_value_equals(tu_value_get(record, "kind"), "facts");
    bool heard = fact                                                       ? hear_fact(c, &h, &j)
                 : tu_value_equals(tu_value_get(record, "kind"), "origin")  ? hear_origin(c, &h, &j)
                 : tu_value_equals(tu_value_get(record, "kind"), "origins") ? hear_origins(&h, &j)
                 : tu_value_equals(tu_value_get(record, "kind"), "health")  ? hear_health(c, &h, &j)
                                                                            : decide(c, &h, &j);
    if ((heard || fact) && note_name(c, &h, &j, error) < 0)
        return -1;
    if (!heard)
        return 0;
    j.reason = explain(c, record, &j);
    if (!j.reason || !TU_GROW(c->items, c->count, c->capacity))
        return tu_fail_memory(error);
    if (c->keeping && tu_value_copy(record, &c->arena, &j.record, error) < 0)
        return -1;
    count(c, &h, &j);
    if (h.compare)
        count_relation(c, record);
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
    free(c->shares.came);
    tu_arena_free(&c->arena);
    free(c->uses);
    free(c->unknown);
    free(c->items);
    *c = (struct tu_court){0};
}

static int compare_worst(const void *a, const void *b, void *wants_large)
{
    const struct tu_judged *x = a, *y = b;
    int fail = tu_outcome_fails(y->outcome) - tu_outcome_fails(x->outcome);
    int listed = (x->outcome == TU_LISTED) - (y->outcome == TU_LISTED);
    int fact = y->fact - x->fact;
    if (fail || listed || fact)
        return fail ? fail : listed ? listed : fact;
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
