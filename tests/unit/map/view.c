/* SPDX-License-Identifier: MIT */
/* Views: each against a plain loop over elements, read in every range and every area. */
#include "config.h"

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

static void begin(void)
{
    place.state = 12345;
    place.maker = (struct tu_view_maker){&place.arena, tu_kernels_choose(NULL)};
    int fd = tu_temporary(&place.error);
    if (fd < 0 || tu_source_open(&place.model.source, fd, "data", &place.error) < 0)
        abort();
}

static void end(void)
{
    tu_source_close(&place.model.source);
    tu_arena_free(&place.arena);
}

static void *take(size_t size)
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

static struct plain plain(const uint64_t *shape, uint32_t rank, size_t size)
{
    struct plain p = {.rank = rank, .size = size, .count = 1};
    for (uint32_t i = 0; i < rank; i++)
        p.count *= p.shape[i] = shape[i];
    p.bytes = take(p.count * size + 1);
    return p;
}
#define SHAPE(...) (uint64_t[]){__VA_ARGS__}, sizeof(uint64_t[]){__VA_ARGS__} / sizeof(uint64_t)

static void put(struct plain *to, uint64_t at, const struct plain *from, uint64_t index)
{
    memcpy(to->bytes + at * to->size, from->bytes + index * from->size, to->size);
}

/* A tensor of these bytes, which is not at the start of the file and lies in three pieces. */
static const struct tu_view *leaf_of(const uint8_t *bytes, uint64_t nbytes, enum tensor_dtype dtype,
                                     enum tensor_packing packing, const uint64_t *shape,
                                     uint32_t rank)
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

static void fill(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(tap_random(&place.state) >> 32);
}

static const struct tu_view *leaf(struct plain *p, enum tensor_dtype dtype)
{
    fill(p->bytes, p->count * p->size);
    return leaf_of(p->bytes, p->count * p->size, dtype, TENSOR_PACKING_ROWS, p->shape, p->rank);
}

static bool reads(const struct tu_view *v, const uint8_t *want, uint64_t offset, size_t n)
{
    uint8_t *got = malloc(n + 1);
    got[n] = 0xa5;
    bool same = tu_view_read(v, offset, got, n, &place.error) == 0 &&
                memcmp(got, want + offset, n) == 0 && got[n] == 0xa5;
    free(got);
    return same ||
           tap_fail(__FILE__, __LINE__, "%zu bytes at %ju are others", n, (uintmax_t)offset);
}

static bool reads_area(const struct tu_view *v, const struct plain *want, struct tu_area a)
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

static bool has_shape(const struct tu_view *v, const uint64_t *shape, uint32_t rank,
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
static bool is_bytes(const struct tu_view *v, const uint8_t *want, uint64_t nbytes)
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

static bool is(const struct tu_view *v, const struct plain *want, enum tensor_dtype dtype)
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

/* ---- Rows in another order ---- */

/* Row at of a head's pairs is row (at odd ? half : 0) + at / 2 of its halves. */
static struct plain turned(const struct plain *from, uint64_t heads, bool undo)
{
    struct plain to = plain(from->shape, from->rank, from->size);
    uint64_t size = from->shape[0] / heads, row = from->count / from->shape[0];
    for (uint64_t h = 0; h < heads; h++)
        for (uint64_t pair = 0; pair < size / 2; pair++)
            for (uint64_t odd = 0; odd < 2; odd++)
                for (uint64_t c = 0; c < row; c++) {
                    uint64_t paired = (h * size + 2 * pair + odd) * row + c;
                    uint64_t halved = (h * size + odd * size / 2 + pair) * row + c;
                    put(&to, undo ? halved : paired, from, undo ? paired : halved);
                }
    return to;
}

TEST(rope_puts_the_halves_of_a_head_in_pairs)
{
    static const struct {
        uint64_t heads, size, columns;
    } cases[] = {{1, 2, 3},   {1, 8, 1},   {3, 6, 2},   {2, 4, 300}, {1, 600, 2},
                 {2, 512, 1}, {2, 514, 1}, {1, 4, 511}, {1, 4, 512}, {1, 4, 513}};
    begin();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        EACH_TYPE(i)
        {
            struct plain p =
                plain(SHAPE(cases[c].heads * cases[c].size, cases[c].columns), types[i].size);
            const struct tu_view *of = leaf(&p, types[i].dtype);
            for (int undo = 0; undo < 2; undo++) {
                struct plain want = turned(&p, cases[c].heads, undo);
                const struct tu_view *v =
                    tu_view_rope(&place.maker, of, cases[c].heads, undo, &place.error);
                if (!is(v, &want, types[i].dtype))
                    return;
                CHECK(tu_view_rope(&place.maker, v, cases[c].heads, !undo, &place.error) == of);
                /* the same way again is no way back */
                struct plain twice = turned(&want, cases[c].heads, undo);
                is(tu_view_rope(&place.maker, v, cases[c].heads, undo, &place.error), &twice,
                   types[i].dtype);
                CHECK(!v->transposed && v->kind == TU_VIEW_ROPE);
            }
        }
    /* nor are other heads */
    struct plain p = plain(SHAPE(8, 3), 4);
    const struct tu_view *of = leaf(&p, TENSOR_F32),
                         *v = tu_view_rope(&place.maker, of, 2, false, &place.error);
    struct plain once = turned(&p, 2, false), want = turned(&once, 1, true);
    is(tu_view_rope(&place.maker, v, 1, true, &place.error), &want, TENSOR_F32);
    end();
}

TEST(rope_needs_heads_of_pairs)
{
    begin();
    struct plain p = plain(SHAPE(12, 2), 4), empty = plain(SHAPE(0, 2), 4);
    const struct tu_view *of = leaf(&p, TENSOR_F32);
    static const uint64_t bad[] = {0, 5, 4, 12, 24};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        place.error = (struct tu_error){0};
        CHECK(!tu_view_rope(&place.maker, of, bad[i], false, &place.error));
        CHECK(strstr(place.error.text, "12 rows are no") &&
              strstr(place.error.text, "heads of pairs"));
    }
    CHECK(tu_view_rope(&place.maker, of, 6, false, &place.error));
    is(tu_view_rope(&place.maker, leaf(&empty, TENSOR_F32), 2, false, &place.error), &empty,
       TENSOR_F32);
    end();
}

