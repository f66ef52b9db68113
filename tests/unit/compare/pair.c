/* SPDX-License-Identifier: MIT */
/* Pairs: shapes that agree, and tensors of streams and temporary files that stay to be read again.
 */
#include "config.h"

#include "compare/pair.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "stream/writer.h"

#include "../tap.h"

static struct tu_tensor shaped(const uint64_t *shape, uint32_t rank)
{
    return (struct tu_tensor){.rank = rank, .shape = shape};
}

#define SHAPED(...)                                                                                \
    shaped((uint64_t[]){__VA_ARGS__}, sizeof(uint64_t[]){__VA_ARGS__} / sizeof(uint64_t))

TEST(shapes_agree_but_for_ones_around_them)
{
    const struct tu_tensor scalar = shaped(NULL, 0), one = SHAPED(1), ones = SHAPED(1, 1, 1),
                           row = SHAPED(1, 4, 3), column = SHAPED(4, 3, 1), inner = SHAPED(4, 1, 3),
                           turned = SHAPED(3, 4), plain = SHAPED(4, 3), longer = SHAPED(4, 3, 2),
                           four = SHAPED(4), empty = SHAPED(0), both = SHAPED(1, 4, 3, 1);
    const uint64_t *shape;
    CHECK(tu_shape_core(&scalar, &shape) == 0 && tu_shape_core(&ones, &shape) == 0);
    CHECK(tu_shape_core(&both, &shape) == 2 && shape[0] == 4 && shape[1] == 3);
    CHECK(tu_shape_core(&inner, &shape) == 3 && tu_shape_core(&empty, &shape) == 1);
    CHECK(tu_same_shape(&scalar, &one) && tu_same_shape(&ones, &scalar));
    CHECK(tu_same_shape(&row, &column) && tu_same_shape(&both, &plain) &&
          tu_same_shape(&plain, &plain));
    CHECK(!tu_same_shape(&plain, &turned) && !tu_same_shape(&plain, &inner) &&
          !tu_same_shape(&plain, &longer) && !tu_same_shape(&longer, &plain));
    CHECK(!tu_same_shape(&plain, &four) && !tu_same_shape(&four, &one) &&
          !tu_same_shape(&empty, &one));
}

/* ---- A tensor of a stream ---- */

enum { ELEMENTS = 50000, BYTES = 4 * ELEMENTS };
static float values[ELEMENTS];
static uint8_t bytes[BYTES];

/* The same numbers as a stream whose reader stands at their first byte. */
static struct waiting {
    int fd;
    struct tu_stream_reader reader;
    struct tu_record record;
    struct tu_error error;
} s;

static void begin(void)
{
    struct tu_stream_writer w;
    uint64_t shape[] = {100, ELEMENTS / 100};
    struct tu_tensor t = {.name = "w",
                          .name_length = 1,
                          .dtype = TENSOR_F32,
                          .rank = 2,
                          .shape = shape,
                          .elements = ELEMENTS,
                          .nbytes = BYTES};
    for (size_t i = 0; i < ELEMENTS; i++)
        values[i] = (float)i / 8;
    memcpy(bytes, values, BYTES);
    s = (struct waiting){.fd = tu_temporary(&s.error)};
    bool good = s.fd >= 0 && tu_writer_open(&w, s.fd, "test", NULL, &s.error) == 0 &&
                tu_writer_tensor(&w, &t, NULL, &s.error) == 0 &&
                tu_writer_bytes(&w, bytes, BYTES, &s.error) == 0 &&
                tu_writer_end(&w, &s.error) == 0;
    tu_writer_close(&w);
    if (!good || lseek(s.fd, 0, SEEK_SET) != 0 ||
        tu_stream_open(&s.reader, s.fd, "test", &s.error) < 0)
        abort();
    do {
        if (tu_stream_next(&s.reader, &s.record, &s.error) <= 0)
            abort();
    } while (s.record.kind != TU_KIND_TENSOR);
}

