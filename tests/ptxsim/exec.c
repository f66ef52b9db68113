/* SPDX-License-Identifier: MIT */
/*
 * Blocks one after another; in a block, warps one after another, each up to a barrier.  With
 * PTXSIM_SEED, the order of blocks and the turns of warps are drawn at random.
 *
 * Where the lanes of a warp part, it has a stack of sides; the one on top runs.  Sides end where
 * they meet: below them lies a side that waits there, for all its lanes.
 */
#include "config.h"

#include "ptxsim.h"
#include "driver.h"

#include <stdlib.h>
#include <string.h>

/* ---- faults ---- */

static void thread_index(const struct warp *w, unsigned lane, uint32_t index[3])
{
    const uint32_t *size = w->block->launch->block;
    uint32_t n = w->number * LANES + lane;
    index[0] = n % size[0];
    index[1] = n / size[0] % size[1];
    index[2] = n / size[0] / size[1];
}

bool fault(struct warp *w, const struct instr *i, unsigned lane, int code, const char *format, ...)
{
    const struct block *b = w->block;
    uint32_t t[3];
    char what[LOG_MAX];
    va_list arguments;
    if (b->launch->fault)
        return false;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    thread_index(w, lane, t);
    fprintf(stderr, "ptxsim: kernel %s, block (%u,%u,%u), thread (%u,%u,%u), PTX line %u: %s\n",
            b->launch->kernel->name, b->index[0], b->index[1], b->index[2], t[0], t[1], t[2],
            i->line, what);
    b->launch->fault = code;
    return false;
}

/* ---- sides ---- */

static struct side *top(struct warp *w)
{
    return &w->stack[w->depth - 1];
}

static void push(struct warp *w, uint32_t pc, uint32_t join, uint32_t mask)
{
    if (pc == join || !mask)
        return; /* these lanes wait below already */
    if (w->depth == STACK_MAX)
        abort();
    w->stack[w->depth++] = (struct side){.pc = pc, .join = join, .mask = mask};
}

static uint64_t random_below(struct launch *l, uint64_t n)
{
    l->random ^= l->random >> 12;
    l->random ^= l->random << 25;
    l->random ^= l->random >> 27;
    return (l->random * 0x2545f4914f6cdd1d >> 33) % n;
}

static void diverge(struct warp *w, const struct instr *i, uint32_t taken, uint32_t rest)
{
    struct launch *l = w->block->launch;
    struct side *s = top(w);
    uint32_t pc = s->pc, join = i->join;
    if (l->stats)
        l->stats->divergent_branches++;
    if (join == s->join || join == l->kernel->count) {
        join = s->join;
        w->depth--; /* what is below is where they meet */
    } else {
        s->pc = join;
        s->waits = true;
    }
    if (l->seeded && random_below(l, 2)) {
        push(w, i->target, join, taken);
        push(w, pc + 1, join, rest);
    } else {
        push(w, pc + 1, join, rest);
        push(w, i->target, join, taken);
    }
}

static void branch(struct warp *w, const struct instr *i, uint32_t taken)
{
    struct side *s = top(w);
    uint32_t rest = s->mask & ~taken;
    if (!rest)
        s->pc = i->target;
    else if (!taken)
        s->pc++;
    else
        diverge(w, i, taken, rest);
}

/* Sides that came to their end, or have no lanes left. */
static void settle(struct warp *w)
{
    while (w->depth && (!top(w)->mask || top(w)->pc == top(w)->join))
        w->depth--;
    if (w->depth)
        top(w)->waits = false;
}

static void end_lanes(struct warp *w, uint32_t mask)
{
    top(w)->pc++;
    w->alive &= ~mask;
    for (uint32_t d = 0; d < w->depth; d++)
        w->stack[d].mask &= ~mask;
}

static void take_out(struct warp *w, uint32_t d)
{
    w->depth--;
    memmove(&w->stack[d], &w->stack[d + 1], (w->depth - d) * sizeof w->stack[d]);
}

/* Lanes that wait for those above to come, too, go on alone: they may be about to end. */
static bool release_arrived(struct warp *w, uint32_t d)
{
    struct side *waiting = &w->stack[d];
    uint32_t arrived = waiting->mask;
    for (uint32_t above = d + 1; above < w->depth; above++)
        arrived &= ~w->stack[above].mask;
    if (!arrived)
        return false;
    waiting->mask &= ~arrived;
    push(w, waiting->pc, waiting->join, arrived);
    return true;
}

/* Lanes of the top must wait for others: runs another side, if there is one that has not come to
 * wait as well. */
