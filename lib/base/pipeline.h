/* SPDX-License-Identifier: MIT */
/*
 * An ordered pipeline over threads.  Pieces of work are taken one after another, worked on by any
 * thread, and put one after another in the order they were taken: so readers read and writers
 * write in sequence, and a result never depends on the number of threads.
 */
#ifndef TU_PIPELINE_H
#define TU_PIPELINE_H

#include <stddef.h>

#include "base/error.h"

struct tu_pipeline {
    void *context;
    size_t slot_size;    /* bytes of one piece; cleared once, before its first use */
    size_t scratch_size; /* bytes that each thread has for itself; cleared once; 0: none */
    /* Fills a slot with the next piece: 1, or 0 when there is none, or -1. */
    int (*take)(void *context, void *slot, struct tu_error *error);
    /* Works on it; runs beside take, put and other calls of work.  What scratch keeps stays in the
     * caches of one processor, unlike slots, which go from thread to thread. */
    int (*work)(void *context, void *slot, void *scratch, struct tu_error *error);
    /* Receives pieces in the order they were taken; never beside another put, but beside take. */
    int (*put)(void *context, void *slot, struct tu_error *error);
    /* Gives back what a slot holds; may be NULL. */
    void (*release)(void *context, void *slot);
    void (*release_scratch)(void *scratch);
};

/* Runs until take gives 0 or something fails; pieces taken before the one that failed are put.
 * Threads is at least 1; with 1 everything runs in the caller's thread. */
int tu_pipeline_run(const struct tu_pipeline *pipeline, unsigned threads,
                    struct tu_error *error) TU_MUST_CHECK;

#endif
