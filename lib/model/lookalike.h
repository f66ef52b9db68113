/* SPDX-License-Identifier: MIT */
/* What somebody names or pipes in by mistake: named as what it is, with what to do about it. */
#ifndef TU_LOOKALIKE_H
#define TU_LOOKALIKE_H

#include "model/plugin.h"

/* What bytes are the start of that are no model, as "a gzip file (unpack it: gzip -d)"; NULL where
 * they look like nothing that is known here.  *bits: how many of their bits prove it, as a format
 * bids. */
const char *tu_lookalike(const uint8_t *head, size_t length, unsigned *bits);

/* The format of what begins with these bytes, of which size bytes are there.  NULL with the message,
 * which says what it looks like instead, where no format bids more for it. */
const struct tensor_format *tu_recognize(const struct tu_plugins *plugins, const uint8_t *head,
                                         size_t length, uint64_t size, const char *path,
                                         struct tu_error *error);

#endif