TEST(rows_items_and_columns)
{
    begin();
    EACH_TYPE(i)
    {
        struct plain p = plain(SHAPE(5, 3, 4), types[i].size);
        const struct tu_view *of = leaf(&p, types[i].dtype);
        for (uint64_t first = 0; first <= 5; first++)
            for (uint64_t last = first; last <= 5; last++) {
                struct plain rows = plain(SHAPE(last - first, 3, 4), types[i].size);
                memcpy(rows.bytes, p.bytes + first * 12 * p.size, rows.count * p.size);
                const struct tu_view *v = tu_view_rows(&place.maker, of, first, last, &place.error);
                is(v, &rows, types[i].dtype);
                CHECK((v == of) == (first == 0 && last == 5));
            }
        for (uint64_t index = 0; index < 5; index++) {
            struct plain item = plain(SHAPE(3, 4), types[i].size);
            memcpy(item.bytes, p.bytes + index * 12 * p.size, item.count * p.size);
            is(tu_view_item(&place.maker, of, index, &place.error), &item, types[i].dtype);
        }
        for (uint64_t first = 0; first < 4; first++)
            for (uint64_t last = first + 1; last <= 4; last++) {
                struct plain columns = plain(SHAPE(5, 3, last - first), types[i].size);
                for (uint64_t r = 0; r < 15; r++)
                    for (uint64_t c = first; c < last; c++)
                        put(&columns, r * (last - first) + c - first, &p, r * 4 + c);
                is(tu_view_columns(&place.maker, of, first, last, &place.error), &columns,
                   types[i].dtype);
            }
    }
    end();
}

/* Makers that give nothing say why. */
#define CHECK_NONE(view, part)                                                                     \
    (place.error = (struct tu_error){0},                                                           \
     CHECK(!(view)) && (strstr(place.error.text, part) ||                                          \
                        tap_fail(__FILE__, __LINE__, "it says '%s'", place.error.text)))

TEST(what_a_tensor_does_not_have)
{
    begin();
    const struct tu_view_maker *m = &place.maker;
    struct tu_error *e = &place.error;
    struct plain p = plain(SHAPE(4, 256), 4), one = plain(SHAPE(1), 4), scalar = plain(NULL, 0, 4);
    const struct tu_view *of = leaf(&p, TENSOR_F32), *s = leaf(&scalar, TENSOR_F32),
                         *single = leaf(&one, TENSOR_F32);
    CHECK_NONE(tu_view_rows(m, of, 1, 900, e), "it has no rows 1 to 900");
    CHECK_NONE(tu_view_rows(m, of, 0, 5, e), "it has no rows 0 to 5");
    CHECK_NONE(tu_view_rows(m, of, 3, 2, e), "it has no rows 3 to 2");
    CHECK_NONE(tu_view_rows(m, s, 0, 1, e), "it has no rows 0 to 1");
    CHECK_NONE(tu_view_columns(m, of, 1, 900, e), "it has no columns 1 to 900");
    CHECK_NONE(tu_view_columns(m, of, 0, 257, e), "it has no columns 0 to 257");
    CHECK_NONE(tu_view_columns(m, of, 3, 2, e), "it has no columns 3 to 2");
    CHECK_NONE(tu_view_columns(m, s, 0, 1, e), "it has no columns 0 to 1");
    CHECK_NONE(tu_view_item(m, of, 4, e), "it has no number 4 to unstack");
    CHECK_NONE(tu_view_item(m, s, 0, e), "it has no number 0 to unstack");
    CHECK_NONE(tu_view_reshape(m, of, SHAPE(4, 255), e),
               "a shape of 1020 elements is not one of 1024");
    CHECK_NONE(tu_view_permute(m, of, SHAPE(1, 0, 2), false, e), "it has 2 dimensions, not 3");
    CHECK_NONE(tu_view_permute(m, single, SHAPE(0), false, e), "it has 1 dimensions, not 1");
    CHECK_NONE(tu_view_order(m, of, SHAPE(0, 1, 2), e), "4 rows are no 3 equal shares");
    CHECK_NONE(tu_view_order(m, of, NULL, 0, e), "4 rows are no 0 equal shares");
    CHECK_NONE(tu_view_order(m, s, SHAPE(0), e), "1 rows are no 1 equal shares");
    CHECK_NONE(tu_view_type(m, of, TENSOR_F16, e), "the bytes of F32 are none of F16");
    CHECK_NONE(tu_view_type(m, of, TENSOR_Q8_0, e), "the bytes of F32 are none of Q8_0");
    CHECK_NONE(tu_view_type(m, of, (enum tensor_dtype)9999, e),
               "the bytes of F32 are none of that type");
    /* the last ones that there are */
    CHECK(tu_view_rows(m, of, 4, 4, e) && tu_view_columns(m, of, 256, 256, e) &&
          tu_view_item(m, of, 3, e));
    CHECK(tu_view_transpose(m, single, e) == single);
    is(tu_view_reshape(m, s, SHAPE(1), e), &(struct plain){scalar.bytes, {1}, 1, 1, 4}, TENSOR_F32);
    is(tu_view_reshape(m, single, NULL, 0, e), &(struct plain){one.bytes, {0}, 1, 0, 4},
       TENSOR_F32);
    end();
}

