/* SPDX-License-Identifier: MIT */
/* tensor-save: a stream to a model file. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/nearest.h"
#include "base/path.h"
#include "compute/convert-plan.h"
#include "compute/convert.h"
#include "model/feed.h"
#include "model/source-record.h"
#include "model/write/shards.h"
#include "stream/record.h"
#include "tool/main.h"

enum { COPY_BYTES = 256 * 1024, MOVE_BYTES = 16 << 20 };

static struct tu_tool tool;
static const char *format_name;
static struct tu_shards shards;
static struct tu_convert_plan plan;

static int parse_convert(void *target, const char *text, struct tu_error *error)
{
    (void)target;
    plan.mode = strcmp(text, "none") == 0   ? TU_CONVERT_NONE
                : strcmp(text, "auto") == 0 ? TU_CONVERT_AUTO
                                            : TU_CONVERT_TYPE;
    return plan.mode == TU_CONVERT_TYPE ? tu_option_dtype(&plan.to, text, error) : 0;
}

static const struct tu_option options[] = {
    {0, "format", "NAME", "safetensors, gguf, apr, npz or npy (default: by the suffix)",
     tu_option_string, &format_name},
    {0, "convert", "auto|none|TYPE", "what to make of types that the format lacks (default none)",
     parse_convert, NULL},
    {'f', "force", NULL, "replace the file if it exists", tu_option_flag, &shards.force},
    {0, "max-shard-size", "SIZE", "begin another file before one holds more, as 5G", tu_option_size,
     &shards.shard_bytes},
    TU_JOBS_OPTION(tool),
    TU_PACKS_OPTION(tool),
    TU_SELECT_OPTIONS(tool),
    TU_LIMIT_OPTION(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

static void fail_format(const struct tu_plugins *plugins, struct tu_error *error)
{
    char hint[TU_HINT_SIZE];
    struct tu_nearest nearest = {.text = format_name};
    for (size_t i = 0; i < plugins->count; i++)
        if (plugins->items[i].format && plugins->items[i].format->refuse)
            tu_nearest_try(&nearest, plugins->items[i].format->name);
    tu_fail(error, TU_EUSAGE, "--format: '%s' is no format%s (see tensor-ls --formats)",
            format_name, tu_nearest_hint(&nearest, hint));
}

static const struct tensor_format *choose_format(const struct tu_plugins *plugins, const char *path,
                                                 struct tu_error *error)
{
    const struct tensor_format *f = format_name ? tu_plugins_by_name(plugins, format_name)
                                                : tu_plugins_by_suffix(plugins, path);
    if (!f && format_name)
        fail_format(plugins, error);
    else if (!f)
        tu_fail(error, TU_EUSAGE, "%s: no format has this suffix (name one by --format)", path);
    return f;
}

/* Keeps what an index record announces.  It is a hint, so what is wrong in it is left to the
 * tensors themselves. */
static int keep_announced(const struct tensor_value *index, struct tu_error *error)
{
    const struct tensor_value *rows = tu_value_get(index, "tensors");
    size_t count = rows && rows->type == TENSOR_ARRAY ? rows->array.count : 0;
    struct tu_error ignored = {0};
    for (size_t i = 0; i < count; i++) {
        struct tu_tensor t;
        struct tu_geometry geometry;
        struct tensor_value row;
        if (tu_value_copy(&rows->array.items[i], &shards.arena, &row, error) < 0)
            return tu_fail_memory(error);
        if (tu_tensor_from_value(&row, &shards.arena, &t, &geometry, &ignored) < 0)
            return 0;
        const struct tu_dtype *to = tu_convert_plan_type(&plan, &t);
        if (to && tu_convert_describe(&t, to, &t, &ignored) < 0)
            return 0;
        if (tu_shards_announce(&shards, &t, error) < 0)
            return -1;
    }
    return 0;
}

