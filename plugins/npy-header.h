/* SPDX-License-Identifier: MIT */
/* One array as numpy stores it, a whole .npy file or a member of a .npz. */
#ifndef TENSORUTILS_NPY_HEADER_H
#define TENSORUTILS_NPY_HEADER_H

#include "tensorutils/format.h"

#define NPY_MAGIC       "\x93NUMPY"
#define NPY_MAGIC_BYTES 6u

struct npy_array {
    const char *name; /* must not come from tensor_peek */
    size_t name_length;
    uint64_t offset, size; /* of header and data, inside the file */
};

/* Reads the header and adds the array as a tensor. */
int npy_add(struct tensor_reader *r, const struct npy_array *array);

/* The header that numpy 1.24 writes for an array, of version 1.0: its length, a multiple of 64. */
#define NPY_HEADER_MAX 576u
size_t npy_make_header(const struct tensor_entry *entry, uint8_t out[NPY_HEADER_MAX]);

/* numpy's name of a type, as "<f4"; NULL if it has none. */
const char *npy_type_name(uint32_t dtype);

#endif
