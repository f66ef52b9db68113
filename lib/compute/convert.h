/* SPDX-License-Identifier: MIT */
/* A feed with the element types of some of its tensors changed. */
#ifndef TU_CONVERT_H
#define TU_CONVERT_H

#include "model/feed.h"

/* The type that a tensor becomes, or NULL to pass it on as it is.  A tensor may be asked about
 * twice: when it is announced in an index, and when it has come. */
typedef const struct tu_dtype *tu_plan_fn(const struct tu_tensor *t, bool has_come);

struct tu_conversion {
    tu_plan_fn *plan;
    bool scales; /* multiply by scales in tensors of their own (scales.h), and leave those out */
};

/* The whole work of a converting filter: goes through its operands, converts the tensors that the
 * plan names a type for, on all threads of the session, and passes on everything else.  Values are
 * rounded once, to nearest, ties to even; block types are made by their quantizers, which refuse
 * NaN and infinities. */
int tu_convert_operands(struct tu_tool *tool, struct tu_output *output, char **operands,
                        size_t count, const struct tu_conversion *how,
                        struct tu_error *error) TU_MUST_CHECK;

/* Whether a tensor can be made of a type: floats and blocks of all that decodes to real numbers, if
 * its rows are whole blocks; integers of integers and booleans. */
bool tu_can_convert(const struct tu_session *session, const struct tu_tensor *t,
                    const struct tu_dtype *to);

/* Whether a type holds every value of another one.  The values of block types are those of
 * tensor-types(7), in float32. */
bool tu_holds_values(const struct tu_dtype *to, const struct tu_dtype *from);

/* The tensor as it will be in another type. */
int tu_convert_describe(const struct tu_tensor *t, const struct tu_dtype *to, struct tu_tensor *out,
                        struct tu_error *error) TU_MUST_CHECK;

/* Takes the bytes of a tensor one run after another. */
typedef int tu_sink_fn(void *context, const void *bytes, size_t length, struct tu_error *error);

/* Converts the bytes of the feed's current tensor, which must not have been read from.  An integer
 * that the new type does not have is an error. */
int tu_convert_bytes(struct tu_feed *feed, const struct tu_item *item, const struct tu_dtype *to,
                     tu_sink_fn *sink, void *context, struct tu_error *error) TU_MUST_CHECK;

#endif
