/* SPDX-License-Identifier: MIT */
/* Forms packs of whole numbers in words: GPTQ, AWQ, compressed-tensors, MLX. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/packs/form.h"
#include "model/packs/codes.h"

enum { WORD = 4, WORD_BITS = 32 };

static const uint32_t whole_types[] = {0,       TU_INT1, TU_INT2, TU_INT3, TU_INT4,
                                       TU_INT5, TU_INT6, TU_INT7, TU_INT8};

/* A step that a scale of binary16, which has no smaller ones, can make. */
static float least_step(const struct tu_member *scales, unsigned bits)
{
    return scales->tensor->dtype == TENSOR_F16 ? (float)(1u << bits) * 0x1p-25F : 0;
}

static void say(struct tu_group *g, const char *scheme, unsigned bits, uint64_t group)
{
    g->pack->scheme = scheme;
    g->pack->bits = bits;
    g->pack->type = whole_types[bits];
    g->pack->group = group < g->pack->columns ? group : 0;
    if (g->parts[TU_ROLE_SCALE].model)
        g->pack->least = least_step(&g->parts[TU_ROLE_SCALE], bits);
}

static bool is_shaped(const struct tu_member *m, uint64_t rows, uint64_t columns)
{
    const struct tu_tensor *t = m->tensor;
    return m->model && t->rank == 2 && t->shape[0] == rows && t->shape[1] == columns;
}

static int wrong_shape(const struct tu_group *g, enum tu_role role, uint64_t rows, uint64_t columns,
                       struct tu_error *error)
{
    const struct tu_tensor *t = g->parts[role].tensor;
    return tu_form_fail(g, error, "'%.200s' is not %" PRIu64 " x %" PRIu64, t->name, rows, columns);
}

static struct tu_codes *new_codes(struct tu_former *f, struct tu_codes codes,
                                  struct tu_error *error)
{
    struct tu_codes *c = tu_arena_alloc(f->arena, sizeof *c);
    if (c)
        *c = codes;
    else
        tu_fail_memory(error);
    return c;
}

/* Zeros that are packed as the weight's codes are. */
static int packed_zeros(struct tu_former *f, struct tu_group *g, struct tu_codes codes, bool turned,
                        struct tu_error *error)
{
    codes.from = g->parts[TU_ROLE_ZERO];
    g->pack->zeros = (struct tu_plane){.kind = TU_PLANE_GRID,
                                       .dtype = TENSOR_U8,
                                       .row_block = 1,
                                       .column_block = g->pack->scales.column_block,
                                       .codes = new_codes(f, codes, error),
                                       .turned = turned};
    return g->pack->zeros.codes ? 0 : -1;
}

/* Scales with a row for each group. */
static void scales_by_group(struct tu_group *g, uint64_t group)
{
    const struct tu_member *m = &g->parts[TU_ROLE_SCALE];
    g->pack->scales = (struct tu_plane){.kind = TU_PLANE_GRID,
                                        .from = *m,
                                        .dtype = m->tensor->dtype,
                                        .row_block = 1,
                                        .column_block = group,
                                        .row_step = 1,
                                        .column_step = g->pack->rows};
}

/* The size of groups: as said, where so many are as many as there are. */
static int find_group(struct tu_former *f, struct tu_group *g, uint64_t count, uint64_t *group,
                      struct tu_error *error)
{
    uint64_t said = 0, columns = g->pack->columns;
    tu_form_number(f, "group_size", &said);
    if (!said || columns / said + (columns % said != 0) != count)
        said = 0;
    *group = said ? said : tu_form_block(columns, count, 0);
    return *group ? 0
                  : tu_form_fail(g, error, "%" PRIu64 " columns are no %" PRIu64 " groups", columns,
                                 count);
}

/* ---- GPTQ ---- */

