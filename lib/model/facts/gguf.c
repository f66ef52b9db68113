/* SPDX-License-Identifier: MIT */
/* Facts of a GGUF file's metadata and small tensors, as llama.cpp's loader would read them. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/facts/desk.h"

enum { ARCH_MAX = 64 };

/* A GGUF file being read. */
struct gguf {
    struct tu_desk *d;
    const struct tensor_value *meta;
    const char *arch;  /* general.architecture */
    const char *words; /* of the architecture; "" where it is not known */
    bool known;
};

/* The whole key of one that is stated without its architecture. */
static const char *full_key(const struct gguf *g, const char *key)
{
    bool whole = strncmp(key, "tokenizer.", 10) == 0 || strncmp(key, "general.", 8) == 0;
    return whole ? key : tu_desk_text(g->d, "%s.%s", g->arch, key);
}

static const struct tensor_value *find(const struct gguf *g, const char *key)
{
    return tu_value_get(g->meta, full_key(g, key));
}

static bool real_of(const struct gguf *g, const char *key, double *out)
{
    return tu_value_number(find(g, key), out) && isfinite(*out);
}

static bool take(const struct gguf *g, enum tu_fact_id id, const char *key)
{
    const struct tensor_value *v = find(g, key);
    return v && tu_take(g->d, id, v, full_key(g, key));
}

static bool noted(const struct gguf *g, enum tu_fact_id id)
{
    return g->d->out->facts[id].note != NULL;
}

static void take_rows(const struct gguf *g)
{
    const struct tu_fact_row *rows;
    size_t count = tu_fact_rows(&rows);
    for (size_t i = 0; i < count; i++)
        if (rows[i].gguf && strcmp(rows[i].gguf, "attention.sliding_window_pattern") != 0)
            take(g, (enum tu_fact_id)i, rows[i].gguf);
}

/* ---- Shape ---- */

/* block_count includes the layers that predict more tokens. */
static void take_layers(const struct gguf *g)
{
    uint64_t layers, more;
    if (tu_get_count(g->d, TU_FACT_LAYERS, &layers) && tu_get_count(g->d, TU_FACT_MTP, &more) &&
        more && more <= layers)
        tu_set_count(g->d, TU_FACT_LAYERS, layers - more, TU_ORIGIN_DERIVED,
                     tu_desk_text(g->d, "%s - nextn_predict_layers", full_key(g, "block_count")));
}

static void derive_width(const struct gguf *g, enum tu_fact_id id, const char *key)
{
    uint64_t heads, hidden;
    if (!tu_known(g->d, id) && !noted(g, id) && tu_get_count(g->d, TU_FACT_HEADS, &heads) &&
        heads && tu_get_count(g->d, TU_FACT_HIDDEN, &hidden))
        tu_set_count(g->d, id, hidden / heads, TU_ORIGIN_DERIVED,
                     tu_desk_text(g->d, "embedding_length / head_count (%s is not there)",
                                  full_key(g, key)));
}

static void take_heads(const struct gguf *g)
{
    const struct tu_fact *heads = &g->d->out->facts[TU_FACT_HEADS];
    if (!tu_known(g->d, TU_FACT_KV_HEADS) && !noted(g, TU_FACT_KV_HEADS) &&
        tu_known(g->d, TU_FACT_HEADS))
        tu_set(g->d, TU_FACT_KV_HEADS, heads->value, TU_ORIGIN_DERIVED,
               tu_desk_text(g->d, "attention.head_count (%s is not there)",
                            full_key(g, "attention.head_count_kv")));
    derive_width(g, TU_FACT_HEAD_DIM, "attention.key_length");
    derive_width(g, TU_FACT_V_HEAD_DIM, "attention.value_length");
}

/* Of compressed keys and values, kv_heads and key_length are what is cached. */
static void take_mla(const struct gguf *g)
{
    if (!tu_known(g->d, TU_FACT_MLA_KV_RANK))
        return;
    if (!tu_known(g->d, TU_FACT_MLA_KEY) && tu_word_is(g->words, "log", "0.1"))
        take(g, TU_FACT_MLA_KEY, "attention.key_length");
    if (!tu_known(g->d, TU_FACT_MLA_VALUE) && tu_word_is(g->words, "log", "0.1"))
        take(g, TU_FACT_MLA_VALUE, "attention.value_length");
    tu_set_unknown(g->d, TU_FACT_KV_HEADS, NULL, NULL);
    tu_set_unknown(g->d, TU_FACT_HEAD_DIM, NULL, NULL);
    tu_set_unknown(g->d, TU_FACT_V_HEAD_DIM, NULL, NULL);
}

