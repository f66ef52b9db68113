/* SPDX-License-Identifier: MIT */
/*
 * The input of a filter that goes over tensors once: any number of operands, files and streams, as
 * one sequence.  Sources are numbered through, whatever segments they come from.
 */
#ifndef TU_FEED_H
#define TU_FEED_H

#include "model/operand.h"

/* One item of the sequence.  Lives until the next. */
struct tu_item {
    enum tu_kind kind;       /* SOURCE, INDEX, TENSOR or RESULT; STREAM where that is asked for */
    struct tensor_value map; /* the record; of a tensor, what stands beside its description */
    struct tu_tensor tensor; /* TENSOR */
    struct tu_geometry geometry; /* TENSOR */
};

enum tu_feed_step { TU_FEED_OPERAND, TU_FEED_SOURCE, TU_FEED_TENSORS };

struct tu_feed {
    struct tu_session *session;
    char **operands;
    size_t operand_count, next_operand;
    bool filtering;        /* apply the session's selection */
    enum tu_access access; /* TU_ACCESS_SEQUENTIAL, unless the filter sets another after opening */
    bool announcing;       /* give INDEX items; false unless the filter sets it after opening */
    bool stating;          /* the same: SOURCE items of files say what facts they state */
    bool segmenting;       /* the same of STREAM items, one where a segment of a stream begins */

    struct tu_operand operand;
    enum tu_feed_step step;
    struct tu_arena arena; /* of the current item */

    struct tu_member *order; /* the selected tensors of models */
    size_t selected, position;
    size_t said;              /* models whose source was given */
    struct tu_member current; /* a model's tensor; none in a stream */
    uint64_t offset;          /* bytes of the current tensor that were read */

    uint64_t sources, segment_sources; /* sources so far, and before the current segment */
    uint64_t given;                    /* tensors so far */
    struct tu_share_progress shared;   /* of all operands */
    uint64_t done, total;              /* bytes, for progress; total 0: unknown */
};

/* No operands means standard input.  With filtering, tensors that the session's selection leaves
 * out do not appear. */
void tu_feed_open(struct tu_feed *f, struct tu_session *session, char **operands, size_t count,
                  bool filtering);
void tu_feed_close(struct tu_feed *f);

/* 1: an item; 0: all operands ended well; -1. */
int tu_feed_next(struct tu_feed *f, struct tu_item *item, struct tu_error *error) TU_MUST_CHECK;
/* Whether the next item is a tensor of the same operand as the current one, which is a model's:
 * until then the models stay open, and what was given of their tensors can be read. */
bool tu_feed_goes_on(const struct tu_feed *f);
/* Reads the next bytes of the current tensor. */
int tu_feed_read(struct tu_feed *f, void *buffer, size_t length,
                 struct tu_error *error) TU_MUST_CHECK;
/* Moves the next bytes of the current tensor, at most length, to a file at a position: how many, 0
 * where they have to be read and written; -1. */
ssize_t tu_feed_move(struct tu_feed *f, int to, off_t *at, uint64_t length,
                     struct tu_error *error) TU_MUST_CHECK;
#endif
