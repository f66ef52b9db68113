/* SPDX-License-Identifier: MIT */
/* Facts of a config.json, as the class of transformers that its model_type names would read it. */
#include "config.h"

#include "model/facts/config.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

bool tu_is_null(const struct tensor_value *v)
{
    return v && v->type == TENSOR_NULL;
}

const struct tensor_value *tu_config_ask(const struct tu_reading *r, const char *key,
                                         const char **shown)
{
    const struct tensor_value *v = tu_value_path(r->text, key);
    *shown = v ? tu_desk_text(r->d, "%s%s", r->prefix, key) : key;
    return v || r->text == r->root ? v : tu_value_path(r->root, key);
}

const struct tensor_value *tu_config_find(const struct tu_reading *r, const char *key)
{
    const struct tensor_value *v = tu_value_path(r->text, key);
    return v || r->text == r->root ? v : tu_value_path(r->root, key);
}

/* The first of some keys that is there: true, and key is that one. */
static bool next_key(const char **keys, char key[static 64])
{
    size_t n = strcspn(*keys, " ");
    if (n == 0 || n >= 64)
        return false;
    memcpy(key, *keys, n);
    key[n] = '\0';
    *keys += n + strspn(*keys + n, " ");
    return true;
}

/* What null means: that there is none of it, where the fact has a value that does nothing. */
static void take_null(const struct tu_reading *r, enum tu_fact_id id, const char *shown)
{
    const struct tu_fact_row *rows;
    double number;
    (void)tu_fact_rows(&rows);
    const struct tu_fact_row *row = &rows[id];
    r->d->null[id] = true;
    if (row->kind == TU_FACT_FLAG)
        tu_set_flag(r->d, id, false, TU_ORIGIN_GIVEN, shown);
    else if (row->neutral && tu_word_number(tu_desk_text(r->d, "n=%s", row->neutral), "n", &number))
        row->kind == TU_FACT_COUNT
            ? tu_set_count(r->d, id, (uint64_t)number, TU_ORIGIN_GIVEN, shown)
            : tu_set_real(r->d, id, number, TU_ORIGIN_GIVEN, shown);
}

bool tu_config_take(const struct tu_reading *r, enum tu_fact_id id, const char *keys)
{
    char key[64];
    const char *shown;
    while (next_key(&keys, key)) {
        const struct tensor_value *v = tu_config_ask(r, key, &shown);
        if (!v)
            continue;
        if (tu_is_null(v))
            take_null(r, id, shown);
        else
            tu_take(r->d, id, v, shown);
        return true;
    }
    return false;
}

static void take_rows(const struct tu_reading *r)
{
    const struct tu_fact_row *rows;
    size_t count = tu_fact_rows(&rows);
    for (size_t i = 0; i < count; i++)
        if (rows[i].config)
            tu_config_take(r, (enum tu_fact_id)i, rows[i].config);
}

/* ---- The class ---- */

/* Letters and digits of two names, as far as the shorter goes: "Qwen3MoeForCausalLM" begins with
 * "qwen3_moe". */
static bool begins_alike(const char *name, const char *type, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)type[i]))
            continue;
        while (*name && !isalnum((unsigned char)*name))
            name++;
        if (tolower((unsigned char)*name++) != tolower((unsigned char)type[i]))
            return false;
    }
    return true;
}

/* Code of another class under the model_type of a known one. */
static bool is_other_code(const struct tu_reading *r, const char *type, size_t length)
{
    const struct tensor_value *list = tu_value_get(r->root, "architectures");
    size_t suffix = strlen("_text");
    if (r->text != r->root || !list || list->type != TENSOR_ARRAY || list->array.count == 0 ||
        list->array.items[0].type != TENSOR_STRING)
        return false;
    if (length > suffix && memcmp(type + length - suffix, "_text", suffix) == 0)
        length -= suffix;
    return !begins_alike(list->array.items[0].string.bytes, type, length);
}

