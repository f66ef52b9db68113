/* SPDX-License-Identifier: MIT */
/* Loads the maps that are installed or given, and chooses the one that fits two models. */
#include "config.h"

#include "map/maps.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/file.h"
#include "base/install.h"
#include "model/plugin.h"
#include "base/source.h"
#include "base/text.h"
#include "tree/value.h"

static const char suffix[] = ".map";

/* ---- Facts ---- */

/* The value of a key, which may name a member of a member: "text_config.num_attention_heads". */
static const struct tensor_value *find_fact(const struct tensor_value *map, const char *key,
                                            size_t length)
{
    const struct tensor_value *value = tu_value_find(map, key, length);
    const char *dot = value ? NULL : memchr(key, '.', length);
    if (!dot)
        return value;
    size_t first = (size_t)(dot - key);
    const struct tensor_value *inner = tu_value_find(map, key, first);
    return inner && inner->type == TENSOR_MAP ? find_fact(inner, dot + 1, length - first - 1)
                                              : NULL;
}

static bool string_fact(const struct tu_facts *facts, size_t i, const char *key, const char **text,
                        size_t *length)
{
    const struct tensor_value *map = facts->metadata[i];
    return map && tu_value_string(find_fact(map, key, strlen(key)), text, length);
}

static bool natural(const struct tensor_value *v, uint64_t layer, uint64_t *out)
{
    if (v && v->type == TENSOR_ARRAY)
        v = layer < v->array.count ? &v->array.items[layer] : NULL;
    if (v && v->type == TENSOR_STRING)
        return tu_parse_u64(v->string.bytes, out) && *out;
    return tu_value_uint(v, out) && *out;
}

/* A key in which "{architecture}" is replaced by what the model says of itself. */
static bool expand_key(const struct tu_facts *facts, size_t i, const char *key, char *out,
                       size_t size)
{
    static const char placeholder[] = "{architecture}";
    const char *place = strstr(key, placeholder), *text;
    size_t length;
    if (!place)
        return snprintf(out, size, "%s", key) < (int)size;
    return string_fact(facts, i, "general.architecture", &text, &length) &&
           snprintf(out, size, "%.*s%.*s%s", (int)(place - key), key, (int)length, text,
                    place + strlen(placeholder)) < (int)size;
}

bool tu_facts_count(const struct tu_facts *facts, const struct tu_map *map,
                    const struct tu_count *count, uint64_t layer, uint64_t *out)
{
    for (size_t s = 0; s < count->source_count; s++) {
        const char *text = count->sources[s].text;
        char key[512];
        if (count->sources[s].is_count &&
            tu_facts_count(facts, map, tu_map_count(map, text), layer, out))
            return true;
        for (size_t i = 0; !count->sources[s].is_count && i < 2; i++)
            if (facts->metadata[i] && expand_key(facts, i, text, key, sizeof key) &&
                natural(find_fact(facts->metadata[i], key, strlen(key)), layer, out))
                return true;
    }
    return false;
}

/* ---- Loading ---- */

static const struct tu_map *find_map(const struct tu_maps *maps, const char *name)
{
    for (size_t i = 0; i < maps->count; i++)
        if (strcmp(maps->list[i].name, name) == 0)
            return &maps->list[i];
    return NULL;
}

static int read_whole(const char *path, char **text, size_t *length, struct stat *read,
                      struct tu_error *error)
{
    struct tu_source source;
    int fd = tu_open_operand(path, error);
    *text = NULL;
    if (fd < 0)
        return -1;
    if (tu_source_open(&source, fd, path, error) < 0) {
        close(fd);
        return -1;
    }
    int result =
        source.size > TU_MAP_BYTES_MAX
            ? tu_fail(error, TU_EINVALID, "%s: a map of more than %u bytes", path, TU_MAP_BYTES_MAX)
            : 0;
    *length = result < 0 ? 0 : (size_t)source.size;
    *read = source.opened;
    if (result == 0 && !(*text = malloc(*length + 1)))
        result = tu_fail_memory(error);
    if (result == 0)
        result = tu_source_read(&source, 0, *text, *length, error);
    tu_source_close(&source);
    return result;
}

/* Who can change a map decides what is compared with what. */
static int distrust(const char *path, const char *why, struct tu_error *error)
{
    return why ? tu_fail(error, TU_EUSAGE, "%s: no map is taken from there: %s (chmod go-w)", path,
                         why)
               : 0;
}

static int load_file(struct tu_maps *maps, const char *path, bool named, struct tu_error *error)
{
    char *text;
    size_t length;
    struct stat read;
    int result = read_whole(path, &text, &length, &read, error);
    if (result == 0 && !TU_GROW(maps->list, maps->count, maps->capacity))
        result = tu_fail_memory(error);
    if (result == 0)
        result = tu_map_parse(&maps->list[maps->count], path, text, length, error);
    free(text);
    if (result < 0)
        return -1;
    struct tu_map *map = &maps->list[maps->count];
    map->path = tu_arena_copy(&map->arena, path, strlen(path));
    map->read = read;
    map->named = named;
    if (!map->path) {
        tu_map_free(map);
        return tu_fail_memory(error);
    }
    if (find_map(maps, map->name))
        tu_map_free(map);
    else
        maps->count++;
    return 0;
}

