/* SPDX-License-Identifier: MIT */
/* "Did you mean ...?": the word that is nearest to one that nobody knows. */
#ifndef TU_NEAREST_H
#define TU_NEAREST_H

#include <stddef.h>

/* Words longer than this are near to none. */
#define TU_NEAREST_MAX 128

/* How many insertions, deletions, replacements and exchanges of neighbours make one word of the
 * other, whatever the case of their letters; SIZE_MAX where one is longer than TU_NEAREST_MAX. */
size_t tu_edit_distance(const char *a, const char *b);

/* A search over words: zero-initialised but for text, given each of them, and asked at the end. */
struct tu_nearest {
    const char *text; /* what was written */
    size_t distance;  /* of best */
    char best[TU_NEAREST_MAX + 1];
};

/* One that text is the beginning of is nearer than any other. */
void tu_nearest_try(struct tu_nearest *n, const char *word);
/* The nearest word, or NULL where none is near enough to be meant. */
const char *tu_nearest_word(const struct tu_nearest *n);
/* " (did you mean 'X'?)", or nothing: to end a message with. */
#define TU_HINT_SIZE (TU_NEAREST_MAX + 24)
const char *tu_nearest_hint(const struct tu_nearest *n, char out[static TU_HINT_SIZE]);

#endif
