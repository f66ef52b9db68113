/* SPDX-License-Identifier: MIT */
/* The header of numpy's .npy, which .npz holds, too. */
#ifndef TENSORUTILS_NPY_HEADER_H
#define TENSORUTILS_NPY_HEADER_H

#include "tensorutils/format.h"

struct npy_header {
    uint32_t dtype;
    uint32_t rank;
    uint64_t shape[TENSOR_MAX_RANK];
    uint64_t length; /* bytes before the data */
};

/* Reads the header that begins at a byte of the file and must end before another. */
int npy_read_header(struct tensor_reader *r, uint64_t at, uint64_t end, struct npy_header *out);

/* numpy's name of a type, as "<f4"; NULL if it has none. */
const char *npy_type_name(uint32_t dtype);

#endif
