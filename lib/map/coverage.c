/* SPDX-License-Identifier: MIT */
/* Follows a view down to the elements it shows, and keeps account of those that were shown. */
#include "config.h"

#include "map/coverage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- What a view shows ---- */

struct walk {
    int (*each)(void *context, struct tu_member leaf, struct tu_portion portion,
                struct tu_error *error);
    void *context;
    struct tu_error *error;
};

static int follow(const struct walk *w, const struct tu_view *v, struct tu_portion p);

static uint64_t last_of(const struct tu_tensor *t)
{
    return t->rank ? t->shape[t->rank - 1] : 1;
}

static bool is_all(const struct tu_view *v, struct tu_portion p)
{
    return p.first == 0 && p.end == (p.columns ? last_of(&v->tensor) : v->tensor.elements);
}

static struct tu_portion all_of(const struct tu_view *v)
{
    return (struct tu_portion){0, v->tensor.elements, false};
}

/* Part of another view: elements from a row of the first dimension on, in any shape. */
static int follow_part(const struct walk *w, const struct tu_view *v, struct tu_portion p)
{
    const struct tu_view *of = v->of[0];
    const struct tu_tensor *t = &of->tensor;
    uint64_t rows = t->rank ? t->shape[0] : 1, unit = rows ? t->nbytes / rows : 0;
    uint64_t first = unit ? v->offset / unit * (t->elements / rows) : 0;
    bool rows_alike = v->tensor.rank && t->rank && last_of(&v->tensor) == last_of(t);
    if (p.columns && first == 0 && v->tensor.elements == t->elements && rows_alike)
        return follow(w, of, p);
    if (p.columns)
        return 0;
    return follow(w, of, (struct tu_portion){first + p.first, first + p.end, false});
}

/* Rows in another order: those of a range are looked up one by one. */
static int follow_rows(const struct walk *w, const struct tu_view *v, struct tu_portion p)
{
    if (p.columns || is_all(v, p))
        return follow(w, v->of[0], p.columns ? p : all_of(v->of[0]));
    uint64_t unit = tu_view_row_elements(v);
    for (uint64_t at = p.first, n; at < p.end; at += n) {
        uint64_t row = at / unit, in_row = at % unit, from = tu_view_row(v, row) * unit + in_row;
        n = unit - in_row < p.end - at ? unit - in_row : p.end - at;
        if (follow(w, v->of[0], (struct tu_portion){from, from + n, false}) < 0)
            return -1;
    }
    return 0;
}

static int follow_join(const struct walk *w, const struct tu_view *v, struct tu_portion p)
{
    uint64_t start = 0;
    for (size_t i = 0; i < v->count; i++) {
        uint64_t end = start + v->of[i]->tensor.elements;
        struct tu_portion q = p;
        if (!p.columns) {
            q.first = (p.first > start ? p.first : start) - start;
            q.end = (p.end < end ? p.end : end) - start;
        }
        if ((p.columns || (p.first < end && p.end > start)) && follow(w, v->of[i], q) < 0)
            return -1;
        start = end;
    }
    return 0;
}

/* Whole rows of a matrix are columns of the one that was turned, and the other way round. */
static int follow_transpose(const struct walk *w, const struct tu_view *v, struct tu_portion p)
{
    const struct tu_view *of = v->of[0];
    uint64_t columns = last_of(&v->tensor);
    if (is_all(v, p))
        return follow(w, of, all_of(of));
    if (v->tensor.rank != 2 || !columns)
        return 0;
    if (p.columns)
        return follow(w, of,
                      (struct tu_portion){p.first * last_of(&of->tensor),
                                          p.end * last_of(&of->tensor), false});
    return p.first % columns || p.end % columns
               ? 0
               : follow(w, of, (struct tu_portion){p.first / columns, p.end / columns, true});
}

static int follow_columns(const struct walk *w, const struct tu_view *v, struct tu_portion p)
{
    const struct tu_view *of = v->of[0];
    uint64_t columns = last_of(&v->tensor), source = last_of(&of->tensor);
    if (p.columns || is_all(v, p)) {
        uint64_t first = v->offset + (p.columns ? p.first : 0);
        uint64_t end = v->offset + (p.columns ? p.end : columns);
        return follow(w, of, (struct tu_portion){first, end, true});
    }
    for (uint64_t at = p.first, n; at < p.end; at += n) {
        uint64_t in_row = at % columns, from = at / columns * source + v->offset + in_row;
        n = columns - in_row < p.end - at ? columns - in_row : p.end - at;
        if (follow(w, of, (struct tu_portion){from, from + n, false}) < 0)
            return -1;
    }
    return 0;
}

