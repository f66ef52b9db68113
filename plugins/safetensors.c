/* SPDX-License-Identifier: MIT */
/* SafeTensors: a length, a JSON header, one buffer of data.  Read as strictly as the reference
 * implementation reads it, see tensor-format-safetensors(5). */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "tree/json-memory.h"
#include "tree/json-check.h"
#include "tensorutils/format.h"

#define METADATA_KEY "__metadata__"

enum {
    LENGTH_BYTES = 8,
    HEADER_MAX = 100000000, /* the reference refuses longer headers */
    ALIGNMENT = 8,
    WINDOW = TENSOR_PEEK_MAX,
    /* yajl scans a string anew with each window that it goes on in: long ones cost their square. */
    WINDOWS_A_TOKEN = 16,
};

/* The types of the format, which has the same names for them as this project. */
static const uint8_t types[] = {
    TENSOR_BOOL,        TENSOR_U8,          TENSOR_I8,      TENSOR_F8_E5M2, TENSOR_F8_E4M3,
    TENSOR_F8_E8M0,     TENSOR_F4,          TENSOR_F6_E2M3, TENSOR_F6_E3M2, TENSOR_I16,
    TENSOR_U16,         TENSOR_F16,         TENSOR_BF16,    TENSOR_I32,     TENSOR_U32,
    TENSOR_F32,         TENSOR_C64,         TENSOR_F64,     TENSOR_I64,     TENSOR_U64,
    TENSOR_F8_E4M3FNUZ, TENSOR_F8_E5M2FNUZ,
};

static bool has_type(uint32_t dtype)
{
    return dtype < TENSOR_DTYPE_LIMIT && memchr(types, (int)dtype, sizeof types);
}

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    size_t at = LENGTH_BYTES, text = 0;
    while (at < length && strchr(" \t\r\n", head[at]) && head[at])
        at++;
    if (at >= length || head[at] != '{')
        return 0;
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        text += head[i] == '\n' || (head[i] >= ' ' && head[i] < 0x7f);
    if (text == LENGTH_BYTES) /* some text that has a brace there */
        return 0;
    uint64_t header = get_le(head, LENGTH_BYTES);
    return header <= HEADER_MAX && header <= size - LENGTH_BYTES ? 45 : 8;
}

/* ---- Reading ---- */

enum place { OUTSIDE, TOP, METADATA, ENTRY, SHAPE, OFFSETS, DONE };
enum field { FIELD_DTYPE, FIELD_SHAPE, FIELD_OFFSETS, FIELD_COUNT, FIELD_UNKNOWN = FIELD_COUNT };

static const char *const field_names[FIELD_COUNT] = {"dtype", "shape", "data_offsets"};

struct text {
    char *bytes;
    size_t length, capacity;
};

struct range {
    uint64_t begin, end; /* in the data section */
};

/* What the escapes seen so far ask of the next byte. */

struct header {
    struct tensor_reader *r;
    struct tu_yajl yajl;
    uint64_t window; /* place in the file of the text that yajl was given last */
    uint64_t end;    /* of the JSON object in the file */
    uint64_t data, data_size;
    bool active; /* yajl found a token in the last window */

    enum place place;
    size_t ignored; /* open maps and arrays of a value that is passed over */
    struct text name, key;
    bool has_metadata;
    uint64_t metadata_begin, metadata_end;

    enum field field;
    unsigned seen; /* fields of the entry, as bits */
    uint32_t dtype, rank;
    uint64_t shape[TENSOR_MAX_RANK];
    struct range range;
    unsigned bounds; /* numbers of data_offsets */

    struct range *ranges; /* of all tensors */
    size_t count, capacity;
};

static uint64_t position(const struct header *h)
{
    return h->window + yajl_get_bytes_consumed(h->yajl.handle);
}

