/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "operand.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Copies what is left of a stream to a temporary file; its descriptor or -1. */
static int spool(struct tu_stream_reader *r, struct tu_error *error)
{
    int fd = tu_temporary(error);
    const uint8_t *bytes;
    ssize_t n = 0;
    while (fd >= 0 && (n = tu_stream_raw(r, &bytes, error)) > 0) {
        for (ssize_t done = 0, m; done < n; done += m) {
            m = write(fd, bytes + done, (size_t)(n - done));
            if (m < 0 && errno == EINTR)
                m = 0;
            else if (m < 0) {
                n = tu_fail_errno(error, "%s: temporary file", r->path);
                break;
            }
        }
        if (n < 0)
            break;
    }
    if (fd >= 0 && n < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_model(struct tu_operand *o, struct tu_tool *tool, int fd, const char *name,
                      struct tu_error *error)
{
    struct tu_model_options options = {.lenient = tool->lenient};
    if (tu_model_open(&o->model, fd, name, &tool->plugins, &options, error) < 0)
        return -1;
    for (size_t i = 0; i < o->model.warning_count; i++)
        tu_warn(tool, "%s: %s", name, o->model.warnings[i]);
    return 0;
}

/* What stands in the stream is a tensor stream, or a file of another format that has to be copied
 * before it can be read. */
static int settle_stream(struct tu_operand *o, struct tu_tool *tool, const char *name,
                         enum tu_access access, bool regular, struct tu_error *error)
{
    const uint8_t *head;
    ssize_t length = tu_stream_head(&o->stream, &head, error);
    if (length < 0)
        return -1;
    bool is_tsr = tu_stream_bid(head, (size_t)length) || length == 0;
    if (regular ? is_tsr && access == TU_ACCESS_SEQUENTIAL : is_tsr && access != TU_ACCESS_RANDOM)
        return 0;
    if (regular) {
        int fd = o->fd;
        tu_stream_close(&o->stream);
        o->fd = -1;
        o->is_stream = false;
        return open_model(o, tool, fd, name, error);
    }
    if (!is_tsr && !tu_plugins_detect(&tool->plugins, head, (size_t)length, UINT64_MAX))
        return tu_fail(error, TU_EINVALID, "%s: is neither a tensor stream nor of a known format",
                       name);
    int fd = spool(&o->stream, error);
    if (fd < 0)
        return -1;
    tu_stream_close(&o->stream);
    close(o->fd);
    o->fd = -1;
    o->is_stream = false;
    return open_model(o, tool, fd, name, error);
}

int tu_operand_open(struct tu_operand *o, struct tu_tool *tool, const char *path,
                    enum tu_access access, struct tu_error *error)
{
    const char *name = tu_operand_name(path);
    struct stat st;
    *o = (struct tu_operand){.is_stream = true};
    o->fd = tu_open_operand(path, error);
    if (o->fd < 0)
        return -1;
    if (fstat(o->fd, &st) < 0) {
        tu_fail_errno(error, "%s", name);
        tu_operand_close(o);
        return -1;
    }
    if (isatty(o->fd)) {
        tu_fail(error, TU_EUSAGE, "%s: is a terminal (name a file, or pipe a stream in)", name);
        tu_operand_close(o);
        return -1;
    }
    if (tu_stream_open(&o->stream, o->fd, name, error) < 0 ||
        settle_stream(o, tool, name, access, S_ISREG(st.st_mode), error) < 0) {
        tu_operand_close(o);
        return -1;
    }
    return 0;
}

void tu_operand_close(struct tu_operand *o)
{
    if (o->is_stream) {
        tu_stream_close(&o->stream);
        if (o->fd >= 0)
            close(o->fd);
    } else if (o->model.format) {
        tu_model_close(&o->model);
    }
    *o = (struct tu_operand){.is_stream = true, .fd = -1};
}

/* Types of metadata that MessagePack does not keep, for tools that write typed metadata again. */
static const char *wire_type(const struct tensor_value *v, char *buffer, size_t size)
{
    if (v->type == TENSOR_ARRAY && v->element != TENSOR_NULL) {
        snprintf(buffer, size, "[%s]", tu_value_type_name((enum tensor_value_type)v->element));
        return buffer;
    }
    bool kept = v->type == TENSOR_INT64 || v->type == TENSOR_UINT64 ||
                !(tu_value_is_signed(v) || tu_value_is_unsigned(v));
    return kept ? NULL : tu_value_type_name((enum tensor_value_type)v->type);
}

static int put_types(struct tu_builder *b, const struct tensor_value *meta, struct tu_error *error)
{
    if (tu_builder_open(b, "meta_types", strlen("meta_types"), TENSOR_MAP, TENSOR_NULL, error) < 0)
        return -1;
    for (size_t i = 0; i < meta->map.count; i++) {
        const struct tensor_pair *pair = &meta->map.pairs[i];
        char buffer[16];
        const char *type = wire_type(&pair->value, buffer, sizeof buffer);
        struct tensor_value text = {.type = TENSOR_STRING,
                                    .string = {type, type ? strlen(type) : 0}};
        if (type &&
            tu_builder_add(b, pair->key.string.bytes, pair->key.string.length, &text, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

int tu_source_record(const struct tu_model *m, uint64_t id, struct tu_arena *arena,
                     struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", "source", error) == 0 && tu_put_uint(&b, "id", id, error) == 0 &&
        tu_put_string(&b, "path", m->source.path, error) == 0 &&
        tu_put_string(&b, "format", m->format->name, error) == 0 &&
        tu_put_uint(&b, "bytes", m->source.size, error) == 0 &&
        tu_builder_put_tree(&b, "meta", 4, &m->metadata, error) == 0 &&
        put_types(&b, &m->metadata, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

static bool fits(const struct tensor_value *v, enum tensor_value_type type)
{
    static const int64_t least[] = {[TENSOR_INT8] = INT8_MIN,
                                    [TENSOR_INT16] = INT16_MIN,
                                    [TENSOR_INT32] = INT32_MIN,
                                    [TENSOR_INT64] = INT64_MIN};
    static const uint64_t most[] = {
        [TENSOR_UINT8] = UINT8_MAX,   [TENSOR_INT8] = INT8_MAX,     [TENSOR_UINT16] = UINT16_MAX,
        [TENSOR_INT16] = INT16_MAX,   [TENSOR_UINT32] = UINT32_MAX, [TENSOR_INT32] = INT32_MAX,
        [TENSOR_UINT64] = UINT64_MAX, [TENSOR_INT64] = INT64_MAX};
    struct tensor_value wanted = {.type = (uint8_t)type};
    uint64_t natural;
    if (tu_value_uint(v, &natural))
        return natural <= most[type];
    return tu_value_is_signed(v) && tu_value_is_signed(&wanted) && v->sint >= least[type];
}

/* Gives an integer, or a number that was written as one, the type that a file had stated. */
static void retype(struct tensor_value *v, enum tensor_value_type type)
{
    struct tensor_value wanted = {.type = (uint8_t)type};
    bool integer = tu_value_is_signed(&wanted) || tu_value_is_unsigned(&wanted);
    double number;
    if (integer && fits(v, type)) /* the bits of a value that fits are those of either sign */
        v->type = (uint8_t)type;
    else if (tu_value_is_real(&wanted) && tu_value_number(v, &number))
        *v = (struct tensor_value){.type = (uint8_t)type, .real = number};
}

static int retype_named(struct tensor_value *v, const struct tensor_value *name,
                        struct tu_arena *arena, struct tu_error *error)
{
    enum tensor_value_type type;
    const char *text = name->string.bytes;
    size_t length = name->string.length;
    bool array = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (!tu_value_type_parse(text + array, length - 2 * (size_t)array, &type))
        return 0;
    if (!array) {
        retype(v, type);
        return 0;
    }
    if (v->type != TENSOR_ARRAY)
        return 0;
    struct tensor_value *items = tu_arena_alloc(arena, v->array.count * sizeof *items);
    if (!items)
        return tu_fail_memory(error);
    for (size_t i = 0; i < v->array.count; i++) {
        items[i] = v->array.items[i];
        retype(&items[i], type);
    }
    v->array.items = items;
    v->element = (uint8_t)type;
    return 0;
}

int tu_source_metadata(const struct tensor_value *record, struct tu_arena *arena,
                       struct tensor_value *out, struct tu_error *error)
{
    const struct tensor_value *meta = tu_value_get(record, "meta");
    const struct tensor_value *types = tu_value_get(record, "meta_types");
    *out = (struct tensor_value){.type = TENSOR_MAP};
    if (!meta || meta->type != TENSOR_MAP)
        return 0;
    if (tu_value_copy(meta, arena, out, error) < 0)
        return -1;
    struct tensor_pair *pairs = (struct tensor_pair *)out->map.pairs;
    for (size_t i = 0; i < out->map.count; i++) {
        const struct tensor_value *name = tu_value_get(types, pairs[i].key.string.bytes);
        if (name && name->type == TENSOR_STRING &&
            retype_named(&pairs[i].value, name, arena, error) < 0)
            return -1;
    }
    return 0;
}
