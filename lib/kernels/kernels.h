/* SPDX-License-Identifier: MIT */
/*
 * The hot loops: decode blocks, encode blocks, reduce two decoded runs.  Pure functions of their
 * arguments: no allocation, no I/O, no errors.
 *
 * Every source in this folder named in KERNEL_SOURCES (lib/kernels/local.mk) is compiled once for
 * each instruction set with TU_ISA set to its name, but for avx512wide, which has some of its own
 * and shares the rest (TU_BASE); all of them give the same bits.  kernels.c, which is compiled once
 * and without instruction-set flags, chooses among them.
 */
#ifndef TU_KERNELS_H
#define TU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensorutils/dtype.h"

#define TU_KERNEL_PASTE_(name, isa) tu_##name##_##isa
#define TU_KERNEL_PASTE(name, isa)  TU_KERNEL_PASTE_(name, isa)
/* The name of a kernel in the instruction set that is being compiled. */
#define TU_KERNEL(name) TU_KERNEL_PASTE(name, TU_ISA)

/* Decodes n whole blocks at src (no alignment) to n * elements floats at dst.  Types that float32
 * cannot hold are rounded as a C cast rounds.  A value that belongs to the whole tensor (the head
 * of APR_Q8) is not applied here. */
typedef void tu_decode_fn(const uint8_t *restrict src, size_t n, float *restrict dst);

/* Decodes n elements of a TENSOR_DTYPE_WIDE type exactly: the value is hi[i] + lo[i], and lo is 0
 * for all but 64-bit integers beyond 2^53. */
typedef void tu_decode_wide_fn(const uint8_t *restrict src, size_t n, double *restrict hi,
                               double *restrict lo);

/* Encodes n whole blocks of floats at src to blocks at dst. */
typedef void tu_encode_fn(const float *restrict src, size_t n, uint8_t *restrict dst);

/* Lanes of a reduction: element i of a run adds to lane i % TU_LANES, whatever the instruction
 * set, so that the order of every sum is fixed. */
#define TU_LANES 16
/* Elements of a segment of a row, whose sums are added up one after another. */
#define TU_COMPARE_BLOCK 2048

/* What a reduction makes of two runs. */
struct tu_sums {
    double dot;     /* sum of a * b */
    double aa;      /* sum of a * a */
    double bb;      /* sum of b * b */
    double dd;      /* sum of (a - b)^2 */
    double ad;      /* sum of |a - b| */
    double apart;   /* sum of the squares of distances in steps, not cut off; 0 without steps */
    uint64_t equal; /* how many a == b */
    float max;      /* largest |a - b|, rounded to float32 */
    float farthest; /* the square of the largest distance in steps, of which infinity is one */
    bool beyond;    /* some relative difference may be beyond the bound */
};

/* The steps of a run: the inverse of that of each pair, of each 16 or of each 32. */
struct tu_run_steps {
    const float *inverse;
    size_t grain; /* 1, 16 or 32; 0: none are known */
};

/* Reduces n elements of two runs without NaN or infinity; lanes are added in halves (i and i + 8,
 * then i and i + 4, ...), those of distances in steps as float32.  beyond is set if |a - b| > bound
 * * max(|a|, |b|), in float32, of a pair, and may be if those two are equal and not 0; for a bound
 * of 1 it is set if the signs of a pair differ, which is the same without rounding; for one of 2
 * never, since nothing is beyond that. */
typedef void tu_reduce_fn(const float *restrict a, const float *restrict b, size_t n, float bound,
                          const struct tu_run_steps *steps, struct tu_sums *restrict out);
/* The largest |a - b|, or |a - b| / max(|a|, |b|), of such runs; 0 where there is none. */
typedef double tu_largest_fn(const float *restrict a, const float *restrict b, size_t n);

/* How a type of floats lies in float32: numbers from `least` on (as bits) are their bits without
 * the last `shift`, less `bias`; below, they are what their sum with `magic` has at its end. */
struct tu_ulp_type {
    uint32_t least, bias;
    int shift;
    float magic;
};

/* Distances in units of the last place are counted as 0, 1, 2, 3 to 4, 5 to 8 and so on. */
#define TU_ULP_BUCKETS 66

#define TU_COLUMNS     8
#define TU_STRIDE      32

