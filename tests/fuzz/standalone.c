/* SPDX-License-Identifier: MIT */
/* Gives files, or standard input, to a fuzz target, without a fuzzer: FUZZ_TARGET=NAME replay
 * FILE...
 * --list prints the names of the targets. */
#include "config.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int replay(FILE *file, const char *name)
{
    struct fuzz_bytes input = {0};
    char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
        fuzz_append(&input, buffer, n);
    if (ferror(file)) {
        perror(name);
        return 1;
    }
    /* a block of just its size: to read beyond it is to be seen */
    uint8_t *exact = malloc(input.length ? input.length : 1);
    if (exact && input.length)
        memcpy(exact, input.bytes, input.length);
    free(input.bytes);
    fprintf(stderr, "%s\n", name); /* the last one named is the one that failed */
    if (exact)
        LLVMFuzzerTestOneInput(exact, input.length);
    free(exact);
    return exact ? 0 : 1;
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    int result = replay(file, path);
    fclose(file);
    return result;
}

static int list_targets(void)
{
    for (const struct fuzz_target *t = fuzz_targets; t->name; t++)
        puts(t->name);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list_targets();
    int result = 0;
    LLVMFuzzerInitialize(&argc, &argv);
    if (argc == 1)
        return replay(stdin, "standard input");
    for (int i = 1; i < argc && result == 0; i++)
        result = replay_file(argv[i]);
    return result;
}