static bool ends_in_suffix(const char *name)
{
    size_t length = strlen(name), n = strlen(suffix);
    return length > n && strcmp(name + length - n, suffix) == 0;
}

static int is_map(const struct dirent *entry)
{
    return ends_in_suffix(entry->d_name) && *entry->d_name != '.';
}

/* Loads the maps of a folder, or only the one called only.  One that the
 * user gave is another's fault than the installed one.  A build tree may well be another
 * user's: who runs a program out of it trusts that one. */
static int load_folder(struct tu_maps *maps, const char *folder, const char *only, bool is_given,
                       bool is_built, struct tu_error *error)
{
    const char *(*const doubt)(const char *) = is_built ? tu_distrust_file : tu_distrust;
    const char *advice =
        is_given ? "TENSORUTILS_MAPS names it; name a folder of maps, or unset it"
                 : "the maps of the suite are missing: install it again, or set TENSORUTILS_MAPS";
    struct dirent **entries = NULL;
    int count = -1;
    if (access(folder, R_OK | X_OK) == 0) {
        if (distrust(folder, doubt(folder), error) < 0)
            return -1;
        count = scandir(folder, &entries, is_map, alphasort);
    }
    if (count < 0)
        return tu_fail(error, errno == ENOMEM ? TU_ENOMEM : TU_EIO, "%s: %s (%s)", folder,
                       strerror(errno), advice);
    int result = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        const char *name = entries[i]->d_name;
        size_t stem = strlen(name) - strlen(suffix);
        bool wanted = !only || (strlen(only) == stem && memcmp(only, name, stem) == 0);
        if (result == 0 && wanted &&
            snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
            result = tu_fail(error, TU_EUSAGE, "%s: its name is too long", folder);
        else if (result == 0 && wanted && (result = distrust(path, doubt(path), error)) == 0)
            result = load_file(maps, path, true, error);
        free(entries[i]);
    }
    free(entries);
    return result;
}

static int load_folders(struct tu_maps *maps, const char *only, struct tu_error *error)
{
    const char *list = secure_getenv("TENSORUTILS_MAPS");
    char *copy = strdup(list ? list : ""), *rest = copy, built[4096];
    int result = copy ? 0 : tu_fail_memory(error);
    for (char *folder; result == 0 && (folder = strsep(&rest, ":"));)
        if (*folder)
            result = load_folder(maps, folder, only, true, false, error);
    free(copy);
    if (result < 0)
        return -1;
    bool is_built = tu_build_folder("lib/map/maps", built, sizeof built);
    return load_folder(maps, is_built ? built : TU_MAP_FOLDER, only, false, is_built, error);
}

int tu_maps_load(struct tu_maps *maps, struct tu_error *error)
{
    return load_folders(maps, NULL, error);
}

/* Says which maps there are, or which one was meant. */
static int fail_unknown(struct tu_maps *maps, const char *what, struct tu_error *error)
{
    char hint[TU_HINT_SIZE], names[512] = "";
    size_t used = 0;
    struct tu_nearest nearest = {.text = what};
    struct tu_error ignored = {0};
    if (load_folders(maps, NULL, &ignored) < 0)
        return tu_fail(error, TU_EUSAGE, "no map is called '%s'", what);
    for (size_t i = 0; i < maps->count; i++) {
        tu_nearest_try(&nearest, maps->list[i].name);
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                     maps->list[i].name);
    }
    return tu_nearest_word(&nearest)
               ? tu_fail(error, TU_EUSAGE, "no map is called '%s'%s", what,
                         tu_nearest_hint(&nearest, hint))
               : tu_fail(error, TU_EUSAGE,
                         "no map is called '%s' (there are %s; a file's name has a slash, or ends "
                         "in .map)",
                         what, names);
}

int tu_maps_load_one(struct tu_maps *maps, const char *what, struct tu_error *error)
{
    if (strchr(what, '/') || ends_in_suffix(what))
        return distrust(what, tu_distrust_file(what), error) < 0
                   ? -1
                   : load_file(maps, what, false, error);
    if (load_folders(maps, what, error) < 0)
        return -1;
    return maps->count ? 0 : fail_unknown(maps, what, error);
}

int tu_map_digest(const struct tu_map *map, char out[static TU_DIGEST_TEXT], struct tu_error *error)
{
    char *text;
    size_t length;
    struct stat now;
    if (read_whole(map->path, &text, &length, &now, error) < 0) {
        free(text);
        return -1;
    }
    int result = now.st_size == map->read.st_size && now.st_ino == map->read.st_ino &&
                         tu_modified(&now) == tu_modified(&map->read)
                     ? tu_sha256(text, length, out, error)
                     : tu_fail(error, TU_EINVALID, "%s: was changed while it was used", map->path);
    free(text);
    return result;
}