/* The loops of full comparisons (full.h). */
struct tu_full_kernels {
    /* Adds how many |a - b| > 0.001, 0.01 and 0.1 * max(|a|, |b|), in float32. */
    void (*beyond)(const float *restrict a, const float *restrict b, size_t n, uint64_t counts[3]);
    /* Adds a * b, a^2, b^2 and (a - b)^2 of each element of some rows, which begin every `stride`
     * elements, to the sums of its column, which lie in groups: TU_COLUMNS sums of a * b, as many
     * of a^2 and so on. */
    void (*columns)(const float *restrict a, const float *restrict b, size_t rows, size_t width,
                    size_t stride, double *restrict sums);
    /* Of all pairs i with the same i % TU_STRIDE the largest magnitude, as bits, on either side,
     * and that of the second one. */
    void (*largest)(const float *restrict a, const float *restrict b, size_t n,
                    uint32_t largest[2][TU_STRIDE]);
    /* Adds how many pairs are in each bucket, given numbers that are of the type. */
    void (*ulps)(const float *restrict a, const float *restrict b, size_t n,
                 const struct tu_ulp_type *type, uint64_t *restrict buckets);
};

/* The loops of attention (attention.h). */
struct tu_attend_kernels {
    /* out[rows][keys] = q[r] . k[j]: element i of a row is q_stride (k_stride) floats behind that
     * of the row before.  Element i of the product adds to lane i % 16, lanes are added in halves.
     */
    void (*scores)(const float *restrict q, size_t q_stride, size_t rows, const float *restrict k,
                   size_t k_stride, size_t keys, size_t dim, float *restrict out);
    /* out[rows][dim] = sum over j of p[rows][keys] * v[j], in the order of the keys. */
    void (*weigh)(const float *restrict p, size_t rows, const float *restrict v, size_t v_stride,
                  size_t keys, size_t dim, float *restrict out);
    /* Whether none of them is infinite or NaN. */
    bool (*finite)(const float *restrict v, size_t n);
    /* s[i] = e^(s[i] - max) for s[i] <= max, to less than one unit in the last place; gives their
     * sum over 16 lanes. */
    float (*exp)(float *restrict s, size_t n, float max);
    /* The largest of them; NaN if one is NaN, -infinity if there are none. */
    float (*max)(const float *restrict s, size_t n);
    /* s[i] = cap * tanh(s[i] / cap) */
    void (*cap)(float *restrict s, size_t n, float cap);
};

/* One row of x in one of the types of activations, laid out for the products. */
struct tu_activation {
    const int8_t *codes;
    const float *scales; /* of each block: 256 codes in Q8_K, else 32 */
    const float *terms;  /* Q8_1: sum of a block's codes times its scale; else NULL */
    const int16_t *sums; /* Q8_K: of each 16 codes; else NULL */
    const int8_t *pairs; /* Q8_K: of each 16 codes those at 0 and 8, at 1 and 9, ...; else NULL */
};

/* X(ID, name, activation): quantized weights, and the type of activations that they are multiplied
 * with as integers. */
#define TU_DOT_TYPES(X)                                                                            \
    X(Q4_0, q4_0, Q8_0)                                                                            \
    X(Q4_1, q4_1, Q8_1)                                                                            \
    X(Q5_0, q5_0, Q8_0)                                                                            \
    X(Q5_1, q5_1, Q8_1)                                                                            \
    X(Q8_0, q8_0, Q8_0)                                                                            \
    X(Q2_K, q2_k, Q8_K)                                                                            \
    X(Q3_K, q3_k, Q8_K)                                                                            \
    X(Q4_K, q4_k, Q8_K)                                                                            \
    X(Q5_K, q5_k, Q8_K)                                                                            \
    X(Q6_K, q6_k, Q8_K)                                                                            \
    X(IQ2_XXS, iq2_xxs, Q8_K)                                                                      \
    X(IQ2_XS, iq2_xs, Q8_K)                                                                        \
    X(IQ2_S, iq2_s, Q8_K)                                                                          \
    X(IQ3_XXS, iq3_xxs, Q8_K)                                                                      \
    X(IQ3_S, iq3_s, Q8_K)                                                                          \
    X(IQ1_S, iq1_s, Q8_K)                                                                          \
    X(IQ1_M, iq1_m, Q8_K)                                                                          \
    X(IQ4_NL, iq4_nl, Q8_0)                                                                        \
    X(IQ4_XS, iq4_xs, Q8_K)                                                                        \
    X(TQ1_0, tq1_0, Q8_K)                                                                          \
    X(TQ2_0, tq2_0, Q8_K)                                                                          \
    X(MXFP4, mxfp4, Q8_0)                                                                          \
    X(NVFP4, nvfp4, Q8_0)                                                                          \
    X(Q1_0, q1_0, Q8_0)                                                                            \
    X(Q2_0, q2_0, Q8_0)

