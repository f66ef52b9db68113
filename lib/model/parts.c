/* SPDX-License-Identifier: MIT */
/* Which files belong to a folder, a shard index or a split. */
#include "config.h"

#include "model/parts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree/json.h"
#include "base/path.h"

enum { JSON_BYTES_MAX = 256 << 20 };

static char *join(struct tu_arena *arena, const char *folder, const char *name)
{
    size_t a = strlen(folder), b = strlen(name);
    char *path = tu_arena_alloc(arena, a + b + 2);
    if (!path)
        return NULL;
    snprintf(path, a + b + 2, "%s%s%s", folder, a && folder[a - 1] == '/' ? "" : "/", name);
    return path;
}

/* ---- Shard indexes ---- */

bool tu_is_shard_index(const char *path, const uint8_t *head, size_t length)
{
    size_t i = 0;
    while (i < length && isspace(head[i]))
        i++;
    static const char record[] = "{\"kind\":"; /* what filters print */
    bool ours = length >= sizeof record - 1 && memcmp(head, record, sizeof record - 1) == 0;
    return i < length && head[i] == '{' && !ours && tu_stem(path, strlen(path), ".json") > 0;
}

/* Files lie in the folder of their index, so a name is no path. */
static bool is_plain_name(const struct tensor_value *name)
{
    if (name->type != TENSOR_STRING || name->string.length == 0 || name->string.length > 255 ||
        strlen(name->string.bytes) != name->string.length)
        return false;
    const char *text = name->string.bytes;
    return !strchr(text, '/') && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The distinct file names of a weight map, as paths, in order. */
static int list_files(const char *path, const struct tensor_value *map, struct tu_arena *arena,
                      struct tu_parts *out, struct tu_error *error)
{
    size_t count = map->map.count;
    char **names = tu_arena_alloc(arena, (count + 1) * sizeof *names);
    if (!names)
        return tu_fail_memory(error);
    for (size_t i = 0; i < count; i++) {
        const struct tensor_pair *pair = &map->map.pairs[i];
        if (!is_plain_name(&pair->value))
            return tu_fail(error, TU_EINVALID,
                           "%s: tensor '%.200s' is said to lie in no file of this folder", path,
                           pair->key.string.bytes);
        names[i] = (char *)pair->value.string.bytes;
    }
    qsort(names, count, sizeof *names, compare_texts);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            out->paths[out->count++] = names[i];
    for (size_t i = 0; i < out->count; i++)
        if (!(out->paths[i] = join(arena, out->folder, out->paths[i])))
            return tu_fail_memory(error);
    return 0;
}

static int find_config(struct tu_arena *arena, struct tu_parts *out, struct tu_error *error)
{
    char *config = join(arena, out->folder, "config.json");
    if (!config)
        return tu_fail_memory(error);
    out->config = access(config, R_OK) == 0 ? config : NULL;
    return 0;
}

static int read_index(const char *path, struct tu_arena *arena, struct tu_parts *out,
                      struct tu_error *error)
{
    struct tensor_value index;
    const char *folder;
    size_t folder_length = tu_folder_of(path, &folder);
    *out = (struct tu_parts){.folder = tu_arena_copy(arena, folder, folder_length), .index = path};
    if (!out->folder)
        return tu_fail_memory(error);
    if (stat(path, &out->index_read) < 0)
        return tu_fail_errno(error, "%s", path);
    if (tu_read_json(path, JSON_BYTES_MAX, arena, &index, error) < 0)
        return -1;
    const struct tensor_value *map = tu_value_get(&index, "weight_map");
    if (!map || map->type != TENSOR_MAP || map->map.count == 0)
        return tu_fail(
            error, TU_EINVALID,
            "%s: is JSON, not a file of a model, nor a shard index: it has no weight_map (name "
            "the folder, or the index)",
            path);
    out->weight_map = *map;
    const struct tensor_value *total = tu_value_get(tu_value_get(&index, "metadata"), "total_size");
    if (total)
        out->total_size = *total;
    out->paths = tu_arena_alloc(arena, map->map.count * sizeof *out->paths);
    if (!out->paths)
        return tu_fail_memory(error);
    if (list_files(path, map, arena, out, error) < 0)
        return -1;
    return find_config(arena, out, error);
}

/* ---- Folders ---- */

/* What a folder may hold a model as. */
enum kind { INDEX, SHARDS, GGUF, APR, NPZ, KINDS };
static const char *const suffixes[] = {
    [INDEX] = ".safetensors.index.json",
    [SHARDS] = ".safetensors",
    [GGUF] = ".gguf",
    [APR] = ".apr",
    [NPZ] = ".npz",
};

/* The model files of a folder by kind, as paths in order. */
struct listing {
    char **paths[KINDS];
    size_t count[KINDS], capacity[KINDS];
    struct tu_dumps dumps;
};

static int list_file(struct listing *l, const char *folder, const char *name,
                     struct tu_arena *arena, struct tu_error *error)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (!tu_stem(name, strlen(name), suffixes[kind]))
            continue;
        char *path = join(arena, folder, name);
        if (!path || !TU_GROW(l->paths[kind], l->count[kind], l->capacity[kind]))
            return tu_fail_memory(error);
        l->paths[kind][l->count[kind]++] = path;
        return 0;
    }
    return 0;
}

