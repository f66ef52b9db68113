/* SPDX-License-Identifier: MIT */
/* Forms packs of small floats, and of whole numbers of a byte, that have scales. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "model/packs/form.h"

enum { GROUP_NV = 16, GROUP_MX = 32 };

/* The least steps: that of half a unit of the smallest scales, times the largest code. */
static float least_of(const struct tu_pack *p, float most)
{
    float outer = p->outer.factors ? p->outer.factors[0] : 1;
    float unit = p->scales.dtype == TENSOR_F16       ? 0x1p-25F
                 : p->scales.dtype == TENSOR_F8_E4M3 ? 0x1p-10F
                                                     : 0;
    return fabsf(most * unit * (p->outer.factors && p->outer.divides ? 1 / outer : outer));
}

static void say(struct tu_pack *p, const char *scheme, uint32_t type, unsigned bits, float most)
{
    p->scheme = scheme;
    p->type = type;
    p->bits = bits;
    p->group = p->scales.kind == TU_PLANE_GRID && p->scales.column_block < p->columns
                   ? p->scales.column_block
                   : 0;
    p->group_rows = p->group && p->scales.row_block > 1 ? p->scales.row_block : 0;
    p->least = least_of(p, most);
}

/* Codes as the weight's own tensor has them, row by row. */
static void own_codes(struct tu_group *g, unsigned bits)
{
    struct tu_pack *p = g->pack;
    p->codes = (struct tu_codes){.kind = TU_CODES_STREAM, .from = g->primary, .bits = bits};
}

/* ---- One element a code ---- */

/* Sizes of blocks as the configuration states them. */
static void find_block(const struct tu_former *f, uint64_t block[2])
{
    const struct tensor_value *said = tu_form_config(f, "weight_block_size");
    block[0] = block[1] = 0;
    if (!said)
        said = tu_form_weights(f, 8, "block_structure");
    if (!said || said->type != TENSOR_ARRAY || said->array.count != 2 ||
        !tu_value_uint(&said->array.items[0], &block[0]) ||
        !tu_value_uint(&said->array.items[1], &block[1]))
        block[0] = block[1] = 0;
}

static const struct scaled_type {
    enum tensor_dtype dtype;
    uint32_t type;
    unsigned bits;
    float most;
} scaled_types[] = {
    {TENSOR_F8_E4M3, TU_FP8, 8, 448},
    {TENSOR_F8_E5M2, TU_FP8, 8, 57344},
    {TENSOR_F8_E4M3FNUZ, TU_FP8, 8, 240},
    {TENSOR_F8_E5M2FNUZ, TU_FP8, 8, 57344},
    {TENSOR_F6_E2M3, TU_FP6, 6, 7.5F},
    {TENSOR_F6_E3M2, TU_FP6, 6, 28},
    {TENSOR_F4, TU_FP4, 4, 6},
    {TENSOR_I8, TU_INT8, 8, 127},
};

static const struct scaled_type *scaled_type(enum tensor_dtype dtype)
{
    size_t i = 0;
    while (scaled_types[i].dtype != dtype)
        i++;
    return &scaled_types[i];
}

static int find_zeros(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_member *z = &g->parts[TU_ROLE_ZERO];
    const uint64_t block[2] = {0, 0};
    if (!z->model)
        return 0;
    if (tu_dtype(z->tensor->dtype)->kind != TENSOR_KIND_INT)
        return tu_form_fail(g, error, "'%.200s' is %s", z->tensor->name,
                            tu_dtype(z->tensor->dtype)->name);
    return tu_form_grid(f, g, &g->pack->zeros, TU_ROLE_ZERO, block, error);
}

