/* SPDX-License-Identifier: MIT */
/* What the forms of all families check and fill in. */
#include "config.h"

#include "model/packs/form.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/packs/planes.h"

/* The most scales, indices and factors that are kept: those of 2^24 columns or blocks. */
enum { KEPT_MAX = 1 << 24 };

int tu_form_fail(const struct tu_group *g, struct tu_error *error, const char *format, ...)
{
    char what[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return tu_fail(error, TU_EINVALID,
                   "%s: tensor '%.200s' is packed (%s), but %s (--packs never: as it is stored)",
                   g->primary.model->source.path, g->primary.tensor->name, g->scheme->name, what);
}

struct tu_member tu_form_find(const struct tu_former *f, const char *stem, size_t length,
                              const char *suffix)
{
    size_t more = strcspn(suffix, "|");
    char *name = malloc(length + more + 1);
    if (!name)
        return (struct tu_member){0};
    memcpy(name, stem, length);
    memcpy(name + length, suffix, more);
    name[length + more] = '\0';
    struct tu_member m = tu_operand_find(f->operand, name, length + more);
    free(name);
    return m;
}

/* ---- Shapes ---- */

int tu_form_shape(struct tu_group *g, const uint64_t *shape, uint32_t rank, struct tu_error *error)
{
    struct tu_geometry geometry;
    struct tu_error inner = {0};
    if (rank == 0 || rank > TENSOR_MAX_RANK)
        return tu_form_fail(g, error, "its shape has %" PRIu32 " dimensions", rank);
    memmove(g->shape, shape, rank * sizeof *shape);
    g->rank = rank;
    if (tu_geometry(TENSOR_F64, TENSOR_PACKING_ROWS, g->shape, rank, &geometry, &inner) < 0)
        return tu_form_fail(g, error, "%s", inner.text);
    if (geometry.elements == 0)
        return tu_form_fail(g, error, "it has no elements");
    g->pack->columns = shape[rank - 1];
    g->pack->rows = rank > 1 ? g->shape[rank - 2] : 1;
    g->pack->slices = geometry.elements / g->pack->rows / g->pack->columns;
    return 0;
}

int tu_form_shape_like(struct tu_group *g, uint64_t times, struct tu_error *error)
{
    const struct tu_tensor *t = g->primary.tensor;
    uint64_t shape[TENSOR_MAX_RANK];
    if (t->rank == 0)
        return tu_form_shape(g, NULL, 0, error);
    memcpy(shape, t->shape, t->rank * sizeof *shape);
    if (shape[t->rank - 1] > UINT64_MAX / times)
        return tu_form_fail(g, error, "its rows are too long");
    shape[t->rank - 1] *= times;
    return tu_form_shape(g, shape, t->rank, error);
}

/* ---- Small tensors ---- */

static int check_count(const struct tu_group *g, const struct tu_member *m, uint64_t count,
                       struct tu_error *error)
{
    const struct tu_tensor *t = m->tensor;
    const struct tu_dtype *d = tu_dtype(t->dtype);
    if (t->elements != count || count > KEPT_MAX)
        return tu_form_fail(g, error, "'%.200s' has %" PRIu64 " elements, not %" PRIu64, t->name,
                            t->elements, count);
    if (d->elements != 1 || d->head || d->kind == TENSOR_KIND_COMPLEX)
        return tu_form_fail(g, error, "'%.200s' is %s", t->name, d->name);
    return 0;
}

int tu_form_whole(const struct tu_former *f, const struct tu_group *g, const struct tu_member *m,
                  int64_t *out, uint64_t count, struct tu_error *error)
{
    const struct tu_dtype *d = tu_dtype(m->tensor->dtype);
    (void)f;
    if (check_count(g, m, count, error) < 0)
        return -1;
    if (d->kind != TENSOR_KIND_INT)
        return tu_form_fail(g, error, "'%.200s' is %s, no whole numbers", m->tensor->name, d->name);
    uint8_t *raw = malloc((size_t)m->tensor->nbytes + 1);
    int result = raw ? tu_model_read(m->model, m->tensor, 0, raw, (size_t)m->tensor->nbytes, error)
                     : tu_fail_memory(error);
    bool is_signed = d->code == TENSOR_I8 || d->code == TENSOR_I16 || d->code == TENSOR_I32;
    for (uint64_t i = 0; i < count && result == 0; i++) {
        uint64_t bits = 0;
        for (unsigned k = 0; k < d->bytes; k++)
            bits |= (uint64_t)raw[i * d->bytes + k] << 8 * k;
        if (is_signed && bits >> (8 * d->bytes - 1))
            bits |= UINT64_MAX << 8 * d->bytes;
        out[i] = (int64_t)bits;
    }
    free(raw);
    return result;
}

const float *tu_form_floats(struct tu_former *f, const struct tu_group *g,
                            const struct tu_member *m, uint64_t count, struct tu_error *error)
{
    const struct tu_plane plane = {.from = *m, .dtype = m->tensor->dtype};
    const struct tu_pack pack = {.kernels = f->session->kernels};
    if (check_count(g, m, count, error) < 0)
        return NULL;
    float *out = tu_arena_alloc(f->arena, (size_t)count * sizeof *out);
    if (!out) {
        tu_fail_memory(error);
        return NULL;
    }
    return tu_plane_elements(&pack, &plane, 0, count, out, error) < 0 ? NULL : out;
}

/* ---- Scales ---- */

uint64_t tu_form_block(uint64_t elements, uint64_t scales, uint64_t said)
{
    uint64_t power = 1;
    if (!scales)
        return 0;
    uint64_t share = elements / scales + (elements % scales != 0);
    if (said)
        return elements / said + (elements % said != 0) <= scales ? said : 0;
    if (scales == 1)
        return elements;
    while (power < share)
        power *= 2;
    if (elements / power + (elements % power != 0) == scales)
        return power;
    return elements % scales == 0 ? elements / scales : 0;
}

/* Of which of the weight's dimensions the scales are: rows and columns of them, and the distance of
 * those of a slice. */
static bool lay_out(const struct tu_group *g, const struct tu_tensor *s, uint64_t *rows,
                    uint64_t *columns, uint64_t *step)
{
    const struct tu_pack *p = g->pack;
    uint32_t lead = g->rank > 2 ? g->rank - 2 : 0;
    bool stacked =
        lead && s->rank >= lead && memcmp(s->shape, g->shape, lead * sizeof *s->shape) == 0;
    uint32_t rest = s->rank - (stacked ? lead : 0);
    const uint64_t *shape = s->shape + (stacked ? lead : 0);
    *rows = *columns = 1;
    *step = 0;
    if (s->elements == 1 && (s->rank < 2 || g->rank < 2))
        return true;
    if (lead && !stacked)
        return false;
    if (rest == 2) {
        *rows = shape[0];
        *columns = shape[1];
    } else if (rest == 1 && p->rows != p->columns && shape[0] == p->rows) {
        *rows = shape[0];
    } else if (rest == 1 && shape[0] == p->rows && !lead) {
        *rows = shape[0];
    } else if (rest == 1 && g->rank == 1) {
        *columns = shape[0];
    } else if (rest != 0) {
        return false;
    }
    *step = stacked ? *rows * *columns : 0;
    return *rows && *columns;
}

static int misfit(const struct tu_group *g, const struct tu_tensor *s, struct tu_error *error)
{
    char shape[TENSOR_MAX_RANK * 21] = "";
    for (uint32_t i = 0; i < s->rank; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%" PRIu64, i ? "x" : "",
                 s->shape[i]);
    return tu_form_fail(
        g, error, "the scales in '%.200s' (%s) do not cover its %" PRIu64 " x %" PRIu64 " elements",
        s->name, s->rank ? shape : "one", g->pack->rows, g->pack->columns);
}

int tu_form_grid(struct tu_former *f, struct tu_group *g, struct tu_plane *plane, enum tu_role role,
                 const uint64_t block[2], struct tu_error *error)
{
    const struct tu_member *m = &g->parts[role];
    const struct tu_tensor *s = m->tensor;
    struct tu_pack *p = g->pack;
    const struct tu_dtype *d = tu_dtype(s->dtype);
    uint64_t rows, columns, step;
    (void)f;
    if (d->elements != 1 || d->head || d->kind == TENSOR_KIND_COMPLEX || d->bytes > 4)
        return tu_form_fail(g, error, "'%.200s' is %s", s->name, d->name);
    if (!lay_out(g, s, &rows, &columns, &step))
        return misfit(g, s, error);
    *plane = (struct tu_plane){.kind = TU_PLANE_GRID,
                               .from = *m,
                               .dtype = s->dtype,
                               .slice_step = step,
                               .row_step = columns,
                               .column_step = 1};
    if (role == TU_ROLE_SCALE && s->dtype == TENSOR_U8)
        plane->dtype = TENSOR_F8_E8M0;
    bool grid = block[0] && block[1] && s->rank >= 2;
    bool whole_rows = columns == 1 && rows == p->rows && rows > 1;
    plane->row_block = tu_form_block(p->rows, rows, grid && !whole_rows ? block[0] : 0);
    plane->column_block = tu_form_block(p->columns, columns, grid && !whole_rows ? block[1] : 0);
    return plane->row_block && plane->column_block ? 0 : misfit(g, s, error);
}

int tu_form_outer(struct tu_former *f, struct tu_group *g, bool divides, struct tu_error *error)
{
    const struct tu_member *m = &g->parts[TU_ROLE_OUTER];
    uint64_t count = m->model ? m->tensor->elements : 0;
    if (!m->model)
        return 0;
    if (count != 1 && count != g->pack->slices)
        return tu_form_fail(g, error, "'%.200s' has %" PRIu64 " elements, not one, or one a slice",
                            m->tensor->name, count);
    g->pack->outer = (struct tu_outer){tu_form_floats(f, g, m, count, error), count, divides};
    return g->pack->outer.factors ? 0 : -1;
}

int tu_form_factors(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_member *m = &g->parts[TU_ROLE_FACTOR];
    (void)f;
    if (!m->model)
        return 0;
    if (check_count(g, m, g->pack->columns, error) < 0)
        return -1;
    g->pack->factors = (struct tu_plane){.kind = TU_PLANE_GRID,
                                         .from = *m,
                                         .dtype = m->tensor->dtype,
                                         .row_block = 1,
                                         .column_block = 1,
                                         .column_step = 1};
    return 0;
}

int tu_form_index(struct tu_former *f, struct tu_group *g, uint64_t count, uint64_t group,
                  struct tu_error *error)
{
    const struct tu_member *m = &g->parts[TU_ROLE_INDEX];
    uint64_t columns = g->pack->columns;
    if (columns > KEPT_MAX)
        return tu_form_fail(g, error, "its rows are too long");
    uint32_t *out = tu_arena_alloc(f->arena, (size_t)columns * sizeof *out);
    int64_t *read = malloc((size_t)columns * sizeof *read);
    int result = out && read ? tu_form_whole(f, g, m, read, columns, error) : tu_fail_memory(error);
    bool plain = true, unset = true;
    for (uint64_t i = 0; i < columns && result == 0; i++)
        unset &= read[i] == -1;
    for (uint64_t i = 0; i < columns && result == 0 && !unset; i++) {
        if (read[i] < 0 || (uint64_t)read[i] >= count)
            result = tu_form_fail(
                g, error, "'%.200s' names group %" PRId64 " for column %" PRIu64 ", of %" PRIu64,
                m->tensor->name, read[i], i, count);
        out[i] = (uint32_t)read[i];
        plain &= out[i] == i / group;
    }
    free(read);
    g->pack->groups = plain || unset ? NULL : out;
    return result;
}

/* ---- Tables ---- */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Over the distances to its neighbours, the mean of what rounding there makes. */
static float step_between(float below, float above)
{
    if (!(below > 0) || !(above > 0))
        return below > 0 ? below : above;
    return sqrtf((below * below * below + above * above * above) / (below + above));
}

void tu_form_spacing(const float *table, size_t count, float *spacing)
{
    float sorted[256];
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(table[i]))
            sorted[n++] = table[i];
    qsort(sorted, n, sizeof *sorted, compare_floats);
    for (size_t i = 0; i < n; i++)
        if (!kept || sorted[i] != sorted[kept - 1])
            sorted[kept++] = sorted[i];
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        spacing[i] = 0;
        while (k < kept && sorted[k] != table[i])
            k++;
        if (k < kept)
            spacing[i] = step_between(k ? sorted[k] - sorted[k - 1] : 0,
                                      k + 1 < kept ? sorted[k + 1] - sorted[k] : 0);
    }
}

