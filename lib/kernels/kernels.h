/* SPDX-License-Identifier: MIT */
/*
 * The hot loops: decode blocks, encode blocks, reduce two decoded runs.  Pure functions of their
 * arguments: no allocation, no I/O, no errors.
 *
 * Every source in this folder named in KERNEL_SOURCES (Makefile.am) is compiled once for each
 * instruction set with TU_ISA set to its name; all of them give the same bits.  kernels.c, which
 * is compiled once and without instruction-set flags, chooses among them.
 */
#ifndef TU_KERNELS_H
#define TU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "tensorutils/dtype.h"

#define TU_KERNEL_PASTE_(name, isa) tu_##name##_##isa
#define TU_KERNEL_PASTE(name, isa) TU_KERNEL_PASTE_(name, isa)
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

#endif