/* Bits by the shapes, of which the zeros and the index tell each. */
static int find_bits(struct tu_former *f, struct tu_group *g, unsigned *bits,
                     struct tu_error *error)
{
    const struct tu_tensor *q = g->primary.tensor, *z = g->parts[TU_ROLE_ZERO].tensor;
    const struct tu_tensor *index = g->parts[TU_ROLE_INDEX].tensor;
    uint64_t by_index = 0, by_zeros = 0, said = 0;
    if (index && index->elements && q->shape[0] * WORD_BITS % index->elements == 0)
        by_index = q->shape[0] * WORD_BITS / index->elements;
    else if (index)
        return tu_form_fail(g, error,
                            "its %" PRIu64 " rows of words are none of %" PRIu64
                            " columns, as '%.200s' has",
                            q->shape[0], index->elements, index->name);
    if (z && z->rank == 2 && z->shape[1] * WORD_BITS % q->shape[1] == 0)
        by_zeros = z->shape[1] * WORD_BITS / q->shape[1];
    if (by_index && by_zeros && by_index != by_zeros)
        return tu_form_fail(g, error,
                            "it has %" PRIu64 " bits by its index, and %" PRIu64 " by its zeros",
                            by_index, by_zeros);
    uint64_t found = by_index ? by_index : by_zeros;
    bool stated = tu_form_number(f, "bits", &said);
    if (!found)
        found = said;
    if (found < 1 || found > 8)
        return tu_form_fail(g, error, "its shapes tell no number of bits from 1 to 8");
    if (stated && said != found && !f->told_bits)
        tu_warn(f->session,
                "%s: config.json says %" PRIu64 " bits; tensor '%s' has %" PRIu64
                " by its shapes, which are followed",
                g->primary.model->source.path, said, q->name, found);
    f->told_bits |= stated && said != found;
    *bits = (unsigned)found;
    return 0;
}

/* Whether all zeros, as they are stored, are one number. */
static int all_zeros_are(struct tu_group *g, uint64_t groups, unsigned number, bool *all,
                         struct tu_error *error)
{
    const struct tu_plane *z = &g->pack->zeros;
    uint64_t rows = g->pack->rows;
    uint8_t *codes = malloc((size_t)rows);
    int result = codes ? 0 : tu_fail_memory(error);
    *all = true;
    for (uint64_t i = 0; i < groups && result == 0 && *all; i++) {
        struct tu_span line = {0, i, 1, 0, rows};
        result = tu_codes_read(z->codes, groups, rows, line, codes, error);
        for (uint64_t k = 0; k < rows && result == 0; k++)
            *all &= codes[k] == number;
    }
    free(codes);
    return result;
}

/* Zeros are stored less 1 by "gptq", and as they are by "gptq_v2"; a file of symmetric weights
 * shows which, whatever it says. */
static int settle_zeros(struct tu_former *f, struct tu_group *g, uint64_t groups, bool planar,
                        struct tu_error *error)
{
    const struct tensor_value *sym = tu_form_config(f, "sym");
    bool is_sym = sym && sym->type == TENSOR_BOOLEAN && sym->boolean, all = false;
    bool v1 = tu_form_says(f, "checkpoint_format", "gptq");
    unsigned middle = 1u << (g->pack->bits - 1);
    if (planar || tu_form_says(f, "checkpoint_format", "gptq_p") ||
        tu_form_says(f, "checkpoint_format", "gptq_v2"))
        return 0;
    if ((is_sym || !sym) && all_zeros_are(g, groups, middle, &all, error) < 0)
        return -1;
    const char *path = g->primary.model->source.path;
    if (all && v1 && !f->told_zeros)
        tu_warn(f->session,
                "%s: checkpoint_format is gptq, but all zeros are %u, as gptq_v2 stores "
                "them, and are taken so",
                path, middle);
    if (!all && !v1 && !f->told_zeros && !sym)
        tu_warn(f->session,
                "%s: nothing says whether zeros are those of gptq or of gptq_v2: gptq is "
                "taken",
                path);
    f->told_zeros |= (all && v1) || (!all && !v1);
    g->pack->zeros.added = !all;
    g->pack->zeros.wraps = true;
    return 0;
}

static int gptq_zeros(struct tu_former *f, struct tu_group *g, uint64_t groups, bool planar,
                      struct tu_error *error)
{
    const struct tensor_value *sym = tu_form_config(f, "sym");
    const struct tu_member *z = &g->parts[TU_ROLE_ZERO];
    unsigned bits = g->pack->bits;
    uint64_t words = (g->pack->rows * bits + WORD_BITS - 1) / WORD_BITS;
    if (!z->model && sym && sym->type == TENSOR_BOOLEAN && sym->boolean) {
        g->pack->zero = (float)(1u << (bits - 1));
        return 0;
    }
    if (!z->model)
        return tu_form_fail(g, error, "'%.*s.qzeros' is missing", (int)g->stem_length, g->stem);
    if (!is_shaped(z, groups, words) || z->tensor->dtype != TENSOR_I32)
        return wrong_shape(g, TU_ROLE_ZERO, groups, words, error);
    struct tu_codes codes = {.kind = planar ? TU_CODES_PLANES : TU_CODES_STREAM,
                             .bits = bits,
                             .row_bytes = words * WORD};
    if (packed_zeros(f, g, codes, true, error) < 0)
        return -1;
    return settle_zeros(f, g, groups, planar, error);
}

