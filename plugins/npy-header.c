/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "npy-header.h"

#include <inttypes.h>
#include <string.h>

#include "bytes.h"

static const struct {
    char name[4];
    uint8_t dtype;
} types[] = {
    {"f8", TENSOR_F64}, {"f4", TENSOR_F32}, {"f2", TENSOR_F16}, {"i8", TENSOR_I64},
    {"i4", TENSOR_I32}, {"i2", TENSOR_I16}, {"i1", TENSOR_I8},  {"u8", TENSOR_U64},
    {"u4", TENSOR_U32}, {"u2", TENSOR_U16}, {"u1", TENSOR_U8},  {"b1", TENSOR_BOOL},
    {"c8", TENSOR_C64},
};
enum { TYPES = sizeof types / sizeof *types };

const char *npy_type_name(uint32_t dtype)
{
    static const char *const names[TENSOR_DTYPE_LIMIT] = {
        [TENSOR_F64] = "<f8", [TENSOR_F32] = "<f4", [TENSOR_F16] = "<f2", [TENSOR_I64] = "<i8",
        [TENSOR_I32] = "<i4", [TENSOR_I16] = "<i2", [TENSOR_I8] = "|i1",  [TENSOR_U64] = "<u8",
        [TENSOR_U32] = "<u4", [TENSOR_U16] = "<u2", [TENSOR_U8] = "|u1",  [TENSOR_BOOL] = "|b1",
        [TENSOR_C64] = "<c8"};
    return dtype < TENSOR_DTYPE_LIMIT ? names[dtype] : NULL;
}

/* The text of the header, a Python dictionary. */
struct text {
    struct tensor_reader *r;
    uint64_t offset; /* of the text in the file */
    const char *begin, *at, *end;
};

static int bad(const struct text *t, const char *what)
{
    return tensor_fail(t->r, t->offset + (uint64_t)(t->at - t->begin), "the numpy header: %s",
                       what);
}

static void skip_blanks(struct text *t)
{
    while (t->at < t->end && strchr(" \t\n", *t->at) && *t->at)
        t->at++;
}

/* Takes a character that has to come next. */
static bool take(struct text *t, char c)
{
    skip_blanks(t);
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static bool take_word(struct text *t, const char *word)
{
    size_t length = strlen(word);
    skip_blanks(t);
    if ((size_t)(t->end - t->at) < length || memcmp(t->at, word, length) != 0)
        return false;
    t->at += length;
    return true;
}

/* A string without escapes, which numpy needs none of. */
static bool take_string(struct text *t, const char **string, size_t *length)
{
    skip_blanks(t);
    if (t->at == t->end || (*t->at != '\'' && *t->at != '"'))
        return false;
    char quote = *t->at++;
    *string = t->at;
    while (t->at < t->end && *t->at != quote && *t->at != '\\')
        t->at++;
    *length = (size_t)(t->at - *string);
    return t->at < t->end && *t->at++ == quote;
}

static int read_type(struct text *t, struct npy_header *h)
{
    const char *name;
    size_t length;
    if (!take_string(t, &name, &length))
        return bad(t, "its descr is no plain type");
    if (length == 3 && memchr("<>=|", name[0], 4))
        for (size_t i = 0; i < TYPES; i++)
            if (memcmp(types[i].name, name + 1, 2) == 0)
                h->dtype = types[i].dtype;
    bool single = length == 3 && name[2] == '1';
    if (h->dtype && name[0] == '>' && !single)
        return bad(t, "big-endian numbers are not supported");
    if (!h->dtype && t->r->lenient && length == 3 && memcmp(name + 1, "V2", 2) == 0) {
        tensor_warn(t->r, "elements of two raw bytes are taken for BF16");
        h->dtype = TENSOR_BF16;
    }
    if (h->dtype)
        return 0;
    return tensor_fail(t->r, t->offset, "numpy type '%.*s' is not supported%s", SHOWN(length), name,
                       length > 1 && name[1] == 'O' ? " (it holds pickles)" : "");
}

static int read_number(struct text *t, uint64_t *out)
{
    skip_blanks(t);
    const char *begin = t->at;
    for (*out = 0; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*t->at - '0'), out))
            return bad(t, "a dimension is too large");
    return t->at > begin ? 0 : bad(t, "its shape holds what is no natural number");
}

