/* SPDX-License-Identifier: MIT */
/* The whole pass: embedding, layers, the last norm and the logits. */
#include "config.h"

#include "trace/forward.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/pass/pass.h"
#include "trace/rope.h"

static const char embedding_name[] = "model.embed_tokens.weight";

/* ---- Embedding ---- */

static int look_up(struct tu_pass *p, const struct tu_weight *w, struct tu_values *out,
                   struct tu_error *error)
{
    size_t width = (size_t)p->config->hidden;
    double *row = calloc(width, sizeof *row);
    int result = row ? 0 : tu_fail_memory(error);
    for (uint64_t t = 0; t < p->f->tokens && result == 0; t++) {
        result = tu_weight_values(w, p->f->ids[t] * p->config->hidden, width, row, error);
        for (size_t i = 0; i < width && result == 0; i++)
            tu_values_set(out, t * width + i, row[i] * p->config->embedding_scale);
    }
    free(row);
    return result;
}

/* The embedding has the rows that it has. */
static int find_embedding(struct tu_pass *p, struct tu_weight *w, struct tu_error *error)
{
    uint64_t rows;
    const struct tu_weights *weights = p->f->weights;
    if (tu_weight_rows(weights, &p->arena, embedding_name, &rows, error) < 0)
        return -1;
    return tu_weight_need(weights, &p->arena, embedding_name, rows ? rows : 1, p->config->hidden, w,
                          error);
}

static int check_ids(const struct tu_pass *p, uint64_t rows, struct tu_error *error)
{
    for (uint64_t t = 0; t < p->f->tokens; t++)
        if (p->f->ids[t] >= rows)
            return tu_fail(error, TU_EINVALID,
                           "%s: token %" PRIu64 " is %" PRIu32 "; the embedding has %" PRIu64
                           " rows",
                           p->f->weights->path, t, p->f->ids[t], rows);
    return 0;
}

static int embed(struct tu_pass *p, struct tu_error *error)
{
    struct tu_stage s = tu_pass_rows(p, "embedding", "embed", "channel", p->config->hidden);
    struct tu_weight w;
    if (find_embedding(p, &w, error) < 0 || check_ids(p, w.rows, error) < 0 ||
        (p->computing && look_up(p, &w, &p->x->values, error) < 0))
        return -1;
    s.weight = w.name;
    s.weight_dtype = w.view->geometry.dtype->name;
    return tu_pass_put(p, &s, p->x, error);
}

/* ---- Layers ---- */

static int norm(struct tu_pass *p, const char *stage, const struct tu_activations *x,
                const char *name, struct tu_activations **out, struct tu_error *error)
{
    struct tu_stage s = tu_pass_rows(p, stage, "rms_norm", "channel", x->width);
    return tu_pass_norm(p, &s, x, name, x->width, out, error);
}

typedef int block_fn(struct tu_pass *p, const struct tu_activations *x, struct tu_activations **out,
                     struct tu_error *error);

/* One of the two blocks of a layer, which is added to the stream. */
struct block {
    const char *norm_stage, *norm;
    block_fn *compute;
    const char *post_stage, *post_norm, *sum_stage;
};

static int run_block(struct tu_pass *p, const struct block *b, const struct tu_activations *x,
                     struct tu_activations **out, struct tu_error *error)
{
    struct tu_activations *normed, *made;
    const char *name = tu_pass_weight_name(p, error, "%s.weight", b->norm);
    int result = norm(p, b->norm_stage, x, name, &normed, error);
    if (result == 0)
        result = b->compute(p, normed, &made, error);
    if (result == 0 && p->config->arch->post_norms) {
        name = tu_pass_weight_name(p, error, "%s.weight", b->post_norm);
        result = norm(p, b->post_stage, made, name, &made, error);
    }
    return result ? result : tu_pass_add(p, b->sum_stage, x, made, out, error);
}

static void drop(struct tu_pass *p)
{
    for (struct tu_activations *a = p->made; a; a = a->next)
        tu_values_free(&a->values);
    p->made = NULL;
    tu_arena_free(&p->arena);
}

/* What the layer gives becomes the stream, whose name outlives the layer. */
static void keep(struct tu_pass *p, const struct tu_activations *out, char name[static 64])
{
    snprintf(name, 64, "%s", out->name);
    p->x->name = name;
    if (p->computing)
        tu_values_copy(&p->x->values, &out->values);
}

