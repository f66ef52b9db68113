/* SPDX-License-Identifier: MIT */
/* Facts of a config.json about positions: rope in its three spellings, windows, kinds of layers. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "model/facts/config.h"

/* The map of rope's parameters: of all layers, or of those that see everything, and of those with a
 * window.  NULL: there is none. */
struct rope {
    const struct tensor_value *full, *local;
    const char *key; /* of the map, for messages */
    bool nested;
    bool absent; /* neither of the keys is there */
};

static bool is_map(const struct tensor_value *v)
{
    return v && v->type == TENSOR_MAP;
}

/* rope_scaling replaces rope_parameters where both are there. */
static struct rope find_rope(const struct tu_reading *r)
{
    struct rope rope = {.key = "rope_scaling"};
    const struct tensor_value *old = tu_config_find(r, "rope_scaling");
    const struct tensor_value *new = tu_config_find(r, "rope_parameters");
    const struct tensor_value *map = is_map(old) ? old : new;
    rope.absent = !old && !new;
    if (!is_map(map))
        return rope;
    if (map != old)
        rope.key = "rope_parameters";
    const struct tensor_value *full = tu_value_get(map, "full_attention");
    const struct tensor_value *local = tu_value_get(map, "sliding_attention");
    rope.nested = is_map(full) || is_map(local);
    rope.full = rope.nested ? (is_map(full) ? full : NULL) : map;
    rope.local = rope.nested ? (is_map(local) ? local : NULL) : map;
    return rope;
}

static const char *key_of(const struct tu_reading *r, const struct rope *rope, const char *key)
{
    return tu_desk_text(r->d, "%s%s%s.%s", r->prefix, rope->key,
                        rope->nested ? ".full_attention" : "", key);
}

static bool number_in(const struct tensor_value *map, const char *key, double *out)
{
    return tu_value_number(map ? tu_value_get(map, key) : NULL, out) && isfinite(*out);
}

/* A number of the map, or what is taken where it is not there. */
static enum tu_fact_origin number_or(const struct rope *rope, const char *key, double otherwise,
                                     double *out)
{
    if (number_in(rope->full, key, out))
        return TU_ORIGIN_GIVEN;
    *out = otherwise;
    return TU_ORIGIN_DEFAULT;
}

/* ---- Base and width ---- */

static const char base_keys[] = "rope_theta rotary_emb_base global_rope_theta";

static void take_base(const struct tu_reading *r, const struct rope *rope)
{
    double inner, base = 10000;
    const struct tensor_value *outer = tu_config_find(r, "rope_theta");
    double other;
    if (number_in(rope->full, "rope_theta", &inner)) {
        tu_set_real(r->d, TU_FACT_ROPE_BASE, inner, TU_ORIGIN_GIVEN, key_of(r, rope, "rope_theta"));
        if (tu_value_number(outer, &other) && other != inner)
            tu_add_conflict(r->d, "rope_theta is %g at the root and %g in %s", other, inner,
                            rope->key);
    } else if (!tu_config_take(r, TU_FACT_ROPE_BASE, base_keys) && r->closed) {
        (void)tu_word_number(r->words, "rope.base", &base);
        tu_set_real(r->d, TU_FACT_ROPE_BASE, base, TU_ORIGIN_DEFAULT, "rope_theta");
    }
}

/* The base of layers with a window, where the architecture has one of its own for them. */
static void take_local_base(const struct tu_reading *r, const struct rope *rope)
{
    double base;
    size_t length;
    if (rope->nested && number_in(rope->local, "rope_theta", &base))
        tu_set_real(r->d, TU_FACT_ROPE_BASE_LOCAL, base, TU_ORIGIN_GIVEN,
                    tu_desk_text(r->d, "%s.sliding_attention.rope_theta", rope->key));
    else if (tu_config_take(r, TU_FACT_ROPE_BASE_LOCAL, "rope_local_base_freq local_rope_theta"))
        return;
    else if (r->closed && tu_word_number(r->words, "rope.base_local", &base))
        tu_set_real(r->d, TU_FACT_ROPE_BASE_LOCAL, base, TU_ORIGIN_DEFAULT, "rope_local_base_freq");
    else if (r->closed && tu_word(r->arch, "local", &length) &&
             tu_get_real(r->d, TU_FACT_ROPE_BASE, &base))
        tu_set_real(r->d, TU_FACT_ROPE_BASE_LOCAL, base, TU_ORIGIN_DERIVED, "rope_theta");
}

