/* SPDX-License-Identifier: MIT */
/* Which tensors a filter works on: the selection options that every filter has. */
#ifndef TU_SELECT_H
#define TU_SELECT_H

#include "base/error.h"
#include "base/list.h"
#include "base/nearest.h"
#include "model/model.h"
#include "model/share.h"

struct tu_range {
    uint64_t first, last;
};

enum tu_order { TU_ORDER_FILE, TU_ORDER_NAME, TU_ORDER_SIZE };

/* Zero-initialised it selects everything. */
struct tu_selection {
    struct tu_list match;   /* globs, of which one must match; none: all do */
    struct tu_list exclude; /* globs, of which none may match */
    struct tu_range *layers;
    size_t layer_count, layer_capacity;
    bool dtypes[TENSOR_DTYPE_LIMIT];
    bool by_dtype;
    uint64_t limit; /* 0: no limit */
    struct tu_share share;
    enum tu_order order;
    struct tu_choice *tally; /* of what it met (below); lent, NULL: nobody counts */
};

/* One run's; a selection points to it.  Zero-initialised nothing was met. */
struct tu_choice {
    uint64_t seen, taken;      /* one may come twice, as when it is announced */
    uint64_t matched, layered; /* tensors that --match, or --layers, alone would take */
    uint64_t typed, untyped;   /* those taken whose element type is asked for, and not, where that
                                  is looked at apart from the rest */
    bool has_layers;
    struct tu_range layers; /* that names speak of */
    bool dtypes[TENSOR_DTYPE_LIMIT];
    char wider[128];           /* a glob that would match, "" where there is none */
    struct tu_nearest nearest; /* of the names, to the first glob */
};

void tu_selection_free(struct tu_selection *s);

/* Whether a tensor is selected; the limit is the caller's to count. */
bool tu_selects(const struct tu_selection *s, const struct tu_tensor *t);

/* The same by a name alone. */
bool tu_selects_name(const struct tu_selection *s, const char *name);

/* Fails where something was asked for by name, layer or type, and there was something, but none of
 * it was meant: what, and what might be. */
int tu_selection_check(const struct tu_selection *s, struct tu_error *error) TU_MUST_CHECK;

/* Sorts tensors as the selection asks; TU_ORDER_FILE leaves them. */
void tu_selection_sort(const struct tu_selection *s, struct tu_member *members, size_t count);

/* Fails: a name is that of no element type, but may have been meant as one. */
int tu_fail_dtype(const char *text, size_t length, struct tu_error *error);

/* Option parsers (tool/options.h): target is a struct tu_selection. */
int tu_select_layers(void *target, const char *text, struct tu_error *error);
int tu_select_dtypes(void *target, const char *text, struct tu_error *error);
int tu_select_order(void *target, const char *text, struct tu_error *error);

#endif
