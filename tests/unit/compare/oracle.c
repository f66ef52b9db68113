/* SPDX-License-Identifier: MIT */
/* The layout oracle: what was done to a tensor on purpose is found out, and nothing else is. */
#include "config.h"

#include "oracles.h"

enum { R = 64, C = 48, N = R * C };
static const uint64_t shape[] = {R, C};
static float va[N], vb[N];

/* What is said of va, as F32, and vb. */
static void says(const char *text, const char *remedy, uint64_t queries, uint64_t keys)
{
    begin();
    CHECK_STRING(ask(add("w", TENSOR_F32, shape, 2, va), add("w", TENSOR_F32, shape, 2, vb), queries,
                     keys, NULL, 0),
                 text);
    if (remedy)
        CHECK_STRING(w.found.remedy, remedy);
    else
        CHECK(!w.found.remedy);
    end();
}

TEST(other_numbers_have_no_explanation)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        fill(va, N, seed);
        fill(vb, N, seed + 100);
        says("nothing", NULL, 4, 2);
    }
}

TEST(numbers_that_were_changed)
{
    fill(va, N, 1);
    for (size_t i = 0; i < N; i++)
        vb[i] = -va[i];
    says("sign", "w = w : scale(-1)", 0, 0);
    CHECK_REAL(w.found.cosine, 1);
    for (size_t i = 0; i < N; i++)
        vb[i] = va[i] * 4;
    says("scale(0.25)", "w = w : scale(0.25)", 0, 0);
    for (size_t i = 0; i < N; i++)
        vb[i] = va[i] * -0.5F;
    says("scale(-2)", "w = w : scale(-2)", 0, 0);
    for (size_t i = 0; i < N; i++)
        vb[i] = va[i] + 1;
    says("add(-1)", "w = w : add(-1)", 0, 0);
    for (size_t i = 0; i < N; i++)
        vb[i] = va[i] - 1;
    says("add(1)", "w = w : add(1)", 0, 0);
}

TEST(a_matrix_the_other_way_round)
{
    static const uint64_t turned[] = {C, R};
    fill(va, N, 1);
    for (size_t r = 0; r < R; r++)
        for (size_t c = 0; c < C; c++)
            vb[c * R + r] = va[r * C + c];
    says("transpose", "w = w : reshape(48,64), transpose", 0, 0);
    begin();
    CHECK_STRING(ask(add("w", TENSOR_F32, shape, 2, va), add("w", TENSOR_F32, turned, 2, vb), 0, 0,
                     NULL, 0),
                 "transpose");
    CHECK_STRING(w.found.remedy, "w = w : transpose");
    CHECK_STRING(ask(add("w", TENSOR_F32, shape, 2, va), add("w", TENSOR_F32, turned, 2, va), 0, 0,
                     NULL, 0),
                 "label");
    CHECK_STRING(w.found.remedy, "w = w : reshape(64,48)");
    end();
}