/* Callbacks of yajl return 0 to stop it. */
#define STOP(h, ...) (tensor_fail((h)->r, position(h), __VA_ARGS__) == 0)
#define STOP_TENSOR(h, format, ...)                                                                \
    STOP(h, "tensor '%.*s': " format, SHOWN((h)->name.length), (h)->name.bytes, __VA_ARGS__)

static int keep(struct header *h, struct text *text, const unsigned char *bytes, size_t length)
{
    if (length >= text->capacity) {
        char *larger = realloc(text->bytes, length + 1);
        if (!larger)
            return STOP(h, "out of memory");
        text->bytes = larger;
        text->capacity = length + 1;
    }
    if (length)
        memcpy(text->bytes, bytes, length);
    text->length = length;
    return 1;
}

static bool is_ignored(const struct header *h)
{
    return h->ignored || (h->place == ENTRY && h->field == FIELD_UNKNOWN) ||
           (h->place == METADATA && h->r->lenient);
}

/* A value of a kind that does not belong where it stands. */
static int misplaced(struct header *h)
{
    h->active = true;
    if (is_ignored(h))
        return 1;
    switch (h->place) {
    case ENTRY:
        return STOP_TENSOR(h, "its %s is no %s", field_names[h->field],
                           h->field == FIELD_DTYPE ? "string" : "array of natural numbers");
    case SHAPE:
    case OFFSETS:
        return STOP_TENSOR(h, "its %s holds something else than natural numbers",
                           field_names[h->field]);
    case METADATA:
        return STOP(h, METADATA_KEY ": the value of '%.*s' is no string", SHOWN(h->key.length),
                    h->key.bytes);
    default:
        return STOP(h, "the value of '%.*s' is no object", SHOWN(h->name.length), h->name.bytes);
    }
}

static int on_null(void *context)
{
    return misplaced(context);
}

static int on_boolean(void *context, int boolean)
{
    (void)boolean;
    return misplaced(context);
}

static bool parse_natural(const char *text, size_t length, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (unsigned)(text[i] - '0'), out))
            return false;
    }
    return true;
}

static int on_number(void *context, const char *text, size_t length)
{
    struct header *h = context;
    uint64_t number;
    if (is_ignored(h) || (h->place != SHAPE && h->place != OFFSETS))
        return misplaced(h);
    h->active = true;
    if (!parse_natural(text, length, &number))
        return STOP_TENSOR(h, "its %s holds %.*s (a natural number below 2^64 is expected)",
                           field_names[h->field], SHOWN(length), text);
    if (h->place == SHAPE) {
        if (h->rank == TENSOR_MAX_RANK)
            return STOP_TENSOR(h, "it has more than %u dimensions", TENSOR_MAX_RANK);
        h->shape[h->rank++] = number;
        return 1;
    }
    if (h->bounds == 2)
        return STOP_TENSOR(h, "its %s has more than 2 numbers", field_names[h->field]);
    *(h->bounds++ ? &h->range.end : &h->range.begin) = number;
    return 1;
}

/* yajl has checked how sequences are built, but not for overlong forms, surrogates, and code points
 * beyond the last. */
static bool is_strict_utf8(const unsigned char *text, size_t length)
{
    for (size_t i = 0; i + 1 < length; i++) {
        unsigned char a = text[i], b = text[i + 1];
        if (a == 0xc0 || a == 0xc1 || a > 0xf4 || (a == 0xe0 && b < 0xa0) ||
            (a == 0xed && b > 0x9f) || (a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f))
            return false;
    }
    return true;
}

