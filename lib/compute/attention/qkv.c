/* SPDX-License-Identifier: MIT */
/* The q, k and v of an attention, found by their names and read row by row. */
#include "config.h"

#include "compute/attention/qkv.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tensors are read through the stack. */
enum { PIECE = 8192, SPAN_BYTES = PIECE * 8 + 1024 };

/* ---- Reading ---- */

int tu_qkv_open(struct tu_qkv_tensor *t, struct tu_member member, const struct tu_session *session,
                struct tu_error *error)
{
    struct tu_geometry geometry;
    uint8_t head[8] = {0};
    const struct tu_tensor *tensor = member.tensor;
    t->member = member;
    if (tu_geometry(tensor->dtype, tensor->packing, tensor->shape, tensor->rank, &geometry, error) <
        0)
        return -1;
    if (!session->kernels->decode[tensor->dtype])
        return tu_fail(error, TU_EINVALID, "%s: tensor '%s': %s has no real numbers",
                       member.model->source.path, tensor->name, geometry.dtype->name);
    if (geometry.dtype->head && geometry.elements &&
        tu_model_read(member.model, tensor, 0, head, geometry.dtype->head, error) < 0)
        return -1;
    return tu_decoder_init(&t->decoder, &geometry, session->kernels, head, error);
}

/* The most elements from first on, and no more than count, whose blocks fit SPAN_BYTES. */
static uint64_t piece_of(const struct tu_geometry *g, uint64_t first, uint64_t count,
                         uint64_t *offset, uint64_t *length)
{
    for (uint64_t n = count < SPAN_BYTES ? count : SPAN_BYTES;; n = (n + 1) / 2) {
        tu_geometry_span(g, first, n, offset, length);
        if (*length <= SPAN_BYTES)
            return n;
    }
}

/* Whether the bytes of the file are the numbers. */
static bool are_floats(const struct tu_qkv_tensor *t)
{
    return t->member.tensor->dtype == TENSOR_F32 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
}

static int read_narrow(const struct tu_qkv_tensor *t, uint64_t first, uint64_t count, float *out,
                       struct tu_error *error)
{
    uint8_t span[SPAN_BYTES];
    const struct tu_tensor *tensor = t->member.tensor;
    if (are_floats(t))
        return tu_model_read(t->member.model, tensor, first * sizeof *out, out, count * sizeof *out,
                             error);
    for (uint64_t offset, length, n; count; first += n, count -= n, out += n) {
        n = piece_of(&t->decoder.geometry, first, count, &offset, &length);
        if (tu_model_read(t->member.model, tensor, offset, span, length, error) < 0)
            return -1;
        tu_decode(&t->decoder, span, first, n, out);
    }
    return 0;
}

static int read_wide(const struct tu_qkv_tensor *t, uint64_t first, uint64_t count, double *out,
                     struct tu_error *error)
{
    uint8_t span[SPAN_BYTES];
    double low[PIECE];
    for (uint64_t offset, length, n; count; first += n, count -= n, out += n) {
        n = piece_of(&t->decoder.geometry, first, count < PIECE ? count : PIECE, &offset, &length);
        if (tu_model_read(t->member.model, t->member.tensor, offset, span, length, error) < 0)
            return -1;
        tu_decode_wide(&t->decoder, span, first, n, out, low);
    }
    return 0;
}

int tu_qkv_elements(const struct tu_qkv_tensor *t, uint64_t first, uint64_t count, double *wide,
                    struct tu_error *error)
{
    return read_wide(t, first, count, wide, error);
}

int tu_qkv_read(void *group, enum tu_attention_part part, uint64_t batch, uint64_t first,
                uint64_t count, float *narrow, double *wide, struct tu_error *error)
{
    const struct tu_qkv *g = group;
    const struct tu_attention *a = &g->attention;
    bool is_q = part == TU_ATTENTION_Q;
    const struct tu_qkv_tensor *t = is_q ? &g->q : part == TU_ATTENTION_K ? &g->k : &g->v;
    uint64_t row =
        (is_q ? a->heads : a->kv_heads) * (part == TU_ATTENTION_V ? a->value_dim : a->head_dim);
    first += batch * (is_q ? a->queries : a->keys);
    return narrow ? read_narrow(t, first * row, count * row, narrow, error)
                  : read_wide(t, first * row, count * row, wide, error);
}

