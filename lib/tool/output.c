/* SPDX-License-Identifier: MIT */
/* Puts records and tensors out as a stream, a table, JSON or TSV. */
#include "config.h"

#include "tool/output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/record.h"
#include "tree/json.h"
#include "base/text.h"
#include "model/packs/pack.h"
#include "model/select.h"
#include "tool/main.h"

const struct tu_column tu_tensor_columns[] = {
    {.key = "dtype", .title = "dtype", .width = -8},
    {.key = "shape", .title = "shape", .width = -20},
    {.key = "nbytes", .title = "bytes", .width = 10, .bytes = true},
    {.key = "source", .title = "source", .width = 6, .detail = true},
    {.key = "name", .title = "name"},
    {0},
};

int tu_output_open(struct tu_output *o, struct tu_tool *tool, const char *kind,
                   const struct tu_column *columns, struct tu_error *error)
{
    *o = (struct tu_output){.mode = tool->mode,
                            .kind = kind,
                            .columns = columns,
                            .selection = &tool->session.selection};
    bool terminal = isatty(STDOUT_FILENO);
    if (o->mode == TU_MODE_STREAM && terminal)
        return tu_fail(error, TU_EUSAGE,
                       "--stream: standard output is a terminal, and a stream is binary (pipe it "
                       "into a filter)");
    o->bare = o->mode == TU_MODE_AUTO && tool->prints_text && !terminal;
    if (o->mode == TU_MODE_AUTO)
        o->mode = terminal || tool->prints_text ? TU_MODE_TABLE : TU_MODE_STREAM;
    if (o->mode == TU_MODE_STREAM &&
        tu_writer_open(&o->writer, STDOUT_FILENO, tool->name, tool->command, error) < 0)
        return -1;
    tool->output = o;
    return 0;
}

static void print_cell(const struct tu_column *c, const char *text)
{
    if (c->width == 0)
        fputs(text, stdout);
    else
        printf("%*s  ", c->width, text);
}

static void print_header(const struct tu_output *o)
{
    for (const struct tu_column *c = o->columns; c->key; c++)
        if (!c->detail && !c->remark)
            print_cell(c, c->title);
    putchar('\n');
}

static void print_table_row(struct tu_output *o, const struct tensor_value *map)
{
    char cell[1024];
    if (!o->header_printed && !o->bare)
        print_header(o);
    o->header_printed = true;
    for (const struct tu_column *c = o->columns; c->key; c++) {
        if (c->detail || c->remark)
            continue;
        tu_format_cell(tu_value_get(map, c->key), c->bytes, cell, sizeof cell);
        print_cell(c, cell);
    }
    for (const struct tu_column *c = o->columns; c->key; c++) {
        const struct tensor_value *value = c->remark ? tu_value_get(map, c->key) : NULL;
        if (!value)
            continue;
        tu_format_cell(value, c->bytes, cell, sizeof cell);
        printf("  (%s: %s)", c->title, cell);
    }
    putchar('\n');
}

static void print_tsv_row(struct tu_output *o, const struct tensor_value *map)
{
    for (const struct tu_column *c = o->columns; !o->header_printed && c->key; c++)
        printf("%s%c", c->key, c[1].key ? '\t' : '\n');
    o->header_printed = true;
    for (const struct tu_column *c = o->columns; c->key; c++) {
        tu_put_tsv(stdout, tu_value_get(map, c->key));
        putchar(c[1].key ? '\t' : '\n');
    }
}

static int print_json_row(const struct tensor_value *map, struct tu_error *error)
{
    struct tu_arena arena = {0};
    const char *text;
    size_t length;
    int result = tu_json_text(map, &arena, &text, &length, error);
    if (result == 0) {
        fwrite(text, 1, length, stdout);
        putchar('\n');
    }
    tu_arena_free(&arena);
    return result;
}

static int print_row(struct tu_output *o, const struct tensor_value *map, struct tu_error *error)
{
    o->rows++;
    if (o->mode == TU_MODE_JSON)
        return print_json_row(map, error);
    if (o->mode == TU_MODE_TSV)
        print_tsv_row(o, map);
    else
        print_table_row(o, map);
    return 0;
}

