/* SPDX-License-Identifier: MIT */
/* What a model says of itself, in any dialect: resolved, put into a record, read again, compared.
 */
#include "config.h"

#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare/facts.h"
#include "model/facts/pieces.h"
#include "trace/rope.h"
#include "tree/json.h"

/* A model does not differ from itself. */
static int take(void *context, const struct tensor_value *record, struct tu_error *error)
{
    (void)error;
    FUZZ_CHECK(!tu_value_equals(tu_value_get(record, "status"), "differs"));
    FUZZ_CHECK(tu_value_get(record, "name"));
    fuzz_json_text(record, context);
    return 0;
}

static void compare(const struct tu_model_facts *a, const struct tu_model_facts *b,
                    struct tu_arena *arena)
{
    struct tu_error error = {0};
    const struct tu_fact_operand operands[2] = {{.stated = a}, {.stated = b}};
    const struct tu_fact_sink sink = {take, arena};
    FUZZ_WORKS(tu_compare_facts(operands, &sink, &error), &error);
}

/* As a source record carries them. */
static void carry(const struct tu_model_facts *facts, struct tu_arena *arena,
                  struct tu_model_facts *out)
{
    struct tu_error error = {0};
    struct tu_builder b;
    struct tensor_value map, unpacked;
    FUZZ_WORKS(tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, &error), &error);
    FUZZ_WORKS(tu_facts_put(&b, "facts", facts, &error), &error);
    FUZZ_WORKS(tu_builder_end(&b, &map, &error), &error);
    fuzz_repack(&map, arena, &unpacked);
    FUZZ_WORKS(tu_facts_get(tu_value_get(&unpacked, "facts"), arena, out, &error), &error);
}

/* What a forward pass would be configured with can be computed with. */
static void configure(const struct tu_model_facts *facts, struct tu_arena *arena)
{
    struct tu_error error = {0};
    struct tu_trace_config c;
    struct tu_builder b;
    struct tensor_value map;
    if (tu_trace_configure(facts, "file", arena, &c, &error) < 0) {
        FUZZ_CHECK(strncmp(error.text, "file: ", 6) == 0);
        return;
    }
    FUZZ_CHECK(c.layers > 0 && c.layers <= TU_TRACE_LAYERS_MAX && c.hidden <= TU_TRACE_WIDTH_MAX);
    FUZZ_CHECK(c.kv_heads > 0 && c.heads % c.kv_heads == 0 && c.rope.dim % 2 == 0);
    FUZZ_CHECK(c.rope.dim > 0 && c.rope.dim <= c.head_dim && c.used <= c.experts);
    double *frequencies = tu_arena_alloc(arena, (size_t)(c.rope.dim / 2) * sizeof *frequencies);
    for (uint64_t i = 0; frequencies && i < 4; i++) {
        tu_rope_frequencies(&c.rope, i % 2, i < 2 ? 1 : 1 << 20, frequencies);
        for (uint64_t k = 0; k < c.rope.dim / 2; k++)
            FUZZ_CHECK(isfinite(frequencies[k]));
    }
    FUZZ_WORKS(tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, &error), &error);
    FUZZ_WORKS(tu_trace_put_config(&b, "config", &c, &error), &error);
    FUZZ_WORKS(tu_builder_end(&b, &map, &error), &error);
    fuzz_json_text(&map, arena);
}

static void check_dialect(enum tu_dialect dialect, const struct tensor_value *map,
                          struct tu_arena *arena)
{
    struct tu_error error = {0};
    struct tu_model_facts facts, carried;
    const struct tu_statement s = {.dialect = dialect,
                                   .file = "file",
                                   .metadata = map,
                                   .tokenizer = tu_value_get(map, "tokenizer"),
                                   .tokenizer_config = tu_value_get(map, "tokenizer_config"),
                                   .generation_config = tu_value_get(map, "generation_config")};
    FUZZ_WORKS(tu_facts_resolve(&s, arena, &facts, &error), &error);
    if (facts.dialect == TU_DIALECT_NONE)
        return;
    carry(&facts, arena, &carried);
    FUZZ_CHECK(carried.dialect == facts.dialect);
    configure(&facts, arena);
    compare(&facts, &facts, arena);
    compare(&facts, &carried, arena);
    compare(&carried, &facts, arena);
}

/* One JSON object is taken for the metadata of each dialect, and is read as a stream's record. */
void fuzz_facts(const uint8_t *data, size_t size)
{
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tensor_value map;
    struct tu_model_facts facts;
    if (tu_json_parse((const char *)data, size, TU_DUPLICATES_REPLACE, &arena, &map, &error) == 0) {
        for (int dialect = TU_DIALECT_CONFIG; dialect <= TU_DIALECT_MISTRAL; dialect++)
            check_dialect((enum tu_dialect)dialect, &map, &arena);
        FUZZ_WORKS(tu_facts_get(&map, &arena, &facts, &error), &error);
        compare(&facts, &facts, &arena);
    }
    tu_arena_free(&arena);
}

/* Any bytes are a tokenizer.model: what is read of it lies in them, and its facts are those of any
 * other file. */
void fuzz_pieces(const uint8_t *data, size_t size)
{
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tensor_value config, decoder;
    struct tu_pieces pieces;
    struct tu_model_facts facts, carried;
    static const char text[] = "{\"model_type\": \"llama\"}",
                      added[] = "{\"added_tokens_decoder\": {\"1\": {}, \"x\": 0, \"-1\": 1}}";
    if (tu_pieces_parse(data, size, &arena, &pieces, &error) == 0) {
        const char *begin = (const char *)data, *end = begin + size;
        FUZZ_CHECK(pieces.count > 0 && !pieces.trouble);
        for (size_t i = 0; i < pieces.count; i++) {
            const struct tu_sentence_piece *p = &pieces.items[i];
            FUZZ_CHECK(p->length > 0 && p->text >= begin && p->length <= (size_t)(end - p->text));
            FUZZ_CHECK(p->type >= TU_PIECE_NORMAL && p->type <= TU_PIECE_BYTE);
        }
    } else {
        FUZZ_CHECK(*error.text);
        pieces = (struct tu_pieces){.trouble = error.text};
    }
    error = (struct tu_error){0};
    FUZZ_WORKS(tu_json_parse(text, strlen(text), TU_DUPLICATES_REPLACE, &arena, &config, &error),
               &error);
    FUZZ_WORKS(tu_json_parse(added, strlen(added), TU_DUPLICATES_REPLACE, &arena, &decoder, &error),
               &error);
    const struct tu_statement s = {.dialect = TU_DIALECT_CONFIG,
                                   .file = "config.json",
                                   .metadata = &config,
                                   .tokenizer_config = &decoder,
                                   .pieces = &pieces};
    FUZZ_WORKS(tu_facts_resolve(&s, &arena, &facts, &error), &error);
    carry(&facts, &arena, &carried);
    compare(&facts, &carried, &arena);
    tu_arena_free(&arena);
}
