/* SPDX-License-Identifier: MIT */
/* Finding, loading and asking format plugins. */
#ifndef TU_PLUGIN_H
#define TU_PLUGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "tensorutils/format.h"

struct tu_plugin {
    const struct tensor_format *format; /* NULL: refused */
    const char *path;                   /* "built in" for the stream format */
    const char *refused;                /* why */
};

/* The formats of this process.  Plugins are never unloaded. */
struct tu_plugins {
    struct tu_arena arena;
    struct tu_plugin *items;
    size_t count, capacity;
    const char **folders; /* searched, in order */
    size_t folder_count, folder_capacity;
};

/* Searches TENSORUTILS_PLUGINS (a path list, ignored in a privileged process), the plugins of the
 * build tree that the program stands in, and the install folder; of two plugins with one name the
 * first counts, and before all of them a format that is compiled in.  A plugin or folder that is
 * refused is an item with its reason. */
int tu_plugins_load(struct tu_plugins *plugins, const struct tensor_format *built_in,
                    struct tu_error *error) TU_MUST_CHECK;
void tu_plugins_free(struct tu_plugins *plugins);

/* The format whose bid is highest; equal bids go to the first by name.  NULL if nobody bids. */
const struct tensor_format *tu_plugins_detect(const struct tu_plugins *plugins, const uint8_t *head,
                                              size_t length, uint64_t size);

/* By name, or by the suffix of a path; NULL if there is none. */
const struct tensor_format *tu_plugins_by_name(const struct tu_plugins *plugins, const char *name);
const struct tensor_format *tu_plugins_by_suffix(const struct tu_plugins *plugins,
                                                 const char *path);

#endif
