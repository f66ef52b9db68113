/* SPDX-License-Identifier: MIT */
/* Asks why two tensors disagree: a search over a sample, whose best answer all elements confirm. */
#include "config.h"

#include "compare/oracle/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "compare/metrics/rows.h"
#include "compare/oracle/hypotheses.h"
#include "map/language.h"

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

/* ---- All elements ---- */

/* Two views, a piece at a time. */
struct passage {
    const struct tu_view *sides[2];
    struct tu_comparison comparison;
    struct tu_buffer raw[2];
    struct tu_partial sums;
    uint64_t row; /* elements of what is taken for a row */
};

/* Blocks have BLOCK elements at most, and whole rows where these are no longer than WIDE; rows that
 * are longer than LONG are taken piece by piece, and none of them is the worst. */
enum { BLOCK_SIDE = 1024, BLOCK = BLOCK_SIDE * BLOCK_SIDE, WIDE = 16 * BLOCK_SIDE, LONG = 1 << 22 };

static void add_piece(struct passage *p, uint64_t first, size_t count)
{
    const uint8_t *const spans[2] = {p->raw[0].bytes, p->raw[1].bytes};
    tu_compare_range(&p->comparison, spans, first, count, &p->sums, NULL, NULL, NULL);
}

static int pass_run(struct tu_search *s, struct passage *p, uint64_t first, size_t count)
{
    for (int i = 0; i < 2; i++) {
        uint64_t offset, length;
        tu_geometry_span(&p->sides[i]->geometry, first, count, &offset, &length);
        if (tu_buffer_reserve(&p->raw[i], length, s->error) < 0 ||
            tu_view_read(p->sides[i], offset, p->raw[i].bytes, (size_t)length, s->error) < 0)
            return -1;
    }
    add_piece(p, first, count);
    return 0;
}

/* The types that the sides are stored in tell how far apart numbers may be. */
static void settle_steps(struct passage *p)
{
    const enum tensor_dtype types[2] = {stored_type(p->sides[0]), stored_type(p->sides[1])};
    p->comparison.resolution = tu_resolution_of(p->comparison.decoders, types);
}

static int pass_runs(struct tu_search *s, struct passage *p)
{
    const struct tu_tensor *t = &p->sides[0]->tensor;
    uint64_t elements = t->elements, row = t->rank ? t->shape[t->rank - 1] : 1;
    for (int i = 0; i < 2; i++)
        if (tu_view_decoder(p->sides[i], s->maker.kernels, &p->comparison.decoders[i], s->error) <
            0)
            return -1;
    settle_steps(p);
    p->row = p->comparison.row = row <= LONG ? row : elements;
    uint64_t step = row > LONG ? TU_TILE : row > TU_TILE ? row : TU_TILE / row * row;
    for (uint64_t first = 0, n; first < elements; first += n) {
        n = elements - first < step ? elements - first : step;
        if (pass_run(s, p, first, (size_t)n) < 0)
            return -1;
    }
    return 0;
}

static int pass_block(struct tu_search *s, struct passage *p, struct tu_area area)
{
    size_t n = (size_t)(area.rows * area.columns);
    const struct tu_partial before = p->sums;
    for (int i = 0; i < 2; i++)
        if (tu_buffer_reserve(&p->raw[i], n * p->sides[i]->geometry.dtype->bytes, s->error) < 0 ||
            tu_view_read_area(p->sides[i], area, p->raw[i].bytes, s->error) < 0)
            return -1;
    p->comparison.row = area.columns;
    p->sums = (struct tu_partial){0};
    add_piece(p, 0, n);
    struct tu_partial here = p->sums;
    p->sums = before;
    if (p->row != area.columns) /* those are pieces of rows */
        here.rows = (struct tu_worst_rows){0};
    tu_worst_rows_move(&here.rows, area.row);
    tu_partial_add(&p->sums, &here);
    return 0;
}