static int form_gptq(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *q = g->primary.tensor, *s = g->parts[TU_ROLE_SCALE].tensor;
    unsigned bits = 0;
    uint64_t group;
    if (find_bits(f, g, &bits, error) < 0)
        return -1;
    uint64_t columns = q->shape[0] * WORD_BITS / bits, shape[2] = {q->shape[1], columns};
    if (q->shape[0] * WORD_BITS % bits)
        return tu_form_fail(g, error,
                            "its %" PRIu64 " rows of words hold no whole number of %u-bit "
                            "codes",
                            q->shape[0], bits);
    if (tu_form_shape(g, shape, 2, error) < 0 || find_group(f, g, s->shape[0], &group, error) < 0)
        return -1;
    /* Of powers of two planes are the same as a stream. */
    bool planar = bits == 5 || bits == 6 || bits == 7 ||
                  (bits == 3 && tu_form_says(f, "checkpoint_format", "gptq_p"));
    if (planar && columns % WORD_BITS)
        return tu_form_fail(g, error, "%" PRIu64 " columns are no planes of 32", columns);
    g->pack->codes = (struct tu_codes){.kind = planar ? TU_CODES_PLANES : TU_CODES_COLUMNS,
                                       .from = g->primary,
                                       .bits = bits,
                                       .width = q->shape[1]};
    say(g, planar ? "GPTQ (planar)" : "GPTQ", bits, group);
    scales_by_group(g, group);
    if (gptq_zeros(f, g, s->shape[0], planar, error) < 0)
        return -1;
    if (g->parts[TU_ROLE_INDEX].model && tu_form_index(f, g, s->shape[0], group, error) < 0)
        return -1;
    return 1;
}

/* ---- AWQ ---- */

static int form_gemm(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *q = g->primary.tensor, *s = g->parts[TU_ROLE_SCALE].tensor;
    const uint64_t shape[2] = {q->shape[1] * 8, q->shape[0]};
    uint64_t group;
    if (tu_form_shape(g, shape, 2, error) < 0 || find_group(f, g, s->shape[0], &group, error) < 0)
        return -1;
    if (!g->parts[TU_ROLE_ZERO].model)
        return tu_form_fail(g, error, "'%.*s.qzeros' is missing", (int)g->stem_length, g->stem);
    if (!is_shaped(&g->parts[TU_ROLE_ZERO], s->shape[0], q->shape[1]))
        return wrong_shape(g, TU_ROLE_ZERO, s->shape[0], q->shape[1], error);
    const struct tu_codes codes = {
        .kind = TU_CODES_AWQ, .from = g->primary, .bits = 4, .width = q->shape[1]};
    g->pack->codes = codes;
    say(g, "AWQ", 4, group);
    scales_by_group(g, group);
    return packed_zeros(f, g, codes, false, error) < 0 ? -1 : 1;
}

/* Words of zeros that a row of gemv's layouts has for groups of a size: padded. */
static uint64_t zeros_width(uint64_t columns, uint64_t group)
{
    uint64_t times = group >= 128 ? 1 : group >= 64 ? 2 : 4;
    uint64_t words = (columns / group + 7) / 8;
    return (words + times - 1) / times * times;
}

/* The size of groups where scales are padded: as said, or the only usual one that makes so many. */
static int find_padded_group(struct tu_former *f, struct tu_group *g, uint64_t words,
                             uint64_t *group, struct tu_error *error)
{
    uint64_t said = 0, columns = g->pack->columns;
    *group = 0;
    if (tu_form_number(f, "group_size", &said) && said >= 32 && columns % said == 0 &&
        zeros_width(columns, said) == words) {
        *group = said;
        return 0;
    }
    for (uint64_t size = 32; size <= 128; size *= 2) {
        if (columns % size || zeros_width(columns, size) != words)
            continue;
        if (*group)
            return tu_form_fail(
                g, error, "nothing says whether its groups are %" PRIu64 " or %" PRIu64 " columns",
                *group, size);
        *group = size;
    }
    return *group
               ? 0
               : tu_form_fail(g, error, "its scales are none of its %" PRIu64 " columns", columns);
}

