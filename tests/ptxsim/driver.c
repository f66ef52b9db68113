/* SPDX-License-Identifier: MIT */
/*
 * The driver's calls.  Each begins with begin(), which knows what every call has to know: whether
 * one that fails was asked for (PTXSIM_FAIL), whether there is a context, whether that one is
 * broken.
 */
#include "config.h"

#include "host.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CALL __attribute__((visibility("default"))) CUresult

enum { DEFAULT_SHARED = 48 << 10, RESERVED_SHARED = 1 << 10, REGISTERS = 64, DEVICES_MAX = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool initialized;
static struct context *primary[DEVICES_MAX];
struct handle *handles;

enum { CONTEXTS_MAX = 32 };
static _Thread_local struct context *current[CONTEXTS_MAX]; /* the last is the current one */
static _Thread_local unsigned current_count;

/* ---- settings ---- */

static int device_count(void)
{
    uint64_t n = setting("PTXSIM_DEVICES", 1);
    return n > DEVICES_MAX ? DEVICES_MAX : (int)n;
}

static int capability(void)
{
    return (int)setting("PTXSIM_CAPABILITY", 80);
}

/* What a block may have at most, when it asks for it. */
static int most_shared(void)
{
    return capability() < 80 ? 64 << 10 : 163 << 10;
}

/* How often each call was made that PTXSIM_FAIL names. */
static struct counted {
    char name[64];
    uint64_t calls;
} counted[64];

static uint64_t count_call(const char *name)
{
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        if (!counted[i].name[0])
            snprintf(counted[i].name, sizeof counted[i].name, "%s", name);
        if (strcmp(counted[i].name, name) == 0)
            return ++counted[i].calls;
    }
    return 0;
}

static bool is_sticky(CUresult r)
{
    return r == CUDA_ERROR_ECC_UNCORRECTABLE || r == CUDA_ERROR_ILLEGAL_ADDRESS ||
           r == CUDA_ERROR_LAUNCH_TIMEOUT ||
           (r >= CUDA_ERROR_ILLEGAL_INSTRUCTION - 1 && r <= CUDA_ERROR_LAUNCH_FAILED);
}

/* cuMemAlloc_v2 may also be named without its version. */
static bool names(const char *entry, const char *name)
{
    size_t n = strcspn(entry, ":,");
    return strncmp(entry, name, n) == 0 && (!name[n] || strcmp(name + n, "_v2") == 0);
}

/* PTXSIM_FAIL=call:which:code,... */
static CUresult injected(const char *name)
{
    const char *list = getenv("PTXSIM_FAIL");
    CUresult result = CUDA_SUCCESS;
    bool known = false;
    for (const char *entry = list; entry && *entry; entry = strchr(entry, ',')) {
        entry += *entry == ',';
        known = known || names(entry, name);
    }
    uint64_t call = known ? count_call(name) : 0;
    for (const char *entry = known ? list : NULL; entry && *entry; entry = strchr(entry, ',')) {
        unsigned long long which = 1;
        int code = CUDA_ERROR_UNKNOWN;
        entry += *entry == ',';
        sscanf(entry + strcspn(entry, ":,"), ":%llu:%d", &which, &code);
        if (names(entry, name) && which == call)
            result = (CUresult)code;
    }
    return result;
}

/* ---- every call ---- */

enum needs { NOTHING, INITIALIZED, A_CONTEXT };

static struct context *context(void)
{
    return current_count ? current[current_count - 1] : NULL;
}

static CUresult begin(const char *name, enum needs needs)
{
    pthread_mutex_lock(&lock);
    CUresult r = injected(name);
    struct context *c = context();
    if (r && c && is_sticky(r))
        c->sticky = r;
    if (r)
        return r;
    if (needs != NOTHING && !initialized)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (needs == A_CONTEXT && (!c || !c->handle.alive))
        return CUDA_ERROR_INVALID_CONTEXT;
    return needs == A_CONTEXT ? c->sticky : CUDA_SUCCESS;
}

static CUresult end(CUresult r)
{
    pthread_mutex_unlock(&lock);
    return r;
}

