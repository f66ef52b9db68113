/* SPDX-License-Identifier: MIT */
/* The table of hot loops of one instruction set, which the rest of the library calls through. */
#include "config.h"

#include "kernels/kernels.h"
#include "kernels/made.h"

#undef bool /* the name of a type below, which must not be expanded */

/* The set whose kernels are used where this one has none of its own. */
#ifndef TU_BASE
#define TU_BASE TU_ISA
#endif
#define BASE_KERNEL(name) TU_KERNEL_PASTE(name, TU_BASE)

/* Every row of the table of types has a decoder, but for complex numbers. */
#define DECODER_FLOAT(name)   BASE_KERNEL(decode_##name)
#define DECODER_INT(name)     BASE_KERNEL(decode_##name)
#define DECODER_BOOL(name)    BASE_KERNEL(decode_##name)
#define DECODER_QUANT(name)   BASE_KERNEL(decode_##name)
#define DECODER_COMPLEX(name) NULL

#define DECLARE_FLOAT(name)   extern tu_decode_fn BASE_KERNEL(decode_##name);
#define DECLARE_INT(name)     DECLARE_FLOAT(name)
#define DECLARE_BOOL(name)    DECLARE_FLOAT(name)
#define DECLARE_QUANT(name)   DECLARE_FLOAT(name)
#define DECLARE_COMPLEX(name)

#define DECLARE(ID, name, code, elements, bytes, head, kind, flags, ggml) DECLARE_##kind(name)
TENSOR_DTYPES(DECLARE)

#define WIDE_TYPES(X)          X(F64, f64) X(I64, i64) X(U64, u64) X(I32, i32) X(U32, u32)
#define DECLARE_WIDE(ID, name) extern tu_decode_wide_fn BASE_KERNEL(decode_wide_##name);
WIDE_TYPES(DECLARE_WIDE)

/* Types that have a defined or own quantizer. */
#define ENCODED_TYPES(X)                                                                           \
    X(F64, f64)                                                                                    \
    X(F32, f32)                                                                                    \
    X(F16, f16)                                                                                    \
    X(BF16, bf16)                                                                                  \
    X(Q4_0, q4_0)                                                                                  \
    X(Q4_1, q4_1)                                                                                  \
    X(Q5_0, q5_0)                                                                                  \
    X(Q5_1, q5_1)                                                                                  \
    X(Q8_0, q8_0)                                                                                  \
    X(Q8_1, q8_1)                                                                                  \
    X(Q2_K, q2_k)                                                                                  \
    X(Q3_K, q3_k)                                                                                  \
    X(Q4_K, q4_k)                                                                                  \
    X(Q5_K, q5_k)                                                                                  \
    X(Q6_K, q6_k)                                                                                  \
    X(Q8_K, q8_k)                                                                                  \
    X(TQ1_0, tq1_0)                                                                                \
    X(TQ2_0, tq2_0)                                                                                \
    X(MXFP4, mxfp4)                                                                                \
    X(NVFP4, nvfp4)                                                                                \
    X(IQ4_NL, iq4_nl)                                                                              \
    X(IQ4_XS, iq4_xs)                                                                              \
    X(Q1_0, q1_0)                                                                                  \
    X(Q2_0, q2_0)                                                                                  \
    X(APR_Q4, apr_q4)
#define DECLARE_ENCODER(ID, name) extern tu_encode_fn BASE_KERNEL(encode_##name);
ENCODED_TYPES(DECLARE_ENCODER)

#define DECLARE_DOT(ID, name, activation) extern tu_dot_fn BASE_KERNEL(dot_##name);
TU_DOT_TYPES(DECLARE_DOT)

#define STEPS_TYPES(X)                         TU_STEPS_TYPES(X) X(APR_Q8, apr_q8, 0, 1)
#define DECLARE_STEPS(ID, name, most, grain)   extern tu_steps_fn BASE_KERNEL(steps_##name);
#define DECLARE_RESOLVE(ID, name, most, grain) extern tu_resolve_fn BASE_KERNEL(resolve_##name);
STEPS_TYPES(DECLARE_STEPS)
STEPS_TYPES(DECLARE_RESOLVE)
TU_LEVELS_TYPES(DECLARE_RESOLVE)

extern tu_decode_fn BASE_KERNEL(decode_made);
extern tu_steps_fn BASE_KERNEL(steps_made);
extern tu_resolve_fn BASE_KERNEL(resolve_made);

extern tu_spacing_fn BASE_KERNEL(spacing);
extern tu_join_steps_fn BASE_KERNEL(join_steps);
extern tu_distances_fn BASE_KERNEL(distances);
extern tu_column_distances_fn BASE_KERNEL(column_distances);

extern tu_reduce_fn TU_KERNEL(reduce);
extern tu_largest_fn TU_KERNEL(largest_diff), TU_KERNEL(largest_rel_diff);
extern tu_dot64_fn BASE_KERNEL(dot64);
extern tu_dot64_wide_fn BASE_KERNEL(dot64_wide);
extern tu_fold_fn BASE_KERNEL(fold);