void tu_maps_free(struct tu_maps *maps)
{
    for (size_t i = 0; i < maps->count; i++)
        tu_map_free(&maps->list[i]);
    free(maps->list);
    *maps = (struct tu_maps){0};
}

/* ---- Choosing ---- */

/* Whether a map is for an architecture, or a model type. */
static bool is_of(const struct tu_map *m, const char *text, size_t length, bool model_types)
{
    const struct tu_word_list *list = model_types ? &m->model_types : &m->architectures;
    for (size_t k = 0; k < list->count; k++)
        if (strlen(list->items[k]) == length && strncasecmp(list->items[k], text, length) == 0)
            return true;
    return false;
}

static const struct tu_map *map_of(const struct tu_maps *maps, const char *text, size_t length,
                                   bool model_types)
{
    for (size_t i = 0; i < maps->count; i++) {
        const struct tu_map *m = &maps->list[i];
        if (!m->stages && is_of(m, text, length, model_types))
            return m;
    }
    return NULL;
}

static bool is_known(const struct tu_map *map, bool left, const struct tu_entry *e)
{
    struct tu_place place = {0};
    return tu_map_find(map, left, TU_ANY_SECTION, e->bare, e->bare_length, &place);
}

size_t tu_map_knows(const struct tu_map *map, const struct tu_catalogue *c)
{
    size_t known = 0;
    for (size_t i = 0; i < c->count; i++)
        known += !is_known(map, true, &c->entries[i]) && is_known(map, false, &c->entries[i]);
    return known;
}

/* How many names of both sides stand in a map; 0 where none is its alone. */
static size_t score(const struct tu_map *map, const struct tu_catalogue *const catalogues[2])
{
    size_t known = 0, own = 0;
    for (int i = 0; i < 2; i++) {
        const struct tu_catalogue *c = catalogues[i];
        for (size_t k = 0; c && k < c->count; k++)
            known += is_known(map, true, &c->entries[k]) || is_known(map, false, &c->entries[k]);
        own += c ? tu_map_knows(map, c) : 0;
    }
    return own ? known : 0;
}

/* Where metadata says what a model is, and whether as an architecture or a model type. */
static const struct {
    const char *key;
    bool model_types;
} model_keys[] = {{"general.architecture", false}, {"model_type", true}, {"architecture", true}};

enum { MODEL_KEYS = sizeof model_keys / sizeof *model_keys };

/* Whether either side states what the map is for. */
static bool is_stated(const struct tu_map *map, const struct tu_facts *facts)
{
    const char *text;
    size_t length;
    for (size_t k = 0; k < MODEL_KEYS; k++)
        for (size_t i = 0; i < 2; i++)
            if (string_fact(facts, i, model_keys[k].key, &text, &length) &&
                is_of(map, text, length, model_keys[k].model_types))
                return true;
    return false;
}

/* How many names of a dump stand on the right of a map of stages; 0 where it is none of its
 * program: names that happen to be among many others prove nothing. */
static size_t stage_score(const struct tu_map *map, const struct tu_catalogue *const catalogues[2])
{
    enum { SHARE = 4 };
    size_t most = 0;
    for (int i = 0; i < 2; i++) {
        size_t known = catalogues[i] ? tu_map_knows(map, catalogues[i]) : 0;
        if (known > most && known * SHARE >= catalogues[i]->count)
            most = known;
    }
    return most;
}

/* The map of the stages of another program: of those that know as many names, the one whose model
 * is stated. */
static const struct tu_map *choose_stages(const struct tu_maps *maps, const struct tu_facts *facts,
                                          const struct tu_catalogue *const catalogues[2])
{
    const struct tu_map *best = NULL;
    size_t most = 0;
    bool best_stated = false;
    for (size_t i = 0; i < maps->count; i++) {
        const struct tu_map *map = &maps->list[i];
        bool stated = map->stages && is_stated(map, facts);
        if (!stated && !(map->stages && map->guessed))
            continue;
        size_t known = stage_score(map, catalogues);
        if (known == 0 || known < most || (known == most && !(stated && !best_stated)))
            continue;
        best = map;
        most = known;
        best_stated = stated;
    }
    return best;
}

const struct tu_map *tu_maps_choose(const struct tu_maps *maps, const struct tu_facts *facts,
                                    const struct tu_catalogue *const catalogues[2])
{
    const struct tu_map *best = choose_stages(maps, facts, catalogues);
    size_t most = 0;
    bool stated = false;
    for (size_t k = 0; k < MODEL_KEYS && !best; k++)
        for (size_t i = 0; i < 2; i++) {
            const char *text;
            size_t length;
            if (!string_fact(facts, i, model_keys[k].key, &text, &length))
                continue;
            const struct tu_map *map = map_of(maps, text, length, model_keys[k].model_types);
            if (map)
                return map;
            stated = true;
        }
    if (best)
        return best;
    for (size_t i = 0; i < maps->count && !stated; i++) {
        if (!maps->list[i].guessed || maps->list[i].stages)
            continue;
        size_t known = score(&maps->list[i], catalogues);
        if (known > most) {
            most = known;
            best = &maps->list[i];
        }
    }
    return best;
}
