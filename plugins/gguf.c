/* SPDX-License-Identifier: MIT */
/* GGUF, the file format of ggml and llama.cpp: see tensor-format-gguf(5). */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "gguf-swap.h"
#include "tensorutils/format.h"

#define ALIGNMENT_KEY "general.alignment"

static const char magic[4] = {'G', 'G', 'U', 'F'};
/* Instead of the magic in the plain form of a big-endian file: the tensor data, and only that, is
 * little-endian.  bid never takes it, so that no file can claim to be one. */
static const char turned_magic[4] = {'G', 'G', 'U', 0};

enum {
    MAX_VERSION = 3,
    MAX_DIMS = 4,
    MAX_DEPTH = 8,   /* of arrays in arrays */
    MAX_KEY = 65535, /* the specification's limit */
    /* Of metadata, far beyond real files: what a sparse file claims costs time and memory. */
    MAX_METADATA = 1 << 28, /* bytes up to the end of the last string */
    MAX_VALUES = 1 << 24,   /* items of arrays included */
    MAX_WRITTEN_NAME = 63,
    DEFAULT_ALIGNMENT = 32,
    LEAST_ALIGNMENT = 8,
};

/* Types of metadata values, by their number in the file. */
enum { TYPE_UINT32 = 4, TYPE_STRING = 8, TYPE_ARRAY = 9 };

static const struct {
    uint8_t width; /* in bytes, 0: variable */
    uint8_t type;  /* enum tensor_value_type */
} value_types[] = {
    {1, TENSOR_UINT8},   {1, TENSOR_INT8},  {2, TENSOR_UINT16},  {2, TENSOR_INT16},
    {4, TENSOR_UINT32},  {4, TENSOR_INT32}, {4, TENSOR_FLOAT32}, {1, TENSOR_BOOLEAN},
    {0, TENSOR_STRING},  {0, TENSOR_ARRAY}, {8, TENSOR_UINT64},  {8, TENSOR_INT64},
    {8, TENSOR_FLOAT64},
};

enum { VALUE_TYPES = sizeof value_types / sizeof *value_types };

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    (void)size;
    if (length < 4 || memcmp(head, magic, sizeof magic) != 0)
        return 0;
    if (length < 8)
        return 32;
    uint64_t little = get_le(head + 4, 4), big = get_number(head + 4, 4, true);
    return little <= MAX_VERSION || big <= MAX_VERSION ? 62 : 32;
}

/* ---- Reading ---- */

/* The data of a tensor in a big-endian file. */
struct range {
    uint64_t offset, length;
    uint64_t info; /* place of the tensor's description */
    const struct type_row *type;
};

struct cursor {
    struct tensor_reader *r;
    uint64_t at;
    bool big_endian;
    unsigned wide; /* bytes of a count: 8, in version 1 4 */
    uint64_t alignment;
    uint64_t values; /* of metadata so far */
    char *key;       /* MAX_KEY bytes */
    char *string;    /* the last one that was too long to peek at */
    /* For unwrap, which has no host to tell of metadata and tensors: it only wants to know where
     * the data lies that must be turned. */
    bool unwrapping;
    struct range *ranges;
    size_t range_count, range_capacity;
};

static uint64_t left(const struct cursor *c)
{
    return c->r->size - c->at;
}

static const uint8_t *take(struct cursor *c, size_t length)
{
    const uint8_t *bytes = tensor_peek(c->r, c->at, length);
    if (bytes)
        c->at += length;
    return bytes;
}

static int take_number(struct cursor *c, unsigned width, uint64_t *out)
{
    const uint8_t *bytes = take(c, width);
    if (!bytes)
        return -1;
    *out = get_number(bytes, width, c->big_endian);
    return 0;
}

/* A count of things that take at least so many bytes each. */
static int take_count(struct cursor *c, unsigned least, const char *what, uint64_t *out)
{
    uint64_t at = c->at;
    if (take_number(c, c->wide, out) < 0)
        return -1;
    if (*out <= left(c) / least)
        return 0;
    return tensor_fail(c->r, at, "%" PRIu64 " %s cannot fit the %" PRIu64 " bytes that are left",
                       *out, what, left(c));
}