static int form_gemv(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *q = g->primary.tensor, *s = g->parts[TU_ROLE_SCALE].tensor;
    uint64_t group, words = s->shape[1] / 8;
    if (tu_form_shape_like(g, 8, error) < 0)
        return -1;
    if (!is_shaped(&g->parts[TU_ROLE_ZERO], q->shape[0], words) || s->shape[1] % 8)
        return tu_form_fail(g, error, "'%.*s.qzeros' is missing, or not %" PRIu64 " x %" PRIu64,
                            (int)g->stem_length, g->stem, q->shape[0], words);
    if (find_padded_group(f, g, words, &group, error) < 0)
        return -1;
    g->pack->codes = (struct tu_codes){
        .kind = TU_CODES_STREAM, .from = g->primary, .bits = 4, .row_bytes = q->shape[1] * WORD};
    say(g, "AWQ (gemv)", 4, group);
    scales_by_group(g, group);
    g->pack->scales.row_step = s->shape[1];
    g->pack->scales.column_step = 1;
    const struct tu_codes zeros = {.kind = TU_CODES_STREAM, .bits = 4, .row_bytes = words * WORD};
    return packed_zeros(f, g, zeros, false, error) < 0 ? -1 : 1;
}

/* The zeros are products already: minus scale times zero, rounded. */
static int form_gemv_fast(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *q = g->primary.tensor, *s = g->parts[TU_ROLE_SCALE].tensor;
    const struct tu_member *z = &g->parts[TU_ROLE_ZERO];
    const uint64_t shape[2] = {q->shape[0] * 4, q->shape[1]};
    uint64_t group;
    if (tu_form_shape(g, shape, 2, error) < 0)
        return -1;
    if (shape[1] % 64 || s->shape[0] % 8 || s->shape[1] != shape[0])
        return tu_form_fail(g, error,
                            "'%.200s' does not fit its %" PRIu64 " x %" PRIu64 " elements", s->name,
                            shape[0], shape[1]);
    if (!z->model || z->tensor->dtype != s->dtype || !is_shaped(z, s->shape[0], s->shape[1]))
        return tu_form_fail(g, error, "'%.*s.qzeros' is missing, or not as its scales are",
                            (int)g->stem_length, g->stem);
    if (find_padded_group(f, g, s->shape[0] / 8, &group, error) < 0)
        return -1;
    g->pack->codes = (struct tu_codes){
        .kind = TU_CODES_AWQ_FAST, .from = g->primary, .bits = 4, .width = q->shape[1]};
    say(g, "AWQ (gemv_fast)", 4, group);
    scales_by_group(g, group);
    g->pack->biases = g->pack->scales;
    g->pack->biases.from = *z;
    return 1;
}

int tu_form_qweight(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *q = g->primary.tensor, *s = g->parts[TU_ROLE_SCALE].tensor;
    const struct tu_dtype *d = tu_dtype(s->dtype);
    if (q->rank != 2 || s->rank != 2 || !q->elements || !s->elements || d->elements != 1 ||
        d->kind != TENSOR_KIND_FLOAT)
        return tu_form_fail(g, error, "'%.200s' are no scales of a matrix", s->name);
    if (q->dtype == TENSOR_I16)
        return form_gemv_fast(f, g, error);
    /* Where both fit, GPTQ's groups would be of 8 columns. */
    bool gemv = s->shape[0] == q->shape[0] && s->shape[1] % 8 == 0 &&
                !g->parts[TU_ROLE_INDEX].model && !tu_form_says(f, "quant_method", "gptq");
    if (s->shape[1] == q->shape[1] && !gemv)
        return form_gptq(f, g, error);
    if (q->shape[1] <= UINT64_MAX / 8 && s->shape[1] == 8 * q->shape[1])
        return form_gemm(f, g, error);
    if (s->shape[0] == q->shape[0])
        return form_gemv(f, g, error);
    return tu_form_fail(g, error,
                        "'%.200s' (%" PRIu64 " x %" PRIu64 ") is neither as GPTQ's nor as "
                        "AWQ's scales of %" PRIu64 " x %" PRIu64 " words",
                        s->name, s->shape[0], s->shape[1], q->shape[0], q->shape[1]);
}

