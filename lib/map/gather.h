/* SPDX-License-Identifier: MIT */
/* How view.c reads columns in another order. */
#ifndef TU_GATHER_H
#define TU_GATHER_H

#include "map/view.h"

/* Reads whole elements of a view that was made by tu_view_gather. */
int tu_view_read_gathered(const struct tu_view *v, uint64_t first, void *out, size_t count,
                          struct tu_error *error) TU_MUST_CHECK;

#endif
