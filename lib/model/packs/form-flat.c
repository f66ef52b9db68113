/* SPDX-License-Identifier: MIT */
/* Forms packs whose blocks run over the flat weight: bitsandbytes, HQQ, quanto; and of rows of
 * bytes with a scale each. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/packs/form.h"
#include "tree/json.h"

static const uint32_t whole_types[] = {0,       TU_INT1, TU_INT2, TU_INT3, TU_INT4,
                                       TU_INT5, TU_INT6, TU_INT7, TU_INT8};

static uint64_t elements_of(const struct tu_pack *p)
{
    return p->slices * p->rows * p->columns;
}

/* A number for each block of elements that follow one another. */
static int flat_plane(struct tu_group *g, enum tu_role role, enum tu_plane_kind kind,
                      uint64_t block, struct tu_plane *out, struct tu_error *error)
{
    const struct tu_member *m = &g->parts[role];
    const struct tu_dtype *d = tu_dtype(m->tensor->dtype);
    uint64_t all = elements_of(g->pack);
    uint64_t count = kind == TU_PLANE_MODULO ? block : all / block + (all % block != 0);
    if (m->tensor->elements != count)
        return tu_form_fail(g, error, "'%.200s' has %" PRIu64 " elements, not %" PRIu64,
                            m->tensor->name, m->tensor->elements, count);
    if (d->elements != 1 || d->head || d->kind == TENSOR_KIND_COMPLEX || d->bytes > 4)
        return tu_form_fail(g, error, "'%.200s' is %s", m->tensor->name, d->name);
    *out = (struct tu_plane){
        .kind = kind, .from = *m, .dtype = m->tensor->dtype, .row_block = 1, .column_block = block};
    return 0;
}

/* ---- bitsandbytes ---- */

static int read_blob(struct tu_former *f, struct tu_group *g, struct tensor_value *out,
                     struct tu_error *error)
{
    enum { BLOB_MAX = 1 << 16 };
    const struct tu_member *m = &g->parts[TU_ROLE_BLOB];
    struct tu_error inner = {0};
    if (m->tensor->nbytes > BLOB_MAX)
        return tu_form_fail(g, error, "'%.200s' is no short text", m->tensor->name);
    size_t length = (size_t)m->tensor->nbytes;
    char *text = tu_arena_alloc(f->arena, length + 1);
    if (!text)
        return tu_fail_memory(error);
    text[length] = '\0';
    if (tu_model_read(m->model, m->tensor, 0, text, length, error) < 0)
        return -1;
    if (tu_json_parse(text, length, TU_DUPLICATES_REFUSED, f->arena, out, &inner) == 0 &&
        out->type == TENSOR_MAP)
        return 0;
    return tu_form_fail(g, error, "'%.200s' is no JSON object: %.200s", m->tensor->name,
                        inner.text);
}

static int blob_number(const struct tu_group *g, const struct tensor_value *blob, const char *key,
                       uint64_t *out, struct tu_error *error)
{
    if (tu_value_uint(tu_value_get(blob, key), out) && *out && *out <= UINT32_MAX)
        return 0;
    return tu_form_fail(g, error, "its quant_state states no %s", key);
}

static int blob_shape(struct tu_group *g, const struct tensor_value *blob, struct tu_error *error)
{
    const struct tensor_value *v = tu_value_get(blob, "shape");
    const struct tu_tensor *t = g->primary.tensor;
    uint64_t shape[TENSOR_MAX_RANK], size = tu_dtype(t->dtype)->bytes;
    size_t rank = v && v->type == TENSOR_ARRAY ? v->array.count : 0;
    for (size_t i = 0; i < rank && i < TENSOR_MAX_RANK; i++)
        if (!tu_value_uint(&v->array.items[i], &shape[i]))
            rank = 0;
    if (rank == 0 || rank > TENSOR_MAX_RANK)
        return tu_form_fail(g, error, "its quant_state states no shape");
    if (tu_form_shape(g, shape, (uint32_t)rank, error) < 0)
        return -1;
    uint64_t bytes = elements_of(g->pack) / 2 + elements_of(g->pack) % 2;
    if (t->nbytes >= bytes && t->nbytes - bytes < size)
        return 0;
    return tu_form_fail(g, error,
                        "its quant_state states %" PRIu64 " elements, and it has %" PRIu64 " bytes",
                        elements_of(g->pack), t->nbytes);
}

