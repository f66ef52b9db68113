/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/source-record.h"
#include "tree/json.h"
#include "model/operand.h"
#include "tree/msgpack.h"
#include "base/text.h"

void fuzz_broken(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
    abort();
}

void fuzz_check_printable(const char *text, size_t length)
{
    FUZZ_CHECK(tu_is_utf8(text, length));
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        FUZZ_CHECK(c >= 0x20 && c != 0x7f);
        FUZZ_CHECK(c != 0xc2 || (unsigned char)text[i + 1] >= 0xa0);
    }
}

void fuzz_check_error(const struct tu_error *error)
{
    FUZZ_CHECK(error->code != TU_OK);
    FUZZ_CHECK(*error->text);
    fuzz_check_printable(error->text, strlen(error->text));
}

/* ---- Metadata ---- */

static void parse_json(const char *text, size_t length, struct tu_arena *arena,
                       struct tensor_value *out)
{
    struct tu_error error = {0};
    struct tu_builder builder;
    FUZZ_WORKS(tu_builder_begin(&builder, arena, TU_DUPLICATES_REPLACE, &error), &error);
    struct tu_json_parser *parser = tu_json_parser_new(&builder, &error);
    FUZZ_CHECK(parser);
    FUZZ_WORKS(tu_json_parser_feed(parser, text, length), &error);
    FUZZ_WORKS(tu_json_parser_end(parser), &error);
    FUZZ_WORKS(tu_builder_end(&builder, out, &error), &error);
}

const char *fuzz_json_text(const struct tensor_value *value, struct tu_arena *arena)
{
    struct tu_error error = {0};
    const char *text = NULL;
    size_t length = 0;
    FUZZ_WORKS(tu_json_text(value, arena, &text, &length, &error), &error);
    FUZZ_CHECK(length > 0 && text[length] == '\0' && strlen(text) == length);
    fuzz_check_printable(text, length);
    return text;
}

/* Whether every string of the value is UTF-8: others are written in an escaped form, in which keys
 * that differ may become one. */
static bool is_text(const struct tensor_value *v)
{
    bool good = v->type != TENSOR_STRING || tu_is_utf8(v->string.bytes, v->string.length);
    for (size_t i = 0; good && v->type == TENSOR_ARRAY && i < v->array.count; i++)
        good = is_text(&v->array.items[i]);
    for (size_t i = 0; good && v->type == TENSOR_MAP && i < v->map.count; i++)
        good = is_text(&v->map.pairs[i].key) && is_text(&v->map.pairs[i].value);
    return good;
}

bool fuzz_has_float32(const struct tensor_value *v)
{
    bool found = v->type == TENSOR_FLOAT32;
    for (size_t i = 0; v->type == TENSOR_ARRAY && i < v->array.count && !found; i++)
        found = fuzz_has_float32(&v->array.items[i]);
    for (size_t i = 0; v->type == TENSOR_MAP && i < v->map.count && !found; i++)
        found = fuzz_has_float32(&v->map.pairs[i].value);
    return found;
}

static void check_json(const struct tensor_value *map, struct tu_arena *arena)
{
    struct tensor_value parsed;
    const char *first = fuzz_json_text(map, arena), *second;
    parse_json(first, strlen(first), arena, &parsed);
    second = fuzz_json_text(&parsed, arena);
    FUZZ_CHECK(!is_text(map) || fuzz_has_float32(map) || strcmp(first, second) == 0);
}

/* The scan finds the same end however the bytes arrive. */
static void check_scan(const uint8_t *bytes, size_t length)
{
    struct tu_scan scan = {0};
    for (size_t part = 0; part < 4; part++)
        FUZZ_CHECK(tu_scan_object(&scan, bytes, length * part / 4) == 0);
    FUZZ_CHECK(tu_scan_object(&scan, bytes, length) == 1);
    FUZZ_CHECK(scan.position == length);
}

void fuzz_repack(const struct tensor_value *value, struct tu_arena *arena, struct tensor_value *out)
{
    struct tu_error error = {0};
    char *bytes = NULL;
    size_t length = 0;
    FUZZ_WORKS(tu_pack(value, &bytes, &length, &error), &error);
    check_scan((const uint8_t *)bytes, length);
    FUZZ_WORKS(tu_unpack((const uint8_t *)bytes, length, arena, out, &error), &error);
    free(bytes);
}

