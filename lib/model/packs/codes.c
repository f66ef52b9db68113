/* SPDX-License-Identifier: MIT */
/* Reads small whole numbers out of the ways in which programs pack them. */
#include "config.h"

#include "model/packs/codes.h"

#include <stdlib.h>
#include <string.h>

enum { WORD = 4, WORD_BITS = 32 };

static uint32_t word_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int read_bytes(const struct tu_codes *c, uint64_t offset, void *to, uint64_t length,
                      struct tu_error *error)
{
    return tu_model_read(c->from.model, c->from.tensor, offset, to, (size_t)length, error);
}

static void *allocate(uint64_t bytes, struct tu_error *error)
{
    void *p = malloc((size_t)bytes + 8); /* a word may be looked at beyond the last byte */
    if (!p)
        tu_fail_memory(error);
    return p;
}

/* ---- Along rows ---- */

/* Two codes of 4 bits out of each of n bytes. */
static void split_nibbles(const uint8_t *restrict in, size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = in[i] & 15;
        out[2 * i + 1] = in[i] >> 4;
    }
}

static void split_high(const uint8_t *restrict in, size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = in[i] >> 4;
        out[2 * i + 1] = in[i] & 15;
    }
}

static void split_pairs(const uint8_t *restrict in, size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 4; k++)
            out[4 * i + k] = in[i] >> (2 * k) & 3;
}

/* n codes of a stream from a bit on; 8 bytes beyond its end may be looked at. */
static void split_stream(const uint8_t *in, uint64_t bit, unsigned bits, size_t n, uint8_t *out)
{
    const uint32_t mask = (1u << bits) - 1;
    size_t i = 0;
    if (bits == 8 && bit % 8 == 0) {
        memcpy(out, in + bit / 8, n);
        return;
    }
    for (; i < n && (bit + i * bits) % 8; i++)
        out[i] = (uint8_t)(word_at(in + (bit + i * bits) / 8) >> (bit + i * bits) % 8 & mask);
    in += (bit + i * bits) / 8;
    out += i;
    n -= i;
    i = 0;
    if (bits == 4) {
        split_nibbles(in, n / 2, out);
        i = n / 2 * 2;
    } else if (bits == 2) {
        split_pairs(in, n / 4, out);
        i = n / 4 * 4;
    }
    for (; i + 8 <= n; i += 8) {
        uint64_t eight = word_at(in + i / 8 * bits) | (uint64_t)word_at(in + i / 8 * bits + 4)
                                                          << 32;
        for (size_t k = 0; k < 8; k++, eight >>= bits)
            out[i + k] = (uint8_t)(eight & mask);
    }
    for (; i < n; i++)
        out[i] = (uint8_t)(word_at(in + i * bits / 8) >> i * bits % 8 & mask);
}

/* A run of so many codes that follow one another in a stream. */
static int read_run(const struct tu_codes *c, uint64_t start, uint64_t first, uint64_t count,
                    uint8_t *out, struct tu_error *error)
{
    uint64_t bit = first * c->bits, begin = bit / 8, end = (bit + count * c->bits + 7) / 8;
    uint8_t *raw = allocate(end - begin, error);
    if (!raw)
        return -1;
    memset(raw + (end - begin), 0, 8);
    int result = read_bytes(c, start + begin, raw, end - begin, error);
    if (result == 0 && c->kind == TU_CODES_HIGH) {
        /* The first may be the second half of its byte. */
        size_t odd = first % 2, n = (size_t)count;
        if (odd)
            *out = raw[0] & 15;
        split_high(raw + odd, (n - odd) / 2, out + odd);
        if ((n - odd) % 2)
            out[n - 1] = raw[odd + (n - odd) / 2] >> 4;
    } else if (result == 0) {
        split_stream(raw, bit % 8, c->bits, (size_t)count, out);
    }
    free(raw);
    return result;
}

