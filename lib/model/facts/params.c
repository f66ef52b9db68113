/* SPDX-License-Identifier: MIT */
/* Facts of an APR file's metadata, and of Meta's and Mistral's params.json. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "model/facts/desk.h"

static void take_rows(struct tu_desk *d)
{
    const struct tu_fact_row *rows;
    size_t count = tu_fact_rows(&rows);
    for (size_t i = 0; i < count; i++) {
        const char *keys = d->s->dialect == TU_DIALECT_APR    ? rows[i].apr
                           : d->s->dialect == TU_DIALECT_META ? rows[i].meta
                                                              : rows[i].mistral;
        while (keys && *keys) {
            size_t n = strcspn(keys, " ");
            const char *key = tu_desk_text(d, "%.*s", (int)n, keys);
            const struct tensor_value *v = tu_value_path(d->s->metadata, key);
            keys += n + strspn(keys + n, " ");
            if (!v || v->type == TENSOR_NULL)
                continue;
            tu_take(d, (enum tu_fact_id)i, v, key);
            break;
        }
    }
}

static void default_real(struct tu_desk *d, enum tu_fact_id id, double value, const char *key)
{
    if (!tu_known(d, id) && !d->out->facts[id].note)
        tu_set_real(d, id, value, TU_ORIGIN_DEFAULT, key);
}

static void default_count(struct tu_desk *d, enum tu_fact_id id, uint64_t value, const char *key)
{
    if (!tu_known(d, id) && !d->out->facts[id].note)
        tu_set_count(d, id, value, TU_ORIGIN_DEFAULT, key);
}

static void derive_head_dim(struct tu_desk *d, const char *key)
{
    uint64_t heads, hidden;
    if (!tu_known(d, TU_FACT_HEAD_DIM) && !d->out->facts[TU_FACT_HEAD_DIM].note &&
        tu_get_count(d, TU_FACT_HEADS, &heads) && heads && tu_get_count(d, TU_FACT_HIDDEN, &hidden))
        tu_set_count(d, TU_FACT_HEAD_DIM, hidden / heads, TU_ORIGIN_DERIVED, key);
}

/* ---- APR ---- */

/* An architecture's name, in llama.cpp's words: its own, or a model_type of Hugging Face. */
static void take_apr_arch(struct tu_desk *d)
{
    static const char *const keys[] = {"architecture", "hf_model_type", "model_type"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct tensor_value *v = tu_value_get(d->s->metadata, keys[i]);
        const char *text;
        size_t length;
        if (!tu_value_string(v, &text, &length) || length == 0 || length > 64)
            continue;
        const struct tu_config_class *c = tu_config_class(text, length);
        if (c || tu_gguf_arch(text, length)) {
            tu_set_word(d, TU_FACT_ARCH, c ? c->arch : text, TU_ORIGIN_GIVEN, keys[i]);
            return;
        }
    }
}

static void take_apr(struct tu_desk *d)
{
    const struct tensor_value *type = tu_value_get(d->s->metadata, "rope_type");
    uint64_t kind;
    double bytes;
    take_apr_arch(d);
    if (tu_value_uint(type, &kind) && (kind == 0 || kind == 2))
        tu_set_word(d, TU_FACT_ROPE_KIND, kind ? "halves" : "adjacent", TU_ORIGIN_GIVEN,
                    "rope_type");
    else if (type && type->type != TENSOR_NULL)
        tu_set_unknown(d, TU_FACT_ROPE_KIND, "rope_type", "rope_type is neither 0 nor 2");
    derive_head_dim(d, "hidden_size / num_heads");
    /* Classical models state no shape, and a vocabulary of 0 is none. */
    if (tu_get_real(d, TU_FACT_VOCAB, &bytes) && bytes == 0)
        tu_set_unknown(d, TU_FACT_VOCAB, NULL, NULL);
}

/* ---- Meta ---- */

/* The width of the MLP: two thirds of 4 dim, times a factor, rounded up. */
static void derive_meta_ffn(struct tu_desk *d)
{
    uint64_t dim, multiple = 256;
    double factor = 1;
    const struct tensor_value *map = d->s->metadata;
    (void)tu_value_uint(tu_value_get(map, "multiple_of"), &multiple);
    bool factored = tu_value_number(tu_value_get(map, "ffn_dim_multiplier"), &factor);
    if (!tu_get_count(d, TU_FACT_HIDDEN, &dim) || dim > UINT32_MAX || multiple == 0 ||
        multiple > UINT32_MAX || !(factor >= 0 && factor < 1e6))
        return;
    double width = floor(8 * (double)dim / 3);
    if (factored)
        width = floor(factor * width);
    uint64_t rounded = ((uint64_t)width + multiple - 1) / multiple * multiple;
    tu_set_count(d, TU_FACT_FFN, rounded, TU_ORIGIN_DERIVED,
                 "dim, ffn_dim_multiplier, multiple_of");
}

