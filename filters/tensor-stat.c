/* SPDX-License-Identifier: MIT */
/* tensor-stat: statistics of tensors, of their series across layers, and the health of one model.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/stat/health.h"
#include "compute/stat/series.h"
#include "compute/stat/stat.h"
#include "compute/stat/walk.h"
#include "stream/record.h"
#include "tool/main.h"

static struct tu_tool tool;
static struct tu_output output;
static enum tu_stat_axis axis = TU_STAT_ALL;
static bool in_series, checking;

static int parse_axis(void *target, const char *text, struct tu_error *error)
{
    for (int i = 0; i < TU_STAT_AXES; i++) {
        if (strcmp(text, tu_stat_axis_names[i]) == 0) {
            *(enum tu_stat_axis *)target = (enum tu_stat_axis)i;
            return 0;
        }
    }
    return tu_fail(error, TU_EUSAGE, "'%s' is none of all, token, head, channel and row", text);
}

static const struct tu_option options[] = {
    {0, "axis", "AXIS", "of each token, head, channel or row; all (default): of the whole",
     parse_axis, &axis},
    {0, "series", NULL, "hold each layer against those of the same stage", tu_option_flag,
     &in_series},
    {0, "health", NULL, "put out what is sick about a model instead, for verdict", tu_option_flag,
     &checking},
    TU_PACKS_OPTION(tool),
    TU_SELECT_OPTIONS(tool),
    TU_LIMIT_OPTION(tool),
    TU_SORT_OPTION(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

static const struct tu_column series_columns[] = {
    {.key = "spike", .title = "spike", .width = -6},
    {.key = "rms", .title = "rms", .width = -10},
    {.key = "ratio_prev", .title = "ratio_prev", .width = -10},
    {.key = "log_ratio", .title = "log_ratio", .width = -10},
    {.key = "robust_z", .title = "robust_z", .width = -10},
    {.key = "position", .title = "position", .width = 8},
    {.key = "series_length", .title = "of", .width = 5},
    {.key = "axis", .title = "axis", .width = -7, .detail = true},
    {.key = "index", .title = "index", .width = 7, .detail = true},
    {.key = "log_ratio_median", .title = "median", .width = -10, .detail = true},
    {.key = "log_ratio_mad", .title = "mad", .width = -10, .detail = true},
    {.key = "rule", .title = "rule", .width = -40, .detail = true},
    {.key = "role", .title = "role", .width = -30, .detail = true},
    {.key = "name", .title = "name"},
    {0},
};

static const struct tu_column health_columns[] = {
    {.key = "status", .title = "status", .width = -16},
    {.key = "dtype", .title = "dtype", .width = -8},
    {.key = "shape", .title = "shape", .width = -16},
    {.key = "element_count", .title = "elements", .width = 10, .detail = true},
    {.key = "nan", .title = "nan", .width = 5, .detail = true},
    {.key = "inf", .title = "inf", .width = 5, .detail = true},
    {.key = "zeros", .title = "zeros", .width = 6, .detail = true},
    {.key = "denormals", .title = "denormals", .width = 9, .detail = true},
    {.key = "saturated", .title = "saturated", .width = 9, .detail = true},
    {.key = "reason", .title = "reason", .remark = true},
    {.key = "name", .title = "name"},
    {0},
};

/* ---- Statistics ---- */

/* What a series needs of a record until all have come. */
static struct {
    struct tu_arena arena;
    struct tensor_value *records;
    struct tu_series_member *members;
    size_t count, records_capacity, members_capacity;
} kept;

/* Tensors that have no such axis. */
static uint64_t without_axis, with_axis;
static char first_without[256];

static int keep(const struct tensor_value *record, const struct tu_tensor *t,
                const struct tu_stat *stat, uint64_t index, struct tu_error *error)
{
    if (!TU_GROW(kept.records, kept.count, kept.records_capacity) ||
        !TU_GROW(kept.members, kept.count, kept.members_capacity))
        return tu_fail_memory(error);
    struct tu_series_member *m = &kept.members[kept.count];
    *m = (struct tu_series_member){.index = index};
    if (tu_series_describe(t, &kept.arena, m, error) < 0 ||
        tu_value_copy(record, &kept.arena, &kept.records[kept.count], error) < 0)
        return -1;
    m->has_rms = tu_value_number(tu_value_get(record, "rms"), &m->rms) && !stat->nan && !stat->inf;
    kept.count++;
    return 0;
}

