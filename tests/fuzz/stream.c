/* SPDX-License-Identifier: MIT */
/* The tensor stream: read from a file and from a pipe, with the bytes of tensors and without, as an
 * index; and what was read is written again. */
#include "config.h"

#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/reader.h"
#include "model/tsr.h"
#include "stream/writer.h"

enum { PIPE_HOLDS = 65536 };

/* What came out of a stream. */
struct tally {
    int end; /* 0: it ended well, -1: it did not */
    uint64_t tensors, records, segments;
    uint64_t digest; /* of all tensors, in any order */
    struct tu_error error;
};

static uint64_t digest(uint64_t state, const void *bytes, size_t length)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < length; i++)
        state = (state ^ p[i]) * 0x100000001b3u;
    return state;
}

static uint64_t digest_name(const struct tu_tensor *t)
{
    return digest(0xcbf29ce484222325u, t->name, t->name_length);
}

/* ---- Reading ---- */

static int read_tensor(struct tu_stream_reader *r, const struct tu_tensor *t, struct tally *tally)
{
    uint8_t buffer[7000];
    uint64_t state = digest_name(t);
    for (uint64_t left = t->nbytes; left;) {
        size_t n = left < sizeof buffer ? (size_t)left : sizeof buffer;
        if (tu_stream_read(r, buffer, n, &tally->error) < 0)
            return -1;
        state = digest(state, buffer, n);
        left -= n;
    }
    tally->digest += state;
    return 0;
}

static int count_record(struct tu_stream_reader *r, const struct tu_record *record, bool whole,
                        struct tally *tally)
{
    if (whole)
        fuzz_check_metadata(&record->map);
    if (record->kind == TU_KIND_TENSOR) {
        tally->tensors++;
        FUZZ_CHECK(record->tensor.nbytes == record->geometry.nbytes);
        return whole ? read_tensor(r, &record->tensor, tally) : 0;
    }
    tally->segments += record->kind == TU_KIND_END;
    tally->records += record->kind != TU_KIND_STREAM && record->kind != TU_KIND_END;
    return 0;
}

/* Goes through a stream; whole: with the bytes of its tensors. */
static struct tally read_stream(int fd, bool whole)
{
    struct tally tally = {0};
    struct tu_stream_reader r;
    struct tu_record record;
    const uint8_t *head;
    FUZZ_WORKS(tu_stream_open(&r, fd, "stream", &tally.error), &tally.error);
    FUZZ_WORKS(tu_stream_head(&r, &head, &tally.error), &tally.error);
    while ((tally.end = tu_stream_next(&r, &record, &tally.error)) > 0)
        if (count_record(&r, &record, whole, &tally) < 0) {
            tally.end = -1;
            break;
        }
    FUZZ_CHECK((tally.end < 0) == (tally.error.code != TU_OK));
    if (tally.end < 0)
        fuzz_check_error(&tally.error);
    tu_stream_close(&r);
    return tally;
}

static struct tally read_file(const void *data, size_t size, bool whole)
{
    int fd = fuzz_file(data, size);
    if (lseek(fd, 0, SEEK_SET) < 0)
        abort();
    struct tally tally = read_stream(fd, whole);
    close(fd);
    return tally;
}

