/* SPDX-License-Identifier: MIT */
/* The tensors of whole models of a known architecture: names, shapes, distributions. */
#include "config.h"

#include "compute/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LAYERS_MAX = 100000 };

/* What a dimension of a template stands for. */
enum size { NONE, HIDDEN, QUERY, KEY, FFN, VOCAB, SIZES };

enum role { WEIGHT, BIAS, NORM };

static const struct {
    double mean, deviation;
} roles[] = {[WEIGHT] = {0, 0.02}, [BIAS] = {0, 0.1}, [NORM] = {1, 0.1}};

struct template
{
    const char *name; /* of a layer's tensor: what follows "model.layers.N." */
    enum size shape[2];
    enum role role;
    bool untied_only;
};

struct layout {
    const char *name;
    struct tu_layout_options defaults;
    struct template before[4], layer[16], after[4]; /* each up to an empty name */
};

static const struct layout layouts[] = {
    /* Defaults: Qwen2.5-Coder-7B. */
    {.name = "qwen2",
     .defaults = {.layers = 28,
                  .hidden = 3584,
                  .heads = 28,
                  .kv_heads = 4,
                  .head_dim = 128,
                  .ffn = 18944,
                  .vocab = 152064},
     .before = {{"model.embed_tokens.weight", {VOCAB, HIDDEN}, WEIGHT, false}},
     .layer = {{"input_layernorm.weight", {HIDDEN}, NORM, false},
               {"self_attn.q_proj.weight", {QUERY, HIDDEN}, WEIGHT, false},
               {"self_attn.q_proj.bias", {QUERY}, BIAS, false},
               {"self_attn.k_proj.weight", {KEY, HIDDEN}, WEIGHT, false},
               {"self_attn.k_proj.bias", {KEY}, BIAS, false},
               {"self_attn.v_proj.weight", {KEY, HIDDEN}, WEIGHT, false},
               {"self_attn.v_proj.bias", {KEY}, BIAS, false},
               {"self_attn.o_proj.weight", {HIDDEN, QUERY}, WEIGHT, false},
               {"post_attention_layernorm.weight", {HIDDEN}, NORM, false},
               {"mlp.gate_proj.weight", {FFN, HIDDEN}, WEIGHT, false},
               {"mlp.up_proj.weight", {FFN, HIDDEN}, WEIGHT, false},
               {"mlp.down_proj.weight", {HIDDEN, FFN}, WEIGHT, false}},
     .after = {{"model.norm.weight", {HIDDEN}, NORM, false},
               {"lm_head.weight", {VOCAB, HIDDEN}, WEIGHT, true}}},
};

static const struct layout *find(const char *name, struct tu_error *error)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (strcmp(layouts[i].name, name) == 0)
            return &layouts[i];
    char names[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 layouts[i].name);
    tu_fail(error, TU_EUSAGE, "--like: '%s' is no layout (there is: %s)", name, names);
    return NULL;
}

/* The options with the layout's defaults filled in, checked. */
static int settle(const struct layout *l, const struct tu_layout_options *options,
                  struct tu_layout_options *out, struct tu_error *error)
{
    const struct tu_layout_options *d = &l->defaults;
    *out = (struct tu_layout_options){
        .layers = options->layers ? options->layers : d->layers,
        .hidden = options->hidden ? options->hidden : d->hidden,
        .heads = options->heads ? options->heads : d->heads,
        .kv_heads = options->kv_heads ? options->kv_heads : d->kv_heads,
        .head_dim = options->head_dim ? options->head_dim : d->head_dim,
        .ffn = options->ffn ? options->ffn : d->ffn,
        .vocab = options->vocab ? options->vocab : d->vocab,
        .tied = options->tied,
    };
    if (out->layers > LAYERS_MAX)
        return tu_fail(error, TU_EUSAGE, "%" PRIu64 " layers (at most %d)", out->layers,
                       LAYERS_MAX);
    if (out->heads % out->kv_heads)
        return tu_fail(error, TU_EUSAGE,
                       "%" PRIu64 " heads cannot share %" PRIu64 " key and value heads evenly",
                       out->heads, out->kv_heads);
    return 0;
}

