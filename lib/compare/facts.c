/* SPDX-License-Identifier: MIT */
/* Two models' facts to records: what is the same, what differs, and what only one of them states.
 */
#include "config.h"

#include "compare/facts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/facts/table.h"

const struct tu_column tu_fact_columns[] = {
    {.key = "status", .title = "status", .width = -8},
    {.key = "name", .title = "name", .width = -20},
    {.key = "a", .title = "a", .width = -20},
    {.key = "b", .title = "b", .width = -20},
    {.key = "origin_a", .title = "origin_a", .width = -8},
    {.key = "origin_b", .title = "origin_b"},
    {.key = "key_a", .title = "key_a", .width = -8, .detail = true},
    {.key = "key_b", .title = "key_b", .width = -8, .detail = true},
    {.key = "note", .title = "note", .remark = true},
    {0},
};

enum { TEXT = 512 };

/* Two models, side by side. */
struct table {
    const struct tu_model_facts *a, *b;
    const struct tu_fact_sink *sink;
};

enum status { SAME, DIFFERS, ONLY_A, ONLY_B, LISTED, SKIPPED };

static const char *const statuses[] = {"same", "differs", "only_a", "only_b", "listed"};

/* ---- Values ---- */

/* Equal as float32, or but for what computing them in float32 costs. */
static bool equal_reals(double a, double b, bool derived)
{
    double larger = fmax(fabs(a), fabs(b));
    return (float)a == (float)b || fabs(a - b) <= (derived ? 1e-5 : 2e-6) * larger;
}

/* A number that holds for each layer that has it: 0 says that a layer has none. */
static bool holds_for_layers(const struct tensor_value *list, const struct tensor_value *one)
{
    if (list->type != TENSOR_ARRAY || one->type == TENSOR_ARRAY)
        return false;
    for (size_t i = 0; i < list->array.count; i++)
        if (list->array.items[i].uint != 0 && list->array.items[i].uint != one->uint)
            return false;
    return true;
}

static bool equal_items(const struct tensor_value *a, const struct tensor_value *b, bool derived);

static bool equal_values(const struct tensor_value *a, const struct tensor_value *b, bool derived)
{
    double x, y;
    uint64_t m, n;
    if (a->type == TENSOR_ARRAY && b->type == TENSOR_ARRAY)
        return equal_items(a, b, derived);
    if (a->type == TENSOR_ARRAY || b->type == TENSOR_ARRAY)
        return holds_for_layers(a, b) || holds_for_layers(b, a);
    if (a->type == TENSOR_STRING && b->type == TENSOR_STRING)
        return a->string.length == b->string.length &&
               memcmp(a->string.bytes, b->string.bytes, a->string.length) == 0;
    if (a->type == TENSOR_BOOLEAN && b->type == TENSOR_BOOLEAN)
        return a->boolean == b->boolean;
    if (tu_value_uint(a, &m) && tu_value_uint(b, &n))
        return m == n;
    if (a->type == TENSOR_NULL || b->type == TENSOR_NULL)
        return a->type == b->type;
    return tu_value_number(a, &x) && tu_value_number(b, &y) && equal_reals(x, y, derived);
}

static bool equal_items(const struct tensor_value *a, const struct tensor_value *b, bool derived)
{
    if (a->array.count != b->array.count)
        return false;
    for (size_t i = 0; i < a->array.count; i++)
        if (!equal_values(&a->array.items[i], &b->array.items[i], derived))
            return false;
    return true;
}

static bool is_neutral(const struct tu_fact_row *row, const struct tu_fact *f)
{
    char text[TEXT];
    if (!row->neutral)
        return false;
    tu_fact_text(&f->value, text, sizeof text);
    return strcmp(text, row->neutral) == 0;
}

/* Whether the file itself has it, rather than its reader. */
static bool is_stated(const struct tu_fact *f)
{
    return f->origin == TU_ORIGIN_GIVEN || f->origin == TU_ORIGIN_DERIVED;
}

static bool is_known(const struct tu_fact *f)
{
    return f->origin != TU_ORIGIN_UNKNOWN;
}

/* ---- What a difference means ---- */

static uint64_t count_of(const struct tu_fact *f)
{
    uint64_t n = 0;
    return is_known(f) && tu_value_uint(&f->value, &n) ? n : 0;
}

/* A window that the reader's code does not look at is lost, which is known of the architecture. */
static bool is_ignored_window(const struct tu_fact *f)
{
    return f->origin == TU_ORIGIN_ARCH && count_of(f) == 0;
}