static void check_pipe(const void *data, size_t size, bool whole, const struct tally *expected)
{
    int ends[2];
    if (size > PIPE_HOLDS || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    if (write(ends[1], data, size) == (ssize_t)size) {
        close(ends[1]);
        struct tally tally = read_stream(ends[0], whole);
        FUZZ_CHECK(tally.end == expected->end && tally.digest == expected->digest);
        FUZZ_CHECK(tally.tensors == expected->tensors && tally.records == expected->records);
        /* nothing at all has another reason in a file than in a pipe */
        FUZZ_CHECK(!size || strcmp(tally.error.text, expected->error.text) == 0);
    } else {
        close(ends[1]);
    }
    close(ends[0]);
}

/* ---- As an index ---- */

static uint64_t digest_tensor(const struct tu_model *m, const struct tu_tensor *t)
{
    struct tu_error error = {0};
    uint8_t *bytes = malloc((size_t)t->nbytes + 1);
    if (!bytes)
        abort();
    FUZZ_WORKS(tu_model_read(m, t, 0, bytes, (size_t)t->nbytes, &error), &error);
    uint64_t state = digest(digest_name(t), bytes, (size_t)t->nbytes);
    free(bytes);
    return state;
}

static void check_index(const void *data, size_t size, const struct tally *expected)
{
    struct tu_model m;
    struct tu_error error = {0};
    struct tu_model_options options = {0};
    uint64_t sum = 0;
    if (tu_model_open_as(&m, fuzz_file(data, size), "stream", &tensor_format_tsr, &options,
                         &error) < 0) {
        fuzz_check_error(&error);
        return;
    }
    fuzz_check_model(&m);
    for (size_t i = 0; i < m.count; i++)
        sum += digest_tensor(&m, &m.tensors[i]);
    FUZZ_CHECK(expected->end == 0 && m.count == expected->tensors && sum == expected->digest);
    tu_model_close(&m);
}

/* ---- Writing ---- */

/* Moves the bytes of the current tensor: through memory, or from file to file. */
static void copy_bytes(struct tu_stream_reader *r, struct tu_stream_writer *w, bool splice)
{
    struct tu_error error = {0};
    uint8_t buffer[5000];
    struct tu_source source = {.fd = r->fd, .path = r->path, .size = r->size};
    while (r->tensor_left) {
        struct tu_extent e;
        size_t n = r->tensor_left < sizeof buffer ? (size_t)r->tensor_left : sizeof buffer;
        if (splice) {
            FUZZ_WORKS(tu_stream_extent(r, &e, &error), &error);
            FUZZ_WORKS(tu_writer_splice(w, &source, e.offset, e.length, &error), &error);
        } else {
            FUZZ_WORKS(tu_stream_read(r, buffer, n, &error), &error);
            FUZZ_WORKS(tu_writer_bytes(w, buffer, n, &error), &error);
        }
    }
}

static void copy_record(struct tu_stream_reader *r, const struct tu_record *record,
                        struct tu_stream_writer *w, int out, bool splice)
{
    struct tu_error error = {0};
    switch (record->kind) {
    case TU_KIND_STREAM:
        FUZZ_WORKS(tu_writer_open(w, out, "fuzz", NULL, &error), &error);
        break;
    case TU_KIND_TENSOR:
        FUZZ_WORKS(tu_writer_tensor(w, &record->tensor, &record->map, &error), &error);
        copy_bytes(r, w, splice);
        break;
    case TU_KIND_END:
        FUZZ_WORKS(tu_writer_end(w, &error), &error);
        tu_writer_close(w);
        break;
    default:
        FUZZ_WORKS(tu_writer_record(w, &record->map, &error), &error);
        break;
    }
}

static struct fuzz_bytes contents(int fd)
{
    struct fuzz_bytes out = {0};
    uint8_t buffer[16384];
    for (ssize_t n; (n = pread(fd, buffer, sizeof buffer, (off_t)out.length)) > 0;)
        fuzz_append(&out, buffer, (size_t)n);
    return out;
}

/* Writes a good stream again. */
static struct fuzz_bytes rewrite(const void *data, size_t size, bool splice)
{
    int in = fuzz_file(data, size), out = fuzz_file("", 0), more;
    struct tu_stream_reader r;
    struct tu_stream_writer w;
    struct tu_record record;
    struct tu_error error = {0};
    if (lseek(in, 0, SEEK_SET) < 0)
        abort();
    FUZZ_WORKS(tu_stream_open(&r, in, "stream", &error), &error);
    while ((more = tu_stream_next(&r, &record, &error)) > 0)
        copy_record(&r, &record, &w, out, splice);
    FUZZ_WORKS(more, &error);
    tu_stream_close(&r);
    struct fuzz_bytes written = contents(out);
    close(in);
    close(out);
    return written;
}

static bool same(const struct fuzz_bytes *a, const struct fuzz_bytes *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static void check_rewriting(const void *data, size_t size, const struct tally *expected)
{
    struct fuzz_bytes once = rewrite(data, size, false);
    struct fuzz_bytes spliced = rewrite(data, size, true);
    struct fuzz_bytes twice = rewrite(once.bytes, once.length, false);
    struct tally tally = read_file(once.bytes, once.length, true);
    FUZZ_CHECK(tally.end == 0 && tally.segments == expected->segments);
    FUZZ_CHECK(tally.tensors == expected->tensors && tally.records == expected->records);
    FUZZ_CHECK(tally.digest == expected->digest);
    FUZZ_CHECK(same(&once, &spliced) && same(&once, &twice));
    free(once.bytes);
    free(spliced.bytes);
    free(twice.bytes);
}

void fuzz_stream(const uint8_t *data, size_t size)
{
    tu_stream_bid(data, size);
    struct tally whole = read_file(data, size, true);
    struct tally skipped = read_file(data, size, false);
    FUZZ_CHECK(whole.end == skipped.end && whole.tensors == skipped.tensors);
    FUZZ_CHECK(whole.records == skipped.records);
    check_pipe(data, size, true, &whole);
    check_pipe(data, size, false, &skipped);
    check_index(data, size, &whole);
    if (whole.end == 0)
        check_rewriting(data, size, &whole);
}
