/* SPDX-License-Identifier: MIT */
/* Groups statistics of one stage across the layers, and finds the layer that stands out. */
#include "config.h"

#include "compute/stat/series.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tensor/name.h"

/* ---- Roles ---- */

/* Where the first whole number between dots stands: its length, 0 if there is none. */
static size_t find_number(const char *name, size_t *at)
{
    for (const char *p = name; *p; p += strcspn(p, "."), p += *p == '.') {
        size_t digits = strspn(p, "0123456789");
        *at = (size_t)(p - name);
        if (digits && (p[digits] == '.' || p[digits] == '\0'))
            return digits;
    }
    return 0;
}

int tu_series_describe(const struct tu_tensor *t, struct tu_arena *arena,
                       struct tu_series_member *m, struct tu_error *error)
{
    size_t at = 0, digits = find_number(t->name, &at);
    m->has_layer = digits > 0 && tu_layer_of(t->name, &m->layer);
    if (tu_tensor_copy(arena, t, &m->tensor, error) < 0)
        return -1;
    m->name = m->tensor.name;
    if (!m->has_layer)
        return 0;
    size_t rest = t->name_length - at - digits;
    char *role = tu_arena_alloc(arena, at + rest + 2);
    if (!role)
        return tu_fail_memory(error);
    memcpy(role, t->name, at);
    role[at] = '*';
    memcpy(role + at + 1, t->name + at + digits, rest);
    role[at + 1 + rest] = '\0';
    m->role = role;
    return 0;
}

/* ---- What belongs together ---- */

static int compare_members(const void *a, const void *b)
{
    const struct tu_series_member *x = *(struct tu_series_member *const *)a;
    const struct tu_series_member *y = *(struct tu_series_member *const *)b;
    int order = strcmp(x->role, y->role);
    if (order)
        return order;
    if (x->index != y->index)
        return (x->index > y->index) - (x->index < y->index);
    if (x->layer != y->layer)
        return (x->layer > y->layer) - (x->layer < y->layer);
    return (x > y) - (x < y);
}

static bool together(const struct tu_series_member *x, const struct tu_series_member *y)
{
    return strcmp(x->role, y->role) == 0 && x->index == y->index;
}

static bool same_axes(const struct tu_tensor *x, const struct tu_tensor *y)
{
    const struct tensor_value *p = tu_value_get(&x->scope.operation, "axes"),
                              *q = tu_value_get(&y->scope.operation, "axes");
    return p && q ? tu_value_same(p, q) : p == q;
}

/* Why two layers have no common measure; false: they have. */
static bool unlike(const struct tu_series_member *x, const struct tu_series_member *y, char *room,
                   size_t size)
{
    struct tu_scope p = x->tensor.scope, q = y->tensor.scope;
    p.has_layer = q.has_layer = false;
    bool tokens = p.has_tokens == q.has_tokens, ids = !p.ids == !q.ids;
    if (x->layer == y->layer)
        snprintf(room, size, "the layer comes twice");
    else if (x->tensor.rank != y->tensor.rank ||
             memcmp(x->tensor.shape, y->tensor.shape, x->tensor.rank * sizeof(uint64_t)) != 0)
        snprintf(room, size, "their shapes differ");
    else if (!same_axes(&x->tensor, &y->tensor))
        snprintf(room, size, "their axes differ");
    else if (!tokens || !ids)
        snprintf(room, size, "only one says of which tokens it is");
    else
        return tu_scope_differs(&p, &q, room, size);
    return true;
}

/* ---- Judgement ---- */

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_numbers);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* Ratios of finite numbers; to and from zero there is none that has a logarithm. */
static size_t list_ratios(struct tu_series_member **of, size_t count, double *logs)
{
    size_t found = 0;
    for (size_t i = 1; i < count; i++) {
        struct tu_series_member *m = of[i];
        m->has_ratio = m->has_rms && of[i - 1]->has_rms && m->rms > 0 && of[i - 1]->rms > 0;
        if (!m->has_ratio)
            continue;
        m->ratio = m->rms / of[i - 1]->rms;
        bool fits = isfinite(m->ratio) && m->ratio > 0;
        m->log_ratio = fits ? log(m->ratio) : log(m->rms) - log(of[i - 1]->rms);
        logs[found++] = m->log_ratio;
    }
    return found;
}

