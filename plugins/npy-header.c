/* SPDX-License-Identifier: MIT */
/* The header of a .npy: a Python literal, read as numpy's reader does, and written. */
#include "config.h"

#include "npy-header.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

enum {
    VERSION_AT = NPY_MAGIC_BYTES,
    LENGTH_AT = VERSION_AT + 2,
    MAJOR_MAX = 3,
};

static const struct {
    char name[4];
    uint8_t dtype;
} types[] = {
    {"<f8", TENSOR_F64},  {"<f4", TENSOR_F32}, {"<f2", TENSOR_F16}, {"<c8", TENSOR_C64},
    {"<i8", TENSOR_I64},  {"<i4", TENSOR_I32}, {"<i2", TENSOR_I16}, {"|i1", TENSOR_I8},
    {"<u8", TENSOR_U64},  {"<u4", TENSOR_U32}, {"<u2", TENSOR_U16}, {"|u1", TENSOR_U8},
    {"|b1", TENSOR_BOOL},
};

enum { TYPES = sizeof types / sizeof *types, TYPE_LENGTH = 3 };

/* Types of ml_dtypes by the names that numpy knows them by once that is imported. */
static const struct {
    const char *name;
    uint8_t dtype;
} named[] = {{"bfloat16", TENSOR_BF16},
             {"float8_e4m3fn", TENSOR_F8_E4M3},
             {"float8_e5m2", TENSOR_F8_E5M2},
             {"float8_e8m0fnu", TENSOR_F8_E8M0}};

enum { NAMED = sizeof named / sizeof *named };

const char *npy_type_name(uint32_t dtype)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype)
            return types[i].name;
    return NULL;
}

/* ---- Writing ---- */

static const char *type_text(uint32_t dtype)
{
    const char *name = npy_type_name(dtype);
    for (size_t i = 0; i < NAMED && !name; i++)
        if (named[i].dtype == dtype)
            name = named[i].name;
    return name ? name : "";
}

enum {
    PREFIX_BYTES = LENGTH_AT + 2, /* before the text, in version 1.0 */
    ALIGNMENT = 64,
    DIGITS = 21,                          /* that numpy has room for in the first dimension */
    TEXT_MAX = 96 + 24 * TENSOR_MAX_RANK, /* well below the 65535 bytes of version 1.0 */
};

/* The dictionary and the room behind it that numpy leaves for a larger first dimension. */
static size_t describe(const struct tensor_entry *entry, char text[static TEXT_MAX])
{
    int n = snprintf(text, TEXT_MAX, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     type_text(entry->dtype));
    for (uint32_t i = 0; i < entry->rank; i++)
        n += snprintf(text + n, TEXT_MAX - (size_t)n, i ? ", %" PRIu64 : "%" PRIu64,
                      entry->shape[i]);
    n += snprintf(text + n, TEXT_MAX - (size_t)n, entry->rank == 1 ? ",), }" : "), }");
    if (entry->rank)
        n += snprintf(text + n, TEXT_MAX - (size_t)n, "%*s",
                      DIGITS - snprintf(NULL, 0, "%" PRIu64, entry->shape[0]), "");
    return (size_t)n;
}

size_t npy_make_header(const struct tensor_entry *entry, uint8_t out[NPY_HEADER_MAX])
{
    char text[TEXT_MAX];
    size_t length = describe(entry, text);
    size_t total = (size_t)round_up(PREFIX_BYTES + length + 1, ALIGNMENT);
    memcpy(out, NPY_MAGIC "\x01\x00", LENGTH_AT);
    put_le(out + LENGTH_AT, total - PREFIX_BYTES, 2);
    memcpy(out + PREFIX_BYTES, text, length);
    memset(out + PREFIX_BYTES + length, ' ', total - PREFIX_BYTES - length - 1);
    out[total - 1] = '\n';
    return total;
}

/* ---- The header's text: a Python dictionary ---- */

enum key { DESCR, ORDER, SHAPE, KEYS };

static const char *const keys[KEYS] = {"descr", "fortran_order", "shape"};

struct header {
    struct tensor_reader *r;
    const struct npy_array *array;
    uint64_t offset; /* of the text in the file */
    const char *text;
    size_t length, at;

    unsigned seen; /* keys, as bits */
    bool fortran, turned;
    bool python2;  /* which wrote long integers with an L */
    bool loud;     /* tells the user of what is odd */
    bool left_out; /* no numbers, and optional */
    uint32_t dtype, rank;
    uint64_t shape[TENSOR_MAX_RANK];
};

