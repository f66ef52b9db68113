/* SPDX-License-Identifier: MIT */
/* Edges of what a forward pass is made of: lists of tokens, rope, norms, softmax, choices. */
#include "config.h"

#include "../tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trace/arch.h"
#include "trace/rope.h"
#include "trace/tokens.h"
#include "trace/values.h"

/* ---- Tokens ---- */

static int parse(const char *text, struct tu_token_list *list)
{
    struct tu_error error = {0};
    *list = (struct tu_token_list){0};
    return tu_tokens_parse(list, text, strlen(text), "list", &error);
}

TEST(ids_stand_between_blanks_commas_brackets_and_lines)
{
    struct tu_token_list list;
    CHECK(parse(" [[1,2]\r\n3\t,,4294967295 ", &list) == 0);
    CHECK_UINT(list.count, 4);
    CHECK_UINT(list.ids[3], 4294967295);
    free(list.ids);
    /* sha256 of 01000000 02000000 03000000 */
    CHECK(parse("1,2,3", &list) == 0);
    CHECK(strcmp(list.digest, "4636993d3e1da4e9d6b8f87b79e8f7c6d018580d52661950eabc3845c5897a4d") ==
          0);
    free(list.ids);
}

TEST(what_is_no_list_of_ids_is_refused)
{
    static const char *const bad[] = {"",    "  ",  "[]",         "-1", "+1",
                                      "1.0", "1e3", "4294967296", "1x", "18446744073709551617"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tu_token_list list;
        CHECK(parse(bad[i], &list) == -1);
        free(list.ids);
    }
}

/* ---- Rope ---- */

static const struct tu_trace_rope plain = {
    .base = 100, .base_local = 16, .factor = 4, .factor_local = 1, .attn_factor = 1, .dim = 4};

TEST(frequencies_fall_by_the_base_and_scalings_divide_them)
{
    double f[2];
    struct tu_trace_rope r = plain;
    tu_rope_frequencies(&r, false, 1, f);
    CHECK_REAL(f[0], 1.0);
    CHECK(fabs(f[1] - 0.1) < 1e-15);
    tu_rope_frequencies(&r, true, 1, f);
    CHECK_REAL(f[1], 0.25); /* 16^(-1/2) */
    r.scaling = TU_ROPE_LINEAR;
    tu_rope_frequencies(&r, false, 1, f);
    CHECK_REAL(f[0], 0.25);
    tu_rope_frequencies(&r, true, 1, f);
    CHECK_REAL(f[0], 1.0); /* of its own factor */
}

TEST(longrope_takes_its_short_list_up_to_the_original_context)
{
    static const double short_[] = {1, 2}, long_[] = {4, 8};
    double f[2];
    struct tu_trace_rope r = plain;
    r.scaling = TU_ROPE_LONG;
    r.short_ = short_;
    r.long_ = long_;
    r.original = 8;
    tu_rope_frequencies(&r, false, 8, f);
    CHECK_REAL(f[0], 1.0);
    tu_rope_frequencies(&r, false, 9, f);
    CHECK_REAL(f[0], 0.25);
}

TEST(yarn_keeps_fast_pairs_and_divides_slow_ones)
{
    double f[32];
    struct tu_trace_rope r = {.base = 10000,
                              .factor = 4,
                              .attn_factor = 1,
                              .dim = 64,
                              .scaling = TU_ROPE_YARN,
                              .beta_fast = 32,
                              .beta_slow = 1,
                              .original = 4096,
                              .truncate = true};
    tu_rope_frequencies(&r, false, 1, f);
    CHECK_REAL(f[0], 1.0);
    CHECK_REAL(f[31], pow(10000, -62.0 / 64) / 4);
    for (int i = 0; i < 32; i++) {
        double ratio = f[i] / pow(10000, -2.0 * i / 64);
        CHECK(ratio >= 0.25 - 1e-12 && ratio <= 1 + 1e-12);
    }
}

