/* SPDX-License-Identifier: MIT */
/* The writing end of a tensor stream: records and chunks into a pipe or file. */
#include "config.h"

#include "stream/writer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "stream/record.h"
#include "tree/msgpack.h"

/* Small pieces gather; large ones go on at once, so that a reader never waits for a writer that
 * waits for it in turn. */
enum {
    WRITE_BUFFER = 64 * 1024,
    DIRECT_BYTES = 8 * 1024,
    COPY_BYTES = 256 * 1024,
    CHUNK_MAX = 1 << 30,
};

static int write_fully(int fd, const void *bytes, size_t length, struct tu_error *error)
{
    return tu_write_fully(fd, bytes, length) < 0 ? tu_fail_errno(error, "standard output") : 0;
}

static int flush(struct tu_stream_writer *w, struct tu_error *error)
{
    size_t length = w->used;
    w->used = 0;
    return write_fully(w->fd, w->buffer, length, error);
}

static int put(struct tu_stream_writer *w, const void *bytes, size_t length, struct tu_error *error)
{
    bool direct = length >= DIRECT_BYTES;
    if ((direct || length > WRITE_BUFFER - w->used) && flush(w, error) < 0)
        return -1;
    if (direct)
        return write_fully(w->fd, bytes, length, error);
    memcpy(w->buffer + w->used, bytes, length);
    w->used += length;
    return 0;
}

static int put_map(struct tu_stream_writer *w, const struct tensor_value *map,
                   struct tu_error *error)
{
    char *bytes;
    size_t length;
    if (tu_pack(map, &bytes, &length, error) < 0)
        return -1;
    int result = put(w, bytes, length, error);
    free(bytes);
    return result;
}

/* Ends a record that was built in arena, and writes it. */
static int put_built(struct tu_stream_writer *w, struct tu_builder *b, struct tu_arena *arena,
                     int built, struct tu_error *error)
{
    struct tensor_value map;
    if (built < 0)
        tu_builder_cancel(b);
    else if ((built = tu_builder_end(b, &map, error)) == 0)
        built = put_map(w, &map, error);
    tu_arena_free(arena);
    return built;
}

int tu_writer_open(struct tu_stream_writer *w, int fd, const char *tool, const char *command,
                   struct tu_error *error)
{
    *w = (struct tu_stream_writer){.fd = fd, .command = command};
    tu_enlarge_pipe(fd);
    if (!(w->buffer = malloc(WRITE_BUFFER)))
        return tu_fail_memory(error);
    struct tu_arena arena = {0};
    struct tu_builder b;
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int built = 0;
    if (tu_put_string(&b, "kind", "stream", error) < 0 ||
        tu_put_uint(&b, "version", TU_STREAM_VERSION, error) < 0 ||
        tu_put_string(&b, "tool", tool, error) < 0 ||
        tu_put_string(&b, "tool_version", PACKAGE_VERSION, error) < 0)
        built = -1;
    return put_built(w, &b, &arena, built, error) < 0 ? -1 : flush(w, error);
}

void tu_writer_close(struct tu_stream_writer *w)
{
    free(w->buffer);
    *w = (struct tu_stream_writer){.fd = -1};
}

/* A `source` record with one more command. */
static int put_source(struct tu_stream_writer *w, const struct tensor_value *map,
                      struct tu_error *error)
{
    const struct tensor_value *before = tu_value_get(map, "commands");
    size_t count = before && before->type == TENSOR_ARRAY ? before->array.count : 0;
    struct tu_arena arena = {0};
    struct tu_builder b;
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int built = 0;
    for (size_t i = 0; i < map->map.count && built == 0; i++) {
        const struct tensor_pair *p = &map->map.pairs[i];
        if (&p->value != before)
            built = tu_builder_put_tree(&b, p->key.string.bytes, p->key.string.length, &p->value,
                                        error);
    }
    if (built == 0)
        built =
            tu_builder_open(&b, "commands", strlen("commands"), TENSOR_ARRAY, TENSOR_STRING, error);
    for (size_t i = 0; i < count && built == 0; i++)
        built = tu_builder_put_tree(&b, NULL, 0, &before->array.items[i], error);
    if (built == 0 && (built = tu_put_string(&b, NULL, w->command, error)) == 0)
        built = tu_builder_close(&b, error);
    return put_built(w, &b, &arena, built, error);
}

int tu_writer_record(struct tu_stream_writer *w, const struct tensor_value *map,
                     struct tu_error *error)
{
    w->records++;
    return w->command && tu_value_equals(tu_value_get(map, "kind"), "source")
               ? put_source(w, map, error)
               : put_map(w, map, error);
}

int tu_writer_tensor(struct tu_stream_writer *w, const struct tu_tensor *t,
                     const struct tensor_value *extra, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tensor_value map;
    if (w->tensor_left)
        return tu_fail(error, TU_EINVALID, "tensor '%s' starts before the last one is whole",
                       t->name);
    int result = tu_tensor_record(t, extra, &arena, &map, error);
    if (result == 0)
        result = put_map(w, &map, error);
    tu_arena_free(&arena);
    w->tensors++;
    w->tensor_left = t->nbytes;
    return result;
}