static int put_bytes(void *context, const void *bytes, size_t length, struct tu_error *error)
{
    (void)context;
    return tu_save_bytes(tu_shards_newest(&shards), bytes, length, error);
}

/* Moves bytes from file to file inside the system: what is left of so many to be copied. */
static int move_bytes(struct tu_feed *feed, uint64_t *left, struct tu_error *error)
{
    off_t at;
    ssize_t n = 1;
    int fd = *left >= COPY_BYTES ? tu_save_straight(tu_shards_newest(&shards), &at, error) : -1;
    for (; fd >= 0 && *left && n > 0; *left -= (uint64_t)n) {
        n = tu_feed_move(feed, fd, &at, *left < MOVE_BYTES ? *left : MOVE_BYTES, error);
        if (n < 0)
            return -1;
        tu_save_put(tu_shards_newest(&shards), (uint64_t)n);
    }
    return error->code ? -1 : 0;
}

static int copy_bytes(struct tu_feed *feed, const struct tu_item *item, struct tu_error *error)
{
    static char buffer[COPY_BYTES];
    uint64_t left = item->tensor.nbytes;
    int result = move_bytes(feed, &left, error);
    while (left && result == 0) {
        size_t n = left < sizeof buffer ? (size_t)left : sizeof buffer;
        result = tu_feed_read(feed, buffer, n, error);
        if (result == 0)
            result = tu_save_bytes(tu_shards_newest(&shards), buffer, n, error);
        left -= n;
        if (result == 0)
            result = move_bytes(feed, &left, error);
    }
    return result;
}

static int save_tensor(struct tu_feed *feed, const struct tu_item *item, struct tu_error *error)
{
    struct tu_tensor t = item->tensor;
    const struct tu_dtype *to = tu_convert_plan_type(&plan, &t);
    if (!to && tu_save_refuses(shards.format, &t))
        return tu_convert_plan_refuse(&plan, shards.path, &t, error);
    if (to && (tu_convert_plan_note(&plan, &t, to, error) < 0 ||
               tu_convert_describe(&t, to, &t, error) < 0))
        return -1;
    if (tu_shards_tensor(&shards, &t, error) < 0)
        return -1;
    return to ? tu_convert_bytes(feed, item, to, put_bytes, NULL, error)
              : copy_bytes(feed, item, error);
}

static int save_metadata(const struct tensor_value *source, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tensor_value metadata;
    int result = tu_source_metadata(source, &arena, &metadata, error);
    if (result == 0)
        result = tu_shards_metadata(&shards, &metadata, error);
    tu_arena_free(&arena);
    return result;
}

static int save_items(struct tu_feed *feed, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0) {
        int result = 0;
        if (item.kind == TU_KIND_SOURCE)
            result = save_metadata(&item.map, error);
        else if (item.kind == TU_KIND_INDEX)
            result = keep_announced(&item.map, error);
        else if (item.kind == TU_KIND_TENSOR)
            result = save_tensor(feed, &item, error);
        if (result < 0)
            return -1;
    }
    if (more < 0 || tu_selection_check(&tool.session.selection, error) < 0)
        return -1;
    return tu_shards_end(&shards, error);
}

/* What was lost or changed on the way, once the files are there. */
static void report(void)
{
    const struct tensor_format *format = shards.format;
    size_t lost = format->drops_metadata ? shards.files[0].metadata.map.count : 0;
    const struct tu_older *older = &shards.older;
    tu_convert_plan_report(&plan);
    if (older->count)
        tu_warn(&tool.session, "%zu file%s of an earlier save %s removed: first %.256s",
                older->count, older->count == 1 ? "" : "s", older->count == 1 ? "is" : "are",
                older->paths[0]);
    if (lost)
        tu_warn(&tool.session, "%zu key%s of metadata %s lost: %s has no place for them", lost,
                lost == 1 ? "" : "s", lost == 1 ? "is" : "are", format->name);
}