static void end(void)
{
    tu_stream_close(&s.reader);
    close(s.fd);
}

/* A pair with that tensor on one side. */
static struct tu_pair *pair_of_stream(int side)
{
    struct tu_pair *p = calloc(1, sizeof *p);
    const struct tu_origin place = {
        .where = TU_IN_STREAM, .stream = &s.reader, .tensor = &s.record.tensor};
    if (!p || tu_pair_add(p, side, &place, &s.error) < 0)
        abort();
    return p;
}

static bool reads(const struct tu_view *v, uint64_t offset, size_t length)
{
    static uint8_t got[BYTES];
    return v && tu_view_read(v, offset, got, length, &s.error) == 0 &&
           memcmp(got, bytes + offset, length) == 0;
}

TEST(a_tensor_of_a_stream_stays)
{
    const struct tu_kernels *k = tu_kernels_choose(NULL);
    for (int side = 0; side < 2; side++) {
        begin();
        struct tu_pair *p = pair_of_stream(side);
        CHECK(p->present[side] && !p->present[!side] && p->stored[side].nbytes == BYTES);
        const struct tu_view *v = tu_pair_view(p, side, k, &s.error);
        CHECK(v && v->kind == TU_VIEW_LEAF && p->places[side].where == TU_IN_VIEW);
        CHECK(reads(v, 0, BYTES) && reads(v, BYTES - 7, 7) && reads(v, 65536, 4));
        CHECK(tu_pair_view(p, side, k, &s.error) == v);
        CHECK_STRING(v->leaf.tensor->name, "w");
        CHECK(p->spools[side].length == BYTES && !p->spools[!side].open);
        tu_pair_free(p);
        end();
    }
}

/* What was read of it before comes first, however much that was. */
TEST(what_was_seen_of_it_stays_too)
{
    static const size_t seen[] = {0, 4, 512, 70000, BYTES};
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        begin();
        static uint8_t start[BYTES];
        struct tu_pair *p = pair_of_stream(0);
        CHECK(tu_origin_read(&p->places[0], 0, start, seen[i], &s.error) == 0);
        CHECK(tu_pair_keep(p, 0, start, seen[i], &s.error) == 0);
        CHECK(p->places[0].where == TU_IN_SPOOL && p->spools[0].length == BYTES);
        static uint8_t got[BYTES];
        CHECK(tu_origin_read(&p->places[0], 0, got, BYTES, &s.error) == 0 &&
              memcmp(got, bytes, BYTES) == 0);
        CHECK(reads(tu_pair_view(p, 0, tu_kernels_choose(NULL), &s.error), 1, BYTES - 1));
        tu_pair_free(p);
        end();
    }
}

/* Tiles that the other side cuts begin where the last one ended, or up to 512 bytes before, but not
 * before that one began. */
TEST(tiles_of_a_stream_overlap_by_less_than_a_block)
{
    static const struct {
        size_t offset, length;
    } tiles[] = {{0, 3},     {0, 1000},    {1000, 1000}, {1990, 600},  {2078, 1000}, {2566, 70000},
                 {72566, 1}, {72566, 300}, {72600, 501}, {72700, 401}, {73101, 512}, {73101, 600}};
    begin();
    struct tu_pair *p = pair_of_stream(1);
    struct tu_origin *place = &p->places[1];
    static uint8_t got[BYTES];
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        size_t n = tiles[i].length;
        memset(got, 0xa5, sizeof got);
        CHECK(tu_origin_read(place, tiles[i].offset, got, n, &s.error) == 0);
        CHECK(memcmp(got, bytes + tiles[i].offset, n) == 0 && got[n] == 0xa5);
        CHECK_UINT(place->read, tiles[i].offset + n);
        if (i > 0) /* the first tile has three of them */
            CHECK(memcmp(place->head, bytes, sizeof place->head) == 0);
    }
    CHECK(p->places[1].where == TU_IN_STREAM && s.reader.tensor_left == BYTES - place->read);
    tu_pair_free(p);
    end();
}