static bool try_another(struct warp *w)
{
    top(w)->blocked = true;
    for (uint32_t d = w->depth - 1; d-- > 0;) {
        struct side other = w->stack[d];
        if (other.waits && release_arrived(w, d))
            return true;
        if (other.waits || other.blocked)
            continue;
        take_out(w, d);
        w->stack[w->depth++] = other;
        return true;
    }
    return false;
}

/* Sides that came to the same instruction one after the other execute it together. */
static bool merge_blocked(struct warp *w)
{
    for (uint32_t d = w->depth - 1; d-- > 0;) {
        if (!w->stack[d].blocked || w->stack[d].pc != top(w)->pc ||
            w->stack[d].join != top(w)->join)
            continue;
        top(w)->mask |= w->stack[d].mask;
        take_out(w, d);
        return true;
    }
    return false;
}

/* ---- barriers ---- */

static uint32_t read_lane(const struct warp *w, int32_t operand, unsigned lane)
{
    return ((const uint32_t *)source(w, operand))[lane];
}

/* An aligned barrier is for all threads of the warp that have not ended, which it waits for (PTX
 * ISA, barrier).  Sides may come to it one by one: where some path ends in between, there is no
 * place at which all of them meet before it. */
static bool arrive(struct warp *w, const struct instr *i, uint32_t mask)
{
    unsigned lane = (unsigned)__builtin_ctz(mask);
    if (mask != w->alive) {
        if (merge_blocked(w) || try_another(w))
            return true;
        return fault(
            w, i, (unsigned)__builtin_ctz(w->alive & ~mask), CUDA_ERROR_LAUNCH_FAILED,
            "barrier in divergent code: this thread is elsewhere (active lanes 0x%x of 0x%x)", mask,
            w->alive);
    }
    w->barrier = read_lane(w, i->op[0], lane);
    w->barrier_threads = i->op[1] == NONE ? 0 : read_lane(w, i->op[1], lane);
    if (w->barrier >= BARRIERS || w->barrier_threads % LANES)
        return fault(w, i, lane, CUDA_ERROR_LAUNCH_FAILED, "barrier %u for %u threads", w->barrier,
                     w->barrier_threads);
    if (w->block->launch->stats)
        w->block->launch->stats->barriers++;
    top(w)->blocked = false;
    top(w)->pc++;
    w->state = AT_BARRIER;
    return true;
}

/* All who were at the barrier know now what each of them, and whom they knew of, did. */
static void meet(struct block *b, uint32_t present)
{
    uint32_t known[WARPS_MAX] = {0};
    b->tick++;
    for (uint32_t v = 0; v < b->warp_count; v++)
        for (uint32_t p = 0; p < b->warp_count; p++)
            if (present >> p & 1 && b->seen[p][v] > known[v])
                known[v] = b->seen[p][v];
    for (uint32_t p = 0; p < b->warp_count; p++) {
        if (!(present >> p & 1))
            continue;
        b->warps[p].state = RUNNING;
        b->warps[p].synced = b->warps[p].serial;
        for (uint32_t v = 0; v < b->warp_count; v++)
            b->seen[p][v] = present >> v & 1 ? b->tick : known[v];
    }
}

/* Releases a barrier that has all it waits for. */
static bool release(struct block *b)
{
    for (uint32_t n = 0; n < BARRIERS; n++) {
        uint32_t present = 0, missing = 0, wanted = 0;
        for (uint32_t v = 0; v < b->warp_count; v++) {
            const struct warp *w = &b->warps[v];
            if (w->state == AT_BARRIER && w->barrier == n) {
                present |= UINT32_C(1) << v;
                wanted = w->barrier_threads;
            } else if (w->state != DONE) {
                missing |= UINT32_C(1) << v;
            }
        }
        bool enough = wanted ? (uint32_t)__builtin_popcount(present) * LANES >= wanted : !missing;
        if (present && enough) {
            meet(b, present);
            return true;
        }
    }
    return false;
}

/* The lanes that an instruction names must all be here. */
static bool converge(struct warp *w, const struct instr *i, uint32_t mask, bool *wait)
{
    const uint32_t *members = source(w, i->op[5]);
    for (unsigned l = 0; l < LANES; l++) {
        if (!(mask >> l & 1))
            continue;
        if (!(members[l] >> l & 1))
            return fault(w, i, l, CUDA_ERROR_LAUNCH_FAILED,
                         "the thread is not in its own mask 0x%x", members[l]);
        uint32_t missing = members[l] & w->alive & ~mask;
        if (!missing)
            continue;
        *wait = merge_blocked(w) || try_another(w);
        return *wait || fault(w, i, l, CUDA_ERROR_LAUNCH_FAILED,
                              "lanes 0x%x of the mask 0x%x are elsewhere", missing, members[l]);
    }
    top(w)->blocked = false;
    return true;
}

