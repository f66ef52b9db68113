/* SPDX-License-Identifier: MIT */
/* The tensors of whole models of a known architecture: names, shapes, distributions. */
#include "config.h"

#include "compute/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "tree/yaml.h"

/* Sizes that no model has; larger ones are refused. */
enum { LAYERS_MAX = 100000, EXPERTS_MAX = 1 << 16, TENSORS_MAX = 1 << 22 };

/* What a dimension of a template, or a key of a configuration, stands for. */
enum size {
    NONE,
    ONE,
    LAYERS,
    HIDDEN,
    HEADS,
    KV_HEADS,
    HEAD_DIM,
    QUERY, /* heads of queries, side by side */
    KEY,   /* those of keys, or values */
    QKV,   /* all three */
    FFN,
    GATE_UP, /* both of the feed-forward block */
    VOCAB,
    EXPERTS,
    EXPERTS_USED,
    EXPERT_FFN,
    SHARED_FFN,
    SIZES
};

/* ADDED: a norm whose 1 is added by the program. */
enum role { WEIGHT, BIAS, NORM, ADDED };

static const struct {
    double mean, deviation;
} roles[] = {[WEIGHT] = {0, 0.02}, [BIAS] = {0, 0.1}, [NORM] = {1, 0.1}, [ADDED] = {0, 0.1}};

struct template
{
    /* Of a layer's tensor: what follows "model.layers.N.".  Neighbours with a * are there for each
     * expert, whose number it stands for. */
    const char *name;
    enum size shape[2];
    enum role role;
};

/* A key of config.json that gives a size. */
struct key {
    const char *name;
    enum size size;
};

static const struct key common_keys[] = {
    {"num_hidden_layers", LAYERS},  {"hidden_size", HIDDEN},
    {"num_attention_heads", HEADS}, {"num_key_value_heads", KV_HEADS},
    {"head_dim", HEAD_DIM},         {"intermediate_size", FFN},
    {"vocab_size", VOCAB},          {NULL, NONE},
};

/* An architecture.  A new one is a row of the table below. */
struct layout {
    const char *name;
    const char *type; /* model_type in config.json */
    struct tu_layout_options defaults;
    struct template layer[20]; /* up to an empty name */
    enum role norm;            /* of the last norm */
    struct key keys[8];        /* beside those that all have, up to an empty name */
    /* What its config.json says beside sizes, as YAML; NULL: nothing, not even whether it is tied,
     * unless it is. */
    const char *config;
};

#define QKVO                                                                                       \
    {"self_attn.q_proj.weight", {QUERY, HIDDEN}, WEIGHT},                                          \
        {"self_attn.k_proj.weight", {KEY, HIDDEN}, WEIGHT},                                        \
        {"self_attn.v_proj.weight", {KEY, HIDDEN}, WEIGHT},                                        \
    {                                                                                              \
        "self_attn.o_proj.weight", {HIDDEN, QUERY}, WEIGHT                                         \
    }
#define QKVO_BIASED                                                                                \
    {"self_attn.q_proj.weight", {QUERY, HIDDEN}, WEIGHT},                                          \
        {"self_attn.q_proj.bias", {QUERY}, BIAS},                                                  \
        {"self_attn.k_proj.weight", {KEY, HIDDEN}, WEIGHT},                                        \
        {"self_attn.k_proj.bias", {KEY}, BIAS},                                                    \
        {"self_attn.v_proj.weight", {KEY, HIDDEN}, WEIGHT},                                        \
        {"self_attn.v_proj.bias", {KEY}, BIAS},                                                    \
    {                                                                                              \
        "self_attn.o_proj.weight", {HIDDEN, QUERY}, WEIGHT                                         \
    }
#define HEAD_NORMS(role)                                                                           \
    {"self_attn.q_norm.weight", {HEAD_DIM}, role},                                                 \
    {                                                                                              \
        "self_attn.k_norm.weight", {HEAD_DIM}, role                                                \
    }
#define NORM_BEFORE(role)                                                                          \
    {                                                                                              \
        "input_layernorm.weight", {HIDDEN}, role                                                   \
    }
#define NORM_AFTER(role)                                                                           \
    {                                                                                              \
        "post_attention_layernorm.weight", {HIDDEN}, role                                          \
    }