TEST(axes_permuted_and_back)
{
    static const uint64_t orders[][4] = {{1, 0, 2, 3}, {2, 0, 1, 3}, {1, 2, 0, 3},
                                         {2, 1, 0, 3}, {0, 2, 1, 3}, {0, 1, 2, 3}};
    begin();
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++)
        EACH_TYPE(i)
        {
            const uint64_t *axes = orders[o];
            struct plain p = plain(SHAPE(2, 3, 4, 5), types[i].size);
            const struct tu_view *of = leaf(&p, types[i].dtype);
            struct plain want = plain(
                SHAPE(p.shape[axes[0]], p.shape[axes[1]], p.shape[axes[2]], 5), types[i].size);
            uint64_t at[4];
            for (uint64_t n = 0; n < p.count; n++) {
                uint64_t left = n, from[4];
                for (int a = 3; a >= 0; left /= want.shape[a--])
                    at[a] = left % want.shape[a];
                for (int a = 0; a < 4; a++)
                    from[axes[a]] = at[a];
                put(&want, n, &p, ((from[0] * 3 + from[1]) * 4 + from[2]) * 5 + from[3]);
            }
            const struct tu_view *v =
                tu_view_permute(&place.maker, of, axes, 4, false, &place.error);
            if (!is(v, &want, types[i].dtype))
                return;
            is(tu_view_permute(&place.maker, v, axes, 4, true, &place.error), &p, types[i].dtype);
        }
    end();
}

TEST(shares_in_another_order)
{
    begin();
    struct plain p = plain(SHAPE(6, 2), 4), want = plain(SHAPE(6, 2), 4);
    const struct tu_view *of = leaf(&p, TENSOR_F32);
    static const uint64_t order[] = {2, 0, 1};
    for (uint64_t share = 0; share < 3; share++)
        memcpy(want.bytes + share * 16, p.bytes + order[share] * 16, 16);
    is(tu_view_order(&place.maker, of, order, 3, &place.error), &want, TENSOR_F32);
    CHECK(tu_view_order(&place.maker, of, SHAPE(0, 1, 2), &place.error) == of);
    end();
}

/* ---- Transposes ---- */

static struct plain transposed(const struct plain *from)
{
    struct plain to = plain(from->shape, from->rank, from->size);
    uint64_t rows = from->shape[from->rank - 2], columns = from->shape[from->rank - 1];
    to.shape[from->rank - 2] = columns;
    to.shape[from->rank - 1] = rows;
    for (uint64_t n = 0; n < from->count; n++)
        put(&to, n / (rows * columns) * rows * columns + n % columns * rows + n / columns % rows,
            from, n);
    return to;
}

TEST(transposes)
{
    static const uint64_t shapes[][3] = {{1, 2, 3},   {3, 4, 5}, {2, 33, 31},
                                         {1, 65, 96}, {2, 1, 7}, {1, 70, 1}};
    begin();
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        EACH_TYPE(i)
        {
            struct plain p = plain(shapes[s], 3, types[i].size), want = transposed(&p);
            const struct tu_view *of = leaf(&p, types[i].dtype);
            want = transposed(&p);
            const struct tu_view *v = tu_view_transpose(&place.maker, of, &place.error);
            if (!is(v, &want, types[i].dtype))
                return;
            CHECK(v->transposed && tu_view_transpose(&place.maker, v, &place.error) == of);
            /* what is made of one knows that it is */
            struct plain rows = plain(SHAPE(1, want.shape[1], want.shape[2]), p.size);
            memcpy(rows.bytes, want.bytes + (want.shape[0] - 1) * rows.count * p.size,
                   rows.count * p.size);
            const struct tu_view *last =
                tu_view_rows(&place.maker, v, want.shape[0] - 1, want.shape[0], &place.error);
            is(last, &rows, types[i].dtype);
            CHECK(last->transposed);
        }
    end();
}

/* Strips of the source are at most 128 KiB, or 32 of its rows. */
TEST(transposes_of_more_than_a_strip)
{
    begin();
    static const uint64_t shapes[][2] = {{5000, 40}, {40, 5000}, {2100, 70}};
    for (size_t s = 0; s < 3; s++) {
        struct plain p = plain(shapes[s], 2, 4);
        const struct tu_view *of = leaf(&p, TENSOR_F32),
                             *v = tu_view_transpose(&place.maker, of, &place.error);
        struct plain want = transposed(&p);
        is(v, &want, TENSOR_F32);
    }
    end();
}

