/* SPDX-License-Identifier: MIT */
/* Decoding: any range of any tensor is what the whole would have there, on any processor. */
#include "config.h"

#include "tensor/elements.h"

#include "../tap.h"

static const struct tu_kernels *baseline(void)
{
    return tu_kernels_choose("baseline");
}

/* Bytes that a sanitizer guards on both sides. */
static uint8_t *random_bytes(size_t length, uint64_t *state)
{
    uint8_t *bytes = malloc(length ? length : 1);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(tap_random(state) >> 32);
    return bytes;
}

static bool same_bits(const void *a, const void *b, size_t length)
{
    return length == 0 || memcmp(a, b, length) == 0;
}

static bool open_decoder(struct tu_decoder *d, uint32_t dtype, uint32_t packing, const uint64_t *shape, uint32_t rank,
                         const struct tu_kernels *kernels)
{
    static const uint8_t head[] = {0, 0, 0, 0x3f}; /* 0.5 */
    struct tu_geometry g;
    struct tu_error error = {0};
    if (tu_geometry(dtype, packing, shape, rank, &g, &error) < 0 ||
        tu_decoder_init(d, &g, kernels, g.dtype->head ? head : NULL, &error) < 0)
        return tap_fail(__FILE__, __LINE__, "%s", error.text);
    return true;
}

/* Random ranges of a tensor against the whole. */
static void check_ranges(uint32_t dtype, uint32_t packing, const uint64_t *shape, uint32_t rank)
{
    struct tu_decoder d;
    uint64_t state = dtype + 100 * packing + 7, offset, length;
    if (!open_decoder(&d, dtype, packing, shape, rank, baseline()))
        return;
    const struct tu_geometry *g = &d.geometry;
    uint8_t *bytes = random_bytes(g->nbytes - g->dtype->head, &state);
    float *whole = malloc(g->elements * sizeof *whole), *part = malloc(g->elements * sizeof *part);
    tu_decode(&d, bytes, 0, g->elements, whole);
    for (int round = 0; round < 60 && !tap_failed; round++) {
        uint64_t first = tap_random(&state) % g->elements;
        uint64_t count = 1 + tap_random(&state) % (round % 2 ? 40 : g->elements);
        count = count < g->elements - first ? count : g->elements - first;
        tu_geometry_span(g, first, count, &offset, &length);
        uint8_t *span = malloc(length); /* just these bytes */
        memcpy(span, bytes + (offset - g->dtype->head), length);
        memset(part, 0xee, g->elements * sizeof *part);
        tu_decode(&d, span, first, count, part);
        if (!same_bits(part, whole + first, count * sizeof *part))
            tap_fail(__FILE__, __LINE__, "%s, packing %u: elements %ju to %ju differ", g->dtype->name, packing,
                     (uintmax_t)first, (uintmax_t)(first + count));
        if (count < g->elements) { /* nothing was written behind them */
            float guard;
            memset(&guard, 0xee, sizeof guard);
            CHECK(same_bits(part + count, &guard, sizeof guard));
        }
        free(span);
    }
    free(bytes);
    free(whole);
    free(part);
}

TEST(ranges_are_parts_of_the_whole)
{
    static const uint64_t shapes[][3] = {{5, 3, 300}, {2, 2, 31}, {1, 1, 1000}, {3, 40, 1}, {1, 2, 512}};
    size_t count;
    const struct tu_dtype *table = tu_dtype_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (!baseline()->decode[table[i].code])
            continue;
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            uint64_t elements = shapes[s][0] * shapes[s][1] * shapes[s][2];
            if ((table[i].flags & TENSOR_DTYPE_WHOLE) && elements % table[i].elements)
                continue;
            check_ranges(table[i].code, TENSOR_PACKING_ROWS, shapes[s], 3);
            check_ranges(table[i].code, TENSOR_PACKING_FLAT, shapes[s], 3);
        }
    }
}

TEST(a_scalar_of_blocks)
{
    struct tu_decoder d;
    uint8_t block[34] = {0x00, 0x3c, 5, 6}; /* d = 1, q = 5, 6, ... */
    float out[2] = {0, 9};
    if (open_decoder(&d, TENSOR_Q8_0, TENSOR_PACKING_ROWS, NULL, 0, baseline()))
        tu_decode(&d, block, 0, 1, out);
    CHECK(out[0] == 5 && out[1] == 9);
}