static bool find_partial(const struct tu_reading *r, const struct rope *rope, double *out,
                         const char **key)
{
    static const char *const keys[] = {"partial_rotary_factor", "rotary_pct", "rope_pct",
                                       "rotary_emb_fraction"};
    *key = keys[0];
    if (number_in(rope->full, keys[0], out))
        return true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (tu_value_number(tu_config_ask(r, keys[i], key), out))
            return isfinite(*out);
    *key = keys[0];
    if (!r->closed)
        return false;
    if (!tu_word_number(r->words, "partial", out))
        *out = 1;
    return true;
}

static void take_width(const struct tu_reading *r, const struct rope *rope)
{
    double partial;
    uint64_t width, hidden, heads;
    const char *key;
    if (tu_known(r->d, TU_FACT_MLA_KEY) && tu_config_take(r, TU_FACT_ROPE_DIM, "qk_rope_head_dim"))
        return;
    if (tu_config_take(r, TU_FACT_ROPE_DIM, "rotary_dim") || !find_partial(r, rope, &partial, &key))
        return;
    if (!(partial >= 0 && partial <= 1) || tu_word(r->words, "two_widths", &(size_t){0}))
        return;
    if (tu_word_is(r->arch, "rope", "halves") && r->d->config_class &&
        strcmp(r->d->config_class->types, "phi3") == 0 &&
        tu_get_count(r->d, TU_FACT_HIDDEN, &hidden) && tu_get_count(r->d, TU_FACT_HEADS, &heads) &&
        heads && hidden <= UINT32_MAX)
        tu_set_count(r->d, TU_FACT_ROPE_DIM, (uint64_t)(partial * (double)hidden) / heads,
                     TU_ORIGIN_DERIVED,
                     tu_desk_text(r->d, "%s hidden_size / num_attention_heads", key));
    else if (tu_get_count(r->d, TU_FACT_HEAD_DIM, &width) && width <= UINT32_MAX)
        tu_set_count(r->d, TU_FACT_ROPE_DIM, (uint64_t)(partial * (double)width), TU_ORIGIN_DERIVED,
                     tu_desk_text(r->d, "head_dim %s", key));
}

/* ---- Scaling ---- */

/* The word of rope_type, in one spelling. */
static const char *scaling_word(const struct tu_reading *r, const struct rope *rope)
{
    static const struct {
        const char *word, *meaning;
    } words[] = {{"default", "none"},      {"mrope", "none"},    {"su", "longrope"},
                 {"longrope", "longrope"}, {"linear", "linear"}, {"dynamic", "dynamic"},
                 {"yarn", "yarn"},         {"llama3", "llama3"}, {"proportional", "proportional"}};
    const struct tensor_value *v = rope->full ? tu_value_get(rope->full, "rope_type") : NULL;
    if (!v && rope->full)
        v = tu_value_get(rope->full, "type");
    if (!v)
        return "none";
    bool phi3 = r->d->config_class && strcmp(r->d->config_class->types, "phi3") == 0;
    if (phi3 && tu_value_equals(v, "yarn"))
        return "longrope";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (tu_value_equals(v, words[i].word))
            return words[i].meaning;
    return NULL;
}

