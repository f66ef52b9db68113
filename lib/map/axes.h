/* SPDX-License-Identifier: MIT */
/* Axes in an order in which the last one does not stay. */
#ifndef TU_AXES_H
#define TU_AXES_H

#include "map/view.h"

/* What tu_view_permute gives for such axes; NULL and an error where no view can be made. */
const struct tu_view *tu_view_permute_all(const struct tu_view_maker *m, const struct tu_view *of,
                                          const uint64_t *axes, uint32_t rank, bool undo,
                                          struct tu_error *error);

#endif
