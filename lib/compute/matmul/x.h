/* SPDX-License-Identifier: MIT */
/*
 * Which x belongs to a matrix: the tensor that was chosen, the one of the matrix's own name with
 * ".x" behind it, or else the only one that fits.  An x fits a matrix [rows, columns] if its last
 * dimension is columns; a stack [n, rows, columns] also if it has three dimensions, of which the
 * first is n.
 */
#ifndef TU_MATMUL_X_H
#define TU_MATMUL_X_H

#include "model/operand.h"

struct tu_matmul_xs {
    const struct tu_operand *operand;
    const char *path;   /* of the operand, as the user named it */
    const char *chosen; /* name of a tensor, or NULL */
    bool fitting;       /* leave out matrices that none fits */
    const struct tu_kernels *kernels;
};

/* 1: it has one; 0: it has none, and is to be left out; -1: it should have one, and has none. */
int tu_matmul_find_x(const struct tu_matmul_xs *xs, const struct tu_tensor *w,
                     struct tu_member *out, struct tu_error *error) TU_MUST_CHECK;

#endif
