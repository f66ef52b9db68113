/* SPDX-License-Identifier: MIT */
/* What an earlier save of a model left under other names: a folder must not hold two models that
 * are taken for each other. */
#ifndef TU_OLDER_H
#define TU_OLDER_H

#include <stddef.h>

#include "base/error.h"

/* Files in the folder of STEM.SUFFIX, which are not among those being written: that file, its parts
 * STEM-00001-of-00003.SUFFIX of any count, and its index STEM.SUFFIX.index.json. */
struct tu_older {
    char **paths;
    size_t count, capacity;
};

/* Finds them; written are the paths of the files that are to be, each in the same folder.  What it
 * finds is given back by tu_older_free, also after an error. */
int tu_older_find(struct tu_older *o, const char *path, const char *const *written, size_t count,
                  struct tu_error *error) TU_MUST_CHECK;
/* Removes them. */
int tu_older_remove(const struct tu_older *o, struct tu_error *error) TU_MUST_CHECK;
void tu_older_free(struct tu_older *o);

#endif