static int on_metadata(struct header *h, const unsigned char *text, size_t length)
{
    struct tensor_value value = {.type = TENSOR_STRING, .string = {(const char *)text, length}};
    if (!is_strict_utf8(text, length) ||
        !is_strict_utf8((const unsigned char *)h->key.bytes, h->key.length))
        return STOP(h, METADATA_KEY " holds text that is no UTF-8");
    return tensor_value_add(h->r, h->key.bytes, h->key.length, &value) == 0;
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
    struct header *h = context;
    if (is_ignored(h))
        return misplaced(h);
    h->active = true;
    if (h->place == METADATA)
        return on_metadata(h, text, length);
    if (h->place != ENTRY || h->field != FIELD_DTYPE)
        return misplaced(h);
    size_t count;
    const struct type_row *rows = type_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (!equals(text, length, rows[i].name) || !has_type(rows[i].dtype))
            continue;
        h->dtype = rows[i].dtype;
        return 1;
    }
    return STOP_TENSOR(h, "unknown dtype '%.*s'", SHOWN(length), (const char *)text);
}

static int on_field(struct header *h, const unsigned char *text, size_t length)
{
    h->field = FIELD_DTYPE;
    while (h->field < FIELD_COUNT && !equals(text, length, field_names[h->field]))
        h->field++;
    if (h->field == FIELD_UNKNOWN)
        return h->r->lenient || STOP_TENSOR(h, "unknown field '%.*s'", SHOWN(length), text);
    if (h->seen & 1u << h->field)
        return STOP_TENSOR(h, "its %s occurs twice", field_names[h->field]);
    h->seen |= 1u << h->field;
    return 1;
}

static int on_key(void *context, const unsigned char *text, size_t length)
{
    struct header *h = context;
    h->active = true;
    if (h->ignored)
        return 1;
    if (h->place == ENTRY)
        return on_field(h, text, length);
    return keep(h, h->place == TOP ? &h->name : &h->key, text, length);
}

static int open_metadata(struct header *h)
{
    if (h->has_metadata)
        return STOP(h, METADATA_KEY " occurs twice");
    h->has_metadata = true;
    h->metadata_begin = position(h) - 1;
    h->place = METADATA;
    return 1;
}

static int on_map(void *context)
{
    struct header *h = context;
    if (h->place == OUTSIDE) {
        h->place = TOP;
        return 1;
    }
    if (h->place != TOP) {
        int result = misplaced(h);
        h->ignored++;
        return result;
    }
    if (equals(h->name.bytes, h->name.length, METADATA_KEY))
        return open_metadata(h);
    h->place = ENTRY;
    h->seen = h->rank = h->bounds = 0;
    h->range = (struct range){0};
    return 1;
}

static int on_array(void *context)
{
    struct header *h = context;
    if (!is_ignored(h) && h->place == ENTRY && h->field != FIELD_DTYPE) {
        h->place = h->field == FIELD_SHAPE ? SHAPE : OFFSETS;
        return 1;
    }
    int result = misplaced(h);
    h->ignored++;
    return result;
}

static int on_array_end(void *context)
{
    struct header *h = context;
    if (h->ignored)
        h->ignored--;
    else
        h->place = ENTRY;
    return 1;
}

static int add_range(struct header *h)
{
    if (h->count == h->capacity) {
        size_t capacity = h->capacity ? 2 * h->capacity : 64;
        struct range *larger = reallocarray(h->ranges, capacity, sizeof *larger);
        if (!larger)
            return STOP(h, "out of memory");
        h->ranges = larger;
        h->capacity = capacity;
    }
    h->ranges[h->count++] = h->range;
    return 1;
}

static int end_entry(struct header *h)
{
    for (unsigned field = 0; field < FIELD_COUNT; field++)
        if (!(h->seen & 1u << field))
            return STOP_TENSOR(h, "it has no %s", field_names[field]);
    if (h->bounds != 2)
        return STOP_TENSOR(h, "its data_offsets has %u numbers (2 are expected)", h->bounds);
    if (h->range.begin > h->range.end || h->range.end > h->data_size)
        return STOP_TENSOR(h,
                           "its data_offsets [%" PRIu64 ", %" PRIu64
                           "] are no range of the %" PRIu64 " bytes of data",
                           h->range.begin, h->range.end, h->data_size);
    struct tensor_entry entry = {.name = h->name.bytes,
                                 .name_length = h->name.length,
                                 .dtype = h->dtype,
                                 .rank = h->rank,
                                 .shape = h->shape,
                                 .offset = h->data + h->range.begin,
                                 .nbytes = h->range.end - h->range.begin};
    return add_range(h) && tensor_add(h->r, &entry) == 0;
}

