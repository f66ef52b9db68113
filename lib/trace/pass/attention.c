/* SPDX-License-Identifier: MIT */
/* The attention of a layer: q, k and v, their norms and rope, scores, weights, what they give. */
#include "config.h"

#include "trace/pass/pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/attention/gpu.h"
#include "trace/rope.h"

enum { Q, K, V, PARTS };

static const char *const names[PARTS] = {"q", "k", "v"};

static uint64_t heads_of(const struct tu_pass *p, int part)
{
    return part == Q ? p->config->heads : p->config->kv_heads;
}

/* Keys that the queries see: those of earlier tokens, and their own. */
static uint64_t key_count(const struct tu_pass *p)
{
    return p->f->first + p->f->tokens;
}

static struct tu_stage of_heads(const struct tu_pass *p, const char *stage, const char *op,
                                int part)
{
    return (struct tu_stage){.stage = stage,
                             .op = op,
                             .rank = 3,
                             .shape = {p->f->tokens, heads_of(p, part), p->config->head_dim},
                             .axes = {"token", "head", "dim"},
                             .layout = part == V ? NULL : "half-split"};
}

/* ---- Projections ---- */

/* The weights of q, k and v, each of its own or a part of one. */
static int find_projections(struct tu_pass *p, struct tu_weight w[PARTS], struct tu_error *error)
{
    const struct tu_trace_config *c = p->config;
    uint64_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const uint64_t first[PARTS] = {0, q, q + kv}, rows[PARTS] = {q, kv, kv};
    const struct tu_weights *weights = p->f->weights;
    struct tu_weight whole;
    const char *name = tu_pass_weight_name(p, error, "self_attn.qkv_proj.weight");
    if (!name)
        return -1;
    if (c->arch->fused &&
        tu_weight_need(weights, &p->arena, name, q + 2 * kv, c->hidden, &whole, error) < 0)
        return -1;
    for (int i = 0; i < PARTS; i++) {
        if (c->arch->fused) {
            if (tu_weight_part(weights, &p->arena, &whole, first[i], rows[i], &w[i], error) < 0)
                return -1;
            continue;
        }
        name = tu_pass_weight_name(p, error, "self_attn.%s_proj.weight", names[i]);
        if (!name || tu_weight_need(weights, &p->arena, name, rows[i], c->hidden, &w[i], error) < 0)
            return -1;
    }
    return 0;
}

static int project(struct tu_pass *p, const struct tu_activations *x, int part,
                   const struct tu_weight *w, struct tu_activations **out, struct tu_error *error)
{
    struct tu_stage s = of_heads(p, names[part], "product", part);
    struct tu_weight bias;
    const char *name = tu_pass_weight_name(p, error, "self_attn.%s_proj.bias", names[part]);
    if (!name)
        return -1;
    int found = tu_weight_find(p->f->weights, &p->arena, name, 0, w->rows, &bias, error);
    return found < 0 ? -1 : tu_pass_product(p, &s, x, w, found ? &bias : NULL, out, error);
}

static int norm_heads(struct tu_pass *p, int part, struct tu_activations **x,
                      struct tu_error *error)
{
    static const char *const stages[] = {"q_norm", "k_norm"};
    struct tu_stage s = of_heads(p, stages[part], "rms_norm", part);
    const char *name = tu_pass_weight_name(p, error, "self_attn.%s.weight", stages[part]);
    return tu_pass_norm(p, &s, *x, name, p->config->head_dim, x, error);
}

static int turn(struct tu_pass *p, int part, struct tu_activations **x, struct tu_error *error)
{
    static const char *const stages[] = {"q_rope", "k_rope"};
    struct tu_stage s = of_heads(p, stages[part], "rope", part);
    struct tu_activations *out = tu_pass_make(p, p->f->tokens, (*x)->width, error);
    if (!out)
        return -1;
    s.inputs[0] = (*x)->name;
    if (p->computing)
        tu_rope_turn(&p->config->rope, p->frequencies[p->config->windowed[p->layer]], p->f->first,
                     heads_of(p, part), p->config->head_dim, &(*x)->values, &out->values);
    *x = out;
    return tu_pass_put(p, &s, out, error);
}

/* ---- Scores, weights, and what they give ---- */

struct attend {
    const struct tu_activations *qkv[PARTS];
    const struct tu_values *seen[PARTS]; /* of those: what queries see of k and v, all of it */
    enum tu_attention_result result;
    bool masked;
    struct tu_values *out; /* of OUT; else to the sink */
    uint64_t done;
    struct tu_pass *p;
    const struct tu_stage *stage;
};

