/* SPDX-License-Identifier: MIT */
/* Writes the file of a model: head, data and tail, whatever comes first. */
#include "config.h"

#include "model/write/save.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "tree/json.h"

enum { BUFFER_BYTES = 1 << 20, WRITE_BEHIND = 32 << 20 };

/* ---- Head and tail ---- */

/* What a format's write functions see. */
struct head_writer {
    struct tensor_writer public; /* first: the plugin's view of this */
    struct tu_saver *saver;
    struct tu_error *error;
    struct tu_arena arena;
    char *bytes;
    size_t length, capacity;
    uint32_t *checksums; /* of tensors that are planned: zeros */
};

static struct head_writer *inside(struct tensor_writer *w)
{
    return (struct head_writer *)(void *)w;
}

static int host_emit(struct tensor_writer *w, const void *bytes, size_t length)
{
    struct head_writer *h = inside(w);
    size_t capacity = h->capacity ? h->capacity : 4096;
    while (capacity - h->length < length)
        capacity *= 2;
    if (capacity > h->capacity) {
        char *larger = realloc(h->bytes, capacity);
        if (!larger)
            return tu_fail_memory(h->error);
        h->bytes = larger;
        h->capacity = capacity;
    }
    if (length)
        memcpy(h->bytes + h->length, bytes, length);
    h->length += length;
    return 0;
}

static int host_json(struct tensor_writer *w, const struct tensor_value *value, const char **text,
                     size_t *length)
{
    return tu_json_text(value, &inside(w)->arena, text, length, inside(w)->error);
}

