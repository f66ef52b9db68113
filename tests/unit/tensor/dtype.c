/* SPDX-License-Identifier: MIT */
/* The table of element types, and how tensors lie in bytes. */
#include "config.h"

#include "tensor/dtype.h"

#include "../tap.h"
#include "tensor/geometry.h"

static struct tu_geometry geometry(uint32_t dtype, uint32_t packing, uint32_t rank, const uint64_t *shape)
{
    struct tu_geometry g = {0};
    struct tu_error error = {0};
    if (tu_geometry(dtype, packing, shape, rank, &g, &error) < 0)
        tap_fail(__FILE__, __LINE__, "%s", error.text);
    return g;
}

#define SHAPE(...) sizeof((const uint64_t[]){__VA_ARGS__}) / 8, (const uint64_t[]){__VA_ARGS__}
#define ROWS TENSOR_PACKING_ROWS
#define FLAT TENSOR_PACKING_FLAT

TEST(the_table_is_sound)
{
    size_t count;
    const struct tu_dtype *table = tu_dtype_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct tu_dtype *t = &table[i];
        char lower[32] = {0};
        for (size_t k = 0; t->name[k] && k < sizeof lower - 1; k++)
            lower[k] = (char)(t->name[k] | (t->name[k] >= 'A' && t->name[k] <= 'Z' ? 0x20 : 0));
        bool good = t->code > 0 && t->code < TENSOR_DTYPE_LIMIT && tu_dtype(t->code) == t &&
                    tu_dtype_by_name(t->name, strlen(t->name)) == t &&
                    tu_dtype_by_name(lower, strlen(lower)) == t && t->elements > 0 && t->bytes > 0 &&
                    t->elements <= 256;
        for (size_t k = 0; k < i; k++)
            good = good && table[k].code != t->code && strcmp(table[k].name, t->name) != 0;
        if (!good)
            tap_fail(__FILE__, __LINE__, "%s", t->name);
    }
    CHECK(count >= 45);
    CHECK(!tu_dtype(0) && !tu_dtype(TENSOR_DTYPE_LIMIT) && !tu_dtype(UINT32_MAX));
    CHECK(!tu_dtype_by_name("F3", 2) && !tu_dtype_by_name("F321", 4) && !tu_dtype_by_name("", 0));
    CHECK(tu_dtype_by_name("F32x", 3) == tu_dtype(TENSOR_F32));
}

TEST(plain_types)
{
    struct tu_geometry g = geometry(TENSOR_F32, ROWS, SHAPE(2, 3, 4));
    CHECK_UINT(g.elements, 24);
    CHECK_UINT(g.nbytes, 96);
    g = geometry(TENSOR_F64, FLAT, 0, NULL); /* a scalar */
    CHECK_UINT(g.elements, 1);
    CHECK_UINT(g.nbytes, 8);
    g = geometry(TENSOR_U8, ROWS, SHAPE(5, 0, 7));
    CHECK_UINT(g.elements, 0);
    CHECK_UINT(g.nbytes, 0);
}

TEST(rows_of_blocks)
{
    struct tu_geometry g = geometry(TENSOR_Q4_K, ROWS, SHAPE(3, 1000)); /* 4 blocks of 144 bytes a row */
    CHECK_UINT(g.nbytes, 3 * 4 * 144);
    CHECK_UINT(g.row, 1000);
    CHECK_UINT(g.rows, 3);
    CHECK_UINT(g.row_bytes, 4 * 144);
    g = geometry(TENSOR_Q4_K, FLAT, SHAPE(3, 1000)); /* 3000 elements: 12 blocks */
    CHECK_UINT(g.nbytes, 12 * 144);
    g = geometry(TENSOR_Q4_K, ROWS, SHAPE(3, 1024)); /* whole rows: the same */
    CHECK_UINT(g.nbytes, 12 * 144);
    CHECK_UINT(geometry(TENSOR_Q4_K, FLAT, SHAPE(3, 1024)).nbytes, 12 * 144);
    CHECK_UINT(geometry(TENSOR_Q8_0, ROWS, SHAPE(2, 3, 33)).nbytes, 2 * 3 * 2 * 34);
    CHECK_UINT(geometry(TENSOR_Q8_0, ROWS, 0, NULL).nbytes, 34);
    CHECK_UINT(geometry(TENSOR_Q8_0, ROWS, SHAPE(7, 1)).nbytes, 7 * 34);
    CHECK_UINT(geometry(TENSOR_Q8_0, FLAT, SHAPE(7, 1)).nbytes, 34);
}

TEST(types_of_flat_blocks_and_heads)
{
    CHECK_UINT(geometry(TENSOR_APR_Q4, ROWS, SHAPE(3, 33)).nbytes, 4 * 18);
    CHECK_UINT(geometry(TENSOR_APR_Q8, ROWS, SHAPE(3, 33)).nbytes, 4 + 99);
    CHECK_UINT(geometry(TENSOR_APR_Q8, ROWS, SHAPE(0)).nbytes, 0);
    CHECK_UINT(geometry(TENSOR_APR_Q8, ROWS, 0, NULL).nbytes, 5);
    CHECK_UINT(geometry(TENSOR_F4, ROWS, SHAPE(3, 2)).nbytes, 3);
    CHECK_UINT(geometry(TENSOR_F6_E2M3, ROWS, SHAPE(2, 2)).nbytes, 3);
}

static void refuses(const char *part, uint32_t dtype, uint32_t packing, uint32_t rank, const uint64_t *shape)
{
    struct tu_geometry g;
    struct tu_error error = {0};
    CHECK_FAILS(tu_geometry(dtype, packing, shape, rank, &g, &error), error, part);
}

