/* SPDX-License-Identifier: MIT */
/* The numbers and types of the driver's interface that are used here. */
#ifndef PTXSIM_DRIVER_H
#define PTXSIM_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#define CUDA_RESULTS(_)                                                                            \
    _(CUDA_SUCCESS, 0, "no error")                                                                 \
    _(CUDA_ERROR_INVALID_VALUE, 1, "invalid argument")                                             \
    _(CUDA_ERROR_OUT_OF_MEMORY, 2, "out of memory")                                                \
    _(CUDA_ERROR_NOT_INITIALIZED, 3, "initialization error")                                       \
    _(CUDA_ERROR_DEINITIALIZED, 4, "driver shutting down")                                         \
    _(CUDA_ERROR_STUB_LIBRARY, 34, "CUDA driver is a stub library")                                \
    _(CUDA_ERROR_DEVICE_UNAVAILABLE, 46, "CUDA-capable device(s) is/are busy or unavailable")      \
    _(CUDA_ERROR_NO_DEVICE, 100, "no CUDA-capable device is detected")                             \
    _(CUDA_ERROR_INVALID_DEVICE, 101, "invalid device ordinal")                                    \
    _(CUDA_ERROR_INVALID_IMAGE, 200, "device kernel image is invalid")                             \
    _(CUDA_ERROR_INVALID_CONTEXT, 201, "invalid device context")                                   \
    _(CUDA_ERROR_NO_BINARY_FOR_GPU, 209,                                                           \
      "no kernel image is available for execution on the device")                                  \
    _(CUDA_ERROR_ECC_UNCORRECTABLE, 214, "uncorrectable ECC error encountered")                    \
    _(CUDA_ERROR_INVALID_PTX, 218, "a PTX JIT compilation failed")                                 \
    _(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, 222,                                                     \
      "the provided PTX was compiled with an unsupported toolchain.")                              \
    _(CUDA_ERROR_INVALID_SOURCE, 300, "device kernel image is invalid")                            \
    _(CUDA_ERROR_FILE_NOT_FOUND, 301, "file not found")                                            \
    _(CUDA_ERROR_INVALID_HANDLE, 400, "invalid resource handle")                                   \
    _(CUDA_ERROR_ILLEGAL_STATE, 401, "the operation cannot be performed in the present state")     \
    _(CUDA_ERROR_NOT_FOUND, 500, "named symbol not found")                                         \
    _(CUDA_ERROR_NOT_READY, 600, "device not ready")                                               \
    _(CUDA_ERROR_ILLEGAL_ADDRESS, 700, "an illegal memory access was encountered")                 \
    _(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701, "too many resources requested for launch")          \
    _(CUDA_ERROR_LAUNCH_TIMEOUT, 702, "the launch timed out and was terminated")                   \
    _(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, 712,                                              \
      "part or all of the requested memory range is already mapped")                               \
    _(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, 713,                                                  \
      "pointer does not correspond to a registered memory region")                                 \
    _(CUDA_ERROR_ILLEGAL_INSTRUCTION, 715, "an illegal instruction was encountered")               \
    _(CUDA_ERROR_MISALIGNED_ADDRESS, 716, "misaligned address")                                    \
    _(CUDA_ERROR_INVALID_PC, 718, "invalid program counter")                                       \
    _(CUDA_ERROR_LAUNCH_FAILED, 719, "unspecified launch failure")                                 \
    _(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, 803,                                                      \
      "system has unsupported display driver / cuda driver combination")                           \
    _(CUDA_ERROR_NOT_SUPPORTED, 801, "operation not supported")                                    \
    _(CUDA_ERROR_UNKNOWN, 999, "unknown error")

#define CUDA_RESULT(name, number, text) name = (number),
typedef enum { CUDA_RESULTS(CUDA_RESULT) } CUresult;
#undef CUDA_RESULT

typedef int CUdevice;
typedef uint64_t CUdeviceptr;
typedef struct context *CUcontext;
typedef struct module_handle *CUmodule;
typedef struct function *CUfunction;
typedef struct stream *CUstream;
typedef struct event *CUevent;

typedef struct {
    char bytes[16];
} CUuuid;

enum {
    CU_JIT_INFO_LOG_BUFFER = 3,
    CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES = 4,
    CU_JIT_ERROR_LOG_BUFFER = 5,
    CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
};