/* What has no ratio though there is a layer before it is no number, or is zero on one side alone.
 */
static void judge_without_ratio(struct tu_series_member *m, const struct tu_series_member *before)
{
    m->judged = true;
    m->spike = !m->has_rms || (before && before->has_rms && (m->rms > 0) != (before->rms > 0));
    m->rule = !m->has_rms ? "no finite value"
              : m->spike  ? "zero on one side of the ratio"
                          : "no layer before it has a number";
}

static void judge(struct tu_series_member *m, size_t ratios)
{
    static const char *const rule = "|robust_z| > 3.5 and a factor of 2 from the median ratio";
    double off = m->log_ratio - m->median, spread = 1.4826 * m->mad;
    m->judged = ratios >= TU_SERIES_LEAST;
    m->rule = m->judged ? rule : "fewer than 4 ratios";
    m->has_z = spread > 0 || off == 0;
    m->z = off == 0 ? 0 : m->has_z ? off / spread : INFINITY;
    m->spike = m->judged && fabs(m->z) > TU_SERIES_Z && fabs(off) >= log(TU_SERIES_FACTOR);
}

static int judge_series(struct tu_series_member **of, size_t count, struct tu_error *error)
{
    double *logs = calloc(2 * count, sizeof *logs), *far = logs + count;
    if (!logs)
        return tu_fail_memory(error);
    size_t found = list_ratios(of, count, logs);
    double middle = found ? median(logs, found) : 0;
    for (size_t i = 0; i < found; i++)
        far[i] = fabs(logs[i] - middle);
    double mad = found ? median(far, found) : 0;
    for (size_t i = 0; i < count; i++) {
        struct tu_series_member *m = of[i];
        m->position = i;
        m->length = count;
        m->has_spread = found > 0;
        m->median = middle;
        m->mad = mad;
        if (m->has_ratio)
            judge(m, found);
        else
            judge_without_ratio(m, i ? of[i - 1] : NULL);
    }
    free(logs);
    return 0;
}

static int check_series(struct tu_series_member **of, size_t count, struct tu_error *error)
{
    char why[256], a[256], b[256];
    for (size_t i = 1; i < count; i++) {
        if (!unlike(of[0], of[i], why, sizeof why))
            continue;
        tu_escape(of[0]->name, strlen(of[0]->name), a, sizeof a);
        tu_escape(of[i]->name, strlen(of[i]->name), b, sizeof b);
        return tu_fail(error, TU_EINVALID,
                       "'%s' and '%s' are incomparable: %s (a series is of one population)", a, b,
                       why);
    }
    /* a layer that comes twice may stand anywhere */
    for (size_t i = 1; i < count; i++) {
        if (of[i]->layer != of[i - 1]->layer)
            continue;
        tu_escape(of[i]->name, strlen(of[i]->name), a, sizeof a);
        return tu_fail(error, TU_EINVALID,
                       "'%s' comes twice: they are incomparable (a series is of one model)", a);
    }
    return 0;
}

int tu_series_judge(struct tu_series_member *members, size_t count, struct tu_error *error)
{
    struct tu_series_member **sorted = reallocarray(NULL, count + 1, sizeof *sorted);
    size_t used = 0;
    int result = 0;
    if (!sorted)
        return tu_fail_memory(error);
    for (size_t i = 0; i < count; i++)
        if (members[i].has_layer)
            sorted[used++] = &members[i];
    if (used)
        qsort(sorted, used, sizeof *sorted, compare_members);
    for (size_t from = 0, to; from < used && result == 0; from = to) {
        for (to = from + 1; to < used && together(sorted[from], sorted[to]); to++)
            ;
        result = check_series(sorted + from, to - from, error);
        if (result == 0)
            result = judge_series(sorted + from, to - from, error);
    }
    free(sorted);
    return result;
}
