/* SPDX-License-Identifier: MIT */
/* Statements of models to facts, and facts to records and back. */
#include "config.h"

#include "model/facts/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/facts/desk.h"
#include "tree/json.h"

static const char *const dialects[] = {"none", "config", "gguf", "apr", "meta", "mistral"};
static const char *const origins[] = {"unknown", "given", "derived", "default", "arch"};

enum { ORIGINS = sizeof origins / sizeof *origins };

const char *tu_dialect_name(enum tu_dialect dialect)
{
    return dialects[dialect];
}

enum tu_dialect tu_dialect_by_name(const char *name)
{
    for (size_t i = 1; i < sizeof dialects / sizeof *dialects; i++)
        if (strcmp(dialects[i], name) == 0)
            return (enum tu_dialect)i;
    return TU_DIALECT_NONE;
}

const char *tu_fact_origin_name(enum tu_fact_origin origin)
{
    return origins[origin];
}

static bool has(const struct tensor_value *map, const char *key)
{
    return tu_value_get(map, key) != NULL;
}

/* A projector or an adapter speaks of a language model that is in another file. */
static bool speaks_of_itself(const struct tensor_value *gguf)
{
    const struct tensor_value *type = tu_value_get(gguf, "general.type");
    return has(gguf, "general.architecture") &&
           !tu_value_equals(tu_value_get(gguf, "general.architecture"), "clip") &&
           (!type || tu_value_equals(type, "model"));
}

enum tu_dialect tu_dialect_of(const char *format, const struct tensor_value *metadata)
{
    if (!metadata || metadata->type != TENSOR_MAP)
        return TU_DIALECT_NONE;
    if (strcmp(format, "gguf") == 0)
        return speaks_of_itself(metadata) ? TU_DIALECT_GGUF : TU_DIALECT_NONE;
    if (strcmp(format, "apr") == 0)
        return TU_DIALECT_APR;
    if (has(metadata, "model_type") || has(metadata, "architectures"))
        return TU_DIALECT_CONFIG;
    if (has(metadata, "dim") && has(metadata, "n_layers"))
        return has(metadata, "hidden_dim") || has(metadata, "moe") ? TU_DIALECT_MISTRAL
                                                                   : TU_DIALECT_META;
    return TU_DIALECT_NONE;
}

/* APR files state classical models, too: without a single fact there are none. */
static bool any_known(const struct tu_model_facts *f)
{
    for (int i = 0; i < TU_FACT_IDS_END; i++)
        if (f->facts[i].origin != TU_ORIGIN_UNKNOWN || f->facts[i].note)
            return true;
    return false;
}

/* ---- Numbers written as text ---- */

/* The metadata of a SafeTensors file is text, and what is made of such a file keeps it: "256" is a
 * number.  What is no JSON stays the text that it is. */
static int read_text(const struct tensor_value *v, struct tu_arena *arena, struct tensor_value *out,
                     struct tu_error *error)
{
    enum { MOST = 1 << 16 };
    const char *text;
    size_t length;
    struct tensor_value map;
    struct tu_error no_json = {0};
    *out = *v;
    if (!tu_value_string(v, &text, &length) || !length || length > MOST ||
        !memchr("-0123456789tfn[{", text[0], 16))
        return 0;
    size_t size = length + sizeof "{\"v\":}";
    char *member = tu_arena_alloc(arena, size);
    if (!member)
        return tu_fail_memory(error);
    snprintf(member, size, "{\"v\":%.*s}", (int)length, text);
    if (tu_json_parse(member, size - 1, TU_DUPLICATES_REFUSED, arena, &map, &no_json) < 0)
        return no_json.code == TU_ENOMEM ? tu_fail_memory(error) : 0;
    if (map.map.count == 1)
        *out = map.map.pairs[0].value;
    return 0;
}

static int read_texts(const struct tensor_value *metadata, struct tu_arena *arena,
                      struct tensor_value *out, struct tu_error *error)
{
    size_t count = metadata->map.count;
    struct tensor_pair *pairs = tu_arena_alloc(arena, (count + 1) * sizeof *pairs);
    if (!pairs)
        return tu_fail_memory(error);
    for (size_t i = 0; i < count; i++) {
        pairs[i].key = metadata->map.pairs[i].key;
        if (read_text(&metadata->map.pairs[i].value, arena, &pairs[i].value, error) < 0)
            return -1;
    }
    *out = *metadata;
    out->map.pairs = pairs;
    return 0;
}