static void take_vocabulary(const struct gguf *g)
{
    const struct tu_statement *s = g->d->s;
    const struct tensor_value *tokens = tu_value_get(g->meta, "tokenizer.ggml.tokens");
    if (s->tensors_known && s->embedding_rows)
        tu_set_count(g->d, TU_FACT_VOCAB, s->embedding_rows, TU_ORIGIN_DERIVED,
                     "the rows of token_embd.weight");
    else if (tokens && tokens->type == TENSOR_ARRAY)
        tu_set_count(g->d, TU_FACT_VOCAB, tokens->array.count, TU_ORIGIN_DERIVED,
                     "tokenizer.ggml.tokens");
    else
        take(g, TU_FACT_VOCAB, "vocab_size");
    if (s->tensors_known && s->embedding_rows)
        tu_set_flag(g->d, TU_FACT_TIED, !s->output_present, TU_ORIGIN_DERIVED,
                    s->output_present ? "the tensor output.weight"
                                      : "the absence of output.weight");
}

/* ---- Norms, activation, multipliers ---- */

/* A file may have both: the graph reads one of them. */
static void take_norm(const struct gguf *g)
{
    static const char *const keys[] = {"attention.layer_norm_rms_epsilon",
                                       "attention.layer_norm_epsilon"};
    static const char *const kinds[] = {"rms", "layer"};
    double rms, layer;
    bool both = real_of(g, keys[0], &rms) && real_of(g, keys[1], &layer);
    size_t first = tu_word_is(g->words, "kind", "layer"), length;
    if (both && rms != layer && !tu_word(g->words, "kind", &length)) {
        tu_set_unknown(g->d, TU_FACT_NORM_EPS, full_key(g, keys[0]),
                       "it has both epsilons, and which of them is read is not known");
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        size_t k = i ? !first : first;
        if (!find(g, keys[k]))
            continue;
        take(g, TU_FACT_NORM_EPS, keys[k]);
        tu_set_word(g->d, TU_FACT_NORM_KIND, kinds[k], TU_ORIGIN_DERIVED, full_key(g, keys[k]));
        return;
    }
    /* llama.cpp has no default: a file that states a network otherwise is refused by it. */
    if (tu_word(g->words, "kind", &length) && find(g, "block_count") &&
        find(g, "embedding_length") && find(g, "attention.head_count"))
        tu_set_wrong(g->d, TU_FACT_NORM_EPS, full_key(g, keys[first]),
                     tu_desk_text(g->d, "%s is not there, and llama.cpp refuses a file without it",
                                  full_key(g, keys[first])));
}

static void take_activation(const struct gguf *g)
{
    size_t length;
    const char *act = tu_word(g->words, "act", &length);
    if (act)
        tu_set_word(g->d, TU_FACT_ACT, tu_desk_text(g->d, "%.*s", (int)length, act), TU_ORIGIN_ARCH,
                    NULL);
}

/* A multiplier, for which 0 says that it is not set. */
static void take_scale(const struct gguf *g, enum tu_fact_id id, const char *key, double otherwise,
                       bool inverse)
{
    double value;
    bool given = real_of(g, key, &value) && value;
    tu_set_real(g->d, id,
                !given    ? otherwise
                : inverse ? 1 / value
                          : value,
                given ? TU_ORIGIN_GIVEN : TU_ORIGIN_DEFAULT, full_key(g, key));
}

static void take_multipliers(const struct gguf *g)
{
    static const enum tu_fact_id ids[] = {TU_FACT_SCALE_EMBEDDING, TU_FACT_SCALE_RESIDUAL,
                                          TU_FACT_SCALE_LOGITS};
    static const char *const keys[] = {"embedding_scale", "residual_scale", "logit_scale"};
    uint64_t hidden;
    bool granite = tu_word_is(g->words, "scales", "granite");
    for (size_t i = 0; i < 3; i++) {
        if (granite)
            take_scale(g, ids[i], keys[i], 1, i == 2);
        else if (g->known)
            tu_set_real(g->d, ids[i], 1, TU_ORIGIN_ARCH, NULL);
        else if (find(g, keys[i]))
            take_scale(g, ids[i], keys[i], 1, false);
    }
    if (tu_word_is(g->words, "scales", "gemma") && tu_get_count(g->d, TU_FACT_HIDDEN, &hidden))
        tu_set_real(g->d, TU_FACT_SCALE_EMBEDDING, sqrt((double)hidden), TU_ORIGIN_ARCH, NULL);
    if (tu_word_is(g->words, "scales", "cohere"))
        take_scale(g, TU_FACT_SCALE_LOGITS, "logit_scale", 1, false);
}