#define FOUR_NORMS_AFTER                                                                           \
    NORM_AFTER(ADDED), {"pre_feedforward_layernorm.weight", {HIDDEN}, ADDED},                      \
    {                                                                                              \
        "post_feedforward_layernorm.weight", {HIDDEN}, ADDED                                       \
    }
#define MLP                                                                                        \
    {"mlp.gate_proj.weight", {FFN, HIDDEN}, WEIGHT},                                               \
        {"mlp.up_proj.weight", {FFN, HIDDEN}, WEIGHT},                                             \
    {                                                                                              \
        "mlp.down_proj.weight", {HIDDEN, FFN}, WEIGHT                                              \
    }
#define QWEN_EXPERTS                                                                               \
    {"mlp.gate.weight", {EXPERTS, HIDDEN}, WEIGHT},                                                \
        {"mlp.experts.*.gate_proj.weight", {EXPERT_FFN, HIDDEN}, WEIGHT},                          \
        {"mlp.experts.*.up_proj.weight", {EXPERT_FFN, HIDDEN}, WEIGHT},                            \
    {                                                                                              \
        "mlp.experts.*.down_proj.weight", {HIDDEN, EXPERT_FFN}, WEIGHT                             \
    }
#define QWEN_EXPERT_KEYS                                                                           \
    {"num_experts", EXPERTS}, {"num_experts_per_tok", EXPERTS_USED},                               \
    {                                                                                              \
        "moe_intermediate_size", EXPERT_FFN                                                        \
    }