static int read_rows(void *context, enum tu_attention_part part, uint64_t batch, uint64_t first,
                     uint64_t count, float *narrow, double *wide, struct tu_error *error)
{
    const struct attend *a = context;
    int i = part == TU_ATTENTION_Q ? Q : part == TU_ATTENTION_K ? K : V;
    uint64_t width = a->qkv[i]->width, n = count * width;
    const struct tu_values *v = a->seen[i];
    (void)batch, (void)error;
    if (narrow)
        memcpy(narrow, v->narrow + first * width, (size_t)n * sizeof *narrow);
    else
        memcpy(wide, v->wide + first * width, (size_t)n * sizeof *wide);
    return 0;
}

static int take_result(void *context, const void *values, size_t count, struct tu_error *error)
{
    struct attend *a = context;
    if (!a->out)
        return tu_pass_hand(a->p, a->stage, values, count, error);
    size_t size = tu_values_size(a->out);
    char *to = a->out->wide ? (char *)a->out->wide : (char *)a->out->narrow;
    memcpy(to + a->done * size, values, count * size);
    a->done += count;
    return 0;
}

/* The same by a device, which makes the output in any case. */
static int attend_on_device(struct tu_pass *p, struct attend *a, const struct tu_attention *problem,
                            struct tu_error *error)
{
    const struct tu_attention_input in = {.q = a->seen[Q]->narrow,
                                          .type = TU_CACHE_F32,
                                          .k = a->seen[K]->narrow,
                                          .v = a->seen[V]->narrow};
    size_t pairs = (size_t)(problem->heads * problem->queries * problem->keys);
    size_t count = (size_t)(problem->queries * problem->heads * problem->value_dim);
    bool stage = a->result != TU_ATTENTION_OUT;
    float *out = calloc(count, sizeof *out), *stages = stage ? calloc(pairs, sizeof *stages) : NULL;
    struct tu_attention_output made = {
        .out = out,
        .scores = a->result == TU_ATTENTION_SCORES ? stages : NULL,
        .weights = a->result == TU_ATTENTION_WEIGHTS ? stages : NULL,
    };
    int result = out && (!stage || stages) ? 0 : tu_fail_memory(error);
    if (result == 0)
        result = tu_gpu_attend(p->f->options.gpu, problem, &in, &made, NULL, NULL, error);
    if (result == 0)
        result = take_result(a, stage ? stages : out, stage ? pairs : count, error);
    free(out);
    free(stages);
    return result;
}

static int attend(struct tu_pass *p, struct attend *a, struct tu_error *error)
{
    const struct tu_trace_config *c = p->config;
    const struct tu_attention problem = {.batches = 1,
                                         .queries = p->f->tokens,
                                         .keys = key_count(p),
                                         .heads = c->heads,
                                         .kv_heads = c->kv_heads,
                                         .head_dim = c->head_dim,
                                         .value_dim = c->head_dim,
                                         .scale = c->attn_scale,
                                         .soft_cap = c->attn_cap,
                                         .causal = a->masked,
                                         .window =
                                             a->masked && c->windowed[p->layer] ? c->window : 0};
    const struct tu_attention_rows rows = {read_rows, a};
    const struct tu_attention_how how = {p->f->options.wide, p->f->options.threads,
                                         p->f->weights->kernels};
    const struct tu_attention_sink sink = {take_result, a};
    a->p = p;
    if (tu_attention_check(&problem, error) < 0)
        return -1;
    if (p->f->options.gpu)
        return attend_on_device(p, a, &problem, error);
    return tu_attend(&problem, &rows, a->result, &how, &sink, error);
}

static int fill_attention(struct tu_pass *p, const struct tu_stage *s, const void *context,
                          struct tu_error *error)
{
    struct attend a = *(const struct attend *)context;
    a.stage = s;
    return attend(p, &a, error);
}

static struct tu_stage of_context(const struct tu_pass *p)
{
    struct tu_stage s =
        tu_pass_rows(p, "attn_context", "mix", "channel", p->config->heads * p->config->head_dim);
    s.arithmetic = p->f->options.half_cache ? "fused:F16" : NULL;
    return s;
}

static struct tu_stage of_pairs(const struct tu_pass *p, const char *stage, const char *op)
{
    return (struct tu_stage){.stage = stage,
                             .op = op,
                             .rank = 3,
                             .shape = {p->config->heads, p->f->tokens, key_count(p)},
                             .axes = {"head", "query", "key"},
                             .arithmetic = p->f->options.half_cache ? "fused:F16" : NULL};
}

