/* SPDX-License-Identifier: MIT */
/*
 * cvt.  A value goes through one that holds it exactly: 64 bits for integers, float64 for floats.
 */
#include "config.h"

#include "ptxsim.h"

#include <math.h>
#include <string.h>

/* In the order of the code: what a type is, and how many bytes it has. */
static const struct {
    char class;
    uint8_t size;
} kinds[] = {{'u', 1}, {'s', 1}, {'u', 2}, {'s', 2}, {'u', 4}, {'s', 4},
             {'u', 8}, {'s', 8}, {'f', 2}, {'f', 4}, {'f', 8}, {'h', 2}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int kind_of(char class, uint8_t size)
{
    for (int k = 0; k < KINDS; k++)
        if (kinds[k].class == class && kinds[k].size == size)
            return k;
    return -1;
}

uint8_t convert_code(struct conversion c)
{
    int to = kind_of(c.to, c.to_size), from = kind_of(c.from, c.from_size);
    return to < 0 || from < 0 ? 0 : (uint8_t)(1 + to * KINDS + from);
}

static bool is_integer(char class)
{
    return class == 'u' || class == 's';
}

static bool is_subnormal(double x)
{
    return fabs(x) < 0x1p-126;
}

static double load_float(const uint8_t *at, char class, unsigned size, bool ftz)
{
    uint16_t small;
    float middle;
    double x;
    memcpy(&small, at, 2);
    if (size == 2)
        return (double)(class == 'h' ? bfloat_to_float(small) : half_to_float(small));
    memcpy(&middle, at, 4);
    if (size == 4)
        return ftz && is_subnormal((double)middle) ? copysign(0, (double)middle) : (double)middle;
    memcpy(&x, at, 8);
    return x;
}

static uint64_t load_integer(const uint8_t *at, char class, unsigned size)
{
    uint64_t x = 0;
    memcpy(&x, at, size);
    unsigned unused = 64 - 8 * size;
    return class == 's' ? (uint64_t)((int64_t)(x << unused) >> unused) : x;
}

static double to_integral(double x, enum rounding mode)
{
    switch (mode) {
    case NEAREST:
        return rint(x);
    case DOWN:
        return floor(x);
    case UP:
        return ceil(x);
    default:
        return trunc(x);
    }
}

/* A float beyond the integer becomes the nearest integer there is. */
static uint64_t integer_from(double x, unsigned from_size, char class, unsigned size,
                             enum rounding mode)
{
    double limit = ldexp(1, (int)(8 * size) - (class == 's'));
    if (isnan(x))
        return from_size < 8 && size < 8 ? 0 : UINT64_C(1) << (8 * size - 1);
    x = to_integral(x, mode);
    if (class == 's')
        return x >= limit   ? (UINT64_C(1) << (8 * size - 1)) - 1
               : x < -limit ? -(UINT64_C(1) << (8 * size - 1))
                            : (uint64_t)(int64_t)x;
    return x >= limit ? UINT64_MAX >> (64 - 8 * size) : x < 0 ? 0 : (uint64_t)x;
}

static uint64_t saturate_integer(uint64_t x, char from, char class, unsigned size)
{
    bool negative = from == 's' && (int64_t)x < 0;
    uint64_t top = UINT64_MAX >> (64 - 8 * size + (class == 's'));
    if (negative && class == 'u')
        return 0;
    if (negative)
        return (int64_t)x < -(int64_t)top - 1 ? ~top : x;
    return x > top ? top : x;
}

/* Fills the whole register, by the sign where there is one. */
static void store_integer(uint8_t *at, unsigned width, uint64_t x, char class, unsigned size)
{
    unsigned unused = 64 - 8 * size;
    x = class == 's' ? (uint64_t)((int64_t)(x << unused) >> unused) : x << unused >> unused;
    memcpy(at, &x, width);
}

static double saturate_float(double x)
{
    return x > 0 ? (x < 1 ? x : 1) : 0;
}

static void store_float(uint8_t *at, unsigned width, double x, char class, unsigned size,
                        const struct instr *i)
{
    enum rounding mode = i->combine ? NEAREST : (enum rounding)i->sub;
    uint16_t small = 0;
    float middle;
    if (i->flags & SAT)
        x = saturate_float(x);
    if (size == 2) {
        uint64_t wide = small = class == 'h' ? bfloat_from(x, mode) : half_from(x, mode);
        memcpy(at, &wide, width);
    } else if (size == 4) {
        middle = mode == NEAREST && !isnan(x) ? (float)x : float_from(x, mode);
        if (i->flags & FTZ && is_subnormal((double)middle))
            middle = copysignf(0, middle);
        memcpy(at, &middle, 4);
    } else {
        memcpy(at, &x, 8);
    }
}

/* 64 bits do not fit into float64; but to float32, C converts and rounds as is wanted. */
static void store_integer_as_float(uint8_t *at, unsigned width, uint64_t x, char from, char class,
                                   unsigned size, const struct instr *i)
{
    double wide = from == 's' ? (double)(int64_t)x : (double)x;
    float narrow = from == 's' ? (float)(int64_t)x : (float)x;
    if (size == 4 && i->sub == NEAREST)
        memcpy(at, &narrow, 4);
    else
        store_float(at, width, wide, class, size, i);
}

bool convert_run(struct warp *w, const struct instr *i, uint32_t mask)
{
    unsigned code = i->count - 1u, width = i->width[0], step = i->width[1];
    char to = kinds[code / KINDS].class, from = kinds[code % KINDS].class;
    unsigned to_size = kinds[code / KINDS].size, from_size = kinds[code % KINDS].size;
    uint8_t *d = result(w, i->op[0]);
    uint8_t
        values[LANES * 8]; /* a register that is read may be the one that is written, and wider */
    memcpy(values, source(w, i->op[1]), (size_t)LANES * step);
    for (unsigned l = 0; l < LANES; l++) {
        if (!(mask >> l & 1))
            continue;
        const uint8_t *a = values + l * step;
        uint64_t n = is_integer(from) ? load_integer(a, from, from_size) : 0;
        double x = is_integer(from) ? 0 : load_float(a, from, from_size, i->flags & FTZ);
        if (!is_integer(to) && is_integer(from)) {
            store_integer_as_float(d + l * width, width, n, from, to, to_size, i);
        } else if (!is_integer(to)) {
            store_float(d + l * width, width, i->combine ? to_integral(x, i->sub) : x, to, to_size,
                        i);
        } else {
            if (!is_integer(from))
                n = integer_from(x, from_size, to, to_size, i->sub);
            else if (i->flags & SAT)
                n = saturate_integer(n, from, to, to_size);
            store_integer(d + l * width, width, n, to, to_size);
        }
    }
    return true;
}

static uint16_t small_from(float x, bool bfloat, const struct instr *i)
{
    if (i->flags & RELU && !(x > 0) && !isnan(x))
        x = 0;
    return bfloat ? bfloat_from((double)x, i->sub) : half_from((double)x, i->sub);
}

bool convert_pack_run(struct warp *w, const struct instr *i, uint32_t mask)
{
    uint32_t *d = result(w, i->op[0]);
    const float *high = source(w, i->op[1]), *low = source(w, i->op[2]);
    for (unsigned l = 0; l < LANES; l++)
        if (mask >> l & 1)
            d[l] = (uint32_t)small_from(high[l], i->size, i) << 16 | small_from(low[l], i->size, i);
    return true;
}