/* ---- compressed-tensors ---- */

static uint64_t dense_words(uint64_t count, unsigned bits)
{
    return count / WORD_BITS * bits + (count % WORD_BITS * bits + WORD_BITS - 1) / WORD_BITS;
}

static uint64_t padded_words(uint64_t count, unsigned bits)
{
    uint64_t each = WORD_BITS / bits;
    return count / each + (count % each != 0);
}

static bool holds(uint64_t columns, uint64_t words, unsigned bits, bool dense)
{
    return (dense ? dense_words(columns, bits) : padded_words(columns, bits)) == words;
}

/* How likely a number of bits is among those that fit: what is stated, or else a usual one. */
static int likely(const struct tu_former *f, unsigned bits)
{
    return tu_form_weights(f, bits, "num_bits") ? 2 : (bits & (bits - 1)) == 0;
}

/* Bits and the layout of words, by how many words a row has; where several fit, those that the
 * configuration states. */
static int find_words(struct tu_former *f, struct tu_group *g, uint64_t words, unsigned *bits,
                      bool *dense, struct tu_error *error)
{
    uint64_t columns = g->pack->columns;
    *bits = 0;
    for (unsigned b = 1; b <= 8; b++) {
        bool as_stream = holds(columns, words, b, true);
        if (!as_stream && !holds(columns, words, b, false))
            continue;
        if (*bits && likely(f, b) <= likely(f, *bits))
            continue;
        *bits = b;
        *dense = as_stream;
    }
    if (!*bits)
        return tu_form_fail(g, error,
                            "%" PRIu64 " columns are no %" PRIu64 " words of any number of "
                            "bits",
                            columns, words);
    if (likely(f, *bits) < 2 && tu_form_config(f, "config_groups") && !f->told_bits) {
        f->told_bits = true;
        tu_warn(f->session,
                "%s: no group of config.json has the %u bits of tensor '%s', whose shapes "
                "are followed",
                g->primary.model->source.path, *bits, g->primary.tensor->name);
    }
    return 0;
}

static int read_shape(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *q = g->primary.tensor;
    const struct tu_member *m = &g->parts[TU_ROLE_SHAPE];
    int64_t said[TENSOR_MAX_RANK];
    uint64_t shape[TENSOR_MAX_RANK];
    if (m->tensor->elements > TENSOR_MAX_RANK || m->tensor->elements > q->rank)
        return tu_form_fail(g, error, "'%.200s' has %" PRIu64 " dimensions", m->tensor->name,
                            m->tensor->elements);
    uint32_t rank = (uint32_t)m->tensor->elements;
    if (tu_form_whole(f, g, m, said, rank, error) < 0)
        return -1;
    /* Of stacked experts it may be the shape of one. */
    uint32_t lead = q->rank - rank;
    memcpy(shape, q->shape, lead * sizeof *shape);
    for (uint32_t i = 0; i < rank; i++) {
        if (said[i] < 0 || (lead + i + 1 < q->rank && (uint64_t)said[i] != q->shape[lead + i]))
            return tu_form_fail(g, error, "'%.200s' has %" PRId64 " at %" PRIu32, m->tensor->name,
                                said[i], i);
        shape[lead + i] = (uint64_t)said[i];
    }
    return tu_form_shape(g, shape, q->rank, error);
}

static int ct_zeros(struct tu_former *f, struct tu_group *g, unsigned bits, bool dense,
                    struct tu_error *error)
{
    const struct tu_member *z = &g->parts[TU_ROLE_ZERO];
    const struct tensor_value *sym = tu_form_weights(f, bits, "symmetric");
    const struct tu_pack *p = g->pack;
    uint64_t groups = (p->columns + p->scales.column_block - 1) / p->scales.column_block;
    uint64_t words = dense ? dense_words(p->rows, bits) : padded_words(p->rows, bits);
    if (!z->model && sym && sym->type == TENSOR_BOOLEAN && !sym->boolean)
        return tu_form_fail(g, error,
                            "'%.*s.weight_zero_point' is missing, and config.json says that "
                            "it is not symmetric",
                            (int)g->stem_length, g->stem);
    if (!z->model) {
        g->pack->zero = (float)(1u << (bits - 1));
        return 0;
    }
    const struct tu_tensor *t = z->tensor;
    if (t->dtype != TENSOR_I32 || t->rank != g->rank || t->shape[t->rank - 1] != groups ||
        t->shape[t->rank - 2] != words || t->elements != p->slices * words * groups)
        return wrong_shape(g, TU_ROLE_ZERO, words, groups, error);
    const struct tu_codes codes = {.kind = dense ? TU_CODES_COLUMNS : TU_CODES_DOWN,
                                   .bits = bits,
                                   .width = groups,
                                   .slice_bytes = words * groups * WORD};
    return packed_zeros(f, g, codes, true, error);
}

