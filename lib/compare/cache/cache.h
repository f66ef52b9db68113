/* SPDX-License-Identifier: MIT */
/*
 * A folder of results that were computed before, so that comparing again costs only what changed.
 *
 *   DIR/pairs/ab/cdef...   a compare record, under the SHA-256 of all that it follows from: the
 *                          bytes, types and shapes of both tensors, how they were seen, their
 *                          names, the options, and the sources of this program
 *   DIR/files/ab/cdef...   the digests of the tensors of a file, under what tells a state of it
 * from others: device, inode, size, times of modification and change
 *
 * Each has a checksum, and is put in its place whole; what is damaged counts as missing.  Anything
 * may be deleted at any time.  A file that may have been changed at the time it was read, as far
 * as its clock can tell, is read again, and nothing that follows from it is kept.
 */
#ifndef TU_CACHE_H
#define TU_CACHE_H

#include "base/digest.h"
#include "compare/operands.h"
#include "map/view.h"

struct tu_cache;

/* Opens the folder of the options, which is made where it is missing, for records as the options
 * want them.  They stay the caller's. */
struct tu_cache *tu_cache_open(const struct tu_pair_options *options, struct tu_error *error);
/* Writes what was learned, as far as that is possible, and gives everything back.  The models that
 * were asked about have to be open still. */
void tu_cache_close(struct tu_cache *c);

/* Makes the digests of tensors that are not known, on all of the session's threads. */
int tu_cache_learn(struct tu_cache *c, struct tu_session *session, const struct tu_member *members,
                   size_t count, struct tu_error *error) TU_MUST_CHECK;

/* A pair whose result may be known. */
struct tu_cache_pair {
    const struct tu_pair_result *result; /* all but its sums */
    struct tu_member members[2];
    const struct tu_view *views[2]; /* NULL: the member as it lies */
    int lead;
    float addend; /* to the side that leads */
};

/* 1: out is the record; 0: it is not known.  key is what tu_cache_store takes, or empty where the
 * result cannot be kept. */
int tu_cache_find(struct tu_cache *c, const struct tu_cache_pair *pair, struct tu_arena *arena,
                  char key[static TU_DIGEST_TEXT], struct tensor_value *out,
                  struct tu_error *error) TU_MUST_CHECK;
/* Keeps a record, unless a file was changed since it was opened. */
int tu_cache_store(struct tu_cache *c, const char *key, const struct tensor_value *record,
                   struct tu_error *error) TU_MUST_CHECK;

/* The SHA-256 of the sources that results follow from; made by the build. */
extern const char tu_definition[];

#endif
