/* SPDX-License-Identifier: MIT */
/* Tensors in another element type: what can become what, and the bytes, rounded once. */
#include "config.h"

#include "compute/convert.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/elements.h"
#include "base/pipeline.h"

/* One tensor on its way from one type to another. */
struct job {
    struct tu_feed *feed;
    tu_sink_fn *sink;
    void *sink_context;
    const struct tu_tensor *from;
    struct tu_decoder decoder;
    struct tu_geometry to;
    tu_encode_fn *encode;
    tu_decode_fn *decode;    /* of what was made */
    uint64_t unit, next;
};

struct piece {
    uint64_t first;
    size_t count;
    uint8_t *raw, *made;
    size_t raw_capacity, made_capacity, made_length;
    float *values;
};

/* ---- Which values a type has ---- */

static bool is_whole(const struct tu_dtype *d)
{
    return d->kind == TENSOR_KIND_INT || d->kind == TENSOR_KIND_BOOL;
}

static bool is_signed(const struct tu_dtype *d)
{
    return d->code == TENSOR_I64 || d->code == TENSOR_I32 || d->code == TENSOR_I16 ||
           d->code == TENSOR_I8;
}

/* The numbers of a type: those below 2^top that are multiples of 2^bottom, with so many bits
 * between their first and last 1. */
struct numbers {
    int bits, bottom, top;
};

/* A whole number's sign takes a bit, and -2^n has one bit alone. */
static struct numbers numbers_of(const struct tu_dtype *d)
{
    int width = (int)(8 * d->bytes);
    switch ((uint32_t)d->code) {
    case TENSOR_F64:
        return (struct numbers){53, -1074, 1024};
    case TENSOR_F16:
        return (struct numbers){11, -24, 16};
    case TENSOR_BF16:
        return (struct numbers){8, -133, 128};
    case TENSOR_F8_E4M3:
        return (struct numbers){4, -9, 9};
    case TENSOR_F8_E5M2:
        return (struct numbers){3, -16, 16};
    case TENSOR_F8_E4M3FNUZ:
        return (struct numbers){4, -10, 8};
    case TENSOR_F8_E5M2FNUZ:
        return (struct numbers){3, -17, 16};
    case TENSOR_F8_E8M0:
        return (struct numbers){1, -127, 128};
    case TENSOR_F6_E2M3:
        return (struct numbers){4, -3, 3};
    case TENSOR_F6_E3M2:
        return (struct numbers){3, -4, 5};
    case TENSOR_F4:
        return (struct numbers){2, -1, 3};
    case TENSOR_BOOL:
        return (struct numbers){1, 0, 1};
    }
    if (d->kind == TENSOR_KIND_INT)
        return (struct numbers){width - is_signed(d), 0, width};
    return (struct numbers){24, -149, 128}; /* F32, and what decodes to it */
}

bool tu_holds_values(const struct tu_dtype *to, const struct tu_dtype *from)
{
    if (from->kind == TENSOR_KIND_COMPLEX || (to->kind != TENSOR_KIND_FLOAT && !is_whole(to)))
        return to == from;
    struct numbers a = numbers_of(to), b = numbers_of(from);
    if (is_whole(to))
        return is_whole(from) && a.bits >= b.bits && (is_signed(to) || !is_signed(from));
    return a.bits >= b.bits && a.bottom <= b.bottom && a.top >= b.top;
}

bool tu_can_convert(const struct tu_session *session, const struct tu_tensor *t,
                    const struct tu_dtype *to)
{
    if (to->kind == TENSOR_KIND_INT)
        return is_whole(tu_dtype(t->dtype));
    uint64_t row = t->rank ? t->shape[t->rank - 1] : 1;
    bool whole =
        to->flags & TENSOR_DTYPE_FLAT ? t->elements % to->elements == 0 : row % to->elements == 0;
    return session->kernels->decode[t->dtype] && session->kernels->encode[to->code] && whole;
}

