/* SPDX-License-Identifier: MIT */
/* The kernels for each type of cache: machine code for some architectures, and PTX, all compressed.
 * Files are named as seen from where make runs. */
#include "config.h"

#include "compute/gpu.h"

#define EMBED(name, file)                                                                          \
    extern const uint8_t name[], name##_end[];                                                     \
    __asm__(".section .rodata, \"a\"\n"                                                            \
            ".globl " #name ", " #name "_end\n"                                                    \
            ".hidden " #name ", " #name "_end\n" #name ":\n"                                       \
            ".incbin \"lib/compute/cuda/attention-" file "\"\n" #name "_end:\n"                            \
            ".previous\n");

#define EMBED_CODE(type, architecture)                                                             \
    EMBED(tu_cuda_##type##_##architecture, #type "-" #architecture ".cubin.gz")
#define CODE(type, architecture)                                                                   \
    {tu_cuda_##type##_##architecture, tu_cuda_##type##_##architecture##_end, architecture},

#define IMAGES(type)                                                                               \
    TU_CUDA_ARCHITECTURES(EMBED_CODE, type)                                                        \
    EMBED(tu_cuda_##type##_ptx, #type ".ptx.gz")                                                   \
    const struct tu_gpu_image tu_cuda_##type[] = {                                                 \
        TU_CUDA_ARCHITECTURES(CODE, type){tu_cuda_##type##_ptx, tu_cuda_##type##_ptx_end, 0}};

extern const struct tu_gpu_image tu_cuda_f32[], tu_cuda_f16[], tu_cuda_bf16[];
IMAGES(f32)
IMAGES(f16)
IMAGES(bf16)
