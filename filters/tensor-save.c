/* SPDX-License-Identifier: MIT */
/* tensor-save: a stream to a model file. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "feed.h"
#include "save.h"

enum { COPY_BYTES = 256 * 1024 };

static struct tu_tool tool;
static const char *format_name;
static bool force;

static const struct tu_option options[] = {
    {0, "format", "NAME", "safetensors, gguf or apr (default: by the suffix)", tu_option_string,
     &format_name},
    {'f', "force", NULL, "replace the file if it exists", tu_option_flag, &force},
    TU_SELECT_OPTIONS(tool),
    TU_LIMIT_OPTION(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

static const struct tensor_format *choose_format(const struct tu_plugins *plugins, const char *path,
                                                 struct tu_error *error)
{
    const struct tensor_format *f = format_name ? tu_plugins_by_name(plugins, format_name)
                                                : tu_plugins_by_suffix(plugins, path);
    if (!f && format_name)
        tu_fail(error, TU_EUSAGE, "--format: '%s' is no format (see tensor-ls --formats)",
                format_name);
    else if (!f)
        tu_fail(error, TU_EUSAGE, "%s: no format has this suffix (name one by --format)", path);
    return f;
}

/* Tells the saver what an index record announces; it is a hint, so what is wrong in it is left to
 * the tensors themselves. */
static int expect(struct tu_saver *saver, const struct tensor_value *index, struct tu_error *error)
{
    const struct tensor_value *rows = tu_value_get(index, "tensors");
    size_t count = rows && rows->type == TENSOR_ARRAY ? rows->array.count : 0;
    struct tensor_entry *entries = calloc(count ? count : 1, sizeof *entries);
    struct tu_arena arena = {0};
    struct tu_error ignored = {0};
    int result = entries ? 0 : tu_fail_memory(error);
    for (size_t i = 0; i < count && result == 0; i++) {
        struct tu_tensor t;
        struct tu_geometry geometry;
        if (tu_tensor_from_value(&rows->array.items[i], &arena, &t, &geometry, &ignored) < 0) {
            count = 0;
            break;
        }
        entries[i] = (struct tensor_entry){.name = t.name,
                                           .name_length = t.name_length,
                                           .dtype = t.dtype,
                                           .packing = t.packing,
                                           .rank = t.rank,
                                           .shape = t.shape,
                                           .nbytes = t.nbytes};
    }
    if (result == 0 && count)
        result = tu_save_expect(saver, entries, count, error);
    free(entries);
    tu_arena_free(&arena);
    return result;
}

static int save_tensor(struct tu_saver *saver, struct tu_feed *feed, const struct tu_item *item,
                       struct tu_error *error)
{
    static char buffer[COPY_BYTES];
    int result = tu_save_tensor(saver, &item->tensor, error);
    for (uint64_t left = item->tensor.nbytes; left && result == 0;) {
        size_t n = left < sizeof buffer ? (size_t)left : sizeof buffer;
        result = tu_feed_read(feed, buffer, n, error);
        if (result == 0)
            result = tu_save_bytes(saver, buffer, n, error);
        left -= n;
    }
    return result;
}

static int save_metadata(struct tu_saver *saver, const struct tensor_value *source,
                         struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tensor_value metadata;
    int result = tu_source_metadata(source, &arena, &metadata, error);
    if (result == 0)
        result = tu_save_metadata(saver, &metadata, error);
    tu_arena_free(&arena);
    return result;
}

static int save_items(struct tu_saver *saver, struct tu_feed *feed, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0) {
        int result = 0;
        if (item.kind == TU_KIND_SOURCE)
            result = save_metadata(saver, &item.map, error);
        else if (item.kind == TU_KIND_INDEX)
            result = expect(saver, &item.map, error);
        else if (item.kind == TU_KIND_TENSOR)
            result = save_tensor(saver, feed, &item, error);
        if (result < 0)
            return -1;
    }
    return more;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_saver saver;
    struct tu_feed feed;
    const struct tensor_format *format = choose_format(&t->plugins, operands[0], error);
    if (!format || tu_save_open(&saver, format, operands[0], force, error) < 0)
        return -1;
    bool choosing = t->selection.match.count || t->selection.exclude.count ||
                    t->selection.layer_count || t->selection.by_dtype || t->selection.limit;
    tu_feed_open(&feed, t, operands + 1, count - 1, choosing);
    int result = save_items(&saver, &feed, error);
    tu_feed_close(&feed);
    if (result == 0)
        result = tu_save_finish(&saver, error);
    tu_save_close(&saver);
    return result;
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-save",
        .synopsis = "[OPTION]... FILE [MODEL|-]...",
        .about =
            "Writes the tensors of a stream (or of models) to a file in the format its suffix\n"
            "names.  The file appears when it is whole, and never replaces another unasked.",
        .options = options,
        .min_operands = 1,
        .max_operands = SIZE_MAX,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
