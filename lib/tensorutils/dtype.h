/* SPDX-License-Identifier: MIT */
/*
 * The table of element types.  One row a type; every other list of types in the project is made
 * from it.  To add one: append a row here and write its decoder in lib/kernels/decode.c.
 */
#ifndef TENSORUTILS_DTYPE_H
#define TENSORUTILS_DTYPE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tensor_kind {
    TENSOR_KIND_FLOAT,   /* one IEEE-like number an element */
    TENSOR_KIND_INT,     /* integers, signed or not */
    TENSOR_KIND_BOOL,    /* one byte, 0 or not 0 */
    TENSOR_KIND_QUANT,   /* blocks of small integers with their scales */
    TENSOR_KIND_COMPLEX, /* pairs of floats; stored and hashed, but not decoded to real values */
};

/* Flags of a type. */
#define TENSOR_DTYPE_FLAT 1u  /* blocks run over the flat tensor, not along rows */
#define TENSOR_DTYPE_WIDE 2u  /* float32 cannot hold its values; comparisons use float64 */
#define TENSOR_DTYPE_WHOLE 4u /* no partial last block: the element count must be whole blocks */

/*
 * X(ID, name, code, elements, bytes, head, kind, flags, ggml)
 *   ID        enumerator is TENSOR_<ID>; also the name shown to users and used on the wire
 *   name      suffix of the kernels: tu_decode_<name>
 *   code      number of the type in the plugin interface; never reused
 *   elements  elements of one block (1 for plain types)
 *   bytes     bytes of one block
 *   head      bytes before the first block that belong to the whole tensor
 *   ggml      the type's number in GGUF files, -1 where it has none
 * Layouts and formulas are those of tensor-types(7).
 */
