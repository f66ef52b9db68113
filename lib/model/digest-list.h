/* SPDX-License-Identifier: MIT */
/* Lists of digests by the names of tensors, in the two forms that tensor-hash writes. */
#ifndef TU_DIGEST_LIST_H
#define TU_DIGEST_LIST_H

#include "base/arena.h"
#include "base/digest.h"

/* One name and what its digest is, or should be. */
struct tu_listed_digest {
    char *name; /* escaped, as it stands in lists; first: the tree is ordered by it */
    char *digest;
    bool met; /* for the caller */
};

/* Zero before the first is added. */
struct tu_digest_list {
    struct tu_arena arena;
    struct tu_listed_digest **items;
    size_t count, capacity;
    void *tree;

    /* What the list that was read says of all of them. */
    enum tu_algorithm algorithm;
    bool decoded;
};

/* Fails if the name is there.  name is escaped by tu_escape(). */
int tu_digest_list_add(struct tu_digest_list *list, const char *name, const char *digest,
                       struct tu_error *error) TU_MUST_CHECK;
/* NULL: there is none. */
struct tu_listed_digest *tu_digest_list_find(const struct tu_digest_list *list, const char *name);
/* The digest of all: that of the lines "DIGEST  NAME" in order of names, into which it brings the
 * items. */
void tu_digest_list_sum(struct tu_digest_list *list, struct tu_digest *digest,
                        char out[TU_DIGEST_TEXT]);
/* Reads a file, or - for standard input: lines "DIGEST  NAME", or a stream of hash records. */
int tu_digest_list_read(struct tu_digest_list *list, const char *path,
                        struct tu_error *error) TU_MUST_CHECK;
void tu_digest_list_free(struct tu_digest_list *list);

#endif
