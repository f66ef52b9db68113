/* SPDX-License-Identifier: MIT */
/* Refuses records that say what no record can, before a rule takes them at their word. */
#include "config.h"

#include "judge/schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/text.h"
#include "tensor/dtype.h"

/* The form of a field.  Of a record whose status is not ok a number may be NaN, as a cosine is that
 * does not exist; of any, a ratio may be infinite, as the error of a tensor of zeros is. */
enum form { TEXT, TYPE, LIST, COUNT, REAL, NUMBER, RATIO };

/* Of compare records.  REAL is always finite. */
static const struct {
    const char *name;
    enum form form;
} compare_fields[] = {
    {"name", TEXT},
    {"name_a", TEXT},
    {"name_b", TEXT},
    {"status", TEXT},
    {"reason", TEXT},
    {"transform", TEXT},
    {"hypothesis", TEXT},
    {"remedy", TEXT},
    {"relation", TEXT},
    {"stage_a", TEXT},
    {"stage_b", TEXT},
    {"dtype_a", TYPE},
    {"dtype_b", TYPE},
    {"shape_a", LIST},
    {"shape_b", LIST},
    {"tokens_a", LIST},
    {"tokens_b", LIST},
    {"ulp_histogram", LIST},
    {"argmax_a", LIST},
    {"argmax_b", LIST},
    {"top5_overlaps", LIST},
    {"kl_divergences", LIST},
    {"positions", COUNT},
    {"masked_count", COUNT},
    {"missing_slots", COUNT},
    {"worst_kl_position", COUNT},
    {"argmax_agreement", REAL},
    {"top5_overlap", REAL},
    {"kl_divergence", RATIO},
    {"worst_kl_divergence", RATIO},
    {"nll_a", RATIO},
    {"nll_b", RATIO},
    {"layer_a", COUNT},
    {"layer_b", COUNT},
    {"element_count", COUNT},
    {"identical_count", COUNT},
    {"nan_a", COUNT},
    {"nan_b", COUNT},
    {"nan_both", COUNT},
    {"inf_a", COUNT},
    {"inf_b", COUNT},
    {"inf_both", COUNT},
    {"rows_only_a", COUNT},
    {"rows_only_b", COUNT},
    {"worst_index", COUNT},
    {"first_diff_index", COUNT},
    {"row_length", COUNT},
    {"worst_row", COUNT},
    {"worst_cosine_row", COUNT},
    {"worst_gain_row", COUNT},
    {"worst_noise_row", COUNT},
    {"worst_column", COUNT},
    {"worst_cosine_column", COUNT},
    {"worst_step_row", COUNT},
    {"worst_beyond_row", COUNT},
    {"worst_row_beyond_step", COUNT},
    {"worst_far_row", COUNT},
    {"worst_row_far", COUNT},
    {"group_count", COUNT},
    {"identical_groups", COUNT},
    {"column_rows", COUNT},
    {"worst_step_column", COUNT},
    {"worst_angle_column", COUNT},
    {"worst_gain_column", COUNT},
    {"max_diff", REAL},
    {"norm_a", REAL},
    {"norm_b", REAL},
    {"worst_a", REAL},
    {"worst_b", REAL},
    {"most_steps", REAL},
    {"step_noise", REAL},
    {"beyond_step", REAL},
    {"worst_row_step_noise", REAL},
    {"worst_column_step_noise", REAL},
    {"worst_column_step_cosine", REAL},
    {"worst_column_step_gain", REAL},
    {"max_rel_diff", REAL},
    {"cosine_similarity", NUMBER},
    {"cosine_distance", NUMBER},
    {"mean_diff", NUMBER},
    {"rmse", NUMBER},
    {"norm_ratio", NUMBER},
    {"identical_share", NUMBER},
    {"worst_row_error", NUMBER},
    {"worst_row_cosine", NUMBER},
    {"worst_row_gain", NUMBER},
    {"worst_column_error", NUMBER},
    {"worst_column_cosine", NUMBER},
    {"beyond_tenth_percent", NUMBER},
    {"beyond_one_percent", NUMBER},
    {"beyond_ten_percent", NUMBER},
    {"hypothesis_cosine", NUMBER},
    {"nmse", RATIO},
    {"sqnr_db", RATIO},
    {"noise_ratio", RATIO},
    {"worst_row_noise_ratio", RATIO},
    {"trimmed_cosine", RATIO},
};
enum { COMPARE_FIELDS = sizeof compare_fields / sizeof *compare_fields };

