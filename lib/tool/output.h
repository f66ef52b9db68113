/* SPDX-License-Identifier: MIT */
/* What a filter says on standard output: the stream, or rows for people and scripts. */
#ifndef TU_OUTPUT_H
#define TU_OUTPUT_H

#include <stdio.h>

#include "model/feed.h"
#include "stream/writer.h"
#include "tree/cell.h"

struct tu_tool; /* tool/main.h */

enum tu_mode {
    TU_MODE_AUTO, /* a table on a terminal, else the stream; of filters that print text, rows */
    TU_MODE_STREAM,
    TU_MODE_TABLE,
    TU_MODE_JSON,
    TU_MODE_TSV,
};

struct tu_output {
    enum tu_mode mode; /* never TU_MODE_AUTO */
    const char *kind;  /* of the records that are printed as rows; NULL: all are */
    const struct tu_column *columns;
    bool header_printed;
    bool bare; /* a table for another program: rows alone, without header and summary */
    struct tu_stream_writer writer; /* TU_MODE_STREAM */
    uint64_t rows;
    const struct tu_selection *selection; /* that must not select nothing; lent */
};

/* Opens standard output the way the tool's options and the terminal ask.  Rows are records of one
 * kind, or of any if that is NULL; columns end with a NULL key. */
int tu_output_open(struct tu_output *o, struct tu_tool *tool, const char *kind,
                   const struct tu_column *columns, struct tu_error *error) TU_MUST_CHECK;

/* Whether tensors are to be followed by their bytes: tu_writer_bytes on o->writer. */
static inline bool tu_output_streams(const struct tu_output *o)
{
    return o->mode == TU_MODE_STREAM;
}

/* A record without chunks.  Outside of streams, records of other kinds are left out. */
int tu_output_record(struct tu_output *o, const struct tensor_value *map,
                     struct tu_error *error) TU_MUST_CHECK;
/* The same for a record that fill builds from its subject. */
typedef int tu_fill_fn(struct tu_builder *b, const void *subject, struct tu_error *error);
int tu_output_built(struct tu_output *o, tu_fill_fn *fill, const void *subject,
                    struct tu_error *error) TU_MUST_CHECK;
/* A tensor; extra as in tu_writer_tensor. */
int tu_output_tensor(struct tu_output *o, const struct tu_tensor *t,
                     const struct tensor_value *extra, struct tu_error *error) TU_MUST_CHECK;

int tu_output_close(struct tu_output *o, struct tu_error *error) TU_MUST_CHECK;
/* Tells the reader that this filter failed; best effort. */
void tu_output_fail(struct tu_output *o, const char *tool, const char *message);

/* Hands the current tensor, which must not have been read from, to an output: its record, and its
 * bytes where the output streams. */
int tu_feed_pass(struct tu_feed *f, const struct tu_item *item, struct tu_output *output,
                 struct tu_error *error) TU_MUST_CHECK;

/* The columns of tensors, for every filter that puts out tensors. */
extern const struct tu_column tu_tensor_columns[];

#endif
