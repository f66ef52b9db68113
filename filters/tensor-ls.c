/* SPDX-License-Identifier: MIT */
/* tensor-ls: what is in files and streams. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/record.h"
#include "tool/main.h"
#include "model/facts/gather.h"
#include "model/feed.h"
#include "model/packs/pack.h"
#include "model/packs/packs.h"
#include "tree/json.h"
#include "base/text.h"

static struct tu_tool tool;
static struct tu_output output;
static bool show_meta, show_facts, show_totals, show_formats, show_cpu;

static const struct tu_option options[] = {
    {0, "meta", NULL, "show the metadata of each source instead", tu_option_flag, &show_meta},
    {0, "facts", NULL, "show what each model says of itself: heads, rope, norms, tokens",
     tu_option_flag, &show_facts},
    {0, "totals", NULL, "show totals by element type instead", tu_option_flag, &show_totals},
    {0, "formats", NULL, "show the format plugins: found, refused and why", tu_option_flag,
     &show_formats},
    {0, "cpu", NULL, "show which code for which processors was built", tu_option_flag, &show_cpu},
    TU_PACKS_OPTION(tool),
    {0, "raw", NULL, "show tensors as they are stored, as --packs never does", tu_option_flag,
     &tool.stored},
    TU_SELECT_OPTIONS(tool),
    TU_LIMIT_OPTION(tool),
    TU_SORT_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_STREAM_OPTION(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

static const struct tu_column entry_columns[] = {
    {.key = "dtype", .title = "dtype", .width = -8},
    {.key = "shape", .title = "shape", .width = -20},
    {.key = "nbytes", .title = "bytes", .width = 10, .bytes = true},
    {.key = "elements", .title = "elements", .width = 10, .detail = true},
    {.key = "source", .title = "source", .width = 6, .detail = true},
    {.key = "packed", .title = "packed", .remark = true},
    {.key = "parts", .title = "parts", .width = 6, .detail = true},
    {.key = "name", .title = "name"},
    {0},
};

static const struct tu_column total_columns[] = {
    {.key = "dtype", .title = "dtype", .width = -8},
    {.key = "tensors", .title = "tensors", .width = 10},
    {.key = "elements", .title = "elements", .width = 16},
    {.key = "nbytes", .title = "bytes"},
    {0},
};

static const struct tu_column meta_columns[] = {
    {.key = "type", .title = "type", .width = -8},
    {.key = "key", .title = "key", .width = -40},
    {.key = "value", .title = "value"},
    {0},
};

static const struct tu_column fact_columns[] = {
    {.key = "name", .title = "name", .width = -20},
    {.key = "value", .title = "value", .width = -24},
    {.key = "origin", .title = "origin", .width = -8},
    {.key = "key", .title = "key"},
    {.key = "source", .title = "source", .width = 6, .detail = true},
    {.key = "note", .title = "note", .remark = true},
    {0},
};

/* What was listed, by element type; the last row is the sum. */
struct totals {
    uint64_t tensors[TENSOR_DTYPE_LIMIT + 1];
    uint64_t elements[TENSOR_DTYPE_LIMIT + 1];
    uint64_t bytes[TENSOR_DTYPE_LIMIT + 1];
};

static void count(struct totals *totals, const struct tu_tensor *t)
{
    for (size_t row = t->dtype;; row = TENSOR_DTYPE_LIMIT) {
        totals->tensors[row]++;
        totals->elements[row] += t->elements;
        totals->bytes[row] += tu_is_made(t) ? t->pack->stored : t->nbytes;
        if (row == TENSOR_DTYPE_LIMIT)
            return;
    }
}

/* What a weight of several tensors is; of what belongs to such and is none, that. */
static int put_packed(struct tu_builder *b, const struct tu_tensor *t, struct tu_error *error)
{
    char words[TU_PACK_WORDS];
    if (t->side)
        return tu_put_string(b, "packed", "side", error);
    if (!t->pack)
        return 0;
    tu_pack_say(t->pack, words, sizeof words);
    if (tu_put_string(b, "packed", words, error) < 0)
        return -1;
    return tu_is_made(t) ? tu_put_uint(b, "parts", t->pack->part_count, error) : 0;
}

static int fill_entry(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_item *item = subject;
    struct tu_tensor t = item->tensor;
    uint64_t source;
    if (tu_is_made(&t))
        t.nbytes = t.pack->stored;
    if (tu_put_string(b, "kind", "entry", error) < 0 || tu_put_tensor(b, &t, error) < 0 ||
        tu_put_uint(b, "elements", item->tensor.elements, error) < 0 ||
        put_packed(b, &t, error) < 0)
        return -1;
    return tu_value_uint(tu_value_get(&item->map, "source"), &source)
               ? tu_put_uint(b, "source", source, error)
               : 0;
}

