/* SPDX-License-Identifier: MIT */
/* The ways of --repeat, and what it finds between two runs. */
#include "config.h"

#include "compute/repeat.h"

#include "tree/json.h"

#include "../tap.h"

/* ---- Ways ---- */

static bool has_way(const struct tu_ways *w, const struct tu_kernels *kernels, unsigned threads)
{
    size_t found = 0;
    for (size_t i = 0; i < w->count; i++)
        found += w->list[i].kernels == kernels && w->list[i].threads == threads;
    return found == 1;
}

TEST(each_instruction_set_with_each_number_of_threads_once)
{
    static const unsigned most[] = {1, 2, 3, 4, 64};
    for (size_t m = 0; m < sizeof most / sizeof *most; m++) {
        const struct tu_ways w = tu_ways_of_processor(most[m]);
        size_t sets = 0, counts = most[m] > 3 ? 4 : 3;
        bool supported;
        const struct tu_kernels *k;
        for (size_t i = 0; (k = tu_kernels_built(i, &supported)); i++) {
            sets += supported;
            for (unsigned t = 1; t <= 64; t++)
                if (!CHECK(has_way(&w, k, t) == (supported && (t <= 3 || t == most[m]))))
                    return;
        }
        CHECK_UINT(w.sets, sets);
        CHECK_UINT(w.count, sets * counts);
        CHECK_UINT(w.threads, most[m] > 3 ? most[m] : 3);
        /* the ways of a set stand together */
        for (size_t i = 0; i < w.count; i++)
            CHECK(w.list[i].kernels == w.list[i - i % counts].kernels);
    }
}

TEST(a_device_has_one_way)
{
    const struct tu_ways w = tu_ways_of_device();
    CHECK(w.count == 1 && w.sets == 0 && w.threads == 0 && !w.list[0].kernels);
}

/* ---- Numbers ---- */

TEST(numbers_differ_by_their_bits)
{
    const float a[] = {1, 0, NAN, 3}, b[] = {1, -0.0f, NAN, 4};
    struct tu_departure d = {0};
    tu_departure_add(&d, a, a, 4, 4, 0);
    CHECK_UINT(d.count, 0);
    tu_departure_add(&d, a, b, 4, 4, 100);
    CHECK_UINT(d.count, 2);
    CHECK_UINT(d.element, 101);
    CHECK_REAL(d.first, 0.0);
    CHECK_REAL(d.other, -0.0);
    CHECK(!d.unvalued && !*d.field);
    /* what comes later is counted, but is not the first */
    tu_departure_add(&d, a, b, 4, 4, 104);
    CHECK(d.count == 4 && d.element == 101);
}

TEST(doubles_differ_by_bits_that_floats_have_not)
{
    const double a[] = {1, 2}, b[] = {1, 2 + 0x1p-51};
    struct tu_departure d = {0};
    tu_departure_add(&d, a, b, 8, 2, 0);
    CHECK(d.count == 1 && d.element == 1);
    CHECK_REAL(d.first, 2);
    CHECK_REAL(d.other, 2 + 0x1p-51);
}

/* ---- Records ---- */

static struct tu_departure between(const char *a, const char *b)
{
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tensor_value x, y;
    if (tu_json_parse(a, strlen(a), TU_DUPLICATES_REFUSED, &arena, &x, &error) < 0 ||
        tu_json_parse(b, strlen(b), TU_DUPLICATES_REFUSED, &arena, &y, &error) < 0)
        abort();
    struct tu_departure d = tu_departure_of_records(&x, &y);
    tu_arena_free(&arena);
    return d;
}

