/* SPDX-License-Identifier: MIT */
/* What every stage of a forward pass is made with: room, names, products, norms, sums. */
#include "config.h"

#include "trace/pass/pass.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/matmul/matmul.h"

/* Elements of a weight that are decoded, and multiplied, at a time: 4 MB for each thread. */
enum { TILE = 1 << 20 };

/* ---- Names and room ---- */

const char *tu_pass_weight_name(struct tu_pass *p, struct tu_error *error, const char *format, ...)
{
    char name[256];
    int at = snprintf(name, sizeof name, "model.layers.%" PRIu64 ".", p->layer);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(name + at, sizeof name - (size_t)at, format, arguments);
    va_end(arguments);
    const char *copy = tu_arena_copy(&p->arena, name, strlen(name));
    if (!copy)
        tu_fail_memory(error);
    return copy;
}

struct tu_activations *tu_pass_make(struct tu_pass *p, uint64_t rows, uint64_t width,
                                    struct tu_error *error)
{
    struct tu_activations *a = tu_arena_alloc(&p->arena, sizeof *a);
    if (!a) {
        tu_fail_memory(error);
        return NULL;
    }
    *a = (struct tu_activations){.width = width, .next = p->made};
    p->made = a;
    if (!p->computing)
        return a;
    return tu_values_make(&a->values, p->f->options.wide, rows * width, error) < 0 ? NULL : a;
}

static const char *stage_name(struct tu_pass *p, const char *stage)
{
    char name[128];
    if (p->in_layer)
        snprintf(name, sizeof name, "layers.%" PRIu64 ".%s", p->layer, stage);
    else
        snprintf(name, sizeof name, "%s", stage);
    return tu_arena_copy(&p->arena, name, strlen(name));
}

/* ---- Putting ---- */

int tu_pass_hand(struct tu_pass *p, const struct tu_stage *s, const void *values, size_t count,
                 struct tu_error *error)
{
    const struct tu_stage_sink *sink = p->f->sink;
    return sink->put ? sink->put(sink->context, s, values, count, error) : 0;
}

static int name_stage(struct tu_pass *p, struct tu_stage *s, struct tu_error *error)
{
    bool wide = p->f->options.wide;
    s->has_layer = p->in_layer;
    s->layer = p->layer;
    s->order = p->order++;
    if (!s->name && !(s->name = stage_name(p, s->stage)))
        return tu_fail_memory(error);
    if (s->dtype == TENSOR_DTYPE_NONE)
        s->dtype = wide ? TENSOR_F64 : TENSOR_F32;
    if (!s->arithmetic)
        s->arithmetic = wide ? "f64" : "f32";
    return 0;
}

int tu_pass_put_by(struct tu_pass *p, struct tu_stage *s, tu_pass_fill_fn *fill,
                   const void *context, struct tu_error *error)
{
    const struct tu_stage_sink *sink = p->f->sink;
    if (name_stage(p, s, error) < 0)
        return -1;
    if (p->f->recorded && tu_recorded_has(p->f->recorded, s))
        p->found++;
    if (sink->wants(sink->context, s)) {
        p->wanted++;
        p->last = s->order;
        if (sink->begin && sink->begin(sink->context, s, error) < 0)
            return -1;
        if (p->computing && fill(p, s, context, error) < 0)
            return -1;
        if (sink->end && sink->end(sink->context, s, error) < 0)
            return -1;
    }
    if (p->computing && p->f->options.progress)
        p->f->options.progress(p->f->options.context, s->order + 1, p->f->last + 1);
    return p->computing && s->order >= p->f->last;
}

static int fill_values(struct tu_pass *p, const struct tu_stage *s, const void *context,
                       struct tu_error *error)
{
    const struct tu_activations *a = context;
    return tu_pass_hand(p, s, tu_values_bytes(&a->values), (size_t)a->values.count, error);
}

int tu_pass_put(struct tu_pass *p, struct tu_stage *s, struct tu_activations *out,
                struct tu_error *error)
{
    int result = tu_pass_put_by(p, s, fill_values, out, error);
    out->name = s->name;
    return result ? result : tu_pass_replace(p, s, &out->values, error);
}

