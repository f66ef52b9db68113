/* SPDX-License-Identifier: MIT */
/* Canonical JSON: one text for one value, so that a digest seals it whatever wrote it. */
#ifndef TU_CANONICAL_H
#define TU_CANONICAL_H

#include "base/digest.h"
#include "tree/value.h"

/* The canonical form of a value that was read from JSON: keys sorted, no blanks, integers as they
 * are, other numbers as by %.17g, strings with short escapes of what has to be escaped. */
int tu_evidence_canonical(const struct tensor_value *value, char **text, size_t *length,
                          struct tu_error *error) TU_MUST_CHECK;
/* The digest that seals a map: of its canonical form without the member `seal`. */
int tu_evidence_seal(const struct tensor_value *map, char out[static TU_DIGEST_TEXT],
                     struct tu_error *error) TU_MUST_CHECK;

#endif