/* ---- Numbers ---- */

TEST(numbers_are_multiplied_and_added_to)
{
    begin();
    struct plain p = plain(SHAPE(3, 5), 2), want = plain(SHAPE(3, 5), 4);
    const struct tu_view_maker *m = &place.maker;
    const struct tu_view *of = leaf(&p, TENSOR_BF16);
    float *values = (void *)want.bytes, from[15];
    for (int i = 0; i < 15; i++) {
        uint32_t bits = (uint32_t)(p.bytes[2 * i] | (p.bytes[2 * i + 1] & 0x3f) << 8)
                        << 16; /* no NaN, not infinite */
        memcpy(&from[i], &bits, 4);
        p.bytes[2 * i + 1] &= 0x3f;
    }
    of = leaf_of(p.bytes, 30, TENSOR_BF16, TENSOR_PACKING_ROWS, p.shape, 2);
    for (int i = 0; i < 15; i++)
        values[i] = from[i] + 1;
    const struct tu_view *added = tu_view_add(m, of, 1, &place.error);
    is(added, &want, TENSOR_F32);
    CHECK(tu_view_add(m, added, -1, &place.error) == of);
    for (int i = 0; i < 15; i++)
        values[i] = from[i] + 1 + 1;
    is(tu_view_add(m, added, 1, &place.error), &want, TENSOR_F32);
    for (int i = 0; i < 15; i++)
        values[i] = from[i] * -3;
    const struct tu_view *scaled = tu_view_scale(m, of, -3, &place.error);
    is(scaled, &want, TENSOR_F32);
    /* what was multiplied does not lose its factor by an addend that is undone */
    is(tu_view_add(m, scaled, -0.0f, &place.error), &want, TENSOR_F32);
    for (int i = 0; i < 15; i++)
        values[i] = from[i];
    is(tu_view_scale(m, of, 1, &place.error), &want, TENSOR_F32);
    CHECK(tu_view_plain(m, of, &place.error) == of);
    end();
}

TEST(bytes_of_another_type_and_order)
{
    begin();
    const struct tu_view_maker *m = &place.maker;
    struct plain p = plain(SHAPE(3, 5), 4), want = plain(SHAPE(3, 5), 4);
    const struct tu_view *of = leaf(&p, TENSOR_F32);
    is(tu_view_type(m, of, TENSOR_I32, &place.error), &p, TENSOR_I32);
    for (int i = 0; i < 60; i++)
        want.bytes[i] = p.bytes[i / 4 * 4 + 3 - i % 4];
    is(tu_view_swapped(m, of, &place.error), &want, TENSOR_F32);
    uint8_t blocks[4 * 34];
    fill(blocks, sizeof blocks);
    const struct tu_view *q =
        leaf_of(blocks, sizeof blocks, TENSOR_Q8_0, TENSOR_PACKING_ROWS, SHAPE(2, 64));
    CHECK_NONE(tu_view_swapped(m, q, &place.error),
               "elements of Q8_0 have no bytes of their own to swap");
    CHECK_NONE(tu_view_type(m, q, TENSOR_I8, &place.error), "the bytes of Q8_0 are none of I8");
    end();
}

/* ---- Joins ---- */

/* Joined or stacked. */
#define JOIN(stacked, ...)                                                                         \
    tu_view_join(&place.maker, (const struct tu_view *[]){__VA_ARGS__},                            \
                 sizeof((const struct tu_view *[]){__VA_ARGS__}) / sizeof(void *), stacked,        \
                 &place.error)

TEST(joined_and_stacked)
{
    begin();
    const struct tu_view_maker *m = &place.maker;
    EACH_TYPE(i)
    {
        struct plain a = plain(SHAPE(2, 3), types[i].size), b = plain(SHAPE(1, 3), types[i].size),
                     c = plain(SHAPE(3, 3), types[i].size);
        struct plain all = plain(SHAPE(6, 3), types[i].size),
                     stack = plain(SHAPE(3, 2, 3), types[i].size);
        const struct tu_view *of[] = {leaf(&a, types[i].dtype), leaf(&b, types[i].dtype),
                                      leaf(&c, types[i].dtype)};
        const struct plain *parts[] = {&a, &b, &c};
        uint8_t *to = all.bytes;
        for (int k = 0; k < 3; to += parts[k]->count * parts[k]->size, k++)
            memcpy(to, parts[k]->bytes, parts[k]->count * parts[k]->size);
        const struct tu_view *joined = JOIN(false, of[0], of[1], of[2]);
        is(joined, &all, types[i].dtype);
        CHECK(tu_view_join(m, of, 1, false, &place.error) == of[0]);
        for (int k = 0; k < 3; k++)
            memcpy(stack.bytes + k * 6 * a.size, a.bytes, 6 * a.size);
        is(JOIN(true, of[0], of[0], of[0]), &stack, types[i].dtype);
        stack.shape[0] = 1;
        stack.count = 6;
        is(JOIN(true, of[0]), &stack, types[i].dtype);
        CHECK_NONE(JOIN(true, of[0], of[1]), "cannot be joined");
        struct plain wide = plain(SHAPE(2, 4), types[i].size),
                     deep = plain(SHAPE(2, 3, 1), types[i].size),
                     scalar = plain(NULL, 0, types[i].size);
        CHECK_NONE(JOIN(false, of[0], leaf(&wide, types[i].dtype)), "cannot be joined");
        CHECK_NONE(JOIN(false, of[0], leaf(&deep, types[i].dtype)), "cannot be joined");
        const struct tu_view *s = leaf(&scalar, types[i].dtype);
        CHECK_NONE(JOIN(false, s, s), "cannot be joined");
        CHECK(JOIN(true, s, s)->tensor.shape[0] == 2);
        /* beyond its end */
        uint8_t out[2];
        place.error = (struct tu_error){0};
        CHECK_FAILS(tu_view_read(joined, joined->tensor.nbytes - 1, out, 2, &place.error),
                    place.error, "beyond the end");
    }
    end();
}