static int fill_stat(struct tu_builder *b, const struct tu_item *item, struct tu_stats *s,
                     struct tu_stat *stat, uint64_t index, struct tu_error *error)
{
    if (tu_put_string(b, "kind", "stat", error) < 0 || tu_put_tensor(b, &item->tensor, error) < 0 ||
        tu_put_extra(b, &item->tensor, &item->map, error) < 0)
        return -1;
    if (!s)
        return tu_put_string(b, "status", "not_real", error);
    return tu_stats_put(s, stat, index, b, error);
}

static int put_stat(const struct tu_item *item, struct tu_stats *s, struct tu_stat *stat,
                    uint64_t index, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_builder b;
    struct tensor_value record;
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int result = fill_stat(&b, item, s, stat, index, error);
    if (result < 0)
        tu_builder_cancel(&b);
    else if ((result = tu_builder_end(&b, &record, error)) == 0)
        result = in_series && s ? keep(&record, &item->tensor, stat, index, error)
                                : tu_output_record(&output, &record, error);
    tu_arena_free(&arena);
    return result;
}

static int group_done(void *context, struct tu_stats *s, struct tu_stat *stat, uint64_t index,
                      struct tu_error *error)
{
    return put_stat(context, s, stat, index, error);
}

static int add_values(void *context, const void *bytes, size_t length, const double *values,
                      size_t count, struct tu_error *error)
{
    struct tu_stats *s = context;
    tu_stats_bytes(s, bytes, length);
    return tu_stats_add(s, values, count, error);
}

static void note_no_axis(const struct tu_item *item, const char *why)
{
    if (without_axis++ == 0)
        snprintf(first_without, sizeof first_without, "%.200s: %s", item->tensor.name, why);
}

static int measure(struct tu_feed *feed, struct tu_item *item, struct tu_error *error)
{
    struct tu_stats s;
    if (!tu_walk_is_real(&tool.session, item->tensor.dtype))
        return put_stat(item, NULL, NULL, 0, error);
    int result = tu_stats_begin(&s, axis, &item->tensor, group_done, item, error);
    if (result == 0)
        note_no_axis(item, s.no_axis);
    if (result > 0) {
        with_axis++;
        result = tu_walk(feed, item, add_values, &s, error);
        if (result == 0)
            result = tu_stats_end(&s, error);
    }
    tu_stats_free(&s);
    return result;
}

/* What has been left out is said, and all is too much. */
static int conclude(struct tu_error *error)
{
    if (without_axis && !with_axis)
        return tu_fail(error, TU_EINVALID, "no tensor has an axis '%s' (%s)",
                       tu_stat_axis_names[axis], first_without);
    if (without_axis)
        tu_warn(&tool.session, "%" PRIu64 " tensors are left out by --axis %s (%s%s)", without_axis,
                tu_stat_axis_names[axis], first_without, without_axis > 1 ? ", ..." : "");
    return 0;
}

/* ---- Series ---- */

static int put_number(struct tu_builder *b, bool known, const char *key, double value,
                      struct tu_error *error)
{
    return known ? tu_put_real(b, key, value, error) : 0;
}

static int put_judgement(struct tu_builder *b, const struct tu_series_member *m,
                         struct tu_error *error)
{
    const struct tensor_value spike = {.type = TENSOR_BOOLEAN, .boolean = m->spike};
    if (!m->has_layer)
        return 0;
    if (tu_put_string(b, "role", m->role, error) < 0 ||
        tu_put_uint(b, "position", m->position, error) < 0 ||
        tu_put_uint(b, "series_length", m->length, error) < 0 ||
        put_number(b, m->has_ratio && isfinite(m->ratio), "ratio_prev", m->ratio, error) < 0 ||
        put_number(b, m->has_ratio, "log_ratio", m->log_ratio, error) < 0 ||
        put_number(b, m->has_spread, "log_ratio_median", m->median, error) < 0 ||
        put_number(b, m->has_spread, "log_ratio_mad", m->mad, error) < 0 ||
        put_number(b, m->has_ratio && m->has_z, "robust_z", m->z, error) < 0 ||
        (m->judged && tu_builder_add(b, "spike", strlen("spike"), &spike, error) < 0))
        return -1;
    return tu_put_string(b, "rule", m->rule, error);
}

static int put_member(size_t i, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_builder b;
    struct tensor_value judgement, record;
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int result = put_judgement(&b, &kept.members[i], error);
    if (result < 0)
        tu_builder_cancel(&b);
    else
        result = tu_builder_end(&b, &judgement, error);
    if (result == 0)
        result = tu_value_merge(&kept.records[i], &judgement, &arena, &record, error);
    if (result == 0)
        result = tu_output_record(&output, &record, error);
    tu_arena_free(&arena);
    return result;
}

static int put_series(struct tu_error *error)
{
    int result = tu_series_judge(kept.members, kept.count, error);
    for (size_t i = 0; i < kept.count && result == 0; i++)
        result = put_member(i, error);
    return result;
}