/* The first of some ids, or the only one. */
static bool first_id(const struct tensor_value *ids, uint64_t *out)
{
    if (ids->type != TENSOR_ARRAY)
        return tu_value_uint(ids, out);
    return ids->array.count && tu_value_uint(&ids->array.items[0], out);
}

static bool contains(const struct tensor_value *ids, uint64_t wanted)
{
    uint64_t id;
    for (size_t i = 0; ids->type == TENSOR_ARRAY && i < ids->array.count; i++)
        if (tu_value_uint(&ids->array.items[i], &id) && id == wanted)
            return true;
    return tu_value_uint(ids, &id) && id == wanted;
}

/* A list of ids, of which the other side keeps one. */
static bool share_an_id(const struct tensor_value *a, const struct tensor_value *b)
{
    uint64_t id;
    return (first_id(a, &id) && contains(b, id)) || (first_id(b, &id) && contains(a, id));
}

/* Rows that fill an embedding up; what is more is for the tensors to show, too. */
static bool is_padding(const struct table *t, const struct tu_fact *a, const struct tu_fact *b)
{
    enum { PADDING_MAX = 256 };
    uint64_t x = count_of(a), y = count_of(b);
    bool cut = tu_value_equals(&t->a->facts[TU_FACT_ARCH].value, "gemma3");
    return cut || (x > y ? x - y : y - x) <= PADDING_MAX;
}

/* What llama.cpp wrote under one name, and now under another. */
static bool is_renamed(const struct tu_fact *was, const struct tu_fact *is)
{
    return tu_value_equals(&was->value, "llama") && tu_value_equals(&is->value, "mistral3");
}

/* One side says in words that the output is the embedding, or not; of the other, the tensors tell.
 * A model that says "tied" may hold the same bytes twice. */
static bool may_be_tied_twice(const struct tu_fact *a, const struct tu_fact *b)
{
    return a->note || b->note || (a->origin == TU_ORIGIN_DERIVED && !a->value.boolean) ||
           (b->origin == TU_ORIGIN_DERIVED && !b->value.boolean) ||
           (a->origin == TU_ORIGIN_DERIVED && b->origin == TU_ORIGIN_DERIVED);
}

/* Digests begin with how many items they are of: of other numbers nothing can be said. */
static bool same_number(const struct tu_fact *a, const struct tu_fact *b)
{
    return strtoull(a->value.string.bytes, NULL, 10) == strtoull(b->value.string.bytes, NULL, 10);
}

/* tokenizer.json and GGUF's list have the same normal tokens where both are of byte pairs; of other
 * kinds converters take tokenizer.model, whose types of tokens are others. */
static bool same_tokens_expected(const struct table *t, const struct tu_fact *a,
                                 const struct tu_fact *b)
{
    const struct tu_fact *x = &t->a->facts[TU_FACT_TOKENIZER_KIND],
                         *y = &t->b->facts[TU_FACT_TOKENIZER_KIND];
    if (t->a->dialect == t->b->dialect)
        return true;
    return tu_value_equals(&x->value, "gpt2") && tu_value_equals(&y->value, "gpt2") &&
           same_number(a, b) && !a->note && !b->note;
}

static bool only_listed(const struct table *t, int id, const struct tu_fact_row *row,
                        const struct tu_fact *a, const struct tu_fact *b)
{
    switch (id) {
    case TU_FACT_ARCH:
        return is_renamed(a, b) || is_renamed(b, a);
    case TU_FACT_WINDOW:
        return is_ignored_window(a) || is_ignored_window(b);
    case TU_FACT_VOCAB:
        return is_padding(t, a, b);
    case TU_FACT_TIED:
        return may_be_tied_twice(a, b);
    case TU_FACT_TOKEN_EOS:
        return share_an_id(&a->value, &b->value);
    case TU_FACT_TOKENS:
        return !same_tokens_expected(t, a, b);
    case TU_FACT_PIECES:
    case TU_FACT_SCORES:
        return t->a->dialect != t->b->dialect && !same_number(a, b);
    case TU_FACT_TOKENS_ADDED:
        return t->a->dialect != t->b->dialect;
    default:
        return row->policy == TU_FACT_LISTED;
    }
}

/* ---- What follows from another fact, and says nothing of its own ---- */

static bool agree(const struct table *t, int id)
{
    const struct tu_fact *a = &t->a->facts[id], *b = &t->b->facts[id];
    return !is_known(a) || !is_known(b) || equal_values(&a->value, &b->value, false);
}

