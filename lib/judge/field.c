/* SPDX-License-Identifier: MIT */
/* Makes the fields that follow from others when a rule asks for them, so that no stream has to
 * carry them. */
#include "config.h"

#include "judge/field.h"

#include <math.h>
#include <string.h>

/* Most exact first.  Integers come before all others, since no rounding is to be forgiven among
 * them; quantized types stand in the order of the error that ggml's quantizers make. */
static const uint32_t by_coarseness[] = {
    TENSOR_BOOL,    TENSOR_U8,      TENSOR_I8,          TENSOR_U16,
    TENSOR_I16,     TENSOR_U32,     TENSOR_I32,         TENSOR_U64,
    TENSOR_I64,     TENSOR_F64,     TENSOR_C64,         TENSOR_F32,
    TENSOR_F16,     TENSOR_BF16,    TENSOR_Q8_K,        TENSOR_Q8_1,
    TENSOR_Q8_0,    TENSOR_APR_Q8,  TENSOR_Q6_K,        TU_INT8,
    TU_INT7,        TENSOR_F8_E4M3, TENSOR_F8_E4M3FNUZ, TU_FP8,
    TU_INT6,        TENSOR_Q5_K,    TENSOR_Q5_1,        TENSOR_Q5_0,
    TENSOR_F6_E2M3, TENSOR_F8_E5M2, TENSOR_F8_E5M2FNUZ, TU_FP6,
    TU_INT5,        TENSOR_F6_E3M2, TENSOR_Q4_K,        TENSOR_IQ4_XS,
    TENSOR_IQ4_NL,  TENSOR_Q4_1,    TENSOR_Q4_0,        TENSOR_APR_Q4,
    TENSOR_NVFP4,   TENSOR_MXFP4,   TENSOR_F4,          TU_NF4,
    TU_INT4,        TU_FP4,         TENSOR_Q3_K,        TU_INT3,
    TENSOR_IQ3_S,   TENSOR_IQ3_XXS, TENSOR_Q2_K,        TU_INT2,
    TENSOR_IQ2_S,   TENSOR_IQ2_XS,  TENSOR_IQ2_XXS,     TENSOR_Q2_0,
    TENSOR_IQ1_M,   TENSOR_IQ1_S,   TENSOR_TQ2_0,       TENSOR_TQ1_0,
    TENSOR_Q1_0,    TU_INT1,        TU_TERNARY,         TENSOR_F8_E8M0,
};
enum { TYPES = sizeof by_coarseness / sizeof *by_coarseness };

unsigned tu_coarseness(const struct tu_dtype *dtype)
{
    unsigned i = 0;
    while (i < TYPES && by_coarseness[i] != dtype->code)
        i++;
    return i;
}

static const struct tensor_value *real(struct tensor_value *room, double value)
{
    *room = (struct tensor_value){.type = TENSOR_FLOAT64, .real = value};
    return room;
}

/* A zero below makes NaN, which keeps no rule, and never an infinity, which could. */
static const struct tensor_value *quotient(const struct tensor_value *record, const char *above,
                                           const char *below, struct tensor_value *room)
{
    double x, y;
    if (!tu_value_number(tu_value_get(record, above), &x) ||
        !tu_value_number(tu_value_get(record, below), &y))
        return NULL;
    return real(room, y == 0 ? NAN : x / y);
}

/* How far the length of B is from that of A, as a share of it. */
static const struct tensor_value *change(const struct tensor_value *record,
                                         struct tensor_value *room)
{
    double ratio;
    return tu_value_number(tu_field(record, "norm_ratio", room), &ratio)
               ? real(room, fabs(ratio - 1))
               : NULL;
}

static const struct tensor_value *remainder_of(const struct tensor_value *record,
                                               struct tensor_value *room)
{
    uint64_t elements, identical;
    if (!tu_value_uint(tu_value_get(record, "element_count"), &elements) ||
        !tu_value_uint(tu_value_get(record, "identical_count"), &identical) || identical > elements)
        return NULL;
    *room = (struct tensor_value){.type = TENSOR_UINT64, .uint = elements - identical};
    return room;
}