static const char *take_long_string(struct cursor *c, size_t length)
{
    free(c->string);
    c->string = malloc(length);
    if (!c->string) {
        tensor_fail(c->r, c->at, "out of memory");
        return NULL;
    }
    for (size_t done = 0; done < length;) {
        size_t n = length - done < TENSOR_PEEK_MAX ? length - done : TENSOR_PEEK_MAX;
        const uint8_t *bytes = take(c, n);
        if (!bytes)
            return NULL;
        memcpy(c->string + done, bytes, n);
        done += n;
    }
    return c->string;
}

/* Valid until the next call of any take. */
static const char *take_string(struct cursor *c, size_t *length)
{
    uint64_t at = c->at, count;
    if (take_count(c, 1, "bytes of a string", &count) < 0)
        return NULL;
    if (count > MAX_METADATA || c->at > MAX_METADATA - count) {
        tensor_fail(c->r, at, "the metadata has more than %d bytes", MAX_METADATA);
        return NULL;
    }
    *length = (size_t)count;
    if (count > TENSOR_PEEK_MAX)
        return take_long_string(c, *length);
    return (const char *)take(c, *length);
}

static struct tensor_value make_scalar(enum tensor_value_type type, uint64_t bits)
{
    struct tensor_value value = {.type = (uint8_t)type};
    uint32_t low = (uint32_t)bits;
    float single;
    switch (type) {
    case TENSOR_BOOLEAN:
        value.boolean = bits != 0;
        break;
    case TENSOR_INT8:
        value.sint = (int8_t)bits;
        break;
    case TENSOR_INT16:
        value.sint = (int16_t)bits;
        break;
    case TENSOR_INT32:
        value.sint = (int32_t)bits;
        break;
    case TENSOR_FLOAT32:
        memcpy(&single, &low, sizeof single);
        value.real = (double)single;
        break;
    case TENSOR_FLOAT64:
        memcpy(&value.real, &bits, sizeof value.real);
        break;
    default:
        value.uint = bits;
        break;
    }
    return value;
}

static int take_type(struct cursor *c, uint32_t *out)
{
    uint64_t type, at = c->at;
    if (take_number(c, 4, &type) < 0)
        return -1;
    *out = (uint32_t)type;
    if (type < VALUE_TYPES)
        return 0;
    return tensor_fail(c->r, at, "a metadata value has type %" PRId32 " (0 to %d are known)",
                       (int32_t)*out, VALUE_TYPES - 1);
}

static int read_value(struct cursor *c, const char *key, size_t key_length, uint32_t type,
                      unsigned depth);

static int read_array(struct cursor *c, const char *key, size_t key_length, unsigned depth)
{
    uint32_t type;
    uint64_t count, at = c->at;
    if (depth > MAX_DEPTH)
        return tensor_fail(c->r, at, "arrays are nested deeper than %d", MAX_DEPTH);
    if (take_type(c, &type) < 0)
        return -1;
    unsigned least = type == TYPE_ARRAY    ? 4 + c->wide
                     : type == TYPE_STRING ? c->wide
                                           : value_types[type].width;
    if (take_count(c, least, "items of an array", &count) < 0)
        return -1;
    if (!c->unwrapping && tensor_value_open(c->r, key, key_length, TENSOR_ARRAY,
                                            (enum tensor_value_type)value_types[type].type) < 0)
        return -1;
    for (uint64_t i = 0; i < count; i++)
        if (read_value(c, NULL, 0, type, depth) < 0)
            return -1;
    return c->unwrapping ? 0 : tensor_value_close(c->r);
}

/* depth is that of an array in this place. */
static int read_value(struct cursor *c, const char *key, size_t key_length, uint32_t type,
                      unsigned depth)
{
    if (c->values++ == MAX_VALUES)
        return tensor_fail(c->r, c->at, "more than %d metadata values", MAX_VALUES);
    if (type == TYPE_ARRAY)
        return read_array(c, key, key_length, depth + 1);
    struct tensor_value value = {.type = TENSOR_STRING};
    uint64_t bits;
    if (type == TYPE_STRING) {
        value.string.bytes = take_string(c, &value.string.length);
        if (!value.string.bytes)
            return -1;
    } else {
        if (take_number(c, value_types[type].width, &bits) < 0)
            return -1;
        value = make_scalar((enum tensor_value_type)value_types[type].type, bits);
    }
    return c->unwrapping ? 0 : tensor_value_add(c->r, key, key_length, &value);
}

