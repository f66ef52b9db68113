/* SPDX-License-Identifier: MIT */
/* What becomes of errors in a small graph: where they are made, carried, healed, or chosen. */
#include "config.h"

#include "../tap.h"

#include <math.h>
#include <string.h>

#include "hunt/decide.h"
#include "hunt/floors.h"

/* A chain of stages, each the input of the next. */
enum { STAGES = 4 };

struct chain {
    struct tu_hunt_stage stages[STAGES];
    struct tu_hunt hunt;
};

static const char *const ops[STAGES] = {"embed", "rms_norm", "product", "add"};

static void make(struct chain *c, const double errors[STAGES], const double *own)
{
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < STAGES; i++) {
        struct tu_hunt_stage *s = &c->stages[i];
        *s = (struct tu_hunt_stage){.name = ops[i],
                                    .stage = ops[i],
                                    .op = ops[i],
                                    .status = "ok",
                                    .has_order = true,
                                    .order = i,
                                    .sides = {{.arithmetic = "f32"}, {.arithmetic = "f32"}},
                                    .error = errors[i],
                                    .alone = isnan(errors[i]) ? 'a' : 0,
                                    .norm = 1,
                                    .error_in = NAN,
                                    .own_error = NAN,
                                    .floor = NAN,
                                    .from = SIZE_MAX};
        s->input_count = i > 0;
        s->inputs[0] = i - 1;
        for (int run = 0; own && run < TU_HUNT_RUNS; run++)
            s->own[run] =
                (struct tu_measured){.known = true, .error = own[i], .norm = 1, .count = 1};
    }
    c->hunt = (struct tu_hunt){.stages = c->stages, .count = STAGES};
}

static bool blames(const struct chain *c, enum tu_blame a, enum tu_blame b, enum tu_blame d,
                   enum tu_blame e)
{
    const enum tu_blame wanted[STAGES] = {a, b, d, e};
    for (size_t i = 0; i < STAGES; i++)
        if (c->stages[i].blame != wanted[i])
            return tap_fail(__FILE__, __LINE__, "%s is %s, not %s", ops[i],
                            tu_blame_words[c->stages[i].blame], tu_blame_words[wanted[i]]);
    return true;
}

TEST(an_error_is_made_where_the_operation_makes_it)
{
    struct chain c;
    make(&c, (double[]){0, 0, 0.1, 0.1}, (double[]){0, 0, 0.1, 0});
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CLEAN, TU_MADE, TU_CARRIED);
    CHECK(tu_hunt_first(&c.hunt) == &c.stages[2]);
    CHECK_UINT(c.stages[3].from, 2);
    CHECK_REAL(c.stages[3].error_in, 0.1);
    CHECK(c.stages[2].cause == TU_CAUSE_PROGRAM_A);
}

TEST(whose_error_it_is)
{
    struct chain c;
    make(&c, (double[]){0, 0, 0.1, 0.1}, (double[]){0, 0, 0, 0});
    c.stages[2].own[TU_RUN_B].error = 0.1;
    tu_hunt_decide(&c.hunt, NULL);
    CHECK(c.stages[2].cause == TU_CAUSE_PROGRAM_B);
    make(&c, (double[]){0, 0, 0.1, 0.1}, (double[]){0, 0, 0, 0});
    c.stages[2].own[TU_RUN_MODELS].error = 0.1;
    tu_hunt_decide(&c.hunt, NULL);
    CHECK(c.stages[2].cause == TU_CAUSE_MODELS);
    CHECK(c.stages[2].blame == TU_MADE);
    /* What a's program did not do, b's operation does not give, either. */
    c.stages[2].own[TU_RUN_A].error = 0.05;
    c.stages[2].own_error = NAN;
    tu_hunt_decide(&c.hunt, NULL);
    CHECK(c.stages[2].cause == TU_CAUSE_PROGRAM_A);
}

TEST(an_error_that_vanishes_behind_one_that_was_made_is_healed)
{
    struct chain c;
    make(&c, (double[]){0, 0.1, 1e-5, 1e-5}, (double[]){0, 0.1, 0, 0});
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_MADE, TU_HEALED, TU_CARRIED);
    /* Rounding that shrinks is nothing to be healed. */
    make(&c, (double[]){0, 9e-7, 1e-7, 1e-7}, (double[]){0, 0, 0, 0});
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CARRIED, TU_CLEAN, TU_CLEAN);
}

