/* SPDX-License-Identifier: MIT */
/* From facts to the configuration of a forward pass: what it needs, what it refuses. */
#include "config.h"

#include "trace/config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/facts/table.h"

struct desk {
    const struct tu_model_facts *facts;
    const char *path;
    struct tu_arena *arena;
    struct tu_trace_config *out;
    struct tu_error *error;
};

static const struct tu_fact *fact(const struct desk *d, enum tu_fact_id id)
{
    return &d->facts->facts[id];
}

static const char *name_of(enum tu_fact_id id)
{
    const struct tu_fact_row *rows;
    (void)tu_fact_rows(&rows);
    return rows[id].name;
}

/* What a model fails for that lacks a fact. */
static int lacks(const struct desk *d, enum tu_fact_id id)
{
    const struct tu_fact *f = fact(d, id);
    if (f->note)
        return tu_fail(d->error, TU_EINVALID, "%s: %s: %s", d->path, name_of(id), f->note);
    return tu_fail(d->error, TU_EINVALID, "%s: does not state %s%s%s%s", d->path, name_of(id),
                   f->key ? " (" : "", f->key ? f->key : "", f->key ? " is not there)" : "");
}

static int refuse(const struct desk *d, enum tu_fact_id id, const char *what)
{
    char text[64];
    tu_fact_text(&fact(d, id)->value, text, sizeof text);
    return tu_fail(d->error, TU_EINVALID, "%s: %s is %s: %s", d->path, name_of(id), text, what);
}

static bool is_known(const struct desk *d, enum tu_fact_id id)
{
    return fact(d, id)->value.type != TENSOR_NULL;
}

/* ---- One fact ---- */

/* A whole number of [least, most]. */
static int count(const struct desk *d, enum tu_fact_id id, uint64_t least, uint64_t most,
                 uint64_t *out)
{
    char why[96];
    if (!is_known(d, id))
        return lacks(d, id);
    if (fact(d, id)->value.type == TENSOR_ARRAY)
        return refuse(d, id, "layers that differ are not traced");
    snprintf(why, sizeof why, "a trace takes %" PRIu64 " to %" PRIu64, least, most);
    if (!tu_value_uint(&fact(d, id)->value, out) || *out < least || *out > most)
        return refuse(d, id, why);
    return 0;
}

/* The same, and what stands for a fact that is not known and has nothing wrong. */
static int count_or(const struct desk *d, enum tu_fact_id id, uint64_t otherwise, uint64_t most,
                    uint64_t *out)
{
    *out = otherwise;
    return is_known(d, id) || fact(d, id)->note ? count(d, id, 0, most, out) : 0;
}

/* A finite number, as the float32 that files and programs hold it in where a key gives it. */
static int real(const struct desk *d, enum tu_fact_id id, double least, double *out)
{
    char why[64];
    if (!is_known(d, id))
        return lacks(d, id);
    snprintf(why, sizeof why, "a trace takes %g to 1e9", least);
    if (!tu_value_number(&fact(d, id)->value, out) || !(*out >= least && *out <= 1e9))
        return refuse(d, id, why);
    /* attn.scale is 1 / sqrt of what a key gives; attn_factor is what one format derives and
     * another holds. */
    bool given = fact(d, id)->origin == TU_ORIGIN_GIVEN || fact(d, id)->origin == TU_ORIGIN_DEFAULT;
    if (id == TU_FACT_ROPE_ATTN_FACTOR || (given && id != TU_FACT_ATTN_SCALE))
        *out = (double)(float)*out;
    return 0;
}

static int real_or(const struct desk *d, enum tu_fact_id id, double otherwise, double least,
                   double *out)
{
    *out = otherwise;
    return is_known(d, id) || fact(d, id)->note ? real(d, id, least, out) : 0;
}

static bool is_word(const struct desk *d, enum tu_fact_id id, const char *word)
{
    return tu_value_equals(&fact(d, id)->value, word);
}

static bool flag(const struct desk *d, enum tu_fact_id id, bool otherwise)
{
    const struct tensor_value *v = &fact(d, id)->value;
    return v->type == TENSOR_BOOLEAN ? v->boolean : otherwise;
}

