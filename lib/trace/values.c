/* SPDX-License-Identifier: MIT */
/* What is done to activations element by element: norms, activations, sums, softmax. */
#include "config.h"

#include "trace/values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int tu_values_make(struct tu_values *v, bool wide, uint64_t count, struct tu_error *error)
{
    size_t size = wide ? sizeof(double) : sizeof(float);
    void *room = count <= SIZE_MAX / size ? calloc(count ? (size_t)count : 1, size) : NULL;
    *v = (struct tu_values){.count = count};
    if (!room)
        return tu_fail_memory(error);
    if (wide)
        v->wide = room;
    else
        v->narrow = room;
    return 0;
}

void tu_values_free(struct tu_values *v)
{
    free(v->narrow);
    free(v->wide);
    *v = (struct tu_values){0};
}

void tu_values_copy(struct tu_values *to, const struct tu_values *from)
{
    memcpy(to->wide ? (void *)to->wide : (void *)to->narrow, tu_values_bytes(from),
           (size_t)from->count * tu_values_size(from));
}

void tu_values_rms_norm(const struct tu_values *x, uint64_t width, const double *weight, double eps,
                        struct tu_values *out)
{
    for (uint64_t row = 0; row < x->count; row += width) {
        double sum = 0;
        for (uint64_t i = 0; i < width; i++)
            sum += tu_values_at(x, row + i) * tu_values_at(x, row + i);
        double root = sqrt(sum / (double)width + eps);
        for (uint64_t i = 0; i < width; i++)
            tu_values_set(out, row + i, tu_values_at(x, row + i) / root * weight[i]);
    }
}

void tu_values_add(const struct tu_values *a, const struct tu_values *b, struct tu_values *out)
{
    for (uint64_t i = 0; i < a->count; i++)
        tu_values_set(out, i, tu_values_at(a, i) + tu_values_at(b, i));
}

void tu_values_multiply(const struct tu_values *a, const struct tu_values *b, struct tu_values *out)
{
    for (uint64_t i = 0; i < a->count; i++)
        tu_values_set(out, i, tu_values_at(a, i) * tu_values_at(b, i));
}

void tu_values_add_row(struct tu_values *x, uint64_t width, const double *row)
{
    for (uint64_t first = 0; first < x->count; first += width)
        for (uint64_t i = 0; i < width; i++)
            tu_values_set(x, first + i, tu_values_at(x, first + i) + row[i]);
}

void tu_values_scale(struct tu_values *x, double factor)
{
    for (uint64_t i = 0; i < x->count && factor != 1; i++)
        tu_values_set(x, i, tu_values_at(x, i) * factor);
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static double gelu(double x)
{
    static const double root_2_over_pi = 0.79788456080286535588;
    return 0.5 * x * (1 + tanh(root_2_over_pi * (x + 0.044715 * x * x * x)));
}

void tu_values_activate(const struct tu_values *x, bool is_gelu, struct tu_values *out)
{
    for (uint64_t i = 0; i < x->count; i++)
        tu_values_set(out, i, is_gelu ? gelu(tu_values_at(x, i)) : silu(tu_values_at(x, i)));
}

void tu_values_sigmoid(struct tu_values *x)
{
    for (uint64_t i = 0; i < x->count; i++)
        tu_values_set(x, i, 1 / (1 + exp(-tu_values_at(x, i))));
}

void tu_values_cap(const struct tu_values *x, double cap, struct tu_values *out)
{
    for (uint64_t i = 0; i < x->count; i++)
        tu_values_set(out, i, cap * tanh(tu_values_at(x, i) / cap));
}

void tu_values_softmax(const struct tu_values *x, uint64_t width, struct tu_values *out)
{
    for (uint64_t row = 0; row < x->count; row += width) {
        double most = -INFINITY, sum = 0;
        for (uint64_t i = 0; i < width; i++)
            most = tu_values_at(x, row + i) > most ? tu_values_at(x, row + i) : most;
        for (uint64_t i = 0; i < width; i++)
            sum += exp(tu_values_at(x, row + i) - most);
        for (uint64_t i = 0; i < width; i++)
            tu_values_set(out, row + i, exp(tu_values_at(x, row + i) - most) / sum);
    }
}

static bool is_taken(const int32_t *places, uint64_t count, uint64_t place)
{
    for (uint64_t i = 0; i < count; i++)
        if (places[i] == (int32_t)place)
            return true;
    return false;
}

void tu_values_top(const struct tu_values *x, uint64_t first, uint64_t n, uint64_t used,
                   int32_t *places)
{
    for (uint64_t k = 0; k < used; k++) {
        uint64_t best = n;
        for (uint64_t i = 0; i < n; i++) {
            double value = tu_values_at(x, first + i);
            bool better = best == n || value > tu_values_at(x, first + best) ||
                          (isnan(tu_values_at(x, first + best)) && !isnan(value));
            if (better && !is_taken(places, k, i))
                best = i;
        }
        places[k] = (int32_t)best;
    }
}

uint64_t tu_values_first_bad(const struct tu_values *v)
{
    uint64_t i = 0;
    while (i < v->count && isfinite(tu_values_at(v, i)))
        i++;
    return i;
}
