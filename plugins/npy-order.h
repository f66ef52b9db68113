/* SPDX-License-Identifier: MIT */
/* Arrays whose data is big-endian or in Fortran order, brought into the order of all others. */
#ifndef TENSORUTILS_NPY_ORDER_H
#define TENSORUTILS_NPY_ORDER_H

#include "npy-header.h"

/* An array as it is to be: little-endian, in C order, with a header that says so. */
struct npy_plain {
    struct npy_layout layout; /* as it is */
    bool foreign;             /* it is not so yet */
    uint64_t size; /* header and data, as they will be; of one that is not foreign, are */
    uint8_t header[NPY_HEADER_MAX];
    size_t header_length;
};

/* What the array has to become; -1 with the error made.  Of what is foreign the user is told what
 * is odd, since the header that says it goes. */
int npy_plan(struct tensor_reader *r, const struct npy_array *array, struct npy_plain *out);
/* Gives it to tensor_unwrapped() so, header and data; what is not foreign, as it is. */
int npy_emit(struct tensor_reader *r, const struct npy_array *array, const struct npy_plain *plain);

#endif