/* Scales that are codes themselves. */
static int form_nested(struct tu_former *f, struct tu_group *g, const struct tensor_value *blob,
                       uint64_t count, struct tu_error *error)
{
    const struct tu_member *scales = &g->parts[TU_ROLE_NESTED],
                           *map = &g->parts[TU_ROLE_NESTED_MAP];
    struct tu_nested *n = &g->pack->nested;
    double offset;
    if (!scales->model || !map->model)
        return tu_form_fail(g, error, "'%.*s.weight.nested_%s' is missing", (int)g->stem_length,
                            g->stem, scales->model ? "quant_map" : "absmax");
    if (blob_number(g, blob, "nested_blocksize", &n->block, error) < 0)
        return -1;
    if (!tu_value_number(tu_value_get(blob, "nested_offset"), &offset) || !isfinite(offset))
        return tu_form_fail(g, error, "its quant_state states no nested_offset");
    n->offset = (float)offset;
    n->table = tu_form_floats(f, g, map, 256, error);
    if (!n->table)
        return -1;
    n->scales = tu_form_floats(f, g, scales, count / n->block + (count % n->block != 0), error);
    return n->scales ? 0 : -1;
}

int tu_form_bnb(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    struct tensor_value blob;
    struct tu_pack *p = g->pack;
    uint64_t block;
    if (read_blob(f, g, &blob, error) < 0 ||
        blob_number(g, &blob, "blocksize", &block, error) < 0 || blob_shape(g, &blob, error) < 0 ||
        flat_plane(g, TU_ROLE_SCALE, TU_PLANE_FLAT, block, &p->scales, error) < 0)
        return -1;
    uint64_t count = g->parts[TU_ROLE_SCALE].tensor->elements;
    if (p->scales.dtype == TENSOR_U8 && form_nested(f, g, &blob, count, error) < 0)
        return -1;
    p->table = tu_form_floats(f, g, &g->parts[TU_ROLE_MAP], 16, error);
    float *spacing = tu_arena_alloc(f->arena, 16 * sizeof *spacing);
    if (!p->table || !spacing)
        return p->table ? tu_fail_memory(error) : -1;
    tu_form_spacing(p->table, 16, spacing);
    p->spacing = spacing;
    p->codes = (struct tu_codes){.kind = TU_CODES_HIGH, .from = g->primary, .bits = 4};
    bool is_nf4 = tu_value_equals(tu_value_get(&blob, "quant_type"), "nf4");
    p->scheme = is_nf4 ? "bitsandbytes nf4" : "bitsandbytes fp4";
    p->type = is_nf4 ? TU_NF4 : TU_FP4;
    p->bits = 4;
    p->group = block;
    return 1;
}

int tu_form_int8(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    struct tu_pack *p = g->pack;
    const struct tu_member *order = &g->parts[TU_ROLE_BITS];
    const uint64_t block[2] = {0, 0};
    int64_t form = 0;
    if (g->primary.tensor->elements == 0)
        return 0;
    if (order->model && tu_form_whole(f, g, order, &form, 1, error) < 0)
        return -1;
    if (form != 0)
        return tu_form_fail(g, error,
                            "its bytes are in an order for one GPU kernel (weight_format %" PRId64
                            "), which is not read",
                            form);
    if (tu_form_shape_like(g, 1, error) < 0 ||
        tu_form_grid(f, g, &p->scales, TU_ROLE_SCALE, block, error) < 0)
        return -1;
    p->codes = (struct tu_codes){.kind = TU_CODES_STREAM, .from = g->primary, .bits = 8};
    p->is_signed = true;
    p->factor = 7.874015718698502e-3F; /* 1 / 127 */
    p->scheme = "LLM.int8";
    p->type = TU_INT8;
    p->bits = 8;
    return 1;
}