TEST(every_instruction_set_gives_the_same_bits)
{
    enum { BLOCKS = 37 };
    size_t count;
    const struct tu_dtype *table = tu_dtype_table(&count);
    uint64_t state = 11;
    for (size_t i = 0; i < count; i++) {
        const struct tu_dtype *t = &table[i];
        if (!baseline()->decode[t->code])
            continue;
        size_t elements = BLOCKS * (size_t)t->elements;
        uint8_t *bytes = random_bytes(BLOCKS * (size_t)t->bytes, &state);
        float *want = malloc(elements * sizeof *want), *got = malloc(elements * sizeof *got);
        double *want_wide = malloc(2 * elements * sizeof(double)), *got_wide = malloc(2 * elements * sizeof(double));
        baseline()->decode[t->code](bytes, BLOCKS, want);
        if (baseline()->decode_wide[t->code])
            baseline()->decode_wide[t->code](bytes, BLOCKS, want_wide, want_wide + elements);
        const struct tu_kernels *k;
        bool supported;
        for (size_t n = 0; (k = tu_kernels_built(n, &supported)); n++) {
            if (!supported)
                continue;
            k->decode[t->code](bytes, BLOCKS, got);
            if (!same_bits(got, want, elements * sizeof *got))
                tap_fail(__FILE__, __LINE__, "%s on %s", t->name, k->name);
            if (!k->decode_wide[t->code])
                continue;
            k->decode_wide[t->code](bytes, BLOCKS, got_wide, got_wide + elements);
            if (!same_bits(got_wide, want_wide, 2 * elements * sizeof(double)))
                tap_fail(__FILE__, __LINE__, "%s, wide, on %s", t->name, k->name);
        }
        free(bytes);
        free(want);
        free(got);
        free(want_wide);
        free(got_wide);
    }
}

/* Blocks of bytes that are all one or all zero here and there: scales that are infinite or NaN, of either sign and with
 * any payload, beside codes that are zero.  Every NaN that comes of them is one. */
TEST(scales_that_are_no_numbers_make_one_nan)
{
    static const uint8_t patterns[] = {0xff, 0x7f, 0x7c, 0xfc, 0x7e, 0x00, 0x01, 0x80};
    size_t count, nans = 0;
    const struct tu_dtype *table = tu_dtype_table(&count);
    uint64_t state = 5;
    for (size_t i = 0; i < count; i++) {
        const struct tu_dtype *t = &table[i];
        enum { BLOCKS = 512 };
        if (!baseline()->decode[t->code] || (t->flags & TENSOR_DTYPE_WIDE) || t->elements == 1)
            continue;
        size_t bytes = BLOCKS * (size_t)t->bytes, elements = BLOCKS * (size_t)t->elements;
        uint8_t *blocks = malloc(bytes);
        for (size_t k = 0; k < bytes; k++)
            blocks[k] = patterns[tap_random(&state) >> 32 & 7];
        float *got = malloc(elements * sizeof *got), *want = malloc(elements * sizeof *want);
        baseline()->decode[t->code](blocks, BLOCKS, want);
        const struct tu_kernels *k;
        bool supported;
        for (size_t n = 0; (k = tu_kernels_built(n, &supported)); n++) {
            if (!supported)
                continue;
            k->decode[t->code](blocks, BLOCKS, got);
            if (!same_bits(got, want, elements * sizeof *got))
                tap_fail(__FILE__, __LINE__, "%s on %s", t->name, k->name);
        }
        for (size_t e = 0; e < elements; e++) {
            const uint32_t nan = 0x7fc00000;
            nans += isnan(want[e]);
            if (isnan(want[e]) && !same_bits(&want[e], &nan, sizeof nan)) {
                tap_fail(__FILE__, __LINE__, "%s: a NaN of its own", t->name);
                break;
            }
        }
        free(blocks);
        free(got);
        free(want);
    }
    CHECK(nans > 100000);
}

