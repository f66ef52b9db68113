/* SPDX-License-Identifier: MIT */
/*
 * The forward pass of a decoder over the ids of some tokens, stage by stage.
 *
 * In float64 every sum has a fixed order: the bits of a stage depend on the model's numbers and the
 * tokens alone, not on the file format, the threads or the instruction set.  In float32 products
 * are OpenBLAS's, and everything between them is computed in float64 and rounded once.
 *
 * Memory: the activations of one layer, and tiles of one weight.
 */
#ifndef TU_TRACE_FORWARD_H
#define TU_TRACE_FORWARD_H

#include "kernels/kernels.h"
#include "trace/keys.h"
#include "trace/recorded.h"
#include "trace/stage.h"
#include "trace/weights.h"

struct tu_gpu; /* compute/gpu.h */

struct tu_forward_options {
    bool half_cache; /* keys and values are rounded to F16 before queries see them */
    bool wide;       /* float64 */
    bool fused;      /* in float32: x is rounded to what the weight's integer product takes */
    unsigned threads;
    struct tu_gpu *gpu; /* in float32: computes attention; NULL: the processor does */
    /* Tells how far it is, in stages; NULL: nobody wants to know. */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

struct tu_forward {
    const struct tu_trace_config *config;
    const struct tu_weights *weights;
    const uint32_t *ids; /* below the rows of the embedding; tu_forward_plan checks it */
    uint64_t tokens;
    /* Of a pass that goes on: the position of the first token; the keys of those before it, to
     * which its own are added; and how many tokens there will be in the end, by which longrope is
     * chosen. 0, NULL and 0 of one that is whole. */
    uint64_t first;
    const struct tu_keys *keys;
    uint64_t length;
    struct tu_forward_options options;
    const struct tu_stage_sink *sink;
    /* Where a stage has been recorded, what follows is computed from that, and not from what was
     * put; NULL: everything is computed from the ids. */
    const struct tu_recorded *recorded;
    uint64_t last;  /* order of the last stage that is wanted; set by tu_forward_plan */
    uint64_t found; /* stages that have been recorded; set by it, too */
};

/* Goes through all stages without computing one: checks the ids and that every weight is there in
 * its shape, and calls sink->begin and sink->end for what is wanted.  How many those are, in
 * *wanted; on the way it finds out where tu_forward_run can end. */
int tu_forward_plan(struct tu_forward *f, uint64_t *wanted, struct tu_error *error) TU_MUST_CHECK;
/* Computes up to the last stage that is wanted. */
int tu_forward_run(const struct tu_forward *f, struct tu_error *error) TU_MUST_CHECK;

#endif
