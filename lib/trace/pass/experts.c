/* SPDX-License-Identifier: MIT */
/* Experts: who is chosen for a token, what each of them makes of it, and their weighted sum. */
#include "config.h"

#include "trace/pass/pass.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who was chosen: for each token the used experts, the largest first, and their weights. */
struct choice {
    int32_t *experts; /* [tokens][used] */
    struct tu_activations *weights;
    const char *name; /* of the stage of experts */
};

/* ---- Choosing ---- */

static int route(struct tu_pass *p, const struct tu_activations *x, struct tu_activations **probs,
                 struct tu_error *error)
{
    const struct tu_trace_config *c = p->config;
    struct tu_stage logits = tu_pass_rows(p, "moe_router", "product", "expert", c->experts);
    struct tu_stage softmax = tu_pass_rows(p, "moe_probs", "softmax", "expert", c->experts);
    struct tu_activations *made;
    struct tu_weight w;
    const char *name = tu_pass_weight_name(p, error, "%s.weight", c->arch->router);
    if (!name ||
        tu_weight_need(p->f->weights, &p->arena, name, c->experts, c->hidden, &w, error) < 0)
        return -1;
    int result = tu_pass_product(p, &logits, x, &w, NULL, &made, error);
    if (result != 0)
        return result;
    if (!(*probs = tu_pass_make(p, p->f->tokens, c->experts, error)))
        return -1;
    softmax.inputs[0] = made->name;
    if (p->computing)
        tu_values_softmax(&made->values, c->experts, &(*probs)->values);
    return tu_pass_put(p, &softmax, *probs, error);
}

static int fill_experts(struct tu_pass *p, const struct tu_stage *s, const void *context,
                        struct tu_error *error)
{
    return tu_pass_hand(p, s, context, (size_t)(p->f->tokens * p->config->used), error);
}

static void weigh(const struct tu_pass *p, const struct tu_values *probs, const int32_t *experts,
                  struct tu_values *out)
{
    const struct tu_trace_config *c = p->config;
    for (uint64_t t = 0; t < p->f->tokens; t++) {
        double sum = 0;
        for (uint64_t k = 0; k < c->used; k++)
            sum += tu_values_at(probs, t * c->experts + (uint64_t)experts[t * c->used + k]);
        if (!c->renormalised)
            sum = 1;
        for (uint64_t k = 0; k < c->used; k++) {
            uint64_t at = t * c->used + k;
            double w = tu_values_at(probs, t * c->experts + (uint64_t)experts[at]);
            tu_values_set(out, at, w / sum * c->expert_scale);
        }
    }
}

/* Those that were recorded, in place of those that were chosen. */
static int replace_experts(struct tu_pass *p, const struct tu_stage *s, struct choice *chosen,
                           struct tu_error *error)
{
    struct tu_values ids;
    if (!p->computing || !p->f->recorded)
        return 0;
    if (tu_values_make(&ids, true, p->f->tokens * p->config->used, error) < 0)
        return -1;
    int found = tu_recorded_read(p->f->recorded, s, &ids, error);
    for (uint64_t i = 0; i < ids.count && found > 0; i++) {
        double id = tu_values_at(&ids, i);
        if (!(id >= 0 && id < (double)p->config->experts && id == floor(id)))
            found = tu_fail(error, TU_EINVALID, "%s: '%.100s' has an expert that is none: %g",
                            p->f->recorded->path, s->name, id);
        else
            chosen->experts[i] = (int32_t)id;
    }
    tu_values_free(&ids);
    return found < 0 ? -1 : 0;
}