static const struct tensor_value *rounded(const struct tensor_value *record, const char *field,
                                          struct tensor_value *room)
{
    double x;
    return tu_value_number(tu_value_get(record, field), &x) ? real(room, (double)(float)x) : NULL;
}

static const struct tu_dtype *type_of(const struct tensor_value *record, const char *field)
{
    const char *text;
    size_t length;
    return tu_value_string(tu_value_get(record, field), &text, &length)
               ? tu_dtype_by_name(text, length)
               : NULL;
}

static const struct tensor_value *of_types(const struct tensor_value *record, bool same,
                                           struct tensor_value *room)
{
    const struct tu_dtype *a = type_of(record, "dtype_a"), *b = type_of(record, "dtype_b");
    if (!a || !b)
        return NULL;
    if (same)
        return real(room, a == b);
    const char *name = tu_coarseness(a) > tu_coarseness(b) ? a->name : b->name;
    *room = (struct tensor_value){.type = TENSOR_STRING, .string = {name, strlen(name)}};
    return room;
}

/* ---- A scale that is off as a whole ---- */

static double number_or(const struct tensor_value *record, const char *field, double other)
{
    double x;
    return tu_value_number(tu_value_get(record, field), &x) ? x : other;
}

/* Whether the error is one factor, and no number is further off than rounding puts it: numbers that
 * are all alike are rounded alike, which looks like a scale.  Two sides of blocks have no numbers
 * that were not rounded before. */
static bool is_rounded_alike(const struct tensor_value *record, const struct tu_dtype *a,
                             const struct tu_dtype *b, double slope, double residual)
{
    const double little = 1.0 / 64, half = 0.55;
    bool blocks[2] = {a->kind == TENSOR_KIND_QUANT, b->kind == TENSOR_KIND_QUANT};
    return blocks[0] != blocks[1] && residual < little * (slope * slope) &&
           number_or(record, "most_steps", INFINITY) <= half;
}

/* The slope of the regression of the coarser side on the finer one, less 1, beyond what chance and
 * the rounding of scales make of it, over the mean square of the residual (relative): rounding to
 * the nearest makes 0, a fit of least squares -1, whatever the numbers are. */
static const struct tensor_value *scale_bias(const struct tensor_value *record,
                                             struct tensor_value *room)
{
    const double deviations = 5, scales = 0x1p-10, least = 0x1p-40;
    const struct tu_dtype *a = type_of(record, "dtype_a"), *b = type_of(record, "dtype_b");
    double cosine, ratio, elements;
    if (!a || !b || !tu_value_number(tu_value_get(record, "cosine_similarity"), &cosine) ||
        !tu_value_number(tu_field(record, "norm_ratio", room), &ratio) ||
        !tu_value_number(tu_value_get(record, "element_count"), &elements))
        return NULL;
    double distance = number_or(record, "cosine_distance", 1 - cosine);
    if (tu_coarseness(a) > tu_coarseness(b))
        ratio = 1 / ratio;
    double slope = (1 - distance) * ratio - 1;
    double residual = ratio * ratio * distance * (2 - distance);
    double excess = fabs(slope) - deviations * sqrt(residual / elements) - scales;
    if (excess <= 0 || is_rounded_alike(record, a, b, slope, residual))
        return real(room, 0);
    return real(room, copysign(excess, slope) / (residual > least ? residual : least));
}

/* The coarser type, but for floats of which every number was seen to be the rounding of the other.
 */
static const struct tensor_value *unproven(const struct tensor_value *record,
                                           struct tensor_value *room)
{
    static const char *const proofs[] = {"identical", "widened", "rounded"};
    const struct tu_dtype *a = type_of(record, "dtype_a"), *b = type_of(record, "dtype_b");
    const struct tensor_value *relation = tu_value_get(record, "relation");
    if (!a || !b)
        return NULL;
    for (size_t i = 0; a->kind == TENSOR_KIND_FLOAT && b->kind == TENSOR_KIND_FLOAT && i < 3; i++)
        if (relation && tu_value_equals(relation, proofs[i])) {
            *room = (struct tensor_value){.type = TENSOR_STRING, .string = {"none", 4}};
            return room;
        }
    return of_types(record, false, room);
}

