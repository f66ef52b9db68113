/* SPDX-License-Identifier: MIT */
/* tensor-splice: one model with some tensors, or a part of one, as another model has them. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/source.h"
#include "map/partner.h"
#include "map/splice.h"
#include "model/source-record.h"
#include "tool/main.h"
#include "tool/put-view.h"

static struct tu_tool tool;
static struct tu_output output;
static const char *map_name = "auto", *names_file;
static struct range {
    bool given;
    uint64_t first, end;
} rows, elements;

static int parse_range(void *target, const char *text, struct tu_error *error)
{
    struct range *r = target;
    int length = 0;
    if (*text < '0' || *text > '9' ||
        sscanf(text, "%19" SCNu64 ":%19" SCNu64 "%n", &r->first, &r->end, &length) != 2 ||
        text[length] || r->first >= r->end)
        return tu_fail(error, TU_EUSAGE, "'%s' is no FIRST:END (from FIRST up to before END)",
                       text);
    r->given = true;
    return 0;
}

static const struct tu_option options[] = {
    {0, "names", "FILE", "only the tensors whose names are lines of FILE", tu_option_string,
     &names_file},
    TU_SELECT_OPTIONS(tool),
    {0, "rows", "FIRST:END", "of the one that is selected, only these rows", parse_range, &rows},
    {0, "elements", "FIRST:END", "the same, elements in row-major order", parse_range, &elements},
    {0, "map", "auto|none|MAP", "how B's names become A's (default auto)", tu_option_string,
     &map_name},
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

struct work {
    struct tu_feed feed;     /* A */
    struct tu_operand donor; /* B */
    uint64_t donor_source;   /* the number of B's first source */
    struct tu_partners partners;
    struct tu_arena arena; /* of the list of names */
    struct name {
        const char *text;
        bool met;
    } * names; /* sorted */
    size_t name_count, name_capacity;
    uint64_t taken;
};

/* A list of names is text: more than that is none. */
enum { NAMES_MAX = 64 << 20 };

/* ---- Which tensors ---- */

static int compare_listed(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    return strcmp(x->text, y->text);
}

static int add_name(struct work *w, const char *line, struct tu_error *error)
{
    if (!*line)
        return 0;
    if (!TU_GROW(w->names, w->name_count, w->name_capacity))
        return tu_fail_memory(error);
    w->names[w->name_count++] = (struct name){.text = line};
    return 0;
}

static int read_names(struct work *w, struct tu_error *error)
{
    const char *text;
    size_t length;
    if (tu_read_whole(names_file, "a list of names", NAMES_MAX, &w->arena, &text, &length, error) <
        0)
        return -1;
    char *rest = tu_arena_copy(&w->arena, text, length);
    if (!rest)
        return tu_fail_memory(error);
    if (strlen(rest) != length)
        return tu_fail(error, TU_EINVALID, "%s: a name has a zero byte", names_file);
    for (char *line; (line = strsep(&rest, "\n"));)
        if (add_name(w, line, error) < 0)
            return -1;
    if (!w->name_count)
        return tu_fail(error, TU_EINVALID, "%s: it has no names", names_file);
    qsort(w->names, w->name_count, sizeof *w->names, compare_listed);
    return 0;
}

static bool selects(struct work *w, const struct tu_tensor *t)
{
    if (!tu_selects(&tool.session.selection, t))
        return false;
    if (!names_file)
        return true;
    struct name key = {.text = t->name};
    struct name *met = bsearch(&key, w->names, w->name_count, sizeof *w->names, compare_listed);
    if (met)
        met->met = true;
    return met;
}

/* What was asked for and did not happen. */
static int check_taken(const struct work *w, struct tu_error *error)
{
    for (size_t i = 0; i < w->name_count; i++)
        if (!w->names[i].met && (!i || strcmp(w->names[i].text, w->names[i - 1].text) != 0))
            return tu_fail(error, TU_EINVALID, "%s: the selection has no tensor '%s'",
                           w->feed.operands[0], w->names[i].text);
    if (!w->taken)
        return tu_fail(error, TU_EINVALID, "%s: nothing is selected (tensor-ls shows its names)",
                       w->feed.operands[0]);
    return 0;
}

/* ---- What B has for one ---- */

static int open_partners(struct work *w, struct tu_error *error)
{
    const struct tu_operand *const sides[] = {&w->feed.operand, &w->donor};
    for (int i = 0; i < 2; i++) {
        w->partners.facts.metadata[i] = &sides[i]->models[0].metadata;
        if (tu_catalogue_operand(&w->partners.catalogues[i], sides[i], error) < 0)
            return -1;
    }
    return strcmp(map_name, "none") == 0 ? 0 : tu_partners_open(&w->partners, map_name, error);
}

/* By the rules of a map that the user names, by its name, by another name. */
static int find(struct work *w, const struct tu_tensor *t, const struct tu_view_maker *m,
                struct tu_found *out, struct tu_error *error)
{
    bool named = strcmp(map_name, "auto") != 0 && strcmp(map_name, "none") != 0;
    int found = named ? tu_partners_stated(&w->partners, 1, t, m, out, error) : 0;
    if (found)
        return found;
    struct tu_member same = tu_catalogue_find(&w->partners.catalogues[1], t->name, t->name_length);
    if (same.tensor) {
        *out = (struct tu_found){.view = tu_view_leaf(m, same, error)};
        return out->view ? 1 : -1;
    }
    return strcmp(map_name, "none") == 0
               ? 0
               : tu_partners_find(&w->partners, 1, t, false, m, out, error);
}