enum {
    CU_FUNC_MAX_THREADS_PER_BLOCK,
    CU_FUNC_SHARED_SIZE_BYTES,
    CU_FUNC_CONST_SIZE_BYTES,
    CU_FUNC_LOCAL_SIZE_BYTES,
    CU_FUNC_NUM_REGS,
    CU_FUNC_PTX_VERSION,
    CU_FUNC_BINARY_VERSION,
    CU_FUNC_CACHE_MODE_CA,
    CU_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES,
    CU_FUNC_PREFERRED_SHARED_MEMORY_CARVEOUT,
};

enum { CU_STREAM_NON_BLOCKING = 1, CU_EVENT_BLOCKING_SYNC = 1, CU_EVENT_DISABLE_TIMING = 2 };

/* Ends a list of extra launch arguments; the addresses of a buffer of parameters and its size. */
#define CU_LAUNCH_PARAM_END            ((void *)0)
#define CU_LAUNCH_PARAM_BUFFER_POINTER ((void *)1)
#define CU_LAUNCH_PARAM_BUFFER_SIZE    ((void *)2)

/* The calls, as they are exported. */
CUresult cuMemAllocHost_v2(void **start, size_t size);
CUresult cuMemHostAlloc(void **start, size_t size, unsigned flags);
CUresult cuMemFreeHost(void *start);
CUresult cuMemHostRegister_v2(void *start, size_t size, unsigned flags);
CUresult cuMemHostRegister(void *start, size_t size, unsigned flags);
CUresult cuMemHostUnregister(void *start);
CUresult cuInit(unsigned flags);
CUresult cuDriverGetVersion(int *version);
CUresult cuDeviceGetCount(int *count);
CUresult cuDeviceGet(CUdevice *device, int ordinal);
CUresult cuDeviceGetName(char *name, int size, CUdevice device);
CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device);
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device);
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device);
CUresult cuDeviceGetAttribute(int *value, int number, CUdevice device);
CUresult cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice device);
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device);
CUresult cuCtxCreate_v2(CUcontext *c, unsigned flags, CUdevice device);
CUresult cuCtxDestroy_v2(CUcontext c);
CUresult cuCtxSetCurrent(CUcontext c);
CUresult cuCtxGetCurrent(CUcontext *c);
CUresult cuCtxPushCurrent_v2(CUcontext c);
CUresult cuCtxPopCurrent_v2(CUcontext *c);
CUresult cuCtxGetDevice(CUdevice *device);
CUresult cuCtxSynchronize(void);
CUresult cuMemGetInfo_v2(size_t *unused, size_t *total);
CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size);
CUresult cuMemFree_v2(CUdeviceptr address);
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size);
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream s);
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size);
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream s);
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size);
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream s);
CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count);
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream s);
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count);
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream s);
CUresult cuModuleLoadDataEx(CUmodule *handle, const void *image, unsigned count, const int *options,
                            void **values);
CUresult cuModuleLoadData(CUmodule *handle, const void *image);
CUresult cuModuleUnload(CUmodule m);
CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name);
CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *size, CUmodule m, const char *name);
CUresult cuFuncGetAttribute(int *value, int number, CUfunction f);
CUresult cuFuncSetAttribute(CUfunction f, int number, int value);
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction f, int threads,
                                                     size_t dynamic);
CUresult cuLaunchKernel(CUfunction f, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                        CUstream s, void **parameters, void **extra);
CUresult cuStreamCreate(CUstream *s, unsigned flags);
CUresult cuStreamDestroy_v2(CUstream s);
CUresult cuStreamSynchronize(CUstream s);
CUresult cuStreamQuery(CUstream s);
CUresult cuStreamWaitEvent(CUstream s, CUevent e, unsigned flags);
CUresult cuEventCreate(CUevent *e, unsigned flags);
CUresult cuEventDestroy_v2(CUevent e);
CUresult cuEventRecord(CUevent e, CUstream s);
CUresult cuEventSynchronize(CUevent e);
CUresult cuEventQuery(CUevent e);
CUresult cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to);
CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent from, CUevent to);
CUresult cuGetErrorName(CUresult code, const char **name);
CUresult cuGetErrorString(CUresult code, const char **text);
CUresult cuGetProcAddress_v2(const char *name, void **address, int version, uint64_t flags,
                             int *status);

#endif
