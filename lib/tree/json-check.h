/* SPDX-License-Identifier: MIT */
/* What yajl takes and JSON does not allow: control characters as blanks, and halves of surrogate
 * pairs in escapes.  Compiled into the library and into plugins that use yajl themselves. */
#ifndef TU_JSON_CHECK_H
#define TU_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The state between pieces of a text; zero-initialise. */
struct tu_jsontext {
    unsigned digits; /* 1: a backslash was just read; 2 to 5: so many digits of \uXXXX are due */
    unsigned code;
    bool high; /* the first half of a surrogate pair was read */
};

/* What is wrong with the next piece, or NULL; *at receives the place in the piece. */
const char *tu_jsontext_check(struct tu_jsontext *state, const uint8_t *text, size_t length,
                              size_t *at);

/* The first byte that is no blank, or length. */
size_t tu_jsontext_blanks(const uint8_t *text, size_t length);

#endif
