/* SPDX-License-Identifier: MIT */
/* Watches the values of one tensor for what no healthy one has. */
#include "config.h"

#include "compute/stat/health.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Columns that are watched at most: 9 bytes for each. */
enum { COLUMNS_MAX = 1 << 24 };

/* The smallest normal and the largest finite number of a type; 0: it has no such thing. */
static void limits_of(enum tensor_dtype dtype, double *tiny, double *huge)
{
    static const struct {
        enum tensor_dtype dtype;
        double tiny, huge;
    } types[] = {
        {TENSOR_F64, 0x1p-1022, 0},        {TENSOR_F32, 0x1p-126, 0},
        {TENSOR_BF16, 0x1p-126, 0},        {TENSOR_F16, 0x1p-14, 65504},
        {TENSOR_F8_E4M3, 0x1p-6, 448},     {TENSOR_F8_E5M2, 0x1p-14, 57344},
        {TENSOR_F8_E4M3FNUZ, 0x1p-7, 240}, {TENSOR_F8_E5M2FNUZ, 0x1p-15, 57344},
    };
    *tiny = *huge = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].dtype == dtype) {
            *tiny = types[i].tiny;
            *huge = types[i].huge;
        }
    }
}

int tu_checkup_begin(struct tu_checkup *c, struct tu_health *h, const struct tu_tensor *t,
                     struct tu_arena *arena, struct tu_error *error)
{
    *c = (struct tu_checkup){.health = h, .width = 1, .height = 1};
    *h = (struct tu_health){0};
    if (tu_tensor_copy(arena, t, &h->tensor, error) < 0)
        return -1;
    limits_of(t->dtype, &c->tiny, &c->huge);
    if (t->rank)
        c->width = t->shape[t->rank - 1];
    if (t->rank > 1)
        c->height = t->shape[t->rank - 2];
    c->digest = tu_digest_new(TU_XXH3, error);
    if (!c->digest)
        return -1;
    h->columns_left_out = t->rank > 1 && c->width > COLUMNS_MAX;
    if (t->rank < 2 || h->columns_left_out || t->elements == 0)
        return 0;
    c->column_values = calloc(c->width, sizeof *c->column_values);
    c->column_same = calloc(c->width, sizeof *c->column_same);
    return c->column_values && c->column_same ? 0 : tu_fail_memory(error);
}

/* ---- Values ---- */

static void note_kind(struct tu_health *h, double x)
{
    for (unsigned i = 0; i < h->kinds && i < 2; i++)
        if (h->distinct[i] == x)
            return;
    if (h->kinds < 2)
        h->distinct[h->kinds] = x;
    h->kinds += h->kinds < 3;
}

static void note_value(struct tu_checkup *c, double x)
{
    struct tu_health *h = c->health;
    if (h->kinds < 3)
        note_kind(h, x);
    if (!isfinite(x)) {
        h->first_bad = h->nan + h->inf ? h->first_bad : h->seen;
        h->nan += isnan(x) != 0;
        h->inf += isinf(x) != 0;
        return;
    }
    h->finite++;
    h->zeros += x == 0;
    h->denormals += x != 0 && fabs(x) < c->tiny;
    h->saturated += c->huge > 0 && fabs(x) == c->huge;
    h->e8m0_nan += h->tensor.dtype == TENSOR_U8 && x == 255;
}

/* ---- Rows and columns ---- */

static void note_line(struct tu_same_lines *lines, double value, uint64_t index)
{
    bool dead = value == 0;
    uint64_t *count = dead ? &lines->dead : &lines->constant;
    uint64_t *first = dead ? &lines->first_dead : &lines->first_constant;
    if (*count == 0)
        *first = index;
    ++*count;
}

/* The columns of a matrix that has ended. */
static void close_matrix(struct tu_checkup *c)
{
    for (uint64_t i = 0; i < c->width; i++)
        if (c->column_same[i])
            note_line(&c->health->columns, c->column_values[i], i);
}

/* A value equals itself and NaN does not, so that no line of NaN is constant. */
static void note_place(struct tu_checkup *c, double x)
{
    uint64_t place = c->health->seen, column = place % c->width, row = place / c->width;
    bool first_row = row % c->height == 0, last = column + 1 == c->width;
    c->row_same = column == 0 ? x == x : c->row_same && x == c->row_value;
    if (column == 0)
        c->row_value = x;
    if (last && c->row_same)
        note_line(&c->health->rows, x, row);
    if (!c->column_values)
        return;
    if (first_row) {
        c->column_values[column] = x;
        c->column_same[column] = x == x;
    } else if (x != c->column_values[column]) {
        c->column_same[column] = 0;
    }
    if (last && (row + 1) % c->height == 0)
        close_matrix(c);
}

void tu_checkup_add(struct tu_checkup *c, const void *bytes, size_t length, const double *values,
                    size_t count)
{
    tu_digest_add(c->digest, bytes, length);
    for (size_t i = 0; i < count; i++) {
        note_value(c, values[i]);
        if (c->health->tensor.rank > 1)
            note_place(c, values[i]);
        c->health->seen++;
    }
}

void tu_checkup_end(struct tu_checkup *c)
{
    struct tu_health *h = c->health;
    if (c->digest) {
        tu_digest_take(c->digest, h->digest);
        tu_digest_free(c->digest);
    }
    h->real = h->seen == h->tensor.elements;
    free(c->column_values);
    free(c->column_same);
    *c = (struct tu_checkup){0};
}
