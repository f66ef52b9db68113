/* SPDX-License-Identifier: MIT */
/* Weighs the error of each stage against that of its inputs and what its operation may make. */
#include "config.h"

#include "hunt/decide.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

#include "hunt/floors.h"

/* ---- Floors ---- */

/* How far an error of the weights is from spreading over the output as noise does. */
enum { SPREAD = 4 };

/* The side whose recorded output a run is held against. */
static int recorded_side(enum tu_hunt_run run)
{
    return run == TU_RUN_B ? 1 : 0;
}

static double arithmetic_floor(const struct tu_hunt_stage *s, int side)
{
    const struct tu_hunt_side *here = &s->sides[side];
    const char *dtype = here->weight_dtype ? here->weight_dtype : s->sides[!side].weight_dtype;
    return tu_hunt_floor(s->op, here->arithmetic, dtype);
}

/* The weight of a stage, or its bias, in the comparison of the models. */
static const struct tu_hunt_weight *weight_of(const struct tu_hunt_weights *weights,
                                              const struct tu_hunt_stage *s, bool bias)
{
    const struct tu_hunt_weight *found = NULL;
    for (int side = 0; side < 2 && weights && !found; side++) {
        const char *name = bias ? s->sides[side].bias : s->sides[side].weight;
        if (name)
            found = tu_hunt_weights_find(weights, side, name);
    }
    return found;
}

/* What a weight that its type explains adds to the output, relative to it.  Of a product x W' with
 * errors of a size d that know nothing of x, |x| d sqrt(rows); of a norm or a row that is looked
 * up, the weight's own. */
static double weight_floor(const struct tu_hunt *h, const struct tu_hunt_stage *s,
                           const struct tu_hunt_weight *w)
{
    const struct tu_measured *y = &s->own[TU_RUN_MODELS];
    const struct tu_measured *x = s->input_count && s->inputs[0] != SIZE_MAX
                                      ? &h->stages[s->inputs[0]].own[TU_RUN_MODELS]
                                      : NULL;
    if (!w || w->fails || !(w->error > 0))
        return 0;
    if (!s->k_dim || !x || !x->known || !x->count || !(y->norm > 0))
        return SPREAD * w->error;
    double rows = (double)y->count * (double)s->k_dim / (double)x->count;
    return SPREAD * w->rmse * x->norm * sqrt(rows) / y->norm;
}

/* ---- Measured ---- */

/* The largest floor among the inputs that were not recorded, and so are computed on the way; 0: all
 * of them were. */
static double input_floor(const struct tu_hunt *h, const struct tu_hunt_stage *s, int run)
{
    double most = 0;
    for (size_t i = 0; i < s->input_count; i++)
        if (s->inputs[i] != SIZE_MAX && !h->stages[s->inputs[i]].own[run].known)
            most = fmax(most, h->stages[s->inputs[i]].floors[run]);
    return most;
}

/* What rounding may make of a stage in each run.  What it made of inputs on the way comes on top as
 * errors do that know nothing of each other, by their squares, and once: stages that share an input
 * would count it again and again. */
static void set_floors(const struct tu_hunt *h, struct tu_hunt_stage *s,
                       const struct tu_hunt_weights *weights)
{
    const struct tu_hunt_weight *w = weight_of(weights, s, false), *b = weight_of(weights, s, true);
    for (int run = 0; run < TU_HUNT_RUNS; run++) {
        double own = arithmetic_floor(s, recorded_side(run));
        if (run == TU_RUN_MODELS)
            own += weight_floor(h, s, w) + weight_floor(h, s, b);
        s->floors[run] = hypot(own, input_floor(h, s, run));
    }
}

/* Looks at what was measured: the run that is the furthest above its floor. */
static void weigh_own(struct tu_hunt_stage *s)
{
    double most = -1;
    for (int run = 0; run < TU_HUNT_RUNS; run++) {
        const struct tu_measured *own = &s->own[run];
        double error = own->unlike ? INFINITY : own->error;
        if ((!own->known && !own->unlike) || error / s->floors[run] <= most)
            continue;
        most = error / s->floors[run];
        s->own_error = error;
        s->floor = s->floors[run];
        s->own_run = run;
    }
    /* What a's trace is not by its own model, it is not by b's either. */
    if (s->own_run == TU_RUN_MODELS && s->own[TU_RUN_A].known &&
        s->own[TU_RUN_A].error > s->floors[TU_RUN_A])
        s->own_run = TU_RUN_A;
}

