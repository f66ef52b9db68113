/* SPDX-License-Identifier: MIT */
/* Work in streams. */
#include "config.h"

#include "host.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void fill(const struct work *w)
{
    uint8_t *bytes = device_bytes(w->device, w->size);
    for (uint64_t n = 0; n < w->size; n += w->element)
        memcpy(bytes + n, &w->value, w->element);
}

static void run(struct context *c, struct work *w)
{
    switch (w->kind) {
    case COPY_IN:
        memcpy(device_bytes(w->device, w->size), w->host, w->size);
        device_set_valid(w->device, w->size);
        break;
    case COPY_OUT:
        memcpy(w->host, device_bytes(w->device, w->size), w->size);
        break;
    case COPY_DEVICE:
        memmove(device_bytes(w->device, w->size), device_bytes(w->device_from, w->size), w->size);
        device_copy_valid(w->device, w->device_from, w->size);
        break;
    case FILL:
        fill(w);
        device_set_valid(w->device, w->size);
        break;
    case LAUNCH:
        c->sticky = (CUresult)launch_run(&w->launch);
        break;
    case RECORD:
        w->event->reached = w->when;
        w->event->milliseconds = now();
        break;
    case WAIT:
        stream_finish_event(c, w->event, w->when);
        break;
    }
}

static void free_work(struct work *w)
{
    if (w->owns_host)
        free(w->host);
    free(w->launch.parameters);
    free(w);
}

static void run_first(struct context *c, struct stream *s)
{
    struct work *w = s->first;
    s->first = w->next;
    if (!s->first)
        s->last = NULL;
    run(c, w);
    free_work(w);
}

void stream_drop(struct stream *s)
{
    while (s->first) {
        struct work *w = s->first;
        s->first = w->next;
        free_work(w);
    }
    s->last = NULL;
}

CUresult stream_finish(struct context *c, struct stream *s)
{
    while (s->first && !c->sticky)
        run_first(c, s);
    return c->sticky;
}

CUresult stream_finish_event(struct context *c, struct event *e, uint64_t when)
{
    while (e->reached < when && e->stream && e->stream->first && !c->sticky)
        run_first(c, e->stream);
    return c->sticky;
}

/* The newest stream first: as good an order as any other, and seldom the one in which things were
 * asked for. */
static CUresult finish_all(struct context *c, bool only_blocking)
{
    for (struct handle *h = handles; h; h = h->next) {
        struct stream *s = (struct stream *)h;
        if (h->kind == STREAM && h->context == c && (s->blocking || !only_blocking))
            stream_finish(c, s);
    }
    return c->sticky;
}

CUresult context_finish(struct context *c)
{
    return finish_all(c, false);
}

static CUresult run_now(struct context *c, struct work w)
{
    struct work *copy = malloc(sizeof *copy);
    if (!copy)
        abort();
    *copy = w;
    if (finish_all(c, true) == CUDA_SUCCESS)
        run(c, copy);
    free_work(copy);
    return c->sticky;
}

/* A copy from pageable memory is done with it when the call returns; a copy to it is done itself.
 */
static void detach(struct work *w)
{
    void *copy = malloc(w->size ? w->size : 1);
    if (!copy)
        abort();
    w->host = memcpy(copy, w->host, w->size);
    w->owns_host = true;
}

CUresult stream_add(struct context *c, struct stream *s, struct work w)
{
    if (!s)
        return run_now(c, w);
    if (w.kind == COPY_IN && !is_pinned(w.host, w.size))
        detach(&w);
    bool wait =
        (w.kind == COPY_OUT && !is_pinned(w.host, w.size)) || setting_is("PTXSIM_STREAMS", "now");
    struct work *added = malloc(sizeof *added);
    if (!added)
        abort();
    *added = w;
    added->next = NULL;
    if (s->last)
        s->last->next = added;
    else
        s->first = added;
    s->last = added;
    return wait ? stream_finish(c, s) : CUDA_SUCCESS;
}
