/* SPDX-License-Identifier: MIT */
/* Attention on a CUDA device. */
#ifndef TU_ATTENTION_GPU_H
#define TU_ATTENTION_GPU_H

#include "compute/attention/attention.h"
#include "compute/gpu.h"

/* What the kernels take; tu_gpu_attend refuses the rest. */
enum { TU_GPU_DIM_STEP = 8, TU_GPU_MAX_DIM = 256 };

/* All zeros: the defaults. */
struct tu_gpu_attention_options {
    uint64_t memory;  /* bytes of device memory to use at most; 0: what is free */
    unsigned repeats; /* a benchmark: times the work is done, after once for warming up; 0: once */
    unsigned
        splits; /* parts that the keys are cut into, merged at the end; 0: as suits the device */
};

/* How long it took.  In every repeat all goes to the device, and the result back. */
struct tu_gpu_timing {
    double *kernels; /* [repeats] milliseconds, or NULL */
    double *
        transfers; /* [repeats] milliseconds, or NULL; beside the kernels where caches do not fit */
    uint64_t uploaded, downloaded; /* bytes, of a repeat */
    uint64_t cache_bytes;          /* keys and values that some query sees: read in each repeat */
    uint64_t launches;             /* of the attention kernel, of a repeat */
    unsigned splits;
    char kernel[48];
};

/* Whether this was built with kernels. */
bool tu_gpu_has_kernels(void);

/* options and timing may be NULL. */
int tu_gpu_attend(struct tu_gpu *gpu, const struct tu_attention *a,
                  const struct tu_attention_input *in, struct tu_attention_output *out,
                  const struct tu_gpu_attention_options *options, struct tu_gpu_timing *timing,
                  struct tu_error *error) TU_MUST_CHECK;

#endif