float *tu_qkv_floats(const struct tu_qkv_tensor *t, struct tu_error *error)
{
    uint64_t n = t->member.tensor->elements;
    float *all = n < SIZE_MAX / sizeof *all ? malloc(n * sizeof *all + 1) : NULL;
    if (!all) {
        tu_fail_memory(error);
        return NULL;
    }
    if (read_narrow(t, 0, n, all, error) == 0)
        return all;
    free(all);
    return NULL;
}

/* ---- Shapes ---- */

static int fail_group(const struct tu_qkv *g, struct tu_error *error, const char *what)
{
    struct tu_error inner = *error;
    *error = (struct tu_error){0};
    return tu_fail(error, TU_EINVALID, "%s: '%.*s': %s%s%s", g->q.member.model->source.path,
                   (int)g->prefix_length + 1, g->q.member.tensor->name, what,
                   inner.code ? ": " : "", inner.text);
}

/* The dimensions of q, k or v: batches, rows, heads, elements. */
static bool read_shape(const struct tu_qkv *g, const struct tu_tensor *t, uint64_t heads,
                       uint64_t out[4])
{
    const uint64_t *shape = t->shape;
    uint32_t rank = t->rank - g->has_batches;
    out[0] = g->has_batches ? *shape++ : 1;
    out[1] = shape[0];
    out[2] = g->is_flat ? heads : shape[1];
    out[3] = g->is_flat ? (heads ? shape[1] / heads : 0) : shape[2];
    return rank == (g->is_flat ? 2 : 3) && (!g->is_flat || (heads && shape[1] % heads == 0));
}

static int read_shapes(struct tu_qkv *g, const struct tu_qkv_options *options,
                       struct tu_error *error)
{
    uint64_t q[4], k[4], v[4];
    const struct tu_tensor *t = g->q.member.tensor;
    g->is_flat = options->heads != 0;
    g->has_batches = t->rank == (g->is_flat ? 3 : 4);
    if (t->rank != (g->is_flat ? 2u : 3u) + g->has_batches)
        return fail_group(g, error,
                          g->is_flat ? "q is not [n, heads * head_dim], with a batch or without"
                                     : "q is not [n, heads, head_dim], with a batch or without "
                                       "(--heads and --kv-heads divide one dimension)");
    uint64_t kv_heads = options->kv_heads ? options->kv_heads : options->heads;
    if (g->k.member.tensor->rank != t->rank || g->v.member.tensor->rank != t->rank ||
        !read_shape(g, t, options->heads, q) || !read_shape(g, g->k.member.tensor, kv_heads, k) ||
        !read_shape(g, g->v.member.tensor, kv_heads, v))
        return fail_group(g, error,
                          "q, k and v do not have as many dimensions, or not that many heads");
    if (q[0] != k[0] || q[0] != v[0])
        return fail_group(g, error, "q, k and v have different batches");
    if (k[1] != v[1] || k[2] != v[2])
        return fail_group(g, error, "k and v have different lengths or heads");
    if (q[3] != k[3])
        return fail_group(g, error, "q and k have heads of different widths");
    g->attention = (struct tu_attention){.batches = q[0],
                                         .queries = q[1],
                                         .keys = k[1],
                                         .heads = q[2],
                                         .kv_heads = k[2],
                                         .head_dim = q[3],
                                         .value_dim = v[3]};
    return tu_attention_check(&g->attention, error) < 0
               ? fail_group(g, error, "there is no such attention")
               : 0;
}

/* ---- Groups ---- */

struct tu_member tu_qkv_beside(const struct tu_operand *o, const struct tu_qkv *g,
                               const char *suffix)
{
    char name[TENSOR_MAX_NAME + 16];
    size_t length = strlen(suffix);
    memcpy(name, g->prefix, g->prefix_length);
    memcpy(name + g->prefix_length, suffix, length + 1);
    return tu_operand_find(o, name, g->prefix_length + length);
}

/* BOOL says which keys are seen; anything else is added. */
static void read_bools(float *mask, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        mask[i] = mask[i] != 0 ? 0 : -INFINITY;
}

static int add_mask(struct tu_qkv *g, struct tu_member member, const struct tu_session *session,
                    struct tu_error *error)
{
    struct tu_attention *a = &g->attention;
    const struct tu_tensor *t = member.tensor;
    struct tu_qkv_tensor mask;
    const uint64_t *last = t->shape + (t->rank >= 2 ? t->rank - 2 : 0);
    a->mask_heads = t->rank == 3 ? t->shape[0] : 1;
    if ((t->rank != 2 && t->rank != 3) || last[0] != a->queries || last[1] != a->keys ||
        (a->mask_heads != 1 && a->mask_heads != a->heads))
        return fail_group(g, error, "mask is neither [n_q, n_kv] nor [heads, n_q, n_kv]");
    if (tu_qkv_open(&mask, member, session, error) < 0 || !(g->mask = tu_qkv_floats(&mask, error)))
        return -1;
    if (t->dtype == TENSOR_BOOL)
        read_bools(g->mask, t->elements);
    a->mask = g->mask;
    return 0;
}

