/* SPDX-License-Identifier: MIT */
/* The feed-forward block of a layer: gate, up, activation, down. */
#include "config.h"

#include "trace/pass/pass.h"

#include <stdio.h>
#include <string.h>

/* Words of a stage, "shexp_gate", that live as long as the layer. */
static const char *join(struct tu_pass *p, const char *prefix, const char *rest,
                        struct tu_error *error)
{
    char name[64];
    int n = snprintf(name, sizeof name, "%s%s", prefix, rest);
    const char *copy = tu_arena_copy(&p->arena, name, (size_t)n);
    if (!copy)
        tu_fail_memory(error);
    return copy;
}

/* out = act(gate), then out = act(gate) up. */
static int activate(struct tu_pass *p, const char *prefix, const struct tu_activations *gate,
                    const struct tu_activations *up, struct tu_activations **out,
                    struct tu_error *error)
{
    struct tu_stage act =
        tu_pass_rows(p, join(p, prefix, "act", error), p->config->gelu ? "gelu_tanh" : "silu",
                     "channel", gate->width);
    struct tu_stage mul =
        tu_pass_rows(p, join(p, prefix, "mul", error), "mul", "channel", gate->width);
    if (!act.stage || !mul.stage || !(*out = tu_pass_make(p, p->f->tokens, gate->width, error)))
        return -1;
    act.inputs[0] = gate->name;
    if (p->computing)
        tu_values_activate(&gate->values, p->config->gelu, &(*out)->values);
    int result = tu_pass_put(p, &act, *out, error);
    if (result != 0)
        return result;
    mul.inputs[0] = act.name;
    mul.inputs[1] = up->name;
    if (p->computing)
        tu_values_multiply(&(*out)->values, &up->values, &(*out)->values);
    return tu_pass_put(p, &mul, *out, error);
}

int tu_pass_mlp(struct tu_pass *p, const char *prefix, const struct tu_activations *x,
                const struct tu_weight weights[3], struct tu_activations **out,
                struct tu_error *error)
{
    static const char *const rests[3] = {"gate", "up", "down"};
    struct tu_activations *made[2], *middle;
    struct tu_stage s;
    for (int i = 0; i < 2; i++) {
        s = tu_pass_rows(p, join(p, prefix, rests[i], error), "product", "channel",
                         weights[i].rows);
        int result = s.stage ? tu_pass_product(p, &s, x, &weights[i], NULL, &made[i], error) : -1;
        if (result != 0)
            return result;
    }
    int result = activate(p, prefix, made[0], made[1], &middle, error);
    if (result != 0)
        return result;
    s = tu_pass_rows(p, join(p, prefix, rests[2], error), "product", "channel", weights[2].rows);
    return s.stage ? tu_pass_product(p, &s, middle, &weights[2], NULL, out, error) : -1;
}

/* The weights of gate, up and down; the first two may be one. */
static int find_weights(struct tu_pass *p, struct tu_weight w[3], struct tu_error *error)
{
    static const char *const names[3] = {"gate_proj", "up_proj", "down_proj"};
    const struct tu_trace_config *c = p->config;
    const struct tu_weights *weights = p->f->weights;
    struct tu_weight whole;
    int first = 0;
    if (c->arch->fused) {
        const char *name = tu_pass_weight_name(p, error, "mlp.gate_up_proj.weight");
        if (!name ||
            tu_weight_need(weights, &p->arena, name, 2 * c->ffn, c->hidden, &whole, error) < 0 ||
            tu_weight_part(weights, &p->arena, &whole, 0, c->ffn, &w[0], error) < 0 ||
            tu_weight_part(weights, &p->arena, &whole, c->ffn, c->ffn, &w[1], error) < 0)
            return -1;
        first = 2;
    }
    for (int i = first; i < 3; i++) {
        const char *name = tu_pass_weight_name(p, error, "mlp.%s.weight", names[i]);
        if (!name || tu_weight_need(weights, &p->arena, name, i < 2 ? c->ffn : c->hidden,
                                    i < 2 ? c->hidden : c->ffn, &w[i], error) < 0)
            return -1;
    }
    return 0;
}

/* Whether this layer has experts: its weights say so. */
static int has_experts(struct tu_pass *p, struct tu_error *error)
{
    uint64_t rows;
    if (!p->config->experts)
        return 0;
    const char *name = tu_pass_weight_name(p, error, "%s.weight", p->config->arch->router);
    if (!name || tu_weight_rows(p->f->weights, &p->arena, name, &rows, error) < 0)
        return -1;
    if (rows)
        return 1;
    const char *dense = tu_pass_weight_name(p, error, "mlp.down_proj.weight");
    if (!dense || tu_weight_rows(p->f->weights, &p->arena, dense, &rows, error) < 0)
        return -1;
    return rows == 0; /* then the router is what is missing */
}

int tu_pass_feed_forward(struct tu_pass *p, const struct tu_activations *x,
                         struct tu_activations **out, struct tu_error *error)
{
    struct tu_weight w[3];
    int experts = has_experts(p, error);
    if (experts != 0)
        return experts < 0 ? -1 : tu_pass_experts(p, x, out, error);
    if (!p->config->ffn)
        return tu_fail(error, TU_EINVALID, "%s: does not state ffn", p->f->weights->path);
    return find_weights(p, w, error) < 0 ? -1 : tu_pass_mlp(p, "ffn_", x, w, out, error);
}
