/* SPDX-License-Identifier: MIT */
/* Bytes of a regular file, by offset, with a window of what was looked at last. */
#include "config.h"

#include "base/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tensorutils/format.h"

enum {
    READ_AHEAD = 256 * 1024,
    HOLES_SPARE = 2 << 20, /* zeros of descriptions that some file systems do not store */
};

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int tu_source_open(struct tu_source *s, int fd, const char *path, struct tu_error *error)
{
    *s = (struct tu_source){.fd = fd, .path = path};
    if (fstat(fd, &s->opened) < 0)
        return tu_fail_errno(error, "%s", path);
    if (S_ISDIR(s->opened.st_mode))
        return tu_fail(error, TU_EINVALID, "%s: is a directory (name a file in it)", path);
    if (!S_ISREG(s->opened.st_mode))
        return tu_fail(error, TU_EINVALID, "%s: is not a regular file", path);
    s->size = (uint64_t)s->opened.st_size;
    struct stat there;
    s->named = stat(path, &there) == 0 && is_same_file(&there, &s->opened);
    return 0;
}

void tu_source_close(struct tu_source *s)
{
    if (s->path)
        close(s->fd);
    free(s->window);
    *s = (struct tu_source){.fd = -1};
}

static int read_fully(const struct tu_source *s, uint64_t offset, uint8_t *buffer, size_t length,
                      struct tu_error *error)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = pread(s->fd, buffer + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tu_fail_errno(error, "%s: byte %" PRIu64, s->path, offset + done);
        if (n == 0)
            return tu_fail(error, TU_EIO, "%s: byte %" PRIu64 ": the file became shorter", s->path,
                           offset + done);
        done += (size_t)n;
    }
    return 0;
}

int tu_source_read(const struct tu_source *s, uint64_t offset, void *buffer, size_t length,
                   struct tu_error *error)
{
    if (offset > s->size || length > s->size - offset)
        return tu_fail(error, TU_EINVALID,
                       "%s: byte %" PRIu64 ": %zu more bytes needed, the file ends at %" PRIu64,
                       s->path, offset, length, s->size);
    return read_fully(s, offset, buffer, length, error);
}

static bool in_window(const struct tu_source *s, uint64_t offset, size_t length)
{
    return s->window && offset >= s->window_offset &&
           offset - s->window_offset <= s->window_length &&
           length <= s->window_length - (offset - s->window_offset);
}

/* Where a hole begins at offset it is counted, else the bytes are taken for data: a hole that
 * begins further on is counted by the peeks that follow. */
static int count_holes(struct tu_source *s, uint64_t offset, size_t length, struct tu_error *error)
{
    off_t data = lseek(s->fd, (off_t)offset, SEEK_DATA);
    uint64_t hole = data < 0 ? 0 : (uint64_t)data - offset;
    if ((data < 0 && errno == ENXIO) || hole > length)
        hole = length;
    s->holes_peeked += hole;
    s->data_peeked += length - hole;
    if (s->holes_peeked <= HOLES_SPARE + s->data_peeked)
        return 0;
    return tu_fail(error, TU_EINVALID,
                   "%s: byte %" PRIu64 ": a hole of the file where content is expected "
                   "(cp --sparse=never fills holes)",
                   s->path, offset);
}

const void *tu_source_peek(struct tu_source *s, uint64_t offset, size_t length,
                           struct tu_error *error)
{
    if (in_window(s, offset, length))
        return s->window + (offset - s->window_offset);
    if (length > TENSOR_PEEK_MAX || offset > s->size || length > s->size - offset) {
        tu_fail(error, TU_EINVALID,
                "%s: byte %" PRIu64 ": truncated (%zu more bytes needed, the file ends at %" PRIu64
                ")",
                s->path, offset, length, s->size);
        return NULL;
    }
    size_t want = length > READ_AHEAD ? length : READ_AHEAD;
    if (want > s->size - offset)
        want = (size_t)(s->size - offset);
    if (!s->window && !(s->window = malloc(TENSOR_PEEK_MAX))) {
        tu_fail_memory(error);
        return NULL;
    }
    s->window_length = 0;
    if (count_holes(s, offset, want, error) < 0 ||
        read_fully(s, offset, s->window, want, error) < 0)
        return NULL;
    s->window_offset = offset;
    s->window_length = want;
    return s->window;
}

int tu_source_unchanged(const struct tu_source *s, struct tu_error *error)
{
    struct stat now;
    if (fstat(s->fd, &now) < 0)
        return tu_fail_errno(error, "%s", s->path);
    struct stat there;
    if (s->named && (stat(s->path, &there) < 0 || !is_same_file(&there, &s->opened)))
        return tu_fail(error, TU_EIO, "%s: replaced or removed while it was read", s->path);
    bool same = now.st_size == s->opened.st_size &&
                now.st_mtim.tv_sec == s->opened.st_mtim.tv_sec &&
                now.st_mtim.tv_nsec == s->opened.st_mtim.tv_nsec;
    return same ? 0 : tu_fail(error, TU_EIO, "%s: changed while it was read", s->path);
}

int tu_source_open_part(struct tu_source *s, const char *path, struct tu_error *error)
{
    int fd = tu_open_part(path, error);
    if (fd < 0)
        return -1;
    if (tu_source_open(s, fd, path, error) == 0)
        return 0;
    close(fd);
    return -1;
}

int tu_read_whole(const char *path, const char *what, uint64_t limit, struct tu_arena *arena,
                  const char **text, size_t *length, struct tu_error *error)
{
    struct tu_source source;
    if (tu_source_open_part(&source, path, error) < 0)
        return -1;
    int result = 0;
    char *bytes = NULL;
    *length = (size_t)source.size;
    if (source.size > limit)
        result = tu_fail(error, TU_EINVALID, "%s: %s of %" PRIu64 " bytes (at most %" PRIu64 ")",
                         path, what, source.size, limit);
    else if (!(bytes = tu_arena_alloc(arena, *length + 1)))
        result = tu_fail_memory(error);
    else if ((result = tu_source_read(&source, 0, bytes, *length, error)) == 0)
        bytes[*length] = '\0';
    tu_source_close(&source);
    *text = bytes;
    return result;
}
