/* SPDX-License-Identifier: MIT */
/* What tests of the oracle share: tensors in a temporary file, and what is said of two of them. */
#ifndef TU_TEST_ORACLES_H
#define TU_TEST_ORACLES_H

#include "compare/oracle/oracle.h"

#include <unistd.h>

#include "../tap.h"
#include "base/file.h"

enum { TENSORS = 8, LARGEST = 1 << 16 };

/* Tensors in a temporary file. */
static struct world {
    struct tu_arena arena;
    struct tu_view_maker maker;
    struct tu_model model;
    struct tu_tensor tensors[TENSORS];
    struct tu_extent extents[TENSORS];
    uint64_t shapes[TENSORS][4];
    size_t count;
    uint64_t end;
    bool slight; /* what is asked about is nearly alike */
    struct tu_hypothesis found;
    struct tu_error error;
} w;

static inline void begin(void)
{
    w = (struct world){.maker = {&w.arena, tu_kernels_choose(NULL)}};
    w.model.source = (struct tu_source){.fd = tu_temporary(&w.error), .path = "test"};
}

static inline void end(void)
{
    close(w.model.source.fd);
    tu_arena_free(&w.arena);
    if (w.error.code)
        tap_fail(__FILE__, __LINE__, "%s", w.error.text);
}

static inline struct tu_member add_bytes(const char *name, enum tensor_dtype dtype,
                                         const uint64_t *shape, uint32_t rank, const void *bytes)
{
    struct tu_tensor *t = &w.tensors[w.count];
    struct tu_geometry g;
    memcpy(w.shapes[w.count], shape, rank * sizeof *shape);
    CHECK(tu_geometry(dtype, TENSOR_PACKING_ROWS, shape, rank, &g, &w.error) == 0);
    w.extents[w.count] = (struct tu_extent){w.end, g.nbytes};
    *t = (struct tu_tensor){name,
                            strlen(name),
                            dtype,
                            TENSOR_PACKING_ROWS,
                            rank,
                            w.shapes[w.count],
                            g.elements,
                            g.nbytes,
                            &w.extents[w.count],
                            1,
                            NULL,
                            false,
                            {0}};
    w.count++;
    CHECK(pwrite(w.model.source.fd, bytes, g.nbytes, (off_t)w.end) == (ssize_t)g.nbytes);
    w.model.source.size = w.end += g.nbytes;
    return (struct tu_member){&w.model, t};
}

static inline struct tu_member add(const char *name, enum tensor_dtype dtype, const uint64_t *shape,
                                   uint32_t rank, const float *values)
{
    static uint8_t bytes[LARGEST * 8];
    size_t n = 1;
    for (uint32_t i = 0; i < rank; i++)
        n *= shape[i];
    w.maker.kernels->encode[dtype](values, n / tu_dtype(dtype)->elements, bytes);
    return add_bytes(name, dtype, shape, rank, bytes);
}

/* Asks of two tensors; heads of queries and keys, and other tensors, where there are some. */
static inline const char *ask(struct tu_member a, struct tu_member b, uint64_t queries,
                              uint64_t keys, const struct tu_other *others, size_t other_count)
{
    const struct tu_view *sides[2] = {tu_view_leaf(&w.maker, a, &w.error),
                                      tu_view_leaf(&w.maker, b, &w.error)};
    struct tu_partial sums = {0};
    struct tu_geometry geometry[2];
    bool same = a.tensor->rank == b.tensor->rank &&
                memcmp(a.tensor->shape, b.tensor->shape, a.tensor->rank * sizeof(uint64_t)) == 0;
    for (int i = 0; i < 2; i++)
        geometry[i] = sides[i]->geometry;
    if (same && a.tensor->elements) {
        struct tu_comparison c = {.kernels = w.maker.kernels, .row = a.tensor->elements};
        static uint8_t raw[2][LARGEST * 8];
        const uint8_t *const spans[2] = {raw[0], raw[1]};
        for (int i = 0; i < 2; i++) {
            CHECK(tu_decoder_init(&c.decoders[i], &geometry[i], c.kernels, NULL, &w.error) == 0);
            CHECK(tu_view_read(sides[i], 0, raw[i], geometry[i].nbytes, &w.error) == 0);
        }
        tu_compare_range(&c, spans, 0, a.tensor->elements, &sums, NULL, NULL, NULL);
    }
    const struct tu_oracle_case c = {.kernels = w.maker.kernels,
                                     .sides = {sides[0], sides[1]},
                                     .sums = same ? &sums : NULL,
                                     .name = a.tensor->name,
                                     .same_names = true,
                                     .slight = w.slight,
                                     .heads = {queries, keys},
                                     .others = others,
                                     .other_count = other_count};
    CHECK(tu_oracle_ask(&c, &w.arena, &w.found, &w.error) == 0);
    return w.found.text ? w.found.text : "nothing";
}

/* Numbers with two digits, which every type holds that is used here. */
static inline void fill(float *out, size_t count, uint64_t seed)
{
    uint64_t state = seed * 7919 + 1;
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((int)(tap_random(&state) >> 57) - 64) / 64;
}

/* Rows of b: row order(i) of a. */
static inline void move_rows(const float *a, float *b, size_t rows, size_t columns,
                             size_t (*order)(size_t row))
{
    for (size_t i = 0; i < rows; i++)
        memcpy(b + i * columns, a + order(i) * columns, columns * sizeof *b);
}

#endif
