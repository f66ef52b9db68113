/* SPDX-License-Identifier: MIT */
/* Says the result for one name as a record of kind "compare", a field for each thing that is known.
 */
#include "config.h"

#include "compare/record.h"

#include <math.h>
#include <string.h>

const struct tu_column tu_compare_columns[] = {
    {.key = "status", .title = "status", .width = -14},
    {.key = "cosine_similarity", .title = "cosine", .width = -12},
    {.key = "cosine_distance", .title = "cosine_distance", .width = -12, .detail = true},
    {.key = "max_diff", .title = "max_diff", .width = -12},
    {.key = "mean_diff", .title = "mean_diff", .width = -12, .detail = true},
    {.key = "rmse", .title = "rmse", .width = -12},
    {.key = "nmse", .title = "nmse", .width = -12, .detail = true},
    {.key = "sqnr_db", .title = "sqnr_db", .width = -12, .detail = true},
    {.key = "max_rel_diff", .title = "max_rel_diff", .width = -12, .detail = true},
    {.key = "element_count", .title = "elements", .width = 11},
    {.key = "identical_count", .title = "identical", .width = 11},
    {.key = "nan_a", .title = "nan_a", .width = 8, .detail = true},
    {.key = "nan_b", .title = "nan_b", .width = 8, .detail = true},
    {.key = "nan_both", .title = "nan_both", .width = 8, .detail = true},
    {.key = "inf_a", .title = "inf_a", .width = 8, .detail = true},
    {.key = "inf_b", .title = "inf_b", .width = 8, .detail = true},
    {.key = "norm_a", .title = "norm_a", .width = -12, .detail = true},
    {.key = "norm_b", .title = "norm_b", .width = -12, .detail = true},
    {.key = "worst_index", .title = "worst_index", .width = 12, .detail = true},
    {.key = "worst_a", .title = "worst_a", .width = -12, .detail = true},
    {.key = "worst_b", .title = "worst_b", .width = -12, .detail = true},
    {.key = "dtype_a", .title = "a", .width = -6},
    {.key = "dtype_b", .title = "b", .width = -6},
    {.key = "shape_a", .title = "shape_a", .width = -16, .detail = true},
    {.key = "shape_b", .title = "shape_b", .width = -16, .detail = true},
    {.key = "name", .title = "name"},
    {.key = "transform", .title = "transform", .width = -12, .detail = true},
    {.key = "name_b", .title = "name_b", .width = -12, .detail = true},
    {.key = "inf_both", .title = "inf_both", .width = 8, .detail = true},
    {.key = "first_diff_index", .title = "first_diff_index", .width = 12, .detail = true},
    {.key = "row_length", .title = "row_length", .width = 10, .detail = true},
    {.key = "worst_row", .title = "worst_row", .width = 10, .detail = true},
    {.key = "worst_row_error", .title = "worst_row_error", .width = -12, .detail = true},
    {.key = "worst_cosine_row", .title = "worst_cosine_row", .width = 10, .detail = true},
    {.key = "worst_row_cosine", .title = "worst_row_cosine", .width = -12, .detail = true},
    {.key = "worst_gain_row", .title = "worst_gain_row", .width = 10, .detail = true},
    {.key = "worst_row_gain", .title = "worst_row_gain", .width = -12, .detail = true},
    {.key = "norm_ratio", .title = "norm_ratio", .width = -12, .detail = true},
    {.key = "noise_ratio", .title = "noise_ratio", .width = -12, .detail = true},
    {.key = "worst_noise_row", .title = "worst_noise_row", .width = 10, .detail = true},
    {.key = "worst_row_noise_ratio",
     .title = "worst_row_noise_ratio",
     .width = -12,
     .detail = true},
    {.key = "trimmed_cosine", .title = "trimmed_cosine", .width = -12, .detail = true},
    {.key = "worst_column", .title = "worst_column", .width = 10, .detail = true},
    {.key = "worst_column_error", .title = "worst_column_error", .width = -12, .detail = true},
    {.key = "worst_cosine_column", .title = "worst_cosine_column", .width = 10, .detail = true},
    {.key = "worst_column_cosine", .title = "worst_column_cosine", .width = -12, .detail = true},
    {.key = "beyond_tenth_percent", .title = "beyond_tenth_percent", .width = -12, .detail = true},
    {.key = "beyond_one_percent", .title = "beyond_one_percent", .width = -12, .detail = true},
    {.key = "beyond_ten_percent", .title = "beyond_ten_percent", .width = -12, .detail = true},
    {.key = "ulp_histogram", .title = "ulp_histogram", .width = -12, .detail = true},
    {.key = "stage_a", .title = "stage_a", .width = -8, .detail = true},
    {.key = "stage_b", .title = "stage_b", .width = -8, .detail = true},
    {.key = "layer_a", .title = "layer_a", .width = 7, .detail = true},
    {.key = "layer_b", .title = "layer_b", .width = 7, .detail = true},
    {.key = "tokens_a", .title = "tokens_a", .width = -8, .detail = true},
    {.key = "tokens_b", .title = "tokens_b", .width = -8, .detail = true},
    {.key = "reason", .title = "reason", .width = -12, .detail = true},
    {.key = "rows_only_a", .title = "rows_only_a", .width = 8, .detail = true},
    {.key = "rows_only_b", .title = "rows_only_b", .width = 8, .detail = true},
    {.key = "hypothesis", .title = "hypothesis", .remark = true},
    {.key = "hypothesis_cosine", .title = "hypothesis_cosine", .width = -12, .detail = true},
    {.key = "remedy", .title = "remedy", .width = -12, .detail = true},
    {.key = "relation", .title = "relation", .width = -12, .detail = true},
    {.key = "step_noise", .title = "step_noise", .width = -12, .detail = true},
    {.key = "most_steps", .title = "most_steps", .width = -12, .detail = true},
    {.key = "beyond_step", .title = "beyond_step", .width = -12, .detail = true},
    {.key = "worst_step_row", .title = "worst_step_row", .width = 10, .detail = true},
    {.key = "worst_row_step_noise", .title = "worst_row_step_noise", .width = -12, .detail = true},
    {.key = "worst_beyond_row", .title = "worst_beyond_row", .width = 10, .detail = true},
    {.key = "worst_row_beyond_step", .title = "worst_row_beyond_step", .width = 10, .detail = true},
    {.key = "worst_far_row", .title = "worst_far_row", .width = 10, .detail = true},
    {.key = "worst_row_far", .title = "worst_row_far", .width = 10, .detail = true},
    {.key = "group_count", .title = "group_count", .width = 10, .detail = true},
    {.key = "identical_groups", .title = "identical_groups", .width = 10, .detail = true},
    {.key = "column_rows", .title = "column_rows", .width = 10, .detail = true},
    {.key = "worst_step_column", .title = "worst_step_column", .width = 10, .detail = true},
    {.key = "worst_column_step_noise",
     .title = "worst_column_step_noise",
     .width = -12,
     .detail = true},
    {.key = "worst_angle_column", .title = "worst_angle_column", .width = 10, .detail = true},
    {.key = "worst_column_step_cosine",
     .title = "worst_column_step_cosine",
     .width = -12,
     .detail = true},
    {.key = "worst_gain_column", .title = "worst_gain_column", .width = 10, .detail = true},
    {.key = "worst_column_step_gain",
     .title = "worst_column_step_gain",
     .width = -12,
     .detail = true},
    {.key = "masked_count", .title = "masked_count", .width = 10, .detail = true},
    {.key = "missing_slots", .title = "missing_slots", .width = 10, .detail = true},
    {.key = "positions", .title = "positions", .width = 10, .detail = true},
    {.key = "argmax_agreement", .title = "argmax_agreement", .width = -12, .detail = true},
    {.key = "top5_overlap", .title = "top5_overlap", .width = -12, .detail = true},
    {.key = "kl_divergence", .title = "kl_divergence", .width = -12, .detail = true},
    {.key = "worst_kl_divergence", .title = "worst_kl_divergence", .width = -12, .detail = true},
    {.key = "worst_kl_position", .title = "worst_kl_position", .width = 10, .detail = true},
    {.key = "nll_a", .title = "nll_a", .width = -12, .detail = true},
    {.key = "nll_b", .title = "nll_b", .width = -12, .detail = true},
    {0},
};

