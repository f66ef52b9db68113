/* SPDX-License-Identifier: MIT */
/* What a hunt came to, in records: tensor-origin(1) has their keys. */
#ifndef TU_HUNT_RECORD_H
#define TU_HUNT_RECORD_H

#include "hunt/stages.h"
#include "hunt/weights.h"
#include "tree/cell.h"

/* Columns of `origin` records. */
extern const struct tu_column tu_origin_columns[];

/* The `origin` record of a stage. */
int tu_hunt_record(const struct tu_hunt *h, const struct tu_hunt_stage *s, struct tu_arena *arena,
                   struct tensor_value *out, struct tu_error *error) TU_MUST_CHECK;

/* The `origins` record, which closes them: the first stage that made an error, how many have which
 * blame, and how many weights their types do not explain; weights as of tu_hunt_decide. */
int tu_hunt_closing(const struct tu_hunt *h, const struct tu_hunt_weights *weights,
                    struct tu_arena *arena, struct tensor_value *out,
                    struct tu_error *error) TU_MUST_CHECK;

#endif