static const struct layout layouts[] = {
    /* Llama-3.2-1B */
    {.name = "llama",
     .type = "llama",
     .defaults = {.layers = 16,
                  .hidden = 2048,
                  .heads = 32,
                  .kv_heads = 8,
                  .head_dim = 64,
                  .ffn = 8192,
                  .vocab = 128256,
                  .tied = true},
     .layer = {NORM_BEFORE(NORM), QKVO, NORM_AFTER(NORM), MLP},
     .norm = NORM,
     .config = "{hidden_act: silu, max_position_embeddings: 131072, rms_norm_eps: 1.0e-5,"
               " rope_theta: 500000.0, rope_scaling: {rope_type: llama3, factor: 32.0,"
               " low_freq_factor: 1.0, high_freq_factor: 4.0,"
               " original_max_position_embeddings: 8192}}"},
    /* Mistral-7B-v0.1 */
    {.name = "mistral",
     .type = "mistral",
     .defaults = {.layers = 32,
                  .hidden = 4096,
                  .heads = 32,
                  .kv_heads = 8,
                  .head_dim = 128,
                  .ffn = 14336,
                  .vocab = 32000},
     .layer = {NORM_BEFORE(NORM), QKVO, NORM_AFTER(NORM), MLP},
     .norm = NORM,
     .config = "{hidden_act: silu, max_position_embeddings: 32768, rms_norm_eps: 1.0e-5,"
               " rope_theta: 10000.0, sliding_window: 4096}"},
    /* Mixtral-8x7B-v0.1 */
    {.name = "mixtral",
     .type = "mixtral",
     .defaults = {.layers = 32,
                  .hidden = 4096,
                  .heads = 32,
                  .kv_heads = 8,
                  .head_dim = 128,
                  .ffn = 14336,
                  .vocab = 32000,
                  .experts = 8,
                  .experts_used = 2},
     .layer = {NORM_BEFORE(NORM),
               QKVO,
               NORM_AFTER(NORM),
               {"block_sparse_moe.gate.weight", {EXPERTS, HIDDEN}, WEIGHT},
               {"block_sparse_moe.experts.*.w1.weight", {FFN, HIDDEN}, WEIGHT},
               {"block_sparse_moe.experts.*.w2.weight", {HIDDEN, FFN}, WEIGHT},
               {"block_sparse_moe.experts.*.w3.weight", {FFN, HIDDEN}, WEIGHT}},
     .norm = NORM,
     .keys = {{"num_local_experts", EXPERTS}, {"num_experts_per_tok", EXPERTS_USED}},
     .config = "{hidden_act: silu, max_position_embeddings: 32768, rms_norm_eps: 1.0e-5,"
               " rope_theta: 1000000.0, sliding_window: null}"},
    /* Qwen2.5-Coder-7B.  It states sizes alone, as it has since streams of it were first made. */
    {.name = "qwen2",
     .type = "qwen2",
     .defaults = {.layers = 28,
                  .hidden = 3584,
                  .heads = 28,
                  .kv_heads = 4,
                  .head_dim = 128,
                  .ffn = 18944,
                  .vocab = 152064},
     .layer = {NORM_BEFORE(NORM), QKVO_BIASED, NORM_AFTER(NORM), MLP},
     .norm = NORM},
    /* Qwen1.5-MoE-A2.7B */
    {.name = "qwen2moe",
     .type = "qwen2_moe",
     .defaults = {.layers = 24,
                  .hidden = 2048,
                  .heads = 16,
                  .kv_heads = 16,
                  .head_dim = 128,
                  .ffn = 5632,
                  .vocab = 151936,
                  .experts = 60,
                  .experts_used = 4,
                  .expert_ffn = 1408,
                  .shared_ffn = 5632},
     .layer = {NORM_BEFORE(NORM),
               QKVO_BIASED,
               NORM_AFTER(NORM),
               QWEN_EXPERTS,
               {"mlp.shared_expert.gate_proj.weight", {SHARED_FFN, HIDDEN}, WEIGHT},
               {"mlp.shared_expert.up_proj.weight", {SHARED_FFN, HIDDEN}, WEIGHT},
               {"mlp.shared_expert.down_proj.weight", {HIDDEN, SHARED_FFN}, WEIGHT},
               {"mlp.shared_expert_gate.weight", {ONE, HIDDEN}, WEIGHT}},
     .norm = NORM,
     .keys = {QWEN_EXPERT_KEYS, {"shared_expert_intermediate_size", SHARED_FFN}},
     .config = "{hidden_act: silu, max_position_embeddings: 8192, rms_norm_eps: 1.0e-6,"
               " rope_theta: 1000000.0, use_sliding_window: false, decoder_sparse_step: 1,"
               " norm_topk_prob: false}"},
    /* Qwen3-0.6B */
    {.name = "qwen3",
     .type = "qwen3",
     .defaults = {.layers = 28,
                  .hidden = 1024,
                  .heads = 16,
                  .kv_heads = 8,
                  .head_dim = 128,
                  .ffn = 3072,
                  .vocab = 151936,
                  .tied = true},
     .layer = {NORM_BEFORE(NORM), QKVO, HEAD_NORMS(NORM), NORM_AFTER(NORM), MLP},
     .norm = NORM,
     .config = "{hidden_act: silu, max_position_embeddings: 40960, rms_norm_eps: 1.0e-6,"
               " rope_theta: 1000000.0, use_sliding_window: false}"},
    /* Qwen3-30B-A3B */
    {.name = "qwen3moe",
     .type = "qwen3_moe",
     .defaults = {.layers = 48,
                  .hidden = 2048,
                  .heads = 32,
                  .kv_heads = 4,
                  .head_dim = 128,
                  .ffn = 6144,
                  .vocab = 151936,
                  .experts = 128,
                  .experts_used = 8,
                  .expert_ffn = 768},
     .layer = {NORM_BEFORE(NORM), QKVO, HEAD_NORMS(NORM), NORM_AFTER(NORM), QWEN_EXPERTS},
     .norm = NORM,
     .keys = {QWEN_EXPERT_KEYS},
     .config = "{hidden_act: silu, max_position_embeddings: 40960, rms_norm_eps: 1.0e-6,"
               " rope_theta: 1000000.0, use_sliding_window: false, decoder_sparse_step: 1,"
               " norm_topk_prob: true}"},
    /* gemma-2b */
    {.name = "gemma",
     .type = "gemma",
     .defaults = {.layers = 18,
                  .hidden = 2048,
                  .heads = 8,
                  .kv_heads = 1,
                  .head_dim = 256,
                  .ffn = 16384,
                  .vocab = 256000,
                  .tied = true},
     .layer = {NORM_BEFORE(ADDED), QKVO, NORM_AFTER(ADDED), MLP},
     .norm = ADDED,
     .config = "{hidden_activation: gelu_pytorch_tanh, max_position_embeddings: 8192,"
               " rms_norm_eps: 1.0e-6, rope_theta: 10000.0}"},
    /* gemma-2-2b */
    {.name = "gemma2",
     .type = "gemma2",
     .defaults = {.layers = 26,
                  .hidden = 2304,
                  .heads = 8,
                  .kv_heads = 4,
                  .head_dim = 256,
                  .ffn = 9216,
                  .vocab = 256000,
                  .tied = true},
     .layer = {NORM_BEFORE(ADDED), QKVO, FOUR_NORMS_AFTER, MLP},
     .norm = ADDED,
     .keys = {{"query_pre_attn_scalar", HEAD_DIM}},
     .config = "{hidden_activation: gelu_pytorch_tanh, max_position_embeddings: 8192,"
               " rms_norm_eps: 1.0e-6, rope_theta: 10000.0, sliding_window: 4096,"
               " attn_logit_softcapping: 50.0, final_logit_softcapping: 30.0}"},
    /* gemma-3-1b */
    {.name = "gemma3",
     .type = "gemma3_text",
     .defaults = {.layers = 26,
                  .hidden = 1152,
                  .heads = 4,
                  .kv_heads = 1,
                  .head_dim = 256,
                  .ffn = 6912,
                  .vocab = 262144,
                  .tied = true},
     .layer = {NORM_BEFORE(ADDED), QKVO, HEAD_NORMS(ADDED), FOUR_NORMS_AFTER, MLP},
     .norm = ADDED,
     .keys = {{"query_pre_attn_scalar", HEAD_DIM}},
     .config = "{hidden_activation: gelu_pytorch_tanh, max_position_embeddings: 32768,"
               " rms_norm_eps: 1.0e-6, rope_theta: 1000000.0, rope_local_base_freq: 10000.0,"
               " sliding_window: 512, sliding_window_pattern: 6}"},
    /* Phi-3-mini-4k-instruct */
    {.name = "phi3",
     .type = "phi3",
     .defaults = {.layers = 32,
                  .hidden = 3072,
                  .heads = 32,
                  .kv_heads = 32,
                  .head_dim = 96,
                  .ffn = 8192,
                  .vocab = 32064},
     .layer = {NORM_BEFORE(NORM),
               {"self_attn.qkv_proj.weight", {QKV, HIDDEN}, WEIGHT},
               {"self_attn.o_proj.weight", {HIDDEN, QUERY}, WEIGHT},
               NORM_AFTER(NORM),
               {"mlp.gate_up_proj.weight", {GATE_UP, HIDDEN}, WEIGHT},
               {"mlp.down_proj.weight", {HIDDEN, FFN}, WEIGHT}},
     .norm = NORM,
     .config = "{hidden_act: silu, max_position_embeddings: 4096,"
               " original_max_position_embeddings: 4096, rms_norm_eps: 1.0e-5,"
               " rope_theta: 10000.0, rope_scaling: null, sliding_window: 2047}"},
};

