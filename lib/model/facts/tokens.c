/* SPDX-License-Identifier: MIT */
/* Facts of tokens: lists as digests, special ids, what is put in front and behind. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "model/facts/config.h"
#include "model/facts/lists.h"
#include "model/facts/pieces.h"

/* ---- Lists of GGUF ---- */

enum { SHOWN_DIGITS = 16, TOKENS_MAX = TU_LIST_MAX };

static bool are_texts(const struct tensor_value *v)
{
    if (!v || v->type != TENSOR_ARRAY || v->array.count > TOKENS_MAX)
        return false;
    for (size_t i = 0; i < v->array.count; i++)
        if (v->array.items[i].type != TENSOR_STRING)
            return false;
    return true;
}

/* Types of tokens, as GGUF numbers them, are those of pieces. */
static uint64_t type_of(const struct tensor_value *types, size_t i)
{
    uint64_t type = TU_PIECE_NORMAL;
    if (types && types->type == TENSOR_ARRAY && i < types->array.count)
        (void)tu_value_uint(&types->array.items[i], &type);
    return type;
}

/* Normal tokens in one digest, added ones in another.  What only fills the list up to the rows of
 * the embedding, and bytes, which tokenizer.json does not tell from others, are in neither. */
static void take_gguf_tokens(struct tu_desk *d, const struct tensor_value *tokens,
                             const struct tensor_value *types)
{
    static const char key[] = "tokenizer.ggml.tokens";
    struct tu_digest *normal = tu_list_begin(d), *added = tu_list_begin(d);
    size_t normals = 0, others = 0, real = 0;
    for (size_t i = 0; normal && added && i < tokens->array.count; i++) {
        uint64_t type = type_of(types, i);
        real += type != TU_PIECE_UNUSED;
        if (type == TU_PIECE_NORMAL) {
            tu_list_put_token(normal, i, &tokens->array.items[i]);
            normals++;
        } else if (type != TU_PIECE_UNUSED && type != TU_PIECE_BYTE) {
            tu_list_put_token(added, i, &tokens->array.items[i]);
            others++;
        }
    }
    if (normal)
        tu_list_end(d, normal, TU_FACT_TOKENS, normals, key);
    if (added)
        tu_list_end(d, added, TU_FACT_TOKENS_ADDED, others, key);
    tu_set_count(d, TU_FACT_TOKENS_COUNT, real, TU_ORIGIN_GIVEN, key);
    if (!types)
        d->out->facts[TU_FACT_TOKENS].note =
            "tokenizer.ggml.token_type is not there: added tokens are among them";
}

static void take_gguf_merges(struct tu_desk *d, const struct tensor_value *merges)
{
    struct tu_digest *digest = tu_list_begin(d);
    for (size_t i = 0; digest && i < merges->array.count; i++)
        tu_list_put_token(digest, i, &merges->array.items[i]);
    if (digest)
        tu_list_end(d, digest, TU_FACT_MERGES, merges->array.count, "tokenizer.ggml.merges");
}

/* Of normal tokens: those of others depend on what made the list. */
static void take_gguf_scores(struct tu_desk *d, const struct tensor_value *scores,
                             const struct tensor_value *types)
{
    struct tu_digest *digest = tu_list_begin(d);
    size_t normals = 0;
    size_t count = scores->type == TENSOR_ARRAY && scores->array.count <= TU_LIST_MAX
                       ? scores->array.count
                       : 0;
    for (size_t i = 0; digest && i < count; i++) {
        double score = 0;
        if (type_of(types, i) != TU_PIECE_NORMAL)
            continue;
        (void)tu_value_number(&scores->array.items[i], &score);
        tu_list_put_score(digest, i, (float)score);
        normals++;
    }
    if (digest)
        tu_list_end(d, digest, TU_FACT_SCORES, normals, "tokenizer.ggml.scores");
}

/* ---- Special tokens of GGUF ---- */

static void add_id(const struct tensor_value *v, uint64_t ids[static 8], size_t *count)
{
    uint64_t id;
    if (!tu_value_uint(v, &id) || id > UINT32_MAX || *count == 8)
        return;
    for (size_t i = 0; i < *count; i++)
        if (ids[i] == id)
            return;
    ids[(*count)++] = id;
}

