/* SPDX-License-Identifier: MIT */
/* What can be read once, kept so that it can be read again. */
#ifndef TU_SPOOL_H
#define TU_SPOOL_H

#include "stream/reader.h"

/* Bytes that wait in an unlinked temporary file, which comes with the first of them. */
struct tu_spool {
    bool open;
    int fd;
    uint64_t length;
};

/* Appends bytes; the file comes with the first of them. */
int tu_spool_write(struct tu_spool *s, const void *bytes, size_t length,
                   struct tu_error *error) TU_MUST_CHECK;
/* Moves bytes of the stream's current tensor there. */
int tu_spool_stream(struct tu_spool *s, struct tu_stream_reader *stream, uint64_t length,
                    struct tu_error *error) TU_MUST_CHECK;
/* Reads bytes that were written. */
int tu_spool_read(const struct tu_spool *s, uint64_t offset, void *bytes, size_t length,
                  struct tu_error *error) TU_MUST_CHECK;
void tu_spool_close(struct tu_spool *s);

#endif