/* The value is read by read_value again. */
static int read_alignment(struct cursor *c, uint32_t type)
{
    if (type != TYPE_UINT32)
        return tensor_fail(c->r, c->at, ALIGNMENT_KEY " has type %" PRIu32 " (u32 is expected)",
                           type);
    const uint8_t *bytes = tensor_peek(c->r, c->at, 4);
    if (!bytes)
        return -1;
    c->alignment = get_number(bytes, 4, c->big_endian);
    if (c->alignment == 0 || (c->alignment & (c->alignment - 1)))
        return tensor_fail(c->r, c->at, ALIGNMENT_KEY " is %" PRIu64 ", no power of two",
                           c->alignment);
    if (c->alignment < LEAST_ALIGNMENT && !c->r->lenient)
        return tensor_fail(c->r, c->at, ALIGNMENT_KEY " is %" PRIu64 " (at least %d is expected)",
                           c->alignment, LEAST_ALIGNMENT);
    return 0;
}

static int read_pair(struct cursor *c)
{
    size_t length;
    uint32_t type;
    uint64_t at = c->at;
    const char *key = take_string(c, &length);
    if (!key)
        return -1;
    if (length == 0 || length > MAX_KEY)
        return tensor_fail(c->r, at, "a metadata key has %zu bytes (1 to %d are expected)", length,
                           MAX_KEY);
    memcpy(c->key, key, length);
    if (take_type(c, &type) < 0)
        return -1;
    if (equals(c->key, length, ALIGNMENT_KEY) && read_alignment(c, type) < 0)
        return -1;
    return read_value(c, c->key, length, type, 0);
}

struct info {
    struct tensor_entry entry; /* its offset counts from the start of the data */
    uint64_t shape[MAX_DIMS];
    uint64_t at; /* of this description in the file */
    const struct type_row *type;
};

#define FAIL_TENSOR(c, info, format, ...)                                                          \
    tensor_fail((c)->r, (info)->at, "tensor '%.*s': " format, SHOWN((info)->entry.name_length),    \
                (info)->entry.name, __VA_ARGS__)

static const struct type_row *type_by_number(uint64_t number)
{
    size_t count;
    const struct type_row *rows = type_rows(&count);
    for (size_t i = 0; i < count; i++)
        if (rows[i].ggml >= 0 && (uint64_t)rows[i].ggml == number)
            return &rows[i];
    return NULL;
}

static int check_type(struct cursor *c, struct info *info, uint64_t number)
{
    info->type = type_by_number(number);
    if (!info->type)
        return FAIL_TENSOR(c, info, "its type %" PRId32 " is not known (ggml may have dropped it)",
                           (int32_t)number);
    uint32_t rank = info->entry.rank;
    uint64_t row = rank ? info->shape[rank - 1] : 1;
    if (row % info->type->elements)
        return FAIL_TENSOR(c, info,
                           "its rows of %" PRIu64 " are no whole blocks of %s (%" PRIu32 ")", row,
                           info->type->name, info->type->elements);
    uint64_t blocks = row / info->type->elements;
    for (uint32_t i = 0; i + 1 < rank; i++)
        blocks = multiply_capped(blocks, info->shape[i]);
    info->entry.dtype = info->type->dtype;
    info->entry.nbytes = multiply_capped(blocks, info->type->bytes);
    return 0;
}