/* Axes that moved, in each way that convolutions have them; b is told by the axes of a that are its own, in order. */
TEST(convolutions_of_other_frameworks)
{
    static const struct {
        uint32_t rank;
        uint64_t shape[4], axes[4]; /* of a; which of them the axes of b are */
        const char *text, *remedy;
    } cases[] = {
        {4, {8, 16, 3, 5}, {0, 2, 3, 1}, "permute(0,3,1,2)", "w = w : reshape(8,15,16), transpose, reshape(8,16,3,5)"},
        {4, {8, 3, 5, 16}, {0, 3, 1, 2}, "permute(0,2,3,1)", "w = w : reshape(8,16,15), transpose, reshape(8,3,5,16)"},
        {4, {8, 16, 3, 5}, {2, 3, 1, 0}, "permute(3,2,0,1)",
         "w = w : reshape(15,128), transpose, reshape(16,8,15), permute(1,0,2), reshape(8,16,3,5)"},
        {4, {3, 5, 16, 8}, {3, 2, 0, 1}, "permute(2,3,1,0)",
         "w = w : reshape(8,16,15), permute(1,0,2), reshape(128,15), transpose, reshape(3,5,16,8)"},
        {3, {8, 16, 7}, {2, 1, 0}, "permute(2,1,0)",
         "w = w : reshape(7,128), transpose, reshape(16,8,7), permute(1,0,2), reshape(8,16,7)"},
        {3, {8, 16, 7}, {1, 2, 0}, "permute(2,0,1)", "w = w : reshape(1,112,8), transpose, reshape(8,16,7)"},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        const uint64_t *own = cases[n].shape, *axes = cases[n].axes;
        uint32_t rank = cases[n].rank;
        uint64_t turned[4], all = 1;
        for (uint32_t i = 0; i < rank; i++) {
            turned[i] = own[axes[i]];
            all *= own[i];
        }
        fill(va, all, n + 1);
        for (uint64_t i = 0; i < all; i++) {
            uint64_t place[4], rest = i, at = 0;
            for (uint32_t k = rank; k--; rest /= turned[k])
                place[axes[k]] = rest % turned[k];
            for (uint32_t k = 0; k < rank; k++)
                at = at * own[k] + place[k];
            vb[i] = va[at];
        }
        begin();
        CHECK_STRING(ask(add("w", TENSOR_F32, own, rank, va), add("w", TENSOR_F32, turned, rank, vb), 0, 0, NULL, 0),
                     cases[n].text);
        CHECK_STRING(w.found.remedy, cases[n].remedy);
        CHECK(w.found.layout && w.found.sums.max_diff == 0 && w.found.sums.elements == all);
        end();
    }
}

static size_t pairs_of_4(size_t i)
{
    size_t size = R / 4, head = i / size, at = i % size;
    return head * size + at % 2 * (size / 2) + at / 2;
}
static size_t halves_of_4(size_t i)
{
    size_t size = R / 4, head = i / size, at = i % size;
    return head * size + at % (size / 2) * 2 + at / (size / 2);
}
static size_t alternating(size_t i)
{
    return i % 2 * (R / 2) + i / 2;
}
static size_t other_half(size_t i)
{
    return (i + R / 2) % R;
}
/* Queries of 4 heads, keys and values of 2, each of 8 rows: q0 q1 q2 q3 k0 k1 v0 v1 become
 * q0 q1 k0 v0 q2 q3 k1 v1. */
static size_t by_group(size_t i)
{
    static const size_t from[] = {0, 1, 4, 6, 2, 3, 5, 7};
    return from[i / 8] * 8 + i % 8;
}

static size_t heads_backwards(size_t i)
{
    return (3 - i / 16) * 16 + i % 16;
}

TEST(rows_in_another_order)
{
    fill(va, N, 1);
    move_rows(va, vb, R, C, pairs_of_4);
    says("unrope(4)", "w = w : unrope(4)", 4, 2);
    says("unrope(4)", "w = w : unrope(4)", 8, 4);
    move_rows(va, vb, R, C, halves_of_4);
    says("rope(4)", "w = w : rope(4)", 4, 2);
    move_rows(va, vb, R, C, alternating);
    says("deinterleave", "w = w : unrope(1)", 4, 2);
    move_rows(va, vb, R, C, other_half);
    says("halves(1,0)", "w = w : order(1,0)", 0, 0);
    move_rows(va, vb, R, C, heads_backwards);
    says("heads(3,2,1,0)", "w = w : order(3,2,1,0)", 4, 2);
    move_rows(va, vb, R, C, by_group);
    says("qkv(0,1,4,5,2,6,3,7)", "w = w : order(0,1,4,5,2,6,3,7)", 4, 2);
}

TEST(a_head_size_that_is_common_needs_no_metadata)
{
    enum { ROWS = 128, COLUMNS = 32 };
    static const uint64_t two_heads[] = {ROWS, COLUMNS};
    static float a[ROWS * COLUMNS], b[ROWS * COLUMNS];
    fill(a, ROWS * COLUMNS, 3);
    for (size_t i = 0; i < ROWS; i++)
        memcpy(b + i * COLUMNS, a + (i / 64 * 64 + i % 2 * 32 + i % 64 / 2) * COLUMNS,
               COLUMNS * sizeof *b);
    begin();
    CHECK_STRING(ask(add("q", TENSOR_F32, two_heads, 2, a), add("q", TENSOR_F32, two_heads, 2, b), 0,
                     0, NULL, 0),
                 "unrope(2)");
    end();
}

