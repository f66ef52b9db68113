/* SPDX-License-Identifier: MIT */
/* Enters a discharge in the text of a contract, and leaves every other byte of it alone. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/path.h"
#include "tree/yaml.h"
#include "judge/canonical.h"
#include "judge/discharge.h"

/* Where the entry of a claim, and what it says already, stands in the text: bytes. */
struct place {
    size_t column;             /* of the entry's keys */
    size_t status, status_end; /* the value of discharge_status; equal: there is none */
    size_t block, block_end;   /* the lines of discharged_evidence; equal: where they go */
    size_t after_id;           /* the line after that of the id */
};

/* ---- Finding ---- */

/* libyaml counts characters; the text was read as UTF-8. */
static size_t byte_of(const char *text, size_t length, yaml_mark_t mark)
{
    size_t at = 0;
    for (size_t left = mark.index; left && at < length; left--)
        do
            at++;
        while (at < length && ((unsigned char)text[at] & 0xc0) == 0x80);
    return at;
}

static yaml_node_t *value_of(yaml_document_t *d, yaml_node_t *map, const char *key,
                             yaml_node_pair_t **pair)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        yaml_node_t *k = yaml_document_get_node(d, p->key);
        if (k->type != YAML_SCALAR_NODE || strcmp((char *)k->data.scalar.value, key) != 0)
            continue;
        if (pair)
            *pair = p;
        return yaml_document_get_node(d, p->value);
    }
    return NULL;
}

static yaml_node_t *find_entry(yaml_document_t *d, const char *claim)
{
    yaml_node_t *tests = value_of(d, yaml_document_get_root_node(d), "falsification_tests", NULL);
    if (!tests || tests->type != YAML_SEQUENCE_NODE)
        return NULL;
    for (yaml_node_item_t *i = tests->data.sequence.items.start; i < tests->data.sequence.items.top;
         i++) {
        yaml_node_t *entry = yaml_document_get_node(d, *i);
        yaml_node_t *id = value_of(d, entry, "id", NULL);
        if (id && id->type == YAML_SCALAR_NODE && strcmp((char *)id->data.scalar.value, claim) == 0)
            return entry;
    }
    return NULL;
}

/* Where what can be seen of a node ends: a block collection itself ends where the next thing
 * begins. The contract was read before, which bounds the depth. */
static yaml_mark_t end_of(yaml_document_t *d, yaml_node_t *node)
{
    if (node->type == YAML_MAPPING_NODE && node->data.mapping.style != YAML_FLOW_MAPPING_STYLE &&
        node->data.mapping.pairs.top > node->data.mapping.pairs.start)
        return end_of(d, yaml_document_get_node(d, node->data.mapping.pairs.top[-1].value));
    if (node->type == YAML_SEQUENCE_NODE && node->data.sequence.style != YAML_FLOW_SEQUENCE_STYLE &&
        node->data.sequence.items.top > node->data.sequence.items.start)
        return end_of(d, yaml_document_get_node(d, node->data.sequence.items.top[-1]));
    return node->end_mark;
}

/* The start of the next line; a text in | or > ends at the start of one already. */
static size_t next_line(const char *text, size_t length, size_t at)
{
    while (at < length && at && text[at - 1] != '\n')
        at++;
    return at;
}

static int locate(yaml_document_t *d, yaml_node_t *entry, const char *text, size_t length,
                  struct place *place, struct tu_error *error)
{
    yaml_node_pair_t *pair;
    yaml_node_t *first = yaml_document_get_node(d, entry->data.mapping.pairs.start->key);
    yaml_node_t *id = value_of(d, entry, "id", NULL);
    yaml_node_t *status = value_of(d, entry, "discharge_status", NULL);
    yaml_node_t *block = value_of(d, entry, "discharged_evidence", &pair);
    if (entry->data.mapping.style == YAML_FLOW_MAPPING_STYLE)
        return tu_fail(error, TU_EUSAGE,
                       "the claim's entry is written in braces, where nothing can be entered "
                       "(give each of its keys a line)");
    place->column = first->start_mark.column;
    place->after_id = next_line(text, length, byte_of(text, length, id->end_mark));
    if (status) {
        place->status = byte_of(text, length, status->start_mark);
        place->status_end = byte_of(text, length, end_of(d, status));
    }
    place->block_end = next_line(text, length, byte_of(text, length, end_of(d, entry)));
    place->block = place->block_end;
    if (!block)
        return 0;
    yaml_node_t *key = yaml_document_get_node(d, pair->key);
    if (key == first)
        return tu_fail(error, TU_EUSAGE,
                       "discharged_evidence is the first key of the claim's entry, and stays as it "
                       "is (put the id first)");
    place->block = byte_of(text, length, key->start_mark) - key->start_mark.column;
    place->block_end = next_line(text, length, byte_of(text, length, end_of(d, block)));
    return 0;
}