static void take_original(const struct tu_reading *r, const struct rope *rope, double *out)
{
    static const char name[] = "original_max_position_embeddings";
    double value;
    uint64_t context;
    *out = 0;
    if (tu_value_number(tu_config_find(r, name), &value))
        tu_config_take(r, TU_FACT_ROPE_ORIG_CTX, name);
    else if (number_in(rope->full, name, &value) && value >= 0 && value <= UINT32_MAX)
        tu_set_count(r->d, TU_FACT_ROPE_ORIG_CTX, (uint64_t)value, TU_ORIGIN_GIVEN,
                     key_of(r, rope, name));
    else if (r->closed && tu_word_number(r->words, "orig_ctx", &value))
        tu_set_count(r->d, TU_FACT_ROPE_ORIG_CTX, (uint64_t)value, TU_ORIGIN_DEFAULT, name);
    else if (tu_get_count(r->d, TU_FACT_CONTEXT, &context))
        tu_set_count(r->d, TU_FACT_ROPE_ORIG_CTX, context, TU_ORIGIN_DERIVED,
                     "max_position_embeddings");
    (void)tu_get_real(r->d, TU_FACT_ROPE_ORIG_CTX, out);
}

static void take_yarn(const struct tu_reading *r, const struct rope *rope)
{
    double factor, original, value, mscale, all;
    enum tu_fact_origin origin = number_or(rope, "factor", 1, &factor);
    tu_set_real(r->d, TU_FACT_ROPE_FACTOR, factor, origin, key_of(r, rope, "factor"));
    take_original(r, rope, &original);
    origin = number_or(rope, "beta_fast", 32, &value);
    tu_set_real(r->d, TU_FACT_ROPE_BETA_FAST, value ? value : 32, origin,
                key_of(r, rope, "beta_fast"));
    origin = number_or(rope, "beta_slow", 1, &value);
    tu_set_real(r->d, TU_FACT_ROPE_BETA_SLOW, value ? value : 1, origin,
                key_of(r, rope, "beta_slow"));
    bool both = number_in(rope->full, "mscale", &mscale) && mscale &&
                number_in(rope->full, "mscale_all_dim", &all) && all;
    if (number_in(rope->full, "mscale_all_dim", &all))
        tu_set_real(r->d, TU_FACT_ROPE_MSCALE_ALL_DIM, all, TU_ORIGIN_GIVEN,
                    key_of(r, rope, "mscale_all_dim"));
    if (number_in(rope->full, "attention_factor", &value))
        tu_set_real(r->d, TU_FACT_ROPE_ATTN_FACTOR, value, TU_ORIGIN_GIVEN,
                    key_of(r, rope, "attention_factor"));
    else if (both)
        tu_set_real(r->d, TU_FACT_ROPE_ATTN_FACTOR,
                    tu_yarn_scale(mscale, factor) / tu_yarn_scale(all, factor), TU_ORIGIN_DERIVED,
                    "mscale, mscale_all_dim, factor");
    else
        tu_set_real(r->d, TU_FACT_ROPE_ATTN_FACTOR, tu_yarn_scale(1, factor), TU_ORIGIN_DERIVED,
                    "0.1 ln(factor) + 1");
    const struct tensor_value *truncate = tu_value_get(rope->full, "truncate");
    if (truncate && truncate->type == TENSOR_BOOLEAN)
        tu_take(r->d, TU_FACT_ROPE_TRUNCATE, truncate, key_of(r, rope, "truncate"));
    else
        tu_set_flag(r->d, TU_FACT_ROPE_TRUNCATE, true, TU_ORIGIN_DEFAULT,
                    key_of(r, rope, "truncate"));
}