/* Details of a kind of scaling mean nothing beside another kind; a pattern of windows nothing
 * without windows. */
static bool is_moot(const struct table *t, int id)
{
    bool windows = count_of(&t->a->facts[TU_FACT_WINDOW]) && count_of(&t->b->facts[TU_FACT_WINDOW]);
    switch (id) {
    case TU_FACT_ROPE_FACTOR:
    case TU_FACT_ROPE_ORIG_CTX:
    case TU_FACT_ROPE_ATTN_FACTOR:
    case TU_FACT_ROPE_BETA_FAST:
    case TU_FACT_ROPE_BETA_SLOW:
    case TU_FACT_ROPE_MSCALE_ALL_DIM:
    case TU_FACT_ROPE_TRUNCATE:
    case TU_FACT_ROPE_FREQ_FACTORS:
    case TU_FACT_ROPE_LONG:
    case TU_FACT_ROPE_SHORT:
        return !agree(t, TU_FACT_ROPE_SCALING);
    case TU_FACT_ROPE_FACTOR_LOCAL:
        return !windows || !agree(t, TU_FACT_ROPE_SCALING);
    case TU_FACT_WINDOW_LAYERS:
    case TU_FACT_ROPE_BASE_LOCAL:
        return !windows;
    case TU_FACT_V_HEAD_DIM:
    case TU_FACT_ATTN_SCALE:
        return !agree(t, TU_FACT_HEAD_DIM) && t->a->facts[id].origin != TU_ORIGIN_GIVEN &&
               t->b->facts[id].origin != TU_ORIGIN_GIVEN;
    default:
        return false;
    }
}

static enum status judge(const struct table *t, int id, const struct tu_fact_row *row)
{
    const struct tu_fact *a = &t->a->facts[id], *b = &t->b->facts[id];
    bool known_a = is_known(a), known_b = is_known(b);
    bool derived = a->origin == TU_ORIGIN_DERIVED || b->origin == TU_ORIGIN_DERIVED;
    if (is_moot(t, id))
        return SKIPPED;
    if (!known_a && !known_b)
        return a->note || b->note ? LISTED : SKIPPED;
    if (!known_a || !known_b) {
        const struct tu_fact *one = known_a ? a : b, *other = known_a ? b : a;
        bool worth = is_stated(one) && !is_neutral(row, one);
        if (other->wrong && row->policy != TU_FACT_LISTED)
            return DIFFERS;
        return !worth && !other->note ? SKIPPED : known_a ? ONLY_A : ONLY_B;
    }
    if (!equal_values(&a->value, &b->value, derived))
        return only_listed(t, id, row, a, b) ? LISTED : DIFFERS;
    return is_stated(a) || is_stated(b) || !is_neutral(row, a) ? SAME : SKIPPED;
}

/* ---- Records ---- */

/* A side in words: "500000 given by rope_theta in config.json". */
static void say_side(const struct tu_model_facts *m, const struct tu_fact *f, char *out,
                     size_t size)
{
    char value[200];
    const char *arch = "its architecture", *key = f->key ? f->key : "a key";
    if (m->facts[TU_FACT_ARCH].value.type == TENSOR_STRING)
        arch = m->facts[TU_FACT_ARCH].value.string.bytes;
    tu_fact_text(&f->value, value, sizeof value);
    bool config = m->dialect == TU_DIALECT_CONFIG;
    switch (f->origin) {
    case TU_ORIGIN_GIVEN:
        snprintf(out, size, "%s given by %s in %s", value, key, m->file);
        break;
    case TU_ORIGIN_DERIVED:
        snprintf(out, size, "%s derived from %s in %s", value, key, m->file);
        break;
    case TU_ORIGIN_DEFAULT:
        snprintf(out, size,
                 config ? "%s, default of %s: %s is not there"
                        : "%s, %s's default: %s is not there",
                 value, m->reader, key);
        break;
    case TU_ORIGIN_ARCH:
        if (f->note)
            snprintf(out, size, "%s, %s", value, f->note);
        else if (config)
            snprintf(out, size, "%s, fixed by the code of %s", value, m->reader);
        else
            snprintf(out, size, "%s, fixed by the code for %.64s%s%s", value, arch,
                     f->key ? ", which takes no other from " : "", f->key ? f->key : "");
        break;
    case TU_ORIGIN_UNKNOWN:
        snprintf(out, size, "%s", f->note ? f->note : "not stated");
        break;
    }
}

