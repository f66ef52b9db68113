/* SPDX-License-Identifier: MIT */
/* Finds the word that somebody meant who wrote another. */
#include "config.h"

#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { BRIEF = 2 }; /* so few letters begin too many words */

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Restricted Damerau-Levenshtein distance, by three rows of its table. */
size_t tu_edit_distance(const char *a, const char *b)
{
    size_t rows[3][TU_NEAREST_MAX + 1], length = strlen(b);
    size_t *before = rows[0], *row = rows[1], *next = rows[2];
    if (length > TU_NEAREST_MAX || strlen(a) > TU_NEAREST_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= length; k++)
        row[k] = k;
    for (size_t i = 0; a[i]; i++) {
        next[0] = i + 1;
        for (size_t k = 0; k < length; k++) {
            size_t d = least(row[k] + !same(a[i], b[k]), least(row[k + 1], next[k]) + 1);
            if (i && k && same(a[i], b[k - 1]) && same(a[i - 1], b[k]))
                d = least(d, before[k - 1] + 1);
            next[k + 1] = d;
        }
        size_t *spare = before;
        before = row;
        row = next;
        next = spare;
    }
    return row[length];
}

void tu_nearest_try(struct tu_nearest *n, const char *word)
{
    size_t length = strlen(n->text);
    size_t distance = tu_edit_distance(n->text, word);
    if (length >= BRIEF && distance != SIZE_MAX && strncasecmp(word, n->text, length) == 0)
        distance = 0;
    if (distance == SIZE_MAX || (*n->best && distance >= n->distance))
        return;
    n->distance = distance;
    snprintf(n->best, sizeof n->best, "%s", word);
}

const char *tu_nearest_word(const struct tu_nearest *n)
{
    bool begins = same(n->text[0], n->best[0]);
    return *n->best && n->distance <= strlen(n->text) / 3 + begins ? n->best : NULL;
}

const char *tu_nearest_hint(const struct tu_nearest *n, char out[static TU_HINT_SIZE])
{
    const char *word = tu_nearest_word(n);
    *out = '\0';
    if (word)
        snprintf(out, TU_HINT_SIZE, " (did you mean '%s'?)", word);
    return out;
}
