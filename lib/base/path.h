/* SPDX-License-Identifier: MIT */
/* Parts of a path, by its text alone: what folder and what file it names. */
#ifndef TU_PATH_H
#define TU_PATH_H

#include <stddef.h>

/* The part behind the last slash, inside of the path; all of it where there is none. */
const char *tu_file_name(const char *path);

/* The folder that the file is in, without a slash behind it but for "/": its length, and where it
 * begins, which is inside of the path, or "." where that has no slash. */
size_t tu_folder_of(const char *path, const char **folder);

/* The length of a file's name without its extension: up to the last dot, unless the name begins
 * with that. */
size_t tu_file_stem(const char *name);

/* The length of what stands in front of a suffix; 0 if text does not end with it, or is nothing
 * else. */
size_t tu_stem(const char *text, size_t length, const char *suffix);

#endif