#define BEGIN(needs)                                                                               \
    do {                                                                                           \
        CUresult begun = begin(__func__, needs);                                                   \
        if (begun)                                                                                 \
            return end(begun);                                                                     \
    } while (0)

/* ---- handles ---- */

static void *add_handle(size_t size, enum handle_kind kind, struct context *c)
{
    struct handle *h = calloc(1, size);
    if (!h)
        abort();
    *h = (struct handle){.kind = kind, .alive = true, .context = c, .next = handles};
    handles = h;
    return h;
}

static bool is_alive(const void *handle, enum handle_kind kind)
{
    for (const struct handle *h = handles; h; h = h->next)
        if (h == handle)
            return h->alive && h->kind == kind;
    return false;
}

static bool is_own(const void *handle, enum handle_kind kind)
{
    return is_alive(handle, kind) && ((const struct handle *)handle)->context == context();
}

/* 0 and 1 are the stream 0. */
static bool find_stream(CUstream *s)
{
    if (*s == (CUstream)1)
        *s = NULL;
    return !*s || is_own(*s, STREAM);
}

static bool is_function(CUfunction f)
{
    for (const struct handle *h = handles; h; h = h->next) {
        const struct module_handle *m = (const struct module_handle *)h;
        if (h->kind != MODULE || !h->alive)
            continue;
        for (size_t i = 0; i < m->module->function_count; i++)
            if (m->module->functions[i] == f)
                return f->is_entry;
    }
    return false;
}

static bool is_device(CUdevice d)
{
    return d >= 0 && d < device_count();
}

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

/* ---- the driver and its devices ---- */

CALL cuInit(unsigned flags)
{
    BEGIN(NOTHING);
    if (flags)
        return end(CUDA_ERROR_INVALID_VALUE);
    if (device_count() == 0)
        return end(CUDA_ERROR_NO_DEVICE);
    initialized = true;
    return end(CUDA_SUCCESS);
}

CALL cuDriverGetVersion(int *version)
{
    BEGIN(NOTHING);
    *version = 13000;
    return end(CUDA_SUCCESS);
}

CALL cuDeviceGetCount(int *count)
{
    BEGIN(INITIALIZED);
    *count = device_count();
    return end(CUDA_SUCCESS);
}

CALL cuDeviceGet(CUdevice *device, int ordinal)
{
    BEGIN(INITIALIZED);
    if (!is_device(ordinal))
        return end(CUDA_ERROR_INVALID_DEVICE);
    *device = ordinal;
    return end(CUDA_SUCCESS);
}

CALL cuDeviceGetName(char *name, int size, CUdevice device)
{
    BEGIN(INITIALIZED);
    if (!is_device(device))
        return end(CUDA_ERROR_INVALID_DEVICE);
    if (!name || size <= 0)
        return end(CUDA_ERROR_INVALID_VALUE);
    snprintf(name, (size_t)size, "ptxsim %d (PTX interpreter)", device);
    return end(CUDA_SUCCESS);
}

CALL cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    BEGIN(INITIALIZED);
    if (!is_device(device))
        return end(CUDA_ERROR_INVALID_DEVICE);
    memcpy(uuid->bytes, "ptxsim device  ", 16);
    uuid->bytes[15] = (char)device;
    return end(CUDA_SUCCESS);
}

CALL cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
    return cuDeviceGetUuid_v2(uuid, device);
}

CALL cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    BEGIN(INITIALIZED);
    if (!is_device(device))
        return end(CUDA_ERROR_INVALID_DEVICE);
    *bytes = device_total();
    return end(CUDA_SUCCESS);
}