/* What multiplies q k. */
static void take_attn_scale(const struct gguf *g)
{
    uint64_t layers = 0, hidden, heads, width;
    double odd, scale, all;
    if (!g->known)
        return;
    (void)tu_get_count(g->d, TU_FACT_LAYERS, &layers);
    if (tu_word_is(g->words, "scales", "granite") && real_of(g, "attention.scale", &scale) && scale)
        tu_set_real(g->d, TU_FACT_ATTN_SCALE, scale, TU_ORIGIN_GIVEN,
                    full_key(g, "attention.scale"));
    else if (tu_word_is(g->words, "one", "1"))
        tu_set_real(g->d, TU_FACT_ATTN_SCALE, 1, TU_ORIGIN_ARCH, NULL);
    else if (tu_word_number(g->words, "odd", &odd) && (double)layers == odd &&
             tu_get_count(g->d, TU_FACT_HIDDEN, &hidden) &&
             tu_get_count(g->d, TU_FACT_HEADS, &heads) && heads && hidden)
        tu_set_real(g->d, TU_FACT_ATTN_SCALE, sqrt((double)heads / (double)hidden), TU_ORIGIN_ARCH,
                    NULL);
    else if (tu_word_is(g->words, "scale_dim", "rope") &&
             tu_get_count(g->d, TU_FACT_ROPE_DIM, &width) && width)
        tu_set_real(g->d, TU_FACT_ATTN_SCALE, 1 / sqrt((double)width), TU_ORIGIN_ARCH, NULL);
    else if (tu_get_count(g->d, TU_FACT_MLA_KEY, &width) && width) {
        double factor = 1;
        bool yarn = tu_get_word(g->d, TU_FACT_ROPE_SCALING, "yarn") &&
                    tu_get_real(g->d, TU_FACT_ROPE_FACTOR, &factor) &&
                    tu_get_real(g->d, TU_FACT_ROPE_MSCALE_ALL_DIM, &all) && all > 0;
        double k = yarn ? tu_yarn_scale(all, factor) : 1;
        tu_set_real(g->d, TU_FACT_ATTN_SCALE, k * k / sqrt((double)width), TU_ORIGIN_DERIVED,
                    "1/sqrt(key_length_mla), yarn_log_multiplier");
    } else
        tu_derive_attn_scale(g->d);
}

/* A cap that the graph applies, with its default; or one that it does not look at. */
static void take_softcap(const struct gguf *g, enum tu_fact_id id, const char *word,
                         const char *key)
{
    double value, fixed;
    if (!g->known)
        return;
    if (tu_word_number(g->words, "fixed_cap", &fixed) && id == TU_FACT_LOGIT_SOFTCAP)
        tu_set_real(g->d, id, fixed, TU_ORIGIN_ARCH, NULL);
    else if (!tu_word_number(g->words, word, &value))
        tu_set_real(g->d, id, 0, TU_ORIGIN_ARCH, NULL);
    else if (!tu_known(g->d, id) && !noted(g, id))
        tu_set_real(g->d, id, value, TU_ORIGIN_DEFAULT, full_key(g, key));
}

static void take_norms_and_scales(const struct gguf *g)
{
    take_norm(g);
    take_activation(g);
    take_multipliers(g);
    take_softcap(g, TU_FACT_ATTN_SOFTCAP, "attn_cap", "attn_logit_softcapping");
    take_softcap(g, TU_FACT_LOGIT_SOFTCAP, "logit_cap", "final_logit_softcapping");
    if (tu_word_is(g->words, "causal", "false"))
        tu_set_flag(g->d, TU_FACT_CAUSAL, false, TU_ORIGIN_ARCH, full_key(g, "attention.causal"));
    else if (!tu_known(g->d, TU_FACT_CAUSAL) && !noted(g, TU_FACT_CAUSAL))
        tu_set_flag(g->d, TU_FACT_CAUSAL, true, TU_ORIGIN_DEFAULT, full_key(g, "attention.causal"));
}

/* ---- Rope ---- */

