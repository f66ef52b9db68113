/* SPDX-License-Identifier: MIT */
/* A model that can be traced: its files, its configuration, and its weights by name. */
#ifndef TU_TRACE_MODEL_H
#define TU_TRACE_MODEL_H

#include "model/facts/gather.h"
#include "model/operand.h"
#include "trace/config.h"
#include "trace/weights.h"

struct tu_trace_model {
    const char *path; /* as the user gave it; lent */
    struct tu_operand operand;
    struct tu_gathered gathered;
    struct tu_trace_config config;
    struct tu_weights weights;
    struct tu_arena arena;
};

/* Opens the model that a path, or "-", names.  It must not move meanwhile, and is to be closed in
 * any case. */
int tu_trace_model_open(struct tu_trace_model *m, struct tu_session *session, const char *path,
                        struct tu_error *error) TU_MUST_CHECK;
/* Also one that was only set to TU_TRACE_MODEL_CLOSED. */
void tu_trace_model_close(struct tu_trace_model *m);

/* clang-format off */
#define TU_TRACE_MODEL_CLOSED {.operand = {.is_stream = true, .fd = -1}}
/* clang-format on */

#endif