/* Reads the description of one tensor.  Its name is valid until the next peek. */
static int read_info(struct cursor *c, struct info *info)
{
    uint64_t length, dims;
    *info = (struct info){.at = c->at};
    if (take_count(c, 1, "bytes of a tensor's name", &length) < 0)
        return -1;
    if (length == 0 || length > TENSOR_MAX_NAME)
        return tensor_fail(c->r, info->at,
                           "a tensor's name has %" PRIu64 " bytes (1 to %u are expected)", length,
                           TENSOR_MAX_NAME);
    const uint8_t *bytes = tensor_peek(c->r, c->at, (size_t)length + 4);
    if (!bytes)
        return -1;
    dims = get_number(bytes + length, 4, c->big_endian);
    info->entry.name_length = (size_t)length;
    info->entry.name = (const char *)bytes;
    if (dims > MAX_DIMS)
        return FAIL_TENSOR(c, info, "it has %" PRIu64 " dimensions (at most %d)", dims, MAX_DIMS);
    bytes = take(c, (size_t)length + 4 + (size_t)dims * c->wide + 4 + 8);
    if (!bytes)
        return -1;
    info->entry.name = (const char *)bytes;
    info->entry.rank = (uint32_t)dims;
    info->entry.shape = info->shape;
    bytes += length + 4;
    for (; dims; dims--, bytes += c->wide) /* the file has the innermost dimension first */
        info->shape[dims - 1] = get_number(bytes, c->wide, c->big_endian);
    info->entry.offset = get_number(bytes + 4, 8, c->big_endian);
    return check_type(c, info, get_number(bytes, 4, c->big_endian));
}

/* Remembers where data must be turned.  The core checks the ranges of tensors, but only later. */
static int add_range(struct cursor *c, const struct info *info)
{
    uint64_t offset = info->entry.offset, length = info->entry.nbytes;
    int swaps = gguf_swaps(info->type);
    if (swaps < 0)
        return FAIL_TENSOR(c, info, "big-endian data of type %s is not supported",
                           info->type->name);
    if (swaps == 0 || length == 0)
        return 0;
    if (offset > c->r->size || length > c->r->size - offset)
        return FAIL_TENSOR(c, info,
                           "its data at byte %" PRIu64 " ends beyond the file (%" PRIu64 " bytes)",
                           offset, c->r->size);
    if (c->range_count == c->range_capacity) {
        size_t capacity = c->range_capacity ? 2 * c->range_capacity : 64;
        struct range *grown = reallocarray(c->ranges, capacity, sizeof *grown);
        if (!grown)
            return tensor_fail(c->r, info->at, "out of memory");
        c->ranges = grown;
        c->range_capacity = capacity;
    }
    c->ranges[c->range_count++] = (struct range){offset, length, info->at, info->type};
    return 0;
}

static int add_tensor(struct cursor *c, struct info *info, uint64_t data)
{
    struct tensor_entry *entry = &info->entry;
    if (entry->offset % c->alignment)
        return FAIL_TENSOR(c, info, "its offset %" PRIu64 " is no multiple of %" PRIu64,
                           entry->offset, c->alignment);
    if (__builtin_add_overflow(entry->offset, data, &entry->offset))
        return FAIL_TENSOR(c, info, "its offset %" PRIu64 " is too large", entry->offset - data);
    return c->unwrapping ? add_range(c, info) : tensor_add(c->r, entry);
}

/* The offsets count from a place that only the end of all descriptions tells: they are read twice.
 */
static int read_infos(struct cursor *c, uint64_t count)
{
    uint64_t begin = c->at, expected = 0;
    bool in_order = true;
    struct info info;
    for (uint64_t i = 0; i < count; i++)
        if (read_info(c, &info) < 0)
            return -1;
    uint64_t data = round_up(c->at, c->alignment);
    c->at = begin;
    for (uint64_t i = 0; i < count; i++) {
        if (read_info(c, &info) < 0)
            return -1;
        in_order = in_order && info.entry.offset == expected;
        if (add_tensor(c, &info, data) < 0)
            return -1;
        expected += round_up(info.entry.nbytes, c->alignment);
    }
    if (!in_order && c->r->lenient && !c->unwrapping)
        tensor_warn(c->r, "the data has gaps or another order than its descriptions, which ggml "
                          "does not read");
    return 0;
}

