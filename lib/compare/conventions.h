/* SPDX-License-Identifier: MIT */
/*
 * What the metadata of two models states of how their tensors are to be read: in which order the
 * rows of heads lie, how many tokens there are, how many heads.
 */
#ifndef TU_CONVENTIONS_H
#define TU_CONVENTIONS_H

#include "map/maps.h"

/* How the rows of each head lie that rotary position embedding turns: by pairs of neighbours, or by
 * the two halves.  Names say so, but in a format that takes its names from one layout and its bytes
 * from another; there metadata may, and else it is left open. */
enum tu_rope_order { TU_ROPE_BY_NAME, TU_ROPE_PAIRS, TU_ROPE_HALVES, TU_ROPE_OPEN };

/* The tokens of a model, as far as anything is stated of them. */
struct tu_vocabulary {
    uint64_t tokens; /* 0: nothing is */
    bool listed;     /* there is a list of them, so that no other is one */
};

/* A side, as a reading needs it. */
struct tu_stated {
    const struct tensor_value *metadata; /* NULL: there is none */
    bool apr;                            /* of the format of that name */
    uint64_t tokens;                     /* in its list of them; 0: there is none */
};

struct tu_conventions {
    enum tu_rope_order orders[2]; /* of a and b */
    struct tu_vocabulary vocabulary;
    /* For what is open one order holds for all tensors of the model: that of the other side, or
     * that of its names. */
    bool decided, alike;
    char why[256]; /* which order was taken, and why; empty: that of the names */
};

/* names: of either side, which may be empty where it is a stream. */
void tu_conventions_make(struct tu_conventions *r, const struct tu_stated sides[2],
                         const struct tu_catalogue names[2]);
/* Heads of queries, and of keys and values, in a layer; 0: not known. */
void tu_conventions_heads(const struct tu_stated sides[2], uint64_t layer, uint64_t heads[2]);

#endif