static void take_base(const struct gguf *g)
{
    double local, base;
    if (!tu_known(g->d, TU_FACT_ROPE_BASE) && !noted(g, TU_FACT_ROPE_BASE))
        tu_set_real(g->d, TU_FACT_ROPE_BASE, 10000, TU_ORIGIN_DEFAULT,
                    full_key(g, "rope.freq_base"));
    if (!tu_known(g->d, TU_FACT_ROPE_BASE_LOCAL) && !noted(g, TU_FACT_ROPE_BASE_LOCAL)) {
        if (tu_word_number(g->words, "local", &local))
            tu_set_real(g->d, TU_FACT_ROPE_BASE_LOCAL, local, TU_ORIGIN_DEFAULT,
                        full_key(g, "rope.freq_base_swa"));
        else if (tu_word_is(g->words, "local", "base") &&
                 tu_get_real(g->d, TU_FACT_ROPE_BASE, &base))
            tu_set_real(g->d, TU_FACT_ROPE_BASE_LOCAL, base, TU_ORIGIN_DERIVED,
                        full_key(g, "rope.freq_base"));
    }
    uint64_t width;
    if (!tu_known(g->d, TU_FACT_ROPE_DIM) && !noted(g, TU_FACT_ROPE_DIM) &&
        tu_get_count(g->d, TU_FACT_HEAD_DIM, &width))
        tu_set_count(
            g->d, TU_FACT_ROPE_DIM, width, TU_ORIGIN_DERIVED,
            tu_desk_text(g->d, "head_dim (%s is not there)", full_key(g, "rope.dimension_count")));
}

/* The stretch, for which 0 says 1. */
static double factor_of(const struct gguf *g, enum tu_fact_origin *origin, const char **key)
{
    double factor;
    *origin = TU_ORIGIN_GIVEN;
    *key = full_key(g, "rope.scaling.factor");
    if (real_of(g, "rope.scaling.factor", &factor))
        return factor ? factor : 1;
    if (real_of(g, "rope.scale_linear", &factor)) {
        *key = full_key(g, "rope.scale_linear");
        return factor ? factor : 1;
    }
    *origin = TU_ORIGIN_DEFAULT;
    return 1;
}

/* Divisors that leave everything as it is; of pairs that do not turn at all they are huge. */
static bool divisors_are(const struct tensor_value *list, bool huge)
{
    for (size_t i = 0; i < list->array.count; i++)
        if (huge ? list->array.items[i].real >= 1e29 : list->array.items[i].real != 1)
            return huge;
    return !huge;
}

/* The word for how rope is stretched; NULL: it is of no kind that llama.cpp knows. */
static const char *scaling_of(const struct gguf *g, double factor, enum tu_fact_origin *origin,
                              const char **key)
{
    const struct tu_statement *s = g->d->s;
    const struct tensor_value *type = find(g, "rope.scaling.type");
    bool linear = !type || tu_value_equals(type, "linear");
    *key = full_key(g, "rope.scaling.type");
    *origin = type ? TU_ORIGIN_GIVEN : TU_ORIGIN_DEFAULT;
    if (tu_value_equals(type, "none"))
        return "none";
    if (tu_value_equals(type, "yarn"))
        return "yarn";
    bool lists = s->rope_long.type == TENSOR_ARRAY || s->rope_short.type == TENSOR_ARRAY;
    if (lists || tu_value_equals(type, "longrope")) {
        *key = lists ? "rope_factors_long.weight" : *key;
        *origin = TU_ORIGIN_GIVEN;
        return "longrope";
    }
    if (!linear)
        return NULL;
    if (s->rope_freqs.type == TENSOR_ARRAY && !divisors_are(&s->rope_freqs, false)) {
        *key = "rope_freqs.weight";
        *origin = TU_ORIGIN_GIVEN;
        return divisors_are(&s->rope_freqs, true) ? "proportional" : "llama3";
    }
    if (factor != 1) {
        *origin = TU_ORIGIN_GIVEN;
        return "linear";
    }
    return "none";
}