static void take_longrope(const struct tu_reading *r, const struct rope *rope)
{
    double original, value;
    uint64_t most;
    const struct tensor_value *v = tu_value_get(rope->full, "long_factor");
    if (v)
        tu_take(r->d, TU_FACT_ROPE_LONG, v, key_of(r, rope, "long_factor"));
    if ((v = tu_value_get(rope->full, "short_factor")))
        tu_take(r->d, TU_FACT_ROPE_SHORT, v, key_of(r, rope, "short_factor"));
    take_original(r, rope, &original);
    if (number_in(rope->full, "attention_factor", &value))
        tu_set_real(r->d, TU_FACT_ROPE_ATTN_FACTOR, value, TU_ORIGIN_GIVEN,
                    key_of(r, rope, "attention_factor"));
    else if (number_in(rope->full, "long_mscale", &value))
        return; /* what the converter makes of them is not what the class does: not judged */
    else if (r->closed && original > 1 && tu_get_count(r->d, TU_FACT_CONTEXT, &most)) {
        double ratio = (double)most / original;
        tu_set_real(r->d, TU_FACT_ROPE_ATTN_FACTOR,
                    ratio > 1 ? sqrt(1 + log(ratio) / log(original)) : 1, TU_ORIGIN_DERIVED,
                    "sqrt(1 + ln(max/original) / ln(original))");
    }
}

static void take_llama3(const struct tu_reading *r, const struct rope *rope)
{
    double divisors[TU_FACT_LIST_MAX];
    struct tu_llama3 p;
    uint64_t dim;
    if (!tu_get_real(r->d, TU_FACT_ROPE_BASE, &p.base) ||
        !tu_get_count(r->d, TU_FACT_ROPE_DIM, &dim) || dim / 2 > TU_FACT_LIST_MAX)
        return;
    if (!number_in(rope->full, "factor", &p.factor) ||
        !number_in(rope->full, "low_freq_factor", &p.low) ||
        !number_in(rope->full, "high_freq_factor", &p.high))
        return;
    if (!number_in(rope->full, "original_max_position_embeddings", &p.original) &&
        !tu_get_real(r->d, TU_FACT_CONTEXT, &p.original))
        return;
    tu_llama3_divisors(&p, (size_t)dim, divisors);
    tu_set_reals(r->d, TU_FACT_ROPE_FREQ_FACTORS, divisors, (size_t)dim / 2, TU_ORIGIN_DERIVED,
                 tu_desk_text(r->d, "%s of llama3", rope->key));
}

static void take_sections(const struct tu_reading *r, const struct rope *rope)
{
    double sections[4] = {0};
    const struct tensor_value *v = rope->full ? tu_value_get(rope->full, "mrope_section") : NULL;
    if (!v || v->type != TENSOR_ARRAY || v->array.count > 4)
        return;
    for (size_t i = 0; i < v->array.count; i++)
        if (!tu_value_number(&v->array.items[i], &sections[i]))
            return;
    tu_set_reals(r->d, TU_FACT_ROPE_SECTIONS, sections, 4, TU_ORIGIN_GIVEN,
                 key_of(r, rope, "mrope_section"));
}

/* gpt_oss turns with yarn where nothing is said. */
static void take_class_yarn(const struct tu_reading *r, double factor)
{
    tu_set_word(r->d, TU_FACT_ROPE_SCALING, "yarn", TU_ORIGIN_DEFAULT, "rope_parameters");
    tu_set_real(r->d, TU_FACT_ROPE_FACTOR, factor, TU_ORIGIN_DEFAULT, "rope_parameters.factor");
    tu_set_count(r->d, TU_FACT_ROPE_ORIG_CTX, 4096, TU_ORIGIN_DEFAULT,
                 "rope_parameters.original_max_position_embeddings");
    tu_set_real(r->d, TU_FACT_ROPE_ATTN_FACTOR, tu_yarn_scale(1, factor), TU_ORIGIN_DERIVED,
                "0.1 ln(factor) + 1");
    tu_set_flag(r->d, TU_FACT_ROPE_TRUNCATE, false, TU_ORIGIN_DEFAULT, "rope_parameters.truncate");
}

