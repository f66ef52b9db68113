/* SPDX-License-Identifier: MIT */
/* The layouts of block types, as far as the order of bytes touches them. */
#include "config.h"

#include "gguf-swap.h"

#include <string.h>

#include "bytes.h"

enum { MAX_FIELDS = 2 };

/* Numbers of one width that follow one another in a block; width 0: none. */
struct field {
    uint16_t at;
    uint8_t width;
    uint8_t count;
};

/* The fields that ggml's structs declare with more than a byte: scales, minimums and sums, and the
 * 16-bit words of IQ2_XXS, IQ2_XS, IQ1_S and IQ4_XS.  What is declared as an array of bytes stays
 * as it is, also where code reads words from it, as gguf-py's converter of byte orders leaves it.
 */
static const struct layout {
    uint32_t dtype;
    struct field fields[MAX_FIELDS];
} layouts[] = {
    {TENSOR_F64, {{0, 8, 1}}},
    {TENSOR_F32, {{0, 4, 1}}},
    {TENSOR_F16, {{0, 2, 1}}},
    {TENSOR_BF16, {{0, 2, 1}}},
    {TENSOR_I64, {{0, 8, 1}}},
    {TENSOR_I32, {{0, 4, 1}}},
    {TENSOR_I16, {{0, 2, 1}}},
    {TENSOR_I8, {{0}}},
    {TENSOR_Q4_0, {{0, 2, 1}}},               /* d */
    {TENSOR_Q4_1, {{0, 2, 2}}},               /* d, m */
    {TENSOR_Q5_0, {{0, 2, 1}}},               /* d */
    {TENSOR_Q5_1, {{0, 2, 2}}},               /* d, m */
    {TENSOR_Q8_0, {{0, 2, 1}}},               /* d */
    {TENSOR_Q8_1, {{0, 2, 2}}},               /* d, s */
    {TENSOR_Q2_K, {{80, 2, 2}}},              /* d, dmin */
    {TENSOR_Q3_K, {{108, 2, 1}}},             /* d */
    {TENSOR_Q4_K, {{0, 2, 2}}},               /* d, dmin */
    {TENSOR_Q5_K, {{0, 2, 2}}},               /* d, dmin */
    {TENSOR_Q6_K, {{208, 2, 1}}},             /* d */
    {TENSOR_Q8_K, {{0, 4, 1}, {260, 2, 16}}}, /* d; bsums */
    {TENSOR_IQ2_XXS, {{0, 2, 33}}},           /* d, qs */
    {TENSOR_IQ2_XS, {{0, 2, 33}}},            /* d, qs */
    {TENSOR_IQ2_S, {{0, 2, 1}}},              /* d */
    {TENSOR_IQ3_XXS, {{0, 2, 1}}},            /* d */
    {TENSOR_IQ3_S, {{0, 2, 1}}},              /* d */
    {TENSOR_IQ1_S, {{0, 2, 1}, {34, 2, 8}}},  /* d; qh */
    {TENSOR_IQ1_M, {{0}}},
    {TENSOR_IQ4_NL, {{0, 2, 1}}}, /* d */
    {TENSOR_IQ4_XS, {{0, 2, 2}}}, /* d, scales_h */
    {TENSOR_TQ1_0, {{52, 2, 1}}}, /* d */
    {TENSOR_TQ2_0, {{64, 2, 1}}}, /* d */
    {TENSOR_MXFP4, {{0}}},
    {TENSOR_NVFP4, {{0}}},
    {TENSOR_Q1_0, {{0, 2, 1}}}, /* d */
    {TENSOR_Q2_0, {{0, 2, 1}}}, /* d */
};

static const struct layout *layout_of(const struct type_row *type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (layouts[i].dtype == type->dtype)
            return &layouts[i];
    return NULL;
}

int gguf_swaps(const struct type_row *type)
{
    const struct layout *layout = layout_of(type);
    return layout ? layout->fields[0].width != 0 : -1;
}

/* A loop for each width, since compilers know these. */
static void swap_numbers(uint8_t *bytes, unsigned width, size_t count)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    for (size_t i = 0; width == 2 && i < count; i++, bytes += 2) {
        memcpy(&two, bytes, 2);
        two = __builtin_bswap16(two);
        memcpy(bytes, &two, 2);
    }
    for (size_t i = 0; width == 4 && i < count; i++, bytes += 4) {
        memcpy(&four, bytes, 4);
        four = __builtin_bswap32(four);
        memcpy(bytes, &four, 4);
    }
    for (size_t i = 0; width == 8 && i < count; i++, bytes += 8) {
        memcpy(&eight, bytes, 8);
        eight = __builtin_bswap64(eight);
        memcpy(bytes, &eight, 8);
    }
}

void gguf_swap(const struct type_row *type, uint8_t *blocks, size_t count)
{
    const struct field *fields = layout_of(type)->fields;
    if (fields->width == type->bytes) { /* a plain type: its blocks are one array */
        swap_numbers(blocks, type->bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++, blocks += type->bytes)
        for (size_t k = 0; k < MAX_FIELDS; k++)
            swap_numbers(blocks + fields[k].at, fields[k].width, fields[k].count);
}
