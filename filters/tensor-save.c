/* SPDX-License-Identifier: MIT */
/* tensor-save: a stream to a model file. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "stream/record.h"
#include "tool/main.h"
#include "compute/convert.h"
#include "model/feed.h"
#include "tree/json.h"
#include "model/save.h"

enum { COPY_BYTES = 256 * 1024, MOVE_BYTES = 16 << 20, SPARE_FILES = 32 };

static struct tu_tool tool;
static const char *format_name;
static bool force;
static uint64_t shard_bytes; /* 0: one file */
static const struct tensor_format *format;

/* What becomes of tensors that the format refuses. */
static enum { CONVERT_NONE, CONVERT_AUTO, CONVERT_TYPE } convert;
static const struct tu_dtype *convert_to; /* CONVERT_TYPE */

/* The tensors that an index record announced. */
static struct {
    struct tu_arena arena;
    struct tensor_entry *entries;
    size_t count, capacity;
} announced;

/* The files that are written: one, or the shards so far. */
static struct {
    struct tu_saver *items;
    size_t count, capacity;
} files;

static size_t saved; /* tensors */

/* Tensors that were converted alike. */
static struct {
    struct conversion {
        const struct tu_dtype *from, *to;
        const char *why; /* as the format says it */
        char *first;     /* name of a tensor */
        size_t count;
    } * items;
    size_t count, capacity;
} conversions;

static int parse_convert(void *target, const char *text, struct tu_error *error)
{
    (void)target;
    convert = strcmp(text, "none") == 0   ? CONVERT_NONE
              : strcmp(text, "auto") == 0 ? CONVERT_AUTO
                                          : CONVERT_TYPE;
    return convert == CONVERT_TYPE ? tu_option_dtype(&convert_to, text, error) : 0;
}

static const struct tu_option options[] = {
    {0, "format", "NAME", "safetensors, gguf, apr, npz or npy (default: by the suffix)",
     tu_option_string, &format_name},
    {0, "convert", "auto|none|TYPE", "what to make of types that the format lacks (default none)",
     parse_convert, NULL},
    {'f', "force", NULL, "replace the file if it exists", tu_option_flag, &force},
    {0, "max-shard-size", "SIZE", "begin another file before one holds more, as 5G", tu_option_size,
     &shard_bytes},
    TU_JOBS_OPTION(tool),
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

/* ---- Conversions ---- */

/* Whether the format would take the tensor if it were of a type, and it can be made so. */
static bool would_take(const struct tu_tensor *t, const struct tu_dtype *to)
{
    struct tu_tensor made;
    struct tu_error ignored = {0};
    return to->code != t->dtype && tu_can_convert(&tool.session, t, to) &&
           tu_convert_describe(t, to, &made, &ignored) == 0 && !tu_save_refuses(format, &made);
}

static bool is_float(const struct tu_dtype *d)
{
    return d->kind == TENSOR_KIND_FLOAT || d->kind == TENSOR_KIND_QUANT;
}

/* The type that holds a tensor's values and that the format takes: of the same kind, numbers with a
 * fraction or without, where there is one; of several the smallest.  NULL if there is none. */
static const struct tu_dtype *find_exact(const struct tu_tensor *t)
{
    size_t count;
    const struct tu_dtype *types = tu_dtype_table(&count), *from = tu_dtype(t->dtype), *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct tu_dtype *to = &types[i];
        if (!tu_holds_values(to, from) || !would_take(t, to))
            continue;
        bool alike = is_float(to) == is_float(from);
        bool was_alike = best && is_float(best) == is_float(from);
        if (!best || alike > was_alike || (alike == was_alike && to->bytes < best->bytes))
            best = to;
    }
    return best;
}

/* The type that a tensor is converted to; NULL: none, or it need not be. */
static const struct tu_dtype *plan(const struct tu_tensor *t)
{
    if (convert == CONVERT_NONE || !tu_save_refuses(format, t))
        return NULL;
    if (convert == CONVERT_AUTO)
        return find_exact(t);
    return would_take(t, convert_to) ? convert_to : NULL;
}

static bool any_would_do(const struct tu_tensor *t)
{
    size_t count;
    const struct tu_dtype *types = tu_dtype_table(&count);
    for (size_t i = 0; i < count; i++)
        if (would_take(t, &types[i]))
            return true;
    return false;
}

