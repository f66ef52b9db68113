/* SPDX-License-Identifier: MIT */
/* Scales, zeros and biases of a piece of a pack's matrix, as numbers. */
#ifndef TU_PACK_PLANES_H
#define TU_PACK_PLANES_H

#include "model/packs/codes.h"

/* What a plane has for a piece; a plane of none has no values. */
struct tu_numbers {
    float *values;        /* [rows][width] of blocks */
    uint64_t row, column; /* of the first block */
    uint64_t width;
};

/* A piece of one row, or of whole rows. */
int tu_plane_read(const struct tu_pack *p, const struct tu_plane *plane, struct tu_span piece,
                  struct tu_numbers *out, struct tu_error *error) TU_MUST_CHECK;
void tu_numbers_free(struct tu_numbers *n);

/* The place in values of what element (row, column) of the slice has, and in *run, lowered to it,
 * how many elements from there on have the same. */
size_t tu_plane_at(const struct tu_pack *p, const struct tu_plane *plane,
                   const struct tu_numbers *numbers, uint64_t slice, uint64_t row, uint64_t column,
                   uint64_t *run);

/* Elements [first, first + count) of a plane's tensor that has a plain type, as numbers. */
int tu_plane_elements(const struct tu_pack *p, const struct tu_plane *plane, uint64_t first,
                      uint64_t count, float *out, struct tu_error *error) TU_MUST_CHECK;

#endif
