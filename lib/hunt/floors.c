/* SPDX-License-Identifier: MIT */
/* Floors of operations: what was measured between independent programs, and room for others. */
#include "config.h"

#include "hunt/floors.h"

#include <math.h>
#include <string.h>

enum { ALLOWED = 4 };

/* Sums of float64 in another order, over a whole model. */
static const double wide = 1e-12;

/* What was measured, of each operation in float32. */
static const struct {
    const char *op;
    double f32;
} operations[] = {
    {"embed", 6e-8},  {"rms_norm", 6e-8},  {"product", 1.2e-7},   {"rope", 1.3e-7},
    {"score", 9e-8},  {"softmax", 1.1e-7}, {"mix", 1.2e-7},       {"add", 6e-8},
    {"mul", 1.2e-7},  {"silu", 1.2e-7},    {"gelu_tanh", 3.1e-4}, /* programs look it up in halves
                                                                   */
    {"gate", 1.2e-7}, {"softcap", 6e-8},   {"route", 1.2e-7},
};
static const double any_operation = 1.2e-7;

/* What rounding the other factor of a product to a type makes. */
static const struct {
    const char *type;
    double error;
} roundings[] = {
    {"F16", 2.4e-4}, {"BF16", 1.9e-3}, {"Q8_0", 1e-2}, {"Q8_1", 1e-2}, {"Q8_K", 1.7e-2},
};

/* Weights whose own type the activations are not rounded to, and what they are rounded to then. */
static const struct {
    const char *weight, *type;
} activations[] = {
    {"F16", "F16"},     {"BF16", "BF16"},  {"Q8_0", "Q8_0"},  {"Q5_0", "Q8_0"}, {"Q4_0", "Q8_0"},
    {"IQ4_NL", "Q8_0"}, {"MXFP4", "Q8_0"}, {"NVFP4", "Q8_0"}, {"Q5_1", "Q8_1"}, {"Q4_1", "Q8_1"},
};

static double of_operation(const char *op)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strcmp(operations[i].op, op) == 0)
            return operations[i].f32;
    return any_operation;
}

static double of_rounding(const char *type)
{
    for (size_t i = 0; i < sizeof roundings / sizeof *roundings; i++)
        if (strcmp(roundings[i].type, type) == 0)
            return roundings[i].error;
    return 0;
}

/* Of a program that may do as GGUF runtimes do: weights that are none of floats go with Q8_K where
 * nothing else is known. */
static double of_weight(const char *weight)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].weight, weight) == 0)
            return of_rounding(activations[i].type);
    const struct tu_dtype *type = tu_dtype_by_name(weight, strlen(weight));
    return type && type->kind == TENSOR_KIND_QUANT ? of_rounding("Q8_K") : 0;
}

double tu_hunt_floor(const char *op, const char *arithmetic, const char *weight_dtype)
{
    static const char fused[] = "fused:";
    double floor = of_operation(op);
    bool product = strcmp(op, "product") == 0 || strcmp(op, "gate") == 0;
    if (arithmetic && (strcmp(arithmetic, "f64") == 0 || strcmp(arithmetic, "exact") == 0))
        return wide;
    if (arithmetic && strncmp(arithmetic, fused, strlen(fused)) == 0)
        floor = fmax(floor, of_rounding(arithmetic + strlen(fused)));
    else if (product && weight_dtype && !(arithmetic && strcmp(arithmetic, "f32") == 0))
        floor = fmax(floor, of_weight(weight_dtype));
    return ALLOWED * floor;
}
