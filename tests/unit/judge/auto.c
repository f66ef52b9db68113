/* SPDX-License-Identifier: MIT */
/*
 * The profile auto, said a second time: what it allows for each element type.  Every limit is tried
 * just inside and just outside, and what has none at both ends.  Who changes a limit changes it
 * here, too, and on purpose.
 */
#include "config.h"

#include <math.h>

#include "judge/court.h"
#include "tensor/dtype.h"

#include "../tap.h"

#define NONE NAN

static const struct {
    const char *field;
    bool at_least;
} sides[] = {{"cosine_similarity", true},
             {"norm_ratio", true},
             {"norm_ratio", false},
             {"step_noise", false},
             {"worst_row_noise_ratio", false},
             {"worst_row_step_noise", false},
             {"worst_column_step_noise", false},
             {"worst_column_step_cosine", true},
             {"worst_column_step_gain", false},
             {"worst_row_far", false},
             {"worst_row_beyond_step", false},
             {"most_steps", false},
             {"scale_bias", true},
             {"scale_bias", false},
             {"worst_row_gain", true},
             {"worst_row_gain", false},
             {"worst_row_cosine", true},
             {"max_diff", false}};
enum { SIDES = sizeof sides / sizeof *sides };

/* clang-format off */
static const struct {
    const char *type;
    double limits[SIDES]; /* in the order of sides */
} types[] = {
    {"F64", {0.999999999999, 0.999999, 1.000001, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, 0.9999, 1.0001, 0.999999999, NONE}},
    {"F32", {0.9999999999, 0.999999, 1.000001, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, 0.9999, 1.0001, 0.999999999, NONE}},
    {"F16", {0.9999999, 0.999, 1.001, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, 0.998, 1.002, 0.9999997, NONE}},
    {"BF16", {0.99999, 0.996, 1.004, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, 0.99, 1.01, 0.99997, NONE}},
    {"F8_E4M3", {0.998, 0.97, 1.03, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.98, NONE}},
    {"F8_E5M2", {0.993, 0.97, 1.03, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.98, NONE}},
    {"F8_E8M0", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"F6_E2M3", {0.993, 0.97, 1.03, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.98, NONE}},
    {"F6_E3M2", {0.991, 0.97, 1.03, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.98, NONE}},
    {"F4", {0.97, 0.94, 1.06, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.91, NONE}},
    {"I64", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"I32", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"I16", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"I8", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"U64", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"U32", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"U16", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"U8", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"BOOL", {NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0}},
    {"Q4_0", {0.978, 0.95, 1.05, 1.8, 4, 5, 8, 0.4, 1.35, 15, NONE, 128, -3, 0.25, 0.89, 1.11, 0.93, NONE}},
    {"Q4_1", {0.978, 0.95, 1.05, 1.7, NONE, 3.5, 6, 0.4, 1.7, 15, NONE, 128, -3, 2.5, 0.89, 1.11, 0.93, NONE}},
    {"Q5_0", {0.993, 0.97, 1.03, 1.8, 4, 5, 8, 0.4, 1.35, 15, NONE, 128, -3, 0.25, 0.93, 1.07, 0.98, NONE}},
    {"Q5_1", {0.993, 0.97, 1.03, 1.7, NONE, 3.5, 6, 0.4, 1.7, 15, NONE, 128, -3, 1.5, 0.93, 1.07, 0.98, NONE}},
    {"Q8_0", {0.999, 0.996, 1.004, 1.2, 8, 2.5, 2.2, 0.4, 1.35, 15, 16, 1.4, -3, 0.25, 0.97, 1.03, 0.997, NONE}},
    {"Q8_1", {0.999, 0.996, 1.004, 1.2, 8, 2.5, 2.2, 0.4, 1.35, 15, 16, 1.4, -3, 0.25, 0.97, 1.03, 0.997, NONE}},
    {"Q2_K", {0.87, 0.90, 1.15, 1.8, 2.5, 5, 8, 0.3, 1.35, 15, NONE, 128, -3, 0.25, 0.89, 1.11, 0.61, NONE}},
    {"Q3_K", {0.95, 0.94, 1.06, 1.8, 2.5, 3.5, 7, 0.4, 1.35, 15, NONE, 128, -3, 0.25, 0.89, 1.11, 0.85, NONE}},
    {"Q4_K", {0.987, 0.97, 1.03, 1.25, 2.5, 2.5, 5, 0.4, 1.35, 15, NONE, 128, -3, 0.25, 0.93, 1.07, 0.96, NONE}},
    {"Q5_K", {0.9955, 0.97, 1.03, 1.25, 2.5, 2.5, 5, 0.4, 1.35, 15, NONE, 128, -3, 0.25, 0.97, 1.03, 0.98, NONE}},
    {"Q6_K", {0.9985, 0.996, 1.004, 1.35, 2.5, 2.5, 6, 0.4, 1.35, 15, NONE, 128, -3, 0.25, 0.97, 1.03, 0.9955, NONE}},
    {"Q8_K", {0.999, 0.996, 1.004, 1.2, 8, 2.5, 2.2, 0.4, 1.35, 15, 16, 1.4, -3, 0.25, 0.97, 1.03, 0.997, NONE}},
    {"IQ2_XXS", {0.82, 0.90, 1.15, 3, 8, 7, 20, NONE, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.46, NONE}},
    {"IQ2_XS", {0.82, 0.90, 1.15, 3, 8, 7, 20, NONE, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.46, NONE}},
    {"IQ3_XXS", {0.92, 0.90, 1.15, 3, 8, 7, 20, NONE, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.76, NONE}},
    {"IQ1_S", {0.70, 0.80, 1.28, 3, 8, 7, 20, NONE, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.10, NONE}},
    {"IQ4_NL", {0.985, 0.95, 1.05, 1.25, 2.5, 3.5, 5, 0.4, 1.35, 15, NONE, 128, -3, 0.25, 0.89, 1.11, 0.96, NONE}},
    {"IQ3_S", {0.92, 0.90, 1.15, 3, 8, 7, 20, NONE, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.76, NONE}},
    {"IQ2_S", {0.82, 0.90, 1.15, 3, 8, 7, 20, NONE, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.46, NONE}},
    {"IQ4_XS", {0.985, 0.97, 1.03, 1.25, 2.5, 2.5, 5, 0.4, 1.35, 15, NONE, 128, -3, 0.25, 0.93, 1.07, 0.96, NONE}},
    {"IQ1_M", {0.70, 0.80, 1.28, 3, 8, 7, 20, NONE, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.10, NONE}},
    {"TQ1_0", {0.99, 0.94, 1.06, 0.5, NONE, 3, 3, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.97, NONE}},
    {"TQ2_0", {0.99, 0.94, 1.06, 0.5, NONE, 3, 3, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.97, NONE}},
    {"MXFP4", {0.97, 0.75, 1.08, 1.35, 8, 2.5, 3.5, 0.4, 1.35, 15, 16, 2, NONE, 0.5, NONE, NONE, 0.91, NONE}},
    {"NVFP4", {0.97, 0.94, 1.06, 1.25, 8, 2.5, 2.2, 0.4, 1.35, 15, 16, 2, NONE, 1.5, NONE, NONE, 0.91, NONE}},
    {"Q1_0", {0.99, 0.94, 1.06, 0.5, NONE, 3, 3, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.97, NONE}},
    {"Q2_0", {0.99, 0.94, 1.06, 0.5, NONE, 3, 3, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.97, NONE}},
    {"APR_Q4", {0.975, 0.95, 1.05, 1.25, 4, 2.5, 3, 0.4, 1.35, 15, NONE, 2, -3, 3.5, 0.89, 1.11, 0.93, NONE}},
    {"APR_Q8", {0.99, 0.97, 1.03, 1.2, NONE, 2.5, 2.2, 0.4, 1.35, 15, 16, 2, NONE, NONE, NONE, NONE, 0.96, NONE}},
    {"F8_E4M3FNUZ", {0.998, 0.97, 1.03, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.98, NONE}},
    {"F8_E5M2FNUZ", {0.993, 0.97, 1.03, NONE, NONE, NONE, NONE, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.98, NONE}},
    {"INT1", {0.5, 0.6, 1.5, 3, 8, 7, 20, 0.4, 1.35, 15, NONE, 128, -3, 1, NONE, NONE, 0.1, NONE}},
    {"INT2", {0.8, 0.8, 1.2, 3, 8, 7, 20, 0.4, 1.35, 15, NONE, 128, -3, 1, 0.7, 1.3, 0.46, NONE}},
    {"INT3", {0.92, 0.9, 1.1, 3, 8, 7, 20, 0.4, 1.35, 15, NONE, 128, -3, 1, 0.8, 1.2, 0.76, NONE}},
    {"INT4", {0.97, 0.95, 1.05, 3, 8, 7, 20, 0.4, 1.35, 15, NONE, 128, -3, 1, 0.85, 1.15, 0.87, NONE}},
    {"INT5", {0.993, 0.97, 1.03, 3, 8, 7, 20, 0.4, 1.35, 15, NONE, 128, -3, 1, 0.93, 1.07, 0.98, NONE}},
    {"INT6", {0.9955, 0.99, 1.01, 3, 8, 7, 20, 0.4, 1.35, 15, NONE, 128, -3, 1, 0.97, 1.03, 0.98, NONE}},
    {"INT7", {0.9985, 0.996, 1.004, 3, 8, 7, 20, 0.4, 1.35, 15, NONE, 128, -3, 1, 0.97, 1.03, 0.9955, NONE}},
    {"INT8", {0.999, 0.996, 1.004, 3, 8, 7, 20, 0.4, 1.35, 15, NONE, 128, -3, 1, 0.97, 1.03, 0.997, NONE}},
    {"NF4", {0.985, 0.95, 1.05, 1.25, 4, 3.5, 5, 0.4, 1.35, 15, 16, 2, -3, 0.5, 0.85, 1.15, 0.93, NONE}},
    {"FP4", {0.97, 0.75, 1.08, 1.35, 8, 3.5, 3.5, 0.4, 1.35, 15, 16, 2, NONE, 1.5, NONE, NONE, 0.91, NONE}},
    {"FP6", {0.991, 0.97, 1.03, 3, 8, 7, 20, 0.4, 1.35, 15, NONE, 16, NONE, 1, 0.93, 1.07, 0.98, NONE}},
    {"FP8", {0.993, 0.95, 1.05, 3, 40, 7, 20, 0.4, 1.35, 15, NONE, 16, NONE, 1, 0.93, 1.07, 0.98, NONE}},
    {"TERNARY", {0.99, 0.94, 1.06, 0.5, NONE, 3, 3, 0.4, 1.35, 15, NONE, NONE, NONE, NONE, NONE, NONE, 0.97, NONE}},
};
/* clang-format on */