static int read_version(struct cursor *c)
{
    const uint8_t *bytes = take(c, 8);
    if (!bytes)
        return -1;
    bool turned = !c->unwrapping && memcmp(bytes, turned_magic, sizeof turned_magic) == 0;
    if (!turned && memcmp(bytes, magic, sizeof magic) != 0)
        return tensor_fail(c->r, 0, "the file does not begin with GGUF");
    uint32_t version = (uint32_t)get_le(bytes + 4, 4);
    c->big_endian = (version & 0xffff) == 0;
    if (c->big_endian)
        version = (uint32_t)get_number(bytes + 4, 4, true);
    if (version < 1 || version > MAX_VERSION)
        return tensor_fail(c->r, 4, "GGUF version %" PRIu32 " is not known (1 to %d are)", version,
                           MAX_VERSION);
    c->wide = version == 1 ? 4 : 8;
    return 0;
}

static int read_file(struct cursor *c)
{
    uint64_t tensors, pairs;
    if (read_version(c) < 0)
        return -1;
    if (c->unwrapping && !c->big_endian)
        return 0;
    unsigned wide = c->wide;
    /* name, dimensions, type, offset; key, type, value */
    if (take_count(c, wide + 4 + 4 + 8, "tensors", &tensors) < 0 ||
        take_count(c, wide + 1 + 4 + 1, "metadata pairs", &pairs) < 0)
        return -1;
    for (uint64_t i = 0; i < pairs; i++)
        if (read_pair(c) < 0)
            return -1;
    return read_infos(c, tensors);
}

/* What unwrap and read have in common. */
static int read_all(struct cursor *c)
{
    c->alignment = DEFAULT_ALIGNMENT;
    c->key = malloc(MAX_KEY);
    int result = c->key ? read_file(c) : tensor_fail(c->r, 0, "out of memory");
    free(c->key);
    free(c->string);
    return result;
}

static int by_offset(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Bytes that two tensors share would be turned twice. */
static int check_overlaps(struct cursor *c)
{
    struct info info;
    for (size_t i = 1; i < c->range_count; i++) {
        uint64_t end = c->ranges[i - 1].offset + c->ranges[i - 1].length;
        if (c->ranges[i].offset >= end)
            continue;
        c->at = c->ranges[i].info;
        if (read_info(c, &info) < 0)
            return -1;
        return FAIL_TENSOR(
            c, &info, "its bytes overlap those of another tensor, which end at byte %" PRIu64, end);
    }
    return 0;
}

static int copy_plain(struct tensor_reader *r, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t n = to - from < TENSOR_PEEK_MAX ? (size_t)(to - from) : TENSOR_PEEK_MAX;
        const uint8_t *bytes = tensor_peek(r, from, n);
        if (!bytes || tensor_unwrapped(r, bytes, n) < 0)
            return -1;
        from += n;
    }
    return 0;
}

/* buffer holds TENSOR_PEEK_MAX bytes. */
static int copy_turned(struct tensor_reader *r, const struct range *range, uint8_t *buffer)
{
    size_t most = TENSOR_PEEK_MAX / range->type->bytes;
    uint64_t at = range->offset;
    for (uint64_t blocks = range->length / range->type->bytes; blocks;) {
        size_t count = blocks < most ? (size_t)blocks : most;
        size_t n = count * range->type->bytes;
        const uint8_t *bytes = tensor_peek(r, at, n);
        if (!bytes)
            return -1;
        memcpy(buffer, bytes, n);
        gguf_swap(range->type, buffer, count);
        if (tensor_unwrapped(r, buffer, n) < 0)
            return -1;
        at += n;
        blocks -= count;
    }
    return 0;
}

static int copy_all(struct cursor *c, uint8_t *buffer)
{
    uint64_t at = sizeof turned_magic;
    if (tensor_unwrapped(c->r, turned_magic, sizeof turned_magic) < 0)
        return -1;
    for (size_t i = 0; i < c->range_count; i++) {
        const struct range *range = &c->ranges[i];
        if (copy_plain(c->r, at, range->offset) < 0 || copy_turned(c->r, range, buffer) < 0)
            return -1;
        at = range->offset + range->length;
    }
    return copy_plain(c->r, at, c->r->size);
}

static int turn(struct cursor *c)
{
    qsort(c->ranges, c->range_count, sizeof *c->ranges, by_offset);
    if (check_overlaps(c) < 0)
        return -1;
    uint8_t *buffer = malloc(TENSOR_PEEK_MAX);
    int result = buffer ? copy_all(c, buffer) : tensor_fail(c->r, 0, "out of memory");
    free(buffer);
    return result;
}

