/* SPDX-License-Identifier: MIT */
/* LZ4 blocks and zstd frames of APR files, made plain within the bounds that they state. */
#include "config.h"

#include "apr-expand.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "bytes.h"

/* ---- LZ4 ----
 *
 * The library's decoder wants the whole block in memory; models are larger than that.  This one
 * goes through the block's sequences with the 64 KiB that a match may reach back to. */

enum {
    LZ4_REACH = 65536,
    LZ4_BUFFER = 4 * LZ4_REACH,
    LZ4_SHORTEST_MATCH = 4,
    LZ4_RATIO_MAX = 256, /* a byte of a length field stands for at most 255 bytes */
};

struct lz4 {
    struct tensor_reader *r;
    uint64_t offset;       /* of the next byte not looked at yet */
    const uint8_t *window; /* bytes that were looked at */
    size_t left;           /* in the window */
    uint64_t produced, stated;
    uint8_t *buffer; /* the latest output: what was emitted, for matches, then what was not */
    size_t used, emitted;
};

static int fail_lz4(const struct lz4 *z, const char *what)
{
    return tensor_fail(z->r, z->offset - z->left, "bad LZ4 block: %s", what);
}

/* Looks at more of the file where the window is used up; 0 at its end. */
static int refill(struct lz4 *z)
{
    uint64_t rest = z->r->size - z->offset;
    size_t n = rest < LZ4_REACH ? (size_t)rest : LZ4_REACH;
    if (z->left || n == 0)
        return z->left != 0;
    z->window = tensor_peek(z->r, z->offset, n);
    if (!z->window)
        return -1;
    z->offset += n;
    z->left = n;
    return 1;
}

static int next_byte(struct lz4 *z, uint8_t *out)
{
    int more = refill(z);
    if (more <= 0)
        return more < 0 ? -1 : fail_lz4(z, "it breaks off");
    *out = *z->window++;
    z->left--;
    return 0;
}

/* A length: 15 in its nibble means that bytes follow, of which 255 means one more. */
static int read_length(struct lz4 *z, unsigned nibble, uint64_t *out)
{
    uint8_t byte = 255;
    *out = nibble;
    while (nibble == 15 && byte == 255) {
        if (next_byte(z, &byte) < 0)
            return -1;
        *out += byte;
    }
    return *out <= z->stated - z->produced ? 0 : fail_lz4(z, "it makes more than its stated size");
}

static int emit_pending(struct lz4 *z)
{
    if (tensor_unwrapped(z->r, z->buffer + z->emitted, z->used - z->emitted) < 0)
        return -1;
    if (z->used > LZ4_REACH) {
        memmove(z->buffer, z->buffer + z->used - LZ4_REACH, LZ4_REACH);
        z->used = LZ4_REACH;
    }
    z->emitted = z->used;
    return 0;
}

static int make_room(struct lz4 *z)
{
    return z->used == LZ4_BUFFER ? emit_pending(z) : 0;
}

static int copy_literals(struct lz4 *z, uint64_t length)
{
    while (length) {
        int more = refill(z);
        if (more <= 0)
            return more < 0 ? -1 : fail_lz4(z, "it breaks off");
        if (make_room(z) < 0)
            return -1;
        size_t n = z->left < LZ4_BUFFER - z->used ? z->left : LZ4_BUFFER - z->used;
        n = length < n ? (size_t)length : n;
        memcpy(z->buffer + z->used, z->window, n);
        z->window += n;
        z->left -= n;
        z->used += n;
        z->produced += n;
        length -= n;
    }
    return 0;
}

/* A match may overlap what it makes, so bytes go one by one. */
static int copy_match(struct lz4 *z, size_t distance, uint64_t length)
{
    if (distance == 0 || distance > z->produced)
        return fail_lz4(z, "a match reaches back beyond the start");
    if (length > z->stated - z->produced)
        return fail_lz4(z, "it makes more than its stated size");
    for (z->produced += length; length; length--) {
        if (make_room(z) < 0)
            return -1;
        z->buffer[z->used] = z->buffer[z->used - distance];
        z->used++;
    }
    return 0;
}