/* The first key of rope's parameters that holds something else than a map or null, or NULL. */
static const char *misstated(const struct tu_reading *r)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct tensor_value *v = tu_config_find(r, keys[i]);
        if (v && v->type != TENSOR_MAP && v->type != TENSOR_NULL)
            return keys[i];
    }
    return NULL;
}

static void take_scaling(const struct tu_reading *r, const struct rope *rope)
{
    double factor;
    const char *odd = misstated(r);
    if (odd) {
        tu_set_wrong(r->d, TU_FACT_ROPE_SCALING, tu_desk_text(r->d, "%s%s", r->prefix, odd),
                     tu_desk_text(r->d, "%s%s is neither an object nor null", r->prefix, odd));
        return;
    }
    const char *word = scaling_word(r, rope),
               *key = rope->full ? key_of(r, rope, "rope_type") : rope->key;
    if (rope->absent && r->closed && tu_word_number(r->words, "yarn", &factor)) {
        take_class_yarn(r, factor);
        return;
    }
    if (!word) {
        tu_set_wrong(r->d, TU_FACT_ROPE_SCALING, key,
                     tu_desk_text(r->d, "%s is of no kind that is known", key));
        return;
    }
    enum tu_fact_origin factored = number_or(rope, "factor", 1, &factor);
    if (strcmp(word, "linear") == 0 && factor == 1)
        word = "none";
    if (rope->full || r->closed)
        tu_set_word(r->d, TU_FACT_ROPE_SCALING, word,
                    rope->full ? TU_ORIGIN_GIVEN : TU_ORIGIN_DEFAULT, key);
    if (strcmp(word, "linear") == 0 || strcmp(word, "dynamic") == 0)
        tu_set_real(r->d, TU_FACT_ROPE_FACTOR, factor, factored, key_of(r, rope, "factor"));
    else if (strcmp(word, "yarn") == 0)
        take_yarn(r, rope);
    else if (strcmp(word, "longrope") == 0)
        take_longrope(r, rope);
    else if (strcmp(word, "llama3") == 0)
        take_llama3(r, rope);
}

/* Layers with a window share the scaling, unless they have a map of their own, or the architecture
 * leaves it to the others. */
static void take_local_factor(const struct tu_reading *r, const struct rope *rope)
{
    double factor = 1, one;
    if (!r->closed || !tu_get_real(r->d, TU_FACT_ROPE_FACTOR, &factor) ||
        !tu_known(r->d, TU_FACT_ROPE_BASE_LOCAL))
        return;
    if (rope->nested) {
        if (!number_in(rope->local, "factor", &factor))
            factor = 1;
        tu_set_real(r->d, TU_FACT_ROPE_FACTOR_LOCAL, factor, TU_ORIGIN_DERIVED,
                    tu_desk_text(r->d, "%s.sliding_attention.factor", rope->key));
    } else {
        if (tu_word_number(r->arch, "factor_local", &one))
            factor = one;
        tu_set_real(r->d, TU_FACT_ROPE_FACTOR_LOCAL, factor, TU_ORIGIN_DERIVED,
                    tu_desk_text(r->d, "%s.factor", rope->key));
    }
}

static void take_kind(const struct tu_reading *r)
{
    size_t length;
    bool adjacent = tu_config_flag(r, "rope_interleave", false);
    static const char *const turned[] = {"command-r", "cohere2", "glm4", "llama4"};
    const char *kind = tu_word(r->arch, "rope", &length);
    if (!kind || !r->closed || tu_word_is(r->arch, "rope", "none"))
        return;
    for (size_t i = 0; i < sizeof turned / sizeof *turned; i++)
        adjacent = adjacent || strcmp(r->d->config_class->arch, turned[i]) == 0;
    tu_set_word(r->d, TU_FACT_ROPE_KIND, adjacent ? "adjacent" : "halves", TU_ORIGIN_ARCH,
                "model_type");
}

