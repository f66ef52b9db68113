/* SPDX-License-Identifier: MIT */
/* What a tool puts out of runs that are to have the same bits. */
#include "config.h"

#include "tool/repeat.h"

const struct tu_column tu_repeat_columns[] = {
    TU_REPEAT_COLUMNS,
    {.key = "name", .title = "name"},
    {0},
};

struct reported {
    tu_fill_fn *about;
    const void *subject;
    const struct tu_repeats *repeats;
};

static int fill(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct reported *r = subject;
    if (tu_put_string(b, "kind", "repeat", error) < 0 || r->about(b, r->subject, error) < 0)
        return -1;
    return tu_repeats_fill(b, r->repeats, error);
}

int tu_put_repeats(struct tu_output *o, tu_fill_fn *about, const void *subject,
                   const struct tu_repeats *repeats, struct tu_error *error)
{
    const struct reported r = {about, subject, repeats};
    return tu_output_built(o, fill, &r, error);
}
