/* SPDX-License-Identifier: MIT */
/* The ordered pipeline: order, failures anywhere, any number of threads. */
#include "config.h"

#include "base/pipeline.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "../tap.h"

enum { NEVER = -1 };

struct piece {
    int number;
    int result;
    void *memory; /* given back by release; a sanitizer would miss it */
};

struct line {
    int pieces;
    int fail_take, fail_work, fail_put; /* at which piece, or NEVER */
    bool slow;                          /* work takes its time, a different one each */

    int taken, put; /* the next */
    atomic_int working, most, putting, released;
    bool out_of_order, put_after_failure, put_beside_put;
    pthread_t caller;
    atomic_bool other_thread;
};

static int take(void *context, void *slot, struct tu_error *error)
{
    struct line *l = context;
    struct piece *p = slot;
    if (l->taken == l->fail_take)
        return tu_fail(error, TU_EIO, "take %d", l->taken);
    if (l->taken == l->pieces)
        return 0;
    if (!p->memory)
        p->memory = malloc(16);
    p->number = l->taken++;
    return 1;
}

static int work(void *context, void *slot, void *scratch, struct tu_error *error)
{
    (void)scratch;
    struct line *l = context;
    struct piece *p = slot;
    int now = atomic_fetch_add(&l->working, 1) + 1, most = atomic_load(&l->most);
    while (now > most && !atomic_compare_exchange_weak(&l->most, &most, now))
        ;
    if (!pthread_equal(pthread_self(), l->caller))
        l->other_thread = true;
    if (l->slow)
        nanosleep(&(struct timespec){.tv_nsec = (p->number * 7919 % 13) * 30000}, NULL);
    p->result = 3 * p->number;
    atomic_fetch_sub(&l->working, 1);
    return p->number == l->fail_work ? tu_fail(error, TU_EIO, "work %d", p->number) : 0;
}

static int put(void *context, void *slot, struct tu_error *error)
{
    struct line *l = context;
    struct piece *p = slot;
    if (atomic_fetch_add(&l->putting, 1) != 0)
        l->put_beside_put = true;
    if (p->number != l->put || p->result != 3 * p->number)
        l->out_of_order = true;
    if (p->number == l->fail_work || (l->fail_work != NEVER && p->number > l->fail_work))
        l->put_after_failure = true;
    l->put++;
    atomic_fetch_sub(&l->putting, 1);
    return p->number == l->fail_put ? tu_fail(error, TU_EIO, "put %d", p->number) : 0;
}

static void release(void *context, void *slot)
{
    struct line *l = context;
    struct piece *p = slot;
    atomic_fetch_add(&l->released, 1);
    free(p->memory);
}

static int run(struct line *l, unsigned threads, struct tu_error *error)
{
    const struct tu_pipeline pipeline = {
        .context = l, .slot_size = sizeof(struct piece), .take = take, .work = work, .put = put, .release = release};
    *error = (struct tu_error){0};
    l->caller = pthread_self();
    int result = tu_pipeline_run(&pipeline, threads, error);
    CHECK(!l->out_of_order && !l->put_after_failure && !l->put_beside_put);
    CHECK(l->released > 0);
    return result;
}

static struct line line(int pieces)
{
    return (struct line){.pieces = pieces, .fail_take = NEVER, .fail_work = NEVER, .fail_put = NEVER};
}

static const unsigned thread_counts[] = {1, 2, 3, 7, 32};

TEST(pieces_come_out_in_order)
{
    for (size_t t = 0; t < 5; t++) {
        for (int slow = 0; slow < 2; slow++) {
            for (int pieces = 0; pieces < 300; pieces = 2 * pieces + 1) {
                struct line l = line(pieces);
                struct tu_error error;
                l.slow = slow;
                CHECK(run(&l, thread_counts[t], &error) == 0);
                CHECK(l.put == pieces && error.code == TU_OK);
                CHECK(l.most <= (int)thread_counts[t]);
            }
        }
    }
}

TEST(one_thread_is_the_callers)
{
    struct line l = line(50);
    struct tu_error error;
    CHECK(run(&l, 1, &error) == 0);
    CHECK(!l.other_thread && l.most == 1);
}

TEST(several_threads_do_work)
{
    struct line l = line(400);
    struct tu_error error;
    l.slow = true;
    CHECK(run(&l, 4, &error) == 0);
    CHECK(l.other_thread);
}

TEST(a_failure_of_take_comes_after_what_was_taken)
{
    for (size_t t = 0; t < 5; t++) {
        for (int at = 0; at < 100; at += 33) {
            struct line l = line(200);
            struct tu_error error;
            char message[32];
            l.fail_take = at;
            l.slow = at % 2;
            snprintf(message, sizeof message, "take %d", at);
            CHECK_FAILS(run(&l, thread_counts[t], &error), error, message);
            CHECK_UINT((uint64_t)l.put, (uint64_t)at);
        }
    }
}

TEST(a_failure_of_work_comes_in_its_turn)
{
    for (size_t t = 0; t < 5; t++) {
        for (int at = 0; at < 100; at += 33) {
            struct line l = line(200);
            struct tu_error error;
            char message[32];
            l.fail_work = at;
            l.slow = true;
            snprintf(message, sizeof message, "work %d", at);
            CHECK_FAILS(run(&l, thread_counts[t], &error), error, message);
            CHECK_UINT((uint64_t)l.put, (uint64_t)at);
        }
    }
}

TEST(a_failure_of_put_ends_the_run)
{
    for (size_t t = 0; t < 5; t++) {
        for (int at = 0; at < 100; at += 33) {
            struct line l = line(100000);
            struct tu_error error;
            char message[32];
            l.fail_put = at;
            snprintf(message, sizeof message, "put %d", at);
            CHECK_FAILS(run(&l, thread_counts[t], &error), error, message);
            CHECK_UINT((uint64_t)l.put, (uint64_t)at + 1);
            CHECK(l.taken < 1000); /* it does not go on for long */
        }
    }
}

TEST(of_two_failures_the_first_piece_counts)
{
    for (size_t t = 0; t < 5; t++) {
        struct line l = line(200);
        struct tu_error error;
        l.fail_work = 20;
        l.fail_take = 22;
        l.slow = true;
        CHECK_FAILS(run(&l, thread_counts[t], &error), error, "work 20");
        l = line(200);
        l.fail_work = 20;
        l.fail_put = 19;
        CHECK_FAILS(run(&l, thread_counts[t], &error), error, "put 19");
    }
}
