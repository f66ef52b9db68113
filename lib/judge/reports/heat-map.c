/* SPDX-License-Identifier: MIT */
/* Lays the judged tensors out by layer and role, from their names, and grades how bad each is. */
#include "config.h"

#include "judge/reports/heat-map.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tensor/name.h"

enum { CELLS_MAX = 20000 };

/* ---- Names ---- */

/* The number between dots that tu_layer_of has found, as text. */
static const char *find_layer(const char *name, size_t *length)
{
    for (const char *p = name; *p; p += *p == '.') {
        *length = strspn(p, "0123456789");
        if (*length && *length < 19 && (p[*length] == '.' || !p[*length]))
            return p;
        p += strcspn(p, ".");
    }
    return NULL;
}

static int place(struct tu_heat *h, const struct tu_judged *j, struct tu_heat_cell *cell,
                 struct tu_error *error)
{
    size_t digits = 0;
    *cell = (struct tu_heat_cell){.role = j->shown, .item = j};
    const char *at = find_layer(j->shown, &digits);
    cell->layered = at && tu_layer_of(j->shown, &cell->layer);
    if (!cell->layered)
        return 0;
    size_t size = strlen(j->shown) + 2, before = (size_t)(at - j->shown);
    char *role = tu_arena_alloc(&h->arena, size);
    if (!role)
        return tu_fail_memory(error);
    snprintf(role, size, "%.*s*%s", (int)before, j->shown, at + digits);
    cell->role = role;
    h->layered++;
    return 0;
}

/* ---- Rows and columns ---- */

static int by_role(const void *a, const void *b)
{
    const struct tu_heat_cell *x = a, *y = b;
    return x->layered != y->layered ? y->layered - x->layered : strverscmp(x->role, y->role);
}

static int by_layer(const void *a, const void *b)
{
    const struct tu_heat_cell *x = a, *y = b;
    return (x->layer > y->layer) - (x->layer < y->layer);
}

/* Of tensors of one name the worst comes first, as it does in the court. */
static int by_place(const void *a, const void *b)
{
    const struct tu_heat_cell *x = a, *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static void number_columns(struct tu_heat *h)
{
    qsort(h->cells, h->count, sizeof *h->cells, by_role);
    for (size_t i = 0; i < h->layered; i++) {
        if (!i || strcmp(h->cells[i].role, h->cells[i - 1].role) != 0)
            h->roles[h->columns++] = h->cells[i].role;
        h->cells[i].column = h->columns - 1;
    }
}

static void number_rows(struct tu_heat *h)
{
    qsort(h->cells, h->layered, sizeof *h->cells, by_layer);
    for (size_t i = 0; i < h->layered; i++) {
        if (!i || h->cells[i].layer != h->cells[i - 1].layer)
            h->layers[h->rows++] = h->cells[i].layer;
        h->cells[i].row = h->rows - 1;
    }
    qsort(h->cells, h->layered, sizeof *h->cells, by_place);
}

/* "model.layers.*." stands before all roles of most models, and says nothing. */
static void find_common(struct tu_heat *h)
{
    const char *star = h->columns ? strstr(h->roles[0], "*.") : NULL;
    h->common = star ? (size_t)(star - h->roles[0]) + 2 : 0;
    for (size_t i = 0; i < h->columns; i++)
        if (strncmp(h->roles[i], h->roles[0], h->common) != 0 || !h->roles[i][h->common])
            h->common = 0;
}

int tu_heat_make(struct tu_heat *h, const struct tu_court *c, struct tu_error *error)
{
    *h = (struct tu_heat){0};
    size_t room = c->count ? c->count : 1;
    h->cells = calloc(room, sizeof *h->cells);
    h->layers = calloc(room, sizeof *h->layers);
    h->roles = calloc(room, sizeof *h->roles);
    int result = h->cells && h->layers && h->roles ? 0 : tu_fail_memory(error);
    for (size_t i = 0; i < tu_court_ranked(c) && result == 0; i++)
        if (!c->items[i].fact)
            result = place(h, &c->items[i], &h->cells[h->count++], error);
    if (result < 0) {
        tu_heat_free(h);
        return -1;
    }
    number_columns(h);
    number_rows(h);
    find_common(h);
    return 0;
}

void tu_heat_free(struct tu_heat *h)
{
    tu_arena_free(&h->arena);
    free(h->cells);
    free(h->layers);
    free(h->roles);
    *h = (struct tu_heat){0};
}

bool tu_heat_is_small(const struct tu_heat *h)
{
    return h->columns == 0 || h->rows <= CELLS_MAX / h->columns;
}

/* ---- Shades ---- */

static double distance(const struct tu_scale *s, const struct tu_judged *j)
{
    return fabs(s->cosine ? 1 - j->value : j->value);
}

/* Three decades at least are shown, so that values that hardly differ hardly differ to the eye. */
void tu_scale_make(struct tu_scale *s, const struct tu_court *c, enum tu_outcome outcome)
{
    bool cosine = strcmp(tu_court_field(c), "cosine_similarity") == 0;
    *s = (struct tu_scale){.cosine = cosine, .turned = !cosine && tu_court_wants_large(c)};
    for (size_t i = 0; i < c->count; i++) {
        double d = distance(s, &c->items[i]);
        if (c->items[i].outcome != outcome || !(d > 0) || !isfinite(d))
            continue;
        s->low = s->high == 0 ? d : fmin(s->low, d);
        s->high = fmax(s->high, d);
    }
    s->low = fmin(s->low, s->high / 1000);
}

int tu_scale_shade(const struct tu_scale *s, const struct tu_judged *j, int shades)
{
    double d = distance(s, j), x = 0;
    if (isnan(d))
        return -1;
    if (d > s->low && s->high > s->low)
        x = log(fmin(d, s->high) / s->low) / log(s->high / s->low);
    int shade = (int)fmin(shades - 1, fmax(0, x * shades));
    return s->turned ? shades - 1 - shade : shade;
}