/* ---- The same from what was recorded: everything is in memory ---- */

static bool is_seen(const struct tu_pass *p, uint64_t query, uint64_t key)
{
    const struct tu_trace_config *c = p->config;
    uint64_t window = c->windowed[p->layer] ? c->window : 0;
    return key <= query && (!window || query - key < window);
}

/* Scores of all heads to weights. */
static void soften(const struct tu_pass *p, const struct tu_values *scores, struct tu_values *out)
{
    uint64_t keys = p->f->tokens;
    for (uint64_t row = 0; row < p->config->heads * keys; row++) {
        uint64_t query = row % keys;
        double most = -INFINITY, sum = 0;
        for (uint64_t k = 0; k < keys; k++)
            if (is_seen(p, query, k))
                most = fmax(most, tu_values_at(scores, row * keys + k));
        for (uint64_t k = 0; k < keys; k++)
            if (is_seen(p, query, k))
                sum += exp(tu_values_at(scores, row * keys + k) - most);
        for (uint64_t k = 0; k < keys; k++) {
            double power = exp(tu_values_at(scores, row * keys + k) - most);
            tu_values_set(out, row * keys + k, is_seen(p, query, k) ? power / sum : 0);
        }
    }
}

/* What weights of all heads make of v. */
static void weigh(const struct tu_pass *p, const struct tu_values *weights,
                  const struct tu_values *v, struct tu_values *out)
{
    const struct tu_trace_config *c = p->config;
    uint64_t keys = p->f->tokens, dim = c->head_dim, group = c->heads / c->kv_heads;
    for (uint64_t i = 0; i < keys * c->heads * dim; i++) {
        uint64_t query = i / (c->heads * dim), head = i / dim % c->heads, d = i % dim;
        double sum = 0;
        for (uint64_t k = 0; k < keys; k++)
            if (is_seen(p, query, k))
                sum += tu_values_at(weights, (head * keys + query) * keys + k) *
                       tu_values_at(v, (k * c->kv_heads + head / group) * dim + d);
        tu_values_set(out, i, sum);
    }
}

/* Scores, weights and what they give, each of which may be replaced by what was recorded. */
static int attend_recorded(struct tu_pass *p, struct attend *a, struct tu_activations **out,
                           struct tu_error *error)
{
    uint64_t rows = p->config->heads * p->f->tokens, width = p->config->heads * p->config->head_dim;
    struct tu_stage scores = of_pairs(p, "attn_scores", "score");
    struct tu_stage softmax = of_pairs(p, "attn_weights", "softmax");
    struct tu_stage mix = of_context(p);
    struct tu_activations *s = tu_pass_make(p, rows, p->f->tokens, error);
    struct tu_activations *w = tu_pass_make(p, rows, p->f->tokens, error);
    if (!s || !w || !(*out = tu_pass_make(p, p->f->tokens, width, error)))
        return -1;
    scores.masked = true;
    scores.inputs[0] = a->qkv[Q]->name;
    scores.inputs[1] = a->qkv[K]->name;
    a->result = TU_ATTENTION_SCORES;
    a->out = &s->values;
    if (p->computing && attend(p, a, error) < 0)
        return -1;
    int result = tu_pass_put(p, &scores, s, error);
    if (result != 0)
        return result;
    softmax.inputs[0] = s->name;
    if (p->computing)
        soften(p, &s->values, &w->values);
    if ((result = tu_pass_put(p, &softmax, w, error)) != 0)
        return result;
    mix.inputs[0] = w->name;
    mix.inputs[1] = a->qkv[V]->name;
    if (p->computing)
        weigh(p, &w->values, a->seen[V], &(*out)->values);
    return tu_pass_put(p, &mix, *out, error);
}

static int put_pairs(struct tu_pass *p, struct attend *a, const char **weights,
                     struct tu_error *error)
{
    struct tu_stage scores = of_pairs(p, "attn_scores", "score");
    struct tu_stage softmax = of_pairs(p, "attn_weights", "softmax");
    scores.masked = true;
    scores.inputs[0] = a->qkv[Q]->name;
    scores.inputs[1] = a->qkv[K]->name;
    a->result = TU_ATTENTION_SCORES;
    int result = tu_pass_put_by(p, &scores, fill_attention, a, error);
    if (result != 0)
        return result;
    softmax.inputs[0] = scores.name;
    a->result = TU_ATTENTION_WEIGHTS;
    a->masked = true;
    result = tu_pass_put_by(p, &softmax, fill_attention, a, error);
    *weights = softmax.name;
    return result;
}