/* A list of so many positive numbers. */
static int reals(const struct desk *d, enum tu_fact_id id, uint64_t length, const double **out)
{
    const struct tensor_value *v = &fact(d, id)->value;
    double *list = tu_arena_alloc(d->arena, (size_t)length * sizeof *list + 1);
    if (!list)
        return tu_fail_memory(d->error);
    if (v->type == TENSOR_NULL)
        return lacks(d, id);
    if (v->type != TENSOR_ARRAY || v->array.count != length)
        return tu_fail(d->error, TU_EINVALID,
                       "%s: %s has %zu numbers; %" PRIu64 " pairs of a head are turned", d->path,
                       name_of(id), v->type == TENSOR_ARRAY ? v->array.count : 0, length);
    for (size_t i = 0; i < length; i++) {
        bool is_number = tu_value_number(&v->array.items[i], &list[i]);
        list[i] = is_number ? (double)(float)list[i] : 0;
        if (!(list[i] > 0 && isfinite(list[i])))
            return tu_fail(d->error, TU_EINVALID, "%s: number %zu of %s is not above 0", d->path, i,
                           name_of(id));
    }
    *out = list;
    return 0;
}

/* ---- Parts ---- */

static int settle_arch(const struct desk *d)
{
    const char *name;
    size_t length, n;
    char list[128] = "";
    if (!is_known(d, TU_FACT_ARCH))
        return lacks(d, TU_FACT_ARCH);
    if (tu_value_string(&fact(d, TU_FACT_ARCH)->value, &name, &length) &&
        (d->out->arch = tu_trace_arch(name, length)))
        return 0;
    const struct tu_trace_arch *archs = tu_trace_archs(&n);
    for (size_t i = 0, at = 0; i < n && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", archs[i].name);
    return tu_fail(d->error, TU_EINVALID, "%s: architecture %.64s cannot be traced (these can: %s)",
                   d->path, name, list);
}

static int settle_heads(const struct desk *d)
{
    struct tu_trace_config *c = d->out;
    uint64_t value_dim;
    enum { MOST = 1 << 16 };
    if (count(d, TU_FACT_LAYERS, 1, TU_TRACE_LAYERS_MAX, &c->layers) < 0 ||
        count(d, TU_FACT_HIDDEN, 1, TU_TRACE_WIDTH_MAX, &c->hidden) < 0 ||
        count(d, TU_FACT_HEADS, 1, MOST, &c->heads) < 0)
        return -1;
    c->kv_heads = c->heads;
    if ((is_known(d, TU_FACT_KV_HEADS) || fact(d, TU_FACT_KV_HEADS)->note) &&
        count(d, TU_FACT_KV_HEADS, 1, MOST, &c->kv_heads) < 0)
        return -1;
    if (count(d, TU_FACT_HEAD_DIM, 2, MOST, &c->head_dim) < 0 ||
        count_or(d, TU_FACT_V_HEAD_DIM, c->head_dim, MOST, &value_dim) < 0)
        return -1;
    if (c->heads % c->kv_heads)
        return tu_fail(d->error, TU_EINVALID,
                       "%s: %" PRIu64 " key heads do not divide %" PRIu64 " query heads", d->path,
                       c->kv_heads, c->heads);
    if (value_dim != c->head_dim)
        return refuse(d, TU_FACT_V_HEAD_DIM, "values of another width than keys are not traced");
    if (c->heads * c->head_dim > TU_TRACE_WIDTH_MAX)
        return refuse(d, TU_FACT_HEADS, "its heads are wider than any model's");
    return 0;
}

/* What a graph has, a model has to say; what it has not, a model must not ask for. */
static int cap(const struct desk *d, enum tu_fact_id id, bool has, double *out)
{
    if (has && !is_known(d, id))
        return lacks(d, id);
    if (real_or(d, id, 0, 0, out) < 0)
        return -1;
    if (has && *out == 0 && d->facts->dialect == TU_DIALECT_GGUF)
        return refuse(d, id, "scores and logits would be NaN");
    if (!has && *out != 0)
        return refuse(d, id, "the graph has none");
    return 0;
}

static int settle_numbers(const struct desk *d)
{
    struct tu_trace_config *c = d->out;
    const struct tu_trace_arch *a = c->arch;
    double scale, width = (double)c->head_dim;
    if (real(d, TU_FACT_NORM_EPS, 0, &c->eps) < 0 ||
        cap(d, TU_FACT_ATTN_SOFTCAP, a->attention_cap, &c->attn_cap) < 0 ||
        cap(d, TU_FACT_LOGIT_SOFTCAP, a->logit_cap, &c->logit_cap) < 0 ||
        real_or(d, TU_FACT_SCALE_RESIDUAL, 1, 0, &scale) < 0)
        return -1;
    if (scale != 1)
        return refuse(d, TU_FACT_SCALE_RESIDUAL, "the graph has none");
    if (real_or(d, TU_FACT_SCALE_LOGITS, 1, 0, &scale) < 0)
        return -1;
    if (scale != 1)
        return refuse(d, TU_FACT_SCALE_LOGITS, "the graph has none");
    double otherwise = a->scaled_embedding ? sqrt((double)c->hidden) : 1;
    if (real_or(d, TU_FACT_SCALE_EMBEDDING, otherwise, 0, &c->embedding_scale) < 0 ||
        real_or(d, TU_FACT_ATTN_SCALE, 1 / sqrt(width), 0, &c->attn_scale) < 0)
        return -1;
    const char *act = is_known(d, TU_FACT_ACT) ? fact(d, TU_FACT_ACT)->value.string.bytes : a->act;
    c->gelu = strcmp(act, "gelu") == 0;
    if (!c->gelu && strcmp(act, "silu") != 0)
        return refuse(d, TU_FACT_ACT, "a trace knows silu and gelu");
    if (is_known(d, TU_FACT_NORM_KIND) && !is_word(d, TU_FACT_NORM_KIND, "rms"))
        return refuse(d, TU_FACT_NORM_KIND, "the graph has RMS norms");
    if (!flag(d, TU_FACT_CAUSAL, true))
        return refuse(d, TU_FACT_CAUSAL, "only causal attention is traced");
    if (flag(d, TU_FACT_PARALLEL, false))
        return refuse(d, TU_FACT_PARALLEL, "the graph is not parallel");
    c->tied = flag(d, TU_FACT_TIED, false);
    c->untied = !flag(d, TU_FACT_TIED, true);
    return 0;
}

static int settle_window(const struct desk *d)
{
    struct tu_trace_config *c = d->out;
    const struct tensor_value *v = &fact(d, TU_FACT_WINDOW_LAYERS)->value;
    bool *windowed = tu_arena_alloc(d->arena, (size_t)c->layers * sizeof *windowed);
    if (!windowed)
        return tu_fail_memory(d->error);
    if (c->arch->window && !is_known(d, TU_FACT_WINDOW))
        return lacks(d, TU_FACT_WINDOW);
    if (count_or(d, TU_FACT_WINDOW, 0, UINT32_MAX, &c->window) < 0)
        return -1;
    if (c->window && v->type == TENSOR_NULL &&
        (c->arch->window || fact(d, TU_FACT_WINDOW_LAYERS)->note))
        return lacks(d, TU_FACT_WINDOW_LAYERS);
    bool listed = c->window && v->type == TENSOR_ARRAY;
    if (listed && v->array.count != c->layers)
        return tu_fail(d->error, TU_EINVALID, "%s: %s speaks of %zu layers of %" PRIu64, d->path,
                       name_of(TU_FACT_WINDOW_LAYERS), v->array.count, c->layers);
    for (size_t i = 0; i < c->layers; i++)
        windowed[i] = listed ? v->array.items[i].boolean : c->window > 0;
    c->windowed = windowed;
    return 0;
}

static int settle_experts(const struct desk *d)
{
    struct tu_trace_config *c = d->out;
    enum { MOST = 1 << 16 };
    if (count_or(d, TU_FACT_EXPERTS, 0, MOST, &c->experts) < 0 ||
        count_or(d, TU_FACT_FFN, 0, TU_TRACE_WIDTH_MAX, &c->ffn) < 0)
        return -1;
    if (!c->experts)
        return c->ffn ? 0 : count(d, TU_FACT_FFN, 1, TU_TRACE_WIDTH_MAX, &c->ffn);
    if (!c->arch->router)
        return refuse(d, TU_FACT_EXPERTS, "the graph has no experts");
    uint64_t groups;
    if (count(d, TU_FACT_EXPERTS_USED, 1, c->experts, &c->used) < 0 ||
        count(d, TU_FACT_EXPERTS_FFN, 1, TU_TRACE_WIDTH_MAX, &c->expert_ffn) < 0 ||
        real_or(d, TU_FACT_EXPERTS_SCALE, 1, 0, &c->expert_scale) < 0 ||
        count_or(d, TU_FACT_EXPERTS_GROUPS, 1, MOST, &groups) < 0)
        return -1;
    if (groups > 1)
        return refuse(d, TU_FACT_EXPERTS_GROUPS, "groups of experts are not traced");
    if (is_known(d, TU_FACT_EXPERTS_GATE) && !is_word(d, TU_FACT_EXPERTS_GATE, "softmax"))
        return refuse(d, TU_FACT_EXPERTS_GATE, "only softmax is traced");
    if (!is_known(d, TU_FACT_EXPERTS_NORM))
        return lacks(d, TU_FACT_EXPERTS_NORM);
    c->renormalised = flag(d, TU_FACT_EXPERTS_NORM, false);
    if (c->arch->shared &&
        count(d, TU_FACT_EXPERTS_SHARED_FFN, 1, TU_TRACE_WIDTH_MAX, &c->shared_ffn) < 0)
        return -1;
    return 0;
}

/* ---- Rope ---- */

static int settle_scaling(const struct desk *d)
{
    static const struct {
        const char *word;
        enum tu_rope_scaling scaling;
    } words[] = {{"none", TU_ROPE_NONE},
                 {"linear", TU_ROPE_LINEAR},
                 {"llama3", TU_ROPE_LLAMA3},
                 {"yarn", TU_ROPE_YARN},
                 {"longrope", TU_ROPE_LONG}};
    if (!is_known(d, TU_FACT_ROPE_SCALING))
        return fact(d, TU_FACT_ROPE_SCALING)->note ? lacks(d, TU_FACT_ROPE_SCALING) : 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(d, TU_FACT_ROPE_SCALING, words[i].word)) {
            d->out->rope.scaling = words[i].scaling;
            return 0;
        }
    return refuse(d, TU_FACT_ROPE_SCALING, "none, linear, llama3, yarn and longrope are traced");
}

