/* SPDX-License-Identifier: MIT */
/* MessagePack to trees, and trees to MessagePack. */
#include "config.h"

#include "tree/msgpack.h"

#include <string.h>

#include <msgpack.h>

#include "base/text.h"

static uint64_t big_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* What the first byte of an object says of the rest. */
struct shape {
    unsigned header; /* bytes of the first byte and the length field */
    unsigned fixed;  /* bytes of a scalar after the first byte */
    unsigned length; /* bytes of the length field */
    uint64_t body;   /* bytes (fixstr) or objects (fixmap, fixarray) that the byte itself gives */
    bool container;
    unsigned factor; /* objects an item of a container takes */
};

static bool classify(uint8_t byte, struct shape *out)
{
    *out = (struct shape){.header = 1, .factor = 1};
    if (byte <= 0x7f || byte >= 0xe0 || byte == 0xc0 || byte == 0xc2 || byte == 0xc3)
        return true;
    if (byte <= 0x8f)
        *out = (struct shape){1, 0, 0, byte & 0x0f, true, 2};
    else if (byte <= 0x9f)
        *out = (struct shape){1, 0, 0, byte & 0x0f, true, 1};
    else if (byte <= 0xbf)
        out->body = byte & 0x1f;
    else if (byte >= 0xc4 && byte <= 0xc6)
        out->length = 1u << (byte - 0xc4);
    else if (byte == 0xca || byte == 0xcb)
        out->fixed = byte == 0xca ? 4 : 8;
    else if (byte >= 0xcc && byte <= 0xd3)
        out->fixed = 1u << ((byte - 0xcc) & 3);
    else if (byte >= 0xd9 && byte <= 0xdb)
        out->length = 1u << (byte - 0xd9);
    else if (byte >= 0xdc)
        *out = (struct shape){1, 0, 2u << (byte & 1), 0, true, byte >= 0xde ? 2 : 1};
    else
        return false; /* never used (0xc1), or an extension type */
    out->header += out->length;
    return true;
}

/* The object that ends here may end the containers around it. */
static bool finish_object(struct tu_scan *scan)
{
    while (scan->depth && --scan->left[scan->depth - 1] == 0)
        scan->depth--;
    return scan->depth == 0;
}

int tu_scan_object(struct tu_scan *scan, const uint8_t *bytes, size_t length)
{
    while (scan->position < length) {
        struct shape s;
        const uint8_t *p = bytes + scan->position;
        size_t rest = length - scan->position;
        if (!classify(*p, &s))
            return -1;
        if (rest < s.header)
            return 0;
        uint64_t body = s.length ? big_endian(p + 1, s.length) : s.body;
        bool more = !s.container && rest - s.header < body + s.fixed;
        if (!more && ++scan->objects > TU_SCAN_OBJECTS)
            return -1;
        if (s.container && body) {
            if (scan->depth == TU_VALUE_DEPTH)
                return -1;
            scan->left[scan->depth++] = body * s.factor;
            scan->position += s.header;
            continue;
        }
        if (more)
            return 0;
        scan->position += s.header + (s.container ? 0 : (size_t)body + s.fixed);
        if (finish_object(scan))
            return 1;
    }
    return 0;
}

static int build(struct tu_builder *b, const char *key, size_t key_length,
                 const msgpack_object *object, struct tu_error *error);

/* Keys are strings; those that are no UTF-8 go as bin, as other such strings do. */
static int key_of(const msgpack_object *object, const char **text, size_t *length,
                  struct tu_error *error)
{
    bool is_bin = object->type == MSGPACK_OBJECT_BIN;
    if (!is_bin && object->type != MSGPACK_OBJECT_STR)
        return tu_fail(error, TU_EINVALID, "a map has a key that is no string");
    *text = is_bin ? object->via.bin.ptr : object->via.str.ptr;
    *length = is_bin ? object->via.bin.size : object->via.str.size;
    if (!*text)
        *text = ""; /* msgpack keeps the empty string nowhere */
    return 0;
}