static void take_meta(struct tu_desk *d)
{
    uint64_t heads, size;
    double vocab;
    const struct tensor_value *scaled = tu_value_get(d->s->metadata, "use_scaled_rope");
    if (!tu_known(d, TU_FACT_KV_HEADS) && tu_get_count(d, TU_FACT_HEADS, &heads))
        tu_set_count(d, TU_FACT_KV_HEADS, heads, TU_ORIGIN_DERIVED,
                     "n_heads (n_kv_heads is not there)");
    derive_head_dim(d, "dim / n_heads");
    derive_meta_ffn(d);
    /* -1 leaves it to the tokenizer. */
    if (tu_value_number(tu_value_get(d->s->metadata, "vocab_size"), &vocab) && vocab < 0)
        tu_set_unknown(d, TU_FACT_VOCAB, NULL, NULL);
    default_real(d, TU_FACT_ROPE_BASE, 10000, "rope_theta");
    default_real(d, TU_FACT_NORM_EPS, 1e-5, "norm_eps");
    if (tu_get_count(d, TU_FACT_HEAD_DIM, &size))
        tu_set_count(d, TU_FACT_ROPE_DIM, size, TU_ORIGIN_DERIVED, "dim / n_heads");
    if (scaled && scaled->type == TENSOR_BOOLEAN)
        tu_set_word(d, TU_FACT_ROPE_SCALING, scaled->boolean ? "llama3" : "none", TU_ORIGIN_GIVEN,
                    "use_scaled_rope");
    tu_set_word(d, TU_FACT_ROPE_KIND, "adjacent", TU_ORIGIN_ARCH, NULL);
    tu_derive_attn_scale(d);
}

/* ---- Mistral ---- */

static void take_mistral_yarn(struct tu_desk *d, const struct tensor_value *yarn)
{
    double factor = 1, value;
    tu_set_word(d, TU_FACT_ROPE_SCALING, "yarn", TU_ORIGIN_GIVEN, "yarn");
    if (tu_value_number(tu_value_get(yarn, "factor"), &factor))
        tu_set_real(d, TU_FACT_ROPE_FACTOR, factor, TU_ORIGIN_GIVEN, "yarn.factor");
    const struct tensor_value *original = tu_value_get(yarn, "original_max_position_embeddings");
    if (original)
        tu_take(d, TU_FACT_ROPE_ORIG_CTX, original, "yarn.original_max_position_embeddings");
    if (tu_value_number(tu_value_get(yarn, "beta"), &value))
        tu_set_real(d, TU_FACT_ROPE_BETA_FAST, value, TU_ORIGIN_GIVEN, "yarn.beta");
    if (tu_value_number(tu_value_get(yarn, "alpha"), &value))
        tu_set_real(d, TU_FACT_ROPE_BETA_SLOW, value, TU_ORIGIN_GIVEN, "yarn.alpha");
    const struct tensor_value *apply = tu_value_get(yarn, "apply_scale");
    if (apply && apply->type == TENSOR_BOOLEAN)
        tu_set_real(d, TU_FACT_ROPE_MSCALE_ALL_DIM, apply->boolean ? 0 : 1, TU_ORIGIN_GIVEN,
                    "yarn.apply_scale");
}

/* sliding_window may be a list of windows, null where a layer sees everything. */
static void take_mistral_window(struct tu_desk *d)
{
    bool flags[TU_FACT_LIST_MAX];
    uint64_t window = 0, here;
    const struct tensor_value *v = tu_value_get(d->s->metadata, "sliding_window");
    if (!v || v->type != TENSOR_ARRAY || v->array.count == 0 || v->array.count > TU_FACT_LIST_MAX)
        return;
    for (size_t i = 0; i < v->array.count; i++) {
        flags[i] = tu_value_uint(&v->array.items[i], &here);
        window = flags[i] ? here : window;
    }
    size_t layers = v->array.count;
    (void)tu_layers(d, &layers);
    for (size_t i = v->array.count; i < layers; i++)
        flags[i] = flags[i % v->array.count];
    tu_set_count(d, TU_FACT_WINDOW, window, TU_ORIGIN_GIVEN, "sliding_window");
    tu_set_flags(d, TU_FACT_WINDOW_LAYERS, flags, layers, TU_ORIGIN_GIVEN, "sliding_window");
}

static void take_mistral(struct tu_desk *d)
{
    uint64_t width;
    double beta;
    const struct tensor_value *map = d->s->metadata, *yarn = tu_value_get(map, "yarn");
    default_real(d, TU_FACT_ROPE_BASE, 10000, "rope_theta");
    default_count(d, TU_FACT_CONTEXT, 128000, "max_position_embeddings");
    derive_head_dim(d, "dim / n_heads");
    if (!tu_known(d, TU_FACT_TIED))
        tu_set_flag(d, TU_FACT_TIED, false, TU_ORIGIN_DEFAULT, "tied_embeddings");
    if (tu_get_count(d, TU_FACT_HEAD_DIM, &width))
        tu_set_count(d, TU_FACT_ROPE_DIM, width, TU_ORIGIN_DERIVED, "head_dim");
    if (yarn && yarn->type == TENSOR_MAP)
        take_mistral_yarn(d, yarn);
    else
        tu_set_word(d, TU_FACT_ROPE_SCALING, "none", TU_ORIGIN_DEFAULT, "yarn");
    take_mistral_window(d);
    if (tu_value_number(tu_value_path(map, "llama_4_scaling.beta"), &beta))
        tu_set_real(d, TU_FACT_TEMPERATURE_SCALE, beta, TU_ORIGIN_GIVEN, "llama_4_scaling.beta");
    if (tu_known(d, TU_FACT_EXPERTS)) {
        tu_set_word(d, TU_FACT_EXPERTS_GATE, "softmax", TU_ORIGIN_ARCH, NULL);
        tu_set_flag(d, TU_FACT_EXPERTS_NORM, true, TU_ORIGIN_ARCH, NULL);
    }
    tu_set_word(d, TU_FACT_ROPE_KIND, "adjacent", TU_ORIGIN_ARCH, NULL);
}

void tu_facts_params(struct tu_desk *d)
{
    take_rows(d);
    if (d->s->dialect == TU_DIALECT_APR) {
        d->out->reader = "APR";
        take_apr(d);
    } else if (d->s->dialect == TU_DIALECT_META) {
        d->out->reader = "Meta's code";
        take_meta(d);
    } else {
        d->out->reader = "Mistral's code";
        take_mistral(d);
    }
}