/* Facts that an operation depends on. */
static const struct {
    const char *op, *stage, *facts; /* globs */
} uses[] = {
    {"embed", "*", "scale.embedding"},
    {"rms_norm", "*", "norm.*"},
    {"rope", "*", "rope.*"},
    {"score", "*", "attn.*"},
    {"score", "*", "*heads"},
    {"softmax", "attn_weights", "window*"},
    {"softmax", "attn_weights", "causal"},
    {"mix", "attn_context", "window*"},
    {"mix", "attn_context", "*heads"},
    {"silu", "*", "act"},
    {"gelu_tanh", "*", "act"},
    {"route", "*", "experts*"},
    {"softcap", "*", "logit.softcap"},
    {"product", "logits*", "logit.softcap"},
    {"product", "logits*", "scale.logits"},
    {"product", "logits*", "tied"},
    {"add", "*", "scale.residual"},
    {"softmax", "moe_probs", "experts*"},
    {"mix", "moe_out", "experts*"},
};

static const char *fact_of(const struct tu_hunt *h, const struct tu_hunt_stage *s)
{
    const char *name;
    size_t length;
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        if (strcmp(uses[i].op, s->op) != 0 || !s->stage || fnmatch(uses[i].stage, s->stage, 0) != 0)
            continue;
        for (size_t k = 0; k < h->fact_count; k++)
            if (tu_value_string(tu_value_get(&h->facts[k], "name"), &name, &length) &&
                fnmatch(uses[i].facts, name, 0) == 0)
                return name;
    }
    return NULL;
}

static void blame_models(const struct tu_hunt *h, struct tu_hunt_stage *s,
                         const struct tu_hunt_weights *weights)
{
    const struct tu_hunt_weight *found = weight_of(weights, s, false);
    if (!found || !found->fails) {
        const struct tu_hunt_weight *bias = weight_of(weights, s, true);
        found = bias && bias->fails ? bias : found;
    }
    s->fact = fact_of(h, s);
    if (found && found->fails) {
        s->cause = TU_CAUSE_WEIGHT;
        s->weight = found->name;
        s->because = found->reason;
        s->hypothesis = found->hypothesis;
        s->fact = NULL;
    } else {
        s->cause = s->fact ? TU_CAUSE_CONFIGURATION : TU_CAUSE_MODELS;
    }
}

static void blame(const struct tu_hunt *h, struct tu_hunt_stage *s,
                  const struct tu_hunt_weights *weights)
{
    s->blame = TU_MADE;
    if (s->own_run == TU_RUN_MODELS)
        blame_models(h, s, weights);
    else
        s->cause = s->own_run == TU_RUN_A ? TU_CAUSE_PROGRAM_A : TU_CAUSE_PROGRAM_B;
}

/* ---- Where an error came from ---- */

/* An input whose stage only one side recorded is as far off as what that was made of. */
static double error_at(const struct tu_hunt_stage *s)
{
    return isnan(s->error) ? s->error_in : s->error;
}

static void look_at_inputs(const struct tu_hunt *h, struct tu_hunt_stage *s)
{
    for (size_t i = 0; i < s->input_count; i++) {
        if (s->inputs[i] == SIZE_MAX)
            continue;
        const struct tu_hunt_stage *input = &h->stages[s->inputs[i]];
        double error = error_at(input);
        if (isnan(error) || error <= s->error_in)
            continue;
        s->error_in = error;
        s->from =
            input->blame == TU_CARRIED || input->blame == TU_ABSENT ? input->from : s->inputs[i];
    }
}

static bool began_at(const struct tu_hunt *h, const struct tu_hunt_stage *s, enum tu_blame blame)
{
    return s->from != SIZE_MAX && h->stages[s->from].blame == blame;
}

/* Nothing, or less than a thousandth, is left of an error that was made. */
static bool is_healed(const struct tu_hunt *h, const struct tu_hunt_stage *s, double floor)
{
    const double rest = 1e-3;
    return began_at(h, s, TU_MADE) && isfinite(s->error) && s->error_in > floor &&
           (s->error <= floor || s->error <= rest * s->error_in);
}

static void decide_measured(const struct tu_hunt *h, struct tu_hunt_stage *s, double floor)
{
    if (is_healed(h, s, floor))
        s->blame = TU_HEALED;
    else if (s->error <= floor)
        s->blame = TU_CLEAN;
    else if (s->integers && strcmp(s->op, "route") == 0 && s->own[TU_RUN_MODELS].error == 0 &&
             !began_at(h, s, TU_MADE) && !began_at(h, s, TU_ROUTING))
        s->blame = TU_ROUTING;
    else
        s->blame = TU_CARRIED;
}

