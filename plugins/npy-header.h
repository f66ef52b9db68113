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
    bool optional;         /* what is no array of numbers is left out, and no error */
};

/* What the header of an array says. */
struct npy_layout {
    uint32_t dtype, rank;
    uint64_t shape[TENSOR_MAX_RANK];
    uint64_t data, nbytes; /* where the data begins in the file; its size as type and shape say */
    bool turned;           /* big-endian */
    bool transposed;       /* Fortran order, which is not that of C here */
};

/* Reads the header: 1; 0 where the array is optional and holds no numbers; -1 with the error made.
 * Only where loud is true the user is told of what is odd, or left out. */
int npy_read(struct tensor_reader *r, const struct npy_array *array, bool loud,
             struct npy_layout *out);
/* Reads the header and adds the array, which is neither turned nor transposed, as a tensor; the
 * same results. */
int npy_add(struct tensor_reader *r, const struct npy_array *array);

/* The header that numpy 1.24 writes for an array, of version 1.0: its length, a multiple of 64.
 * Types that numpy has no name for have that of ml_dtypes. */
#define NPY_HEADER_MAX 576u
size_t npy_make_header(const struct tensor_entry *entry, uint8_t out[NPY_HEADER_MAX]);

/* numpy's name of a type, as "<f4"; NULL if it has none. */
const char *npy_type_name(uint32_t dtype);

#endif
