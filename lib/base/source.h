/* SPDX-License-Identifier: MIT */
/* Bytes at offsets of a regular file, bounds-checked.  Reads go through pread: a file that shrinks
 * is an error, never a SIGBUS. */
#ifndef TU_SOURCE_H
#define TU_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
struct tu_source {
    int fd;
    const char *path; /* as shown to the user; lent by the opener */
    uint64_t size;
    struct stat opened; /* as it was when opened */
    bool named;         /* path led to it then */
    bool standard;      /* it is standard input, which has no path; for its opener to set */
    uint8_t *window;    /* last bytes peeked at */
    uint64_t window_offset;
    size_t window_length;
    uint64_t data_peeked, holes_peeked; /* bytes */
};

/* Takes over fd, which must be a regular file.  On failure fd stays the caller's. */
int tu_source_open(struct tu_source *s, int fd, const char *path,
                   struct tu_error *error) TU_MUST_CHECK;
/* The same for a file that another file or a folder names (tu_open_part). */
int tu_source_open_part(struct tu_source *s, const char *path,
                        struct tu_error *error) TU_MUST_CHECK;
void tu_source_close(struct tu_source *s);

/* Reads exactly length bytes. */
int tu_source_read(const struct tu_source *s, uint64_t offset, void *buffer, size_t length,
                   struct tu_error *error) TU_MUST_CHECK;

/* length bytes (at most TENSOR_PEEK_MAX) that stay valid until the next call; NULL on failure.
 * Little of what is peeked at may be a hole of the file, which could claim exabytes. */
const void *tu_source_peek(struct tu_source *s, uint64_t offset, size_t length,
                           struct tu_error *error) TU_MUST_CHECK;

/* Fails if the file was changed since it was opened, or if another has its name now. */
int tu_source_unchanged(const struct tu_source *s, struct tu_error *error) TU_MUST_CHECK;

/* The whole of a small regular file of at most limit bytes, in the arena, with a NUL behind it.
 * What is larger is refused: "PATH: WHAT of N bytes (at most LIMIT)". */
int tu_read_whole(const char *path, const char *what, uint64_t limit, struct tu_arena *arena,
                  const char **text, size_t *length, struct tu_error *error) TU_MUST_CHECK;

#endif