const struct tensor_value *tu_field(const struct tensor_value *record, const char *name,
                                    struct tensor_value *room)
{
    const struct tensor_value *carried = tu_value_get(record, name);
    if (carried)
        return carried;
    if (strcmp(name, "norm_ratio") == 0)
        return quotient(record, "norm_b", "norm_a", room);
    if (strcmp(name, "norm_change") == 0)
        return change(record, room);
    if (strcmp(name, "differing_count") == 0)
        return remainder_of(record, room);
    if (strcmp(name, "cosine_f32") == 0)
        return rounded(record, "cosine_similarity", room);
    if (strcmp(name, "identical_share") == 0)
        return quotient(record, "identical_count", "element_count", room);
    if (strcmp(name, "scale_bias") == 0)
        return scale_bias(record, room);
    if (strcmp(name, "unproven") == 0)
        return unproven(record, room);
    if (strcmp(name, "same_type") == 0 || strcmp(name, "coarser") == 0)
        return of_types(record, *name == 's', room);
    return NULL;
}

/* ---- Pairs that are equal, and integers ---- */

bool tu_record_identical(const struct tensor_value *record)
{
    struct tensor_value room;
    uint64_t differing;
    double most;
    const struct tensor_value *value = tu_value_get(record, "max_diff");
    return tu_value_uint(remainder_of(record, &room), &differing) && differing == 0 &&
           (!value || (tu_value_number(value, &most) && most == 0));
}

/* Of equal tensors, and whether integers have no such thing. */
static const struct {
    const char *name;
    double value;
    bool geometric;
} equals[] = {
    {"cosine_similarity", 1, true},
    {"cosine_f32", 1, true},
    {"trimmed_cosine", 1, true},
    {"worst_row_cosine", 1, true},
    {"worst_column_cosine", 1, true},
    {"cosine_distance", 0, true},
    {"norm_ratio", 1, true},
    {"norm_change", 0, true},
    {"scale_bias", 0, true},
    {"worst_row_gain", 1, true},
    {"identical_share", 1, false},
    {"differing_count", 0, false},
    {"max_diff", 0, false},
    {"mean_diff", 0, false},
    {"rmse", 0, false},
    {"nmse", 0, false},
    {"sqnr_db", INFINITY, false},
    {"max_rel_diff", 0, false},
    {"worst_row_error", 0, false},
    {"worst_column_error", 0, false},
    {"noise_ratio", 0, false},
    {"worst_row_noise_ratio", 0, false},
    {"step_noise", 0, false},
    {"most_steps", 0, false},
    {"beyond_step", 0, false},
    {"worst_row_step_noise", 0, false},
    {"worst_row_beyond_step", 0, false},
    {"worst_row_far", 0, false},
    {"worst_column_step_noise", 0, false},
    {"worst_column_step_cosine", 1, false},
    {"worst_column_step_gain", 1, false},
    {"beyond_tenth_percent", 0, false},
    {"beyond_one_percent", 0, false},
    {"beyond_ten_percent", 0, false},
};
enum { EQUALS = sizeof equals / sizeof *equals };

static size_t find_equal(const char *name)
{
    size_t i = 0;
    while (i < EQUALS && strcmp(equals[i].name, name) != 0)
        i++;
    return i;
}

const struct tensor_value *tu_field_of_equals(const char *name, struct tensor_value *room)
{
    size_t i = find_equal(name);
    return i < EQUALS ? real(room, equals[i].value) : NULL;
}

bool tu_field_is_geometric(const char *name)
{
    size_t i = find_equal(name);
    return i < EQUALS && equals[i].geometric;
}

bool tu_record_of_complex(const struct tensor_value *record)
{
    const struct tu_dtype *a = type_of(record, "dtype_a"), *b = type_of(record, "dtype_b");
    return a && a == b && a->kind == TENSOR_KIND_COMPLEX;
}

bool tu_record_of_integers(const struct tensor_value *record)
{
    const struct tu_dtype *a = type_of(record, "dtype_a"), *b = type_of(record, "dtype_b");
    return a && b && (a->kind == TENSOR_KIND_INT || a->kind == TENSOR_KIND_BOOL) &&
           (b->kind == TENSOR_KIND_INT || b->kind == TENSOR_KIND_BOOL);
}
