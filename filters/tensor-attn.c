/* SPDX-License-Identifier: MIT */
/* tensor-attn: scaled dot-product attention on the processor. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "tool/attention.h"
#include "tool/main.h"

static struct tu_tool tool;
static struct tu_output output;
static struct tu_attention_command what = {.group.scale = NAN};

static int parse_precision(void *target, const char *text, struct tu_error *error)
{
    return tu_take_word(target, text, "f32", "f64", error);
}

static const struct tu_option options[] = {
    TU_ATTENTION_OPTIONS(what),
    {0, "precision", "f32|f64", "f32 (default), or f64: exact attention", parse_precision,
     &what.wide},
    TU_SELECT_OPTIONS(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

static int attend(void *context, struct tu_qkv *group, enum tu_attention_result result,
                  const struct tu_attention_how *how, const struct tu_attention_sink *sink,
                  struct tu_error *error)
{
    const struct tu_attention_rows rows = {.read = tu_qkv_read, .context = group};
    (void)context;
    return tu_attend(&group->attention, &rows, result, how, sink, error);
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    const struct tu_attention_backend backend = {.path = "f32", .attend = attend};
    return tu_attention_filter(t, &output, count ? operands[0] : "-", &what, &backend, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-attn",
        .synopsis = "[OPTION]... [MODEL|-]",
        .about = "Computes the attention of every P.q, P.k and P.v and puts out P.attn_out: the\n"
                 "reference that other implementations are compared with.",
        .options = options,
        .max_operands = 1,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