/* By the number of the attribute; -1: not known here. */
static int attribute(int number)
{
    static const struct {
        int number, value;
    } fixed[] = {
        {1, 1024}, /* threads of a block */
        {2, 1024}, /* and in each direction */
        {3, 1024},
        {4, 64},
        {5, INT32_MAX}, /* blocks in each direction */
        {6, 65535},
        {7, 65535},
        {8, DEFAULT_SHARED},
        {9, 65536}, /* constant memory */
        {10, LANES},
        {11, INT32_MAX}, /* pitch */
        {12, 65536},     /* registers of a block */
        {13, 1410000},   /* clock, kHz */
        {14, 512},       /* texture alignment */
        {15, 1},         /* copies beside kernels */
        {17, 0},         /* time limit */
        {18, 0},         /* integrated */
        {19, 1},         /* host memory can be mapped */
        {20, 0},         /* compute mode */
        {31, 1},         /* concurrent kernels */
        {32, 0},         /* ECC */
        {33, 1},         /* PCI bus, device */
        {34, 0},
        {36, 1215000},  /* memory clock, kHz */
        {37, 5120},     /* memory bus, bits */
        {38, 40 << 20}, /* L2 cache */
        {40, 2},        /* copy engines */
        {41, 1},        /* unified addresses */
        {82, 65536},    /* registers of a multiprocessor */
        {111, RESERVED_SHARED},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (fixed[i].number == number)
            return fixed[i].value;
    switch (number) {
    case 16:
        return (int)setting("PTXSIM_MULTIPROCESSORS", 16);
    case 39: /* threads of a multiprocessor */
        return capability() < 80 ? 1024 : 2048;
    case 75:
        return capability() / 10;
    case 76:
        return capability() % 10;
    case 81: /* shared memory of a multiprocessor */
        return capability() < 80 ? 64 << 10 : 164 << 10;
    case 97:
        return most_shared();
    case 106: /* blocks of a multiprocessor */
        return capability() < 80 ? 16 : 32;
    default:
        return -1;
    }
}

CALL cuDeviceGetAttribute(int *value, int number, CUdevice device)
{
    BEGIN(INITIALIZED);
    if (!is_device(device))
        return end(CUDA_ERROR_INVALID_DEVICE);
    int found = attribute(number);
    if (!value || found < 0)
        return end(CUDA_ERROR_INVALID_VALUE);
    *value = found;
    return end(CUDA_SUCCESS);
}

/* ---- contexts ---- */

static void destroy_context(struct context *c)
{
    for (struct handle *h = handles; h; h = h->next) {
        if (h->context != c || !h->alive)
            continue;
        if (h->kind == STREAM)
            stream_drop((struct stream *)h);
        if (h->kind == MODULE)
            module_free(((struct module_handle *)h)->module);
        h->alive = false;
    }
    device_free_all(c);
    c->handle.alive = false;
    if (context() == c)
        current_count--;
}

static struct context *create_context(CUdevice device)
{
    struct context *c = add_handle(sizeof *c, CONTEXT, NULL);
    c->device = device;
    return c;
}

static CUresult push_context(struct context *c)
{
    if (current_count == CONTEXTS_MAX)
        return CUDA_ERROR_OUT_OF_MEMORY;
    current[current_count++] = c;
    return CUDA_SUCCESS;
}

CALL cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice device)
{
    BEGIN(INITIALIZED);
    if (!is_device(device))
        return end(CUDA_ERROR_INVALID_DEVICE);
    if (!primary[device]) {
        primary[device] = create_context(device);
        primary[device]->primary = true;
    }
    primary[device]->retained++;
    *c = primary[device];
    return end(CUDA_SUCCESS);
}

CALL cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    BEGIN(INITIALIZED);
    if (!is_device(device))
        return end(CUDA_ERROR_INVALID_DEVICE);
    if (!primary[device])
        return end(CUDA_ERROR_INVALID_CONTEXT);
    if (--primary[device]->retained == 0) {
        destroy_context(primary[device]);
        primary[device] = NULL;
    }
    return end(CUDA_SUCCESS);
}

CALL cuCtxCreate_v2(CUcontext *c, unsigned flags, CUdevice device)
{
    BEGIN(INITIALIZED);
    (void)flags;
    if (!is_device(device))
        return end(CUDA_ERROR_INVALID_DEVICE);
    *c = create_context(device);
    return end(push_context(*c));
}

CALL cuCtxDestroy_v2(CUcontext c)
{
    BEGIN(INITIALIZED);
    if (!is_alive(c, CONTEXT) || c->primary)
        return end(CUDA_ERROR_INVALID_CONTEXT);
    destroy_context(c);
    return end(CUDA_SUCCESS);
}