int tu_form_ct_pack(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_tensor *q = g->primary.tensor;
    uint64_t words = q->shape[q->rank - 1], block[2] = {0, 0};
    unsigned bits = 0;
    bool dense = true;
    if (read_shape(f, g, error) < 0 || find_words(f, g, words, &bits, &dense, error) < 0)
        return -1;
    const struct tensor_value *size = tu_form_weights(f, bits, "group_size");
    if (size && tu_value_uint(size, &block[1]))
        block[0] = 1;
    if (tu_form_grid(f, g, &g->pack->scales, TU_ROLE_SCALE, block, error) < 0)
        return -1;
    g->pack->codes = (struct tu_codes){.kind = dense ? TU_CODES_STREAM : TU_CODES_WORDS,
                                       .from = g->primary,
                                       .bits = bits,
                                       .row_bytes = words * WORD,
                                       .slice_bytes = g->pack->rows * words * WORD};
    say(g, "compressed-tensors", bits, g->pack->scales.column_block);
    if (ct_zeros(f, g, bits, dense, error) < 0)
        return -1;
    uint64_t groups = (g->pack->columns - 1) / g->pack->scales.column_block + 1;
    if (g->parts[TU_ROLE_INDEX].model &&
        tu_form_index(f, g, groups, g->pack->scales.column_block, error) < 0)
        return -1;
    return 1;
}

/* ---- MLX ---- */

static bool is_mlx_bits(uint64_t bits)
{
    return (bits >= 2 && bits <= 6) || bits == 8;
}

/* What config.json says for one layer, or for all. */
static uint64_t mlx_number(const struct tu_former *f, const struct tu_group *g, const char *key)
{
    uint64_t number = 0;
    const struct tensor_value *own =
        f->config ? tu_value_find(f->config, g->stem, g->stem_length) : NULL;
    if (own && tu_value_uint(tu_value_get(own, key), &number))
        return number;
    return tu_form_number(f, key, &number) ? number : 0;
}

static uint64_t mlx_bits(const struct tu_group *g, uint64_t groups, uint64_t size)
{
    uint64_t words = g->primary.tensor->shape[g->primary.tensor->rank - 1];
    if (!size || words > UINT64_MAX / WORD_BITS || groups > UINT64_MAX / size ||
        words * WORD_BITS % (groups * size))
        return 0;
    uint64_t bits = words * WORD_BITS / (groups * size);
    return is_mlx_bits(bits) ? bits : 0;
}

/* Bits times the size of a group are those of its words; which of both, config.json says, or there
 * is one usual size alone that makes a whole number of bits. */
static int find_mlx(struct tu_former *f, struct tu_group *g, uint64_t groups, uint64_t *size,
                    uint64_t *bits, struct tu_error *error)
{
    static const uint64_t sizes[] = {32, 64, 128};
    uint64_t said_size = mlx_number(f, g, "group_size"), said_bits = mlx_number(f, g, "bits");
    *size = said_size;
    *bits = mlx_bits(g, groups, said_size);
    if (*bits && (!said_bits || said_bits == *bits))
        return 0;
    uint64_t found = 0, other = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t b = mlx_bits(g, groups, sizes[i]);
        if (!b)
            continue;
        if (b == said_bits) {
            found = sizes[i];
            other = 0;
            break;
        }
        other = found;
        found = sizes[i];
    }
    if (!found)
        return tu_form_fail(g, error,
                            "its rows of %" PRIu64 " words are no %" PRIu64 " groups of 32, 64 "
                            "or 128 columns",
                            g->primary.tensor->shape[g->primary.tensor->rank - 1], groups);
    if (other)
        return tu_form_fail(g, error,
                            "nothing says whether it has %" PRIu64 " bits in groups of %" PRIu64
                            ", or %" PRIu64 " in groups of %" PRIu64 " (config.json does)",
                            mlx_bits(g, groups, other), other, mlx_bits(g, groups, found), found);
    *size = found;
    *bits = mlx_bits(g, groups, found);
    if (said_size && !f->told_group)
        tu_warn(f->session,
                "%s: config.json says %" PRIu64 " bits in groups of %" PRIu64 " for tensor "
                "'%s'; its shapes say %" PRIu64 " in %" PRIu64 ", and are followed",
                g->primary.model->source.path, said_bits, said_size, g->primary.tensor->name, *bits,
                *size);
    f->told_group |= said_size != 0;
    return 0;
}

