/* SPDX-License-Identifier: MIT */
/* Rules on the whole from what became of each record, and says in words what the trouble is. */
#include "config.h"

#include "judge/court.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "judge/schema.h"

bool tu_outcome_fails(enum tu_outcome outcome)
{
    return outcome == TU_FAILED || outcome == TU_INCOMPARABLE || outcome == TU_MISSING ||
           outcome == TU_DIFFERS;
}

size_t tu_court_failures(const struct tu_court *c)
{
    return c->counts[TU_FAILED] + c->counts[TU_INCOMPARABLE] + c->counts[TU_MISSING] +
           c->counts[TU_DIFFERS];
}

size_t tu_court_judged(const struct tu_court *c)
{
    return c->counts[TU_PASSED] + tu_court_failures(c);
}

size_t tu_court_ranked(const struct tu_court *c)
{
    return c->count - c->counts[TU_LISTED];
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
    return c->rules.given[rule] || (c->uses[rule].judged);
}

/* A misspelt glob or field, most likely. */
const struct tu_rule *tu_court_idle(const struct tu_court *c)
{
    for (size_t i = 0; i < c->rules.count; i++)
        if (c->rules.given[i] && !c->rules.items[i].optional && !c->uses[i].asked)
            return &c->rules.items[i];
    return NULL;
}

const char *tu_court_unknown(const struct tu_court *c)
{
    for (size_t i = 0; i < c->unknown_count; i++)
        if (!c->unknown[i].seen)
            return c->unknown[i].field;
    return NULL;
}

/* Only streams of comparisons may be empty: one of anything else was put in by mistake. */
static bool may_be_empty(const struct tu_court *c)
{
    return c->empty_passes && c->streams && !c->foreign;
}

enum tu_ruling tu_court_ruling(const struct tu_court *c)
{
    if (tu_court_unknown(c))
        return TU_UNKNOWN_FIELD;
    if (tu_court_failures(c))
        return TU_FAIL;
    if (c->expected_streams && c->streams != c->expected_streams)
        return TU_WRONG_STREAMS;
    if (tu_shares_missing(&c->shares))
        return TU_WRONG_SHARES;
    if (c->expected && c->compared != c->expected)
        return TU_WRONG_COUNT;
    if (!c->substantial && !(c->facts_alone && c->facts) && !may_be_empty(c))
        return TU_NOTHING_JUDGED;
    if (c->counts[TU_PASSED] && tu_court_idle(c))
        return TU_IDLE_RULE;
    return c->counts[TU_UNJUDGED] ? TU_NOT_ALL_JUDGED : TU_PASS;
}

const char *tu_court_words(const struct tu_court *c)
{
    static const char *const words[] = {"pass",
                                        "fail",
                                        "fail",
                                        "a rule asks for an unknown field",
                                        "another number of streams was expected",
                                        "shards are missing",
                                        "a rule was about no record",
                                        "nothing judged",
                                        "not all judged"};
    return words[tu_court_ruling(c)];
}

static void say_unknown(const struct tu_court *c, char *out, size_t size)
{
    const char *field = tu_court_unknown(c), *nearest = tu_schema_nearest(field);
    snprintf(out, size, "no record has the field '%.100s' that a rule asks for%s%s%s", field,
             nearest ? " (is it " : "", nearest ? nearest : "", nearest ? "?)" : "");
}

static void say_count(const struct tu_court *c, char *out, size_t size)
{
    char claim[200];
    if (c->claim)
        tu_escape(c->claim, strlen(c->claim), claim, sizeof claim);
    snprintf(out, size, "%zu tensors were compared, %s%s expects %" PRIu64, c->compared,
             c->claim ? "the claim " : "--expect", c->claim ? claim : "", c->expected);
}

static void say_nothing(const struct tu_court *c, char *out, size_t size)
{
    if (c->counts[TU_PASSED])
        snprintf(out, size, "all tensors that were compared are empty");
    else if (c->empty_passes)
        snprintf(out, size, "no record was judged, and what came was no stream of a comparison");
    else
        snprintf(
            out, size,
            "no record was judged (is there a tensor-cos before this? --allow-empty accepts it)");
}

void tu_court_trouble(const struct tu_court *c, char *out, size_t size)
{
    char rule[400];
    *out = '\0';
    switch (tu_court_ruling(c)) {
    case TU_PASS:
    case TU_FAIL:
        return;
    case TU_UNKNOWN_FIELD:
        say_unknown(c, out, size);
        return;
    case TU_WRONG_STREAMS:
        snprintf(out, size, "%zu streams came, --expect says %" PRIu64, c->streams,
                 c->expected_streams);
        return;
    case TU_WRONG_SHARES:
        snprintf(out, size,
                 "of %" PRIu64 " shards, %" PRIu64 " did not come, the first is %" PRIu64,
                 c->shares.of, tu_shares_missing(&c->shares), tu_shares_first_missing(&c->shares));
        return;
    case TU_WRONG_COUNT:
        say_count(c, out, size);
        return;
    case TU_IDLE_RULE:
        tu_rule_text(tu_court_idle(c), false, rule, sizeof rule);
        snprintf(out, size, "the rule '%s' was about no record", rule);
        return;
    case TU_NOTHING_JUDGED:
        say_nothing(c, out, size);
        return;
    case TU_NOT_ALL_JUDGED:
        if (c->unmeasured)
            snprintf(out, size,
                     "%zu stages may have made an error, which was not measured (tensor-origin "
                     "--models A B measures it)",
                     c->unmeasured);
        else
            snprintf(out, size, "%zu records have no rule about them (--allow unjudged accepts it)",
                     c->counts[TU_UNJUDGED]);
        return;
    }
}