static int find_place(const char *text, size_t length, const char *claim, struct place *place,
                      struct tu_error *error)
{
    yaml_parser_t parser;
    yaml_document_t document;
    *place = (struct place){0};
    if (!yaml_parser_initialize(&parser))
        return tu_fail_memory(error);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    if (!yaml_parser_load(&parser, &document)) {
        yaml_parser_delete(&parser);
        return tu_fail(error, TU_EINVALID, "this is no YAML");
    }
    yaml_node_t *entry = find_entry(&document, claim);
    int result = entry ? locate(&document, entry, text, length, place, error)
                       : tu_fail(error, TU_EINVALID, "it has no claim '%s'", claim);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    return result;
}

/* ---- Writing ---- */

struct writing {
    FILE *out;
    size_t column;
    const char *line_end;
    int result;
    struct tu_error *error;
};

/* A value as JSON, which is YAML. */
static void put_member(struct writing *w, size_t deeper, const char *key,
                       const struct tensor_value *value)
{
    char *text;
    size_t length;
    if (!value || w->result < 0)
        return;
    w->result = tu_evidence_canonical(value, &text, &length, w->error);
    if (w->result < 0)
        return;
    fprintf(w->out, "%*s%s: %s%s", (int)(w->column + deeper), "", key, text, w->line_end);
    free(text);
}

static void put_text(struct writing *w, size_t deeper, const char *key, const char *text)
{
    const struct tensor_value value = {.type = TENSOR_STRING, .string = {text, strlen(text)}};
    put_member(w, deeper, key, &value);
}

static void put_extreme(struct writing *w, const struct tensor_value *results, const char *key)
{
    const struct tensor_value *at = tu_value_get(results, key);
    put_member(w, 4, key, at && at->type == TENSOR_MAP ? tu_value_get(at, "value") : NULL);
}

static void put_summary(struct writing *w, const struct tensor_value *results)
{
    const struct tensor_value *field = tu_value_get(results, "field");
    if (!tu_value_equals(field, "cosine_similarity") && !tu_value_equals(field, "cosine_f32")) {
        put_member(w, 2, "below_threshold_count", tu_value_get(results, "below_threshold_count"));
        return;
    }
    fprintf(w->out, "%*scosine_summary:%s", (int)w->column + 2, "", w->line_end);
    put_extreme(w, results, "min");
    put_extreme(w, results, "max");
    put_member(w, 4, "below_threshold_count", tu_value_get(results, "below_threshold_count"));
}

static const struct tensor_value *host_member(const struct tensor_value *evidence, const char *key)
{
    const struct tensor_value *host = tu_value_get(evidence, "host");
    return host && host->type == TENSOR_MAP ? tu_value_get(host, key) : NULL;
}

static void put_block(struct writing *w, const struct tu_sealed *e)
{
    const struct tensor_value *results = tu_value_get(&e->value, "results");
    const struct tensor_value *verdict = tu_value_get(&e->value, "verdict");
    const char *name = tu_file_name(e->path);
    const struct tensor_value base = {.type = TENSOR_STRING, .string = {name, strlen(name)}};
    const struct tensor_value live = {.type = TENSOR_ARRAY, .array = {.items = &base, .count = 1}};
    fprintf(w->out, "%*sdischarged_evidence:%s", (int)w->column, "", w->line_end);
    put_member(w, 2, "evidence_id", tu_value_get(&e->value, "evidence_id"));
    put_member(w, 2, "binds_to", tu_value_get(&e->value, "binds_to"));
    put_member(w, 2, "host", host_member(&e->value, "hostname"));
    put_member(w, 2, "cpu", host_member(&e->value, "cpu"));
    put_text(w, 2, "aggregate_verdict", tu_value_equals(verdict, "pass") ? "Pass" : "Fail");
    put_member(w, 2, "tensors_compared", tu_value_get(results, "tensors_compared"));
    put_summary(w, results);
    put_member(w, 2, "evidence_discharged_by_live", &live);
    put_text(w, 2, "sha256", e->sha256);
}