/* Announces the next chunk where the last one is full: as long as the rest of the tensor allows. */
static int announce_chunk(struct tu_stream_writer *w, struct tu_error *error)
{
    if (w->chunk_left || !w->tensor_left)
        return 0;
    uint32_t length = w->tensor_left < CHUNK_MAX ? (uint32_t)w->tensor_left : CHUNK_MAX;
    uint8_t head[5] = {0xc6, (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                       (uint8_t)(length >> 8), (uint8_t)length};
    w->chunk_left = length;
    return put(w, head, sizeof head, error);
}

static int check_left(const struct tu_stream_writer *w, uint64_t length, struct tu_error *error)
{
    return length <= w->tensor_left
               ? 0
               : tu_fail(error, TU_EINVALID, "more bytes written than the tensor has");
}

int tu_writer_bytes(struct tu_stream_writer *w, const void *bytes, size_t length,
                    struct tu_error *error)
{
    const char *p = bytes;
    if (check_left(w, length, error) < 0)
        return -1;
    while (length) {
        if (announce_chunk(w, error) < 0)
            return -1;
        size_t n = length < w->chunk_left ? length : (size_t)w->chunk_left;
        if (put(w, p, n, error) < 0)
            return -1;
        p += n;
        length -= n;
        w->chunk_left -= n;
        w->tensor_left -= n;
    }
    return 0;
}

/* Makes ready for bytes to be written around the buffer: how many may come. */
static int open_around(struct tu_stream_writer *w, uint64_t length, uint64_t *want,
                       struct tu_error *error)
{
    if (announce_chunk(w, error) < 0 || flush(w, error) < 0)
        return -1;
    *want = length < w->chunk_left ? length : w->chunk_left;
    return 0;
}

static void count_written(struct tu_stream_writer *w, uint64_t n)
{
    w->chunk_left -= n;
    w->tensor_left -= n;
}

int tu_writer_splice(struct tu_stream_writer *w, const struct tu_source *from, uint64_t offset,
                     uint64_t length, struct tu_error *error)
{
    char copy[COPY_BYTES];
    uint64_t want;
    if (check_left(w, length, error) < 0)
        return -1;
    for (uint64_t n; length; offset += n, length -= n) {
        off_t position = (off_t)offset;
        if (open_around(w, length, &want, error) < 0)
            return -1;
        if ((n = tu_move(from->fd, &position, w->fd, NULL, want)) == 0) {
            n = want < sizeof copy ? want : sizeof copy;
            if (tu_source_read(from, offset, copy, (size_t)n, error) < 0 ||
                write_fully(w->fd, copy, (size_t)n, error) < 0)
                return -1;
        }
        count_written(w, n);
    }
    return 0;
}

int tu_writer_relay(struct tu_stream_writer *w, struct tu_stream_reader *from, uint64_t length,
                    struct tu_error *error)
{
    char copy[COPY_BYTES];
    uint64_t want;
    if (check_left(w, length, error) < 0)
        return -1;
    for (ssize_t n; length; length -= (uint64_t)n) {
        if (open_around(w, length, &want, error) < 0 ||
            (n = tu_stream_move(from, w->fd, NULL, want, error)) < 0)
            return -1;
        if (n == 0) {
            n = (ssize_t)(want < sizeof copy ? want : sizeof copy);
            if (tu_stream_read(from, copy, (size_t)n, error) < 0 ||
                write_fully(w->fd, copy, (size_t)n, error) < 0)
                return -1;
        }
        count_written(w, (uint64_t)n);
    }
    return 0;
}

int tu_writer_flush(struct tu_stream_writer *w, struct tu_error *error)
{
    return flush(w, error);
}

int tu_writer_end(struct tu_stream_writer *w, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_builder b;
    if (w->tensor_left)
        return tu_fail(error, TU_EINVALID, "the last tensor is not whole");
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int built = 0;
    if (tu_put_string(&b, "kind", "end", error) < 0 ||
        tu_put_uint(&b, "tensors", w->tensors, error) < 0 ||
        tu_put_uint(&b, "records", w->records, error) < 0)
        built = -1;
    return put_built(w, &b, &arena, built, error) < 0 ? -1 : flush(w, error);
}

void tu_writer_fail(struct tu_stream_writer *w, const char *tool, const char *message)
{
    struct tu_error ignored = {0};
    struct tu_arena arena = {0};
    struct tu_builder b;
    if (w->chunk_left) { /* inside a chunk a record cannot be told from data: leave it cut */
        flush(w, &ignored);
        return;
    }
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, &ignored) < 0)
        return;
    int built = 0;
    if (tu_put_string(&b, "kind", "error", &ignored) < 0 ||
        tu_put_string(&b, "tool", tool, &ignored) < 0 ||
        tu_put_string(&b, "message", message, &ignored) < 0)
        built = -1;
    if (put_built(w, &b, &arena, built, &ignored) == 0)
        flush(w, &ignored);
}