#define WARN(h, format, ...)                                                                       \
    ((h)->loud ? tensor_warn((h)->r, "array '%.*s': " format, SHOWN((h)->array->name_length),      \
                             (h)->array->name, __VA_ARGS__)                                        \
               : (void)0)

#define FAIL_AT(h, where, format, ...)                                                             \
    tensor_fail((h)->r, where, "array '%.*s': " format, SHOWN((h)->array->name_length),            \
                (h)->array->name, __VA_ARGS__)
#define FAIL(h, ...) FAIL_AT(h, (h)->offset + (h)->at, __VA_ARGS__)

static int fail_text(const struct header *h, const char *expected)
{
    if (h->at == h->length)
        return FAIL(h, "its header ends where %s is expected", expected);
    unsigned char c = (unsigned char)h->text[h->at];
    if (c < ' ' || c > '~')
        return FAIL(h, "its header has the byte 0x%02x where %s is expected", c, expected);
    return FAIL(h, "its header has '%c' where %s is expected", c, expected);
}

static void skip_blanks(struct header *h)
{
    while (h->at < h->length && memchr(" \t\r\n", h->text[h->at], 4))
        h->at++;
}

/* Whether a mark comes next, which is then taken. */
static bool take(struct header *h, char mark)
{
    skip_blanks(h);
    if (h->at == h->length || h->text[h->at] != mark)
        return false;
    h->at++;
    return true;
}

static bool take_word(struct header *h, const char *word)
{
    size_t length = strlen(word);
    skip_blanks(h);
    if (h->length - h->at < length || memcmp(h->text + h->at, word, length) != 0)
        return false;
    h->at += length;
    return true;
}

/* A string without escapes: nothing that is read here needs them. */
static int take_string(struct header *h, const char *expected, const char **out, size_t *length)
{
    char quote = take(h, '\'') ? '\'' : '"';
    if (quote == '"' && !take(h, '"'))
        return fail_text(h, expected);
    *out = h->text + h->at;
    size_t begin = h->at;
    while (h->at < h->length && h->text[h->at] != quote) {
        unsigned char c = (unsigned char)h->text[h->at];
        if (c < ' ' || c == '\\')
            return FAIL(h, "its header has a string with the byte 0x%02x", c);
        h->at++;
    }
    *length = h->at - begin;
    return take(h, quote) ? 0 : fail_text(h, "the end of a string");
}

/* What holds no numbers: an error, or left out. */
static int refuse_type(struct header *h, const char *what, size_t length, const char *why)
{
    h->left_out = h->array->optional;
    if (!h->left_out)
        return FAIL(h, "%.*s is not supported%s", SHOWN(length), what, why);
    WARN(h, "%.*s is not supported%s: it is left out", SHOWN(length), what, why);
    return -1;
}

static int fail_type(struct header *h, const char *name, size_t length)
{
    static const struct {
        char letters[4];
        const char *why;
    } kinds[] = {
        {"O", " (it holds pickles)"}, {"SaU", " (it holds text)"}, {"mM", " (it holds times)"}};
    char what[64];
    int n = snprintf(what, sizeof what, "numpy type '%.*s'", length < 32 ? (int)length : 32, name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && length > 1; i++)
        if (name[1] && strchr(kinds[i].letters, name[1]))
            return refuse_type(h, what, (size_t)n, kinds[i].why);
    const char *why = length > 1 && name[1] == 'V' ? " (it holds raw bytes)" : "";
    if (equals(name, length, "|V2") || equals(name, length, "<V2"))
        why = " (if it is bfloat16, see --lenient)";
    else if (equals(name, length, "|V1") || equals(name, length, "<V1"))
        why = " (which of the types of 8 bits it is, numpy does not keep)";
    return FAIL(h, "%s is not supported%s", what, why);
}

/* What ml_dtypes makes of bfloat16: its name is lost. */
static bool is_bfloat16(const struct header *h, const char *name, size_t length)
{
    if (!h->r->lenient || (!equals(name, length, "|V2") && !equals(name, length, "<V2")))
        return false;
    WARN(h, "%s", "elements of two raw bytes are taken for BF16");
    return true;
}

/* A number's type with its byte order: '<', '>', '|' where there is none, '=' or nothing for that
 * of the machine that wrote it. */