/* A folder is one model: a number of layers or of tokens that its own tensors contradict is none
 * that a reader could work with.  Layers that predict more tokens may have been left out, and an
 * embedding may have rows that fill it up. */
static void hold_against_tensors(struct tu_desk *d)
{
    enum { PADDING_MAX = 256 };
    uint64_t layers, more = 0, vocab, rows = d->s->embedding_rows, has = d->s->layers;
    const struct tu_fact *f = d->out->facts;
    if (!d->s->tensors_known || !d->s->whole)
        return;
    (void)tu_get_count(d, TU_FACT_MTP, &more);
    if (has && f[TU_FACT_LAYERS].origin == TU_ORIGIN_GIVEN &&
        tu_get_count(d, TU_FACT_LAYERS, &layers) && (has < layers || has - layers > more))
        tu_set_wrong(d, TU_FACT_LAYERS, f[TU_FACT_LAYERS].key,
                     tu_desk_text(d, "%s is %" PRIu64 ", and the tensors are of %" PRIu64 " layers",
                                  f[TU_FACT_LAYERS].key, layers, has));
    if (rows && f[TU_FACT_VOCAB].origin == TU_ORIGIN_GIVEN &&
        tu_get_count(d, TU_FACT_VOCAB, &vocab) && (rows < vocab || rows - vocab > PADDING_MAX))
        tu_set_wrong(d, TU_FACT_VOCAB, f[TU_FACT_VOCAB].key,
                     tu_desk_text(d, "%s is %" PRIu64 ", and the embedding has %" PRIu64 " rows",
                                  f[TU_FACT_VOCAB].key, vocab, rows));
}

int tu_facts_resolve(const struct tu_statement *statement, struct tu_arena *arena,
                     struct tu_model_facts *out, struct tu_error *error)
{
    struct tu_statement copy = *statement, *s = &copy;
    struct tensor_value read;
    struct tu_desk d = {.s = s, .arena = arena, .out = out};
    *out = (struct tu_model_facts){.dialect = s->dialect, .file = s->file};
    /* GGUF's values have types, by which its reader takes or refuses them. */
    if (s->dialect != TU_DIALECT_NONE && s->dialect != TU_DIALECT_GGUF) {
        if (read_texts(s->metadata, arena, &read, error) < 0)
            return -1;
        s->metadata = &read;
    }
    if (s->dialect == TU_DIALECT_CONFIG)
        tu_facts_config(&d);
    else if (s->dialect == TU_DIALECT_GGUF)
        tu_facts_gguf(&d);
    else if (s->dialect != TU_DIALECT_NONE)
        tu_facts_params(&d);
    if (s->dialect == TU_DIALECT_CONFIG)
        hold_against_tensors(&d);
    if (!any_known(out))
        out->dialect = TU_DIALECT_NONE;
    return d.failed ? tu_fail_memory(error) : 0;
}

/* ---- Records ---- */

