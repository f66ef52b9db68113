/* SPDX-License-Identifier: MIT */
/* Adds up what goes by: counts, extremes, moments, quantiles, group by group. */
#include "config.h"

#include "compute/stat/stat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const tu_stat_axis_names[TU_STAT_AXES] = {"all", "token", "head", "channel", "row"};

/* The most groups whose statistics are kept at once, the most channels whose squares are, and what
 * all sketches of a tensor may take. */
enum { GROUPS_MAX = 1 << 18, CHANNELS_MAX = 1 << 20, SKETCH_BYTES = 64 << 20 };

/* ---- One group ---- */

void tu_stat_top_add(struct tu_stat_top *top, uint64_t index, double value)
{
    if (top->count == TU_STAT_TOP && !(fabs(value) > fabs(top->items[TU_STAT_TOP - 1].value)))
        return;
    size_t at = top->count < TU_STAT_TOP ? top->count++ : TU_STAT_TOP - 1;
    while (at > 0 && fabs(top->items[at - 1].value) < fabs(value)) {
        top->items[at] = top->items[at - 1];
        at--;
    }
    top->items[at] = (struct tu_stat_place){index, value};
}

/* Adds the moments of the block to those before (Pebay, "Formulas for robust, one-pass parallel
 * computation of covariances and arbitrary-order statistical moments", 2008). */
static void close_block(struct tu_stat *s)
{
    double k = (double)s->held, sum = 0, m2 = 0, m3 = 0, m4 = 0;
    if (s->held == 0)
        return;
    for (size_t i = 0; i < s->held; i++)
        sum += s->block[i];
    double mean = sum / k;
    for (size_t i = 0; i < s->held; i++) {
        double d = s->block[i] - mean, square = d * d;
        m2 += square;
        m3 += square * d;
        m4 += square * square;
    }
    double n = s->n + k, delta = mean - s->mean, step = delta / n, a = s->n;
    double product = delta * step * a * k;
    s->m4 += m4 + product * step * step * (a * a - a * k + k * k) +
             6 * step * step * (a * a * m2 + k * k * s->m2) + 4 * step * (a * m3 - k * s->m3);
    s->m3 += m3 + product * step * (a - k) + 3 * step * (a * m2 - k * s->m2);
    s->m2 += m2 + product;
    s->mean += step * k;
    s->n = n;
    s->held = 0;
}

static void add_finite(struct tu_stat *s, uint64_t place, double x)
{
    if (s->finite == 0)
        s->shift = x;
    if (s->finite == 0 || x < s->min) {
        s->min = x;
        s->argmin = place;
    }
    if (s->finite == 0 || x > s->max) {
        s->max = x;
        s->argmax = place;
    }
    s->zeros += x == 0;
    s->l1 += fabs(x);
    s->squares += x * x;
    s->finite++;
    tu_stat_top_add(&s->top, place, x);
    s->block[s->held++] = x - s->shift;
    if (s->held == TU_STAT_BLOCK)
        close_block(s);
}

static void add_nonfinite(struct tu_stat *s, uint64_t place, double x)
{
    if (!isnan(x)) {
        s->inf++;
        return;
    }
    s->first_nan = s->nan ? s->first_nan : place;
    s->nan++;
}

/* Values of one group that follow one another. */
static int add_run(struct tu_stats *s, uint64_t group, uint64_t place, const double *values,
                   size_t count, struct tu_error *error)
{
    struct tu_stat *stat = &s->stats[group];
    struct tu_sketch *sketch = &s->sketches[group];
    stat->count += count;
    for (size_t from = 0; from < count;) {
        size_t to = from;
        for (; to < count && isfinite(values[to]); to++)
            add_finite(stat, place + to, values[to]);
        if (tu_sketch_add(&s->room, sketch, values + from, to - from, error) < 0)
            return -1;
        for (; to < count && !isfinite(values[to]); to++)
            add_nonfinite(stat, place + to, values[to]);
        from = to;
    }
    return 0;
}

/* ---- All groups ---- */

static int done(struct tu_stats *s, uint64_t group, uint64_t index, struct tu_error *error)
{
    struct tu_stat *stat = &s->stats[group];
    close_block(stat);
    int result = s->done(s->context, s, stat, index, error);
    tu_sketch_reset(&s->room, &s->sketches[group]);
    *stat = (struct tu_stat){0};
    return result;
}