TEST(what_overflows_is_refused)
{
    refuses("overflow", TENSOR_F32, ROWS, SHAPE(1ull << 32, 1ull << 32));
    refuses("overflow", TENSOR_U8, ROWS, SHAPE(1ull << 63));
    refuses("overflow", TENSOR_U8, ROWS, SHAPE(UINT64_MAX));
    refuses("overflow", TENSOR_U8, ROWS, SHAPE(UINT64_MAX, UINT64_MAX));
    refuses("overflow", TENSOR_F32, ROWS, SHAPE((1ull << 61))); /* 2^63 bytes */
    refuses("overflow", TENSOR_F64, ROWS, SHAPE((1ull << 61) + 1)); /* wraps to 8 */
    refuses("overflow", TENSOR_Q4_K, ROWS, SHAPE(1ull << 62, 1)); /* 144 bytes an element */
    refuses("overflow", TENSOR_APR_Q8, ROWS, SHAPE(INT64_MAX)); /* the head is one too many */
    refuses("overflow", TENSOR_Q8_0, ROWS, SHAPE(INT64_MAX, 1));
    CHECK_UINT(geometry(TENSOR_U8, ROWS, SHAPE(INT64_MAX)).nbytes, INT64_MAX);
    CHECK_UINT(geometry(TENSOR_U8, ROWS, SHAPE(1ull << 31, 1ull << 31)).nbytes, 1ull << 62);
}

TEST(what_makes_no_sense_is_refused)
{
    uint64_t many[18] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    CHECK_UINT(geometry(TENSOR_F32, ROWS, 16, many).nbytes, 4);
    refuses("dimensions", TENSOR_F32, ROWS, 17, many);
    refuses("dimensions", TENSOR_F32, ROWS, UINT32_MAX, many);
    refuses("element type", 0, ROWS, 1, many);
    refuses("element type", TENSOR_DTYPE_LIMIT, ROWS, 1, many);
    refuses("packing", TENSOR_F32, 2, 1, many);
    refuses("whole bytes", TENSOR_F4, ROWS, SHAPE(3));
    refuses("whole bytes", TENSOR_F6_E3M2, ROWS, SHAPE(2, 3));
}

/* The span of any range begins at the block of its first element and ends with that of its last. */
static void check_spans(const struct tu_geometry *g)
{
    uint64_t state = g->elements + 1;
    for (int round = 0; round < 2000; round++) {
        uint64_t first = tap_random(&state) % g->elements, offset, length, end_offset, end_length;
        uint64_t count = 1 + tap_random(&state) % (g->elements - first);
        tu_geometry_span(g, first, count, &offset, &length);
        tu_geometry_span(g, first + count - 1, 1, &end_offset, &end_length);
        bool good = offset >= g->dtype->head && offset + length <= g->nbytes &&
                    end_length == g->dtype->bytes && offset + length == end_offset + end_length &&
                    (offset - g->dtype->head) % g->dtype->bytes == 0;
        if (!CHECK(good))
            return;
    }
    uint64_t offset, length;
    tu_geometry_span(g, 0, g->elements, &offset, &length);
    CHECK(offset == g->dtype->head && offset + length == g->nbytes);
}

TEST(spans)
{
    struct tu_geometry g = geometry(TENSOR_Q8_0, ROWS, SHAPE(3, 33));
    uint64_t offset, length;
    tu_geometry_span(&g, 0, 1, &offset, &length);
    CHECK(offset == 0 && length == 34);
    tu_geometry_span(&g, 32, 1, &offset, &length); /* the second block of row 0 */
    CHECK(offset == 34 && length == 34);
    tu_geometry_span(&g, 33, 1, &offset, &length); /* row 1 */
    CHECK(offset == 68 && length == 34);
    tu_geometry_span(&g, 31, 3, &offset, &length);
    CHECK(offset == 0 && length == 102);
    g = geometry(TENSOR_Q8_0, FLAT, SHAPE(3, 33));
    tu_geometry_span(&g, 33, 1, &offset, &length); /* in the second block, whatever the row */
    CHECK(offset == 34 && length == 34);
    size_t count;
    const struct tu_dtype *table = tu_dtype_table(&count);
    for (size_t i = 0; i < count; i++) {
        uint64_t shape[] = {7, 3, 1012};
        for (uint32_t packing = 0; packing < 2; packing++) {
            g = geometry(table[i].code, packing, 3, shape);
            check_spans(&g);
        }
    }
}

TEST(tiles_cover_a_tensor_and_cut_no_block)
{
    static const uint64_t shapes[][2] = {{1, 1},       {1, 65536},   {1, 65537}, {3, 1000}, {100000, 3},
                                         {2, 1000000}, {300, 65536}, {7, 99999}, {5, 4097}, {1000, 257}};
    static const uint32_t types[] = {TENSOR_F32, TENSOR_F64, TENSOR_Q4_K, TENSOR_Q8_0, TENSOR_APR_Q4, TENSOR_APR_Q8, TENSOR_Q8_K};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            for (uint32_t packing = 0; packing < 2; packing++) {
                struct tu_geometry g = geometry(types[i], packing, 2, shapes[s]);
                uint64_t unit = tu_geometry_unit(&g), at = 0, end = 0;
                while (at < g.elements) {
                    uint64_t offset, length;
                    size_t n = tu_geometry_tile(&g, unit, TU_TILE, at);
                    if (!CHECK(n > 0 && n <= TU_TILE && at + n <= g.elements))
                        return;
                    tu_geometry_span(&g, at, n, &offset, &length);
                    if (!CHECK(at == 0 || offset == end)) /* the tiles' bytes lie side by side */
                        return;
                    end = offset + length;
                    at += n;
                }
                CHECK_UINT(end, g.nbytes);
            }
        }
    }
}
