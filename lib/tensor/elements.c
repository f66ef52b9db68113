/* SPDX-License-Identifier: MIT */
/* Elements of any type as numbers. */
#include "config.h"

#include "tensor/elements.h"

#include <math.h>
#include <string.h>

int tu_decoder_init(struct tu_decoder *d, const struct tu_geometry *geometry,
                    const struct tu_kernels *kernels, const uint8_t *head, struct tu_error *error)
{
    const struct tu_dtype *type = geometry->dtype;
    *d = (struct tu_decoder){.geometry = *geometry,
                             .decode = kernels->decode[type->code],
                             .decode_wide = kernels->decode_wide[type->code],
                             .steps = kernels->steps[type->code],
                             .resolve = kernels->resolve[type->code],
                             .grain = kernels->grain[type->code],
                             .scale = 1};
    if (!d->decode)
        return tu_fail(error, TU_EINVALID, "type %s does not decode to real numbers", type->name);
    if (type->head)
        kernels->decode[TENSOR_F32](head, 1, &d->scale);
    return 0;
}

/* Decodes count elements from the block at bytes on, leaving out the first skip of it. */
static void decode_run(const struct tu_decoder *d, const uint8_t *bytes, size_t skip, size_t count,
                       float *out)
{
    size_t size = d->geometry.dtype->elements;
    float block[TU_BLOCK_MAX];
    if (skip) {
        size_t n = count < size - skip ? count : size - skip;
        d->decode(bytes, 1, block);
        memcpy(out, block + skip, n * sizeof *out);
        bytes += d->geometry.dtype->bytes;
        out += n;
        count -= n;
    }
    size_t whole = count / size, rest = count % size;
    d->decode(bytes, whole, out);
    if (rest) {
        d->decode(bytes + whole * d->geometry.dtype->bytes, 1, block);
        memcpy(out + whole * size, block, rest * sizeof *out);
    }
}

/* Elements of a range that lie in one row: from the block at bytes on, without the first skip of
 * it.
 */
struct run {
    const uint8_t *bytes;
    size_t skip, count;
};

/* The run that starts at an element, of those that are left; origin is the offset of the span. */
static struct run run_at(const struct tu_geometry *g, const uint8_t *span, uint64_t origin,
                         uint64_t element, size_t left)
{
    uint64_t column = element % g->row, in_row = g->row - column, offset, length;
    tu_geometry_span(g, element, 1, &offset, &length);
    return (struct run){span + (offset - origin), (size_t)(column % g->dtype->elements),
                        left < in_row ? left : (size_t)in_row};
}

/* What belongs to the whole tensor. */
static void scale_and_shift(const struct tu_decoder *d, size_t count, float *out)
{
    for (size_t i = 0; d->geometry.dtype->head && i < count; i++)
        out[i] *= d->scale;
    /* Which NaN infinity times zero is, processors do not agree about. */
    for (size_t i = 0; d->geometry.dtype->head && !isfinite(d->scale) && i < count; i++)
        if (isnan(out[i]))
            out[i] = NAN;
    for (size_t i = 0; d->addend != 0 && i < count; i++)
        out[i] += d->addend;
}

void tu_decode_blocks(const struct tu_decoder *d, const uint8_t *blocks, size_t n, float *out)
{
    d->decode(blocks, n, out);
    scale_and_shift(d, n * d->geometry.dtype->elements, out);
}

void tu_decode(const struct tu_decoder *d, const uint8_t *span, uint64_t first, size_t count,
               float *out)
{
    const struct tu_geometry *g = &d->geometry;
    uint64_t origin, length;
    tu_geometry_span(g, first, count, &origin, &length);
    for (size_t done = 0; done < count;) {
        const struct run r = run_at(g, span, origin, first + done, count - done);
        decode_run(d, r.bytes, r.skip, r.count, out + done);
        done += r.count;
    }
    scale_and_shift(d, count, out);
}