static void read_number_type(struct header *h, const char *name, size_t length)
{
    bool bare = length == TYPE_LENGTH - 1;
    char order = bare ? '=' : name[0];
    for (size_t i = 0; i < TYPES && (bare || length == TYPE_LENGTH) && strchr("<>=|", order); i++) {
        bool single = types[i].name[0] == '|';
        if (memcmp(types[i].name + 1, name + !bare, TYPE_LENGTH - 1) != 0 ||
            (order == '|' && !single))
            continue;
        h->dtype = types[i].dtype;
        h->turned = order == '>' && !single;
        if (order == '=' && !single)
            WARN(h, "its type '%.*s' states no byte order: taken for little-endian", (int)length,
                 name);
    }
}

static int read_type(struct header *h)
{
    static const char structured[] = "a structured type";
    const char *name;
    size_t length;
    if (take(h, '[') || take(h, '('))
        return refuse_type(h, structured, strlen(structured), "");
    if (take_string(h, "a type", &name, &length) < 0)
        return -1;
    if (length)
        read_number_type(h, name, length);
    for (size_t i = 0; i < NAMED && !h->dtype; i++)
        if (equals(name, length, named[i].name))
            h->dtype = named[i].dtype;
    if (!h->dtype && is_bfloat16(h, name, length))
        h->dtype = TENSOR_BF16;
    return h->dtype ? 0 : fail_type(h, name, length);
}

static int read_order(struct header *h)
{
    h->fortran = take_word(h, "True");
    return h->fortran || take_word(h, "False") ? 0 : fail_text(h, "True or False");
}

static int read_dimension(struct header *h, uint64_t *out)
{
    skip_blanks(h);
    size_t begin = h->at;
    for (*out = 0; h->at < h->length; h->at++) {
        unsigned digit = (unsigned char)h->text[h->at] - (unsigned)'0';
        if (digit > 9)
            break;
        if (h->at > begin && *out == 0)
            return FAIL(h, "%s", "a dimension has a leading zero");
        if (__builtin_mul_overflow(*out, 10u, out) || __builtin_add_overflow(*out, digit, out))
            return FAIL(h, "%s", "a dimension is too large");
    }
    if (h->at == begin)
        return fail_text(h, "a natural number");
    if (h->r->lenient && take(h, 'L'))
        h->python2 = true;
    return 0;
}

/* One number in parentheses is no tuple, unless a comma follows. */
static int read_shape(struct header *h)
{
    if (!take(h, '('))
        return fail_text(h, "the tuple of the shape");
    for (bool comma = true; !take(h, ')'); comma = take(h, ',')) {
        if (!comma)
            return fail_text(h, "a comma or the end of the shape");
        if (h->rank == TENSOR_MAX_RANK)
            return FAIL(h, "it has more than %u dimensions", TENSOR_MAX_RANK);
        if (read_dimension(h, &h->shape[h->rank++]) < 0)
            return -1;
        skip_blanks(h);
        if (h->rank == 1 && (h->at == h->length || h->text[h->at] != ','))
            return fail_text(h, "the comma of a tuple");
    }
    return 0;
}

static int read_pair(struct header *h)
{
    static int (*const readers[KEYS])(struct header *) = {read_type, read_order, read_shape};
    const char *name;
    size_t length;
    unsigned key = 0;
    if (take_string(h, "a key", &name, &length) < 0)
        return -1;
    while (key < KEYS && !equals(name, length, keys[key]))
        key++;
    if (key == KEYS)
        return FAIL(h, "its header has the unknown key '%.*s'", SHOWN(length), name);
    if (h->seen & 1u << key)
        return FAIL(h, "its header has %s twice", keys[key]);
    h->seen |= 1u << key;
    return take(h, ':') ? readers[key](h) : fail_text(h, "a colon");
}

static int read_dictionary(struct header *h)
{
    if (!take(h, '{'))
        return fail_text(h, "a dictionary");
    for (bool comma = true; !take(h, '}'); comma = take(h, ',')) {
        if (!comma)
            return fail_text(h, "a comma or the end of the dictionary");
        if (read_pair(h) < 0)
            return -1;
    }
    for (unsigned key = 0; key < KEYS; key++)
        if (!(h->seen & 1u << key))
            return FAIL(h, "its header has no %s", keys[key]);
    skip_blanks(h);
    return h->at == h->length ? 0 : fail_text(h, "its end");
}