TEST(a_stream_that_ends_early_does_not_stay)
{
    begin();
    struct tu_pair *p = pair_of_stream(0);
    if (ftruncate(s.fd, 1000) != 0)
        abort();
    s.reader.size = 1000;
    CHECK_FAILS(tu_pair_keep(p, 0, NULL, 0, &s.error), s.error, "truncated");
    CHECK(p->places[0].where == TU_IN_STREAM);
    tu_pair_free(p);
    end();
}

/* One that lies behind others in a temporary file. */
TEST(a_place_in_a_temporary_file)
{
    struct tu_spool spool = {0};
    begin();
    struct tu_pair *p = calloc(1, sizeof *p);
    CHECK(tu_spool_write(&spool, "before", 6, &s.error) == 0 &&
          tu_spool_write(&spool, bytes, BYTES, &s.error) == 0 &&
          tu_spool_write(&spool, "behind", 6, &s.error) == 0);
    const struct tu_origin place = {
        .where = TU_IN_SPOOL, .spool = &spool, .base = 6, .tensor = &s.record.tensor};
    CHECK(tu_pair_add(p, 1, &place, &s.error) == 0);
    const struct tu_view *v = tu_pair_view(p, 1, tu_kernels_choose(NULL), &s.error);
    CHECK(reads(v, 0, BYTES) && reads(v, BYTES - 1, 1));
    tu_pair_free(p);
    tu_spool_close(&spool);
    end();
}

/* A view has another shape, but keeps the name under which it met. */
TEST(a_side_that_is_seen_as_a_view)
{
    const struct tu_kernels *k = tu_kernels_choose(NULL);
    begin();
    struct tu_pair *p = pair_of_stream(0);
    const struct tu_view_maker maker = tu_pair_maker(p, k);
    const struct tu_view *v = tu_view_transpose(&maker, tu_pair_view(p, 0, k, &s.error), &s.error);
    tu_pair_set_view(p, 0, v);
    CHECK(p->places[0].where == TU_IN_VIEW && p->places[0].view == v);
    CHECK_STRING(p->tensors[0].name, "w");
    CHECK(p->tensors[0].name_length == 1 && p->tensors[0].shape[0] == ELEMENTS / 100 &&
          p->stored[0].shape[0] == 100);
    float got[2];
    uint8_t raw[8];
    CHECK(tu_origin_read(&p->places[0], 0, raw, 8, &s.error) == 0);
    memcpy(got, raw, 8);
    CHECK_REAL((double)got[1], (double)values[ELEMENTS / 100]);
    tu_pair_free(p);
    end();
}

/* Of one without a partner, whichever side it is on, what is left is said. */
TEST(what_is_left_of_one_that_met_others)
{
    for (int side = 0; side < 2; side++) {
        struct tu_coverage shown = {0};
        bool again;
        begin();
        struct tu_pair *p = pair_of_stream(side);
        CHECK(tu_coverage_add(&shown, (struct tu_portion){0, ELEMENTS / 2, false}, &again,
                              &s.error) == 0);
        CHECK(!p->partial);
        tu_pair_set_partial(p, &shown);
        CHECK(p->partial);
        CHECK_UINT(p->elements, ELEMENTS / 2);
        CHECK_STRING(p->reason, "rows 50 to 99 of 100 met nothing");
        tu_coverage_free(&shown);
        tu_pair_free(p);
        end();
    }
}

TEST(temporary_files_are_given_back)
{
    for (int side = 0; side < 2; side++) {
        begin();
        struct tu_pair *p = pair_of_stream(side);
        CHECK(tu_pair_keep(p, side, NULL, 0, &s.error) == 0);
        int fd = p->spools[side].fd;
        CHECK(fcntl(fd, F_GETFD) >= 0);
        tu_pair_free(p);
        CHECK(fcntl(fd, F_GETFD) < 0);
        end();
    }
}
