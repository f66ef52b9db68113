/* SPDX-License-Identifier: MIT */
/* tensor-quant: floating tensors to a narrower or quantized type. */
#include "config.h"

#include "tool/convert.h"
#include "tool/main.h"
#include "compute/convert.h"

static struct tu_tool tool;
static struct tu_output output;
static const struct tu_dtype *to;
static bool all;

static const struct tu_option options[] = {
    {0, "to", "TYPE", "element type to make, as F16, Q8_0 or Q4_K", tu_option_dtype, &to},
    {0, "all", NULL, "quantize tensors of one dimension, too", tu_option_flag, &all},
    TU_PACKS_OPTION(tool),
    TU_SELECT_OPTIONS(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* What came of the tensors that are selected. */
static struct {
    size_t seen, made, quantized, same;
    const struct tu_dtype *type; /* of one that is quantized already */
} tally;

static void note(const struct tu_tensor *t, bool made)
{
    const struct tu_dtype *type = tu_dtype(t->dtype);
    tally.seen++;
    tally.made += made;
    tally.same += type->code == to->code;
    if (type->kind == TENSOR_KIND_QUANT && type->code != to->code) {
        tally.quantized++;
        tally.type = type;
    }
}

/* Who asked for a type and did not get it should know. */
static void report(void)
{
    if (tally.quantized)
        tu_warn(&tool.session,
                "%zu tensor%s quantized already, as %s, and pass%s unchanged (tensor-dequant "
                "before this makes them %s, with the errors of both)",
                tally.quantized, tally.quantized == 1 ? " is" : "s are", tally.type->name,
                tally.quantized == 1 ? "es" : "", to->name);
    else if (tally.seen && !tally.made)
        tu_warn(&tool.session,
                tally.same == tally.seen
                    ? "nothing was changed: all %zu tensors are %s already"
                    : "nothing was changed: none of %zu tensors can be made %s "
                      "(--all takes those of one dimension, too)",
                tally.seen, to->name);
}

static bool meant(const struct tu_tensor *t)
{
    bool is_float = tu_dtype(t->dtype)->kind == TENSOR_KIND_FLOAT;
    bool small = t->rank < 2 && to->kind == TENSOR_KIND_QUANT;
    return is_float && t->dtype != to->code && (all || !small);
}

static const struct tu_dtype *plan(const struct tu_tensor *t, bool has_come)
{
    if (!tu_selects(&tool.session.selection, t))
        return NULL;
    bool asked = meant(t), can = asked && tu_can_convert(&tool.session, t, to);
    if (has_come)
        note(t, can);
    if (!asked || can)
        return can ? to : NULL;
    if (has_come)
        tu_warn(&tool.session, "tensor '%s' stays %s: its rows are no whole blocks of %u elements",
                t->name, tu_dtype(t->dtype)->name, to->elements);
    return NULL;
}

static int check_type(struct tu_tool *t, struct tu_error *error)
{
    if (!to)
        return tu_fail(error, TU_EUSAGE, "--to TYPE is needed (see tensor-quant --help)");
    if (!t->session.kernels->encode[to->code])
        return tu_fail(error, TU_EUSAGE, "--to: %s has no quantizer here", to->name);
    return 0;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    static const struct tu_conversion how = {.plan = plan};
    if (check_type(t, error) < 0 ||
        tu_convert_operands(t, &output, operands, count, &how, error) < 0)
        return -1;
    report();
    return 0;
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-quant",
        .synopsis = "--to TYPE [OPTION]... [MODEL|-]...",
        .about = "Quantizes floating tensors of two and more dimensions; everything else passes\n"
                 "unchanged, as do tensors that are not selected.",
        .options = options,
        .max_operands = SIZE_MAX,
        .packs = TU_PACKS_VALUES,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
