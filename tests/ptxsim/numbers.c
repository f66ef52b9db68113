/* SPDX-License-Identifier: MIT */
/* Small floats, roundings, and the instructions that are only approximate. */
#include "config.h"

#include "ptxsim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    float value = (float)mantissa * 0x1p-24f; /* subnormal */
    uint32_t bits;
    if (exponent == 31)
        bits = mantissa ? 0x7fffffff : 0x7f800000;
    else if (exponent)
        bits = (exponent + 112) << 23 | mantissa << 13;
    else
        memcpy(&bits, &value, 4);
    bits |= bits == 0x7fffffff ? 0 : sign;
    memcpy(&value, &bits, 4);
    return value;
}

float bfloat_to_float(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* Whether |x|, which lies between n and n + 1, goes to n + 1. */
static bool goes_up(double rest, bool odd, bool negative, enum rounding mode)
{
    switch (mode) {
    case NEAREST:
        return rest > 0.5 || (rest == 0.5 && odd);
    case DOWN:
        return negative && rest > 0;
    case UP:
        return !negative && rest > 0;
    default:
        return false;
    }
}

/* The bits of a float of any format, its NaN being all ones but for the sign. */
static uint32_t encode(double x, int mantissa, int exponent, enum rounding mode)
{
    int bias = (1 << (exponent - 1)) - 1, lowest = 1 - bias, e;
    uint32_t infinity = (uint32_t)(2 * bias + 1) << mantissa;
    uint32_t sign = signbit(x) ? UINT32_C(1) << (mantissa + exponent) : 0;
    if (isnan(x))
        return (UINT32_C(1) << (mantissa + exponent)) - 1;
    if (isinf(x))
        return sign | infinity;
    if (x == 0)
        return sign;
    frexp(x, &e);
    e = e - 1 < lowest ? lowest : e - 1;
    if (e > bias)
        return sign | (infinity - !(mode == NEAREST || goes_up(1, true, sign != 0, mode)));
    double scaled = ldexp(fabs(x), mantissa - e), whole = floor(scaled);
    uint32_t n = (uint32_t)whole;
    n += goes_up(scaled - whole, n & 1, sign != 0, mode);
    /* A normal number has its highest bit in n, so that the exponent is one less here; if n was
     * rounded up to the next power of two, the sum carries into the exponent. */
    return sign | (((uint32_t)(e - lowest) << mantissa) + n);
}

uint16_t half_from(double x, enum rounding mode)
{
    return (uint16_t)encode(x, 10, 5, mode);
}

uint16_t bfloat_from(double x, enum rounding mode)
{
    return (uint16_t)encode(x, 7, 8, mode);
}

float float_from(double x, enum rounding mode)
{
    uint32_t bits = encode(x, 23, 8, mode);
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

double add_to_odd(double a, double b)
{
    double sum = a + b, part = sum - a;
    double lost = (a - (sum - part)) + (b - part);
    uint64_t bits;
    memcpy(&bits, &sum, 8);
    if (!isfinite(sum) || lost == 0 || bits & 1)
        return sum;
    return nextafter(sum, lost > 0 ? INFINITY : -INFINITY);
}

/* ---- approximations ---- */

static bool worst(void)
{
    static int known; /* 0: not asked yet */
    if (!known)
        known = setting_is("PTXSIM_APPROX", "worst") ? 1 : 2;
    return known == 1;
}

/* One way or the other, as the bits of the argument have it: the same argument, the same answer. */
static double direction(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits *= 0x9e3779b1u;
    return bits >> 31 ? 1 : -1;
}

/* y with an error as large as it may be; rounding adds 2^-24. */
static float approximate(double y, float x, double relative)
{
    if (worst() && isfinite(y))
        y += direction(x) * y * (relative - 0x1p-24);
    return float_from(y, NEAREST);
}

static float approximate_absolute(double y, float x, double absolute)
{
    if (worst() && isfinite(y))
        y += direction(x) * (absolute - fabs(y) * 0x1p-24);
    return float_from(y, NEAREST);
}

/* Error bounds after the PTX manual, not compared with a device.  What it lists as exact stays so.
 */

float approx_ex2(float x)
{
    return x == 0 ? 1 : approximate(exp2((double)x), x, 0x1p-22);
}

float approx_lg2(float x)
{
    double y = log2((double)x);
    return x > 0.5f && x < 2 ? approximate_absolute(y, x, 0x1p-22) : approximate(y, x, 0x1p-22);
}

float approx_sin(float x)
{
    return x == 0 ? x : approximate_absolute(sin((double)x), x, 0x1p-20);
}

float approx_cos(float x)
{
    return x == 0 ? 1 : approximate_absolute(cos((double)x), x, 0x1p-20);
}

float approx_tanh(float x)
{
    return x == 0 ? x : approximate(tanh((double)x), x, 0x1p-11);
}

float approx_rcp(float x)
{
    return approximate(1 / (double)x, x, 0x1p-23);
}

float approx_rsqrt(float x)
{
    return approximate(1 / sqrt((double)x), x, 0x1p-22);
}

float approx_sqrt(float x)
{
    return approximate(sqrt((double)x), x, 0x1p-23);
}

float approx_div(float x, float y)
{
    return approximate((double)x / (double)y, x, 0x1p-22);
}