/* ---- Slabs ---- */

/* A stored element holds a code of each of so many slabs. */
static unsigned slabs_of(enum tensor_dtype dtype, unsigned bits)
{
    if (dtype == TENSOR_I32)
        return bits == 3 ? 10 : 0;
    return bits == 8 || bits == 4 || bits == 2 || bits == 1 ? 8 / bits : 0;
}

static void slab_codes(struct tu_group *g, unsigned bits, unsigned slabs, bool high_first)
{
    const struct tu_tensor *t = g->primary.tensor;
    int first = t->dtype == TENSOR_I32 ? 27 : (int)(8 - bits), by = (int)bits;
    g->pack->codes = (struct tu_codes){.kind = TU_CODES_SLABS,
                                       .from = g->primary,
                                       .bits = bits,
                                       .slab = t->elements,
                                       .slabs = slabs,
                                       .unit = tu_dtype(t->dtype)->bytes,
                                       .shift = high_first ? first : 0,
                                       .by = high_first ? -by : by};
    g->pack->bits = bits;
    g->pack->type = whole_types[bits];
}

/* The slabs together are as long as the weight, but for what fills the last rows of them. */
static int check_slabs(const struct tu_group *g, unsigned slabs, struct tu_error *error)
{
    const struct tu_tensor *t = g->primary.tensor;
    uint64_t width = t->shape[1], all = elements_of(g->pack);
    uint64_t rows = width ? all / width : 0;
    if (width && all % width == 0 && slabs && (rows + slabs - 1) / slabs == t->shape[0])
        return 0;
    return tu_form_fail(
        g, error, "its %" PRIu64 " x %" PRIu64 " stored elements are none of %" PRIu64 " codes",
        t->shape[0], t->shape[1], all);
}

int tu_form_hqq(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *t = g->primary.tensor;
    struct tu_pack *p = g->pack;
    int64_t shape[2], bits, axis;
    if (t->rank != 2 || g->parts[TU_ROLE_SHAPE].tensor->elements != 2)
        return tu_form_fail(g, error, "it is no matrix");
    if (tu_form_whole(f, g, &g->parts[TU_ROLE_SHAPE], shape, 2, error) < 0 ||
        tu_form_whole(f, g, &g->parts[TU_ROLE_BITS], &bits, 1, error) < 0 ||
        tu_form_whole(f, g, &g->parts[TU_ROLE_AXIS], &axis, 1, error) < 0)
        return -1;
    if (shape[0] < 0 || shape[1] < 0 || bits < 1 || bits > 8 || (axis != 0 && axis != 1))
        return tu_form_fail(g, error, "its shape, nbits or axis cannot be");
    const uint64_t wanted[2] = {(uint64_t)shape[0], (uint64_t)shape[1]};
    unsigned slabs = slabs_of(t->dtype, (unsigned)bits);
    if (tu_form_shape(g, wanted, 2, error) < 0 || check_slabs(g, slabs, error) < 0)
        return -1;
    enum tu_plane_kind kind = axis ? TU_PLANE_FLAT : TU_PLANE_MODULO;
    if (flat_plane(g, TU_ROLE_SCALE, kind, t->shape[1], &p->scales, error) < 0 ||
        flat_plane(g, TU_ROLE_ZERO, kind, t->shape[1], &p->zeros, error) < 0)
        return -1;
    slab_codes(g, (unsigned)bits, slabs, true);
    p->scheme = "HQQ";
    p->group = axis ? t->shape[1] : elements_of(p) / t->shape[1];
    return 1;
}

/* The plain shape is in no tensor; a bias tells its rows. */
static int quanto_shape(struct tu_former *f, struct tu_group *g, uint64_t rows, uint64_t width,
                        struct tu_error *error)
{
    struct tu_member bias = tu_form_find(f, g->stem, g->stem_length, ".bias");
    uint64_t shape[2] = {rows, width};
    if (width && rows > UINT64_MAX / width)
        return tu_form_fail(g, error, "it is too large");
    if (bias.model && bias.tensor->rank == 1 && bias.tensor->elements &&
        rows * width % bias.tensor->elements == 0) {
        shape[0] = bias.tensor->elements;
        shape[1] = rows * width / bias.tensor->elements;
    } else {
        tu_warn(f->session,
                "%s: the shape of tensor '%s' is in no tensor: its groups are shown as its "
                "rows",
                g->primary.model->source.path, g->primary.tensor->name);
    }
    return tu_form_shape(g, shape, 2, error);
}