static int mix(struct tu_pass *p, struct attend *a, const char *weights,
               struct tu_activations **out, struct tu_error *error)
{
    uint64_t width = p->config->heads * p->config->head_dim;
    struct tu_stage s = of_context(p);
    s.inputs[0] = weights;
    s.inputs[1] = a->qkv[V]->name;
    if (!(*out = tu_pass_make(p, p->f->tokens, width, error)))
        return -1;
    a->result = TU_ATTENTION_OUT;
    a->masked = true;
    a->out = &(*out)->values;
    if (p->computing && attend(p, a, error) < 0)
        return -1;
    return tu_pass_put(p, &s, *out, error);
}

/* ---- The cache ---- */

/* Rounded to halves, by way of float32, in which programs have them. */
static void round_halves(const struct tu_pass *p, const struct tu_values *x, struct tu_values *out)
{
    enum { PIECE = 256 };
    const struct tu_kernels *k = p->f->weights->kernels;
    float values[PIECE];
    uint8_t halves[2 * PIECE];
    for (uint64_t first = 0, n; first < x->count; first += n) {
        n = x->count - first < PIECE ? x->count - first : PIECE;
        for (uint64_t i = 0; i < n; i++)
            values[i] = (float)tu_values_at(x, first + i);
        k->encode[TENSOR_F16](values, (size_t)n, halves);
        k->decode[TENSOR_F16](halves, (size_t)n, values);
        for (uint64_t i = 0; i < n; i++)
            tu_values_set(out, first + i, (double)values[i]);
    }
}

/* What queries see of k or v. */
static const struct tu_values *see(struct tu_pass *p, int part, const struct tu_activations *x,
                                   struct tu_error *error)
{
    const struct tu_keys *keys = p->f->keys;
    const struct tu_values *own = &x->values;
    if (!p->computing)
        return own;
    if (p->f->options.half_cache) {
        struct tu_activations *rounded = tu_pass_make(p, p->f->tokens, x->width, error);
        if (!rounded)
            return NULL;
        round_halves(p, own, &rounded->values);
        own = &rounded->values;
    }
    if (!keys)
        return own;
    struct tu_values *all = part == K ? &keys->k[p->layer] : &keys->v[p->layer];
    tu_keys_put(keys, all, p->f->first, own);
    return all;
}

int tu_pass_attention(struct tu_pass *p, const struct tu_activations *x,
                      struct tu_activations **out, struct tu_error *error)
{
    const struct tu_trace_config *c = p->config;
    struct tu_weight w[PARTS], o;
    struct tu_activations *qkv[PARTS], *context;
    const char *weights = NULL;
    int result = find_projections(p, w, error);
    for (int i = 0; i < PARTS && result == 0; i++)
        result = project(p, x, i, &w[i], &qkv[i], error);
    for (int i = 0; i < V && result == 0 && c->arch->head_norms; i++)
        result = norm_heads(p, i, &qkv[i], error);
    for (int i = 0; i < V && result == 0; i++)
        result = turn(p, i, &qkv[i], error);
    if (result != 0)
        return result;
    struct attend a = {.qkv = {qkv[Q], qkv[K], qkv[V]}, .seen = {&qkv[Q]->values}};
    for (int i = K; i < PARTS; i++)
        if (!(a.seen[i] = see(p, i, qkv[i], error)))
            return -1;
    if (p->f->recorded)
        result = attend_recorded(p, &a, &context, error);
    else if ((result = put_pairs(p, &a, &weights, error)) == 0)
        result = mix(p, &a, weights, &context, error);
    if (result != 0)
        return result;
    const char *name = tu_pass_weight_name(p, error, "self_attn.o_proj.weight");
    if (!name || tu_weight_need(p->f->weights, &p->arena, name, c->hidden, c->heads * c->head_dim,
                                &o, error) < 0)
        return -1;
    struct tu_weight bias;
    name = tu_pass_weight_name(p, error, "self_attn.o_proj.bias");
    int found =
        name ? tu_weight_find(p->f->weights, &p->arena, name, 0, c->hidden, &bias, error) : -1;
    struct tu_stage s = tu_pass_rows(p, "o_proj", "product", "channel", c->hidden);
    return found < 0 ? -1 : tu_pass_product(p, &s, context, &o, found ? &bias : NULL, out, error);
}