int tu_form_scaled(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *t = g->primary.tensor;
    const struct scaled_type *type = scaled_type(t->dtype);
    struct tu_pack *p = g->pack;
    uint64_t block[2];
    if (t->elements == 0 || g->parts[TU_ROLE_SCALE].tensor->elements == 0)
        return 0;
    find_block(f, block);
    if (tu_form_shape_like(g, 1, error) < 0 ||
        tu_form_grid(f, g, &p->scales, TU_ROLE_SCALE, block, error) < 0 ||
        find_zeros(f, g, error) < 0 || tu_form_factors(f, g, error) < 0)
        return -1;
    own_codes(g, type->bits);
    p->is_signed = t->dtype == TENSOR_I8;
    if (!p->is_signed && tu_form_table(f, g, t->dtype, error) < 0)
        return -1;
    bool mx = p->scales.dtype == TENSOR_F8_E8M0 && p->scales.column_block == GROUP_MX &&
              p->scales.row_block == 1;
    say(p, mx && type->bits == 8 ? "MXFP8" : g->scheme->name, type->type, type->bits, type->most);
    return 1;
}

/* ---- Two codes a byte ---- */

/* Scales of groups along rows that are either floats of 8 bits, which have a scale themselves, or
 * powers of two. */
static int form_halves(struct tu_former *f, struct tu_group *g, const char *nv, const char *mx,
                       bool divides, struct tu_error *error)
{
    struct tu_pack *p = g->pack;
    enum tensor_dtype scale = g->parts[TU_ROLE_SCALE].tensor->dtype;
    bool is_nv = scale == TENSOR_F8_E4M3;
    const uint64_t block[2] = {1, is_nv ? GROUP_NV : GROUP_MX};
    if (!is_nv && scale != TENSOR_U8 && scale != TENSOR_F8_E8M0)
        return tu_form_fail(g, error, "its scales are %s", tu_dtype(scale)->name);
    if (is_nv && !g->parts[TU_ROLE_OUTER].model)
        return tu_form_fail(g, error, "'%.*s%s' is missing", (int)g->stem_length, g->stem,
                            divides ? ".weight_global_scale" : ".weight_scale_2");
    if (tu_form_shape_like(g, 2, error) < 0 ||
        tu_form_grid(f, g, &p->scales, TU_ROLE_SCALE, block, error) < 0 ||
        (is_nv && tu_form_outer(f, g, divides, error) < 0) || tu_form_factors(f, g, error) < 0 ||
        tu_form_table(f, g, TENSOR_F4, error) < 0)
        return -1;
    own_codes(g, 4);
    say(p, is_nv ? nv : mx, TU_FP4, 4, 6);
    return 1;
}

int tu_form_fp4(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    return form_halves(f, g, "NVFP4", "MXFP4", true, error);
}

int tu_form_v4(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *t = g->primary.tensor, *s = g->parts[TU_ROLE_SCALE].tensor;
    if (s->dtype != TENSOR_F8_E8M0 || s->rank != t->rank || t->elements == 0 ||
        t->shape[t->rank - 1] != s->shape[s->rank - 1] * (GROUP_MX / 2))
        return 0;
    return form_halves(f, g, "NVFP4", "MXFP4", true, error);
}

int tu_form_blocks(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *t = g->primary.tensor, *s = g->parts[TU_ROLE_SCALE].tensor;
    uint64_t shape[TENSOR_MAX_RANK];
    const uint64_t block[2] = {1, GROUP_MX};
    uint32_t rank = t->rank - 1;
    if (t->shape[rank] != GROUP_MX / 2 || s->dtype != TENSOR_U8 || s->rank != rank ||
        memcmp(s->shape, t->shape, rank * sizeof *shape) != 0)
        return tu_form_fail(g, error, "'%.200s' is no byte for each of its blocks of 16 bytes",
                            s->name);
    memcpy(shape, t->shape, rank * sizeof *shape);
    shape[rank - 1] *= GROUP_MX; /* no more elements than bytes times two */
    if (tu_form_shape(g, shape, rank, error) < 0 ||
        tu_form_grid(f, g, &g->pack->scales, TU_ROLE_SCALE, block, error) < 0 ||
        tu_form_table(f, g, TENSOR_F4, error) < 0)
        return -1;
    own_codes(g, 4);
    say(g->pack, "MXFP4", TU_FP4, 4, 6);
    return 1;
}

