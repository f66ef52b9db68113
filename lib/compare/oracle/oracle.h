/* SPDX-License-Identifier: MIT */
/*
 * Why two tensors disagree.  A bounded list of explanations is tried on a sample of their elements;
 * the one that explains by far the most is then confirmed on all of them.  What the hypotheses are
 * called and what they say stands in tensor-cos(1).
 *
 * What is read: a sample (sample.h) for each of about 100 hypotheses and of at most
 * TU_ORACLE_OTHERS other tensors, of which a first look at 128 elements rules most out; then, once,
 * all elements of the best one.
 */
#ifndef TU_ORACLE_H
#define TU_ORACLE_H

#include "compare/metrics/sums.h"
#include "map/view.h"

#define TU_ORACLE_OTHERS 256

/* Another tensor of a side, of the same shape: the two may have been exchanged. */
struct tu_other {
    int side; /* 0: of a */
    struct tu_member member;
    struct tu_member partner; /* of the other side, by its name; NULL model: not known */
};

/* Two tensors of as many elements. */
struct tu_oracle_case {
    const struct tu_kernels *kernels;
    const struct tu_view *sides[2]; /* a, and b as it was compared with a */
    const struct tu_partial *sums;  /* what that came to; NULL: their shapes differ */
    const char *name;               /* that a remedy is about */
    bool same_names;                /* both sides call their tensors alike */
    bool slight;       /* they are nearly alike: only what changes a tensor a little is tried */
    uint64_t heads[2]; /* of queries, and of keys and values; 0: not known */
    const struct tu_other *others;
    size_t other_count;
};

struct tu_hypothesis {
    const char *text;   /* NULL: there is none */
    const char *remedy; /* a rule of a map that makes b what a is; NULL: there is none */
    double cosine;      /* over all elements, as the hypothesis has it */
    bool layout;        /* the same numbers lie in another order, or under another shape */
    /* Of a layout: what the two come to where b is seen as the hypothesis has it. */
    struct tu_partial sums;
    struct tu_resolution resolution;
    uint64_t row; /* elements of what is taken for a row */
};

/* Whether the result of a comparison needs explaining. */
bool tu_oracle_wanted(const struct tu_partial *sums, enum tensor_dtype a, enum tensor_dtype b);

/* Looks for an explanation; the texts live in the arena. */
int tu_oracle_ask(const struct tu_oracle_case *c, struct tu_arena *arena, struct tu_hypothesis *out,
                  struct tu_error *error) TU_MUST_CHECK;

#endif