static int build_container(struct tu_builder *b, const char *key, size_t key_length,
                           const msgpack_object *object, struct tu_error *error)
{
    bool is_map = object->type == MSGPACK_OBJECT_MAP;
    if (tu_builder_open(b, key, key_length, is_map ? TENSOR_MAP : TENSOR_ARRAY, TENSOR_NULL,
                        error) < 0)
        return -1;
    uint32_t count = is_map ? object->via.map.size : object->via.array.size;
    for (uint32_t i = 0; i < count; i++) {
        const msgpack_object *item =
            is_map ? &object->via.map.ptr[i].val : &object->via.array.ptr[i];
        const char *name = NULL;
        size_t length = 0;
        if (is_map && key_of(&object->via.map.ptr[i].key, &name, &length, error) < 0)
            return -1;
        if (build(b, name, length, item, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

static int build(struct tu_builder *b, const char *key, size_t key_length,
                 const msgpack_object *object, struct tu_error *error)
{
    struct tensor_value v = {.type = TENSOR_NULL};
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        v = (struct tensor_value){.type = TENSOR_BOOLEAN, .boolean = object->via.boolean};
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        v = (struct tensor_value){.type = TENSOR_UINT64, .uint = object->via.u64};
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        v = (struct tensor_value){.type = TENSOR_INT64, .sint = object->via.i64};
        break;
    case MSGPACK_OBJECT_FLOAT32:
        v = (struct tensor_value){.type = TENSOR_FLOAT32, .real = object->via.f64};
        break;
    case MSGPACK_OBJECT_FLOAT64:
        v = (struct tensor_value){.type = TENSOR_FLOAT64, .real = object->via.f64};
        break;
    case MSGPACK_OBJECT_STR:
        v = (struct tensor_value){.type = TENSOR_STRING,
                                  .string = {object->via.str.ptr, object->via.str.size}};
        break;
    case MSGPACK_OBJECT_BIN:
        v = (struct tensor_value){.type = TENSOR_STRING,
                                  .element = TENSOR_UINT8,
                                  .string = {object->via.bin.ptr, object->via.bin.size}};
        break;
    case MSGPACK_OBJECT_ARRAY:
    case MSGPACK_OBJECT_MAP:
        return build_container(b, key, key_length, object, error);
    default:
        return tu_fail(error, TU_EINVALID, "an extension type");
    }
    return tu_builder_add(b, key, key_length, &v, error);
}

static int build_record(const msgpack_object *object, struct tu_arena *arena,
                        struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (object->type != MSGPACK_OBJECT_MAP)
        return tu_fail(error, TU_EINVALID, "a record that is no map");
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        const msgpack_object_kv *pair = &object->via.map.ptr[i];
        const char *key = NULL;
        size_t length = 0;
        if (key_of(&pair->key, &key, &length, error) < 0 ||
            build(&b, key, length, &pair->val, error) < 0) {
            tu_builder_cancel(&b);
            return -1;
        }
    }
    return tu_builder_end(&b, out, error);
}

int tu_unpack(const uint8_t *bytes, size_t length, struct tu_arena *arena, struct tensor_value *out,
              struct tu_error *error)
{
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    msgpack_unpack_return status =
        msgpack_unpack_next(&unpacked, (const char *)bytes, length, &offset);
    int result = status == MSGPACK_UNPACK_SUCCESS || status == MSGPACK_UNPACK_EXTRA_BYTES
                     ? build_record(&unpacked.data, arena, out, error)
                     : tu_fail(error, TU_EINVALID, "no MessagePack object");
    msgpack_unpacked_destroy(&unpacked);
    return result;
}

static void pack_value(msgpack_packer *pk, const struct tensor_value *value);

static void pack_string(msgpack_packer *pk, const struct tensor_value *value)
{
    size_t length = value->string.length;
    if (value->element != TENSOR_UINT8 && tu_is_utf8(value->string.bytes, length)) {
        msgpack_pack_str(pk, length);
        msgpack_pack_str_body(pk, value->string.bytes, length);
    } else {
        msgpack_pack_bin(pk, length);
        msgpack_pack_bin_body(pk, value->string.bytes, length);
    }
}

static void pack_array(msgpack_packer *pk, const struct tensor_value *value)
{
    msgpack_pack_array(pk, value->array.count);
    for (size_t i = 0; i < value->array.count; i++)
        pack_value(pk, &value->array.items[i]);
}

static void pack_map(msgpack_packer *pk, const struct tensor_value *value)
{
    msgpack_pack_map(pk, value->map.count);
    for (size_t i = 0; i < value->map.count; i++) {
        pack_string(pk, &value->map.pairs[i].key);
        pack_value(pk, &value->map.pairs[i].value);
    }
}

static void pack_value(msgpack_packer *pk, const struct tensor_value *value)
{
    if (tu_value_is_unsigned(value))
        msgpack_pack_uint64(pk, value->uint);
    else if (tu_value_is_signed(value))
        msgpack_pack_int64(pk, value->sint);
    else if (value->type == TENSOR_FLOAT32)
        msgpack_pack_float(pk, (float)value->real);
    else if (value->type == TENSOR_FLOAT64)
        msgpack_pack_double(pk, value->real);
    else if (value->type == TENSOR_BOOLEAN)
        value->boolean ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
    else if (value->type == TENSOR_STRING)
        pack_string(pk, value);
    else if (value->type == TENSOR_ARRAY)
        pack_array(pk, value);
    else if (value->type == TENSOR_MAP)
        pack_map(pk, value);
    else
        msgpack_pack_nil(pk);
}

/* msgpack's own buffer reports a failed allocation through the packer's return values; noting it
 * here keeps those checks out of every pack function. */
struct sink {
    msgpack_sbuffer buffer;
    bool failed;
};

static int sink_write(void *context, const char *bytes, size_t length)
{
    struct sink *sink = context;
    if (!sink->failed && msgpack_sbuffer_write(&sink->buffer, bytes, length) != 0)
        sink->failed = true;
    return sink->failed ? -1 : 0;
}

int tu_pack(const struct tensor_value *value, char **bytes, size_t *length, struct tu_error *error)
{
    struct sink sink = {0};
    msgpack_packer packer;
    msgpack_sbuffer_init(&sink.buffer);
    msgpack_packer_init(&packer, &sink, sink_write);
    pack_value(&packer, value);
    if (sink.failed) {
        msgpack_sbuffer_destroy(&sink.buffer);
        return tu_fail_memory(error);
    }
    *length = sink.buffer.size;
    *bytes = msgpack_sbuffer_release(&sink.buffer);
    return 0;
}
