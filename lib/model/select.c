/* SPDX-License-Identifier: MIT */
/* Picks the tensors that a command line asks for, and sorts them. */
#include "config.h"

#include "model/select.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "tensor/dtype.h"
#include "tensor/name.h"

void tu_selection_free(struct tu_selection *s)
{
    free(s->match.items);
    free(s->exclude.items);
    free(s->layers);
    *s = (struct tu_selection){0};
}

static bool matches_any(const struct tu_list *globs, const char *name)
{
    for (size_t i = 0; i < globs->count; i++)
        if (fnmatch(globs->items[i], name, 0) == 0)
            return true;
    return false;
}

static bool in_layers(const struct tu_selection *s, const char *name)
{
    uint64_t layer;
    if (!tu_layer_of(name, &layer))
        return false;
    for (size_t i = 0; i < s->layer_count; i++)
        if (layer >= s->layers[i].first && layer <= s->layers[i].last)
            return true;
    return false;
}

bool tu_selects_name(const struct tu_selection *s, const char *name)
{
    return (!s->match.count || matches_any(&s->match, name)) && !matches_any(&s->exclude, name) &&
           (!s->layer_count || in_layers(s, name));
}

/* ---- What a selection met ---- */

enum { LOOKED_AT = 4096 }; /* names that are held against a glob that matches none */

/* Globs are often meant as parts of names: keeps one around the user's that matches, and the
 * nearest name where none does. */
static void look_around(struct tu_choice *tally, const struct tu_selection *s, const char *name)
{
    static const char *const before[] = {"*", "*", "", "*"}, *const behind[] = {".*", "", "*", "*"};
    const char *glob = s->match.items[0];
    for (size_t i = 0; i < sizeof before / sizeof *before && !*tally->wider; i++) {
        char wider[sizeof tally->wider];
        int n = snprintf(wider, sizeof wider, "%s%s%s", before[i], glob, behind[i]);
        if (n < (int)sizeof wider && fnmatch(wider, name, 0) == 0)
            memcpy(tally->wider, wider, sizeof wider);
    }
    tally->nearest.text = glob;
    tu_nearest_try(&tally->nearest, name);
}

static void note_layer(struct tu_choice *tally, const char *name)
{
    uint64_t layer;
    if (!tu_layer_of(name, &layer))
        return;
    if (!tally->has_layers)
        tally->layers = (struct tu_range){layer, layer};
    tally->has_layers = true;
    if (layer < tally->layers.first)
        tally->layers.first = layer;
    if (layer > tally->layers.last)
        tally->layers.last = layer;
}

static void note_choice(struct tu_choice *tally, const struct tu_selection *s,
                        const struct tu_tensor *t, bool matched, bool layered, bool taken)
{
    tally->seen++;
    tally->taken += taken;
    tally->matched += matched;
    tally->layered += layered;
    tally->dtypes[t->dtype] = true;
    if (tally->taken)
        return;
    if (s->layer_count)
        note_layer(tally, t->name);
    if (s->match.count && !tally->matched && tally->seen <= LOOKED_AT)
        look_around(tally, s, t->name);
}

bool tu_selects(const struct tu_selection *s, const struct tu_tensor *t)
{
    bool matched = !s->match.count || matches_any(&s->match, t->name);
    bool layered = !s->layer_count || in_layers(s, t->name);
    bool taken = matched && layered && !matches_any(&s->exclude, t->name) &&
                 (!s->by_dtype || s->dtypes[t->dtype]);
    if (s->tally)
        note_choice(s->tally, s, t, matched, layered, taken);
    return taken;
}

/* Numbers within names order as numbers: layer 2 comes before layer 10. */
static int compare_names(const void *a, const void *b)
{
    const struct tu_member *x = a, *y = b;
    int order = strverscmp(x->tensor->name, y->tensor->name);
    return order ? order : (x->tensor > y->tensor) - (x->tensor < y->tensor);
}

static int compare_sizes(const void *a, const void *b)
{
    const struct tu_member *x = a, *y = b;
    if (x->tensor->nbytes != y->tensor->nbytes)
        return x->tensor->nbytes < y->tensor->nbytes ? 1 : -1;
    return compare_names(a, b);
}

void tu_selection_sort(const struct tu_selection *s, struct tu_member *members, size_t count)
{
    if (s->order != TU_ORDER_FILE && count)
        qsort(members, count, sizeof *members,
              s->order == TU_ORDER_NAME ? compare_names : compare_sizes);
}

/* Calls each for every piece of a list separated by commas. */
static int each_piece(struct tu_selection *s, const char *text,
                      int (*each)(struct tu_selection *, const char *, size_t, struct tu_error *),
                      struct tu_error *error)
{
    for (;;) {
        size_t length = strcspn(text, ",");
        if (each(s, text, length, error) < 0)
            return -1;
        if (!text[length])
            return 0;
        text += length + 1;
    }
}

