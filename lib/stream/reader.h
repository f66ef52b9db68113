/* SPDX-License-Identifier: MIT */
/*
 * The tensor stream, tensor-stream(5): reading it and writing it.  Records go through MessagePack;
 * the bytes of tensors are moved by read, write and splice.
 */
#ifndef TU_READER_H
#define TU_READER_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/source.h"
#include "tensor/tensor.h"
#include "tree/value.h"

#define TU_STREAM_VERSION 1u
#define TU_RECORD_MAX     (1u << 30)

enum tu_kind {
    TU_KIND_STREAM, /* a segment opens */
    TU_KIND_SOURCE,
    TU_KIND_TENSOR, /* its bytes follow: tu_stream_read */
    TU_KIND_INDEX,  /* the tensors that will follow; a hint */
    TU_KIND_RESULT, /* every other kind */
    TU_KIND_END,    /* a segment closes, its counts have been checked */
};

/* One record.  Lives until the next call of tu_stream_next. */
struct tu_record {
    enum tu_kind kind;
    struct tensor_value map;     /* the whole record */
    struct tu_tensor tensor;     /* TENSOR */
    struct tu_geometry geometry; /* TENSOR */
};

struct tu_stream_reader {
    int fd;
    const char *path; /* shown to the user; lent */
    bool seekable;
    uint8_t *buffer;
    size_t begin, end, capacity; /* of the bytes read ahead */
    uint64_t position;           /* of buffer[begin] in the stream */
    uint64_t size;               /* of a seekable stream */

    struct tu_arena arena; /* of the current record */
    char tool[64];         /* that wrote the current segment */
    char tool_version[32]; /* "" where it does not say */
    bool held; /* nothing of the buffer is given up: what is taken may be put back */
    bool in_segment, any_segment;
    uint64_t tensors, records; /* in the segment so far */
    uint64_t tensor_left;      /* bytes of the current tensor not read yet */
    uint64_t chunk_left;       /* of those, in the current chunk */
    char tensor_name[256];
};

/* Reads from fd, which stays the caller's. */
int tu_stream_open(struct tu_stream_reader *r, int fd, const char *path,
                   struct tu_error *error) TU_MUST_CHECK;
void tu_stream_close(struct tu_stream_reader *r);

/* The first bytes (at most TENSOR_BID_BYTES) without taking them, for detection; the count or -1.
 */
ssize_t tu_stream_head(struct tu_stream_reader *r, const uint8_t **bytes,
                       struct tu_error *error) TU_MUST_CHECK;
/* The bytes that come next, whatever they are, for copying a stream that is none; their count, 0 at
 * the end, or -1. */
ssize_t tu_stream_raw(struct tu_stream_reader *r, const uint8_t **bytes,
                      struct tu_error *error) TU_MUST_CHECK;
/* Whether bytes open a tensor stream: bits verified, 0 if not. */
unsigned tu_stream_bid(const uint8_t *head, size_t length);

/* 1: a record; 0: the stream ended well, after the end of a segment; -1: it is truncated, broken,
 * or its producer reported an error.  Bytes of a tensor that were not read are skipped. */
int tu_stream_next(struct tu_stream_reader *r, struct tu_record *record,
                   struct tu_error *error) TU_MUST_CHECK;

/* Whether what will follow has a tensor of a kind: of those that are announced before the first one,
 * or the first one itself.  Nothing is taken; what is broken is left to those who read it. */
typedef bool tu_kind_of_tensor_fn(const struct tu_tensor *t);
bool tu_stream_foretells(struct tu_stream_reader *r, tu_kind_of_tensor_fn *is);

/* Reads the next length bytes of the current tensor, which must have that many left. */
int tu_stream_read(struct tu_stream_reader *r, void *buffer, size_t length,
                   struct tu_error *error) TU_MUST_CHECK;

/* Where the unread bytes of the current tensor's current chunk lie in a seekable stream; opens the
 * next chunk where one is used up, and skips the extent. */
int tu_stream_extent(struct tu_stream_reader *r, struct tu_extent *extent,
                     struct tu_error *error) TU_MUST_CHECK;

/* Moves bytes of the current tensor, at most length, on to a file or pipe: at a position, or where
 * it stands if that is NULL.  How many, 0 where that needs to be done by reading and writing; -1.
 */
ssize_t tu_stream_move(struct tu_stream_reader *r, int to, off_t *at, uint64_t length,
                       struct tu_error *error) TU_MUST_CHECK;

#endif