CALL cuCtxSetCurrent(CUcontext c)
{
    BEGIN(INITIALIZED);
    if (c && !is_alive(c, CONTEXT))
        return end(CUDA_ERROR_INVALID_CONTEXT);
    if (current_count)
        current_count--;
    return end(c ? push_context(c) : CUDA_SUCCESS);
}

CALL cuCtxGetCurrent(CUcontext *c)
{
    BEGIN(INITIALIZED);
    *c = context();
    return end(CUDA_SUCCESS);
}

CALL cuCtxPushCurrent_v2(CUcontext c)
{
    BEGIN(INITIALIZED);
    return end(is_alive(c, CONTEXT) ? push_context(c) : CUDA_ERROR_INVALID_CONTEXT);
}

CALL cuCtxPopCurrent_v2(CUcontext *c)
{
    BEGIN(INITIALIZED);
    if (!current_count)
        return end(CUDA_ERROR_INVALID_CONTEXT);
    current_count--;
    if (c)
        *c = current[current_count];
    return end(CUDA_SUCCESS);
}

CALL cuCtxGetDevice(CUdevice *device)
{
    BEGIN(A_CONTEXT);
    *device = context()->device;
    return end(CUDA_SUCCESS);
}

CALL cuCtxSynchronize(void)
{
    BEGIN(A_CONTEXT);
    return end(context_finish(context()));
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

/* ---- modules ---- */

static void put_log(char *buffer, size_t size, const char *text)
{
    if (buffer && size)
        snprintf(buffer, size, "%s", text);
}

static CUresult refuse_image(const char *image)
{
    static const char elf[] = "\177ELF", fat[] = "\x50\xed\x55\xba";
    if (memcmp(image, elf, 4) == 0 || memcmp(image, fat, 4) == 0)
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    return strstr(image, ".version") ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

static bool fits(const struct module *m, char log[LOG_MAX])
{
    if (m->target > capability()) {
        snprintf(log, LOG_MAX, "ptxsim: the target sm_%d is more than the device is, sm_%d",
                 m->target, capability());
        return false;
    }
    for (size_t i = 0; i < m->function_count; i++) {
        const struct function *f = m->functions[i];
        if (f->own_shared + m->common_shared > DEFAULT_SHARED) {
            snprintf(log, LOG_MAX, "ptxsim: entry '%s' has more than %d bytes of shared memory",
                     f->name, DEFAULT_SHARED);
            return false;
        }
    }
    return true;
}

static CUresult load(CUmodule *handle, const char *image, char log[LOG_MAX])
{
    log[0] = 0;
    if (!handle || !image)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = refuse_image(image);
    if (r)
        return r;
    struct module *m = module_parse(image, log);
    if (m && !fits(m, log)) {
        module_free(m);
        m = NULL;
    }
    if (!m)
        return CUDA_ERROR_INVALID_PTX;
    *handle = add_handle(sizeof **handle, MODULE, context());
    (*handle)->module = m;
    return CUDA_SUCCESS;
}

CALL cuModuleLoadDataEx(CUmodule *handle, const void *image, unsigned count, const int *options,
                        void **values)
{
    char log[LOG_MAX], *error_log = NULL, *info_log = NULL;
    size_t error_size = 0, info_size = 0;
    BEGIN(A_CONTEXT);
    for (unsigned i = 0; i < count; i++) {
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
            error_log = values[i];
        else if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
            error_size = (uint32_t)(uintptr_t)values[i];
        else if (options[i] == CU_JIT_INFO_LOG_BUFFER)
            info_log = values[i];
        else if (options[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)
            info_size = (uint32_t)(uintptr_t)values[i];
    }
    CUresult r = load(handle, image, log);
    put_log(error_log, error_size, log);
    put_log(info_log, info_size, "");
    return end(r);
}

CALL cuModuleLoadData(CUmodule *handle, const void *image)
{
    char log[LOG_MAX];
    BEGIN(A_CONTEXT);
    CUresult r = load(handle, image, log);
    /* There is no other way to say it. */
    if (log[0])
        fprintf(stderr, "%s\n", log);
    return end(r);
}

CALL cuModuleUnload(CUmodule m)
{
    BEGIN(A_CONTEXT);
    if (!is_own(m, MODULE))
        return end(CUDA_ERROR_INVALID_HANDLE);
    CUresult r = context_finish(context());
    module_free(m->module);
    m->handle.alive = false;
    return end(r);
}

CALL cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name)
{
    BEGIN(A_CONTEXT);
    if (!is_own(m, MODULE))
        return end(CUDA_ERROR_INVALID_HANDLE);
    for (size_t i = 0; i < m->module->function_count; i++) {
        struct function *one = m->module->functions[i];
        if (one->is_entry && one->kernel && strcmp(one->name, name) == 0) {
            *f = one;
            return end(CUDA_SUCCESS);
        }
    }
    return end(CUDA_ERROR_NOT_FOUND);
}

CALL cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *size, CUmodule m, const char *name)
{
    BEGIN(A_CONTEXT);
    if (!is_own(m, MODULE))
        return end(CUDA_ERROR_INVALID_HANDLE);
    for (size_t i = 0; i < m->module->variable_count; i++) {
        const struct variable *v = &m->module->variables[i];
        if ((v->space != GLOBAL && v->space != CONSTANT) || strcmp(v->name, name) != 0)
            continue;
        if (address)
            *address = v->address;
        if (size)
            *size = v->size;
        return end(CUDA_SUCCESS);
    }
    return end(CUDA_ERROR_NOT_FOUND);
}

/* ---- functions ---- */

static int static_shared(const struct function *f)
{
    return (int)(f->own_shared + f->module->common_shared);
}

static int most_dynamic(const struct function *f)
{
    return f->dynamic_limit ? f->dynamic_limit : DEFAULT_SHARED - static_shared(f);
}

static int most_threads(const struct function *f)
{
    return f->max_threads ? (int)f->max_threads : 1024;
}

CALL cuFuncGetAttribute(int *value, int number, CUfunction f)
{
    BEGIN(A_CONTEXT);
    if (!is_function(f))
        return end(CUDA_ERROR_INVALID_HANDLE);
    switch (number) {
    case CU_FUNC_MAX_THREADS_PER_BLOCK:
        *value = most_threads(f);
        break;
    case CU_FUNC_SHARED_SIZE_BYTES:
        *value = static_shared(f);
        break;
    case CU_FUNC_LOCAL_SIZE_BYTES:
        *value = (int)f->module->local_bytes;
        break;
    case CU_FUNC_NUM_REGS: /* registers of PTX are not those of a device */
        *value = REGISTERS;
        break;
    case CU_FUNC_PTX_VERSION:
        *value = f->module->target;
        break;
    case CU_FUNC_BINARY_VERSION:
        *value = capability();
        break;
    case CU_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = most_dynamic(f);
        break;
    case CU_FUNC_CONST_SIZE_BYTES:
    case CU_FUNC_CACHE_MODE_CA:
        *value = 0;
        break;
    default:
        return end(CUDA_ERROR_INVALID_VALUE);
    }
    return end(CUDA_SUCCESS);
}

CALL cuFuncSetAttribute(CUfunction f, int number, int value)
{
    BEGIN(A_CONTEXT);
    if (!is_function(f))
        return end(CUDA_ERROR_INVALID_HANDLE);
    if (number == CU_FUNC_PREFERRED_SHARED_MEMORY_CARVEOUT)
        return end(CUDA_SUCCESS);
    if (number != CU_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 ||
        value > most_shared() - static_shared(f))
        return end(CUDA_ERROR_INVALID_VALUE);
    f->dynamic_limit = value;
    return end(CUDA_SUCCESS);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

CALL cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction f, int threads,
                                                 size_t dynamic)
{
    BEGIN(A_CONTEXT);
    if (!is_function(f))
        return end(CUDA_ERROR_INVALID_HANDLE);
    if (threads <= 0 || dynamic > (size_t)most_shared())
        return end(CUDA_ERROR_INVALID_VALUE);
    int lanes = (threads + LANES - 1) / LANES * LANES;
    int shared = static_shared(f) + (int)dynamic + RESERVED_SHARED;
    *blocks = least(least(attribute(39) / lanes, attribute(81) / shared),
                    least(attribute(82) / (REGISTERS * lanes), attribute(106)));
    if (threads > most_threads(f) || (int)dynamic > most_dynamic(f))
        *blocks = 0;
    return end(CUDA_SUCCESS);
}

static CUresult check_shape(const struct function *f, const struct launch *l)
{
    uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];
    for (int n = 0; n < 3; n++)
        if (!l->grid[n] || !l->block[n] || l->grid[n] > (uint32_t)attribute(5 + n) ||
            l->block[n] > (uint32_t)attribute(2 + n))
            return CUDA_ERROR_INVALID_VALUE;
    if (threads > (uint64_t)most_threads(f) || l->dynamic_shared > (uint64_t)most_dynamic(f))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

/* Parameters come one by one, or all in a buffer. */
static bool copy_parameters(const struct function *f, uint8_t *to, void **parameters, void **extra)
{
    const void *buffer = NULL;
    size_t size = 0;
    for (; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            buffer = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE)
            size = *(const size_t *)extra[1];
        else
            return false;
    }
    if (buffer && !parameters && size >= f->parameter_bytes) {
        memcpy(to, buffer, f->parameter_bytes);
        return true;
    }
    if (buffer || (!parameters && f->parameter_count))
        return false;
    for (size_t i = 0; i < f->parameter_count; i++) {
        if (!parameters[i])
            return false;
        memcpy(to + f->parameters[i], parameters[i], f->parameter_sizes[i]);
    }
    return true;
}

