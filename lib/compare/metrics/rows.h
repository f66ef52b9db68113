/* SPDX-License-Identifier: MIT */
/* The rows of a comparison, and the worst of them: what sums.c and its tiles need of them. */
#ifndef TU_ROWS_H
#define TU_ROWS_H

#include "compare/metrics/sums.h"

/* The angle between two vectors that are not zero. */
struct tu_angle {
    double cosine, distance;
};

struct tu_angle tu_angle_of(const struct tu_row *r);
/* The sum of squares of a row below which it is faint on a side. */
double tu_faint_row(const struct tu_comparison *c);
/* Notes a row whose sums are complete, of a comparison whose faint rows are known. */
void tu_rows_note(struct tu_worst_rows *w, double faint, uint64_t index, const struct tu_row *r);
/* Counts rows from so many further up. */
void tu_worst_rows_move(struct tu_worst_rows *w, uint64_t rows);
/* Adds the worst of the rows that follow. */
void tu_worst_rows_add(struct tu_worst_rows *sum, const struct tu_worst_rows *next);

#endif
