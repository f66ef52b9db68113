/* SPDX-License-Identifier: MIT */
/* Puts out a tensor that is seen another way, piece by piece. */
#include "config.h"

#include "tool/put-view.h"

#include <stdlib.h>

static int put_bytes(struct tu_output *output, const struct tu_view *v, struct tu_feed *feed,
                     struct tu_error *error)
{
    uint64_t left = v->tensor.nbytes, offset = 0;
    size_t most = tu_view_piece(v), piece = left < most ? (size_t)left : most;
    char *buffer = malloc(piece + 1);
    int result = buffer ? 0 : tu_fail_memory(error);
    for (size_t n; left && result == 0; left -= n, offset += n) {
        n = left < piece ? (size_t)left : piece;
        result = tu_view_read(v, offset, buffer, n, error);
        if (result == 0)
            result = tu_writer_bytes(&output->writer, buffer, n, error);
        feed->done += n;
        tu_progress(feed->session, feed->done, feed->total);
    }
    free(buffer);
    return result;
}

int tu_put_view(struct tu_output *output, const struct tu_view *v, struct tu_view_name name,
                const struct tensor_value *extra, struct tu_feed *feed, struct tu_error *error)
{
    struct tu_tensor t = v->tensor;
    t.name = name.bytes;
    t.name_length = name.length;
    if (tu_output_tensor(output, &t, extra, error) < 0)
        return -1;
    return tu_output_streams(output) ? put_bytes(output, v, feed, error) : 0;
}