static void add_squares(struct tu_stats *s, const double *values, size_t count)
{
    uint64_t channel = s->next % s->channel_count;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i]))
            s->channels[channel] += values[i] * values[i];
        channel = channel + 1 == s->channel_count ? 0 : channel + 1;
    }
}

/* Values of a group, and of a row if there is a mask. */
static int add_piece(struct tu_stats *s, const double *values, size_t count, struct tu_error *error)
{
    bool one_by_one = s->outer == 1;
    uint64_t index = s->next / s->inner % s->groups;
    size_t used = count;
    if (s->queries) {
        /* the keys of a query that are not behind it */
        uint64_t column = s->next % s->width, row = s->next / s->width % s->queries;
        uint64_t seen = row + 1 + (s->width > s->queries ? s->width - s->queries : 0);
        used = column >= seen ? 0 : seen - column < count ? (size_t)(seen - column) : count;
        s->masked += count - used;
    }
    if (s->channels)
        add_squares(s, values, used);
    if (used && add_run(s, one_by_one ? 0 : index, s->next, values, used, error) < 0)
        return -1;
    s->next += count;
    if (one_by_one && s->next % s->inner == 0)
        return done(s, 0, index, error);
    return 0;
}

int tu_stats_add(struct tu_stats *s, const double *values, size_t count, struct tu_error *error)
{
    while (count) {
        uint64_t left = s->inner - s->next % s->inner;
        if (s->queries && s->width - s->next % s->width < left)
            left = s->width - s->next % s->width;
        size_t n = count < left ? count : (size_t)left;
        if (add_piece(s, values, n, error) < 0)
            return -1;
        values += n;
        count -= n;
    }
    return 0;
}

int tu_stats_add_native(struct tu_stats *s, enum tensor_dtype dtype, const void *values,
                        size_t count, struct tu_error *error)
{
    enum { PIECE = 1024 };
    double wide[PIECE];
    const size_t size = dtype == TENSOR_F64 ? sizeof(double) : sizeof(float);
    const uint8_t *bytes = values;
    if (count)
        tu_stats_bytes(s, bytes, count * size);
    for (size_t n; count; count -= n, bytes += n * size) {
        n = count < PIECE ? count : PIECE;
        for (size_t i = 0; i < n; i++) {
            if (dtype == TENSOR_F64)
                wide[i] = ((const double *)(const void *)bytes)[i];
            else if (dtype == TENSOR_F32)
                wide[i] = (double)((const float *)(const void *)bytes)[i];
            else
                wide[i] = (double)((const int32_t *)(const void *)bytes)[i];
        }
        if (tu_stats_add(s, wide, n, error) < 0)
            return -1;
    }
    return 0;
}

void tu_stats_bytes(struct tu_stats *s, const void *bytes, size_t length)
{
    tu_digest_add(s->digest, bytes, length);
}

/* An axis of no places, and groups of no values, have no values to end them. */
int tu_stats_end(struct tu_stats *s, struct tu_error *error)
{
    bool one_by_one = s->outer == 1;
    for (uint64_t i = 0; i < s->groups; i++) {
        if (one_by_one && s->next == s->groups * s->inner && s->inner)
            break;
        if (done(s, one_by_one ? 0 : i, i, error) < 0)
            return -1;
    }
    return 0;
}

void tu_stats_free(struct tu_stats *s)
{
    for (size_t i = 0; s->sketches && i < s->room.count; i++)
        tu_sketch_free(&s->sketches[i]);
    if (s->digest)
        tu_digest_free(s->digest);
    free(s->stats);
    free(s->sketches);
    free(s->channels);
    *s = (struct tu_stats){0};
}

/* ---- Axes ---- */

/* What a dimension counts, as the record of its tensor says; "" where it says nothing. */
static bool counts(const struct tu_tensor *t, uint32_t dimension, const char *what)
{
    const struct tensor_value *axes = tu_value_get(&t->scope.operation, "axes");
    return axes && axes->type == TENSOR_ARRAY && axes->array.count == t->rank &&
           dimension < t->rank && tu_value_equals(&axes->array.items[dimension], what);
}