static void check_pack(const struct tensor_value *map, struct tu_arena *arena)
{
    struct tensor_value unpacked;
    fuzz_repack(map, arena, &unpacked);
    FUZZ_CHECK(strcmp(fuzz_json_text(map, arena), fuzz_json_text(&unpacked, arena)) == 0);
}

void fuzz_check_metadata(const struct tensor_value *map)
{
    struct tu_arena arena = {0};
    FUZZ_CHECK(map->type == TENSOR_MAP);
    check_json(map, &arena);
    check_pack(map, &arena);
    tu_arena_free(&arena);
}

/* A stream's `source` record carries the metadata, with the types that the file had stated. */
static void check_source_record(const struct tu_model *m)
{
    struct tu_error error = {0};
    struct tu_arena arena = {0};
    struct tensor_value record, unpacked, metadata;
    FUZZ_WORKS(tu_source_record(m, NULL, 0, &arena, &record, &error), &error);
    fuzz_repack(&record, &arena, &unpacked);
    FUZZ_WORKS(tu_source_metadata(&unpacked, &arena, &metadata, &error), &error);
    FUZZ_CHECK(strcmp(fuzz_json_text(&m->metadata, &arena), fuzz_json_text(&metadata, &arena)) ==
               0);
    for (size_t i = 0; i < metadata.map.count; i++) {
        const struct tensor_value *was = &m->metadata.map.pairs[i].value;
        const struct tensor_value *is = &metadata.map.pairs[i].value;
        bool natural = was->type == TENSOR_INT64 && was->sint >= 0;
        FUZZ_CHECK(was->type != TENSOR_ARRAY || is->element == was->element);
        FUZZ_CHECK(is->type == (natural ? TENSOR_UINT64 : was->type));
    }
    tu_arena_free(&arena);
}

/* ---- Tensors ---- */

static void check_name(const struct tu_model *m, const struct tu_tensor *t)
{
    FUZZ_CHECK(t->name_length > 0 && t->name_length <= TENSOR_MAX_NAME);
    FUZZ_CHECK(strlen(t->name) == t->name_length);
    FUZZ_CHECK(tu_is_utf8(t->name, t->name_length));
    FUZZ_CHECK(tu_model_find(m, t->name, t->name_length) == t);
}

static void check_size(const struct tu_tensor *t)
{
    struct tu_error error = {0};
    struct tu_geometry geometry;
    FUZZ_CHECK(t->rank <= TENSOR_MAX_RANK);
    FUZZ_WORKS(tu_geometry(t->dtype, t->packing, t->shape, t->rank, &geometry, &error), &error);
    FUZZ_CHECK(t->nbytes == geometry.nbytes && t->elements == geometry.elements);
}

/* Extents lie in the file, one behind the other and behind those of the tensor before: end. */
static uint64_t check_extents(const struct tu_model *m, const struct tu_tensor *t, uint64_t end)
{
    uint64_t sum = 0;
    FUZZ_CHECK(t->extent_count > 0);
    for (size_t i = 0; i < t->extent_count; i++) {
        const struct tu_extent *e = &t->extents[i];
        FUZZ_CHECK(e->offset <= m->source.size && e->length <= m->source.size - e->offset);
        FUZZ_CHECK(e->length == 0 || e->offset >= end);
        if (e->length)
            end = e->offset + e->length;
        sum += e->length;
    }
    FUZZ_CHECK(sum == t->nbytes);
    return end;
}

static void check_reading(const struct tu_model *m, const struct tu_tensor *t)
{
    struct tu_error error = {0};
    uint8_t byte;
    if (t->nbytes) {
        FUZZ_WORKS(tu_model_read(m, t, 0, &byte, 1, &error), &error);
        FUZZ_WORKS(tu_model_read(m, t, t->nbytes - 1, &byte, 1, &error), &error);
    }
    FUZZ_CHECK(tu_model_read(m, t, t->nbytes, &byte, 1, &error) < 0);
    fuzz_check_error(&error);
}

void fuzz_check_model(const struct tu_model *m)
{
    uint64_t end = 0;
    for (size_t i = 0; i < m->count; i++) {
        check_name(m, &m->tensors[i]);
        check_size(&m->tensors[i]);
        end = check_extents(m, &m->tensors[i], end);
        check_reading(m, &m->tensors[i]);
    }
    for (size_t i = 0; i < m->warning_count; i++)
        fuzz_check_printable(m->warnings[i], strlen(m->warnings[i]));
    fuzz_check_metadata(&m->metadata);
    check_source_record(m);
}