int tu_output_record(struct tu_output *o, const struct tensor_value *map, struct tu_error *error)
{
    if (o->mode == TU_MODE_STREAM)
        return tu_writer_record(&o->writer, map, error);
    bool wanted = !o->kind || tu_value_equals(tu_value_get(map, "kind"), o->kind);
    return wanted ? print_row(o, map, error) : 0;
}

int tu_output_built(struct tu_output *o, tu_fill_fn *fill, const void *subject,
                    struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_builder b;
    struct tensor_value map;
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int result = fill(&b, subject, error);
    if (result < 0)
        tu_builder_cancel(&b);
    else if ((result = tu_builder_end(&b, &map, error)) == 0)
        result = tu_output_record(o, &map, error);
    tu_arena_free(&arena);
    return result;
}

int tu_output_tensor(struct tu_output *o, const struct tu_tensor *t,
                     const struct tensor_value *extra, struct tu_error *error)
{
    if (o->mode == TU_MODE_STREAM)
        return tu_writer_tensor(&o->writer, t, extra, error);
    struct tu_arena arena = {0};
    struct tensor_value map;
    int result = tu_tensor_record(t, extra, &arena, &map, error);
    if (result == 0)
        result = print_row(o, &map, error);
    tu_arena_free(&arena);
    return result;
}

int tu_output_close(struct tu_output *o, struct tu_error *error)
{
    if (tu_selection_check(o->selection, error) < 0)
        return -1;
    int result = o->mode == TU_MODE_STREAM ? tu_writer_end(&o->writer, error) : 0;
    if (result == 0 && o->mode == TU_MODE_STREAM)
        tu_writer_close(&o->writer);
    return result;
}

void tu_output_fail(struct tu_output *o, const char *tool, const char *message)
{
    if (o->mode == TU_MODE_STREAM && o->writer.buffer)
        tu_writer_fail(&o->writer, tool, message);
}

/* ---- Passing on ---- */

/* How much goes between two updates of the progress. */
static uint64_t step_of(uint64_t left)
{
    enum { STEP = 16 << 20 };
    return left < STEP ? left : STEP;
}

static int relay(struct tu_feed *f, uint64_t length, struct tu_stream_writer *w,
                 struct tu_error *error)
{
    for (uint64_t done = 0, n; done < length; done += n) {
        n = step_of(length - done);
        if (tu_writer_relay(w, &f->operand.stream, n, error) < 0)
            return -1;
        tu_progress(f->session, f->done += n, f->total);
    }
    return 0;
}

static int splice_extents(struct tu_feed *f, struct tu_stream_writer *w, struct tu_error *error)
{
    const struct tu_tensor *t = f->current.tensor;
    for (size_t i = 0; i < t->extent_count; i++) {
        const struct tu_extent *e = &t->extents[i];
        for (uint64_t done = 0, n; done < e->length; done += n) {
            n = step_of(e->length - done);
            if (tu_writer_splice(w, &f->current.model->source, e->offset + done, n, error) < 0)
                return -1;
            tu_progress(f->session, f->done += n, f->total);
        }
    }
    return 0;
}

/* Values that are made of several tensors lie nowhere. */
static int pass_made(struct tu_feed *f, struct tu_stream_writer *w, struct tu_error *error)
{
    enum { AT_ONCE = 4 << 20 };
    uint64_t left = f->current.tensor->nbytes;
    char *bytes = malloc(left < AT_ONCE ? (size_t)left + 1 : AT_ONCE);
    int result = bytes ? 0 : tu_fail_memory(error);
    for (size_t n; left && result == 0; left -= n) {
        n = left < AT_ONCE ? (size_t)left : AT_ONCE;
        result = tu_feed_read(f, bytes, n, error);
        if (result == 0)
            result = tu_writer_bytes(w, bytes, n, error);
    }
    free(bytes);
    return result;
}

int tu_feed_pass(struct tu_feed *f, const struct tu_item *item, struct tu_output *output,
                 struct tu_error *error)
{
    if (tu_output_tensor(output, &item->tensor, &item->map, error) < 0)
        return -1;
    if (!tu_output_streams(output))
        return 0;
    if (f->current.model && tu_is_made(f->current.tensor))
        return pass_made(f, &output->writer, error);
    return f->current.model ? splice_extents(f, &output->writer, error)
                            : relay(f, item->tensor.nbytes, &output->writer, error);
}
