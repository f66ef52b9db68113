/* SPDX-License-Identifier: MIT */
/* Lets a format read the index of a file, and checks all that it says. */
#include "config.h"

#include "model/model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "model/packs/pack.h"
#include "model/lookalike.h"
#include "tree/json.h"

/* The state of one call of a format's read. */
struct index_reader {
    struct tensor_reader public; /* first: the plugin's view of this */
    struct tu_model *model;
    struct tu_builder builder; /* of the metadata */
    struct tu_error *error;
    size_t tensor_capacity, warning_capacity;
    struct tu_extent *extents; /* of the next tensor */
    size_t extent_count;
    struct tu_scope scope; /* of the next tensor */
    int plain;             /* the temporary file that unwrap fills; -1: none */
    uint64_t plain_size;
};

static struct index_reader *inside(struct tensor_reader *r)
{
    return (struct index_reader *)(void *)r;
}

static const void *host_peek(struct tensor_reader *r, uint64_t offset, size_t length)
{
    return tu_source_peek(&inside(r)->model->source, offset, length, inside(r)->error);
}

static TU_PRINTF(3, 4) int host_fail(struct tensor_reader *r, uint64_t offset, const char *format,
                                     ...)
{
    char text[sizeof inside(r)->error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return tu_fail(inside(r)->error, TU_EINVALID, "%s: byte %" PRIu64 ": %s",
                   inside(r)->model->source.path, offset, text);
}

static TU_PRINTF(2, 3) void host_warn(struct tensor_reader *r, const char *format, ...)
{
    struct index_reader *ir = inside(r);
    struct tu_model *m = ir->model;
    char raw[512], text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    size_t length = tu_escape(raw, strlen(raw), text, sizeof text);
    const char *copy = tu_arena_copy(&m->arena, text, length);
    if (copy && TU_GROW(m->warnings, m->warning_count, ir->warning_capacity))
        m->warnings[m->warning_count++] = copy;
}

static int host_value(struct tensor_reader *r, const char *key, size_t key_length,
                      const struct tensor_value *value)
{
    return tu_builder_add(&inside(r)->builder, key, key_length, value, inside(r)->error);
}

static int host_open(struct tensor_reader *r, const char *key, size_t key_length,
                     enum tensor_value_type type, enum tensor_value_type element)
{
    return tu_builder_open(&inside(r)->builder, key, key_length, type, element, inside(r)->error);
}

static int host_close(struct tensor_reader *r)
{
    return tu_builder_close(&inside(r)->builder, inside(r)->error);
}

static int parse_json(struct index_reader *ir, uint64_t offset, uint64_t length,
                      struct tu_error *error)
{
    struct tu_json_parser *parser = tu_json_parser_new(&ir->builder, error);
    if (!parser)
        return -1;
    for (uint64_t done = 0; done < length;) {
        size_t n = length - done < TENSOR_PEEK_MAX ? (size_t)(length - done) : TENSOR_PEEK_MAX;
        const void *text = tu_source_peek(&ir->model->source, offset + done, n, error);
        if (!text || tu_json_parser_feed(parser, text, n) < 0) {
            tu_json_parser_cancel(parser);
            return -1;
        }
        done += n;
    }
    return tu_json_parser_end(parser);
}

static int host_json(struct tensor_reader *r, uint64_t offset, uint64_t length)
{
    struct tu_error inner = {0};
    inside(r)->builder.duplicates = TU_DUPLICATES_REPLACE;
    if (parse_json(inside(r), offset, length, &inner) == 0)
        return 0;
    return host_fail(r, offset, "metadata: %s", inner.text);
}

static int host_emit(struct tensor_reader *r, const void *bytes, size_t length)
{
    struct index_reader *ir = inside(r);
    if (ir->plain < 0 && (ir->plain = tu_temporary(ir->error)) < 0)
        return -1;
    const char *p = bytes;
    while (length) {
        ssize_t n = pwrite(ir->plain, p, length, (off_t)ir->plain_size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tu_fail_errno(ir->error, "%s: temporary file", ir->model->source.path);
        p += n;
        ir->plain_size += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

/* "file: tensor 'name' at byte N: what": every complaint about one tensor of a file. */
static int entry_fail(const struct tu_model *m, const struct tensor_entry *e, const char *what,
                      struct tu_error *error)
{
    return tu_fail(error, TU_EINVALID, "%s: tensor '%.*s' at byte %" PRIu64 ": %s", m->source.path,
                   (int)(e->name_length < 256 ? e->name_length : 256), e->name, e->offset, what);
}

static int set_extents(struct index_reader *ir, const struct tensor_entry *entry,
                       struct tu_tensor *t)
{
    struct tu_extent one = {entry->offset, entry->nbytes};
    const struct tu_extent *from = ir->extent_count ? ir->extents : &one;
    t->extent_count = ir->extent_count ? ir->extent_count : 1;
    struct tu_extent *copy = tu_arena_alloc(&ir->model->arena, t->extent_count * sizeof *copy);
    if (!copy)
        return tu_fail_memory(ir->error);
    memcpy(copy, from, t->extent_count * sizeof *copy);
    t->extents = copy;
    ir->extent_count = 0;
    return 0;
}

static int check_range(struct index_reader *ir, const struct tensor_entry *entry)
{
    uint64_t size = ir->model->source.size;
    if (entry->offset <= size && entry->nbytes <= size - entry->offset)
        return 0;
    char what[96];
    snprintf(what, sizeof what, "its %" PRIu64 " bytes end beyond the file (%" PRIu64 " bytes)",
             entry->nbytes, size);
    return entry_fail(ir->model, entry, what, ir->error);
}

static int host_add(struct tensor_reader *r, const struct tensor_entry *entry)
{
    struct index_reader *ir = inside(r);
    struct tu_model *m = ir->model;
    struct tu_error inner = {0};
    struct tu_geometry geometry;
    if (entry->rank > TENSOR_MAX_RANK)
        return entry_fail(m, entry, "it has more than 16 dimensions", ir->error);
    uint64_t *shape = tu_arena_alloc(&m->arena, entry->rank * sizeof *shape);
    char *name = tu_arena_copy(&m->arena, entry->name, entry->name_length);
    if (!shape || !name || !TU_GROW(m->tensors, m->count, ir->tensor_capacity))
        return tu_fail_memory(ir->error);
    if (entry->rank)
        memcpy(shape, entry->shape, entry->rank * sizeof *shape);
    struct tu_tensor t = {.name = name,
                          .name_length = entry->name_length,
                          .dtype = (enum tensor_dtype)entry->dtype,
                          .packing = (enum tensor_packing)entry->packing,
                          .rank = entry->rank,
                          .shape = shape,
                          .nbytes = entry->nbytes};
    if (tu_tensor_check(&t, &geometry, &inner) < 0)
        return entry_fail(m, entry, inner.text, ir->error);
    if (geometry.dtype->flags & TU_DTYPE_MADE)
        return entry_fail(m, entry, "no file has tensors of its type", ir->error);
    if (check_range(ir, entry) < 0 || set_extents(ir, entry, &t) < 0)
        return -1;
    t.scope = ir->scope;
    ir->scope = (struct tu_scope){0};
    m->tensors[m->count++] = t;
    return 0;
}

static const struct tensor_reader_host reader_host = {
    .peek = host_peek,
    .add = host_add,
    .value = host_value,
    .open = host_open,
    .close = host_close,
    .json = host_json,
    .emit = host_emit,
    .fail = host_fail,
    .warn = host_warn,
};

int tu_reader_extents(struct tensor_reader *r, const struct tu_extent *extents, size_t count)
{
    struct index_reader *ir = inside(r);
    struct tu_extent *copy = reallocarray(ir->extents, count ? count : 1, sizeof *copy);
    if (!copy)
        return tu_fail_memory(ir->error);
    memcpy(copy, extents, count * sizeof *copy);
    ir->extents = copy;
    ir->extent_count = count;
    return 0;
}

int tu_reader_scope(struct tensor_reader *r, const struct tu_scope *scope)
{
    struct index_reader *ir = inside(r);
    return tu_scope_copy(&ir->model->arena, scope, &ir->scope, ir->error);
}

int tu_reader_value(struct tensor_reader *r, const char *key, size_t key_length,
                    const struct tensor_value *tree)
{
    return tu_builder_put_tree(&inside(r)->builder, key, key_length, tree, inside(r)->error);
}

int tu_reader_stated(struct tensor_reader *r, const struct tensor_value *source)
{
    static const char *const kept[] = {"format", "facts"};
    struct tu_model *m = inside(r)->model;
    struct tensor_pair *pairs = tu_arena_alloc(&m->arena, 2 * sizeof *pairs);
    size_t count = 0;
    if (!pairs)
        return tu_fail_memory(inside(r)->error);
    for (size_t i = 0; i < 2; i++) {
        const struct tensor_value *v = tu_value_get(source, kept[i]);
        if (!v)
            continue;
        pairs[count].key =
            (struct tensor_value){.type = TENSOR_STRING, .string = {kept[i], strlen(kept[i])}};
        if (tu_value_copy(v, &m->arena, &pairs[count++].value, inside(r)->error) < 0)
            return -1;
    }
    m->stated = (struct tensor_value){.type = TENSOR_MAP, .map = {pairs, count}};
    return 0;
}

struct tu_error *tu_reader_error(struct tensor_reader *r)
{
    return inside(r)->error;
}

struct tu_source *tu_reader_source(struct tensor_reader *r)
{
    return &inside(r)->model->source;
}

static int by_offset(const void *a, const void *b)
{
    const struct tu_tensor *x = a, *y = b;
    uint64_t p = x->extents->offset, q = y->extents->offset;
    if (p == q) /* an empty tensor shares its offset with the next */
        return (x->nbytes > y->nbytes) - (x->nbytes < y->nbytes);
    return (p > q) - (p < q);
}

static int by_name(const void *a, const void *b)
{
    const struct tu_tensor *const *x = a, *const *y = b;
    return tu_compare_names((*x)->name, (*x)->name_length, (*y)->name, (*y)->name_length);
}

static struct tensor_entry entry_of(const struct tu_tensor *t)
{
    return (struct tensor_entry){
        .name = t->name, .name_length = t->name_length, .offset = t->extents->offset};
}

static int check_overlaps(const struct tu_model *m, struct tu_error *error)
{
    uint64_t end = 0;
    const char *before = NULL;
    for (size_t i = 0; i < m->count; i++) {
        const struct tu_tensor *t = &m->tensors[i];
        if (t->nbytes == 0)
            continue;
        struct tensor_entry entry = entry_of(t);
        char what[TENSOR_MAX_RANK * 20];
        snprintf(what, sizeof what, "its bytes overlap those of '%.200s'", before ? before : "");
        if (t->extents->offset < end)
            return entry_fail(m, &entry, what, error);
        const struct tu_extent *last = &t->extents[t->extent_count - 1];
        end = last->offset + last->length;
        before = t->name;
    }
    return 0;
}

/* Sorts the tensors by place and by name, and refuses overlaps and duplicate names. */
static int finish_index(struct tu_model *m, struct tu_error *error)
{
    if (m->count == 0)
        return 0;
    qsort(m->tensors, m->count, sizeof *m->tensors, by_offset);
    if (check_overlaps(m, error) < 0)
        return -1;
    m->by_name = reallocarray(NULL, m->count, sizeof *m->by_name);
    if (!m->by_name)
        return tu_fail_memory(error);
    for (size_t i = 0; i < m->count; i++)
        m->by_name[i] = &m->tensors[i];
    qsort(m->by_name, m->count, sizeof *m->by_name, by_name);
    for (size_t i = 0; i + 1 < m->count; i++) {
        if (by_name(&m->by_name[i], &m->by_name[i + 1]) != 0)
            continue;
        struct tensor_entry entry = entry_of(m->by_name[i + 1]);
        return entry_fail(m, &entry, "its name occurs twice in the file", error);
    }
    return 0;
}

/* Where the format finds its file compressed, the plain form takes the file's place. */
static int unwrap_once(struct index_reader *ir)
{
    struct tu_source *source = &ir->model->source;
    const char *path = source->path;
    int found = ir->model->format->unwrap(&ir->public);
    if (found < 0 && ir->plain >= 0)
        close(ir->plain);
    if (found <= 0)
        return found;
    tu_source_close(source);
    if (ir->plain < 0 || tu_source_open(source, ir->plain, path, ir->error) < 0)
        return tu_fail(ir->error, TU_EINVALID, "%s: nothing came out of its compression", path);
    ir->public.size = source->size;
    ir->plain = -1;
    ir->plain_size = 0;
    return found;
}

static int unwrap(struct index_reader *ir)
{
    enum { AGAIN = 2, TIMES = 4 };
    int found = AGAIN;
    for (int i = 0; i < TIMES && found == AGAIN; i++)
        found = unwrap_once(ir);
    return found < 0 ? -1 : 0;
}

static int read_index(struct tu_model *m, const struct tu_model_options *options,
                      struct tu_error *error)
{
    struct index_reader ir = {
        .public = {&reader_host, m->source.size, options->lenient, options->big_header},
        .model = m,
        .error = error,
        .plain = -1};
    struct tu_error inner = {0};
    if (m->format->unwrap && unwrap(&ir) < 0)
        return -1;
    if (tu_builder_begin(&ir.builder, &m->arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    ir.builder.max_depth = TU_METADATA_DEPTH;
    int result = m->format->read(&ir.public);
    if (result < 0 && error->code == TU_OK)
        tu_fail(error, TU_EINVALID, "%s: its %s plugin failed without a reason", m->source.path,
                m->format->name);
    free(ir.extents);
    if (result < 0) {
        tu_builder_cancel(&ir.builder);
        return -1;
    }
    if (tu_builder_end(&ir.builder, &m->metadata, &inner) < 0)
        return tu_fail(error, inner.code, "%s: metadata: %s", m->source.path, inner.text);
    return 0;
}

int tu_model_open_as(struct tu_model *m, int fd, const char *path,
                     const struct tensor_format *format, const struct tu_model_options *options,
                     struct tu_error *error)
{
    *m = (struct tu_model){.format = format};
    if (tu_source_open(&m->source, fd, path, error) < 0) {
        close(fd);
        return -1;
    }
    if (read_index(m, options, error) < 0 || finish_index(m, error) < 0) {
        tu_model_close(m);
        return -1;
    }
    return 0;
}

static const struct tensor_format *detect(int fd, const char *path,
                                          const struct tu_plugins *plugins, struct tu_error *error)
{
    struct tu_source source;
    uint8_t head[TENSOR_BID_BYTES];
    if (tu_source_open(&source, fd, path, error) < 0)
        return NULL;
    size_t length = source.size < sizeof head ? (size_t)source.size : sizeof head;
    if (tu_source_read(&source, 0, head, length, error) < 0)
        return NULL;
    if (length == 0) {
        tu_fail(error, TU_EINVALID, "%s: is empty", path);
        return NULL;
    }
    return tu_recognize(plugins, head, length, source.size, path, error);
}

int tu_model_open(struct tu_model *m, int fd, const char *path, const struct tu_plugins *plugins,
                  const struct tu_model_options *options, struct tu_error *error)
{
    const struct tensor_format *format = detect(fd, path, plugins, error);
    if (format)
        return tu_model_open_as(m, fd, path, format, options, error);
    close(fd);
    return -1;
}

void tu_model_close(struct tu_model *m)
{
    free(m->tensors);
    free(m->by_name);
    free(m->warnings);
    tu_source_close(&m->source);
    tu_arena_free(&m->arena);
    *m = (struct tu_model){0};
}

size_t tu_model_leave_out(struct tu_model *m, tu_leave_fn *is_out, void *context)
{
    size_t kept = 0, count = m->count;
    for (size_t i = 0; i < count; i++)
        if (!is_out(m, &m->tensors[i], context))
            m->tensors[kept++] = m->tensors[i];
    tu_model_changed(m, kept);
    return count - kept;
}

void tu_model_changed(struct tu_model *m, size_t count)
{
    m->count = count;
    for (size_t i = 0; i < count; i++)
        m->by_name[i] = &m->tensors[i];
    if (count)
        qsort(m->by_name, count, sizeof *m->by_name, by_name);
}

const struct tu_tensor *tu_model_find(const struct tu_model *m, const char *name, size_t length)
{
    const struct tu_tensor wanted = {.name = name, .name_length = length}, *key = &wanted;
    struct tu_tensor **found =
        m->count ? bsearch(&key, m->by_name, m->count, sizeof *m->by_name, by_name) : NULL;
    return found ? *found : NULL;
}

int tu_model_read(const struct tu_model *m, const struct tu_tensor *t, uint64_t offset,
                  void *buffer, size_t length, struct tu_error *error)
{
    uint8_t *out = buffer;
    if (tu_is_made(t))
        return tu_pack_read(t->pack, t->dtype, offset, buffer, length, error);
    for (size_t i = 0; i < t->extent_count && length; i++) {
        const struct tu_extent *e = &t->extents[i];
        if (offset >= e->length) {
            offset -= e->length;
            continue;
        }
        size_t n = length < e->length - offset ? length : (size_t)(e->length - offset);
        if (tu_source_read(&m->source, e->offset + offset, out, n, error) < 0)
            return -1;
        out += n;
        length -= n;
        offset = 0;
    }
    return length == 0 ? 0
                       : tu_fail(error, TU_EINVALID, "%s: tensor '%s': read beyond its end",
                                 m->source.path, t->name);
}