/* An id, or what the kind of tokenizer takes without one. */
static void take_gguf_id(struct tu_desk *d, enum tu_fact_id id, const char *name, int otherwise)
{
    const char *key = tu_desk_text(d, "tokenizer.ggml.%s_token_id", name);
    const struct tensor_value *v = tu_value_get(d->s->metadata, key);
    uint64_t ids[8] = {(uint64_t)otherwise};
    size_t count = 0;
    if (v && !tu_take(d, id, v, key))
        return;
    if (v && id == TU_FACT_TOKEN_EOS) {
        add_id(v, ids, &count);
        add_id(tu_value_get(d->s->metadata, "tokenizer.ggml.eot_token_id"), ids, &count);
        add_id(tu_value_get(d->s->metadata, "tokenizer.ggml.eom_token_id"), ids, &count);
        if (count > 1)
            tu_set_ids(d, id, ids, count, TU_ORIGIN_GIVEN, key);
    } else if (!v && otherwise >= 0) {
        tu_set_ids(d, id, ids, 1, TU_ORIGIN_DEFAULT, key);
    }
}

static void take_gguf_ids(struct tu_desk *d, bool spm)
{
    take_gguf_id(d, TU_FACT_TOKEN_BOS, "bos", spm ? 1 : -1);
    take_gguf_id(d, TU_FACT_TOKEN_EOS, "eos", spm ? 2 : -1);
    take_gguf_id(d, TU_FACT_TOKEN_UNK, "unknown", -1);
    take_gguf_id(d, TU_FACT_TOKEN_SEP, "seperator", -1); /* so it is spelt */
    take_gguf_id(d, TU_FACT_TOKEN_PAD, "padding", -1);
    take_gguf_id(d, TU_FACT_TOKEN_MASK, "mask", -1);
}

static void take_template(struct tu_desk *d, const char *text, size_t length, const char *key)
{
    char digest[TU_DIGEST_TEXT];
    struct tu_error ignored = {0};
    while (length && strchr(" \t\r\n", text[length - 1]))
        length--;
    if (tu_sha256(text, length, digest, &ignored) < 0)
        d->failed = true;
    else
        tu_set_word(d, TU_FACT_CHAT_TEMPLATE,
                    tu_desk_text(d, "%zu bytes, sha256 %.*s", length, SHOWN_DIGITS, digest),
                    TU_ORIGIN_GIVEN, key);
}

static void default_flag(struct tu_desk *d, enum tu_fact_id id, bool value, const char *key)
{
    if (!tu_known(d, id) && !d->out->facts[id].note)
        tu_set_flag(d, id, value, TU_ORIGIN_DEFAULT, key);
}

void tu_facts_gguf_tokens(struct tu_desk *d)
{
    const struct tensor_value *meta = d->s->metadata;
    const struct tensor_value *kind = tu_value_get(meta, "tokenizer.ggml.model");
    const struct tensor_value *tokens = tu_value_get(meta, "tokenizer.ggml.tokens");
    const struct tensor_value *types = tu_value_get(meta, "tokenizer.ggml.token_type");
    const struct tensor_value *merges = tu_value_get(meta, "tokenizer.ggml.merges");
    const struct tensor_value *scores = tu_value_get(meta, "tokenizer.ggml.scores");
    const char *text;
    size_t length;
    bool spm = tu_value_equals(kind, "llama");
    if (kind && kind->type == TENSOR_STRING)
        tu_take(d, TU_FACT_TOKENIZER_KIND, kind, "tokenizer.ggml.model");
    if (are_texts(tokens) && tokens->array.count)
        take_gguf_tokens(d, tokens, types);
    if (types && (spm || tu_value_equals(kind, "t5"))) /* they came from a SentencePiece model */
        d->out->facts[TU_FACT_PIECES] = d->out->facts[TU_FACT_TOKENS];
    if (are_texts(merges) && merges->array.count)
        take_gguf_merges(d, merges);
    if (scores && scores->type == TENSOR_ARRAY && scores->array.count)
        take_gguf_scores(d, scores, types);
    take_gguf_ids(d, spm);
    if (spm) {
        default_flag(d, TU_FACT_ADD_BOS, true, "tokenizer.ggml.add_bos_token");
        default_flag(d, TU_FACT_ADD_SPACE_PREFIX, true, "tokenizer.ggml.add_space_prefix");
    }
    if (tu_value_string(tu_value_get(meta, "tokenizer.chat_template"), &text, &length))
        take_template(d, text, length, "tokenizer.chat_template");
}

/* ---- tokenizer.json ---- */

/* Tokens by id. */
struct shelf {
    const struct tensor_value **texts; /* NULL: there is none */
    bool *added;
    size_t size; /* ids below it */
};

