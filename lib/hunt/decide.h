/* SPDX-License-Identifier: MIT */
/* Says of each stage whether its operation made an error, and why. */
#ifndef TU_HUNT_DECIDE_H
#define TU_HUNT_DECIDE_H

#include "hunt/stages.h"
#include "hunt/weights.h"

/* Fills what stages.h says, of stages that are in order; weights are NULL where the models were not
 * given, and outlive the hunt.  tensor-origin(1) has the rules. */
void tu_hunt_decide(struct tu_hunt *h, const struct tu_hunt_weights *weights);

/* The first stage that made an error; NULL: none did. */
const struct tu_hunt_stage *tu_hunt_first(const struct tu_hunt *h);
/* How many stages have which blame. */
void tu_hunt_count(const struct tu_hunt *h, size_t counts[TU_BLAMES]);

#endif