static void find_class(struct tu_reading *r)
{
    const char *type, *shown;
    size_t length;
    const struct tensor_value *v = tu_config_ask(r, "model_type", &shown);
    r->words = r->arch = "";
    if (!tu_value_string(v, &type, &length))
        return;
    const struct tu_config_class *c =
        is_other_code(r, type, length) ? NULL : tu_config_class(type, length);
    if (!c) {
        tu_set_unknown(
            r->d, TU_FACT_ARCH, shown,
            tu_desk_text(r->d, "the class of model_type %.64s, and so its defaults, is not known",
                         type));
        return;
    }
    r->d->config_class = c;
    r->d->out->reader = tu_desk_text(r->d, "transformers' %.64s", type);
    r->words = c->words;
    r->closed = !c->open && !tu_value_get(r->root, "auto_map");
    const struct tensor_value *both = tu_config_find(r, "use_bidirectional_attention");
    bool embeds =
        both && both->type == TENSOR_BOOLEAN && both->boolean && strcmp(c->arch, "gemma3") == 0;
    const char *arch = embeds ? "gemma-embedding" : c->arch;
    const struct tu_gguf_arch *known = tu_gguf_arch(arch, strlen(arch));
    r->arch = known ? known->words : "";
    tu_set_word(r->d, TU_FACT_ARCH, arch, TU_ORIGIN_GIVEN, shown);
}

static void set_text(const struct tu_reading *r, enum tu_fact_id id, const char *text,
                     size_t length, enum tu_fact_origin origin, const char *key)
{
    const struct tu_fact_row *rows;
    double number = 0;
    (void)tu_fact_rows(&rows);
    const char *copy = tu_desk_text(r->d, "%.*s", (int)length, text);
    (void)tu_word_number(tu_desk_text(r->d, "n=%s", copy), "n", &number);
    if (rows[id].kind == TU_FACT_COUNT)
        tu_set_count(r->d, id, (uint64_t)number, origin, key);
    else if (rows[id].kind == TU_FACT_REAL)
        tu_set_real(r->d, id, number, origin, key);
    else if (rows[id].kind == TU_FACT_FLAG)
        tu_set_flag(r->d, id, strcmp(copy, "true") == 0, origin, key);
    else
        tu_set_word(r->d, id, copy, origin, key);
}

static const char *first_key(const struct tu_reading *r, const char *keys)
{
    return keys ? tu_desk_text(r->d, "%.*s", (int)strcspn(keys, " "), keys) : NULL;
}

/* The constants of the class's code, and its defaults for keys that are not there. */
static void take_defaults(const struct tu_reading *r)
{
    const struct tu_fact_row *rows;
    size_t count = tu_fact_rows(&rows), length;
    for (size_t i = 0; i < count; i++) {
        enum tu_fact_id id = (enum tu_fact_id)i;
        const char *key = first_key(r, rows[i].config);
        const char *fixed = tu_word(r->words, tu_desk_text(r->d, "!%s", rows[i].name), &length);
        if (fixed) {
            set_text(r, id, fixed, length, TU_ORIGIN_ARCH, key);
            continue;
        }
        const char *text = tu_word(r->words, rows[i].name, &length);
        if (text && r->closed && key && !tu_known(r->d, id) && !r->d->null[id] &&
            !r->d->out->facts[id].note)
            set_text(r, id, text, length, TU_ORIGIN_DEFAULT, key);
    }
}

bool tu_config_number(const struct tu_reading *r, const char *key, const char *word, double *out,
                      enum tu_fact_origin *origin, const char **shown)
{
    const struct tensor_value *v = tu_config_ask(r, key, shown);
    if (v && !tu_is_null(v)) {
        *origin = TU_ORIGIN_GIVEN;
        return tu_value_number(v, out) && isfinite(*out);
    }
    *origin = TU_ORIGIN_DEFAULT;
    return r->closed && word && tu_word_number(r->words, word, out);
}

/* ---- Shape ---- */

bool tu_config_flag(const struct tu_reading *r, const char *key, bool otherwise)
{
    const struct tensor_value *v = tu_config_find(r, key);
    return v && v->type == TENSOR_BOOLEAN ? v->boolean : otherwise;
}

/* Falcon stores num_kv_heads as heads even where multi_query makes it 1. */
static void falcon_kv_heads(const struct tu_reading *r)
{
    uint64_t heads;
    if (tu_config_flag(r, "new_decoder_architecture", false))
        tu_config_take(r, TU_FACT_KV_HEADS, "num_kv_heads n_head_kv");
    else if (tu_config_flag(r, "multi_query", true))
        tu_set_count(r->d, TU_FACT_KV_HEADS, 1, TU_ORIGIN_DERIVED, "multi_query");
    else if (tu_get_count(r->d, TU_FACT_HEADS, &heads))
        tu_set_count(r->d, TU_FACT_KV_HEADS, heads, TU_ORIGIN_DERIVED, "multi_query");
}

