/* SPDX-License-Identifier: MIT */
/* OpenBLAS without threads of its own: ours divide the work, in an order that is stated. */
#include "config.h"

#include "compute/blas.h"

#include <cblas.h>
#include <pthread.h>

/* OpenBLAS calls this before a fork.  No header has it; builds without threads do not have it. */
extern int blas_thread_shutdown_(void) __attribute__((weak));

static void end_threads(void)
{
    openblas_set_num_threads(1); /* first: it may start them again */
    if (blas_thread_shutdown_)
        blas_thread_shutdown_();
}

void tu_blas_alone(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, end_threads);
}