TEST(wide_values_are_exact)
{
    struct tu_decoder d;
    uint64_t shape[] = {6};
    static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, (1ll << 53) + 1};
    static const uint64_t naturals[] = {0, UINT64_MAX, 1ull << 63, (1ull << 63) + 1, (1ull << 53) + 1, 7};
    double hi[6], lo[6];
    if (open_decoder(&d, TENSOR_I64, 0, shape, 1, baseline())) {
        tu_decode_wide(&d, (const uint8_t *)integers, 0, 6, hi, lo);
        for (size_t i = 0; i < 6; i++) /* in integers, since the sum is no double */
            CHECK((__int128)hi[i] + (__int128)lo[i] == integers[i]);
        CHECK(hi[0] == 0 && lo[1] == 0 && lo[2] == 0);
    }
    if (open_decoder(&d, TENSOR_U64, 0, shape, 1, baseline())) {
        tu_decode_wide(&d, (const uint8_t *)naturals, 0, 6, hi, lo);
        for (size_t i = 0; i < 6; i++)
            CHECK((__int128)hi[i] + (__int128)lo[i] == (__int128)naturals[i]);
    }
    /* a type that float32 holds comes out as it is */
    static const uint8_t halves[] = {0x00, 0x3c, 0x01, 0x00, 0xff, 0x7b, 0x00, 0x80, 0x00, 0x7c, 0x66, 0x2e};
    if (open_decoder(&d, TENSOR_F16, 0, shape, 1, baseline())) {
        tu_decode_wide(&d, halves, 0, 6, hi, lo);
        CHECK(hi[0] == 1 && hi[1] == 0x1p-24 && hi[2] == 65504 && hi[3] == 0 && signbit(hi[3]) && isinf(hi[4]));
        for (size_t i = 0; i < 6; i++)
            CHECK(lo[i] == 0);
    }
}

TEST(wide_ranges_are_parts_of_the_whole)
{
    static const uint32_t types[] = {TENSOR_I64, TENSOR_F64, TENSOR_U32, TENSOR_Q4_K, TENSOR_APR_Q8, TENSOR_BF16};
    uint64_t shape[] = {7, 300};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct tu_decoder d;
        uint64_t state = i + 1, offset, length;
        if (!open_decoder(&d, types[i], 0, shape, 2, baseline()))
            return;
        size_t head = d.geometry.dtype->head;
        uint8_t *bytes = random_bytes(d.geometry.nbytes - head, &state);
        double whole[2][2100], part[2][2100];
        tu_decode_wide(&d, bytes, 0, 2100, whole[0], whole[1]);
        for (int round = 0; round < 50; round++) {
            uint64_t first = tap_random(&state) % 2100, count = 1 + tap_random(&state) % (2100 - first);
            tu_geometry_span(&d.geometry, first, count, &offset, &length);
            tu_decode_wide(&d, bytes + (offset - head), first, count, part[0], part[1]);
            if (!CHECK(same_bits(part[0], whole[0] + first, count * sizeof(double)) &&
                       same_bits(part[1], whole[1] + first, count * sizeof(double))))
                break;
        }
        free(bytes);
    }
}

TEST(halves_exhaustively)
{
    struct tu_decoder d;
    uint64_t shape[] = {65536};
    if (!open_decoder(&d, TENSOR_F16, 0, shape, 1, tu_kernels_choose(NULL)))
        return;
    uint16_t *halves = malloc(65536 * sizeof *halves);
    float *out = malloc(65536 * sizeof *out);
    for (size_t i = 0; i < 65536; i++)
        halves[i] = (uint16_t)i;
    tu_decode(&d, (const uint8_t *)halves, 0, 65536, out);
    for (uint32_t i = 0; i < 65536; i++) {
        uint32_t exponent = i >> 10 & 31, mantissa = i & 1023, bits, got;
        double value = exponent ? ldexp(1024 + mantissa, (int)exponent - 25) : ldexp(mantissa, -24);
        float f = (float)(i & 0x8000 ? -value : value);
        memcpy(&bits, &f, sizeof bits);
        if (exponent == 31) /* infinity, or a quiet NaN with what fits of the payload */
            bits = (i & 0x8000) << 16 | 0x7f800000 | (mantissa ? mantissa << 13 | 0x400000 : 0);
        memcpy(&got, &out[i], sizeof got);
        if (got != bits) {
            tap_fail(__FILE__, __LINE__, "half %04x is %08x, not %08x", i, got, bits);
            break;
        }
    }
    free(halves);
    free(out);
}

