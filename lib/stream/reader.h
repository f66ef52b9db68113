/* SPDX-License-Identifier: MIT */
/*
 * The tensor stream, tensor-stream(5): reading it and writing it.  Records go through MessagePack;
 * the bytes of tensors are moved by read, write and splice.
 */
#ifndef TU_STREAM_H
#define TU_STREAM_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "model/model.h"
#include "tree/msgpack.h"
#include "tree/value.h"

#define TU_STREAM_VERSION 1u
#define TU_RECORD_MAX     (1u << 30)

/* ---- Reading ---- */

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

/* The first bytes (at most TU_BID_BYTES) without taking them, for detection; the count or -1. */
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

/* Fills a tensor from the keys of a `tensor` record (or of a row of an `index`). */
int tu_tensor_from_value(const struct tensor_value *map, struct tu_arena *arena,
                         struct tu_tensor *t, struct tu_geometry *geometry,
                         struct tu_error *error) TU_MUST_CHECK;

/* ---- Writing ---- */

struct tu_stream_writer {
    int fd;
    bool opened; /* the segment's first record is out */
    char *buffer;
    size_t used;
    uint64_t tensors, records;
    uint64_t tensor_left, chunk_left; /* bytes promised and not written yet */
};

int tu_writer_open(struct tu_stream_writer *w, int fd, const char *tool,
                   struct tu_error *error) TU_MUST_CHECK;
void tu_writer_close(struct tu_stream_writer *w);

/* Writes any record that has no chunks. */
int tu_writer_record(struct tu_stream_writer *w, const struct tensor_value *map,
                     struct tu_error *error) TU_MUST_CHECK;
/* Writes a `tensor` record: t, then the members of extra that t does not hold.  Its bytes must
 * follow. */
int tu_writer_tensor(struct tu_stream_writer *w, const struct tu_tensor *t,
                     const struct tensor_value *extra, struct tu_error *error) TU_MUST_CHECK;
/* Writes bytes of the tensor. */
int tu_writer_bytes(struct tu_stream_writer *w, const void *bytes, size_t length,
                    struct tu_error *error) TU_MUST_CHECK;
/* Moves bytes of the tensor from a file, without copying where the system can. */
int tu_writer_splice(struct tu_stream_writer *w, const struct tu_source *from, uint64_t offset,
                     uint64_t length, struct tu_error *error) TU_MUST_CHECK;
/* The same from the current tensor of a stream, which must have that many bytes left. */
int tu_writer_relay(struct tu_stream_writer *w, struct tu_stream_reader *from, uint64_t length,
                    struct tu_error *error) TU_MUST_CHECK;
/* Writes out what has gathered so far. */
int tu_writer_flush(struct tu_stream_writer *w, struct tu_error *error) TU_MUST_CHECK;
/* Closes the segment. */
int tu_writer_end(struct tu_stream_writer *w, struct tu_error *error) TU_MUST_CHECK;
/* Reports to the reader that this producer failed; best effort. */
void tu_writer_fail(struct tu_stream_writer *w, const char *tool, const char *message);

/* The `tensor` record that tu_writer_tensor writes. */
int tu_tensor_record(const struct tu_tensor *t, const struct tensor_value *extra,
                     struct tu_arena *arena, struct tensor_value *out, struct tu_error *error);
/* Puts the keys that describe a tensor into a record that is being built. */
int tu_put_tensor(struct tu_builder *b, const struct tu_tensor *t, struct tu_error *error);

#endif
