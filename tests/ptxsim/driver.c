/* SPDX-License-Identifier: MIT */
/* What every call of the driver begins with, and the calls about devices, contexts, errors. */
#include "config.h"

#include "host.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 16 };

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

int capability(void)
{
    return (int)setting("PTXSIM_CAPABILITY", 80);
}

int most_shared(void)
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

struct context *context(void)
{
    return current_count ? current[current_count - 1] : NULL;
}

CUresult begin(const char *name, enum needs needs)
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

CUresult end(CUresult r)
{
    pthread_mutex_unlock(&lock);
    return r;
}

/* ---- handles ---- */

void *add_handle(size_t size, enum handle_kind kind, struct context *c)
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

bool is_own(const void *handle, enum handle_kind kind)
{
    return is_alive(handle, kind) && ((const struct handle *)handle)->context == context();
}

/* 0 and 1 are the stream 0. */
bool find_stream(CUstream *s)
{
    if (*s == (CUstream)1)
        *s = NULL;
    return !*s || is_own(*s, STREAM);
}

bool is_function(CUfunction f)
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

/* Attributes that are the same whatever is simulated, by their numbers. */
static const struct {
    int number, value;
} fixed_attributes[] = {
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

int device_attribute(int number)
{
    for (size_t i = 0; i < sizeof fixed_attributes / sizeof *fixed_attributes; i++)
        if (fixed_attributes[i].number == number)
            return fixed_attributes[i].value;
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
    int found = device_attribute(number);
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
