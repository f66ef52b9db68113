/* SPDX-License-Identifier: MIT */
/* Descriptors of files and pipes: opening what a user or a file names, moving and writing bytes.
 * Lengths and positions are bytes; who gets a descriptor closes it. */
#ifndef TU_FILE_H
#define TU_FILE_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/error.h"

/* When a file was last modified, in nanoseconds. */
uint64_t tu_modified(const struct stat *st);

/* Opens an operand for reading; "-" is a duplicate of standard input. */
int tu_open_operand(const char *path, struct tu_error *error) TU_MUST_CHECK;

/* Opens a file that another file or a folder names, and does not wait where it is a pipe. */
int tu_open_part(const char *path, struct tu_error *error) TU_MUST_CHECK;

/* Lets the process have so many files open beside some others, as far as the system allows. */
void tu_allow_files(size_t count);

/* "standard input" for "-", else path. */
const char *tu_operand_name(const char *path);

/* Makes a pipe larger, so that producer and consumer overlap; the kernel may grant less, or
 * nothing, and what is no pipe stays as it is. */
void tu_enlarge_pipe(int fd);

/* Moves bytes between a pipe and another pipe or a file inside the system, from and to a position,
 * or where it stands if that is NULL; positions move along.  How many, and 0 where the system
 * cannot: then they are to be copied, which also tells why, if something is wrong. */
size_t tu_move(int from, off_t *from_at, int to, off_t *to_at, uint64_t length);

/* Writes all of some bytes where the descriptor stands; -1 with errno set if that fails. */
int tu_write_fully(int fd, const void *bytes, size_t length) TU_MUST_CHECK;

/* An unlinked temporary file in TMPDIR; its descriptor or -1. */
int tu_temporary(struct tu_error *error) TU_MUST_CHECK;

#endif
