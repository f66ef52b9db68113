/* SPDX-License-Identifier: MIT */
/* The tensors of a model by their names: what an operand has, sorted to be found. */
#ifndef TU_CATALOGUE_H
#define TU_CATALOGUE_H

#include "model/operand.h"

/* Tensors that can be found by their names and read in any order. */
struct tu_catalogue {
    struct tu_entry {
        const char *bare; /* its name without known prefixes */
        size_t bare_length;
        struct tu_member member;
    } * entries; /* sorted */
    size_t count, capacity;
};

int tu_catalogue_add(struct tu_catalogue *c, struct tu_member member, struct tu_error *error);
/* Adds every tensor of an operand that is no stream, and sorts. */
int tu_catalogue_operand(struct tu_catalogue *c, const struct tu_operand *o,
                         struct tu_error *error) TU_MUST_CHECK;
void tu_catalogue_sort(struct tu_catalogue *c);
void tu_catalogue_free(struct tu_catalogue *c);
/* The tensor of a name, or the only one whose name differs in prefixes alone; NULL tensor if there
 * is none. */
struct tu_member tu_catalogue_find(const struct tu_catalogue *c, const char *name, size_t length);

#endif
