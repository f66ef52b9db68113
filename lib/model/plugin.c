/* SPDX-License-Identifier: MIT */
/* Finds, checks and loads format plugins, and lets them bid. */
#include "config.h"

#include "model/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/install.h"

static int add_plugin(struct tu_plugins *p, struct tu_plugin plugin, struct tu_error *error)
{
    if (!TU_GROW(p->items, p->count, p->capacity))
        return tu_fail_memory(error);
    p->items[p->count++] = plugin;
    return 0;
}

static int refuse(struct tu_plugins *p, const char *path, const char *why, struct tu_error *error)
{
    struct tu_plugin plugin = {.path = path, .refused = tu_arena_copy(&p->arena, why, strlen(why))};
    return plugin.refused ? add_plugin(p, plugin, error) : tu_fail_memory(error);
}

/* A copy of the format as this program knows it: a shorter struct, from an older header, has NULL
 * in the slots that it lacks. */
static const struct tensor_format *adopt(struct tu_plugins *p, const struct tensor_format *theirs)
{
    struct tensor_format *ours = tu_arena_alloc(&p->arena, sizeof *ours);
    if (!ours)
        return NULL;
    size_t size = theirs->struct_size < sizeof *ours ? theirs->struct_size : sizeof *ours;
    memset(ours, 0, sizeof *ours);
    memcpy(ours, theirs, size);
    return ours;
}

/* Whether the header that a plugin was compiled with had a slot. */
#define OWNS(format, slot)                                                                         \
    ((format)->struct_size >= offsetof(struct tensor_format, slot) + sizeof(format)->slot)

static const char *judge(const struct tensor_format *format)
{
    if (format->abi != TENSOR_FORMAT_ABI)
        return "made for another version of tensorutils (its ABI number differs)";
    if (format->struct_size < offsetof(struct tensor_format, write_tail))
        return "its struct tensor_format is too short";
    if (!format->name || !*format->name || !format->about || !format->suffixes)
        return "it has no name, description or suffixes";
    if (!format->bid || !format->read)
        return "it cannot bid or read";
    if (format->refuse &&
        (!format->write_head || !format->tensor_alignment || !format->data_alignment))
        return "it can be written but has no write_head or no alignment";
    if (OWNS(format, write_prefix) && format->write_prefix && format->wants_crc32)
        return "it wants the checksum of a file whose prefixes change";
    return NULL;
}

static int load(struct tu_plugins *p, const char *path, const char *stem, struct tu_error *error)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return refuse(p, path, dlerror(), error);
    char symbol[256 + sizeof "tensor_format_"];
    snprintf(symbol, sizeof symbol, "tensor_format_%s", stem);
    const struct tensor_format *theirs = dlsym(library, symbol);
    if (!theirs)
        return refuse(p, path, "it has no symbol tensor_format_NAME for its file name", error);
    const char *why = judge(theirs);
    if (why)
        return refuse(p, path, why, error);
    if (tu_plugins_by_name(p, theirs->name))
        return refuse(p, path, "a plugin of this name was found before", error);
    const struct tensor_format *ours = adopt(p, theirs);
    return ours ? add_plugin(p, (struct tu_plugin){ours, path, NULL}, error)
                : tu_fail_memory(error);
}

static int is_shared_object(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && dot != entry->d_name && strcmp(dot, ".so") == 0;
}

static int load_file(struct tu_plugins *p, const char *folder, const char *name,
                     struct tu_error *error)
{
    char path[4096], stem[256];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    char *copy = length < (int)sizeof path ? tu_arena_copy(&p->arena, path, (size_t)length) : NULL;
    if (!copy)
        return tu_fail_memory(error);
    snprintf(stem, sizeof stem, "%.*s", (int)(strlen(name) - strlen(".so")), name);
    for (char *c = stem; *c; c++)
        if (*c == '-')
            *c = '_';
    const char *why = tu_distrust(copy);
    return why ? refuse(p, copy, why, error) : load(p, copy, stem, error);
}

static int load_folder(struct tu_plugins *p, const char *folder, bool expected,
                       struct tu_error *error)
{
    char *copy = tu_arena_copy(&p->arena, folder, strlen(folder));
    if (!copy || !TU_GROW(p->folders, p->folder_count, p->folder_capacity))
        return tu_fail_memory(error);
    p->folders[p->folder_count++] = copy;
    const char *why = tu_distrust(copy);
    if (why)
        return expected ? refuse(p, copy, why, error) : 0;
    struct dirent **entries = NULL;
    int count = scandir(copy, &entries, is_shared_object, alphasort);
    if (count < 0)
        return refuse(p, copy, strerror(errno), error);
    int result = 0;
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = load_file(p, copy, entries[i]->d_name, error);
        free(entries[i]);
    }
    free(entries);
    return result;
}

static int load_list(struct tu_plugins *p, const char *list, struct tu_error *error)
{
    int result = 0;
    char *copy = strdup(list), *rest = copy;
    if (!copy)
        return tu_fail_memory(error);
    for (char *folder; result == 0 && (folder = strsep(&rest, ":"));)
        if (*folder)
            result = load_folder(p, folder, true, error);
    free(copy);
    return result;
}

int tu_plugins_load(struct tu_plugins *p, const struct tensor_format *built_in,
                    struct tu_error *error)
{
    *p = (struct tu_plugins){0};
    if (add_plugin(p, (struct tu_plugin){built_in, "built in", NULL}, error) < 0)
        return -1;
    const char *list = secure_getenv("TENSORUTILS_PLUGINS");
    if (list && load_list(p, list, error) < 0)
        return -1;
    char folder[4096];
    bool built = tu_build_folder("plugins/.libs", folder, sizeof folder);
    return load_folder(p, built ? folder : TU_PLUGIN_FOLDER, false, error);
}

void tu_plugins_free(struct tu_plugins *p)
{
    free(p->items);
    free(p->folders);
    tu_arena_free(&p->arena);
    *p = (struct tu_plugins){0};
}

const struct tensor_format *tu_plugins_detect(const struct tu_plugins *p, const uint8_t *head,
                                              size_t length, uint64_t size)
{
    const struct tensor_format *best = NULL;
    unsigned highest = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct tensor_format *f = p->items[i].format;
        unsigned bid = f ? f->bid(head, length, size) : 0;
        if (bid > highest || (bid && bid == highest && strcmp(f->name, best->name) < 0)) {
            best = f;
            highest = bid;
        }
    }
    return best;
}

const struct tensor_format *tu_plugins_by_name(const struct tu_plugins *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].format && strcmp(p->items[i].format->name, name) == 0)
            return p->items[i].format;
    return NULL;
}

/* Whether a list of suffixes, separated by blanks, has one that path ends with. */
static bool has_suffix(const char *suffixes, const char *path)
{
    size_t length = strlen(path);
    for (const char *s = suffixes; *s;) {
        size_t n = strcspn(s, " ");
        if (n && n < length && memcmp(path + length - n, s, n) == 0)
            return true;
        s += n + strspn(s + n, " ");
    }
    return false;
}

const struct tensor_format *tu_plugins_by_suffix(const struct tu_plugins *p, const char *path)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].format && has_suffix(p->items[i].format->suffixes, path))
            return p->items[i].format;
    return NULL;
}