static int on_map_end(void *context)
{
    struct header *h = context;
    if (h->ignored) {
        h->ignored--;
        return 1;
    }
    if (h->place == TOP) {
        h->place = DONE;
        h->end = position(h);
        return 1;
    }
    int result = 1;
    if (h->place == METADATA)
        h->metadata_end = position(h);
    else
        result = end_entry(h);
    h->place = TOP;
    return result;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_map_key = on_key,
    .yajl_start_map = on_map,
    .yajl_end_map = on_map_end,
    .yajl_start_array = on_array,
    .yajl_end_array = on_array_end,
};

/* Looks for what yajl takes and JSON does not allow. */
static int check_text(struct header *h, struct tu_jsontext *state, const uint8_t *text,
                      size_t length)
{
    size_t at;
    const char *why = tu_jsontext_check(state, text, length, &at);
    return why ? tensor_fail(h->r, h->window + at, "the header has %s", why) : 0;
}

static int check(struct header *h, yajl_status status)
{
    if (status == yajl_status_ok)
        return 0;
    if (status == yajl_status_client_canceled)
        return h->yajl.exhausted ? tensor_fail(h->r, h->window, "out of memory") : -1;
    unsigned char *text = tu_yajl_error(&h->yajl);
    const char *why = text ? (const char *)text : "";
    tensor_fail(h->r, position(h), "the header is bad JSON (%.*s)", (int)strcspn(why, "\n"), why);
    if (text)
        yajl_free_error(h->yajl.handle, text);
    return -1;
}

static int parse(struct header *h)
{
    struct tu_jsontext state = {0};
    unsigned idle = 0;
    for (h->window = LENGTH_BYTES; h->window < h->data && h->place != DONE;) {
        size_t n = h->data - h->window < WINDOW ? (size_t)(h->data - h->window) : WINDOW;
        const uint8_t *text = tensor_peek(h->r, h->window, n);
        if (!text || check_text(h, &state, text, n) < 0)
            return -1;
        h->active = false;
        if (check(h, tu_yajl_parse(&h->yajl, text, n)) < 0)
            return -1;
        idle = h->active ? 0 : idle + 1;
        if (idle > WINDOWS_A_TOKEN)
            return tensor_fail(h->r, h->window, "the header has a string of more than %d MiB",
                               WINDOWS_A_TOKEN);
        h->window += n;
    }
    return h->place == DONE ? 0 : check(h, tu_yajl_parse(&h->yajl, NULL, 0));
}

