/* SPDX-License-Identifier: MIT */
/* Command lines as a shell takes them. */
#ifndef TU_SHELL_H
#define TU_SHELL_H

#include <stddef.h>

/* The words, up to NULL, with blanks between them, and quoted where a shell needs that: allocated;
 * NULL without memory.  Words that do not fit into `most` bytes are left out, and their number is
 * told in a comment; the first word always fits. */
char *tu_shell_line(char *const *words, size_t most);

#endif
