/* SPDX-License-Identifier: MIT */
/* Finds what belongs to a tensor in a model that names it otherwise. */
#ifndef TU_PARTNER_H
#define TU_PARTNER_H

#include "map/apply.h"

/* Zero-initialise; facts and catalogues are the caller's to fill before tu_partners_open. */
struct tu_partners {
    struct tu_facts facts;
    struct tu_catalogue catalogues[2]; /* of a and b; empty where a side is a stream in passing */
    struct tu_maps maps;
    const struct tu_map *map; /* NULL: prefixes alone */
    bool open;
    bool apart; /* one side has names that are right ones of the map, the other has none */
};

/* which is that of --map: auto, a file, or the name of a map. */
int tu_partners_open(struct tu_partners *p, const char *which,
                     struct tu_error *error) TU_MUST_CHECK;
void tu_partners_close(struct tu_partners *p);

/* The tensor of a side that belongs to one of the other, as it would look there: 1, 0 if there is
 * none, or -1 with what keeps a rule of the map from being applied. */
int tu_partners_find(const struct tu_partners *p, int side, const struct tu_tensor *like,
                     bool without_rope, const struct tu_view_maker *maker, struct tu_found *out,
                     struct tu_error *error) TU_MUST_CHECK;

/* The same by a rule of the map whose left name is that of the tensor and which changes what it
 * names, also where the side has a namesake. */
int tu_partners_stated(const struct tu_partners *p, int side, const struct tu_tensor *like,
                       const struct tu_view_maker *maker, struct tu_found *out,
                       struct tu_error *error) TU_MUST_CHECK;

/* Whether a map says that a tensor has no partner and needs none. */
bool tu_partners_extra(const struct tu_partners *p, const struct tu_tensor *t);

#endif
