/* SPDX-License-Identifier: MIT */
/* A program's side of the driver: libcuda.so.1 as the loader finds it, and what tests need of it.
 */
#ifndef PTXSIM_CALLS_H
#define PTXSIM_CALLS_H

#include "driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *calls_library;

static void *calls_find(const char *name)
{
    if (!calls_library && !(calls_library = dlopen("libcuda.so.1", RTLD_NOW))) {
        printf("Bail out! %s\n", dlerror());
        exit(99);
    }
    void *found = dlsym(calls_library, name);
    if (!found) {
        printf("Bail out! libcuda.so.1 has no %s\n", name);
        exit(99);
    }
    return found;
}

/* CU(cuInit)(0) */
#define CU(name) ((__typeof__(name) *)calls_find(#name))

/* A file's text, which nobody frees. */
static char *calls_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 22);
    if (!f || !text || fread(text, 1, (1 << 22) - 1, f) == 0) {
        printf("Bail out! %s cannot be read\n", path);
        exit(99);
    }
    fclose(f);
    return text;
}

__attribute__((unused)) static CUdeviceptr calls_upload(const void *bytes, size_t size)
{
    CUdeviceptr p = 0;
    if (CU(cuMemAlloc_v2)(&p, size) || (bytes && CU(cuMemcpyHtoD_v2)(p, bytes, size)))
        return 0;
    return p;
}

/* A module of a file, in a context of its own, which becomes the current one. */
__attribute__((unused)) static CUmodule calls_module(const char *path)
{
    static CUcontext c;
    CUmodule m = NULL;
    char log[1024] = "";
    int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    char *text = calls_read(path);
    if (c)
        CU(cuCtxDestroy_v2)(c);
    CUresult r = CU(cuInit)(0);
    r = r ? r : CU(cuCtxCreate_v2)(&c, 0, 0);
    r = r ? r : CU(cuModuleLoadDataEx)(&m, text, 2, options, values);
    free(text);
    if (r)
        printf("# %s: %d %s\n", path, r, log);
    return r ? NULL : m;
}

/* A launch, and waiting for its end. */
__attribute__((unused)) static CUresult
calls_run(CUmodule m, const char *name, const unsigned shape[4], unsigned shared, void **parameters)
{
    CUfunction f;
    CUresult r = m ? CU(cuModuleGetFunction)(&f, m, name) : CUDA_ERROR_INVALID_HANDLE;
    if (r == CUDA_SUCCESS)
        r = CU(cuLaunchKernel)(f, shape[0], shape[1], 1, shape[2], shape[3], 1, shared, NULL,
                               parameters, NULL);
    return r ? r : CU(cuCtxSynchronize)();
}

#endif
