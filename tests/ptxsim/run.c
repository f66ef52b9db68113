/* SPDX-License-Identifier: MIT */
/*
 * usage: run MODULE KERNEL THREADS SHARED [BYTES]...
 * Launches one block, its parameters being buffers of so many bytes, which are 0 (or with a minus,
 * never written).  Prints what the launch, the wait for its end and the call after that give.
 */
#include "config.h"

#include "calls.h"

enum { BUFFERS = 8 };

static const char *name_of(CUresult r)
{
    const char *name = NULL;
    CU(cuGetErrorName)(r, &name);
    return name ? name : "?";
}

static CUdeviceptr buffer(const char *bytes)
{
    long n = labs(atol(bytes));
    CUdeviceptr p = calls_upload(NULL, (size_t)n);
    if (bytes[0] != '-')
        CU(cuMemsetD8_v2)(p, 0, (size_t)n);
    return p;
}

int main(int argc, char **argv)
{
    CUdeviceptr buffers[BUFFERS];
    void *parameters[BUFFERS];
    CUfunction f;
    CUmodule m = argc > 4 ? calls_module(argv[1]) : NULL;
    if (!m || CU(cuModuleGetFunction)(&f, m, argv[2]))
        return 2;
    for (int i = 5; i < argc && i < 5 + BUFFERS; i++) {
        buffers[i - 5] = buffer(argv[i]);
        parameters[i - 5] = &buffers[i - 5];
    }
    CUresult r = CU(cuLaunchKernel)(f, 1, 1, 1, (unsigned)atoi(argv[3]), 1, 1,
                                    (unsigned)atoi(argv[4]), NULL, parameters, NULL);
    printf("%s", name_of(r));
    printf(" %s", name_of(CU(cuCtxSynchronize)()));
    printf(" %s\n", name_of(CU(cuMemAlloc_v2)(&buffers[0], 1)));
    return 0;
}
