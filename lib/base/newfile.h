/* SPDX-License-Identifier: MIT */
/*
 * A file that appears whole or not at all: it gets its name when all of it is written and flushed
 * to disk.  A run that fails or is killed leaves nothing where the file system has files without
 * names.
 */
#ifndef TU_NEWFILE_H
#define TU_NEWFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct tu_newfile {
    const char *path; /* lent; where it will be, and what messages call it */
    bool force;       /* replace what is there */
    int fd;
    char *temporary; /* name of the file so far; NULL: it has none yet */
};

/* Begins a file.  Fails if it exists, unless force is set.  On failure nothing is to be given back.
 */
int tu_newfile_open(struct tu_newfile *n, const char *path, bool force,
                    struct tu_error *error) TU_MUST_CHECK;
/* Writes bytes at an offset. */
int tu_newfile_write(const struct tu_newfile *n, uint64_t offset, const void *bytes, size_t length,
                     struct tu_error *error) TU_MUST_CHECK;
/* Flushes it to disk. */
int tu_newfile_flush(const struct tu_newfile *n, struct tu_error *error) TU_MUST_CHECK;
/* Whether a file may have a name, so far as can be said beforehand. */
int tu_newfile_check(const char *path, bool force, struct tu_error *error) TU_MUST_CHECK;
/* Gives the file a name, which is lent.  Without force one that exists is never replaced, even if
 * it came in the meantime; with force it is replaced in one step. */
int tu_newfile_publish(struct tu_newfile *n, const char *path,
                       struct tu_error *error) TU_MUST_CHECK;
/* Closes it; one that has no name is gone. */
void tu_newfile_close(struct tu_newfile *n);

/* Writes a whole small file so. */
int tu_save_text(const char *path, bool force, const char *text, size_t length,
                 struct tu_error *error) TU_MUST_CHECK;

/* Whether two paths lead to one name in one folder, however they are spelled. */
bool tu_same_place(const char *a, const char *b);

#endif
