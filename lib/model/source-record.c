/* SPDX-License-Identifier: MIT */
/* What a stream says of the files that its tensors come from. */
#include "config.h"

#include "model/source-record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "model/facts/facts.h"

/* What a file is recognised by later: where it was, and whether it was changed since. */
static int put_identity(struct tu_builder *b, const struct stat *st, struct tu_error *error)
{
    return tu_put_uint(b, "modified", tu_modified(st), error) < 0 ||
                   tu_put_uint(b, "device", (uint64_t)st->st_dev, error) < 0
               ? -1
               : tu_put_uint(b, "inode", (uint64_t)st->st_ino, error);
}

/* Standard input and pipes have no identity; the former has no path, either. */
static int put_file(struct tu_builder *b, const struct tu_model *m, struct tu_error *error)
{
    const struct tu_source *s = &m->source;
    if (tu_put_string(b, "path", s->standard ? "-" : s->path, error) < 0 ||
        tu_put_string(b, "format", m->format->name, error) < 0 ||
        tu_put_uint(b, "bytes", s->size, error) < 0)
        return -1;
    return s->named ? put_identity(b, &s->opened, error) : 0;
}

static int put_artifact(struct tu_builder *b, const struct tu_companion *c, struct tu_error *error)
{
    if (tu_put_string(b, "role", c->role, error) < 0 ||
        tu_put_string(b, "path", c->path, error) < 0)
        return -1;
    if (!S_ISREG(c->read.st_mode))
        return 0;
    return tu_put_uint(b, "bytes", (uint64_t)c->read.st_size, error) < 0
               ? -1
               : put_identity(b, &c->read, error);
}

static int put_companion(struct tu_builder *b, const struct tu_companion *c, struct tu_error *error)
{
    if (tu_builder_open(b, NULL, 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        put_artifact(b, c, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int put_left_out(struct tu_builder *b, const struct tu_company *c, struct tu_error *error)
{
    if (c->left_out_count == 0)
        return 0;
    if (tu_builder_open(b, "left_out", strlen("left_out"), TENSOR_ARRAY, TENSOR_STRING, error) < 0)
        return -1;
    for (size_t i = 0; i < c->left_out_count; i++)
        if (tu_builder_add(
                b, NULL, 0,
                &(struct tensor_value){.type = TENSOR_STRING,
                                       .string = {c->left_out[i], strlen(c->left_out[i])}},
                error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

/* Put only where there is something to say. */
static int put_company(struct tu_builder *b, const struct tu_company *c, struct tu_error *error)
{
    if (!c)
        return 0;
    if (c->file_count) {
        if (tu_builder_open(b, "files", strlen("files"), TENSOR_ARRAY, TENSOR_MAP, error) < 0)
            return -1;
        for (size_t i = 0; i < c->file_count; i++)
            if (put_companion(b, &c->files[i], error) < 0)
                return -1;
        if (tu_builder_close(b, error) < 0)
            return -1;
    }
    if ((c->unlisted && tu_put_uint(b, "unlisted", c->unlisted, error) < 0) ||
        (c->replaced && tu_put_uint(b, "replaced", c->replaced, error) < 0))
        return -1;
    return put_left_out(b, c, error);
}

/* Types of metadata that MessagePack does not keep, for tools that write typed metadata again. */
static const char *wire_type(const struct tensor_value *v, char *buffer, size_t size)
{
    if (v->type == TENSOR_ARRAY && v->element != TENSOR_NULL) {
        snprintf(buffer, size, "[%s]", tu_value_type_name((enum tensor_value_type)v->element));
        return buffer;
    }
    /* Of 64 bits the sign tells the type, where there is one. */
    bool negative = v->type == TENSOR_INT64 && v->sint < 0;
    bool kept =
        negative || v->type == TENSOR_UINT64 || !(tu_value_is_signed(v) || tu_value_is_unsigned(v));
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

int tu_source_record(const struct tu_model *m, const struct tu_model_facts *facts, uint64_t id,
                     struct tu_arena *arena, struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", "source", error) == 0 && tu_put_uint(&b, "id", id, error) == 0 &&
        put_file(&b, m, error) == 0 && put_company(&b, m->company, error) == 0 &&
        (!facts || tu_facts_put(&b, "facts", facts, error) == 0) &&
        tu_builder_put_tree(&b, "meta", 4, &m->metadata, error) == 0 &&
        put_types(&b, &m->metadata, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

/* Begins the record of a source, up to what tells it from others. */
static int begin_source(struct tu_builder *b, uint64_t id, const char *operand,
                        struct tu_arena *arena, struct tu_error *error)
{
    if (tu_builder_begin(b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(b, "kind", "source", error) == 0 && tu_put_uint(b, "id", id, error) == 0 &&
        tu_put_string(b, "operand", operand, error) == 0)
        return 0;
    tu_builder_cancel(b);
    return -1;
}

static int end_source(struct tu_builder *b, int built, struct tensor_value *out,
                      struct tu_error *error)
{
    if (built == 0 && tu_builder_open(b, "meta", 4, TENSOR_MAP, TENSOR_NULL, error) == 0 &&
        tu_builder_close(b, error) == 0)
        return tu_builder_end(b, out, error);
    tu_builder_cancel(b);
    return -1;
}

int tu_compared_source(const struct tu_model *m, uint64_t id, const char *operand,
                       struct tu_arena *arena, struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (begin_source(&b, id, operand, arena, error) < 0)
        return -1;
    int built = put_file(&b, m, error);
    if (built == 0)
        built = put_company(&b, m->company, error);
    return end_source(&b, built, out, error);
}

int tu_passed_source(const struct tensor_value *record, uint64_t id, const char *operand,
                     struct tu_arena *arena, struct tensor_value *out, struct tu_error *error)
{
    static const char *const kept[] = {"path",     "format",   "bytes",   "modified",
                                       "device",   "inode",    "files",   "unlisted",
                                       "replaced", "left_out", "commands"};
    struct tu_builder b;
    if (begin_source(&b, id, operand, arena, error) < 0)
        return -1;
    int built = 0;
    for (size_t i = 0; i < sizeof kept / sizeof *kept && built == 0; i++) {
        const struct tensor_value *v = tu_value_get(record, kept[i]);
        built = v ? tu_builder_put_tree(&b, kept[i], strlen(kept[i]), v, error) : 0;
    }
    return end_source(&b, built, out, error);
}

int tu_artifact_record(const char *role, const char *path, const struct stat *read,
                       struct tu_arena *arena, struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    const struct tu_companion c = {.role = role, .path = path, .read = *read};
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", "artifact", error) == 0 && put_artifact(&b, &c, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

int tu_named_artifact_record(const char *role, const char *name, uint64_t bytes, const char *sha256,
                             struct tu_arena *arena, struct tensor_value *out,
                             struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", "artifact", error) == 0 &&
        tu_put_string(&b, "role", role, error) == 0 &&
        tu_put_string(&b, "name", name, error) == 0 &&
        tu_put_uint(&b, "bytes", bytes, error) == 0 &&
        tu_put_string(&b, "sha256", sha256, error) == 0)
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
        const struct tensor_value *key = &pairs[i].key;
        const struct tensor_value *name =
            tu_value_find(types, key->string.bytes, key->string.length);
        if (name && name->type == TENSOR_STRING &&
            retype_named(&pairs[i].value, name, arena, error) < 0)
            return -1;
    }
    return 0;
}
