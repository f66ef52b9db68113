/* SPDX-License-Identifier: MIT */
/* JUnit XML, in the form of Jenkins' schema: a test case a tensor. */
#include "config.h"

#include "judge/reports/parts.h"

#include <string.h>

#include "base/text.h"

static void put_attribute(FILE *out, const char *name, const char *text)
{
    fprintf(out, " %s=\"", name);
    tu_report_put(out, TU_MARKUP_XML, text);
    putc('"', out);
}

static void put_counts(FILE *out, const struct tu_court *c, bool skipped)
{
    bool trouble = tu_court_ruling(c) > TU_FAIL;
    fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\"", c->count + trouble,
            c->counts[TU_FAILED] + c->counts[TU_DIFFERS],
            c->counts[TU_INCOMPARABLE] + c->counts[TU_MISSING] + c->counts[TU_UNJUDGED] + trouble);
    if (skipped)
        fprintf(out, " skipped=\"%zu\"", c->counts[TU_ALLOWED] + c->counts[TU_LISTED]);
}

static void put_properties(FILE *out, const struct tu_court *c)
{
    fputs("    <properties>\n", out);
    fprintf(out, "      <property name=\"verdict\" value=\"%s\"/>\n", tu_court_words(c));
    if (c->profile) {
        fputs("      <property name=\"profile\"", out);
        put_attribute(out, "value", c->profile);
        fputs("/>\n", out);
    }
    for (size_t i = 0; i < TU_RELATIONS; i++)
        if (c->relations[i])
            fprintf(out, "      <property name=\"%s\" value=\"%zu\"/>\n", tu_relation_words[i],
                    c->relations[i]);
    for (size_t i = 0; i < c->rules.count; i++) {
        char text[512], shown[2048];
        if (!tu_court_names(c, i))
            continue;
        tu_rule_text(&c->rules.items[i], false, text, sizeof text);
        tu_escape(text, strlen(text), shown, sizeof shown);
        fputs("      <property name=\"rule\"", out);
        put_attribute(out, "value", shown);
        fputs("/>\n", out);
    }
    fputs("    </properties>\n", out);
}

/* What a record that did not pass holds; rules broken are failures, all else is an error. */
static void put_outcome(FILE *out, const struct tu_court *c, const struct tu_judged *j)
{
    char number[TU_NUMBER_SIZE];
    bool broken = j->outcome == TU_FAILED || j->outcome == TU_DIFFERS;
    bool skipped = j->outcome == TU_ALLOWED || j->outcome == TU_LISTED;
    const char *element = broken ? "failure" : skipped ? "skipped" : "error";
    fprintf(out, "      <%s", element);
    put_attribute(out, "type", tu_outcome_words[j->outcome]);
    put_attribute(out, "message", j->reason);
    putc('>', out);
    tu_format_double(j->value, number);
    tu_report_put(out, TU_MARKUP_XML, tu_court_field(c));
    fprintf(out, " %s</%s>\n", number, element);
}

static void put_case(FILE *out, const struct tu_court *c, const struct tu_judged *j)
{
    fputs("    <testcase classname=\"verdict\"", out);
    put_attribute(out, "name", j->shown);
    if (j->outcome == TU_PASSED) {
        fputs("/>\n", out);
        return;
    }
    fputs(">\n", out);
    put_outcome(out, c, j);
    fputs("    </testcase>\n", out);
}

int tu_report_junit(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    const struct tu_court *c = r->court;
    char trouble[512];
    (void)error;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"verdict\"", out);
    put_counts(out, c, false);
    fputs(">\n  <testsuite name=\"tensors\"", out);
    put_counts(out, c, true);
    fputs(">\n", out);
    put_properties(out, c);
    for (size_t i = 0; i < c->count; i++)
        put_case(out, c, &c->items[i]);
    tu_court_trouble(c, trouble, sizeof trouble);
    if (*trouble) {
        fputs("    <testcase classname=\"verdict\" name=\"verdict\">\n      <error", out);
        put_attribute(out, "message", trouble);
        fputs("/>\n    </testcase>\n", out);
    }
    fputs("  </testsuite>\n</testsuites>\n", out);
    return 0;
}