/* The id and text of item i of the model's vocabulary: a map from text to id, or a list of pairs of
 * text and score. */
static bool vocabulary_item(const struct tensor_value *vocab, size_t i, uint64_t *id,
                            const struct tensor_value **text)
{
    *id = i;
    if (vocab->type == TENSOR_MAP) {
        *text = &vocab->map.pairs[i].key;
        return tu_value_uint(&vocab->map.pairs[i].value, id) && *id < TOKENS_MAX;
    }
    const struct tensor_value *pair = &vocab->array.items[i];
    if (pair->type != TENSOR_ARRAY || pair->array.count == 0 ||
        pair->array.items[0].type != TENSOR_STRING)
        return false;
    *text = &pair->array.items[0];
    return i < TOKENS_MAX;
}

static size_t vocabulary_count(const struct tensor_value *vocab)
{
    return !vocab                        ? 0
           : vocab->type == TENSOR_MAP   ? vocab->map.count
           : vocab->type == TENSOR_ARRAY ? vocab->array.count
                                         : 0;
}

/* Adds a token; false where its id leaves too large a gap. */
static bool shelve(struct shelf *s, uint64_t id, const struct tensor_value *text, bool added)
{
    if (id >= s->size)
        return false;
    s->texts[id] = text;
    s->added[id] = added;
    return true;
}

static bool is_added(const struct tensor_value *item, uint64_t *id,
                     const struct tensor_value **text)
{
    *text = tu_value_get(item, "content");
    return tu_value_uint(tu_value_get(item, "id"), id) && *text && (*text)->type == TENSOR_STRING;
}

static bool fill_shelf(struct shelf *s, const struct tensor_value *vocab,
                       const struct tensor_value *added)
{
    const struct tensor_value *text;
    uint64_t id;
    for (size_t i = 0; i < vocabulary_count(vocab); i++)
        if (!vocabulary_item(vocab, i, &id, &text) || !shelve(s, id, text, false))
            return false;
    for (size_t i = 0; added && added->type == TENSOR_ARRAY && i < added->array.count; i++)
        if (!is_added(&added->array.items[i], &id, &text) || !shelve(s, id, text, true))
            return false;
    return true;
}

/* "<0x0A>": a token for a byte. */
static bool is_byte(const struct tensor_value *text)
{
    return text->string.length == 6 && memcmp(text->string.bytes, "<0x", 3) == 0 &&
           text->string.bytes[5] == '>';
}

static void digest_shelf(struct tu_desk *d, const struct shelf *s)
{
    struct tu_digest *normal = tu_list_begin(d), *added = tu_list_begin(d);
    size_t normals = 0, others = 0, real = 0;
    for (size_t i = 0; normal && added && i < s->size; i++) {
        if (!s->texts[i])
            continue;
        real++;
        if (s->added[i]) {
            tu_list_put_token(added, i, s->texts[i]);
            others++;
        } else if (!is_byte(s->texts[i])) {
            tu_list_put_token(normal, i, s->texts[i]);
            normals++;
        }
    }
    if (normal)
        tu_list_end(d, normal, TU_FACT_TOKENS, normals, "tokenizer.json model.vocab");
    if (added)
        tu_list_end(d, added, TU_FACT_TOKENS_ADDED, others, "tokenizer.json added_tokens");
    tu_set_count(d, TU_FACT_TOKENS_COUNT, real, TU_ORIGIN_GIVEN, "tokenizer.json");
}

static void take_vocabulary(struct tu_desk *d, const struct tensor_value *tokenizer)
{
    const struct tensor_value *vocab = tu_value_path(tokenizer, "model.vocab");
    const struct tensor_value *added = tu_value_get(tokenizer, "added_tokens");
    size_t more = added && added->type == TENSOR_ARRAY ? added->array.count : 0;
    size_t count = vocabulary_count(vocab) + more;
    if (!vocabulary_count(vocab) || count > TOKENS_MAX)
        return;
    struct shelf s = {.size = 2 * count + 4096};
    s.texts = calloc(s.size, sizeof(const struct tensor_value *));
    s.added = calloc(s.size, sizeof *s.added);
    if (!s.texts || !s.added)
        d->failed = true;
    else if (fill_shelf(&s, vocab, added))
        digest_shelf(d, &s);
    else
        tu_set_unknown(d, TU_FACT_TOKENS, "tokenizer.json",
                       "tokenizer.json has a token without text or without an id of its own");
    free(s.texts);
    free(s.added);
}

