/* SPDX-License-Identifier: MIT */
/* Where what is installed with a program lies, and whether others could have changed it. */
#ifndef TU_INSTALL_H
#define TU_INSTALL_H

#include <stdbool.h>
#include <stddef.h>

/* A folder beside a program that was built but not installed, BUILD/filters/tool: BUILD/below.
 * False if the program stands elsewhere. */
bool tu_build_folder(const char *below, char *out, size_t size);

/* Why what lies in a path is not to be trusted, because others can change it; NULL: it is. */
const char *tu_distrust(const char *path);
/* The same of a file that the user names, which may well be another user's: whether anybody else
 * than its owner can write to it, or put another in its place.  A pipe has no place. */
const char *tu_distrust_file(const char *path);

#endif