static int settle_scaled(const struct desk *d)
{
    struct tu_trace_rope *r = &d->out->rope;
    if (r->scaling == TU_ROPE_LLAMA3)
        return reals(d, TU_FACT_ROPE_FREQ_FACTORS, r->dim / 2, &r->divisors);
    if (is_known(d, TU_FACT_ROPE_FREQ_FACTORS))
        return tu_fail(d->error, TU_EINVALID, "%s: has divisors of rope and another scaling",
                       d->path);
    if (r->scaling == TU_ROPE_LONG)
        return reals(d, TU_FACT_ROPE_LONG, r->dim / 2, &r->long_) < 0 ||
                       reals(d, TU_FACT_ROPE_SHORT, r->dim / 2, &r->short_) < 0
                   ? -1
                   : real(d, TU_FACT_ROPE_ORIG_CTX, 1, &r->original);
    if (r->scaling != TU_ROPE_YARN)
        return 0;
    r->truncate = flag(d, TU_FACT_ROPE_TRUNCATE, true);
    return real(d, TU_FACT_ROPE_ORIG_CTX, 1, &r->original) < 0 ||
                   real(d, TU_FACT_ROPE_BETA_FAST, 1e-6, &r->beta_fast) < 0
               ? -1
               : real(d, TU_FACT_ROPE_BETA_SLOW, 1e-6, &r->beta_slow);
}

