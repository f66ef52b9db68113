/* SPDX-License-Identifier: MIT */
/* A filter that goes over its operands with the element types of some tensors changed. */
#ifndef TU_TOOL_CONVERT_H
#define TU_TOOL_CONVERT_H

#include "tool/output.h"

/* The type that a tensor becomes, or NULL to pass it on as it is.  A tensor may be asked about
 * twice: when it is announced in an index, and when it has come. */
typedef const struct tu_dtype *tu_plan_fn(const struct tu_tensor *t, bool has_come);

struct tu_conversion {
    tu_plan_fn *plan;
};

/* The whole work of a converting filter: goes through its operands, converts the tensors that the
 * plan names a type for, on all threads of the session, and passes on everything else.  Values are
 * rounded once, to nearest, ties to even; block types are made by their quantizers, which refuse
 * NaN and infinities. */
int tu_convert_operands(struct tu_tool *tool, struct tu_output *output, char **operands,
                        size_t count, const struct tu_conversion *how,
                        struct tu_error *error) TU_MUST_CHECK;

#endif