static int run_layer(struct tu_pass *p, char name[static 64], struct tu_error *error)
{
    const struct tu_trace_arch *a = p->config->arch;
    const struct block attention = {"attn_norm",      a->attn_norm,      tu_pass_attention,
                                    "attn_post_norm", a->attn_post_norm, "attn_residual"};
    const struct block feed_forward = {"ffn_norm",      a->ffn_norm,      tu_pass_feed_forward,
                                       "ffn_post_norm", a->ffn_post_norm, "residual"};
    struct tu_activations *middle, *out;
    int result = run_block(p, &attention, p->x, &middle, error);
    if (result == 0)
        result = run_block(p, &feed_forward, middle, &out, error);
    if (result == 0)
        keep(p, out, name);
    drop(p);
    return result;
}

/* ---- The end ---- */

static int find_output(struct tu_pass *p, struct tu_weight *w, struct tu_error *error)
{
    static const char name[] = "lm_head.weight";
    uint64_t rows;
    if (p->config->tied)
        return find_embedding(p, w, error);
    if (tu_weight_rows(p->f->weights, &p->arena, name, &rows, error) < 0)
        return -1;
    if (tu_weight_need(p->f->weights, &p->arena, name, rows ? rows : 1, p->config->hidden, w,
                       error) < 0)
        return -1;
    if (w->tied && p->config->untied)
        return tu_fail(error, TU_EINVALID, "%s: has no '%s', and is not tied", p->f->weights->path,
                       name);
    return 0;
}

static int run_end(struct tu_pass *p, struct tu_error *error)
{
    const struct tu_trace_config *c = p->config;
    struct tu_activations *normed, *logits;
    struct tu_weight w;
    int result = norm(p, "final_norm", p->x, "model.norm.weight", &normed, error);
    if (result != 0)
        return result;
    if (find_output(p, &w, error) < 0)
        return -1;
    struct tu_stage s =
        tu_pass_rows(p, c->logit_cap != 0 ? "logits_uncapped" : "logits", "product", "id", w.rows);
    result = tu_pass_product(p, &s, normed, &w, NULL, &logits, error);
    if (result != 0 || c->logit_cap == 0)
        return result;
    struct tu_stage capped = tu_pass_rows(p, "logits", "softcap", "id", w.rows);
    capped.inputs[0] = logits->name;
    if (p->computing)
        tu_values_cap(&logits->values, c->logit_cap, &logits->values);
    return tu_pass_put(p, &capped, logits, error);
}

/* ---- The whole ---- */

static int make_frequencies(struct tu_pass *p, struct tu_error *error)
{
    for (int local = 0; local < 2; local++) {
        size_t pairs = (size_t)(p->config->rope.dim / 2);
        if (!(p->frequencies[local] = calloc(pairs, sizeof(double))))
            return tu_fail_memory(error);
        tu_rope_frequencies(&p->config->rope, local, p->f->length ? p->f->length : p->f->tokens,
                            p->frequencies[local]);
    }
    return 0;
}

static int go(struct tu_pass *p, struct tu_error *error)
{
    struct tu_activations x = {.width = p->config->hidden};
    char name[64];
    uint64_t count = p->computing ? p->f->tokens * p->config->hidden : 0;
    int result = tu_values_make(&x.values, p->f->options.wide, count, error);
    p->x = &x;
    if (result == 0)
        result = make_frequencies(p, error);
    if (result == 0)
        result = embed(p, error);
    snprintf(name, sizeof name, "embedding");
    x.name = name;
    drop(p);
    p->in_layer = true;
    for (p->layer = 0; p->layer < p->config->layers && result == 0; p->layer++)
        result = run_layer(p, name, error);
    p->in_layer = false;
    if (result == 0)
        result = run_end(p, error);
    drop(p);
    free(p->frequencies[0]);
    free(p->frequencies[1]);
    tu_values_free(&x.values);
    return result < 0 ? -1 : 0;
}

int tu_forward_plan(struct tu_forward *f, uint64_t *wanted, struct tu_error *error)
{
    struct tu_pass p = {.f = f, .config = f->config};
    int result = go(&p, error);
    *wanted = p.wanted;
    f->last = p.last;
    f->found = p.found;
    return result;
}

int tu_forward_run(const struct tu_forward *f, struct tu_error *error)
{
    struct tu_pass p = {.f = f, .config = f->config, .computing = true};
    return go(&p, error);
}
