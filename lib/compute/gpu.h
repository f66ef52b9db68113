/* SPDX-License-Identifier: MIT */
/*
 * A CUDA device, by the driver's own interface (libcuda.so.1), which is looked for when a device is
 * wanted: nothing of CUDA is needed to build this, or to run anything else.
 *
 * An error of a kernel breaks the device's context for good: struct tu_gpu remembers it, and
 * whatever is asked of it afterwards fails with the same message and without calling the driver.
 */
#ifndef TU_GPU_H
#define TU_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef uint64_t tu_gpu_address; /* in device memory; 0: none */

struct tu_gpu_device {
    char name[256];
    int major, minor; /* compute capability */
    int multiprocessors;
    uint64_t memory;
    uint64_t shared_memory; /* the most for one block */
    double bandwidth;       /* of device memory, bytes a second, by its clock; 0: unknown */
};

struct tu_gpu {
    const struct tu_gpu_driver *driver;
    struct tu_gpu_device device;
    int number;
    void *context;
    char launched[192];     /* "kernel NAME or NAME": they may be running, and are to blame for what
                               breaks */
    struct tu_error broken; /* code TU_OK: works */
};

/* How many devices there are.  Fails where there are none. */
int tu_gpu_count(int *count, struct tu_error *error) TU_MUST_CHECK;
/* What is known of a device without opening it. */
int tu_gpu_describe(int number, struct tu_gpu_device *device, struct tu_error *error) TU_MUST_CHECK;

/* Makes the device that of the calling thread.  gpu needs to be closed only where this succeeds. */
int tu_gpu_open(struct tu_gpu *gpu, int number, struct tu_error *error) TU_MUST_CHECK;
void tu_gpu_close(struct tu_gpu *gpu);
/* For another thread than the one that opened it. */
int tu_gpu_use(struct tu_gpu *gpu, struct tu_error *error) TU_MUST_CHECK;

/* ---- Memory ---- */

int tu_gpu_free_memory(struct tu_gpu *gpu, uint64_t *bytes, struct tu_error *error) TU_MUST_CHECK;
int tu_gpu_alloc(struct tu_gpu *gpu, uint64_t bytes, tu_gpu_address *out,
                 struct tu_error *error) TU_MUST_CHECK;
void tu_gpu_free(struct tu_gpu *gpu, tu_gpu_address address);
/* "device memory: 3.2 GB needed, 1.1 GB free" */
int tu_gpu_fail_memory(uint64_t needed, uint64_t available, struct tu_error *error);

/* ---- Streams and events.  NULL is the stream that others wait for. ---- */

int tu_gpu_stream(struct tu_gpu *gpu, void **out, struct tu_error *error) TU_MUST_CHECK;
void tu_gpu_stream_free(struct tu_gpu *gpu, void *stream);
/* Waits for all that the stream has to do; kernels are in one stream only. */
int tu_gpu_finish(struct tu_gpu *gpu, void *stream, struct tu_error *error) TU_MUST_CHECK;

int tu_gpu_event(struct tu_gpu *gpu, void **out, struct tu_error *error) TU_MUST_CHECK;
void tu_gpu_event_free(struct tu_gpu *gpu, void *event);
int tu_gpu_record(struct tu_gpu *gpu, void *event, void *stream,
                  struct tu_error *error) TU_MUST_CHECK;
/* What the stream gets to do from here on waits for the event. */
int tu_gpu_after(struct tu_gpu *gpu, void *stream, void *event,
                 struct tu_error *error) TU_MUST_CHECK;
/* Waits for the end. */
int tu_gpu_elapsed(struct tu_gpu *gpu, void *start, void *end, double *milliseconds,
                   struct tu_error *error) TU_MUST_CHECK;

/* Both go on while the host does, when the stream gets there; finish says when they are done. */
int tu_gpu_upload(struct tu_gpu *gpu, tu_gpu_address to, const void *from, uint64_t bytes,
                  void *stream, struct tu_error *error) TU_MUST_CHECK;
int tu_gpu_download(struct tu_gpu *gpu, void *to, tu_gpu_address from, uint64_t bytes, void *stream,
                    struct tu_error *error) TU_MUST_CHECK;

/* ---- Kernels ---- */

struct tu_gpu_kernel {
    char name[48];
    void *function;
    unsigned threads, shared; /* of a block: threads, bytes of shared memory */
    int blocks;               /* that a multiprocessor runs at a time */
};

/* What was compiled for a device, compressed by gzip. */
struct tu_gpu_image {
    const uint8_t *bytes, *end;
    int architecture; /* machine code for it: 80 is 8.0 and later ones of 8; 0: PTX, for the driver
                         to compile */
};

/* Of some images the best machine code for the device, or else the PTX, which is the last of them:
 * also where the driver refuses the machine code, as it may if it is older than what made it. */
int tu_gpu_module(struct tu_gpu *gpu, const struct tu_gpu_image *images, void **out,
                  struct tu_error *error) TU_MUST_CHECK;
void tu_gpu_module_free(struct tu_gpu *gpu, void *module);
/* kernel->name, threads and shared are set; the rest is found out. */
int tu_gpu_kernel(struct tu_gpu *gpu, void *module, struct tu_gpu_kernel *kernel,
                  struct tu_error *error) TU_MUST_CHECK;
/* arguments: the kernel's only parameter. */
int tu_gpu_launch(struct tu_gpu *gpu, const struct tu_gpu_kernel *kernel, uint64_t blocks,
                  const void *arguments, void *stream, struct tu_error *error) TU_MUST_CHECK;

#endif