/* no_rope_layers: 1 where a layer turns. */
static void take_rope_layers(const struct tu_reading *r)
{
    bool flags[TU_FACT_LIST_MAX];
    double every;
    uint64_t turns;
    size_t layers;
    const struct tensor_value *v = tu_config_find(r, "no_rope_layers");
    if (!tu_word_number(r->words, "rope.every", &every) || !tu_layers(r->d, &layers))
        return;
    if (v && v->type == TENSOR_ARRAY && v->array.count == layers) {
        for (size_t i = 0; i < layers; i++)
            flags[i] =
                tu_value_uint(&v->array.items[i], &turns) ? turns != 0 : v->array.items[i].boolean;
        tu_set_flags(r->d, TU_FACT_ROPE_LAYERS, flags, layers, TU_ORIGIN_GIVEN, "no_rope_layers");
        return;
    }
    if (tu_config_count(r, "no_rope_layer_interval", &turns) && turns)
        tu_set_period(r->d, TU_FACT_ROPE_LAYERS, turns, TU_ORIGIN_DERIVED,
                      "no_rope_layer_interval");
    else
        tu_set_period(r->d, TU_FACT_ROPE_LAYERS, (uint64_t)every, TU_ORIGIN_DEFAULT,
                      "no_rope_layer_interval");
}

static void take_temperature(const struct tu_reading *r, const struct rope *rope)
{
    double value, length;
    enum tu_fact_origin origin;
    const char *key;
    if (tu_word_number(r->words, "temperature", &value)) {
        bool on = tu_config_flag(r, "attn_temperature_tuning", true);
        if (!tu_config_number(r, "attn_scale", "temperature", &value, &origin, &key))
            return;
        tu_set_real(r->d, TU_FACT_TEMPERATURE_SCALE, on ? value : 0, origin, key);
        if (!tu_config_number(r, "floor_scale", NULL, &length, &origin, &key))
            length = 8192;
        if (length >= 0 && length <= UINT32_MAX)
            tu_set_count(r->d, TU_FACT_TEMPERATURE_LENGTH, (uint64_t)length, origin, key);
    } else if (number_in(rope->full, "llama_4_scaling_beta", &value)) {
        tu_set_real(r->d, TU_FACT_TEMPERATURE_SCALE, value, TU_ORIGIN_GIVEN,
                    key_of(r, rope, "llama_4_scaling_beta"));
    }
}

void tu_config_rope(const struct tu_reading *r)
{
    const struct rope rope = find_rope(r);
    if (tu_word_is(r->words, "rope", "none"))
        return;
    take_base(r, &rope);
    take_local_base(r, &rope);
    take_width(r, &rope);
    take_scaling(r, &rope);
    take_local_factor(r, &rope);
    take_sections(r, &rope);
    take_kind(r);
    take_rope_layers(r);
    take_temperature(r, &rope);
}

/* ---- Windows ---- */

static void take_window(const struct tu_reading *r)
{
    double number;
    const char *chunk = tu_word(r->words, "chunk", &(size_t){0}), *shown;
    const char *key = chunk                                  ? "attention_chunk_size"
                      : tu_config_find(r, "local_attention") ? "local_attention"
                                                             : "sliding_window";
    if (tu_word(r->words, "switched", &(size_t){0}) &&
        !tu_config_flag(r, "use_sliding_window", false)) {
        const struct tensor_value *v = tu_config_ask(r, "use_sliding_window", &shown);
        tu_set_count(r->d, TU_FACT_WINDOW, 0, v ? TU_ORIGIN_GIVEN : TU_ORIGIN_DEFAULT, shown);
        return;
    }
    if (tu_config_take(r, TU_FACT_WINDOW, key) || !r->closed)
        return;
    if (!tu_word_number(r->words, chunk ? "chunk" : "window", &number))
        tu_set_count(r->d, TU_FACT_WINDOW, 0, TU_ORIGIN_ARCH, "model_type");
    else
        tu_set_count(r->d, TU_FACT_WINDOW, (uint64_t)number, TU_ORIGIN_DEFAULT, key);
}

