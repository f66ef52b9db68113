/* SPDX-License-Identifier: MIT */
/* What tensor-attn and tensor-attn-gpu have in common: all but who computes. */
#ifndef TU_TOOL_ATTENTION_H
#define TU_TOOL_ATTENTION_H

#include "tool/output.h"
#include "compute/attention/qkv.h"

/* What the command line asks for. */
struct tu_attention_command {
    struct tu_qkv_options group;
    bool stages;
    bool wide;              /* float64 */
    uint64_t bench, repeat; /* runs; 0: not asked for */
};

/* What records are about: the tensor that is made, and the way it is. */
struct tu_attention_made {
    const char *name, *path;
};
tu_fill_fn tu_attention_fill_made; /* of a struct tu_attention_made */

/* Who computes. */
struct tu_attention_backend {
    const char *path; /* of timing and repeat records */
    bool on_device;   /* no instruction set or thread of the processor changes what it computes */
    /* One result of a group, in order, to the sink; how->kernels and how->threads vary with
     * --repeat. */
    int (*attend)(void *context, struct tu_qkv *group, enum tu_attention_result result,
                  const struct tu_attention_how *how, const struct tu_attention_sink *sink,
                  struct tu_error *error);
    /* --bench: times runs of OUT and puts out the records; NULL: attend is timed as a whole. */
    int (*bench)(void *context, struct tu_qkv *group, const struct tu_attention_made *made,
                 uint64_t runs, struct tu_output *output, struct tu_error *error);
    void *context;
};

/* Rows for option tables, each with its target in a struct tu_attention_command. */
/* clang-format off */
#define TU_ATTENTION_OPTIONS(c) \
    TU_QKV_OPTIONS((c).group), \
    {0, "stages", NULL, "put out scores and weights, too", tu_option_flag, &(c).stages}, \
    TU_BENCH_OPTION((c).bench), \
    TU_REPEAT_OPTION((c).repeat)
/* clang-format on */

/* The whole work of such a filter. */
int tu_attention_filter(struct tu_tool *tool, struct tu_output *output, const char *operand,
                        const struct tu_attention_command *command,
                        const struct tu_attention_backend *backend,
                        struct tu_error *error) TU_MUST_CHECK;

#endif
