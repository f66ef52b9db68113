/* SPDX-License-Identifier: MIT */
/* The result for one name as a record; tensor-cos(1) has its fields. */
#ifndef TU_RECORD_H
#define TU_RECORD_H

#include "compare/result.h"
#include "tree/cell.h"
#include "tree/value.h"

/* The record of a result, in the arena. */
int tu_compare_record(const struct tu_pair_result *r, struct tu_arena *arena,
                      struct tensor_value *out, struct tu_error *error) TU_MUST_CHECK;

/* How two sides of the same weights are related, as tensor-cos(1) has it: "identical", "widened",
 * "rounded", "requantized" or "changed"; NULL where that is not known. */
const char *tu_compare_relation(const struct tu_pair_result *r);

/* Its fields as columns of tables and TSV; a NULL key ends them. */
extern const struct tu_column tu_compare_columns[];

#endif