static int settle_rope(const struct desk *d)
{
    struct tu_trace_rope *r = &d->out->rope;
    double length = 0;
    if (real(d, TU_FACT_ROPE_BASE, 1e-3, &r->base) < 0 ||
        real_or(d, TU_FACT_ROPE_BASE_LOCAL, r->base, 1e-3, &r->base_local) < 0 ||
        count_or(d, TU_FACT_ROPE_DIM, d->out->head_dim, d->out->head_dim, &r->dim) < 0 ||
        settle_scaling(d) < 0 || real_or(d, TU_FACT_ROPE_FACTOR, 1, 1e-6, &r->factor) < 0 ||
        real_or(d, TU_FACT_ROPE_FACTOR_LOCAL, r->factor, 1e-6, &r->factor_local) < 0 ||
        real_or(d, TU_FACT_ROPE_ATTN_FACTOR, 1, 1e-6, &r->attn_factor) < 0)
        return -1;
    if (r->dim == 0 || r->dim % 2)
        return refuse(d, TU_FACT_ROPE_DIM, "pairs are turned, so it has to be even");
    for (size_t i = 0; is_known(d, TU_FACT_ROPE_LAYERS) && i < d->out->layers; i++) {
        const struct tensor_value *v = &fact(d, TU_FACT_ROPE_LAYERS)->value;
        if (i >= v->array.count || !v->array.items[i].boolean)
            return refuse(d, TU_FACT_ROPE_LAYERS, "layers without rope are not traced");
    }
    if (is_known(d, TU_FACT_ROPE_SECTIONS))
        return refuse(d, TU_FACT_ROPE_SECTIONS, "rope of several dimensions is not traced");
    if (real_or(d, TU_FACT_TEMPERATURE_SCALE, 0, 0, &length) < 0)
        return -1;
    if (length != 0)
        return refuse(d, TU_FACT_TEMPERATURE_SCALE, "the graph has none");
    r->adjacent = is_word(d, TU_FACT_ROPE_KIND, "adjacent");
    r->local_differs = r->base_local != r->base || r->factor_local != r->factor;
    return settle_scaled(d);
}