static TU_PRINTF(2, 3) int host_fail(struct tensor_writer *w, const char *format, ...)
{
    char text[sizeof inside(w)->error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return tu_fail(inside(w)->error, TU_EINVALID, "%s: %s", inside(w)->saver->file.path, text);
}

static const struct tensor_writer_host writer_host = {
    .emit = host_emit,
    .json = host_json,
    .fail = host_fail,
};

static void head_writer_init(struct head_writer *h, struct tu_saver *s,
                             const struct tensor_entry *tensors, size_t count,
                             struct tu_error *error)
{
    *h = (struct head_writer){.public = {.host = &writer_host,
                                         .tensors = tensors,
                                         .count = count,
                                         .metadata = &s->metadata,
                                         .room = s->room,
                                         .data_bytes = s->data_bytes,
                                         .parts = 1,
                                         .all_tensors = count,
                                         .tensor_crc32 = s->checksums},
                              .saver = s,
                              .error = error};
}

static void head_writer_free(struct head_writer *h)
{
    free(h->bytes);
    free(h->checksums);
    tu_arena_free(&h->arena);
}

static uint64_t align(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

/* ---- Data ---- */

static int need_buffer(struct tu_saver *s, struct tu_error *error)
{
    if (!s->buffer)
        s->buffer = malloc(BUFFER_BYTES);
    return s->buffer ? 0 : tu_fail_memory(error);
}

/* Bytes go to the disk while others are made, so that the flush at the end has little left. */
static void begin_writing(struct tu_saver *s)
{
    uint64_t bytes = s->data_bytes - s->used - s->begun;
    if (bytes < WRITE_BEHIND)
        return; /* what fails here fails at the end, too */
    sync_file_range(s->file.fd, (off_t)(s->room + s->begun), (off_t)bytes, SYNC_FILE_RANGE_WRITE);
    s->begun += bytes;
}

/* Writes the newest `length` bytes of the data section. */
static int write_data(struct tu_saver *s, const void *bytes, size_t length, struct tu_error *error)
{
    if (tu_newfile_write(&s->file, s->room + s->data_bytes - length, bytes, length, error) < 0)
        return -1;
    if (s->format->wants_crc32)
        s->crc32 = (uint32_t)crc32_z(s->crc32, bytes, length);
    return 0;
}

static int flush(struct tu_saver *s, struct tu_error *error)
{
    if (write_data(s, s->buffer, s->used, error) < 0)
        return -1;
    s->used = 0;
    begin_writing(s);
    return 0;
}

static int put(struct tu_saver *s, const void *bytes, size_t length, struct tu_error *error)
{
    if (length == 0)
        return 0;
    if (need_buffer(s, error) < 0 || (length > BUFFER_BYTES - s->used && flush(s, error) < 0))
        return -1;
    s->data_bytes += length;
    if (length >= BUFFER_BYTES / 4 && s->used == 0) {
        begin_writing(s);
        return write_data(s, bytes, length, error);
    }
    memcpy(s->buffer + s->used, bytes, length);
    s->used += length;
    return 0;
}

static int pad(struct tu_saver *s, struct tu_error *error)
{
    static const char zeros[4096];
    uint64_t gap = align(s->data_bytes, s->format->tensor_alignment) - s->data_bytes;
    while (gap) {
        size_t n = gap < sizeof zeros ? (size_t)gap : sizeof zeros;
        if (put(s, zeros, n, error) < 0)
            return -1;
        gap -= n;
    }
    return 0;
}

/* ---- Prefixes: what a format puts before the bytes of each tensor ---- */

/* Where a tensor's prefix begins. */
static uint64_t prefix_place(const struct tensor_format *format, const struct tensor_entry *tensors,
                             size_t index)
{
    uint64_t end = index ? tensors[index - 1].offset + tensors[index - 1].nbytes : 0;
    return align(end, format->tensor_alignment);
}

/* Makes the prefix of one tensor anew, in the place of what was emitted before. */
static int make_prefix(struct head_writer *h, size_t index)
{
    const struct tensor_format *format = h->saver->format;
    h->length = 0;
    h->public.prefix = prefix_place(format, h->public.tensors, index);
    return format->write_prefix(&h->public, index);
}

/* Gives the newest tensor's prefix its room. */
static int put_prefix(struct tu_saver *s, struct tu_error *error)
{
    struct head_writer h;
    struct tensor_entry *e = &s->tensors[s->count - 1];
    if (!s->format->write_prefix)
        return 0;
    head_writer_init(&h, s, s->tensors, s->count, error);
    int result = make_prefix(&h, s->count - 1);
    if (result == 0)
        result = put(s, h.bytes, h.length, error);
    e->offset = s->data_bytes;
    head_writer_free(&h);
    return result;
}

/* Writes the prefixes again, now that the checksums are known. */
static int write_prefixes(struct head_writer *h)
{
    const struct tu_saver *s = h->saver;
    for (size_t i = 0; s->format->write_prefix && i < s->count; i++) {
        if (make_prefix(h, i) < 0)
            return -1;
        if (h->length != s->tensors[i].offset - h->public.prefix)
            return tu_fail(h->error, TU_EINVALID, "%s: format %s changed the length of a prefix",
                           s->file.path, s->format->name);
        if (tu_newfile_write(&s->file, s->room + h->public.prefix, h->bytes, h->length, h->error) <
            0)
            return -1;
    }
    return 0;
}

/* Moves the data section up or down to where the head ends; from its far end where it goes up, so
 * that nothing is overwritten before it was read. */
static int move_data(struct tu_saver *s, uint64_t to, struct tu_error *error)
{
    struct tu_source self = {
        .fd = s->file.fd, .path = s->file.path, .size = s->room + s->data_bytes};
    bool up = to > s->room;
    if (need_buffer(s, error) < 0)
        return -1;
    for (uint64_t done = 0; done < s->data_bytes;) {
        uint64_t left = s->data_bytes - done;
        size_t n = left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES;
        uint64_t at = up ? left - n : done;
        if (tu_source_read(&self, s->room + at, s->buffer, n, error) < 0 ||
            tu_newfile_write(&s->file, to + at, s->buffer, n, error) < 0)
            return -1;
        done += n;
    }
    s->room = to;
    return ftruncate(s->file.fd, (off_t)(to + s->data_bytes)) < 0
               ? tu_fail_errno(error, "%s", s->file.path)
               : 0;
}

/* ---- The interface ---- */

int tu_save_open(struct tu_saver *s, const struct tensor_format *format, const char *path,
                 bool force, struct tu_error *error)
{
    *s = (struct tu_saver){.format = format, .file.fd = -1};
    s->metadata.type = TENSOR_MAP;
    if (!format->refuse)
        return tu_fail(error, TU_EUSAGE, "%s: format %s can be read but not written", path,
                       format->name);
    return tu_newfile_open(&s->file, path, force, error);
}

/* Gives tensors that are likely to come their places. */
static int place_planned(struct head_writer *h, struct tensor_entry *planned)
{
    const struct tensor_format *format = h->saver->format;
    uint64_t end = 0;
    size_t count = h->public.count;
    h->public.tensor_crc32 = h->checksums = calloc(count + 1, sizeof *h->checksums);
    if (!h->checksums)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (format->refuse(&planned[i]))
            return -1;
        planned[i].offset = prefix_place(format, planned, i);
        h->public.count = i + 1;
        if (format->write_prefix && make_prefix(h, i) < 0)
            return -1;
        planned[i].offset += format->write_prefix ? h->length : 0;
        end = planned[i].offset + planned[i].nbytes;
    }
    h->public.data_bytes = end;
    return 0;
}

int tu_save_expect(struct tu_saver *s, const struct tensor_entry *tensors, size_t count,
                   struct tu_error *error)
{
    struct head_writer h;
    struct tensor_entry *planned = reallocarray(NULL, count ? count : 1, sizeof *planned);
    if (!planned)
        return tu_fail_memory(error);
    memcpy(planned, tensors, count * sizeof *planned);
    struct tu_error ignored = {0};
    head_writer_init(&h, s, planned, count, &ignored);
    /* What fails here is told of when the tensor itself comes. */
    if (s->count == 0 && s->data_bytes == 0 && place_planned(&h, planned) == 0) {
        h.length = 0;
        if (s->format->write_head(&h.public) == 0)
            s->room = align(h.length, s->format->data_alignment);
    }
    head_writer_free(&h);
    free(planned);
    return 0;
}

int tu_save_metadata(struct tu_saver *s, const struct tensor_value *map, struct tu_error *error)
{
    struct tensor_value merged;
    if (tu_value_merge(&s->metadata, map, &s->arena, &merged, error) < 0)
        return -1;
    s->metadata = merged;
    return 0;
}

const char *tu_save_refuses(const struct tensor_format *format, const struct tu_tensor *t)
{
    return format->refuse(&(struct tensor_entry){.name = t->name,
                                                 .name_length = t->name_length,
                                                 .dtype = t->dtype,
                                                 .packing = t->packing,
                                                 .rank = t->rank,
                                                 .shape = t->shape,
                                                 .nbytes = t->nbytes});
}

int tu_save_tensor(struct tu_saver *s, const struct tu_tensor *t, struct tu_error *error)
{
    if (s->left)
        return tu_fail(error, TU_EINVALID, "tensor '%s' starts before the last one is whole",
                       t->name);
    if (pad(s, error) < 0)
        return -1;
    struct tensor_entry e = {.name_length = t->name_length,
                             .dtype = t->dtype,
                             .packing = t->packing,
                             .rank = t->rank,
                             .offset = s->data_bytes,
                             .nbytes = t->nbytes};
    uint64_t *shape = tu_arena_alloc(&s->arena, t->rank * sizeof *shape);
    e.name = tu_arena_copy(&s->arena, t->name, t->name_length);
    if (!shape || !e.name || !TU_GROW(s->tensors, s->count, s->capacity) ||
        !TU_GROW(s->checksums, s->count, s->checksum_capacity))
        return tu_fail_memory(error);
    if (t->rank)
        memcpy(shape, t->shape, t->rank * sizeof *shape);
    e.shape = shape;
    const char *why = s->format->refuse(&e);
    if (why)
        return tu_fail(error, TU_EINVALID, "%s: tensor '%.256s' (%s): %s %s", s->file.path, t->name,
                       tu_dtype(t->dtype)->name, s->format->name, why);
    s->checksums[s->count] = 0;
    s->tensors[s->count++] = e;
    s->left = t->nbytes;
    return put_prefix(s, error);
}

int tu_save_bytes(struct tu_saver *s, const void *bytes, size_t length, struct tu_error *error)
{
    if (length > s->left)
        return tu_fail(error, TU_EINVALID, "more bytes than the tensor has");
    s->left -= length;
    if (s->format->write_prefix && length) {
        uint32_t *sum = &s->checksums[s->count - 1];
        *sum = (uint32_t)crc32_z(*sum, bytes, length);
    }
    return put(s, bytes, length, error);
}

int tu_save_straight(struct tu_saver *s, off_t *at, struct tu_error *error)
{
    if (s->format->wants_crc32 || s->format->write_prefix || flush(s, error) < 0)
        return -1;
    *at = (off_t)(s->room + s->data_bytes);
    return s->file.fd;
}

void tu_save_put(struct tu_saver *s, uint64_t length)
{
    s->data_bytes += length;
    s->left -= length;
    begin_writing(s);
}

static int compare_entries(const void *a, const void *b)
{
    const struct tensor_entry *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* A file cannot hold two tensors of one name, though streams that were joined can. */
static int check_names(const struct tu_saver *s, struct tu_error *error)
{
    const struct tensor_entry **sorted = reallocarray(NULL, s->count + 1, sizeof *sorted);
    if (!sorted)
        return tu_fail_memory(error);
    for (size_t i = 0; i < s->count; i++)
        sorted[i] = &s->tensors[i];
    qsort(sorted, s->count, sizeof *sorted, compare_entries);
    int result = 0;
    for (size_t i = 0; i + 1 < s->count && result == 0; i++)
        if (compare_entries(&sorted[i], &sorted[i + 1]) == 0)
            result = tu_fail(error, TU_EINVALID, "%s: tensor '%s' came twice", s->file.path,
                             sorted[i]->name);
    free(sorted);
    return result;
}

/* Puts the head before the data and the tail behind it. */
static int write_around(struct tu_saver *s, uint32_t part, uint32_t parts, uint64_t all_tensors,
                        struct tu_error *error)
{
    struct head_writer h;
    head_writer_init(&h, s, s->tensors, s->count, error);
    h.public.part = part;
    h.public.parts = parts;
    h.public.all_tensors = all_tensors;
    int result = s->format->write_head(&h.public);
    uint64_t start = align(h.length, s->format->data_alignment);
    for (uint64_t i = h.length; result == 0 && i < start; i++)
        result = host_emit(&h.public, "", 1);
    if (result == 0 && start != s->room)
        result = move_data(s, start, error);
    if (result == 0)
        result = tu_newfile_write(&s->file, 0, h.bytes, h.length, error);
    uint32_t head = (uint32_t)crc32_z(0, (const Bytef *)h.bytes, h.length);
    if (result == 0)
        result = write_prefixes(&h);
    if (result == 0 && s->format->write_tail) {
        h.public.crc32 = (uint32_t)crc32_combine(head, s->crc32, (z_off_t)s->data_bytes);
        h.length = 0;
        result = s->format->write_tail(&h.public);
        if (result == 0)
            result = tu_newfile_write(&s->file, s->room + s->data_bytes, h.bytes, h.length, error);
    }
    head_writer_free(&h);
    return result;
}

int tu_save_end(struct tu_saver *s, struct tu_error *error)
{
    if (s->left)
        return tu_fail(error, TU_EINVALID, "%s: the last tensor is not whole", s->file.path);
    if (check_names(s, error) < 0 || pad(s, error) < 0 || flush(s, error) < 0)
        return -1;
    free(s->buffer);
    s->buffer = NULL;
    return 0;
}

int tu_save_finish(struct tu_saver *s, uint32_t part, uint32_t parts, uint64_t all_tensors,
                   struct tu_error *error)
{
    if (write_around(s, part, parts, all_tensors, error) < 0)
        return -1;
    return tu_newfile_flush(&s->file, error);
}

int tu_save_publish(struct tu_saver *s, const char *path, struct tu_error *error)
{
    return tu_newfile_publish(&s->file, path, error);
}

void tu_save_close(struct tu_saver *s)
{
    tu_newfile_close(&s->file);
    free(s->buffer);
    free(s->tensors);
    free(s->checksums);
    tu_arena_free(&s->arena);
    *s = (struct tu_saver){.file.fd = -1};
}
