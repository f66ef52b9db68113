/* SPDX-License-Identifier: MIT */
/* The bytes and the values of a tensor, in order, tile by tile. */
#ifndef TU_COMPUTE_STAT_WALK_H
#define TU_COMPUTE_STAT_WALK_H

#include "model/feed.h"

/* The next bytes of the tensor, and the values in them as float64; integers beyond 2^53 are rounded
 * to it.  count is 0 where a type holds no real numbers, and for the bytes before all values. */
typedef int tu_walk_fn(void *context, const void *bytes, size_t length, const double *values,
                       size_t count, struct tu_error *error);

/* Goes through the tensor that the feed has come to, and of which nothing was read; tiles are
 * decoded on the session's threads, and fn is called from one of them at a time, in order. */
int tu_walk(struct tu_feed *feed, const struct tu_item *item, tu_walk_fn *fn, void *context,
            struct tu_error *error) TU_MUST_CHECK;
/* Whether the type holds real numbers. */
bool tu_walk_is_real(const struct tu_session *session, enum tensor_dtype dtype);

#endif