static const struct layout *find(const char *name, struct tu_error *error)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (strcmp(layouts[i].name, name) == 0)
            return &layouts[i];
    char names[256] = "", hint[TU_HINT_SIZE];
    size_t used = 0;
    struct tu_nearest nearest = {.text = name};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        tu_nearest_try(&nearest, layouts[i].name);
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                     layouts[i].name);
    }
    tu_fail(error, TU_EUSAGE, "--like: '%s' is no layout%s (there is: %s)", name,
            tu_nearest_hint(&nearest, hint), names);
    return NULL;
}

/* ---- Sizes ---- */

/* A size that this layout has no place for must not be given. */
static int settle_experts(const struct layout *l, const struct tu_layout_options *options,
                          struct tu_layout_options *out, struct tu_error *error)
{
    const struct tu_layout_options *d = &l->defaults;
    const struct {
        const char *option;
        uint64_t given, usual, *to;
    } sizes[] = {
        {"--experts", options->experts, d->experts, &out->experts},
        {"--experts-used", options->experts_used, d->experts_used, &out->experts_used},
        {"--expert-ffn", options->expert_ffn, d->expert_ffn, &out->expert_ffn},
        {"--shared-ffn", options->shared_ffn, d->shared_ffn, &out->shared_ffn},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i].given && !sizes[i].usual)
            return tu_fail(error, TU_EUSAGE, "%s: the layout of %s has none", sizes[i].option,
                           l->name);
        *sizes[i].to = sizes[i].given ? sizes[i].given : sizes[i].usual;
    }
    if (out->experts > EXPERTS_MAX)
        return tu_fail(error, TU_EUSAGE, "%" PRIu64 " experts (at most %d)", out->experts,
                       EXPERTS_MAX);
    if (out->experts_used > out->experts)
        return tu_fail(error, TU_EUSAGE, "%" PRIu64 " of %" PRIu64 " experts cannot be used",
                       out->experts_used, out->experts);
    return 0;
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
        .tied = (options->tied || d->tied) && !options->untied,
    };
    if (options->tied && options->untied)
        return tu_fail(error, TU_EUSAGE, "--tied and --untied exclude each other");
    if (out->layers > LAYERS_MAX)
        return tu_fail(error, TU_EUSAGE, "%" PRIu64 " layers (at most %d)", out->layers,
                       LAYERS_MAX);
    if (out->heads % out->kv_heads)
        return tu_fail(error, TU_EUSAGE,
                       "%" PRIu64 " heads cannot share %" PRIu64 " key and value heads evenly",
                       out->heads, out->kv_heads);
    return settle_experts(l, options, out, error);
}

