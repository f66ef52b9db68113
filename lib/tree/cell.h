/* SPDX-License-Identifier: MIT */
/* Columns of tables, and values as their cells. */
#ifndef TU_CELL_H
#define TU_CELL_H

#include "tree/value.h"

/* A column of tables and TSV: a key of the records that are printed. */
struct tu_column {
    const char *key;
    const char *title;
    int width;   /* least, in tables; negative: aligned left; 0: the last column */
    bool bytes;  /* tables: shown as a size */
    bool detail; /* TSV only */
    bool remark; /* tables: in words behind the last column, where a record has it */
};

/* A value as a cell of a table: names escaped, numbers short, shapes as [2, 3]. */
void tu_format_cell(const struct tensor_value *value, bool bytes, char *out, size_t size);

#endif
