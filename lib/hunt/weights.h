/* SPDX-License-Identifier: MIT */
/* The weights of two models, compared and judged by what their types explain. */
#ifndef TU_HUNT_WEIGHTS_H
#define TU_HUNT_WEIGHTS_H

#include "base/arena.h"
#include "base/error.h"
#include "model/session.h"
#include "tree/value.h"

/* What the comparison of one tensor came to. */
struct tu_hunt_weight {
    const char *name, *name_b; /* as a and as b call it */
    bool fails;                /* by verdict's profile auto */
    const char *reason;        /* why; NULL: it passes */
    const char *hypothesis;    /* what would explain it; NULL: nothing does */
    double error;              /* |b - a| / |a|; NaN: not known */
    double rmse;               /* NaN: not known */
};

/* Zero-initialise. */
struct tu_hunt_weights {
    struct tu_arena arena;
    struct tu_hunt_weight *items;
    size_t count, capacity;
    struct tensor_value *facts; /* records of facts that the models state, of any status */
    size_t fact_count, fact_capacity;
};

/* Compares two models as tensor-cos does, a map by its name or NULL, and judges each pair as
 * verdict does without an option. */
int tu_hunt_weights_compare(struct tu_hunt_weights *w, struct tu_session *session,
                            const char *const paths[2], const char *map,
                            struct tu_error *error) TU_MUST_CHECK;
void tu_hunt_weights_free(struct tu_hunt_weights *w);

/* The worst of the tensors that a name, in which "*" stands for a number, is of: one that fails, or
 * else the one with the largest error; by the names of one side.  NULL: there is none. */
const struct tu_hunt_weight *tu_hunt_weights_find(const struct tu_hunt_weights *w, int side,
                                                  const char *name);

#endif
