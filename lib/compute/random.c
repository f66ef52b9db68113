/* SPDX-License-Identifier: MIT */
/* Random numbers that any one element of a sequence can be made with by itself. */
#include "config.h"

#include "compute/random.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Normal numbers are made in blocks, so that each step is a loop that the compiler vectorizes. */
enum { BLOCK = 512 };

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct tu_random tu_random_init(uint64_t seed, const char *name, size_t name_length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < name_length; i++)
        hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
    return (struct tu_random){mix(hash ^ mix(seed + UINT64_C(0x9e3779b97f4a7c15)))};
}

uint64_t tu_random_bits(const struct tu_random *random, uint64_t index)
{
    return mix(random->key + (index + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

void tu_random_uniform(const struct tu_random *random, uint64_t first, size_t count, double low,
                       double high, float *out)
{
    for (size_t i = 0; i < count; i++) {
        double u = (double)(tu_random_bits(random, first + i) >> 11) * 0x1p-53;
        out[i] = (float)(low + (high - low) * u);
    }
}

/* The natural logarithm for 0 < x < 1, to about 1e-16 relative: x = m 2^e with sqrt(1/2) <= m <
 * sqrt(2), log m = 2 atanh((m - 1) / (m + 1)) by its series.  libm's may differ between machines.
 */
static double logarithm(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
    double m;
    memcpy(&m, &bits, sizeof m);
    bool large = m > 0x1.6a09e667f3bcdp+0;
    m = large ? m * 0.5 : m;
    exponent += large;
    double t = (m - 1) / (m + 1), square = t * t, sum = 0;
    for (int k = 23; k >= 1; k -= 2)
        sum = sum * square + 1.0 / k;
    return exponent * 0x1.62e42fefa39efp-1 + 2 * t * sum;
}

/* The formulas below change where |p - 0.5| does. */
#define CENTRAL 0.425

struct rational {
    double numerator[8], denominator[8]; /* constant term first */
};

static double evaluate(const struct rational *f, double x)
{
    double p = f->numerator[7], q = f->denominator[7];
    for (int i = 6; i >= 0; i--) {
        p = p * x + f->numerator[i];
        q = q * x + f->denominator[i];
    }
    return p / q;
}

/* Coefficients of M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal
 * Distribution", Applied Statistics 37 (1988). */
static const struct rational central = {
    {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3},
    {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3}};
static const struct rational middle = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9}};
static const struct rational tail = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15}};

/* AS 241 outside |q| <= 0.425, from the natural logarithm of the nearer tail's probability. */
static double outer_quantile(double log_p)
{
    double r = sqrt(-log_p);
    return r <= 5 ? evaluate(&middle, r - 1.6) : evaluate(&tail, r - 5);
}

static double central_quantile(double q)
{
    return q * evaluate(&central, 0.180625 - q * q);
}

double tu_normal_quantile(double p)
{
    double q = p - 0.5;
    if (q >= -CENTRAL && q <= CENTRAL)
        return central_quantile(q);
    double x = outer_quantile(logarithm(q < 0 ? p : 1 - p));
    return q < 0 ? -x : x;
}

/* Replaces the quantiles x[i] that the central formula does not hold for.  q[i] = p[i] - 0.5 has
 * few enough bits that 0.5 - |q| is exactly p or 1 - p. */
static void replace_tails(const double *q, size_t n, double *x)
{
    double logs[BLOCK];
    size_t where[BLOCK], tails = 0;
    for (size_t i = 0; i < n; i++) {
        where[tails] = i; /* overwritten unless counted: a branch would be mispredicted */
        tails += fabs(q[i]) > CENTRAL;
    }
    for (size_t k = 0; k < tails; k++)
        logs[k] = 0.5 - fabs(q[where[k]]);
    for (size_t k = 0; k < tails; k++)
        logs[k] = logarithm(logs[k]);
    for (size_t k = 0; k < tails; k++)
        x[where[k]] = copysign(outer_quantile(logs[k]), q[where[k]]);
}

void tu_random_normal(const struct tu_random *random, uint64_t first, size_t count, double mean,
                      double deviation, float *out)
{
    for (size_t n; count; count -= n, first += n, out += n) {
        double q[BLOCK], x[BLOCK];
        n = count < BLOCK ? count : BLOCK;
        for (size_t i = 0; i < n; i++)
            q[i] =
                ((double)(int64_t)(tu_random_bits(random, first + i) >> 12) + 0.5) * 0x1p-52 - 0.5;
        for (size_t i = 0; i < n; i++)
            x[i] = central_quantile(q[i]);
        replace_tails(q, n, x);
        for (size_t i = 0; i < n; i++)
            out[i] = (float)(mean + deviation * x[i]);
    }
}