/* One merge as GGUF has it: two parts with a blank between them, and U+0120 for blanks inside. */
static bool put_merge(struct tu_digest *digest, uint64_t i, const struct tensor_value *merge)
{
    static const char blank[] = "\xc4\xa0";
    char text[4096];
    size_t used = 0;
    if (merge->type == TENSOR_STRING) {
        tu_list_put_token(digest, i, merge);
        return true;
    }
    if (merge->type != TENSOR_ARRAY || merge->array.count != 2)
        return false;
    for (size_t k = 0; k < 2; k++) {
        const struct tensor_value *part = &merge->array.items[k];
        if (part->type != TENSOR_STRING || used + 2 * part->string.length + 2 > sizeof text)
            return false;
        if (k)
            text[used++] = ' ';
        for (size_t b = 0; b < part->string.length; b++) {
            bool is_blank = part->string.bytes[b] == ' ';
            memcpy(text + used, is_blank ? blank : &part->string.bytes[b], is_blank ? 2 : 1);
            used += is_blank ? 2 : 1;
        }
    }
    tu_list_put_token(digest, i,
                      &(struct tensor_value){.type = TENSOR_STRING, .string = {text, used}});
    return true;
}

static void take_merges(struct tu_desk *d, const struct tensor_value *merges)
{
    struct tu_digest *digest;
    if (!merges || merges->type != TENSOR_ARRAY || merges->array.count == 0 ||
        merges->array.count > TOKENS_MAX || !(digest = tu_list_begin(d)))
        return;
    for (size_t i = 0; i < merges->array.count; i++) {
        if (put_merge(digest, i, &merges->array.items[i]))
            continue;
        tu_digest_free(digest);
        tu_set_unknown(d, TU_FACT_MERGES, "tokenizer.json model.merges",
                       "tokenizer.json has a merge that is no pair");
        return;
    }
    tu_list_end(d, digest, TU_FACT_MERGES, merges->array.count, "tokenizer.json model.merges");
}

/* In the words of GGUF. */
static void take_kind(struct tu_desk *d, const struct tensor_value *tokenizer)
{
    const struct tensor_value *type = tu_value_path(tokenizer, "model.type");
    const struct tensor_value *bytes = tu_value_path(tokenizer, "model.byte_fallback");
    bool fallback = bytes && bytes->type == TENSOR_BOOLEAN && bytes->boolean;
    const char *word = tu_value_equals(type, "BPE")         ? (fallback ? "llama" : "gpt2")
                       : tu_value_equals(type, "Unigram")   ? "t5"
                       : tu_value_equals(type, "WordPiece") ? "bert"
                                                            : NULL;
    if (word)
        tu_set_word(d, TU_FACT_TOKENIZER_KIND, word, TU_ORIGIN_GIVEN, "tokenizer.json model.type");
}

/* ---- Special tokens of Hugging Face ---- */

/* The id of a token's text among those that were added. */
static const struct tensor_value *id_of_text(const struct tu_desk *d,
                                             const struct tensor_value *text)
{
    const struct tensor_value *list = tu_value_get(d->s->tokenizer, "added_tokens");
    for (size_t i = 0; list && list->type == TENSOR_ARRAY && i < list->array.count; i++) {
        const struct tensor_value *item = &list->array.items[i];
        if (tu_value_equals(tu_value_get(item, "content"), text->string.bytes))
            return tu_value_get(item, "id");
    }
    return NULL;
}

/* The same of added_tokens_decoder, whose keys are ids as text. */
static bool id_in_decoder(const struct tu_desk *d, const struct tensor_value *text,
                          struct tensor_value *id)
{
    const struct tensor_value *map = tu_value_get(d->s->tokenizer_config, "added_tokens_decoder");
    for (size_t i = 0; map && map->type == TENSOR_MAP && i < map->map.count; i++) {
        const struct tensor_pair *p = &map->map.pairs[i];
        if (!tu_value_equals(tu_value_get(&p->value, "content"), text->string.bytes))
            continue;
        *id = (struct tensor_value){.type = TENSOR_UINT64,
                                    .uint = strtoull(p->key.string.bytes, NULL, 10)};
        return true;
    }
    return false;
}

static void add_ids(const struct tensor_value *v, uint64_t ids[static 8], size_t *count)
{
    for (size_t i = 0; v && v->type == TENSOR_ARRAY && i < v->array.count && i < 8; i++)
        add_id(&v->array.items[i], ids, count);
    add_id(v, ids, count);
}

