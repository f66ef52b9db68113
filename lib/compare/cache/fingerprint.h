/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 digests of tensors in files, remembered from run to run for as long as the files stay
 * what they are: the same device, inode, size, and times of modification and change.
 */
#ifndef TU_FINGERPRINT_H
#define TU_FINGERPRINT_H

#include "model/session.h"
#include "compare/cache/store.h"

struct tu_fingerprint {
    char sha256[TU_DIGEST_TEXT];
    /* The bytes stay these for as long as the file says that it was not changed: its clock had gone
     * on by the time they were read. */
    bool settled;
};

struct tu_fingerprints;

struct tu_fingerprints *tu_fingerprints_open(const struct tu_store *store, struct tu_error *error);
/* Remembers what is settled, where that is possible, and gives everything back. */
void tu_fingerprints_close(struct tu_fingerprints *f);

/* The digest of a tensor's bytes, known or made.  False in *has for one that lies in no file. */
int tu_fingerprint_of(struct tu_fingerprints *f, struct tu_member member,
                      struct tu_fingerprint *out, bool *has, struct tu_error *error) TU_MUST_CHECK;
/* Makes those that are not known, on all of the session's threads. */
int tu_fingerprints_learn(struct tu_fingerprints *f, struct tu_session *session,
                          const struct tu_member *members, size_t count,
                          struct tu_error *error) TU_MUST_CHECK;

/* Whether no file that was asked about was changed since it was opened. */
bool tu_fingerprints_hold(const struct tu_fingerprints *f);

#endif
