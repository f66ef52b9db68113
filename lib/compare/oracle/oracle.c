/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "compare/oracle/oracle.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "map/language.h"
#include "compare/oracle/sample.h"
#include "base/text.h"

enum {
    FEWEST = 16,       /* elements from which anything can be concluded */
    SHARES_MAX = 256,  /* whose order is looked for */
    SHARE_SAMPLE = 64, /* elements of each */
    SHARES_SHOWN = 16, /* in a text for people */
    MIDDLE = 128,      /* elements of another tensor that decide whether it is sampled */
    STEPS_SIZE = 4096,
    NAME_MAX_BYTES = 1000, /* of one that is told */
};

_Static_assert(SHARES_MAX <= TU_MAP_ORDER_MAX, "an order that no rule could say");

/* Of two explanations the later one, which is less likely, has to leave so much less. */
#define BETTER 1.5
/* What is left of the variance where rounding alone leaves it. */
#define NOTHING 1e-9
/* What a glance may leave of the variance. */
#define HOPELESS 0.6

struct candidate {
    const struct tu_view *sides[2];
    double unexplained;
    double cosine; /* of all elements; NAN: not known yet */
    const char *text;
    const char *from, *to, *steps; /* the sides of the rule that undoes it; NULL: there is none */
};

struct oracle {
    const struct tu_oracle_case *c;
    struct tu_arena *texts;
    struct tu_view_maker maker;
    struct tu_sample a;         /* of side a */
    struct tu_sample other, b;  /* of the candidate that is looked at */
    float middle[2][MIDDLE];    /* of a and base */
    const struct tu_view *base; /* b in the shape of a */
    double level;               /* a cosine that types like these reach */
    double now;                 /* what b as it is leaves unexplained */
    struct candidate best;
    struct tu_error reason; /* why a view cannot be made */
    struct tu_error *error;
};

/* ---- What is good enough ---- */

/* A cosine that quantization alone does not go below. */
static double level_of(enum tensor_dtype code)
{
    const struct tu_dtype *type = tu_dtype(code);
    double bits = 8.0 * type->bytes / type->elements;
    return bits < 2 ? 0.7 : bits < 2.7 ? 0.8 : 0.9;
}

static enum tensor_dtype stored_type(const struct tu_view *v)
{
    while (v->kind != TU_VIEW_LEAF)
        v = v->of[0];
    return v->tensor.dtype;
}

static double level_of_both(enum tensor_dtype a, enum tensor_dtype b)
{
    return fmin(level_of(a), level_of(b));
}

bool tu_oracle_wanted(const struct tu_partial *s, enum tensor_dtype a, enum tensor_dtype b)
{
    double level = level_of_both(a, b);
    struct tu_metrics m = tu_partial_metrics(s);
    if (s->elements == 0 || (s->finite == s->elements && s->dd.value == 0))
        return false;
    double ratio = m.norm_a / m.norm_b;
    return !(m.cosine_similarity >= level && ratio >= level && ratio <= 1 / level);
}

/* ---- Texts ---- */

