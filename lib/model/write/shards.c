/* SPDX-License-Identifier: MIT */
/* A model written to one file or to several, which appear together. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/newfile.h"
#include "base/path.h"
#include "model/write/shards.h"
#include "tree/json.h"

/* Whether a file that holds so many bytes takes another tensor. */
static bool has_room(const struct tu_shards *s, uint64_t bytes, uint64_t nbytes)
{
    return !s->shard_bytes || bytes == 0 ||
           (bytes <= s->shard_bytes && nbytes <= s->shard_bytes - bytes);
}

/* Tells the newest file which of the announced tensors will be its own. */
static int expect(struct tu_shards *s, struct tu_saver *saver, struct tu_error *error)
{
    uint64_t bytes = 0;
    size_t first = s->saved < s->announced_count ? s->saved : s->announced_count, last = first;
    while (last < s->announced_count && has_room(s, bytes, s->announced[last].nbytes))
        bytes += s->announced[last++].nbytes;
    return last > first ? tu_save_expect(saver, s->announced + first, last - first, error) : 0;
}

struct tu_saver *tu_shards_newest(struct tu_shards *s)
{
    return &s->files[s->count - 1];
}

static int add_file(struct tu_shards *s, struct tu_error *error)
{
    if (!TU_GROW(s->files, s->count, s->capacity))
        return tu_fail_memory(error);
    tu_allow_files(s->count + 1); /* every shard stays open until all have their names */
    if (tu_save_open(&s->files[s->count], s->format, s->path, s->force, error) < 0)
        return -1;
    s->count++;
    return 0;
}

/* Begins another file where the newest is full. */
static int make_room(struct tu_shards *s, const struct tu_tensor *t, struct tu_error *error)
{
    struct tu_saver *saver = tu_shards_newest(s);
    if (has_room(s, saver->data_bytes, t->nbytes))
        return saver->count ? 0 : expect(s, saver, error);
    if (tu_save_end(saver, error) < 0 || add_file(s, error) < 0)
        return -1;
    return expect(s, tu_shards_newest(s), error);
}

int tu_shards_open(struct tu_shards *s, struct tu_error *error)
{
    return add_file(s, error);
}

int tu_shards_announce(struct tu_shards *s, const struct tu_tensor *t, struct tu_error *error)
{
    if (!TU_GROW(s->announced, s->announced_count, s->announced_capacity))
        return tu_fail_memory(error);
    s->announced[s->announced_count++] = (struct tensor_entry){.name = t->name,
                                                               .name_length = t->name_length,
                                                               .dtype = t->dtype,
                                                               .packing = t->packing,
                                                               .rank = t->rank,
                                                               .shape = t->shape,
                                                               .nbytes = t->nbytes};
    return 0;
}

int tu_shards_tensor(struct tu_shards *s, const struct tu_tensor *t, struct tu_error *error)
{
    if (make_room(s, t, error) < 0 || tu_save_tensor(tu_shards_newest(s), t, error) < 0)
        return -1;
    s->saved++;
    return 0;
}

int tu_shards_metadata(struct tu_shards *s, const struct tensor_value *map, struct tu_error *error)
{
    return tu_save_metadata(&s->files[0], map, error);
}

int tu_shards_end(struct tu_shards *s, struct tu_error *error)
{
    return tu_save_end(tu_shards_newest(s), error);
}

/* ---- Names ---- */

/* model.gguf becomes model-00001-of-00003.gguf, as every tool names parts. */
static char *part_name(const char *path, size_t part, size_t parts)
{
    const char *name_in = tu_file_name(path);
    int stem = (int)(name_in - path) + (int)tu_file_stem(name_in);
    char *name;
    if (asprintf(&name, "%.*s-%05zu-of-%05zu%s", stem, path, part + 1, parts, path + stem) < 0)
        return NULL;
    return name;
}

static int put_weight_map(const struct tu_shards *s, struct tu_builder *b, char **names,
                          struct tu_error *error)
{
    if (tu_builder_open(b, "weight_map", strlen("weight_map"), TENSOR_MAP, TENSOR_NULL, error) < 0)
        return -1;
    for (size_t i = 0; i < s->count; i++) {
        const char *name = tu_file_name(names[i]);
        struct tensor_value value = {.type = TENSOR_STRING, .string = {name, strlen(name)}};
        for (size_t k = 0; k < s->files[i].count; k++) {
            const struct tensor_entry *e = &s->files[i].tensors[k];
            if (tu_builder_add(b, e->name, e->name_length, &value, error) < 0)
                return -1;
        }
    }
    return tu_builder_close(b, error);
}

static int build_shard_index(const struct tu_shards *s, char **names, struct tu_arena *arena,
                             struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    uint64_t total = 0;
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->files[i].count; k++)
            total += s->files[i].tensors[k].nbytes;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_builder_open(&b, "metadata", strlen("metadata"), TENSOR_MAP, TENSOR_NULL, error) == 0 &&
        tu_put_uint(&b, "total_size", total, error) == 0 && tu_builder_close(&b, error) == 0 &&
        put_weight_map(s, &b, names, error) == 0)
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

