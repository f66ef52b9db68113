/* SPDX-License-Identifier: MIT */
/* A map of a model: its layers by the roles that tensors play in each, from their names. */
#ifndef TU_HEAT_H
#define TU_HEAT_H

#include "judge/court.h"

/* Where a judged tensor is in the map. */
struct tu_heat_cell {
    const char *role; /* its name with a * for its layer; the name itself if it has none */
    uint64_t layer;
    bool layered;
    size_t row, column; /* of a layered one */
    const struct tu_judged *item;
};

struct tu_heat {
    struct tu_arena arena;
    struct tu_heat_cell *cells; /* layered ones by row and column, then the others by name */
    size_t count, layered;
    uint64_t *layers; /* of each row, ascending */
    size_t rows;
    const char **roles; /* of each column, in the order of names */
    size_t columns;
    size_t common; /* bytes that all roles begin with, up to their layer */
};

int tu_heat_make(struct tu_heat *h, const struct tu_court *c, struct tu_error *error) TU_MUST_CHECK;
void tu_heat_free(struct tu_heat *h);

/* Whether the map has a size that can be looked at: names of strangers can make one of any. */
bool tu_heat_is_small(const struct tu_heat *h);

/* How bad the values with one outcome are, from 0 to shades - 1, on a scale of logarithms; of a
 * cosine its distance from 1 counts. */
struct tu_scale {
    double low, high; /* of the distances that are not 0; high 0: there are none */
    bool cosine, turned;
};
void tu_scale_make(struct tu_scale *s, const struct tu_court *c, enum tu_outcome outcome);
/* -1 for a record without a number. */
int tu_scale_shade(const struct tu_scale *s, const struct tu_judged *j, int shades);

#endif