static int read_stream(const struct tu_codes *c, uint64_t rows, uint64_t columns, struct tu_span p,
                       uint8_t *out, struct tu_error *error)
{
    if (!c->row_bytes)
        return read_run(c, 0, (p.slice * rows + p.row) * columns + p.column, p.rows * p.columns,
                        out, error);
    uint64_t start = p.slice * c->slice_bytes + p.row * c->row_bytes;
    if (p.columns == columns && columns * c->bits == 8 * c->row_bytes)
        return read_run(c, start, 0, p.rows * columns, out, error);
    for (uint64_t i = 0; i < p.rows; i++)
        if (read_run(c, start + i * c->row_bytes, p.column, p.columns, out + i * p.columns, error) <
            0)
            return -1;
    return 0;
}

static int read_words(const struct tu_codes *c, struct tu_span p, uint8_t *out,
                      struct tu_error *error)
{
    const uint32_t mask = (1u << c->bits) - 1;
    uint64_t each = WORD_BITS / c->bits, begin = p.column / each;
    uint64_t count = (p.column + p.columns - 1) / each + 1 - begin;
    uint8_t *raw = allocate(count * WORD, error);
    int result = raw ? 0 : -1;
    for (uint64_t i = 0; i < p.rows && result == 0; i++) {
        result = read_bytes(c, p.slice * c->slice_bytes + (p.row + i) * c->row_bytes + begin * WORD,
                            raw, count * WORD, error);
        for (uint64_t k = 0; k < p.columns && result == 0; k++) {
            uint64_t column = p.column + k;
            uint32_t word = word_at(raw + (column / each - begin) * WORD);
            out[i * p.columns + k] = (uint8_t)(word >> column % each * c->bits & mask);
        }
    }
    free(raw);
    return result;
}

/* Two rows a byte. */
static int read_pairs(const struct tu_codes *c, struct tu_span p, uint8_t *out,
                      struct tu_error *error)
{
    for (uint64_t i = 0; i < p.rows; i++, out += p.columns) {
        uint64_t row = p.row + i;
        if (read_bytes(c, p.slice * c->slice_bytes + row / 2 * c->row_bytes + p.column, out,
                       p.columns, error) < 0)
            return -1;
        for (uint64_t k = 0; k < p.columns; k++)
            out[k] = out[k] >> row % 2 * 4 & 15;
    }
    return 0;
}

/* ---- Down columns ---- */

/* Stored rows [first, first + count) of words, of which those of the piece's rows. */
static uint8_t *read_stored(const struct tu_codes *c, uint64_t start, uint64_t first,
                            uint64_t count, uint64_t begin, uint64_t width, struct tu_error *error)
{
    uint8_t *raw = allocate(count * width * WORD, error);
    int result = raw ? 0 : -1;
    if (raw && width == c->width)
        result = read_bytes(c, start + first * width * WORD, raw, count * width * WORD, error);
    for (uint64_t i = 0; i < count && width != c->width && result == 0; i++)
        result = read_bytes(c, start + ((first + i) * c->width + begin) * WORD,
                            raw + i * width * WORD, width * WORD, error);
    if (result == 0)
        return raw;
    free(raw);
    return NULL;
}

/* Where the bits of a code begin: whole words from the first of the piece, and bits. */
static void place_down(const struct tu_codes *c, uint64_t k, uint64_t *word, unsigned *bit)
{
    uint64_t each = WORD_BITS / c->bits;
    *word = c->kind == TU_CODES_DOWN ? k / each : k * c->bits / WORD_BITS;
    *bit = (unsigned)(c->kind == TU_CODES_DOWN ? k % each * c->bits : k * c->bits % WORD_BITS);
}

/* One code of each row, which stand in words that follow one another. */
static void split_down(const uint8_t *words, size_t width, unsigned bit, unsigned bits, size_t rows,
                       uint8_t *out, size_t stride)
{
    const uint32_t mask = (1u << bits) - 1;
    bool split = bit + bits > WORD_BITS;
    for (size_t i = 0; i < rows; i++) {
        uint32_t code = word_at(words + i * WORD) >> bit;
        if (split)
            code |= word_at(words + (width + i) * WORD) << (WORD_BITS - bit);
        out[i * stride] = (uint8_t)(code & mask);
    }
}

/* Whole words of 4 bits: eight codes of a row at once. */
static void split_words(const uint8_t *words, size_t rows, uint8_t *out, size_t stride)
{
    for (size_t i = 0; i < rows; i++) {
        uint64_t x = word_at(words + i * WORD);
        x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
        x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
        x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
        for (size_t k = 0; k < 8; k++)
            out[i * stride + k] = (uint8_t)(x >> 8 * k);
    }
}

