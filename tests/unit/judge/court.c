/* SPDX-License-Identifier: MIT */
/* The court: outcomes, their counts and order, and what the whole comes to; and sets of rules. */
#include "config.h"

#include <unistd.h>

#include "judge/court.h"

#include "../tap.h"

static struct tensor_value word(const char *text)
{
    return (struct tensor_value){.type = TENSOR_STRING, .string = {text, strlen(text)}};
}

static struct tensor_value real(double x)
{
    return (struct tensor_value){.type = TENSOR_FLOAT64, .real = x};
}

static struct tu_court court;
static struct tu_error error;

/* A court with these rules, "allow ..." among them. */
static void open_court(const char *const *rules)
{
    court = (struct tu_court){0};
    error = (struct tu_error){0};
    for (; *rules; rules++) {
        bool allowance = strncmp(*rules, "allow ", 6) == 0;
        int result = allowance ? tu_rules_allow(&court.rules, *rules + 6, &error)
                               : tu_rules_add(&court.rules, *rules, &error);
        if (result < 0)
            tap_fail(__FILE__, __LINE__, "%s: %s", *rules, error.text);
    }
    if (tu_court_open(&court, &error) < 0)
        tap_fail(__FILE__, __LINE__, "%s", error.text);
}
#define COURT(...) open_court((const char *const[]){__VA_ARGS__, NULL})

/* Judges a record of a kind with a status and up to two fields. */
static int judge(const char *kind, const char *name, const char *status, const char *field,
                 double value, const char *other, double second)
{
    struct tensor_pair pairs[] = {{word("kind"), word(kind)},
                                  {word("name"), word(name)},
                                  {word("status"), word(status)},
                                  {word(field ? field : ""), real(value)},
                                  {word(other ? other : ""), real(second)}};
    struct tensor_value record = {.type = TENSOR_MAP, .map = {pairs, other ? 5 : field ? 4 : 3}};
    error = (struct tu_error){0};
    return tu_judge(&court, &record, &error);
}

static void hear(const char *name, const char *status, const char *field, double value)
{
    if (judge("compare", name, status, field, value, NULL, 0) < 0)
        tap_fail(__FILE__, __LINE__, "%s", error.text);
}

static const char *last(void)
{
    return court.items[court.count - 1].reason;
}