static void free_listing(struct listing *l)
{
    for (int kind = 0; kind < KINDS; kind++)
        free(l->paths[kind]);
    tu_dumps_free(&l->dumps);
}

/* What it holds is given back by free_listing, also after an error. */
static int list_folder(struct listing *l, const char *folder, struct tu_arena *arena,
                       struct tu_error *error)
{
    *l = (struct listing){0};
    DIR *dir = opendir(folder);
    if (!dir)
        return tu_fail_errno(error, "%s", folder);
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            result = list_file(l, folder, entry->d_name, arena, error);
    closedir(dir);
    for (int kind = 0; kind < KINDS; kind++)
        if (l->count[kind])
            qsort(l->paths[kind], l->count[kind], sizeof *l->paths[kind], compare_texts);
    return result < 0 ? -1 : tu_dumps_list(&l->dumps, folder, arena, error);
}

bool tu_part_of(const char *name, const char *suffix, uint64_t *part, uint64_t *count)
{
    size_t length = strlen(name), tail = strlen(suffix);
    if (!tu_stem(name, length, suffix))
        return false;
    const char *end = name + length - tail, *p = end;
    while (p > name && isdigit((unsigned char)p[-1]))
        p--;
    if (p == end || p - name < 5 || memcmp(p - 4, "-of-", 4) != 0)
        return false;
    *count = strtoull(p, NULL, 10);
    const char *middle = p - 4;
    for (p = middle; p > name && isdigit((unsigned char)p[-1]);)
        p--;
    if (p == middle || p == name || p[-1] != '-')
        return false;
    *part = strtoull(p, NULL, 10);
    return true;
}

/* The model files beside an index that it does not name. */
static int list_left_out(const struct listing *l, struct tu_arena *arena, struct tu_parts *out,
                         struct tu_error *error)
{
    out->left_out = tu_arena_alloc(arena, (l->count[SHARDS] + 1) * sizeof *out->left_out);
    if (!out->left_out)
        return tu_fail_memory(error);
    for (size_t i = 0; i < l->count[SHARDS]; i++) {
        bool named = false;
        for (size_t k = 0; k < out->count && !named; k++)
            named = strcmp(tu_file_name(out->paths[k]), tu_file_name(l->paths[SHARDS][i])) == 0;
        if (!named)
            out->left_out[out->left_out_count++] = (char *)tu_file_name(l->paths[SHARDS][i]);
    }
    return 0;
}

int tu_parts_of_index(const char *path, struct tu_arena *arena, struct tu_parts *out,
                      struct tu_error *error)
{
    struct listing l = {0};
    int result = read_index(path, arena, out, error);
    if (result == 0)
        result = list_folder(&l, out->folder, arena, error);
    if (result == 0)
        result = list_left_out(&l, arena, out, error);
    free_listing(&l);
    return result;
}

/* Files in which others keep weights, where a folder has none that is read here. */
static const struct {
    const char *suffix, *what;
} strangers[] = {
    {".bin", "weights of PyTorch, which are programs (save them with safetensors.torch)"},
    {".pt", "weights of PyTorch, which are programs (save them with safetensors.torch)"},
    {".pth", "weights of PyTorch, which are programs (save them with safetensors.torch)"},
    {".h5", "HDF5, as of Keras (save it as SafeTensors or .npz)"},
    {".keras", "a model of Keras (save it as SafeTensors or .npz)"},
    {".msgpack", "weights of Flax (save them as SafeTensors)"},
    {".onnx", "ONNX, which no plugin here reads"},
    {".tflite", "TFLite, which no plugin here reads"},
};

