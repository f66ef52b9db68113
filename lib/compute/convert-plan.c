/* SPDX-License-Identifier: MIT */
/* Which tensors a file of some format cannot hold as they are, what they become, and what is said
 * of it. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/convert-plan.h"
#include "compute/convert.h"
#include "model/write/save.h"

/* Whether the format would take the tensor if it were of a type, and it can be made so. */
static bool would_take(const struct tu_convert_plan *p, const struct tu_tensor *t,
                       const struct tu_dtype *to)
{
    struct tu_tensor made;
    struct tu_error ignored = {0};
    return to->code != t->dtype && tu_can_convert(p->session, t, to) &&
           tu_convert_describe(t, to, &made, &ignored) == 0 && !tu_save_refuses(p->format, &made);
}

static bool is_float(const struct tu_dtype *d)
{
    return d->kind == TENSOR_KIND_FLOAT || d->kind == TENSOR_KIND_QUANT;
}

/* The type that holds a tensor's values and that the format takes: of the same kind, numbers with a
 * fraction or without, where there is one; of several the smallest.  NULL if there is none. */
static const struct tu_dtype *find_exact(const struct tu_convert_plan *p, const struct tu_tensor *t)
{
    size_t count;
    const struct tu_dtype *types = tu_dtype_table(&count), *from = tu_dtype(t->dtype), *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct tu_dtype *to = &types[i];
        if (!tu_holds_values(to, from) || !would_take(p, t, to))
            continue;
        bool alike = is_float(to) == is_float(from);
        bool was_alike = best && is_float(best) == is_float(from);
        if (!best || alike > was_alike || (alike == was_alike && to->bytes < best->bytes))
            best = to;
    }
    return best;
}

const struct tu_dtype *tu_convert_plan_type(const struct tu_convert_plan *p,
                                            const struct tu_tensor *t)
{
    if (p->mode == TU_CONVERT_NONE || !tu_save_refuses(p->format, t))
        return NULL;
    if (p->mode == TU_CONVERT_AUTO)
        return find_exact(p, t);
    return would_take(p, t, p->to) ? p->to : NULL;
}

static bool any_would_do(const struct tu_convert_plan *p, const struct tu_tensor *t)
{
    size_t count;
    const struct tu_dtype *types = tu_dtype_table(&count);
    for (size_t i = 0; i < count; i++)
        if (would_take(p, t, &types[i]))
            return true;
    return false;
}

int tu_convert_plan_refuse(const struct tu_convert_plan *p, const char *path,
                           const struct tu_tensor *t, struct tu_error *error)
{
    const char *why = tu_save_refuses(p->format, t), *type = tu_dtype(t->dtype)->name;
    const struct tu_dtype *exact = find_exact(p, t);
    char hint[160] = "";
    if (p->mode == TU_CONVERT_TYPE)
        snprintf(hint, sizeof hint, ", and it cannot be stored as %s there", p->to->name);
    else if (exact)
        snprintf(hint, sizeof hint, " (--convert auto makes it %s)", exact->name);
    else if (any_would_do(p, t))
        snprintf(hint, sizeof hint,
                 ", nor one that holds all its values (--convert TYPE names another)");
    return tu_fail(error, TU_EINVALID, "%s: tensor '%.256s' (%s): %s %s%s", path, t->name, type,
                   p->format->name, why, hint);
}

int tu_convert_plan_note(struct tu_convert_plan *p, const struct tu_tensor *t,
                         const struct tu_dtype *to, struct tu_error *error)
{
    const struct tu_conversion_note new = {tu_dtype(t->dtype), to, tu_save_refuses(p->format, t),
                                           NULL, 1};
    for (size_t i = 0; i < p->count; i++) {
        struct tu_conversion_note *c = &p->items[i];
        if (c->from == new.from && c->to == to &&strcmp(c->why, new.why) == 0) {
            c->count++;
            return 0;
        }
    }
    if (!TU_GROW(p->items, p->count, p->capacity))
        return tu_fail_memory(error);
    p->items[p->count] = new;
    p->items[p->count].first = strdup(t->name);
    return p->items[p->count++].first ? 0 : tu_fail_memory(error);
}

void tu_convert_plan_report(const struct tu_convert_plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct tu_conversion_note *c = &p->items[i];
        bool rounds = c->to->kind != TENSOR_KIND_INT && !tu_holds_values(c->to, c->from);
        tu_warn(p->session, "%zu tensor%s converted from %s to %s%s (%s %s): first %.256s",
                c->count, c->count == 1 ? "" : "s", c->from->name, c->to->name,
                rounds ? ", rounded" : "", p->format->name, c->why, c->first);
    }
}

void tu_convert_plan_free(struct tu_convert_plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->items[i].first);
    free(p->items);
}
