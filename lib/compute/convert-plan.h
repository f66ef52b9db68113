/* SPDX-License-Identifier: MIT */
/* What becomes of tensors whose element type the format of a file does not have. */
#ifndef TU_CONVERT_PLAN_H
#define TU_CONVERT_PLAN_H

#include "tensor/tensor.h"
#include "model/session.h"

enum tu_convert_mode {
    TU_CONVERT_NONE, /* they are refused */
    TU_CONVERT_AUTO, /* they become the smallest type that holds all their values */
    TU_CONVERT_TYPE, /* they become a type that was named */
};

struct tu_convert_plan {
    const struct tu_session *session;
    const struct tensor_format *format;
    enum tu_convert_mode mode;
    const struct tu_dtype *to; /* of TU_CONVERT_TYPE */

    struct tu_conversion_note { /* of tensors that were converted alike */
        const struct tu_dtype *from, *to;
        const char *why; /* as the format says it */
        char *first;     /* name of a tensor */
        size_t count;
    } * items;
    size_t count, capacity;
};

/* The type that a tensor is converted to; NULL: none, or it need not be. */
const struct tu_dtype *tu_convert_plan_type(const struct tu_convert_plan *p,
                                            const struct tu_tensor *t);

/* Fails: tells why a tensor cannot be saved in a file, and which option would help. */
int tu_convert_plan_refuse(const struct tu_convert_plan *p, const char *path,
                           const struct tu_tensor *t, struct tu_error *error);

/* Keeps that a tensor was converted; one warning for each kind of conversion, and the end of it. */
int tu_convert_plan_note(struct tu_convert_plan *p, const struct tu_tensor *t,
                         const struct tu_dtype *to, struct tu_error *error) TU_MUST_CHECK;
void tu_convert_plan_report(const struct tu_convert_plan *p);
void tu_convert_plan_free(struct tu_convert_plan *p);

#endif