static struct tensor_value word(const char *text)
{
    return (struct tensor_value){.type = TENSOR_STRING, .string = {text, strlen(text)}};
}

static struct tensor_value real(double x)
{
    return (struct tensor_value){.type = TENSOR_FLOAT64, .real = x};
}

static struct tensor_value natural(uint64_t n)
{
    return (struct tensor_value){.type = TENSOR_UINT64, .uint = n};
}

static bool is_count(const char *field)
{
    static const char *const counts[] = {"nan_a", "nan_b", "worst_row_far", "worst_row_beyond_step",
                                         "differing"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (strcmp(counts[i], field) == 0)
            return true;
    return false;
}

static struct tensor_value value_of(const char *field, double value)
{
    return is_count(field) ? natural((uint64_t)value) : real(value);
}

/* A court of one record: a pair of types that is equal but for one field, whose value is given. */
static bool passes(const char *a, const char *b, const char *field, double value)
{
    struct tensor_pair pairs[] = {
        {word("kind"), word("compare")},
        {word("name"), word("w")},
        {word("status"), word("ok")},
        {word("dtype_a"), word(a)},
        {word("dtype_b"), word(b)},
        {word("cosine_similarity"), real(1)},
        {word("norm_ratio"), real(1)},
        {word("max_diff"), real(0)},
        {word("nan_a"), natural(0)},
        {word("nan_b"), natural(0)},
        {word(field), value_of(field, value)},
    };
    size_t count = sizeof pairs / sizeof *pairs;
    for (size_t i = 0; i + 1 < count; i++)
        if (strcmp(pairs[i].key.string.bytes, field) == 0) {
            pairs[i].value = value_of(field, value);
            count--;
        }
    struct tensor_value record = {.type = TENSOR_MAP, .map = {pairs, count}};
    struct tu_court court = {0};
    struct tu_error error = {0};
    bool good = tu_rules_profile(&court.rules, "auto", false, &error) == 0 &&
                tu_court_open(&court, &error) == 0 && tu_judge(&court, &record, &error) == 0;
    /* a number that is none is refused */
    if (!good && isnan(value)) {
        tu_court_free(&court);
        return false;
    }
    if (!good)
        tap_fail(__FILE__, __LINE__, "%s", error.text);
    enum tu_ruling ruling = good ? tu_court_ruling(&court) : TU_NOTHING_JUDGED;
    /* one field is wrong, and the reason names that and no other rule; NaN breaks both of a band */
    if (ruling == TU_FAIL && (!strstr(court.items[0].reason, field) ||
                              (!isnan(value) && strchr(court.items[0].reason, ','))))
        tap_fail(__FILE__, __LINE__, "%s of %s: '%s'", field, b, court.items[0].reason);
    else if (ruling != TU_FAIL && ruling != TU_PASS)
        tap_fail(__FILE__, __LINE__, "%s of %s: %s", field, b, tu_court_words(&court));
    tu_court_free(&court);
    return ruling == TU_PASS;
}

TEST(every_limit_of_every_type)
{
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t s = 0; s < SIDES; s++) {
            const char *type = types[t].type, *field = sides[s].field;
            double limit = types[t].limits[s], far = sides[s].at_least ? -INFINITY : INFINITY;
            if (isnan(limit)) {
                if (!passes(type, type, field, sides[s].at_least ? -1e9 : 1e9))
                    tap_fail(__FILE__, __LINE__, "%s: there is a limit of %s", type, field);
                continue;
            }
            if (!passes(type, type, field, limit))
                tap_fail(__FILE__, __LINE__, "%s: %s = %.17g fails", type, field, limit);
            double beyond = is_count(field) ? limit + 1 : nextafter(limit, far);
            if (passes(type, type, field, beyond) ||
                (!is_count(field) && passes(type, type, field, NAN)))
                tap_fail(__FILE__, __LINE__, "%s: %s beyond %.17g, or NaN, passes", type, field,
                         limit);
        }
}

