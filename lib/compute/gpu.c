/* SPDX-License-Identifier: MIT */
/* A CUDA device by its driver, which is loaded when somebody wants it. */
#include "config.h"

#include "compute/gpu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/text.h"

/* The driver's interface, as NVIDIA documents it: calls, and the numbers of what they take and
 * give. All handles are pointers but for devices, which are numbers, and addresses. */
#define DRIVER_CALLS(X)                                                                            \
    X(cuInit, (unsigned flags))                                                                    \
    X(cuGetErrorName, (int result, const char **name))                                             \
    X(cuGetErrorString, (int result, const char **text))                                           \
    X(cuDeviceGetCount, (int *count))                                                              \
    X(cuDeviceGet, (int *device, int number))                                                      \
    X(cuDeviceGetName, (char *name, int size, int device))                                         \
    X(cuDeviceGetAttribute, (int *value, int attribute, int device))                               \
    X(cuDeviceTotalMem_v2, (size_t * bytes, int device))                                           \
    X(cuDevicePrimaryCtxRetain, (void **context, int device))                                      \
    X(cuDevicePrimaryCtxRelease_v2, (int device))                                                  \
    X(cuCtxSetCurrent, (void *context))                                                            \
    X(cuMemGetInfo_v2, (size_t * available, size_t * total))                                       \
    X(cuMemAlloc_v2, (tu_gpu_address * address, size_t bytes))                                     \
    X(cuMemFree_v2, (tu_gpu_address address))                                                      \
    X(cuMemcpyHtoDAsync_v2, (tu_gpu_address to, const void *from, size_t bytes, void *stream))     \
    X(cuMemcpyDtoHAsync_v2, (void *to, tu_gpu_address from, size_t bytes, void *stream))           \
    X(cuStreamCreate, (void **stream, unsigned flags))                                             \
    X(cuStreamDestroy_v2, (void *stream))                                                          \
    X(cuStreamSynchronize, (void *stream))                                                         \
    X(cuStreamWaitEvent, (void *stream, void *event, unsigned flags))                              \
    X(cuEventCreate, (void **event, unsigned flags))                                               \
    X(cuEventDestroy_v2, (void *event))                                                            \
    X(cuEventRecord, (void *event, void *stream))                                                  \
    X(cuEventSynchronize, (void *event))                                                           \
    X(cuEventElapsedTime, (float *milliseconds, void *start, void *end))                           \
    X(cuModuleLoadDataEx,                                                                          \
      (void **module, const void *image, unsigned count, int *options, void **values))             \
    X(cuModuleUnload, (void *module))                                                              \
    X(cuModuleGetFunction, (void **function, void *module, const char *name))                      \
    X(cuFuncSetAttribute, (void *function, int attribute, int value))                              \
    X(cuOccupancyMaxActiveBlocksPerMultiprocessor,                                                 \
      (int *blocks, void *function, int threads, size_t shared))                                   \
    X(cuLaunchKernel,                                                                              \
      (void *function, unsigned x, unsigned y, unsigned z, unsigned block_x, unsigned block_y,     \
       unsigned block_z, unsigned shared, void *stream, void **parameters, void **extra))

enum {
    SUCCESS = 0,
    ERROR_OUT_OF_MEMORY = 2,
    ERROR_UNSUPPORTED_PTX_VERSION = 222,

    /* Kernels' errors, which break the context. */
    ERROR_ECC_UNCORRECTABLE = 214,
    ERROR_ILLEGAL_ADDRESS = 700,
    ERROR_LAUNCH_TIMEOUT = 702,
    ERROR_ASSERT = 710,
    ERROR_HARDWARE_STACK_ERROR = 714,
    ERROR_LAUNCH_FAILED = 719,
    ERROR_UNKNOWN = 999,

    ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    ATTRIBUTE_MEMORY_CLOCK_RATE = 36, /* kHz */
    ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH = 37,
    ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
    FUNCTION_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
    STREAM_NON_BLOCKING = 1,
    JIT_ERROR_LOG_BUFFER = 5,
    JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,

    GZIP = 16 + MAX_WBITS, /* zlib's number for that format */
};