#define TENSOR_DTYPES(X)                                                                           \
    X(F64, f64, 1, 1, 8, 0, FLOAT, TENSOR_DTYPE_WIDE, 28)                                          \
    X(F32, f32, 2, 1, 4, 0, FLOAT, 0, 0)                                                           \
    X(F16, f16, 3, 1, 2, 0, FLOAT, 0, 1)                                                           \
    X(BF16, bf16, 4, 1, 2, 0, FLOAT, 0, 30)                                                        \
    X(F8_E4M3, f8_e4m3, 5, 1, 1, 0, FLOAT, 0, -1)                                                  \
    X(F8_E5M2, f8_e5m2, 6, 1, 1, 0, FLOAT, 0, -1)                                                  \
    X(F8_E4M3FNUZ, f8_e4m3fnuz, 12, 1, 1, 0, FLOAT, 0, -1)                                         \
    X(F8_E5M2FNUZ, f8_e5m2fnuz, 13, 1, 1, 0, FLOAT, 0, -1)                                         \
    X(F8_E8M0, f8_e8m0, 7, 1, 1, 0, FLOAT, 0, -1)                                                  \
    X(F6_E2M3, f6_e2m3, 8, 4, 3, 0, FLOAT, TENSOR_DTYPE_FLAT | TENSOR_DTYPE_WHOLE, -1)             \
    X(F6_E3M2, f6_e3m2, 9, 4, 3, 0, FLOAT, TENSOR_DTYPE_FLAT | TENSOR_DTYPE_WHOLE, -1)             \
    X(F4, f4, 10, 2, 1, 0, FLOAT, TENSOR_DTYPE_FLAT | TENSOR_DTYPE_WHOLE, -1)                      \
    X(C64, c64, 11, 1, 8, 0, COMPLEX, 0, -1)                                                       \
    X(I64, i64, 16, 1, 8, 0, INT, TENSOR_DTYPE_WIDE, 27)                                           \
    X(I32, i32, 17, 1, 4, 0, INT, TENSOR_DTYPE_WIDE, 26)                                           \
    X(I16, i16, 18, 1, 2, 0, INT, 0, 25)                                                           \
    X(I8, i8, 19, 1, 1, 0, INT, 0, 24)                                                             \
    X(U64, u64, 20, 1, 8, 0, INT, TENSOR_DTYPE_WIDE, -1)                                           \
    X(U32, u32, 21, 1, 4, 0, INT, TENSOR_DTYPE_WIDE, -1)                                           \
    X(U16, u16, 22, 1, 2, 0, INT, 0, -1)                                                           \
    X(U8, u8, 23, 1, 1, 0, INT, 0, -1)                                                             \
    X(BOOL, bool, 24, 1, 1, 0, BOOL, 0, -1)                                                        \
    X(Q4_0, q4_0, 32, 32, 18, 0, QUANT, 0, 2)                                                      \
    X(Q4_1, q4_1, 33, 32, 20, 0, QUANT, 0, 3)                                                      \
    X(Q5_0, q5_0, 34, 32, 22, 0, QUANT, 0, 6)                                                      \
    X(Q5_1, q5_1, 35, 32, 24, 0, QUANT, 0, 7)                                                      \
    X(Q8_0, q8_0, 36, 32, 34, 0, QUANT, 0, 8)                                                      \
    X(Q8_1, q8_1, 37, 32, 36, 0, QUANT, 0, 9)                                                      \
    X(Q2_K, q2_k, 38, 256, 84, 0, QUANT, 0, 10)                                                    \
    X(Q3_K, q3_k, 39, 256, 110, 0, QUANT, 0, 11)                                                   \
    X(Q4_K, q4_k, 40, 256, 144, 0, QUANT, 0, 12)                                                   \
    X(Q5_K, q5_k, 41, 256, 176, 0, QUANT, 0, 13)                                                   \
    X(Q6_K, q6_k, 42, 256, 210, 0, QUANT, 0, 14)                                                   \
    X(Q8_K, q8_k, 43, 256, 292, 0, QUANT, 0, 15)                                                   \
    X(IQ2_XXS, iq2_xxs, 44, 256, 66, 0, QUANT, 0, 16)                                              \
    X(IQ2_XS, iq2_xs, 45, 256, 74, 0, QUANT, 0, 17)                                                \
    X(IQ3_XXS, iq3_xxs, 46, 256, 98, 0, QUANT, 0, 18)                                              \
    X(IQ1_S, iq1_s, 47, 256, 50, 0, QUANT, 0, 19)                                                  \
    X(IQ4_NL, iq4_nl, 48, 32, 18, 0, QUANT, 0, 20)                                                 \
    X(IQ3_S, iq3_s, 49, 256, 110, 0, QUANT, 0, 21)                                                 \
    X(IQ2_S, iq2_s, 50, 256, 82, 0, QUANT, 0, 22)                                                  \
    X(IQ4_XS, iq4_xs, 51, 256, 136, 0, QUANT, 0, 23)                                               \
    X(IQ1_M, iq1_m, 52, 256, 56, 0, QUANT, 0, 29)                                                  \
    X(TQ1_0, tq1_0, 53, 256, 54, 0, QUANT, 0, 34)                                                  \
    X(TQ2_0, tq2_0, 54, 256, 66, 0, QUANT, 0, 35)                                                  \
    X(MXFP4, mxfp4, 55, 32, 17, 0, QUANT, 0, 39)                                                   \
    X(NVFP4, nvfp4, 56, 64, 36, 0, QUANT, 0, 40)                                                   \
    X(Q1_0, q1_0, 57, 128, 18, 0, QUANT, 0, 41)                                                    \
    X(Q2_0, q2_0, 58, 64, 18, 0, QUANT, 0, 42)                                                     \
    X(APR_Q4, apr_q4, 64, 32, 18, 0, QUANT, TENSOR_DTYPE_FLAT, -1)                                 \
    X(APR_Q8, apr_q8, 65, 1, 1, 4, QUANT, TENSOR_DTYPE_FLAT, -1)

enum tensor_dtype {
    TENSOR_DTYPE_NONE = 0,
#define TENSOR_DTYPE_ENUM(ID, name, code, ...) TENSOR_##ID = code,
    TENSOR_DTYPES(TENSOR_DTYPE_ENUM)
#undef TENSOR_DTYPE_ENUM
    TENSOR_DTYPE_LIMIT = 96 /* more than every code, those from 80 on are not for files */
};

#ifdef __cplusplus
}
#endif
#endif