static int choose(struct tu_pass *p, const struct tu_activations *probs, struct choice *out,
                  struct tu_error *error)
{
    const struct tu_trace_config *c = p->config;
    struct tu_stage top = tu_pass_rows(p, "moe_topk", "route", "slot", c->used);
    struct tu_stage weights = tu_pass_rows(p, "moe_weights", "route", "slot", c->used);
    top.dtype = TENSOR_I32;
    top.arithmetic = "exact";
    top.inputs[0] = probs->name;
    if (!(out->weights = tu_pass_make(p, p->f->tokens, c->used, error)))
        return -1;
    if (p->computing) {
        size_t size = (size_t)(p->f->tokens * c->used) * sizeof *out->experts;
        if (!(out->experts = tu_arena_alloc(&p->arena, size)))
            return tu_fail_memory(error);
        for (uint64_t t = 0; t < p->f->tokens; t++)
            tu_values_top(&probs->values, t * c->experts, c->experts, c->used,
                          out->experts + t * c->used);
    }
    top.experts = out->experts;
    int result = tu_pass_put_by(p, &top, fill_experts, out->experts, error);
    out->name = top.name;
    if (result == 0)
        result = replace_experts(p, &top, out, error);
    if (result == 0 && p->computing)
        weigh(p, &probs->values, out->experts, &out->weights->values);
    if (result != 0)
        return result;
    weights.experts = out->experts;
    weights.inputs[0] = probs->name;
    weights.inputs[1] = top.name;
    return tu_pass_put(p, &weights, out->weights, error);
}

/* ---- Each expert ---- */

static int find_expert(struct tu_pass *p, struct tu_arena *arena, uint64_t expert, const char *part,
                       uint64_t rows, uint64_t columns, struct tu_weight *w, struct tu_error *error)
{
    const char *name = tu_pass_weight_name(p, error, "%s%" PRIu64 ".%s.weight",
                                           p->config->arch->expert, expert, part);
    return name ? tu_weight_need(p->f->weights, arena, name, rows, columns, w, error) : -1;
}

/* The rows of one expert: gathered from x, multiplied, and put to their places. */
struct share {
    uint64_t *places; /* token * used + slot */
    uint64_t count;
    struct tu_values in, out;
};

static void find_share(const struct tu_pass *p, const struct choice *chosen, uint64_t expert,
                       struct share *s)
{
    s->count = 0;
    for (uint64_t i = 0; i < p->f->tokens * p->config->used; i++)
        if ((uint64_t)chosen->experts[i] == expert)
            s->places[s->count++] = i;
}

static void copy_row(struct tu_values *to, uint64_t to_row, const struct tu_values *from,
                     uint64_t from_row, uint64_t width)
{
    for (uint64_t i = 0; i < width; i++)
        tu_values_set(to, to_row * width + i, tu_values_at(from, from_row * width + i));
}

static int multiply_share(struct tu_pass *p, struct share *s, const struct tu_activations *x,
                          const struct tu_weight *w, struct tu_values *y, struct tu_error *error)
{
    bool wide = p->f->options.wide;
    bool per_slot = x->values.count == p->f->tokens * p->config->used * w->columns;
    int result = tu_values_make(&s->in, wide, s->count * w->columns, error);
    if (result == 0)
        result = tu_values_make(&s->out, wide, s->count * w->rows, error);
    for (uint64_t i = 0; i < s->count && result == 0; i++)
        copy_row(&s->in, i, &x->values, per_slot ? s->places[i] : s->places[i] / p->config->used,
                 w->columns);
    if (result == 0)
        result = tu_pass_multiply(p, x->name, &s->in, w, &s->out, error);
    for (uint64_t i = 0; i < s->count && result == 0; i++)
        copy_row(y, s->places[i], &s->out, i, w->rows);
    tu_values_free(&s->in);
    tu_values_free(&s->out);
    return result;
}

/* Goes through the experts: all where the pass plans, those that were chosen where it computes. */
static int ask_experts(struct tu_pass *p, const struct choice *chosen,
                       const struct tu_activations *x, const char *part, uint64_t rows,
                       uint64_t columns, struct tu_values *y, struct tu_error *error)
{
    struct share s = {.places = calloc((size_t)(p->f->tokens * p->config->used), sizeof *s.places)};
    int result = s.places ? 0 : tu_fail_memory(error);
    for (uint64_t e = 0; e < p->config->experts && result == 0; e++) {
        struct tu_arena arena = {0};
        struct tu_weight w;
        if (p->computing)
            find_share(p, chosen, e, &s);
        if (!p->computing || s.count)
            result = find_expert(p, &arena, e, part, rows, columns, &w, error);
        if (p->computing && s.count && result == 0)
            result = multiply_share(p, &s, x, &w, y, error);
        tu_arena_free(&arena);
    }
    free(s.places);
    return result;
}