static void take_yarn(const struct gguf *g, double factor)
{
    double log_unit, log = 0, own = 1, value;
    bool reads = tu_word_is(g->words, "beta", "read");
    static const enum tu_fact_id betas[] = {TU_FACT_ROPE_BETA_FAST, TU_FACT_ROPE_BETA_SLOW};
    static const char *const keys[] = {"rope.scaling.yarn_beta_fast",
                                       "rope.scaling.yarn_beta_slow"};
    for (size_t i = 0; i < 2; i++) {
        bool given = reads && real_of(g, keys[i], &value);
        tu_set_real(g->d, betas[i],
                    given ? value
                    : i   ? 1
                          : 32,
                    given   ? TU_ORIGIN_GIVEN
                    : reads ? TU_ORIGIN_DEFAULT
                            : TU_ORIGIN_ARCH,
                    full_key(g, keys[i]));
    }
    if (tu_word_number(g->words, "log", &log_unit)) {
        bool given = real_of(g, "rope.scaling.yarn_log_multiplier", &log);
        tu_set_real(g->d, TU_FACT_ROPE_MSCALE_ALL_DIM, given ? log / log_unit : 0,
                    given ? TU_ORIGIN_GIVEN : TU_ORIGIN_DEFAULT,
                    full_key(g, "rope.scaling.yarn_log_multiplier"));
    }
    (void)real_of(g, "rope.scaling.attn_factor", &own);
    tu_set_real(
        g->d, TU_FACT_ROPE_ATTN_FACTOR, own * (log ? 1 : tu_yarn_scale(1, factor)),
        TU_ORIGIN_DERIVED,
        tu_desk_text(g->d, "0.1 ln(factor) + 1, %s", full_key(g, "rope.scaling.attn_factor")));
    tu_set_flag(g->d, TU_FACT_ROPE_TRUNCATE, true, TU_ORIGIN_ARCH, NULL);
}

static void take_original(const struct gguf *g)
{
    uint64_t context;
    if (!take(g, TU_FACT_ROPE_ORIG_CTX, "rope.scaling.original_context_length") &&
        tu_get_count(g->d, TU_FACT_CONTEXT, &context))
        tu_set_count(g->d, TU_FACT_ROPE_ORIG_CTX, context, TU_ORIGIN_DERIVED,
                     tu_desk_text(g->d, "context_length (%s is not there)",
                                  full_key(g, "rope.scaling.original_context_length")));
}

static void take_local_factor(const struct gguf *g, double factor)
{
    double fixed;
    size_t length;
    if (!tu_word(g->words, "local", &length))
        return;
    bool own = tu_word_number(g->words, "factor_local", &fixed);
    tu_set_real(g->d, TU_FACT_ROPE_FACTOR_LOCAL, own ? fixed : factor, TU_ORIGIN_ARCH,
                full_key(g, "rope.scaling.factor"));
}

static void take_scaling(const struct gguf *g)
{
    enum tu_fact_origin origin, factored;
    const char *key, *factor_key;
    double factor = factor_of(g, &factored, &factor_key);
    const char *word = scaling_of(g, factor, &origin, &key);
    if (!word) {
        tu_set_wrong(g->d, TU_FACT_ROPE_SCALING, key,
                     tu_desk_text(g->d, "%s is of no kind that llama.cpp knows", key));
        return;
    }
    /* Without the list of tensors it is open whether there are divisors. */
    if (strcmp(word, "none") == 0 && origin == TU_ORIGIN_DEFAULT && !g->d->s->tensors_known)
        return;
    if (strcmp(word, "none") == 0 && origin == TU_ORIGIN_DEFAULT)
        key = tu_desk_text(g->d, "%s, rope_freqs.weight", key);
    tu_set_word(g->d, TU_FACT_ROPE_SCALING, word, origin, key);
    bool yarn = strcmp(word, "yarn") == 0, longrope = strcmp(word, "longrope") == 0;
    if (yarn || strcmp(word, "linear") == 0) {
        tu_set_real(g->d, TU_FACT_ROPE_FACTOR, factor, factored, factor_key);
        take_local_factor(g, factor);
    }
    if (yarn)
        take_yarn(g, factor);
    else
        take_scale(g, TU_FACT_ROPE_ATTN_FACTOR, "rope.scaling.attn_factor", 1, false);
    if (yarn || longrope)
        take_original(g);
}

static void take_lists(const struct gguf *g)
{
    const struct tu_statement *s = g->d->s;
    double every;
    /* Divisors that are all 1 change nothing. */
    if (s->rope_freqs.type == TENSOR_ARRAY && !divisors_are(&s->rope_freqs, false))
        tu_take(g->d, TU_FACT_ROPE_FREQ_FACTORS, &s->rope_freqs, "rope_freqs.weight");
    if (s->rope_long.type == TENSOR_ARRAY)
        tu_take(g->d, TU_FACT_ROPE_LONG, &s->rope_long, "rope_factors_long.weight");
    if (s->rope_short.type == TENSOR_ARRAY)
        tu_take(g->d, TU_FACT_ROPE_SHORT, &s->rope_short, "rope_factors_short.weight");
    if (tu_word_number(g->words, "every", &every))
        tu_set_period(g->d, TU_FACT_ROPE_LAYERS, (uint64_t)every, TU_ORIGIN_ARCH, NULL);
}