/* As the members of struct tu_full_kernels. */
extern __typeof__(*((struct tu_full_kernels *)0)->beyond) TU_KERNEL(full_beyond);
extern __typeof__(*((struct tu_full_kernels *)0)->columns) TU_KERNEL(full_columns);
extern __typeof__(*((struct tu_full_kernels *)0)->largest) TU_KERNEL(full_largest);
extern __typeof__(*((struct tu_full_kernels *)0)->ulps) TU_KERNEL(full_ulps);

/* As the members of struct tu_attend_kernels. */
extern __typeof__(*((struct tu_attend_kernels *)0)->scores) BASE_KERNEL(attend_scores);
extern __typeof__(*((struct tu_attend_kernels *)0)->weigh) BASE_KERNEL(attend_weigh);
extern __typeof__(*((struct tu_attend_kernels *)0)->finite) BASE_KERNEL(attend_finite);
extern __typeof__(*((struct tu_attend_kernels *)0)->exp) BASE_KERNEL(attend_exp);
extern __typeof__(*((struct tu_attend_kernels *)0)->max) BASE_KERNEL(attend_max);
extern __typeof__(*((struct tu_attend_kernels *)0)->cap) BASE_KERNEL(attend_cap);

#define NAME_OF_(isa) #isa
#define NAME_OF(isa)  NAME_OF_(isa)

extern const struct tu_kernels TU_KERNEL(kernels);
const struct tu_kernels TU_KERNEL(kernels) = {
    .name = NAME_OF(TU_ISA),
    .base = NAME_OF(TU_BASE),
    .decode =
        {
#define ROW(ID, name, code, elements, bytes, head, kind, flags, ggml)                              \
    [TENSOR_##ID] = DECODER_##kind(name),
            TENSOR_DTYPES(ROW)
#undef ROW
#define ROW(ID, name, code) [TU_##ID] = BASE_KERNEL(decode_made),
                TU_MADE_TYPES(ROW)
#undef ROW
        },
    .decode_wide =
        {
#define ROW(ID, name) [TENSOR_##ID] = BASE_KERNEL(decode_wide_##name),
            WIDE_TYPES(ROW)
#undef ROW
        },
    .encode =
        {
#define ROW(ID, name) [TENSOR_##ID] = BASE_KERNEL(encode_##name),
            ENCODED_TYPES(ROW)
#undef ROW
        },
    .steps =
        {
#define ROW(ID, name, most, grain) [TENSOR_##ID] = BASE_KERNEL(steps_##name),
            STEPS_TYPES(ROW)
#undef ROW
#define ROW(ID, name, code) [TU_##ID] = BASE_KERNEL(steps_made),
                TU_MADE_TYPES(ROW)
#undef ROW
        },
    .resolve =
        {
#define ROW(ID, name, most, grain) [TENSOR_##ID] = BASE_KERNEL(resolve_##name),
            STEPS_TYPES(ROW) TU_LEVELS_TYPES(ROW)
#undef ROW
#define ROW(ID, name, code) [TU_##ID] = BASE_KERNEL(resolve_made),
                TU_MADE_TYPES(ROW)
#undef ROW
        },
    .grain =
        {
#define ROW(ID, name, most, grain) [TENSOR_##ID] = (grain),
            STEPS_TYPES(ROW) TU_LEVELS_TYPES(ROW)
#undef ROW
#define ROW(ID, name, code) [TU_##ID] = 1,
                TU_MADE_TYPES(ROW)
#undef ROW
        },
    .spacing = BASE_KERNEL(spacing),
    .join_steps = BASE_KERNEL(join_steps),
    .distances = BASE_KERNEL(distances),
    .column_distances = BASE_KERNEL(column_distances),
    .reduce = TU_KERNEL(reduce),
    .largest_diff = TU_KERNEL(largest_diff),
    .largest_rel_diff = TU_KERNEL(largest_rel_diff),
    .full = {TU_KERNEL(full_beyond), TU_KERNEL(full_columns), TU_KERNEL(full_largest),
             TU_KERNEL(full_ulps)},
    .attend = {BASE_KERNEL(attend_scores), BASE_KERNEL(attend_weigh), BASE_KERNEL(attend_finite),
               BASE_KERNEL(attend_exp), BASE_KERNEL(attend_max), BASE_KERNEL(attend_cap)},
    .dot =
        {
#define ROW(ID, name, activation) [TENSOR_##ID] = BASE_KERNEL(dot_##name),
            TU_DOT_TYPES(ROW)
#undef ROW
        },
    .dot64 = BASE_KERNEL(dot64),
    .dot64_wide = BASE_KERNEL(dot64_wide),
    .fold = BASE_KERNEL(fold),
};
