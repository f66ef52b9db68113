/* SPDX-License-Identifier: MIT */
/* The reading end of a tensor stream: every byte checked, every break noticed. */
#include "config.h"

#include "stream/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "stream/record.h"
#include "tree/msgpack.h"

enum { READ_AHEAD = 64 * 1024 };

int tu_stream_open(struct tu_stream_reader *r, int fd, const char *path, struct tu_error *error)
{
    *r = (struct tu_stream_reader){.fd = fd, .path = path, .capacity = READ_AHEAD};
    struct stat st;
    if (fstat(fd, &st) < 0)
        return tu_fail_errno(error, "%s", path);
    if (S_ISDIR(st.st_mode))
        return tu_fail(error, TU_EINVALID, "%s: is a directory", path);
    off_t start = S_ISREG(st.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
    r->seekable = start >= 0;
    if (r->seekable) {
        r->position = (uint64_t)start;
        r->size = (uint64_t)st.st_size;
    }
    tu_enlarge_pipe(fd);
    r->buffer = malloc(r->capacity);
    return r->buffer ? 0 : tu_fail_memory(error);
}

void tu_stream_close(struct tu_stream_reader *r)
{
    free(r->buffer);
    tu_arena_free(&r->arena);
    *r = (struct tu_stream_reader){.fd = -1};
}

/* Every complaint about the stream names the operand, the place and the tool that wrote it. */
static int stream_fail(const struct tu_stream_reader *r, const char *what, struct tu_error *error)
{
    const char *by = r->in_segment ? r->tool : "";
    return tu_fail(error, TU_EINVALID, "%s: byte %" PRIu64 ": %s%s%s%s", r->path, r->position, what,
                   *by ? " (in the stream of " : "", by, *by ? ")" : "");
}

static int truncated(const struct tu_stream_reader *r, struct tu_error *error)
{
    if (r->tensor_left)
        return tu_fail(error, TU_EINVALID,
                       "%s: byte %" PRIu64 ": truncated: %s broke off in tensor '%s', %" PRIu64
                       " bytes short",
                       r->path, r->position, r->tool, r->tensor_name, r->tensor_left);
    if (!r->in_segment && r->seekable && r->size == 0)
        return tu_fail(error, TU_EINVALID,
                       "%s: empty: the file has no bytes (a download or a disk that failed?)",
                       r->path);
    if (!r->in_segment)
        return tu_fail(error, TU_EINVALID,
                       "%s: empty: no tensor stream came (did its producer fail?)", r->path);
    return tu_fail(error, TU_EINVALID,
                   "%s: byte %" PRIu64 ": truncated: %s broke off before its end record", r->path,
                   r->position, r->tool);
}

static ssize_t read_some(struct tu_stream_reader *r, void *buffer, size_t length,
                         struct tu_error *error)
{
    ssize_t n;
    do
        n = read(r->fd, buffer, length);
    while (n < 0 && errno == EINTR);
    return n < 0 ? tu_fail_errno(error, "%s: byte %" PRIu64, r->path, r->position) : n;
}

/* Reads more behind the bytes in the buffer: 1, or 0 at the end of the file. */
static int fill(struct tu_stream_reader *r, struct tu_error *error)
{
    if (r->begin && !r->held) {
        memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->end == r->capacity) {
        uint8_t *larger = realloc(r->buffer, r->capacity * 2);
        if (!larger)
            return tu_fail_memory(error);
        r->buffer = larger;
        r->capacity *= 2;
    }
    ssize_t n = read_some(r, r->buffer + r->end, r->capacity - r->end, error);
    if (n > 0)
        r->end += (size_t)n;
    return n < 0 ? -1 : n > 0;
}

static size_t available(const struct tu_stream_reader *r)
{
    return r->end - r->begin;
}

static void take(struct tu_stream_reader *r, size_t length)
{
    r->begin += length;
    r->position += length;
}

ssize_t tu_stream_head(struct tu_stream_reader *r, const uint8_t **bytes, struct tu_error *error)
{
    int more = 1;
    while (more > 0 && available(r) < TENSOR_BID_BYTES)
        more = fill(r, error);
    *bytes = r->buffer + r->begin;
    size_t n = available(r);
    return more < 0 ? -1 : (ssize_t)(n < TENSOR_BID_BYTES ? n : TENSOR_BID_BYTES);
}

ssize_t tu_stream_raw(struct tu_stream_reader *r, const uint8_t **bytes, struct tu_error *error)
{
    int more = available(r) ? 1 : fill(r, error);
    size_t n = available(r);
    *bytes = r->buffer + r->begin;
    take(r, n);
    return more < 0 ? -1 : (ssize_t)n;
}

unsigned tu_stream_bid(const uint8_t *head, size_t length)
{
    static const char opening[] = "\xa4kind\xa6stream";
    size_t map = length && head[0] == 0xde ? 3 : length && head[0] == 0xdf ? 5 : 1;
    bool is_map = length && (map > 1 || (head[0] & 0xf0) == 0x80);
    bool opens = is_map && length >= map + sizeof opening - 1 &&
                 memcmp(head + map, opening, sizeof opening - 1) == 0;
    return opens ? 8 * (unsigned)(sizeof opening) : 0;
}

/* ---- Records ---- */

/* Reads one MessagePack object into the buffer; its length, 0 at the end of the file, or -1. */
static ssize_t scan_object(struct tu_stream_reader *r, struct tu_error *error)
{
    struct tu_scan scan = {0};
    for (;;) {
        int found = tu_scan_object(&scan, r->buffer + r->begin, available(r));
        if (found < 0)
            return stream_fail(r,
                               scan.objects > TU_SCAN_OBJECTS
                                   ? "a record of more than 2^24 values"
                                   : "no tensor stream: bad MessagePack, an extension type, or "
                                     "nested too deep",
                               error);
        if (found)
            return (ssize_t)scan.position;
        if (available(r) > TU_RECORD_MAX)
            return stream_fail(r, "a record of more than 1 GiB", error);
        int more = fill(r, error);
        if (more < 0)
            return -1;
        if (more == 0)
            return available(r) ? truncated(r, error) : 0;
    }
}

static bool is_bin(uint8_t byte)
{
    return byte >= 0xc4 && byte <= 0xc6;
}

static bool is_map(uint8_t byte)
{
    return (byte & 0xf0) == 0x80 || byte == 0xde || byte == 0xdf;
}

/* The first byte of the next object without taking it; 0 at the end of the file. */
static int peek_byte(struct tu_stream_reader *r, uint8_t *byte, struct tu_error *error)
{
    int more = available(r) ? 1 : fill(r, error);
    if (more > 0)
        *byte = r->buffer[r->begin];
    return more;
}

static int fail_with_record(const struct tu_stream_reader *r, const struct tensor_value *map,
                            struct tu_error *error)
{
    const char *tool = "its producer", *message = "no reason given";
    size_t tool_length = strlen(tool), message_length = strlen(message);
    tu_value_string(tu_value_get(map, "tool"), &tool, &tool_length);
    tu_value_string(tu_value_get(map, "message"), &message, &message_length);
    return tu_fail(error, TU_EINVALID, "%s: %.*s failed: %.*s", r->path, (int)tool_length, tool,
                   (int)message_length, message);
}

static int begin_tensor(struct tu_stream_reader *r, struct tu_record *record,
                        struct tu_error *error)
{
    struct tu_error inner = {0};
    struct tu_tensor *t = &record->tensor;
    if (tu_tensor_from_value(&record->map, &r->arena, t, &record->geometry, &inner) < 0) {
        char what[sizeof inner.text + 128];
        snprintf(what, sizeof what, "tensor '%.100s': %s", t->name ? t->name : "", inner.text);
        return stream_fail(r, what, error);
    }
    r->tensor_left = t->nbytes;
    snprintf(r->tensor_name, sizeof r->tensor_name, "%s", t->name);
    r->tensors++;
    return 0;
}

static int begin_segment(struct tu_stream_reader *r, const struct tensor_value *map,
                         struct tu_error *error)
{
    uint64_t version;
    const char *tool = "unknown", *revision = "";
    size_t length = strlen(tool), revision_length = 0;
    if (r->in_segment)
        return stream_fail(r, "a segment opens inside another", error);
    if (!tu_value_uint(tu_value_get(map, "version"), &version) || version != TU_STREAM_VERSION)
        return stream_fail(r, "its stream version is not 1", error);
    tu_value_string(tu_value_get(map, "tool"), &tool, &length);
    tu_value_string(tu_value_get(map, "tool_version"), &revision, &revision_length);
    snprintf(r->tool, sizeof r->tool, "%.*s", (int)(length < 63 ? length : 63), tool);
    snprintf(r->tool_version, sizeof r->tool_version, "%.*s",
             (int)(revision_length < 31 ? revision_length : 31), revision);
    r->in_segment = r->any_segment = true;
    r->tensors = r->records = 0;
    return 0;
}

static int end_segment(struct tu_stream_reader *r, const struct tensor_value *map,
                       struct tu_error *error)
{
    uint64_t tensors, records;
    if (!tu_value_uint(tu_value_get(map, "tensors"), &tensors) ||
        !tu_value_uint(tu_value_get(map, "records"), &records))
        return stream_fail(r, "an end record without its counts", error);
    if (tensors != r->tensors || records != r->records) {
        char what[160];
        snprintf(what, sizeof what,
                 "the end record counts %" PRIu64 " tensors and %" PRIu64 " records, %" PRIu64
                 " and %" PRIu64 " came",
                 tensors, records, r->tensors, r->records);
        return stream_fail(r, what, error);
    }
    r->in_segment = false;
    return 0;
}

static int interpret(struct tu_stream_reader *r, struct tu_record *record, struct tu_error *error)
{
    const struct tensor_value *map = &record->map;
    if (map->map.count == 0 || !tu_value_equals(&map->map.pairs[0].key, "kind"))
        return stream_fail(r, "a record whose first key is not 'kind'", error);
    const struct tensor_value *kind = &map->map.pairs[0].value;
    if (tu_value_equals(kind, "stream")) {
        record->kind = TU_KIND_STREAM;
        return begin_segment(r, map, error);
    }
    if (!r->in_segment)
        return stream_fail(r, "a record outside of a segment", error);
    if (tu_value_equals(kind, "error"))
        return fail_with_record(r, map, error);
    if (tu_value_equals(kind, "end")) {
        record->kind = TU_KIND_END;
        return end_segment(r, map, error);
    }
    if (tu_value_equals(kind, "tensor")) {
        record->kind = TU_KIND_TENSOR;
        return begin_tensor(r, record, error);
    }
    record->kind = tu_value_equals(kind, "source")  ? TU_KIND_SOURCE
                   : tu_value_equals(kind, "index") ? TU_KIND_INDEX
                                                    : TU_KIND_RESULT;
    r->records++;
    return 0;
}

static int read_record(struct tu_stream_reader *r, struct tu_record *record, struct tu_error *error)
{
    struct tu_error inner = {0};
    ssize_t length = scan_object(r, error);
    if (length <= 0)
        return length < 0 ? -1 : truncated(r, error);
    tu_arena_free(&r->arena);
    if (tu_unpack(r->buffer + r->begin, (size_t)length, &r->arena, &record->map, &inner) < 0)
        return stream_fail(r, inner.text, error);
    if (interpret(r, record, error) < 0)
        return -1;
    take(r, (size_t)length);
    return 1;
}

/* ---- Chunks ---- */

/* Opens the next chunk of the current tensor. */
static int open_chunk(struct tu_stream_reader *r, struct tu_error *error)
{
    uint8_t first;
    int more = peek_byte(r, &first, error);
    if (more <= 0)
        return more < 0 ? -1 : truncated(r, error);
    if (!is_bin(first)) { /* a record here can only be the producer's last word */
        struct tu_record record = {0};
        if (is_map(first) && read_record(r, &record, error) < 0)
            return -1;
        return stream_fail(r, "another object where the bytes of a tensor should go on", error);
    }
    size_t width = (size_t)1 << (first - 0xc4);
    while (available(r) < 1 + width) {
        more = fill(r, error);
        if (more <= 0)
            return more < 0 ? -1 : truncated(r, error);
    }
    uint64_t length = 0;
    for (size_t i = 0; i < width; i++)
        length = length << 8 | r->buffer[r->begin + 1 + i];
    if (length > r->tensor_left) {
        char what[400];
        snprintf(what, sizeof what, "tensor '%s' has more bytes than its nbytes", r->tensor_name);
        return stream_fail(r, what, error);
    }
    take(r, 1 + width);
    r->chunk_left = length;
    return 0;
}

static int need_chunk(struct tu_stream_reader *r, struct tu_error *error)
{
    while (r->chunk_left == 0)
        if (open_chunk(r, error) < 0)
            return -1;
    return 0;
}

static size_t from_buffer(struct tu_stream_reader *r, uint8_t *out, size_t length)
{
    size_t n = available(r) < length ? available(r) : length;
    memcpy(out, r->buffer + r->begin, n);
    take(r, n);
    return n;
}

int tu_stream_read(struct tu_stream_reader *r, void *buffer, size_t length, struct tu_error *error)
{
    uint8_t *out = buffer;
    if (length > r->tensor_left)
        return stream_fail(r, "more bytes asked for than the tensor has", error);
    while (length) {
        if (need_chunk(r, error) < 0)
            return -1;
        size_t want = length < r->chunk_left ? length : (size_t)r->chunk_left;
        size_t n = from_buffer(r, out, want);
        if (n == 0) {
            ssize_t got = read_some(r, out, want, error);
            if (got <= 0)
                return got < 0 ? -1 : truncated(r, error);
            n = (size_t)got;
            r->position += n;
        }
        out += n;
        length -= n;
        r->chunk_left -= n;
        r->tensor_left -= n;
    }
    return 0;
}

ssize_t tu_stream_move(struct tu_stream_reader *r, int to, off_t *at, uint64_t length,
                       struct tu_error *error)
{
    if (length == 0 || length > r->tensor_left)
        return length ? stream_fail(r, "more bytes asked for than the tensor has", error) : 0;
    if (need_chunk(r, error) < 0)
        return -1;
    if (available(r))
        return 0;
    size_t n = tu_move(r->fd, NULL, to, at, length < r->chunk_left ? length : r->chunk_left);
    r->position += n;
    r->chunk_left -= n;
    r->tensor_left -= n;
    return (ssize_t)n;
}

/* Moves past bytes of the chunk in a seekable stream: no further than the file reaches. */
static int seek_past(struct tu_stream_reader *r, uint64_t length, struct tu_error *error)
{
    size_t buffered = available(r) < length ? available(r) : (size_t)length;
    take(r, buffered);
    uint64_t rest = length - buffered;
    uint64_t reachable = r->size > r->position ? r->size - r->position : 0;
    uint64_t step = rest < reachable ? rest : reachable;
    if (step && lseek(r->fd, (off_t)step, SEEK_CUR) < 0)
        return tu_fail_errno(error, "%s", r->path);
    r->position += step;
    r->chunk_left -= buffered + step;
    r->tensor_left -= buffered + step;
    return step < rest ? truncated(r, error) : 0;
}

int tu_stream_extent(struct tu_stream_reader *r, struct tu_extent *extent, struct tu_error *error)
{
    if (need_chunk(r, error) < 0)
        return -1;
    *extent = (struct tu_extent){r->position, r->chunk_left};
    return seek_past(r, r->chunk_left, error);
}

static int skip_tensor(struct tu_stream_reader *r, struct tu_error *error)
{
    uint8_t scratch[16 * 1024];
    struct tu_extent extent;
    while (r->tensor_left) {
        size_t n = r->tensor_left < sizeof scratch ? (size_t)r->tensor_left : sizeof scratch;
        int result = r->seekable ? tu_stream_extent(r, &extent, error)
                                 : tu_stream_read(r, scratch, n, error);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* What may stand between a tensor's last byte and the next record: empty chunks. */
static int skip_empty_chunks(struct tu_stream_reader *r, struct tu_error *error)
{
    uint8_t first;
    int more;
    while ((more = peek_byte(r, &first, error)) > 0 && is_bin(first))
        if (open_chunk(r, error) < 0)
            return -1;
    return more;
}

int tu_stream_next(struct tu_stream_reader *r, struct tu_record *record, struct tu_error *error)
{
    if (r->tensor_left && skip_tensor(r, error) < 0)
        return -1;
    *record = (struct tu_record){0};
    int more = skip_empty_chunks(r, error);
    if (more < 0)
        return -1;
    if (more == 0)
        return r->in_segment || !r->any_segment ? truncated(r, error) : 0;
    return read_record(r, record, error);
}

/* ---- Looking ahead ---- */

static bool announces(const struct tensor_value *index, tu_kind_of_tensor_fn *is)
{
    const struct tensor_value *rows = tu_value_get(index, "tensors");
    bool found = false;
    for (size_t i = 0; rows && rows->type == TENSOR_ARRAY && i < rows->array.count && !found; i++) {
        struct tu_arena arena = {0};
        struct tu_tensor t;
        struct tu_geometry geometry;
        struct tu_error ignored = {0};
        found = tu_tensor_from_value(&rows->array.items[i], &arena, &t, &geometry, &ignored) == 0 &&
                is(&t);
        tu_arena_free(&arena);
    }
    return found;
}

bool tu_stream_foretells(struct tu_stream_reader *r, tu_kind_of_tensor_fn *is)
{
    const struct tu_stream_reader before = *r;
    struct tu_error ignored = {0};
    struct tu_record record;
    bool found = false;
    r->held = true;
    while (tu_stream_next(r, &record, &ignored) > 0) {
        bool last = record.kind == TU_KIND_TENSOR || record.kind == TU_KIND_INDEX;
        if (last) {
            found = record.kind == TU_KIND_TENSOR ? is(&record.tensor) : announces(&record.map, is);
            break;
        }
    }
    tu_arena_free(&r->arena);
    uint8_t *buffer = r->buffer;
    size_t end = r->end, capacity = r->capacity;
    *r = before;
    r->buffer = buffer;
    r->end = end;
    r->capacity = capacity;
    r->arena = (struct tu_arena){0};
    return found;
}
