/* SPDX-License-Identifier: MIT */
/* Decides by a shard index which file each tensor of a model is taken from. */
#include "config.h"

#include "model/shard-index.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"

enum { NAMED_MAX = 8 }; /* tensors that a warning names; of more it says how many */

struct entry {
    const struct tensor_pair *pair;
    bool met;
};

struct index {
    struct entry *entries; /* by name */
    size_t count;
    const char *path;
    const struct tu_session *session;
    struct tu_company *company;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return tu_compare_names(x->pair->key.string.bytes, x->pair->key.string.length,
                            y->pair->key.string.bytes, y->pair->key.string.length);
}

static struct entry *find(const struct index *index, const struct tu_tensor *t)
{
    const struct tensor_pair wanted = {
        .key = {.type = TENSOR_STRING, .string = {t->name, t->name_length}}};
    const struct entry key = {.pair = &wanted};
    return bsearch(&key, index->entries, index->count, sizeof *index->entries, compare_entries);
}

/* How many there are, and the names of the first. */
static void tell(const struct index *index, size_t nth, const struct tu_model *m,
                 const struct tu_tensor *t, const char *what)
{
    if (nth <= NAMED_MAX)
        tu_warn(index->session, "%s: tensor '%.200s' in %.200s %s", index->path, t->name,
                tu_file_name(m->source.path), what);
}

static bool is_at(const struct entry *e, const struct tu_model *m)
{
    return strcmp(e->pair->value.string.bytes, tu_file_name(m->source.path)) == 0;
}

static void meet(const struct index *index, const struct tu_model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct entry *e = find(index, &m->tensors[i]);
        if (e && is_at(e, m))
            e->met = true;
    }
}

static bool is_replaced(const struct tu_model *m, const struct tu_tensor *t, void *context)
{
    struct index *index = context;
    struct entry *e = find(index, t);
    if (!e) {
        tell(index, ++index->company->unlisted, m, t, "is not in the index; it is taken as it is");
        return false;
    }
    if (is_at(e, m))
        return false;
    tell(index, ++index->company->replaced, m, t, "is left out: the index names another file");
    return true;
}

static int check_met(const struct index *index, struct tu_error *error)
{
    for (size_t i = 0; i < index->count; i++)
        if (!index->entries[i].met)
            return tu_fail(error, TU_EINVALID, "%s: tensor '%.200s' is not in %s, as it says",
                           index->path, index->entries[i].pair->key.string.bytes,
                           index->entries[i].pair->value.string.bytes);
    return 0;
}

static void tell_counts(const struct index *index)
{
    const struct tu_company *c = index->company;
    if (c->unlisted > NAMED_MAX)
        tu_warn(index->session, "%s: %zu tensors of its files are not in the index", index->path,
                c->unlisted);
    if (c->replaced > NAMED_MAX)
        tu_warn(index->session, "%s: %zu tensors are left out: the index names another file",
                index->path, c->replaced);
    for (size_t i = 0; i < c->left_out_count; i++)
        tu_warn(index->session, "%s: %.200s lies beside it and is not in the index", index->path,
                c->left_out[i]);
}

int tu_shard_index_apply(struct tu_model *models, size_t count, const char *path,
                         const struct tensor_value *weight_map, const struct tu_session *session,
                         struct tu_company *company, struct tu_error *error)
{
    struct index index = {
        .count = weight_map->map.count, .path = path, .session = session, .company = company};
    index.entries = calloc(index.count + 1, sizeof *index.entries);
    if (!index.entries)
        return tu_fail_memory(error);
    for (size_t i = 0; i < index.count; i++)
        index.entries[i].pair = &weight_map->map.pairs[i];
    qsort(index.entries, index.count, sizeof *index.entries, compare_entries);
    for (size_t i = 0; i < count; i++)
        meet(&index, &models[i]);
    int result = check_met(&index, error);
    for (size_t i = 0; i < count && result == 0; i++)
        tu_model_leave_out(&models[i], is_replaced, &index);
    if (result == 0)
        tell_counts(&index);
    free(index.entries);
    return result;
}
