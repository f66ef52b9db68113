/* SPDX-License-Identifier: MIT */
/* Reads one claim of a contract in YAML: its rules, and how many tensors they have to be about. */
#include "config.h"

#include "judge/contract.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/source.h"
#include "base/text.h"
#include "tree/yaml.h"

/* A contract larger than this is a mistake. */
enum { CONTRACT_MAX = 4 << 20 };

static const char *type_words(const struct tensor_value *v)
{
    return v->type == TENSOR_STRING    ? "text"
           : v->type == TENSOR_BOOLEAN ? "a boolean"
           : v->type == TENSOR_NULL    ? "empty"
           : v->type == TENSOR_ARRAY   ? "a list"
           : v->type == TENSOR_MAP     ? "a mapping"
                                       : "a number";
}

/* A text of the claim; NULL where the value is none. */
static const char *string_of(const struct tensor_value *v)
{
    return v && v->type == TENSOR_STRING ? v->string.bytes : NULL;
}

/* ---- What the claim wants ---- */

typedef int take_fn(struct tu_contract *c, const struct tensor_value *v, struct tu_rules *rules,
                    struct tu_error *error);

static int take_expected(struct tu_contract *c, const struct tensor_value *v,
                         struct tu_rules *rules, struct tu_error *error)
{
    (void)rules;
    if (tu_value_uint(v, &c->expected) && c->expected)
        return 0;
    return tu_fail(error, TU_EINVALID, "it is %s, and has to be a number of tensors from 1 on",
                   type_words(v));
}

/* The length is held as --min does; what is rounded to the threshold may lie half a step below it.
 */
static int take_length(struct tu_rules *rules, float threshold, struct tu_error *error)
{
    double below = (double)nextafterf(threshold, -INFINITY);
    return tu_rules_length(rules, ((double)threshold + below) / 2, error);
}

/* In float32, as the function that contracts of this kind name has it: both the threshold and the
 * cosine are rounded to it, the threshold itself passes, and what is beyond 1 fails. */
static int take_threshold(struct tu_contract *c, const struct tensor_value *v,
                          struct tu_rules *rules, struct tu_error *error)
{
    char number[TU_NUMBER_SIZE], text[TU_NUMBER_SIZE + 32];
    double threshold;
    (void)c;
    if (!tu_value_number(v, &threshold) || !(threshold >= -1 && threshold <= 1))
        return tu_fail(error, TU_EINVALID, "it is %s, and has to be a number from -1 to 1",
                       type_words(v));
    tu_format_double((double)(float)threshold, number);
    snprintf(text, sizeof text, "cosine_f32 >= %s", number);
    if (tu_rules_add(rules, text, error) < 0)
        return -1;
    if (tu_rules_add(rules, "cosine_f32 <= 1", error) < 0)
        return -1;
    return take_length(rules, (float)threshold, error);
}

static int take_profile(struct tu_contract *c, const struct tensor_value *v, struct tu_rules *rules,
                        struct tu_error *error)
{
    c->profile = string_of(v);
    if (!c->profile)
        return tu_fail(error, TU_EINVALID, "it is %s, and has to be a name", type_words(v));
    c->profile_path = tu_profile_beside(c->path, c->profile);
    return c->profile_path ? tu_rules_profile(rules, c->profile_path, true, error)
                           : tu_fail_memory(error);
}

typedef int add_fn(struct tu_rules *rules, const char *text, struct tu_error *error);

static int take_list(const struct tensor_value *v, struct tu_rules *rules, add_fn *add,
                     struct tu_error *error)
{
    if (v->type != TENSOR_ARRAY)
        return tu_fail(error, TU_EINVALID, "it is %s, and has to be a list", type_words(v));
    for (size_t i = 0; i < v->array.count; i++) {
        const char *text = string_of(&v->array.items[i]);
        if (!text)
            return tu_fail(error, TU_EINVALID, "item %zu is %s, and has to be text", i + 1,
                           type_words(&v->array.items[i]));
        if (add(rules, text, error) < 0)
            return -1;
    }
    return 0;
}

static int take_rules(struct tu_contract *c, const struct tensor_value *v, struct tu_rules *rules,
                      struct tu_error *error)
{
    (void)c;
    return take_list(v, rules, tu_rules_add, error);
}

static int take_allowances(struct tu_contract *c, const struct tensor_value *v,
                           struct tu_rules *rules, struct tu_error *error)
{
    (void)c;
    return take_list(v, rules, tu_rules_allow, error);
}

/* In the order in which they are taken: the field of the first rule leads. */
static const struct {
    const char *key;
    take_fn *take;
} keys[] = {
    {"expected_tensors", take_expected}, {"threshold", take_threshold},
    {"profile", take_profile},           {"rules", take_rules},
    {"allow", take_allowances},
};
enum { KEYS = sizeof keys / sizeof *keys };

/* A misspelt key would be a rule that nobody misses. */
static int check_keys(const struct tensor_value *wants, struct tu_error *error)
{
    for (size_t i = 0; i < wants->map.count; i++) {
        const struct tensor_value *key = &wants->map.pairs[i].key;
        size_t k = 0;
        while (k < KEYS && !tu_value_equals(key, keys[k].key))
            k++;
        if (k == KEYS)
            return tu_fail(error, TU_EINVALID,
                           "'%.100s' is no key of it (expected_tensors, threshold, profile, rules, "
                           "allow)",
                           key->string.bytes);
    }
    return 0;
}

