/* SPDX-License-Identifier: MIT */
/* Digests of bytes, over libcrypto and xxHash. */
#ifndef TU_DIGEST_H
#define TU_DIGEST_H

#include <stddef.h>

#include "base/error.h"

enum tu_algorithm { TU_XXH3, TU_SHA256, TU_BLAKE2B };

/* Room for the longest digest (BLAKE2b-512) in hexadecimal, with its NUL. */
#define TU_DIGEST_TEXT 129

struct tu_digest;

/* Begins a digest; NULL on failure. */
struct tu_digest *tu_digest_new(enum tu_algorithm algorithm, struct tu_error *error);
void tu_digest_add(struct tu_digest *d, const void *bytes, size_t length);
/* Writes the digest in lower-case hexadecimal and begins anew. */
void tu_digest_take(struct tu_digest *d, char out[static TU_DIGEST_TEXT]);
void tu_digest_free(struct tu_digest *d);
/* The SHA-256 of some bytes at once. */
int tu_sha256(const void *bytes, size_t length, char out[static TU_DIGEST_TEXT],
              struct tu_error *error) TU_MUST_CHECK;

/* "xxh3", "sha256", "blake2b". */
const char *tu_algorithm_name(enum tu_algorithm algorithm);
/* By name, or by the length of a digest in hexadecimal; false if there is none. */
bool tu_algorithm_by_name(const char *name, enum tu_algorithm *out);
bool tu_algorithm_by_length(size_t digits, enum tu_algorithm *out);

#endif
