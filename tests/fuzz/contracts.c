/* SPDX-License-Identifier: MIT */
/* Contracts and evidence: what is accepted can be judged by, and shown. */
#include "config.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "judge/drift.h"
#include "judge/discharge.h"
#include "judge/evidence.h"

static void check_contract(const struct tu_contract *c, const struct tu_rules *rules)
{
    struct tu_arena arena = {0};
    struct tensor_value list;
    struct tu_error error = {0};
    FUZZ_CHECK(c->expected > 0 && rules->count > 0 && strlen(c->sha256) == 64);
    FUZZ_CHECK(c->entry.type == TENSOR_MAP && tu_value_equals(tu_value_get(&c->entry, "id"), "C"));
    FUZZ_WORKS(tu_evidence_rules(rules, &arena, &list, &error), &error);
    /* What is written reads as the same rule. */
    for (size_t i = 0; i < list.array.count; i++) {
        struct tu_rule rule;
        FUZZ_WORKS(tu_rule_parse(list.array.items[i].string.bytes, &rule, &error), &error);
        FUZZ_CHECK(strcmp(rule.field, rules->items[i].field) == 0);
        tu_rule_free(&rule);
    }
    FUZZ_WORKS(tu_evidence_allowances(rules, &arena, &list, &error), &error);
    FUZZ_CHECK(list.array.count == rules->allowed);
    tu_arena_free(&arena);
}

/* A discharge that is entered in any contract leaves one that is read, and says it. */
static void check_entering(const char *text, size_t length)
{
    struct tensor_pair pairs[] = {
        {{.type = TENSOR_STRING, .string = {"discharge_status", 16}},
         {.type = TENSOR_STRING, .string = {"DISCHARGED", 10}}},
        {{.type = TENSOR_STRING, .string = {"results", 7}}, {.type = TENSOR_MAP}},
    };
    const struct tu_sealed sealed = {
        .path = "e.json", .sha256 = "0", .value = {.type = TENSOR_MAP, .map = {pairs, 2}}};
    struct tu_contract contract;
    struct tu_rules rules = {0};
    struct tu_error error = {0};
    char *edited;
    size_t edited_length;
    if (tu_discharge_write(text, length, "C", &sealed, &edited, &edited_length, &error) < 0) {
        fuzz_check_error(&error);
        return;
    }
    FUZZ_WORKS(tu_contract_parse(&contract, "c", edited, edited_length, "C", &rules, &error),
               &error);
    FUZZ_CHECK(tu_value_equals(tu_value_get(&contract.entry, "discharge_status"), "DISCHARGED"));
    FUZZ_CHECK(tu_value_get(&contract.entry, "discharged_evidence")->type == TENSOR_MAP);
    tu_contract_close(&contract);
    tu_rules_free(&rules);
    free(edited);
}

void fuzz_contract(const uint8_t *data, size_t size)
{
    struct tu_contract contract;
    struct tu_rules rules = {0};
    struct tu_error error = {0};
    if (tu_contract_parse(&contract, "fuzz.yaml", (const char *)data, size, "C", &rules, &error) <
        0) {
        fuzz_check_error(&error);
    } else {
        check_contract(&contract, &rules);
        check_entering((const char *)data, size);
        tu_contract_close(&contract);
    }
    tu_rules_free(&rules);
}

static void check_drift(const struct tu_sealed *evidence, const struct tu_contract *contract,
                        const struct tu_rules *rules)
{
    struct tu_drift drift = {0};
    struct tu_error error = {0};
    FUZZ_WORKS(tu_drift_check(&drift, evidence, contract, rules, 1, &error), &error);
    FUZZ_WORKS(tu_discharge_check(&drift, evidence, contract, &error), &error);
    for (size_t i = 0; i < drift.reasons.count; i++)
        fuzz_check_printable(drift.reasons.items[i], strlen(drift.reasons.items[i]));
    for (size_t i = 0; i < drift.notes.count; i++)
        fuzz_check_printable(drift.notes.items[i], strlen(drift.notes.items[i]));
    tu_drift_free(&drift);
}

void fuzz_evidence(const uint8_t *data, size_t size)
{
    static const char text[] =
        "falsification_tests: [{id: C, verdict: {expected_tensors: 3, threshold: 0.999, "
        "rules: ['x*:max_diff < 1'], allow: ['only_a:x if dtype_a == F32']}}]";
    struct tu_contract contract;
    struct tu_rules rules = {0};
    struct tu_arena arena = {0};
    struct tu_sealed evidence;
    struct tu_error error = {0};
    char path[64];
    int fd = fuzz_file(data, size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    FUZZ_WORKS(tu_contract_parse(&contract, "c", text, sizeof text - 1, "C", &rules, &error),
               &error);
    if (tu_evidence_read(&evidence, path, &arena, &error) < 0)
        fuzz_check_error(&error);
    else
        check_drift(&evidence, &contract, &rules);
    close(fd);
    tu_rules_free(&rules);
    tu_contract_close(&contract);
    tu_arena_free(&arena);
}