static int reserve(uint8_t **buffer, size_t *capacity, size_t length, struct tu_error *error)
{
    if (length <= *capacity)
        return 0;
    uint8_t *larger = realloc(*buffer, length);
    if (!larger)
        return tu_fail_memory(error);
    *buffer = larger;
    *capacity = length;
    return 0;
}

static int take(void *context, void *slot, struct tu_error *error)
{
    struct job *c = context;
    struct piece *p = slot;
    uint64_t offset, length;
    if (c->next == c->from->elements)
        return 0;
    p->first = c->next;
    p->count = tu_geometry_tile(&c->decoder.geometry, c->unit, TU_TILE, p->first);
    c->next += p->count;
    tu_geometry_span(&c->decoder.geometry, p->first, p->count, &offset, &length);
    if (reserve(&p->raw, &p->raw_capacity, length, error) < 0 ||
        tu_feed_read(c->feed, p->raw, length, error) < 0)
        return -1;
    return 1;
}

/* hi + lo to float32, rounded to odd: a second rounding to a type of at most 22 bits then gives
 * what a single one would have (Boldo and Melquiond, "When double rounding is odd", 2005). */
static float round_to_odd(double hi, double lo)
{
    float f = (float)hi;
    double rest = (hi - (double)f) + lo;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (isnan(f) || rest == 0 || isinf(hi))
        return f;
    bool outward = (rest > 0) == (f > 0 || (f == 0 && rest > 0));
    if (isinf(f))
        return copysignf(__FLT_MAX__, f);
    if (f == 0)
        return copysignf(__FLT_DENORM_MIN__, (float)(rest > 0 ? 1 : -1));
    if (bits & 1)
        return f;
    bits += outward ? 1 : (uint32_t)-1;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static int decode_narrow(const struct job *c, const struct piece *p, float *out,
                         struct tu_error *error)
{
    double *hi = malloc(2 * p->count * sizeof *hi), *lo = hi + p->count;
    if (!hi)
        return tu_fail_memory(error);
    tu_decode_wide(&c->decoder, p->raw, p->first, p->count, hi, lo);
    for (size_t i = 0; i < p->count; i++)
        out[i] = round_to_odd(hi[i], lo[i]);
    free(hi);
    return 0;
}

static uint64_t load_integer(const uint8_t *bytes, unsigned width)
{
    uint64_t bits = 0;
    for (unsigned i = width; i-- > 0;)
        bits = bits << 8 | bytes[i];
    return bits;
}

static void store_integer(uint8_t *bytes, uint64_t bits, unsigned width)
{
    for (unsigned i = 0; i < width; i++, bits >>= 8)
        bytes[i] = (uint8_t)bits;
}

/* Whether an integer type has a number, given as two's complement. */
static bool fits(uint64_t bits, bool negative, const struct tu_dtype *to)
{
    uint64_t most = UINT64_MAX >> (64 - 8 * to->bytes + is_signed(to));
    return negative ? is_signed(to) && ~bits <= most : bits <= most;
}

/* F16, which most blocks have their scales in, ends below 2^16. */
enum { LARGE = 16, FINITE = 128 };

/* Whether all are below 2^exponent.  Without a branch for each, and in steps that
 * compilers vectorize. */
static bool are_below(const float *values, size_t count, int exponent)
{
    enum { STEP = 16 };
    const uint32_t rest = (uint32_t)(129 - exponent) << 23; /* to the sign */
    uint32_t most[STEP] = {0}, bits;
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) {
        uint32_t step[STEP];
        memcpy(step, values + i, sizeof step);
        for (int k = 0; k < STEP; k++)
            most[k] |= (step[k] & 0x7f800000u) + rest;
    }
    for (; i < count; i++) {
        memcpy(&bits, values + i, sizeof bits);
        most[0] |= (bits & 0x7f800000u) + rest;
    }
    for (int k = 1; k < STEP; k++)
        most[0] |= most[k];
    return !(most[0] >> 31);
}

