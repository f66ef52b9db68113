/* SPDX-License-Identifier: MIT */
/* Faults of single blocks: a NaN, a bit, a scale, a block of zeros. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "compute/fault/victim.h"

enum { RUN = 32 /* elements of a block where the type has none */ };

/* Where the scale of a block is: at most 8 bytes. */
static const struct {
    enum tensor_dtype code;
    unsigned offset, bytes;
} scales[] = {
    {TENSOR_Q4_0, 0, 2},    {TENSOR_Q4_1, 0, 2},   {TENSOR_Q5_0, 0, 2},   {TENSOR_Q5_1, 0, 2},
    {TENSOR_Q8_0, 0, 2},    {TENSOR_Q8_1, 0, 2},   {TENSOR_Q2_K, 80, 2},  {TENSOR_Q3_K, 108, 2},
    {TENSOR_Q4_K, 0, 2},    {TENSOR_Q5_K, 0, 2},   {TENSOR_Q6_K, 208, 2}, {TENSOR_Q8_K, 0, 4},
    {TENSOR_IQ2_XXS, 0, 2}, {TENSOR_IQ2_XS, 0, 2}, {TENSOR_IQ2_S, 0, 2},  {TENSOR_IQ3_XXS, 0, 2},
    {TENSOR_IQ3_S, 0, 2},   {TENSOR_IQ1_S, 0, 2},  {TENSOR_IQ4_NL, 0, 2}, {TENSOR_IQ4_XS, 0, 2},
    {TENSOR_TQ1_0, 52, 2},  {TENSOR_TQ2_0, 64, 2}, {TENSOR_Q1_0, 0, 2},   {TENSOR_Q2_0, 0, 2},
    {TENSOR_MXFP4, 0, 1},   {TENSOR_NVFP4, 0, 4},  {TENSOR_IQ1_M, 48, 8}, {TENSOR_APR_Q4, 0, 2},
};

static uint64_t blocks(const struct tu_victim *v)
{
    return (v->geometry.nbytes - v->geometry.dtype->head) / v->geometry.dtype->bytes;
}

static uint64_t block_at(const struct tu_victim *v, uint64_t block)
{
    return v->geometry.dtype->head + block * v->geometry.dtype->bytes;
}

static int find_scale(const struct tu_victim *v, unsigned *offset, unsigned *bytes)
{
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
        if (scales[i].code == v->tensor->dtype) {
            *offset = scales[i].offset;
            *bytes = scales[i].bytes;
            return 0;
        }
    return -1;
}

/* The NaN of floats, and of the scales of blocks where those are F16 or F32; 0 bytes: there is
 * none. */
static size_t find_nan(const struct tu_dtype *t, unsigned scale_bytes, uint8_t nan[8])
{
    static const struct {
        enum tensor_dtype code;
        uint8_t bytes[8];
    } nans[] = {
        {TENSOR_F64, {0, 0, 0, 0, 0, 0, 0xf8, 0x7f}},
        {TENSOR_F32, {0, 0, 0xc0, 0x7f}},
        {TENSOR_F16, {0x00, 0x7e}},
        {TENSOR_BF16, {0xc0, 0x7f}},
        {TENSOR_F8_E4M3, {0x7f}},
        {TENSOR_F8_E5M2, {0x7f}},
        {TENSOR_F8_E4M3FNUZ, {0x80}},
        {TENSOR_F8_E5M2FNUZ, {0x80}},
        {TENSOR_F8_E8M0, {0xff}},
    };
    enum tensor_dtype code = t->code;
    if (code == TENSOR_Q8_K)
        code = TENSOR_F32;
    else if (scale_bytes == 2)
        code = TENSOR_F16;
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++)
        if (nans[i].code == code) {
            memcpy(nan, nans[i].bytes, 8);
            return tu_dtype(code)->bytes;
        }
    return 0;
}

/* NaN in one element, or in the scale of one block. */
int tu_fault_nan(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    unsigned offset = 0, bytes = 0;
    uint8_t nan[8];
    if (t->kind == TENSOR_KIND_QUANT)
        find_scale(v, &offset, &bytes);
    size_t size = find_nan(t, bytes, nan);
    if (size == 0)
        return tu_refuse(v, error, "its type has no NaN to put in");
    if (tu_take_bytes(v, block_at(v, tu_choose(v, 0, blocks(v))) + offset, size, error) < 0)
        return -1;
    memcpy(v->bytes, nan, size);
    return 0;
}

int tu_fault_bit(struct tu_victim *v, struct tu_error *error)
{
    uint64_t bit = tu_choose(v, 0, v->geometry.nbytes * 8);
    if (tu_take_bytes(v, bit / 8, 1, error) < 0)
        return -1;
    *v->bytes ^= (uint8_t)(1u << bit % 8);
    return 0;
}

/* The scale of one block becomes that of the one before it. */
int tu_fault_stale_scale(struct tu_victim *v, struct tu_error *error)
{
    unsigned offset, bytes;
    if (find_scale(v, &offset, &bytes) < 0 || blocks(v) < 2)
        return tu_refuse(v, error, "it has no two blocks with a scale");
    uint64_t count = blocks(v), first = tu_choose(v, 0, count - 1);
    uint8_t before[8];
    for (uint64_t i = 0; i < count - 1; i++) { /* the first one from there on that differs */
        uint64_t block = 1 + (first + i) % (count - 1);
        if (tu_read_original(v, block_at(v, block - 1) + offset, before, bytes, error) < 0 ||
            tu_take_bytes(v, block_at(v, block) + offset, bytes, error) < 0)
            return -1;
        if (memcmp(before, v->bytes, bytes) != 0) {
            memcpy(v->bytes, before, bytes);
            return 0;
        }
    }
    return tu_refuse(v, error, "all of its scales are the same");
}

static bool is_zero(const uint8_t *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Of the blocks from a place on, the first that is not zero already. */
int tu_fault_zero_block(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    uint64_t run = t->elements > 1 ? 1 : RUN, count = (blocks(v) + run - 1) / run;
    uint64_t first = tu_choose(v, 0, count);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t block = (first + i) % count * run, left = blocks(v) - block;
        uint64_t bytes = (left < run ? left : run) * t->bytes;
        if (tu_take_bytes(v, block_at(v, block), bytes, error) < 0)
            return -1;
        if (!is_zero(v->bytes, v->count)) {
            memset(v->bytes, 0, v->count);
            return 0;
        }
    }
    return tu_refuse(v, error, "all of it is zero");
}