/* ---- warps ---- */

static void count(struct stats *s, uint32_t pc, uint32_t mask)
{
    s->warps[pc]++;
    s->lanes[pc] += (uint64_t)__builtin_popcount(mask);
}

static bool control(struct warp *w, const struct instr *i, uint32_t mask)
{
    bool wait = false;
    switch (i->control) {
    case BRANCH:
        branch(w, i, mask);
        return true;
    case EXIT:
    case RETURN:
        end_lanes(w, mask);
        return true;
    case BARRIER:
        if (mask)
            return arrive(w, i, mask);
        top(w)->pc++;
        return true;
    default:
        if (mask && !converge(w, i, mask, &wait))
            return false;
        if (wait)
            return true;
        top(w)->pc++;
        return !mask || i->run(w, i, mask);
    }
}

static bool used_up(struct warp *w, const struct instr *i)
{
    struct launch *l = w->block->launch;
    if (l->limit--)
        return false;
    fault(w, i, (unsigned)__builtin_ctz(top(w)->mask), CUDA_ERROR_LAUNCH_FAILED,
          "more instructions than PTXSIM_LIMIT allows");
    return true;
}

/* Up to a barrier or the end, or for so many instructions. */
static bool run_warp(struct warp *w, uint64_t turns)
{
    struct launch *l = w->block->launch;
    const struct instr *code = l->kernel->code;
    while (w->state == RUNNING && turns--) {
        struct side *s = top(w);
        const struct instr *i = &code[s->pc];
        uint32_t mask = s->mask;
        if (i->guard != NONE) {
            uint32_t guard = *(const uint32_t *)result(w, i->guard);
            mask &= i->guard_not ? ~guard : guard;
        }
        if (used_up(w, i))
            return false;
        if (l->stats)
            count(l->stats, s->pc, mask);
        if (i->control == NO_CONTROL) {
            s->pc++;
            if (mask && !i->run(w, i, mask))
                return false;
        } else if (!control(w, i, mask)) {
            return false;
        }
        if (!w->depth || !top(w)->mask || top(w)->pc == top(w)->join) {
            settle(w);
            if (!w->depth)
                w->state = DONE;
        }
    }
    return true;
}

/* ---- blocks ---- */

static void fill_special(struct warp *w, enum special s, uint32_t value)
{
    uint32_t *d = result(w, (int32_t)s * SLOT);
    for (unsigned l = 0; l < LANES; l++)
        d[l] = value;
}

static void set_specials(struct warp *w)
{
    const struct block *b = w->block;
    const struct launch *l = b->launch;
    uint32_t *lanes[SPECIALS];
    for (int s = 0; s < SPECIALS; s++)
        lanes[s] = result(w, s * SLOT);
    for (unsigned n = 0; n < 3; n++) {
        fill_special(w, NTID_X + n, l->block[n]);
        fill_special(w, CTAID_X + n, b->index[n]);
        fill_special(w, NCTAID_X + n, l->grid[n]);
    }
    fill_special(w, WARPID, w->number);
    fill_special(w, NWARPID, b->warp_count);
    fill_special(w, DYNAMIC_SMEM_SIZE, (uint32_t)b->dynamic);
    fill_special(w, TOTAL_SMEM_SIZE, (uint32_t)(b->own + b->common + b->dynamic));
    for (unsigned n = 0; n < LANES; n++) {
        uint32_t t[3], bit = UINT32_C(1) << n;
        thread_index(w, n, t);
        for (unsigned k = 0; k < 3; k++)
            lanes[TID_X + k][n] = t[k];
        lanes[LANEID][n] = n;
        lanes[LANEMASK_EQ][n] = bit;
        lanes[LANEMASK_LT][n] = bit - 1;
        lanes[LANEMASK_LE][n] = bit | (bit - 1);
        lanes[LANEMASK_GE][n] = ~(bit - 1);
        lanes[LANEMASK_GT][n] = ~(bit | (bit - 1));
    }
}

static void start_warp(struct warp *w, uint32_t threads)
{
    uint32_t rest = threads - w->number * LANES;
    w->alive = rest >= LANES ? ALL_LANES : (UINT32_C(1) << rest) - 1;
    w->state = RUNNING;
    w->depth = 0;
    w->copy_count = 0;
    w->copy_group = 0;
    w->synced = w->serial;
    push(w, 0, UINT32_MAX, w->alive);
    set_specials(w);
}

static void start_block(struct block *b)
{
    const struct launch *l = b->launch;
    uint32_t threads = l->block[0] * l->block[1] * l->block[2];
    memset(b->shared_valid, 0, (b->own + b->common + b->dynamic) / 8 + 16);
    b->tick++; /* all that was before is known to all */
    for (uint32_t v = 0; v < b->warp_count; v++) {
        for (uint32_t u = 0; u < b->warp_count; u++)
            b->seen[v][u] = b->tick;
        start_warp(&b->warps[v], threads);
    }
}