/* F32 is coarser than integers and F64 are, and no other type. */
TEST(the_coarser_type_sets_the_limit)
{
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const char *type = types[t].type;
        double limit = types[t].limits[0], single = types[1].limits[0];
        bool exact = !strcmp(type, "F64") || (isnan(limit) && strcmp(type, "F8_E8M0"));
        CHECK_STRING(types[1].type, "F32");
        double floor = exact ? single : isnan(limit) ? -1e9 : limit;
        CHECK(passes(type, "F32", "cosine_similarity", floor) &&
              passes("F32", type, "cosine_similarity", floor));
        if (floor > 0)
            CHECK(!passes(type, "F32", "cosine_similarity", nextafter(floor, 0)) &&
                  !passes("F32", type, "cosine_similarity", nextafter(floor, 0)));
    }
}

TEST(every_type_that_can_be_compared_has_limits)
{
    size_t count, known = 0;
    const struct tu_dtype *table = tu_dtype_table(&count);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            if (strcmp(types[t].type, table[i].name) == 0)
                found = !isnan(types[t].limits[0]) || !isnan(types[t].limits[SIDES - 1]);
        if (!found && table[i].kind != TENSOR_KIND_COMPLEX)
            tap_fail(__FILE__, __LINE__, "%s has neither a floor of the cosine nor has to be equal",
                     table[i].name);
        known += found;
    }
    CHECK_UINT(known, sizeof types / sizeof *types);
}

