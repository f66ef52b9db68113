/* SPDX-License-Identifier: MIT */
/* The reader and the writer of the tensor stream, over files in memory and pipes. */
#include "config.h"

#include "stream/reader.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../tap.h"
#include "stream/writer.h"

/* ---- Streams to read ---- */

/* A stream that is put together byte by byte. */
struct bytes {
    uint8_t data[1 << 16];
    size_t length;
};

static void add(struct bytes *b, const void *bytes, size_t length)
{
    if (length > sizeof b->data - b->length)
        abort();
    memcpy(b->data + b->length, bytes, length);
    b->length += length;
}

#define ADD(b, literal) add(b, literal, sizeof(literal) - 1)

static void add_opening(struct bytes *b)
{
    ADD(b, "\x83\xa4kind\xa6stream\xa7version\x01\xa4tool\xa4test");
}

static void add_end(struct bytes *b, uint8_t tensors, uint8_t records)
{
    ADD(b, "\x83\xa4kind\xa3"
           "end\xa7tensors");
    add(b, &tensors, 1);
    ADD(b, "\xa7records");
    add(b, &records, 1);
}

/* A U8 tensor of n (less than 128) bytes, without its chunks. */
static void add_record(struct bytes *b, char name, uint8_t n)
{
    ADD(b, "\x85\xa4kind\xa6tensor\xa4name\xa1");
    add(b, &name, 1);
    ADD(b, "\xa5"
           "dtype\xa2U8\xa5shape\x91");
    add(b, &n, 1);
    ADD(b, "\xa6nbytes");
    add(b, &n, 1);
}

static void add_chunk(struct bytes *b, uint8_t first, uint8_t n)
{
    uint8_t head[] = {0xc4, n};
    add(b, head, 2);
    for (uint8_t i = 0; i < n; i++) {
        uint8_t byte = (uint8_t)(first + i);
        add(b, &byte, 1);
    }
}

/* Two tensors, one in three chunks, and a result between them. */
static void add_plain(struct bytes *b)
{
    add_opening(b);
    add_record(b, 'a', 100);
    add_chunk(b, 0, 30);
    add_chunk(b, 30, 0);
    add_chunk(b, 30, 69);
    add_chunk(b, 99, 1);
    ADD(b, "\x82\xa4kind\xa4stat\xa1x\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00");
    add_record(b, 'b', 50);
    add_chunk(b, 7, 50);
    add_end(b, 2, 1);
}