static struct warp *choose(struct block *b)
{
    uint32_t ready[WARPS_MAX], n = 0;
    for (uint32_t v = 0; v < b->warp_count; v++)
        if (b->warps[v].state == RUNNING)
            ready[n++] = v;
    if (!n)
        return NULL;
    return &b->warps[ready[b->launch->seeded ? random_below(b->launch, n) : 0]];
}

/* Nobody can run, and some wait. */
static bool report_deadlock(struct block *b, struct warp *w)
{
    const struct instr *i = &b->launch->kernel->code[top(w)->pc - 1];
    return fault(w, i, (unsigned)__builtin_ctz(w->alive), CUDA_ERROR_LAUNCH_FAILED,
                 "deadlock: waits at barrier %u for threads that are elsewhere or have ended",
                 w->barrier);
}

static bool run_block(struct block *b)
{
    struct warp *w;
    start_block(b);
    do {
        while ((w = choose(b))) {
            uint64_t turns = b->launch->seeded ? 1 + random_below(b->launch, 64) : UINT64_MAX;
            if (!run_warp(w, turns))
                return false;
            if (b->launch->seeded)
                release(b);
        }
    } while (release(b));
    for (uint32_t v = 0; v < b->warp_count; v++)
        if (b->warps[v].state != DONE)
            return report_deadlock(b, &b->warps[v]);
    return true;
}

/* ---- launches ---- */

static void *allocate(size_t size)
{
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!p)
        abort();
    memset(p, 0, size);
    return p;
}

static struct block *create_block(struct launch *l)
{
    struct block *b = allocate(sizeof *b);
    const struct module *m = l->function->module;
    b->launch = l;
    b->own = (l->function->own_shared + 15) / 16 * 16;
    b->common = (m->common_shared + 15) / 16 * 16;
    b->dynamic = l->dynamic_shared;
    uint64_t bytes = b->own + b->common + b->dynamic;
    b->shared = allocate(bytes + 16);
    b->shared_valid = allocate(bytes / 8 + 16);
    b->cells = allocate((bytes / 4 + 4) * sizeof *b->cells);
    b->warp_count = (l->block[0] * l->block[1] * l->block[2] + LANES - 1) / LANES;
    b->warps = allocate(b->warp_count * sizeof *b->warps);
    for (uint32_t v = 0; v < b->warp_count; v++) {
        struct warp *w = &b->warps[v];
        w->number = v;
        w->block = b;
        w->constants = l->constants;
        w->registers = allocate((size_t)l->kernel->register_bytes);
        /* What nobody wrote ought not to be mistaken for a good value. */
        memset(w->registers, 0xa5, (size_t)l->kernel->register_bytes);
        w->local = allocate(m->local_bytes * LANES + 16);
    }
    return b;
}

static void free_block(struct block *b)
{
    for (uint32_t v = 0; v < b->warp_count; v++) {
        free(b->warps[v].registers);
        free(b->warps[v].local);
        free(b->warps[v].copies);
    }
    free(b->warps);
    free(b->cells);
    free(b->shared);
    free(b->shared_valid);
    free(b);
}

/* A step through all blocks that has no common divisor with their number. */
static uint64_t odd_step(struct launch *l, uint64_t blocks)
{
    uint64_t step = 1 + random_below(l, blocks);
    for (;; step++) {
        uint64_t a = blocks, b = step;
        while (b) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1)
            return step;
    }
}

int launch_run(struct launch *l)
{
    uint64_t blocks = (uint64_t)l->grid[0] * l->grid[1] * l->grid[2];
    struct block *b = create_block(l);
    uint64_t seed = setting("PTXSIM_SEED", 0);
    l->limit = setting("PTXSIM_LIMIT", UINT64_C(1) << 40);
    l->seeded = seed != 0;
    l->random = seed * 0x9e3779b97f4a7c15 + 1;
    l->stats = stats_open(l->kernel);
    uint64_t step = l->seeded ? odd_step(l, blocks) : 1, at = 0;
    for (uint64_t n = 0; n < blocks && !l->fault; n++) {
        b->index[0] = (uint32_t)(at % l->grid[0]);
        b->index[1] = (uint32_t)(at / l->grid[0] % l->grid[1]);
        b->index[2] = (uint32_t)(at / l->grid[0] / l->grid[1]);
        run_block(b);
        at = (at + step) % blocks;
    }
    if (l->stats)
        stats_close(l->stats, l);
    free_block(b);
    return l->fault;
}