static void take_heads(const struct tu_reading *r)
{
    uint64_t heads, hidden, width;
    bool settled = r->closed || (r->d->config_class && r->d->null[TU_FACT_KV_HEADS]);
    if (r->d->config_class && strcmp(r->d->config_class->types, "falcon") == 0)
        falcon_kv_heads(r);
    else if (tu_config_flag(r, "multi_query_attention", false))
        tu_config_take(r, TU_FACT_KV_HEADS, "multi_query_group_num");
    bool any = tu_get_count(r->d, TU_FACT_HEADS, &heads) && heads;
    if (any && settled && !tu_known(r->d, TU_FACT_KV_HEADS) &&
        !r->d->out->facts[TU_FACT_KV_HEADS].note)
        tu_set_count(r->d, TU_FACT_KV_HEADS, heads, TU_ORIGIN_DERIVED, "num_attention_heads");
    if (any && (r->closed || (r->d->config_class && r->d->null[TU_FACT_HEAD_DIM])) &&
        !tu_known(r->d, TU_FACT_HEAD_DIM) && !r->d->out->facts[TU_FACT_HEAD_DIM].note &&
        tu_get_count(r->d, TU_FACT_HIDDEN, &hidden))
        tu_set_count(r->d, TU_FACT_HEAD_DIM, hidden / heads, TU_ORIGIN_DERIVED,
                     "hidden_size / num_attention_heads");
    if (r->closed && tu_get_count(r->d, TU_FACT_HEAD_DIM, &width))
        tu_set_count(r->d, TU_FACT_V_HEAD_DIM, width, TU_ORIGIN_DERIVED, "head_dim");
}

bool tu_config_count(const struct tu_reading *r, const char *key, uint64_t *out)
{
    return tu_value_uint(tu_config_find(r, key), out) && *out <= UINT32_MAX;
}

/* Layers with a window have heads of one width, the others of another; and a list of layers with
 * shapes of their own leaves nothing that holds for all of them. */
static void take_layer_shapes(const struct tu_reading *r)
{
    static const enum tu_fact_id own[] = {TU_FACT_KV_HEADS, TU_FACT_FFN};
    size_t length;
    const struct tensor_value *blocks = tu_config_find(r, "block_configs");
    if (tu_word(r->words, "two_widths", &length)) {
        tu_config_take(r, TU_FACT_HEAD_DIM_LOCAL, "head_dim");
        tu_config_take(r, TU_FACT_HEAD_DIM, "global_head_dim head_dim");
        tu_set_unknown(r->d, TU_FACT_KV_HEADS, NULL, NULL);
    }
    for (size_t i = 0; i < 2 && blocks && blocks->type == TENSOR_ARRAY; i++)
        tu_set_unknown(r->d, own[i], "block_configs",
                       "block_configs gives each layer its own, which is not read");
}

/* Where keys and values are compressed, each head has widths of its own, and kv_heads and head_dim
 * of a GGUF are those of what is cached. */
static void take_mla(const struct tu_reading *r)
{
    uint64_t nope, rope, value;
    if (!tu_known(r->d, TU_FACT_MLA_KV_RANK))
        return;
    tu_set_unknown(r->d, TU_FACT_KV_HEADS, NULL, NULL);
    tu_set_unknown(r->d, TU_FACT_HEAD_DIM, NULL, NULL);
    tu_set_unknown(r->d, TU_FACT_V_HEAD_DIM, NULL, NULL);
    if (tu_config_count(r, "qk_nope_head_dim", &nope) &&
        tu_config_count(r, "qk_rope_head_dim", &rope))
        tu_set_count(r->d, TU_FACT_MLA_KEY, nope + rope, TU_ORIGIN_DERIVED,
                     "qk_nope_head_dim + qk_rope_head_dim");
    if (tu_config_count(r, "v_head_dim", &value))
        tu_set_count(r->d, TU_FACT_MLA_VALUE, value, TU_ORIGIN_GIVEN, "v_head_dim");
}

