/* SPDX-License-Identifier: MIT */
/* Writes words so that a shell reads them again. */
#include "config.h"

#include "base/shell.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_word(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./,:=+@%";
    if (*word && !word[strspn(word, plain)]) {
        fputs(word, out);
        return;
    }
    putc('\'', out);
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
    putc('\'', out);
}

static size_t length_of(const char *word)
{
    size_t length = strlen(word) + 3; /* a blank and quotes */
    for (; *word; word++)
        length += *word == '\'' ? 3 : 0;
    return length;
}

char *tu_shell_line(char *const *words, size_t most)
{
    char *text = NULL;
    size_t size, used = 0, i = 0, left = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (; words[i] && (i == 0 || used + length_of(words[i]) <= most); i++) {
        used += length_of(words[i]);
        if (i)
            putc(' ', out);
        put_word(out, words[i]);
    }
    for (; words[i]; i++)
        left++;
    if (left)
        fprintf(out, " # and %zu more words", left);
    bool whole = !ferror(out);
    if (fclose(out) == 0 && whole)
        return text;
    free(text);
    return NULL;
}