static void say(const struct table *t, const char *name, const struct tu_fact *a,
                const struct tu_fact *b, char *out, size_t size)
{
    char left[TEXT], right[TEXT];
    say_side(t->a, a, left, sizeof left);
    say_side(t->b, b, right, sizeof right);
    if (!is_known(a) && !is_known(b))
        snprintf(out, size, "%s: %s%s%s", name, a->note ? a->note : "",
                 a->note && b->note ? "; " : "", b->note ? b->note : "");
    else
        snprintf(out, size, "%s: %s; %s", name, left, right);
}

static int put_side(struct tu_builder *b, const struct tu_fact *f, const char *value,
                    const char *origin, const char *key, struct tu_error *error)
{
    if (is_known(f) && tu_builder_put_tree(b, value, strlen(value), &f->value, error) < 0)
        return -1;
    if (tu_put_string(b, origin, tu_fact_origin_name(f->origin), error) < 0)
        return -1;
    return f->key ? tu_put_string(b, key, f->key, error) : 0;
}

static int put_record(const struct table *t, const char *name, enum status status,
                      const struct tu_fact *a, const struct tu_fact *b, struct tu_error *error)
{
    char note[2 * TEXT + 128];
    struct tu_arena arena = {0};
    struct tu_builder builder;
    struct tensor_value map;
    if (tu_builder_begin(&builder, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    say(t, name, a, b, note, sizeof note);
    int result = 0;
    if (tu_put_string(&builder, "kind", "fact", error) < 0 ||
        tu_put_string(&builder, "name", name, error) < 0 ||
        tu_put_string(&builder, "status", statuses[status], error) < 0 ||
        put_side(&builder, a, "a", "origin_a", "key_a", error) < 0 ||
        put_side(&builder, b, "b", "origin_b", "key_b", error) < 0 ||
        (status != SAME && tu_put_string(&builder, "note", note, error) < 0))
        result = -1;
    if (result < 0)
        tu_builder_cancel(&builder);
    else if ((result = tu_builder_end(&builder, &map, error)) == 0)
        result = t->sink->take(t->sink->context, &map, error);
    tu_arena_free(&arena);
    return result;
}

static int compare_lists(const struct table *t, struct tu_error *error)
{
    const struct tu_fact_row *rows;
    size_t count = tu_fact_rows(&rows);
    for (size_t i = 0; i < count; i++) {
        enum status status = judge(t, (int)i, &rows[i]);
        if (status != SKIPPED &&
            put_record(t, rows[i].name, status, &t->a->facts[i], &t->b->facts[i], error) < 0)
            return -1;
    }
    return 0;
}

/* Keys that no fact comes from: only listed, whatever they say. */
static int compare_others(const struct table *t, struct tu_error *error)
{
    const struct tensor_value *maps[2] = {&t->a->others, &t->b->others};
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; maps[side]->type == TENSOR_MAP && i < maps[side]->map.count; i++) {
            const struct tensor_pair *p = &maps[side]->map.pairs[i];
            const char *key = p->key.string.bytes;
            const struct tensor_value *other = tu_value_get(maps[!side], key);
            const struct tu_fact mine = {.value = p->value, .origin = TU_ORIGIN_GIVEN, .key = key};
            struct tu_fact its = {.origin = TU_ORIGIN_UNKNOWN};
            if (other && (side || equal_values(&p->value, other, false)))
                continue;
            if (other)
                its = (struct tu_fact){.value = *other, .origin = TU_ORIGIN_GIVEN, .key = key};
            if (put_record(t, key,
                           other  ? LISTED
                           : side ? ONLY_B
                                  : ONLY_A,
                           side ? &its : &mine, side ? &mine : &its, error) < 0)
                return -1;
        }
    }
    return 0;
}

static int compare_models(const struct tu_model_facts *a, const struct tu_model_facts *b,
                          const struct tu_fact_sink *sink, struct tu_error *error)
{
    const struct table t = {a, b, sink};
    if (compare_lists(&t, error) < 0)
        return -1;
    return a->dialect == b->dialect ? compare_others(&t, error) : 0;
}

/* A folder whose config.json and whose own file differ is two models; only that is said, under
 * names of their own. */
static int compare_inside(const struct tu_gathered *g, const char *operand,
                          const struct tu_fact_sink *sink, struct tu_error *error)
{
    const struct tu_fact_row *rows;
    size_t count = tu_fact_rows(&rows);
    char name[64];
    const struct table t = {&g->beside, &g->facts, sink};
    if (g->beside.dialect == TU_DIALECT_NONE)
        return 0;
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s inside %s", rows[i].name, operand);
        if (judge(&t, (int)i, &rows[i]) == DIFFERS &&
            put_record(&t, name, DIFFERS, &t.a->facts[i], &t.b->facts[i], error) < 0)
            return -1;
    }
    return 0;
}

