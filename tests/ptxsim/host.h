/* SPDX-License-Identifier: MIT */
/* What the two halves of the driver share: driver.c (calls) and stream.c (work that is queued). */
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

/* Takes the work over.  It is done when somebody waits for it, and not before: what a program
 * forgot to wait for is then really missing.  NULL is the stream 0, on which all is done at once.
 */
CUresult stream_add(struct context *c, struct stream *s, struct work w);
CUresult stream_finish(struct context *c, struct stream *s);
CUresult stream_finish_event(struct context *c, struct event *e, uint64_t when);
CUresult context_finish(struct context *c);
void stream_drop(struct stream *s);
bool is_pinned(const void *host, uint64_t size);

#endif
