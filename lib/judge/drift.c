/* SPDX-License-Identifier: MIT */
/* Holds evidence against its seal, the files, the contract and new results; each difference is a
 * reason. */
#include "config.h"

#include "judge/drift.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge/artifact.h"
#include "judge/canonical.h"
#include "judge/evidence.h"
#include "base/text.h"

static TU_PRINTF(3, 0) int add_line(struct tu_drift *d, struct tu_lines *lines, const char *format,
                                    va_list arguments, struct tu_error *error)
{
    char raw[1024], shown[4096];
    vsnprintf(raw, sizeof raw, format, arguments);
    tu_escape(raw, strlen(raw), shown, sizeof shown);
    const char *copy = tu_arena_copy(&d->arena, shown, strlen(shown));
    if (!copy || !TU_GROW(lines->items, lines->count, lines->capacity))
        return tu_fail_memory(error);
    lines->items[lines->count++] = copy;
    return 0;
}

int tu_drift_add(struct tu_drift *d, struct tu_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = add_line(d, &d->reasons, format, arguments, error);
    va_end(arguments);
    return result;
}

int tu_drift_note(struct tu_drift *d, struct tu_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = add_line(d, &d->notes, format, arguments, error);
    va_end(arguments);
    return result;
}

/* A text in a map; "" where there is none. */
static const char *text_of(const struct tensor_value *map, const char *key)
{
    const struct tensor_value *v = tu_value_get(map, key);
    return v && v->type == TENSOR_STRING ? v->string.bytes : "";
}

/* A count in a map; UINT64_MAX, which is none, where there is none. */
static uint64_t count_of(const struct tensor_value *map, const char *key)
{
    uint64_t count = UINT64_MAX;
    (void)tu_value_uint(tu_value_get(map, key), &count);
    return count;
}

/* ---- The seal ---- */

static int check_seal(struct tu_drift *d, const struct tensor_value *evidence,
                      struct tu_error *error)
{
    char seal[TU_DIGEST_TEXT];
    const struct tensor_value *stated = tu_value_get(evidence, "seal");
    if (tu_evidence_seal(evidence, seal, error) < 0)
        return -1;
    if (tu_value_equals(tu_value_get(stated, "algorithm"), "sha256") &&
        tu_value_equals(tu_value_get(stated, "digest"), seal))
        return 0;
    return tu_drift_add(d, error,
                        "the seal is broken: the evidence was changed after it was written");
}

/* ---- The contract ---- */

static bool has_text(const struct tensor_value *list, const struct tensor_value *text)
{
    for (size_t i = 0; i < list->array.count; i++)
        if (text->type == TENSOR_STRING &&
            tu_value_equals(&list->array.items[i], text->string.bytes))
            return true;
    return false;
}

/* Texts of one list that the other lacks. */
static int check_list(struct tu_drift *d, const struct tensor_value *in,
                      const struct tensor_value *lacks, const char *format, struct tu_error *error)
{
    for (size_t i = 0; i < in->array.count; i++) {
        const struct tensor_value *text = &in->array.items[i];
        if (!has_text(lacks, text) &&
            tu_drift_add(d, error, "%s: %s", format,
                         text->type == TENSOR_STRING ? text->string.bytes : "(no text)") < 0)
            return -1;
    }
    return 0;
}

static int check_rules(struct tu_drift *d, const struct tensor_value *evidence,
                       const struct tu_rules *rules, struct tu_error *error)
{
    struct tensor_value now, then = *tu_value_get(evidence, "rules");
    if (tu_evidence_rules(rules, &d->arena, &now, error) < 0 ||
        check_list(d, &now, &then, "not judged by this rule of the contract", error) < 0 ||
        check_list(d, &then, &now, "judged by a rule that the contract has no more", error) < 0)
        return -1;
    then = *tu_value_get(evidence, "allow");
    if (tu_evidence_allowances(rules, &d->arena, &now, error) < 0 ||
        check_list(d, &now, &then, "judged without this allowance of the contract", error) < 0)
        return -1;
    return check_list(d, &then, &now, "an allowance that the contract has no more", error);
}