/* ---- Operands ---- */

static int gather(const struct tu_fact_operand *o, bool tokens, struct tu_arena *arena,
                  struct tu_gathered *out, struct tu_error *error)
{
    *out = (struct tu_gathered){0};
    if (o->path)
        return tu_gather_path(o->path, tokens, arena, &out->facts, error);
    if (o->stated)
        out->facts = *o->stated;
    else if (o->files)
        return tu_gather_operand(o->files, tokens, arena, out, error);
    return 0;
}

static bool has_tokens(const struct tu_gathered *g)
{
    return is_known(&g->facts.facts[TU_FACT_TOKENS]) || is_known(&g->facts.facts[TU_FACT_MERGES]);
}

static bool is_config(const struct tu_gathered *g)
{
    return g->facts.dialect == TU_DIALECT_CONFIG;
}

static int gather_both(const struct tu_fact_operand operands[static 2], struct tu_arena *arena,
                       struct tu_gathered out[static 2], struct tu_error *error)
{
    for (int i = 0; i < 2; i++)
        if (gather(&operands[i], false, arena, &out[i], error) < 0)
            return -1;
    /* tokenizer.json and tokenizer.model are long: they are read where there is something to hold
     * it against. */
    for (int i = 0; i < 2; i++)
        if (is_config(&out[i]) && !operands[i].stated &&
            (has_tokens(&out[!i]) || is_config(&out[!i])) &&
            gather(&operands[i], true, arena, &out[i], error) < 0)
            return -1;
    return 0;
}

int tu_compare_facts(const struct tu_fact_operand operands[static 2],
                     const struct tu_fact_sink *sink, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_gathered *sides = calloc(2, sizeof *sides);
    int result = sides ? gather_both(operands, &arena, sides, error) : tu_fail_memory(error);
    if (result == 0 && sides[0].facts.dialect && sides[1].facts.dialect)
        result = compare_models(&sides[0].facts, &sides[1].facts, sink, error);
    for (int i = 0; i < 2 && result == 0; i++)
        result = compare_inside(&sides[i], i ? "b" : "a", sink, error);
    free(sides);
    tu_arena_free(&arena);
    return result;
}

/* ---- Paths ---- */

/* Reads a stream to its end, for it may be broken; its first source that states facts speaks. */
static int read_stream(struct tu_operand *o, struct tu_arena *arena, struct tu_model_facts *out,
                       struct tu_error *error)
{
    struct tu_record record;
    int more;
    *out = (struct tu_model_facts){0};
    while ((more = tu_stream_next(&o->stream, &record, error)) > 0)
        if (record.kind == TU_KIND_SOURCE && out->dialect == TU_DIALECT_NONE &&
            tu_gather_record(&record.map, arena, out, error) < 0)
            return -1;
    return more;
}

static int open_path(struct tu_session *session, const char *path, struct tu_operand *o,
                     struct tu_fact_operand *out, struct tu_arena *arena, struct tu_error *error)
{
    *out = (struct tu_fact_operand){.files = o};
    if (tu_states_facts_alone(path)) {
        *out = (struct tu_fact_operand){.path = path};
        return 0;
    }
    if (tu_operand_open(o, session, path, TU_ACCESS_PREFERRED, error) < 0)
        return -1;
    if (!o->is_stream)
        return 0;
    struct tu_model_facts *facts = tu_arena_alloc(arena, sizeof *facts);
    out->stated = facts;
    return facts ? read_stream(o, arena, facts, error) : tu_fail_memory(error);
}

int tu_compare_facts_of_paths(struct tu_session *session, const char *const paths[static 2],
                              const struct tu_fact_sink *sink, struct tu_error *error)
{
    struct tu_operand operands[2] = {{.is_stream = true, .fd = -1}, {.is_stream = true, .fd = -1}};
    struct tu_fact_operand stated[2];
    struct tu_arena arena = {0};
    int result = 0;
    for (int i = 0; i < 2 && result == 0; i++)
        result = open_path(session, paths[i], &operands[i], &stated[i], &arena, error);
    if (result == 0)
        result = tu_compare_facts(stated, sink, error);
    for (int i = 0; i < 2; i++)
        tu_operand_close(&operands[i]);
    tu_arena_free(&arena);
    return result;
}