TEST(pieces_put_together_are_the_whole_again)
{
    begin();
    const struct tu_view_maker *m = &place.maker;
    struct plain p = plain(SHAPE(6, 2), 4), other = plain(SHAPE(6, 2), 4);
    const struct tu_view *of = leaf(&p, TENSOR_F32), *o = leaf(&other, TENSOR_F32);
#define ROWS(v, from, to) tu_view_rows(m, v, from, to, &place.error)
    CHECK(tu_view_join(m,
                       (const struct tu_view *[]){ROWS(of, 0, 2), ROWS(of, 2, 3), ROWS(of, 3, 6)},
                       3, false, &place.error) == of);
    /* in another order, with one twice, without the last, of two, or in another shape they are not
     */
    struct plain want = plain(SHAPE(6, 2), 4);
    memcpy(want.bytes, p.bytes + 24, 24);
    memcpy(want.bytes + 24, p.bytes, 24);
    is(JOIN(false, ROWS(of, 3, 6), ROWS(of, 0, 3)), &want, TENSOR_F32);
    memcpy(want.bytes + 24, p.bytes + 24, 24);
    is(JOIN(false, ROWS(of, 3, 6), ROWS(of, 3, 6)), &want, TENSOR_F32);
    memcpy(want.bytes, p.bytes, 24);
    memcpy(want.bytes + 24, other.bytes + 24, 24);
    is(JOIN(false, ROWS(of, 0, 3), ROWS(o, 3, 6)), &want, TENSOR_F32);
    struct plain five = plain(SHAPE(5, 2), 4);
    memcpy(five.bytes, p.bytes, 40);
    is(JOIN(false, ROWS(of, 0, 3), ROWS(of, 3, 5)), &five, TENSOR_F32);
    const struct tu_view *items[6];
    for (uint64_t i = 0; i < 6; i++)
        items[i] = tu_view_item(m, of, i, &place.error);
    CHECK(tu_view_join(m, items, 6, true, &place.error) == of);
    struct plain flat = {p.bytes, {12}, 12, 1, 4};
    is(JOIN(false, items[0], items[1], items[2], items[3], items[4], items[5]), &flat, TENSOR_F32);
    end();
}

/* ---- Blocks ---- */

/* Q8_0: a block is 32 elements in 34 bytes, a half and 32 codes.  The half is 1 here, so that codes
 * are values. */
static const struct tu_view *codes(int8_t *values, enum tensor_packing packing,
                                   const uint64_t *shape, uint32_t rank, size_t row, size_t rows)
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

/* The values of a view, whatever its type, are those of values from element first on. */
static bool has_values(const struct tu_view *v, enum tensor_dtype dtype, const uint64_t *shape,
                       uint32_t rank, const int8_t *values)
{
    if (!has_shape(v, shape, rank, dtype))
        return false;
    size_t n = v->tensor.elements;
    float *got = malloc((n + 1) * sizeof *got);
    bool same = true;
    for (size_t first = 0; first < n && same; first += 1 + n / 7) {
        same = tu_view_values(v, place.maker.kernels, first, n - first, got, &place.error) == 0;
        for (size_t i = 0; i < n - first && same; i++)
            same = got[i] == values[first + i];
    }
    free(got);
    return same || tap_fail(__FILE__, __LINE__, "values are others");
}