int tu_pass_replace(struct tu_pass *p, const struct tu_stage *s, struct tu_values *values,
                    struct tu_error *error)
{
    if (!p->computing || !p->f->recorded)
        return 0;
    return tu_recorded_read(p->f->recorded, s, values, error) < 0 ? -1 : 0;
}

struct tu_stage tu_pass_rows(const struct tu_pass *p, const char *stage, const char *op,
                             const char *axis, uint64_t width)
{
    return (struct tu_stage){.stage = stage,
                             .op = op,
                             .rank = 2,
                             .shape = {p->f->tokens, width},
                             .axes = {"token", axis}};
}

/* ---- Products ---- */

static int read_view(const void *context, uint64_t offset, void *buffer, size_t length,
                     struct tu_error *error)
{
    return tu_view_read(context, offset, buffer, length, error);
}

/* The type that x is rounded to before a product, or NULL: it is not. */
static const struct tu_dtype *rounding(const struct tu_pass *p, const struct tu_weight *w)
{
    const struct tu_dtype *type = w->view->geometry.dtype;
    if (!p->f->options.fused)
        return NULL;
    if (type->code == TENSOR_F16 || type->code == TENSOR_BF16)
        return type;
    return tu_activation_type(type, w->columns);
}

const char *tu_pass_arithmetic(const struct tu_pass *p, const struct tu_weight *w)
{
    static const struct {
        enum tensor_dtype code;
        const char *text;
    } fused[] = {{TENSOR_F16, "fused:F16"},
                 {TENSOR_BF16, "fused:BF16"},
                 {TENSOR_Q8_0, "fused:Q8_0"},
                 {TENSOR_Q8_1, "fused:Q8_1"},
                 {TENSOR_Q8_K, "fused:Q8_K"}};
    const struct tu_dtype *type = rounding(p, w);
    for (size_t i = 0; type && i < sizeof fused / sizeof *fused; i++)
        if (fused[i].code == type->code)
            return fused[i].text;
    return p->f->options.wide ? "f64" : "f32";
}

/* x in a floating type and back. */
static int round_floats(const struct tu_pass *p, const struct tu_dtype *type,
                        const struct tu_values *x, float **out, struct tu_error *error)
{
    const struct tu_kernels *k = p->f->weights->kernels;
    size_t count = (size_t)x->count;
    uint8_t *bytes = malloc(count * type->bytes + 1);
    *out = calloc(count + 1, sizeof **out);
    int result = bytes && *out ? 0 : tu_fail_memory(error);
    if (result == 0) {
        k->encode[type->code](x->narrow, count, bytes);
        k->decode[type->code](bytes, count, *out);
    }
    free(bytes);
    return result;
}

int tu_pass_multiply(struct tu_pass *p, const char *name, const struct tu_values *x,
                     const struct tu_weight *w, struct tu_values *y, struct tu_error *error)
{
    const struct tu_kernels *kernels = p->f->weights->kernels;
    const struct tu_dtype *type = rounding(p, w);
    const uint64_t shape[2] = {w->rows, w->columns};
    struct tu_tensor t = w->view->tensor;
    t.name = w->name;
    t.rank = 2;
    t.shape = shape;
    const struct tu_matrix m = {.kernels = kernels,
                                .tensor = &t,
                                .geometry = w->view->geometry,
                                .read = read_view,
                                .context = w->view,
                                .decoder = w->decoder,
                                .tile = TILE};
    struct tu_vectors v = {.kernels = kernels,
                           .geometry = {.dtype = tu_dtype(TENSOR_F32), .elements = x->count},
                           .name = name,
                           .rows = x->count / w->columns,
                           .columns = w->columns,
                           .values = x->narrow,
                           .hi = x->wide};
    struct tu_product product = {
        .path = x->wide ? TU_PATH_F64 : TU_PATH_F32, .x = &v, .y = y->narrow, .y64 = y->wide};
    float *rounded = NULL;
    int result = 0;
    if (type && (type->code == TENSOR_F16 || type->code == TENSOR_BF16)) {
        result = round_floats(p, type, x, &rounded, error);
        v.values = rounded;
    } else if (type) {
        product.path = TU_PATH_FUSED;
        result = tu_vectors_round(&v, type, error);
    }
    if (result == 0)
        result = tu_multiply(&m, &product, 1, p->f->options.threads, error);
    v.values = NULL; /* those and hi are the caller's */
    v.hi = NULL;
    tu_vectors_free(&v);
    free(rounded);
    return result;
}

