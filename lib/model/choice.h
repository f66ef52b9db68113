/* SPDX-License-Identifier: MIT */
/* What a selection met, so that one that selects nothing can say why. */
#ifndef TU_CHOICE_H
#define TU_CHOICE_H

#include "base/nearest.h"
#include "model/select.h"

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

/* Keeps what became of a tensor. */
void tu_choice_note(struct tu_choice *tally, const struct tu_selection *s,
                    const struct tu_tensor *t, bool matched, bool layered, bool taken);

/* Fails where something was asked for by name, layer or type, and there was something, but none of
 * it was meant: what, and what might be. */
int tu_selection_check(const struct tu_selection *s, struct tu_error *error) TU_MUST_CHECK;

#endif
