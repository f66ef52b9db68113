/* SPDX-License-Identifier: MIT */
/* Instructions in which the lanes of a warp look at each other. */
#include "config.h"

#include "ptxsim.h"
#include "driver.h"

#include <string.h>
#include <time.h>

static void set_predicate(struct warp *w, int32_t at, uint32_t value, uint32_t mask)
{
    uint32_t *d = result(w, at);
    *d = (*d & ~mask) | (value & mask);
}

/* The lane that a lane takes its value from; false: beyond the segment, so that it keeps its own.
 */
static bool shuffle_from(unsigned mode, unsigned lane, uint32_t b, uint32_t c, unsigned *from)
{
    unsigned segment = c >> 8 & 31, clamp = c & 31;
    unsigned low = lane & segment, high = low | (clamp & ~segment & 31);
    int64_t wanted;
    b &= 31;
    switch (mode) {
    case 0:
        wanted = (int64_t)lane - b;
        *from = (unsigned)wanted;
        return wanted >= high;
    case 1:
        wanted = (int64_t)lane + b;
        break;
    case 2:
        wanted = lane ^ b;
        break;
    default:
        wanted = low | (b & ~segment & 31);
    }
    *from = (unsigned)wanted;
    return wanted <= high;
}

bool lane_shuffle(struct warp *w, const struct instr *i, uint32_t mask)
{
    uint32_t values[LANES], taken = 0;
    uint32_t *d = result(w, i->op[0]);
    const uint32_t *b = source(w, i->op[3]), *c = source(w, i->op[4]);
    memcpy(values, source(w, i->op[2]), sizeof values);
    for (unsigned l = 0; l < LANES; l++) {
        unsigned from = l;
        if (!(mask >> l & 1))
            continue;
        if (!shuffle_from(i->sub, l, b[l], c[l], &from))
            from = l;
        else
            taken |= UINT32_C(1) << l;
        if (!(mask >> from & 1))
            return fault(w, i, l, CUDA_ERROR_LAUNCH_FAILED,
                         "shfl.sync reads lane %u, which takes no part in it", from);
        d[l] = values[from];
    }
    if (i->op[1] != NONE)
        set_predicate(w, i->op[1], taken, mask);
    return true;
}

bool lane_vote(struct warp *w, const struct instr *i, uint32_t mask)
{
    uint32_t votes = (*(const uint32_t *)source(w, i->op[1]) ^ (i->invert ? ALL_LANES : 0)) & mask;
    const uint32_t *members = source(w, i->op[5]);
    uint32_t answer = 0, *d = result(w, i->op[0]);
    for (unsigned l = 0; l < LANES; l++) {
        uint32_t those = members[l] & mask, yes = votes & those;
        bool all = yes == those, any = yes != 0;
        if (!(mask >> l & 1))
            continue;
        if (i->sub == 3)
            d[l] = yes;
        else if (i->sub == 0 ? all : i->sub == 1 ? any : all || !any)
            answer |= UINT32_C(1) << l;
    }
    if (i->sub != 3)
        set_predicate(w, i->op[0], answer, mask);
    return true;
}

static uint64_t lane_value(const uint8_t *registers, unsigned lane, unsigned size)
{
    uint64_t x = 0;
    memcpy(&x, registers + lane * size, size);
    return x;
}

bool lane_match(struct warp *w, const struct instr *i, uint32_t mask)
{
    uint8_t values[LANES * 8];
    const uint32_t *members = source(w, i->op[5]);
    uint32_t same[LANES], whole = 0, *d = result(w, i->op[0]);
    memcpy(values, source(w, i->op[2]), (size_t)LANES * i->size);
    for (unsigned l = 0; l < LANES; l++) {
        same[l] = 0;
        for (unsigned k = 0; k < LANES; k++)
            if (members[l] & mask & UINT32_C(1) << k &&
                lane_value(values, k, i->size) == lane_value(values, l, i->size))
                same[l] |= UINT32_C(1) << k;
    }
    for (unsigned l = 0; l < LANES; l++) {
        bool all = same[l] == (members[l] & mask);
        if (!(mask >> l & 1))
            continue;
        whole |= (uint32_t)all << l;
        d[l] = i->sub && !all ? 0 : same[l];
    }
    if (i->op[1] != NONE)
        set_predicate(w, i->op[1], whole, mask);
    return true;
}

static uint32_t reduced(enum atomic how, bool is_signed, uint32_t x, uint32_t y)
{
    bool is_less = is_signed ? (int32_t)x < (int32_t)y : x < y;
    switch (how) {
    case ATOMIC_ADD:
        return x + y;
    case ATOMIC_MIN:
        return is_less ? x : y;
    case ATOMIC_MAX:
        return is_less ? y : x;
    case ATOMIC_AND:
        return x & y;
    case ATOMIC_OR:
        return x | y;
    default:
        return x ^ y;
    }
}

bool lane_reduce(struct warp *w, const struct instr *i, uint32_t mask)
{
    uint32_t values[LANES], *d = result(w, i->op[0]);
    const uint32_t *members = source(w, i->op[5]);
    memcpy(values, source(w, i->op[1]), sizeof values);
    for (unsigned l = 0; l < LANES; l++) {
        uint32_t sum = values[l];
        if (!(mask >> l & 1))
            continue;
        for (unsigned k = 0; k < LANES; k++)
            if (k != l && members[l] & mask & UINT32_C(1) << k)
                sum = reduced(i->sub, i->is_signed, sum, values[k]);
        d[l] = sum;
    }
    return true;
}

bool lane_activemask(struct warp *w, const struct instr *i, uint32_t mask)
{
    uint32_t *d = result(w, i->op[0]);
    for (unsigned l = 0; l < LANES; l++)
        if (mask >> l & 1)
            d[l] = mask;
    return true;
}

bool lane_clock(struct warp *w, const struct instr *i, uint32_t mask)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ticks = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    for (unsigned l = 0; l < LANES; l++)
        if (mask >> l & 1)
            memcpy((uint8_t *)result(w, i->op[0]) + l * i->size, &ticks, i->size);
    return true;
}

bool lane_trap(struct warp *w, const struct instr *i, uint32_t mask)
{
    return fault(w, i, (unsigned)__builtin_ctz(mask), CUDA_ERROR_LAUNCH_FAILED, "trap");
}
