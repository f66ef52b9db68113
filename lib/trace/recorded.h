/* SPDX-License-Identifier: MIT */
/* Stages that another run has recorded, to compute each operation from the same inputs. */
#ifndef TU_TRACE_RECORDED_H
#define TU_TRACE_RECORDED_H

#include "model/operand.h"
#include "trace/stage.h"
#include "trace/tokens.h"

struct tu_recorded {
    const struct tu_operand *operand; /* files: what has to be read in any order */
    const struct tu_kernels *kernels;
    const struct tu_token_list *tokens; /* of this run */
    const char *path;                   /* for messages */
    bool lenient; /* a stage in another shape is as good as not recorded, and no error */
};

/* Puts what was recorded of a stage in place of its values, which are of its shape: 1, or 0 if
 * nothing was.  It is an error if that has another shape or other tokens, is of another layer or
 * stage, or is no number. */
int tu_recorded_read(const struct tu_recorded *r, const struct tu_stage *s, struct tu_values *out,
                     struct tu_error *error) TU_MUST_CHECK;

/* Elements [first, first + count) of it, in float64, which holds what is there but for integers
 * above 2^53; the same errors. */
int tu_recorded_piece(const struct tu_recorded *r, const struct tu_stage *s, uint64_t first,
                      size_t count, double *out, struct tu_error *error) TU_MUST_CHECK;

/* Whether a tensor has the name of a stage. */
bool tu_recorded_has(const struct tu_recorded *r, const struct tu_stage *s);
/* The tensor, in whatever shape; NULL: there is none. */
const struct tu_tensor *tu_recorded_tensor(const struct tu_recorded *r, const struct tu_stage *s);

#endif