TEST(what_no_type_may_have)
{
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const char *type = types[t].type;
        CHECK(passes(type, type, "nan_a", 0) && !passes(type, type, "nan_a", 1));
        CHECK(passes(type, type, "nan_b", 0) && !passes(type, type, "nan_b", 1));
        CHECK(passes(type, type, "differing", 0) && !passes(type, type, "differing", 1));
        CHECK(passes(type, type, "right", 1) && !passes(type, type, "right", 0));
    }
}

/* Weights that are neither equal nor what rounding makes of each other. */
TEST(how_weights_are_related)
{
    static const char *const words[] = {"identical", "widened", "rounded", "requantized",
                                        "changed"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct tensor_pair pairs[] = {
            {word("kind"), word("compare")},   {word("name"), word("w")},
            {word("status"), word("ok")},      {word("dtype_a"), word("BF16")},
            {word("dtype_b"), word("BF16")},   {word("cosine_similarity"), real(1)},
            {word("norm_ratio"), real(1)},     {word("max_diff"), real(0)},
            {word("relation"), word(words[i])}};
        struct tensor_value record = {.type = TENSOR_MAP,
                                      .map = {pairs, sizeof pairs / sizeof *pairs}};
        struct tu_court court = {0};
        struct tu_error error = {0};
        char counts[128];
        CHECK(tu_rules_profile(&court.rules, "auto", false, &error) == 0 &&
              tu_court_open(&court, &error) == 0 && tu_judge(&court, &record, &error) == 0);
        CHECK((tu_court_ruling(&court) == TU_PASS) == (strcmp(words[i], "changed") != 0));
        CHECK(tu_court_relations(&court, counts, sizeof counts));
        CHECK_UINT(court.relations[i], 1);
        tu_court_free(&court);
    }
}