/* ---- Bytes that may be several things ---- */

/* Two rows a byte, signed. */
static int form_pairs(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    static const float values[16] = {0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1};
    const struct tu_tensor *t = g->primary.tensor;
    struct tu_pack *p = g->pack;
    uint64_t shape[TENSOR_MAX_RANK];
    const uint64_t block[2] = {0, 0};
    memcpy(shape, t->shape, t->rank * sizeof *shape);
    shape[t->rank - 2] *= 2;
    if (tu_form_shape(g, shape, t->rank, error) < 0 ||
        tu_form_grid(f, g, &p->scales, TU_ROLE_SCALE, block, error) < 0 ||
        tu_form_factors(f, g, error) < 0)
        return -1;
    p->codes = (struct tu_codes){.kind = TU_CODES_PAIRS,
                                 .from = g->primary,
                                 .bits = 4,
                                 .row_bytes = p->columns,
                                 .slice_bytes = p->rows / 2 * p->columns};
    p->table = values;
    say(p, "ModelOpt int4", TU_INT4, 4, 8);
    return 1;
}

/* Four slabs of rows, one in each two bits of a byte. */
static int form_bitnet(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *t = g->primary.tensor;
    struct tu_pack *p = g->pack;
    const uint64_t block[2] = {0, 0};
    if (t->rank != 2 || t->shape[0] > UINT64_MAX / 4)
        return tu_form_fail(g, error, "it is no matrix");
    const uint64_t shape[2] = {t->shape[0] * 4, t->shape[1]};
    if (tu_form_shape(g, shape, 2, error) < 0 ||
        tu_form_grid(f, g, &p->scales, TU_ROLE_SCALE, block, error) < 0)
        return -1;
    p->codes = (struct tu_codes){.kind = TU_CODES_SLABS,
                                 .from = g->primary,
                                 .bits = 2,
                                 .slab = t->elements,
                                 .slabs = 4,
                                 .unit = 1,
                                 .by = 2};
    p->zero = 1;
    p->inverse = !tu_form_says(f, "linear_class", "autobitlinear");
    if (p->inverse && !tu_form_says(f, "linear_class", "bitlinear") && !f->told_group) {
        f->told_group = true;
        tu_warn(f->session,
                "%s: nothing says that the values of tensor '%s' are multiplied by their "
                "scale (linear_class autobitlinear): they are divided by it",
                g->primary.model->source.path, t->name);
    }
    say(p, "BitNet", TU_TERNARY, 2, 1);
    return 1;
}

int tu_form_bytes(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *t = g->primary.tensor, *s = g->parts[TU_ROLE_SCALE].tensor;
    if (t->elements == 0)
        return 0;
    if (s->dtype == TENSOR_F8_E4M3 || s->dtype == TENSOR_U8 || s->dtype == TENSOR_F8_E8M0)
        return form_halves(f, g, "NVFP4", "MXFP4", false, error);
    if (s->elements == 1)
        return form_bitnet(f, g, error);
    if (s->rank == t->rank && s->shape[s->rank - 2] / 2 == t->shape[t->rank - 2] &&
        s->shape[s->rank - 2] % 2 == 0)
        return form_pairs(f, g, error);
    return tu_form_fail(g, error, "its scales in '%.200s' fit no way of packing bytes", s->name);
}

/* ---- GGUF ---- */

int tu_form_gguf(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    struct tu_pack *p = g->pack;
    if (tu_form_shape_like(g, 1, error) < 0 || tu_form_outer(f, g, false, error) < 0)
        return -1;
    p->codes = (struct tu_codes){.kind = TU_CODES_VALUES, .from = g->primary, .bits = 4};
    say(p, "NVFP4", TU_FP4, 4, 6);
    p->group = GROUP_NV;
    return 1;
}
