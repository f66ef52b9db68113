/* SPDX-License-Identifier: MIT */
/* tensor-dequant: quantized and floating tensors to one floating type. */
#include "config.h"

#include <string.h>

#include "tool/convert.h"
#include "tool/main.h"
#include "compute/convert.h"

static struct tu_tool tool;
static struct tu_output output;
static const struct tu_dtype *to;
static bool all;

static int parse_to(void *target, const char *text, struct tu_error *error)
{
    if (tu_option_dtype(target, text, error) < 0)
        return -1;
    return to->code == TENSOR_F32 || to->code == TENSOR_F16 || to->code == TENSOR_BF16
               ? 0
               : tu_fail(error, TU_EUSAGE, "%s is not one of F32, F16 and BF16", to->name);
}

static const struct tu_option options[] = {
    {0, "to", "TYPE", "F32 (default), F16 or BF16", parse_to, &to},
    {0, "all", NULL, "convert integers and booleans, too", tu_option_flag, &all},
    TU_PACKS_OPTION(tool),
    TU_SELECT_OPTIONS(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

static const struct tu_dtype *plan(const struct tu_tensor *t, bool has_come)
{
    (void)has_come;
    enum tensor_kind kind = tu_dtype(t->dtype)->kind;
    bool meant =
        all ? kind != TENSOR_KIND_COMPLEX : kind == TENSOR_KIND_FLOAT || kind == TENSOR_KIND_QUANT;
    return tu_selects(&tool.session.selection, t) && meant && t->dtype != to->code ? to : NULL;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    if (!to)
        to = tu_dtype(TENSOR_F32);
    const struct tu_conversion how = {.plan = plan};
    return tu_convert_operands(t, &output, operands, count, &how, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-dequant",
        .synopsis = "[OPTION]... [MODEL|-]...",
        .about =
            "Makes every quantized and floating tensor one of F32, F16 or BF16, bit for bit as\n"
            "the type defines it.  Tensors that are not selected pass unchanged.",
        .options = options,
        .max_operands = SIZE_MAX,
        .packs = TU_PACKS_VALUES,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