static int compute_sizes(const struct tu_layout_options *o, uint64_t sizes[SIZES],
                         struct tu_error *error)
{
    sizes[HIDDEN] = o->hidden;
    sizes[FFN] = o->ffn;
    sizes[VOCAB] = o->vocab;
    if (__builtin_mul_overflow(o->heads, o->head_dim, &sizes[QUERY]) ||
        __builtin_mul_overflow(o->kv_heads, o->head_dim, &sizes[KEY]))
        return tu_fail(error, TU_EUSAGE, "heads and head size overflow");
    /* Before the first tensor is written, for a later one could be the one that is too large; all
     * matrices of the layouts have one side of the width of the model. */
    for (int i = 0; i < SIZES; i++) {
        int64_t elements;
        if (__builtin_mul_overflow(sizes[i], o->hidden, &elements))
            return tu_fail(error, TU_EUSAGE, "%" PRIu64 " x %" PRIu64 " elements overflow",
                           sizes[i], o->hidden);
    }
    return 0;
}

struct list {
    struct tu_layout_tensor *tensors;
    size_t count;
    const struct tu_layout_options *options;
    const uint64_t *sizes;
    struct tu_arena *arena;
};

static int add_group(struct list *list, const struct template *group, const char *prefix,
                     struct tu_error *error)
{
    for (const struct template *t = group; t->name; t++) {
        char name[128];
        if (t->untied_only && list->options->tied)
            continue;
        int length = snprintf(name, sizeof name, "%s%s", prefix, t->name);
        struct tu_layout_tensor *out = &list->tensors[list->count++];
        *out = (struct tu_layout_tensor){.name = tu_arena_copy(list->arena, name, (size_t)length),
                                         .mean = roles[t->role].mean,
                                         .deviation = roles[t->role].deviation};
        if (!out->name)
            return tu_fail_memory(error);
        for (; out->rank < 2 && t->shape[out->rank] != NONE; out->rank++)
            out->shape[out->rank] = list->sizes[t->shape[out->rank]];
    }
    return 0;
}

int tu_layout(const char *name, const struct tu_layout_options *options, struct tu_arena *arena,
              struct tu_layout_tensor **tensors, size_t *count, struct tu_error *error)
{
    struct tu_layout_options o;
    uint64_t sizes[SIZES] = {0};
    const struct layout *l = find(name, error);
    *count = 0;
    if (!l || settle(l, options, &o, error) < 0 || compute_sizes(&o, sizes, error) < 0)
        return -1;
    size_t most = 8 + (size_t)o.layers * (sizeof l->layer / sizeof *l->layer);
    struct list list = {.options = &o, .sizes = sizes, .arena = arena};
    list.tensors = tu_arena_alloc(arena, most * sizeof *list.tensors);
    if (!list.tensors)
        return tu_fail_memory(error);
    int result = add_group(&list, l->before, "", error);
    for (uint64_t i = 0; i < o.layers && result == 0; i++) {
        char prefix[48];
        snprintf(prefix, sizeof prefix, "model.layers.%" PRIu64 ".", i);
        result = add_group(&list, l->layer, prefix, error);
    }
    if (result == 0)
        result = add_group(&list, l->after, "", error);
    *tensors = list.tensors;
    *count = list.count;
    return result;
}

int tu_layout_metadata(const char *name, const struct tu_layout_options *options,
                       struct tu_builder *b, struct tu_error *error)
{
    struct tu_layout_options o;
    const struct layout *l = find(name, error);
    if (!l || settle(l, options, &o, error) < 0 ||
        tu_put_string(b, "model_type", l->name, error) < 0)
        return -1;
    const struct {
        const char *key;
        uint64_t value;
    } sizes[] = {
        {"num_hidden_layers", o.layers},  {"hidden_size", o.hidden},
        {"num_attention_heads", o.heads}, {"num_key_value_heads", o.kv_heads},
        {"head_dim", o.head_dim},         {"intermediate_size", o.ffn},
        {"vocab_size", o.vocab},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (tu_put_uint(b, sizes[i].key, sizes[i].value, error) < 0)
            return -1;
    return 0;
}
