/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the driver share: driver.c (devices and contexts, and what every call begins
 * with), driver-memory.c, driver-code.c (modules, kernels, streams) and stream.c (work that is
 * queued).
 */
#ifndef PTXSIM_HOST_H
#define PTXSIM_HOST_H

#include "driver.h"
#include "ptxsim.h"

enum handle_kind { CONTEXT, MODULE, STREAM, EVENT };

/* Handles are never freed, so that one that was destroyed is known for it. */
struct handle {
    enum handle_kind kind;
    bool alive;
    struct context *context; /* to which it belongs */
    struct handle *next;
};

struct stream {
    struct handle handle;
    bool blocking; /* waits for the stream 0, and that one for it */
    struct work *first, *last;
};

struct context {
    struct handle handle;
    CUdevice device;
    bool primary;
    unsigned retained;
    CUresult sticky;
};

struct module_handle {
    struct handle handle;
    struct module *module;
};

struct event {
    struct handle handle;
    bool timing;
    uint64_t recorded, reached; /* how often it was asked for, and how often it came */
    double milliseconds;        /* when it was reached last */
    struct stream *stream;      /* that records it */
};

enum work_kind { COPY_IN, COPY_OUT, COPY_DEVICE, FILL, LAUNCH, RECORD, WAIT };

struct work {
    enum work_kind kind;
    uint64_t device, device_from; /* addresses */
    void *host;                   /* owned where it is a copy of pageable memory */
    bool owns_host;
    uint64_t size;
    uint32_t value; /* of FILL */
    unsigned element;
    struct launch launch; /* owns its parameters */
    struct event *event;
    uint64_t when; /* which of its records */
    struct work *next;
};

/* The handles of all kinds, the newest first. */
extern struct handle *handles;

/* ---- driver.c: what every call begins and ends with ---- */

#define CALL __attribute__((visibility("default"))) CUresult

enum { DEFAULT_SHARED = 48 << 10, RESERVED_SHARED = 1 << 10, REGISTERS = 64 };
enum needs { NOTHING, INITIALIZED, A_CONTEXT };

/* Takes the lock, and tells what every call has to know: whether one that fails was asked for
 * (PTXSIM_FAIL), whether there is a context, whether that one is broken. */
CUresult begin(const char *name, enum needs needs);
/* Lets the lock go. */
CUresult end(CUresult r);

#define BEGIN(needs)                                                                               \
    do {                                                                                           \
        CUresult begun = begin(__func__, needs);                                                   \
        if (begun)                                                                                 \
            return end(begun);                                                                     \
    } while (0)

/* The current context of this thread, or NULL. */
struct context *context(void);
/* Of the devices, as 80 for 8.0. */
int capability(void);
/* By the number of the attribute; -1: not known here. */
int device_attribute(int number);
/* What a block may have at most, when it asks for it. */
int most_shared(void);
/* A new one of this size, zeroed but for its head. */
void *add_handle(size_t size, enum handle_kind kind, struct context *c);
/* Whether it is a handle of this kind that belongs to the current context. */
bool is_own(const void *handle, enum handle_kind kind);
/* 0 and 1 are the stream 0, which becomes NULL; false: it is no stream of the current context. */
bool find_stream(CUstream *s);
bool is_function(CUfunction f);

/* ---- stream.c ---- */

/* Takes the work over.  It is done when somebody waits for it, and not before: what a program
 * forgot to wait for is then really missing.  NULL is the stream 0, on which all is done at once.
 */
CUresult stream_add(struct context *c, struct stream *s, struct work w);
CUresult stream_finish(struct context *c, struct stream *s);
CUresult stream_finish_event(struct context *c, struct event *e, uint64_t when);
CUresult context_finish(struct context *c);
void stream_drop(struct stream *s);

/* ---- driver-memory.c ---- */

/* Whether a span of host memory is page-locked. */
bool is_pinned(const void *host, uint64_t size);

#endif