static int read_columns(const struct tu_codes *c, struct tu_span p, uint8_t *out,
                        struct tu_error *error)
{
    uint64_t begin, end;
    unsigned bit;
    size_t rows = (size_t)p.rows, stride = (size_t)p.columns;
    place_down(c, p.column, &begin, &bit);
    place_down(c, p.column + p.columns - 1, &end, &bit);
    uint64_t count = end + 1 + (bit + c->bits > WORD_BITS) - begin;
    uint8_t *raw = read_stored(c, p.slice * c->slice_bytes, begin, count, p.row, p.rows, error);
    if (!raw)
        return -1;
    for (uint64_t k = 0, n; k < p.columns; k += n) {
        uint64_t word;
        place_down(c, p.column + k, &word, &bit);
        const uint8_t *words = raw + (word - begin) * rows * WORD;
        n = c->bits == 4 && bit == 0 && k + 8 <= p.columns ? 8 : 1;
        if (n == 8)
            split_words(words, rows, out + k, stride);
        else
            split_down(words, rows, bit, c->bits, rows, out + k, stride);
    }
    free(raw);
    return 0;
}

/* Words [first, first + count) of each row. */
static uint8_t *read_beside(const struct tu_codes *c, struct tu_span p, uint64_t first,
                            uint64_t count, struct tu_error *error)
{
    uint8_t *raw = allocate(p.rows * count * WORD, error);
    int result = raw ? 0 : -1;
    for (uint64_t i = 0; i < p.rows && result == 0; i++)
        result = read_bytes(c, (p.row + i) * c->row_bytes + first * WORD, raw + i * count * WORD,
                            count * WORD, error);
    if (result == 0)
        return raw;
    free(raw);
    return NULL;
}

/* Planes of bits, from the lowest: of 4, 2 and 1, as many as make up a code. */
static int read_planes(const struct tu_codes *c, struct tu_span p, uint8_t *out,
                       struct tu_error *error)
{
    uint64_t begin = p.column / WORD_BITS, end = (p.column + p.columns - 1) / WORD_BITS + 1;
    uint64_t words = (end - begin) * c->bits;
    /* Words of a row stand beside each other, or below: so far is the next, and the next row. */
    uint64_t step = c->row_bytes ? 1 : p.rows, row_step = c->row_bytes ? words : 1;
    uint8_t *raw = c->row_bytes ? read_beside(c, p, begin * c->bits, words, error)
                                : read_stored(c, p.slice * c->slice_bytes, begin * c->bits, words,
                                              p.row, p.rows, error);
    if (!raw)
        return -1;
    for (uint64_t k = 0; k < p.columns; k++) {
        uint64_t column = p.column + k, at = (column / WORD_BITS - begin) * c->bits;
        for (uint64_t i = 0; i < p.rows; i++) {
            unsigned code = 0, done = 0;
            for (unsigned plane = 4; plane; plane /= 2) {
                if (!(c->bits & plane))
                    continue;
                unsigned first = (unsigned)(column % WORD_BITS) * plane;
                uint64_t word = at + done + first / WORD_BITS;
                uint32_t bits =
                    word_at(raw + (word * step + i * row_step) * WORD) >> first % WORD_BITS;
                code |= (bits & ((1u << plane) - 1)) << done;
                done += plane;
            }
            out[i * p.columns + k] = (uint8_t)code;
        }
    }
    free(raw);
    return 0;
}

/* ---- AWQ ---- */

static int read_awq(const struct tu_codes *c, struct tu_span p, uint8_t *out,
                    struct tu_error *error)
{
    static const unsigned nibbles[8] = {0, 4, 1, 5, 2, 6, 3, 7}; /* of each column of a word */
    uint64_t begin = p.row / 8, width = (p.row + p.rows - 1) / 8 + 1 - begin;
    uint8_t *raw =
        read_stored(c, p.slice * c->slice_bytes, p.column, p.columns, begin, width, error);
    if (!raw)
        return -1;
    for (uint64_t i = 0; i < p.rows; i++) {
        uint64_t row = p.row + i;
        const uint8_t *words = raw + (row / 8 - begin) * WORD;
        unsigned shift = nibbles[row % 8] * 4;
        for (uint64_t k = 0; k < p.columns; k++)
            out[i * p.columns + k] = (uint8_t)(word_at(words + k * width * WORD) >> shift & 15);
    }
    free(raw);
    return 0;
}

