/* SPDX-License-Identifier: MIT */
/* Maps applied: what a name becomes on the other side, its numbers, its steps in words, or why not.
 */
#include "config.h"

#include "map/apply.h"

#include "tree/json.h"
#include "views.h"

static struct tu_map map;
static struct tu_catalogue all;
static struct tensor_value metadata;
static struct tu_resolver r;
static struct tu_found got;

/* ---- A model and a map ---- */

static void start(void)
{
    begin();
    place.error = (struct tu_error){0};
    metadata = (struct tensor_value){.type = TENSOR_MAP};
}

static void stop(void)
{
    tu_catalogue_free(&all);
    tu_map_free(&map);
    end();
    place.arena = (struct tu_arena){0};
}

/* A tensor of F32 whose numbers count up from the first. */
static void has(const char *name, const uint64_t *shape, uint32_t rank, float first)
{
    struct plain p = plain(shape, rank, sizeof(float));
    for (uint64_t i = 0; i < p.count; i++) {
        float value = first + (float)i;
        memcpy(p.bytes + i * sizeof value, &value, sizeof value);
    }
    const struct tu_view *v =
        leaf_of(p.bytes, p.count * p.size, TENSOR_F32, TENSOR_PACKING_ROWS, shape, rank);
    struct tu_tensor *t = take(sizeof *t);
    *t = *v->leaf.tensor;
    t->name = name;
    t->name_length = strlen(name);
    if (tu_catalogue_add(&all, (struct tu_member){v->leaf.model, t}, &place.error) < 0)
        abort();
}

static void states(const char *json)
{
    if (tu_json_parse(json, strlen(json), TU_DUPLICATES_REFUSED, &place.arena, &metadata,
                      &place.error) < 0)
        abort();
}

static void by(const char *text)
{
    tu_map_free(&map);
    if (tu_map_parse(&map, "test.map", text, strlen(text), &place.error) < 0) {
        tap_fail(__FILE__, __LINE__, "%s", place.error.text);
        abort();
    }
    tu_catalogue_sort(&all);
    r = (struct tu_resolver){.map = &map,
                             .in = &all,
                             .facts = {.metadata = {&metadata, NULL}},
                             .section = TU_ANY_SECTION,
                             .maker = place.maker};
}

/* ---- What it gives ---- */

enum side { LEFT, RIGHT };

static int find(enum side side, const char *name)
{
    place.error = (struct tu_error){0};
    return side == LEFT ? tu_resolve(&r, name, strlen(name), &got, &place.error)
                        : tu_compose(&r, name, strlen(name), &got, &place.error);
}

/* These rows of a matrix of two columns that counts up from 0. */
#define ROWS(...)   (float[]){__VA_ARGS__}, sizeof(float[]){__VA_ARGS__} / sizeof(float)
#define COUNT_OF(x) (sizeof(x) / sizeof *(x))

static bool gives(enum side side, const char *name, const char *steps, const uint64_t *shape,
                  uint32_t rank, const float *values, size_t count)
{
    float is[64];
    if (find(side, name) != 1)
        return tap_fail(__FILE__, __LINE__, "'%s' is not found: %s", name, place.error.text);
    if (!CHECK_STRING(got.steps, steps) || !has_shape(got.view, shape, rank, TENSOR_F32) ||
        !CHECK_UINT(got.view->tensor.elements, count))
        return false;
    if (tu_view_values(got.view, place.maker.kernels, 0, count, is, &place.error) < 0)
        return tap_fail(__FILE__, __LINE__, "'%s' is not read: %s", name, place.error.text);
    for (size_t i = 0; i < count; i++)
        if (is[i] != values[i])
            return tap_fail(__FILE__, __LINE__, "'%s' (%s): number %zu is %g, not %g", name, steps,
                            i, (double)is[i], (double)values[i]);
    return true;
}

static bool fails(enum side side, const char *name, const char *why)
{
    return CHECK_FAILS(find(side, name), place.error, why);
}

/* ---- Steps ---- */