TEST(blocks_stay_where_they_are_whole)
{
    begin();
    const struct tu_view_maker *m = &place.maker;
    struct tu_error *e = &place.error;
    int8_t x[4 * 3 * 64], y[4 * 3 * 64];
    /* rows of two blocks */
    const struct tu_view *of = codes(x, TENSOR_PACKING_ROWS, SHAPE(4, 3, 64), 64, 12);
    has_values(tu_view_rows(m, of, 1, 3, e), TENSOR_Q8_0, SHAPE(2, 3, 64), x + 192);
    has_values(tu_view_item(m, of, 3, e), TENSOR_Q8_0, SHAPE(3, 64), x + 576);
    has_values(tu_view_item(m, tu_view_item(m, of, 1, e), 2, e), TENSOR_Q8_0, SHAPE(64), x + 320);
    has_values(tu_view_reshape(m, of, SHAPE(12, 64), e), TENSOR_Q8_0, SHAPE(12, 64), x);
    has_values(tu_view_reshape(m, of, SHAPE(12, 32, 2), e), TENSOR_F32, SHAPE(12, 32, 2), x);
    static const uint64_t halves[] = {6, 2, 64, 7, 7, 7};
    has_values(tu_view_reshape(m, of, halves, 3, e), TENSOR_Q8_0, halves, 3, x);
    has_values(tu_view_plain(m, of, e), TENSOR_F32, SHAPE(4, 3, 64), x);
    memcpy(y, x + 384, 384);
    memcpy(y + 384, x, 384);
    has_values(tu_view_order(m, of, SHAPE(1, 0), e), TENSOR_Q8_0, SHAPE(4, 3, 64), y);
    has_values(tu_view_rope(m, of, 2, false, e), TENSOR_Q8_0, SHAPE(4, 3, 64),
               x); /* heads of one pair */
    memcpy(y, x, 192);
    memcpy(y + 192, x + 384, 192);
    memcpy(y + 384, x + 192, 192);
    memcpy(y + 576, x + 576, 192);
    has_values(tu_view_rope(m, of, 1, false, e), TENSOR_Q8_0, SHAPE(4, 3, 64), y);
    CHECK(tu_view_columns(m, of, 0, 32, e)->tensor.dtype == TENSOR_F32);
    CHECK(tu_view_transpose(m, of, e)->tensor.dtype == TENSOR_F32);
    CHECK(tu_view_permute(m, of, SHAPE(1, 0, 2), false, e)->tensor.dtype == TENSOR_F32);
    /* one dimension: rows are elements */
    of = codes(x, TENSOR_PACKING_ROWS, SHAPE(64), 64, 1);
    has_values(tu_view_rows(m, of, 2, 6, e), TENSOR_F32, SHAPE(4), x + 2);
    has_values(tu_view_rows(m, of, 32, 64, e), TENSOR_F32, SHAPE(32), x + 32);
    /* rows that are no whole blocks, which are padded, or flat */
    of = codes(x, TENSOR_PACKING_ROWS, SHAPE(3, 40), 40, 3);
    has_values(tu_view_rows(m, of, 1, 3, e), TENSOR_Q8_0, SHAPE(2, 40), x + 40);
    has_values(tu_view_item(m, of, 2, e), TENSOR_Q8_0, SHAPE(40), x + 80);
    has_values(tu_view_reshape(m, of, SHAPE(1, 3, 40), e), TENSOR_F32, SHAPE(1, 3, 40), x);
    of = codes(x, TENSOR_PACKING_FLAT, SHAPE(4, 16), 64, 1);
    has_values(tu_view_rows(m, of, 2, 4, e), TENSOR_F32, SHAPE(2, 16), x + 32);
    of = codes(x, TENSOR_PACKING_ROWS, SHAPE(70), 70, 1);
    has_values(tu_view_rows(m, of, 1, 70, e), TENSOR_F32, SHAPE(69), x + 1);
    end();
}

TEST(joins_of_blocks)
{
    begin();
    const struct tu_view_maker *m = &place.maker;
    struct tu_error *e = &place.error;
    int8_t x[256], y[256];
    const struct tu_view *a = codes(x, TENSOR_PACKING_ROWS, SHAPE(2, 64), 64, 2),
                         *b = codes(x + 128, TENSOR_PACKING_ROWS, SHAPE(2, 64), 64, 2);
    has_values(JOIN(false, a, b), TENSOR_Q8_0, SHAPE(4, 64), x);
    has_values(JOIN(true, a, b), TENSOR_Q8_0, SHAPE(2, 2, 64), x);
    /* of two types they are floats */
    const struct tu_view *f = tu_view_plain(m, b, e);
    has_values(JOIN(false, a, f), TENSOR_F32, SHAPE(4, 64), x);
    has_values(JOIN(true, a, f), TENSOR_F32, SHAPE(2, 2, 64), x);
    /* elements of one dimension cannot be joined as blocks, but be stacked */
    const struct tu_view *c = codes(y, TENSOR_PACKING_ROWS, SHAPE(64), 64, 1),
                         *d = codes(y + 64, TENSOR_PACKING_ROWS, SHAPE(64), 64, 1);
    has_values(JOIN(false, c, d), TENSOR_F32, SHAPE(128), y);
    has_values(JOIN(true, c, d), TENSOR_Q8_0, SHAPE(2, 64), y);
    /* flat ones neither; padded ones only along their rows */
    const struct tu_view *flat = codes(y, TENSOR_PACKING_FLAT, SHAPE(4, 16), 64, 1),
                         *also = codes(y + 64, TENSOR_PACKING_FLAT, SHAPE(4, 16), 64, 1);
    has_values(JOIN(false, flat, also), TENSOR_F32, SHAPE(8, 16), y);
    has_values(JOIN(true, flat, also), TENSOR_F32, SHAPE(2, 4, 16), y);
    const struct tu_view *padded = codes(y, TENSOR_PACKING_ROWS, SHAPE(2, 40), 40, 2),
                         *more = codes(y + 80, TENSOR_PACKING_ROWS, SHAPE(2, 40), 40, 2);
    has_values(JOIN(false, padded, more), TENSOR_Q8_0, SHAPE(4, 40), y);
    has_values(JOIN(true, padded, more), TENSOR_F32, SHAPE(2, 2, 40), y);
    end();
}