static void take_rope(const struct gguf *g)
{
    size_t length;
    double temperature;
    const char *kind = tu_word(g->words, "rope", &length);
    if (tu_word_is(g->words, "rope", "none") || tu_word_is(g->words, "rope", "unknown"))
        return;
    if (kind)
        tu_set_word(g->d, TU_FACT_ROPE_KIND, tu_desk_text(g->d, "%.*s", (int)length, kind),
                    TU_ORIGIN_ARCH, NULL);
    take_base(g);
    take_scaling(g);
    take_lists(g);
    if (tu_word_number(g->words, "temperature", &temperature)) {
        tu_set_real(g->d, TU_FACT_TEMPERATURE_SCALE, temperature, TU_ORIGIN_ARCH, NULL);
        tu_set_count(g->d, TU_FACT_TEMPERATURE_LENGTH, 8192, TU_ORIGIN_ARCH, NULL);
    }
}

/* ---- Windows and kinds of layers ---- */

static void take_window(const struct gguf *g)
{
    double number;
    uint64_t given = 0;
    bool stated = tu_get_count(g->d, TU_FACT_WINDOW, &given);
    const char *key = full_key(g, "attention.sliding_window");
    if (tu_word_is(g->words, "window", "ignored")) {
        tu_set_count(g->d, TU_FACT_WINDOW, 0, TU_ORIGIN_ARCH, key);
    } else if (strcmp(g->arch, "llama4") == 0) {
        tu_set_count(g->d, TU_FACT_WINDOW, stated && !given ? 0 : 8192, TU_ORIGIN_ARCH, key);
    } else if (!stated && !noted(g, TU_FACT_WINDOW)) {
        if (tu_word_number(g->words, "window", &number))
            tu_set_count(g->d, TU_FACT_WINDOW, (uint64_t)number, TU_ORIGIN_DEFAULT, key);
        else if (tu_word_is(g->words, "window", "none"))
            tu_set_count(g->d, TU_FACT_WINDOW, 0, TU_ORIGIN_DEFAULT, key);
    }
}

/* A list for all blocks, without those that predict more tokens. */
static void take_layer_list(const struct gguf *g, enum tu_fact_id id, const struct tensor_value *v,
                            const char *key)
{
    struct tensor_value list = *v;
    size_t layers;
    if (tu_layers(g->d, &layers) && tu_origin(g->d, TU_FACT_LAYERS) == TU_ORIGIN_DERIVED &&
        list.type == TENSOR_ARRAY && list.array.count > layers)
        list.array.count = layers;
    tu_take(g->d, id, &list, key);
}

static void take_window_layers(const struct gguf *g)
{
    static const char name[] = "attention.sliding_window_pattern";
    const struct tensor_value *v = find(g, name);
    const char *key = full_key(g, name);
    uint64_t window, period;
    double number;
    if (!tu_get_count(g->d, TU_FACT_WINDOW, &window) || !window)
        return;
    if (v && tu_value_uint(v, &period))
        tu_set_period(g->d, TU_FACT_WINDOW_LAYERS, period, TU_ORIGIN_DERIVED, key);
    else if (v)
        take_layer_list(g, TU_FACT_WINDOW_LAYERS, v, key);
    else if (tu_word_number(g->words, "period", &number)) {
        tu_set_period(g->d, TU_FACT_WINDOW_LAYERS, (uint64_t)number, TU_ORIGIN_ARCH, key);
        g->d->out->facts[TU_FACT_WINDOW_LAYERS].note =
            tu_desk_text(g->d, "what the code for %s takes: %s is not there", g->arch, key);
    }
}