static int add_bias(const struct tu_weight *bias, struct tu_values *y, struct tu_error *error)
{
    double *row = calloc((size_t)bias->columns, sizeof *row);
    int result = row ? 0 : tu_fail_memory(error);
    if (result == 0)
        result = tu_weight_values(bias, 0, (size_t)bias->columns, row, error);
    if (result == 0)
        tu_values_add_row(y, bias->columns, row);
    free(row);
    return result;
}

int tu_pass_product(struct tu_pass *p, struct tu_stage *s, const struct tu_activations *x,
                    const struct tu_weight *w, const struct tu_weight *bias,
                    struct tu_activations **out, struct tu_error *error)
{
    uint64_t rows = x->values.count / w->columns;
    if (!(*out = tu_pass_make(p, rows, w->rows, error)))
        return -1;
    s->op = "product";
    s->inputs[0] = x->name;
    s->weight = w->name;
    s->bias = bias ? bias->name : NULL;
    s->weight_dtype = w->view->geometry.dtype->name;
    s->k_dim = w->columns;
    s->arithmetic = tu_pass_arithmetic(p, w);
    if (p->computing && (tu_pass_multiply(p, x->name, &x->values, w, &(*out)->values, error) < 0 ||
                         (bias && add_bias(bias, &(*out)->values, error) < 0)))
        return -1;
    return tu_pass_put(p, s, *out, error);
}

/* ---- Norms and sums ---- */

/* The weight of a norm.  Converters add the 1 in float32, as transformers does. */
static int norm_weight(struct tu_pass *p, const struct tu_weight *w, double **out,
                       struct tu_error *error)
{
    float missing = p->config->arch->plus_one ? 1 - w->addend : 0;
    *out = tu_arena_alloc(&p->arena, (size_t)w->columns * sizeof **out);
    if (!*out)
        return tu_fail_memory(error);
    if (tu_weight_values(w, 0, (size_t)w->columns, *out, error) < 0)
        return -1;
    for (uint64_t i = 0; i < w->columns && missing != 0; i++)
        (*out)[i] = (double)((float)(*out)[i] + missing);
    return 0;
}

int tu_pass_norm(struct tu_pass *p, struct tu_stage *s, const struct tu_activations *x,
                 const char *weight, uint64_t width, struct tu_activations **out,
                 struct tu_error *error)
{
    struct tu_weight w;
    double *row;
    if (!weight || tu_weight_need(p->f->weights, &p->arena, weight, 0, width, &w, error) < 0 ||
        !(*out = tu_pass_make(p, p->f->tokens, x->width, error)))
        return -1;
    s->op = "rms_norm";
    s->inputs[0] = x->name;
    s->weight = w.name;
    s->weight_dtype = w.view->geometry.dtype->name;
    if (p->computing) {
        if (norm_weight(p, &w, &row, error) < 0)
            return -1;
        tu_values_rms_norm(&x->values, width, row, p->config->eps, &(*out)->values);
    }
    return tu_pass_put(p, s, *out, error);
}

int tu_pass_add(struct tu_pass *p, const char *stage, const struct tu_activations *a,
                const struct tu_activations *b, struct tu_activations **out, struct tu_error *error)
{
    struct tu_stage s = tu_pass_rows(p, stage, "add", "channel", a->width);
    s.inputs[0] = a->name;
    s.inputs[1] = b->name;
    if (!(*out = tu_pass_make(p, p->f->tokens, a->width, error)))
        return -1;
    if (p->computing)
        tu_values_add(&a->values, &b->values, &(*out)->values);
    return tu_pass_put(p, &s, *out, error);
}