static void take_ffn(const struct tu_reading *r)
{
    double number;
    uint64_t hidden;
    size_t length;
    const char *key = tu_word(r->words, "ffn", &length);
    if (tu_word_is(r->words, "ffn", "none"))
        tu_set_unknown(r->d, TU_FACT_FFN, NULL, NULL);
    else if (tu_word_number(r->words, "ffn", &number)) {
        const struct tensor_value *given = tu_config_find(r, "n_inner");
        if ((!given || tu_is_null(given)) && tu_get_count(r->d, TU_FACT_HIDDEN, &hidden) &&
            hidden <= UINT32_MAX)
            tu_set_count(r->d, TU_FACT_FFN, (uint64_t)number * hidden, TU_ORIGIN_DERIVED,
                         "4 n_embd");
    } else if (key && !tu_config_flag(r, "block_auto_adjust_ff_dim", false))
        tu_config_take(r, TU_FACT_FFN,
                       tu_desk_text(r->d, "%.*s intermediate_size", (int)length, key));
    else if (key)
        tu_set_unknown(r->d, TU_FACT_FFN, NULL, NULL);
}

static void take_tied(const struct tu_reading *r)
{
    const struct tensor_value *root = tu_value_get(r->root, "tie_word_embeddings");
    const struct tensor_value *text = tu_value_get(r->text, "tie_word_embeddings");
    const struct tensor_value *v = root ? root : text;
    if (root && text && root->type == TENSOR_BOOLEAN && text->type == TENSOR_BOOLEAN &&
        root->boolean != text->boolean)
        tu_add_conflict(r->d, "tie_word_embeddings is %s at the root and %s in %.*s",
                        root->boolean ? "true" : "false", text->boolean ? "true" : "false",
                        (int)(strlen(r->prefix) ? strlen(r->prefix) - 1 : 0), r->prefix);
    if (v && !tu_is_null(v))
        tu_take(r->d, TU_FACT_TIED, v, "tie_word_embeddings");
    else if (v || r->closed)
        tu_set_flag(r->d, TU_FACT_TIED, !v && tu_word_is(r->words, "tied", "true"),
                    v ? TU_ORIGIN_GIVEN : TU_ORIGIN_DEFAULT, "tie_word_embeddings");
    bool tied;
    if (!r->d->s->tensors_known || r->d->s->output_present ||
        !tu_get_flag(r->d, TU_FACT_TIED, &tied) || tied)
        return;
    r->d->out->facts[TU_FACT_TIED].note = "there is no lm_head.weight";
    tu_add_conflict(r->d, "tie_word_embeddings is false and there is no lm_head.weight");
}

/* ---- Norms, activation, multipliers ---- */

static const char epsilons[] =
    "rms_norm_eps layer_norm_eps layer_norm_epsilon norm_epsilon norm_eps layernorm_epsilon";

/* A class that is not known may read any of the keys: only where they agree is it known. */
static void take_any_eps(const struct tu_reading *r)
{
    const char *keys = epsilons, *first = NULL;
    char key[64];
    double value = 0, other;
    while (next_key(&keys, key)) {
        if (!tu_value_number(tu_config_find(r, key), &other))
            continue;
        if (first && other != value) {
            tu_set_unknown(
                r->d, TU_FACT_NORM_EPS, first,
                tu_desk_text(r->d, "%s and %s differ, and the class is not known", first, key));
            return;
        }
        first = first ? first : tu_desk_text(r->d, "%s", key);
        value = other;
    }
    if (first)
        tu_config_take(r, TU_FACT_NORM_EPS, first);
}

static void take_norm(const struct tu_reading *r)
{
    size_t length;
    double number = 1e-6;
    const char *key = tu_word(r->words, "eps", &length);
    key = key ? tu_desk_text(r->d, "%.*s", (int)length, key) : r->closed ? "rms_norm_eps" : NULL;
    if (!key) {
        take_any_eps(r);
    } else if (!tu_config_take(r, TU_FACT_NORM_EPS, key) && r->closed) {
        (void)tu_word_number(r->words, "norm.eps", &number);
        tu_set_real(r->d, TU_FACT_NORM_EPS, number, TU_ORIGIN_DEFAULT, key);
    }
    const char *kind = tu_word(r->arch, "kind", &length);
    if (kind)
        tu_set_word(r->d, TU_FACT_NORM_KIND, tu_desk_text(r->d, "%.*s", (int)length, kind),
                    TU_ORIGIN_ARCH, "model_type");
}