TEST(other_experts_of_probabilities_that_are_equal_are_routing)
{
    struct chain c;
    make(&c, (double[]){0, 1e-6, 0.5, 0.5}, (double[]){0, 1e-8, 0, 0});
    c.stages[2].op = "route";
    c.stages[2].integers = true;
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CARRIED, TU_ROUTING, TU_CARRIED);
    CHECK_UINT(c.stages[3].from, 2);
    /* Behind an error they are that error's. */
    make(&c, (double[]){0, 0.1, 0.5, 0.5}, (double[]){0, 0.1, 0, 0});
    c.stages[2].op = "route";
    c.stages[2].integers = true;
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_MADE, TU_CARRIED, TU_CARRIED);
    /* And an operation that chooses otherwise from the same probabilities has made it. */
    make(&c, (double[]){0, 0, 0.5, 0.5}, (double[]){0, 0, 0.5, 0});
    c.stages[2].op = "route";
    c.stages[2].integers = true;
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CLEAN, TU_MADE, TU_CARRIED);
}

TEST(a_stage_that_one_side_lacks_hands_the_error_on)
{
    struct chain c;
    make(&c, (double[]){0, 0.1, NAN, 0.1}, (double[]){0, 0.1, 0, 0});
    memset(c.stages[2].own, 0, sizeof c.stages[2].own);
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_MADE, TU_ABSENT, TU_CARRIED);
    CHECK_UINT(c.stages[3].from, 1);
    CHECK_REAL(c.stages[3].error_in, 0.1);
    /* What rounding made of it on the way is no error of the next one. */
    make(&c, (double[]){0, 0, NAN, 1e-3}, (double[]){0, 0, 0, 1e-3});
    memset(c.stages[2].own, 0, sizeof c.stages[2].own);
    c.stages[2].sides[0].arithmetic = c.stages[2].sides[1].arithmetic = "fused:Q8_0";
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CLEAN, TU_ABSENT, TU_CARRIED);
}

TEST(a_stage_that_one_side_lacks_is_seen_in_what_follows_or_not_at_all)
{
    struct chain c;
    make(&c, (double[]){0, 0, NAN, NAN}, (double[]){0, 0, 0, 0});
    memset(c.stages[2].own, 0, sizeof c.stages[2].own);
    memset(c.stages[3].own, 0, sizeof c.stages[3].own);
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CLEAN, TU_UNKNOWN, TU_UNKNOWN);
}

TEST(numbers_that_are_none_are_made_where_the_inputs_are_sound)
{
    struct chain c;
    make(&c, (double[]){0, 0, INFINITY, INFINITY}, (double[]){0, 0, 0, 0});
    memset(c.stages[2].own, 0, sizeof c.stages[2].own);
    memset(c.stages[3].own, 0, sizeof c.stages[3].own);
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CLEAN, TU_MADE, TU_CARRIED);
}

TEST(the_same_roundings_of_the_same_inputs_are_equal)
{
    struct chain c;
    make(&c, (double[]){0, 0, 0.02, 0.02}, NULL);
    c.stages[2].sides[0].arithmetic = c.stages[2].sides[1].arithmetic = "fused:Q8_0";
    tu_hunt_decide(&c.hunt, NULL);
    CHECK(c.stages[2].blame == TU_MADE);
    /* Of other arithmetic, or of weights of another type, nothing is known. */
    c.stages[2].sides[1].arithmetic = "f32";
    tu_hunt_decide(&c.hunt, NULL);
    CHECK(c.stages[2].blame == TU_UNKNOWN);
    c.stages[2].sides[0].arithmetic = "f32";
    c.stages[2].sides[0].weight_dtype = "BF16";
    c.stages[2].sides[1].weight_dtype = "Q8_0";
    tu_hunt_decide(&c.hunt, NULL);
    CHECK(c.stages[2].blame == TU_UNKNOWN);
}

TEST(what_rounding_made_on_the_way_is_counted_once)
{
    struct chain c;
    make(&c, (double[]){0, NAN, NAN, 0.1}, (double[]){0, 0, 0, 0.1});
    for (size_t i = 1; i < STAGES - 1; i++) {
        memset(c.stages[i].own, 0, sizeof c.stages[i].own);
        c.stages[i].op = "product";
        c.stages[i].sides[0].arithmetic = c.stages[i].sides[1].arithmetic = "fused:Q8_0";
    }
    /* both products lead to the sum, one of them by way of the other: 0.04 and 0.04 */
    c.stages[3].input_count = 2;
    c.stages[3].inputs[0] = 1;
    c.stages[3].inputs[1] = 2;
    tu_hunt_decide(&c.hunt, NULL);
    CHECK(fabs(c.stages[3].floors[TU_RUN_B] - 0.04 * sqrt(2)) < 1e-9);
    CHECK(c.stages[3].blame == TU_MADE);
}

TEST(another_shape_is_an_error_that_nothing_excuses)
{
    struct chain c;
    make(&c, (double[]){0, 0, INFINITY, INFINITY}, (double[]){0, 0, 0, 0});
    c.stages[2].own[TU_RUN_MODELS] = (struct tu_measured){.unlike = true};
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CLEAN, TU_MADE, TU_CARRIED);
    CHECK(isinf(c.stages[2].own_error));
}