/* What follows from others, and what records of other kinds have. */
static const char *const other_fields[] = {
    "norm_change", "cosine_f32", "differing_count", "scale_bias", "same_type", "coarser",
    "unproven", "kind",
    /* fact */
    "a", "b", "origin_a", "origin_b", "key_a", "key_b", "note", "facts",
    /* entry, total, hash, model_hash */
    "dtype", "shape", "packing", "elements", "nbytes", "tensors", "source", "digest",
    /* repeat, timing */
    "runs", "differing", "field", "first_difference", "value", "other_value", "how", "path",
    "dtype_w", "dtype_x", "instruction_sets", "threads", "instructions", "what", "median_ms",
    "p10_ms", "p90_ms", "gb_per_s", "share_of_peak", "gflop_per_s",
    /* explain */
    "dtype_against", "dtype_rounded", "rms", "share", "explains",
    /* origin, origins */
    "verdict", "error_in", "error_out", "gain", "own_error", "own_models", "own_a", "own_b",
    "floor", "excess", "cause", "weight", "fact", "failing_weights", "failing_weight", "from",
    "order", "op", "stage", "layer", "stages", "first", "clean", "carried", "made", "healed",
    "routing", "absent", "unknown",
    /* stat, health */
    "axis", "index", "count", "masked", "finite", "zeros", "nan", "inf", "first_nan", "mean", "std",
    "min", "max", "argmin", "argmax", "absmax", "l1", "l2", "skewness", "kurtosis",
    "quantile_error", "role", "position", "series_length", "ratio_prev", "log_ratio",
    "log_ratio_median", "log_ratio_mad", "robust_z", "spike", "rule", "denormals", "saturated",
    /* mapping, head, device */
    "mapping", "right", "right_cosine", "heads", "kv_heads", "head", "query_head", "key_head",
    "right_key_head", "cosines", "device", "capability", "multiprocessors", "memory",
    "peak_gb_per_s"};
enum { OTHER_FIELDS = sizeof other_fields / sizeof *other_fields };

const char *const tu_origin_verdicts[TU_ORIGIN_VERDICTS] = {
    "clean", "carried", "made", "healed", "routing", "absent", "unknown"};

const char *const tu_health_findings[TU_HEALTH_FINDINGS] = {
    "nan",          "nan_scale",     "inf",
    "zero",         "constant",      "dead_rows",
    "dead_columns", "constant_rows", "constant_columns",
    "duplicate",    "denormal",      "saturated"};

static const char *const statuses[] = {"ok", "only_a", "only_b", "shape_mismatch", "incomparable",
                                       "not_real", "nonfinite", "undefined", "layout", "extra", "side",
                                       /* fact */
                                       "same", "differs", "listed",
                                       /* hash */
                                       "unlisted"};

static const char *field_name(size_t i)
{
    return i < COMPARE_FIELDS ? compare_fields[i].name : other_fields[i - COMPARE_FIELDS];
}

bool tu_schema_has(const char *field)
{
    for (size_t i = 0; i < COMPARE_FIELDS + OTHER_FIELDS; i++)
        if (strcmp(field_name(i), field) == 0)
            return true;
    return false;
}

/* ---- Names that are like another ---- */

enum { NAME_MAX_BYTES = 64 };

/* A name that was cut short comes first: "cosine" is nearer to cosine_similarity than to cosines.
 */
const char *tu_schema_nearest(const char *field)
{
    const char *best = NULL;
    size_t length = strlen(field), closest = length / 3 + 1;
    if (length == 0 || length > NAME_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < COMPARE_FIELDS && length >= 4; i++)
        if (strncmp(field_name(i), field, length) == 0)
            return field_name(i);
    for (size_t i = 0; i < COMPARE_FIELDS + OTHER_FIELDS; i++) {
        const char *name = field_name(i);
        if (tu_edit_distance(field, name) < closest) {
            closest = tu_edit_distance(field, name);
            best = name;
        }
    }
    return best;
}

/* ---- Records ---- */

static bool is_finding(const struct tensor_value *value)
{
    for (size_t i = 0; i < TU_HEALTH_FINDINGS; i++)
        if (tu_value_equals(value, tu_health_findings[i]))
            return true;
    return false;
}

static bool is_status(const struct tensor_value *value)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (tu_value_equals(value, statuses[i]))
            return true;
    return false;
}

