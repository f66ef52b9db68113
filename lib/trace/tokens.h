/* SPDX-License-Identifier: MIT */
/* Lists of token ids, as users write them. */
#ifndef TU_TRACE_TOKENS_H
#define TU_TRACE_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"

/* More tokens than any context has. */
enum { TU_TOKENS_MAX = 1 << 24 };

/* Zero-initialise; the caller frees the ids. */
struct tu_token_list {
    uint32_t *ids;
    size_t count, capacity;
    char digest[TU_DIGEST_TEXT]; /* SHA-256 of the ids as 32-bit little-endian numbers */
};

/* Natural numbers between blanks, line ends, commas and brackets; at least one.  what names the
 * text in messages. */
int tu_tokens_parse(struct tu_token_list *list, const char *text, size_t length, const char *what,
                    struct tu_error *error) TU_MUST_CHECK;
/* Adds one; what names whose it is.  The digest is made anew by tu_tokens_digest. */
int tu_tokens_add(struct tu_token_list *list, uint64_t id, const char *what,
                  struct tu_error *error) TU_MUST_CHECK;
int tu_tokens_digest(struct tu_token_list *list, struct tu_error *error) TU_MUST_CHECK;
/* Parses an option's value: numbers, "@FILE", or "@-" for standard input. */
int tu_tokens_read(struct tu_token_list *list, const char *value,
                   struct tu_error *error) TU_MUST_CHECK;

#endif