/* The plain form of a big-endian file has the same bytes at the same places, but for the magic and
 * the order of bytes in tensor data.  Where nothing is to be turned, read takes the file itself. */
static int unwrap(struct tensor_reader *r)
{
    struct cursor c = {.r = r, .unwrapping = true};
    int result = read_all(&c);
    if (result == 0 && c.range_count)
        result = turn(&c) < 0 ? -1 : 1;
    free(c.ranges);
    return result;
}

static int read_gguf(struct tensor_reader *r)
{
    struct cursor c = {.r = r};
    return read_all(&c);
}

/* ---- Writing ---- */

static const char *refuse(const struct tensor_entry *entry)
{
    const struct type_row *type = type_row(entry->dtype);
    if (!type || type->ggml < 0)
        return lacks_type(entry->dtype);
    if (entry->name_length > MAX_WRITTEN_NAME)
        return "has names of at most 63 bytes";
    if (entry->rank > MAX_DIMS)
        return "has at most 4 dimensions";
    if ((entry->rank ? entry->shape[entry->rank - 1] : 1) % type->elements)
        return "has only rows of whole blocks";
    return NULL;
}

static int emit_string(struct tensor_writer *w, const char *bytes, size_t length)
{
    return emit_le(w, length, 8) < 0 ? -1 : tensor_emit(w, bytes, length);
}

static int emit_number(struct tensor_writer *w, const struct tensor_value *value, unsigned width)
{
    uint64_t bits;
    float single;
    uint32_t low;
    switch (value->type) {
    case TENSOR_BOOLEAN:
        bits = value->boolean;
        break;
    case TENSOR_FLOAT32:
        single = (float)value->real;
        memcpy(&low, &single, sizeof low);
        bits = low;
        break;
    case TENSOR_FLOAT64:
        memcpy(&bits, &value->real, sizeof bits);
        break;
    default:
        bits = value->uint;
        break;
    }
    return emit_le(w, bits, width);
}

/* The number of the type that GGUF has for a value, VALUE_TYPES if it has none. */
static uint32_t number_of(uint8_t type)
{
    uint32_t number = 0;
    while (number < VALUE_TYPES && value_types[number].type != type)
        number++;
    return number;
}

/* The type of the items of an array, VALUE_TYPES if they have none in common.  Arrays of arrays are
 * written only if a file stated them to be that: ggml cannot read them. */
static uint32_t element_number(const struct tensor_value *array, unsigned depth)
{
    uint8_t element = array->element;
    if (element == TENSOR_NULL)
        element = array->array.count ? array->array.items[0].type : TENSOR_STRING;
    uint32_t number = number_of(element);
    if (number == TYPE_ARRAY && (array->element != TENSOR_ARRAY || depth == MAX_DEPTH))
        return VALUE_TYPES;
    for (size_t i = 0; i < array->array.count; i++) {
        const struct tensor_value *item = &array->array.items[i];
        if (item->type != element)
            return VALUE_TYPES;
        if (item->type == TENSOR_ARRAY && element_number(item, depth + 1) == VALUE_TYPES)
            return VALUE_TYPES;
    }
    return number;
}

static int emit_value(struct tensor_writer *w, const struct tensor_value *value);

static int emit_array(struct tensor_writer *w, const struct tensor_value *value)
{
    if (emit_le(w, element_number(value, 1), 4) < 0 || emit_le(w, value->array.count, 8) < 0)
        return -1;
    for (size_t i = 0; i < value->array.count; i++)
        if (emit_value(w, &value->array.items[i]) < 0)
            return -1;
    return 0;
}

static int emit_value(struct tensor_writer *w, const struct tensor_value *value)
{
    if (value->type == TENSOR_STRING)
        return emit_string(w, value->string.bytes, value->string.length);
    if (value->type == TENSOR_ARRAY)
        return emit_array(w, value);
    return emit_number(w, value, value_types[number_of(value->type)].width);
}