static int check_contract(struct tu_drift *d, const struct tensor_value *evidence,
                          const struct tu_contract *contract, struct tu_error *error)
{
    const char *claim = text_of(evidence, "claim_id");
    uint64_t expected = count_of(evidence, "expected_tensors");
    if (strcmp(claim, contract->claim) != 0 &&
        tu_drift_add(d, error, "it is about the claim %s, not %s", claim, contract->claim) < 0)
        return -1;
    if (expected != contract->expected &&
        tu_drift_add(d, error, "expected_tensors was %" PRIu64 ", the contract has %" PRIu64,
                     expected, contract->expected) < 0)
        return -1;
    if (strcmp(text_of(tu_value_get(evidence, "contract"), "sha256"), contract->sha256) != 0)
        return tu_drift_note(
            d, error, "the contract was edited since; what it wants of this claim is what counts");
    return 0;
}

/* ---- The numbers ---- */

/* A value that all of the leading rules without conditions have to hold for. */
static int check_value(struct tu_drift *d, const struct tensor_value *judged, const char *what,
                       const char *field, const struct tu_rules *rules, struct tu_error *error)
{
    char rule[512], number[TU_NUMBER_SIZE];
    const struct tensor_value *value = tu_value_get(judged, "value");
    double x;
    if (!tu_value_number(value, &x))
        return 0;
    tu_format_double(x, number);
    for (size_t i = 0; i < rules->count; i++) {
        const struct tu_rule *r = &rules->items[i];
        if (r->condition || strcmp(r->field, field) != 0 ||
            !tu_rule_applies(r, text_of(judged, "name")) || tu_rule_holds(r, value))
            continue;
        tu_rule_text(r, true, rule, sizeof rule);
        if (tu_drift_add(d, error, "%s, %s of %s, is not %s", what, number, text_of(judged, "name"),
                         rule) < 0)
            return -1;
    }
    return 0;
}

static int check_values(struct tu_drift *d, const struct tensor_value *results,
                        const struct tu_rules *rules, struct tu_error *error)
{
    const char *field = text_of(results, "field");
    const struct tensor_value *worst = tu_value_get(results, "worst_5_tensors");
    if (strcmp(field, rules->items[0].field) != 0 &&
        tu_drift_add(d, error, "its numbers are of the field %s, the first rule is about %s", field,
                     rules->items[0].field) < 0)
        return -1;
    if (check_value(d, tu_value_get(results, "min"), "the least value", field, rules, error) < 0 ||
        check_value(d, tu_value_get(results, "max"), "the greatest value", field, rules, error) < 0)
        return -1;
    for (size_t i = 0; worst && worst->type == TENSOR_ARRAY && i < worst->array.count; i++)
        if (check_value(d, &worst->array.items[i], "one of the worst", field, rules, error) < 0)
            return -1;
    return 0;
}

static int check_counts(struct tu_drift *d, const struct tensor_value *results,
                        const struct tu_contract *contract, struct tu_error *error)
{
    static const char *const zeros[] = {"failed", "unjudged", "below_threshold_count"};
    /* Of the tensors none failed, as the counts above say. */
    uint64_t passed = count_of(results, "tensors_compared");
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        if (count_of(results, zeros[i]) != 0 &&
            tu_drift_add(d, error, "its %s is not 0", zeros[i]) < 0)
            return -1;
    if (passed == contract->expected)
        return 0;
    return tu_drift_add(d, error, "%" PRIu64 " tensors passed, the contract expects %" PRIu64,
                        passed, contract->expected);
}

/* ---- The files ---- */

/* A map that is known by its name is not looked for: where it lies differs between machines, and
 * the seal covers its digest. */
static bool is_named(const struct tensor_value *artifact)
{
    return !tu_value_get(artifact, "path") &&
           tu_value_equals(tu_value_get(artifact, "role"), "map");
}

static int add_artifacts(struct tu_artifacts *files, const struct tensor_value *artifacts,
                         struct tu_error *error)
{
    for (size_t i = 0; i < artifacts->array.count; i++)
        if (!is_named(&artifacts->array.items[i]) &&
            tu_artifacts_add(files, text_of(&artifacts->array.items[i], "path"), error) < 0)
            return -1;
    return 0;
}

