/* SPDX-License-Identifier: MIT */
/* Columns of tables, and values as their cells. */
#ifndef TU_CELL_H
#define TU_CELL_H

#include <stdio.h>

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

/* Puts a cell of TSV: numbers read back the same; text is whole, escaped as tu_escape does, so that
 * it holds neither tabs nor line ends, and backslashes before an x or an escape doubled.  A
 * spreadsheet takes a cell that begins with = + - or @ for a formula and runs it, so that character
 * of a text is written as \xHH, too: a reader of the escapes has it back, which an apostrophe
 * before it would not allow. */
void tu_put_tsv(FILE *out, const struct tensor_value *value);
void tu_put_tsv_text(FILE *out, const char *text, size_t length);

/* A value as a cell of a table: names escaped, numbers short, shapes as [2, 3]. */
void tu_format_cell(const struct tensor_value *value, bool bytes, char *out, size_t size);

#endif