static bool is_origin_verdict(const struct tensor_value *value)
{
    for (size_t i = 0; i < TU_ORIGIN_VERDICTS; i++)
        if (value && tu_value_equals(value, tu_origin_verdicts[i]))
            return true;
    return false;
}

/* A record is named by its tensor, whose name may be the very thing that is wrong. */
static int refuse(const struct tensor_value *record, const char *field, const char *what,
                  struct tu_error *error)
{
    const char *name = "";
    size_t length = 0;
    char shown[256];
    (void)tu_value_string(tu_value_get(record, "name"), &name, &length);
    tu_escape(name, length, shown, sizeof shown);
    return tu_fail(error, TU_EINVALID, "a record%s%s%s: %s %s (was it made by a filter?)",
                   length ? " of '" : "", shown, length ? "'" : "", field, what);
}

static bool is_type(const struct tensor_value *value)
{
    const char *text;
    size_t length;
    return tu_value_string(value, &text, &length) && tu_dtype_by_name(text, length);
}

/* What is wrong with a value of a form; NULL: nothing. */
static const char *fault_of(const struct tensor_value *value, enum form form, bool ok)
{
    uint64_t count;
    double number = 0;
    switch (form) {
    case TEXT:
        return value->type == TENSOR_STRING ? NULL : "is no text";
    case TYPE:
        return is_type(value) ? NULL : "is no element type of tensor-types(7)";
    case LIST:
        return value->type == TENSOR_ARRAY ? NULL : "is no list";
    case COUNT:
        return tu_value_uint(value, &count) ? NULL : "is no natural number";
    case REAL:
    case NUMBER:
    case RATIO:
        break;
    }
    if (!tu_value_number(value, &number))
        return "is no number";
    if (form == RATIO || (form == NUMBER && !ok && isnan(number)))
        return NULL;
    return isfinite(number) ? NULL : isnan(number) ? "is NaN" : "is infinite";
}

/* The fields of a compare record, or of a map in it. */
static int check_fields(const struct tensor_value *record, const struct tensor_value *map, bool ok,
                        struct tu_error *error)
{
    for (size_t i = 0; i < COMPARE_FIELDS; i++) {
        const struct tensor_value *value = tu_value_get(map, compare_fields[i].name);
        const char *fault = value ? fault_of(value, compare_fields[i].form, ok) : NULL;
        if (fault)
            return refuse(record, compare_fields[i].name, fault, error);
    }
    return 0;
}

/* The health of a tensor is its status, and nothing else. */
static int check_health(const struct tensor_value *record, struct tu_error *error)
{
    const struct tensor_value *status = tu_value_get(record, "status"),
                              *name = tu_value_get(record, "name");
    uint64_t elements;
    if (!name || name->type != TENSOR_STRING || !name->string.length)
        return refuse(record, "its name", name ? "is no text" : "is missing", error);
    if (!status || !(is_finding(status) || tu_value_equals(status, "ok") ||
                     tu_value_equals(status, "not_real")))
        return refuse(record, "its status", status ? "is no finding" : "is missing", error);
    if (!tu_value_uint(tu_value_get(record, "element_count"), &elements))
        return refuse(record, "element_count", "is no natural number", error);
    return 0;
}

int tu_schema_check(const struct tensor_value *record, struct tu_error *error)
{
    const struct tensor_value *status = tu_value_get(record, "status"),
                              *name = tu_value_get(record, "name");
    bool compare = tu_value_equals(tu_value_get(record, "kind"), "compare");
    bool ok = !status || tu_value_equals(status, "ok");
    if (tu_value_equals(tu_value_get(record, "kind"), "health"))
        return check_health(record, error);
    if (tu_value_equals(tu_value_get(record, "kind"), "origin") &&
        !is_origin_verdict(tu_value_get(record, "verdict")))
        return refuse(record, "its verdict", "is no word that is known", error);
    if (name ? name->type != TENSOR_STRING || !name->string.length : compare)
        return refuse(record, "its name", name ? "is no text" : "is missing", error);
    if (status && !is_status(status))
        return refuse(record, "its status", "is no word that is known", error);
    const struct tensor_value *fitted = compare ? tu_value_get(record, "fitted") : NULL;
    if (compare && check_fields(record, record, ok, error) < 0)
        return -1;
    if (fitted && fitted->type != TENSOR_MAP)
        return refuse(record, "fitted", "is no map", error);
    return fitted ? check_fields(record, fitted, true, error) : 0;
}
