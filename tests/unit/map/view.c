/* SPDX-License-Identifier: MIT */
/* Views: each against a plain loop over elements, read in every range and every area. */
#include "config.h"

#include "views.h"

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

/* Shares of the last dimension, read from any byte on, also where rows are longer than what is read at
 * once. */
TEST(columns_in_another_order)
{
    static const uint64_t order[] = {2, 0, 3, 1};
    begin();
    EACH_TYPE(i)
    {
        static const uint64_t widths[] = {4, 8, 40, 70000};
        for (size_t n = 0; n < sizeof widths / sizeof *widths; n++) {
            uint64_t columns = widths[n], share = columns / 4;
            struct plain p = plain(SHAPE(2, 3, columns), types[i].size),
                         want = plain(SHAPE(2, 3, columns), types[i].size);
            const struct tu_view *of = leaf(&p, types[i].dtype);
            for (uint64_t r = 0; r < 6; r++)
                for (uint64_t c = 0; c < columns; c++)
                    put(&want, r * columns + c, &p,
                        r * columns + order[c / share] * share + c % share);
            const struct tu_view *v = tu_view_gather(&place.maker, of, order, 4, &place.error);
            if (n < 3)
                is(v, &want, types[i].dtype);
            else
                reads(v, want.bytes, 3, want.count * want.size - 7);
            if (v)
                CHECK(v->kind == TU_VIEW_GATHERED && v->tensor.elements == p.count);
        }
    }
    struct plain p = plain(SHAPE(3, 6), 4), none = plain(SHAPE(3, 0), 4);
    CHECK_NONE(tu_view_gather(&place.maker, leaf(&p, TENSOR_F32), order, 4, &place.error),
               "6 columns are no 4 equal shares");
    CHECK_NONE(tu_view_gather(&place.maker, leaf(&p, TENSOR_F32), order, 0, &place.error),
               "6 columns are no 0 equal shares");
    CHECK_NONE(tu_view_gather(&place.maker, leaf(&none, TENSOR_F32), order, 4, &place.error),
               "0 columns are no 4 equal shares");
    end();
}

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
                                         {2, 1, 0, 3}, {0, 2, 1, 3}, {0, 1, 2, 3},
                                         {0, 1, 3, 2}, {0, 3, 1, 2}, {0, 2, 3, 1},
                                         {3, 2, 0, 1}, {2, 3, 1, 0}, {3, 2, 1, 0},
                                         {1, 0, 3, 2}, {3, 0, 1, 2}};
    begin();
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++)
        EACH_TYPE(i)
        {
            const uint64_t *axes = orders[o];
            struct plain p = plain(SHAPE(2, 3, 4, 5), types[i].size);
            const struct tu_view *of = leaf(&p, types[i].dtype);
            struct plain want = plain(
                SHAPE(p.shape[axes[0]], p.shape[axes[1]], p.shape[axes[2]], p.shape[axes[3]]),
                types[i].size);
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