static int memory_file(const struct bytes *b)
{
    int fd = memfd_create("stream", MFD_CLOEXEC);
    if (fd < 0 || write(fd, b->data, b->length) != (ssize_t)b->length || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    return fd;
}

struct feeder {
    const struct bytes *bytes;
    size_t step;
    int fd;
};

static void *feed(void *argument)
{
    struct feeder *f = argument;
    for (size_t at = 0; at < f->bytes->length;) {
        size_t n = f->bytes->length - at < f->step ? f->bytes->length - at : f->step;
        if (write(f->fd, f->bytes->data + at, n) != (ssize_t)n)
            abort();
        at += n;
    }
    close(f->fd);
    return NULL;
}

/* Reads all tensors' bytes in pieces of a size (0: skips them); 0 or -1. */
static int read_all(int fd, size_t piece, char *names, struct tu_error *error)
{
    struct tu_stream_reader r;
    struct tu_record record;
    int more;
    *names = '\0';
    if (tu_stream_open(&r, fd, "it", error) < 0)
        return -1;
    while ((more = tu_stream_next(&r, &record, error)) > 0) {
        if (record.kind != TU_KIND_TENSOR)
            continue;
        uint64_t left = record.tensor.nbytes;
        uint8_t expected = record.tensor.name[0] == 'a' ? 0 : 7, buffer[128];
        strcat(names, record.tensor.name);
        while (piece && left) {
            size_t n = left < piece ? (size_t)left : piece;
            if (tu_stream_read(&r, buffer, n, error) < 0) {
                more = -1;
                break;
            }
            for (size_t i = 0; i < n; i++)
                CHECK(buffer[i] == expected++);
            left -= n;
        }
        if (more < 0)
            break;
    }
    tu_stream_close(&r);
    return more;
}

/* ---- Reading ---- */

TEST(a_file_in_pieces_of_any_size)
{
    struct bytes b = {.length = 0};
    add_plain(&b);
    for (size_t piece = 0; piece < 128; piece += piece < 4 ? 1 : 31) {
        struct tu_error error = {0};
        char names[16];
        int fd = memory_file(&b);
        CHECK(read_all(fd, piece, names, &error) == 0);
        CHECK_STRING(names, "ab");
        CHECK_STRING(error.text, "");
        close(fd);
    }
}

TEST(a_pipe_that_gives_a_byte_at_a_time)
{
    struct bytes b = {.length = 0};
    add_plain(&b);
    for (size_t piece = 0; piece < 128; piece += 64) {
        for (size_t step = 1; step < 8; step += 3) {
            struct tu_error error = {0};
            char names[16];
            int ends[2];
            pthread_t thread;
            if (pipe(ends) < 0)
                abort();
            struct feeder f = {&b, step, ends[1]};
            if (pthread_create(&thread, NULL, feed, &f) != 0)
                abort();
            CHECK(read_all(ends[0], piece, names, &error) == 0);
            CHECK_STRING(names, "ab");
            pthread_join(thread, NULL);
            close(ends[0]);
        }
    }
}

TEST(every_cut_is_an_error)
{
    struct bytes whole = {.length = 0};
    add_plain(&whole);
    for (size_t length = 0; length < whole.length; length++) {
        for (size_t piece = 0; piece < 20; piece += 13) {
            struct bytes b = whole;
            struct tu_error error = {0};
            char names[16];
            b.length = length;
            int fd = memory_file(&b);
            if (read_all(fd, piece, names, &error) != -1 || error.code != TU_EINVALID ||
                (!strstr(error.text, "truncated") && !strstr(error.text, "empty")))
                tap_fail(__FILE__, __LINE__, "cut at %zu, pieces of %zu: '%s'", length, piece, error.text);
            close(fd);
        }
    }
}

TEST(two_segments)
{
    struct bytes b = {.length = 0};
    struct tu_error error = {0};
    char names[16];
    add_plain(&b);
    add_plain(&b);
    int fd = memory_file(&b);
    CHECK(read_all(fd, 9, names, &error) == 0);
    CHECK_STRING(names, "abab");
    close(fd);
}

TEST(where_the_bytes_lie)
{
    struct bytes b = {.length = 0};
    struct tu_error error = {0};
    struct tu_stream_reader r;
    struct tu_record record;
    struct tu_extent e;
    add_plain(&b);
    int fd = memory_file(&b);
    CHECK(tu_stream_open(&r, fd, "it", &error) == 0);
    CHECK(tu_stream_next(&r, &record, &error) == 1 && record.kind == TU_KIND_STREAM);
    CHECK(tu_stream_next(&r, &record, &error) == 1 && record.kind == TU_KIND_TENSOR);
    static const uint64_t lengths[] = {30, 69, 1};
    uint8_t expected = 0;
    for (size_t i = 0; i < 3; i++) {
        CHECK(tu_stream_extent(&r, &e, &error) == 0);
        CHECK_UINT(e.length, lengths[i]);
        for (uint64_t k = 0; k < e.length; k++)
            CHECK(b.data[e.offset + k] == expected++);
    }
    CHECK(tu_stream_next(&r, &record, &error) == 1 && record.kind == TU_KIND_RESULT);
    tu_stream_close(&r);
    close(fd);
}

TEST(more_than_a_tensor_has_is_refused)
{
    struct bytes b = {.length = 0};
    struct tu_error error = {0};
    struct tu_stream_reader r;
    struct tu_record record;
    uint8_t buffer[128];
    add_plain(&b);
    int fd = memory_file(&b);
    CHECK(tu_stream_open(&r, fd, "it", &error) == 0);
    CHECK(tu_stream_next(&r, &record, &error) == 1 && tu_stream_next(&r, &record, &error) == 1);
    CHECK_FAILS(tu_stream_read(&r, buffer, 101, &error), error, "more bytes");
    tu_stream_close(&r);
    close(fd);
}

TEST(a_head_is_looked_at_and_not_taken)
{
    struct bytes b = {.length = 0};
    struct tu_error error = {0};
    struct tu_stream_reader r;
    struct tu_record record;
    const uint8_t *head;
    add_plain(&b);
    int fd = memory_file(&b);
    CHECK(tu_stream_open(&r, fd, "it", &error) == 0);
    ssize_t n = tu_stream_head(&r, &head, &error);
    CHECK((size_t)n == b.length && memcmp(head, b.data, b.length) == 0 && tu_stream_bid(head, (size_t)n) > 0);
    CHECK(tu_stream_next(&r, &record, &error) == 1 && record.kind == TU_KIND_STREAM);
    tu_stream_close(&r);
    close(fd);
    for (size_t length = 0; length < 13; length++)
        CHECK(tu_stream_bid(b.data, length) == 0);
    CHECK(tu_stream_bid((const uint8_t *)"GGUF\3\0\0\0", 8) == 0);
}

/* Bytes that the C library has handed out. */
static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

TEST(claims_take_no_memory)
{
    static const char *const claims[] = {"\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", "\xdd\xff\xff\xff\xff",
                                         "\xdf\xff\xff\xff\xff"};
    for (size_t i = 0; i < 4; i++) {
        struct bytes b = {.length = 0};
        struct tu_error error = {0};
        struct tu_stream_reader r;
        struct tu_record record;
        add_opening(&b);
        ADD(&b, "\x82\xa4kind\xa1x\xa1y");
        add(&b, claims[i], 5);
        int fd = memory_file(&b);
        size_t before = in_use();
        CHECK(tu_stream_open(&r, fd, "it", &error) == 0);
        CHECK(tu_stream_next(&r, &record, &error) == 1);
        CHECK_FAILS(tu_stream_next(&r, &record, &error), error, "truncated");
        CHECK(in_use() < before + (1 << 20));
        tu_stream_close(&r);
        CHECK(in_use() <= before + 4096);
        close(fd);
    }
}

/* ---- Writing ---- */

static int write_stream(int fd, size_t piece, struct tu_error *error)
{
    struct tu_stream_writer w;
    uint64_t shape[] = {100};
    struct tu_tensor t = {.name = "a", .name_length = 1, .dtype = TENSOR_U8, .rank = 1, .shape = shape, .elements = 100, .nbytes = 100};
    uint8_t bytes[100];
    for (int i = 0; i < 100; i++)
        bytes[i] = (uint8_t)i;
    int result = tu_writer_open(&w, fd, "test", NULL, error);
    if (result == 0)
        result = tu_writer_tensor(&w, &t, NULL, error);
    for (size_t at = 0; result == 0 && at < 100; at += piece)
        result = tu_writer_bytes(&w, bytes + at, 100 - at < piece ? 100 - at : piece, error);
    if (result == 0)
        result = tu_writer_end(&w, error);
    tu_writer_close(&w);
    return result;
}

TEST(what_is_written_is_read)
{
    for (size_t piece = 1; piece <= 100; piece += 33) {
        struct tu_error error = {0};
        char names[16];
        int fd = memfd_create("stream", MFD_CLOEXEC);
        CHECK(write_stream(fd, piece, &error) == 0);
        CHECK(lseek(fd, 0, SEEK_SET) == 0 && read_all(fd, 10, names, &error) == 0);
        CHECK_STRING(names, "a");
        close(fd);
    }
}

TEST(a_writer_keeps_its_promise)
{
    struct tu_stream_writer w;
    struct tu_error error = {0};
    uint64_t shape[] = {4};
    struct tu_tensor t = {.name = "a", .name_length = 1, .dtype = TENSOR_U8, .rank = 1, .shape = shape, .elements = 4, .nbytes = 4};
    int fd = memfd_create("stream", MFD_CLOEXEC);
    CHECK(tu_writer_open(&w, fd, "test", NULL, &error) == 0 && tu_writer_tensor(&w, &t, NULL, &error) == 0);
    CHECK_FAILS(tu_writer_bytes(&w, "12345", 5, &error), error, "more bytes");
    error = (struct tu_error){0};
    CHECK(tu_writer_bytes(&w, "123", 3, &error) == 0);
    CHECK_FAILS(tu_writer_end(&w, &error), error, "not whole");
    error = (struct tu_error){0};
    CHECK_FAILS(tu_writer_tensor(&w, &t, NULL, &error), error, "whole");
    error = (struct tu_error){0};
    CHECK(tu_writer_bytes(&w, "4", 1, &error) == 0 && tu_writer_end(&w, &error) == 0);
    tu_writer_close(&w);
    close(fd);
}

TEST(a_failure_is_told_to_the_reader)
{
    struct tu_stream_writer w;
    struct tu_error error = {0};
    char names[16];
    int fd = memfd_create("stream", MFD_CLOEXEC);
    CHECK(tu_writer_open(&w, fd, "test", NULL, &error) == 0);
    tu_writer_fail(&w, "tensor-x", "on \x1b fire");
    tu_writer_close(&w);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_FAILS(read_all(fd, 0, names, &error), error, "it: tensor-x failed: on \\x1b fire");
    close(fd);
}

TEST(a_failure_within_a_chunk_is_a_truncated_stream)
{
    struct tu_stream_writer w;
    struct tu_error error = {0};
    uint64_t shape[] = {4};
    struct tu_tensor t = {.name = "a", .name_length = 1, .dtype = TENSOR_U8, .rank = 1, .shape = shape, .elements = 4, .nbytes = 4};
    char names[16];
    int fd = memfd_create("stream", MFD_CLOEXEC);
    CHECK(tu_writer_open(&w, fd, "test", NULL, &error) == 0 && tu_writer_tensor(&w, &t, NULL, &error) == 0 &&
          tu_writer_bytes(&w, "1", 1, &error) == 0);
    tu_writer_fail(&w, "tensor-x", "on fire");
    tu_writer_close(&w);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_FAILS(read_all(fd, 0, names, &error), error, "truncated: test broke off in tensor 'a', 3 bytes short");
    close(fd);
}

TEST(a_full_disk_is_an_error)
{
    struct tu_error error = {0};
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    CHECK_FAILS(write_stream(fd, 10, &error), error, "No space left");
    CHECK(error.code == TU_EIO);
    close(fd);
}
