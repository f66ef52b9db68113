/* SPDX-License-Identifier: MIT */
/* SARIF 2.1.0: a result for each tensor that did not pass.  Tensors are logical locations. */
#include "config.h"

#include "judge/reports/parts.h"

#include <string.h>

#include "tree/value.h"

static int open_map(struct tu_builder *b, const char *key, struct tu_error *error)
{
    return tu_builder_open(b, key, key ? strlen(key) : 0, TENSOR_MAP, TENSOR_NULL, error);
}

static int open_array(struct tu_builder *b, const char *key, struct tu_error *error)
{
    return tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_MAP, error);
}

static int put_text(struct tu_builder *b, const char *key, const char *text, struct tu_error *error)
{
    if (open_map(b, key, error) < 0 || tu_put_string(b, "text", text, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int put_rule(struct tu_builder *b, const char *id, const char *text, struct tu_error *error)
{
    if (open_map(b, NULL, error) < 0 || tu_put_string(b, "id", id, error) < 0 ||
        put_text(b, "shortDescription", text, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

/* Identifiers say nothing of thresholds, so that a result stays the same when one moves. */
static int put_rules(struct tu_builder *b, struct tu_error *error)
{
    if (open_array(b, "rules", error) < 0 ||
        put_rule(b, "failed", "The numbers of a tensor break a rule.", error) < 0 ||
        put_rule(b, "incomparable", "A tensor could not be compared, or not wholly.", error) < 0 ||
        put_rule(b, "missing", "A tensor is on one side only.", error) < 0 ||
        put_rule(b, "differs", "The two models state a fact differently.", error) < 0 ||
        put_rule(b, "listed", "This was not compared.", error) < 0 ||
        put_rule(b, "unjudged", "No rule is about a tensor.", error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int put_tool(struct tu_builder *b, struct tu_error *error)
{
    if (open_map(b, "tool", error) < 0 || open_map(b, "driver", error) < 0 ||
        tu_put_string(b, "name", "verdict", error) < 0 ||
        tu_put_string(b, "version", PACKAGE_VERSION, error) < 0 || put_rules(b, error) < 0 ||
        tu_builder_close(b, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int put_location(struct tu_builder *b, const struct tu_judged *j, struct tu_error *error)
{
    if (open_array(b, "locations", error) < 0 || open_map(b, NULL, error) < 0 ||
        open_array(b, "logicalLocations", error) < 0 || open_map(b, NULL, error) < 0 ||
        tu_put_string(b, "fullyQualifiedName", j->shown, error) < 0 ||
        tu_put_string(b, "kind", "tensor", error) < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        if (tu_builder_close(b, error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

/* In a message brackets would be a link, and braces a place for an argument. */
static void escape_message(const char *text, char *out, size_t size)
{
    size_t used = 0;
    for (; *text && used + 3 < size; text++) {
        if (strchr("[]\\", *text))
            out[used++] = '\\';
        else if (strchr("{}", *text))
            out[used++] = *text;
        out[used++] = *text;
    }
    out[used] = '\0';
}

static int put_result(struct tu_builder *b, const struct tu_judged *j, struct tu_error *error)
{
    static const char *const ids[TU_OUTCOMES] = {
        [TU_FAILED] = "failed",   [TU_INCOMPARABLE] = "incomparable",
        [TU_MISSING] = "missing", [TU_DIFFERS] = "differs",
        [TU_LISTED] = "listed",   [TU_UNJUDGED] = "unjudged"};
    char message[1024];
    if (!ids[j->outcome])
        return 0;
    escape_message(j->reason, message, sizeof message);
    if (open_map(b, NULL, error) < 0 || tu_put_string(b, "ruleId", ids[j->outcome], error) < 0 ||
        tu_put_string(b, "level", j->outcome == TU_LISTED ? "note" : "error", error) < 0 ||
        put_text(b, "message", message, error) < 0 || put_location(b, j, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

/* A run that could not judge everything is no success, though it has no result to show for it. */
static int put_invocation(struct tu_builder *b, const struct tu_court *c, struct tu_error *error)
{
    char trouble[512];
    struct tensor_value successful = {.type = TENSOR_BOOLEAN};
    tu_court_trouble(c, trouble, sizeof trouble);
    successful.boolean = !*trouble;
    if (open_array(b, "invocations", error) < 0 || open_map(b, NULL, error) < 0 ||
        tu_builder_add(b, "executionSuccessful", 19, &successful, error) < 0)
        return -1;
    if (*trouble &&
        (open_array(b, "toolExecutionNotifications", error) < 0 || open_map(b, NULL, error) < 0 ||
         tu_put_string(b, "level", "error", error) < 0 ||
         put_text(b, "message", trouble, error) < 0 || tu_builder_close(b, error) < 0 ||
         tu_builder_close(b, error) < 0))
        return -1;
    return tu_builder_close(b, error) < 0 ? -1 : tu_builder_close(b, error);
}

/* How the weights are related, beside what the format has a place for. */
static int put_relations(struct tu_builder *b, const struct tu_court *c, struct tu_error *error)
{
    if (open_map(b, "properties", error) < 0)
        return -1;
    for (size_t i = 0; i < TU_RELATIONS; i++)
        if (tu_put_uint(b, tu_relation_words[i], c->relations[i], error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

static int put_run(struct tu_builder *b, const struct tu_court *c, struct tu_error *error)
{
    if (put_tool(b, error) < 0 || put_invocation(b, c, error) < 0 ||
        put_relations(b, c, error) < 0 || open_array(b, "results", error) < 0)
        return -1;
    for (size_t i = 0; i < c->count; i++)
        if (put_result(b, &c->items[i], error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

static int fill(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_report *r = subject;
    if (tu_put_string(b, "$schema", "https://json.schemastore.org/sarif-2.1.0.json", error) < 0 ||
        tu_put_string(b, "version", "2.1.0", error) < 0 || open_array(b, "runs", error) < 0 ||
        open_map(b, NULL, error) < 0 || put_run(b, r->court, error) < 0 ||
        tu_builder_close(b, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

int tu_report_sarif(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    return tu_report_tree(out, fill, r, error);
}