struct tu_gpu_driver {
#define MEMBER(name, parameters) int(*name) parameters;
    DRIVER_CALLS(MEMBER)
#undef MEMBER
};

/* The driver cannot be unloaded and initialized again, so that there is one for the process. */
static struct {
    pthread_once_t once;
    struct tu_gpu_driver driver;
    struct tu_error error;
} shared = {.once = PTHREAD_ONCE_INIT};

/* Why a call failed: "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected". */
static void explain(const struct tu_gpu_driver *d, int result, char *out, size_t size)
{
    const char *name = NULL, *text = NULL;
    if (d->cuGetErrorName(result, &name) != SUCCESS || !name) {
        snprintf(out, size, "CUDA error %d", result);
        return;
    }
    if (d->cuGetErrorString(result, &text) != SUCCESS || !text)
        text = "";
    snprintf(out, size, "%s%s%s", name, *text ? ": " : "", text);
}

static int find_calls(void *library, struct tu_gpu_driver *d, struct tu_error *error)
{
    static const struct {
        const char *name;
        size_t offset;
    } calls[] = {
#define CALL(name, parameters) {#name, offsetof(struct tu_gpu_driver, name)},
        DRIVER_CALLS(CALL)
#undef CALL
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *call = dlsym(library, calls[i].name);
        if (!call)
            return tu_fail(error, TU_EIO,
                           "no CUDA device (libcuda.so.1 has no %s: too old a driver)",
                           calls[i].name);
        memcpy((char *)d + calls[i].offset, &call, sizeof call);
    }
    return 0;
}

static void load_driver(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        tu_fail(&shared.error, TU_EIO, "no CUDA device (%s)", dlerror());
        return;
    }
    if (find_calls(library, &shared.driver, &shared.error) < 0)
        return;
    int result = shared.driver.cuInit(0);
    char why[256];
    if (result == SUCCESS)
        return;
    explain(&shared.driver, result, why, sizeof why);
    tu_fail(&shared.error, TU_EIO, "no CUDA device (%s)", why);
}

static const struct tu_gpu_driver *find_driver(struct tu_error *error)
{
    pthread_once(&shared.once, load_driver);
    if (shared.error.code == TU_OK)
        return &shared.driver;
    tu_fail(error, shared.error.code, "%s", shared.error.text);
    return NULL;
}

/* ---- Devices ---- */

static int fail_device(const struct tu_gpu_driver *d, int number, int result,
                       struct tu_error *error)
{
    char why[256];
    explain(d, result, why, sizeof why);
    return tu_fail(error, TU_EIO, "CUDA device %d: %s", number, why);
}

int tu_gpu_count(int *count, struct tu_error *error)
{
    const struct tu_gpu_driver *d = find_driver(error);
    if (!d)
        return -1;
    int result = d->cuDeviceGetCount(count);
    if (result != SUCCESS)
        return fail_device(d, 0, result, error);
    if (*count == 0)
        return tu_fail(error, TU_EIO, "no CUDA device (the driver knows of none)");
    return 0;
}

static int attribute(const struct tu_gpu_driver *d, int handle, int which)
{
    int value = 0;
    return d->cuDeviceGetAttribute(&value, which, handle) == SUCCESS && value > 0 ? value : 0;
}

/* Data goes at both edges of the memory's clock. */
static double bandwidth(const struct tu_gpu_driver *d, int handle)
{
    return 2e3 * attribute(d, handle, ATTRIBUTE_MEMORY_CLOCK_RATE) *
           attribute(d, handle, ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH) / 8;
}

static int find_device(const struct tu_gpu_driver *d, int number, int *handle,
                       struct tu_error *error)
{
    int count;
    if (tu_gpu_count(&count, error) < 0)
        return -1;
    if (number < 0 || number >= count)
        return tu_fail(error, TU_EUSAGE, "no CUDA device %d (there %s %d, the first is 0)", number,
                       count == 1 ? "is" : "are", count);
    int result = d->cuDeviceGet(handle, number);
    return result == SUCCESS ? 0 : fail_device(d, number, result, error);
}

