/* SPDX-License-Identifier: MIT */
/* The `repeat` records of --repeat, the same from every tool. */
#ifndef TU_TOOL_REPEAT_H
#define TU_TOOL_REPEAT_H

#include "compute/repeat.h"
#include "tool/output.h"

/* Columns of all tools; one that says more of what it repeats has its own between these and the
 * name. */
/* clang-format off */
#define TU_REPEAT_COLUMNS \
    {.key = "status", .title = "status", .width = -8}, \
    {.key = "runs", .title = "runs", .width = 6}, \
    {.key = "differing", .title = "differing", .width = 10}, \
    {.key = "differing_count", .title = "differing_count", .width = 15, .detail = true}, \
    {.key = "field", .title = "field", .width = -18, .detail = true}, \
    {.key = "first_difference", .title = "first_difference", .width = 16}, \
    {.key = "value", .title = "value", .width = -14}, \
    {.key = "other_value", .title = "other_value", .width = -14}, \
    {.key = "how", .title = "how", .width = -24}, \
    {.key = "instruction_sets", .title = "instruction_sets", .width = 16, .detail = true}, \
    {.key = "threads", .title = "threads", .width = 7, .detail = true}
/* clang-format on */

extern const struct tu_column tu_repeat_columns[];

/* A `repeat` record of what `about` puts, from its name on. */
int tu_put_repeats(struct tu_output *o, tu_fill_fn *about, const void *subject,
                   const struct tu_repeats *repeats, struct tu_error *error) TU_MUST_CHECK;

#endif