/* layer_types as booleans: whether each is of one of two kinds. */
static bool take_layer_types(const struct tu_reading *r, enum tu_fact_id id, const char *kind,
                             const char *other)
{
    bool flags[TU_FACT_LIST_MAX];
    const char *shown;
    const struct tensor_value *v = tu_config_ask(r, "layer_types", &shown);
    size_t layers;
    if (!v || v->type != TENSOR_ARRAY)
        return false;
    if (!tu_layers(r->d, &layers) || v->array.count != layers) {
        tu_set_wrong(
            r->d, id, shown,
            tu_desk_text(r->d, "%s has %zu items, not one a layer", shown, v->array.count));
        return true;
    }
    for (size_t i = 0; i < layers; i++)
        flags[i] =
            tu_value_equals(&v->array.items[i], kind) || tu_value_equals(&v->array.items[i], other);
    tu_set_flags(r->d, id, flags, layers, TU_ORIGIN_GIVEN, shown);
    return true;
}

/* "LLLG" */
static void take_letters(const struct tu_reading *r, const char *text, size_t length,
                         const char *key)
{
    bool flags[TU_FACT_LIST_MAX];
    size_t layers;
    if (!length || !tu_layers(r->d, &layers))
        return;
    for (size_t i = 0; i < layers; i++)
        flags[i] = text[i % length] == 'L';
    tu_set_flags(r->d, TU_FACT_WINDOW_LAYERS, flags, layers, TU_ORIGIN_DERIVED, key);
}

static void take_window_layers(const struct tu_reading *r)
{
    static const char *const keys[] = {"sliding_window_pattern", "_sliding_window_pattern"};
    uint64_t window, period;
    double number;
    const char *text, *shown;
    size_t length;
    if (!tu_get_count(r->d, TU_FACT_WINDOW, &window) || !window ||
        take_layer_types(r, TU_FACT_WINDOW_LAYERS, "sliding_attention", "chunked_attention"))
        return;
    for (size_t i = 0; i < 2; i++) {
        const struct tensor_value *v = tu_config_ask(r, keys[i], &shown);
        if (tu_value_uint(v, &period)) {
            tu_set_period(r->d, TU_FACT_WINDOW_LAYERS, period, TU_ORIGIN_DERIVED, shown);
            return;
        }
        if (tu_value_string(v, &text, &length)) {
            take_letters(r, text, length, shown);
            return;
        }
    }
    if (r->closed && (tu_word_number(r->words, "period", &number) ||
                      tu_word_number(r->words, "rope.every", &number)))
        tu_set_period(r->d, TU_FACT_WINDOW_LAYERS, (uint64_t)number, TU_ORIGIN_DEFAULT, keys[0]);
}

static void take_linear_layers(const struct tu_reading *r)
{
    double interval;
    uint64_t given, width, heads;
    if (tu_word_number(r->words, "interval", &interval) &&
        !take_layer_types(r, TU_FACT_LINEAR_LAYERS, "linear_attention", "linear_attention")) {
        bool stated = tu_config_count(r, "full_attention_interval", &given) && given;
        tu_set_period(r->d, TU_FACT_LINEAR_LAYERS, stated ? given : (uint64_t)interval,
                      stated ? TU_ORIGIN_DERIVED : TU_ORIGIN_DEFAULT, "full_attention_interval");
    }
    if (tu_config_count(r, "linear_value_head_dim", &width) &&
        tu_config_count(r, "linear_num_value_heads", &heads))
        tu_set_count(r->d, TU_FACT_SSM_INNER, width * heads, TU_ORIGIN_DERIVED,
                     "linear_value_head_dim linear_num_value_heads");
}

void tu_config_windows(const struct tu_reading *r)
{
    take_window(r);
    take_window_layers(r);
    take_linear_layers(r);
}