TEST(stacks)
{
    enum { E = 3, F = 16, K = 64 };
    static const uint64_t stack[] = {E, F, K}, order[] = {2, 0, 1};
    fill(va, N, 5);
    for (size_t e = 0; e < E; e++)
        memcpy(vb + e * F * K, va + order[e] * F * K, sizeof(float[F * K]));
    begin();
    struct tu_member a = add("x", TENSOR_F32, stack, 3, va);
    CHECK_STRING(ask(a, add("x", TENSOR_F32, stack, 3, vb), 0, 0, NULL, 0), "experts(1,2,0)");
    CHECK_STRING(w.found.remedy, "x = x : reshape(48,64), order(1,2,0), reshape(3,16,64)");
    for (size_t e = 0; e < E; e++)
        for (size_t f = 0; f < F; f++)
            memcpy(vb + (e * F + f) * K, va + (e * F + (f + F / 2) % F) * K, sizeof(float[K]));
    CHECK_STRING(ask(a, add("x", TENSOR_F32, stack, 3, vb), 0, 0, NULL, 0), "halves(1,0,3,2,5,4)");
    for (size_t e = 0; e < E; e++)
        for (size_t f = 0; f < F; f++)
            memcpy(vb + (e * F + f) * K, va + (e * F + f % 2 * F / 2 + f / 2) * K,
                   sizeof(float[K]));
    CHECK_STRING(ask(a, add("x", TENSOR_F32, stack, 3, vb), 0, 0, NULL, 0), "deinterleave");
    CHECK_STRING(w.found.remedy, "x = x : reshape(48,64), unrope(3), reshape(3,16,64)");
    end();
}

TEST(types_and_bytes)
{
    static uint16_t half[N];
    fill(va, N, 1);
    begin();
    struct tu_member a = add("w", TENSOR_F32, shape, 2, va);
    w.maker.kernels->encode[TENSOR_F16](va, N, (void *)half);
    CHECK_STRING(ask(a, add_bytes("w", TENSOR_BF16, shape, 2, half), 0, 0, NULL, 0), "type(F16)");
    CHECK_STRING(w.found.remedy, "w = w : type(F16)");
    CHECK_REAL(w.found.cosine, 1);
    CHECK_STRING(ask(add_bytes("w", TENSOR_BF16, shape, 2, half), a, 0, 0, NULL, 0), "a:type(F16)");
    CHECK(!w.found.remedy);
    for (size_t i = 0; i < N; i++)
        half[i] = __builtin_bswap16(half[i]);
    CHECK_STRING(ask(a, add_bytes("w", TENSOR_F16, shape, 2, half), 0, 0, NULL, 0), "byteswap");
    CHECK_STRING(w.found.remedy, "w = w : byteswap");
    CHECK_STRING(ask(add_bytes("w", TENSOR_F16, shape, 2, half), a, 0, 0, NULL, 0), "a:byteswap");
    end();
}

TEST(shifts)
{
    fill(va, N, 1);
    fill(vb, N, 2);
    memcpy(vb + C, va, (N - C) * sizeof *vb);
    says("shift(1 row)", NULL, 0, 0);
    memcpy(vb, va + C, (N - C) * sizeof *vb);
    says("shift(-1 row)", NULL, 0, 0);
    memcpy(vb + 1, va, (N - 1) * sizeof *vb);
    says("shift(1 element)", NULL, 0, 0);
    static const uint64_t blocks[] = {N / 96, 96};
    static uint8_t q[N / 32 * 34];
    begin();
    w.maker.kernels->encode[TENSOR_Q8_0](va, N / 32, q);
    memmove(q + 34, q, sizeof q - 34);
    CHECK_STRING(ask(add("w", TENSOR_F32, blocks, 2, va), add_bytes("w", TENSOR_Q8_0, blocks, 2, q), 0,
                     0, NULL, 0),
                 "shift(1 block)");
    end();
}

