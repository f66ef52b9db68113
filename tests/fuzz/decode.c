/* SPDX-License-Identifier: MIT */
/* Any bytes as a tensor: type, packing and the last dimension from the first four bytes.  Decoded
 * in any pieces, by every kernel of this machine, the values are the same to the bit; and they can
 * be made into blocks of another type. */
#include "config.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "tensor/elements.h"

enum { HEAD = 4 };

static void *allocate(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

/* The largest tensor of this type and width that the bytes can hold; false if there is none. */
static bool settle(const uint8_t *head, size_t size, struct tu_geometry *g)
{
    size_t types;
    const struct tu_dtype *table = tu_dtype_table(&types), *type = &table[head[0] % types];
    uint64_t shape[2] = {1, 1 + (head[2] | (uint64_t)head[3] << 8)};
    struct tu_error error = {0};
    uint32_t packing = head[1] & 1;
    if (tu_geometry(type->code, packing, shape, 2, g, &error) < 0 || g->nbytes > size)
        return false;
    shape[0] = (size - type->head) / (g->nbytes - type->head);
    return tu_geometry(type->code, packing, shape, 2, g, &error) == 0 && g->nbytes <= size;
}

/* The bytes that hold a range, as a block of just that size. */
static uint8_t *span_of(const struct tu_geometry *g, const uint8_t *bytes, uint64_t first,
                        size_t count)
{
    uint64_t offset, length;
    tu_geometry_span(g, first, count, &offset, &length);
    FUZZ_CHECK(offset <= g->nbytes && length <= g->nbytes - offset);
    uint8_t *span = allocate((size_t)length);
    memcpy(span, bytes + offset, (size_t)length);
    return span;
}

static void decode_range(const struct tu_decoder *d, const uint8_t *bytes, uint64_t first,
                         size_t count, float *out)
{
    uint8_t *span = span_of(&d->geometry, bytes, first, count);
    float *exact = allocate(count * sizeof *exact);
    tu_decode(d, span, first, count, exact);
    memcpy(out, exact, count * sizeof *out);
    free(exact);
    free(span);
}

/* Pieces of step elements are what the whole is. */
static void check_pieces(const struct tu_decoder *d, const uint8_t *bytes, const float *whole,
                         size_t step)
{
    size_t count = (size_t)d->geometry.elements;
    float *piece = allocate(step * sizeof *piece);
    for (size_t first = 0, n; first < count; first += n) {
        n = count - first < step ? count - first : step;
        decode_range(d, bytes, first, n, piece);
        FUZZ_CHECK(memcmp(piece, whole + first, n * sizeof *piece) == 0);
    }
    free(piece);
}

static void encode_some(const struct tu_kernels *kernels, unsigned which, const float *values,
                        size_t count)
{
    size_t types;
    const struct tu_dtype *table = tu_dtype_table(&types), *type = &table[which % types];
    size_t blocks = count / type->elements;
    blocks = blocks < 2 ? blocks : 2;
    if (!kernels->encode[type->code] || !blocks)
        return;
    uint8_t *out = allocate(blocks * type->bytes);
    float *exact = allocate(blocks * type->elements * sizeof *exact);
    memcpy(exact, values, blocks * type->elements * sizeof *exact);
    kernels->encode[type->code](exact, blocks, out);
    free(exact);
    free(out);
}

void fuzz_decode(const uint8_t *data, size_t size)
{
    struct tu_geometry g;
    struct tu_decoder d;
    struct tu_error error = {0};
    const struct tu_kernels *kernels;
    bool supported, first = true;
    if (size < HEAD || !settle(data, size - HEAD, &g))
        return;
    const uint8_t *bytes = data + HEAD;
    size_t count = (size_t)g.elements;
    float *whole = allocate(count * sizeof *whole), *again = allocate(count * sizeof *again);
    for (size_t i = 0; (kernels = tu_kernels_built(i, &supported)); i++) {
        if (!supported || tu_decoder_init(&d, &g, kernels, bytes, &error) < 0)
            continue;
        decode_range(&d, bytes, 0, count, again);
        FUZZ_CHECK(first || memcmp(whole, again, count * sizeof *whole) == 0);
        memcpy(whole, again, count * sizeof *whole);
        first = false;
        check_pieces(&d, bytes, whole, 1 + count / 3);
        check_pieces(&d, bytes, whole, 1 + count / 17);
        encode_some(kernels, data[1] >> 1, whole, count);
    }
    free(whole);
    free(again);
}