static int read_shape(struct text *t, struct npy_header *h)
{
    if (!take(t, '('))
        return bad(t, "its shape is no tuple");
    while (!take(t, ')')) {
        if (h->rank == TENSOR_MAX_RANK)
            return bad(t, "it has more than 16 dimensions");
        if (read_number(t, &h->shape[h->rank++]) < 0)
            return -1;
        if (!take(t, ',') && (h->rank == 1 || t->at == t->end || *t->at != ')'))
            return bad(t, "its shape is no tuple");
    }
    return 0;
}

enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };

static int read_entry(struct text *t, struct npy_header *h, unsigned *seen, bool *fortran)
{
    const char *key;
    size_t length;
    if (!take_string(t, &key, &length) || !take(t, ':'))
        return bad(t, "it is no dictionary");
    unsigned which = equals(key, length, "descr")           ? DESCR
                     : equals(key, length, "fortran_order") ? ORDER
                     : equals(key, length, "shape")         ? SHAPE
                                                            : 0;
    if (!which || *seen & which)
        return bad(t, "a key that is unknown or comes twice");
    *seen |= which;
    if (which == DESCR)
        return read_type(t, h);
    if (which == SHAPE)
        return read_shape(t, h);
    *fortran = take_word(t, "True");
    return *fortran || take_word(t, "False") ? 0
                                             : bad(t, "fortran_order is neither True nor False");
}

static int read_dictionary(struct text *t, struct npy_header *h)
{
    unsigned seen = 0, wide = 0;
    bool fortran = false;
    if (!take(t, '{'))
        return bad(t, "it is no dictionary");
    while (!take(t, '}')) {
        if (read_entry(t, h, &seen, &fortran) < 0)
            return -1;
        if (!take(t, ',') && (t->at == t->end || *t->at != '}'))
            return bad(t, "it is no dictionary");
    }
    skip_blanks(t);
    if (t->at != t->end || seen != ALL)
        return bad(t, seen == ALL ? "it goes on behind its dictionary" : "a key is missing");
    for (uint32_t i = 0; i < h->rank; i++)
        wide += h->shape[i] != 1;
    if (fortran && wide > 1)
        return bad(t, "the array is in Fortran order (save it with numpy.ascontiguousarray)");
    return 0;
}

int npy_read_header(struct tensor_reader *r, uint64_t at, uint64_t end, struct npy_header *out)
{
    static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    *out = (struct npy_header){0};
    if (end < at || end - at < 12)
        return tensor_fail(r, at, "an array of numpy has at least 12 bytes");
    const uint8_t *bytes = tensor_peek(r, at, 12);
    if (!bytes)
        return -1;
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return tensor_fail(r, at, "no array of numpy");
    unsigned major = bytes[6], width = major == 1 ? 2 : 4;
    if (major < 1 || major > 3 || bytes[7] != 0)
        return tensor_fail(r, at + 6, "numpy format %d.%d is not known (1.0 to 3.0 are)", major,
                           bytes[7]);
    uint64_t length = get_le(bytes + 8, width);
    if (length > end - at - 8 - width)
        return tensor_fail(r, at + 8, "the header's %" PRIu64 " bytes end beyond the array",
                           length);
    if (length > TENSOR_PEEK_MAX)
        return tensor_fail(r, at + 8, "the header has %" PRIu64 " bytes (at most %d)", length,
                           TENSOR_PEEK_MAX);
    struct text t = {.r = r, .offset = at + 8 + width};
    t.begin = t.at = tensor_peek(r, t.offset, (size_t)length);
    if (!t.begin)
        return -1;
    t.end = t.begin + length;
    out->length = 8 + width + length;
    return read_dictionary(&t, out);
}