/* Multiplies a row of so many blocks at w (no alignment) with n rows of x: one number each. */
typedef void tu_dot_fn(const uint8_t *restrict w, size_t blocks, const struct tu_activation *x,
                       size_t n, float *restrict y);

/* Multiplies rows of decoded values with one row of x, in float64: element i of a row adds to lane
 * i % TU_LANES, then lanes are added in order. */
typedef void tu_dot64_fn(const float *restrict w, size_t rows, size_t columns,
                         const float *restrict x, double *restrict y);

/* The same with n rows of x that float32 does not hold: y[i * rows + r] is that of row r of w with
 * row i of x.  Products are rounded to float64. */
typedef void tu_dot64_wide_fn(const float *restrict w, size_t rows, size_t columns,
                              const double *restrict x, size_t n, double *restrict y);

/* The same in float32: products are rounded and added from left to right, in blocks of so many
 * columns first, and then block by block. */
typedef void tu_fold_fn(const float *restrict w, size_t rows, size_t columns, size_t block,
                        const float *restrict x, float *restrict y);

/* X(ID, name, most, grain): types whose blocks (APR_Q8: whose tensor) predict their noise, the
 * largest number that their binary16 scale is multiplied with, 0 where the scale is no binary16,
 * and how many elements that follow one another have one step at least: 32, 16 or 1. */
#define TU_STEPS_TYPES(X)                                                                          \
    X(Q4_0, q4_0, 8, 32)                                                                           \
    X(Q4_1, q4_1, 15, 32)                                                                          \
    X(Q5_0, q5_0, 16, 32)                                                                          \
    X(Q5_1, q5_1, 31, 32)                                                                          \
    X(Q8_0, q8_0, 127, 32)                                                                         \
    X(Q8_1, q8_1, 127, 32)                                                                         \
    X(Q2_K, q2_k, 45, 16)                                                                          \
    X(Q3_K, q3_k, 128, 16)                                                                         \
    X(Q4_K, q4_k, 945, 32)                                                                         \
    X(Q5_K, q5_k, 1953, 32)                                                                        \
    X(Q6_K, q6_k, 4096, 16)                                                                        \
    X(Q8_K, q8_k, 0, 32)                                                                           \
    X(IQ2_XXS, iq2_xxs, 167, 32)                                                                   \
    X(IQ2_XS, iq2_xs, 167, 16)                                                                     \
    X(IQ2_S, iq2_s, 167, 16)                                                                       \
    X(IQ3_XXS, iq3_xxs, 481, 32)                                                                   \
    X(IQ3_S, iq3_s, 465, 32)                                                                       \
    X(IQ1_S, iq1_s, 17, 32)                                                                        \
    X(IQ1_M, iq1_m, 17, 16)                                                                        \
    X(IQ4_NL, iq4_nl, 127, 1)                                                                      \
    X(IQ4_XS, iq4_xs, 4064, 1)                                                                     \
    X(MXFP4, mxfp4, 0, 1)                                                                          \
    X(NVFP4, nvfp4, 0, 1)                                                                          \
    X(APR_Q4, apr_q4, 8, 32)

/* X(ID, name, most, grain): types that predict no noise, since models are trained in them, but
 * whose levels have a distance; as above. */
#define TU_LEVELS_TYPES(X)                                                                         \
    X(TQ1_0, tq1_0, 1, 32)                                                                         \
    X(TQ2_0, tq2_0, 1, 32)                                                                         \
    X(Q1_0, q1_0, 1, 32)                                                                           \
    X(Q2_0, q2_0, 2, 32)

/* The sum over the elements of n whole blocks of the square of each one's step: twelve times the
 * square error that rounding to nearest is expected to make.  Block i adds to lane i % 8, then
 * lanes are added in halves.  A scale that belongs to the whole tensor counts as 1.  NaN or
 * infinite where a scale is. */
typedef double tu_steps_fn(const uint8_t *src, size_t n);

