/* SPDX-License-Identifier: MIT */
/* tensor-cat: model files and streams to one stream. */
#include "config.h"

#include "tool/main.h"
#include "model/feed.h"

static struct tu_tool tool;
static struct tu_output output;

static const struct tu_option options[] = {
    TU_SELECT_OPTIONS(tool), TU_LIMIT_OPTION(tool), TU_SHARD_OPTION(tool),     TU_SORT_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool), TU_INPUT_OPTION(tool), TU_PROGRESS_OPTIONS(tool), TU_OPTIONS_END,
};

static int pass_items(struct tu_feed *feed, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0) {
        int result = item.kind == TU_KIND_TENSOR ? tu_feed_pass(feed, &item, &output, error)
                                                 : tu_output_record(&output, &item.map, error);
        if (result < 0)
            return -1;
    }
    return more;
}

/* Says which share this was, so that who reads all of them knows what is missing. */
static int put_share(const struct tu_feed *feed, struct tu_error *error)
{
    const struct tu_share *share = &tool.session.selection.share;
    struct tu_arena arena = {0};
    struct tensor_value record;
    int result = tu_share_record(share, &feed->shared, &arena, &record, error);
    if (result == 0)
        result = tu_output_record(&output, &record, error);
    tu_arena_free(&arena);
    return result;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_feed feed;
    if (t->session.selection.share.count && t->session.selection.limit)
        return tu_fail(error, TU_EUSAGE, "--shard and --limit exclude each other");
    if (tu_output_open(&output, t, "tensor", tu_tensor_columns, error) < 0)
        return -1;
    tu_feed_open(&feed, &t->session, operands, count, true);
    feed.stating = feed.announcing = tu_output_streams(&output);
    int result = pass_items(&feed, error);
    if (result == 0 && t->session.selection.share.count)
        result = put_share(&feed, error);
    tu_feed_close(&feed);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-cat",
        .synopsis = "[OPTION]... [MODEL|-]...",
        .about = "Puts the tensors of models (files of any known format, saved streams, standard\n"
                 "input) on standard output as one tensor stream.",
        .options = options,
        .max_operands = SIZE_MAX,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
