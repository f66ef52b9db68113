/* SPDX-License-Identifier: MIT */
/* Finds the partner of a tensor: by its name, by the rules of the map, or made of several. */
#include "config.h"

#include "map/partner.h"

#include <string.h>

int tu_partners_open(struct tu_partners *p, const char *which, struct tu_error *error)
{
    p->open = true;
    for (int i = 0; i < 2; i++)
        tu_catalogue_sort(&p->catalogues[i]);
    if (strcmp(which, "auto") != 0) {
        if (tu_maps_load_one(&p->maps, which, error) < 0)
            return -1;
        p->map = p->maps.list;
        return 0;
    }
    const struct tu_catalogue *const both[2] = {&p->catalogues[0], &p->catalogues[1]};
    if (tu_maps_load(&p->maps, error) < 0)
        return -1;
    p->map = tu_maps_choose(&p->maps, &p->facts, both);
    p->apart = p->map && !tu_map_knows(p->map, both[0]) != !tu_map_knows(p->map, both[1]);
    return 0;
}

void tu_partners_close(struct tu_partners *p)
{
    for (int i = 0; i < 2; i++)
        tu_catalogue_free(&p->catalogues[i]);
    tu_maps_free(&p->maps);
    p->open = false;
}

static struct tu_resolver resolver_of(const struct tu_partners *p, int side,
                                      const struct tu_tensor *like,
                                      const struct tu_view_maker *maker)
{
    return (struct tu_resolver){.map = p->map,
                                .in = &p->catalogues[side],
                                .facts = p->facts,
                                .section = TU_ANY_SECTION,
                                .like = like,
                                .maker = *maker};
}

int tu_partners_find(const struct tu_partners *p, int side, const struct tu_tensor *like,
                     bool without_rope, const struct tu_view_maker *maker, struct tu_found *out,
                     struct tu_error *error)
{
    struct tu_resolver r = resolver_of(p, side, like, maker);
    r.without_rope = without_rope;
    int found = tu_resolve(&r, like->name, like->name_length, out, error);
    return found ? found : tu_compose(&r, like->name, like->name_length, out, error);
}

int tu_partners_stated(const struct tu_partners *p, int side, const struct tu_tensor *like,
                       const struct tu_view_maker *maker, struct tu_found *out,
                       struct tu_error *error)
{
    struct tu_resolver r = resolver_of(p, side, like, maker);
    r.by_rules = true;
    int found = tu_resolve(&r, like->name, like->name_length, out, error);
    return found > 0 && !out->tied && *out->steps ? found : found < 0 ? -1 : 0;
}

bool tu_partners_extra(const struct tu_partners *p, const struct tu_tensor *t)
{
    for (size_t i = 0; p->map && i < p->map->extra_count; i++) {
        struct tu_bindings b = {0};
        if (tu_pattern_matches(&p->map->extras[i], t->name, t->name_length, &b))
            return true;
    }
    return false;
}
