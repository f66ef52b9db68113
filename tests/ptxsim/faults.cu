/* SPDX-License-Identifier: MIT */
/* Kernels that are wrong, each in one way, which has to be found. */
#include "kernels.h"

KERNEL missing_barrier(float *x)
{
    __shared__ float s[64];
    s[thread()] = x[thread()];
    x[thread()] = s[63 - thread()];
}

/* The second write of a loop comes while others may still read. */
KERNEL missing_second_barrier(float *x)
{
    __shared__ float s[64];
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        s[thread()] = x[thread()] + i;
        barrier();
        sum += s[63 - thread()];
    }
    x[thread()] = sum;
}

KERNEL beyond_end(float *x)
{
    x[thread() + 1] = 1;
}

KERNEL before_start(float *x, float *y)
{
    y[thread()] = x[thread() - 1];
}

KERNEL beyond_shared(float *x)
{
    __shared__ float s[64];
    s[thread() + (int)x[0]] = 1;
    barrier();
    x[thread()] = s[thread()];
}

KERNEL beyond_dynamic(float *x)
{
    extern __shared__ float dynamic[];
    dynamic[thread()] = 1;
    barrier();
    x[thread()] = dynamic[thread()];
}

KERNEL unwritten_shared(float *x)
{
    __shared__ float s[64];
    if (thread() < 63)
        s[thread()] = x[thread()];
    barrier();
    x[thread()] = s[thread()];
}

KERNEL unwritten_device(float *x, float *y)
{
    x[thread()] = y[thread()];
}

KERNEL divergent_barrier(float *x)
{
    __shared__ float s[64];
    s[thread()] = x[thread()];
    if (thread() & 1) {
        barrier();
        x[thread()] = s[thread() - 1];
    } else {
        x[thread()] = 2 * s[thread()];
        barrier();
    }
}

/* One warp waits where nobody comes any more. */
KERNEL deadlock(float *x)
{
    if (thread() < 32)
        asm volatile("bar.sync 1, 64;");
    x[thread()] = 1;
}

KERNEL misaligned(char *x)
{
    *(float *)(x + 4 * thread() + 2) = 1;
}

KERNEL endless(volatile float *x)
{
    while (x[thread()] == 0)
        x[thread()] = 0;
}

KERNEL lonely_shuffle(float *x)
{
    if (thread() < 16)
        x[thread()] = shuffle_xor(x[thread()], 1);
    barrier();
    x[thread() + 16] = 1;
}

KERNEL trapped(float *x)
{
    if (x[thread()] == 0)
        asm volatile("trap;");
}

/* Within a warp, too, lanes are ordered only by a barrier. */
KERNEL missing_warp_barrier(float *x)
{
    __shared__ volatile float s[64];
    s[thread()] = x[thread()];
    x[thread()] = s[thread() ^ 1];
}

KERNEL warp_barrier(float *x)
{
    __shared__ volatile float s[64];
    float sum = 0;
    for (int i = 0; i < 3; i++) {
        s[thread()] = x[thread()] + i;
        asm volatile("bar.warp.sync -1;" ::: "memory");
        sum += s[thread() ^ 1] + s[thread() & 32];
        asm volatile("bar.warp.sync -1;" ::: "memory");
    }
    x[thread()] = sum;
}

KERNEL missing_second_warp_barrier(float *x)
{
    __shared__ volatile float s[64];
    float sum = 0;
    for (int i = 0; i < 3; i++) {
        s[thread()] = x[thread()] + i;
        asm volatile("bar.warp.sync -1;" ::: "memory");
        sum += s[thread() & 32];
    }
    x[thread()] = sum;
}

KERNEL good(float *x)
{
    x[thread()] = 1;
}