static const struct tu_artifact *find_file(const struct tu_artifacts *files, const char *path)
{
    size_t i = 0;
    while (strcmp(files->items[i].path, path) != 0)
        i++;
    return &files->items[i];
}

static int check_file(struct tu_drift *d, const struct tensor_value *stated,
                      const struct tu_artifact *file, struct tu_error *error)
{
    if (file->trouble)
        return tu_drift_add(d, error, "%s", file->trouble);
    if (count_of(stated, "size_bytes") != file->bytes)
        return tu_drift_add(d, error, "%s: has %" PRIu64 " bytes, it had %" PRIu64, file->path,
                            file->bytes, count_of(stated, "size_bytes"));
    if (strcmp(text_of(stated, "sha256"), file->sha256) != 0)
        return tu_drift_add(d, error, "%s: its SHA-256 is another", file->path);
    return 0;
}

static int check_files(struct tu_drift *d, const struct tensor_value *artifacts, unsigned threads,
                       struct tu_error *error)
{
    struct tu_artifacts files = {0};
    int result = add_artifacts(&files, artifacts, error);
    if (result == 0)
        result = tu_artifacts_hash(&files, threads, error);
    for (size_t i = 0; i < artifacts->array.count && result == 0; i++) {
        const struct tensor_value *stated = &artifacts->array.items[i];
        if (!is_named(stated))
            result = check_file(d, stated, find_file(&files, text_of(stated, "path")), error);
    }
    bool none = files.count == 0;
    tu_artifacts_free(&files);
    if (result == 0 && none)
        return tu_drift_add(d, error, "it names no file");
    return result;
}

/* ---- The whole ---- */

int tu_drift_check(struct tu_drift *d, const struct tu_sealed *sealed,
                   const struct tu_contract *contract, const struct tu_rules *rules,
                   unsigned threads, struct tu_error *error)
{
    const struct tensor_value *evidence = &sealed->value;
    const struct tensor_value *results = tu_value_get(evidence, "results");
    if (check_seal(d, evidence, error) < 0)
        return -1;
    if (!tu_value_equals(tu_value_get(evidence, "verdict"), "pass") &&
        tu_drift_add(d, error, "it is the evidence of a failure: %s", text_of(evidence, "reason")) <
            0)
        return -1;
    if (check_contract(d, evidence, contract, error) < 0 ||
        check_rules(d, evidence, rules, error) < 0 ||
        check_counts(d, results, contract, error) < 0 || check_values(d, results, rules, error) < 0)
        return -1;
    return check_files(d, tu_value_get(evidence, "artifacts"), threads, error);
}

static int compare_member(struct tu_drift *d, const struct tensor_pair *now,
                          const struct tensor_value *then, struct tu_error *error)
{
    char *texts[2] = {NULL, NULL};
    size_t length;
    int result = tu_evidence_canonical(&now->value, &texts[0], &length, error);
    if (result == 0 && then)
        result = tu_evidence_canonical(then, &texts[1], &length, error);
    if (result == 0 && (!then || strcmp(texts[0], texts[1]) != 0))
        result = tu_drift_add(d, error, "its %s is %.400s, the results have %.400s",
                              now->key.string.bytes, then ? texts[1] : "missing", texts[0]);
    free(texts[0]);
    free(texts[1]);
    return result;
}

int tu_drift_results(struct tu_drift *d, const struct tensor_value *evidence,
                     const struct tu_court *court, struct tu_error *error)
{
    struct tensor_value now;
    const struct tensor_value *then = tu_value_get(evidence, "results");
    if (tu_evidence_results(court, &d->arena, &now, error) < 0)
        return -1;
    for (size_t i = 0; i < now.map.count; i++)
        if (compare_member(d, &now.map.pairs[i],
                           tu_value_get(then, now.map.pairs[i].key.string.bytes), error) < 0)
            return -1;
    return 0;
}

void tu_drift_free(struct tu_drift *d)
{
    free(d->reasons.items);
    free(d->notes.items);
    tu_arena_free(&d->arena);
    *d = (struct tu_drift){0};
}
