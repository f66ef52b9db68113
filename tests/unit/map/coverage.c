/* SPDX-License-Identifier: MIT */
/* What a view shows, told by portions, is what reading it gives; and accounts of what was shown. */
#include "config.h"

#include "map/coverage.h"

#include <unistd.h>

#include "base/file.h"
#include "base/source.h"

#include "../tap.h"

enum { ROWS = 24, COLUMNS = 10, ALL = ROWS * COLUMNS };

/* A matrix of F32 whose elements are their own places. */
static struct {
    struct tu_model model;
    struct tu_arena arena;
    struct tu_view_maker maker;
    struct tu_error error;
    struct tu_tensor tensor;
    struct tu_extent extent;
    uint64_t shape[2];
    const struct tu_view *leaf;
} w;

static void begin(void)
{
    float values[ALL];
    w.maker = (struct tu_view_maker){&w.arena, tu_kernels_choose(NULL)};
    int fd = tu_temporary(&w.error);
    for (int i = 0; i < ALL; i++)
        values[i] = (float)i;
    if (fd < 0 || write(fd, values, sizeof values) != sizeof values ||
        tu_source_open(&w.model.source, fd, "data", &w.error) < 0)
        abort();
    w.shape[0] = ROWS;
    w.shape[1] = COLUMNS;
    w.extent = (struct tu_extent){0, sizeof values};
    w.tensor = (struct tu_tensor){.name = "w",
                                  .name_length = 1,
                                  .dtype = TENSOR_F32,
                                  .rank = 2,
                                  .shape = w.shape,
                                  .elements = ALL,
                                  .nbytes = sizeof values,
                                  .extents = &w.extent,
                                  .extent_count = 1};
    w.leaf = tu_view_leaf(&w.maker, (struct tu_member){&w.model, &w.tensor}, &w.error);
    if (!w.leaf)
        abort();
}

static void end(void)
{
    CHECK_STRING(w.error.code ? w.error.text : "", "");
    tu_source_close(&w.model.source);
    tu_arena_free(&w.arena);
    w.arena = (struct tu_arena){0};
}

static int count(void *context, struct tu_member leaf, struct tu_portion p, struct tu_error *error)
{
    unsigned *told = context;
    (void)error;
    CHECK(leaf.tensor == &w.tensor);
    for (uint64_t i = 0; i < ALL; i++)
        told[i] +=
            p.columns ? i % COLUMNS >= p.first && i % COLUMNS < p.end : i >= p.first && i < p.end;
    return 0;
}

/* Every element comes as often in the portions as in the view. */
static void tells(const struct tu_view *v)
{
    unsigned told[ALL] = {0}, shown[ALL] = {0};
    float values[2 * ALL];
    if (!CHECK(v && v->tensor.elements <= 2 * ALL))
        return;
    CHECK(tu_view_portions(v, count, told, &w.error) == 0);
    CHECK(tu_view_values(v, w.maker.kernels, 0, (size_t)v->tensor.elements, values, &w.error) == 0);
    for (uint64_t i = 0; i < v->tensor.elements; i++)
        shown[(int)values[i]]++;
    for (int i = 0; i < ALL; i++)
        if (!CHECK_UINT(told[i], shown[i]))
            return;
}

TEST(portions_are_what_a_view_reads)
{
    begin();
    const struct tu_view_maker *m = &w.maker;
    struct tu_error *e = &w.error;
    static const uint64_t shares[] = {2, 0, 1}, three[] = {3, 8, COLUMNS}, axes[] = {1, 0, 2};
    const struct tu_view *rows = tu_view_rows(m, w.leaf, 5, 17, e);
    const struct tu_view *rope = tu_view_rope(m, w.leaf, 4, false, e);
    const struct tu_view *turned = tu_view_transpose(m, w.leaf, e);
    const struct tu_view *columns = tu_view_columns(m, w.leaf, 2, 7, e);
    const struct tu_view *stack = tu_view_reshape(m, w.leaf, three, 3, e);
    const struct tu_view *ordered = tu_view_permute(m, stack, axes, 3, false, e);
    tells(w.leaf);
    tells(rows);
    tells(rope);
    tells(turned);
    tells(columns);
    tells(ordered);
    tells(tu_view_item(m, stack, 1, e));
    tells(tu_view_rows(m, rope, 1, 8, e));
    tells(tu_view_rows(m, ordered, 2, 5, e));
    tells(tu_view_rows(m, turned, 3, 6, e));
    tells(tu_view_columns(m, turned, 3, 6, e));
    tells(tu_view_rows(m, columns, 3, 6, e));
    tells(tu_view_columns(m, rope, 3, 6, e));
    tells(tu_view_add(m, tu_view_rows(m, w.leaf, 20, ROWS, e), 0, e));
    tells(tu_view_rows(m, tu_view_order(m, w.leaf, shares, 3, e), 6, 18, e));
    const struct tu_view *parts[] = {rows, tu_view_rows(m, rope, 2, 4, e)};
    tells(tu_view_join(m, parts, 2, false, e));
    tells(tu_view_rows(m, tu_view_join(m, parts, 2, false, e), 10, 14, e));
    end();
}

static bool add(struct tu_coverage *c, uint64_t first, uint64_t last, bool columns)
{
    bool again = true;
    CHECK(tu_coverage_add(c, (struct tu_portion){first, last, columns}, &again, &w.error) == 0);
    return again;
}

TEST(what_was_shown_is_shown_once)
{
    begin();
    struct tu_coverage c = {0};
    char left[200];
    CHECK(!tu_coverage_any(&c) && !tu_coverage_all(&c, &w.tensor));
    CHECK(!add(&c, 50, 100, false));
    CHECK(!add(&c, 0, 20, false));
    CHECK(tu_coverage_any(&c));
    CHECK(add(&c, 99, 101, false) && add(&c, 19, 30, false) && add(&c, 0, 240, false));
    CHECK(add(&c, 60, 70, false) && add(&c, 0, 1, true));
    CHECK_UINT(tu_coverage_left(&c, &w.tensor, left, sizeof left), 170);
    CHECK_STRING(left, "rows 2 to 4 of 24, rows 10 to 23 of 24");
    CHECK(!add(&c, 100, 233, false));
    CHECK_UINT(tu_coverage_left(&c, &w.tensor, left, sizeof left), 37);
    CHECK_STRING(left, "rows 2 to 4 of 24, elements 233 to 239 of 240");
    CHECK(!add(&c, 20, 50, false) && !tu_coverage_all(&c, &w.tensor));
    CHECK(!add(&c, 233, 240, false) && tu_coverage_all(&c, &w.tensor));
    CHECK_UINT(tu_coverage_left(&c, &w.tensor, left, sizeof left), 0);
    tu_coverage_free(&c);
    end();
}

TEST(columns_and_nothing)
{
    begin();
    struct tu_coverage c = {0}, none = {0};
    char left[200];
    CHECK(!add(&c, 0, 4, true) && !add(&c, 6, 10, true) && add(&c, 0, 10, false));
    CHECK_UINT(tu_coverage_left(&c, &w.tensor, left, sizeof left), 48);
    CHECK_STRING(left, "columns 4 to 5 of 10");
    CHECK(!add(&c, 4, 6, true) && tu_coverage_all(&c, &w.tensor));
    struct tu_tensor empty = w.tensor;
    empty.elements = 0;
    CHECK(!tu_coverage_all(&none, &empty));
    CHECK(!add(&none, 0, 0, false) && tu_coverage_all(&none, &empty) && add(&none, 0, 0, false));
    tu_coverage_free(&c);
    tu_coverage_free(&none);
    end();
}
