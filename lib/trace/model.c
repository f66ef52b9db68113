/* SPDX-License-Identifier: MIT */
/* Opens what a forward pass needs of a model, in the order in which one follows from the other. */
#include "config.h"

#include "trace/model.h"

#include "base/file.h"

int tu_trace_model_open(struct tu_trace_model *m, struct tu_session *session, const char *path,
                        struct tu_error *error)
{
    *m = (struct tu_trace_model)TU_TRACE_MODEL_CLOSED;
    m->path = path;
    if (tu_operand_open(&m->operand, session, path, TU_ACCESS_RANDOM, error) < 0 ||
        tu_gather_operand(&m->operand, false, &m->arena, &m->gathered, error) < 0 ||
        tu_trace_configure(&m->gathered.facts, tu_operand_name(path), &m->arena, &m->config,
                           error) < 0)
        return -1;
    return tu_weights_open(&m->weights, &m->operand, &m->config, session->kernels,
                           tu_operand_name(path), error);
}

void tu_trace_model_close(struct tu_trace_model *m)
{
    tu_weights_close(&m->weights);
    tu_operand_close(&m->operand);
    tu_arena_free(&m->arena);
}