static int put_fact(struct tu_builder *b, const char *name, const struct tu_fact *f,
                    struct tu_error *error)
{
    if (tu_builder_open(b, NULL, 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_string(b, "name", name, error) < 0 ||
        tu_put_string(b, "origin", origins[f->origin], error) < 0)
        return -1;
    if (f->origin != TU_ORIGIN_UNKNOWN && tu_builder_put_tree(b, "value", 5, &f->value, error) < 0)
        return -1;
    if ((f->key && tu_put_string(b, "key", f->key, error) < 0) ||
        (f->note && tu_put_string(b, "note", f->note, error) < 0) ||
        (f->wrong && tu_put_uint(b, "wrong", 1, error) < 0))
        return -1;
    return tu_builder_close(b, error);
}

int tu_facts_put(struct tu_builder *b, const char *key, const struct tu_model_facts *facts,
                 struct tu_error *error)
{
    const struct tu_fact_row *rows;
    size_t count = tu_fact_rows(&rows);
    if (tu_builder_open(b, key, strlen(key), TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_string(b, "dialect", dialects[facts->dialect], error) < 0 ||
        tu_put_string(b, "file", facts->file, error) < 0 ||
        tu_put_string(b, "reader", facts->reader ? facts->reader : "", error) < 0 ||
        tu_builder_open(b, "list", 4, TENSOR_ARRAY, TENSOR_MAP, error) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const struct tu_fact *f = &facts->facts[i];
        if ((f->origin != TU_ORIGIN_UNKNOWN || f->note) && put_fact(b, rows[i].name, f, error) < 0)
            return -1;
    }
    if (tu_builder_close(b, error) < 0 ||
        (facts->others.type == TENSOR_MAP &&
         tu_builder_put_tree(b, "others", 6, &facts->others, error) < 0))
        return -1;
    return tu_builder_close(b, error);
}

static const char *get_text(const struct tensor_value *map, const char *key, struct tu_arena *arena)
{
    const char *text;
    size_t length;
    if (!tu_value_string(tu_value_get(map, key), &text, &length))
        return NULL;
    return tu_arena_copy(arena, text, strnlen(text, length < 1024 ? length : 1024));
}

static enum tu_fact_origin get_origin(const struct tensor_value *map)
{
    const struct tensor_value *text = tu_value_get(map, "origin");
    for (int i = 0; i < ORIGINS; i++)
        if (tu_value_equals(text, origins[i]))
            return (enum tu_fact_origin)i;
    return TU_ORIGIN_UNKNOWN;
}

/* A fact as a stream states it: the value is held to what the row wants. */
static void get_fact(struct tu_desk *d, const struct tensor_value *map)
{
    const char *name;
    size_t length;
    if (!tu_value_string(tu_value_get(map, "name"), &name, &length))
        return;
    int id = tu_fact_by_name(name, length);
    if (id < 0)
        return;
    struct tu_fact *f = &d->out->facts[id];
    const struct tensor_value *value = tu_value_get(map, "value");
    enum tu_fact_origin origin = get_origin(map);
    const char *key = get_text(map, "key", d->arena), *note = get_text(map, "note", d->arena);
    struct tensor_value copy;
    struct tu_error ignored = {0};
    *f = (struct tu_fact){.key = key, .note = note, .wrong = tu_value_get(map, "wrong") != NULL};
    if (origin == TU_ORIGIN_UNKNOWN || !value)
        return;
    if (tu_value_copy(value, d->arena, &copy, &ignored) < 0)
        d->failed = true;
    else if (tu_take(d, (enum tu_fact_id)id, &copy, key ? key : "it"))
        *f = (struct tu_fact){.value = f->value, .origin = origin, .key = key, .note = note};
}

int tu_facts_get(const struct tensor_value *map, struct tu_arena *arena, struct tu_model_facts *out,
                 struct tu_error *error)
{
    struct tu_desk d = {.arena = arena, .out = out};
    const struct tensor_value *list = tu_value_get(map, "list");
    const struct tensor_value *others = tu_value_get(map, "others");
    const char *dialect = get_text(map, "dialect", arena);
    *out = (struct tu_model_facts){.file = get_text(map, "file", arena),
                                   .reader = get_text(map, "reader", arena)};
    if (!dialect || !out->file || !list || list->type != TENSOR_ARRAY)
        return 0;
    out->dialect = tu_dialect_by_name(dialect);
    for (size_t i = 0; i < list->array.count; i++)
        get_fact(&d, &list->array.items[i]);
    if (others && others->type == TENSOR_MAP &&
        tu_value_copy(others, arena, &out->others, error) < 0)
        return -1;
    return d.failed ? tu_fail_memory(error) : 0;
}

/* ---- For people ---- */

static size_t put_text(char *out, size_t size, const struct tensor_value *v)
{
    uint64_t natural;
    double number;
    char digits[TU_NUMBER_SIZE];
    if (tu_value_uint(v, &natural))
        return (size_t)snprintf(out, size, "%" PRIu64, natural);
    if (v->type == TENSOR_BOOLEAN)
        return (size_t)snprintf(out, size, "%s", v->boolean ? "true" : "false");
    if (v->type == TENSOR_STRING)
        return tu_escape(v->string.bytes, v->string.length, out, size);
    if (!tu_value_number(v, &number))
        return (size_t)snprintf(out, size, "%s", "unknown");
    if (v->type == TENSOR_FLOAT32)
        tu_format_float((float)number, digits);
    else
        tu_format_double(number, digits);
    return (size_t)snprintf(out, size, "%s", digits);
}

void tu_fact_text(const struct tensor_value *v, char *out, size_t size)
{
    enum { ITEM = 40 };
    if (v->type != TENSOR_ARRAY) {
        put_text(out, size, v);
        return;
    }
    size_t used = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < v->array.count; i++) {
        if (used + ITEM + 8 >= size) {
            snprintf(out + used, size - used, "...");
            used += 3;
            break;
        }
        used += (size_t)snprintf(out + used, ITEM, "%s", i ? ", " : "");
        used += put_text(out + used, ITEM - 4, &v->array.items[i]);
    }
    snprintf(out + used, size - used, "]");
}
