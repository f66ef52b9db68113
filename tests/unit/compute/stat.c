/* SPDX-License-Identifier: MIT */
/* Edges of statistics: sketches that run out of room, blocks, pieces of any size, series. */
#include "config.h"

#include "../tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/stat/series.h"
#include "compute/stat/stat.h"

/* ---- Sketches ---- */

enum { MANY = 4000 };

static void fill(double *values)
{
    for (int i = 0; i < MANY; i++)
        values[i] = (i % 2 ? 1 : -1) * ldexp(1 + (i * 37 % 997) / 997.0, i % 60 - 30);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Whether every quantile is within the error of the value of that rank. */
static bool is_right(const struct tu_sketch_room *room, const struct tu_sketch *s, double *values)
{
    bool right = true;
    qsort(values, MANY, sizeof *values, compare);
    for (int i = 0; i <= 100; i++) {
        double p = i / 100.0, x = tu_sketch_quantile(room, s, p);
        int rank = i ? (int)ceil(p * MANY) : 1;
        right &= fabs(x - values[rank - 1]) <= tu_sketch_error(room) * fabs(values[rank - 1]);
    }
    return right;
}

TEST(a_quantile_is_within_the_error_that_is_stated)
{
    struct tu_error error = {0};
    struct tu_sketch s = {0};
    struct tu_sketch_room room = {&s, 1, TU_SKETCH_BITS, 0, 64 << 20, false};
    double values[MANY];
    fill(values);
    CHECK(tu_sketch_add(&room, &s, values, MANY, &error) == 0);
    CHECK(tu_sketch_error(&room) == 1.0 / 256);
    CHECK(is_right(&room, &s, values));
    tu_sketch_reset(&room, &s);
    CHECK(tu_sketch_add(&room, &s, (double[]){0, 0, -0.0, 5}, 4, &error) == 0);
    CHECK(tu_sketch_quantile(&room, &s, 0.75) == 0);
    CHECK(fabs(tu_sketch_quantile(&room, &s, 1) - 5) <= 5.0 / 256);
    tu_sketch_free(&s);
}

/* Memory that is left decides how coarse a sketch is, and it says so; whether it became so in
 * between or was from the start is the same. */
TEST(a_sketch_without_room_becomes_coarser_and_then_gives_up)
{
    struct tu_error error = {0};
    struct tu_sketch s[2] = {{0}, {0}}, t = {0};
    struct tu_sketch_room room = {s, 2, TU_SKETCH_BITS, 0, 16000, false};
    double values[MANY];
    fill(values);
    CHECK(tu_sketch_add(&room, &s[0], values, MANY, &error) == 0);
    CHECK(!room.given_up && room.bits < TU_SKETCH_BITS && room.used <= room.budget);
    struct tu_sketch_room fresh = {&t, 1, room.bits, 0, 64 << 20, false};
    CHECK(tu_sketch_add(&fresh, &t, values, MANY, &error) == 0);
    for (int i = 0; i <= 20; i++)
        CHECK(tu_sketch_quantile(&room, &s[0], i / 20.0) ==
              tu_sketch_quantile(&fresh, &t, i / 20.0));
    CHECK(is_right(&room, &s[0], values));
    room.budget = 100;
    CHECK(tu_sketch_add(&room, &s[1], values, MANY, &error) == 0);
    CHECK(room.given_up && room.used == 0 && !s[0].pages && !s[1].pages);
    tu_sketch_free(&t);
}

/* ---- Statistics ---- */

struct heard {
    struct tu_stat stat[8];
    uint64_t index[8];
    size_t count;
};

static int hear(void *context, struct tu_stats *s, struct tu_stat *stat, uint64_t index,
                struct tu_error *error)
{
    struct heard *h = context;
    (void)s;
    (void)error;
    h->stat[h->count] = *stat;
    h->index[h->count++] = index;
    return 0;
}

static void measure(struct heard *h, enum tu_stat_axis axis, const uint64_t *shape, uint32_t rank,
                    const double *values, size_t piece)
{
    struct tu_error error = {0};
    struct tu_geometry g;
    struct tu_stats s;
    struct tu_tensor t = {
        .name = "w", .name_length = 1, .dtype = TENSOR_F64, .rank = rank, .shape = shape};
    *h = (struct heard){0};
    CHECK(tu_geometry(TENSOR_F64, TENSOR_PACKING_ROWS, shape, rank, &g, &error) == 0);
    t.nbytes = g.nbytes;
    CHECK(tu_tensor_check(&t, &g, &error) == 0);
    CHECK(tu_stats_begin(&s, axis, &t, hear, h, &error) == 1);
    for (size_t i = 0; i < t.elements; i += piece) {
        size_t n = piece < t.elements - i ? piece : (size_t)(t.elements - i);
        CHECK(tu_stats_add(&s, values + i, n, &error) == 0);
    }
    CHECK(tu_stats_end(&s, &error) == 0);
    tu_stats_free(&s);
}

TEST(pieces_of_any_size_have_the_same_bits)
{
    const uint64_t shape[] = {5, 40, 3};
    double values[600];
    struct heard want, got;
    for (int i = 0; i < 600; i++)
        values[i] = sin(i * i) * exp(i % 13);
    for (enum tu_stat_axis axis = TU_STAT_ALL; axis < TU_STAT_AXES; axis++) {
        if (axis == TU_STAT_TOKEN || axis == TU_STAT_HEAD || axis == TU_STAT_ROW)
            continue;
        measure(&want, axis, shape, 3, values, 600);
        CHECK_UINT(want.count, axis == TU_STAT_ALL ? 1 : 3);
        for (size_t piece = 1; piece < 600; piece = piece * 2 + 1) {
            measure(&got, axis, shape, 3, values, piece);
            CHECK(memcmp(&want, &got, sizeof want) == 0);
        }
    }
}

TEST(nothing_has_no_numbers_and_one_place_is_a_group)
{
    struct heard h;
    measure(&h, TU_STAT_ALL, (uint64_t[]){0, 3}, 2, NULL, 1);
    CHECK(h.count == 1 && h.stat[0].count == 0 && h.stat[0].finite == 0);
    measure(&h, TU_STAT_ROW, (uint64_t[]){0, 3}, 2, NULL, 1);
    CHECK_UINT(h.count, 0);
    /* an axis of one place, with others before it */
    measure(&h, TU_STAT_CHANNEL, (uint64_t[]){4, 1}, 2, (double[]){1, 2, 3, 6}, 3);
    CHECK(h.count == 1 && h.stat[0].count == 4 && h.stat[0].shift + h.stat[0].mean == 3);
    measure(&h, TU_STAT_ROW, (uint64_t[]){2, 2}, 2, (double[]){1, 2, 3, NAN}, 3);
    CHECK(h.count == 2 && h.index[1] == 1 && h.stat[1].first_nan == 3 && h.stat[1].argmax == 2);
}

TEST(more_places_than_are_kept_are_refused)
{
    struct tu_error error = {0};
    struct tu_stats s;
    const uint64_t shape[] = {2, 1 << 19};
    const struct tu_tensor t = {.name = "w",
                                .name_length = 1,
                                .dtype = TENSOR_F64,
                                .rank = 2,
                                .shape = shape,
                                .elements = 1 << 20};
    CHECK(tu_stats_begin(&s, TU_STAT_CHANNEL, &t, hear, NULL, &error) == 0);
    CHECK(strstr(s.no_axis, "more than 262144 places") != NULL);
    CHECK(tu_stats_begin(&s, TU_STAT_HEAD, &t, hear, NULL, &error) == 0);
    CHECK(strstr(s.no_axis, "no such axis") != NULL);
    tu_stats_free(&s);
}

/* ---- Series ---- */

TEST(the_largest_come_first_and_of_equal_ones_the_first)
{
    struct tu_stat_top top = {0};
    for (uint64_t i = 0; i < 20; i++)
        tu_stat_top_add(&top, i, i % 2 ? 1 : -2);
    CHECK_UINT(top.count, TU_STAT_TOP);
    for (uint64_t i = 0; i < TU_STAT_TOP; i++)
        CHECK(top.items[i].index == 2 * i && top.items[i].value == -2);
}

static void describe(struct tu_series_member *m, const char *name, struct tu_arena *arena)
{
    struct tu_error error = {0};
    static const uint64_t shape[] = {2};
    const struct tu_tensor t = {.name = name,
                                .name_length = strlen(name),
                                .dtype = TENSOR_F32,
                                .rank = 1,
                                .shape = shape,
                                .elements = 2,
                                .nbytes = 8};
    *m = (struct tu_series_member){.has_rms = true, .rms = 1};
    CHECK(tu_series_describe(&t, arena, m, &error) == 0);
}

TEST(the_role_is_the_name_without_the_layer)
{
    struct tu_arena arena = {0};
    struct tu_series_member m;
    describe(&m, "model.layers.12.mlp.experts.3.w", &arena);
    CHECK(m.has_layer && m.layer == 12 && strcmp(m.role, "model.layers.*.mlp.experts.3.w") == 0);
    describe(&m, "blk.7", &arena);
    CHECK(m.has_layer && m.layer == 7 && strcmp(m.role, "blk.*") == 0);
    describe(&m, "conv1.w2", &arena);
    CHECK(!m.has_layer);
    tu_arena_free(&arena);
}

TEST(equal_ratios_have_no_spread_and_one_that_differs_stands_out)
{
    static const char *const names[] = {"l.0", "l.1", "l.2", "l.3", "l.4", "l.5", "l.6"};
    struct tu_error error = {0};
    struct tu_arena arena = {0};
    struct tu_series_member m[7];
    for (int i = 0; i < 7; i++) {
        describe(&m[i], names[6 - i], &arena);
        m[i].rms = ldexp(1, 6 - i + (i < 3 ? 2 : 0));
    }
    CHECK(tu_series_judge(m, 7, &error) == 0);
    for (int i = 0; i < 7; i++)
        CHECK(m[i].judged && m[i].spike == (i == 2));
    CHECK(!m[2].has_z && m[2].ratio == 8 && m[2].position == 4 && m[2].mad == 0);
    m[2].rms /= 4;
    m[1].rms /= 4;
    m[0].rms /= 4;
    CHECK(tu_series_judge(m, 7, &error) == 0 && !m[2].spike && m[2].z == 0);
    tu_arena_free(&arena);
}
