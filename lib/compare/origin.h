/* SPDX-License-Identifier: MIT */
/* Where the bytes of a tensor are, and how they are read from there. */
#ifndef TU_ORIGIN_H
#define TU_ORIGIN_H

#include "stream/spool.h"
#include "map/view.h"

/* More than any block has. */
enum { TU_CARRY_BYTES = 512 };

/* Where the bytes of a tensor come from. */
struct tu_origin {
    enum { TU_IN_MODEL, TU_IN_SPOOL, TU_IN_STREAM, TU_IN_VIEW } where;
    struct tu_stream_reader *stream; /* for IN_STREAM, and what came in one; else NULL */
    const struct tu_model *model;    /* for IN_MODEL */
    const struct tu_view *view;      /* for IN_VIEW */
    const struct tu_tensor *tensor;  /* in the side */
    const struct tu_spool *spool;    /* for IN_SPOOL */
    uint64_t base;                   /* in it */
    /* IN_STREAM: how many bytes were read, the first and the last of them.  Tiles that the other
     * side cuts may begin in the block in which the one before ended. */
    uint64_t read;
    uint8_t head[8], carry[TU_CARRY_BYTES];
};

/* Bytes of a tensor; those of a stream in order. */
int tu_origin_read(struct tu_origin *p, uint64_t offset, void *buffer, size_t length,
                   struct tu_error *error) TU_MUST_CHECK;

#endif
