/* SPDX-License-Identifier: MIT */
/* Which tensors a filter works on: the selection options that every filter has. */
#ifndef TU_SELECT_H
#define TU_SELECT_H

#include "base/error.h"
#include "base/list.h"
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
    struct tu_choice *tally; /* of what it met (model/choice.h); lent, NULL: nobody counts */
};

void tu_selection_free(struct tu_selection *s);

/* Whether a tensor is selected; the limit is the caller's to count. */
bool tu_selects(const struct tu_selection *s, const struct tu_tensor *t);

/* The same by a name alone. */
bool tu_selects_name(const struct tu_selection *s, const char *name);

/* Sorts tensors as the selection asks; TU_ORDER_FILE leaves them. */
void tu_selection_sort(const struct tu_selection *s, struct tu_member *members, size_t count);

/* Fails: a name is that of no element type, but may have been meant as one. */
int tu_fail_dtype(const char *text, size_t length, struct tu_error *error);

/* Option parsers (tool/options.h): target is a struct tu_selection. */
int tu_select_layers(void *target, const char *text, struct tu_error *error);
int tu_select_dtypes(void *target, const char *text, struct tu_error *error);
int tu_select_order(void *target, const char *text, struct tu_error *error);

#endif