static int check_finite(const struct job *c, const struct piece *p, struct tu_error *error)
{
    if (are_below(p->values, p->count, FINITE))
        return 0;
    for (size_t i = 0; i < p->count; i++)
        if (!isfinite(p->values[i]))
            return tu_fail(error, TU_EINVALID,
                           "tensor '%s': element %" PRIu64 " is %s: %s has no such number",
                           c->from->name, p->first + i, isnan(p->values[i]) ? "NaN" : "infinite",
                           c->to.dtype->name);
    return 0;
}

/* Where numbers are too large for the scale of a block, what was made of them is NaN, infinite or
 * next to nothing, and that is no quantization. */
static int check_held(const struct job *c, const struct piece *p, struct tu_error *error)
{
    const struct tu_dtype *to = c->to.dtype;
    float made[TU_BLOCK_MAX];
    for (size_t i = 0; i < p->count; i += to->elements) {
        const float *block = p->values + i;
        double wanted = 0, held = 0;
        size_t largest = 0;
        c->decode(p->made + i / to->elements * to->bytes, 1, made);
        for (size_t k = 0; k < to->elements; k++) {
            wanted += (double)block[k] * (double)block[k];
            held += (double)made[k] * (double)made[k];
            largest = fabsf(block[k]) > fabsf(block[largest]) ? k : largest;
        }
        if (!isfinite(held) || held < wanted / 64)
            return tu_fail(error, TU_EINVALID,
                           "tensor '%s': element %" PRIu64 " is %g: a block of %s cannot hold it",
                           c->from->name, p->first + i + largest, (double)block[largest], to->name);
    }
    return 0;
}

/* Doubles of everything, rounded once where 64 bits of an integer are too many. */
static int make_doubles(const struct job *c, const struct piece *p, struct tu_error *error)
{
    double *hi = malloc(2 * p->count * sizeof *hi), *lo = hi + p->count;
    if (!hi)
        return tu_fail_memory(error);
    tu_decode_wide(&c->decoder, p->raw, p->first, p->count, hi, lo);
    for (size_t i = 0; i < p->count; i++) {
        uint64_t bits;
        double value = hi[i] + lo[i];
        memcpy(&bits, &value, sizeof bits);
        store_integer(p->made + i * sizeof bits, bits, sizeof bits);
    }
    free(hi);
    return 0;
}

static int make_integers(const struct job *c, const struct piece *p, struct tu_error *error)
{
    const struct tu_dtype *from = c->decoder.geometry.dtype, *to = c->to.dtype;
    for (size_t i = 0; i < p->count; i++) {
        uint64_t bits = load_integer(p->raw + i * from->bytes, from->bytes);
        uint64_t sign = (uint64_t)1 << (8 * from->bytes - 1);
        if (from->kind == TENSOR_KIND_BOOL)
            bits = bits != 0;
        bool negative = is_signed(from) && bits & sign;
        if (negative)
            bits |= -sign;
        if (!fits(bits, negative, to))
            return tu_fail(
                error, TU_EINVALID,
                negative ? "tensor '%s': element %" PRIu64 " is %" PRId64 ": %s has no such number"
                         : "tensor '%s': element %" PRIu64 " is %" PRIu64 ": %s has no such number",
                c->from->name, p->first + i, bits, to->name);
        store_integer(p->made + i * to->bytes, bits, to->bytes);
    }
    return 0;
}

/* The values, in float32, rounded so that they can be rounded again to any type. */
static int make_floats(const struct job *c, const struct piece *p, float *out,
                       struct tu_error *error)
{
    if (c->decoder.decode_wide && c->to.dtype->bytes < sizeof(float)) {
        if (decode_narrow(c, p, out, error) < 0)
            return -1;
    } else {
        tu_decode(&c->decoder, p->raw, p->first, p->count, out);
    }
    return 0;
}