/* APR_Q8 has one scale in front of all: a float32 and then a code for each element. */
TEST(a_scale_of_the_whole)
{
    begin();
    const struct tu_view_maker *m = &place.maker;
    struct tu_error *e = &place.error;
    int8_t x[24];
    uint8_t bytes[28] = {0, 0, 0x80, 0x3f};
    fill(bytes + 4, 24);
    memcpy(x, bytes + 4, 24);
    const struct tu_view *of = leaf_of(bytes, 28, TENSOR_APR_Q8, TENSOR_PACKING_FLAT, SHAPE(4, 6));
    has_values(of, TENSOR_APR_Q8, SHAPE(4, 6), x);
    has_values(tu_view_rows(m, of, 1, 4, e), TENSOR_F32, SHAPE(3, 6), x + 6);
    has_values(tu_view_reshape(m, of, SHAPE(6, 4), e), TENSOR_F32, SHAPE(6, 4), x);
    has_values(tu_view_plain(m, of, e), TENSOR_F32, SHAPE(4, 6), x);
    has_values(JOIN(true, of), TENSOR_F32, SHAPE(1, 4, 6), x);
    CHECK_NONE(tu_view_type(m, of, TENSOR_I8, e), "the bytes of APR_Q8 are none of I8");
    CHECK_NONE(tu_view_swapped(m, of, e), "to swap");
    end();
}

/* Pieces of 65536 elements, and rows of blocks that take more than the first buffer. */
TEST(floats_of_more_than_a_tile)
{
    begin();
    enum { ROWS = 3, COLUMNS = 50000 };
    int8_t *x = take(ROWS * COLUMNS);
    const struct tu_view *of = codes(x, TENSOR_PACKING_ROWS, SHAPE(ROWS, COLUMNS), COLUMNS, ROWS);
    const struct tu_view *v = tu_view_plain(&place.maker, of, &place.error);
    has_values(v, TENSOR_F32, SHAPE(ROWS, COLUMNS), x);
    struct plain want = plain(SHAPE(ROWS, COLUMNS), 4);
    for (size_t i = 0; i < want.count; i++) {
        float value = x[i];
        memcpy(want.bytes + 4 * i, &value, 4);
    }
    is(v, &want, TENSOR_F32);
    end();
}

/* ---- A file that shrinks ---- */

static void read_fails(const struct tu_view *v)
{
    float values[64];
    if (!v) {
        tap_fail(__FILE__, __LINE__, "no view: %s", place.error.text);
        return;
    }
    uint8_t *bytes = malloc(v->tensor.nbytes);
    struct tu_error whole = {0}, piece = {0}, area = {0}, number = {0};
    uint64_t columns = v->tensor.shape[v->tensor.rank - 1], rows = v->tensor.elements / columns;
    CHECK_FAILS(tu_view_read(v, 0, bytes, v->tensor.nbytes, &whole), whole, "became shorter");
    CHECK_FAILS(tu_view_read(v, 1, bytes, v->tensor.nbytes - 1, &piece), piece, "became shorter");
    CHECK_FAILS(tu_view_values(v, place.maker.kernels, 0,
                               v->tensor.elements < 64 ? v->tensor.elements : 64, values, &number),
                number, "became shorter");
    if (v->geometry.dtype->elements == 1) {
        CHECK_FAILS(tu_view_read_area(v, (struct tu_area){0, rows, 1, columns - 1}, bytes, &area),
                    area, "became shorter");
        area = (struct tu_error){0};
        CHECK_FAILS(tu_view_read_area(v, (struct tu_area){0, rows, 0, columns}, bytes, &area), area,
                    "became shorter");
    }
    free(bytes);
}

TEST(a_file_that_shrinks_is_no_view)
{
    begin();
    const struct tu_view_maker *m = &place.maker;
    struct tu_error *e = &place.error;
    struct plain p = plain(SHAPE(4, 6), 4), wide = plain(SHAPE(4, 600), 2);
    int8_t x[128];
    const struct tu_view *of = leaf(&p, TENSOR_F32), *w = leaf(&wide, TENSOR_BF16);
    const struct tu_view *q = codes(x, TENSOR_PACKING_ROWS, SHAPE(2, 64), 64, 2);
    if (ftruncate(place.model.source.fd, 0) != 0)
        abort();
    const struct tu_view *views[] = {
        of,
        tu_view_rope(m, of, 1, false, e),
        tu_view_rope(m, w, 1, false, e),
        tu_view_rows(m, of, 1, 3, e),
        tu_view_columns(m, of, 1, 3, e),
        tu_view_permute(m, tu_view_reshape(m, of, SHAPE(2, 2, 6), e), SHAPE(1, 0, 2), false, e),
        JOIN(false, of, of),
        JOIN(true, q, q),
        tu_view_add(m, of, 1, e),
        tu_view_plain(m, q, e),
        tu_view_transpose(m, of, e),
        tu_view_swapped(m, of, e),
        q};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        read_fails(views[i]);
    /* what has a scale in front reads it when it is made */
    uint8_t bytes[28] = {0};
    const struct tu_view *scaled =
        leaf_of(bytes, 28, TENSOR_APR_Q8, TENSOR_PACKING_FLAT, SHAPE(4, 6));
    if (ftruncate(place.model.source.fd, 0) != 0)
        abort();
    CHECK_NONE(tu_view_plain(m, scaled, e), "became shorter");
    CHECK_NONE(tu_view_rows(m, scaled, 1, 2, e), "became shorter");
    CHECK_NONE(tu_view_item(m, scaled, 1, e), "became shorter");
    CHECK_NONE(tu_view_rope(m, scaled, 1, false, e), "became shorter");
    CHECK_NONE(tu_view_order(m, scaled, SHAPE(1, 0), e), "became shorter");
    CHECK_NONE(tu_view_reshape(m, scaled, SHAPE(6, 4), e), "became shorter");
    CHECK_NONE(tu_view_permute(m, scaled, SHAPE(0, 1), false, e), "became shorter");
    CHECK_NONE(tu_view_transpose(m, scaled, e), "became shorter");
    CHECK_NONE(tu_view_columns(m, scaled, 1, 2, e), "became shorter");
    CHECK_NONE(tu_view_add(m, scaled, 1, e), "became shorter");
    CHECK_NONE(tu_view_scale(m, scaled, 2, e), "became shorter");
    CHECK_NONE(JOIN(true, scaled), "became shorter");
    end();
}