/* Tells why a tensor cannot be saved, and which option would help. */
static int refuse_tensor(const char *path, const struct tu_tensor *t, struct tu_error *error)
{
    const char *why = tu_save_refuses(format, t), *type = tu_dtype(t->dtype)->name;
    const struct tu_dtype *exact = find_exact(t);
    char hint[160] = "";
    if (convert == CONVERT_TYPE)
        snprintf(hint, sizeof hint, ", and it cannot be stored as %s there", convert_to->name);
    else if (exact)
        snprintf(hint, sizeof hint, " (--convert auto makes it %s)", exact->name);
    else if (any_would_do(t))
        snprintf(hint, sizeof hint,
                 ", nor one that holds all its values (--convert TYPE names another)");
    return tu_fail(error, TU_EINVALID, "%s: tensor '%.256s' (%s): %s %s%s", path, t->name, type,
                   format->name, why, hint);
}

static int note_conversion(const struct tu_tensor *t, const struct tu_dtype *to,
                           struct tu_error *error)
{
    const struct conversion new = {tu_dtype(t->dtype), to, tu_save_refuses(format, t), NULL, 1};
    for (size_t i = 0; i < conversions.count; i++) {
        struct conversion *c = &conversions.items[i];
        if (c->from == new.from && c->to == to &&strcmp(c->why, new.why) == 0) {
            c->count++;
            return 0;
        }
    }
    if (!TU_GROW(conversions.items, conversions.count, conversions.capacity))
        return tu_fail_memory(error);
    conversions.items[conversions.count] = new;
    conversions.items[conversions.count].first = strdup(t->name);
    return conversions.items[conversions.count++].first ? 0 : tu_fail_memory(error);
}

static void report_conversions(void)
{
    for (size_t i = 0; i < conversions.count; i++) {
        const struct conversion *c = &conversions.items[i];
        bool rounds = c->to->kind != TENSOR_KIND_INT && !tu_holds_values(c->to, c->from);
        tu_warn(&tool.session, "%zu tensor%s converted from %s to %s%s (%s %s): first %.256s",
                c->count, c->count == 1 ? "" : "s", c->from->name, c->to->name,
                rounds ? ", rounded" : "", format->name, c->why, c->first);
    }
}

static void free_conversions(void)
{
    for (size_t i = 0; i < conversions.count; i++)
        free(conversions.items[i].first);
    free(conversions.items);
}

/* ---- What is announced ---- */

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
        if (tu_value_copy(&rows->array.items[i], &announced.arena, &row, error) < 0 ||
            !TU_GROW(announced.entries, announced.count, announced.capacity))
            return tu_fail_memory(error);
        if (tu_tensor_from_value(&row, &announced.arena, &t, &geometry, &ignored) < 0)
            return 0;
        const struct tu_dtype *to = plan(&t);
        if (to && tu_convert_describe(&t, to, &t, &ignored) < 0)
            return 0;
        announced.entries[announced.count++] = (struct tensor_entry){.name = t.name,
                                                                     .name_length = t.name_length,
                                                                     .dtype = t.dtype,
                                                                     .packing = t.packing,
                                                                     .rank = t.rank,
                                                                     .shape = t.shape,
                                                                     .nbytes = t.nbytes};
    }
    return 0;
}

/* Whether a file that holds so many bytes takes another tensor. */
static bool has_room(uint64_t bytes, uint64_t nbytes)
{
    return !shard_bytes || bytes == 0 || (bytes <= shard_bytes && nbytes <= shard_bytes - bytes);
}

/* Tells the newest file which of the announced tensors will be its own. */
static int expect(struct tu_saver *saver, struct tu_error *error)
{
    uint64_t bytes = 0;
    size_t first = saved < announced.count ? saved : announced.count, last = first;
    while (last < announced.count && has_room(bytes, announced.entries[last].nbytes))
        bytes += announced.entries[last++].nbytes;
    return last > first ? tu_save_expect(saver, announced.entries + first, last - first, error) : 0;
}

/* ---- Files ---- */

static struct tu_saver *newest(void)
{
    return &files.items[files.count - 1];
}