void tu_decode_wide(const struct tu_decoder *d, const uint8_t *span, uint64_t first, size_t count,
                    double *hi, double *lo)
{
    if (d->decode_wide) {
        d->decode_wide(span, count, hi, lo);
        for (size_t i = 0; d->addend != 0 && i < count; i++)
            hi[i] += (double)d->addend;
        return;
    }
    float part[TU_BLOCK_MAX];
    uint64_t origin, length, offset;
    tu_geometry_span(&d->geometry, first, count, &origin, &length);
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < TU_BLOCK_MAX ? count - done : TU_BLOCK_MAX;
        tu_geometry_span(&d->geometry, first + done, n, &offset, &length);
        tu_decode(d, span + (offset - origin), first + done, n, part);
        for (size_t i = 0; i < n; i++) {
            hi[done + i] = (double)part[i];
            lo[done + i] = 0;
        }
    }
}

/* Of count elements from the block at bytes on, leaving out the first skip of it. */
static double steps_of_run(const struct tu_decoder *d, const uint8_t *bytes, size_t skip,
                           size_t count)
{
    size_t size = d->geometry.dtype->elements, part = skip ? size - skip : 0;
    double sum = 0;
    part = part < count ? part : count;
    if (part) {
        sum += d->steps(bytes, 1) * (double)part / (double)size;
        bytes += d->geometry.dtype->bytes;
        count -= part;
    }
    size_t whole = count / size, rest = count % size;
    sum += d->steps(bytes, whole);
    if (rest)
        sum += d->steps(bytes + whole * d->geometry.dtype->bytes, 1) * (double)rest / (double)size;
    return sum;
}

double tu_steps(const struct tu_decoder *d, const uint8_t *span, uint64_t first, size_t count)
{
    const struct tu_geometry *g = &d->geometry;
    uint64_t origin, length;
    double sum = 0;
    tu_geometry_span(g, first, count, &origin, &length);
    for (size_t done = 0; done < count;) {
        const struct run r = run_at(g, span, origin, first + done, count - done);
        sum += steps_of_run(d, r.bytes, r.skip, r.count);
        done += r.count;
    }
    return sum * ((double)d->scale * (double)d->scale);
}

/* What belongs to the whole tensor. */
static void scale_inverses(const struct tu_decoder *d, size_t count, float *inverse)
{
    float factor = 1 / fmaxf(fabsf(d->scale), 0x1p-120f);
    for (size_t i = 0; d->geometry.dtype->head && i < count; i++)
        inverse[i] *= factor;
}

void tu_inverse_steps_blocks(const struct tu_decoder *d, const uint8_t *blocks, size_t n,
                             float *inverse)
{
    d->resolve(blocks, n, inverse);
    scale_inverses(d, n * d->geometry.dtype->elements / d->grain, inverse);
}

/* Of count elements from the block at bytes on, leaving out the first skip of it. */
static void resolve_run(const struct tu_decoder *d, const uint8_t *bytes, size_t skip, size_t count,
                        float *inverse)
{
    size_t size = d->geometry.dtype->elements;
    float grains[TU_BLOCK_MAX];
    for (size_t done = 0, n; done < count; done += n, skip = 0) {
        n = size - skip < count - done ? size - skip : count - done;
        d->resolve(bytes, 1, grains);
        for (size_t i = 0; i < n; i++)
            inverse[done + i] = grains[(skip + i) / d->grain];
        bytes += d->geometry.dtype->bytes;
    }
}

void tu_inverse_steps(const struct tu_decoder *d, const uint8_t *span, uint64_t first, size_t count,
                      float *inverse)
{
    const struct tu_geometry *g = &d->geometry;
    uint64_t origin, length;
    tu_geometry_span(g, first, count, &origin, &length);
    for (size_t done = 0; done < count;) {
        const struct run r = run_at(g, span, origin, first + done, count - done);
        resolve_run(d, r.bytes, r.skip, r.count, inverse + done);
        done += r.count;
    }
    scale_inverses(d, count, inverse);
}
