/* SPDX-License-Identifier: MIT */
/* Expansion of compressed APR files.  The first byte says which: even LZ4, odd zstd. */
#include "config.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "../../plugins/apr-expand.h"

enum { EXPANDED_MAX = 1 << 20 }; /* of what is compared */

/* A file in memory, and what came out of it. */
struct memory_reader {
    struct tensor_reader public; /* first: the function's view of this */
    const uint8_t *data;
    struct fuzz_bytes out;
    uint64_t emitted;
    char message[256]; /* of the first failure */
};

static struct memory_reader *inside(struct tensor_reader *r)
{
    return (struct memory_reader *)(void *)r;
}

static TU_PRINTF(3, 4) int memory_fail(struct tensor_reader *r, uint64_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    FUZZ_CHECK(offset <= r->size);
    if (!*inside(r)->message)
        vsnprintf(inside(r)->message, sizeof inside(r)->message, format, arguments);
    va_end(arguments);
    return -1;
}

static const void *memory_peek(struct tensor_reader *r, uint64_t offset, size_t length)
{
    if (offset <= r->size && length <= r->size - offset)
        return inside(r)->data + offset;
    memory_fail(r, 0, "truncated");
    return NULL;
}

static int memory_emit(struct tensor_reader *r, const void *bytes, size_t length)
{
    struct memory_reader *m = inside(r);
    m->emitted += length;
    if (m->emitted <= EXPANDED_MAX)
        fuzz_append(&m->out, bytes, length);
    return 0;
}

static const struct tensor_reader_host memory_host = {
    .peek = memory_peek, .emit = memory_emit, .fail = memory_fail};

static int expand_lz4(struct tensor_reader *r)
{
    return apr_expand_lz4(r, 0);
}

static int expand_zstd(struct tensor_reader *r)
{
    return apr_expand_zstd(r, 0);
}

/* ---- LZ4 as simple as can be ---- */

struct block {
    const uint8_t *p, *end;
    bool broken;
};

static uint8_t take(struct block *b)
{
    b->broken |= b->p == b->end;
    return b->broken ? 0 : *b->p++;
}

static uint64_t take_length(struct block *b, unsigned nibble)
{
    uint64_t length = nibble;
    for (uint8_t more = 255; nibble == 15 && more == 255 && !b->broken; length += more)
        more = take(b);
    return length;
}

static void take_match(struct block *b, unsigned nibble, struct fuzz_bytes *out)
{
    size_t distance = take(b);
    distance |= (size_t)take(b) << 8;
    uint64_t length = take_length(b, nibble) + 4;
    b->broken |= distance == 0 || distance > out->length || length > EXPANDED_MAX;
    for (; length && !b->broken; length--) {
        uint8_t byte = out->bytes[out->length - distance];
        fuzz_append(out, &byte, 1);
    }
}

/* Whether the bytes are a block; false, too, where it makes more than is compared. */
static bool expand_simply(const uint8_t *data, size_t size, struct fuzz_bytes *out)
{
    struct block b = {data, data + size, false};
    do {
        uint8_t token = take(&b);
        uint64_t length = take_length(&b, token >> 4);
        b.broken |= length > (uint64_t)(b.end - b.p);
        if (!b.broken) {
            fuzz_append(out, b.p, (size_t)length);
            b.p += length;
        }
        if (b.p < b.end && !b.broken)
            take_match(&b, token & 15, out);
        else
            return !b.broken;
        b.broken |= out->length > EXPANDED_MAX;
    } while (!b.broken);
    return false;
}

static void compare_lz4(const struct memory_reader *m, int result)
{
    struct fuzz_bytes simple = {0};
    uint32_t stated = 0;
    size_t size = (size_t)m->public.size;
    for (size_t i = 0; i < 4 && size >= 4; i++)
        stated |= (uint32_t)m->data[i] << 8 * i;
    FUZZ_CHECK(result < 0 || m->emitted == stated);
    bool good = size >= 4 && stated <= EXPANDED_MAX &&
                expand_simply(m->data + 4, size - 4, &simple) && simple.length == stated;
    FUZZ_CHECK(stated > EXPANDED_MAX || good == (result == 0));
    FUZZ_CHECK(!good || stated == 0 || memcmp(simple.bytes, m->out.bytes, stated) == 0);
    free(simple.bytes);
}

/* ---- */

/* What the library decodes at once, it decodes as a stream here, unless that needs too much memory,
 * grows beyond reason, or is a bad frame to the library itself, which looks closer at streams. */
static void compare_zstd(const struct memory_reader *m, int result)
{
    static uint8_t buffer[EXPANDED_MAX];
    size_t size = (size_t)m->public.size;
    size_t n = size ? ZSTD_decompress(buffer, sizeof buffer, m->data, size) : 0;
    if (size == 0 || ZSTD_isError(n) || strstr(m->message, "memory") ||
        strstr(m->message, "more than") || strstr(m->message, "bad zstd frame"))
        return;
    FUZZ_CHECK(result == 0 && m->emitted == n);
    FUZZ_CHECK(n == 0 || memcmp(m->out.bytes, buffer, n) == 0);
}

void fuzz_expand(const uint8_t *data, size_t size)
{
    if (size == 0)
        return;
    bool zstd = *data & 1;
    struct memory_reader m = {.public = {.host = &memory_host, .size = size - 1}, .data = data + 1};
    int result = fuzz_call_strictly(&m.public, zstd ? expand_zstd : expand_lz4);
    FUZZ_CHECK((result == 0) == !*m.message);
    if (zstd)
        compare_zstd(&m, result);
    else
        compare_lz4(&m, result);
    free(m.out.bytes);
}