/* "NAME.*.w1.weight": the weights of all experts, as the file calls them. */
static const char *all_names(struct tu_pass *p, const struct tu_weight *first)
{
    const char *number = strstr(first->name, ".0.");
    const char *after = number ? strstr(number + 3, ".0.") : NULL; /* the layer's comes first */
    char name[300];
    if (p->layer != 0)
        after = number;
    if (!after)
        return first->name;
    snprintf(name, sizeof name, "%.*s.*.%s", (int)(after - first->name), first->name, after + 3);
    return tu_arena_copy(&p->arena, name, strlen(name));
}

static struct tu_stage of_slots(const struct tu_pass *p, const char *stage, const char *op,
                                uint64_t width)
{
    return (struct tu_stage){.stage = stage,
                             .op = op,
                             .rank = 3,
                             .shape = {p->f->tokens, p->config->used, width},
                             .axes = {"token", "slot", "channel"}};
}

static int product(struct tu_pass *p, const char *stage, const struct choice *chosen,
                   const struct tu_activations *x, const char *part, uint64_t rows,
                   uint64_t columns, struct tu_activations **out, struct tu_error *error)
{
    struct tu_stage s = of_slots(p, stage, "product", rows);
    struct tu_weight first;
    if (find_expert(p, &p->arena, 0, part, rows, columns, &first, error) < 0 ||
        !(*out = tu_pass_make(p, p->f->tokens * p->config->used, rows, error)) ||
        ask_experts(p, chosen, x, part, rows, columns, &(*out)->values, error) < 0)
        return -1;
    s.inputs[0] = x->name;
    s.inputs[1] = chosen->name;
    s.experts = chosen->experts;
    s.weight = all_names(p, &first);
    s.weight_dtype = first.view->geometry.dtype->name;
    s.k_dim = columns;
    s.arithmetic = tu_pass_arithmetic(p, &first);
    return s.weight ? tu_pass_put(p, &s, *out, error) : tu_fail_memory(error);
}