static int work(void *context, void *slot, void *scratch, struct tu_error *error)
{
    (void)scratch;
    const struct job *c = context;
    struct piece *p = slot;
    const struct tu_dtype *to = c->to.dtype;
    if (!c->encode || (to->code == TENSOR_F64)) {
        p->made_length = p->count * to->bytes;
        if (reserve(&p->made, &p->made_capacity, p->made_length, error) < 0)
            return -1;
        return c->encode ? make_doubles(c, p, error) : make_integers(c, p, error);
    }
    size_t blocks = p->count / to->elements;
    p->made_length = blocks * to->bytes;
    if (reserve(&p->made, &p->made_capacity, p->made_length, error) < 0)
        return -1;
    if (to->code == TENSOR_F32 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        return make_floats(c, p, (float *)(void *)p->made, error); /* they are its bytes */
    if (!p->values && !(p->values = malloc(TU_TILE * sizeof *p->values)))
        return tu_fail_memory(error);
    if (make_floats(c, p, p->values, error) < 0)
        return -1;
    bool large = to->kind == TENSOR_KIND_QUANT && !are_below(p->values, p->count, LARGE);
    if (large && check_finite(c, p, error) < 0)
        return -1;
    c->encode(p->values, blocks, p->made);
    return large && !to->head ? check_held(c, p, error) : 0;
}

static int put(void *context, void *slot, struct tu_error *error)
{
    struct job *c = context;
    struct piece *p = slot;
    return c->sink(c->sink_context, p->made, p->made_length, error);
}

static void release(void *context, void *slot)
{
    struct piece *p = slot;
    (void)context;
    free(p->raw);
    free(p->made);
    free(p->values);
}

/* The tensor as it will be. */
static int describe(const struct tu_tensor *t, const struct tu_dtype *to, struct tu_tensor *out,
                    struct tu_geometry *geometry, struct tu_error *error)
{
    *out = *t;
    out->dtype = to->code;
    out->packing = TENSOR_PACKING_ROWS;
    if (tu_geometry(to->code, out->packing, t->shape, t->rank, geometry, error) < 0)
        return -1;
    out->nbytes = geometry->nbytes;
    return 0;
}

int tu_convert_describe(const struct tu_tensor *t, const struct tu_dtype *to, struct tu_tensor *out,
                        struct tu_error *error)
{
    struct tu_geometry geometry;
    return describe(t, to, out, &geometry, error);
}

static int convert_all(struct job *c, const struct tu_geometry *from, struct tu_error *error)
{
    const struct tu_pipeline pipeline = {.context = c,
                                         .slot_size = sizeof(struct piece),
                                         .take = take,
                                         .work = work,
                                         .put = put,
                                         .release = release};
    const struct tu_session *session = c->feed->session;
    uint8_t head[8] = {0};
    if (from->elements && from->dtype->head &&
        tu_feed_read(c->feed, head, from->dtype->head, error) < 0)
        return -1;
    if (tu_decoder_init(&c->decoder, from, session->kernels, head, error) < 0)
        return -1;
    c->unit = tu_geometry_unit(from);
    /* Threads are not worth starting for a tensor of one piece. */
    return tu_pipeline_run(&pipeline, from->elements > TU_TILE ? (unsigned)session->threads : 1,
                           error);
}

int tu_convert_bytes(struct tu_feed *feed, const struct tu_item *item, const struct tu_dtype *to,
                     tu_sink_fn *sink, void *context, struct tu_error *error)
{
    struct tu_tensor made;
    struct job c = {.feed = feed,
                    .sink = sink,
                    .sink_context = context,
                    .from = &item->tensor,
                    .encode = feed->session->kernels->encode[to->code],
                    .decode = feed->session->kernels->decode[to->code]};
    if (describe(&item->tensor, to, &made, &c.to, error) < 0)
        return -1;
    int result = convert_all(&c, &item->geometry, error);
    return result;
}