static const char *status_of(const struct tu_pair_result *r)
{
    if (r->layout)
        return "layout";
    switch (r->match) {
    case TU_MATCH_ONLY_A:
        return "only_a";
    case TU_MATCH_ONLY_B:
        return "only_b";
    case TU_MATCH_SHAPES:
        return "shape_mismatch";
    case TU_MATCH_POPULATIONS:
        return "incomparable";
    case TU_MATCH_NOT_REAL:
        return "not_real";
    case TU_MATCH_EXTRA:
        return "extra";
    case TU_MATCH_SIDE:
        return "side";
    case TU_MATCH_BOTH:
        break;
    }
    if (r->sums.finite != r->sums.elements)
        return "nonfinite";
    return r->sums.aa.value > 0 && r->sums.bb.value > 0 ? "ok" : "undefined";
}

static int put_side(struct tu_builder *b, const struct tu_tensor *t, const char *shape,
                    const char *dtype, const char *suffix, struct tu_error *error)
{
    if (!t)
        return 0;
    if (tu_put_shape(b, shape, t->shape, t->rank, error) < 0 ||
        tu_put_string(b, dtype, tu_dtype(t->dtype)->name, error) < 0)
        return -1;
    return tu_scope_put(b, &t->scope, suffix, error);
}

static int put_reals(struct tu_builder *b, const struct tu_partial *s, const struct tu_metrics *m,
                     struct tu_error *error)
{
    const struct {
        const char *key;
        double value;
    } reals[] = {
        {"cosine_similarity", m->cosine_similarity},
        {"cosine_distance", m->cosine_distance},
        {"max_diff", s->max_diff},
        {"mean_diff", m->mean_diff},
        {"rmse", m->rmse},
        {"nmse", m->nmse},
        {"sqnr_db", m->sqnr_db},
        {"max_rel_diff", s->max_rel_diff},
        {"norm_a", m->norm_a},
        {"norm_b", m->norm_b},
        {"norm_ratio", m->norm_ratio},
    };
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        if (tu_put_real(b, reals[i].key, reals[i].value, error) < 0)
            return -1;
    return 0;
}