/* act(gate) and act(gate) up, of each slot. */
static int activate(struct tu_pass *p, const struct choice *chosen,
                    const struct tu_activations *gate, const struct tu_activations *up,
                    struct tu_activations **out, struct tu_error *error)
{
    struct tu_stage act =
        of_slots(p, "moe_act", p->config->gelu ? "gelu_tanh" : "silu", gate->width);
    struct tu_stage mul = of_slots(p, "moe_mul", "mul", gate->width);
    if (!(*out = tu_pass_make(p, p->f->tokens * p->config->used, gate->width, error)))
        return -1;
    act.experts = mul.experts = chosen->experts;
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

static int add_up(struct tu_pass *p, const struct choice *chosen, const struct tu_activations *down,
                  struct tu_activations **out, struct tu_error *error)
{
    const struct tu_trace_config *c = p->config;
    struct tu_stage s = tu_pass_rows(p, "moe_out", "mix", "channel", c->hidden);
    s.inputs[0] = chosen->weights->name;
    s.inputs[1] = down->name;
    if (!(*out = tu_pass_make(p, p->f->tokens, c->hidden, error)))
        return -1;
    for (uint64_t i = 0; p->computing && i < p->f->tokens * c->hidden; i++) {
        double sum = 0;
        for (uint64_t k = 0; k < c->used; k++) {
            uint64_t slot = i / c->hidden * c->used + k;
            sum += tu_values_at(&chosen->weights->values, slot) *
                   tu_values_at(&down->values, slot * c->hidden + i % c->hidden);
        }
        tu_values_set(&(*out)->values, i, sum);
    }
    return tu_pass_put(p, &s, *out, error);
}

/* ---- The expert that all share ---- */

static int find_shared(struct tu_pass *p, struct tu_weight w[3], struct tu_weight *gate,
                       struct tu_error *error)
{
    static const char *const parts[3] = {"gate_proj", "up_proj", "down_proj"};
    const struct tu_trace_config *c = p->config;
    const struct tu_weights *weights = p->f->weights;
    for (int i = 0; i < 3; i++) {
        const char *name = tu_pass_weight_name(p, error, "%s.%s.weight", c->arch->shared, parts[i]);
        if (!name || tu_weight_need(weights, &p->arena, name, i < 2 ? c->shared_ffn : c->hidden,
                                    i < 2 ? c->hidden : c->shared_ffn, &w[i], error) < 0)
            return -1;
    }
    const char *name = tu_pass_weight_name(p, error, "%s.weight", c->arch->shared_gate);
    return name ? tu_weight_need(weights, &p->arena, name, 1, c->hidden, gate, error) : -1;
}

/* The sigmoid of a product, which is no stage of its own. */
static int open_gate(struct tu_pass *p, const struct tu_activations *x, const struct tu_weight *w,
                     struct tu_activations **out, struct tu_error *error)
{
    struct tu_stage s = tu_pass_rows(p, "shexp_router", "gate", "gate", 1);
    if (!(*out = tu_pass_make(p, p->f->tokens, 1, error)))
        return -1;
    s.inputs[0] = x->name;
    s.weight = w->name;
    s.weight_dtype = w->view->geometry.dtype->name;
    s.k_dim = w->columns;
    s.arithmetic = tu_pass_arithmetic(p, w);
    if (p->computing) {
        if (tu_pass_multiply(p, x->name, &x->values, w, &(*out)->values, error) < 0)
            return -1;
        tu_values_sigmoid(&(*out)->values);
    }
    return tu_pass_put(p, &s, *out, error);
}

static int share(struct tu_pass *p, const struct tu_activations *x, struct tu_activations **out,
                 struct tu_error *error)
{
    struct tu_weight w[3], gate_weight;
    struct tu_activations *down, *gate;
    struct tu_stage s = tu_pass_rows(p, "shexp_out", "mul", "channel", p->config->hidden);
    int result = find_shared(p, w, &gate_weight, error);
    if (result == 0)
        result = tu_pass_mlp(p, "shexp_", x, w, &down, error);
    if (result == 0)
        result = open_gate(p, x, &gate_weight, &gate, error);
    if (result != 0)
        return result;
    if (!(*out = tu_pass_make(p, p->f->tokens, down->width, error)))
        return -1;
    s.inputs[0] = down->name;
    s.inputs[1] = gate->name;
    for (uint64_t i = 0; p->computing && i < down->values.count; i++)
        tu_values_set(&(*out)->values, i,
                      tu_values_at(&down->values, i) *
                          tu_values_at(&gate->values, i / down->width));
    return tu_pass_put(p, &s, *out, error);
}

int tu_pass_experts(struct tu_pass *p, const struct tu_activations *x, struct tu_activations **out,
                    struct tu_error *error)
{
    const struct tu_trace_config *c = p->config;
    const struct tu_trace_arch *a = c->arch;
    struct tu_activations *probs, *gate, *up, *middle, *down, *made, *shared;
    struct choice chosen = {0};
    int r;
    if ((r = route(p, x, &probs, error)) || (r = choose(p, probs, &chosen, error)) ||
        (r = product(p, "moe_gate", &chosen, x, a->gate, c->expert_ffn, c->hidden, &gate, error)) ||
        (r = product(p, "moe_up", &chosen, x, a->up, c->expert_ffn, c->hidden, &up, error)) ||
        (r = activate(p, &chosen, gate, up, &middle, error)) ||
        (r = product(p, "moe_down", &chosen, middle, a->down, c->hidden, c->expert_ffn, &down,
                     error)) ||
        (r = add_up(p, &chosen, down, &made, error)))
        return r;
    *out = made;
    if (!a->shared)
        return 0;
    if ((r = share(p, x, &shared, error)))
        return r;
    return tu_pass_add(p, "ffn_out", made, shared, out, error);
}
