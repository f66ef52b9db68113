/* SPDX-License-Identifier: MIT */
/* Counts what a selection meets, and says why one selects nothing. */
#include "config.h"

#include "model/choice.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tensor/dtype.h"
#include "tensor/name.h"

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

void tu_choice_note(struct tu_choice *tally, const struct tu_selection *s,
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
