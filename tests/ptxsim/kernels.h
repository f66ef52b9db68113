/* SPDX-License-Identifier: MIT */
/* What nvcc has of its own, for a clang without the CUDA toolkit. */
#ifndef PTXSIM_KERNELS_H
#define PTXSIM_KERNELS_H

#ifdef __clang__
#define __global__   __attribute__((global))
#define __device__   __attribute__((device))
#define __shared__   __attribute__((shared))
#define __constant__ __attribute__((constant))
#define NEVER_INLINE __attribute__((noinline))
#define barrier()    __nvvm_bar_sync(0)
typedef float float4 __attribute__((ext_vector_type(4)));
#else
#define NEVER_INLINE __noinline__
#define barrier()    __syncthreads()
#endif

#define KERNEL extern "C" __global__ void

#define SPECIAL(name, special)                                                                     \
    static __device__ inline int name(void)                                                        \
    {                                                                                              \
        int value;                                                                                 \
        asm("mov.u32 %0, %" special ";" : "=r"(value));                                            \
        return value;                                                                              \
    }
SPECIAL(thread, "%tid.x")
SPECIAL(thread_y, "%tid.y")
SPECIAL(threads, "%ntid.x")
SPECIAL(block, "%ctaid.x")
SPECIAL(block_y, "%ctaid.y")
SPECIAL(lane, "%laneid")

static __device__ inline float shuffle_xor(float x, int by)
{
    float y;
    asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, -1;" : "=f"(y) : "f"(x), "r"(by));
    return y;
}

static __device__ inline float exp2_approx(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

static __device__ inline float from_half(unsigned short h)
{
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(h));
    return y;
}

static __device__ inline float from_bfloat(unsigned short b)
{
    float y;
    asm("mov.b32 %0, {%1, %2};" : "=f"(y) : "h"((unsigned short)0), "h"(b));
    return y;
}

#endif
