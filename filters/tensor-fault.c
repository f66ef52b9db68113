/* SPDX-License-Identifier: MIT */
/* tensor-fault: puts a known fault into a model, so that a gate can prove that it fails. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "compute/fault/fault.h"
#include "model/feed.h"
#include "tool/main.h"

static struct tu_tool tool;
static struct tu_output output;
static struct tu_fault_settings settings = {.factor = NAN, .size = 0.01, .rows = 1};
static struct tu_fault_work work = {.session = &tool.session, .settings = &settings};

static int parse_fault(void *target, const char *text, struct tu_error *error)
{
#define NAME(ID, name) name,
    static const char *const names[] = {TU_FAULT_TABLE(NAME)};
#undef NAME
#define NAME(ID, name) ", " name
    static const char list[] = TU_FAULT_TABLE(NAME);
#undef NAME
    char hint[TU_HINT_SIZE];
    struct tu_nearest nearest = {.text = text};
    enum tu_fault_id fault = tu_fault_by_name(text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        tu_nearest_try(&nearest, names[i]);
    if (fault == TU_FAULT_NONE)
        return tu_fail(error, TU_EUSAGE, "'%s' is no fault%s (they are %s)", text,
                       tu_nearest_hint(&nearest, hint), list + 2);
    *(enum tu_fault_id *)target = fault;
    return 0;
}

static const struct tu_option options[] = {
    {0, "fault", "NAME", "which fault: one of the above", parse_fault, &settings.fault},
    {0, "seed", "N", "chooses the place (default 0)", tu_option_u64, &settings.seed},
    {0, "heads", "N", "heads that the rows of a tensor are divided into", tu_option_u64,
     &settings.heads},
    {0, "factor", "X", "what is multiplied by", tu_option_double, &settings.factor},
    {0, "size", "X", "of what is added, as a share of the tensor's norm", tu_option_double,
     &settings.size},
    {0, "rows", "N", "how many rows, or tokens, are cut off", tu_option_u64, &settings.rows},
    {0, "fact", "NAME", "which fact (default: the seed chooses)", tu_option_string, &settings.fact},
    TU_SELECT_OPTIONS(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

static int write_bytes(void *context, const void *bytes, size_t length, struct tu_error *error)
{
    (void)context;
    return tu_writer_bytes(&output.writer, bytes, length, error);
}

static int put_victim(const struct tu_feed *feed, const struct tu_item *item,
                      struct tu_error *error)
{
    struct tu_tensor becomes;
    struct tu_victim *v = tu_victim_open(&work, &feed->current, &becomes, error);
    if (!v)
        return -1;
    int result = tu_output_tensor(&output, &becomes, &item->map, error);
    if (result == 0 && tu_output_streams(&output))
        result = tu_victim_write(v, write_bytes, NULL, error);
    tu_victim_close(v);
    return result;
}

static int put_tensor(struct tu_feed *feed, const struct tu_item *item, struct tu_error *error)
{
    switch (tu_fault_fate(&work, feed->current.tensor)) {
    case TU_FAULT_CHANGE:
        return put_victim(feed, item, error);
    case TU_FAULT_LEAVE_OUT:
        return 0;
    default:
        return tu_feed_pass(feed, item, &output, error);
    }
}

/* The first source record of an operand stands for it. */
static int put_record(struct tu_feed *feed, struct tu_item *item, struct tu_error *error)
{
    if (item->kind == TU_KIND_SOURCE && feed->said == 1 &&
        tu_fault_operand(&work, &feed->operand, &item->map, error) < 0)
        return -1;
    return tu_output_record(&output, &item->map, error);
}

/* The stream breaks off in the middle of the tensor, as that of a killed producer does. */
static int break_off(struct tu_feed *feed, const struct tu_item *item, struct tu_error *error)
{
    static uint8_t buffer[256 * 1024];
    uint64_t half = item->tensor.nbytes / 2;
    size_t n = half < sizeof buffer ? (size_t)half : sizeof buffer;
    if (tu_output_tensor(&output, &item->tensor, &item->map, error) < 0 ||
        tu_feed_read(feed, buffer, n, error) < 0 ||
        tu_writer_bytes(&output.writer, buffer, n, error) < 0)
        return -1;
    return tu_writer_flush(&output.writer, error);
}

static int put_items(struct tu_feed *feed, struct tu_error *error)
{
    struct tu_item item;
    int more, result = 0;
    bool breaks = settings.fault == TU_FAULT_TRUNCATE && tu_output_streams(&output);
    while (result == 0 && (more = tu_feed_next(feed, &item, error)) > 0) {
        bool tensor = item.kind == TU_KIND_TENSOR;
        if (tensor && breaks && tu_selects(&tool.session.selection, &item.tensor))
            return break_off(feed, &item, error);
        result = tensor ? put_tensor(feed, &item, error) : put_record(feed, &item, error);
    }
    if (result < 0 || more < 0 || tu_fault_end(&work, error) < 0)
        return -1;
    return tu_output_close(&output, error);
}

static int check_usage(const struct tu_session *session, struct tu_error *error)
{
    const struct tu_selection *s = &session->selection;
    bool selects = s->match.count || s->exclude.count || s->layer_count || s->by_dtype;
    if (tu_fault_check(&settings, error) < 0)
        return -1;
    if (settings.fault == TU_FAULT_FACT && selects)
        return tu_fail(error, TU_EUSAGE, "--fault fact changes no tensor: none can be selected");
    return 0;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_feed feed;
    if (check_usage(&t->session, error) < 0 ||
        tu_output_open(&output, t, "tensor", tu_tensor_columns, error) < 0)
        return -1;
    tu_feed_open(&feed, &t->session, operands, count, false);
    feed.stating = true;
    feed.access = TU_ACCESS_RANDOM;
    int result = put_items(&feed, error);
    tu_fault_close(&work);
    tu_feed_close(&feed);
    return result;
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-fault",
        .synopsis = "--fault NAME [OPTION]... [MODEL|-]...",
        .about =
            "Puts a known fault into the selected tensors, at a place that the seed chooses, so "
            "that\n"
            "a gate can prove that it fails.  Everything else passes unchanged.  Faults of a "
            "tensor:\n"
            "  nan          one number is NaN                 zero-column   one column is zero\n"
            "  bit          one bit is turned over            scale-column  one is multiplied "
            "(1.5)\n"
            "  swap-rows    two rows change places            mix-columns   a group changes "
            "places\n"
            "  swap-heads   two of --heads parts do           scale         is multiplied (1.15)\n"
            "  transpose    elements lie as its transpose's   fine-tune     low rank is added "
            "(0.01)\n"
            "  stale-scale  a block has that of another       cut-rows      the last rows are "
            "missing\n"
            "  channel      one row is multiplied (1.15)      exchange      with another of its "
            "shape\n"
            "  zero-block   one block is zero                 truncate      the stream ends in it\n"
            "Of the model: rope-halves and rope-pairs (rows of q and k in another order),\n"
            "cut-vocabulary (the last tokens are missing), drop-expert, and fact (one is changed).",
        .options = options,
        .max_operands = SIZE_MAX,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