/* ---- Not measured ---- */

/* Both sides say that they did the same, and no weight of another type explains a difference. */
static bool same_arithmetic(const struct tu_hunt_stage *s)
{
    const struct tu_hunt_side *a = &s->sides[0], *b = &s->sides[1];
    bool weights =
        !a->weight_dtype || !b->weight_dtype || strcmp(a->weight_dtype, b->weight_dtype) == 0;
    return a->arithmetic && b->arithmetic && strcmp(a->arithmetic, b->arithmetic) == 0 && weights;
}

/* Whether an operation that rounds as it should cannot have made this of its inputs. */
static bool must_be_made(const struct tu_hunt_stage *s, double in, bool rounded)
{
    const double gain = 30; /* that no sound operation has */
    bool other_weights = s->sides[0].weight_dtype && s->sides[1].weight_dtype &&
                         strcmp(s->sides[0].weight_dtype, s->sides[1].weight_dtype) != 0;
    if (isinf(s->error))
        return !isinf(in);
    if (rounded || other_weights)
        return in == 0 && same_arithmetic(s);
    return s->error > gain * in;
}

/* Without the models an error may be what roundings have come to on the way, or it is made here if
 * nothing comes in that could explain it; what is between the two cannot be told.  Activations that
 * are rounded excuse nothing: the same ones round alike. */
static void decide_unmeasured(const struct tu_hunt *h, struct tu_hunt_stage *s, double floor)
{
    double exact = fmin(floor, tu_hunt_floor(s->op, "f32", NULL));
    double drift = exact * (double)(s->order < 4096 ? s->order + 1 : 4096);
    double in = isnan(s->error_in) ? 0 : s->error_in;
    if (is_healed(h, s, exact))
        s->blame = TU_HEALED;
    else if (s->error <= exact)
        s->blame = TU_CLEAN;
    else if (began_at(h, s, TU_MADE))
        s->blame = TU_CARRIED;
    else if (in <= drift && must_be_made(s, in, floor > exact)) {
        s->blame = TU_MADE;
        s->fact = fact_of(h, s);
        s->cause = s->fact ? TU_CAUSE_CONFIGURATION : TU_CAUSE_INPUTS;
    } else
        s->blame = s->error <= drift ? TU_CARRIED : TU_UNKNOWN;
}

/* ---- All ---- */

static bool is_measured(const struct tu_hunt_stage *s)
{
    return s->own[TU_RUN_MODELS].known && s->own[TU_RUN_B].known;
}

static void decide(const struct tu_hunt *h, struct tu_hunt_stage *s,
                   const struct tu_hunt_weights *weights)
{
    double floor = fmax(arithmetic_floor(s, 0), arithmetic_floor(s, 1));
    set_floors(h, s, weights);
    weigh_own(s);
    look_at_inputs(h, s);
    if (s->own_error > s->floor)
        blame(h, s, weights);
    else if (s->alone)
        s->blame = TU_ABSENT;
    else if (is_measured(s) && isfinite(s->error))
        decide_measured(h, s, floor);
    else
        decide_unmeasured(h, s, floor);
    if (s->blame != TU_CARRIED && s->blame != TU_ABSENT && s->blame != TU_UNKNOWN)
        s->from = SIZE_MAX;
}

/* A stage that one side lacks is seen in what follows from it; where nothing does, nobody knows. */
static void look_behind(struct tu_hunt *h)
{
    for (size_t i = h->count; i-- > 0;) {
        struct tu_hunt_stage *s = &h->stages[i];
        if (s->blame == TU_ABSENT && !s->followed)
            s->blame = TU_UNKNOWN;
        for (size_t k = 0; k < s->input_count && s->blame != TU_UNKNOWN; k++)
            if (s->inputs[k] != SIZE_MAX)
                h->stages[s->inputs[k]].followed = true;
    }
}

void tu_hunt_decide(struct tu_hunt *h, const struct tu_hunt_weights *weights)
{
    for (size_t i = 0; i < h->count; i++)
        decide(h, &h->stages[i], weights);
    look_behind(h);
}

const struct tu_hunt_stage *tu_hunt_first(const struct tu_hunt *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->stages[i].blame == TU_MADE)
            return &h->stages[i];
    return NULL;
}

void tu_hunt_count(const struct tu_hunt *h, size_t counts[TU_BLAMES])
{
    memset(counts, 0, TU_BLAMES * sizeof *counts);
    for (size_t i = 0; i < h->count; i++)
        counts[h->stages[i].blame]++;
}
