/* SPDX-License-Identifier: MIT */
/* What --repeat reports: whether results are the same bits whatever they are made with. */
#ifndef TU_REPEAT_H
#define TU_REPEAT_H

#include "model/session.h"
#include "tool/output.h"

/* Results that are to be the same bits in every run. */
struct tu_repeats {
    uint64_t runs, differing;  /* runs that differ from the first */
    const char *field;         /* what differs first; NULL: an element */
    uint64_t first_difference; /* that element */
    double first, other;       /* its values */
    char difference[64];       /* how that run was made */
};

/* How the n-th run is made: with the instruction sets of this machine in turns, each with as many
 * threads as the session has and with another number.  text says so. */
void tu_vary(const struct tu_session *session, uint64_t run, const struct tu_kernels **kernels,
             unsigned *threads, char text[static 64]);

/* Counts a run that differs; false for all but the first such. */
bool tu_repeats_differ(struct tu_repeats *repeats, const char *how);

extern const struct tu_column tu_repeat_columns[];

/* A `repeat` record: name, runs, differing, and what differs first. */
int tu_put_repeats(struct tu_output *o, const char *name, const struct tu_repeats *repeats,
                   struct tu_error *error) TU_MUST_CHECK;

#endif
