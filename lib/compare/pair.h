/* SPDX-License-Identifier: MIT */
/*
 * Two tensors that met, or one that met none: where their bytes are, and how they are seen.  How
 * they are then compared is a plan's business (plan.h).
 */
#ifndef TU_PAIR_H
#define TU_PAIR_H

#include "compare/origin.h"
#include "compare/result.h"
#include "map/coverage.h"

struct tu_pair {
    struct tu_arena arena; /* of the copies below */
    enum tu_match match;
    struct tu_tensor tensors[2]; /* a, b as they are compared */
    struct tu_tensor stored[2];
    int lead;       /* the side that led when it was found */
    bool left_over; /* the other side had it left, though one of the leading side is like it */
    bool present[2];
    bool partial;          /* one of two is there alone, and some of it met others before */
    bool extra;            /* one that a map calls so is there alone */
    uint64_t elements;     /* of one that is partial: those that met nothing */
    uint64_t rows_only[2]; /* rows that one side alone has, which are not compared */
    struct tu_origin places[2];
    struct tu_spool spools[2]; /* of tensors of streams that are to be read more than once */
    bool roped, padded;        /* as found by a map */
    float addend;              /* to the leading side */
    char transform[256], reason[256];
    uint64_t heads[2]; /* of queries, and of keys and values; 0: not known */
    bool explained;    /* or tried to */
    struct tu_hypothesis hypothesis;
    bool layout; /* what is stated does not fit, and that hypothesis is about the layout */
    /* Of two tensors of one type that is not of real numbers: which elements are equal. */
    bool counted;
    uint64_t identical, first_diff;
};

/* Takes a tensor as one of the pair. */
int tu_pair_add(struct tu_pair *p, int i, const struct tu_origin *place,
                struct tu_error *error) TU_MUST_CHECK;
void tu_pair_free(struct tu_pair *p);

/* Lets a tensor stay that is in a stream: what was seen of it, behind its head, and the rest. */
int tu_pair_keep(struct tu_pair *p, int i, const void *seen, size_t length,
                 struct tu_error *error) TU_MUST_CHECK;
/* One side as a view, which can be read in any order. */
const struct tu_view *tu_pair_view(struct tu_pair *p, int i, const struct tu_kernels *kernels,
                                   struct tu_error *error) TU_MUST_CHECK;
/* Notes that of a tensor without a partner only some elements are left, and which. */
void tu_pair_set_partial(struct tu_pair *p, const struct tu_coverage *shown);
/* Has one side be seen as a view. */
void tu_pair_set_view(struct tu_pair *p, int i, const struct tu_view *v);
/* Counts the elements of two complex tensors of one shape that are equal, part by part: NaN equals
 * nothing.  Sets counted, and a reason where some differ. */
int tu_pair_count_equal(struct tu_pair *p, const struct tu_kernels *kernels,
                        struct tu_error *error) TU_MUST_CHECK;
/* What views of the pair are made with: they live as long as it. */
struct tu_view_maker tu_pair_maker(struct tu_pair *p, const struct tu_kernels *kernels);

#endif