static void take_linear_layers(const struct gguf *g)
{
    const struct tensor_value *v = find(g, "attention.recurrent_layers");
    double interval, given;
    if (v && v->type == TENSOR_ARRAY) {
        take_layer_list(g, TU_FACT_LINEAR_LAYERS, v, full_key(g, "attention.recurrent_layers"));
    } else if (tu_word_number(g->words, "interval", &interval)) {
        bool stated =
            real_of(g, "full_attention_interval", &given) && given >= 1 && given <= UINT32_MAX;
        tu_set_period(g->d, TU_FACT_LINEAR_LAYERS, (uint64_t)(stated ? given : interval),
                      stated ? TU_ORIGIN_DERIVED : TU_ORIGIN_DEFAULT,
                      full_key(g, "full_attention_interval"));
    }
}

/* ---- Experts ---- */

static const char *const gates[] = {NULL, "softmax", "sigmoid", "softmax_selected", "sqrtsoftplus"};

/* The text of a word after "read:", which the key of it may replace. */
static const char *after_read(const struct gguf *g, const char *word)
{
    size_t length;
    const char *text = tu_word(g->words, word, &length);
    if (!text || strncmp(text, "read:", 5) != 0)
        return NULL;
    return tu_desk_text(g->d, "%.*s", (int)length - 5, text + 5);
}

static void take_gate(const struct gguf *g)
{
    size_t length;
    uint64_t number;
    const char *text = tu_word(g->words, "gate", &length), *otherwise = after_read(g, "gate");
    const char *key = full_key(g, "expert_gating_func");
    bool reads = !g->known || otherwise;
    if (reads && tu_value_uint(find(g, "expert_gating_func"), &number) && number > 0 &&
        number < sizeof gates / sizeof *gates)
        tu_set_word(g->d, TU_FACT_EXPERTS_GATE, gates[number], TU_ORIGIN_GIVEN, key);
    else if (otherwise)
        tu_set_word(g->d, TU_FACT_EXPERTS_GATE, otherwise, TU_ORIGIN_DEFAULT, key);
    else if (text)
        tu_set_word(g->d, TU_FACT_EXPERTS_GATE, tu_desk_text(g->d, "%.*s", (int)length, text),
                    TU_ORIGIN_ARCH, key);
}

static void take_norm_and_scale(const struct gguf *g)
{
    const char *otherwise = after_read(g, "norm");
    const char *key = full_key(g, "expert_weights_norm");
    double scale;
    size_t length;
    if (otherwise && !tu_known(g->d, TU_FACT_EXPERTS_NORM) && !noted(g, TU_FACT_EXPERTS_NORM))
        tu_set_flag(g->d, TU_FACT_EXPERTS_NORM, strcmp(otherwise, "true") == 0, TU_ORIGIN_DEFAULT,
                    key);
    else if (!otherwise && tu_word(g->words, "norm", &length))
        tu_set_flag(g->d, TU_FACT_EXPERTS_NORM, tu_word_is(g->words, "norm", "true"),
                    TU_ORIGIN_ARCH, key);
    key = full_key(g, "expert_weights_scale");
    if (tu_word_is(g->words, "scale", "ignored"))
        tu_set_real(g->d, TU_FACT_EXPERTS_SCALE, 1, TU_ORIGIN_ARCH, key);
    else if (tu_word_is(g->words, "scale", "read") && !noted(g, TU_FACT_EXPERTS_SCALE) &&
             (!tu_get_real(g->d, TU_FACT_EXPERTS_SCALE, &scale) || !scale))
        tu_set_real(g->d, TU_FACT_EXPERTS_SCALE, 1, TU_ORIGIN_DEFAULT, key);
}

static void take_experts(const struct gguf *g)
{
    static const enum tu_fact_id groups[] = {TU_FACT_EXPERTS_GROUPS, TU_FACT_EXPERTS_GROUPS_USED};
    static const char dense[] = "llama granitemoe phimoe";
    uint64_t experts, shared, ffn, count;
    bool any = tu_get_count(g->d, TU_FACT_EXPERTS, &experts) && experts;
    for (enum tu_fact_id id = TU_FACT_EXPERTS_USED; id <= TU_FACT_EXPERTS_EVERY && !any; id++)
        if (!noted(g, id))
            tu_set_unknown(g->d, id, NULL, NULL);
    if (!any)
        return;
    take_gate(g);
    take_norm_and_scale(g);
    if (!tu_known(g->d, TU_FACT_EXPERTS_FFN) && tu_word_among(dense, g->arch, strlen(g->arch)) &&
        tu_get_count(g->d, TU_FACT_FFN, &ffn))
        tu_set_count(g->d, TU_FACT_EXPERTS_FFN, ffn, TU_ORIGIN_DERIVED,
                     full_key(g, "feed_forward_length"));
    if (!tu_known(g->d, TU_FACT_EXPERTS_SHARED_FFN) && tu_word_is(g->words, "scale", "read") &&
        tu_get_count(g->d, TU_FACT_EXPERTS_FFN, &ffn) &&
        tu_get_count(g->d, TU_FACT_EXPERTS_SHARED, &shared) && ffn <= UINT32_MAX &&
        shared <= UINT32_MAX)
        tu_set_count(g->d, TU_FACT_EXPERTS_SHARED_FFN, ffn * shared, TU_ORIGIN_DERIVED,
                     "expert_shared_count expert_feed_forward_length");
    for (size_t i = 0; i < 2; i++)
        if (tu_get_count(g->d, groups[i], &count) && !count)
            g->d->out->facts[groups[i]].value.uint = 1;
}

