/* SPDX-License-Identifier: MIT */
/* How a filter puts out a tensor that is seen another way. */
#ifndef TU_PUT_VIEW_H
#define TU_PUT_VIEW_H

#include "map/view.h"
#include "model/feed.h"
#include "tool/output.h"

struct tu_view_name {
    const char *bytes;
    size_t length;
};

/* Hands a view to an output under a name: its record, and its bytes where the output streams. extra
 * as in tu_writer_tensor; the feed's count of bytes goes on by what was read. */
int tu_put_view(struct tu_output *output, const struct tu_view *v, struct tu_view_name name,
                const struct tensor_value *extra, struct tu_feed *feed,
                struct tu_error *error) TU_MUST_CHECK;

#endif