/* Keys that tell how another file is laid out are not written, nor is what GGUF cannot hold. */
static bool is_written(const struct tensor_pair *pair)
{
    const struct tensor_value *key = &pair->key;
    if (equals(key->string.bytes, key->string.length, ALIGNMENT_KEY) ||
        strncmp(key->string.bytes, "split.", strlen("split.")) == 0)
        return false;
    return pair->value.type != TENSOR_NULL && key->string.length > 0 &&
           key->string.length <= MAX_KEY;
}

static int emit_pair(struct tensor_writer *w, const struct tensor_pair *pair)
{
    struct tensor_value value = pair->value;
    bool fits = value.type != TENSOR_MAP;
    if (value.type == TENSOR_ARRAY)
        fits = element_number(&value, 1) < VALUE_TYPES;
    if (!fits) {
        value = (struct tensor_value){.type = TENSOR_STRING};
        if (tensor_to_json(w, &pair->value, &value.string.bytes, &value.string.length) < 0)
            return -1;
    }
    if (emit_string(w, pair->key.string.bytes, pair->key.string.length) < 0 ||
        emit_le(w, number_of(value.type), 4) < 0)
        return -1;
    return emit_value(w, &value);
}

static int emit_info(struct tensor_writer *w, const struct tensor_entry *entry)
{
    uint32_t dims = entry->rank ? entry->rank : 1; /* few readers know of 0 */
    if (emit_string(w, entry->name, entry->name_length) < 0 || emit_le(w, dims, 4) < 0)
        return -1;
    for (uint32_t i = dims; i-- > 0;)
        if (emit_le(w, entry->rank ? entry->shape[i] : 1, 8) < 0)
            return -1;
    if (emit_le(w, (uint64_t)type_row(entry->dtype)->ggml, 4) < 0)
        return -1;
    return emit_le(w, entry->offset, 8);
}

enum { SPLIT_KEYS = 3 };

/* Every part of a split says which one it is. */
static int emit_split(struct tensor_writer *w)
{
    const struct {
        const char *key;
        uint8_t type;
        uint64_t number;
    } keys[SPLIT_KEYS] = {
        {"split.no", TENSOR_UINT16, w->part},
        {"split.count", TENSOR_UINT16, w->parts},
        {"split.tensors.count", TENSOR_INT32, w->all_tensors},
    };
    if (w->parts > UINT16_MAX || w->all_tensors > INT32_MAX)
        return tensor_write_fail(w, "a split has at most %d parts and %d tensors", UINT16_MAX,
                                 INT32_MAX);
    for (size_t i = 0; i < SPLIT_KEYS; i++) {
        const struct tensor_value value = {.type = keys[i].type, .uint = keys[i].number};
        if (emit_string(w, keys[i].key, strlen(keys[i].key)) < 0 ||
            emit_le(w, number_of(value.type), 4) < 0 || emit_value(w, &value) < 0)
            return -1;
    }
    return 0;
}

static int write_head(struct tensor_writer *w)
{
    uint64_t pairs = w->parts > 1 ? SPLIT_KEYS : 0;
    for (size_t i = 0; i < w->metadata->map.count; i++)
        pairs += is_written(&w->metadata->map.pairs[i]);
    if (tensor_emit(w, magic, sizeof magic) < 0 || emit_le(w, MAX_VERSION, 4) < 0 ||
        emit_le(w, w->count, 8) < 0 || emit_le(w, pairs, 8) < 0)
        return -1;
    for (size_t i = 0; i < w->metadata->map.count; i++)
        if (is_written(&w->metadata->map.pairs[i]) && emit_pair(w, &w->metadata->map.pairs[i]) < 0)
            return -1;
    if (w->parts > 1 && emit_split(w) < 0)
        return -1;
    for (size_t i = 0; i < w->count; i++)
        if (emit_info(w, &w->tensors[i]) < 0)
            return -1;
    return 0;
}

const struct tensor_format tensor_format_gguf = {
    TENSOR_FORMAT_HEADER,
    .name = "gguf",
    .about = "GGUF of ggml and llama.cpp, versions 1 to 3",
    .suffixes = ".gguf",
    .tensor_alignment = DEFAULT_ALIGNMENT,
    .data_alignment = DEFAULT_ALIGNMENT,
    .bid = bid,
    .unwrap = unwrap,
    .read = read_gguf,
    .refuse = refuse,
    .write_head = write_head,
};