struct total {
    const char *name;
    const struct totals *totals;
    size_t row;
};

static int fill_total(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct total *t = subject;
    if (tu_put_string(b, "kind", "total", error) < 0 ||
        tu_put_string(b, "dtype", t->name, error) < 0 ||
        tu_put_uint(b, "tensors", t->totals->tensors[t->row], error) < 0 ||
        tu_put_uint(b, "elements", t->totals->elements[t->row], error) < 0)
        return -1;
    return tu_put_uint(b, "nbytes", t->totals->bytes[t->row], error);
}

static int put_totals(const struct totals *totals, struct tu_error *error)
{
    size_t types;
    const struct tu_dtype *table = tu_dtype_table(&types);
    for (size_t i = 0; i < types; i++) {
        struct total total = {table[i].name, totals, table[i].code};
        if (totals->tensors[total.row] && tu_output_built(&output, fill_total, &total, error) < 0)
            return -1;
    }
    return tu_output_built(&output, fill_total, &(struct total){"all", totals, TENSOR_DTYPE_LIMIT},
                           error);
}

static void print_summary(const struct totals *totals)
{
    size_t types;
    char size[TU_NUMBER_SIZE];
    const struct tu_dtype *table = tu_dtype_table(&types);
    tu_format_bytes(totals->bytes[TENSOR_DTYPE_LIMIT], size);
    printf("%ju tensors, %ju elements, %s", (uintmax_t)totals->tensors[TENSOR_DTYPE_LIMIT],
           (uintmax_t)totals->elements[TENSOR_DTYPE_LIMIT], size);
    const char *lead = ": ";
    for (size_t i = 0; i < types; i++) {
        if (!totals->tensors[table[i].code])
            continue;
        tu_format_bytes(totals->bytes[table[i].code], size);
        printf("%s%ju %s (%s)", lead, (uintmax_t)totals->tensors[table[i].code], table[i].name,
               size);
        lead = ", ";
    }
    putchar('\n');
}

static int fill_meta(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tensor_pair *pair = subject;
    if (tu_put_string(b, "kind", "meta", error) < 0 ||
        tu_put_bytes(b, "key", pair->key.string.bytes, pair->key.string.length, error) < 0 ||
        tu_put_string(b, "type", tu_value_type_name((enum tensor_value_type)pair->value.type),
                      error) < 0)
        return -1;
    return tu_builder_put_tree(b, "value", strlen("value"), &pair->value, error);
}

/* Rows of keys for people; for machines, the source record as it is. */
static int put_meta(const struct tensor_value *source, struct tu_error *error)
{
    if (output.mode == TU_MODE_STREAM || output.mode == TU_MODE_JSON)
        return tu_output_record(&output, source, error);
    const struct tensor_value *meta = tu_value_get(source, "meta");
    for (size_t i = 0; meta && meta->type == TENSOR_MAP && i < meta->map.count; i++)
        if (tu_output_built(&output, fill_meta, &meta->map.pairs[i], error) < 0)
            return -1;
    return 0;
}

/* ---- Facts ---- */

struct stated {
    const struct tensor_value *fact;
    uint64_t source;
};

static int fill_fact(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    static const char *const keys[] = {"name", "value", "origin", "key", "note"};
    const struct stated *s = subject;
    if (tu_put_string(b, "kind", "fact", error) < 0)
        return -1;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct tensor_value *v = tu_value_get(s->fact, keys[i]);
        if (v && tu_builder_put_tree(b, keys[i], strlen(keys[i]), v, error) < 0)
            return -1;
    }
    return tu_put_uint(b, "source", s->source, error);
}

/* Rows of what a source record, or a tree of the same form, has under "facts". */
static int put_facts(const struct tensor_value *source, uint64_t id, struct tu_error *error)
{
    const struct tensor_value *list = tu_value_get(tu_value_get(source, "facts"), "list");
    for (size_t i = 0; list && list->type == TENSOR_ARRAY && i < list->array.count; i++) {
        struct stated stated = {&list->array.items[i], id};
        if (tu_output_built(&output, fill_fact, &stated, error) < 0)
            return -1;
    }
    return 0;
}

/* Facts as the tree that a source record carries. */
static int put_resolved(const struct tu_model_facts *facts, uint64_t id, struct tu_arena *arena,
                        struct tu_error *error)
{
    struct tu_builder b;
    struct tensor_value map;
    if (facts->dialect == TU_DIALECT_NONE)
        return 0;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_facts_put(&b, "facts", facts, error) == 0)
        return tu_builder_end(&b, &map, error) < 0 ? -1 : put_facts(&map, id, error);
    tu_builder_cancel(&b);
    return -1;
}