CALL cuLaunchKernel(CUfunction f, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                    CUstream s, void **parameters, void **extra)
{
    BEGIN(A_CONTEXT);
    if (!is_function(f) || !find_stream(&s))
        return end(CUDA_ERROR_INVALID_HANDLE);
    struct work w = {.kind = LAUNCH,
                     .launch = {.kernel = f->kernel,
                                .function = f,
                                .constants = f->module->constants,
                                .grid = {grid_x, grid_y, grid_z},
                                .block = {block_x, block_y, block_z},
                                .dynamic_shared = shared}};
    CUresult r = check_shape(f, &w.launch);
    if (r)
        return end(r);
    w.launch.parameters = calloc(f->parameter_bytes + 16, 1);
    if (!w.launch.parameters)
        abort();
    if (!copy_parameters(f, w.launch.parameters, parameters, extra)) {
        free(w.launch.parameters);
        return end(CUDA_ERROR_INVALID_VALUE);
    }
    r = stream_add(context(), s, w);
    /* A real launch knows nothing of the faults to come, unless it is asked to wait for them. */
    if (setting("CUDA_LAUNCH_BLOCKING", 0))
        r = s ? stream_finish(context(), s) : r;
    else
        r = CUDA_SUCCESS;
    return end(r);
}

/* ---- streams and events ---- */