TEST(what_was_not_measured)
{
    struct chain c;
    make(&c, (double[]){0, 0, 0.1, 0.1}, NULL);
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CLEAN, TU_MADE, TU_CARRIED);
    CHECK(c.stages[2].cause == TU_CAUSE_INPUTS);
    /* Rounding adds up. */
    make(&c, (double[]){2e-7, 4e-7, 1e-6, 8e-7}, NULL);
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CARRIED, TU_CARRIED, TU_CARRIED);
    /* A tenfold error may be made, or grown. */
    make(&c, (double[]){1e-7, 4e-7, 4e-6, 4e-6}, NULL);
    tu_hunt_decide(&c.hunt, NULL);
    blames(&c, TU_CLEAN, TU_CARRIED, TU_UNKNOWN, TU_UNKNOWN);
    size_t counts[TU_BLAMES];
    tu_hunt_count(&c.hunt, counts);
    CHECK_UINT(counts[TU_UNKNOWN], 2);
    CHECK_UINT(counts[TU_MADE], 0);
    CHECK(!tu_hunt_first(&c.hunt));
}

TEST(weights_that_pass_may_make_what_they_explain)
{
    struct chain c;
    struct tu_hunt_weight weight = {.name = "w", .name_b = "v", .error = 0.01, .rmse = 0.001};
    const struct tu_hunt_weights weights = {.items = &weight, .count = 1};
    /* |x| = 2, 4 rows of 8 columns over one token: 4 x 0.001 x 2 x sqrt(4) = 0.016 of |y| = 1 */
    make(&c, (double[]){0, 0, 0.015, 0.015}, (double[]){0, 0, 0, 0});
    c.stages[2].sides[0].weight = "w";
    c.stages[2].k_dim = 8;
    c.stages[1].own[TU_RUN_MODELS].norm = 2;
    c.stages[1].own[TU_RUN_MODELS].count = 8;
    c.stages[2].own[TU_RUN_MODELS].count = 4;
    c.stages[2].own[TU_RUN_MODELS].error = 0.0159;
    tu_hunt_decide(&c.hunt, &weights);
    CHECK(c.stages[2].blame == TU_CARRIED);
    c.stages[2].own[TU_RUN_MODELS].error = 0.0161;
    tu_hunt_decide(&c.hunt, &weights);
    CHECK(c.stages[2].blame == TU_MADE);
    CHECK(c.stages[2].cause == TU_CAUSE_MODELS);
    /* One that fails explains nothing, and is named. */
    weight.fails = true;
    weight.reason = "bad";
    c.stages[2].own[TU_RUN_MODELS].error = 0.001;
    tu_hunt_decide(&c.hunt, &weights);
    CHECK(c.stages[2].blame == TU_MADE);
    CHECK(c.stages[2].cause == TU_CAUSE_WEIGHT);
    CHECK_STRING(c.stages[2].weight, "w");
    CHECK_STRING(c.stages[2].because, "bad");
}

TEST(experts_are_found_by_a_star)
{
    struct tu_hunt_weight items[] = {{.name = "l.experts.0.w1", .name_b = "g", .error = 0.1},
                                     {.name = "l.experts.7.w1", .name_b = "g", .fails = true},
                                     {.name = "l.experts.9.w2", .name_b = "h", .error = 1}};
    const struct tu_hunt_weights weights = {.items = items, .count = 3};
    CHECK(tu_hunt_weights_find(&weights, 0, "l.experts.*.w1") == &items[1]);
    CHECK(tu_hunt_weights_find(&weights, 1, "h") == &items[2]);
    CHECK(!tu_hunt_weights_find(&weights, 0, "l.experts.*.w3"));
}

TEST(floors_are_those_of_the_page)
{
    CHECK_REAL(tu_hunt_floor("product", "f64", NULL), 1e-12);
    CHECK_REAL(tu_hunt_floor("product", "f32", "Q4_K"), 4 * 1.2e-7);
    CHECK_REAL(tu_hunt_floor("rms_norm", "f32", NULL), 4 * 6e-8);
    CHECK_REAL(tu_hunt_floor("product", "fused:Q8_K", "Q4_K"), 4 * 1.7e-2);
    CHECK_REAL(tu_hunt_floor("product", NULL, "Q4_K"), 4 * 1.7e-2);
    CHECK_REAL(tu_hunt_floor("product", NULL, "Q5_0"), 4 * 1e-2);
    CHECK_REAL(tu_hunt_floor("product", "unknown", "BF16"), 4 * 1.9e-3);
    CHECK_REAL(tu_hunt_floor("product", NULL, "F32"), 4 * 1.2e-7);
    CHECK_REAL(tu_hunt_floor("rms_norm", NULL, "F16"), 4 * 6e-8);
    CHECK_REAL(tu_hunt_floor("gelu_tanh", NULL, NULL), 4 * 3.1e-4);
    CHECK_REAL(tu_hunt_floor("moe_topk", "exact", NULL), 1e-12);
}
