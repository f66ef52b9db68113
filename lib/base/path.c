/* SPDX-License-Identifier: MIT */
/* Takes paths and names of files apart. */
#include "config.h"

#include "base/path.h"

#include <string.h>

const char *tu_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

size_t tu_folder_of(const char *path, const char **folder)
{
    const char *slash = strrchr(path, '/');
    *folder = slash ? path : ".";
    return !slash || slash == path ? 1 : (size_t)(slash - path);
}

size_t tu_file_stem(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? (size_t)(dot - name) : strlen(name);
}

size_t tu_stem(const char *text, size_t length, const char *suffix)
{
    size_t n = strlen(suffix);
    return length > n && memcmp(text + length - n, suffix, n) == 0 ? length - n : 0;
}