static int take_wants(struct tu_contract *c, const struct tensor_value *wants,
                      struct tu_rules *rules, struct tu_error *error)
{
    if (check_keys(wants, error) < 0)
        return -1;
    for (size_t i = 0; i < KEYS; i++) {
        const struct tensor_value *v = tu_value_get(wants, keys[i].key);
        struct tu_error inner = {0};
        if (v && keys[i].take(c, v, rules, &inner) < 0)
            return tu_fail(error, inner.code, "%s: %s", keys[i].key, inner.text);
    }
    if (c->expected == 0)
        return tu_fail(error, TU_EINVALID,
                       "it has no expected_tensors, so that none can be missed");
    if (rules->count == 0)
        return tu_fail(error, TU_EINVALID, "it has no threshold, no rules and no profile");
    return 0;
}

/* ---- The claim ---- */

/* The entry of a claim among all, whose ids differ. */
static const struct tensor_value *find_claim(const struct tensor_value *tests, const char *claim,
                                             struct tu_error *error)
{
    const struct tensor_value *found = NULL;
    for (size_t i = 0; i < tests->array.count; i++) {
        const struct tensor_value *entry = &tests->array.items[i];
        const struct tensor_value *id = tu_value_get(entry, "id");
        if (!string_of(id)) {
            tu_fail(error, TU_EINVALID, "item %zu of its falsification_tests has no id", i + 1);
            return NULL;
        }
        if (!tu_value_equals(id, claim))
            continue;
        if (found) {
            tu_fail(error, TU_EINVALID, "it has two claims '%s'", claim);
            return NULL;
        }
        found = entry;
    }
    if (!found)
        tu_fail(error, TU_EINVALID, "it has no claim '%s' among its %zu falsification_tests", claim,
                tests->array.count);
    return found;
}

/* A pass discharges a claim, unless the entry names what else that takes. */
static const char *discharge_of(const struct tensor_value *entry)
{
    const struct tensor_value *blocks = tu_value_get(entry, "full_discharge_blocks_on");
    bool open = blocks && blocks->type != TENSOR_NULL &&
                (blocks->type != TENSOR_ARRAY || blocks->array.count);
    return open ? "PARTIAL_ALGORITHM_LEVEL" : "DISCHARGED";
}

static int take_claim(struct tu_contract *c, const struct tensor_value *document,
                      struct tu_rules *rules, struct tu_error *error)
{
    struct tu_error inner = {0};
    const struct tensor_value *tests = tu_value_get(document, "falsification_tests");
    const struct tensor_value *metadata = tu_value_get(document, "metadata");
    if (!tests || tests->type != TENSOR_ARRAY)
        return tu_fail(error, TU_EINVALID, "it has no list falsification_tests");
    const struct tensor_value *entry = find_claim(tests, c->claim, error);
    if (!entry)
        return -1;
    const struct tensor_value *wants = tu_value_get(entry, "verdict");
    if (!wants || wants->type != TENSOR_MAP)
        return tu_fail(error, TU_EINVALID,
                       "claim '%s' has no mapping verdict, which says what is judged "
                       "(tensor-contract(5))",
                       c->claim);
    if (take_wants(c, wants, rules, &inner) < 0)
        return tu_fail(error, inner.code, "claim '%s': verdict: %s", c->claim, inner.text);
    c->entry = *entry;
    if (metadata && metadata->type == TENSOR_MAP)
        c->metadata = *metadata;
    c->discharge = discharge_of(entry);
    return 0;
}

/* ---- The file ---- */

int tu_contract_parse(struct tu_contract *c, const char *path, const char *text, size_t length,
                      const char *claim, struct tu_rules *rules, struct tu_error *error)
{
    struct tu_error inner = {0};
    struct tensor_value document;
    *c = (struct tu_contract){.path = path};
    c->claim = tu_arena_copy(&c->arena, claim, strlen(claim));
    int result = c->claim ? tu_sha256(text, length, c->sha256, &inner) : tu_fail_memory(&inner);
    if (result == 0)
        result = tu_yaml_parse(text, length, &c->arena, &document, &inner);
    if (result == 0)
        result = take_claim(c, &document, rules, &inner);
    if (result == 0)
        return 0;
    tu_contract_close(c);
    return tu_fail(error, inner.code, "%s: %s", path, inner.text);
}

int tu_contract_text(const char *path, struct tu_arena *arena, const char **text, size_t *length,
                     struct tu_error *error)
{
    return tu_read_whole(path, "a contract", CONTRACT_MAX, arena, text, length, error);
}

int tu_contract_open(struct tu_contract *c, const char *path, const char *claim,
                     struct tu_rules *rules, struct tu_error *error)
{
    struct tu_arena arena = {0};
    const char *text;
    size_t length;
    int result = tu_contract_text(path, &arena, &text, &length, error);
    if (result == 0)
        result = tu_contract_parse(c, path, text, length, claim, rules, error);
    tu_arena_free(&arena);
    return result;
}

void tu_contract_close(struct tu_contract *c)
{
    free(c->profile_path);
    tu_arena_free(&c->arena);
    *c = (struct tu_contract){0};
}