static int put_counts(struct tu_builder *b, const struct tu_partial *s, struct tu_error *error)
{
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {
        {"identical_count", s->identical}, {"nan_a", s->nan_a}, {"nan_b", s->nan_b},
        {"nan_both", s->nan_both},         {"inf_a", s->inf_a}, {"inf_b", s->inf_b},
        {"inf_both", s->inf_both},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (tu_put_uint(b, counts[i].key, counts[i].value, error) < 0)
            return -1;
    return 0;
}

/* Where the largest difference is, if there is one. */
static int put_worst(struct tu_builder *b, const struct tu_partial *s, struct tu_error *error)
{
    if (!(s->max_diff > 0))
        return 0;
    if (tu_put_uint(b, "worst_index", s->worst_index, error) < 0 ||
        tu_put_real(b, "worst_a", s->worst_a, error) < 0)
        return -1;
    return tu_put_real(b, "worst_b", s->worst_b, error);
}

static int put_first_diff(struct tu_builder *b, const struct tu_partial *s, struct tu_error *error)
{
    return s->differs ? tu_put_uint(b, "first_diff_index", s->first_diff, error) : 0;
}

/* A tensor of one row has no worst. */
static int put_worst_rows(struct tu_builder *b, const struct tu_pair_result *r,
                          struct tu_error *error)
{
    const struct tu_worst_rows *w = &r->sums.rows;
    if (!w->known || r->row >= r->elements)
        return 0;
    if (tu_put_uint(b, "row_length", r->row, error) < 0 ||
        tu_put_uint(b, "worst_row", w->error_row, error) < 0 ||
        tu_put_real(b, "worst_row_error", sqrt(w->error), error) < 0 ||
        tu_put_uint(b, "worst_cosine_row", w->cosine_row, error) < 0)
        return -1;
    if (tu_put_real(b, "worst_row_cosine", w->cosine, error) < 0)
        return -1;
    uint64_t row;
    double gain = tu_partial_gain(&r->sums, &row);
    if (isnan(gain))
        return 0;
    return tu_put_uint(b, "worst_gain_row", row, error) < 0
               ? -1
               : tu_put_real(b, "worst_row_gain", gain, error);
}

/* Where a side predicts its noise. */
static int put_noise(struct tu_builder *b, const struct tu_pair_result *r,
                     const struct tu_metrics *m, struct tu_error *error)
{
    const struct tu_worst_rows *w = &r->sums.rows;
    if (isnan(m->noise_ratio))
        return 0;
    if (tu_put_real(b, "noise_ratio", m->noise_ratio, error) < 0)
        return -1;
    if (!w->predicted || r->row >= r->elements)
        return 0;
    if (tu_put_uint(b, "worst_noise_row", w->noise_row, error) < 0)
        return -1;
    return tu_put_real(b, "worst_row_noise_ratio", 12 * w->noise, error);
}

/* The rows that are the most steps apart. */
static int put_step_rows(struct tu_builder *b, const struct tu_pair_result *r,
                         struct tu_error *error)
{
    const struct tu_apart_rows *w = &r->sums.rows.apart;
    if (!w->known || r->row >= r->elements)
        return 0;
    if (tu_put_uint(b, "worst_step_row", w->squares_row, error) < 0 ||
        tu_put_real(b, "worst_row_step_noise", 12 * w->most.squares / (double)r->row, error) < 0 ||
        tu_put_uint(b, "worst_beyond_row", w->beyond_row, error) < 0 ||
        tu_put_uint(b, "worst_row_beyond_step", w->most.beyond, error) < 0)
        return -1;
    return tu_put_uint(b, "worst_far_row", w->far_row, error) < 0
               ? -1
               : tu_put_uint(b, "worst_row_far", w->most.far, error);
}

static int put_groups(struct tu_builder *b, const struct tu_pair_result *r, struct tu_error *error)
{
    if (!r->resolution.alike)
        return 0;
    return tu_put_uint(b, "group_count", r->sums.groups.all, error) < 0
               ? -1
               : tu_put_uint(b, "identical_groups", r->sums.groups.same, error);
}

static int put_step_columns(struct tu_builder *b, const struct tu_pair_result *r,
                            struct tu_error *error)
{
    const double most_gain = 0x1p63; /* of a column that was zero, too */
    const struct tu_columns_metrics *m = &r->columns;
    if (!m->known)
        return 0;
    if (tu_put_uint(b, "column_rows", r->column_rows, error) < 0 ||
        tu_put_uint(b, "worst_step_column", m->square_column, error) < 0 ||
        tu_put_real(b, "worst_column_step_noise", 12 * m->square, error) < 0)
        return -1;
    if (!m->has_cosine)
        return 0;
    if (tu_put_uint(b, "worst_angle_column", m->cosine_column, error) < 0 ||
        tu_put_real(b, "worst_column_step_cosine", m->cosine, error) < 0 ||
        tu_put_uint(b, "worst_gain_column", m->gain_column, error) < 0)
        return -1;
    return tu_put_real(b, "worst_column_step_gain", fmin(m->gain, most_gain), error);
}

/* Where a side has steps. */
static int put_steps(struct tu_builder *b, const struct tu_pair_result *r, struct tu_error *error)
{
    enum { ENOUGH = 1024 };
    const double most = 0x1p63; /* what is further off has no other number */
    const struct tu_partial *s = &r->sums;
    if (!r->resolution.known || !s->finite)
        return 0;
    /* Of few numbers the mean wanders. */
    if (s->finite >= ENOUGH &&
        tu_put_real(b, "step_noise", 12 * s->apart.squares / (double)s->finite, error) < 0)
        return -1;
    if (tu_put_real(b, "most_steps", fmin((double)s->most_apart, most), error) < 0 ||
        tu_put_real(b, "beyond_step", (double)s->apart.beyond / (double)s->finite, error) < 0 ||
        put_step_rows(b, r, error) < 0 || put_groups(b, r, error) < 0)
        return -1;
    return put_step_columns(b, r, error);
}

/* Whether both sides are of one type of 8 bits, which leaves a quantizer no choice: two that were
 * made from the same weights are the same, up to what these were rounded to before, as to BF16. */
static bool has_no_choice(const struct tu_pair_result *r)
{
    enum tensor_dtype type = r->a->dtype;
    return type == r->b->dtype &&
           (type == TENSOR_Q8_0 || type == TENSOR_Q8_1 || type == TENSOR_Q8_K);
}

/* Whether both sides are blocks of one type, seven tenths of which and more are equal: a copy,
 * since who quantizes weights anew chooses other scales in most blocks. */
static bool is_copy(const struct tu_pair_result *r)
{
    const struct tu_groups *g = &r->sums.groups;
    return r->resolution.alike && g->all && 10 * g->same >= 7 * g->all;
}

/* Whether what differs in a copy is more than another precision of the source, or a conversion
 * there and back, makes of it: codes on the other side of a tie, and scales next to what they were,
 * here and there alike.  Scales of FP4, which are powers of two or have three bits, are further
 * from the next one, and a large number may lie between.  tensor-rules(5) has what was measured; of
 * short rows and columns the mean wanders. */
static bool is_damaged_copy(const struct tu_pair_result *r)
{
    enum { ROW = 256, LONG_ROW = 1024, COLUMN = 64 };
    const double farthest = 3.2, gain = 0.02;
    bool fp4 = r->a->dtype == TENSOR_MXFP4 || r->a->dtype == TENSOR_NVFP4;
    const double row_noise = fp4 ? 0.7 : 0.4, column_noise = fp4 ? 0.8 : 0.6;
    const struct tu_apart_rows *w = &r->sums.rows.apart;
    double rows = fmin(1, (double)r->column_rows / COLUMN), length = (double)r->row;
    uint64_t row;
    if ((double)r->sums.most_apart > farthest ||
        (r->columns.known && 12 * r->columns.square * rows > column_noise))
        return true;
    if (r->row >= r->elements)
        return false;
    double grown = fabs(tu_partial_gain(&r->sums, &row) - 1);
    return (!fp4 && grown > gain * sqrt(fmax(1, LONG_ROW / length))) ||
           (w->known && 12 * w->most.squares > row_noise * fmax(length, ROW));
}

static const char *relate(const struct tu_pair_result *r)
{
    const double half = 0.5 * (1 + 0x1p-8); /* a number that was rounded twice may be further off */
    const struct tu_resolution *steps = &r->resolution;
    const struct tu_partial *s = &r->sums;
    bool blocks = tu_dtype(r->a->dtype)->kind == TENSOR_KIND_QUANT ||
                  tu_dtype(r->b->dtype)->kind == TENSOR_KIND_QUANT;
    double noise = 12 * s->apart.squares / (double)s->finite;
    double loudest = has_no_choice(r) ? 0.65 : 3;
    double most = steps->spacing[0] && steps->spacing[1] ? half * sqrt(2) : half;
    if (s->identical - s->inf_both == s->finite) /* of what is finite; the rest has a status */
        return r->a->dtype == r->b->dtype ? "identical" : "widened";
    if (tu_resolution_has_blocks(steps))
        return noise > loudest || (is_copy(r) && is_damaged_copy(r)) ? "changed"
               : steps->blocks[0] && steps->blocks[1]                ? "requantized"
                                                                     : "rounded";
    if (steps->known)
        return (double)s->most_apart <= most ? "rounded" : "changed";
    return blocks || r->shifted ? NULL : "changed";
}

const char *tu_compare_relation(const struct tu_pair_result *r)
{
    bool weights = (r->match == TU_MATCH_BOTH || r->counted) && !tu_scope_is_known(&r->a->scope) &&
                   !tu_scope_is_known(&r->b->scope);
    if (!weights || !r->elements)
        return NULL;
    return !r->counted ? relate(r) : r->identical == r->elements ? "identical" : "changed";
}

static int put_relation(struct tu_builder *b, const struct tu_pair_result *r,
                        struct tu_error *error)
{
    const char *relation = tu_compare_relation(r);
    return relation ? tu_put_string(b, "relation", relation, error) : 0;
}

static int put_worst_columns(struct tu_builder *b, const struct tu_full_metrics *m,
                             struct tu_error *error)
{
    if (!m->columns)
        return 0;
    if (tu_put_uint(b, "worst_column", m->error_column, error) < 0 ||
        tu_put_real(b, "worst_column_error", m->error, error) < 0 ||
        tu_put_uint(b, "worst_cosine_column", m->cosine_column, error) < 0)
        return -1;
    return tu_put_real(b, "worst_column_cosine", m->cosine, error);
}

static int put_ulps(struct tu_builder *b, const struct tu_full *d, struct tu_error *error)
{
    unsigned buckets = TU_ULP_BUCKETS;
    while (buckets && !d->ulps[buckets - 1])
        buckets--;
    return d->plan->ulps ? tu_put_shape(b, "ulp_histogram", d->ulps, buckets, error) : 0;
}

/* What --metrics full adds. */
static int put_full(struct tu_builder *b, const struct tu_pair_result *r, struct tu_error *error)
{
    static const char *const beyond[] = {"beyond_tenth_percent", "beyond_one_percent",
                                         "beyond_ten_percent"};
    if (!r->full)
        return 0;
    if (tu_put_real(b, "trimmed_cosine", r->full_metrics->trimmed_cosine, error) < 0 ||
        put_worst_columns(b, r->full_metrics, error) < 0)
        return -1;
    for (size_t i = 0; i < 3; i++) {
        double share = (double)r->full->beyond[i] / (double)r->sums.finite;
        if (tu_put_real(b, beyond[i], share, error) < 0)
            return -1;
    }
    return put_ulps(b, r->full, error);
}

static int put_positions(struct tu_builder *b, const char *key, const double *x, uint64_t count,
                         struct tu_error *error)
{
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_FLOAT64, error) < 0)
        return -1;
    for (uint64_t i = 0; i < count; i++)
        if (tu_put_real(b, NULL, x[i], error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

/* Of logits: each position, and all of them. */
static int put_logits(struct tu_builder *b, const struct tu_logits *l, struct tu_error *error)
{
    static const char *const likelihoods[] = {"nll_a", "nll_b"};
    if (!l)
        return 0;
    unsigned n = (unsigned)l->positions;
    if (tu_put_uint(b, "positions", l->positions, error) < 0 ||
        tu_put_real(b, "argmax_agreement", (double)l->agreeing / (double)l->positions, error) < 0 ||
        tu_put_real(b, "top5_overlap", l->top_share, error) < 0 ||
        tu_put_real(b, "kl_divergence", l->mean, error) < 0 ||
        tu_put_real(b, "worst_kl_divergence", l->most, error) < 0 ||
        tu_put_uint(b, "worst_kl_position", l->most_position, error) < 0 ||
        tu_put_shape(b, "argmax_a", l->argmax[0], n, error) < 0 ||
        tu_put_shape(b, "argmax_b", l->argmax[1], n, error) < 0 ||
        tu_put_shape(b, "top5_overlaps", l->overlap, n, error) < 0 ||
        put_positions(b, "kl_divergences", l->divergence, l->positions, error) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (!isnan(l->likelihood[i]) && tu_put_real(b, likelihoods[i], l->likelihood[i], error) < 0)
            return -1;
    return 0;
}

static int put_hypothesis(struct tu_builder *b, const struct tu_hypothesis *h,
                          struct tu_error *error)
{
    if (!h->text)
        return 0;
    if (tu_put_string(b, "hypothesis", h->text, error) < 0 ||
        tu_put_real(b, "hypothesis_cosine", h->cosine, error) < 0)
        return -1;
    return h->remedy ? tu_put_string(b, "remedy", h->remedy, error) : 0;
}

static int put_numbers(struct tu_builder *b, const struct tu_pair_result *r, struct tu_error *error)
{
    const struct tu_metrics m = tu_partial_metrics(&r->sums);
    if (put_reals(b, &r->sums, &m, error) < 0 || put_counts(b, &r->sums, error) < 0 ||
        put_worst(b, &r->sums, error) < 0 || put_first_diff(b, &r->sums, error) < 0)
        return -1;
    if (put_worst_rows(b, r, error) < 0 || put_noise(b, r, &m, error) < 0 ||
        put_steps(b, r, error) < 0 || put_relation(b, r, error) < 0)
        return -1;
    return put_full(b, r, error) < 0 ? -1 : put_logits(b, r->logits, error);
}

/* Of another layout: the numbers that its record would have if that were the one that is stated. It
 * has no status of its own, so that who looks for one in a line finds that of the record. */
static int put_fitted(struct tu_builder *b, const struct tu_pair_result *r, struct tu_error *error)
{
    struct tu_pair_result fitted = *r;
    if (!r->layout)
        return 0;
    fitted.sums = r->hypothesis.sums;
    fitted.resolution = r->hypothesis.resolution;
    fitted.row = r->hypothesis.row;
    fitted.elements = fitted.sums.elements;
    fitted.columns = (struct tu_columns_metrics){0};
    fitted.full = NULL;
    fitted.logits = NULL;
    if (tu_builder_open(b, "fitted", strlen("fitted"), TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_string(b, "dtype_a", tu_dtype(r->a->dtype)->name, error) < 0 ||
        tu_put_string(b, "dtype_b", tu_dtype(r->b->dtype)->name, error) < 0 ||
        tu_put_uint(b, "element_count", fitted.elements, error) < 0 ||
        put_numbers(b, &fitted, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

/* Of numbers that are not real: how many are equal, and which is the first that is not. */
static int put_equal(struct tu_builder *b, const struct tu_pair_result *r, struct tu_error *error)
{
    if (!r->counted)
        return 0;
    if (tu_put_uint(b, "identical_count", r->identical, error) < 0 ||
        (r->identical != r->elements &&
         tu_put_uint(b, "first_diff_index", r->first_diff, error) < 0))
        return -1;
    return put_relation(b, r, error);
}

static int fill_compare(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_pair_result *r = subject;
    if (tu_put_string(b, "kind", "compare", error) < 0 ||
        tu_put_string(b, "name", r->name, error) < 0 ||
        tu_put_string(b, "status", status_of(r), error) < 0 ||
        put_side(b, r->a, "shape_a", "dtype_a", "_a", error) < 0 ||
        put_side(b, r->b, "shape_b", "dtype_b", "_b", error) < 0 ||
        (r->reason && tu_put_string(b, "reason", r->reason, error) < 0) ||
        (r->name_a && tu_put_string(b, "name_a", r->name_a, error) < 0) ||
        (r->name_b && tu_put_string(b, "name_b", r->name_b, error) < 0) ||
        (r->transform && tu_put_string(b, "transform", r->transform, error) < 0) ||
        (r->rows_only[0] && tu_put_uint(b, "rows_only_a", r->rows_only[0], error) < 0) ||
        (r->rows_only[1] && tu_put_uint(b, "rows_only_b", r->rows_only[1], error) < 0) ||
        tu_put_uint(b, "element_count", r->elements, error) < 0 ||
        (r->hidden && tu_put_uint(b, "masked_count", r->hidden, error) < 0) ||
        (r->missing_slots && tu_put_uint(b, "missing_slots", r->missing_slots, error) < 0))
        return -1;
    if (put_equal(b, r, error) < 0 || (r->match == TU_MATCH_BOTH && put_numbers(b, r, error) < 0))
        return -1;
    return put_hypothesis(b, &r->hypothesis, error) < 0 ? -1 : put_fitted(b, r, error);
}

int tu_compare_record(const struct tu_pair_result *r, struct tu_arena *arena,
                      struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (fill_compare(&b, r, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}