static const char *say(struct oracle *o, const char *format, ...) TU_PRINTF(2, 3);
static const char *say(struct oracle *o, const char *format, ...)
{
    char text[STEPS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *copy = tu_arena_copy(o->texts, text, strlen(text));
    if (!copy)
        tu_fail_memory(&o->reason);
    return copy;
}

/* "3,4,5" */
static void list_numbers(const uint64_t *numbers, size_t count, char out[static STEPS_SIZE])
{
    size_t used = 0;
    *out = '\0';
    for (size_t i = 0; i < count; i++)
        used +=
            (size_t)snprintf(out + used, STEPS_SIZE - used, "%s%" PRIu64, i ? "," : "", numbers[i]);
}

static const char *say_reshape(struct oracle *o, const uint64_t *shape, uint32_t rank)
{
    char list[STEPS_SIZE];
    list_numbers(shape, rank, list);
    return say(o, "reshape(%s)", list);
}

/* ---- Candidates ---- */

static bool has_failed(struct oracle *o)
{
    if (o->reason.code != TU_OK && o->reason.code != TU_EINVALID)
        tu_fail(o->error, o->reason.code, "%s", o->reason.text);
    bool failed = o->reason.code != TU_OK && o->reason.code != TU_EINVALID;
    o->reason = (struct tu_error){0};
    return failed;
}

/* Keeps a candidate if it explains much more than the best so far, of which there may be none. */
static void weigh(struct oracle *o, const struct candidate *c)
{
    if (c->unexplained * BETTER + NOTHING < o->best.unexplained)
        o->best = *c;
}

/* Nothing that comes later can win. */
static bool is_settled(const struct oracle *o)
{
    return o->best.text && o->best.unexplained <= NOTHING;
}

/* Elements of both sides of a candidate: a few, or all of a sample. */
static int sample_both(struct oracle *o, const struct candidate *c, bool glance,
                       struct tu_likeness *out)
{
    int (*take)(const struct tu_view *, const struct tu_kernels *, struct tu_sample *,
                struct tu_error *) = glance ? tu_sample_glance : tu_sample_take;
    const struct tu_sample *a = &o->other;
    if (c->sides[0] != o->c->sides[0]) {
        if (take(c->sides[0], o->maker.kernels, &o->other, o->error) < 0)
            return -1;
    } else if (glance) {
        tu_sample_thin(&o->a, &o->other);
    } else {
        a = &o->a;
    }
    if (take(c->sides[1], o->maker.kernels, &o->b, o->error) < 0)
        return -1;
    *out = tu_likeness(a->values, o->b.values, o->b.count);
    return 0;
}

/* Looks at a candidate; a view that is NULL says that it cannot be. */
static int try(struct oracle *o, struct candidate c)
{
    struct tu_likeness l;
    if (!c.sides[0] || !c.sides[1] || !c.text || is_settled(o))
        return has_failed(o) ? -1 : 0;
    if (sample_both(o, &c, true, &l) < 0)
        return -1;
    if (l.finite < FEWEST || tu_likeness_unexplained(&l) > HOPELESS)
        return 0;
    if (sample_both(o, &c, false, &l) < 0)
        return -1;
    c.unexplained = tu_likeness_unexplained(&l);
    c.cosine = NAN;
    weigh(o, &c);
    return 0;
}

/* b seen another way, as steps of a map say. */
static int try_view(struct oracle *o, const struct tu_view *b, const char *text, const char *steps)
{
    return try(o, (struct candidate){.sides = {o->c->sides[0], b},
                                     .text = text,
                                     .from = o->c->name,
                                     .to = o->c->name,
                                     .steps = steps});
}

/* ---- Numbers ---- */

/* Sign and scale are known from the sums; their candidates need no reading. */
static void try_factor(struct oracle *o, double cosine, const struct tu_likeness *l)
{
    double dot = o->c->sums->dot.value, bb = o->c->sums->bb.value;
    int shift = o->c->sums->dot.exponent - o->c->sums->bb.exponent;
    float factor = (float)ldexp(dot / bb, shift);
    char number[TU_NUMBER_SIZE];
    struct tu_likeness opposite = *l;
    opposite.dd = l->aa + l->bb + 2 * l->ab;
    const struct candidate sign = {.sides = {o->c->sides[0], o->base},
                                   .unexplained = tu_likeness_unexplained(&opposite),
                                   .cosine = -cosine,
                                   .text = "sign",
                                   .from = o->c->name,
                                   .to = o->c->name,
                                   .steps = "scale(-1)"};
    weigh(o, &sign);
    if (!isfinite(factor) || factor == 0)
        return;
    tu_format_float(factor, number);
    const struct candidate scale = {.sides = {o->c->sides[0], o->base},
                                    .unexplained = tu_likeness_unscaled(l),
                                    .cosine = fabs(cosine),
                                    .text = say(o, "scale(%g)", (double)factor),
                                    .from = o->c->name,
                                    .to = o->c->name,
                                    .steps = say(o, "scale(%s)", number)};
    weigh(o, &scale);
}

static int try_numbers(struct oracle *o, const struct tu_likeness *l)
{
    struct tu_metrics m = tu_partial_metrics(o->c->sums);
    if (isfinite(m.cosine_similarity) && l->finite >= FEWEST)
        try_factor(o, m.cosine_similarity, l);
    if (try_view(o, tu_view_add(&o->maker, o->base, 1, &o->reason), "add(1)", "add(1)") < 0)
        return -1;
    return try_view(o, tu_view_add(&o->maker, o->base, -1, &o->reason), "add(-1)", "add(-1)");
}

/* ---- Dimensions ---- */

static bool has_shape(const struct tu_view *v, const uint64_t *shape, uint32_t rank)
{
    return v->tensor.rank == rank &&
           (rank == 0 || memcmp(v->tensor.shape, shape, rank * sizeof *shape) == 0);
}

/* A view in another shape; it stays itself where it has that shape. */
static const struct tu_view *shaped(struct oracle *o, const struct tu_view *v,
                                    const uint64_t *shape, uint32_t rank)
{
    return !v || has_shape(v, shape, rank) ? v
                                           : tu_view_reshape(&o->maker, v, shape, rank, &o->reason);
}

/* b holds the matrices of a the other way round: it says so, or it has the shape of a all the
 * same. */
static int try_turned(struct oracle *o)
{
    const struct tu_tensor *a = &o->c->sides[0]->tensor;
    const struct tu_view *b = o->c->sides[1], *v;
    uint64_t turned[TENSOR_MAX_RANK];
    uint32_t rank = a->rank;
    if (rank < 2)
        return 0;
    memcpy(turned, a->shape, rank * sizeof *turned);
    turned[rank - 1] = a->shape[rank - 2];
    turned[rank - 2] = a->shape[rank - 1];
    v = shaped(o, b, turned, rank);
    v = v ? tu_view_transpose(&o->maker, v, &o->reason) : NULL;
    if (try_view(o, v, "transpose",
                 has_shape(b, turned, rank)
                     ? "transpose"
                     : say(o, "%s, transpose", say_reshape(o, turned, rank))) < 0)
        return -1;
    if (has_shape(b, turned, rank) || a->shape[rank - 1] == a->shape[rank - 2])
        return 0;
    v = shaped(o, tu_view_transpose(&o->maker, o->base, &o->reason), a->shape, rank);
    return try_view(o, v, "label", say(o, "transpose, %s", say_reshape(o, a->shape, rank)));
}

/* The first two of three dimensions. */
static int try_axes(struct oracle *o)
{
    static const uint64_t axes[] = {1, 0, 2};
    const struct tu_tensor *a = &o->c->sides[0]->tensor;
    if (a->rank != 3)
        return 0;
    const uint64_t from[] = {a->shape[1], a->shape[0], a->shape[2]};
    const struct tu_view *v = shaped(o, o->c->sides[1], from, 3);
    v = v ? tu_view_permute(&o->maker, v, axes, 3, false, &o->reason) : NULL;
    return try_view(o, v, "permute(1,0,2)",
                    has_shape(o->c->sides[1], from, 3)
                        ? "permute(1,0,2)"
                        : say(o, "%s, permute(1,0,2)", say_reshape(o, from, 3)));
}

static int try_dimensions(struct oracle *o)
{
    const struct tu_tensor *a = &o->c->sides[0]->tensor;
    if (!o->c->sums && try_view(o, o->base, "label", say_reshape(o, a->shape, a->rank)) < 0)
        return -1;
    return try_turned(o) < 0 ? -1 : try_axes(o);
}

/* ---- Rows ---- */

/* The rows of b as one matrix, or a vector: of a stack those of all its items. */
struct rows {
    const struct tu_view *view;
    uint64_t count, items; /* all of them; matrices they are of */
    uint64_t shape[2];
    uint32_t rank;
};

static struct rows rows_of(struct oracle *o)
{
    const struct tu_tensor *a = &o->c->sides[0]->tensor;
    struct rows r = {.count = a->rank ? a->shape[0] : 1, .items = 1, .rank = a->rank < 2 ? 1 : 2};
    if (a->rank > 2) {
        r.count = a->elements / a->shape[a->rank - 1];
        r.items = r.count / a->shape[a->rank - 2];
    }
    r.shape[0] = r.count;
    r.shape[1] = r.count ? a->elements / r.count : 0;
    r.view = shaped(o, o->base, r.shape, r.rank);
    return r;
}

/* A view of the rows, put back into the shape of a; steps are those that made it. */
static int try_rows(struct oracle *o, const struct rows *r, const struct tu_view *v,
                    const char *text, const char *steps)
{
    const struct tu_tensor *a = &o->c->sides[0]->tensor;
    if (v && r->view != o->base && steps)
        steps = say(o, "%s, %s, %s", say_reshape(o, r->shape, r->rank), steps,
                    say_reshape(o, a->shape, a->rank));
    return try_view(o, v ? shaped(o, v, a->shape, a->rank) : NULL, text, steps);
}

/* Heads whose halves were made pairs, or back. One head: the rows of two halves alternate. */
static int try_heads(struct oracle *o, const struct rows *r, uint64_t heads, const char *pairs,
                     const char *halves)
{
    if (!heads || r->count % heads || r->count / heads % 2 || r->count / heads < 4)
        return 0;
    for (int undo = 0; undo < 2; undo++) {
        const struct tu_view *v = tu_view_rope(&o->maker, r->view, heads, undo, &o->reason);
        const char *steps = say(o, "%s(%" PRIu64 ")", undo ? "unrope" : "rope", heads);
        const char *text = undo ? halves : pairs;
        if (try_rows(o, r, v, text ? text : steps, steps) < 0)
            return -1;
    }
    return 0;
}

/* Sizes that heads commonly have, the most common first. */
static const uint64_t head_sizes[] = {128, 64, 96, 256, 80, 32};
enum { HEAD_SIZES = sizeof head_sizes / sizeof *head_sizes };

static int try_all_heads(struct oracle *o, const struct rows *r)
{
    const uint64_t *known = o->c->heads;
    for (int i = 0; i < 2; i++)
        if (try_heads(o, r, known[i], NULL, NULL) < 0)
            return -1;
    if (try_heads(o, r, r->items, "interleave", "deinterleave") < 0)
        return -1;
    for (size_t i = 0; i < HEAD_SIZES; i++) {
        uint64_t heads = r->count % head_sizes[i] ? 0 : r->count / head_sizes[i];
        if (heads > 1 && heads != known[0] && heads != known[1] &&
            try_heads(o, r, heads, NULL, NULL) < 0)
            return -1;
    }
    return 0;
}

/* ---- The order of shares ---- */

/* A piece out of the middle of each share. */
static int sample_shares(struct oracle *o, const struct tu_view *v, size_t count, size_t each,
                         float *out)
{
    uint64_t share = v->tensor.elements / count;
    for (size_t i = 0; i < count; i++)
        if (tu_view_values(v, o->maker.kernels, i * share + (share - each) / 2, each,
                           out + i * each, o->error) < 0)
            return -1;
    return 0;
}

/* The share of b, of those that are free, which is that of a: its number, or count. */
static size_t match_share(const float *a, const float *b, size_t count, size_t each,
                          const bool *taken, double most)
{
    size_t found = count;
    for (size_t i = 0; i < count; i++) {
        if (taken[i])
            continue;
        struct tu_likeness l = tu_likeness(a, b + i * each, each);
        double unexplained = tu_likeness_unexplained(&l);
        if (unexplained < most) {
            most = unexplained;
            found = i;
        }
    }
    return found;
}

/* Finds which share of b each of a is: whether all were found, and in another order. */
static bool match_shares(const float *a, const float *b, size_t count, size_t each, double level,
                         uint64_t *order)
{
    bool taken[SHARES_MAX] = {false}, moved = false;
    for (size_t i = 0; i < count; i++) {
        order[i] = match_share(a + i * each, b, count, each, taken, 1 - level * level);
        if (order[i] == count)
            return false;
        taken[order[i]] = true;
        moved |= order[i] != i;
    }
    return moved;
}

static int find_order(struct oracle *o, const struct rows *r, size_t count, bool *found,
                      uint64_t *order)
{
    uint64_t share = o->c->sides[0]->tensor.elements / count;
    size_t each = share < SHARE_SAMPLE ? (size_t)share : SHARE_SAMPLE;
    float *values = malloc(2 * count * each * sizeof *values);
    int result = values ? 0 : tu_fail_memory(o->error);
    if (result == 0)
        result = sample_shares(o, o->c->sides[0], count, each, values);
    if (result == 0)
        result = sample_shares(o, r->view, count, each, values + count * each);
    *found =
        result == 0 && match_shares(values, values + count * each, count, each, o->level, order);
    free(values);
    return result;
}

/* What shares so many are called: the halves of a gate and an up, the experts of a stack, heads, or
 * the heads of queries, keys and values in one tensor. */
static const char *word_for(const struct oracle *o, const struct rows *r, size_t count)
{
    const uint64_t *heads = o->c->heads;
    return count == 2 * r->items                          ? "halves"
           : count == r->items                            ? "experts"
           : count == heads[0] || count == heads[1]       ? "heads"
           : heads[1] && count == heads[0] + 2 * heads[1] ? "qkv"
                                                          : "order";
}

static int try_order(struct oracle *o, const struct rows *r, uint64_t count)
{
    uint64_t order[SHARES_MAX];
    char all[STEPS_SIZE], few[STEPS_SIZE];
    bool found = false;
    if (count < 2 || count > SHARES_MAX || !r->count || r->count % count || is_settled(o) ||
        o->c->sides[0]->tensor.elements / count < FEWEST)
        return 0;
    if (find_order(o, r, (size_t)count, &found, order) < 0)
        return -1;
    if (!found)
        return 0;
    list_numbers(order, count, all);
    list_numbers(order, count < SHARES_SHOWN ? count : SHARES_SHOWN, few);
    const char *text =
        say(o, "%s(%s%s)", word_for(o, r, count), few, count > SHARES_SHOWN ? ",..." : "");
    return try_rows(o, r, tu_view_order(&o->maker, r->view, order, count, &o->reason), text,
                    say(o, "order(%s)", all));
}

static int compare_counts(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Few shares are a simpler explanation than many. */
static int try_orders(struct oracle *o, const struct rows *r)
{
    const uint64_t *heads = o->c->heads, *shape = o->c->sides[0]->tensor.shape;
    uint64_t counts[8 + HEAD_SIZES] = {2,
                                       r->items,
                                       2 * r->items,
                                       3 * r->items,
                                       heads[0],
                                       heads[1],
                                       heads[0] + 2 * heads[1],
                                       o->c->sides[0]->tensor.rank ? shape[0] : 0};
    for (size_t i = 0; i < HEAD_SIZES; i++)
        counts[8 + i] = r->count % head_sizes[i] ? 0 : r->count / head_sizes[i];
    qsort(counts, sizeof counts / sizeof *counts, sizeof *counts, compare_counts);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if ((i == 0 || counts[i] != counts[i - 1]) && try_order(o, r, counts[i]) < 0)
            return -1;
    return 0;
}

/* ---- Bytes ---- */

/* Whether the bytes of a view are those that are stored. */
static bool is_stored(const struct tu_view *v)
{
    bool stored = v->kind != TU_VIEW_FLOAT;
    for (size_t i = 0; i < v->count && stored; i++)
        stored = is_stored(v->of[i]);
    return stored;
}

static int try_side(struct oracle *o, int side, const struct tu_view *v, const char *text,
                    const char *steps)
{
    const struct candidate a = {.sides = {v, o->base}, .text = say(o, "a:%s", text)};
    return side == 0 ? try(o, a) : try_view(o, v, text, steps);
}

static int try_types(struct oracle *o, int side, const struct tu_view *v)
{
    size_t count;
    const struct tu_dtype *was = v->geometry.dtype, *types = tu_dtype_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct tu_dtype *is = &types[i];
        if (is == was || is->bytes != was->bytes || is->elements != was->elements || is->head ||
            was->head || is->kind == TENSOR_KIND_BOOL || !o->maker.kernels->decode[is->code])
            continue;
        const char *text = say(o, "type(%s)", is->name);
        if (try_side(o, side, tu_view_type(&o->maker, v, is->code, &o->reason), text, text) < 0)
            return -1;
    }
    return 0;
}

static int try_bytes(struct oracle *o)
{
    for (int side = 1; side >= 0; side--) {
        const struct tu_view *v = side ? o->base : o->c->sides[0];
        const struct tu_dtype *type = v->geometry.dtype;
        if (!is_stored(v))
            continue;
        if (try_types(o, side, v) < 0)
            return -1;
        if (type->elements == 1 && type->bytes > 1 && !type->head &&
            try_side(o, side, tu_view_swapped(&o->maker, v, &o->reason), "byteswap", "byteswap") <
                0)
            return -1;
    }
    return 0;
}

/* Elements of a, and those so many further on of b, or the other way round. */
static int try_shift(struct oracle *o, uint64_t by, const char *what)
{
    const uint64_t all = o->c->sides[0]->tensor.elements, shape[] = {all};
    if (!by || by > all / 2 || all - by < FEWEST)
        return 0;
    for (int back = 0; back < 2; back++) {
        struct candidate c = {.text = say(o, "shift(%s1 %s)", back ? "-" : "", what)};
        for (int i = 0; i < 2; i++) {
            uint64_t first = (i == 1) != back ? by : 0;
            const struct tu_view *v = shaped(o, o->c->sides[i], shape, 1);
            if (v)
                c.sides[i] = tu_view_rows(&o->maker, v, first, first + all - by, &o->reason);
        }
        if (try(o, c) < 0)
            return -1;
    }
    return 0;
}

static int try_shifts(struct oracle *o)
{
    const struct tu_tensor *a = &o->c->sides[0]->tensor, *b = &o->c->sides[1]->tensor;
    uint64_t row = a->rank > 1 ? a->shape[a->rank - 1] : 0;
    uint64_t blocks[] = {tu_dtype(b->dtype)->elements, tu_dtype(a->dtype)->elements};
    if (try_shift(o, row, "row") < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (blocks[i] > 1 && blocks[i] != row && (i == 0 || blocks[1] != blocks[0]) &&
            try_shift(o, blocks[i], "block") < 0)
            return -1;
    return row == 1 ? 0 : try_shift(o, 1, "element");
}

/* ---- Other tensors ---- */

/* The view of a side with another tensor in place of the one it shows. */
static const struct tu_view *in_place_of(struct oracle *o, int side, struct tu_member m)
{
    const struct tu_view *v = side ? o->base : o->c->sides[0];
    if (!o->maker.kernels->decode[m.tensor->dtype])
        return NULL;
    return v->kind == TU_VIEW_LEAF ? tu_view_leaf(&o->maker, m, &o->reason)
                                   : tu_view_rebased(&o->maker, v, m, &o->reason);
}

/* Elements out of the middle of a tensor. */
static int read_middle(struct oracle *o, const struct tu_view *v, float out[static MIDDLE])
{
    uint64_t all = v->tensor.elements;
    size_t n = all < MIDDLE ? (size_t)all : MIDDLE;
    return tu_view_values(v, o->maker.kernels, (all - n) / 2, n, out, o->error);
}

/* A first look at one side with another tensor, which rules out most. */
static int resembles(struct oracle *o, int side, const struct tu_view *v, bool *alike)
{
    float values[MIDDLE];
    uint64_t all = v->tensor.elements;
    if (read_middle(o, v, values) < 0)
        return -1;
    struct tu_likeness l = tu_likeness(side ? o->middle[0] : values, side ? values : o->middle[1],
                                       all < MIDDLE ? (size_t)all : MIDDLE);
    *alike = tu_likeness_unexplained(&l) < HOPELESS;
    return 0;
}

/* Whether what is seen one way holds the other way, as far as it can be looked at. */
static int is_mutual(struct oracle *o, const struct tu_other *other, bool *mutual)
{
    *mutual = true;
    if (!other->partner.model)
        return 0;
    const struct tu_view *v = in_place_of(o, !other->side, other->partner);
    *mutual = false;
    if (!v || v->tensor.elements != o->base->tensor.elements)
        return has_failed(o) ? -1 : 0;
    return resembles(o, !other->side, v, mutual);
}

static int try_other(struct oracle *o, const struct tu_other *other)
{
    const struct tu_tensor *like = &o->c->sides[0]->tensor;
    const char *name = other->member.tensor->name;
    bool alike = false, mutual;
    struct candidate c = {.sides = {o->c->sides[0], o->base}};
    const struct tu_view *v = in_place_of(o, other->side, other->member);
    c.sides[other->side] = v = shaped(o, v, like->shape, like->rank);
    if (!v || strlen(name) > NAME_MAX_BYTES)
        return has_failed(o) ? -1 : 0;
    if (resembles(o, other->side, v, &alike) < 0)
        return -1;
    if (!alike)
        return 0;
    if (is_mutual(o, other, &mutual) < 0)
        return -1;
    c.text = say(o, "%s(%s)", mutual ? "exchange" : "copy", name);
    if (o->c->same_names) {
        c.from = other->side ? name : o->c->name;
        c.to = other->side ? o->c->name : name;
    }
    return try(o, c);
}

static int try_others(struct oracle *o)
{
    if (read_middle(o, o->c->sides[0], o->middle[0]) < 0 ||
        read_middle(o, o->base, o->middle[1]) < 0)
        return -1;
    for (size_t i = 0; i < o->c->other_count && i < TU_ORACLE_OTHERS && !is_settled(o); i++)
        if (try_other(o, &o->c->others[i]) < 0)
            return -1;
    return 0;
}

/* ---- All elements ---- */

/* Two views, a piece at a time. */
struct passage {
    const struct tu_view *sides[2];
    struct tu_comparison comparison;
    struct tu_buffer raw[2];
    struct tu_partial sums;
};

enum { BLOCK_SIDE = 1024, BLOCK = BLOCK_SIDE * BLOCK_SIDE };

static void add_piece(struct passage *p, uint64_t first, size_t count)
{
    const uint8_t *const spans[2] = {p->raw[0].bytes, p->raw[1].bytes};
    tu_compare_range(&p->comparison, spans, first, count, &p->sums, NULL, NULL);
}

static int pass_run(struct oracle *o, struct passage *p, uint64_t first, size_t count)
{
    for (int i = 0; i < 2; i++) {
        uint64_t offset, length;
        tu_geometry_span(&p->sides[i]->geometry, first, count, &offset, &length);
        if (tu_buffer_reserve(&p->raw[i], length, o->error) < 0 ||
            tu_view_read(p->sides[i], offset, p->raw[i].bytes, (size_t)length, o->error) < 0)
            return -1;
    }
    add_piece(p, first, count);
    return 0;
}

static int pass_runs(struct oracle *o, struct passage *p)
{
    uint64_t elements = p->sides[0]->tensor.elements;
    for (int i = 0; i < 2; i++)
        if (tu_view_decoder(p->sides[i], o->maker.kernels, &p->comparison.decoders[i], o->error) <
            0)
            return -1;
    p->comparison.row = elements;
    for (uint64_t first = 0, n; first < elements; first += n) {
        n = elements - first < TU_TILE ? elements - first : TU_TILE;
        if (pass_run(o, p, first, (size_t)n) < 0)
            return -1;
    }
    return 0;
}

static int pass_block(struct oracle *o, struct passage *p, struct tu_area area)
{
    size_t n = (size_t)(area.rows * area.columns);
    for (int i = 0; i < 2; i++)
        if (tu_buffer_reserve(&p->raw[i], n * p->sides[i]->geometry.dtype->bytes, o->error) < 0 ||
            tu_view_read_area(p->sides[i], area, p->raw[i].bytes, o->error) < 0)
            return -1;
    p->comparison.row = area.columns;
    add_piece(p, 0, n);
    return 0;
}

/* Where one is transposed, blocks are read, so that rows and columns cost the same. */
static int pass_blocks(struct oracle *o, struct passage *p)
{
    const struct tu_tensor *t = &p->sides[0]->tensor;
    uint64_t columns = t->shape[t->rank - 1], rows = t->elements / columns;
    for (int i = 0; i < 2; i++) {
        const uint64_t shape = BLOCK;
        struct tu_geometry flat;
        p->sides[i] = tu_view_plain(&o->maker, p->sides[i], o->error);
        if (!p->sides[i] ||
            tu_geometry(p->sides[i]->tensor.dtype, TENSOR_PACKING_ROWS, &shape, 1, &flat,
                        o->error) < 0 ||
            tu_decoder_init(&p->comparison.decoders[i], &flat, o->maker.kernels, NULL, o->error) <
                0)
            return -1;
    }
    for (uint64_t r = 0; r < rows; r += BLOCK_SIDE)
        for (uint64_t c = 0; c < columns; c += BLOCK_SIDE) {
            struct tu_area area = {r, rows - r < BLOCK_SIDE ? rows - r : BLOCK_SIDE, c,
                                   columns - c < BLOCK_SIDE ? columns - c : BLOCK_SIDE};
            if (pass_block(o, p, area) < 0)
                return -1;
        }
    return 0;
}

static int confirm(struct oracle *o, double *cosine)
{
    const struct tu_view *const *sides = o->best.sides;
    struct passage p = {.sides = {sides[0], sides[1]}, .comparison.kernels = o->maker.kernels};
    bool turned = sides[0]->transposed || sides[1]->transposed;
    *cosine = o->best.cosine;
    if (!isnan(*cosine))
        return 0;
    int result = turned ? pass_blocks(o, &p) : pass_runs(o, &p);
    *cosine = tu_partial_metrics(&p.sums).cosine_similarity;
    free(p.raw[0].bytes);
    free(p.raw[1].bytes);
    return result;
}

/* ---- The answer ---- */

/* Whether a rule is one, which is about no name but those it says. */
static bool is_rule(const char *text)
{
    struct tu_map map = {0};
    struct tu_error ignored = {0};
    if (strpbrk(text, "{}*[]+\"\n") ||
        tu_map_parse(&map, "remedy.map", text, strlen(text), &ignored) < 0)
        return false;
    bool is = map.rule_count == 1;
    tu_map_free(&map);
    return is;
}

static int answer(struct oracle *o, struct tu_hypothesis *out)
{
    double cosine;
    double most = fmin(1 - o->level * o->level, o->now / 2);
    if (!o->best.text || o->best.unexplained > most)
        return 0;
    if (confirm(o, &cosine) < 0)
        return -1;
    if (!(cosine >= o->level))
        return 0;
    const struct candidate *best = &o->best;
    *out = (struct tu_hypothesis){.text = best->text, .cosine = cosine};
    if (!best->from)
        return 0;
    out->remedy = say(o, "%.*s = %.*s%s%s", NAME_MAX_BYTES, best->from, NAME_MAX_BYTES, best->to,
                      best->steps ? " : " : "", best->steps ? best->steps : "");
    if (out->remedy && !is_rule(out->remedy))
        out->remedy = NULL;
    return has_failed(o) ? -1 : 0;
}

static int try_all(struct oracle *o, const struct tu_likeness *l)
{
    if (o->c->sums && try_numbers(o, l) < 0)
        return -1;
    if (try_dimensions(o) < 0)
        return -1;
    struct rows r = rows_of(o);
    if (has_failed(o))
        return -1;
    if (r.view && (try_all_heads(o, &r) < 0 || try_orders(o, &r) < 0))
        return -1;
    return try_bytes(o) < 0 || try_others(o) < 0 ? -1 : try_shifts(o);
}

static int ask(struct oracle *o, struct tu_hypothesis *out)
{
    const struct tu_tensor *a = &o->c->sides[0]->tensor;
    o->base = shaped(o, o->c->sides[1], a->shape, a->rank);
    if (!o->base)
        return has_failed(o) ? -1 : 0;
    if (tu_sample_take(o->c->sides[0], o->maker.kernels, &o->a, o->error) < 0 ||
        tu_sample_take(o->base, o->maker.kernels, &o->b, o->error) < 0)
        return -1;
    struct tu_likeness l = tu_likeness(o->a.values, o->b.values, o->a.count);
    o->now = o->c->sums ? tu_likeness_unexplained(&l) : 1;
    o->level = level_of_both(stored_type(o->c->sides[0]), stored_type(o->c->sides[1]));
    if (o->a.count < FEWEST)
        return 0;
    return try_all(o, &l) < 0 ? -1 : answer(o, out);
}

int tu_oracle_ask(const struct tu_oracle_case *c, struct tu_arena *arena, struct tu_hypothesis *out,
                  struct tu_error *error)
{
    struct tu_arena views = {0};
    struct oracle *o = calloc(1, sizeof *o);
    *out = (struct tu_hypothesis){0};
    if (!o)
        return tu_fail_memory(error);
    o->c = c;
    o->texts = arena;
    o->maker = (struct tu_view_maker){&views, c->kernels};
    o->best.unexplained = 1;
    o->error = error;
    int result = ask(o, out);
    tu_arena_free(&views);
    free(o);
    return result;
}