int tu_gpu_describe(int number, struct tu_gpu_device *device, struct tu_error *error)
{
    const struct tu_gpu_driver *d = find_driver(error);
    int handle, result;
    size_t memory;
    if (!d || find_device(d, number, &handle, error) < 0)
        return -1;
    memset(device, 0, sizeof *device);
    if ((result = d->cuDeviceGetName(device->name, sizeof device->name, handle)) != SUCCESS ||
        (result = d->cuDeviceTotalMem_v2(&memory, handle)) != SUCCESS)
        return fail_device(d, number, result, error);
    device->memory = memory;
    device->major = attribute(d, handle, ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    device->minor = attribute(d, handle, ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    device->multiprocessors = attribute(d, handle, ATTRIBUTE_MULTIPROCESSOR_COUNT);
    device->shared_memory =
        (uint64_t)attribute(d, handle, ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    device->bandwidth = bandwidth(d, handle);
    return 0;
}

int tu_gpu_open(struct tu_gpu *gpu, int number, struct tu_error *error)
{
    memset(gpu, 0, sizeof *gpu);
    int handle;
    if (tu_gpu_describe(number, &gpu->device, error) < 0)
        return -1;
    gpu->driver = find_driver(error);
    if (find_device(gpu->driver, number, &handle, error) < 0)
        return -1;
    gpu->number = handle;
    int result = gpu->driver->cuDevicePrimaryCtxRetain(&gpu->context, handle);
    if (result != SUCCESS)
        return fail_device(gpu->driver, number, result, error);
    if (tu_gpu_use(gpu, error) < 0) {
        tu_gpu_close(gpu);
        return -1;
    }
    return 0;
}

void tu_gpu_close(struct tu_gpu *gpu)
{
    gpu->driver->cuDevicePrimaryCtxRelease_v2(gpu->number);
}

/* ---- Results of calls ---- */

static bool breaks(int result)
{
    return result == ERROR_ECC_UNCORRECTABLE || result == ERROR_ILLEGAL_ADDRESS ||
           result == ERROR_LAUNCH_TIMEOUT || result == ERROR_ASSERT || result == ERROR_UNKNOWN ||
           (result >= ERROR_HARDWARE_STACK_ERROR && result <= ERROR_LAUNCH_FAILED);
}

/* The result of a call for what: 0, or the error. */
static int check(struct tu_gpu *gpu, int result, const char *what, struct tu_error *error)
{
    if (result == SUCCESS)
        return 0;
    char why[256];
    explain(gpu->driver, result, why, sizeof why);
    if (breaks(result)) {
        /* Whichever call says so, it is the kernel's doing. */
        what = *gpu->launched ? gpu->launched : what;
        tu_fail(&gpu->broken, TU_EIO, "%s: %s", what, why);
    }
    return tu_fail(error, result == ERROR_OUT_OF_MEMORY ? TU_ENOMEM : TU_EIO, "%s: %s", what, why);
}

/* Whether calls may still be made. */
static bool works(const struct tu_gpu *gpu, struct tu_error *error)
{
    if (gpu->broken.code == TU_OK)
        return true;
    tu_fail(error, gpu->broken.code, "%s", gpu->broken.text);
    return false;
}

/* A call, unless the context is broken. */
#define CALL(gpu, what, error, name, ...)                                                          \
    (works(gpu, error) ? check(gpu, (gpu)->driver->name(__VA_ARGS__), what, error) : -1)

int tu_gpu_use(struct tu_gpu *gpu, struct tu_error *error)
{
    return CALL(gpu, "CUDA context", error, cuCtxSetCurrent, gpu->context);
}

/* ---- Memory ---- */

int tu_gpu_free_memory(struct tu_gpu *gpu, uint64_t *bytes, struct tu_error *error)
{
    size_t available = 0, total;
    if (CALL(gpu, "device memory", error, cuMemGetInfo_v2, &available, &total) < 0)
        return -1;
    *bytes = available;
    return 0;
}

int tu_gpu_fail_memory(uint64_t needed, uint64_t available, struct tu_error *error)
{
    char want[TU_NUMBER_SIZE], have[TU_NUMBER_SIZE];
    tu_format_bytes(needed, want);
    tu_format_bytes(available, have);
    return tu_fail(error, TU_ENOMEM, "device memory: %s needed, %s free", want, have);
}

int tu_gpu_alloc(struct tu_gpu *gpu, uint64_t bytes, tu_gpu_address *out, struct tu_error *error)
{
    uint64_t available = 0;
    if (!works(gpu, error))
        return -1;
    int result = gpu->driver->cuMemAlloc_v2(out, bytes);
    if (result != ERROR_OUT_OF_MEMORY)
        return check(gpu, result, "device memory", error);
    if (tu_gpu_free_memory(gpu, &available, error) < 0)
        return -1;
    return tu_gpu_fail_memory(bytes, available, error);
}

void tu_gpu_free(struct tu_gpu *gpu, tu_gpu_address address)
{
    if (address)
        gpu->driver->cuMemFree_v2(address);
}

/* ---- Streams and events ---- */

int tu_gpu_stream(struct tu_gpu *gpu, void **out, struct tu_error *error)
{
    return CALL(gpu, "CUDA stream", error, cuStreamCreate, out, STREAM_NON_BLOCKING);
}

void tu_gpu_stream_free(struct tu_gpu *gpu, void *stream)
{
    if (stream)
        gpu->driver->cuStreamDestroy_v2(stream);
}

int tu_gpu_finish(struct tu_gpu *gpu, void *stream, struct tu_error *error)
{
    if (CALL(gpu, "CUDA device", error, cuStreamSynchronize, stream) < 0)
        return -1;
    *gpu->launched = '\0';
    return 0;
}

int tu_gpu_event(struct tu_gpu *gpu, void **out, struct tu_error *error)
{
    return CALL(gpu, "CUDA event", error, cuEventCreate, out, 0);
}

void tu_gpu_event_free(struct tu_gpu *gpu, void *event)
{
    if (event)
        gpu->driver->cuEventDestroy_v2(event);
}

int tu_gpu_record(struct tu_gpu *gpu, void *event, void *stream, struct tu_error *error)
{
    return CALL(gpu, "CUDA event", error, cuEventRecord, event, stream);
}

int tu_gpu_after(struct tu_gpu *gpu, void *stream, void *event, struct tu_error *error)
{
    return CALL(gpu, "CUDA event", error, cuStreamWaitEvent, stream, event, 0);
}

int tu_gpu_elapsed(struct tu_gpu *gpu, void *start, void *end, double *milliseconds,
                   struct tu_error *error)
{
    float elapsed = 0;
    if (CALL(gpu, "CUDA device", error, cuEventSynchronize, end) < 0 ||
        CALL(gpu, "CUDA event", error, cuEventElapsedTime, &elapsed, start, end) < 0)
        return -1;
    *milliseconds = elapsed;
    return 0;
}

int tu_gpu_upload(struct tu_gpu *gpu, tu_gpu_address to, const void *from, uint64_t bytes,
                  void *stream, struct tu_error *error)
{
    return CALL(gpu, "copy to the device", error, cuMemcpyHtoDAsync_v2, to, from, bytes, stream);
}

int tu_gpu_download(struct tu_gpu *gpu, void *to, tu_gpu_address from, uint64_t bytes, void *stream,
                    struct tu_error *error)
{
    return CALL(gpu, "copy from the device", error, cuMemcpyDtoHAsync_v2, to, from, bytes, stream);
}

/* ---- Kernels ---- */

/* What is in an image, with a NUL behind it; the caller frees it. */
static char *unpack(const struct tu_gpu_image *image, struct tu_error *error)
{
    size_t packed = (size_t)(image->end - image->bytes);
    const uint8_t *last = image->end - 4; /* the size, little-endian */
    size_t size = packed < 4 ? 0 : last[0] | last[1] << 8 | last[2] << 16 | (size_t)last[3] << 24;
    char *out = malloc(size + 1);
    z_stream z = {.next_in = (Bytef *)image->bytes,
                  .avail_in = (uInt)packed,
                  .next_out = (Bytef *)out,
                  .avail_out = (uInt)size};
    if (!out || inflateInit2(&z, GZIP) != Z_OK) {
        free(out);
        tu_fail_memory(error);
        return NULL;
    }
    bool whole = inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    out[size] = '\0';
    if (whole)
        return out;
    free(out);
    tu_fail(error, TU_EIO, "CUDA kernels: damaged inside of this program");
    return NULL;
}

/* What to do about PTX that the driver does not know, on a device for which there is no machine
 * code. */
static int fail_version(const struct tu_gpu *gpu, const char *why, struct tu_error *error)
{
    return tu_fail(error, TU_EIO,
                   "CUDA kernels: %s (the driver is too old for their PTX; update it, or configure "
                   "with --with-cuda-arch=%d%d)",
                   why, gpu->device.major, gpu->device.minor);
}

static int load(struct tu_gpu *gpu, const struct tu_gpu_image *image, void **out,
                struct tu_error *error)
{
    char log[512] = "", why[256];
    int options[] = {JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    char *code = works(gpu, error) ? unpack(image, error) : NULL;
    if (!code)
        return -1;
    int result = gpu->driver->cuModuleLoadDataEx(out, code, 2, options, values);
    free(code);
    if (result == SUCCESS)
        return 0;
    explain(gpu->driver, result, why, sizeof why);
    log[sizeof log - 1] = '\0';
    log[strcspn(log, "\n")] = '\0';
    return result == ERROR_UNSUPPORTED_PTX_VERSION
               ? fail_version(gpu, why, error)
               : tu_fail(error, TU_EIO, "CUDA kernels: %s%s%s", why, *log ? ": " : "", log);
}

int tu_gpu_module(struct tu_gpu *gpu, const struct tu_gpu_image *images, void **out,
                  struct tu_error *error)
{
    const struct tu_gpu_device *d = &gpu->device;
    const struct tu_gpu_image *best = NULL;
    for (; images->architecture; images++)
        if (images->architecture / 10 == d->major && images->architecture % 10 <= d->minor &&
            (!best || images->architecture > best->architecture))
            best = images;
    struct tu_error refused = {0};
    if (best && load(gpu, best, out, &refused) == 0)
        return 0;
    return load(gpu, images, out, error);
}

void tu_gpu_module_free(struct tu_gpu *gpu, void *module)
{
    if (module)
        gpu->driver->cuModuleUnload(module);
}

int tu_gpu_kernel(struct tu_gpu *gpu, void *module, struct tu_gpu_kernel *kernel,
                  struct tu_error *error)
{
    char label[64];
    snprintf(label, sizeof label, "kernel %s", kernel->name);
    if (CALL(gpu, label, error, cuModuleGetFunction, &kernel->function, module, kernel->name) < 0)
        return -1;
    if (kernel->shared && CALL(gpu, label, error, cuFuncSetAttribute, kernel->function,
                               FUNCTION_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)kernel->shared) < 0)
        return -1;
    return CALL(gpu, label, error, cuOccupancyMaxActiveBlocksPerMultiprocessor, &kernel->blocks,
                kernel->function, (int)kernel->threads, kernel->shared);
}

/* Errors come late: at any call after the launch. */
static void blame(struct tu_gpu *gpu, const char *name)
{
    size_t used = strlen(gpu->launched);
    if (!strstr(gpu->launched, name))
        snprintf(gpu->launched + used, sizeof gpu->launched - used, "%s%s",
                 used ? " or " : "kernel ", name);
}

int tu_gpu_launch(struct tu_gpu *gpu, const struct tu_gpu_kernel *kernel, uint64_t blocks,
                  const void *arguments, void *stream, struct tu_error *error)
{
    void *parameters[] = {(void *)arguments};
    char label[64];
    snprintf(label, sizeof label, "kernel %s", kernel->name);
    blame(gpu, kernel->name);
    return CALL(gpu, label, error, cuLaunchKernel, kernel->function, (unsigned)blocks, 1, 1,
                kernel->threads, 1, 1, kernel->shared, stream, parameters, NULL);
}
