/* SPDX-License-Identifier: MIT */
/* The calls of the driver about memory: of the host, of the device, and copies between them. */
#include "config.h"

#include "host.h"

#include <stdlib.h>
#include <string.h>

/* ---- host memory ---- */

struct pinned {
    const uint8_t *start;
    uint64_t size;
    bool owned; /* allocated by cuMemAllocHost */
    struct pinned *next;
};
static struct pinned *pinned;

bool is_pinned(const void *host, uint64_t size)
{
    for (const struct pinned *p = pinned; p; p = p->next)
        if ((const uint8_t *)host >= p->start && (const uint8_t *)host + size <= p->start + p->size)
            return true;
    return false;
}

static void pin(void *start, uint64_t size, bool owned)
{
    struct pinned *p = malloc(sizeof *p);
    if (!p)
        abort();
    *p = (struct pinned){.start = start, .size = size, .owned = owned, .next = pinned};
    pinned = p;
}

static bool unpin(const void *start, bool owned)
{
    for (struct pinned **p = &pinned; *p; p = &(*p)->next) {
        if ((*p)->start == start && (*p)->owned == owned) {
            struct pinned *old = *p;
            *p = old->next;
            free(old);
            return true;
        }
    }
    return false;
}

CALL cuMemAllocHost_v2(void **start, size_t size)
{
    BEGIN(A_CONTEXT);
    if (!start || !size)
        return end(CUDA_ERROR_INVALID_VALUE);
    *start = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    if (!*start)
        return end(CUDA_ERROR_OUT_OF_MEMORY);
    pin(*start, size, true);
    return end(CUDA_SUCCESS);
}

CALL cuMemHostAlloc(void **start, size_t size, unsigned flags)
{
    (void)flags;
    return cuMemAllocHost_v2(start, size);
}

CALL cuMemFreeHost(void *start)
{
    BEGIN(A_CONTEXT);
    CUresult r = context_finish(context());
    if (!unpin(start, true))
        return end(CUDA_ERROR_INVALID_VALUE);
    free(start);
    return end(r);
}

CALL cuMemHostRegister_v2(void *start, size_t size, unsigned flags)
{
    BEGIN(A_CONTEXT);
    (void)flags;
    if (!start || !size)
        return end(CUDA_ERROR_INVALID_VALUE);
    if (is_pinned(start, 1))
        return end(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    pin(start, size, false);
    return end(CUDA_SUCCESS);
}

CALL cuMemHostRegister(void *start, size_t size, unsigned flags)
{
    return cuMemHostRegister_v2(start, size, flags);
}

CALL cuMemHostUnregister(void *start)
{
    BEGIN(A_CONTEXT);
    CUresult r = context_finish(context());
    return end(unpin(start, false) ? r : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

/* ---- device memory ---- */

CALL cuMemGetInfo_v2(size_t *unused, size_t *total)
{
    BEGIN(A_CONTEXT);
    *total = device_total();
    *unused = *total - device_used();
    return end(CUDA_SUCCESS);
}

CALL cuMemAlloc_v2(CUdeviceptr *address, size_t size)
{
    BEGIN(A_CONTEXT);
    if (!address || !size)
        return end(CUDA_ERROR_INVALID_VALUE);
    *address = device_allocate(size, context(), false);
    return end(*address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}

CALL cuMemFree_v2(CUdeviceptr address)
{
    BEGIN(A_CONTEXT);
    CUresult r = context_finish(context());
    if (!device_free(address, context()))
        return end(CUDA_ERROR_INVALID_VALUE);
    return end(r);
}

/* Both ends of a copy are looked at when it is asked for. */
static CUresult add_copy(CUstream s, struct work w)
{
    bool device_only = w.kind == COPY_DEVICE || w.kind == FILL;
    if (!find_stream(&s))
        return CUDA_ERROR_INVALID_HANDLE;
    if (w.size == 0)
        return CUDA_SUCCESS;
    if (!device_bytes(w.device, w.size) || (!device_only && !w.host) ||
        (w.kind == COPY_DEVICE && !device_bytes(w.device_from, w.size)))
        return CUDA_ERROR_INVALID_VALUE;
    return stream_add(context(), s, w);
}

static CUresult copy_in(CUdeviceptr to, const void *from, size_t size, CUstream s)
{
    return add_copy(
        s, (struct work){
               .kind = COPY_IN, .device = to, .host = (void *)(uintptr_t)from, .size = size});
}

CALL cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size)
{
    BEGIN(A_CONTEXT);
    return end(copy_in(to, from, size, NULL));
}

CALL cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream s)
{
    BEGIN(A_CONTEXT);
    return end(copy_in(to, from, size, s));
}

static CUresult copy_out(void *to, CUdeviceptr from, size_t size, CUstream s)
{
    return add_copy(s, (struct work){.kind = COPY_OUT, .device = from, .host = to, .size = size});
}

CALL cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size)
{
    BEGIN(A_CONTEXT);
    return end(copy_out(to, from, size, NULL));
}

CALL cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream s)
{
    BEGIN(A_CONTEXT);
    return end(copy_out(to, from, size, s));
}

static CUresult copy_device(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream s)
{
    return add_copy(
        s, (struct work){.kind = COPY_DEVICE, .device = to, .device_from = from, .size = size});
}

CALL cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size)
{
    BEGIN(A_CONTEXT);
    return end(copy_device(to, from, size, NULL));
}

CALL cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream s)
{
    BEGIN(A_CONTEXT);
    return end(copy_device(to, from, size, s));
}

static CUresult fill(CUdeviceptr to, uint32_t value, unsigned element, size_t count, CUstream s)
{
    if (to % element || count > SIZE_MAX / element)
        return CUDA_ERROR_INVALID_VALUE;
    return add_copy(s, (struct work){.kind = FILL,
                                     .device = to,
                                     .value = value,
                                     .element = element,
                                     .size = count * element});
}

CALL cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count)
{
    BEGIN(A_CONTEXT);
    return end(fill(to, value, 1, count, NULL));
}

CALL cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream s)
{
    BEGIN(A_CONTEXT);
    return end(fill(to, value, 1, count, s));
}

CALL cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count)
{
    BEGIN(A_CONTEXT);
    return end(fill(to, value, 4, count, NULL));
}

CALL cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream s)
{
    BEGIN(A_CONTEXT);
    return end(fill(to, value, 4, count, s));
}
