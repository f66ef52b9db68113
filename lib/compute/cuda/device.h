/* SPDX-License-Identifier: MIT */
/*
 * What CUDA's own headers would give, for nvcc and for a clang without the CUDA toolkit.  Inline
 * PTX wherever both take it, so that both compile the same kernels.
 */
#ifndef TU_CUDA_DEVICE_H
#define TU_CUDA_DEVICE_H

#ifdef __clang__
#define __global__                 __attribute__((global))
#define __device__                 __attribute__((device))
#define __shared__                 __attribute__((shared))
#define TU_BOUNDS(threads, blocks) __attribute__((launch_bounds(threads, blocks)))
#define TU_INLINE                  static inline __device__ __attribute__((always_inline))
#define TU_MEMBER                  static __device__ __attribute__((always_inline))
typedef float float4 __attribute__((ext_vector_type(4)));
typedef unsigned int uint4 __attribute__((ext_vector_type(4)));
#else
#define TU_BOUNDS(threads, blocks) __launch_bounds__(threads, blocks)
#define TU_INLINE                  static __device__ __forceinline__
#define TU_MEMBER                  static __device__ __forceinline__
#endif

typedef unsigned long long tu_address; /* in device memory */

#define TU_INFINITY __builtin_huge_valf()

#define TU_SPECIAL(name, special)                                                                  \
    TU_INLINE unsigned int name(void)                                                              \
    {                                                                                              \
        unsigned int value;                                                                        \
        asm("mov.u32 %0, %" special ";" : "=r"(value));                                            \
        return value;                                                                              \
    }
TU_SPECIAL(tu_thread, "%tid.x")
TU_SPECIAL(tu_block, "%ctaid.x")

/* ---- Together ---- */

TU_INLINE void tu_block_barrier(void)
{
    asm volatile("bar.sync 0;" ::: "memory");
}

TU_INLINE void tu_warp_barrier(void)
{
    asm volatile("bar.warp.sync 0xffffffff;" ::: "memory");
}

/* The value of the lane whose number differs in these bits. */
TU_INLINE float tu_across(float value, unsigned int bits)
{
    float other;
    asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;"
                 : "=f"(other)
                 : "f"(value), "r"(bits));
    return other;
}

TU_INLINE bool tu_any(bool holds)
{
    unsigned int result;
    asm volatile("{ .reg .pred p, r; setp.ne.u32 p, %1, 0; vote.sync.any.pred r, p, 0xffffffff; "
                 "selp.u32 %0, 1, 0, r; }"
                 : "=r"(result)
                 : "r"((unsigned int)holds));
    return result;
}

/* ---- Device memory ---- */

TU_INLINE float tu_load(tu_address from)
{
    float value;
    asm volatile("ld.global.f32 %0, [%1];" : "=f"(value) : "l"(from));
    return value;
}

TU_INLINE float4 tu_load4(tu_address from)
{
    float4 value;
    asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(value.x), "=f"(value.y), "=f"(value.z), "=f"(value.w)
                 : "l"(from));
    return value;
}

/* 16 bytes of what no kernel writes. */
TU_INLINE uint4 tu_load_bytes(tu_address from)
{
    uint4 value;
    asm volatile("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "l"(from));
    return value;
}

TU_INLINE void tu_store(tu_address to, float value)
{
    asm volatile("st.global.f32 [%0], %1;" ::"l"(to), "f"(value) : "memory");
}

TU_INLINE void tu_store4(tu_address to, float4 value)
{
    asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(value.x), "f"(value.y),
                 "f"(value.z), "f"(value.w)
                 : "memory");
}

/* ---- Numbers ---- */

TU_INLINE float tu_fma(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

/* By value: of two variables, clang would choose the address, which keeps them out of registers. */
TU_INLINE float tu_either(bool first, float a, float b)
{
    return first ? +a : +b;
}

/* Of a number and NaN, the number. */
TU_INLINE float tu_max(float a, float b)
{
    return __builtin_fmaxf(a, b);
}

/* 2 to the power of x, exact for 0; at most 2 units in the last place off. */
TU_INLINE float tu_exp2(float x)
{
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

TU_INLINE float tu_bits_float(unsigned int bits)
{
    float value;
    asm("mov.b32 %0, %1;" : "=f"(value) : "r"(bits));
    return value;
}

TU_INLINE float4 tu_float4(float x, float y, float z, float w)
{
    float4 value;
    value.x = x, value.y = y, value.z = z, value.w = w;
    return value;
}

/* ---- Element types of caches ---- */

/* 16 bytes of a cache as numbers. */
struct tu_f32 {
    enum { bytes = 4, elements = 4 };
    TU_MEMBER void decode(uint4 raw, float *out)
    {
        out[0] = tu_bits_float(raw.x), out[1] = tu_bits_float(raw.y);
        out[2] = tu_bits_float(raw.z), out[3] = tu_bits_float(raw.w);
    }
};

struct tu_f16 {
    enum { bytes = 2, elements = 8 };
    TU_MEMBER void pair(unsigned int bits, float *out)
    {
        asm("{ .reg .b16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h; }"
            : "=f"(out[0]), "=f"(out[1])
            : "r"(bits));
    }
    TU_MEMBER void decode(uint4 raw, float *out)
    {
        pair(raw.x, out), pair(raw.y, out + 2), pair(raw.z, out + 4), pair(raw.w, out + 6);
    }
};

struct tu_bf16 {
    enum { bytes = 2, elements = 8 };
    TU_MEMBER void pair(unsigned int bits, float *out)
    {
        out[0] = tu_bits_float(bits << 16);
        out[1] = tu_bits_float(bits & 0xffff0000);
    }
    TU_MEMBER void decode(uint4 raw, float *out)
    {
        pair(raw.x, out), pair(raw.y, out + 2), pair(raw.z, out + 4), pair(raw.w, out + 6);
    }
};

#endif