/* The elements that --rows or --elements mean. */
static int range_of(const struct tu_tensor *t, struct range *out, struct tu_error *error)
{
    *out = rows.given ? rows : elements;
    if (!rows.given)
        return 0;
    if (!t->rank || rows.end > t->shape[0])
        return tu_fail(error, TU_EINVALID, "it has no rows %" PRIu64 ":%" PRIu64, rows.first,
                       rows.end);
    out->first *= t->elements / t->shape[0];
    out->end *= t->elements / t->shape[0];
    return 0;
}

/* What is put out in place of a tensor. */
static const struct tu_view *splice(struct work *w, const struct tu_member *own,
                                    const struct tu_view_maker *m, struct tu_error *error)
{
    struct tu_found f;
    struct range r;
    int found = find(w, own->tensor, m, &f, error);
    if (found == 0)
        tu_fail(error, TU_EINVALID, "it has none that belongs to it");
    if (found <= 0)
        return NULL;
    const struct tu_view *v = f.addend == 0 ? f.view : tu_view_add(m, f.view, -f.addend, error);
    if (!v || !(rows.given || elements.given))
        return v;
    const struct tu_view *self = tu_view_leaf(m, *own, error);
    if (!self || range_of(own->tensor, &r, error) < 0)
        return NULL;
    return tu_view_splice(m, self, v, r.first, r.end, error);
}

/* ---- Putting out ---- */

static int put_donor_sources(struct work *w, struct tu_error *error)
{
    w->donor_source = w->feed.sources;
    for (size_t i = 0; i < w->donor.model_count; i++) {
        struct tensor_value record;
        if (tu_compared_source(&w->donor.models[i], w->feed.sources++, "b", &w->feed.arena, &record,
                               error) < 0 ||
            tu_output_record(&output, &record, error) < 0)
            return -1;
    }
    return 0;
}

/* Which source a view's values come from: that of B's model, or B's first. */
static uint64_t source_of(const struct work *w, const struct tu_view *v)
{
    const struct tu_model *m = tu_view_first_leaf(v).model;
    for (size_t i = 0; i < w->donor.model_count; i++)
        if (m == &w->donor.models[i])
            return w->donor_source + i;
    return w->donor_source;
}

static int put_spliced(struct work *w, struct tu_error *error)
{
    struct tu_arena arena = {0};
    const struct tu_view_maker m = {&arena, tool.session.kernels};
    const struct tu_tensor *t = w->feed.current.tensor;
    struct tu_error reason = {0};
    const struct tu_view *v = splice(w, &w->feed.current, &m, &reason);
    int result;
    if (v) {
        struct tensor_pair source = {
            .key = {.type = TENSOR_STRING, .string = {"source", strlen("source")}},
            .value = {.type = TENSOR_UINT64, .uint = source_of(w, v)}};
        const struct tensor_value extra = {.type = TENSOR_MAP, .map = {&source, 1}};
        const struct tu_view_name name = {t->name, t->name_length};
        result = tu_put_view(&output, v, name, &extra, &w->feed, error);
    } else
        result = tu_fail(error, reason.code, "%s: tensor '%s': %s", w->feed.operands[1], t->name,
                         reason.text);
    w->taken++;
    tu_arena_free(&arena);
    return result;
}

static int put_item(struct work *w, const struct tu_item *item, struct tu_error *error)
{
    if (item->kind != TU_KIND_TENSOR)
        return tu_output_record(&output, &item->map, error);
    if (!w->partners.facts.metadata[0] &&
        (put_donor_sources(w, error) < 0 || open_partners(w, error) < 0))
        return -1;
    if (!selects(w, &item->tensor))
        return tu_feed_pass(&w->feed, item, &output, error);
    if (w->taken && (rows.given || elements.given))
        return tu_fail(error, TU_EUSAGE,
                       "--rows and --elements want one tensor, and more are selected");
    return put_spliced(w, error);
}

static int put_items(struct work *w, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(&w->feed, &item, error)) > 0)
        if (put_item(w, &item, error) < 0)
            return -1;
    if (more < 0 || check_taken(w, error) < 0)
        return -1;
    return tu_operand_unchanged(&w->donor, error);
}

static int check_usage(char **operands, struct tu_error *error)
{
    if (rows.given && elements.given)
        return tu_fail(error, TU_EUSAGE, "--rows and --elements exclude each other");
    if (strcmp(operands[0], "-") == 0 && strcmp(operands[1], "-") == 0)
        return tu_fail(error, TU_EUSAGE, "only one of A and B can be standard input");
    return 0;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct work w = {.donor = {.fd = -1}};
    (void)count;
    if (check_usage(operands, error) < 0 ||
        tu_output_open(&output, t, "tensor", tu_tensor_columns, error) < 0)
        return -1;
    tu_feed_open(&w.feed, &t->session, operands, 1, false);
    w.feed.access = TU_ACCESS_RANDOM;
    w.feed.stating = true;
    int result = names_file ? read_names(&w, error) : 0;
    if (result == 0)
        result = tu_operand_open(&w.donor, &t->session, operands[1], TU_ACCESS_RANDOM, error);
    if (result == 0)
        result = put_items(&w, error);
    tu_partners_close(&w.partners);
    tu_operand_close(&w.donor);
    tu_feed_close(&w.feed);
    free(w.names);
    tu_arena_free(&w.arena);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-splice",
        .synopsis = "[OPTION]... A B",
        .about = "Puts out model A with the selected tensors, or a part of one, as model B has "
                 "them:\n"
                 "under A's names and in A's order, with B's values and element types.",
        .options = options,
        .min_operands = 2,
        .max_operands = 2,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
