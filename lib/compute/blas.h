/* SPDX-License-Identifier: MIT */
/* The BLAS, which multiplies in the threads that call it. */
#ifndef TU_BLAS_H
#define TU_BLAS_H

/* Ends the threads that OpenBLAS has started when it was loaded: they wait for work by turning
 * round and round, for some 30 ms, on processors that ours could have.  To be called before its
 * products. */
void tu_blas_alone(void);

#endif