static int list_stated(struct tu_feed *feed, uint64_t *sources, struct tu_arena *arena,
                       struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0) {
        struct tu_model_facts facts;
        if (item.kind != TU_KIND_SOURCE)
            continue;
        if (tu_gather_record(&item.map, arena, &facts, error) < 0 ||
            put_resolved(&facts, (*sources)++, arena, error) < 0)
            return -1;
    }
    return more;
}

static int list_facts(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    static char standard_input[] = "-";
    static char *alone[] = {standard_input};
    struct tu_arena arena = {0};
    uint64_t sources = 0;
    int result = tu_output_open(&output, t, "fact", fact_columns, error);
    for (size_t i = 0; i < (count ? count : 1) && result == 0; i++) {
        char **operand = count ? operands + i : alone;
        struct tu_model_facts facts;
        struct tu_feed feed;
        if (tu_states_facts_alone(*operand)) {
            result = tu_gather_path(*operand, true, &arena, &facts, error);
            if (result == 0)
                result = put_resolved(&facts, sources++, &arena, error);
            continue;
        }
        tu_feed_open(&feed, &t->session, operand, 1, true);
        feed.stating = true;
        result = list_stated(&feed, &sources, &arena, error);
        tu_feed_close(&feed);
    }
    tu_arena_free(&arena);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

static int list_items(struct tu_feed *feed, struct totals *totals, struct tu_error *error)
{
    struct tu_item item;
    int more, result = 0;
    while (result == 0 && (more = tu_feed_next(feed, &item, error)) != 0) {
        if (more < 0)
            return -1;
        if (item.kind == TU_KIND_TENSOR)
            count(totals, &item.tensor);
        if (item.kind == TU_KIND_RESULT)
            result = tu_output_record(&output, &item.map, error);
        else if (item.kind == TU_KIND_SOURCE && show_meta)
            result = put_meta(&item.map, error);
        else if (item.kind == TU_KIND_TENSOR && !show_meta && !show_totals)
            result = tu_output_built(&output, fill_entry, &item, error);
    }
    return result;
}

static int list_operands(struct tu_tool *t, char **operands, size_t operand_count,
                         struct tu_error *error)
{
    struct tu_feed feed;
    static struct totals totals;
    bool machine = t->mode == TU_MODE_JSON;
    const char *kind = show_totals ? "total" : !show_meta ? "entry" : machine ? "source" : "meta";
    const struct tu_column *columns = show_totals ? total_columns
                                      : show_meta ? meta_columns
                                                  : entry_columns;
    if (tu_output_open(&output, t, kind, columns, error) < 0)
        return -1;
    tu_feed_open(&feed, &t->session, operands, operand_count, true);
    int result = list_items(&feed, &totals, error);
    tu_feed_close(&feed);
    if (result == 0 && show_totals)
        result = put_totals(&totals, error);
    bool summed = output.mode == TU_MODE_TABLE && !output.bare && !show_meta && !show_totals;
    if (result == 0 && summed)
        print_summary(&totals);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

static void list_formats(const struct tu_plugins *plugins)
{
    for (size_t i = 0; i < plugins->folder_count; i++)
        printf("searched  %s\n", plugins->folders[i]);
    for (size_t i = 0; i < plugins->count; i++) {
        const struct tu_plugin *p = &plugins->items[i];
        if (p->refused)
            printf("refused   %s: %s\n", p->path, p->refused);
        else
            printf("%-12s %-10s %-40s %s\n", p->format->name,
                   p->format->refuse ? "read,write" : "read", p->format->about, p->path);
    }
}

static void list_kernels(const struct tu_kernels *chosen)
{
    const struct tu_kernels *k;
    bool supported;
    for (size_t i = 0; (k = tu_kernels_built(i, &supported)); i++)
        printf("%-10s built, %s%s\n", k->name, supported ? "supported" : "not supported here",
               k == chosen ? ", chosen" : "");
}

static int run(struct tu_tool *t, char **operands, size_t operand_count, struct tu_error *error)
{
    if (show_formats)
        list_formats(&t->session.plugins);
    if (show_cpu)
        list_kernels(t->session.kernels);
    if ((show_formats || show_cpu) && operand_count == 0)
        return 0;
    if (show_facts)
        return list_facts(t, operands, operand_count, error);
    return list_operands(t, operands, operand_count, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-ls",
        .synopsis = "[OPTION]... [MODEL|-]...",
        .about = "Lists the tensors in models (files of any known format, saved streams, standard\n"
                 "input): element type, shape, bytes and name.",
        .options = options,
        .max_operands = SIZE_MAX,
        .packs = TU_PACKS_LISTED,
        .prints_text = true,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
