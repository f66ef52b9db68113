/* SPDX-License-Identifier: MIT */
/*
 * Signatures of evidence, which tell who sealed it: made and checked by OpenSSH's ssh-keygen -Y, in
 * a namespace of our own, so that a signature of anything else is none of evidence.
 */
#ifndef TU_SIGNATURE_H
#define TU_SIGNATURE_H

#include <stddef.h>

#include "base/error.h"

#define TU_SIGNATURE_NAMESPACE "evidence@tensorutils"

enum tu_signed {
    TU_UNSIGNED,      /* there is no signature */
    TU_SIGNED,        /* by one of the signers */
    TU_SIGNED_WRONGLY /* by none of them, or it is of other bytes */
};

struct tu_signature {
    enum tu_signed state;
    char text[512]; /* who signed, or why the signature does not hold; not escaped */
};

/* The name of the file beside `path` that holds its signature, PATH.sig; owned by the caller.
 * NULL: out of memory. */
char *tu_signature_path(const char *path);

/* Signs text with a private key, or with a public one whose private key an agent has, and writes
 * the signature beside the file that the text stands in.  An old signature is replaced. */
int tu_signature_make(const char *path, const char *text, size_t length, const char *key,
                      struct tu_error *error) TU_MUST_CHECK;

/* Removes the signature beside a file that is about to be another one. */
int tu_signature_remove(const char *path, struct tu_error *error) TU_MUST_CHECK;

/* Whether the signature beside a file is one of this text by one of the signers, a file in the form
 * of ALLOWED SIGNERS in ssh-keygen(1).  -1 if that cannot be told. */
int tu_signature_check(const char *path, const char *text, size_t length, const char *signers,
                       struct tu_signature *out, struct tu_error *error) TU_MUST_CHECK;

#endif
