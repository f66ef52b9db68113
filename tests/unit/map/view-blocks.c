/* SPDX-License-Identifier: MIT */
/* Views of blocks: where they stay blocks, and where they become floats. */
#include "config.h"

#include "views.h"

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
