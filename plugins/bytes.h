/* SPDX-License-Identifier: MIT */
/* What the format plugins share: numbers in bytes of either order, filling, and facts of types. */
#ifndef TENSORUTILS_PLUGIN_BYTES_H
#define TENSORUTILS_PLUGIN_BYTES_H

#include <string.h>

#include "tensorutils/format.h"

/* The length of a name as "%.*s" takes it; messages need no more of a hostile name. */
#define SHOWN(length) ((int)((length) < 256 ? (length) : 256))

static inline bool equals(const void *bytes, size_t length, const char *literal)
{
    return length == strlen(literal) && memcmp(bytes, literal, length) == 0;
}

static inline uint64_t get_number(const uint8_t *bytes, unsigned width, bool big_endian)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value = value << 8 | bytes[big_endian ? i : width - 1 - i];
    return value;
}

static inline uint64_t get_le(const uint8_t *bytes, unsigned width)
{
    return get_number(bytes, width, false);
}

static inline void put_le(uint8_t *bytes, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++, value >>= 8)
        bytes[i] = (uint8_t)value;
}

static inline int emit_le(struct tensor_writer *w, uint64_t value, unsigned width)
{
    uint8_t bytes[8];
    put_le(bytes, value, width);
    return tensor_emit(w, bytes, width);
}

static inline int emit_fill(struct tensor_writer *w, uint8_t byte, uint64_t count)
{
    uint8_t bytes[4096];
    memset(bytes, byte, sizeof bytes);
    while (count) {
        size_t n = count < sizeof bytes ? (size_t)count : sizeof bytes;
        if (tensor_emit(w, bytes, n) < 0)
            return -1;
        count -= n;
    }
    return 0;
}

/* The next multiple of a power of two.  Places in files are below 2^63, so nothing wraps. */
static inline uint64_t round_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/* a * b, or UINT64_MAX where that is too large; the core refuses what is. */
static inline uint64_t multiply_capped(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* A row of the table of element types. */
struct type_row {
    const char *name;
    uint32_t dtype;
    uint32_t elements, bytes, head;
    uint32_t flags; /* TENSOR_DTYPE_* */
    enum tensor_kind kind;
    int32_t ggml;
};

static inline const struct type_row *type_rows(size_t *count)
{
    static const struct type_row rows[] = {
#define TYPE_ROW(ID, name, code, elements, bytes, head, kind, flags, ggml)                         \
    {#ID, TENSOR_##ID, elements, bytes, head, flags, TENSOR_KIND_##kind, ggml},
        TENSOR_DTYPES(TYPE_ROW)
#undef TYPE_ROW
    };
    *count = sizeof rows / sizeof *rows;
    return rows;
}

static inline const struct type_row *type_row(uint32_t dtype)
{
    size_t count;
    const struct type_row *rows = type_rows(&count);
    for (size_t i = 0; i < count; i++)
        if (rows[i].dtype == dtype)
            return &rows[i];
    return NULL;
}

/* Why a format cannot store a type, as its refuse says it. */
static inline const char *lacks_type(uint32_t dtype)
{
    switch (dtype) {
#define LACKS_TYPE(ID, name, code, ...)                                                            \
    case TENSOR_##ID:                                                                              \
        return "has no type " #ID;
        TENSOR_DTYPES(LACKS_TYPE)
#undef LACKS_TYPE
    }
    return "has no such type";
}

#endif