/* ---- Health ---- */

static struct {
    struct tu_arena arena;
    struct tu_health *items;
    size_t count, capacity;
} patients;

static int watch_values(void *context, const void *bytes, size_t length, const double *values,
                        size_t count, struct tu_error *error)
{
    (void)error;
    tu_checkup_add(context, bytes, length, values, count);
    return 0;
}

static int check(struct tu_feed *feed, const struct tu_item *item, struct tu_error *error)
{
    struct tu_checkup c;
    if (!TU_GROW(patients.items, patients.count, patients.capacity))
        return tu_fail_memory(error);
    struct tu_health *h = &patients.items[patients.count];
    int result = tu_checkup_begin(&c, h, &item->tensor, &patients.arena, error);
    if (result == 0)
        result = tu_walk(feed, item, watch_values, &c, error);
    tu_checkup_end(&c);
    patients.count++;
    if (result == 0 && h->columns_left_out)
        tu_warn(&tool.session, "the columns of '%.200s' are too many to be watched",
                item->tensor.name);
    return result;
}

struct health_subject {
    const struct tu_health *health;
    const char *status;
    const char *reason; /* NULL: there is none */
};

static int fill_health(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct health_subject *s = subject;
    const struct tu_health *h = s->health;
    if (tu_put_string(b, "kind", "health", error) < 0 || tu_put_tensor(b, &h->tensor, error) < 0 ||
        tu_put_string(b, "status", s->status, error) < 0 ||
        (s->reason && tu_put_string(b, "reason", s->reason, error) < 0) ||
        tu_put_uint(b, "element_count", h->tensor.elements, error) < 0 ||
        tu_put_uint(b, "nan", h->nan, error) < 0 || tu_put_uint(b, "inf", h->inf, error) < 0 ||
        tu_put_uint(b, "zeros", h->zeros, error) < 0 ||
        tu_put_uint(b, "denormals", h->denormals, error) < 0 ||
        tu_put_uint(b, "saturated", h->saturated, error) < 0)
        return -1;
    return tu_put_string(b, "digest", h->digest, error);
}

/* A record for each finding, or one that says that there is none. */
static int put_health(const struct tu_health *h, struct tu_error *error)
{
    char reason[512];
    struct health_subject s = {.health = h, .status = h->real ? "ok" : "not_real"};
    bool well = true;
    for (int i = 0; i < TU_FINDINGS; i++) {
        if (!h->found[i])
            continue;
        tu_health_say(h, (enum tu_finding)i, reason, sizeof reason);
        s.status = tu_finding_words[i];
        s.reason = reason;
        well = false;
        if (tu_output_built(&output, fill_health, &s, error) < 0)
            return -1;
    }
    return well ? tu_output_built(&output, fill_health, &s, error) : 0;
}

static int put_patients(struct tu_error *error)
{
    int result = tu_health_judge(patients.items, patients.count, error);
    for (size_t i = 0; i < patients.count && result == 0; i++)
        result = put_health(&patients.items[i], error);
    return result;
}

/* ---- The run ---- */

static int go_through(struct tu_feed *feed, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0) {
        int result = 0;
        if (item.kind == TU_KIND_RESULT || item.kind == TU_KIND_SOURCE)
            result = tu_output_record(&output, &item.map, error);
        else if (item.kind == TU_KIND_TENSOR)
            result = checking ? check(feed, &item, error) : measure(feed, &item, error);
        if (result < 0)
            return -1;
    }
    if (more == 0 && in_series)
        more = put_series(error);
    if (more == 0)
        more = checking ? put_patients(error) : conclude(error);
    return more;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_feed feed;
    if (checking && (in_series || axis != TU_STAT_ALL))
        return tu_fail(error, TU_EUSAGE, "--health goes with neither --axis nor --series");
    int result = tu_output_open(&output, t, checking ? "health" : "stat",
                                checking    ? health_columns
                                : in_series ? series_columns
                                            : tu_stat_columns,
                                error);
    if (result < 0)
        return -1;
    tu_feed_open(&feed, &t->session, operands, count, true);
    result = go_through(&feed, error);
    tu_feed_close(&feed);
    free(kept.records);
    free(kept.members);
    tu_arena_free(&kept.arena);
    free(patients.items);
    tu_arena_free(&patients.arena);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-stat",
        .synopsis = "[OPTION]... [MODEL|-]...",
        .about =
            "Says of each tensor what numbers it holds: counts, moments, extremes, quantiles;\n"
            "what stands out from layer to layer; or what is sick about a model.",
        .options = options,
        .max_operands = SIZE_MAX,
        .packs = TU_PACKS_VALUES,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