static void take_activation(const struct tu_reading *r)
{
    size_t length;
    char key[64];
    const char *own = tu_word(r->words, "act", &length), *shown;
    const char *keys = own ? tu_desk_text(r->d, "%.*s", (int)length, own)
                           : "hidden_activation hidden_act activation_function";
    while (next_key(&keys, key)) {
        const struct tensor_value *v = tu_config_ask(r, key, &shown);
        const char *word = v ? tu_activation(v) : NULL;
        if (word) {
            tu_set_word(r->d, TU_FACT_ACT, word, TU_ORIGIN_GIVEN, shown);
            return;
        }
    }
}

static void take_scale(const struct tu_reading *r, enum tu_fact_id id, const char *key,
                       double otherwise, bool inverse)
{
    enum tu_fact_origin origin;
    const char *shown;
    double value = otherwise;
    if (!tu_config_number(r, key, NULL, &value, &origin, &shown))
        origin = TU_ORIGIN_DEFAULT;
    tu_set_real(r->d, id, inverse ? 1 / value : value, origin, shown);
}

static void take_multipliers(const struct tu_reading *r)
{
    static const enum tu_fact_id ids[] = {TU_FACT_SCALE_EMBEDDING, TU_FACT_SCALE_RESIDUAL,
                                          TU_FACT_SCALE_LOGITS};
    uint64_t hidden;
    for (size_t i = 0; i < 3 && r->closed; i++)
        tu_set_real(r->d, ids[i], 1, TU_ORIGIN_ARCH, "model_type");
    if (tu_word_is(r->words, "scales", "gemma") && tu_get_count(r->d, TU_FACT_HIDDEN, &hidden)) {
        tu_set_real(r->d, TU_FACT_SCALE_EMBEDDING, sqrt((double)hidden), TU_ORIGIN_ARCH,
                    "sqrt(hidden_size)");
    } else if (tu_word_is(r->words, "scales", "granite")) {
        take_scale(r, TU_FACT_SCALE_EMBEDDING, "embedding_multiplier", 1, false);
        take_scale(r, TU_FACT_SCALE_RESIDUAL, "residual_multiplier", 1, false);
        take_scale(r, TU_FACT_SCALE_LOGITS, "logits_scaling", 1, true);
        take_scale(r, TU_FACT_ATTN_SCALE, "attention_multiplier", 1, false);
    } else if (tu_word_is(r->words, "scales", "cohere")) {
        take_scale(r, TU_FACT_SCALE_LOGITS, "logit_scale", 0.0625, false);
    }
}

static void take_softcaps(const struct tu_reading *r)
{
    static const enum tu_fact_id ids[] = {TU_FACT_ATTN_SOFTCAP, TU_FACT_LOGIT_SOFTCAP};
    for (size_t i = 0; i < 2 && r->closed; i++)
        if (!tu_known(r->d, ids[i]) && !r->d->out->facts[ids[i]].note)
            tu_set_real(r->d, ids[i], 0, TU_ORIGIN_ARCH, "model_type");
}

/* What multiplies q k. */
static void take_attn_scale(const struct tu_reading *r)
{
    double scalar, all = 0, factor = 1;
    enum tu_fact_origin origin;
    const char *shown;
    uint64_t width;
    if (tu_known(r->d, TU_FACT_ATTN_SCALE))
        return;
    if (tu_word(r->words, "scalar", &(size_t){0})) {
        if (tu_config_number(r, "query_pre_attn_scalar", "scalar", &scalar, &origin, &shown) &&
            scalar > 0)
            tu_set_real(r->d, TU_FACT_ATTN_SCALE, 1 / sqrt(scalar), origin, shown);
    } else if (tu_get_count(r->d, TU_FACT_MLA_KEY, &width)) {
        (void)tu_get_real(r->d, TU_FACT_ROPE_MSCALE_ALL_DIM, &all);
        if (!tu_get_word(r->d, TU_FACT_ROPE_SCALING, "yarn") ||
            !tu_get_real(r->d, TU_FACT_ROPE_FACTOR, &factor))
            factor = 1;
        double g = all > 0 ? tu_yarn_scale(all, factor) : 1;
        if (r->closed && width)
            tu_set_real(r->d, TU_FACT_ATTN_SCALE, g * g / sqrt((double)width), TU_ORIGIN_DERIVED,
                        "1/sqrt(qk_nope_head_dim + qk_rope_head_dim), mscale_all_dim");
    } else if (r->closed) {
        tu_derive_attn_scale(r->d);
    }
}

