/* SPDX-License-Identifier: MIT */
/* Of what a tensor holds values, where that is not all of a weight: activations of one stage and
 * layer of a network, for a range of tokens.  Numbers of unlike scopes say nothing about each
 * other. */
#ifndef TU_SCOPE_H
#define TU_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "tree/value.h"

struct tu_scope {
    const char *stage; /* NULL: not said */
    size_t stage_length;
    bool has_layer, has_tokens;
    uint64_t layer;
    uint64_t tokens[2]; /* the first, and the one behind the last */
    const char *ids;    /* a digest of what the tokens are; NULL: not said */
    size_t ids_length;
    /* A map that says among other things what operation made the values, and of what: the keys that
     * tensor-trace(1) has from "order" on; of no type: not said. */
    struct tensor_value operation;
};

/* From the keys of a `tensor` record, which it goes on using; nothing is said where there are none.
 */
int tu_scope_from_value(const struct tensor_value *map, struct tu_scope *out,
                        struct tu_error *error) TU_MUST_CHECK;
int tu_scope_copy(struct tu_arena *arena, const struct tu_scope *p, struct tu_scope *out,
                  struct tu_error *error) TU_MUST_CHECK;

/* Whether anything is said: then these are activations, else weights. */
bool tu_scope_is_known(const struct tu_scope *p);

/* Puts its keys into a record, with something behind their names, which makes those of the
 * operation a map of their own. */
int tu_scope_put(struct tu_builder *b, const struct tu_scope *p, const char *suffix,
                 struct tu_error *error);
/* Whether a key was put among others by that, without a suffix. */
bool tu_scope_puts(const struct tu_scope *p, const struct tensor_value *key);

/* Whether both say what contradicts each other; why is then written to room. */
bool tu_scope_differs(const struct tu_scope *a, const struct tu_scope *b, char *room, size_t size);

#endif
