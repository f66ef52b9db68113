/* SPDX-License-Identifier: MIT */
/* The stages of two traces that were compared: how far they are apart, and what they are made of.
 */
#ifndef TU_HUNT_STAGES_H
#define TU_HUNT_STAGES_H

#include "base/arena.h"
#include "base/error.h"
#include "trace/stage.h"
#include "tree/value.h"

/* What was computed from which recorded inputs, and held against which recorded output. */
enum tu_hunt_run {
    TU_RUN_MODELS, /* b's operation on what a recorded, against what a recorded */
    TU_RUN_A,      /* a's on what a recorded, against that */
    TU_RUN_B,      /* b's on what b recorded, against that */
    TU_HUNT_RUNS,
};

/* A stage computed in float64 from recorded inputs, against what was recorded of it. */
struct tu_measured {
    bool known;   /* some of it is finite, or all of it agrees in being zero */
    bool unlike;  /* it was recorded in another shape: there is no error */
    double error; /* |computed - recorded| / |recorded|, in the Euclidean norm */
    double norm;  /* |recorded| */
    uint64_t count;
};

/* What one side says of a stage; the other's word is taken where it says nothing.  NULL: nothing.
 */
struct tu_hunt_side {
    const char *weight, *bias; /* as its files call them; "*" stands for an expert's number */
    const char *weight_dtype, *arithmetic;
};

/* What became of the error at a stage. */
enum tu_blame {
    TU_CLEAN,   /* there is none but rounding */
    TU_CARRIED, /* it came with the inputs */
    TU_MADE,    /* by this operation */
    TU_HEALED,  /* the inputs had one, and it is gone */
    TU_ROUTING, /* other experts were chosen, of probabilities that are as good as equal */
    TU_UNKNOWN, /* it was not measured, and cannot be told from one that was made here */
    TU_ABSENT,  /* only one side has the stage */
    TU_BLAMES
};
extern const char *const tu_blame_words[TU_BLAMES];

/* Why an operation makes an error. */
enum tu_cause {
    TU_CAUSE_NONE,
    TU_CAUSE_WEIGHT,        /* the two models have other weights */
    TU_CAUSE_CONFIGURATION, /* they state other facts */
    TU_CAUSE_MODELS,        /* they differ, in what is not known */
    TU_CAUSE_PROGRAM_A,     /* a's trace is not what a's model gives */
    TU_CAUSE_PROGRAM_B,
    TU_CAUSE_INPUTS, /* not measured: its inputs have no error, and it has */
    TU_CAUSES
};
extern const char *const tu_cause_words[TU_CAUSES];

struct tu_hunt_stage {
    const char *name, *stage, *op;
    const char *status, *reason; /* of the compare record */
    bool has_layer, has_order, masked, integers;
    int alone; /* 'a' or 'b': only that side has it; else 0 */
    uint64_t layer, order;
    size_t inputs[TU_STAGE_INPUTS]; /* stages; SIZE_MAX: one that is none of them */
    const char *input_names[TU_STAGE_INPUTS];
    size_t input_count;
    struct tu_hunt_side sides[2]; /* a, b */
    double error;                 /* |b - a| / |a|; NaN where one side is alone */
    double norm;                  /* |a| */
    uint64_t elements, k_dim; /* k_dim: length of the sums of a product; 0: none, or not known */
    struct tu_measured own[TU_HUNT_RUNS];
    double floors[TU_HUNT_RUNS]; /* set by tu_hunt_decide: what rounding may make in each run */

    /* As tu_hunt_decide leaves them. */
    enum tu_blame blame;
    enum tu_cause cause;
    bool followed;            /* something that reads it was compared */
    double error_in;          /* the largest of its inputs; NaN: it has none, or none is known */
    double own_error, floor;  /* of the run that is the furthest above its floor; NaN: not known */
    enum tu_hunt_run own_run; /* that run */
    size_t from;              /* CARRIED: the stage where its error began; SIZE_MAX */
    const char *weight;       /* CAUSE_WEIGHT: which, as a calls it */
    const char *because;      /* what is wrong with it; or NULL */
    const char *hypothesis;   /* what would explain it; or NULL */
    const char *fact;         /* CAUSE_CONFIGURATION */
};

/* Zero-initialise. */
struct tu_hunt {
    struct tu_arena arena;
    struct tu_hunt_stage *stages; /* in the direction of the data, once they are ordered */
    size_t count, capacity;
    void *names;                /* a tree of where each name is */
    struct tensor_value *facts; /* records of facts that differ */
    size_t fact_count, fact_capacity;
    size_t facts_seen; /* of any status */
};

/* Takes a `compare` or `fact` record; others are no concern of it.  It is an error if a comparison
 * is not one of stages, or one of unlike tokens. */
int tu_hunt_take(struct tu_hunt *h, const struct tensor_value *record,
                 struct tu_error *error) TU_MUST_CHECK;
/* What the forward pass of a side's model knows of a stage, where no record said it. */
int tu_hunt_know(struct tu_hunt *h, int side, const struct tu_stage *s,
                 struct tu_error *error) TU_MUST_CHECK;
/* Sorts the stages and finds their inputs.  It is an error if there are none, or nothing says in
 * which order they are. */
int tu_hunt_order(struct tu_hunt *h, struct tu_error *error) TU_MUST_CHECK;
void tu_hunt_free(struct tu_hunt *h);

/* The stage of a name; NULL: there is none. */
struct tu_hunt_stage *tu_hunt_find(const struct tu_hunt *h, const char *name);

#endif