static int expand_sequences(struct lz4 *z)
{
    for (;;) {
        uint8_t token = 0, low = 0, high = 0;
        uint64_t length;
        if (next_byte(z, &token) < 0 || read_length(z, token >> 4, &length) < 0 ||
            copy_literals(z, length) < 0)
            return -1;
        int more = refill(z);
        if (more <= 0) /* the last sequence has no match */
            return more;
        if (next_byte(z, &low) < 0 || next_byte(z, &high) < 0 ||
            read_length(z, token & 15, &length) < 0 ||
            copy_match(z, (size_t)low | (size_t)high << 8, length + LZ4_SHORTEST_MATCH) < 0)
            return -1;
    }
}

int apr_expand_lz4(struct tensor_reader *r, uint64_t offset)
{
    const uint8_t *size = tensor_peek(r, offset, 4);
    if (!size)
        return -1;
    struct lz4 z = {.r = r, .offset = offset + 4, .stated = get_le(size, 4)};
    if (z.stated / LZ4_RATIO_MAX > r->size - offset)
        return tensor_fail(r, offset, "%" PRIu64 " bytes cannot expand to %" PRIu64,
                           r->size - offset, z.stated);
    z.buffer = malloc(LZ4_BUFFER);
    if (!z.buffer)
        return tensor_fail(r, offset, "out of memory");
    int result = expand_sequences(&z);
    if (result == 0 && z.produced != z.stated)
        result = fail_lz4(&z, "it makes less than its stated size");
    if (result == 0)
        result = emit_pending(&z);
    free(z.buffer);
    return result;
}

/* ---- zstd ---- */

enum {
    ZSTD_WINDOW_LOG_MAX = 27, /* 128 MiB, the most that zstd itself takes without being told */
    ZSTD_RATIO_MAX = 1024,
    ZSTD_PIECE = 128 * 1024,
};

static int expand_piece(struct tensor_reader *r, ZSTD_DStream *stream, ZSTD_inBuffer *in,
                        uint64_t at, uint64_t limit, uint64_t *produced, size_t *state)
{
    uint8_t bytes[ZSTD_PIECE];
    ZSTD_outBuffer out;
    do {
        out = (ZSTD_outBuffer){bytes, sizeof bytes, 0};
        *state = ZSTD_decompressStream(stream, &out, in);
        if (ZSTD_isError(*state))
            return tensor_fail(r, at, "bad zstd frame: %s", ZSTD_getErrorName(*state));
        *produced += out.pos;
        if (*produced > limit)
            return tensor_fail(r, at, "the zstd frame makes more than %d times its bytes",
                               ZSTD_RATIO_MAX);
        if (tensor_unwrapped(r, bytes, out.pos) < 0)
            return -1;
        /* A full buffer may hide more, unless the frame has ended. */
    } while (in->pos < in->size || (out.pos == out.size && *state != 0));
    return 0;
}

static int expand_frames(struct tensor_reader *r, ZSTD_DStream *stream, uint64_t offset)
{
    uint64_t produced = 0, limit;
    size_t state = 1;
    if (__builtin_mul_overflow(r->size - offset, ZSTD_RATIO_MAX, &limit))
        limit = INT64_MAX;
    while (offset < r->size) {
        uint64_t rest = r->size - offset;
        size_t n = rest < ZSTD_PIECE ? (size_t)rest : ZSTD_PIECE;
        const void *bytes = tensor_peek(r, offset, n);
        ZSTD_inBuffer in = {bytes, n, 0};
        if (!bytes || expand_piece(r, stream, &in, offset, limit, &produced, &state) < 0)
            return -1;
        offset += n;
    }
    return state == 0 ? 0 : tensor_fail(r, offset, "the zstd frame breaks off");
}

int apr_expand_zstd(struct tensor_reader *r, uint64_t offset)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (!stream)
        return tensor_fail(r, offset, "out of memory");
    ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    int result = expand_frames(r, stream, offset);
    ZSTD_freeDStream(stream);
    return result;
}
