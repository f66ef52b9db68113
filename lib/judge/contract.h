/* SPDX-License-Identifier: MIT */
/* Contracts, tensor-contract(5): what a claim in a YAML file wants of the results. */
#ifndef TU_CONTRACT_H
#define TU_CONTRACT_H

#include "base/digest.h"
#include "judge/profile.h"
#include "tree/value.h"

/* A claim: the entry of falsification_tests[] that has its id. */
struct tu_contract {
    struct tu_arena arena;
    const char *path; /* lent by the opener */
    char sha256[TU_DIGEST_TEXT];
    struct tensor_value metadata, entry; /* maps */
    const char *claim;                   /* its id */
    const char *profile;                 /* whose rules it takes, too; NULL: of none */
    char *profile_path;                  /* where that is; owned */
    const char *discharge;               /* the status that a pass gives it */
    uint64_t expected;                   /* tensors to be judged */
};

/* Reads a claim and adds its rules and allowances.  On failure nothing is to be closed. */
int tu_contract_open(struct tu_contract *c, const char *path, const char *claim,
                     struct tu_rules *rules, struct tu_error *error) TU_MUST_CHECK;
/* The text of a contract, in the arena; fails where a file is larger than contracts are. */
int tu_contract_text(const char *path, struct tu_arena *arena, const char **text, size_t *length,
                     struct tu_error *error) TU_MUST_CHECK;
/* The same for the text of a contract. */
int tu_contract_parse(struct tu_contract *c, const char *path, const char *text, size_t length,
                      const char *claim, struct tu_rules *rules,
                      struct tu_error *error) TU_MUST_CHECK;
void tu_contract_close(struct tu_contract *c);

#endif
