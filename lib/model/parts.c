/* SPDX-License-Identifier: MIT */
/* Which files belong to a folder, a shard index or a split. */
#include "config.h"

#include "model/parts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree/json.h"

enum { JSON_BYTES_MAX = 256 << 20 };

static bool ends_with(const char *text, const char *suffix)
{
    size_t a = strlen(text), b = strlen(suffix);
    return a > b && strcmp(text + a - b, suffix) == 0;
}

static char *join(struct tu_arena *arena, const char *folder, const char *name)
{
    size_t a = strlen(folder), b = strlen(name);
    char *path = tu_arena_alloc(arena, a + b + 2);
    if (!path)
        return NULL;
    snprintf(path, a + b + 2, "%s%s%s", folder, a && folder[a - 1] == '/' ? "" : "/", name);
    return path;
}

static char *folder_of(struct tu_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return tu_arena_copy(arena, ".", 1);
    return tu_arena_copy(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

/* ---- Shard indexes ---- */

bool tu_is_shard_index(const char *path, const uint8_t *head, size_t length)
{
    size_t i = 0;
    while (i < length && isspace(head[i]))
        i++;
    return i < length && head[i] == '{' && ends_with(path, ".json");
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

int tu_parts_of_index(const char *path, struct tu_arena *arena, struct tu_parts *out,
                      struct tu_error *error)
{
    struct tensor_value index;
    *out = (struct tu_parts){.folder = folder_of(arena, path)};
    if (!out->folder)
        return tu_fail_memory(error);
    if (tu_read_json(path, JSON_BYTES_MAX, arena, &index, error) < 0)
        return -1;
    const struct tensor_value *map = tu_value_get(&index, "weight_map");
    if (!map || map->type != TENSOR_MAP || map->map.count == 0)
        return tu_fail(error, TU_EINVALID, "%s: is no shard index: it has no weight_map", path);
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

/* How many files of a folder have names that end so and have a part in them, and the path of one.
 */
static int count_files(const char *folder, const char *part, const char *suffix,
                       struct tu_arena *arena, char **path, struct tu_error *error)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return tu_fail_errno(error, "%s", folder);
    int found = 0;
    for (struct dirent *entry; found >= 0 && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || !ends_with(entry->d_name, suffix) ||
            !strstr(entry->d_name, part))
            continue;
        *path = join(arena, folder, entry->d_name);
        found = !*path ? tu_fail_memory(error) : found + 1;
    }
    closedir(dir);
    return found;
}

int tu_parts_of_folder(const char *folder, struct tu_arena *arena, struct tu_parts *out,
                       struct tu_error *error)
{
    static const struct {
        const char *part, *suffix;
    } names[] = {
        {"", ".safetensors.index.json"},
        {"", ".safetensors"},
        {"-00001-of-", ".gguf"}, /* the first part of a split stands for all */
        {"", ".gguf"},
        {"", ".apr"},
    };
    *out = (struct tu_parts){.folder = folder};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = NULL;
        int found = count_files(folder, names[i].part, names[i].suffix, arena, &path, error);
        if (found < 0)
            return -1;
        if (found > 1)
            return tu_fail(error, TU_EINVALID, "%s: holds %d files *%s (name one of them)", folder,
                           found, names[i].suffix);
        if (found == 0)
            continue;
        if (i == 0)
            return tu_parts_of_index(path, arena, out, error);
        out->paths = tu_arena_alloc(arena, sizeof *out->paths);
        if (!out->paths)
            return tu_fail_memory(error);
        out->paths[out->count++] = path;
        return find_config(arena, out, error);
    }
    return tu_fail(error, TU_EINVALID,
                   "%s: is a directory without a model (*.safetensors, *.gguf or *.apr)", folder);
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