static void take_causal(const struct tu_reading *r)
{
    const struct tensor_value *both = tu_config_find(r, "use_bidirectional_attention");
    if (both && both->type == TENSOR_BOOLEAN)
        tu_set_flag(r->d, TU_FACT_CAUSAL, !both->boolean, TU_ORIGIN_GIVEN,
                    "use_bidirectional_attention");
    else if (r->closed && !tu_known(r->d, TU_FACT_CAUSAL))
        tu_set_flag(r->d, TU_FACT_CAUSAL, true, TU_ORIGIN_ARCH, "model_type");
}

/* ---- Experts ---- */

static void take_experts(const struct tu_reading *r)
{
    uint64_t experts, shared, ffn;
    if (tu_word_is(r->words, "experts_ffn", "dense"))
        tu_config_take(r, TU_FACT_EXPERTS_FFN, "intermediate_size");
    if (tu_get_count(r->d, TU_FACT_EXPERTS_SHARED, &shared) &&
        tu_get_count(r->d, TU_FACT_EXPERTS_FFN, &ffn) && shared <= UINT32_MAX &&
        ffn <= UINT32_MAX && r->closed && !tu_known(r->d, TU_FACT_EXPERTS_SHARED_FFN))
        tu_set_count(r->d, TU_FACT_EXPERTS_SHARED_FFN, shared * ffn, TU_ORIGIN_DERIVED,
                     "n_shared_experts moe_intermediate_size");
    bool any = tu_get_count(r->d, TU_FACT_EXPERTS, &experts) && experts;
    if (any && r->closed && !tu_known(r->d, TU_FACT_EXPERTS_SCALE))
        tu_set_real(r->d, TU_FACT_EXPERTS_SCALE, 1, TU_ORIGIN_ARCH, "model_type");
    for (enum tu_fact_id id = TU_FACT_EXPERTS_USED; id <= TU_FACT_EXPERTS_EVERY && !any; id++)
        if (!r->d->out->facts[id].note)
            tu_set_unknown(r->d, id, NULL, NULL);
}

/* No groups and one group are the same. */
static void settle_groups(struct tu_desk *d)
{
    static const enum tu_fact_id ids[] = {TU_FACT_EXPERTS_GROUPS, TU_FACT_EXPERTS_GROUPS_USED};
    uint64_t groups;
    for (size_t i = 0; i < 2; i++)
        if (tu_get_count(d, ids[i], &groups) && groups == 0)
            d->out->facts[ids[i]].value.uint = 1;
}

/* ---- The whole ---- */

static void find_text(struct tu_reading *r)
{
    static const char *const nests[] = {
        "text_config", "llm_config", "lm_config", "language_config", "thinker_config.text_config",
        "lfm"};
    r->text = r->root;
    r->prefix = "";
    for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) {
        const struct tensor_value *v = tu_value_path(r->root, nests[i]);
        if (v && v->type == TENSOR_MAP && v->map.count) {
            r->text = v;
            r->prefix = tu_desk_text(r->d, "%s.", nests[i]);
            return;
        }
    }
}

static void take_quantization(const struct tu_reading *r)
{
    const struct tensor_value *v = tu_value_path(r->root, "quantization_config.quant_method");
    if (v && v->type == TENSOR_STRING)
        tu_set(r->d, TU_FACT_QUANT, *v, TU_ORIGIN_GIVEN, "quantization_config.quant_method");
}

void tu_facts_config(struct tu_desk *d)
{
    struct tu_reading r = {.d = d, .root = d->s->metadata};
    d->out->reader = "transformers";
    find_text(&r);
    find_class(&r);
    take_rows(&r);
    take_defaults(&r);
    take_heads(&r);
    take_mla(&r);
    take_ffn(&r);
    take_layer_shapes(&r);
    take_tied(&r);
    take_norm(&r);
    take_activation(&r);
    take_multipliers(&r);
    take_softcaps(&r);
    take_causal(&r);
    tu_config_rope(&r);
    take_attn_scale(&r);
    tu_config_windows(&r);
    take_experts(&r);
    settle_groups(d);
    take_quantization(&r);
    tu_facts_config_tokens(d);
}
