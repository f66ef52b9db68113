/* SPDX-License-Identifier: MIT */
/* APR version 2, the model files of aprender: see tensor-format-apr(5). */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "apr-expand.h"
#include "bytes.h"
#include "tensorutils/format.h"

enum {
    MAJOR_VERSION = 2,
    HEADER_BYTES = 64,
    FOOTER_BYTES = 4,
    ALIGNMENT = 64,
    ENTRY_BYTES = 20, /* of an index entry, without name and dimensions */
    CHECKSUM_AT = 40,
    MAX_WRITTEN_NAME = 256,
    MAX_WRITTEN_RANK = 8,
};

enum {
    FLAG_LZ4 = 0x0001,
    FLAG_ZSTD = 0x0002,
    FLAG_ENCRYPTED = 0x0004,
    FLAG_QUANTIZED = 0x0020,
    FLAG_ROW_MAJOR = 0x0400,
    FLAG_COLUMN_MAJOR = 0x0800,
};

/* What a type code may mean, most likely first: writers and readers disagree on some, and the size
 * of a tensor decides.  The first meaning of a row is the one that is written, if it is. */
static const struct meaning {
    uint8_t code;
    uint8_t first, second; /* enum tensor_dtype, TENSOR_DTYPE_NONE: nothing */
    bool written;
} meanings[] = {
    {0, TENSOR_F32, 0, true},
    {1, TENSOR_F16, 0, true},
    {2, TENSOR_BF16, TENSOR_Q4_0, false},
    {3, TENSOR_F64, TENSOR_Q4_1, true},
    {4, TENSOR_I32, 0, true},
    {5, TENSOR_I64, 0, true},
    {6, TENSOR_I8, TENSOR_Q5_0, true},
    {7, TENSOR_U8, TENSOR_Q5_1, true},
    {8, TENSOR_APR_Q4, TENSOR_Q8_0, false},
    {9, TENSOR_APR_Q8, TENSOR_Q8_1, false},
    {12, TENSOR_Q4_K, 0, true},
    {14, TENSOR_Q6_K, 0, true},
    {30, TENSOR_BF16, 0, true},
    {128, TENSOR_APR_Q4, 0, true},
    {129, TENSOR_APR_Q8, 0, true},
};

enum { MEANINGS = sizeof meanings / sizeof *meanings };

/* Relatives, told apart by what they begin with, and why they cannot be read. */
static const struct {
    char magic[4];
    const char *why;
} relatives[] = {
    {{'A', 'P', 'R', 'N'}, "APR v1 (APRN) holds one serialized model, no named tensors"},
    {{'A', 'P', 'R', '1'}, "APR1, the old form of Whisper files, is not supported"},
    {{'A', 'P', 'R', '2'}, "APR2, a form that no known writer makes, is not supported"},
};

enum { RELATIVES = sizeof relatives / sizeof *relatives };

static const char magic[4] = {'A', 'P', 'R', '\0'};
/* What the models of aprender-tsp, whose magic is the same, go on with. */
static const uint8_t tsp[8] = {1, 0, 0, 0, 0x00, 0x50, 0x53, 0x54};

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    (void)size;
    if (length < sizeof magic)
        return 0;
    for (size_t i = 0; i < RELATIVES; i++)
        if (memcmp(head, relatives[i].magic, sizeof magic) == 0)
            return 32;
    if (memcmp(head, magic, sizeof magic) != 0)
        return 0;
    return length > sizeof magic && head[4] == MAJOR_VERSION ? 40 : 32;
}

/* ---- Reading ---- */

struct header {
    uint32_t flags;
    uint64_t count;
    uint64_t metadata, metadata_bytes;
    uint64_t index;
    uint64_t data;
};

/* The state of reading the index. */
struct index {
    struct tensor_reader *r;
    uint64_t begin, end, data;
    uint64_t at, before; /* the current entry and the one before it */
    uint64_t data_end;   /* of the tensors so far */
    bool unsorted, unaligned;
};

/* CRC-32 of the header without the field that holds it. */
static uint32_t header_crc(const uint8_t *header)
{
    uLong crc = crc32(0, header, CHECKSUM_AT);
    return (uint32_t)crc32(crc, header + CHECKSUM_AT + 4, HEADER_BYTES - CHECKSUM_AT - 4);
}