static int add_sinks(struct tu_qkv *g, struct tu_member member, const struct tu_session *session,
                     struct tu_error *error)
{
    struct tu_qkv_tensor sinks;
    if (member.tensor->elements != g->attention.heads)
        return fail_group(g, error, "sinks are not one for each head");
    if (tu_qkv_open(&sinks, member, session, error) < 0 ||
        !(g->sinks = tu_qkv_floats(&sinks, error)))
        return -1;
    g->attention.sinks = g->sinks;
    return 0;
}

static int add_options(struct tu_qkv *g, const struct tu_qkv_options *options,
                       struct tu_error *error)
{
    struct tu_attention *a = &g->attention;
    a->scale = isnan(options->scale) ? 1 / sqrt((double)a->head_dim) : options->scale;
    a->soft_cap = options->soft_cap;
    a->window = options->window;
    a->causal = options->causal;
    if (!options->alibi)
        return 0;
    if (!(g->slopes = malloc(a->heads * sizeof *g->slopes)))
        return tu_fail_memory(error);
    tu_attention_slopes(a->heads, g->slopes);
    a->slopes = g->slopes;
    return 0;
}

static int fill_group(struct tu_qkv *g, const struct tu_operand *o,
                      const struct tu_session *session, struct tu_member q,
                      const struct tu_qkv_options *options, struct tu_error *error)
{
    g->q.member = q;
    g->prefix = q.tensor->name;
    g->prefix_length = q.tensor->name_length - 1;
    struct tu_member k = tu_qkv_beside(o, g, "k"), v = tu_qkv_beside(o, g, "v");
    struct tu_member mask = tu_qkv_beside(o, g, "mask"), sinks = tu_qkv_beside(o, g, "sinks");
    if (!k.model || !v.model)
        return fail_group(g, error, k.model ? "has no v beside it" : "has no k beside it");
    if (tu_qkv_open(&g->q, q, session, error) < 0 || tu_qkv_open(&g->k, k, session, error) < 0 ||
        tu_qkv_open(&g->v, v, session, error) < 0 || read_shapes(g, options, error) < 0 ||
        add_options(g, options, error) < 0)
        return -1;
    if (mask.model && add_mask(g, mask, session, error) < 0)
        return -1;
    return sinks.model ? add_sinks(g, sinks, session, error) : 0;
}

static int check_options(const struct tu_qkv_options *o, struct tu_error *error)
{
    if (o->soft_cap < 0 || isnan(o->soft_cap))
        return tu_fail(error, TU_EUSAGE, "--soft-cap is not positive");
    return o->kv_heads && !o->heads ? tu_fail(error, TU_EUSAGE, "--kv-heads needs --heads") : 0;
}

static bool is_q(const struct tu_tensor *t)
{
    size_t n = t->name_length;
    return t->name[n - 1] == 'q' && (n == 1 || t->name[n - 2] == '.');
}

int tu_qkv_find(const struct tu_operand *o, const struct tu_session *session,
                const struct tu_qkv_options *options, struct tu_qkv **groups, size_t *count,
                struct tu_error *error)
{
    struct tu_member *members = NULL;
    size_t total, capacity = 0;
    *groups = NULL;
    *count = 0;
    if (check_options(options, error) < 0)
        return -1;
    int result = tu_operand_select(o, &session->selection, &members, &total, error);
    for (size_t i = 0; i < total && result == 0; i++) {
        if (!is_q(members[i].tensor))
            continue;
        if (!TU_GROW(*groups, *count, capacity)) {
            result = tu_fail_memory(error);
            break;
        }
        struct tu_qkv *g = &(*groups)[(*count)++];
        *g = (struct tu_qkv){0};
        result = fill_group(g, o, session, members[i], options, error);
    }
    free(members);
    if (result == 0 && *count == 0)
        result = tu_fail(error, TU_EINVALID,
                         "%s: no tensor is named q or ends in .q (attention takes P.q, P.k, P.v)",
                         o->model_count ? o->models[0].source.path : "operand");
    return result;
}

void tu_qkv_free(struct tu_qkv *g)
{
    free(g->mask);
    free(g->sinks);
    free(g->slopes);
}
