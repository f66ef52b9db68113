/* SPDX-License-Identifier: MIT */
/* What a model says of itself, in any dialect: resolved, put into a record, read again, compared.
 */
#include "config.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "compare/facts.h"
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