/* Where AWQ's fast kernel finds column k of a row: pairs of columns 8 apart follow one another, and
 * of eight those of even places come first. */
static uint64_t fast_place(uint64_t k)
{
    uint64_t low = k % 32, place = low % 8 / 2 * 8 + low / 8 * 2 + low % 2;
    return k / 32 * 32 + place / 8 * 8 + place % 2 * 4 + place % 8 / 2;
}

static int read_awq_fast(const struct tu_codes *c, struct tu_span p, uint8_t *out,
                         struct tu_error *error)
{
    enum { ROWS = 4, SPAN = 64 };
    uint64_t bytes = c->width * 2;
    uint8_t *raw = allocate(bytes, error);
    int result = raw ? 0 : -1;
    for (uint64_t i = 0; i < p.rows && result == 0; i++) {
        uint64_t row = p.row + i;
        if (i == 0 || row % ROWS == 0)
            result =
                read_bytes(c, p.slice * c->slice_bytes + row / ROWS * bytes, raw, bytes, error);
        for (uint64_t k = 0; k < p.columns && result == 0; k++) {
            uint64_t place = fast_place(p.column + k);
            uint64_t at = row % ROWS * SPAN + place % SPAN, word = place / SPAN * SPAN + at / ROWS;
            unsigned both = raw[word * 2] | (unsigned)raw[word * 2 + 1] << 8;
            out[i * p.columns + k] = (uint8_t)(both >> at % ROWS * 4 & 15);
        }
    }
    free(raw);
    return result;
}

/* ---- Slabs ---- */

static int read_slabs(const struct tu_codes *c, uint64_t rows, uint64_t columns, struct tu_span p,
                      uint8_t *out, struct tu_error *error)
{
    const uint32_t mask = (1u << c->bits) - 1;
    uint64_t first = (p.slice * rows + p.row) * columns + p.column, count = p.rows * p.columns;
    uint8_t *raw = allocate(count * c->unit, error);
    int result = raw ? 0 : -1;
    for (uint64_t done = 0, n; done < count && result == 0; done += n) {
        uint64_t slab = (first + done) / c->slab, at = (first + done) % c->slab;
        int shift = c->shift + (int)slab * c->by;
        n = c->slab - at < count - done ? c->slab - at : count - done;
        result = read_bytes(c, at * c->unit, raw, n * c->unit, error);
        for (uint64_t i = 0; i < n && result == 0; i++) {
            uint32_t word = c->unit == WORD ? word_at(raw + i * WORD) : raw[i];
            out[done + i] = (uint8_t)(word >> shift & mask);
        }
    }
    free(raw);
    return result;
}

int tu_codes_read(const struct tu_codes *c, uint64_t rows, uint64_t columns, struct tu_span piece,
                  uint8_t *out, struct tu_error *error)
{
    switch (c->kind) {
    case TU_CODES_STREAM:
    case TU_CODES_HIGH:
        return read_stream(c, rows, columns, piece, out, error);
    case TU_CODES_WORDS:
        return read_words(c, piece, out, error);
    case TU_CODES_COLUMNS:
    case TU_CODES_DOWN:
        return read_columns(c, piece, out, error);
    case TU_CODES_PLANES:
        return read_planes(c, piece, out, error);
    case TU_CODES_AWQ:
        return read_awq(c, piece, out, error);
    case TU_CODES_AWQ_FAST:
        return read_awq_fast(c, piece, out, error);
    case TU_CODES_SLABS:
        return read_slabs(c, rows, columns, piece, out, error);
    case TU_CODES_PAIRS:
        return read_pairs(c, piece, out, error);
    case TU_CODES_VALUES:
        break;
    }
    return tu_fail(error, TU_EINVALID, "codes of no kind");
}