static int make_shard_index(const struct tu_shards *s, char **names, struct shard_index *out,
                            struct tu_error *error)
{
    struct tensor_value index;
    if (s->count < 2 || strcmp(s->format->name, "safetensors") != 0)
        return 0;
    if (asprintf(&out->path, "%s.index.json", s->path) < 0) {
        out->path = NULL;
        return tu_fail_memory(error);
    }
    if (build_shard_index(s, names, &out->arena, &index, error) < 0 ||
        tu_newfile_check(out->path, s->force, error) < 0)
        return -1;
    return tu_json_text(&index, &out->arena, &out->text, &out->length, error);
}

static int compare_entries(const void *a, const void *b)
{
    const struct tensor_entry *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* A name may come once in all files together. */
static int check_names(const struct tu_shards *s, struct tu_error *error)
{
    size_t total = 0;
    const struct tensor_entry **all = reallocarray(NULL, s->saved ? s->saved : 1, sizeof(*all));
    if (!all)
        return tu_fail_memory(error);
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->files[i].count; k++)
            all[total++] = &s->files[i].tensors[k];
    qsort(all, total, sizeof(*all), compare_entries);
    int result = 0;
    for (size_t i = 1; i < total && result == 0; i++)
        if (strcmp(all[i - 1]->name, all[i]->name) == 0)
            result =
                tu_fail(error, TU_EINVALID, "%s: tensor '%s' comes twice", s->path, all[i]->name);
    free(all);
    return result;
}

/* Finishes every file, and looks whether it may have its name, before the first one gets its own.
 */
static int finish_files(struct tu_shards *s, char **names, struct tu_error *error)
{
    for (size_t i = 0; i < s->count; i++) {
        names[i] = s->count > 1 ? part_name(s->path, i, s->count) : strdup(s->path);
        if (!names[i])
            return tu_fail_memory(error);
        if (tu_newfile_check(names[i], s->force, error) < 0 ||
            tu_save_finish(&s->files[i], (uint32_t)i, (uint32_t)s->count, s->saved, error) < 0)
            return -1;
    }
    return 0;
}

/* Gives the files their names; if one cannot have its own, those that are new are taken back. */
static int name_files(struct tu_shards *s, char **names, const struct shard_index *index,
                      struct tu_error *error)
{
    size_t named = 0;
    int result = 0;
    while (result == 0 && named < s->count) {
        result = tu_save_publish(&s->files[named], names[named], error);
        named += result == 0;
    }
    if (result == 0 && index->text)
        result = tu_save_text(index->path, s->force, index->text, index->length, error);
    while (result < 0 && !s->force && named > 0)
        unlink(names[--named]);
    return result;
}

/* Looks for what an earlier save left under other names. */
static int find_older(struct tu_shards *s, char **names, const struct shard_index *index,
                      struct tu_error *error)
{
    const char **written = calloc(s->count + 1, sizeof *written);
    if (!written)
        return tu_fail_memory(error);
    size_t count = 0;
    while (count < s->count) {
        written[count] = names[count];
        count++;
    }
    if (index->text)
        written[count++] = index->path;
    int result = tu_older_find(&s->older, s->path, written, count, error);
    free(written);
    if (result == 0 && s->older.count && !s->force)
        return tu_fail(error, TU_EUSAGE,
                       "%s: is of an earlier save, and would be taken for part of this one "
                       "(--force removes it)",
                       s->older.paths[0]);
    return result;
}

/* Between the new names and the end of the old files the folder holds two models, and is refused.
 */
static int put_files(struct tu_shards *s, char **names, struct shard_index *index,
                     struct tu_error *error)
{
    if (check_names(s, error) < 0 || finish_files(s, names, error) < 0 ||
        make_shard_index(s, names, index, error) < 0 || find_older(s, names, index, error) < 0 ||
        name_files(s, names, index, error) < 0)
        return -1;
    return tu_older_remove(&s->older, error);
}

int tu_shards_publish(struct tu_shards *s, struct tu_error *error)
{
    struct shard_index index = {.path = NULL};
    char **names = calloc(s->count, sizeof *names);
    if (!names)
        return tu_fail_memory(error);
    int result = put_files(s, names, &index, error);
    for (size_t i = 0; i < s->count; i++)
        free(names[i]);
    free(names);
    free(index.path);
    tu_arena_free(&index.arena);
    return result;
}

void tu_shards_close(struct tu_shards *s)
{
    for (size_t i = 0; i < s->count; i++)
        tu_save_close(&s->files[i]);
    free(s->files);
    tu_older_free(&s->older);
    free(s->announced);
    tu_arena_free(&s->arena);
    *s = (struct tu_shards){0};
}