static int check_kind(struct tensor_reader *r)
{
    size_t length = r->size < 12 ? (size_t)r->size : 12;
    const uint8_t *bytes = tensor_peek(r, 0, length);
    if (!bytes)
        return -1;
    for (size_t i = 0; i < RELATIVES; i++)
        if (length >= sizeof magic && memcmp(bytes, relatives[i].magic, sizeof magic) == 0)
            return tensor_fail(r, 0, "%s", relatives[i].why);
    if (length < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
        return tensor_fail(r, 0, "the file does not begin with APR and a NUL");
    if (length == 12 && memcmp(bytes + sizeof magic, tsp, sizeof tsp) == 0)
        return tensor_fail(r, 4, "a model of aprender-tsp holds no named tensors");
    return 0;
}

static int check_checksum(struct tensor_reader *r, const uint8_t *bytes)
{
    uint32_t stated = (uint32_t)get_le(bytes + CHECKSUM_AT, 4), real = header_crc(bytes);
    if (stated == real)
        return 0;
    if (!r->lenient)
        return tensor_fail(r, CHECKSUM_AT,
                           "header checksum %08" PRIx32 " is wrong (%08" PRIx32 " is expected)",
                           stated, real);
    tensor_warn(r, "header checksum %08" PRIx32 " is wrong (%08" PRIx32 " is expected)", stated,
                real);
    return 0;
}

static int take_header(struct tensor_reader *r, struct header *h)
{
    if (r->size < HEADER_BYTES)
        return tensor_fail(r, 0, "an APR file has at least %d bytes, this has %" PRIu64,
                           HEADER_BYTES, r->size);
    const uint8_t *bytes = tensor_peek(r, 0, HEADER_BYTES);
    if (!bytes)
        return -1;
    if (bytes[4] != MAJOR_VERSION)
        return tensor_fail(r, 4, "APR version %d.%d is not known (2 is)", bytes[4], bytes[5]);
    if (check_checksum(r, bytes) < 0)
        return -1;
    *h = (struct header){.flags = (uint32_t)get_le(bytes + 6, 2),
                         .count = get_le(bytes + 8, 4),
                         .metadata = get_le(bytes + 12, 8),
                         .metadata_bytes = get_le(bytes + 20, 4),
                         .index = get_le(bytes + 24, 8),
                         .data = get_le(bytes + 32, 8)};
    return 0;
}

static int check_flags(struct tensor_reader *r, const struct header *h)
{
    if (h->flags & FLAG_ENCRYPTED)
        return tensor_fail(r, 6, "the file is encrypted (not supported)");
    if (h->flags & FLAG_COLUMN_MAJOR)
        return tensor_fail(r, 6, "the tensors are column-major, which APR readers refuse");
    return 0;
}

/* Every known writer has header, metadata, index and data in this order. */
static int check_sections(struct tensor_reader *r, const struct header *h)
{
    if (h->data > r->size)
        return tensor_fail(r, 32, "the data begins at byte %" PRIu64 ", the file ends at %" PRIu64,
                           h->data, r->size);
    if (h->index > h->data)
        return tensor_fail(r, 24, "the index at byte %" PRIu64 " lies behind the data at %" PRIu64,
                           h->index, h->data);
    if (h->metadata < HEADER_BYTES || h->metadata > h->index ||
        h->metadata_bytes > h->index - h->metadata)
        return tensor_fail(r, 12,
                           "the metadata (%" PRIu64 " bytes at byte %" PRIu64
                           ") does not lie between header and index",
                           h->metadata_bytes, h->metadata);
    if (h->count > (h->data - h->index) / ENTRY_BYTES)
        return tensor_fail(r, 8, "%" PRIu64 " tensors cannot fit an index of %" PRIu64 " bytes",
                           h->count, h->data - h->index);
    return 0;
}

/* The bytes of a tensor; UINT64_MAX where it has too many. */
static uint64_t bytes_of(const struct type_row *type, const struct tensor_entry *entry,
                         uint32_t packing)
{
    uint64_t row = 1, rows = 1;
    for (uint32_t i = 0; i < entry->rank; i++)
        rows = multiply_capped(rows, entry->shape[i]);
    if (rows == 0)
        return 0;
    if (packing == TENSOR_PACKING_FLAT || entry->rank == 0) {
        row = rows;
        rows = 1;
    } else if (rows != UINT64_MAX) {
        row = entry->shape[entry->rank - 1];
        rows /= row;
    }
    uint64_t blocks = row / type->elements + (row % type->elements != 0);
    uint64_t bytes = multiply_capped(multiply_capped(blocks, type->bytes), rows);
    return bytes > UINT64_MAX - type->head ? UINT64_MAX : bytes + type->head;
}

/* Settles type and packing if the bytes of the tensor are those of the type. */
static bool fits(struct tensor_entry *entry, uint32_t dtype)
{
    const struct type_row *type = type_row(dtype);
    if (!type)
        return false;
    bool flat = type->flags & TENSOR_DTYPE_FLAT;
    if (!flat && bytes_of(type, entry, TENSOR_PACKING_ROWS) == entry->nbytes)
        entry->packing = TENSOR_PACKING_ROWS;
    else if (bytes_of(type, entry, TENSOR_PACKING_FLAT) == entry->nbytes)
        entry->packing = flat ? TENSOR_PACKING_ROWS : TENSOR_PACKING_FLAT;
    else
        return false;
    entry->dtype = dtype;
    return true;
}

static int resolve_type(struct index *x, struct tensor_entry *entry, uint8_t code)
{
    const struct meaning *m = NULL;
    for (size_t i = 0; i < MEANINGS; i++)
        if (meanings[i].code == code)
            m = &meanings[i];
    if (!m)
        return tensor_fail(x->r, x->at, "tensor '%.*s': its type code %d is not known",
                           SHOWN(entry->name_length), entry->name, code);
    if (fits(entry, m->first) || fits(entry, m->second))
        return 0;
    return tensor_fail(
        x->r, x->at,
        "tensor '%.*s': its %" PRIu64 " bytes are not those of type code %d (%s) and its shape",
        SHOWN(entry->name_length), entry->name, entry->nbytes, code, type_row(m->first)->name);
}

/* Bytes [from, to) of the index. */
static const uint8_t *peek_index(struct index *x, uint64_t from, uint64_t to)
{
    if (to <= x->end)
        return tensor_peek(x->r, from, (size_t)(to - from));
    tensor_fail(x->r, x->at, "an index entry ends behind the index, at byte %" PRIu64, x->end);
    return NULL;
}

/* The end of the entry at at; 0 on failure. */
static uint64_t entry_end(struct index *x, uint64_t at)
{
    const uint8_t *bytes = peek_index(x, at, at + 2);
    if (!bytes)
        return 0;
    uint64_t name_length = get_le(bytes, 2);
    bytes = peek_index(x, at, at + 2 + name_length + 2);
    return bytes ? at + ENTRY_BYTES + name_length + 8 * (uint64_t)bytes[2 + name_length + 1] : 0;
}

/* Whether the name of the entry at before sorts behind that of the entry at now. */
static bool descends(const uint8_t *before, const uint8_t *now)
{
    size_t m = (size_t)get_le(before, 2), n = (size_t)get_le(now, 2);
    int order = memcmp(before + 2, now + 2, m < n ? m : n);
    return order > 0 || (order == 0 && m > n);
}

static int check_order(struct index *x, const uint8_t *before, const uint8_t *now)
{
    if (x->unsorted || !descends(before, now))
        return 0;
    x->unsorted = true;
    if (!x->r->lenient)
        return tensor_fail(x->r, x->at, "the index is not sorted by name");
    tensor_warn(x->r, "the index is not sorted by name, at byte %" PRIu64, x->at);
    return 0;
}

static int add_entry(struct index *x, const uint8_t *bytes)
{
    uint64_t shape[UINT8_MAX];
    struct tensor_entry entry = {.name_length = (size_t)get_le(bytes, 2), .shape = shape};
    entry.name = (const char *)bytes + 2;
    bytes += 2 + entry.name_length;
    uint8_t code = bytes[0];
    entry.rank = bytes[1];
    bytes += 2;
    for (uint32_t i = 0; i < entry.rank; i++, bytes += 8)
        shape[i] = get_le(bytes, 8);
    entry.offset = get_le(bytes, 8);
    entry.nbytes = get_le(bytes + 8, 8);
    x->unaligned |= entry.offset % ALIGNMENT != 0;
    if (__builtin_add_overflow(entry.offset, x->data, &entry.offset))
        return tensor_fail(x->r, x->at, "tensor '%.*s': its offset %" PRIu64 " is too large",
                           SHOWN(entry.name_length), entry.name, entry.offset - x->data);
    if (resolve_type(x, &entry, code) < 0 || tensor_add(x->r, &entry) < 0)
        return -1;
    if (entry.offset + entry.nbytes > x->data_end)
        x->data_end = entry.offset + entry.nbytes;
    return 0;
}

/* One peek holds an entry and the one before it, whose names are compared. */
static int read_entry(struct index *x)
{
    uint64_t end = entry_end(x, x->at);
    const uint8_t *bytes = end ? peek_index(x, x->before, end) : NULL;
    if (!bytes)
        return -1;
    const uint8_t *now = bytes + (x->at - x->before);
    if (check_order(x, bytes, now) < 0 || add_entry(x, now) < 0)
        return -1;
    x->before = x->at;
    x->at = end;
    return 0;
}

static int read_index(struct tensor_reader *r, const struct header *h)
{
    struct index x = {.r = r,
                      .end = h->data,
                      .data = h->data,
                      .at = h->index,
                      .before = h->index,
                      .data_end = h->data};
    for (uint64_t i = 0; i < h->count; i++)
        if (read_entry(&x) < 0)
            return -1;
    if (x.unaligned)
        tensor_warn(r, "tensors do not begin at multiples of %d bytes", ALIGNMENT);
    uint64_t footer = h->data + round_up(x.data_end - h->data, ALIGNMENT);
    if (footer > r->size || r->size - footer < FOOTER_BYTES)
        tensor_warn(r, "the footer with the checksum of the file is missing");
    return 0;
}

/* Compressed files have everything after the header as one blob.  Some writers set the flag of a
 * compression and do not compress: plain metadata opens with a brace.  What is wrong with a header
 * is left to read_apr. */
static bool is_compressed(const struct tensor_reader *r, const uint8_t *bytes)
{
    uint64_t flags = get_le(bytes + 6, 2);
    return memcmp(bytes, magic, sizeof magic) == 0 && bytes[4] == MAJOR_VERSION &&
           (flags & (FLAG_LZ4 | FLAG_ZSTD)) && !(flags & (FLAG_ENCRYPTED | FLAG_COLUMN_MAJOR)) &&
           bytes[HEADER_BYTES] != '{' &&
           (r->lenient || get_le(bytes + CHECKSUM_AT, 4) == header_crc(bytes));
}

static int unwrap(struct tensor_reader *r)
{
    if (r->size <= HEADER_BYTES)
        return 0;
    const uint8_t *bytes = tensor_peek(r, 0, HEADER_BYTES + 1);
    if (!bytes)
        return -1;
    if (!is_compressed(r, bytes))
        return 0;
    bool lz4 = get_le(bytes + 6, 2) & FLAG_LZ4;
    if (tensor_unwrapped(r, bytes, HEADER_BYTES) < 0)
        return -1;
    int result = lz4 ? apr_expand_lz4(r, HEADER_BYTES) : apr_expand_zstd(r, HEADER_BYTES);
    return result < 0 ? -1 : 1;
}

static int read_apr(struct tensor_reader *r)
{
    struct header h = {0};
    if (check_kind(r) < 0 || take_header(r, &h) < 0 || check_flags(r, &h) < 0 ||
        check_sections(r, &h) < 0 || tensor_value_json(r, h.metadata, h.metadata_bytes) < 0)
        return -1;
    return read_index(r, &h);
}

/* ---- Writing ---- */

static const struct meaning *written_meaning(uint32_t dtype)
{
    for (size_t i = 0; i < MEANINGS; i++)
        if (meanings[i].written && meanings[i].first == dtype)
            return &meanings[i];
    return NULL;
}

static const char *refuse(const struct tensor_entry *entry)
{
    if (!written_meaning(entry->dtype))
        return lacks_type(entry->dtype);
    if (entry->name_length > MAX_WRITTEN_NAME)
        return "has names of at most 256 bytes";
    if (entry->rank > MAX_WRITTEN_RANK)
        return "has at most 8 dimensions";
    return NULL;
}

/* The keys that every file has, in their order. */
enum { MODEL_TYPE, LICENSE, DATA_SOURCE, DATA_LICENSE, TOTAL_SIZE, PARAM_COUNT, STANDARD_KEYS };

static const char *const standard_keys[STANDARD_KEYS] = {
    "model_type", "license", "data_source", "data_license", "total_size", "param_count"};

static uint64_t elements_of(const struct tensor_entry *entry)
{
    uint64_t elements = 1;
    for (uint32_t i = 0; i < entry->rank; i++)
        elements *= entry->shape[i];
    return elements;
}

static void set_standard(const struct tensor_writer *w, struct tensor_pair *pairs)
{
    uint64_t bytes = 0, elements = 0;
    for (size_t i = 0; i < w->count; i++) {
        bytes += w->tensors[i].nbytes;
        elements += elements_of(&w->tensors[i]);
    }
    for (size_t i = 0; i < STANDARD_KEYS; i++)
        pairs[i].key = (struct tensor_value){
            .type = TENSOR_STRING, .string = {standard_keys[i], strlen(standard_keys[i])}};
    pairs[MODEL_TYPE].value = (struct tensor_value){.type = TENSOR_STRING, .string = {"", 0}};
    pairs[TOTAL_SIZE].value = (struct tensor_value){.type = TENSOR_UINT64, .uint = bytes};
    pairs[PARAM_COUNT].value = (struct tensor_value){.type = TENSOR_UINT64, .uint = elements};
}

/* Readers demand that the standard keys have their types. */
static bool is_acceptable(size_t key, const struct tensor_value *value)
{
    if (key == TOTAL_SIZE || key == PARAM_COUNT)
        return value->type == TENSOR_UINT64 || value->type == TENSOR_UINT32 ||
               ((value->type == TENSOR_INT64 || value->type == TENSOR_INT32) && value->sint >= 0);
    return value->type == TENSOR_STRING || (value->type == TENSOR_NULL && key != MODEL_TYPE);
}

/* The standard keys, then the others that were given. */
static size_t merge_metadata(const struct tensor_writer *w, struct tensor_pair *pairs)
{
    size_t count = STANDARD_KEYS;
    set_standard(w, pairs);
    for (size_t i = 0; i < w->metadata->map.count; i++) {
        const struct tensor_pair *given = &w->metadata->map.pairs[i];
        size_t key = 0;
        while (key < STANDARD_KEYS &&
               !equals(given->key.string.bytes, given->key.string.length, standard_keys[key]))
            key++;
        if (key == STANDARD_KEYS)
            pairs[count++] = *given;
        else if (is_acceptable(key, &given->value))
            pairs[key].value = given->value;
    }
    return count;
}

static int metadata_text(struct tensor_writer *w, const char **text, size_t *length)
{
    struct tensor_pair *pairs = calloc(w->metadata->map.count + STANDARD_KEYS, sizeof *pairs);
    if (!pairs)
        return tensor_write_fail(w, "out of memory");
    struct tensor_value merged = {.type = TENSOR_MAP, .map = {pairs, merge_metadata(w, pairs)}};
    int result = tensor_to_json(w, &merged, text, length);
    free(pairs);
    if (result == 0 && *length > UINT32_MAX)
        return tensor_write_fail(w, "its metadata would have %zu bytes (at most %" PRIu32 ")",
                                 *length, UINT32_MAX);
    return result;
}

static uint64_t entry_bytes(const struct tensor_entry *entry)
{
    return ENTRY_BYTES + entry->name_length + 8 * (uint64_t)entry->rank;
}

static struct header plan(const struct tensor_writer *w, size_t metadata_bytes)
{
    struct header h = {.flags = FLAG_ROW_MAJOR,
                       .count = w->count,
                       .metadata = HEADER_BYTES,
                       .metadata_bytes = metadata_bytes};
    uint64_t index_bytes = 0;
    for (size_t i = 0; i < w->count; i++) {
        index_bytes += entry_bytes(&w->tensors[i]);
        if (type_row(w->tensors[i].dtype)->kind == TENSOR_KIND_QUANT)
            h.flags |= FLAG_QUANTIZED;
    }
    h.index = HEADER_BYTES + round_up(metadata_bytes, ALIGNMENT);
    h.data = h.index + round_up(index_bytes, ALIGNMENT);
    if (h.data < w->room)
        h.data = round_up(w->room, ALIGNMENT);
    return h;
}

static int emit_header(struct tensor_writer *w, const struct header *h)
{
    uint8_t bytes[HEADER_BYTES] = {0};
    memcpy(bytes, magic, sizeof magic);
    bytes[4] = MAJOR_VERSION;
    put_le(bytes + 6, h->flags, 2);
    put_le(bytes + 8, h->count, 4);
    put_le(bytes + 12, h->metadata, 8);
    put_le(bytes + 20, h->metadata_bytes, 4);
    put_le(bytes + 24, h->index, 8);
    put_le(bytes + 32, h->data, 8);
    put_le(bytes + CHECKSUM_AT, header_crc(bytes), 4);
    return tensor_emit(w, bytes, sizeof bytes);
}

static int emit_entry(struct tensor_writer *w, const struct tensor_entry *entry)
{
    if (emit_le(w, entry->name_length, 2) < 0 ||
        tensor_emit(w, entry->name, entry->name_length) < 0 ||
        emit_le(w, written_meaning(entry->dtype)->code, 1) < 0 || emit_le(w, entry->rank, 1) < 0)
        return -1;
    for (uint32_t i = 0; i < entry->rank; i++)
        if (emit_le(w, entry->shape[i], 8) < 0)
            return -1;
    return emit_le(w, entry->offset, 8) < 0 ? -1 : emit_le(w, entry->nbytes, 8);
}

static int by_name(const void *a, const void *b)
{
    const struct tensor_entry *x = *(const struct tensor_entry *const *)a;
    const struct tensor_entry *y = *(const struct tensor_entry *const *)b;
    size_t shorter = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = memcmp(x->name, y->name, shorter);
    return order ? order : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

/* Emits the index, sorted by name, and what pads it to the data. */
static int emit_index(struct tensor_writer *w, const struct header *h)
{
    const struct tensor_entry **sorted = calloc(w->count + 1, sizeof *sorted);
    if (!sorted)
        return tensor_write_fail(w, "out of memory");
    for (size_t i = 0; i < w->count; i++)
        sorted[i] = &w->tensors[i];
    qsort(sorted, w->count, sizeof *sorted, by_name);
    int result = 0;
    uint64_t end = h->index;
    for (size_t i = 0; i < w->count && result == 0; i++) {
        result = emit_entry(w, sorted[i]);
        end += entry_bytes(sorted[i]);
    }
    free(sorted);
    return result < 0 ? -1 : emit_fill(w, 0, h->data - end);
}

static int write_head(struct tensor_writer *w)
{
    const char *text = NULL;
    size_t length = 0;
    if (w->count > UINT32_MAX)
        return tensor_write_fail(w, "has at most %" PRIu32 " tensors", UINT32_MAX);
    if (metadata_text(w, &text, &length) < 0)
        return -1;
    struct header h = plan(w, length);
    if (emit_header(w, &h) < 0 || tensor_emit(w, text, length) < 0 ||
        emit_fill(w, 0, h.index - h.metadata - length) < 0)
        return -1;
    return emit_index(w, &h);
}

static int write_tail(struct tensor_writer *w)
{
    return emit_le(w, w->crc32, FOOTER_BYTES);
}

const struct tensor_format tensor_format_apr = {
    TENSOR_FORMAT_HEADER,
    .name = "apr",
    .about = "APR version 2 of aprender",
    .suffixes = ".apr",
    .tensor_alignment = ALIGNMENT,
    .data_alignment = ALIGNMENT,
    .wants_crc32 = true,
    .bid = bid,
    .unwrap = unwrap,
    .read = read_apr,
    .refuse = refuse,
    .write_head = write_head,
    .write_tail = write_tail,
};
