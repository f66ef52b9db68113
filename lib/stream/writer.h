/* SPDX-License-Identifier: MIT */
/* Writing the tensor stream, tensor-stream(5): records go through MessagePack; the bytes of tensors
 * are moved by write and splice. */
#ifndef TU_WRITER_H
#define TU_WRITER_H

#include "base/source.h"
#include "stream/reader.h"

struct tu_stream_writer {
    int fd;
    const char *command; /* that writes, lent; NULL: it is not told */
    char *buffer;
    size_t used;
    uint64_t tensors, records;
    uint64_t tensor_left, chunk_left; /* bytes promised and not written yet */
};

/* Opens a segment.  Its first record is written at once: who reads can tell a producer that was
 * killed from one that was never there.  The command is added to those that each `source` record
 * lists: by which a file came to be what leaves the last of them. */
int tu_writer_open(struct tu_stream_writer *w, int fd, const char *tool, const char *command,
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

#endif