/* All ids that some file of the folder gives for a special token. */
static void take_id(struct tu_desk *d, enum tu_fact_id id, const char *name)
{
    const struct tensor_value *root = d->s->metadata,
                              *text_config = tu_value_get(root, "text_config");
    const char *key = tu_desk_text(d, "%s_token_id", name);
    const struct tensor_value *v = tu_value_get(root, key);
    uint64_t ids[8];
    size_t count = 0;
    bool said = v != NULL;
    if (!v && (v = tu_value_get(text_config, key)))
        said = true;
    add_ids(v, ids, &count);
    if ((v = tu_value_get(d->s->generation_config, key)))
        said = true;
    add_ids(v, ids, &count);
    struct tensor_value found;
    const struct tensor_value *text =
        tu_value_get(d->s->tokenizer_config, tu_desk_text(d, "%s_token", name));
    if (text && text->type == TENSOR_MAP)
        text = tu_value_get(text, "content");
    if (text && text->type == TENSOR_STRING) {
        if (id_in_decoder(d, text, &found))
            add_ids(&found, ids, &count);
        else
            add_ids(id_of_text(d, text), ids, &count);
    }
    if (count)
        tu_set_ids(d, id, ids, count, TU_ORIGIN_GIVEN, key);
    else if (said)
        d->null[id] = true;
}

/* The class's own ids, where it has any and nothing is said. */
static void default_id(struct tu_desk *d, enum tu_fact_id id, const char *word, double otherwise,
                       const char *key)
{
    const char *words = d->config_class ? d->config_class->words : "";
    double number = otherwise;
    size_t length;
    if (!d->config_class || d->config_class->open || tu_word(words, "ids", &length) ||
        tu_known(d, id) || d->null[id] || tu_value_get(d->s->metadata, "auto_map"))
        return;
    (void)tu_word_number(words, word, &number);
    tu_set_count(d, id, (uint64_t)number, TU_ORIGIN_DEFAULT, key);
}

static void take_config_template(struct tu_desk *d)
{
    const struct tensor_value *v = tu_value_get(d->s->tokenizer_config, "chat_template");
    const char *text;
    size_t length;
    for (size_t i = 0; v && v->type == TENSOR_ARRAY && i < v->array.count; i++) {
        const struct tensor_value *item = &v->array.items[i];
        if (tu_value_equals(tu_value_get(item, "name"), "default")) {
            v = tu_value_get(item, "template");
            break;
        }
    }
    if (tu_value_string(v, &text, &length))
        take_template(d, text, length, "tokenizer_config.json chat_template");
    else if (d->s->chat_template)
        take_template(d, d->s->chat_template, d->s->chat_template_length, "chat_template.jinja");
}

void tu_facts_config_tokens(struct tu_desk *d)
{
    const struct tensor_value *v;
    if (d->s->tokenizer) {
        take_vocabulary(d, d->s->tokenizer);
        take_merges(d, tu_value_path(d->s->tokenizer, "model.merges"));
        take_kind(d, d->s->tokenizer);
    }
    if (d->s->pieces)
        tu_facts_pieces(d);
    take_id(d, TU_FACT_TOKEN_BOS, "bos");
    take_id(d, TU_FACT_TOKEN_EOS, "eos");
    take_id(d, TU_FACT_TOKEN_UNK, "unk");
    take_id(d, TU_FACT_TOKEN_SEP, "sep");
    take_id(d, TU_FACT_TOKEN_PAD, "pad");
    take_id(d, TU_FACT_TOKEN_MASK, "mask");
    default_id(d, TU_FACT_TOKEN_BOS, "token.bos", 1, "bos_token_id");
    default_id(d, TU_FACT_TOKEN_EOS, "token.eos", 2, "eos_token_id");
    if ((v = tu_value_get(d->s->tokenizer_config, "add_bos_token")) && v->type == TENSOR_BOOLEAN)
        tu_take(d, TU_FACT_ADD_BOS, v, "tokenizer_config.json add_bos_token");
    if ((v = tu_value_get(d->s->tokenizer_config, "add_eos_token")) && v->type == TENSOR_BOOLEAN)
        tu_take(d, TU_FACT_ADD_EOS, v, "tokenizer_config.json add_eos_token");
    if ((v = tu_value_get(d->s->tokenizer_config, "add_prefix_space")) && v->type == TENSOR_BOOLEAN)
        tu_take(d, TU_FACT_ADD_SPACE_PREFIX, v, "tokenizer_config.json add_prefix_space");
    take_config_template(d);
}