/* The step of an element is what its own block can tell apart there, as tensor-types(7) says under
 * STEPS OF ELEMENTS: the step above, but at least what one unit of a binary16 scale, or half a unit
 * of a sub-block's, moves the largest code, and the spacing of a minimum; so that rounding, scales
 * included, is never further than about half of one.  Of n whole blocks, the inverse of each one's:
 * one number for each run of `grain` elements of the type.  0 where a scale is infinite. */
typedef void tu_resolve_fn(const uint8_t *restrict src, size_t n, float *restrict inverse);

/* A type of floats as a grid: so many bits of mantissa, and the least exponent of normal numbers as
 * it stands in a float32. */
struct tu_float_grid {
    int mantissa, least;
};
/* The inverse of the spacing of the grid at each of n of its numbers; that of the smallest is what
 * it is from 2^-118 on, at least. */
typedef void tu_spacing_fn(const float *restrict values, size_t n, const struct tu_float_grid *grid,
                           float *restrict inverse);

/* Distances are cut off at so many steps before they are squared, so that a few numbers which a
 * quantizer gave up weigh little; from so many on they are far. */
#define TU_STEPS_MOST 2
#define TU_STEPS_FAR  16

/* What a reduction does not say of a run in which some pair is further apart than a step. */
struct tu_distances {
    double squares;       /* the sum of the squares of distances, cut off */
    uint32_t beyond, far; /* how many are more than 1, and at least TU_STEPS_FAR */
};
/* Of n finite pairs with steps.  Lanes are those of a reduction, of float32. */
typedef void tu_distances_fn(const float *restrict a, const float *restrict b,
                             const struct tu_run_steps *steps, size_t n,
                             struct tu_distances *restrict out);

/* inverse[i] becomes that of the root of the sum of the squares of two steps, given theirs. */
typedef void tu_join_steps_fn(float *restrict inverse, const float *restrict other, size_t n);

/* Sums of a column: of a * b, a^2 and b^2, each over the square of the step that the pair has, and
 * of the squares of distances, cut off. */
enum { TU_COLUMN_DOT, TU_COLUMN_AA, TU_COLUMN_BB, TU_COLUMN_SQUARES, TU_COLUMN_SUMS };
/* Adds a run of n pairs of one row to the sums of their columns: those of one kind follow one
 * another, and the next kind's lie `stride` floats behind. */
typedef void tu_column_distances_fn(const float *restrict a, const float *restrict b,
                                    const float *restrict inverse, size_t grain, size_t n,
                                    float *restrict sums, size_t stride);

/* The kernels of one instruction set. */
struct tu_kernels {
    const char *name;
    const char *base; /* the set whose kernels these are but for reduce, largest and full */
    tu_decode_fn *decode[TENSOR_DTYPE_LIMIT]; /* NULL: the type does not decode to reals */
    tu_decode_wide_fn *decode_wide[TENSOR_DTYPE_LIMIT]; /* TENSOR_DTYPE_WIDE types alone */
    tu_encode_fn *encode[TENSOR_DTYPE_LIMIT];   /* NULL: the type cannot be made from reals */
    tu_steps_fn *steps[TENSOR_DTYPE_LIMIT];     /* NULL: nothing is predicted */
    tu_resolve_fn *resolve[TENSOR_DTYPE_LIMIT]; /* NULL: blocks have no step */
    uint8_t grain[TENSOR_DTYPE_LIMIT];          /* of what resolve makes */
    tu_spacing_fn *spacing;
    tu_join_steps_fn *join_steps;
    tu_distances_fn *distances;
    tu_column_distances_fn *column_distances;
    tu_reduce_fn *reduce;
    tu_largest_fn *largest_diff, *largest_rel_diff;
    struct tu_full_kernels full;
    struct tu_attend_kernels attend;
    tu_dot_fn *dot[TENSOR_DTYPE_LIMIT]; /* of a type of weights; NULL: not as integers */
    tu_dot64_fn *dot64;
    tu_dot64_wide_fn *dot64_wide;
    tu_fold_fn *fold;
};

/* What was built, the widest vectors first, with what this machine can run; i from 0 until NULL
 * comes. */
const struct tu_kernels *tu_kernels_built(size_t i, bool *supported);

/* The best that this machine can run and gains from, or the one of a name; NULL if the name is
 * unknown or the machine cannot run it. */
const struct tu_kernels *tu_kernels_choose(const char *name);

#endif
