/* SPDX-License-Identifier: MIT */
/* Big-endian tensor data: which bytes of a block are numbers whose order must be turned. */
#ifndef TENSORUTILS_GGUF_SWAP_H
#define TENSORUTILS_GGUF_SWAP_H

#include <stddef.h>
#include <stdint.h>

struct type_row;

/* Whether blocks of a type hold numbers of several bytes; -1 where that is not known. */
int gguf_swaps(const struct type_row *type);

/* Turns the numbers of so many blocks in place, from either order to the other. */
void gguf_swap(const struct type_row *type, uint8_t *blocks, size_t count);

#endif
