/* SPDX-License-Identifier: MIT */
/* Folders of dumped tensors: which files they are, and what their tensors are called. */
#include "config.h"

#include "model/dumps.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

const char *const tu_dump_suffixes[TU_DUMP_KINDS] = {".npy", ".bin"};

static const char layer_prefix[] = "layer-";

/* A folder that is being listed. */
struct place {
    const char *folder;
    const char *inner; /* "layer-N"; NULL: it is the dump's own */
    uint64_t layer;
};

static char *compose(struct tu_arena *arena, const char *a, const char *b, const char *c)
{
    size_t n = strlen(a), m = strlen(b);
    char *text = tu_arena_alloc(arena, n + m + strlen(c) + 1);
    if (text)
        sprintf(text, "%s%s%s", a, b, c);
    return text;
}

static char *join(struct tu_arena *arena, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    return compose(arena, folder, length && folder[length - 1] == '/' ? "" : "/", name);
}

/* ---- Listing ---- */

static int add_file(struct tu_dumps *d, enum tu_dump_kind kind, const struct place *place,
                    const char *file, struct tu_arena *arena, struct tu_error *error)
{
    size_t stem = strlen(file) - strlen(tu_dump_suffixes[kind]);
    char *path = join(arena, place->folder, file), *name = tu_arena_copy(arena, file, stem);
    if (name && place->inner)
        name = compose(arena, place->inner, "/", name);
    if (!path || !name || !TU_GROW(d->files[kind], d->count[kind], d->capacity[kind]))
        return tu_fail_memory(error);
    d->files[kind][d->count[kind]++] =
        (struct tu_dump_file){path, name, place->inner != NULL, place->layer};
    return 0;
}

static int list_place(struct tu_dumps *d, const struct place *place, struct tu_arena *arena,
                      struct tu_error *error);

/* Whether a name is that of the folder of a layer. */
static bool is_layer(const char *name, uint64_t *layer)
{
    size_t prefix = strlen(layer_prefix);
    return strncmp(name, layer_prefix, prefix) == 0 &&
           (name[prefix] != '0' || name[prefix + 1] == '\0') && tu_parse_u64(name + prefix, layer);
}

static int list_entry(struct tu_dumps *d, const struct place *place, const char *name,
                      struct tu_arena *arena, struct tu_error *error)
{
    struct place layer = {.inner = name};
    struct stat st;
    for (enum tu_dump_kind kind = 0; kind < TU_DUMP_KINDS; kind++)
        if (tu_stem(name, strlen(name), tu_dump_suffixes[kind]))
            return add_file(d, kind, place, name, arena, error);
    if (place->inner || !is_layer(name, &layer.layer))
        return 0;
    layer.folder = join(arena, place->folder, name);
    if (!layer.folder)
        return tu_fail_memory(error);
    if (stat(layer.folder, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    return list_place(d, &layer, arena, error);
}

static int list_place(struct tu_dumps *d, const struct place *place, struct tu_arena *arena,
                      struct tu_error *error)
{
    DIR *dir = opendir(place->folder);
    int result = 0;
    if (!dir)
        return tu_fail_errno(error, "%s", place->folder);
    for (struct dirent *entry; result == 0 && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            result = list_entry(d, place, entry->d_name, arena, error);
    closedir(dir);
    return result;
}

/* Whether a file begins as a stage of aprender's. */
static bool is_stage(const char *path)
{
    struct tu_error ignored = {0};
    char magic[4] = "";
    int fd = tu_open_part(path, &ignored);
    if (fd < 0)
        return false;
    bool read_all = pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic;
    close(fd);
    return read_all && memcmp(magic, "APRT", sizeof magic) == 0;
}

static bool has_stages(const struct tu_dumps *d)
{
    for (size_t i = 0; i < d->count[TU_DUMP_STAGE]; i++)
        if (d->files[TU_DUMP_STAGE][i].in_layer || is_stage(d->files[TU_DUMP_STAGE][i].path))
            return true;
    return false;
}

static int compare_files(const void *a, const void *b)
{
    const struct tu_dump_file *x = a, *y = b;
    if (x->in_layer != y->in_layer)
        return x->in_layer ? 1 : -1;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return strcmp(x->name, y->name);
}

int tu_dumps_list(struct tu_dumps *d, const char *folder, struct tu_arena *arena,
                  struct tu_error *error)
{
    const struct place place = {.folder = folder};
    *d = (struct tu_dumps){0};
    if (list_place(d, &place, arena, error) < 0)
        return -1;
    if (!has_stages(d))
        d->count[TU_DUMP_STAGE] = 0;
    for (int kind = 0; kind < TU_DUMP_KINDS; kind++)
        if (d->count[kind])
            qsort(d->files[kind], d->count[kind], sizeof *d->files[kind], compare_files);
    return 0;
}

void tu_dumps_free(struct tu_dumps *d)
{
    for (int kind = 0; kind < TU_DUMP_KINDS; kind++)
        free(d->files[kind]);
    *d = (struct tu_dumps){0};
}

/* ---- Names ---- */

static int set_name(struct tu_model *m, const char *name, size_t length, struct tu_error *error)
{
    struct tu_geometry geometry;
    struct tu_error reason = {0};
    if (!m->format->unnamed || m->count != 1)
        return tu_fail(error, TU_EINVALID, "%s: is %s, and no dump of one tensor", m->source.path,
                       m->format->name);
    struct tu_tensor *t = m->tensors;
    t->name = tu_arena_copy(&m->arena, name, length);
    t->name_length = length;
    if (!t->name)
        return tu_fail_memory(error);
    return tu_tensor_check(t, &geometry, &reason) < 0
               ? tu_fail(error, reason.code, "%s: cannot name a tensor: %s", m->source.path,
                         reason.text)
               : 0;
}

int tu_dump_name(struct tu_model *m, const struct tu_dump_file *file, struct tu_error *error)
{
    const struct tensor_value *stated = tu_value_get(&m->metadata, "layer");
    uint64_t layer;
    if (set_name(m, file->name, strlen(file->name), error) < 0)
        return -1;
    bool numbered = tu_value_uint(stated, &layer);
    if (!stated || (numbered == file->in_layer && (!numbered || layer == file->layer)))
        return 0;
    if (numbered)
        return tu_fail(error, TU_EINVALID, "%s: says that it is of layer %" PRIu64, m->source.path,
                       layer);
    return tu_fail(error, TU_EINVALID, "%s: says that it is of no layer", m->source.path);
}

int tu_dump_name_by_stem(struct tu_model *m, struct tu_error *error)
{
    const char *file = tu_file_name(m->source.path);
    return set_name(m, file, tu_file_stem(file), error);
}