int tu_form_table(struct tu_former *f, struct tu_group *g, enum tensor_dtype dtype,
                  struct tu_error *error)
{
    static const float fp4[16] = {0,     0.5F,  1,  1.5F,  2,  3,  4,  6,
                                  -0.0F, -0.5F, -1, -1.5F, -2, -3, -4, -6};
    float *table, *spacing;
    if (!f->floats[dtype]) {
        table = tu_arena_alloc(f->arena, 256 * sizeof *table);
        spacing = tu_arena_alloc(f->arena, 256 * sizeof *spacing);
        if (!table || !spacing)
            return tu_fail_memory(error);
        for (unsigned i = 0; i < 256; i++) {
            uint8_t codes[3] = {(uint8_t)i, 0, 0};
            float four[4];
            if (dtype == TENSOR_F4) {
                table[i] = fp4[i % 16];
                continue;
            }
            if (tu_dtype(dtype)->elements == 4)
                codes[0] &= 63;
            f->session->kernels->decode[dtype](codes, 1, four);
            table[i] = four[0];
        }
        tu_form_spacing(table, 256, spacing);
        f->floats[dtype] = table;
        f->spacings[dtype] = spacing;
    }
    g->pack->table = f->floats[dtype];
    g->pack->spacing = f->spacings[dtype];
    return 0;
}