/* ---- The array ---- */

/* Finds the text of the header, which then ends where the data begins. */
static int find_text(struct header *h)
{
    const struct npy_array *a = h->array;
    const uint8_t *bytes = a->size < LENGTH_AT + 4 ? NULL : tensor_peek(h->r, a->offset, 12);
    if (a->size < LENGTH_AT + 4)
        return FAIL_AT(h, a->offset, "its %" PRIu64 " bytes are too few", a->size);
    if (!bytes)
        return -1;
    if (memcmp(bytes, NPY_MAGIC, NPY_MAGIC_BYTES) != 0)
        return FAIL_AT(h, a->offset, "%s", "it is no .npy");
    unsigned major = bytes[VERSION_AT], minor = bytes[VERSION_AT + 1], width = major == 1 ? 2 : 4;
    if (major < 1 || major > MAJOR_MAX || minor != 0)
        return FAIL_AT(h, a->offset + VERSION_AT, "version %u.%u is not known (1.0 to %d.0 are)",
                       major, minor, MAJOR_MAX);
    uint64_t length = get_le(bytes + LENGTH_AT, width), left = a->size - LENGTH_AT - width;
    if (length > left)
        return FAIL_AT(h, a->offset + LENGTH_AT,
                       "its header of %" PRIu64 " bytes ends beyond it (truncated?)", length);
    if (length > TENSOR_PEEK_MAX)
        return FAIL_AT(h, a->offset + LENGTH_AT, "its header has %" PRIu64 " bytes (at most %u)",
                       length, TENSOR_PEEK_MAX);
    h->length = (size_t)length;
    h->offset = a->offset + LENGTH_AT + width;
    h->text = tensor_peek(h->r, h->offset, h->length);
    return h->text ? 0 : -1;
}

/* In both orders the same bytes, if at most one dimension counts. */
static bool is_transposed(const struct header *h)
{
    unsigned wide = 0;
    for (uint32_t i = 0; i < h->rank; i++) {
        if (h->shape[i] == 0)
            return false;
        wide += h->shape[i] > 1;
    }
    return h->fortran && wide > 1;
}

/* The bytes behind the header must be the array's: a file of several is no .npy to numpy.load. */
static int check_size(const struct header *h, uint64_t left, uint64_t need)
{
    if (need == left || need == UINT64_MAX) /* too large: the core tells */
        return 0;
    uint64_t data = h->offset + h->length;
    if (need > left)
        return FAIL_AT(h, data, "type and shape need %" PRIu64 " bytes, it has %" PRIu64, need,
                       left);
    if (!h->r->lenient)
        return FAIL_AT(h, data + need, "%" PRIu64 " bytes follow its data", left - need);
    WARN(h, "%" PRIu64 " bytes follow its data", left - need);
    return 0;
}

int npy_read(struct tensor_reader *r, const struct npy_array *array, bool loud,
             struct npy_layout *out)
{
    struct header h = {.r = r, .array = array, .loud = loud};
    if (find_text(&h) < 0)
        return -1;
    if (read_dictionary(&h) < 0)
        return h.left_out ? 0 : -1;
    if (h.python2)
        WARN(&h, "%s", "its shape is written as by Python 2");
    *out = (struct npy_layout){.dtype = h.dtype,
                               .rank = h.rank,
                               .data = h.offset + h.length,
                               .nbytes = type_row(h.dtype)->bytes,
                               .turned = h.turned,
                               .transposed = is_transposed(&h)};
    memcpy(out->shape, h.shape, sizeof out->shape);
    for (uint32_t i = 0; i < h.rank; i++)
        out->nbytes = multiply_capped(out->nbytes, h.shape[i]);
    return check_size(&h, array->offset + array->size - out->data, out->nbytes) < 0 ? -1 : 1;
}

int npy_add(struct tensor_reader *r, const struct npy_array *array)
{
    struct npy_layout l;
    int found = npy_read(r, array, true, &l);
    if (found <= 0)
        return found;
    struct tensor_entry entry = {.name = array->name,
                                 .name_length = array->name_length,
                                 .dtype = l.dtype,
                                 .rank = l.rank,
                                 .shape = l.shape,
                                 .offset = l.data,
                                 .nbytes = l.nbytes};
    return tensor_add(r, &entry) < 0 ? -1 : 1;
}