static int follow(const struct walk *w, const struct tu_view *v, struct tu_portion p)
{
    switch (v->kind) {
    case TU_VIEW_LEAF:
        if (p.columns && is_all(v, p))
            p = all_of(v);
        return w->each(w->context, v->leaf, p, w->error);
    case TU_VIEW_PART:
        return follow_part(w, v, p);
    case TU_VIEW_ROPE:
    case TU_VIEW_ORDER:
        return follow_rows(w, v, p);
    case TU_VIEW_JOIN:
        return follow_join(w, v, p);
    case TU_VIEW_TRANSPOSE:
        return follow_transpose(w, v, p);
    case TU_VIEW_COLUMNS:
        return follow_columns(w, v, p);
    case TU_VIEW_FLOAT:
    case TU_VIEW_SWAPPED:
        return follow(w, v->of[0], p);
    case TU_VIEW_GATHERED:
        break; /* which no map makes */
    }
    return 0;
}

int tu_view_portions(const struct tu_view *v,
                     int (*each)(void *context, struct tu_member leaf, struct tu_portion portion,
                                 struct tu_error *error),
                     void *context, struct tu_error *error)
{
    const struct walk w = {each, context, error};
    return follow(&w, v, all_of(v));
}

/* ---- What was shown ---- */

bool tu_coverage_shows(const struct tu_coverage *c, struct tu_portion p)
{
    bool shows = c->count && (c->portions[0].columns != p.columns || c->portions[0].end == 0);
    for (size_t i = 0; i < c->count && !shows; i++)
        shows = c->portions[i].first < p.end && c->portions[i].end > p.first;
    return shows;
}

int tu_coverage_add(struct tu_coverage *c, struct tu_portion p, bool *again, struct tu_error *error)
{
    size_t at = 0;
    while (at < c->count && c->portions[at].end < p.first)
        at++;
    size_t end = at;
    *again = tu_coverage_shows(c, p);
    if (*again)
        return 0;
    while (end < c->count && c->portions[end].first <= p.end)
        end++;
    if (end == at) {
        if (!TU_GROW(c->portions, c->count, c->capacity))
            return tu_fail_memory(error);
        memmove(c->portions + at + 1, c->portions + at, (c->count - at) * sizeof *c->portions);
        c->portions[at] = p;
        c->count++;
        return 0;
    }
    /* It touches one before, one behind, or both. */
    if (c->portions[at].first < p.first)
        p.first = c->portions[at].first;
    if (c->portions[end - 1].end > p.end)
        p.end = c->portions[end - 1].end;
    c->portions[at] = p;
    memmove(c->portions + at + 1, c->portions + end, (c->count - end) * sizeof *c->portions);
    c->count -= end - at - 1;
    return 0;
}

void tu_coverage_free(struct tu_coverage *c)
{
    free(c->portions);
}

bool tu_coverage_any(const struct tu_coverage *c)
{
    return c->count;
}

bool tu_coverage_all(const struct tu_coverage *c, const struct tu_tensor *t)
{
    const struct tu_portion *p = c->portions;
    return c->count == 1 && p->first == 0 && p->end == (p->columns ? last_of(t) : t->elements);
}

/* A range that is left, in rows of the first dimension where it is whole ones. */
static void say_range(uint64_t first, uint64_t end, const struct tu_tensor *t, bool columns,
                      char *words, size_t size)
{
    size_t used = strlen(words);
    uint64_t all = columns ? last_of(t) : t->rank ? t->shape[0] : 1;
    uint64_t unit = columns || !all ? 1 : t->elements / all;
    bool whole = unit && first % unit == 0 && end % unit == 0;
    snprintf(
        words + used, size - used, "%s%s %" PRIu64 " to %" PRIu64 " of %" PRIu64, used ? ", " : "",
        columns ? "columns"
        : whole ? "rows"
                : "elements",
        whole ? first / unit : first, (whole ? end / unit : end) - 1, whole ? all : t->elements);
}

uint64_t tu_coverage_left(const struct tu_coverage *c, const struct tu_tensor *t, char *words,
                          size_t size)
{
    enum { SHOWN = 4 };
    bool columns = c->count && c->portions[0].columns;
    uint64_t all = columns ? last_of(t) : t->elements, at = 0, left = 0;
    size_t ranges = 0;
    *words = '\0';
    for (size_t i = 0; i <= c->count; i++) {
        uint64_t end = i < c->count ? c->portions[i].first : all;
        if (end > at && ranges++ < SHOWN)
            say_range(at, end, t, columns, words, size);
        left += end > at ? end - at : 0;
        at = i < c->count ? c->portions[i].end : all;
    }
    if (ranges > SHOWN)
        snprintf(words + strlen(words), size - strlen(words), ", ...");
    return columns && all ? left * (t->elements / all) : left;
}
