/* SPDX-License-Identifier: MIT */
/* Reads the pieces of a SentencePiece model out of a message of protocol buffers. */
#include "config.h"

#include "model/facts/pieces.h"

#include <string.h>

enum { PIECES_MAX = 1 << 24 };

/* Types of the wire. */
enum { VARINT = 0, BITS64 = 1, BYTES = 2, BITS32 = 5 };

/* A message, as far as it was not read yet. */
struct message {
    const uint8_t *at, *end;
};

struct field {
    uint64_t number;
    unsigned type;
    uint64_t value;       /* VARINT, BITS32 */
    struct message bytes; /* BYTES */
};

static bool read_varint(struct message *m, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        uint8_t byte = *m->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return shift < 63 || byte <= 1;
    }
    return false;
}

/* So many bytes; false where there are less. */
static bool read_bytes(struct message *m, uint64_t length, struct message *out)
{
    if (length > (uint64_t)(m->end - m->at))
        return false;
    *out = (struct message){m->at, m->at + length};
    m->at += length;
    return true;
}

static bool read_field(struct message *m, struct field *f)
{
    uint64_t tag, length;
    *f = (struct field){0};
    if (!read_varint(m, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
        return false;
    f->number = tag >> 3;
    f->type = (unsigned)(tag & 7);
    switch (f->type) {
    case VARINT:
        return read_varint(m, &f->value);
    case BITS64:
        return read_bytes(m, 8, &f->bytes);
    case BYTES:
        return read_varint(m, &length) && read_bytes(m, length, &f->bytes);
    case BITS32:
        if (!read_bytes(m, 4, &f->bytes))
            return false;
        for (int i = 0; i < 4; i++)
            f->value |= (uint64_t)f->bytes.at[i] << 8 * i;
        return true;
    }
    return false; /* groups, which no such model has */
}

/* A field that is known has the type of the wire that it should; of one that comes twice the last
 * counts. */
static bool read_piece(struct message m, struct tu_sentence_piece *out)
{
    struct field f;
    *out = (struct tu_sentence_piece){.type = TU_PIECE_NORMAL};
    while (m.at < m.end) {
        if (!read_field(&m, &f))
            return false;
        if (f.number == 1) {
            if (f.type != BYTES)
                return false;
            out->text = (const char *)f.bytes.at;
            out->length = (size_t)(f.bytes.end - f.bytes.at);
        } else if (f.number == 2) {
            uint32_t bits = (uint32_t)f.value;
            if (f.type != BITS32)
                return false;
            memcpy(&out->score, &bits, sizeof bits);
        } else if (f.number == 3) {
            if (f.type != VARINT || f.value < TU_PIECE_NORMAL || f.value > TU_PIECE_BYTE)
                return false;
            out->type = (enum tu_piece_type)f.value;
        }
    }
    return out->length > 0; /* SentencePiece has none without a text */
}

/* Goes through all pieces, and puts them into a list, unless that is NULL. */
static int go_through(const uint8_t *bytes, size_t length, struct tu_sentence_piece *list,
                      size_t *count, struct tu_error *error)
{
    struct message m = {bytes, bytes + length};
    struct tu_sentence_piece piece;
    *count = 0;
    while (m.at < m.end) {
        const size_t place = (size_t)(m.at - bytes);
        struct field f;
        if (!read_field(&m, &f))
            return tu_fail(error, TU_EINVALID, "byte %zu: is no field of a SentencePiece model",
                           place);
        if (f.number != 1)
            continue;
        if (f.type != BYTES || !read_piece(f.bytes, &piece))
            return tu_fail(error, TU_EINVALID, "byte %zu: is no piece of a SentencePiece model",
                           place);
        if (*count == PIECES_MAX)
            return tu_fail(error, TU_EINVALID, "byte %zu: more than %d pieces", place, PIECES_MAX);
        if (list)
            list[*count] = piece;
        ++*count;
    }
    return *count ? 0 : tu_fail(error, TU_EINVALID, "has no pieces");
}

int tu_pieces_parse(const uint8_t *bytes, size_t length, struct tu_arena *arena,
                    struct tu_pieces *out, struct tu_error *error)
{
    size_t count;
    *out = (struct tu_pieces){0};
    if (go_through(bytes, length, NULL, &count, error) < 0)
        return -1;
    struct tu_sentence_piece *list = tu_arena_alloc(arena, count * sizeof *list);
    if (!list)
        return tu_fail_memory(error);
    if (go_through(bytes, length, list, &count, error) < 0)
        return -1;
    *out = (struct tu_pieces){.items = list, .count = count};
    return 0;
}