CALL cuStreamCreate(CUstream *s, unsigned flags)
{
    BEGIN(A_CONTEXT);
    if (!s || flags > CU_STREAM_NON_BLOCKING)
        return end(CUDA_ERROR_INVALID_VALUE);
    *s = add_handle(sizeof **s, STREAM, context());
    (*s)->blocking = !(flags & CU_STREAM_NON_BLOCKING);
    return end(CUDA_SUCCESS);
}

CALL cuStreamDestroy_v2(CUstream s)
{
    BEGIN(A_CONTEXT);
    if (!is_own(s, STREAM))
        return end(CUDA_ERROR_INVALID_HANDLE);
    CUresult r = stream_finish(context(), s);
    s->handle.alive = false;
    return end(r);
}

CALL cuStreamSynchronize(CUstream s)
{
    BEGIN(A_CONTEXT);
    if (!find_stream(&s))
        return end(CUDA_ERROR_INVALID_HANDLE);
    return end(s ? stream_finish(context(), s) : context_finish(context()));
}

CALL cuStreamQuery(CUstream s)
{
    BEGIN(A_CONTEXT);
    if (!find_stream(&s))
        return end(CUDA_ERROR_INVALID_HANDLE);
    bool waiting = s && s->first;
    CUresult r = s ? stream_finish(context(), s) : CUDA_SUCCESS; /* who asks again, is told more */
    return end(r ? r : waiting ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS);
}