TEST(exchanged_tensors)
{
    static float other[N];
    fill(va, N, 1);
    fill(vb, N, 2);
    fill(other, N, 3);
    begin();
    struct tu_member a = add("x", TENSOR_F32, shape, 2, va), b = add("x", TENSOR_F32, shape, 2, vb);
    struct tu_member ay = add("y", TENSOR_F32, shape, 2, vb), by = add("y", TENSOR_F32, shape, 2, va);
    struct tu_member z = add("z", TENSOR_F32, shape, 2, other);
    const struct tu_other mutual[] = {{1, z, {0}}, {1, by, ay}}, one_way = {1, by, z},
                          of_a = {0, ay, {0}};
    CHECK_STRING(ask(a, b, 0, 0, mutual, 2), "exchange(y)");
    CHECK_STRING(w.found.remedy, "y = x");
    CHECK_STRING(ask(a, b, 0, 0, &one_way, 1), "copy(y)");
    CHECK_STRING(ask(a, b, 0, 0, &of_a, 1), "exchange(y)");
    CHECK_STRING(w.found.remedy, "x = y");
    CHECK_STRING(ask(a, b, 0, 0, mutual, 1), "nothing");
    end();
}

TEST(what_says_nothing)
{
    static const uint64_t few[] = {3, 5}, none[] = {0, 5};
    for (size_t i = 0; i < N; i++)
        va[i] = 3, vb[i] = 2;
    says("nothing", NULL, 4, 2);
    for (size_t i = 0; i < N; i++)
        vb[i] = 0;
    says("nothing", NULL, 4, 2);
    fill(va, N, 1);
    says("nothing", NULL, 4, 2);
    for (size_t i = 0; i < N; i++)
        va[i] = 0, vb[i] = (float)i;
    says("nothing", NULL, 4, 2);
    for (size_t i = 0; i < N; i++)
        va[i] = vb[i] = NAN;
    says("nothing", NULL, 4, 2);
    fill(va, N, 1);
    says("nothing", NULL, 4, 2);
    begin();
    fill(va, N, 1);
    for (size_t i = 0; i < 15; i++)
        vb[i] = -va[i];
    CHECK_STRING(ask(add("w", TENSOR_F32, few, 2, va), add("w", TENSOR_F32, few, 2, vb), 1, 1, NULL,
                     0),
                 "nothing");
    CHECK_STRING(ask(add("w", TENSOR_F32, none, 2, va), add("w", TENSOR_F32, none, 2, vb), 1, 1, NULL,
                     0),
                 "nothing");
    CHECK_STRING(ask(add("w", TENSOR_F32, few, 0, va), add("w", TENSOR_F32, few, 0, vb), 1, 1, NULL,
                     0),
                 "nothing");
    end();
}

TEST(names_that_a_map_cannot_hold_have_no_remedy)
{
    static const char *const names[] = {"w {x}", "w x", "w*", "count", "a#b = c", "w #", "", "w\nx",
                                        "\"w\"", "=", "w[2]"};
    fill(va, N, 1);
    for (size_t i = 0; i < N; i++)
        vb[i] = -va[i];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        begin();
        const struct tu_view *a =
            tu_view_leaf(&w.maker, add("w", TENSOR_F32, shape, 2, va), &w.error);
        const struct tu_view *b =
            tu_view_leaf(&w.maker, add("w", TENSOR_F32, shape, 2, vb), &w.error);
        const struct tu_partial sums = {.elements = N, .finite = N, .dot = {-1, 0}, .aa = {1, 0},
                                        .bb = {1, 0}, .dd = {4, 0}};
        const struct tu_oracle_case c = {
            .kernels = w.maker.kernels, .sides = {a, b}, .sums = &sums, .name = names[i]};
        CHECK(tu_oracle_ask(&c, &w.arena, &w.found, &w.error) == 0);
        CHECK_STRING(w.found.text, "sign");
        if (!CHECK(!w.found.remedy))
            printf("# '%s'\n", w.found.remedy);
        end();
    }
}

