/* SPDX-License-Identifier: MIT */
/* The one entry of libFuzzer, AFL++ and standalone.c. */
#include "config.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct fuzz_target fuzz_targets[] = {
    {"apr", fuzz_apr},
    {"aprt", fuzz_aprt},
    {"contract", fuzz_contract},
    {"decode", fuzz_decode},
    {"evidence", fuzz_evidence},
    {"expand", fuzz_expand},
    {"facts", fuzz_facts},
    {"gguf", fuzz_gguf},
    {"index", fuzz_index},
    {"json", fuzz_json},
    {"map", fuzz_map},
    {"npy", fuzz_npy},
    {"npz", fuzz_npz},
    {"origin", fuzz_origin},
    {"pieces", fuzz_pieces},
    {"rule", fuzz_rule},
    {"safetensors", fuzz_safetensors},
    {"stream", fuzz_stream},
    {"text", fuzz_text},
    {NULL, NULL},
};

static fuzz_fn *chosen;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    const char *name = getenv("FUZZ_TARGET");
    for (const struct fuzz_target *t = fuzz_targets; name && t->name; t++)
        if (strcmp(t->name, name) == 0)
            chosen = t->run;
    if (chosen)
        return 0;
    fprintf(stderr, "FUZZ_TARGET must be one of:");
    for (const struct fuzz_target *t = fuzz_targets; t->name; t++)
        fprintf(stderr, " %s", t->name);
    fprintf(stderr, "\n");
    exit(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    chosen(data, size);
    return 0;
}
