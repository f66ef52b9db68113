/* SPDX-License-Identifier: MIT */
/* The maps there are, and which of them fits two models. */
#ifndef TU_MAPS_H
#define TU_MAPS_H

#include "base/digest.h"
#include "map/catalogue.h"
#include "map/language.h"

/* What the metadata of two models says; either may be NULL. */
struct tu_facts {
    const struct tensor_value *metadata[2];
};

/* The number that a count stands for; layer chooses from a list of one for each. */
bool tu_facts_count(const struct tu_facts *facts, const struct tu_map *map,
                    const struct tu_count *count, uint64_t layer, uint64_t *out);

struct tu_maps {
    struct tu_map *list;
    size_t count, capacity;
};

/* Loads every map of TENSORUTILS_MAPS (a path list, ignored in a privileged process) and of the
 * build tree or the installation; of two with one name the first counts.  A folder or map that
 * others may write to is an error. */
int tu_maps_load(struct tu_maps *maps, struct tu_error *error) TU_MUST_CHECK;
/* Loads one: a file, where what has a slash or ends in ".map", or else a map by its name. */
int tu_maps_load_one(struct tu_maps *maps, const char *what, struct tu_error *error) TU_MUST_CHECK;
/* The SHA-256 of the file of a map, which must be as it was when it was read. */
int tu_map_digest(const struct tu_map *map, char out[static TU_DIGEST_TEXT],
                  struct tu_error *error) TU_MUST_CHECK;
void tu_maps_free(struct tu_maps *maps);

/* How many tensors have names that stand on the right of the map alone. */
size_t tu_map_knows(const struct tu_map *map, const struct tu_catalogue *c);

/* The map for two models: one of stages, where a side has names that stand on the right of it, and
 * at least a quarter of its names do; or that of the architecture their metadata states, or, where
 * it states none, the one that may be guessed and knows most of their names.  NULL if there is
 * none. */
const struct tu_map *tu_maps_choose(const struct tu_maps *maps, const struct tu_facts *facts,
                                    const struct tu_catalogue *const catalogues[2]);

#endif
