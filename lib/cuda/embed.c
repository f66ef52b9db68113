/* SPDX-License-Identifier: MIT */
/* The kernels for each type of cache, as the text that the driver compiles.  Files are named as
 * seen from where make runs. */
#define EMBED(type)                                                                                \
    __asm__(".section .rodata, \"a\"\n"                                                            \
            ".globl tu_cuda_" #type "_ptx\n"                                                       \
            ".hidden tu_cuda_" #type "_ptx\n"                                                      \
            "tu_cuda_" #type "_ptx:\n"                                                             \
            ".incbin \"lib/cuda/attention-" #type ".ptx\"\n"                                       \
            ".byte 0\n"                                                                            \
            ".previous\n");

EMBED(f32)
EMBED(f16)
EMBED(bf16)