/* Two tensors of zeros are equal, and one is not equal to anything else. */
TEST(what_is_undefined)
{
    static const struct {
        double max_diff;
        enum tu_ruling ruling;
        const char *status, *types[2];
    } cases[] = {{0, TU_PASS, "undefined", {"F32", "F32"}},
                 {5e-324, TU_FAIL, "undefined", {"F32", "F32"}},
                 {0, TU_FAIL, "only_a", {"F32", "F32"}},
                 {0, TU_FAIL, "not_real", {"F32", "F32"}},
                 {0, TU_FAIL, "not_real", {"C64", "F32"}},
                 {0, TU_PASS, "not_real", {"C64", "C64"}},
                 {5e-324, TU_FAIL, "not_real", {"C64", "C64"}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tensor_pair pairs[] = {
            {word("kind"), word("compare")},
            {word("name"), word("w")},
            {word("status"), word(cases[i].status)},
            {word("dtype_a"), word(cases[i].types[0])},
            {word("dtype_b"), word(cases[i].types[1])},
            {word("cosine_similarity"), real(NAN)},
            {word("norm_ratio"), real(NAN)},
            {word("max_diff"), real(cases[i].max_diff)},
            {word("element_count"), natural(2)},
            {word("identical_count"), natural(2 - (cases[i].max_diff > 0))},
            {word("nan_a"), natural(0)},
            {word("nan_b"), natural(0)}};
        struct tensor_value record = {.type = TENSOR_MAP,
                                      .map = {pairs, sizeof pairs / sizeof *pairs}};
        struct tu_court court = {0};
        struct tu_error error = {0};
        CHECK(tu_rules_profile(&court.rules, "auto", false, &error) == 0 &&
              tu_court_open(&court, &error) == 0 && tu_judge(&court, &record, &error) == 0);
        if (tu_court_ruling(&court) != cases[i].ruling)
            tap_fail(__FILE__, __LINE__, "%s with max_diff %g: %s", cases[i].status,
                     cases[i].max_diff, tu_court_words(&court));
        tu_court_free(&court);
    }
}
