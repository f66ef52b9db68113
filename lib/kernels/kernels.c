/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "kernels/kernels.h"

#include <string.h>

extern const struct tu_kernels tu_kernels_baseline;
#if TU_HAVE_X86_KERNELS
#include <cpuid.h>

extern const struct tu_kernels tu_kernels_avx2, tu_kernels_avx512;

/* Not every compiler's __builtin_cpu_supports knows it. */
static bool has_f16c(void)
{
    unsigned a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

/* __builtin_cpu_supports also asks whether the system saves the registers. */
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2") && has_f16c();
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi");
}
#endif

static bool always(void)
{
    return true;
}

static const struct {
    const struct tu_kernels *kernels;
    bool (*supported)(void);
} built[] = {
#if TU_HAVE_X86_KERNELS
    {&tu_kernels_avx512, has_avx512},
    {&tu_kernels_avx2, has_avx2},
#endif
    {&tu_kernels_baseline, always},
};

const struct tu_kernels *tu_kernels_built(size_t i, bool *supported)
{
    if (i >= sizeof built / sizeof *built)
        return NULL;
    *supported = built[i].supported();
    return built[i].kernels;
}

const struct tu_kernels *tu_kernels_choose(const char *name)
{
    for (size_t i = 0; i < sizeof built / sizeof *built; i++)
        if (built[i].supported() && (!name || strcmp(name, built[i].kernels->name) == 0))
            return built[i].kernels;
    return NULL;
}