static void mlx_codes(struct tu_group *g, unsigned bits)
{
    const struct tu_tensor *q = g->primary.tensor;
    uint64_t row = q->shape[q->rank - 1] * WORD;
    g->pack->codes = (struct tu_codes){.kind = TU_CODES_STREAM,
                                       .from = g->primary,
                                       .bits = bits,
                                       .row_bytes = row,
                                       .slice_bytes = row * g->pack->rows};
}

/* Floats of 4 or 8 bits, whose scales are bytes. */
static int form_mlx_floats(struct tu_former *f, struct tu_group *g, uint64_t groups,
                           struct tu_error *error)
{
    const struct tu_tensor *q = g->primary.tensor;
    uint64_t words = q->shape[q->rank - 1];
    uint64_t each = words % groups == 0 ? words / groups : 0;
    bool is_nv = each == 2, wide = each == 8;
    if (each != 2 && each != 4 && each != 8)
        return tu_form_fail(g, error,
                            "its rows of %" PRIu64 " words are no %" PRIu64 " groups of 16 or "
                            "32 columns",
                            words, groups);
    const uint64_t block[2] = {1, is_nv ? 16 : 32};
    if (tu_form_shape_like(g, wide ? 4 : 8, error) < 0 ||
        tu_form_grid(f, g, &g->pack->scales, TU_ROLE_SCALE, block, error) < 0 ||
        tu_form_table(f, g, wide ? TENSOR_F8_E4M3 : TENSOR_F4, error) < 0)
        return -1;
    mlx_codes(g, wide ? 8 : 4);
    g->pack->scales.dtype = is_nv ? TENSOR_F8_E4M3 : TENSOR_F8_E8M0;
    g->pack->scheme = is_nv ? "MLX nvfp4" : wide ? "MLX mxfp8" : "MLX mxfp4";
    g->pack->bits = wide ? 8 : 4;
    g->pack->type = wide ? TU_FP8 : TU_FP4;
    g->pack->group = block[1];
    return 1;
}

int tu_form_mlx(struct tu_former *f, struct tu_group *g, struct tu_error *error)
{
    const struct tu_member *s = &g->parts[TU_ROLE_SCALE], *b = &g->parts[TU_ROLE_BIAS];
    uint64_t groups = s->tensor->rank ? s->tensor->shape[s->tensor->rank - 1] : 0, size, bits;
    if (!groups || s->tensor->rank != g->primary.tensor->rank)
        return tu_form_fail(g, error, "'%.200s' does not fit it", s->tensor->name);
    if (s->tensor->dtype == TENSOR_U8 && !b->model)
        return form_mlx_floats(f, g, groups, error);
    if (!b->model)
        return tu_form_fail(g, error, "'%.*s.biases' is missing", (int)g->stem_length, g->stem);
    if (find_mlx(f, g, groups, &size, &bits, error) < 0)
        return -1;
    const struct tu_tensor *q = g->primary.tensor;
    uint64_t shape[TENSOR_MAX_RANK];
    const uint64_t block[2] = {1, size};
    memcpy(shape, q->shape, q->rank * sizeof *shape);
    shape[q->rank - 1] = groups * size;
    if (tu_form_shape(g, shape, q->rank, error) < 0 ||
        tu_form_grid(f, g, &g->pack->scales, TU_ROLE_SCALE, block, error) < 0 ||
        tu_form_grid(f, g, &g->pack->biases, TU_ROLE_BIAS, block, error) < 0)
        return -1;
    mlx_codes(g, (unsigned)bits);
    say(g, "MLX", (unsigned)bits, size);
    return 1;
}
