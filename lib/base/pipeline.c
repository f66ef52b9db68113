/* SPDX-License-Identifier: MIT */
/* Hands pieces of work to threads and takes them back in order. */
#include "config.h"

#include "base/pipeline.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { SLOTS_PER_THREAD = 3 };

enum state { FREE, TAKEN, READY, FAILED };

struct slot {
    enum state state;
    struct tu_error error;
    void *piece;
};

/* Slots form a ring: piece number n lives in slot n % count. */
struct run {
    const struct tu_pipeline *p;
    struct slot *slots;
    size_t count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t taken, put; /* numbers of the next piece to take and to put */
    bool taking, putting;
    bool drained; /* nothing more is to be taken */
    bool failed;
    struct tu_error *error;
};

static bool finished(const struct run *run)
{
    return run->failed || (run->drained && !run->taking && run->put == run->taken);
}

/* Each of the three steps below is called with the lock held, gives it up while it works, and says
 * whether there was something to do. */

static bool step_put(struct run *run)
{
    struct slot *slot = &run->slots[run->put % run->count];
    if (run->putting || run->failed || slot->state < READY)
        return false;
    int result = -1;
    if (slot->state == READY) {
        run->putting = true;
        pthread_mutex_unlock(&run->lock);
        result = run->p->put(run->p->context, slot->piece, &slot->error);
        pthread_mutex_lock(&run->lock);
        run->putting = false;
    }
    if (result < 0) {
        run->failed = true;
        *run->error = slot->error;
    } else {
        slot->state = FREE;
        run->put++;
    }
    pthread_cond_broadcast(&run->changed);
    return true;
}

static bool step_take(struct run *run, void *scratch)
{
    struct slot *slot = &run->slots[run->taken % run->count];
    if (run->taking || run->drained || run->failed || slot->state != FREE)
        return false;
    run->taking = true;
    slot->error.code = TU_OK;
    pthread_mutex_unlock(&run->lock);
    int more = run->p->take(run->p->context, slot->piece, &slot->error);
    pthread_mutex_lock(&run->lock);
    run->taking = false;
    if (more == 0) {
        run->drained = true;
        pthread_cond_broadcast(&run->changed);
        return true;
    }
    run->taken++;
    slot->state = more < 0 ? FAILED : TAKEN;
    run->drained = more < 0;
    pthread_cond_broadcast(&run->changed);
    if (more < 0)
        return true;
    pthread_mutex_unlock(&run->lock);
    int result = run->p->work(run->p->context, slot->piece, scratch, &slot->error);
    pthread_mutex_lock(&run->lock);
    slot->state = result < 0 ? FAILED : READY;
    pthread_cond_broadcast(&run->changed);
    return true;
}

static void fail_without_scratch(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    if (!run->failed)
        tu_fail_memory(run->error);
    run->failed = true;
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
}

static void *run_thread(void *argument)
{
    struct run *run = argument;
    void *scratch = run->p->scratch_size ? calloc(1, run->p->scratch_size) : NULL;
    if (run->p->scratch_size && !scratch) {
        fail_without_scratch(run);
        return NULL;
    }
    pthread_mutex_lock(&run->lock);
    while (!finished(run))
        if (!step_put(run) && !step_take(run, scratch))
            pthread_cond_wait(&run->changed, &run->lock);
    pthread_mutex_unlock(&run->lock);
    if (scratch && run->p->release_scratch)
        run->p->release_scratch(scratch);
    free(scratch);
    return NULL;
}

static int make_slots(struct run *run, unsigned threads)
{
    run->count = (size_t)threads * SLOTS_PER_THREAD;
    run->slots = calloc(run->count, sizeof *run->slots);
    if (!run->slots)
        return tu_fail_memory(run->error);
    for (size_t i = 0; i < run->count; i++)
        if (!(run->slots[i].piece = calloc(1, run->p->slot_size)))
            return tu_fail_memory(run->error);
    return 0;
}

static void free_slots(struct run *run)
{
    for (size_t i = 0; run->slots && i < run->count; i++) {
        if (run->slots[i].piece && run->p->release)
            run->p->release(run->p->context, run->slots[i].piece);
        free(run->slots[i].piece);
    }
    free(run->slots);
}

/* A machine that refuses a thread gives a slower run, not a failed one. */
static void run_threads(struct run *run, unsigned threads)
{
    pthread_t *others = calloc(threads, sizeof *others);
    unsigned started = 0;
    while (others && started + 1 < threads &&
           pthread_create(&others[started], NULL, run_thread, run) == 0)
        started++;
    run_thread(run);
    for (unsigned i = 0; i < started; i++)
        pthread_join(others[i], NULL);
    free(others);
}

int tu_pipeline_run(const struct tu_pipeline *pipeline, unsigned threads, struct tu_error *error)
{
    struct run run = {.p = pipeline, .error = error};
    pthread_mutex_init(&run.lock, NULL);
    pthread_cond_init(&run.changed, NULL);
    int result = make_slots(&run, threads);
    if (result == 0)
        run_threads(&run, threads);
    free_slots(&run);
    pthread_cond_destroy(&run.changed);
    pthread_mutex_destroy(&run.lock);
    return run.failed ? -1 : result;
}