TEST(each_outcome_is_counted)
{
    static const struct {
        const char *status;
        enum tu_outcome outcome;
    } cases[] = {{"ok", TU_PASSED},
                 {"only_a", TU_MISSING},
                 {"only_b", TU_MISSING},
                 {"shape_mismatch", TU_INCOMPARABLE},
                 {"nonfinite", TU_INCOMPARABLE},
                 {"undefined", TU_INCOMPARABLE},
                 {"not_real", TU_INCOMPARABLE},
                 {"incomparable", TU_INCOMPARABLE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        COURT("x < 1");
        hear("w", cases[i].status, "x", 0.5);
        for (int o = 0; o < TU_OUTCOMES; o++)
            CHECK_UINT(court.counts[o], o == (int)cases[i].outcome);
        CHECK(court.count == 1 && court.items[0].outcome == cases[i].outcome);
        bool fails = cases[i].outcome != TU_PASSED;
        CHECK(tu_outcome_fails(cases[i].outcome) == fails && tu_court_failures(&court) == fails &&
              tu_court_judged(&court) == 1);
        CHECK(tu_court_ruling(&court) == (fails ? TU_FAIL : TU_PASS));
        if (fails)
            CHECK_STRING(last(), cases[i].status);
        tu_court_free(&court);
    }
    CHECK(!tu_outcome_fails(TU_ALLOWED) && !tu_outcome_fails(TU_UNJUDGED) &&
          tu_outcome_fails(TU_FAILED));
}

TEST(what_a_record_breaks_is_named)
{
    COURT("x < 1", "y < 1", "x > -1", "z? < 1");
    judge("compare", "w", "ok", "x", 0, "y", 0);
    CHECK(court.counts[TU_PASSED] == 1 && court.below == 0);
    /* the value of the leading field stands beside the reason anyway */
    judge("compare", "w", "ok", "x", 2, "y", 0);
    CHECK_STRING(last(), "not x < 1");
    CHECK(court.below == 1 && court.items[1].value == 2);
    judge("compare", "w", "ok", "x", -2, "y", 0);
    CHECK_STRING(last(), "not x > -1");
    CHECK(court.below == 2);
    judge("compare", "w", "ok", "x", 0, "y", 2.5);
    CHECK_STRING(last(), "not y < 1: 2.5");
    CHECK(court.below == 2);
    judge("compare", "w", "ok", "x", 3, "y", NAN);
    CHECK_STRING(last(), "not x < 1, not y < 1: nan");
    judge("compare", "w", "ok", "x", 0, NULL, 0);
    CHECK_STRING(last(), "not y < 1: absent");
    judge("compare", "w", "ok", "y", 0, "z", 1);
    CHECK_STRING(last(), "not x < 1, not x > -1, not z < 1: 1");
    CHECK(isnan(court.items[6].value) && court.below == 4 && tu_court_failures(&court) == 6);
    tu_court_free(&court);
}

TEST(a_rule_whose_value_is_a_word)
{
    COURT("x < 1", "status == ok", "dtype_a == F32");
    hear("w", "ok", "x", 0);
    CHECK_STRING(last(), "not dtype_a == F32: absent");
    tu_court_free(&court);
}

/* More than fits is cut, and not written beyond. */
TEST(many_broken_rules)
{
    court = (struct tu_court){0};
    for (int i = 0; i < 100; i++) {
        char rule[64];
        snprintf(rule, sizeof rule, "a_field_with_a_long_name_%d < 1", i);
        CHECK(tu_rules_add(&court.rules, rule, &error) == 0);
    }
    CHECK(tu_court_open(&court, &error) == 0);
    hear("w", "ok", NULL, 0);
    CHECK(court.counts[TU_FAILED] == 1);
    CHECK_UINT(strlen(last()), 1023);
    tu_court_free(&court);
}

TEST(records_of_other_kinds)
{
    COURT("x < 1", "y? < 1");
    CHECK(judge("timing", "t", "ok", "seconds", 1, NULL, 0) == 0 && court.count == 0);
    CHECK(judge("timing", "t", "ok", "x", 2, NULL, 0) == 0 && court.counts[TU_FAILED] == 1);
    CHECK(judge("timing", "t", "ok", "y", 0, NULL, 0) == 0 && court.counts[TU_PASSED] == 1);
    /* a compare record has to have what is asked for */
    CHECK(judge("compare", "t", "ok", "y", 0, NULL, 0) == 0 && court.counts[TU_FAILED] == 2);
    tu_court_free(&court);
    COURT("x? < 1");
    CHECK(judge("compare", "t", "ok", "y", 0, NULL, 0) == 0 && court.counts[TU_UNJUDGED] == 1);
    CHECK_STRING(last(), "no rule is about it");
    CHECK(judge("timing", "t", "ok", "y", 0, NULL, 0) == 0 && court.count == 1);
    tu_court_free(&court);
}

TEST(allowances)
{
    COURT("x < 1", "allow only_a", "allow only_b:b*", "allow nonfinite if x < 5", "allow undefined",
          "allow unjudged:u*", "q:x < 2");
    hear("a", "only_a", NULL, 0);
    CHECK(court.counts[TU_ALLOWED] == 1);
    hear("a", "only_b", NULL, 0);
    CHECK(court.counts[TU_MISSING] == 1);
    hear("bc", "only_b", NULL, 0);
    CHECK(court.counts[TU_ALLOWED] == 2);
    /* one that has numbers is judged by those, but for NaN */
    hear("n", "nonfinite", "x", 0.5);
    CHECK(court.counts[TU_PASSED] == 1);
    hear("n", "nonfinite", "x", 2);
    CHECK(court.counts[TU_FAILED] == 1);
    hear("n", "nonfinite", "x", 6);
    CHECK(court.counts[TU_INCOMPARABLE] == 1);
    hear("n", "undefined", "x", NAN);
    CHECK(court.counts[TU_ALLOWED] == 3);
    hear("n", "undefined", NULL, 0);
    CHECK(court.counts[TU_ALLOWED] == 4);
    hear("n", "undefined", "x", 1);
    CHECK(court.counts[TU_FAILED] == 2);
    tu_court_free(&court);
    COURT("q:x < 2", "allow unjudged:u*");
    hear("u1", "ok", "x", 9);
    hear("v1", "ok", "x", 9);
    CHECK(court.counts[TU_ALLOWED] == 1 && court.counts[TU_UNJUDGED] == 1);
    tu_court_free(&court);
}

TEST(a_status_without_numbers_that_is_allowed_is_not_judged)
{
    COURT("x < 1", "allow shape_mismatch");
    hear("n", "shape_mismatch", "x", 7);
    CHECK_UINT(court.counts[TU_ALLOWED], 1);
    tu_court_free(&court);
}

TEST(what_the_whole_comes_to)
{
    COURT("max_diff < 1");
    CHECK(tu_court_ruling(&court) == TU_NOTHING_JUDGED);
    CHECK_STRING(tu_court_words(&court), "nothing judged");
    court.empty_passes = true;
    CHECK(tu_court_ruling(&court) == TU_NOTHING_JUDGED); /* nobody compared anything */
    tu_court_stream(&court, "tensor-cos");
    CHECK(tu_court_ruling(&court) == TU_PASS);
    hear("w", "ok", "max_diff", 0);
    CHECK(tu_court_ruling(&court) == TU_PASS);
    CHECK_STRING(tu_court_words(&court), "pass");
    tu_court_free(&court);
    /* a rule about nothing; one that may be */
    COURT("x < 1", "absent:x < 1");
    hear("w", "ok", "x", 0);
    CHECK(tu_court_ruling(&court) == TU_IDLE_RULE &&
          tu_court_idle(&court) == &court.rules.items[1]);
    CHECK_STRING(tu_court_words(&court), "a rule was about no record");
    hear("absent", "ok", "x", 0);
    CHECK(tu_court_ruling(&court) == TU_PASS && !tu_court_idle(&court));
    tu_court_free(&court);
    COURT("x < 1", "absent:x? < 1");
    hear("w", "ok", "x", 0);
    CHECK(tu_court_ruling(&court) == TU_PASS);
    CHECK(tu_court_names(&court, 0) && tu_court_names(&court, 1));
    tu_court_free(&court);
    /* a condition that could be looked at */
    COURT("x < 1", "x < 0 if y > 5", "x < 0 if z > 5");
    judge("compare", "w", "ok", "x", 0.5, "y", 4);
    CHECK(tu_court_idle(&court) == &court.rules.items[2] && court.uses[1].asked &&
          court.uses[1].judged == 0);
    CHECK(court.uses[0].judged == 1 && !court.uses[2].asked);
    tu_court_free(&court);
    COURT("w:x < 1");
    hear("w", "ok", "x", 0);
    hear("v", "ok", "x", 0);
    CHECK(tu_court_ruling(&court) == TU_NOT_ALL_JUDGED);
    CHECK_STRING(tu_court_words(&court), "not all judged");
    hear("w", "ok", "x", 5);
    CHECK(tu_court_ruling(&court) == TU_FAIL);
    CHECK_STRING(tu_court_words(&court), "fail");
    tu_court_free(&court);
}

TEST(a_claim_counts_tensors)
{
    COURT("x < 1");
    court.claim = "C1";
    court.expected = 2;
    hear("w", "ok", "x", 0);
    CHECK(tu_court_ruling(&court) == TU_WRONG_COUNT);
    CHECK_FAILS(judge("compare", "w", "ok", "x", 0, NULL, 0), error,
                "tensor 'w' come twice, for the claim C1");
    hear("v", "ok", "x", 0);
    CHECK(tu_court_ruling(&court) == TU_PASS);
    /* other kinds are no tensors, but are judged */
    CHECK(judge("timing", "v", "ok", "x", 0, NULL, 0) == 0);
    CHECK(tu_court_ruling(&court) == TU_PASS);
    hear("u", "ok", "x", 2);
    CHECK(tu_court_ruling(&court) == TU_FAIL);
    tu_court_free(&court);
}

/* The names of the items after they were sorted, with blanks between them. */
static const char *sorted(void)
{
    static char names[200];
    size_t used = 0;
    tu_court_sort(&court);
    for (size_t i = 0; i < court.count; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? " " : "",
                                 court.items[i].name);
    return names;
}

TEST(the_worst_come_first)
{
    COURT("x >= 0");
    double values[] = {0.5, NAN, 0.7, NAN, 0.1, 0.5};
    static const char *const names[] = {"c", "b", "d", "a", "e", "B"};
    for (size_t i = 0; i < 6; i++)
        hear(names[i], "ok", "x", values[i]);
    /* what has no number fails, and comes before all */
    CHECK_STRING(sorted(), "a b e B c d");
    CHECK_STRING(tu_court_extreme(&court, true)->name, "e");
    CHECK_STRING(tu_court_extreme(&court, false)->name, "d");
    CHECK(tu_court_wants_large(&court));
    hear("f", "ok", "x", -3);
    hear("h", "only_a", NULL, 0);
    CHECK_STRING(sorted(), "a b h f e B c d");
    tu_court_free(&court);
    COURT("x <= 0.6", "allow only_a");
    CHECK(!tu_court_wants_large(&court) && !tu_court_extreme(&court, true));
    for (size_t i = 0; i < 6; i++)
        hear(names[i], "ok", "x", values[i]);
    hear("0", "only_a", NULL, 0);
    CHECK_STRING(sorted(), "a b d 0 B c e");
    tu_court_free(&court);
    static const struct {
        const char *rule;
        bool large;
    } rules[] = {{"x > 1", true},   {"x >= 1", true},  {"x < 1", false},
                 {"x <= 1", false}, {"x == 1", false}, {"x != 1", false}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        COURT(rules[i].rule);
        CHECK(tu_court_wants_large(&court) == rules[i].large);
        tu_court_free(&court);
    }
}

TEST(text_for_people_is_escaped)
{
    COURT("x < 1");
    hear("a\nb##[error]", "ok", "x", 0);
    CHECK_STRING(court.items[0].name, "a\nb##[error]");
    CHECK_STRING(court.items[0].shown, "a\\x0ab##\\x5Berror]");
    struct tensor_pair pairs[] = {{word("kind"), word("compare")},
                                  {word("name"), word("w")},
                                  {word("x"), real(2)},
                                  {word("hypothesis"), word("a\tb")},
                                  {word("remedy"), word("do it")}};
    struct tensor_value record = {.type = TENSOR_MAP, .map = {pairs, 5}};
    court.keeping = true;
    CHECK(tu_judge(&court, &record, &error) == 0);
    CHECK_STRING(last(), "not x < 1; hypothesis: a\\x09b");
    CHECK_STRING(court.items[1].remedy, "do it");
    CHECK_STRING(court.items[1].status, "ok");
    CHECK(court.items[1].record.map.count == 5 && court.items[0].record.map.count == 0);
    /* of what passes there is nothing to explain */
    pairs[2].value = real(0);
    CHECK(tu_judge(&court, &record, &error) == 0);
    CHECK_STRING(last(), "");
    tu_court_free(&court);
}

/* ---- Sets of rules ---- */

/* A profile of these bytes in a file of its own. */
static int profile(struct tu_rules *rules, const char *text, size_t length)
{
    char path[] = "/tmp/profile-XXXXXX";
    int fd = mkstemp(path);
    error = (struct tu_error){0};
    if (fd < 0 || write(fd, text, length) != (ssize_t)length)
        abort();
    int result = tu_rules_profile(rules, path, true, &error);
    close(fd);
    unlink(path);
    return result;
}

TEST(lines_of_a_profile)
{
    struct tu_rules rules = {0};
    static const char text[] = "# first\n\n  x < 1  \r\n\ty < 2\t\nallow only_a:w if x < "
                               "3\ninclude exact\nname == include z < 3";
    CHECK(profile(&rules, text, sizeof text - 1) == 0);
    CHECK(rules.count >= 4 && rules.allowed >= 1);
    CHECK_STRING(rules.items[0].text, "1");
    CHECK_STRING(rules.items[1].text, "2");
    CHECK_STRING(rules.items[rules.count - 1].text, "include z < 3");
    CHECK(rules.given[0] && rules.given[rules.count - 1] && !rules.given[2]);
    char said[100];
    tu_allowance_text(&rules.allowances[0], said, sizeof said);
    CHECK_STRING(said, "only_a:w if x < 3");
    tu_rules_free(&rules);
    CHECK_FAILS(profile(&rules, "x < 1\nincluded exact", 20), error,
                "line 2: 'included exact' is no rule");
    tu_rules_free(&rules);
    CHECK_FAILS(profile(&rules, "x < 1\nallow", 11), error, "line 2: 'allow' is no rule");
    tu_rules_free(&rules);
    CHECK_FAILS(profile(&rules, "x < 1\0", 6), error, "this is no profile");
    tu_rules_free(&rules);
}

TEST(how_much_a_profile_may_be)
{
    enum { MOST = 1 << 20 };
    struct tu_rules rules = {0};
    char *text = malloc(MOST + 1);
    memset(text, '\n', MOST + 1);
    memcpy(text, "x < 1", 5);
    CHECK(profile(&rules, text, MOST - 1) == 0);
    tu_rules_free(&rules);
    CHECK_FAILS(profile(&rules, text, MOST), error, "this is no profile");
    tu_rules_free(&rules);
    free(text);
    /* 999 others, and one more */
    enum { WORD = sizeof "include exact\n" - 1 };
    char *many = malloc(1000 * WORD + 1);
    for (int i = 0; i < 1000; i++)
        memcpy(many + i * WORD, "include exact\n", WORD);
    CHECK(profile(&rules, many, 999 * WORD) == 0);
    tu_rules_free(&rules);
    CHECK_FAILS(profile(&rules, many, 1000 * WORD), error, "more than 1000 profiles are included");
    tu_rules_free(&rules);
    free(many);
}

TEST(what_is_no_allowance)
{
    static const struct {
        const char *text, *says;
    } cases[] = {{"", "status"},
                 {"ok", "status"},
                 {"everything", "status"},
                 {"only_a if", "status"},
                 {"only_a if x", "no operator"},
                 {"undefined if *:x < 1", "no more"}};
    struct tu_rules rules = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error = (struct tu_error){0};
        int result = tu_rules_allow(&rules, cases[i].text, &error);
        CHECK_FAILS(result, error, cases[i].says);
    }
    for (size_t i = 0; i < tu_status_count; i++)
        CHECK(tu_rules_allow(&rules, tu_statuses[i], &error) == 0);
    CHECK_UINT(rules.allowed, tu_status_count);
    tu_rules_free(&rules);
}

TEST(where_a_profile_lies)
{
    static const struct {
        const char *file, *name, *path;
    } cases[] = {{"a/b.profile", "c.profile", "a/c.profile"},
                 {"b.profile", "c.profile", "c.profile"},
                 {"/b", "c/d", "/c/d"},
                 {"a/b.profile", "/c", "/c"},
                 {"a/b.profile", "exact", "exact"},
                 {"a/b", "exactly", "a/exactly"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = tu_profile_beside(cases[i].file, cases[i].name);
        CHECK_STRING(path, cases[i].path);
        free(path);
    }
}
