/* SPDX-License-Identifier: MIT */
/* Files that evidence is about: the models that were compared, and what the user adds. */
#ifndef TU_ARTIFACT_H
#define TU_ARTIFACT_H

#include "base/arena.h"
#include "base/digest.h"
#include "tree/value.h"

struct tu_artifact {
    const char *path;   /* "-": standard input, which is no file any more; NULL: it has a name */
    const char *name;   /* of a map that is known by it on any machine: its digest is stated */
    const char *role;   /* "a", "b", "config", "index", "map", or "artifact" */
    const char *format; /* NULL: unknown */
    /* As a record states them, until there is a digest: UINT64_MAX where none does. */
    uint64_t bytes, modified, device, inode;
    char sha256[TU_DIGEST_TEXT];
    const char *trouble; /* why it has no digest; NULL: it has one */
};

/* Zero-initialise. */
struct tu_artifacts {
    struct tu_arena arena;
    struct tu_artifact *items;
    size_t count, capacity;
};

/* Adds a file, or one that a `source` record names, unless it is there already. */
int tu_artifacts_add(struct tu_artifacts *a, const char *path,
                     struct tu_error *error) TU_MUST_CHECK;
/* A `source` record names the files beside its model, too (tensor-stream(5): files). */
int tu_artifacts_source(struct tu_artifacts *a, const struct tensor_value *record,
                        struct tu_error *error) TU_MUST_CHECK;
/* The same of an `artifact` record. */
int tu_artifacts_record(struct tu_artifacts *a, const struct tensor_value *record,
                        struct tu_error *error) TU_MUST_CHECK;
/* Makes the digests, a file a thread.  What cannot be read, or is not as it is stated, gets a
 * trouble instead. */
int tu_artifacts_hash(struct tu_artifacts *a, unsigned threads,
                      struct tu_error *error) TU_MUST_CHECK;
void tu_artifacts_free(struct tu_artifacts *a);

#endif