/* Of all elements, whichever blocks and pieces they are read in: those that differ stand in the
 * first and the last of each. */
TEST(the_cosine_of_an_explanation_is_that_of_all_elements)
{
    enum { ROWS = 1100, COLUMNS = 48, ALL = ROWS * COLUMNS };
    static float a[ALL], b[ALL], turned[ALL];
    static const uint64_t upright[] = {ROWS, COLUMNS}, lying[] = {COLUMNS, ROWS};
    static const size_t rows[] = {0, 1, 1022, 1023, 1024, 1025, ROWS - 1},
                        columns[] = {0, 1, COLUMNS - 1};
    double dot = 0, aa = 0, bb = 0;
    fill(a, ALL, 11);
    memcpy(b, a, sizeof b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < sizeof columns / sizeof *columns; k++)
            b[rows[i] * COLUMNS + columns[k]] += (float)(i + 1) / 8 + (float)k / 4;
    for (size_t i = 0; i < ALL; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
        turned[i % COLUMNS * ROWS + i / COLUMNS] = b[i];
    }
    double cosine = dot / sqrt(aa * bb);
    begin();
    struct tu_member first = add("w", TENSOR_F32, upright, 2, a);
    CHECK_STRING(ask(first, add("w", TENSOR_F32, lying, 2, turned), 0, 0, NULL, 0), "transpose");
    CHECK(fabs(w.found.cosine - cosine) < 1e-13 && cosine < 1 - 1e-4);
    CHECK_STRING(ask(add("w", TENSOR_F32, lying, 2, turned), first, 0, 0, NULL, 0), "transpose");
    CHECK(fabs(w.found.cosine - cosine) < 1e-13);
    /* and of rows in another order, halves exchanged */
    memcpy(turned, b + ALL / 2, sizeof b / 2);
    memcpy(turned + ALL / 2, b, sizeof b / 2);
    CHECK_STRING(ask(first, add("w", TENSOR_F32, upright, 2, turned), 0, 0, NULL, 0),
                 "halves(1,0)");
    CHECK(fabs(w.found.cosine - cosine) < 1e-13);
    end();
}

TEST(when_the_oracle_is_wanted)
{
    struct tu_partial s = {.elements = 4, .finite = 4, .dot = {1, 0}, .aa = {1, 0}, .bb = {1, 0}};
    CHECK(!tu_oracle_wanted(&s, TENSOR_F32, TENSOR_F32)); /* dd is 0: equal */
    s.dd.value = 0.1;
    CHECK(!tu_oracle_wanted(&s, TENSOR_F32, TENSOR_F32));
    s.dot.value = 0.89;
    CHECK(tu_oracle_wanted(&s, TENSOR_F32, TENSOR_F32));
    CHECK(!tu_oracle_wanted(&s, TENSOR_F32, TENSOR_IQ1_S));
    s.dot.value = 1;
    s.bb.value = 4; /* norms 1 and 2 */
    CHECK(tu_oracle_wanted(&s, TENSOR_F32, TENSOR_F32));
    /* what counts is the ratio of both norms, either way round */
    static const struct {
        double a, b;
        bool wanted;
    } norms[] = {{10, 10, false}, {0.1, 0.1, false}, {9.1, 10, false}, {10, 9.1, false},
                 {8.9, 10, true}, {10, 8.9, true},   {0.1, 10, true},  {10, 0.1, true}};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        s.aa.value = norms[i].a * norms[i].a;
        s.bb.value = norms[i].b * norms[i].b;
        s.dot.value = norms[i].a * norms[i].b;
        CHECK(tu_oracle_wanted(&s, TENSOR_F32, TENSOR_F32) == norms[i].wanted);
    }
    s.aa.value = 0;
    CHECK(tu_oracle_wanted(&s, TENSOR_F32, TENSOR_F32));
    s = (struct tu_partial){.elements = 4};
    CHECK(tu_oracle_wanted(&s, TENSOR_F32, TENSOR_F32));
    s.elements = 0;
    CHECK(!tu_oracle_wanted(&s, TENSOR_F32, TENSOR_F32));
}