CALL cuStreamWaitEvent(CUstream s, CUevent e, unsigned flags)
{
    BEGIN(A_CONTEXT);
    (void)flags;
    if (!find_stream(&s) || !is_own(e, EVENT))
        return end(CUDA_ERROR_INVALID_HANDLE);
    return end(
        stream_add(context(), s, (struct work){.kind = WAIT, .event = e, .when = e->recorded}));
}

CALL cuEventCreate(CUevent *e, unsigned flags)
{
    BEGIN(A_CONTEXT);
    if (!e)
        return end(CUDA_ERROR_INVALID_VALUE);
    *e = add_handle(sizeof **e, EVENT, context());
    (*e)->timing = !(flags & CU_EVENT_DISABLE_TIMING);
    return end(CUDA_SUCCESS);
}

CALL cuEventDestroy_v2(CUevent e)
{
    BEGIN(A_CONTEXT);
    if (!is_own(e, EVENT))
        return end(CUDA_ERROR_INVALID_HANDLE);
    e->handle.alive = false;
    return end(CUDA_SUCCESS);
}

CALL cuEventRecord(CUevent e, CUstream s)
{
    BEGIN(A_CONTEXT);
    if (!is_own(e, EVENT) || !find_stream(&s))
        return end(CUDA_ERROR_INVALID_HANDLE);
    e->stream = s;
    e->recorded++;
    return end(
        stream_add(context(), s, (struct work){.kind = RECORD, .event = e, .when = e->recorded}));
}

CALL cuEventSynchronize(CUevent e)
{
    BEGIN(A_CONTEXT);
    if (!is_own(e, EVENT))
        return end(CUDA_ERROR_INVALID_HANDLE);
    return end(stream_finish_event(context(), e, e->recorded));
}

CALL cuEventQuery(CUevent e)
{
    BEGIN(A_CONTEXT);
    if (!is_own(e, EVENT))
        return end(CUDA_ERROR_INVALID_HANDLE);
    bool waiting = e->reached < e->recorded;
    CUresult r = stream_finish_event(context(), e, e->recorded);
    return end(r ? r : waiting ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS);
}

CALL cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to)
{
    BEGIN(A_CONTEXT);
    if (!is_own(from, EVENT) || !is_own(to, EVENT) || !from->recorded || !to->recorded ||
        !from->timing || !to->timing)
        return end(CUDA_ERROR_INVALID_HANDLE);
    if (from->reached < from->recorded || to->reached < to->recorded)
        return end(CUDA_ERROR_NOT_READY);
    *milliseconds = (float)(to->milliseconds - from->milliseconds);
    return end(CUDA_SUCCESS);
}

CALL cuEventElapsedTime_v2(float *milliseconds, CUevent from, CUevent to)
{
    return cuEventElapsedTime(milliseconds, from, to);
}

/* ---- errors, names ---- */

static const struct {
    CUresult code;
    const char *name, *text;
} results[] = {
#define CUDA_RESULT(name, number, text) {name, #name, text},
    CUDA_RESULTS(CUDA_RESULT)
#undef CUDA_RESULT
};

CALL cuGetErrorName(CUresult code, const char **name)
{
    *name = NULL;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i].code == code)
            *name = results[i].name;
    return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CALL cuGetErrorString(CUresult code, const char **text)
{
    *text = NULL;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i].code == code)
            *text = results[i].text;
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* A name without its version is the newest there is. */
CALL cuGetProcAddress_v2(const char *name, void **address, int version, uint64_t flags, int *status)
{
    char versioned[128];
    Dl_info self;
    (void)version;
    (void)flags;
    *address = NULL;
    void *library = dladdr((void *)(uintptr_t)cuInit, &self)
                        ? dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD)
                        : NULL;
    snprintf(versioned, sizeof versioned, "%s_v2", name);
    if (library && strncmp(name, "cu", 2) == 0) {
        *address = dlsym(library, versioned);
        *address = *address ? *address : dlsym(library, name);
    }
    if (library)
        dlclose(library);
    if (status) /* 0: found, 1: there is none */
        *status = *address ? 0 : 1;
    return *address ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
