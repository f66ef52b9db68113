/* SPDX-License-Identifier: MIT */
/* The calls of the driver about modules, kernels, streams and events. */
#include "config.h"

#include "host.h"

#include <stdlib.h>
#include <string.h>

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
    *blocks = least(least(device_attribute(39) / lanes, device_attribute(81) / shared),
                    least(device_attribute(82) / (REGISTERS * lanes), device_attribute(106)));
    if (threads > most_threads(f) || (int)dynamic > most_dynamic(f))
        *blocks = 0;
    return end(CUDA_SUCCESS);
}

static CUresult check_shape(const struct function *f, const struct launch *l)
{
    uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];
    for (int n = 0; n < 3; n++)
        if (!l->grid[n] || !l->block[n] || l->grid[n] > (uint32_t)device_attribute(5 + n) ||
            l->block[n] > (uint32_t)device_attribute(2 + n))
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
