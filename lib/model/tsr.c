/* SPDX-License-Identifier: MIT */
/* Lets a saved tensor stream be a format like any other. */
#include "config.h"

#include "model/tsr.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"
#include "stream/reader.h"

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    (void)size;
    return tu_stream_bid(head, length);
}

/* Adds the tensor whose record was just read, with the places of its chunks. */
static int add_tensor(struct tensor_reader *r, struct tu_stream_reader *stream,
                      const struct tu_tensor *t)
{
    struct tu_extent *extents = NULL;
    size_t count = 0, capacity = 0;
    int result = 0;
    while (stream->tensor_left && result == 0) {
        if (!TU_GROW(extents, count, capacity))
            result = tu_fail_memory(tu_reader_error(r));
        else
            result = tu_stream_extent(stream, &extents[count++], tu_reader_error(r));
    }
    struct tensor_entry entry = {.name = t->name,
                                 .name_length = t->name_length,
                                 .dtype = t->dtype,
                                 .packing = t->packing,
                                 .rank = t->rank,
                                 .shape = t->shape,
                                 .offset = count ? extents[0].offset : stream->position,
                                 .nbytes = t->nbytes};
    if (result == 0 && tu_reader_scope(r, &t->scope) == 0 &&
        (count == 0 || tu_reader_extents(r, extents, count) == 0))
        result = tensor_add(r, &entry);
    else
        result = -1;
    free(extents);
    return result;
}

/* The metadata of the first source stands for the stream's. */
static int add_metadata(struct tensor_reader *r, const struct tensor_value *source)
{
    const struct tensor_value *meta = tu_value_get(source, "meta");
    for (size_t i = 0; meta && meta->type == TENSOR_MAP && i < meta->map.count; i++) {
        const struct tensor_pair *pair = &meta->map.pairs[i];
        if (tu_reader_value(r, pair->key.string.bytes, pair->key.string.length, &pair->value) < 0)
            return -1;
    }
    return tu_reader_stated(r, source);
}

static int read_objects(struct tensor_reader *r, struct tu_stream_reader *stream)
{
    struct tu_record record;
    bool have_source = false;
    int more;
    while ((more = tu_stream_next(stream, &record, tu_reader_error(r))) > 0) {
        int result = 0;
        if (record.kind == TU_KIND_TENSOR)
            result = add_tensor(r, stream, &record.tensor);
        else if (record.kind == TU_KIND_SOURCE && !have_source) {
            result = add_metadata(r, &record.map);
            have_source = true;
        }
        if (result < 0)
            return -1;
    }
    return more;
}

static int read_index(struct tensor_reader *r)
{
    struct tu_source *source = tu_reader_source(r);
    struct tu_stream_reader stream;
    if (lseek(source->fd, 0, SEEK_SET) < 0)
        return tu_fail_errno(tu_reader_error(r), "%s", source->path);
    if (tu_stream_open(&stream, source->fd, source->path, tu_reader_error(r)) < 0)
        return -1;
    int result = read_objects(r, &stream);
    tu_stream_close(&stream);
    return result;
}

const struct tensor_format tensor_format_tsr = {
    TENSOR_FORMAT_HEADER, .name = "tsr", .about = "tensor stream of tensorutils, saved",
    .suffixes = ".tsr",   .bid = bid,    .read = read_index,
};
