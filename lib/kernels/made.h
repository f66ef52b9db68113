/* SPDX-License-Identifier: MIT */
/*
 * Types that no file has: those of weights that are made of several tensors, as packed checkpoints
 * keep them.  An element is two float32, its value and its step (kernels.h); PACKED alone is bytes
 * that nobody here can read.  They are named and judged as types are.
 */
#ifndef TU_MADE_H
#define TU_MADE_H

/* X(ID, name, code): integers of so many bits with a scale and perhaps a zero; a table of sixteen
 * levels; floats with a scale; -1, 0 and 1. */
#define TU_MADE_TYPES(X)                                                                           \
    X(INT1, int1, 80)                                                                              \
    X(INT2, int2, 81)                                                                              \
    X(INT3, int3, 82)                                                                              \
    X(INT4, int4, 83)                                                                              \
    X(INT5, int5, 84)                                                                              \
    X(INT6, int6, 85)                                                                              \
    X(INT7, int7, 86)                                                                              \
    X(INT8, int8, 87)                                                                              \
    X(NF4, nf4, 88)                                                                                \
    X(FP4, fp4, 89)                                                                                \
    X(FP6, fp6, 90)                                                                                \
    X(FP8, fp8, 91)                                                                                \
    X(TERNARY, ternary, 92)

enum tu_made {
#define TU_MADE_ENUM(ID, name, code) TU_##ID = code,
    TU_MADE_TYPES(TU_MADE_ENUM)
#undef TU_MADE_ENUM
        TU_PACKED = 93
};

/* Bytes of an element of those with a step. */
enum { TU_MADE_BYTES = 8 };

#endif