/* Where one is transposed, blocks are read, so that rows and columns cost the same. */
static int pass_blocks(struct tu_search *s, struct passage *p)
{
    const struct tu_tensor *t = &p->sides[0]->tensor;
    uint64_t columns = t->shape[t->rank - 1], rows = t->elements / columns;
    uint64_t across = columns <= WIDE ? columns : BLOCK_SIDE;
    uint64_t down = columns <= WIDE ? BLOCK / columns : BLOCK_SIDE;
    for (int i = 0; i < 2; i++) {
        const uint64_t shape = BLOCK;
        struct tu_geometry flat;
        p->sides[i] = tu_view_plain(&s->maker, p->sides[i], s->error);
        if (!p->sides[i] ||
            tu_geometry(p->sides[i]->tensor.dtype, TENSOR_PACKING_ROWS, &shape, 1, &flat,
                        s->error) < 0 ||
            tu_decoder_init(&p->comparison.decoders[i], &flat, s->maker.kernels, NULL, s->error) <
                0)
            return -1;
    }
    settle_steps(p);
    p->row = across == columns ? columns : t->elements;
    for (uint64_t r = 0; r < rows; r += down)
        for (uint64_t c = 0; c < columns; c += across) {
            struct tu_area area = {r, rows - r < down ? rows - r : down, c,
                                   columns - c < across ? columns - c : across};
            if (pass_block(s, p, area) < 0)
                return -1;
        }
    return 0;
}

/* Compares all elements as the best explanation has them. */
static int confirm(struct tu_search *s, struct tu_hypothesis *out, bool *finite)
{
    const struct tu_view *const *sides = s->best.sides;
    struct passage p = {.sides = {sides[0], sides[1]}, .comparison.kernels = s->maker.kernels};
    bool turned = sides[0]->transposed || sides[1]->transposed;
    out->cosine = s->best.cosine;
    *finite = true;
    if (s->best.measure) {
        if (s->best.measure(s, &s->best) < 0)
            return -1;
        out->cosine = s->best.cosine;
        return 0;
    }
    if (!isnan(out->cosine) && !s->best.layout)
        return 0;
    int result = turned ? pass_blocks(s, &p) : pass_runs(s, &p);
    out->cosine = tu_partial_metrics(&p.sums).cosine_similarity;
    *finite = p.sums.finite == p.sums.elements;
    out->sums = p.sums;
    out->resolution = p.comparison.resolution;
    out->row = p.row;
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

static int answer(struct tu_search *s, struct tu_hypothesis *out)
{
    struct tu_hypothesis found = {0};
    bool finite;
    double most = fmin(1 - s->level * s->level, s->now / 2);
    if (!s->best.text || s->best.unexplained > most)
        return 0;
    if (confirm(s, &found, &finite) < 0)
        return -1;
    if (!(found.cosine >= s->level) || s->best.unexplained > most)
        return 0;
    const struct tu_candidate *best = &s->best;
    found.text = best->text;
    found.layout = best->layout && finite;
    *out = found;
    if (!best->from)
        return 0;
    out->remedy =
        tu_search_say(s, "%.*s = %.*s%s%s", TU_TOLD_NAME_MAX, best->from, TU_TOLD_NAME_MAX,
                      best->to, best->steps ? " : " : "", best->steps ? best->steps : "");
    if (out->remedy && !is_rule(out->remedy))
        out->remedy = NULL;
    return tu_search_failed(s) ? -1 : 0;
}

static int ask(struct tu_search *s, struct tu_hypothesis *out)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    s->base = tu_search_shaped(s, s->c->sides[1], a->shape, a->rank);
    if (!s->base)
        return tu_search_failed(s) ? -1 : 0;
    if (tu_sample_take(s->c->sides[0], s->maker.kernels, &s->a, s->error) < 0 ||
        tu_sample_take(s->base, s->maker.kernels, &s->b, s->error) < 0)
        return -1;
    s->as_is = tu_likeness(s->a.values, s->b.values, s->a.count);
    s->now = !s->c->sums    ? 1
             : s->c->slight ? tu_partial_metrics(s->c->sums).nmse
                            : tu_likeness_unexplained(&s->as_is);
    s->level = level_of_both(stored_type(s->c->sides[0]), stored_type(s->c->sides[1]));
    if (s->a.count < TU_SEARCH_FEWEST)
        return 0;
    s->rows = tu_rows_of(s);
    if (tu_search_failed(s) || tu_hypotheses_try(s) < 0)
        return -1;
    return answer(s, out);
}

int tu_oracle_ask(const struct tu_oracle_case *c, struct tu_arena *arena, struct tu_hypothesis *out,
                  struct tu_error *error)
{
    struct tu_arena views = {0};
    struct tu_search *s = calloc(1, sizeof *s);
    *out = (struct tu_hypothesis){0};
    if (!s)
        return tu_fail_memory(error);
    s->c = c;
    s->texts = arena;
    s->maker = (struct tu_view_maker){&views, c->kernels};
    s->best.unexplained = 1;
    s->error = error;
    int result = ask(s, out);
    tu_arena_free(&views);
    free(s);
    return result;
}
