/* SPDX-License-Identifier: MIT */
/* What tests of views share: leaves of random bytes, and what a view of them has to be. */
#ifndef TU_TEST_VIEWS_H
#define TU_TEST_VIEWS_H

#include "map/view.h"

#include <unistd.h>

#include "base/file.h"
#include "base/source.h"

#include "../tap.h"

enum { DATA_MAX = 1 << 20 };

/* A file of random bytes that leaves lie in, in up to three pieces each. */
static struct {
    struct tu_model model;
    struct tu_arena arena;
    struct tu_view_maker maker;
    struct tu_error error;
    uint64_t state;
} place;

static inline void begin(void)
{
    place.state = 12345;
    place.maker = (struct tu_view_maker){&place.arena, tu_kernels_choose(NULL)};
    int fd = tu_temporary(&place.error);
    if (fd < 0 || tu_source_open(&place.model.source, fd, "data", &place.error) < 0)
        abort();
}

static inline void end(void)
{
    tu_source_close(&place.model.source);
    tu_arena_free(&place.arena);
}

static inline void *take(size_t size)
{
    void *p = tu_arena_alloc(&place.arena, size);
    if (!p)
        abort();
    return p;
}

/* Elements in bytes: a leaf, or what a view of it has to be. */
struct plain {
    uint8_t *bytes;
    uint64_t shape[TENSOR_MAX_RANK], count;
    uint32_t rank;
    size_t size;
};

static inline struct plain plain(const uint64_t *shape, uint32_t rank, size_t size)
{
    struct plain p = {.rank = rank, .size = size, .count = 1};
    for (uint32_t i = 0; i < rank; i++)
        p.count *= p.shape[i] = shape[i];
    p.bytes = take(p.count * size + 1);
    return p;
}
#define SHAPE(...) (uint64_t[]){__VA_ARGS__}, sizeof(uint64_t[]){__VA_ARGS__} / sizeof(uint64_t)

static inline void put(struct plain *to, uint64_t at, const struct plain *from, uint64_t index)
{
    memcpy(to->bytes + at * to->size, from->bytes + index * from->size, to->size);
}

/* A tensor of these bytes, which is not at the start of the file and lies in three pieces. */
static inline const struct tu_view *leaf_of(const uint8_t *bytes, uint64_t nbytes,
                                            enum tensor_dtype dtype, enum tensor_packing packing,
                                            const uint64_t *shape, uint32_t rank)
{
    struct tu_source *s = &place.model.source;
    struct tu_extent *extents = take(3 * sizeof *extents);
    uint64_t done = 0, *copy = take((rank + 1) * sizeof *copy);
    for (int i = 0; i < 3; i++) {
        uint64_t n = i == 2 ? nbytes - done : nbytes / 3;
        extents[i] = (struct tu_extent){s->size + 5, n};
        if (pwrite(s->fd, bytes + done, n, (off_t)extents[i].offset) != (ssize_t)n)
            abort();
        s->size = extents[i].offset + n;
        done += n;
    }
    if (rank)
        memcpy(copy, shape, rank * sizeof *copy);
    struct tu_tensor *t = take(sizeof *t);
    *t = (struct tu_tensor){.name = "leaf",
                            .name_length = 4,
                            .dtype = dtype,
                            .packing = packing,
                            .rank = rank,
                            .shape = copy,
                            .nbytes = nbytes,
                            .extents = extents,
                            .extent_count = 3};
    const struct tu_view *v =
        tu_view_leaf(&place.maker, (struct tu_member){&place.model, t}, &place.error);
    if (!v) {
        tap_fail(__FILE__, __LINE__, "no leaf: %s", place.error.text);
        abort();
    }
    t->elements = v->tensor.elements;
    return v;
}

static inline void fill(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(tap_random(&place.state) >> 32);
}

static inline const struct tu_view *leaf(struct plain *p, enum tensor_dtype dtype)
{
    fill(p->bytes, p->count * p->size);
    return leaf_of(p->bytes, p->count * p->size, dtype, TENSOR_PACKING_ROWS, p->shape, p->rank);
}

static inline bool reads(const struct tu_view *v, const uint8_t *want, uint64_t offset, size_t n)
{
    uint8_t *got = malloc(n + 1);
    got[n] = 0xa5;
    bool same = tu_view_read(v, offset, got, n, &place.error) == 0 &&
                memcmp(got, want + offset, n) == 0 && got[n] == 0xa5;
    free(got);
    return same ||
           tap_fail(__FILE__, __LINE__, "%zu bytes at %ju are others", n, (uintmax_t)offset);
}