static int add_range(struct tu_selection *s, const char *text, size_t length,
                     struct tu_error *error)
{
    char *end = NULL;
    struct tu_range range = {0};
    errno = 0;
    if (isdigit((unsigned char)*text)) {
        range.first = range.last = strtoull(text, &end, 10);
        if (*end == '-' && isdigit((unsigned char)end[1]))
            range.last = strtoull(end + 1, &end, 10);
    }
    if (!end || errno || end != text + length || range.last < range.first)
        return tu_fail(error, TU_EUSAGE, "'%.*s' is no layer or range of layers (as 0-3,27)",
                       (int)length, text);
    if (!TU_GROW(s->layers, s->layer_count, s->layer_capacity))
        return tu_fail_memory(error);
    s->layers[s->layer_count++] = range;
    return 0;
}

int tu_fail_dtype(const char *text, size_t length, struct tu_error *error)
{
    char name[TU_NEAREST_MAX + 1], hint[TU_HINT_SIZE];
    struct tu_nearest nearest = {.text = name};
    size_t count;
    const struct tu_dtype *table = tu_dtype_table(&count);
    snprintf(name, sizeof name, "%.*s", (int)length, text);
    for (size_t i = 0; i < count; i++)
        tu_nearest_try(&nearest, table[i].name);
    return tu_fail(error, TU_EUSAGE, "'%s' is no element type%s (see tensor-types(7))", name,
                   tu_nearest_hint(&nearest, hint));
}

static int add_dtype(struct tu_selection *s, const char *text, size_t length,
                     struct tu_error *error)
{
    const struct tu_dtype *type = tu_dtype_by_name(text, length);
    if (!type)
        return tu_fail_dtype(text, length, error);
    s->dtypes[type->code] = s->by_dtype = true;
    return 0;
}

int tu_select_layers(void *target, const char *text, struct tu_error *error)
{
    return each_piece(target, text, add_range, error);
}

int tu_select_dtypes(void *target, const char *text, struct tu_error *error)
{
    return each_piece(target, text, add_dtype, error);
}

int tu_select_order(void *target, const char *text, struct tu_error *error)
{
    static const char *const names[] = {"file", "name", "size"};
    struct tu_selection *s = target;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            s->order = (enum tu_order)i;
            return 0;
        }
    }
    return tu_fail(error, TU_EUSAGE, "'%s' is no order (file, name or size)", text);
}

/* ---- A selection that selects nothing ---- */

static int fail_match(const struct tu_choice *tally, const char *glob, struct tu_error *error)
{
    char hint[TU_HINT_SIZE];
    if (*tally->wider)
        return tu_fail(error, TU_EUSAGE,
                       "--match '%.200s' selects no tensor: globs match whole names (try '%s')",
                       glob, tally->wider);
    return tu_fail(error, TU_EUSAGE, "--match '%.200s' selects no tensor%s", glob,
                   tu_nearest_hint(&tally->nearest, hint));
}

static int fail_layers(const struct tu_choice *tally, struct tu_error *error)
{
    if (!tally->has_layers)
        return tu_fail(error, TU_EUSAGE, "--layers selects no tensor: no name has a layer");
    return tu_fail(error, TU_EUSAGE,
                   "--layers selects no tensor: there are layers %" PRIu64 " to %" PRIu64,
                   tally->layers.first, tally->layers.last);
}

static int fail_dtypes(const struct tu_choice *tally, struct tu_error *error)
{
    char names[200] = "";
    size_t used = 0, count;
    const struct tu_dtype *table = tu_dtype_table(&count);
    for (size_t i = 0; i < count && used < sizeof names; i++)
        if (tally->dtypes[table[i].code])
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
                                     table[i].name);
    return tu_fail(error, TU_EUSAGE, "--dtype selects no tensor: they are %s", names);
}

int tu_selection_check(const struct tu_selection *s, struct tu_error *error)
{
    const struct tu_choice *tally = s->tally;
    bool asks = s->match.count || s->exclude.count || s->layer_count || s->by_dtype;
    bool typed = tally && (tally->typed || !tally->untyped);
    if (!tally || !asks || !tally->seen || (tally->taken && typed))
        return 0;
    if (!typed)
        return fail_dtypes(tally, error);
    if (s->match.count && !tally->matched)
        return fail_match(tally, s->match.items[0], error);
    if (s->layer_count && !tally->layered)
        return fail_layers(tally, error);
    if (s->by_dtype && !s->match.count && !s->layer_count && !s->exclude.count)
        return fail_dtypes(tally, error);
    return tu_fail(error, TU_EUSAGE,
                   "no tensor is selected: none meets all of --match, --exclude, --layers and "
                   "--dtype that were given");
}