static int check_convert(struct tu_error *error)
{
    bool can =
        !plan.to || plan.to->kind == TENSOR_KIND_INT || tool.session.kernels->encode[plan.to->code];
    return can ? 0
               : tu_fail(error, TU_EUSAGE, "--convert: tensors cannot be made %s", plan.to->name);
}

/* ---- What is not written over ---- */

static bool is_there(const char *path, struct stat *st)
{
    return strcmp(path, "-") != 0 && stat(path, st) == 0;
}

/* Whether an operand is the file, or the folder in which it lies. */
static bool holds(const struct stat *operand, const char *path, const struct stat *file)
{
    const char *folder;
    struct stat st;
    char name[4096];
    size_t length = tu_folder_of(path, &folder);
    if (!S_ISDIR(operand->st_mode))
        return operand->st_dev == file->st_dev && operand->st_ino == file->st_ino;
    return snprintf(name, sizeof name, "%.*s", (int)length, folder) < (int)sizeof name &&
           stat(length ? name : ".", &st) == 0 && st.st_dev == operand->st_dev &&
           st.st_ino == operand->st_ino;
}

/* The operands in the order of cp, with the file that is to be written as the last: it could be
 * meant so where that has the suffix of a format. */
static int check_order(const struct tu_plugins *plugins, char **operands, size_t last, bool force,
                       struct tu_error *error)
{
    const char *first = operands[0], *other = operands[last];
    struct stat st;
    const struct tensor_format *format = tu_plugins_by_suffix(plugins, other);
    if (strcmp(other, "-") == 0 || !format || !format->refuse)
        return 0;
    if (!is_there(other, &st))
        return tu_fail(error, TU_EUSAGE,
                       "%s: exists already, and %.512s does not; the file to write comes first "
                       "(tensor-save %.512s %.512s)",
                       first, other, other, first);
    return tu_fail(error, TU_EUSAGE,
                   "%s: %s; %.512s would be written over it (tensor-cat %.512s | tensor-save "
                   "--force %.512s does that, tensor-save --force %.512s - < %.512s the opposite)",
                   first,
                   force ? "is a model, too, and --force replaces none that may be the source"
                         : "exists already",
                   other, other, first, other, first);
}

/* Whether the file that is to be written is there, and what it could be lost to. */
static int check_target(const struct tu_plugins *plugins, char **operands, size_t count,
                        struct tu_error *error)
{
    struct stat file, st;
    if (!is_there(operands[0], &file))
        return 0;
    for (size_t i = 1; i < count; i++)
        if (is_there(operands[i], &st) && holds(&st, operands[0], &file))
            return tu_fail(error, TU_EUSAGE, "%s: is read, too (write another file, and move it)",
                           operands[0]);
    return count > 1 && S_ISREG(file.st_mode) && file.st_size > 0
               ? check_order(plugins, operands, count - 1, shards.force, error)
               : 0;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_feed feed;
    plan.session = &t->session;
    plan.format = shards.format = choose_format(&t->session.plugins, operands[0], error);
    shards.path = operands[0];
    if (!shards.format || check_convert(error) < 0 ||
        check_target(&t->session.plugins, operands, count, error) < 0)
        return -1;
    bool choosing = t->session.selection.match.count || t->session.selection.exclude.count ||
                    t->session.selection.layer_count || t->session.selection.by_dtype ||
                    t->session.selection.limit;
    if (plan.mode != TU_CONVERT_NONE && !t->stored) /* else a copy is what is wanted */
        t->session.packs = TU_PACKS_VALUES;
    int result = tu_shards_open(&shards, error);
    if (result == 0) {
        tu_feed_open(&feed, &t->session, operands + 1, count - 1, choosing);
        feed.announcing = true;
        result = save_items(&feed, error);
        tu_feed_close(&feed);
    }
    if (result == 0)
        result = tu_shards_publish(&shards, error);
    if (result == 0)
        report();
    tu_convert_plan_free(&plan);
    tu_shards_close(&shards);
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