static inline bool reads_area(const struct tu_view *v, const struct plain *want, struct tu_area a)
{
    uint64_t columns = want->rank ? want->shape[want->rank - 1] : 1;
    size_t row = a.columns * want->size;
    uint8_t *got = malloc(a.rows * row + 1);
    bool same = tu_view_read_area(v, a, got, &place.error) == 0;
    for (uint64_t r = 0; same && r < a.rows; r++)
        same = memcmp(got + r * row, want->bytes + ((a.row + r) * columns + a.column) * want->size,
                      row) == 0;
    free(got);
    return same ||
           tap_fail(__FILE__, __LINE__, "%ju rows from %ju on, %ju columns from %ju on are others",
                    (uintmax_t)a.rows, (uintmax_t)a.row, (uintmax_t)a.columns, (uintmax_t)a.column);
}

static inline bool has_shape(const struct tu_view *v, const uint64_t *shape, uint32_t rank,
                             enum tensor_dtype dtype)
{
    if (!v)
        return tap_fail(__FILE__, __LINE__, "no view: %s", place.error.text);
    bool same =
        v->tensor.rank == rank && v->tensor.dtype == dtype && v->geometry.dtype->code == dtype;
    for (uint32_t i = 0; same && i < rank; i++)
        same = v->tensor.shape[i] == shape[i];
    return same || tap_fail(__FILE__, __LINE__, "the shape or the type is another");
}

/* Every range of what is small, and some of what is not. */
static inline bool is_bytes(const struct tu_view *v, const uint8_t *want, uint64_t nbytes)
{
    if (!CHECK_UINT(v->tensor.nbytes, nbytes) || !reads(v, want, 0, nbytes))
        return false;
    if (nbytes <= 96) {
        for (uint64_t from = 0; from < nbytes; from++)
            for (uint64_t to = from + 1; to <= nbytes; to++)
                if (!reads(v, want, from, to - from))
                    return false;
        return true;
    }
    for (int i = 0; i < 200; i++) {
        uint64_t from = tap_random(&place.state) % nbytes, most = nbytes - from;
        uint64_t n = 1 + tap_random(&place.state) % (i % 2 && most > 70 ? 70 : most);
        if (!reads(v, want, from, n))
            return false;
    }
    return true;
}

static inline bool is(const struct tu_view *v, const struct plain *want, enum tensor_dtype dtype)
{
    if (!has_shape(v, want->shape, want->rank, dtype) ||
        !CHECK_UINT(v->tensor.elements, want->count) ||
        !is_bytes(v, want->bytes, want->count * want->size))
        return false;
    uint64_t columns = want->rank ? want->shape[want->rank - 1] : 1,
             rows = columns ? want->count / columns : 0;
    for (int i = 0; i < 100 && rows; i++) {
        struct tu_area a = {tap_random(&place.state) % rows, 1, tap_random(&place.state) % columns,
                            1};
        a.rows += tap_random(&place.state) % (rows - a.row);
        a.columns += tap_random(&place.state) % (columns - a.column);
        if (i % 4 == 0) {
            a.column = 0;
            a.columns = columns;
        }
        if (!reads_area(v, want, a))
            return false;
    }
    return true;
}

static const struct {
    enum tensor_dtype dtype;
    size_t size;
} types[] = {{TENSOR_I8, 1}, {TENSOR_BF16, 2}, {TENSOR_F32, 4}, {TENSOR_F64, 8}};

#define EACH_TYPE(i) for (size_t i = 0; i < sizeof types / sizeof *types; i++)

/* Makers that give nothing say why. */
#define CHECK_NONE(view, part)                                                                     \
    (place.error = (struct tu_error){0},                                                           \
     CHECK(!(view)) && (strstr(place.error.text, part) ||                                          \
                        tap_fail(__FILE__, __LINE__, "it says '%s'", place.error.text)))

/* Joined or stacked. */
#define JOIN(stacked, ...)                                                                         \
    tu_view_join(&place.maker, (const struct tu_view *[]){__VA_ARGS__},                            \
                 sizeof((const struct tu_view *[]){__VA_ARGS__}) / sizeof(void *), stacked,        \
                 &place.error)

/* Q8_0: a block is 32 elements in 34 bytes, a half and 32 codes.  The half is 1 here, so that codes
 * are values. */
static inline const struct tu_view *codes(int8_t *values, enum tensor_packing packing,
                                          const uint64_t *shape, uint32_t rank, size_t row,
                                          size_t rows)
{
    size_t blocks = (row + 31) / 32, n = 0;
    uint8_t *bytes = take(rows * blocks * 34);
    memset(bytes, 0, rows * blocks * 34);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < row; c++, n++) {
            uint8_t *block = bytes + (r * blocks + c / 32) * 34;
            values[n] = (int8_t)(tap_random(&place.state) >> 40);
            block[1] = 0x3c;
            block[2 + c % 32] = (uint8_t)values[n];
        }
    return leaf_of(bytes, rows * blocks * 34, TENSOR_Q8_0, packing, shape, rank);
}

#endif
