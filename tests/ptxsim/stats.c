/* SPDX-License-Identifier: MIT */
/* What a launch did, counted: one JSON object a line, appended to the file PTXSIM_STATS. */
#include "config.h"

#include "ptxsim.h"

#include <stdlib.h>
#include <string.h>

uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

bool setting_is(const char *name, const char *value)
{
    const char *set = getenv(name);
    return set && strcmp(set, value) == 0;
}

/* ---- kinds of instructions ---- */

enum { KINDS_MAX = 2048, HASHES = 2 * KINDS_MAX };
static char *kinds[KINDS_MAX];
static uint16_t kind_count;
static uint16_t hashes[HASHES]; /* numbers of kinds, and one more */

uint16_t stats_kind(const char *name)
{
    uint32_t at = hash_name(name) % HASHES;
    for (; hashes[at]; at = (at + 1) % HASHES)
        if (strcmp(kinds[hashes[at] - 1], name) == 0)
            return hashes[at] - 1;
    if (kind_count == KINDS_MAX || !(kinds[kind_count] = strdup(name)))
        abort();
    hashes[at] = kind_count + 1;
    return kind_count++;
}

/* ---- a launch ---- */

struct stats *stats_open(const struct kernel *k)
{
    const char *path = getenv("PTXSIM_STATS");
    if (!path || !*path)
        return NULL;
    struct stats *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->warps = calloc(k->count, sizeof *s->warps);
    s->lanes = calloc(k->count, sizeof *s->lanes);
    s->file = fopen(path, "a");
    if (!s->warps || !s->lanes || !s->file) {
        fprintf(stderr, "ptxsim: PTXSIM_STATS: %s cannot be written\n", path);
        abort();
    }
    device_take_seen();
    return s;
}

static void put_kinds(const struct stats *s, const struct kernel *k)
{
    uint64_t warps[KINDS_MAX] = {0}, lanes[KINDS_MAX] = {0};
    const char *comma = "";
    for (size_t n = 0; n < k->count; n++) {
        warps[k->code[n].kind] += s->warps[n];
        lanes[k->code[n].kind] += s->lanes[n];
    }
    fprintf(s->file, ", \"kinds\": {");
    for (unsigned n = 0; n < kind_count; n++) {
        if (!warps[n])
            continue;
        fprintf(s->file, "%s\"%s\": {\"warp\": %ju, \"lane\": %ju}", comma, kinds[n],
                (uintmax_t)warps[n], (uintmax_t)lanes[n]);
        comma = ", ";
    }
    fprintf(s->file, "}");
}

static void put(const struct stats *s, const char *name, uint64_t value)
{
    fprintf(s->file, ", \"%s\": %ju", name, (uintmax_t)value);
}

static void put_totals(const struct stats *s, const struct kernel *k)
{
    uint64_t warps = 0, lanes = 0;
    for (size_t n = 0; n < k->count; n++) {
        warps += s->warps[n];
        lanes += s->lanes[n];
    }
    put(s, "warp_instructions", warps);
    put(s, "lane_instructions", lanes);
}

void stats_close(struct stats *s, const struct launch *l)
{
    const struct function *f = l->function;
    fprintf(s->file, "{\"kernel\": \"%s\", \"grid\": [%u, %u, %u], \"block\": [%u, %u, %u]",
            l->kernel->name, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1],
            l->block[2]);
    put(s, "fault", (uint64_t)l->fault);
    put(s, "shared_static", f->own_shared + f->module->common_shared);
    put(s, "shared_dynamic", l->dynamic_shared);
    put_totals(s, l->kernel);
    put(s, "global_load_bytes", s->load_bytes);
    put(s, "global_store_bytes", s->store_bytes);
    put(s, "global_load_sectors", s->load_sectors);
    put(s, "global_store_sectors", s->store_sectors);
    put(s, "distinct_bytes_read", device_take_seen());
    put(s, "shared_accesses", s->shared_accesses);
    put(s, "bank_conflicts", s->bank_conflicts);
    put(s, "barriers", s->barriers);
    put(s, "divergent_branches", s->divergent_branches);
    put_kinds(s, l->kernel);
    fprintf(s->file, "}\n");
    fclose(s->file);
    free(s->warps);
    free(s->lanes);
    free(s);
}

/* ---- accesses of a warp ---- */

/* An access is aligned and has at most 16 bytes: it never is in two sectors. */
void stats_global(struct stats *s, const uint64_t *address, uint32_t mask, unsigned bytes,
                  bool store)
{
    uint64_t sectors[LANES];
    unsigned n = 0;
    for (unsigned l = 0; l < LANES; l++) {
        uint64_t sector = address[l] / SECTOR;
        if (!(mask >> l & 1) || (n && sectors[n - 1] == sector))
            continue;
        unsigned k = 0;
        while (k < n && sectors[k] != sector)
            k++;
        if (k == n)
            sectors[n++] = sector;
    }
    uint64_t asked = (uint64_t)__builtin_popcount(mask) * bytes;
    *(store ? &s->store_bytes : &s->load_bytes) += asked;
    *(store ? &s->store_sectors : &s->load_sectors) += n;
}

/* How often the banks must be asked for these lanes: a word that several want is fetched once. */
static unsigned passes(const uint64_t *address, uint32_t mask, unsigned words)
{
    uint64_t wanted[LANES][LANES]; /* by bank */
    unsigned count[LANES] = {0}, most = 0;
    for (unsigned l = 0; l < LANES; l++) {
        for (unsigned n = 0; mask >> l & 1 && n < words; n++) {
            uint64_t word = address[l] / 4 + n;
            unsigned bank = word % LANES, k = 0;
            while (k < count[bank] && wanted[bank][k] != word)
                k++;
            if (k == count[bank])
                wanted[bank][count[bank]++] = word;
            most = count[bank] > most ? count[bank] : most;
        }
    }
    return most;
}

/* Accesses of 8 bytes go by half warps, those of 16 by quarters. */
void stats_shared(struct stats *s, const uint64_t *address, uint32_t mask, unsigned bytes)
{
    unsigned words = bytes < 4 ? 1 : bytes / 4, lanes = LANES / words;
    uint32_t part = lanes == LANES ? ALL_LANES : (UINT32_C(1) << lanes) - 1;
    s->shared_accesses++;
    for (unsigned n = 0; n < words; n++) {
        unsigned needed = passes(address, mask & part << n * lanes, words);
        s->bank_conflicts += needed ? needed - 1 : 0;
    }
}
