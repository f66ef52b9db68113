/* SPDX-License-Identifier: MIT */
/* Names to views: the tensor that a map makes of those a model has. */
#ifndef TU_APPLY_H
#define TU_APPLY_H

#include "map/maps.h"
#include "map/view.h"

struct tu_resolver {
    const struct tu_map *map; /* NULL: prefixes alone */
    const struct tu_catalogue *in;
    struct tu_facts facts;
    size_t section; /* that tu_compose may use, or TU_ANY_SECTION */
    /* What the view is to be compared with, or NULL: numbers that would have to be taken away from
     * the view are left for the partner to have added. */
    const struct tu_tensor *like;
    bool without_rope;
    bool by_rules; /* tu_resolve is to make the tensor, even if there is one of its name */
    struct tu_view_maker maker;
};

/* What became of a name. */
struct tu_found {
    const struct tu_view *view;
    bool roped;      /* its rows were put in another order, or would have been */
    bool padded;     /* it may have more or fewer rows than its partner */
    bool tied;       /* it stands for a tensor that is left out, because it is the same */
    float addend;    /* to be added to the partner */
    char steps[256]; /* the transforms, in words; empty: only the name differs */
};

/* Adds a step to those that steps names already. */
void tu_say_step(char *steps, size_t size, const char *format, ...) TU_PRINTF(3, 4);

/* A tensor by its left name: 1, 0 if there is none, or -1. */
int tu_resolve(const struct tu_resolver *r, const char *name, size_t length, struct tu_found *out,
               struct tu_error *error) TU_MUST_CHECK;
/* A tensor by a right name, made of those that rules put on its left. */
int tu_compose(const struct tu_resolver *r, const char *name, size_t length, struct tu_found *out,
               struct tu_error *error) TU_MUST_CHECK;

/* The first place of a name, on the left or on the right of rules, of whose rule everything is
 * there that it joins: 1, 0 if there is none, or -1. */
int tu_find_complete(const struct tu_resolver *r, bool left, const char *name, size_t length,
                     struct tu_place *out, struct tu_error *error) TU_MUST_CHECK;

/* A tensor of a view, for what has to be said of where it comes from. */
struct tu_member tu_view_first_leaf(const struct tu_view *v);
/* Calls each for every tensor that a view is made of. */
void tu_view_leaves(const struct tu_view *v, void (*each)(void *context, struct tu_member leaf),
                    void *context);

#endif
