/* SPDX-License-Identifier: MIT */
/* Where what belongs to an installed program lies, and whether it can be trusted. */
#include "config.h"

#include "base/install.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

static bool others_may_write(const struct stat *st)
{
    return (st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && st->st_gid != getegid());
}

const char *tu_distrust(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return strerror(errno);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return "it belongs to another user";
    return others_may_write(&st) ? "others may write to it" : NULL;
}

const char *tu_distrust_file(const char *path)
{
    struct stat st;
    char folder[4096];
    const char *beside;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL; /* who opens it finds out */
    if (others_may_write(&st))
        return "others may write to it";
    size_t length = tu_folder_of(path, &beside);
    if (length >= sizeof folder)
        return "its name is too long";
    memcpy(folder, beside, length);
    folder[length] = '\0';
    if (stat(folder, &st) < 0)
        return strerror(errno);
    /* in a folder like /tmp nobody removes or renames what is another's */
    return others_may_write(&st) && !(st.st_mode & S_ISVTX) ? "others may write to its folder"
                                                            : NULL;
}

bool tu_build_folder(const char *below, char *out, size_t size)
{
    char program[4096 - 32];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0)
        return false;
    program[length] = '\0';
    for (int level = 0; level < 2; level++) {
        char *slash = strrchr(program, '/');
        if (!slash)
            return false;
        *slash = '\0';
    }
    snprintf(out, size, "%s/config.status", program);
    bool built = access(out, F_OK) == 0;
    snprintf(out, size, "%s/%s", program, below);
    return built;
}
