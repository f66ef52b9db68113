/* SPDX-License-Identifier: MIT */
/* Reads the bytes of a tensor from wherever they are: a model, a stream, a temporary file, a view.
 */
#include "config.h"

#include "compare/origin.h"

#include <string.h>

/* Bytes from offset on, which is where the last ones ended or less than a block before. */
static int read_stream(struct tu_origin *p, uint64_t offset, uint8_t *buffer, size_t length,
                       struct tu_error *error)
{
    size_t again = (size_t)(p->read - offset),
           kept = length < TU_CARRY_BYTES ? length : TU_CARRY_BYTES;
    if (again)
        memcpy(buffer, p->carry + TU_CARRY_BYTES - again, again);
    if (tu_stream_read(p->stream, buffer + again, length - again, error) < 0)
        return -1;
    if (offset == 0)
        memcpy(p->head, buffer, length < sizeof p->head ? length : sizeof p->head);
    p->read = offset + length;
    memcpy(p->carry + TU_CARRY_BYTES - kept, buffer + length - kept, kept);
    return 0;
}

int tu_origin_read(struct tu_origin *p, uint64_t offset, void *buffer, size_t length,
                   struct tu_error *error)
{
    if (p->where == TU_IN_MODEL)
        return tu_model_read(p->model, p->tensor, offset, buffer, length, error);
    if (p->where == TU_IN_STREAM)
        return read_stream(p, offset, buffer, length, error);
    if (p->where == TU_IN_VIEW)
        return tu_view_read(p->view, offset, buffer, length, error);
    /* The file may be growing: it is bounded by what is known to be in it. */
    struct tu_source spool = {
        .fd = p->spool->fd, .path = "temporary file", .size = p->base + p->tensor->nbytes};
    return tu_source_read(&spool, p->base + offset, buffer, length, error);
}
