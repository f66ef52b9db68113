/* SPDX-License-Identifier: MIT */
/* Each operation of a model by itself: computed in float64 from what a trace recorded before it,
 * and held against what the trace recorded of it. */
#ifndef TU_HUNT_MEASURE_H
#define TU_HUNT_MEASURE_H

#include "hunt/stages.h"
#include "trace/model.h"
#include "trace/recorded.h"
#include "trace/tokens.h"

/* A recorded trace, and what it was made of. */
struct tu_hunt_trace {
    const char *path; /* lent */
    struct tu_operand operand;
    struct tu_token_list tokens;
};

/* Opens a trace that holds stages of a hunt, and reads its tokens out of its `trace` record.
 * tokens: those the user gives, for a dump that has none, as --tokens of tensor-trace; or NULL.  To
 * be closed in any case. */
int tu_hunt_trace_open(struct tu_hunt_trace *t, struct tu_session *session, const char *path,
                       const char *tokens, const struct tu_hunt *h,
                       struct tu_error *error) TU_MUST_CHECK;
void tu_hunt_trace_close(struct tu_hunt_trace *t);

/* Fills own[run] of the stages that the model has and the trace recorded.  What a causal mask hides
 * is left out. */
int tu_hunt_measure(struct tu_hunt *h, struct tu_session *session, struct tu_trace_model *model,
                    struct tu_hunt_trace *trace, enum tu_hunt_run run,
                    struct tu_error *error) TU_MUST_CHECK;

/* How far what two traces recorded of a masked stage is apart, without what the mask hides: sets
 * its error and norm.  Stages without a mask keep what they have. */
int tu_hunt_unmask(struct tu_hunt *h, struct tu_session *session, struct tu_hunt_trace traces[2],
                   struct tu_error *error) TU_MUST_CHECK;

#endif