int tu_form_quanto(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *t = g->primary.tensor, *s = g->parts[TU_ROLE_SCALE].tensor;
    struct tu_pack *p = g->pack;
    const struct tu_member *shift = &g->parts[TU_ROLE_ZERO];
    if (t->dtype != TENSOR_U8) {
        int formed = tu_form_scaled(f, g, error);
        if (formed > 0)
            p->scheme = "quanto";
        return formed;
    }
    uint64_t slabs = t->rank == 2 && t->shape[0] ? s->elements / t->shape[0] : 0;
    unsigned bits = slabs == 2 ? 4 : slabs == 4 ? 2 : 0;
    if (!bits || s->elements != t->shape[0] * slabs)
        return tu_form_fail(g, error, "'%.200s' has %" PRIu64 " scales for %" PRIu64 " stored rows",
                            s->name, s->elements, t->rank ? t->shape[0] : 1);
    if (!shift->model)
        return tu_form_fail(g, error, "'%.*s.weight._shift' is missing", (int)g->stem_length,
                            g->stem);
    if (quanto_shape(f, g, s->elements, t->shape[1], error) < 0 ||
        flat_plane(g, TU_ROLE_SCALE, TU_PLANE_FLAT, t->shape[1], &p->scales, error) < 0)
        return -1;
    bool is_float = tu_dtype(shift->tensor->dtype)->kind == TENSOR_KIND_FLOAT;
    if (flat_plane(g, TU_ROLE_ZERO, TU_PLANE_FLAT, t->shape[1], is_float ? &p->biases : &p->zeros,
                   error) < 0)
        return -1;
    p->minus = is_float;
    slab_codes(g, bits, (unsigned)slabs, false);
    p->scheme = "quanto";
    p->group = t->shape[1];
    return 1;
}

/* ---- torchao ---- */

/* The type that whole numbers were rounded to, of which the header's metadata tells. */
static unsigned torchao_bits(struct tu_former *f, const struct tu_group *g)
{
    static const char prefix[] = "int";
    const struct tensor_value *v =
        tu_value_find(&g->primary.model->metadata, g->stem, g->stem_length);
    const char *text;
    size_t length;
    struct tensor_value tree;
    struct tu_error ignored = {0};
    char name[512];
    const char *last = memrchr(g->stem, '.', g->stem_length);
    size_t module = last ? (size_t)(last + 1 - g->stem) : 0;
    if (g->stem_length < sizeof name && g->stem[module] == '_') {
        memcpy(name, g->stem, module);
        memcpy(name + module, g->stem + module + 1, g->stem_length - module - 1);
        v = tu_value_find(&g->primary.model->metadata, name, g->stem_length - 1);
    }
    if (!v || !tu_value_string(v, &text, &length) ||
        tu_json_parse(text, length, TU_DUPLICATES_REPLACE, f->arena, &tree, &ignored) < 0)
        return 8;
    const struct tensor_value *type =
        tu_value_get(tu_value_get(tu_value_get(&tree, "_data"), "target_dtype"), "_data");
    if (!tu_value_string(type, &text, &length) || length != sizeof prefix ||
        memcmp(text, prefix, sizeof prefix - 1) != 0 || text[3] < '1' || text[3] > '8')
        return 8;
    return (unsigned)(text[3] - '0');
}

int tu_form_torchao(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    int formed = tu_form_scaled(f, g, error);
    if (formed <= 0)
        return formed;
    g->pack->scheme = "torchao";
    if (g->pack->is_signed) {
        g->pack->bits = torchao_bits(f, g);
        g->pack->type = whole_types[g->pack->bits];
    }
    return 1;
}