/* yajl would take the beginning of a string or a word there. */
static int check_padding(struct header *h)
{
    for (uint64_t at = h->end; at < h->data;) {
        size_t n = h->data - at < WINDOW ? (size_t)(h->data - at) : WINDOW;
        const uint8_t *text = tensor_peek(h->r, at, n);
        if (!text)
            return -1;
        size_t blanks = tu_jsontext_blanks(text, n);
        if (blanks < n)
            return tensor_fail(h->r, at + blanks, "the header goes on behind its JSON object");
        at += n;
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Bytes between tensors or behind the last one. */
static int unused(struct header *h, uint64_t begin, uint64_t end)
{
    if (!h->r->lenient)
        return tensor_fail(h->r, h->data + begin, "%" PRIu64 " bytes of data belong to no tensor",
                           end - begin);
    tensor_warn(h->r, "%" PRIu64 " bytes of data at byte %" PRIu64 " belong to no tensor",
                end - begin, h->data + begin);
    return 0;
}

/* The tensors must cover the data exactly; where they overlap the core says so. */
static int check_cover(struct header *h)
{
    uint64_t covered = 0, hole_begin = 0, hole_end = 0;
    if (h->count)
        qsort(h->ranges, h->count, sizeof *h->ranges, by_place);
    for (size_t i = 0; i <= h->count; i++) {
        struct range next = {h->data_size, h->data_size};
        if (i < h->count)
            next = h->ranges[i];
        if (next.begin > covered && hole_begin == hole_end) {
            hole_begin = covered;
            hole_end = next.begin;
        }
        if (next.begin < covered && next.begin == next.end)
            return tensor_fail(h->r, h->data + next.begin,
                               "an empty tensor lies inside of another tensor");
        if (next.end > covered)
            covered = next.end;
    }
    return hole_begin == hole_end ? 0 : unused(h, hole_begin, hole_end);
}

static int read_header(struct header *h)
{
    if (parse(h) < 0 || check_padding(h) < 0 || check_cover(h) < 0)
        return -1;
    if (!h->has_metadata || !h->r->lenient)
        return 0;
    return tensor_value_json(h->r, h->metadata_begin, h->metadata_end - h->metadata_begin);
}

static int check_length(struct tensor_reader *r, uint64_t *length)
{
    if (r->size < LENGTH_BYTES)
        return tensor_fail(r, 0, "a SafeTensors file has at least 8 bytes, this has %" PRIu64,
                           r->size);
    const uint8_t *bytes = tensor_peek(r, 0, LENGTH_BYTES);
    if (!bytes)
        return -1;
    *length = get_le(bytes, LENGTH_BYTES);
    if (*length > r->size - LENGTH_BYTES)
        return tensor_fail(r, 0,
                           "header length %" PRIu64 " is larger than the file (%" PRIu64 " bytes)",
                           *length, r->size);
    if (*length > HEADER_MAX && !r->big_header)
        return tensor_fail(r, 0, "header length %" PRIu64 " is larger than %d (see --big-header)",
                           *length, HEADER_MAX);
    if (*length < 2)
        return tensor_fail(r, 0, "header length %" PRIu64 " is less than 2", *length);
    bytes = tensor_peek(r, LENGTH_BYTES, 1);
    if (!bytes)
        return -1;
    return *bytes == '{' ? 0
                         : tensor_fail(r, LENGTH_BYTES, "the header does not begin with a brace");
}

static int read_safetensors(struct tensor_reader *r)
{
    uint64_t length = 0;
    if (check_length(r, &length) < 0)
        return -1;
    struct header h = {
        .r = r, .data = LENGTH_BYTES + length, .data_size = r->size - LENGTH_BYTES - length};
    if (!tu_yajl_open(&h.yajl, &callbacks, &h))
        return tensor_fail(r, 0, "out of memory");
    int result = read_header(&h);
    tu_yajl_close(&h.yajl);
    free(h.name.bytes);
    free(h.key.bytes);
    free(h.ranges);
    return result;
}

/* ---- Writing ---- */

static const char *refuse(const struct tensor_entry *entry)
{
    if (equals(entry->name, entry->name_length, METADATA_KEY))
        return "keeps the name " METADATA_KEY " for itself";
    return has_type(entry->dtype) ? NULL : lacks_type(entry->dtype);
}

/* The header's text, whose length must be known before it is emitted. */
struct output {
    struct tensor_writer *w;
    struct text text;
};

static int put(struct output *o, const char *bytes, size_t length)
{
    struct text *t = &o->text;
    if (length > t->capacity - t->length) {
        size_t capacity = 2 * t->capacity + length;
        char *larger = capacity < SIZE_MAX / 4 ? realloc(t->bytes, capacity) : NULL;
        if (!larger)
            return tensor_write_fail(o->w, "out of memory");
        t->bytes = larger;
        t->capacity = capacity;
    }
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
    return 0;
}

static int put_literal(struct output *o, const char *literal)
{
    return put(o, literal, strlen(literal));
}

static int put_number(struct output *o, const char *before, uint64_t number)
{
    char text[32];
    size_t at = sizeof text;
    do
        text[--at] = (char)('0' + number % 10);
    while (number /= 10);
    return put_literal(o, before) < 0 ? -1 : put(o, text + at, sizeof text - at);
}

static int put_json(struct output *o, const struct tensor_value *value)
{
    const char *text;
    size_t length;
    return tensor_to_json(o->w, value, &text, &length) < 0 ? -1 : put(o, text, length);
}

/* The metadata can hold strings only: other values become one, their JSON. */
static int put_pair(struct output *o, const struct tensor_pair *pair)
{
    struct tensor_value value = pair->value;
    if (value.type != TENSOR_STRING) {
        value = (struct tensor_value){.type = TENSOR_STRING};
        if (tensor_to_json(o->w, &pair->value, &value.string.bytes, &value.string.length) < 0)
            return -1;
    }
    if (put_json(o, &pair->key) < 0 || put_literal(o, ":") < 0)
        return -1;
    return put_json(o, &value);
}

static int put_metadata(struct output *o)
{
    const struct tensor_value *metadata = o->w->metadata;
    for (size_t i = 0; i < metadata->map.count; i++)
        if (put_literal(o, i ? "," : "\"" METADATA_KEY "\":{") < 0 ||
            put_pair(o, &metadata->map.pairs[i]) < 0)
            return -1;
    return metadata->map.count ? put_literal(o, "}") : 0;
}

static int put_tensor(struct output *o, const struct tensor_entry *entry)
{
    struct tensor_value name = {.type = TENSOR_STRING, .string = {entry->name, entry->name_length}};
    if (put_json(o, &name) < 0 || put_literal(o, ":{\"dtype\":\"") < 0 ||
        put_literal(o, type_row(entry->dtype)->name) < 0 || put_literal(o, "\",\"shape\":[") < 0)
        return -1;
    for (uint32_t i = 0; i < entry->rank; i++)
        if (put_number(o, i ? "," : "", entry->shape[i]) < 0)
            return -1;
    if (put_number(o, "],\"data_offsets\":[", entry->offset) < 0 ||
        put_number(o, ",", entry->offset + entry->nbytes) < 0)
        return -1;
    return put_literal(o, "]}");
}

static int put_header(struct output *o)
{
    if (put_literal(o, "{") < 0 || put_metadata(o) < 0)
        return -1;
    for (size_t i = 0; i < o->w->count; i++) {
        if ((i || o->w->metadata->map.count) && put_literal(o, ",") < 0)
            return -1;
        if (put_tensor(o, &o->w->tensors[i]) < 0)
            return -1;
    }
    return put_literal(o, "}");
}

/* Blanks at the end of the header bring the data to its place. */
static int emit_header(struct tensor_writer *w, const struct text *text)
{
    uint64_t end = LENGTH_BYTES + (uint64_t)text->length;
    uint64_t length = round_up(end < w->room ? w->room : end, ALIGNMENT) - LENGTH_BYTES;
    if (length > HEADER_MAX)
        return tensor_write_fail(w, "its header would have %" PRIu64 " bytes (at most %d)", length,
                                 HEADER_MAX);
    if (emit_le(w, length, LENGTH_BYTES) < 0 || tensor_emit(w, text->bytes, text->length) < 0)
        return -1;
    return emit_fill(w, ' ', length - text->length);
}

static int write_head(struct tensor_writer *w)
{
    struct output o = {.w = w};
    int result = put_header(&o);
    if (result == 0)
        result = emit_header(w, &o.text);
    free(o.text.bytes);
    return result;
}

const struct tensor_format tensor_format_safetensors = {
    TENSOR_FORMAT_HEADER,
    .name = "safetensors",
    .about = "SafeTensors of Hugging Face: a JSON header and plain data",
    .suffixes = ".safetensors .st",
    .tensor_alignment = 1,
    .data_alignment = ALIGNMENT,
    .bid = bid,
    .read = read_safetensors,
    .refuse = refuse,
    .write_head = write_head,
};
