/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>

#include "tensor/tensor.h"
#include "tree/json.h"

void fuzz_append(struct fuzz_bytes *out, const void *bytes, size_t length)
{
    if (length > out->capacity - out->length) {
        out->capacity = 2 * out->capacity + length;
        out->bytes = realloc(out->bytes, out->capacity);
        if (!out->bytes)
            abort();
    }
    if (length)
        memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

int fuzz_file(const void *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    const char *p = data;
    for (size_t done = 0; fd >= 0 && done < size;) {
        ssize_t n = write(fd, p + done, size - done);
        if (n < 0)
            abort();
        done += (size_t)n;
    }
    if (fd < 0)
        abort();
    return fd;
}

/* ---- Peeks that are exact ---- */

/* What the plugin sees; every call goes on to the reader of the core. */
struct strict_reader {
    struct tensor_reader public; /* first: the plugin's view of this */
    struct tensor_reader *core;
    uint8_t *peeked;
    uint64_t emitted;
};

/* More than the most that any compression makes of a byte. */
enum { EXPANSION_MAX = 1100, EXPANSION_SLACK = 1 << 20 };

static const struct tensor_format *strict_format;

static struct strict_reader *inside(struct tensor_reader *r)
{
    return (struct strict_reader *)(void *)r;
}

static void forget(struct tensor_reader *r)
{
    free(inside(r)->peeked);
    inside(r)->peeked = NULL;
}

static const void *strict_peek(struct tensor_reader *r, uint64_t offset, size_t length)
{
    FUZZ_CHECK(length <= TENSOR_PEEK_MAX || offset > r->size || length > r->size - offset);
    forget(r);
    const void *bytes = tensor_peek(inside(r)->core, offset, length);
    uint8_t *copy = bytes ? malloc(length ? length : 1) : NULL;
    if (copy)
        memcpy(copy, bytes, length);
    inside(r)->peeked = copy;
    return copy;
}

static int strict_add(struct tensor_reader *r, const struct tensor_entry *entry)
{
    return tensor_add(inside(r)->core, entry);
}

static int strict_value(struct tensor_reader *r, const char *key, size_t key_length,
                        const struct tensor_value *value)
{
    return tensor_value_add(inside(r)->core, key, key_length, value);
}

static int strict_open(struct tensor_reader *r, const char *key, size_t key_length,
                       enum tensor_value_type type, enum tensor_value_type element)
{
    return tensor_value_open(inside(r)->core, key, key_length, type, element);
}

static int strict_close(struct tensor_reader *r)
{
    return tensor_value_close(inside(r)->core);
}

static int strict_json(struct tensor_reader *r, uint64_t offset, uint64_t length)
{
    forget(r);
    return tensor_value_json(inside(r)->core, offset, length);
}

static int strict_emit(struct tensor_reader *r, const void *bytes, size_t length)
{
    inside(r)->emitted += length;
    FUZZ_CHECK(inside(r)->emitted <= r->size * EXPANSION_MAX + EXPANSION_SLACK);
    return tensor_unwrapped(inside(r)->core, bytes, length);
}

static TU_PRINTF(3, 4) int strict_fail(struct tensor_reader *r, uint64_t offset, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return tensor_fail(inside(r)->core, offset, "%s", text);
}

static TU_PRINTF(2, 3) void strict_warn(struct tensor_reader *r, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    tensor_warn(inside(r)->core, "%s", text);
}

static const struct tensor_reader_host strict_host = {
    .peek = strict_peek,
    .add = strict_add,
    .value = strict_value,
    .open = strict_open,
    .close = strict_close,
    .json = strict_json,
    .emit = strict_emit,
    .fail = strict_fail,
    .warn = strict_warn,
};

int fuzz_call_strictly(struct tensor_reader *core, int (*function)(struct tensor_reader *))
{
    struct strict_reader r = {.public = *core, .core = core};
    r.public.host = &strict_host;
    int result = function(&r.public);
    forget(&r.public);
    return result;
}

static int read_strictly(struct tensor_reader *core)
{
    return fuzz_call_strictly(core, strict_format->read);
}

static int unwrap_strictly(struct tensor_reader *core)
{
    return fuzz_call_strictly(core, strict_format->unwrap);
}

struct tensor_format fuzz_strict_format(const struct tensor_format *format)
{
    struct tensor_format strict = *format;
    strict_format = format;
    strict.read = read_strictly;
    strict.unwrap = format->unwrap ? unwrap_strictly : NULL;
    return strict;
}

/* ---- Writing into memory ---- */

struct memory_writer {
    struct tensor_writer public; /* first: the plugin's view of this */
    struct fuzz_bytes *out;
    struct tu_arena arena;
    struct tu_error error;
};

static struct memory_writer *writer(struct tensor_writer *w)
{
    return (struct memory_writer *)(void *)w;
}

static int memory_emit(struct tensor_writer *w, const void *bytes, size_t length)
{
    fuzz_append(writer(w)->out, bytes, length);
    return 0;
}

static int memory_json(struct tensor_writer *w, const struct tensor_value *value, const char **text,
                       size_t *length)
{
    *text = fuzz_json_text(value, &writer(w)->arena);
    *length = strlen(*text);
    return 0;
}

static TU_PRINTF(2, 3) int memory_fail(struct tensor_writer *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tu_vfail(&writer(w)->error, TU_EINVALID, format, arguments);
    va_end(arguments);
    return -1;
}

static const struct tensor_writer_host memory_host = {memory_emit, memory_json, memory_fail};

static void align(struct fuzz_bytes *out, uint64_t begin, uint64_t alignment)
{
    while ((out->length - begin) % alignment)
        fuzz_append(out, "", 1);
}

static void append_tensor(const struct tu_model *m, const struct tu_tensor *t,
                          struct fuzz_bytes *out)
{
    struct tu_error error = {0};
    uint8_t *bytes = malloc((size_t)t->nbytes + 1);
    if (!bytes)
        abort();
    FUZZ_WORKS(tu_model_read(m, t, 0, bytes, (size_t)t->nbytes, &error), &error);
    fuzz_append(out, bytes, (size_t)t->nbytes);
    free(bytes);
}

/* Emits what stands before a tensor, from a place in the data section on. */
static bool emit_prefix(struct memory_writer *w, const struct tensor_format *format, size_t index,
                        uint64_t begin, size_t *length)
{
    size_t before = w->out->length;
    w->public.prefix = begin;
    if (format->write_prefix && format->write_prefix(&w->public, index) < 0)
        return false;
    *length = w->out->length - before;
    return true;
}

/* The tensors of a model as the format takes them; false where it refuses one. */
static bool plan(struct memory_writer *w, const struct tu_model *m,
                 const struct tensor_format *format, struct tensor_entry *entries, uint32_t *sums)
{
    uint64_t end = 0, a = format->tensor_alignment;
    for (size_t i = 0; i < m->count; i++) {
        const struct tu_tensor *t = &m->tensors[i];
        end = (end + a - 1) / a * a;
        entries[i] = (struct tensor_entry){.name = t->name,
                                           .name_length = t->name_length,
                                           .dtype = t->dtype,
                                           .packing = t->packing,
                                           .rank = t->rank,
                                           .shape = t->shape,
                                           .offset = end,
                                           .nbytes = t->nbytes};
        size_t length;
        w->public.count = i + 1;
        if (format->refuse(&entries[i]) || !emit_prefix(w, format, i, end, &length))
            return false;
        w->out->length = 0;
        append_tensor(m, t, w->out);
        sums[i] = (uint32_t)crc32_z(0, w->out->bytes, w->out->length);
        w->out->length = 0;
        entries[i].offset += length;
        end += length + t->nbytes;
    }
    w->public.data_bytes = (end + a - 1) / a * a;
    return true;
}

/* Head, data and tail, as save.c puts them together. */
static int write_all(struct memory_writer *w, const struct tu_model *m,
                     const struct tensor_format *format)
{
    struct fuzz_bytes *out = w->out;
    if (format->write_head(&w->public) < 0)
        return -1;
    align(out, 0, format->data_alignment);
    size_t data = out->length;
    for (size_t i = 0; i < m->count; i++) {
        size_t length;
        align(out, data, format->tensor_alignment);
        if (!emit_prefix(w, format, i, out->length - data, &length))
            return -1;
        FUZZ_CHECK(out->length - data == w->public.tensors[i].offset);
        append_tensor(m, &m->tensors[i], out);
    }
    align(out, data, format->tensor_alignment);
    w->public.crc32 = (uint32_t)crc32_z(0, out->bytes, out->length);
    return format->write_tail ? format->write_tail(&w->public) : 0;
}

bool fuzz_write(const struct tu_model *m, const struct tensor_format *format,
                struct fuzz_bytes *out)
{
    struct tensor_entry *entries = calloc(m->count + 1, sizeof *entries);
    uint32_t *sums = calloc(m->count + 1, sizeof *sums);
    struct memory_writer w = {.public = {.host = &memory_host,
                                         .tensors = entries,
                                         .count = m->count,
                                         .metadata = &m->metadata,
                                         .parts = 1,
                                         .all_tensors = m->count,
                                         .tensor_crc32 = sums},
                              .out = out};
    if (!entries || !sums)
        abort();
    bool written =
        format->refuse && plan(&w, m, format, entries, sums) && write_all(&w, m, format) == 0;
    if (w.error.code != TU_OK)
        fuzz_check_error(&w.error);
    free(entries);
    free(sums);
    tu_arena_free(&w.arena);
    return written;
}