/* One matrix of 6 rows and 2 columns: what each step makes of it, and what undoing it does. */
static const struct {
    const char *step, *there, *back;
    uint64_t shape[2], back_shape[2];
    float made[12], undone[12];
} both_ways[] = {
    {"rope(1)",
     "rope(1)",
     "unrope(1)",
     {6, 2},
     {6, 2},
     {0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11},
     {0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11}},
    {"unrope(1)",
     "unrope(1)",
     "rope(1)",
     {6, 2},
     {6, 2},
     {0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11},
     {0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}},
    {"transpose",
     "transpose",
     "transpose",
     {2, 6},
     {2, 6},
     {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11},
     {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}},
    {"order(2,0,1)",
     "order",
     "order",
     {6, 2},
     {6, 2},
     {8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7},
     {4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3}},
    {"add(1)",
     "add(1)",
     "add(-1)",
     {6, 2},
     {6, 2},
     {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
     {-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
    {"scale(2)",
     "scale(2)",
     "scale(0.5)",
     {6, 2},
     {6, 2},
     {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22},
     {0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5}},
    /* the last step is undone first */
    {"rope(1), add(1)",
     "rope(1), add(1)",
     "add(-1), unrope(1)",
     {6, 2},
     {6, 2},
     {1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12},
     {-1, 0, 3, 4, 7, 8, 1, 2, 5, 6, 9, 10}},
};

TEST(steps_there_and_back)
{
    for (size_t i = 0; i < COUNT_OF(both_ways); i++) {
        char text[80];
        start();
        has("w", SHAPE(6, 2), 0);
        snprintf(text, sizeof text, "w = v : %s\na = w : %s", both_ways[i].step, both_ways[i].step);
        by(text);
        gives(RIGHT, "v", both_ways[i].there, both_ways[i].shape, 2, both_ways[i].made, 12);
        gives(LEFT, "a", both_ways[i].back, both_ways[i].back_shape, 2, both_ways[i].undone, 12);
        stop();
    }
}

TEST(axes_in_another_order)
{
    start();
    has("w", SHAPE(2, 3, 2, 1), 0);
    by("w = v : permute(1,2,0,3)\na = w : permute(1,2,0,3)");
    gives(RIGHT, "v", "permute", SHAPE(3, 2, 2, 1), ROWS(0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11));
    gives(LEFT, "a", "permute", SHAPE(2, 2, 3, 1), ROWS(0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11));
    stop();
}

TEST(steps_that_cannot_be_undone)
{
    static const struct {
        const char *step, *there, *why;
        uint64_t shape[2];
        size_t count;
        float made[12];
    } cases[] = {
        {"rows(1:3)", "rows(1:3)", "what was cut off cannot be put back", {2, 2}, 4, {2, 3, 4, 5}},
        {"columns(1:2)",
         "columns(1:2)",
         "what was cut off cannot be put back",
         {6, 1},
         6,
         {1, 3, 5, 7, 9, 11}},
        {"reshape(3,*)",
         "reshape",
         "the shape before is not known",
         {3, 4},
         12,
         {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
        {"type(F32)",
         "type(F32)",
         "the type that the bytes had before is not known",
         {6, 2},
         12,
         {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[80];
        start();
        has("w", SHAPE(6, 2), 0);
        snprintf(text, sizeof text, "# a line\nw = v : %s\na = w : %s", cases[i].step,
                 cases[i].step);
        by(text);
        gives(RIGHT, "v", cases[i].there, cases[i].shape, 2, cases[i].made, cases[i].count);
        fails(LEFT, "a", cases[i].why);
        fails(LEFT, "a", "map test, line 3: tensor 'a': ");
        stop();
    }
}

TEST(what_is_looked_for_decides_how_steps_are_undone)
{
    start();
    has("w", SHAPE(6, 2), 0);
    by("a = w : reshape(6,2)\nb = w : add(1), add(2)");
    const struct tu_tensor like = {.rank = 2, .shape = (uint64_t[]){4, 3}, .elements = 12};
    r.like = &like;
    gives(LEFT, "a", "reshape", SHAPE(4, 3), ROWS(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    CHECK(got.addend == 0);
    /* what would have to be taken away is left to be added to the other */
    gives(LEFT, "b", "add(2), add(1)", SHAPE(6, 2), ROWS(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    CHECK_REAL((double)got.addend, 3);
    stop();
}

TEST(steps_that_undo_one_another_are_not_told)
{
    static const struct {
        const char *steps, *told;
    } cases[] = {{"rope(1), unrope(1)", ""},
                 {"unrope(1), rope(1)", ""},
                 {"rope(1), rope(1)", "rope(1), rope(1)"},
                 {"unrope(1), unrope(1)", "unrope(1), unrope(1)"},
                 {"rope(3), unrope(1)", "rope(3), unrope(1)"},
                 {"transpose, transpose", ""},
                 {"byteswap, byteswap", ""},
                 {"add(1), rope(1), unrope(1)", "add(1)"},
                 {"add(1), rope(1), unrope(1), add(1)", "add(1), add(1)"},
                 {"rope(1), add(1), unrope(1)", "rope(1), add(1), unrope(1)"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[80];
        start();
        has("w", SHAPE(6, 2), 0);
        snprintf(text, sizeof text, "w = v : %s", cases[i].steps);
        by(text);
        CHECK(find(RIGHT, "v") == 1);
        CHECK_STRING(got.steps, cases[i].told);
        CHECK(got.roped == (strstr(cases[i].steps, "rope") != NULL));
        stop();
    }
}

TEST(vectors_have_no_transpose_and_rows_can_be_left_as_they_are)
{
    start();
    has("w", SHAPE(4), 0);
    has("m", SHAPE(4, 1), 0);
    by("w = v : transpose\nm = n : rope(1)");
    gives(RIGHT, "v", "", SHAPE(4), ROWS(0, 1, 2, 3));
    CHECK(!got.roped);
    r.without_rope = true;
    gives(RIGHT, "n", "", SHAPE(4, 1), ROWS(0, 1, 2, 3));
    CHECK(got.roped && got.view->kind == TU_VIEW_LEAF);
    stop();
}

/* ---- Counts ---- */

TEST(counts_come_from_the_metadata)
{
    static const char text[] =
        "count heads = a n_head\ncount kv = n_kv (heads)\n"
        "q.{layer} = x.{layer} : rope(heads)\nk.{layer} = y.{layer} : rope(kv)";
    start();
    has("q.1", SHAPE(8), 0);
    has("k.1", SHAPE(8), 0);
    by(text);
    fails(RIGHT, "x.1",
          "map test, line 3: tensor 'x.1': the metadata does not say how many heads "
          "there are (no 'a')");
    states("{\"n_head\":2}");
    gives(RIGHT, "x.1", "rope(2)", SHAPE(8), ROWS(0, 2, 1, 3, 4, 6, 5, 7));
    gives(RIGHT, "y.1", "rope(2)", SHAPE(8), ROWS(0, 2, 1, 3, 4, 6, 5, 7));
    states("{\"n_head\":2,\"n_kv\":1}");
    gives(RIGHT, "y.1", "rope(1)", SHAPE(8), ROWS(0, 4, 1, 5, 2, 6, 3, 7));
    /* a number for each layer */
    states("{\"n_head\":[4,2]}");
    gives(RIGHT, "x.1", "rope(2)", SHAPE(8), ROWS(0, 2, 1, 3, 4, 6, 5, 7));
    states("{\"n_head\":[2]}");
    fails(RIGHT, "x.1", "how many heads");
    /* and for each item of a stack of layers */
    states("{\"n_head\":[1,2]}");
    has("q.0", SHAPE(8), 0);
    by("count heads = n_head\nq.{layer} = all : rope(heads)");
    gives(RIGHT, "all", "rope(1), stack(2)", SHAPE(2, 8),
          ROWS(0, 4, 1, 5, 2, 6, 3, 7, 0, 2, 1, 3, 4, 6, 5, 7));
    stop();
}

/* ---- Several and one ---- */

TEST(shares_of_one)
{
    static const char text[] = "count heads = n_head\ncount kv = n_kv\n"
                               "q[heads] + k[kv] + v[kv] = qkv\na + b = c : add(1)";
    start();
    states("{\"n_head\":2,\"n_kv\":1}");
    has("qkv", SHAPE(8), 0);
    has("c", SHAPE(4), 1);
    by(text);
    gives(LEFT, "q", "rows(0:4)", SHAPE(4), ROWS(0, 1, 2, 3));
    gives(LEFT, "k", "rows(4:6)", SHAPE(2), ROWS(4, 5));
    gives(LEFT, "v", "rows(6:8)", SHAPE(2), ROWS(6, 7));
    gives(LEFT, "b", "add(-1), rows(2:4)", SHAPE(2), ROWS(2, 3));
    states("{\"n_head\":2,\"n_kv\":3}");
    gives(LEFT, "k", "rows(2:5)", SHAPE(3), ROWS(2, 3, 4));
    states("{\"n_head\":1,\"n_kv\":1}");
    fails(LEFT, "k", "map test, line 3: tensor 'k': 8 rows cannot be split into 3 shares");
    states("{}");
    fails(LEFT, "q", "how many heads");
    has("scalar", NULL, 0, 0);
    by("a + b = scalar");
    fails(LEFT, "a", "1 rows cannot be split into 2 shares");
    stop();
}

TEST(one_of_several)
{
    start();
    has("q", SHAPE(2), 0);
    has("k", SHAPE(1), 5);
    has("x", SHAPE(1), 7);
    has("y", SHAPE(2), 8);
    by("q + k = qk : scale(2)\nlone + q = missing\nz = x + y : add(1)");
    gives(RIGHT, "qk", "join(2), scale(2)", SHAPE(3), ROWS(0, 2, 10));
    CHECK(find(RIGHT, "missing") == 0 && find(RIGHT, "nothing") == 0);
    gives(LEFT, "z", "join(2), add(-1)", SHAPE(3), ROWS(6, 7, 8));
    CHECK(find(LEFT, "lone") == 0);
    /* the right names share what the left one has */
    by("q = r + s : add(1)");
    gives(RIGHT, "s", "add(1), rows(1:2)", SHAPE(1), ROWS(2));
    stop();
}

TEST(taken_apart_and_put_together_again)
{
    start();
    has("ab", SHAPE(4), 0);
    by("[one]\na + b = ab\n[two]\na + b = ba : add(1)\nb + a = turned");
    gives(RIGHT, "ba", "add(1)", SHAPE(4), ROWS(1, 2, 3, 4));
    gives(RIGHT, "turned", "rows(2:4), join(2)", SHAPE(4), ROWS(2, 3, 0, 1));
    stop();
}

TEST(stacks_and_their_items)
{
    start();
    has("s", SHAPE(2, 3), 0);
    has("e.0", SHAPE(2), 10);
    has("e.1", SHAPE(2), 20);
    has("e.3", SHAPE(2), 40);
    has("scalar", NULL, 0, 0);
    by("f.{n} = s\ne.{n} = t : scale(2)\ng.{n} = scalar\nlone.{n} = u");
    gives(LEFT, "f.0", "item(0)", SHAPE(3), ROWS(0, 1, 2));
    gives(LEFT, "f.1", "item(1)", SHAPE(3), ROWS(3, 4, 5));
    CHECK(find(LEFT, "f.2") == 0 && find(LEFT, "g.0") == 0);
    /* up to the first that is missing */
    gives(RIGHT, "t", "scale(2), stack(2)", SHAPE(2, 2), ROWS(20, 22, 40, 42));
    CHECK(find(RIGHT, "u") == 0);
    stop();
}

/* ---- Which rule ---- */

TEST(the_first_rule_that_fits_what_is_looked_for)
{
    start();
    has("small", SHAPE(2), 0);
    has("large", SHAPE(4), 10);
    by("w = absent\nw = small\nw = large\nw = large : rows(0:1)");
    gives(LEFT, "w", "", SHAPE(2), ROWS(0, 1));
    struct tu_tensor like = {.rank = 1, .shape = (uint64_t[]){4}, .elements = 4};
    r.like = &like;
    gives(LEFT, "w", "", SHAPE(4), ROWS(10, 11, 12, 13));
    like.elements = 2;
    gives(LEFT, "w", "", SHAPE(2), ROWS(0, 1));
    by("w = small : padded\nw = large");
    r.like = &like;
    like.elements = 4;
    gives(LEFT, "w", "", SHAPE(2), ROWS(0, 1));
    CHECK(got.padded && !got.tied);
    /* an error of one keeps the others from being tried */
    by("w = small : rows(0:1)\nw = large");
    r.like = &like;
    fails(LEFT, "w", "line 1");
    stop();
}

TEST(sections_and_names_as_they_stand)
{
    start();
    has("model.w", SHAPE(2), 0);
    by("[one]\nw = x : add(1)\n[two]\nw = x : add(2)\nv = model.w : add(4)\nw = model.w : add(8)");
    r.section = map.rules[0].section;
    gives(RIGHT, "x", "add(1)", SHAPE(2), ROWS(1, 2));
    r.section = map.rules[1].section;
    gives(RIGHT, "x", "add(2)", SHAPE(2), ROWS(2, 3));
    r.section = TU_ANY_SECTION;
    gives(RIGHT, "x", "add(1)", SHAPE(2), ROWS(1, 2));
    /* from the left all sections count, but a tensor of the name comes first */
    gives(LEFT, "v", "add(-4)", SHAPE(2), ROWS(-4, -3));
    gives(LEFT, "w", "", SHAPE(2), ROWS(0, 1));
    r.by_rules = true;
    gives(LEFT, "w", "add(-8)", SHAPE(2), ROWS(-8, -7));
    r.map = NULL;
    r.by_rules = false;
    gives(LEFT, "w", "", SHAPE(2), ROWS(0, 1));
    CHECK(find(LEFT, "v") == 0 && find(RIGHT, "x") == 0);
    stop();
}

TEST(tied_tensors_stand_for_others_only)
{
    start();
    has("x", SHAPE(2), 0);
    has("t", SHAPE(2), 5);
    by("out = x : tied\nt = y : tied\nt = z : padded");
    gives(LEFT, "out", "tied", SHAPE(2), ROWS(0, 1));
    CHECK(got.tied && !got.padded);
    CHECK(find(RIGHT, "y") == 0);
    gives(RIGHT, "z", "", SHAPE(2), ROWS(5, 6));
    CHECK(got.padded && !got.tied);
    stop();
}

/* Steps that change nothing are told all the same, where nothing was taken apart. */
TEST(steps_of_one_part)
{
    start();
    has("x", SHAPE(4), 0);
    by("[one]\nw = x : order(0,1)\n[two]\nw = y");
    gives(RIGHT, "y", "order", SHAPE(4), ROWS(0, 1, 2, 3));
    stop();
}

/* ---- Whether all is there, and what it is made of ---- */

static int complete(bool left, const char *name)
{
    struct tu_place found;
    place.error = (struct tu_error){0};
    int result = tu_find_complete(&r, left, name, strlen(name), &found, &place.error);
    return result > 0 ? (int)found.rule->line : result;
}

TEST(places_whose_parts_are_all_there)
{
    start();
    has("a", SHAPE(2), 0);
    has("b", SHAPE(2), 0);
    has("x", SHAPE(2), 0);
    has("y", SHAPE(2), 0);
    by("lone + a = p\na + b = q\nc = gone + x\nd = x + y\ne = only\nf = x + gone\nb + lone = s");
    CHECK(complete(true, "a") == 2 && complete(true, "b") == 2);
    CHECK(complete(true, "lone") == 0 && complete(true, "f") == 6);
    CHECK(complete(false, "x") == 4 && complete(false, "y") == 4);
    CHECK(complete(false, "gone") == 0 && complete(false, "z") == 0);
    /* one name alone is there, as far as a rule goes */
    CHECK(complete(true, "e") == 5 && complete(false, "only") == 5);
    by("[one]\na = p\n[two]\na + b = q");
    r.section = map.rules[1].section;
    CHECK(complete(true, "a") == 4);
    CHECK(complete(false, "p") == 2);
    stop();
}

static void count_leaf(void *context, struct tu_member leaf)
{
    char *names = context;
    strcat(names, leaf.tensor->name);
}

TEST(leaves)
{
    char names[16] = "";
    start();
    has("a", SHAPE(2), 0);
    has("b", SHAPE(2), 0);
    by("b + a + b = q : add(1)");
    CHECK(find(RIGHT, "q") == 1);
    CHECK_STRING(tu_view_first_leaf(got.view).tensor->name, "b");
    tu_view_leaves(got.view, count_leaf, names);
    CHECK_STRING(names, "bab");
    stop();
}

TEST(steps_in_words_are_cut)
{
    char steps[16] = "";
    tu_say_step(steps, sizeof steps, "rows(%d:%d)", 1, 2);
    tu_say_step(steps, sizeof steps, "transpose");
    CHECK_STRING(steps, "rows(1:2), tran");
    tu_say_step(steps, sizeof steps, "more");
    CHECK_STRING(steps, "rows(1:2), tran");
}
