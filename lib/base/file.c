/* SPDX-License-Identifier: MIT */
/* Files and pipes as the system has them: opened by what a user names, moved, written whole. */
#include "config.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 20, MOVE_MAX = 1 << 30 };

uint64_t tu_modified(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st->st_mtim.tv_nsec;
}

void tu_allow_files(size_t count)
{
    enum { SPARE_FILES = 32 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count + SPARE_FILES &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

const char *tu_operand_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

int tu_open_operand(const char *path, struct tu_error *error)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                      : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? tu_fail_errno(error, "%s", tu_operand_name(path)) : fd;
}

int tu_open_part(const char *path, struct tu_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? tu_fail_errno(error, "%s", path) : fd;
}

void tu_enlarge_pipe(int fd)
{
    fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
}

size_t tu_move(int from, off_t *from_at, int to, off_t *to_at, uint64_t length)
{
    size_t want = length < MOVE_MAX ? (size_t)length : MOVE_MAX;
    ssize_t n;
    do
        n = splice(from, from_at, to, to_at, want, SPLICE_F_MOVE | SPLICE_F_MORE);
    while (n < 0 && errno == EINTR);
    return n > 0 ? (size_t)n : 0;
}

int tu_write_fully(int fd, const void *bytes, size_t length)
{
    const char *p = bytes;
    while (length) {
        ssize_t n = write(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

int tu_temporary(struct tu_error *error)
{
    const char *folder = secure_getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char path[4096];
    if (snprintf(path, sizeof path, "%s/tensorutils-XXXXXX", folder) >= (int)sizeof path)
        return tu_fail(error, TU_EIO, "TMPDIR is too long");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return tu_fail_errno(error, "%s", folder);
    unlink(path);
    return fd;
}
