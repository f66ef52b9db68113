/* SPDX-License-Identifier: MIT */
/* Keeps the tensors of a model sorted by bare name, to find one in logarithmic time. */
#include "config.h"

#include "map/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "map/pattern.h"
#include "tensor/name.h"

int tu_catalogue_add(struct tu_catalogue *c, struct tu_member member, struct tu_error *error)
{
    if (!TU_GROW(c->entries, c->count, c->capacity))
        return tu_fail_memory(error);
    struct tu_entry *e = &c->entries[c->count++];
    e->member = member;
    e->bare_length = member.tensor->name_length;
    e->bare = tu_bare_name(member.tensor->name, &e->bare_length);
    return 0;
}

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_entries(const void *a, const void *b)
{
    const struct tu_entry *x = a, *y = b;
    return compare_bytes(x->bare, x->bare_length, y->bare, y->bare_length);
}

void tu_catalogue_sort(struct tu_catalogue *c)
{
    if (c->count)
        qsort(c->entries, c->count, sizeof *c->entries, compare_entries);
}

int tu_catalogue_operand(struct tu_catalogue *c, const struct tu_operand *o, struct tu_error *error)
{
    for (size_t i = 0; i < o->model_count; i++)
        for (size_t k = 0; k < o->models[i].count; k++) {
            struct tu_member m = {&o->models[i], &o->models[i].tensors[k]};
            if (tu_catalogue_add(c, m, error) < 0)
                return -1;
        }
    tu_catalogue_sort(c);
    return 0;
}

void tu_catalogue_free(struct tu_catalogue *c)
{
    free(c->entries);
    *c = (struct tu_catalogue){0};
}

struct tu_member tu_catalogue_find(const struct tu_catalogue *c, const char *name, size_t length)
{
    size_t low = 0, high = c->count, bare_length = length, found = 0;
    const char *bare = tu_bare_name(name, &bare_length);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct tu_entry *e = &c->entries[middle];
        if (compare_bytes(e->bare, e->bare_length, bare, bare_length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct tu_member only = {0};
    for (; low < c->count; low++, found++) {
        const struct tu_entry *e = &c->entries[low];
        const struct tu_tensor *t = e->member.tensor;
        if (compare_bytes(e->bare, e->bare_length, bare, bare_length) != 0)
            break;
        if (t->name_length == length && memcmp(t->name, name, length) == 0)
            return e->member;
        only = e->member;
    }
    return found == 1 ? only : (struct tu_member){0};
}
