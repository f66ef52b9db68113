/* SPDX-License-Identifier: MIT */
/* One tensor with a range of elements as another has them. */
#ifndef TU_SPLICE_H
#define TU_SPLICE_H

#include "map/view.h"

/* a, with elements [first, end) in row-major order as b, which has a's shape, has them.  Where the
 * types differ, or where the range cuts blocks, it is F32.  NULL with the error set where that is
 * not possible. */
const struct tu_view *tu_view_splice(const struct tu_view_maker *m, const struct tu_view *a,
                                     const struct tu_view *b, uint64_t first, uint64_t end,
                                     struct tu_error *error);

#endif
