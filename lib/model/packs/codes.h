/* SPDX-License-Identifier: MIT */
/* Codes of a matrix, from however they lie in their tensor. */
#ifndef TU_PACK_CODES_H
#define TU_PACK_CODES_H

#include "model/packs/pack.h"

/* A piece of a slice of a matrix. */
struct tu_span {
    uint64_t slice, row, rows, column, columns;
};

/* One code a byte, row by row.  The matrix has so many rows and columns; a piece of one that has no
 * gaps between rows (HIGH, SLABS) is whole rows, or lies in one. */
int tu_codes_read(const struct tu_codes *c, uint64_t rows, uint64_t columns, struct tu_span piece,
                  uint8_t *out, struct tu_error *error) TU_MUST_CHECK;

#endif
