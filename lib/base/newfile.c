/* SPDX-License-Identifier: MIT */
/* A file that appears under its name whole and flushed to disk, or not at all. */
#include "config.h"

#include "base/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

static int fail_here(const struct tu_newfile *n, struct tu_error *error)
{
    return tu_fail_errno(error, "%s", n->path);
}

/* To be freed; NULL where memory ends. */
static char *folder_of(const char *path)
{
    const char *folder;
    size_t length = tu_folder_of(path, &folder);
    return strndup(folder, length);
}

static mode_t default_mode(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

bool tu_same_place(const char *a, const char *b)
{
    char *folders[2] = {folder_of(a), folder_of(b)};
    struct stat x, y;
    bool same = strcmp(tu_file_name(a), tu_file_name(b)) == 0 && folders[0] && folders[1] &&
                stat(folders[0], &x) == 0 && stat(folders[1], &y) == 0 && x.st_dev == y.st_dev &&
                x.st_ino == y.st_ino;
    free(folders[0]);
    free(folders[1]);
    return same || strcmp(a, b) == 0;
}

/* A file without a name, which has a path in /proc to be linked by; -1 where there is none. */
static int open_nameless(const char *folder)
{
    char self[64];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (fd < 0 || access(self, F_OK) == 0)
        return fd;
    close(fd);
    errno = EOPNOTSUPP;
    return -1;
}

/* A file without a name where the system has such, so that not even a kill leaves it behind; else
 * one with a temporary name in the same folder. */
static int open_temporary(struct tu_newfile *n, struct tu_error *error)
{
    char *folder = folder_of(n->path);
    if (!folder)
        return tu_fail_memory(error);
    n->fd = open_nameless(folder);
    bool unknown = n->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL);
    int named = unknown ? asprintf(&n->temporary, "%s/.tensorutils.XXXXXX", folder) : 0;
    free(folder);
    if (n->fd >= 0)
        return 0;
    if (!unknown)
        return fail_here(n, error);
    if (named < 0) {
        n->temporary = NULL;
        return tu_fail_memory(error);
    }
    n->fd = mkostemp(n->temporary, O_CLOEXEC);
    if (n->fd < 0 || fchmod(n->fd, default_mode()) < 0)
        return fail_here(n, error);
    return 0;
}

/* Gives the nameless file a name; one that exists stays as it is (EEXIST). */
static int link_as(const struct tu_newfile *n, const char *name)
{
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", n->fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static int name_temporary(struct tu_newfile *n, struct tu_error *error)
{
    char *folder = folder_of(n->path);
    int result = folder ? -1 : tu_fail_memory(error);
    for (unsigned i = 0; folder && i < 1000 && result < 0; i++) {
        free(n->temporary);
        if (asprintf(&n->temporary, "%s/.tensorutils.%ld.%u", folder, (long)getpid(), i) < 0) {
            n->temporary = NULL;
            tu_fail_memory(error);
            break;
        }
        result = link_as(n, n->temporary);
        if (result < 0 && errno != EEXIST)
            break;
    }
    free(folder);
    if (result == 0)
        return 0;
    fail_here(n, error); /* unless memory was what failed */
    free(n->temporary);
    n->temporary = NULL;
    return -1;
}

static int exists_already(const struct tu_newfile *n, struct tu_error *error)
{
    return tu_fail(error, TU_EUSAGE, "%s: exists already (--force replaces it)", n->path);
}

/* Whether the path is free, or may be replaced. */
static int check_path(const struct tu_newfile *n, struct tu_error *error)
{
    struct stat st;
    if (lstat(n->path, &st) < 0)
        return 0;
    if (!n->force)
        return exists_already(n, error);
    /* of a link, what it leads to: /dev/stdout is one */
    bool dangling = S_ISLNK(st.st_mode) && stat(n->path, &st) < 0;
    return dangling || S_ISREG(st.st_mode)
               ? 0
               : tu_fail(error, TU_EUSAGE, "%s: is no regular file, and is not replaced", n->path);
}

/* Not every file system has links, or a rename that replaces nothing. */
static int rename_unless_there(const struct tu_newfile *n)
{
    struct stat st;
    if (link(n->temporary, n->path) == 0)
        return 0;
    if (errno == EEXIST)
        return -1;
    if (renameat2(AT_FDCWD, n->temporary, AT_FDCWD, n->path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EEXIST)
        return -1;
    if (lstat(n->path, &st) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(n->temporary, n->path);
}

/* Without force, a file is not replaced even if it came in the meantime; with force, rename
 * replaces it in one step. */
static int give_name(struct tu_newfile *n, struct tu_error *error)
{
    if (!n->force) {
        int result = n->temporary ? rename_unless_there(n) : link_as(n, n->path);
        if (result < 0)
            return errno == EEXIST ? exists_already(n, error) : fail_here(n, error);
        return 0;
    }
    if (check_path(n, error) < 0)
        return -1;
    if (!n->temporary && name_temporary(n, error) < 0)
        return -1;
    if (rename(n->temporary, n->path) < 0)
        return fail_here(n, error);
    free(n->temporary);
    n->temporary = NULL;
    return 0;
}

static int sync_folder(const struct tu_newfile *n, struct tu_error *error)
{
    char *folder = folder_of(n->path);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int result = fd >= 0 ? fsync(fd) : -1;
    /* a folder that may be written may still not be read, and some cannot be flushed */
    bool cannot = errno == EINVAL || errno == EACCES;
    free(folder);
    if (fd >= 0)
        close(fd);
    return result < 0 && !cannot ? fail_here(n, error) : 0;
}

int tu_newfile_write(const struct tu_newfile *n, uint64_t offset, const void *bytes, size_t length,
                     struct tu_error *error)
{
    const char *p = bytes;
    while (length) {
        ssize_t written = pwrite(n->fd, p, length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail_here(n, error);
        p += written;
        offset += (uint64_t)written;
        length -= (size_t)written;
    }
    return 0;
}

int tu_newfile_check(const char *path, bool force, struct tu_error *error)
{
    const struct tu_newfile there = {.path = path, .force = force};
    return check_path(&there, error);
}

int tu_newfile_open(struct tu_newfile *n, const char *path, bool force, struct tu_error *error)
{
    *n = (struct tu_newfile){.path = path, .force = force, .fd = -1};
    if (check_path(n, error) < 0)
        return -1;
    if (open_temporary(n, error) == 0)
        return 0;
    tu_newfile_close(n);
    return -1;
}

int tu_newfile_flush(const struct tu_newfile *n, struct tu_error *error)
{
    return fsync(n->fd) < 0 ? fail_here(n, error) : 0;
}

int tu_newfile_publish(struct tu_newfile *n, const char *path, struct tu_error *error)
{
    n->path = path;
    return give_name(n, error) < 0 ? -1 : sync_folder(n, error);
}

void tu_newfile_close(struct tu_newfile *n)
{
    if (n->temporary)
        unlink(n->temporary);
    if (n->fd >= 0)
        close(n->fd);
    free(n->temporary);
    *n = (struct tu_newfile){.fd = -1};
}

int tu_save_text(const char *path, bool force, const char *text, size_t length,
                 struct tu_error *error)
{
    struct tu_newfile n = {.path = path, .force = force, .fd = -1};
    int result = open_temporary(&n, error);
    if (result == 0)
        result = tu_newfile_write(&n, 0, text, length, error);
    if (result == 0)
        result = tu_newfile_flush(&n, error);
    if (result == 0)
        result = tu_newfile_publish(&n, path, error);
    tu_newfile_close(&n);
    return result;
}
