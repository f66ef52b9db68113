/* SPDX-License-Identifier: MIT */
/* Finds out from metadata what names alone do not say: the order of rows, the tokens, the heads. */
#include "config.h"

#include "compare/conventions.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tree/value.h"

enum { KEYS = 6 };

static struct tu_facts facts_of(const struct tu_stated sides[2])
{
    return (struct tu_facts){{sides[0].metadata, sides[1].metadata}};
}

/* The number under the first of some keys that the metadata of either side has; 0: none has it. */
static uint64_t find_count(const struct tu_facts *facts, const char *const keys[KEYS],
                           uint64_t layer)
{
    struct tu_count count = {.name = "count"};
    uint64_t found = 0;
    while (count.source_count < KEYS && keys[count.source_count]) {
        count.sources[count.source_count].text = keys[count.source_count];
        count.source_count++;
    }
    return tu_facts_count(facts, NULL, &count, layer, &found) ? found : 0;
}

void tu_conventions_heads(const struct tu_stated sides[2], uint64_t layer, uint64_t heads[2])
{
    static const char *const queries[KEYS] = {"{architecture}.attention.head_count",
                                              "num_attention_heads",
                                              "text_config.num_attention_heads",
                                              "n_heads",
                                              "n_head",
                                              "num_heads"};
    static const char *const keys[KEYS] = {"{architecture}.attention.head_count_kv",
                                           "num_key_value_heads", "text_config.num_key_value_heads",
                                           "n_kv_heads", "num_kv_heads"};
    const struct tu_facts facts = facts_of(sides);
    heads[0] = find_count(&facts, queries, layer);
    heads[1] = find_count(&facts, keys, layer);
    if (!heads[1])
        heads[1] = heads[0];
}

/* ---- Tokens ---- */

/* A list says which tokens there are; vocab_size, where there is none, how many rows a model has.
 */
static struct tu_vocabulary find_vocabulary(const struct tu_stated sides[2])
{
    static const char *const keys[KEYS] = {"vocab_size", "text_config.vocab_size",
                                           "{architecture}.vocab_size"};
    struct tu_vocabulary v = {0};
    for (int i = 0; i < 2; i++)
        v.tokens = sides[i].tokens > v.tokens ? sides[i].tokens : v.tokens;
    v.listed = v.tokens;
    for (int i = 0; i < 2 && !v.listed; i++) {
        const struct tu_facts one = {{sides[i].metadata}};
        uint64_t n = find_count(&one, keys, 0);
        v.tokens = n > v.tokens ? n : v.tokens;
    }
    return v;
}

/* ---- The order of rows ---- */

/* Whether names are those of llama.cpp, which come with its order. */
static bool has_gguf_names(const struct tu_catalogue *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (strncmp(names->entries[i].member.tensor->name, "blk.", 4) == 0)
            return true;
    return false;
}

/* An APR file made of a GGUF file has the names of Hugging Face and the rows of llama.cpp;
 * rope_type (0: pairs, 2: halves) says how its rows are turned, original_format where they come
 * from. */
static enum tu_rope_order find_order(const struct tu_stated *side, const struct tu_catalogue *names,
                                     const char **by)
{
    const char *format;
    size_t length;
    double type;
    if (!side->apr || !side->metadata)
        return TU_ROPE_BY_NAME;
    *by = "rope_type";
    if (tu_value_number(tu_value_get(side->metadata, "rope_type"), &type) &&
        (type == 0 || type == 2))
        return type == 0 ? TU_ROPE_PAIRS : TU_ROPE_HALVES;
    *by = "original_format";
    if (tu_value_string(tu_value_get(side->metadata, "original_format"), &format, &length) &&
        length)
        return strncasecmp(format, "gguf", 4) == 0 ? TU_ROPE_PAIRS : TU_ROPE_HALVES;
    return has_gguf_names(names) ? TU_ROPE_BY_NAME : TU_ROPE_OPEN;
}

void tu_conventions_make(struct tu_conventions *r, const struct tu_stated sides[2],
                         const struct tu_catalogue names[2])
{
    *r = (struct tu_conventions){.vocabulary = find_vocabulary(sides)};
    for (int i = 0; i < 2; i++) {
        const char *by = "";
        size_t used = strlen(r->why);
        r->orders[i] = find_order(&sides[i], &names[i], &by);
        if (r->orders[i] == TU_ROPE_PAIRS || r->orders[i] == TU_ROPE_HALVES)
            snprintf(r->why + used, sizeof r->why - used, "%s%s of %c: its rows lie in %s",
                     used ? ", " : "", by, "ab"[i],
                     r -> orders[i] == TU_ROPE_PAIRS ? "pairs" : "halves");
    }
}
