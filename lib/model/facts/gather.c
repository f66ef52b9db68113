/* SPDX-License-Identifier: MIT */
/* Statements of operands: metadata, files beside them, and the few small tensors that state facts.
 */
#include "config.h"

#include "model/facts/gather.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "model/facts/pieces.h"
#include "model/parts.h"
#include "model/source-record.h"
#include "tensor/name.h"
#include "tree/json.h"

enum {
    CONFIG_BYTES_MAX = 16 << 20,
    TOKENIZER_BYTES_MAX = 256 << 20,
    TEMPLATE_BYTES_MAX = 1 << 20,
    PIECES_BYTES_MAX = 32 << 20,
    DIVISORS_MAX = 4096,
};

static char *join(struct tu_arena *arena, const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = tu_arena_alloc(arena, size);
    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* A JSON file of a folder, if it is there: NULL in out if it is not. */
static int read_beside(const char *folder, const char *name, uint64_t limit, struct tu_arena *arena,
                       const struct tensor_value **out, struct tu_error *error)
{
    *out = NULL;
    char *path = join(arena, folder, name);
    struct tensor_value *value = tu_arena_alloc(arena, sizeof *value);
    if (!path || !value)
        return tu_fail_memory(error);
    if (access(path, R_OK) < 0)
        return 0;
    if (tu_read_json(path, limit, arena, value, error) < 0)
        return -1;
    *out = value;
    return 0;
}

static int read_pieces_of(const struct tu_source *source, struct tu_arena *arena,
                          struct tu_pieces *out, struct tu_error *error)
{
    struct tu_error inner = {0};
    char text[sizeof inner.text + 32];
    if (source->size > PIECES_BYTES_MAX) {
        *out = (struct tu_pieces){.trouble = "tokenizer.model is too large to be one"};
        return 0;
    }
    size_t size = (size_t)source->size;
    uint8_t *bytes = tu_arena_alloc(arena, size + 1);
    if (!bytes)
        return tu_fail_memory(error);
    if (tu_source_read(source, 0, bytes, size, error) < 0)
        return -1;
    if (tu_pieces_parse(bytes, size, arena, out, &inner) == 0)
        return 0;
    snprintf(text, sizeof text, "tokenizer.model: %s", inner.text);
    out->trouble = tu_arena_copy(arena, text, strlen(text));
    return inner.code == TU_ENOMEM || !out->trouble ? tu_fail_memory(error) : 0;
}

/* tokenizer.model, if it is there: of what is no such model it is said why. */
static int read_pieces(const char *folder, struct tu_arena *arena, struct tu_statement *s,
                       struct tu_error *error)
{
    struct tu_source source;
    char *path = join(arena, folder, "tokenizer.model");
    struct tu_pieces *pieces = tu_arena_alloc(arena, sizeof *pieces);
    if (!path || !pieces)
        return tu_fail_memory(error);
    if (access(path, R_OK) < 0)
        return 0;
    if (tu_source_open_part(&source, path, error) < 0)
        return -1;
    int result = read_pieces_of(&source, arena, pieces, error);
    tu_source_close(&source);
    s->pieces = pieces;
    return result;
}

static int read_template(const char *folder, struct tu_arena *arena, struct tu_statement *s,
                         struct tu_error *error)
{
    struct tu_source source;
    char *path = join(arena, folder, "chat_template.jinja");
    if (!path)
        return tu_fail_memory(error);
    if (access(path, R_OK) < 0)
        return 0;
    if (tu_source_open_part(&source, path, error) < 0)
        return -1;
    char *text = source.size <= TEMPLATE_BYTES_MAX ? tu_arena_alloc(arena, source.size + 1) : NULL;
    int result = 0;
    if (text && (result = tu_source_read(&source, 0, text, (size_t)source.size, error)) == 0) {
        s->chat_template = text;
        s->chat_template_length = (size_t)source.size;
    }
    tu_source_close(&source);
    return result;
}

/* The files beside a config.json. */
static int read_company(const char *folder, bool tokens, struct tu_arena *arena,
                        struct tu_statement *s, struct tu_error *error)
{
    if (read_beside(folder, "generation_config.json", CONFIG_BYTES_MAX, arena,
                    &s->generation_config, error) < 0 ||
        read_beside(folder, "tokenizer_config.json", CONFIG_BYTES_MAX, arena, &s->tokenizer_config,
                    error) < 0 ||
        (tokens && read_beside(folder, "tokenizer.json", TOKENIZER_BYTES_MAX, arena, &s->tokenizer,
                               error) < 0))
        return -1;
    if (tokens && (read_pieces(folder, arena, s, error) < 0 ||
                   read_beside(folder, "added_tokens.json", CONFIG_BYTES_MAX, arena,
                               &s->added_tokens, error) < 0))
        return -1;
    return read_template(folder, arena, s, error);
}

/* A statement of the config.json or params.json of a folder; NONE if there is none. */
static int state_folder(const char *folder, bool tokens, struct tu_arena *arena,
                        struct tu_statement *s, struct tu_error *error)
{
    static const char *const names[] = {"config.json", "params.json"};
    for (size_t i = 0; i < 2 && s->dialect == TU_DIALECT_NONE; i++) {
        if (read_beside(folder, names[i], CONFIG_BYTES_MAX, arena, &s->metadata, error) < 0)
            return -1;
        if (s->metadata)
            s->dialect = tu_dialect_of("json", s->metadata);
        s->file = names[i];
    }
    return s->dialect == TU_DIALECT_CONFIG ? read_company(folder, tokens, arena, s, error) : 0;
}

/* ---- Tensors ---- */

static struct tu_member member_of(const struct tu_operand *o, const char *name)
{
    return tu_operand_find(o, name, strlen(name));
}

/* The numbers of a small F32 tensor. */
static int read_numbers(const struct tu_operand *o, const char *name, struct tu_arena *arena,
                        struct tensor_value *out, struct tu_error *error)
{
    struct tu_member m = member_of(o, name);
    if (!m.model || m.tensor->dtype != TENSOR_F32 || m.tensor->elements == 0 ||
        m.tensor->elements > DIVISORS_MAX)
        return 0;
    size_t count = (size_t)m.tensor->elements;
    uint8_t bytes[DIVISORS_MAX * 4];
    struct tensor_value *items = tu_arena_alloc(arena, count * sizeof *items);
    if (!items)
        return tu_fail_memory(error);
    if (tu_model_read(m.model, m.tensor, 0, bytes, count * 4, error) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *b = bytes + 4 * i;
        uint32_t bits =
            (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        float number;
        memcpy(&number, &bits, sizeof number);
        items[i] = (struct tensor_value){.type = TENSOR_FLOAT32, .real = (double)number};
    }
    *out = (struct tensor_value){
        .type = TENSOR_ARRAY, .element = TENSOR_FLOAT32, .array = {items, count}};
    return 0;
}

/* One more than the largest number of a layer of the text model, by its names in transformers. */
static uint64_t count_layers(const struct tu_operand *o)
{
    static const char *const before[] = {"layers.", "h."};
    uint64_t most = 0, layer;
    for (size_t m = 0; m < o->model_count; m++) {
        for (size_t i = 0; i < o->models[m].count; i++) {
            const struct tu_tensor *t = &o->models[m].tensors[i];
            size_t length = t->name_length;
            const char *name = tu_bare_name(t->name, &length);
            bool of_text = strncmp(name, before[0], strlen(before[0])) == 0 ||
                           strncmp(name, before[1], strlen(before[1])) == 0;
            if (of_text && tu_layer_of(name, &layer) && layer >= most)
                most = layer + 1;
        }
    }
    return most;
}

/* What the tensors say: the embedding and the output by the names of both worlds. */
static void look_at_tensors(const struct tu_operand *o, struct tu_statement *s)
{
    static const char *const embeddings[] = {"token_embd.weight", "model.embed_tokens.weight",
                                             "tok_embeddings.weight"};
    static const char *const outputs[] = {"output.weight", "lm_head.weight"};
    for (size_t i = 0; i < o->model_count; i++)
        s->tensors_known |= o->models[i].count > 0;
    for (size_t i = 0; i < 3 && !s->embedding_rows; i++) {
        struct tu_member m = member_of(o, embeddings[i]);
        if (m.model && m.tensor->rank == 2)
            s->embedding_rows = m.tensor->shape[0];
    }
    for (size_t i = 0; i < 2; i++)
        s->output_present |= member_of(o, outputs[i]).model != NULL;
    s->layers = count_layers(o);
}

static int state_gguf(const struct tu_operand *o, struct tu_arena *arena, struct tu_statement *s,
                      struct tu_error *error)
{
    s->file = "GGUF";
    if (read_numbers(o, "rope_freqs.weight", arena, &s->rope_freqs, error) < 0 ||
        read_numbers(o, "rope_factors_long.weight", arena, &s->rope_long, error) < 0)
        return -1;
    return read_numbers(o, "rope_factors_short.weight", arena, &s->rope_short, error);
}

/* A saved stream: the facts that it carries, else what its metadata says. */
static int gather_saved(const struct tu_operand *o, struct tu_arena *arena,
                        struct tu_model_facts *out, struct tu_error *error)
{
    const struct tu_model *m = &o->models[0];
    const struct tensor_value *carried = tu_value_get(&m->stated, "facts");
    const struct tensor_value *format = tu_value_get(&m->stated, "format");
    struct tu_statement s = {.metadata = &m->metadata, .file = "the stream's metadata"};
    if (carried)
        return tu_facts_get(carried, arena, out, error);
    if (!format || format->type != TENSOR_STRING)
        return 0;
    s.dialect = tu_dialect_of(format->string.bytes, &m->metadata);
    look_at_tensors(o, &s);
    if (s.dialect == TU_DIALECT_GGUF && state_gguf(o, arena, &s, error) < 0)
        return -1;
    s.file = "the stream's metadata";
    return tu_facts_resolve(&s, arena, out, error);
}

int tu_gather_operand(const struct tu_operand *o, bool tokens, struct tu_arena *arena,
                      struct tu_gathered *out, struct tu_error *error)
{
    *out = (struct tu_gathered){0};
    if (o->is_stream || !o->model_count)
        return 0;
    const struct tu_model *m = &o->models[0];
    struct tu_statement own = {.metadata = &m->metadata, .file = m->format->name}, beside = {0};
    if (m->stated.type == TENSOR_MAP)
        return gather_saved(o, arena, &out->facts, error);
    bool states = strcmp(m->format->name, "gguf") == 0 || strcmp(m->format->name, "apr") == 0;
    own.dialect = states ? tu_dialect_of(m->format->name, &m->metadata) : TU_DIALECT_NONE;
    look_at_tensors(o, &own);
    if (own.dialect == TU_DIALECT_GGUF && state_gguf(o, arena, &own, error) < 0)
        return -1;
    if (own.dialect == TU_DIALECT_APR)
        own.file = "APR";
    if (o->folder && state_folder(o->folder, tokens && !states, arena, &beside, error) < 0)
        return -1;
    beside.whole = beside.dialect != TU_DIALECT_NONE;
    if (!states && beside.dialect == TU_DIALECT_NONE) {
        beside.metadata = &m->metadata;
        beside.dialect = tu_dialect_of(m->format->name, &m->metadata);
        beside.file = "its metadata";
    }
    if (!states) {
        beside.tensors_known = own.tensors_known;
        beside.embedding_rows = own.embedding_rows;
        beside.layers = own.layers;
        beside.output_present = own.output_present;
        return tu_facts_resolve(&beside, arena, &out->facts, error);
    }
    if (tu_facts_resolve(&own, arena, &out->facts, error) < 0)
        return -1;
    return out->facts.dialect ? tu_facts_resolve(&beside, arena, &out->beside, error) : 0;
}

/* ---- Files of facts alone ---- */

static bool is_fact_file(const char *path)
{
    const char *name = tu_file_name(path);
    size_t length = strlen(name);
    return strcmp(name, "config.json") == 0 || tu_stem(name, length, "config.json") ||
           strcmp(name, "params.json") == 0 || tu_stem(name, length, "params.json") ||
           (strncmp(name, "config.", 7) == 0 && tu_stem(name, length, ".json"));
}

static bool holds(const char *folder, const char *name)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0;
}

bool tu_states_facts_alone(const char *path)
{
    struct stat st;
    struct tu_arena arena = {0};
    struct tu_parts parts;
    struct tu_error ignored = {0};
    if (stat(path, &st) < 0)
        return false;
    if (S_ISREG(st.st_mode))
        return is_fact_file(path);
    if (!S_ISDIR(st.st_mode) || (!holds(path, "config.json") && !holds(path, "params.json")))
        return false;
    bool model = tu_parts_of_folder(path, &arena, &parts, &ignored) == 0;
    tu_arena_free(&arena);
    return !model;
}

int tu_gather_path(const char *path, bool tokens, struct tu_arena *arena,
                   struct tu_model_facts *out, struct tu_error *error)
{
    struct stat st;
    struct tu_statement s = {0};
    struct tensor_value metadata;
    if (stat(path, &st) < 0)
        return tu_fail_errno(error, "%s", path);
    if (S_ISDIR(st.st_mode)) {
        if (state_folder(path, tokens, arena, &s, error) < 0)
            return -1;
    } else {
        const char *folder;
        size_t folder_length = tu_folder_of(path, &folder);
        folder = tu_arena_copy(arena, folder, folder_length);
        if (!folder)
            return tu_fail_memory(error);
        if (tu_read_json(path, CONFIG_BYTES_MAX, arena, &metadata, error) < 0)
            return -1;
        s.metadata = &metadata;
        s.dialect = tu_dialect_of("json", &metadata);
        s.file = tu_file_name(path);
        if (s.dialect == TU_DIALECT_CONFIG && read_company(folder, tokens, arena, &s, error) < 0)
            return -1;
    }
    if (s.dialect == TU_DIALECT_NONE)
        return tu_fail(error, TU_EINVALID, "%s: states no model (model_type is not there)", path);
    return tu_facts_resolve(&s, arena, out, error);
}

/* ---- Streams ---- */

int tu_gather_record(const struct tensor_value *record, struct tu_arena *arena,
                     struct tu_model_facts *out, struct tu_error *error)
{
    const struct tensor_value *carried = tu_value_get(record, "facts");
    const struct tensor_value *format = tu_value_get(record, "format");
    struct tensor_value *metadata = tu_arena_alloc(arena, sizeof *metadata);
    *out = (struct tu_model_facts){0};
    if (!metadata)
        return tu_fail_memory(error);
    if (carried)
        return tu_facts_get(carried, arena, out, error);
    if (!format || format->type != TENSOR_STRING)
        return 0;
    if (tu_source_metadata(record, arena, metadata, error) < 0)
        return -1;
    struct tu_statement s = {.metadata = metadata, .file = "the stream's metadata"};
    s.dialect = tu_dialect_of(format->string.bytes, metadata);
    return tu_facts_resolve(&s, arena, out, error);
}