static void put_status(struct writing *w, const struct tu_sealed *e)
{
    const struct tensor_value *status = tu_value_get(&e->value, "discharge_status");
    fputs(status && status->type == TENSOR_STRING ? status->string.bytes : "null", w->out);
}

/* Copies text up to a place where a line begins, also where the last one has no end. */
static void copy_lines(struct writing *w, const char *text, size_t from, size_t to)
{
    fwrite(text + from, 1, to - from, w->out);
    if (to && text[to - 1] != '\n')
        fputs(w->line_end, w->out);
}

/* The text with the discharge in its place, whichever of the places comes first. */
static void put_contract(struct writing *w, const char *text, size_t length, const struct place *p,
                         const struct tu_sealed *e)
{
    size_t from = 0;
    for (size_t at = 0; at <= length; at++) {
        if (p->status == p->status_end && at == p->after_id) {
            copy_lines(w, text, from, at);
            from = at;
            fprintf(w->out, "%*sdischarge_status: ", (int)p->column, "");
            put_status(w, e);
            fputs(w->line_end, w->out);
        }
        if (p->status != p->status_end && at == p->status) {
            fwrite(text + from, 1, at - from, w->out);
            put_status(w, e);
            from = p->status_end;
        }
        if (at == p->block) {
            copy_lines(w, text, from, at);
            put_block(w, e);
            from = p->block_end;
        }
    }
    fwrite(text + from, 1, length - from, w->out);
}

/* ---- Whether all else is as it was ---- */

static bool is_ours(const struct tensor_value *key)
{
    return tu_value_equals(key, "discharge_status") || tu_value_equals(key, "discharged_evidence");
}

/* Leaves out what was to change, in the entry of the claim. */
static void strip(const struct tensor_value *document, const char *claim)
{
    const struct tensor_value *tests = tu_value_get(document, "falsification_tests");
    for (size_t i = 0; tests && tests->type == TENSOR_ARRAY && i < tests->array.count; i++) {
        struct tensor_value *entry = (struct tensor_value *)&tests->array.items[i];
        if (entry->type != TENSOR_MAP || !tu_value_equals(tu_value_get(entry, "id"), claim))
            continue;
        struct tensor_pair *pairs = (struct tensor_pair *)entry->map.pairs;
        size_t kept = 0;
        for (size_t k = 0; k < entry->map.count; k++)
            if (!is_ours(&pairs[k].key))
                pairs[kept++] = pairs[k];
        entry->map.count = kept;
    }
}

static int read_stripped(const char *text, size_t length, const char *claim, char **out,
                         size_t *out_length, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tensor_value document;
    int result = tu_yaml_parse(text, length, &arena, &document, error);
    if (result == 0) {
        strip(&document, claim);
        result = tu_evidence_canonical(&document, out, out_length, error);
    }
    tu_arena_free(&arena);
    return result;
}

static int check_rest(const char *before, size_t before_length, const char *after,
                      size_t after_length, const char *claim, struct tu_error *error)
{
    char *texts[2] = {NULL, NULL};
    size_t lengths[2];
    struct tu_error ignored = {0};
    int result = read_stripped(before, before_length, claim, &texts[0], &lengths[0], error);
    if (result == 0 &&
        (read_stripped(after, after_length, claim, &texts[1], &lengths[1], &ignored) < 0 ||
         lengths[0] != lengths[1] || memcmp(texts[0], texts[1], lengths[0]) != 0))
        result = tu_fail(error, TU_EUSAGE,
                         "the discharge cannot be entered without a change to something else "
                         "(give each key of the claim's entry a line of its own)");
    free(texts[0]);
    free(texts[1]);
    return result;
}

int tu_discharge_write(const char *text, size_t length, const char *claim,
                       const struct tu_sealed *evidence, char **out, size_t *out_length,
                       struct tu_error *error)
{
    struct place place;
    if (find_place(text, length, claim, &place, error) < 0)
        return -1;
    *out = NULL;
    struct writing w = {.out = open_memstream(out, out_length),
                        .column = place.column,
                        .line_end = memchr(text, '\r', length) ? "\r\n" : "\n",
                        .error = error};
    if (!w.out)
        return tu_fail_memory(error);
    put_contract(&w, text, length, &place, evidence);
    bool whole = !ferror(w.out);
    whole = fclose(w.out) == 0 && whole;
    if (!whole && w.result == 0)
        w.result = tu_fail_memory(error);
    if (w.result == 0)
        w.result = check_rest(text, length, *out, *out_length, claim, error);
    if (w.result < 0) {
        free(*out);
        *out = NULL;
    }
    return w.result;
}
