/* SPDX-License-Identifier: MIT */
/* Which elements of tensors a view shows, and which of a tensor have been shown by then. */
#ifndef TU_COVERAGE_H
#define TU_COVERAGE_H

#include "map/view.h"

/* Elements [first, end) of a tensor in row-major order or, where columns is set, those of that
 * range of the last dimension in every row. */
struct tu_portion {
    uint64_t first, end;
    bool columns;
};

/* Calls each for what a view shows of every tensor that it is made of.  A piece whose elements lie
 * in no such portion is not told: it counts as not shown. */
int tu_view_portions(const struct tu_view *v,
                     int (*each)(void *context, struct tu_member leaf, struct tu_portion portion,
                                 struct tu_error *error),
                     void *context, struct tu_error *error) TU_MUST_CHECK;

/* Disjoint portions of one kind, in order; no two of them touch.  Zero-initialise. */
struct tu_coverage {
    struct tu_portion *portions;
    size_t count, capacity;
};

/* Adds a portion; again tells whether some of it was there already (then nothing is added). */
int tu_coverage_add(struct tu_coverage *c, struct tu_portion portion, bool *again,
                    struct tu_error *error) TU_MUST_CHECK;
void tu_coverage_free(struct tu_coverage *c);
/* Whether some of a portion is in it. */
bool tu_coverage_shows(const struct tu_coverage *c, struct tu_portion portion);

/* Whether any, or every, element of the tensor is in it; one of no elements is once it was added.
 */
bool tu_coverage_any(const struct tu_coverage *c);
bool tu_coverage_all(const struct tu_coverage *c, const struct tu_tensor *t);
/* How many elements are not in it, and which in words: "rows 1 to 3 of 4". */
uint64_t tu_coverage_left(const struct tu_coverage *c, const struct tu_tensor *t, char *words,
                          size_t size);

#endif
