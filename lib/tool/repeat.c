/* SPDX-License-Identifier: MIT */
/* --repeat: the same work several times, each made otherwise, and whether it came out the same. */
#include "config.h"

#include "tool/repeat.h"

#include <stdint.h>
#include <stdio.h>

const struct tu_column tu_repeat_columns[] = {
    {.key = "runs", .title = "runs", .width = 6},
    {.key = "differing", .title = "differing", .width = 10},
    {.key = "field", .title = "field", .width = -18, .detail = true},
    {.key = "first_difference", .title = "first_difference", .width = 16},
    {.key = "value", .title = "value", .width = -14},
    {.key = "other_value", .title = "other_value", .width = -14},
    {.key = "how", .title = "how", .width = -24},
    {.key = "name", .title = "name"},
    {0},
};

void tu_vary(const struct tu_session *session, uint64_t run, const struct tu_kernels **kernels,
             unsigned *threads, char text[static 64])
{
    const struct tu_kernels *usable[8], *k;
    size_t count = 0;
    bool supported;
    for (size_t i = 0; count < 8 && (k = tu_kernels_built(i, &supported)); i++)
        if (supported)
            usable[count++] = k;
    *kernels = usable[run / 2 % count];
    *threads = run % 2 == 0 ? (unsigned)session->threads : session->threads > 1 ? 1 : 3;
    snprintf(text, 64, "run %ju: %s, %u threads", (uintmax_t)run + 1, (*kernels)->name, *threads);
}

bool tu_repeats_differ(struct tu_repeats *r, const char *how)
{
    if (r->differing++)
        return false;
    snprintf(r->difference, sizeof r->difference, "%s", how);
    return true;
}

struct named_repeats {
    const char *name;
    const struct tu_repeats *repeats;
};

static int fill_repeats(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct named_repeats *n = subject;
    const struct tu_repeats *r = n->repeats;
    if (tu_put_string(b, "kind", "repeat", error) < 0 ||
        tu_put_string(b, "name", n->name, error) < 0 ||
        tu_put_uint(b, "runs", r->runs, error) < 0 ||
        tu_put_uint(b, "differing", r->differing, error) < 0)
        return -1;
    if (!r->differing)
        return 0;
    int where = r->field ? tu_put_string(b, "field", r->field, error)
                         : tu_put_uint(b, "first_difference", r->first_difference, error);
    return where < 0 || tu_put_string(b, "how", r->difference, error) < 0 ||
                   tu_put_real(b, "value", r->first, error) < 0 ||
                   tu_put_real(b, "other_value", r->other, error) < 0
               ? -1
               : 0;
}

int tu_put_repeats(struct tu_output *o, const char *name, const struct tu_repeats *repeats,
                   struct tu_error *error)
{
    const struct named_repeats subject = {name, repeats};
    return tu_output_built(o, fill_repeats, &subject, error);
}
