/* SPDX-License-Identifier: MIT */
/* Compressed APR files: everything after the 64-byte header is one LZ4 block or zstd frame. */
#ifndef TENSORUTILS_APR_EXPAND_H
#define TENSORUTILS_APR_EXPAND_H

#include "tensorutils/format.h"

/* Appends the plain form of the bytes from offset to the end of the file, by tensor_unwrapped.
 * LZ4: a u32 that states the plain size, then one raw block; zstd: one frame or more.  Neither may
 * grow beyond what is stated, or beyond what such a compression can make of so few bytes. */
int apr_expand_lz4(struct tensor_reader *r, uint64_t offset);
int apr_expand_zstd(struct tensor_reader *r, uint64_t offset);

#endif