/* ---- config.json ---- */

const struct tensor_value *tu_form_config(const struct tu_former *f, const char *key)
{
    return f->config ? tu_value_get(f->config, key) : NULL;
}

bool tu_form_says(const struct tu_former *f, const char *key, const char *word)
{
    const struct tensor_value *v = tu_form_config(f, key);
    return v && tu_value_equals(v, word);
}

bool tu_form_number(const struct tu_former *f, const char *key, uint64_t *out)
{
    const struct tensor_value *v = tu_form_config(f, key);
    return v && tu_value_uint(v, out);
}

const struct tensor_value *tu_form_weights(const struct tu_former *f, uint64_t bits,
                                           const char *key)
{
    const struct tensor_value *groups = tu_form_config(f, "config_groups"), *found = NULL;
    for (size_t i = 0; groups && groups->type == TENSOR_MAP && i < groups->map.count; i++) {
        const struct tensor_value *weights = tu_value_get(&groups->map.pairs[i].value, "weights");
        const struct tensor_value *v = weights ? tu_value_get(weights, key) : NULL;
        uint64_t said;
        if (!v || !tu_value_uint(tu_value_get(weights, "num_bits"), &said) || said != bits)
            continue;
        if (found && !tu_value_same(found, v))
            return NULL;
        found = v;
    }
    return found;
}
