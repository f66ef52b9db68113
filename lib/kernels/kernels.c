/* SPDX-License-Identifier: MIT */
/* Chooses the set of hot loops that this processor can run, or the one that the user names. */
#include "config.h"

#include "kernels/kernels.h"

#include <string.h>

extern const struct tu_kernels tu_kernels_baseline;
#if TU_HAVE_X86_KERNELS
#include <cpuid.h>

extern const struct tu_kernels tu_kernels_avx2, tu_kernels_avx512, tu_kernels_avx512wide;

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

/* AMD's family 19h, of which Zen 4 has AVX-512: a unit takes a vector of 512 bits in two halves. */
static bool halves_wide_vectors(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid(0, &a, &b, &c, &d);
    if (b != signature_AMD_ebx || c != signature_AMD_ecx || d != signature_AMD_edx)
        return false;
    return __get_cpuid(1, &a, &b, &c, &d) && (a >> 8 & 15) + (a >> 20 & 255) == 0x19;
}

static bool prefers_wide(void)
{
    return !halves_wide_vectors();
}
#endif

static bool always(void)
{
    return true;
}

static const struct {
    const struct tu_kernels *kernels;
    bool (*supported)(void);
    bool (*preferred)(void);
} built[] = {
#if TU_HAVE_X86_KERNELS
    {&tu_kernels_avx512wide, has_avx512, prefers_wide},
    {&tu_kernels_avx512, has_avx512, always},
    {&tu_kernels_avx2, has_avx2, always},
#endif
    {&tu_kernels_baseline, always, always},
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
        if (name ? strcmp(name, built[i].kernels->name) == 0 && built[i].supported()
                 : built[i].supported() && built[i].preferred())
            return built[i].kernels;
    return NULL;
}