/* ---- The same of another tensor ---- */

TEST(rebased)
{
    begin();
    const struct tu_view_maker *m = &place.maker;
    struct tu_error *e = &place.error;
    struct plain p = plain(SHAPE(4, 6), 4), q = plain(SHAPE(4, 6), 4),
                 longer = plain(SHAPE(5, 6), 4), half = plain(SHAPE(4, 6), 2);
    const struct tu_view *of = leaf(&p, TENSOR_F32), *other = leaf(&q, TENSOR_F32),
                         *too_long = leaf(&longer, TENSOR_F32);
    const struct tu_view *narrow = leaf(&half, TENSOR_F16), *integers = leaf(&q, TENSOR_I32);
    const struct tu_view *v = tu_view_rows(m, tu_view_rope(m, of, 1, false, e), 1, 3, e);
    struct plain roped = turned(&q, 1, false), want = plain(SHAPE(2, 6), 4);
    other = leaf_of(q.bytes, 96, TENSOR_F32, TENSOR_PACKING_ROWS, q.shape, 2);
    memcpy(want.bytes, roped.bytes + 24, 48);
    is(tu_view_rebased(m, v, other->leaf, e), &want, TENSOR_F32);
    CHECK(!tu_view_rebased(m, v, too_long->leaf, e) && !tu_view_rebased(m, v, narrow->leaf, e) &&
          !tu_view_rebased(m, v, integers->leaf, e));
    struct plain wide = plain(SHAPE(4, 5), 4), deep = plain(SHAPE(4, 6, 1), 4);
    CHECK(!tu_view_rebased(m, of, leaf(&wide, TENSOR_F32)->leaf, e) &&
          !tu_view_rebased(m, of, leaf(&deep, TENSOR_F32)->leaf, e));
    CHECK(!tu_view_rebased(m, JOIN(false, of, of), other->leaf, e));
    /* what holds on to a scale of the whole */
    uint8_t bytes[28] = {0, 0, 0x80, 0x3f}, twice[28] = {0, 0, 0, 0x40};
    const struct tu_view *scaled =
        leaf_of(bytes, 28, TENSOR_APR_Q8, TENSOR_PACKING_FLAT, SHAPE(4, 6));
    const struct tu_view *another =
        leaf_of(twice, 28, TENSOR_APR_Q8, TENSOR_PACKING_FLAT, SHAPE(4, 6));
    CHECK(!tu_view_rebased(m, tu_view_plain(m, scaled, e), another->leaf, e));
    CHECK(!tu_view_rebased(m, tu_view_rows(m, scaled, 1, 2, e), another->leaf, e));
    /* another packing is another layout */
    int8_t x[64];
    const struct tu_view *rows = codes(x, TENSOR_PACKING_ROWS, SHAPE(2, 32), 32, 2),
                         *flat = codes(x, TENSOR_PACKING_FLAT, SHAPE(2, 32), 64, 1);
    CHECK(tu_view_rebased(m, rows, rows->leaf, e) && !tu_view_rebased(m, rows, flat->leaf, e));
    end();
}

TEST(a_shape_that_is_too_large)
{
    begin();
    struct tu_view large = {
        .kind = TU_VIEW_LEAF,
        .tensor = {.rank = 2, .shape = SHAPE(UINT64_C(1) << 63, 0), .dtype = TENSOR_F32}};
    large.geometry.dtype = tu_dtype(TENSOR_F32);
    CHECK_NONE(JOIN(false, &large, &large), "overflows");
    uint64_t ones[TENSOR_MAX_RANK];
    for (size_t i = 0; i < TENSOR_MAX_RANK; i++)
        ones[i] = 1;
    struct plain deep = plain(ones, TENSOR_MAX_RANK, 4);
    const struct tu_view *of = leaf(&deep, TENSOR_F32);
    CHECK_NONE(JOIN(true, of), "more than 16 dimensions");
    CHECK(JOIN(false, of, of)->tensor.shape[0] == 2);
    end();
}