static int fail_strange(const char *folder, const char *name, struct tu_error *error)
{
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (tu_stem(name, strlen(name), strangers[i].suffix))
            return tu_fail(error, TU_EINVALID,
                           "%s: is a directory without a model that is read here; %.200s is %s",
                           folder, name, strangers[i].what);
    return 0;
}

/* What lies one step further down in the cache of huggingface_hub: 1, and failed, if it is one. */
static int fail_hub(const char *folder, struct tu_arena *arena, struct tu_error *error)
{
    char *snapshots = join(arena, folder, "snapshots"), *blobs = join(arena, folder, "blobs");
    if (!snapshots || !blobs)
        return tu_fail_memory(error);
    DIR *dir = access(blobs, F_OK) == 0 ? opendir(snapshots) : NULL;
    if (!dir)
        return 0;
    char name[NAME_MAX + 1] = "REVISION";
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && count++ == 0)
            snprintf(name, sizeof name, "%s", entry->d_name);
    closedir(dir);
    return tu_fail(error, TU_EINVALID,
                   "%s: is a folder of the hub's cache, with %zu snapshots (name one: "
                   "%s/snapshots/%.64s)",
                   folder, count, folder, name);
}

/* A folder in which nothing is a model: says what is there instead. */
static int fail_empty(const char *folder, struct tu_arena *arena, struct tu_error *error)
{
    if (fail_hub(folder, arena, error) < 0)
        return -1;
    DIR *dir = opendir(folder);
    if (!dir)
        return tu_fail_errno(error, "%s", folder);
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(dir));)
        result = fail_strange(folder, entry->d_name, error);
    closedir(dir);
    if (result < 0)
        return -1;
    return tu_fail(error, TU_EINVALID,
                   "%s: is a directory without a model (*.safetensors, *.gguf, *.apr or *.npz) or "
                   "dumps (*.npy, or *.bin of aprender)",
                   folder);
}

/* More than one thing that a folder could be taken for. */
static int check_kinds(const char *folder, const struct listing *l, struct tu_arena *arena,
                       struct tu_error *error)
{
    const char *first = NULL;
    for (int kind = 0; kind < KINDS; kind++) {
        if (l->count[kind] == 0 || (kind == SHARDS && l->count[INDEX]))
            continue;
        if (first)
            return tu_fail(error, TU_EINVALID,
                           "%s: holds models of two formats, %.200s and %.200s (name one of them)",
                           folder, first, tu_file_name(l->paths[kind][0]));
        first = tu_file_name(l->paths[kind][0]);
    }
    for (int kind = 0; kind < TU_DUMP_KINDS; kind++) {
        if (l->dumps.count[kind] == 0)
            continue;
        const struct tu_dump_file *file = l->dumps.files[kind];
        if (first)
            return tu_fail(
                error, TU_EINVALID,
                "%s: holds models of two formats, %.200s and %.200s%s (name one of them)", folder,
                first, file->name, tu_dump_suffixes[kind]);
        first = tu_file_name(file->path);
    }
    return first ? 0 : fail_empty(folder, arena, error);
}

/* All files of a dump. */
static int parts_of_dumps(const struct tu_dumps *d, struct tu_arena *arena, struct tu_parts *out,
                          struct tu_error *error)
{
    enum tu_dump_kind kind = d->count[TU_DUMP_NPY] ? TU_DUMP_NPY : TU_DUMP_STAGE;
    size_t count = d->count[kind];
    struct tu_dump_file *copy = tu_arena_alloc(arena, count * sizeof *copy);
    out->paths = tu_arena_alloc(arena, count * sizeof *out->paths);
    if (!copy || !out->paths)
        return tu_fail_memory(error);
    memcpy(copy, d->files[kind], count * sizeof *copy);
    out->dumps = copy;
    for (; out->count < count; out->count++)
        out->paths[out->count] = (char *)copy[out->count].path;
    return find_config(arena, out, error);
}