/* Every shard stays open until all have their names. */
static void allow_files(size_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count + SPARE_FILES &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int add_file(const char *path, struct tu_error *error)
{
    if (!TU_GROW(files.items, files.count, files.capacity))
        return tu_fail_memory(error);
    allow_files(files.count + 1);
    if (tu_save_open(&files.items[files.count], format, path, force, error) < 0)
        return -1;
    files.count++;
    return 0;
}

/* Begins another file where the newest is full. */
static int make_room(const struct tu_tensor *t, struct tu_error *error)
{
    struct tu_saver *saver = newest();
    if (has_room(saver->data_bytes, t->nbytes))
        return saver->count ? 0 : expect(saver, error);
    if (tu_save_end(saver, error) < 0 || add_file(saver->file.path, error) < 0)
        return -1;
    return expect(newest(), error);
}

static int put_bytes(void *context, const void *bytes, size_t length, struct tu_error *error)
{
    (void)context;
    return tu_save_bytes(newest(), bytes, length, error);
}

/* Moves bytes from file to file inside the system: what is left of so many to be copied. */
static int move_bytes(struct tu_feed *feed, uint64_t *left, struct tu_error *error)
{
    off_t at;
    ssize_t n = 1;
    int fd = *left >= COPY_BYTES ? tu_save_straight(newest(), &at, error) : -1;
    for (; fd >= 0 && *left && n > 0; *left -= (uint64_t)n) {
        n = tu_feed_move(feed, fd, &at, *left < MOVE_BYTES ? *left : MOVE_BYTES, error);
        if (n < 0)
            return -1;
        tu_save_put(newest(), (uint64_t)n);
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
            result = tu_save_bytes(newest(), buffer, n, error);
        left -= n;
        if (result == 0)
            result = move_bytes(feed, &left, error);
    }
    return result;
}

static int save_tensor(struct tu_feed *feed, const struct tu_item *item, struct tu_error *error)
{
    struct tu_tensor t = item->tensor;
    const struct tu_dtype *to = plan(&t);
    if (!to && tu_save_refuses(format, &t))
        return refuse_tensor(newest()->file.path, &t, error);
    if (to && (note_conversion(&t, to, error) < 0 || tu_convert_describe(&t, to, &t, error) < 0))
        return -1;
    if (make_room(&t, error) < 0 || tu_save_tensor(newest(), &t, error) < 0)
        return -1;
    saved++;
    return to ? tu_convert_bytes(feed, item, to, false, put_bytes, NULL, error)
              : copy_bytes(feed, item, error);
}

/* The metadata of a model stands in its first file. */
static int save_metadata(const struct tensor_value *source, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tensor_value metadata;
    int result = tu_source_metadata(source, &arena, &metadata, error);
    if (result == 0)
        result = tu_save_metadata(&files.items[0], &metadata, error);
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
    return more < 0 ? -1 : tu_save_end(newest(), error);
}

/* ---- Names ---- */

/* model.gguf becomes model-00001-of-00003.gguf, as every tool names parts. */
static char *part_name(const char *path, size_t part, size_t parts)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    int stem = dot && dot > (slash ? slash + 1 : path) ? (int)(dot - path) : (int)strlen(path);
    char *name;
    if (asprintf(&name, "%.*s-%05zu-of-%05zu%s", stem, path, part + 1, parts, path + stem) < 0)
        return NULL;
    return name;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int put_weight_map(struct tu_builder *b, char **names, struct tu_error *error)
{
    if (tu_builder_open(b, "weight_map", strlen("weight_map"), TENSOR_MAP, TENSOR_NULL, error) < 0)
        return -1;
    for (size_t i = 0; i < files.count; i++) {
        const char *name = file_name(names[i]);
        struct tensor_value value = {.type = TENSOR_STRING, .string = {name, strlen(name)}};
        for (size_t k = 0; k < files.items[i].count; k++) {
            const struct tensor_entry *e = &files.items[i].tensors[k];
            if (tu_builder_add(b, e->name, e->name_length, &value, error) < 0)
                return -1;
        }
    }
    return tu_builder_close(b, error);
}

static int build_shard_index(char **names, struct tu_arena *arena, struct tensor_value *out,
                             struct tu_error *error)
{
    struct tu_builder b;
    uint64_t total = 0;
    for (size_t i = 0; i < files.count; i++)
        for (size_t k = 0; k < files.items[i].count; k++)
            total += files.items[i].tensors[k].nbytes;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_builder_open(&b, "metadata", strlen("metadata"), TENSOR_MAP, TENSOR_NULL, error) == 0 &&
        tu_put_uint(&b, "total_size", total, error) == 0 && tu_builder_close(&b, error) == 0 &&
        put_weight_map(&b, names, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

/* What Hugging Face calls a shard index: which tensor lies in which file.  Other formats have none.
 */
struct shard_index {
    struct tu_arena arena;
    char *path;
    const char *text; /* NULL: there is none */
    size_t length;
};

static int make_shard_index(const char *path, char **names, struct shard_index *out,
                            struct tu_error *error)
{
    struct tensor_value index;
    if (files.count < 2 || strcmp(files.items[0].format->name, "safetensors") != 0)
        return 0;
    if (asprintf(&out->path, "%s.index.json", path) < 0) {
        out->path = NULL;
        return tu_fail_memory(error);
    }
    if (build_shard_index(names, &out->arena, &index, error) < 0 ||
        tu_newfile_check(out->path, force, error) < 0)
        return -1;
    return tu_json_text(&index, &out->arena, &out->text, &out->length, error);
}

static int compare_entries(const void *a, const void *b)
{
    const struct tensor_entry *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* A name may come once in all files together. */
static int check_names(struct tu_error *error)
{
    size_t total = 0;
    const struct tensor_entry **all = reallocarray(NULL, saved ? saved : 1, sizeof(*all));
    if (!all)
        return tu_fail_memory(error);
    for (size_t i = 0; i < files.count; i++)
        for (size_t k = 0; k < files.items[i].count; k++)
            all[total++] = &files.items[i].tensors[k];
    qsort(all, total, sizeof(*all), compare_entries);
    int result = 0;
    for (size_t i = 1; i < total && result == 0; i++)
        if (strcmp(all[i - 1]->name, all[i]->name) == 0)
            result = tu_fail(error, TU_EINVALID, "%s: tensor '%s' comes twice",
                             files.items[0].file.path, all[i]->name);
    free(all);
    return result;
}

/* Finishes every file, and looks whether it may have its name, before the first one gets its own.
 */
static int finish_files(const char *path, char **names, struct tu_error *error)
{
    for (size_t i = 0; i < files.count; i++) {
        names[i] = files.count > 1 ? part_name(path, i, files.count) : strdup(path);
        if (!names[i])
            return tu_fail_memory(error);
        if (tu_newfile_check(names[i], force, error) < 0 ||
            tu_save_finish(&files.items[i], (uint32_t)i, (uint32_t)files.count, saved, error) < 0)
            return -1;
    }
    return 0;
}

/* Gives the files their names; if one cannot have its own, those that are new are taken back. */
static int name_files(char **names, const struct shard_index *index, struct tu_error *error)
{
    size_t named = 0;
    int result = 0;
    while (result == 0 && named < files.count) {
        result = tu_save_publish(&files.items[named], names[named], error);
        named += result == 0;
    }
    if (result == 0 && index->text)
        result = tu_save_text(index->path, force, index->text, index->length, error);
    while (result < 0 && !force && named > 0)
        unlink(names[--named]);
    return result;
}

static int publish(const char *path, struct tu_error *error)
{
    struct shard_index index = {.path = NULL};
    char **names = calloc(files.count, sizeof *names);
    if (!names)
        return tu_fail_memory(error);
    int result = check_names(error);
    if (result == 0)
        result = finish_files(path, names, error);
    if (result == 0)
        result = make_shard_index(path, names, &index, error);
    if (result == 0)
        result = name_files(names, &index, error);
    for (size_t i = 0; i < files.count; i++)
        free(names[i]);
    free(names);
    free(index.path);
    tu_arena_free(&index.arena);
    return result;
}

/* What was lost or changed on the way, once the files are there. */
static void report(void)
{
    size_t lost = format->drops_metadata ? files.items[0].metadata.map.count : 0;
    report_conversions();
    if (lost)
        tu_warn(&tool.session, "%zu key%s of metadata %s lost: %s has no place for them", lost,
                lost == 1 ? "" : "s", lost == 1 ? "is" : "are", format->name);
}

static int check_convert(struct tu_error *error)
{
    bool can = !convert_to || convert_to->kind == TENSOR_KIND_INT ||
               tool.session.kernels->encode[convert_to->code];
    return can ? 0
               : tu_fail(error, TU_EUSAGE, "--convert: tensors cannot be made %s",
                         convert_to->name);
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_feed feed;
    format = choose_format(&t->session.plugins, operands[0], error);
    if (!format || check_convert(error) < 0 || add_file(operands[0], error) < 0)
        return -1;
    bool choosing = t->session.selection.match.count || t->session.selection.exclude.count ||
                    t->session.selection.layer_count || t->session.selection.by_dtype ||
                    t->session.selection.limit;
    tu_feed_open(&feed, &t->session, operands + 1, count - 1, choosing);
    feed.announcing = true;
    int result = save_items(&feed, error);
    tu_feed_close(&feed);
    if (result == 0)
        result = publish(operands[0], error);
    if (result == 0)
        report();
    free_conversions();
    for (size_t i = 0; i < files.count; i++)
        tu_save_close(&files.items[i]);
    free(files.items);
    free(announced.entries);
    tu_arena_free(&announced.arena);
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