static int compute_sizes(const struct tu_layout_options *o, uint64_t sizes[SIZES],
                         struct tu_error *error)
{
    sizes[ONE] = 1;
    sizes[LAYERS] = o->layers;
    sizes[HIDDEN] = o->hidden;
    sizes[HEADS] = o->heads;
    sizes[KV_HEADS] = o->kv_heads;
    sizes[HEAD_DIM] = o->head_dim;
    sizes[FFN] = o->ffn;
    sizes[VOCAB] = o->vocab;
    sizes[EXPERTS] = o->experts;
    sizes[EXPERTS_USED] = o->experts_used;
    sizes[EXPERT_FFN] = o->expert_ffn;
    sizes[SHARED_FFN] = o->shared_ffn;
    if (__builtin_mul_overflow(o->heads, o->head_dim, &sizes[QUERY]) ||
        __builtin_mul_overflow(o->kv_heads, o->head_dim, &sizes[KEY]) ||
        __builtin_mul_overflow(sizes[KEY], 2, &sizes[QKV]) ||
        __builtin_add_overflow(sizes[QUERY], sizes[QKV], &sizes[QKV]))
        return tu_fail(error, TU_EUSAGE, "heads and head size overflow");
    if (__builtin_mul_overflow(o->ffn, 2, &sizes[GATE_UP]))
        return tu_fail(error, TU_EUSAGE, "--ffn overflows");
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

/* ---- Tensors ---- */

struct list {
    struct tu_layout_tensor *tensors;
    size_t count, most;
    const uint64_t *sizes;
    struct tu_arena *arena;
};

static bool is_of_expert(const struct template *t)
{
    return t->name && strchr(t->name, '*');
}

/* The tensor of a template; in its name, the number of an expert stands for a star. */
static int add(struct list *list, const struct template *t, const char *prefix, uint64_t expert,
               struct tu_error *error)
{
    char name[128];
    int before = (int)strcspn(t->name, "*");
    int length = is_of_expert(t) ? snprintf(name, sizeof name, "%s%.*s%" PRIu64 "%s", prefix,
                                            before, t->name, expert, t->name + before + 1)
                                 : snprintf(name, sizeof name, "%s%s", prefix, t->name);
    if (list->count == list->most)
        return tu_fail(error, TU_EUSAGE, "more than %zu tensors", list->most);
    struct tu_layout_tensor *out = &list->tensors[list->count++];
    *out = (struct tu_layout_tensor){.name = tu_arena_copy(list->arena, name, (size_t)length),
                                     .mean = roles[t->role].mean,
                                     .deviation = roles[t->role].deviation};
    if (!out->name)
        return tu_fail_memory(error);
    for (; out->rank < 2 && t->shape[out->rank] != NONE; out->rank++)
        out->shape[out->rank] = list->sizes[t->shape[out->rank]];
    return 0;
}

static int add_layer(struct list *list, const struct layout *l, uint64_t layer,
                     struct tu_error *error)
{
    char prefix[48];
    snprintf(prefix, sizeof prefix, "model.layers.%" PRIu64 ".", layer);
    for (const struct template *t = l->layer, *end; t->name; t = end) {
        uint64_t times = is_of_expert(t) ? list->sizes[EXPERTS] : 1;
        for (end = t + 1; is_of_expert(t) && is_of_expert(end);)
            end++;
        for (uint64_t expert = 0; expert < times; expert++)
            for (const struct template *one = t; one < end; one++)
                if (add(list, one, prefix, expert, error) < 0)
                    return -1;
    }
    return 0;
}

/* Room for all of them. */
static int make_room(struct list *list, const struct layout *l, const struct tu_layout_options *o,
                     struct tu_error *error)
{
    uint64_t each = 0, most;
    for (const struct template *t = l->layer; t->name; t++)
        each += is_of_expert(t) ? o->experts : 1;
    most = 3 + o->layers * each;
    if (most > TENSORS_MAX)
        return tu_fail(error, TU_EUSAGE, "%" PRIu64 " tensors (at most %d)", most, TENSORS_MAX);
    list->most = (size_t)most;
    list->tensors = tu_arena_alloc(list->arena, list->most * sizeof *list->tensors);
    return list->tensors ? 0 : tu_fail_memory(error);
}

int tu_layout(const char *name, const struct tu_layout_options *options, struct tu_arena *arena,
              struct tu_layout_tensor **tensors, size_t *count, struct tu_error *error)
{
    struct tu_layout_options o;
    uint64_t sizes[SIZES] = {0};
    struct list list = {.sizes = sizes, .arena = arena};
    const struct layout *l = find(name, error);
    *count = 0;
    if (!l || settle(l, options, &o, error) < 0 || compute_sizes(&o, sizes, error) < 0 ||
        make_room(&list, l, &o, error) < 0)
        return -1;
    const struct template embedding = {"model.embed_tokens.weight", {VOCAB, HIDDEN}, WEIGHT};
    const struct template norm = {"model.norm.weight", {HIDDEN}, l->norm};
    const struct template output = {"lm_head.weight", {VOCAB, HIDDEN}, WEIGHT};
    int result = add(&list, &embedding, "", 0, error);
    for (uint64_t i = 0; i < o.layers && result == 0; i++)
        result = add_layer(&list, l, i, error);
    if (result == 0)
        result = add(&list, &norm, "", 0, error);
    if (result == 0 && !o.tied)
        result = add(&list, &output, "", 0, error);
    *tensors = list.tensors;
    *count = list.count;
    return result;
}

/* ---- The configuration ---- */

static int put_keys(const struct key *keys, const uint64_t sizes[SIZES], struct tu_builder *b,
                    struct tu_error *error)
{
    for (; keys->name; keys++)
        if (tu_put_uint(b, keys->name, sizes[keys->size], error) < 0)
            return -1;
    return 0;
}

/* What is no size. */
static int put_config(const struct layout *l, bool tied, struct tu_builder *b,
                      struct tu_error *error)
{
    const struct tensor_value v = {.type = TENSOR_BOOLEAN, .boolean = tied};
    static const char key[] = "tie_word_embeddings";
    struct tensor_value map;
    if ((l->config || tied) && tu_builder_add(b, key, strlen(key), &v, error) < 0)
        return -1;
    if (!l->config)
        return 0;
    if (tu_yaml_parse(l->config, strlen(l->config), b->arena, &map, error) < 0)
        return -1;
    for (size_t i = 0; i < map.map.count; i++) {
        const struct tensor_pair *p = &map.map.pairs[i];
        if (tu_builder_put_tree(b, p->key.string.bytes, p->key.string.length, &p->value, error) < 0)
            return -1;
    }
    return 0;
}

int tu_layout_metadata(const char *name, const struct tu_layout_options *options,
                       struct tu_builder *b, struct tu_error *error)
{
    struct tu_layout_options o;
    uint64_t sizes[SIZES] = {0};
    const struct layout *l = find(name, error);
    if (!l || settle(l, options, &o, error) < 0 || compute_sizes(&o, sizes, error) < 0 ||
        tu_put_string(b, "model_type", l->type, error) < 0 ||
        put_keys(common_keys, sizes, b, error) < 0 || put_keys(l->keys, sizes, b, error) < 0)
        return -1;
    return put_config(l, o.tied, b, error);
}
