/* SPDX-License-Identifier: MIT */
/* Text for people and machines: names made printable, numbers that read back the same. */
#ifndef TU_TEXT_H
#define TU_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the character that text begins with if it is one that is not seen: a control (C0,
 * DEL, C1), a separator of lines, or one without a shape, as those that turn the direction of text
 * or have no width.  0 if it is seen, or is no UTF-8. */
size_t tu_hidden(const char *text, size_t length, uint32_t *code);

/* Copies text with the bytes of hidden characters, and bytes that are no UTF-8, written as \xHH;
 * a backslash stays as it is, so that what was escaped before is not changed again; always ends
 * with a NUL, cuts what does not fit at a character and marks the cut with "...".  Returns the
 * length written. */
size_t tu_escape(const char *text, size_t length, char *out, size_t size);

/* Whether text is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool tu_is_utf8(const char *text, size_t length);

/* Shortest decimal text that strtod (strtof) reads back as the same number; "nan", "inf", "-inf".
 */
#define TU_NUMBER_SIZE 32
void tu_format_double(double value, char out[static TU_NUMBER_SIZE]);
void tu_format_float(float value, char out[static TU_NUMBER_SIZE]);

/* A size for people: "3.2 GB" (powers of 1000), "512 B". */
void tu_format_bytes(uint64_t bytes, char out[static TU_NUMBER_SIZE]);

/* The whole of text as a number: no sign where unsigned, no blanks, no rest.  false if it is not.
 * tu_parse_size accepts a suffix k, M, G, T (powers of 1000) or Ki, Mi, Gi, Ti. */
bool tu_parse_u64(const char *text, uint64_t *out);
bool tu_parse_double(const char *text, double *out);
bool tu_parse_size(const char *text, uint64_t *out);

/* The words, up to NULL, with blanks between them, and quoted where a shell needs that: allocated;
 * NULL without memory.  Words that do not fit into `most` bytes are left out, and their number is
 * told in a comment; the first word always fits. */
char *tu_shell_line(char *const *words, size_t most);

#endif
