/* SPDX-License-Identifier: MIT */
/* What every piece of one run works with, whoever runs it: which code, formats and tensors, how
 * many threads, and who hears of warnings and progress. */
#ifndef TU_SESSION_H
#define TU_SESSION_H

#include "base/error.h"
#include "kernels/kernels.h"
#include "model/plugin.h"
#include "model/select.h"

/* Who hears; a function that is NULL does not.  text ends without a newline and holds no control
 * characters; done and total are bytes or whatever the caller counts, total 0 where it is not
 * known. */
struct tu_listener {
    void (*warn)(void *context, const char *text);
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

/* What becomes of weights that are several tensors (packs/packs.h). */
enum tu_packs_mode {
    TU_PACKS_NEVER,  /* they stay as they are stored */
    TU_PACKS_LISTED, /* each is one tensor; what cannot be read is a warning */
    TU_PACKS_VALUES, /* each is one tensor of F32; what belongs to it and is no weight is left out */
    TU_PACKS_STEPS,  /* each is one tensor of values with steps, of a type of kernels/made.h */
};

/* Set up by the caller, who gives back selection and plugins, too. */
struct tu_session {
    const struct tu_kernels *kernels;
    struct tu_plugins plugins;
    struct tu_selection selection;
    uint64_t threads;         /* at least 1 */
    bool lenient, big_header; /* as in struct tensor_reader */
    enum tu_packs_mode packs;
    struct tu_listener listener;
};

/* A warning: what is strange, but no reason to stop. */
void tu_warn(const struct tu_session *session, const char *format, ...) TU_PRINTF(2, 3);

/* Tells how far the work is. */
void tu_progress(const struct tu_session *session, uint64_t done, uint64_t total);

#endif
