/* SPDX-License-Identifier: MIT */
/* Takes some elements of a tensor, spread over it, and measures how like those of another they are.
 */
#include "config.h"

#include "compare/oracle/sample.h"

#include <math.h>
#include <string.h>

/* A glance is the beginning of every second run. */
enum { RUN = 128, RUNS = TU_SAMPLE_MAX / RUN, GLANCE = 32, GLANCES = RUNS / 2 };

/* Where a run starts.  Rows often are a power of two long, and what is done to them has periods,
 * too: the steps between runs are uneven. */
static uint64_t run_start(uint64_t elements, uint64_t run)
{
    uint64_t stretch = elements / RUNS, room = stretch - RUN;
    return run * stretch + (run * 0x9E3779B97F4A7C15 >> 11) % (room + 1);
}

int tu_sample_take(const struct tu_view *v, const struct tu_kernels *kernels, struct tu_sample *out,
                   struct tu_error *error)
{
    uint64_t elements = v->tensor.elements;
    if (elements < TU_SAMPLE_MAX) {
        out->count = (size_t)elements;
        return tu_view_values(v, kernels, 0, out->count, out->values, error);
    }
    out->count = TU_SAMPLE_MAX;
    for (uint64_t i = 0; i < RUNS; i++)
        if (tu_view_values(v, kernels, run_start(elements, i), RUN, out->values + i * RUN, error) <
            0)
            return -1;
    return 0;
}

int tu_sample_glance(const struct tu_view *v, const struct tu_kernels *kernels,
                     struct tu_sample *out, struct tu_error *error)
{
    uint64_t elements = v->tensor.elements;
    if (elements < TU_SAMPLE_MAX)
        return tu_sample_take(v, kernels, out, error);
    out->count = GLANCES * GLANCE;
    for (uint64_t i = 0; i < GLANCES; i++)
        if (tu_view_values(v, kernels, run_start(elements, 2 * i), GLANCE, out->values + i * GLANCE,
                           error) < 0)
            return -1;
    return 0;
}

void tu_sample_thin(const struct tu_sample *s, struct tu_sample *out)
{
    if (s->count < TU_SAMPLE_MAX) {
        *out = *s;
        return;
    }
    out->count = GLANCES * GLANCE;
    for (size_t i = 0; i < GLANCES; i++)
        memcpy(out->values + i * GLANCE, s->values + 2 * i * RUN, sizeof(float[GLANCE]));
}

void tu_likeness_add(struct tu_likeness *l, const float *a, const float *b, size_t count)
{
    l->count += count;
    for (size_t i = 0; i < count; i++) {
        double x = (double)a[i], y = (double)b[i];
        if (!isfinite(x) || !isfinite(y))
            continue;
        l->finite++;
        l->a += x;
        l->b += y;
        l->aa += x * x;
        l->bb += y * y;
        l->ab += x * y;
        l->dd += (x - y) * (x - y);
    }
}

struct tu_likeness tu_likeness(const float *a, const float *b, size_t count)
{
    struct tu_likeness l = {0};
    tu_likeness_add(&l, a, b, count);
    return l;
}

double tu_likeness_cosine(const struct tu_likeness *l)
{
    return l->aa > 0 && l->bb > 0 ? l->ab / sqrt(l->aa * l->bb) : 0;
}

/* What is left of the variance of a, given the sum of what is left of its squares. */
static double left(const struct tu_likeness *l, double squares)
{
    double n = (double)l->finite, variance = l->aa - l->a * l->a / n;
    /* Beyond this it is rounding. */
    bool varies = l->finite && variance > 1e-9 * l->aa;
    double share = varies && squares < variance ? fmax(squares, 0) / variance : 1;
    return 1 - (1 - share) * (n / (double)l->count);
}

double tu_likeness_unexplained(const struct tu_likeness *l)
{
    return l->count ? left(l, l->dd) : 1;
}

double tu_likeness_unscaled(const struct tu_likeness *l)
{
    return l->count && l->bb > 0 ? left(l, l->aa - l->ab / l->bb * l->ab) : 1;
}

int tu_sample_rows(const struct tu_view *v, const struct tu_kernels *kernels, uint64_t columns,
                   size_t count, float *out, struct tu_error *error)
{
    uint64_t stretch = v->tensor.elements / columns / count;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t row = i * stretch + (i * 0x9E3779B97F4A7C15 >> 11) % stretch;
        if (tu_view_values(v, kernels, row * columns, columns, out + i * columns, error) < 0)
            return -1;
    }
    return 0;
}

/* Whether the first elements of two shares differ by more than all may: most of a variance.  What
 * is not finite is for the closer look. */
static bool is_other(const float *a, const float *b, size_t count, double squares)
{
    enum { FIRST = 16 };
    double dd = 0;
    for (size_t i = 0; i < count && i < FIRST; i++)
        dd += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return isfinite(dd) && dd > squares;
}

/* The share of b, of those that are free, which is that of a: its number, or count. */
static size_t match_share(const float *a, const float *b, size_t count, size_t each,
                          const bool *taken, double most)
{
    size_t found = count;
    const struct tu_likeness own = tu_likeness(a, a, each);
    bool finite = own.finite == each;
    double variance = own.aa - own.a * own.a / (double)each;
    for (size_t i = 0; i < count; i++) {
        if (taken[i] || (finite && is_other(a, b + i * each, each, most * variance)))
            continue;
        struct tu_likeness l = tu_likeness(a, b + i * each, each);
        double unexplained = tu_likeness_unexplained(&l);
        if (unexplained < most) {
            most = unexplained;
            found = i;
        }
    }
    return found;
}

/* Finds which share of b each of a is: whether all were found, and in another order. */
bool tu_match_shares(const float *a, const float *b, size_t count, size_t each, double level,
                     uint64_t *order)
{
    bool taken[TU_SHARES_MOST] = {false}, moved = false;
    for (size_t i = 0; i < count; i++) {
        order[i] = match_share(a + i * each, b, count, each, taken, 1 - level * level);
        if (order[i] == count)
            return false;
        taken[order[i]] = true;
        moved |= order[i] != i;
    }
    return moved;
}
