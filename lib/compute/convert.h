/* SPDX-License-Identifier: MIT */
/* A tensor in another element type. */
#ifndef TU_CONVERT_H
#define TU_CONVERT_H

#include "model/feed.h"

/* Whether a tensor can be made of a type: floats and blocks of all that decodes to real numbers, if
 * its rows are whole blocks; integers of integers and booleans. */
bool tu_can_convert(const struct tu_session *session, const struct tu_tensor *t,
                    const struct tu_dtype *to);

/* Whether a type holds every value of another one.  The values of block types are those of
 * tensor-types(7), in float32. */
bool tu_holds_values(const struct tu_dtype *to, const struct tu_dtype *from);

/* The tensor as it will be in another type. */
int tu_convert_describe(const struct tu_tensor *t, const struct tu_dtype *to, struct tu_tensor *out,
                        struct tu_error *error) TU_MUST_CHECK;

/* Takes the bytes of a tensor one run after another. */
typedef int tu_sink_fn(void *context, const void *bytes, size_t length, struct tu_error *error);

/* Converts the bytes of the feed's current tensor, which must not have been read from.  An
 * integer that the new type does not have is an error. */
int tu_convert_bytes(struct tu_feed *feed, const struct tu_item *item, const struct tu_dtype *to,
                     tu_sink_fn *sink, void *context, struct tu_error *error) TU_MUST_CHECK;

#endif
