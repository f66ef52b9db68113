/* SPDX-License-Identifier: MIT */
/* Elements of a tensor from its bytes, whatever its type and packing, in any range. */
#ifndef TU_ELEMENTS_H
#define TU_ELEMENTS_H

#include "tensor/dtype.h"
#include "kernels/kernels.h"
#include "tensor/geometry.h"

/* The most elements a block of any type has. */
#define TU_BLOCK_MAX 256

struct tu_decoder {
    struct tu_geometry geometry;
    tu_decode_fn *decode;
    tu_decode_wide_fn *decode_wide; /* NULL: float32 holds every value */
    tu_steps_fn *steps;             /* NULL: nothing is predicted */
    tu_resolve_fn *resolve;         /* NULL: no block has a step */
    size_t grain;                   /* of what it makes */
    float scale;                    /* APR_Q8: of the whole tensor */
    float addend;                   /* added to every value; 0 unless set after the start */
};

/* head points to geometry->dtype->head bytes (may be NULL when there are none).  Fails for types
 * that do not decode to real numbers. */
int tu_decoder_init(struct tu_decoder *d, const struct tu_geometry *geometry,
                    const struct tu_kernels *kernels, const uint8_t *head,
                    struct tu_error *error) TU_MUST_CHECK;

/* Decodes elements [first, first + count) to out; span holds the bytes of tu_geometry_span for
 * that range. */
void tu_decode(const struct tu_decoder *d, const uint8_t *span, uint64_t first, size_t count,
               float *out);

/* Decodes n whole blocks. */
void tu_decode_blocks(const struct tu_decoder *d, const uint8_t *blocks, size_t n, float *out);

/* The same as tu_decode exactly, for any type: the value is hi[i] + lo[i] (kernels.h). */
void tu_decode_wide(const struct tu_decoder *d, const uint8_t *span, uint64_t first, size_t count,
                    double *hi, double *lo);

/* The sum over elements [first, first + count) of the square of each one's step (kernels.h), for a
 * type that predicts it; span as for tu_decode.  Of a block that the range cuts it is the share. */
double tu_steps(const struct tu_decoder *d, const uint8_t *span, uint64_t first, size_t count);

/* The inverse of the step of each element of [first, first + count) (kernels.h), for a type whose
 * blocks have one; span as for tu_decode. */
void tu_inverse_steps(const struct tu_decoder *d, const uint8_t *span, uint64_t first, size_t count,
                      float *inverse);
/* The same of n whole blocks: one number for each run of d->grain elements. */
void tu_inverse_steps_blocks(const struct tu_decoder *d, const uint8_t *blocks, size_t n,
                             float *inverse);

#endif