/* Whether GGUF files are parts of one split. */
static bool is_split(const struct listing *l)
{
    uint64_t part, count, all = 0;
    size_t stem = 0;
    for (size_t i = 0; i < l->count[GGUF]; i++) {
        const char *path = l->paths[GGUF][i];
        size_t tail = strlen("-00000-of-00000.gguf");
        if (strlen(path) <= tail || !tu_part_of(path, ".gguf", &part, &count))
            return false;
        if (i == 0) {
            all = count;
            stem = strlen(path) - tail;
        }
        if (count != all || strlen(path) - tail != stem ||
            memcmp(path, l->paths[GGUF][0], stem) != 0)
            return false;
    }
    return true;
}

/* The one file of a kind that stands for the model. */
static int choose_file(const char *folder, const struct listing *l, enum kind kind,
                       struct tu_error *error)
{
    const char *name = tu_file_name(l->paths[kind][0]);
    uint64_t part, count;
    bool shard = kind == SHARDS && tu_part_of(name, suffixes[kind], &part, &count) && count > 1;
    if (l->count[kind] > 1 && !shard && !(kind == GGUF && is_split(l)))
        return tu_fail(error, TU_EINVALID, "%s: holds %zu files *%s (name one of them)", folder,
                       l->count[kind], suffixes[kind]);
    if (shard)
        return tu_fail(error, TU_EINVALID,
                       "%s: holds %.200s, one of %" PRIu64
                       " shards, and no index (fetch its *.safetensors.index.json, too, or name "
                       "the file to have it alone)",
                       folder, name, count);
    return 0;
}

static int parts_of_listing(const char *folder, const struct listing *l, struct tu_arena *arena,
                            struct tu_parts *out, struct tu_error *error)
{
    enum kind kind = INDEX;
    if (check_kinds(folder, l, arena, error) < 0)
        return -1;
    while (kind < KINDS && l->count[kind] == 0)
        kind++;
    if (kind == KINDS)
        return parts_of_dumps(&l->dumps, arena, out, error);
    if (choose_file(folder, l, kind, error) < 0)
        return -1;
    if (kind == INDEX) {
        const char *index = l->paths[INDEX][0];
        if (read_index(index, arena, out, error) < 0 || list_left_out(l, arena, out, error) < 0)
            return -1;
        if (out->left_out_count)
            return tu_fail(error, TU_EINVALID,
                           "%s: holds %.200s, too, which %.200s does not name (name the index, or "
                           "that file)",
                           folder, out->left_out[0], tu_file_name(index));
        return 0;
    }
    out->paths = tu_arena_alloc(arena, sizeof *out->paths);
    if (!out->paths)
        return tu_fail_memory(error);
    out->paths[out->count++] = l->paths[kind][0];
    return find_config(arena, out, error);
}

int tu_parts_of_folder(const char *folder, struct tu_arena *arena, struct tu_parts *out,
                       struct tu_error *error)
{
    struct listing l;
    *out = (struct tu_parts){.folder = folder};
    int result = list_folder(&l, folder, arena, error);
    if (result == 0)
        result = parts_of_listing(folder, &l, arena, out, error);
    free_listing(&l);
    return result;
}

/* ---- Splits ---- */

int tu_parts_of_split(const char *path, uint64_t count, struct tu_arena *arena,
                      struct tu_parts *out, struct tu_error *error)
{
    static const char form[] = "-00000-of-00000.gguf";
    size_t length = strlen(path), tail = sizeof form - 1;
    *out = (struct tu_parts){0};
    if (length <= tail || count > 99999)
        return 0;
    const char *end = path + length - tail;
    for (size_t i = 0; i < tail; i++)
        if (form[i] == '0' ? !isdigit((unsigned char)end[i]) : form[i] != end[i])
            return 0;
    if (strtoull(end + strlen("-00000-of-"), NULL, 10) != count)
        return 0;
    out->paths = tu_arena_alloc(arena, (size_t)count * sizeof *out->paths);
    for (uint64_t i = 0; out->paths && i < count; i++) {
        char *part = tu_arena_copy(arena, path, length);
        if (!part)
            return tu_fail_memory(error);
        snprintf(part + length - tail, tail + 1, "-%05u-of-%05u.gguf", (unsigned)(i + 1),
                 (unsigned)count);
        out->paths[out->count++] = part;
    }
    return out->paths ? 0 : tu_fail_memory(error);
}