/* Of dimensions without names the first counts tokens if there are as many as it is long. */
static bool is_token_axis(const struct tu_tensor *t, uint32_t i)
{
    bool named = tu_value_get(&t->scope.operation, "axes") != NULL;
    if (named)
        return counts(t, i, "token") || counts(t, i, "query");
    return i == 0 && t->rank > 1 && t->scope.has_tokens &&
           t->shape[0] == t->scope.tokens[1] - t->scope.tokens[0];
}

/* Dimensions [from, to) are the axis. */
static void span(struct tu_stats *s, const struct tu_tensor *t, uint32_t from, uint32_t to)
{
    s->outer = s->groups = s->inner = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        *(i < from ? &s->outer : i < to ? &s->groups : &s->inner) *= t->shape[i];
    if (t->elements == 0)
        s->outer = s->groups = s->inner = 0;
}

static bool find_axis(struct tu_stats *s, const struct tu_tensor *t)
{
    uint32_t last = t->rank ? t->rank - 1 : 0;
    bool attends = counts(t, last, "key");
    span(s, t, 0, 0);
    switch (s->axis) {
    case TU_STAT_ALL:
    case TU_STAT_AXES:
        return true;
    case TU_STAT_ROW:
        span(s, t, 0, last);
        return t->rank > 0;
    case TU_STAT_CHANNEL:
        span(s, t, last - counts(t, last, "dim"), t->rank);
        return t->rank > 0 && !attends;
    case TU_STAT_TOKEN:
    case TU_STAT_HEAD:
        break;
    }
    for (uint32_t i = 0; i < t->rank; i++) {
        if (s->axis == TU_STAT_TOKEN ? is_token_axis(t, i) : counts(t, i, "head")) {
            span(s, t, i, i + 1);
            return true;
        }
    }
    return false;
}

static void find_mask(struct tu_stats *s, const struct tu_tensor *t)
{
    bool causal = tu_value_get(&t->scope.operation, "mask") != NULL &&
                  tu_value_equals(tu_value_get(&t->scope.operation, "mask"), "causal");
    if (!causal || t->rank < 2 || t->elements == 0)
        return;
    s->width = t->shape[t->rank - 1];
    s->queries = t->shape[t->rank - 2];
}

/* A whole tensor with more than one row says which of its channels are the largest. */
static int keep_channels(struct tu_stats *s, const struct tu_tensor *t, struct tu_error *error)
{
    struct tu_stats of = {.axis = TU_STAT_CHANNEL};
    if (s->axis != TU_STAT_ALL || t->rank < 2 || !find_axis(&of, t) || of.groups < 2 ||
        of.groups > CHANNELS_MAX)
        return 0;
    s->channel_count = of.groups;
    s->channels = calloc(s->channel_count, sizeof *s->channels);
    return s->channels ? 0 : tu_fail_memory(error);
}

int tu_stats_begin(struct tu_stats *s, enum tu_stat_axis axis, const struct tu_tensor *t,
                   tu_stat_done_fn *fn, void *context, struct tu_error *error)
{
    *s = (struct tu_stats){.axis = axis, .done = fn, .context = context};
    if (!find_axis(s, t)) {
        s->no_axis = "it has no such axis";
        return 0;
    }
    if (axis == TU_STAT_ALL || (s->groups == 1 && t->elements)) {
        s->outer = s->groups = 1;
        s->inner = t->elements;
    }
    size_t kept = s->outer <= 1 ? 1 : s->groups <= GROUPS_MAX ? (size_t)s->groups : 0;
    if (!kept) {
        s->no_axis = "the axis has more than 262144 places";
        return 0;
    }
    find_mask(s, t);
    s->stats = calloc(kept, sizeof *s->stats);
    s->sketches = calloc(kept, sizeof *s->sketches);
    s->room = (struct tu_sketch_room){
        .sketches = s->sketches, .count = kept, .bits = TU_SKETCH_BITS, .budget = SKETCH_BYTES};
    s->digest = tu_digest_new(TU_XXH3, error);
    if (!s->digest)
        return -1;
    if (!s->stats || !s->sketches)
        return tu_fail_memory(error);
    return keep_channels(s, t, error) < 0 ? -1 : 1;
}