/* ---- Other keys ---- */

/* Keys that facts come from, beside those of the rows. */
static const char *const used[] = {"vocab_size",
                                   "attention.layer_norm_rms_epsilon",
                                   "attention.layer_norm_epsilon",
                                   "embedding_scale",
                                   "residual_scale",
                                   "logit_scale",
                                   "attention.scale",
                                   "rope.scaling.type",
                                   "rope.scaling.factor",
                                   "rope.scale_linear",
                                   "rope.scaling.attn_factor",
                                   "rope.scaling.original_context_length",
                                   "attention.sliding_window_pattern",
                                   "attention.recurrent_layers",
                                   "full_attention_interval",
                                   "expert_gating_func"};

static bool is_used(const char *key)
{
    const struct tu_fact_row *rows;
    size_t count = tu_fact_rows(&rows);
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        if (strcmp(used[i], key) == 0)
            return true;
    for (size_t i = 0; i < count; i++)
        if (rows[i].gguf && strcmp(rows[i].gguf, key) == 0)
            return true;
    return false;
}

static bool is_short(const struct tensor_value *v)
{
    enum { ITEMS = 64, BYTES = 256 };
    if (v->type == TENSOR_ARRAY) {
        for (size_t i = 0; i < v->array.count && i <= ITEMS; i++)
            if (v->array.items[i].type == TENSOR_ARRAY || v->array.items[i].type == TENSOR_STRING)
                return false;
        return v->array.count <= ITEMS;
    }
    return v->type == TENSOR_STRING ? v->string.length <= BYTES : v->type != TENSOR_MAP;
}

/* What the architecture's keys say beside: no fact comes from it. */
static void take_others(const struct gguf *g)
{
    size_t count = 0, prefix = strlen(g->arch);
    struct tensor_pair *pairs =
        tu_arena_alloc(g->d->arena, (g->meta->map.count + 1) * sizeof *pairs);
    if (!pairs) {
        g->d->failed = true;
        return;
    }
    for (size_t i = 0; i < g->meta->map.count; i++) {
        const struct tensor_pair *p = &g->meta->map.pairs[i];
        const char *key = p->key.string.bytes;
        if (p->key.string.length > prefix && strncmp(key, g->arch, prefix) == 0 &&
            key[prefix] == '.' && !is_used(key + prefix + 1) && is_short(&p->value))
            pairs[count++] = *p;
    }
    g->d->out->others = (struct tensor_value){.type = TENSOR_MAP, .map = {pairs, count}};
}

void tu_facts_gguf(struct tu_desk *d)
{
    struct gguf g = {.d = d, .meta = d->s->metadata, .words = ""};
    const char *arch;
    size_t length;
    const struct tensor_value *v = tu_value_get(g.meta, "general.architecture");
    d->out->reader = "GGUF";
    if (!tu_value_string(v, &arch, &length) || length == 0 || length > ARCH_MAX) {
        tu_set_unknown(d, TU_FACT_ARCH, "general.architecture",
                       "general.architecture is no name of an architecture");
        return;
    }
    g.arch = arch;
    const struct tu_gguf_arch *known = d->gguf_arch = tu_gguf_arch(arch, length);
    g.known = known != NULL;
    g.words = known ? known->words : "";
    take_rows(&g);
    take_layers(&g);
    take_heads(&g);
    take_vocabulary(&g);
    take_mla(&g);
    take_norms_and_scales(&g);
    take_window(&g);
    take_window_layers(&g);
    take_rope(&g);
    take_attn_scale(&g);
    take_linear_layers(&g);
    take_experts(&g);
    take_others(&g);
    tu_facts_gguf_tokens(d);
}
