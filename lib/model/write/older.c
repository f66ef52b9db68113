/* SPDX-License-Identifier: MIT */
/* Finds what an earlier save of a model left that would stand beside, or before, the new one. */
#include "config.h"

#include "model/write/older.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/path.h"
#include "model/parts.h"

/* Whether a file name is one that a save of `name` gives. */
static bool is_of(const char *file, const char *name)
{
    static const char index[] = ".index.json";
    uint64_t part, count;
    size_t stem = tu_file_stem(name), length = strlen(name);
    if (strcmp(file, name) == 0 ||
        (strncmp(file, name, length) == 0 && strcmp(file + length, index) == 0))
        return true;
    if (strncmp(file, name, stem) != 0 || file[stem] != '-' ||
        !tu_part_of(file, name + stem, &part, &count))
        return false;
    return file[stem + 1 + strspn(file + stem + 1, "0123456789")] == '-';
}

static bool is_written(const char *file, const char *const *written, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(file, tu_file_name(written[i])) == 0)
            return true;
    return false;
}

static int add(struct tu_older *o, const char *path, const char *file, struct tu_error *error)
{
    char *joined;
    if (asprintf(&joined, "%.*s%s", (int)(tu_file_name(path) - path), path, file) < 0)
        return tu_fail_memory(error);
    if (!TU_GROW(o->paths, o->count, o->capacity)) {
        free(joined);
        return tu_fail_memory(error);
    }
    o->paths[o->count++] = joined;
    return 0;
}

int tu_older_find(struct tu_older *o, const char *path, const char *const *written, size_t count,
                  struct tu_error *error)
{
    const char *name = tu_file_name(path);
    *o = (struct tu_older){0};
    char *folder = name == path ? strdup(".") : strndup(path, (size_t)(name - path));
    DIR *dir = folder ? opendir(folder) : NULL;
    free(folder);
    if (!dir) /* one that may be written may still not be read */
        return errno == EACCES ? 0 : tu_fail_errno(error, "%s", path);
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(dir));)
        if (is_of(entry->d_name, name) && !is_written(entry->d_name, written, count))
            result = add(o, path, entry->d_name, error);
    closedir(dir);
    return result;
}

int tu_older_remove(const struct tu_older *o, struct tu_error *error)
{
    for (size_t i = 0; i < o->count; i++)
        if (unlink(o->paths[i]) < 0 && errno != ENOENT)
            return tu_fail_errno(error, "%s: of an earlier save", o->paths[i]);
    return 0;
}

void tu_older_free(struct tu_older *o)
{
    for (size_t i = 0; i < o->count; i++)
        free(o->paths[i]);
    free(o->paths);
    *o = (struct tu_older){0};
}
