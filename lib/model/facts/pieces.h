/* SPDX-License-Identifier: MIT */
/*
 * The pieces of a SentencePiece model: tokenizer.model of a folder.  It is a message of protocol
 * buffers, ModelProto of sentencepiece_model.proto, of which this reads repeated field 1: piece (1,
 * text), score (2, float), type (3, a number; 1 where it is not there).
 */
#ifndef TU_PIECES_H
#define TU_PIECES_H

#include "base/arena.h"
#include "base/error.h"

enum tu_piece_type {
    TU_PIECE_NORMAL = 1,
    TU_PIECE_UNKNOWN,
    TU_PIECE_CONTROL,
    TU_PIECE_USER_DEFINED,
    TU_PIECE_UNUSED,
    TU_PIECE_BYTE,
};

struct tu_sentence_piece {
    const char *text; /* not ended by NUL; lent by the bytes it was read from */
    size_t length;
    float score;
    enum tu_piece_type type;
};

/* The id of a piece is its place. */
struct tu_pieces {
    const struct tu_sentence_piece *items;
    size_t count;
    const char *trouble; /* why the file has none; NULL: it has */
};

/* Reads them; the list lives in the arena.  Bytes that are no such message, or have no pieces, are
 * TU_EINVALID, with the place. */
int tu_pieces_parse(const uint8_t *bytes, size_t length, struct tu_arena *arena,
                    struct tu_pieces *out, struct tu_error *error) TU_MUST_CHECK;

#endif