int tu_trace_configure(const struct tu_model_facts *facts, const char *path, struct tu_arena *arena,
                       struct tu_trace_config *out, struct tu_error *error)
{
    const struct desk d = {facts, path, arena, out, error};
    *out = (struct tu_trace_config){.facts = facts, .expert_scale = 1};
    if (facts->dialect == TU_DIALECT_NONE)
        return tu_fail(error, TU_EINVALID,
                       "%s: states no configuration (a trace needs config.json, GGUF or APR)",
                       path);
    if (is_known(&d, TU_FACT_CONFLICT))
        return refuse(&d, TU_FACT_CONFLICT, "which one counts is not known");
    if (settle_arch(&d) < 0 || settle_heads(&d) < 0 || settle_numbers(&d) < 0 ||
        settle_window(&d) < 0 || settle_experts(&d) < 0)
        return -1;
    return settle_rope(&d);
}

/* ---- The record ---- */

static int put_flag(struct tu_builder *b, const char *key, bool value, struct tu_error *error)
{
    const struct tensor_value v = {.type = TENSOR_BOOLEAN, .boolean = value};
    return tu_builder_add(b, key, strlen(key), &v, error);
}

static int put_list(struct tu_builder *b, const char *key, const double *list, uint64_t length,
                    struct tu_error *error)
{
    if (!list)
        return 0;
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_FLOAT64, error) < 0)
        return -1;
    for (uint64_t i = 0; i < length; i++) {
        const struct tensor_value v = {.type = TENSOR_FLOAT64, .real = list[i]};
        if (tu_builder_add(b, NULL, 0, &v, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

static int put_rope(struct tu_builder *b, const struct tu_trace_rope *r, struct tu_error *error)
{
    static const char *const words[] = {"none", "linear", "llama3", "yarn", "longrope"};
    if (tu_put_string(b, "rope.kind", r->adjacent ? "adjacent" : "halves", error) < 0 ||
        tu_put_uint(b, "rope.dim", r->dim, error) < 0 ||
        tu_put_real(b, "rope.base", r->base, error) < 0 ||
        tu_put_string(b, "rope.scaling", words[r->scaling], error) < 0 ||
        tu_put_real(b, "rope.factor", r->factor, error) < 0 ||
        tu_put_real(b, "rope.attn_factor", r->attn_factor, error) < 0)
        return -1;
    if (r->local_differs && (tu_put_real(b, "rope.base_local", r->base_local, error) < 0 ||
                             tu_put_real(b, "rope.factor_local", r->factor_local, error) < 0))
        return -1;
    if (r->scaling == TU_ROPE_YARN && (tu_put_real(b, "rope.orig_ctx", r->original, error) < 0 ||
                                       tu_put_real(b, "rope.beta_fast", r->beta_fast, error) < 0 ||
                                       tu_put_real(b, "rope.beta_slow", r->beta_slow, error) < 0 ||
                                       put_flag(b, "rope.truncate", r->truncate, error) < 0))
        return -1;
    if (r->scaling == TU_ROPE_LONG && tu_put_real(b, "rope.orig_ctx", r->original, error) < 0)
        return -1;
    return put_list(b, "rope.freq_factors", r->divisors, r->dim / 2, error) < 0 ||
                   put_list(b, "rope.long", r->long_, r->dim / 2, error) < 0
               ? -1
               : put_list(b, "rope.short", r->short_, r->dim / 2, error);
}

static int put_window(struct tu_builder *b, const struct tu_trace_config *c, struct tu_error *error)
{
    static const char key[] = "window.layers";
    if (tu_put_uint(b, "window", c->window, error) < 0 || !c->window)
        return c->window ? -1 : 0;
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_BOOLEAN, error) < 0)
        return -1;
    for (uint64_t i = 0; i < c->layers; i++) {
        const struct tensor_value v = {.type = TENSOR_BOOLEAN, .boolean = c->windowed[i]};
        if (tu_builder_add(b, NULL, 0, &v, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

static int put_experts(struct tu_builder *b, const struct tu_trace_config *c,
                       struct tu_error *error)
{
    if (!c->experts)
        return 0;
    return tu_put_uint(b, "experts", c->experts, error) < 0 ||
                   tu_put_uint(b, "experts.used", c->used, error) < 0 ||
                   tu_put_uint(b, "experts.ffn", c->expert_ffn, error) < 0 ||
                   tu_put_uint(b, "experts.shared_ffn", c->shared_ffn, error) < 0 ||
                   tu_put_string(b, "experts.gate", "softmax", error) < 0 ||
                   put_flag(b, "experts.norm", c->renormalised, error) < 0
               ? -1
               : tu_put_real(b, "experts.scale", c->expert_scale, error);
}

int tu_trace_put_config(struct tu_builder *b, const char *key, const struct tu_trace_config *c,
                        struct tu_error *error)
{
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {{"layers", c->layers},     {"hidden", c->hidden},     {"heads", c->heads},
                  {"kv_heads", c->kv_heads}, {"head_dim", c->head_dim}, {"ffn", c->ffn}};
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"norm.eps", c->eps},
                   {"scale.embedding", c->embedding_scale},
                   {"attn.scale", c->attn_scale},
                   {"attn.softcap", c->attn_cap},
                   {"logit.softcap", c->logit_cap}};
    if (tu_builder_open(b, key, strlen(key), TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_string(b, "arch", c->arch->name, error) < 0)
        return -1;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (tu_put_uint(b, counts[i].key, counts[i].value, error) < 0)
            return -1;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (tu_put_real(b, numbers[i].key, numbers[i].value, error) < 0)
            return -1;
    return tu_put_string(b, "act", c->gelu ? "gelu_tanh" : "silu", error) < 0 ||
                   put_flag(b, "tied", c->tied, error) < 0 || put_window(b, c, error) < 0 ||
                   put_experts(b, c, error) < 0 || put_rope(b, &c->rope, error) < 0
               ? -1
               : tu_builder_close(b, error);
}