TEST(small_floats_exhaustively)
{
    uint8_t codes[256];
    float out[256];
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)i;
    baseline()->decode[TENSOR_F8_E4M3](codes, 256, out);
    for (int i = 0; i < 256; i++) {
        int exponent = i >> 3 & 15, mantissa = i & 7;
        double value = exponent ? ldexp(8 + mantissa, exponent - 10) : ldexp(mantissa, -9);
        CHECK((i & 127) == 127 ? isnan(out[i]) != 0 : out[i] == (float)(i & 128 ? -value : value));
    }
    baseline()->decode[TENSOR_F8_E5M2](codes, 256, out);
    for (int i = 0; i < 256; i++) {
        int exponent = i >> 2 & 31, mantissa = i & 3;
        double value = exponent ? ldexp(4 + mantissa, exponent - 17) : ldexp(mantissa, -16);
        if (exponent == 31)
            CHECK(mantissa ? isnan(out[i]) != 0 : isinf(out[i]) != 0);
        else
            CHECK(out[i] == (float)(i & 128 ? -value : value));
    }
    baseline()->decode[TENSOR_F8_E4M3FNUZ](codes, 256, out);
    for (int i = 0; i < 256; i++) {
        int exponent = i >> 3 & 15, mantissa = i & 7;
        double value = exponent ? ldexp(8 + mantissa, exponent - 11) : ldexp(mantissa, -10);
        CHECK(i == 128 ? isnan(out[i]) != 0 : out[i] == (float)(i & 128 ? -value : value));
    }
    baseline()->decode[TENSOR_F8_E5M2FNUZ](codes, 256, out);
    for (int i = 0; i < 256; i++) {
        int exponent = i >> 2 & 31, mantissa = i & 3;
        double value = exponent ? ldexp(4 + mantissa, exponent - 18) : ldexp(mantissa, -17);
        CHECK(i == 128 ? isnan(out[i]) != 0 : out[i] == (float)(i & 128 ? -value : value));
    }
    baseline()->decode[TENSOR_F8_E8M0](codes, 256, out);
    for (int i = 0; i < 255; i++)
        CHECK(out[i] == (float)ldexp(1, i - 127));
    CHECK(isnan(out[255]));
    static const float fours[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0f, -0.5, -1, -1.5, -2, -3, -4, -6};
    baseline()->decode[TENSOR_F4](codes, 128, out);
    for (int i = 0; i < 128; i++)
        CHECK(same_bits(&out[2 * i], &fours[i & 15], 4) && same_bits(&out[2 * i + 1], &fours[i >> 4], 4));
}

TEST(types_without_real_values_are_refused)
{
    struct tu_geometry g;
    struct tu_decoder d;
    struct tu_error error = {0};
    uint64_t shape[] = {1};
    CHECK(tu_geometry(TENSOR_C64, 0, shape, 1, &g, &error) == 0);
    CHECK_FAILS(tu_decoder_init(&d, &g, baseline(), NULL, &error), error, "C64");
}

TEST(an_unknown_instruction_set_is_refused)
{
    CHECK(tu_kernels_choose("mmx") == NULL && tu_kernels_choose("") == NULL);
    CHECK(tu_kernels_choose(NULL) != NULL && baseline() != NULL);
}

/* Q8_0 rows of 40 elements: a whole block and eight elements of the next, of steps 1, 2, 3 and 4. */
TEST(steps_of_any_range)
{
    static const uint16_t scales[] = {0x3c00, 0x4000, 0x4200, 0x4400};
    uint8_t blocks[4 * 34] = {0};
    uint64_t shape[] = {2, 40}, offset, length;
    struct tu_decoder d;
    for (size_t i = 0; i < 4; i++) {
        blocks[34 * i] = (uint8_t)scales[i];
        blocks[34 * i + 1] = (uint8_t)(scales[i] >> 8);
    }
    if (!open_decoder(&d, TENSOR_Q8_0, TENSOR_PACKING_ROWS, shape, 2, baseline()))
        return;
    for (uint64_t first = 0; first < 80; first++) {
        for (size_t count = 1; count <= 80 - first; count++) {
            double want = 0;
            for (uint64_t i = first; i < first + count; i++) {
                double step = (double)(i / 40 * 2 + i % 40 / 32 + 1);
                want += step * step;
            }
            tu_geometry_span(&d.geometry, first, count, &offset, &length);
            uint8_t *span = malloc(length); /* just these bytes */
            memcpy(span, blocks + offset, length);
            double got = tu_steps(&d, span, first, count);
            free(span);
            if (!(fabs(got / want - 1) < 1e-6)) {
                tap_fail(__FILE__, __LINE__, "%zu from %ju: %g, not %g", count, (uintmax_t)first, got, want);
                return;
            }
        }
    }
}

TEST(a_scale_of_the_tensor_is_its_step)
{
    uint64_t shape[] = {10};
    uint8_t codes[10] = {0};
    struct tu_decoder d;
    if (open_decoder(&d, TENSOR_APR_Q8, TENSOR_PACKING_FLAT, shape, 1, baseline()))
        CHECK_REAL(tu_steps(&d, codes, 3, 7), 7 * 0.25);
    if (open_decoder(&d, TENSOR_F32, TENSOR_PACKING_FLAT, shape, 1, baseline()))
        CHECK(!d.steps);
}
