/* SPDX-License-Identifier: MIT */
/* A folder of small files under digests, each with a checksum: FOLDER/KIND/ab/cdef... */
#ifndef TU_STORE_H
#define TU_STORE_H

#include "base/digest.h"

/* The kinds there are, which are folders. */
#define TU_STORE_PAIRS "pairs"
#define TU_STORE_FILES "files"

struct tu_store {
    const char *folder; /* lent by the opener */
};

/* Makes the folder where it is missing; refuses one that others could write to. */
int tu_store_open(struct tu_store *s, const char *folder, struct tu_error *error) TU_MUST_CHECK;

/* What was put under a key, in memory to be freed; NULL where nothing is, or what is damaged. */
char *tu_store_get(const struct tu_store *s, const char *kind, const char *key, size_t *length);
/* Puts bytes under a key, all at once.  Several processes may do so at a time. */
int tu_store_put(const struct tu_store *s, const char *kind, const char *key, const void *bytes,
                 size_t length, struct tu_error *error) TU_MUST_CHECK;

#endif