TEST(turning_keeps_lengths_and_what_is_beyond_the_turned_part)
{
    double f[2];
    struct tu_error error = {0};
    struct tu_values x, y;
    tu_rope_frequencies(&plain, false, 1, f);
    if (tu_values_make(&x, true, 18, &error) < 0 || tu_values_make(&y, true, 18, &error) < 0)
        abort();
    for (uint64_t i = 0; i < 18; i++)
        x.wide[i] = (double)i + 1;
    tu_rope_turn(&plain, f, 7, 1, 6, &x, &y); /* three tokens, of which the first is number 7 */
    for (uint64_t t = 0; t < 3; t++) {
        const double *a = x.wide + 6 * t, *b = y.wide + 6 * t;
        CHECK(fabs(a[0] * a[0] + a[2] * a[2] - b[0] * b[0] - b[2] * b[2]) < 1e-10);
        CHECK_REAL(b[4], a[4]);
        CHECK_REAL(b[5], a[5]);
        CHECK(fabs(b[0] - (a[0] * cos(7.0 + (double)t) - a[2] * sin(7.0 + (double)t))) < 1e-12);
    }
    tu_values_free(&x);
    tu_values_free(&y);
}

/* ---- Values ---- */

TEST(the_largest_come_first_the_first_of_equal_ones_and_nan_last)
{
    double numbers[] = {2, (double)NAN, 5, 5, -INFINITY, 1};
    const struct tu_values x = {.wide = numbers, .count = 6};
    static const int32_t want[] = {2, 3, 0, 5, 4, 1};
    int32_t places[6];
    tu_values_top(&x, 0, 6, 6, places);
    for (int i = 0; i < 6; i++)
        CHECK(places[i] == want[i]);
    double nans[] = {(double)NAN, (double)NAN};
    const struct tu_values y = {.wide = nans, .count = 2};
    tu_values_top(&y, 0, 2, 2, places);
    CHECK(places[0] == 0);
    CHECK(places[1] == 1);
}

TEST(a_softmax_of_large_numbers_does_not_overflow)
{
    float numbers[] = {1000, 1000, -1000};
    struct tu_values x = {.narrow = numbers, .count = 3};
    tu_values_softmax(&x, 3, &x);
    CHECK_REAL((double)numbers[0], 0.5);
    CHECK_REAL((double)numbers[2], 0.0);
}

TEST(a_norm_is_of_each_row_and_its_epsilon_under_the_root)
{
    double numbers[] = {3, 4, 0, 0}, weight[] = {1, 2};
    struct tu_values x = {.wide = numbers, .count = 4};
    tu_values_rms_norm(&x, 2, weight, 12.5, &x);
    CHECK_REAL(numbers[0], 3.0 / 5);
    CHECK_REAL(numbers[1], 8.0 / 5);
    CHECK_REAL(numbers[2], 0.0);
}

TEST(activations_at_their_ends)
{
    double numbers[] = {0, 1000, -1000, 1};
    struct tu_values x = {.wide = numbers, .count = 4};
    double out[4];
    struct tu_values y = {.wide = out, .count = 4};
    tu_values_activate(&x, false, &y);
    CHECK_REAL(out[0], 0.0);
    CHECK_REAL(out[1], 1000.0);
    CHECK(fabs(out[2]) == 0);
    CHECK(fabs(out[3] - 0.73105857863000487) < 1e-15);
    tu_values_activate(&x, true, &y);
    CHECK_REAL(out[1], 1000.0);
    CHECK(fabs(out[2]) == 0);
    CHECK(fabs(out[3] - 0.84119199060827675) < 1e-15);
}

TEST(architectures_are_found_by_their_whole_names)
{
    CHECK(tu_trace_arch("gemma2", 6) != NULL);
    CHECK(tu_trace_arch("gemma2", 5) != tu_trace_arch("gemma2", 6));
    CHECK(tu_trace_arch("gemm", 4) == NULL);
    CHECK(tu_trace_arch("bert", 4) == NULL);
}