TEST(fields_of_records)
{
    static const char record[] =
        "{\"name\":\"w\",\"status\":\"ok\",\"n\":3,\"x\":0.5,\"worst\":[1,2],\"m\":{\"k\":true}}";
    static const struct {
        const char *other, *field;
        uint64_t count;
        bool unvalued;
    } cases[] = {
        {"{\"name\":\"w\",\"status\":\"ok\",\"n\":3,\"x\":0.5,\"worst\":[1,2],\"m\":{\"k\":true}}",
         "", 0, false},
        {"{\"name\":\"w\",\"status\":\"ok\",\"n\":4,\"x\":0.25,\"worst\":[1,2],\"m\":{\"k\":true}}",
         "n", 2, false},
        {"{\"name\":\"w\",\"status\":\"no\",\"n\":3,\"x\":0.5,\"worst\":[1,2],\"m\":{\"k\":true}}",
         "status", 1, true},
        {"{\"name\":\"w\",\"status\":\"ok\",\"n\":3,\"x\":0.5,\"worst\":[1,3],\"m\":{\"k\":true}}",
         "worst", 1, true},
        {"{\"name\":\"w\",\"status\":\"ok\",\"n\":3,\"x\":0.5,\"worst\":[1],\"m\":{\"k\":true}}",
         "worst", 1, true},
        {"{\"name\":\"w\",\"status\":\"ok\",\"n\":3,\"x\":0.5,\"worst\":[1,2],\"m\":{\"k\":false}}",
         "m", 1, true},
        {"{\"name\":\"w\",\"status\":\"ok\",\"n\":3,\"x\":0.5,\"worst\":[1,2],\"m\":{\"j\":true}}",
         "m", 1, true},
        {"{\"name\":\"w\",\"status\":\"ok\",\"x\":0.5,\"worst\":[1,2],\"m\":{\"k\":true}}", "n", 1,
         true},
        {"{\"name\":\"w\",\"status\":\"ok\",\"n\":3,\"x\":0.5,\"worst\":[1,2],\"m\":{\"k\":true},"
         "\"more\":1}",
         "more", 1, true},
        {"{\"name\":\"w\",\"status\":\"ok\",\"n\":3,\"x\":null,\"worst\":[1,2],\"m\":{\"k\":true}}",
         "x", 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tu_departure d = between(record, cases[i].other);
        CHECK_UINT(d.count, cases[i].count);
        CHECK_STRING(d.field, cases[i].field);
        CHECK(d.unvalued == cases[i].unvalued);
    }
    struct tu_departure d = between(record, cases[1].other);
    CHECK_REAL(d.first, 3);
    CHECK_REAL(d.other, 4);
}

/* ---- The record ---- */

static const char *filled(const struct tu_repeats *r)
{
    static char kept[512];
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tu_builder b;
    struct tensor_value v;
    const char *text;
    size_t length;
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, &error) < 0 ||
        tu_repeats_fill(&b, r, &error) < 0 || tu_builder_end(&b, &v, &error) < 0 ||
        tu_json_text(&v, &arena, &text, &length, &error) < 0)
        abort();
    snprintf(kept, sizeof kept, "%.*s", (int)length, text);
    tu_arena_free(&arena);
    return kept;
}

TEST(the_first_run_that_differs_is_told)
{
    const struct tu_ways ways = {.count = 6, .sets = 2, .threads = 5};
    const struct tu_kernels kernels = {.name = "wide"};
    const struct tu_way way = {&kernels, 5}, other = {&kernels, 2};
    const struct tu_departure none = {0}, one = {.count = 7, .element = 9, .first = 1, .other = 2},
                              two = {.count = 8, .element = 3};
    struct tu_repeats r = {.ways = &ways};
    tu_repeats_note(&r, &way, &none);
    tu_repeats_note(&r, &way, &none);
    CHECK_STRING(filled(&r), "{\"status\":\"ok\",\"runs\":2,\"instruction_sets\":2,\"threads\":5,"
                             "\"differing\":0,\"differing_count\":0}");
    tu_repeats_note(&r, &way, &one);
    tu_repeats_note(&r, &other, &two);
    tu_repeats_note(&r, &other, &none);
    CHECK_STRING(filled(&r),
                 "{\"status\":\"differs\",\"runs\":5,\"instruction_sets\":2,\"threads\":5,"
                 "\"differing\":2,\"differing_count\":7,\"first_difference\":9,\"value\":1,"
                 "\"other_value\":2,\"how\":\"run 3: wide, 5 threads\"}");
}

TEST(of_a_device_and_of_fields)
{
    const struct tu_ways ways = tu_ways_of_device();
    const struct tu_departure none = {0}, one = {.count = 1, .field = "status", .unvalued = true};
    struct tu_repeats r = {.ways = &ways};
    tu_repeats_note(&r, &ways.list[0], &none);
    tu_repeats_note(&r, &ways.list[0], &one);
    CHECK_STRING(filled(&r), "{\"status\":\"differs\",\"runs\":2,\"differing\":1,"
                             "\"differing_count\":1,\"field\":\"status\",\"how\":\"run 2\"}");
}
