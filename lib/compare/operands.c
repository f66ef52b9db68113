/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "compare/operands.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "compare/cache/cache.h"
#include "compare/oracle/ask.h"
#include "compare/matching.h"
#include "base/pipeline.h"

/* A piece of work: some elements of a pair, or a record. */
struct tile {
    struct tu_passing *passing;
    struct tu_pair *pair;
    uint64_t first;
    size_t count;
    struct tu_area area; /* of a block */
    bool last;
    bool compared;           /* already when it was taken */
    struct tu_buffer raw[2]; /* bytes of streams */
    struct tu_partial sums;
    struct tu_apr_buckets buckets; /* where they are wanted */
    struct tu_buffer rows;         /* of a block that has pieces of rows: the sums of each piece */
    struct tu_full full;
};

/* What a thread reads files into. */
struct scratch {
    struct tu_buffer raw[2];
    struct tu_full_rows waiting;
};

struct run {
    struct tu_matching matching;
    struct tu_pair *pair;   /* whose tiles are being taken */
    struct scratch scratch; /* of the thread that takes them */
    const struct tu_pair_sink *sink;
    struct tu_cache *cache;
    uint64_t done, total;
};

/* ---- Results ---- */

static struct tu_pair_result describe(const struct run *run, const struct tu_pair *p)
{
    /* Of tied tensors the one that was left over gives the name; else a does. */
    int named = p->left_over ? !p->lead : !p->present[0];
    const char *name = p->stored[named].name, *names[2];
    for (int i = 0; i < 2; i++)
        names[i] = p->present[i] && strcmp(p->stored[i].name, name) != 0 ? p->stored[i].name : NULL;
    return (struct tu_pair_result){.match = p->match,
                                   .a = p->present[0] ? &p->stored[0] : NULL,
                                   .b = p->present[1] ? &p->stored[1] : NULL,
                                   .name = name,
                                   .name_a = names[0],
                                   .name_b = names[1],
                                   .transform = *p->transform ? p->transform : NULL,
                                   .reason = p->reason,
                                   .elements = p->tensors[!p->present[0]].elements,
                                   .row = p->comparison.row,
                                   .sums = p->sums,
                                   .hypothesis = p->hypothesis,
                                   .buckets = run->matching.options->buckets ? &p->buckets : NULL,
                                   .cache = p->explained ? NULL : run->cache,
                                   .known = p->known,
                                   .key = p->key};
}

/* Looks for the record of a pair of files. */
static int look_up(struct run *run, struct tu_pair *p, struct tu_error *error)
{
    struct tu_pair_result result = describe(run, p);
    struct tu_cache_pair pair = {.result = &result, .lead = p->lead, .addend = p->addend};
    struct tensor_value record;
    if (!run->cache || p->match != TU_MATCH_BOTH)
        return 0;
    for (int i = 0; i < 2; i++) {
        const struct tu_origin *place = &p->places[i];
        if (place->where != TU_IN_MODEL && place->where != TU_IN_VIEW)
            return 0;
        pair.views[i] = place->where == TU_IN_VIEW ? place->view : NULL;
        pair.members[i] = (struct tu_member){place->model, &p->stored[i]};
    }
    int found = tu_cache_find(run->cache, &pair, &p->arena, p->key, &record, error);
    if (found > 0 && !(p->known = tu_arena_alloc(&p->arena, sizeof *p->known)))
        return tu_fail_memory(error);
    if (found > 0)
        *p->known = record;
    return found < 0 ? -1 : 0;
}

/* ---- The pipeline ---- */

static int read_side(const struct tile *t, int i, struct tu_buffer *to, struct tu_error *error)
{
    uint64_t offset, length;
    tu_geometry_span(&t->pair->comparison.decoders[i].geometry, t->first, t->count, &offset,
                     &length);
    if (tu_buffer_reserve(to, length, error) < 0)
        return -1;
    return tu_origin_read(&t->pair->places[i], offset, to->bytes, (size_t)length, error);
}

/* Counts the differences of a tile by size, where that is wanted: it is decoded once more. */
static void count_tile(const struct run *run, struct tile *t, const uint8_t *const spans[2],
                       uint64_t first)
{
    const struct tu_decoder *decoders = t->pair->comparison.decoders;
    t->buckets = (struct tu_apr_buckets){0};
    if (run->matching.options->buckets)
        tu_apr_buckets_range(&t->buckets, &decoders[0], spans[0], &decoders[1], spans[1], first,
                             t->count);
}

/* Starts the full numbers of a tile, where it is asked for. */
static int begin_full(struct tile *t, struct scratch *s, struct tu_full **full,
                      struct tu_error *error)
{
    struct tu_pair *p = t->pair;
    uint64_t row = p->comparison.row, column = t->first % row;
    uint64_t width = row - column < t->count ? row : t->count;
    if (p->blocks[0]) {
        column = t->area.column;
        width = t->area.columns;
    }
    *full = p->has_full ? &t->full : NULL;
    return p->has_full ? tu_full_begin(&t->full, &p->plan, column, width, &s->waiting, error) : 0;
}

static int compare_run(struct run *run, struct tile *t, struct scratch *s, struct tu_error *error)
{
    struct tu_pair *p = t->pair;
    struct tu_full *full;
    const uint8_t *spans[2];
    if (begin_full(t, s, &full, error) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        bool here = p->places[i].where != TU_IN_STREAM;
        struct tu_buffer *raw = here ? &s->raw[i] : &t->raw[i];
        if (here && read_side(t, i, raw, error) < 0)
            return -1;
        spans[i] = raw->bytes;
    }
    tu_compare_range(&p->comparison, spans, t->first, t->count, &t->sums, NULL, full);
    count_tile(run, t, spans, t->first);
    return 0;
}

/* Of tensors in streams the first tile says, before the rest has passed, whether they will be
 * needed once more. */
static int look_ahead(struct run *run, struct tile *t, struct tu_error *error)
{
    struct tu_pair *p = t->pair;
    if (!run->matching.terms.oracle || t->first ||
        (p->places[0].where != TU_IN_STREAM && p->places[1].where != TU_IN_STREAM))
        return 0;
    if (compare_run(run, t, &run->scratch, error) < 0)
        return -1;
    t->compared = true;
    for (int i = 0; i < 2 && tu_pair_puzzles(&run->matching.terms, p, &t->sums); i++)
        if (p->places[i].where == TU_IN_STREAM &&
            tu_pair_keep(p, i, t->raw[i].bytes, t->raw[i].length, error) < 0)
            return -1;
    return 0;
}

/* Streams are read here, in order; files and the temporary file by the workers. */
static int take_run(struct run *run, struct tu_pair *p, struct tile *t, struct tu_error *error)
{
    const struct tu_geometry *g = &p->comparison.decoders[p->cutter].geometry;
    t->first = p->next;
    t->count = tu_geometry_tile(g, p->comparison.row, p->tile, p->next);
    t->sums = (struct tu_partial){.max_diff = p->max_diff, .max_rel_diff = p->max_rel_diff};
    p->next += t->count;
    t->last = p->next == p->tensors[0].elements;
    for (int i = 0; i < 2; i++)
        if (p->places[i].where == TU_IN_STREAM && read_side(t, i, &t->raw[i], error) < 0)
            return -1;
    return look_ahead(run, t, error);
}

/* Blocks come row by row.  Their maxima start anew: the first place of equal ones is found when
 * they are added. */
static void take_block(struct tu_pair *p, struct tile *t)
{
    const struct tu_tensor *m = &p->blocks[0]->tensor;
    uint64_t columns = m->shape[m->rank - 1], rows = m->elements / columns;
    uint64_t across = (columns + p->block_columns - 1) / p->block_columns;
    uint64_t down = (rows + p->block_rows - 1) / p->block_rows;
    uint64_t row = p->next / across * p->block_rows, column = p->next % across * p->block_columns;
    t->area =
        (struct tu_area){row, rows - row < p->block_rows ? rows - row : p->block_rows, column,
                         columns - column < p->block_columns ? columns - column : p->block_columns};
    t->count = (size_t)(t->area.rows * t->area.columns);
    t->sums = (struct tu_partial){0};
    t->last = ++p->next == across * down;
}

static int take(void *context, void *slot, struct tu_error *error)
{
    struct run *run = context;
    struct tile *t = slot;
    if (!run->pair) {
        int more = tu_matching_next(&run->matching, &run->pair, error);
        if (more < 0 || more == TU_ENDED)
            return more;
        if (more == TU_FOUND && look_up(run, run->pair, error) < 0)
            return -1;
    }
    t->count = 0;
    t->passing = tu_matching_passing(&run->matching);
    if (t->passing)
        return 1;
    struct tu_pair *p = t->pair = run->pair;
    int result = 0;
    t->last = true;
    t->compared = false;
    t->sums = (struct tu_partial){0};
    if (p->match == TU_MATCH_BOTH && p->tensors[0].elements && !p->known) {
        if (p->blocks[0])
            take_block(p, t);
        else
            result = take_run(run, p, t, error);
    }
    if (t->last)
        run->pair = NULL;
    return result < 0 ? -1 : 1;
}

/* The numbers of a block, which has places of its own, as those of the matrix. */
static void place_block(const struct tu_pair *p, struct tile *t)
{
    const struct tu_tensor *m = &p->blocks[0]->tensor;
    uint64_t columns = m->shape[m->rank - 1], across = t->area.columns;
    uint64_t *const places[] = {&t->sums.worst_index, &t->sums.first_diff};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        *places[i] =
            (t->area.row + *places[i] / across) * columns + t->area.column + *places[i] % across;
    t->sums.rows.error_row += t->area.row;
    t->sums.rows.cosine_row += t->area.row;
    t->sums.rows.least.row += t->area.row;
    t->sums.rows.most.row += t->area.row;
}

static struct tu_row *row_sums(const struct tile *t)
{
    return (struct tu_row *)(void *)t->rows.bytes;
}

static int compare_block(struct run *run, struct tile *t, struct scratch *s, struct tu_error *error)
{
    const struct tu_pair *p = t->pair;
    struct tu_comparison c = p->comparison;
    struct tu_full *full;
    const uint8_t *spans[2];
    if (begin_full(t, s, &full, error) < 0)
        return -1;
    c.row = t->area.columns;
    if (p->block_sums &&
        tu_buffer_reserve(&t->rows, t->area.rows * sizeof(struct tu_row), error) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (tu_buffer_reserve(&s->raw[i], t->count * c.decoders[i].geometry.dtype->bytes, error) <
                0 ||
            tu_view_read_area(p->blocks[i], t->area, s->raw[i].bytes, error) < 0)
            return -1;
        spans[i] = s->raw[i].bytes;
    }
    tu_compare_range(&c, spans, 0, t->count, &t->sums, p->block_sums ? row_sums(t) : NULL, full);
    count_tile(run, t, spans, 0);
    place_block(p, t);
    return 0;
}

static int work(void *context, void *slot, void *scratch, struct tu_error *error)
{
    struct tile *t = slot;
    struct scratch *s = scratch;
    if (!t->count || t->compared)
        return 0;
    return t->pair->blocks[0] ? compare_block(context, t, s, error)
                              : compare_run(context, t, s, error);
}

/* A row that is longer than tiles are is noted with its last piece. */
static void add_run(struct tu_pair *p, const struct tile *t)
{
    uint64_t row = p->comparison.row, end = t->first + t->count;
    tu_partial_add(&p->sums, &t->sums);
    if (t->first % row == 0 && t->count % row == 0)
        return;
    const struct tu_row piece = tu_partial_row(&t->sums);
    tu_row_add(&p->row, &piece);
    if (end % row == 0) {
        tu_note_row(&p->sums.rows, &p->comparison, end / row - 1, &p->row);
        p->row = (struct tu_row){0};
    }
}

/* The rows of a block, which come with it or, where a block has pieces, with the last of these. */
static void add_block_rows(struct tu_pair *p, const struct tile *t)
{
    const struct tu_tensor *m = &p->blocks[0]->tensor;
    bool complete = t->area.column + t->area.columns == m->shape[m->rank - 1];
    for (uint64_t i = 0; p->block_sums && i < t->area.rows; i++) {
        tu_row_add(&p->block_sums[i], &row_sums(t)[i]);
        if (!complete)
            continue;
        tu_note_row(&p->sums.rows, &p->comparison, t->area.row + i, &p->block_sums[i]);
        p->block_sums[i] = (struct tu_row){0};
    }
}

/* Of blocks, an earlier place may come later. */
static void add_block(struct tu_pair *p, const struct tile *t)
{
    const struct tu_partial *s = &t->sums, before = p->sums;
    tu_partial_add(&p->sums, s);
    add_block_rows(p, t);
    if (s->differs && before.differs && s->first_diff < before.first_diff)
        p->sums.first_diff = s->first_diff;
    if (s->max_diff > 0 && s->max_diff == before.max_diff && s->worst_index < before.worst_index) {
        p->sums.worst_index = s->worst_index;
        p->sums.worst_a = s->worst_a;
        p->sums.worst_b = s->worst_b;
    }
}

static void add_tile(struct tu_pair *p, const struct tile *t)
{
    if (!t->count)
        return;
    if (p->blocks[0])
        add_block(p, t);
    else
        add_run(p, t);
    tu_apr_buckets_add(&p->buckets, &t->buckets);
    p->max_diff = p->sums.max_diff;
    p->max_rel_diff = p->sums.max_rel_diff;
    if (p->has_full)
        tu_full_add(&p->full, &t->full);
}

static int put_pair(struct run *run, const struct tu_pair *p, struct tu_error *error)
{
    struct tu_pair_result result = describe(run, p);
    struct tu_full_metrics metrics;
    if (p->has_full) {
        metrics = tu_full_metrics(&p->full);
        result.full = &p->full;
        result.full_metrics = &metrics;
    }
    run->done += p->stored[p->lead].nbytes;
    tu_progress(run->matching.session, run->done, run->total);
    return run->sink->pair(&result, error);
}

/* What explains a pair may follow from other tensors: it is not kept in a cache. */
static int explain(const struct run *run, struct tu_pair *p, struct tu_error *error)
{
    const struct tu_terms *terms = &run->matching.terms;
    /* What a stream brought has passed, unless its first tile disagreed already. */
    bool passed = p->places[0].where == TU_IN_STREAM || p->places[1].where == TU_IN_STREAM;
    p->explained = !passed && tu_pair_puzzles(terms, p, &p->sums);
    return p->explained ? tu_pair_explain(terms, p, error) : 0;
}

static int put(void *context, void *slot, struct tu_error *error)
{
    struct run *run = context;
    struct tile *t = slot;
    struct tu_pair *p = t->pair;
    if (t->passing) {
        int passed = run->sink->record(&t->passing->map, error);
        tu_passing_free(t->passing);
        t->passing = NULL;
        return passed;
    }
    add_tile(p, t);
    if (!t->last)
        return 0;
    int done = explain(run, p, error);
    if (done == 0)
        done = put_pair(run, p, error);
    t->pair = NULL;
    tu_pair_free(p);
    return done;
}

static void release(void *context, void *slot)
{
    struct tile *t = slot;
    (void)context;
    /* What is still here was not put, because the run failed. */
    if (t->passing)
        tu_passing_free(t->passing);
    if (t->last && t->pair)
        tu_pair_free(t->pair);
    free(t->raw[0].bytes);
    free(t->raw[1].bytes);
    free(t->rows.bytes);
    tu_full_free(&t->full);
}

static void release_scratch(void *scratch)
{
    struct scratch *s = scratch;
    free(s->raw[0].bytes);
    free(s->raw[1].bytes);
    tu_full_rows_free(&s->waiting);
}

static int run_pairs(struct run *run, struct tu_error *error)
{
    const struct tu_pipeline pipeline = {.context = run,
                                         .slot_size = sizeof(struct tile),
                                         .scratch_size = sizeof(struct scratch),
                                         .take = take,
                                         .work = work,
                                         .put = put,
                                         .release = release,
                                         .release_scratch = release_scratch};
    const struct tu_side *lead = &run->matching.sides[run->matching.lead];
    for (size_t i = 0; i < lead->selected; i++)
        run->total += lead->order[i].tensor->nbytes;
    int result = tu_pipeline_run(&pipeline, (unsigned)run->matching.session->threads, error);
    if (run->pair)
        tu_pair_free(run->pair);
    release_scratch(&run->scratch);
    if (result == 0)
        result = tu_operand_unchanged(&run->matching.sides[0].operand, error);
    return result < 0 ? -1 : tu_operand_unchanged(&run->matching.sides[1].operand, error);
}

/* Opens the cache, and makes the digests that it goes by, unless few of them will be needed. */
static int open_cache(struct run *run, struct tu_error *error)
{
    if (!run->matching.options->cache)
        return 0;
    run->cache = tu_cache_open(run->matching.options, error);
    if (!run->cache)
        return -1;
    bool files =
        !run->matching.sides[0].operand.is_stream && !run->matching.sides[1].operand.is_stream;
    for (int i = 0; i < 2 && files && !run->matching.session->selection.limit; i++)
        if (tu_cache_learn(run->cache, run->matching.session, run->matching.sides[i].order,
                           run->matching.sides[i].selected, error) < 0)
            return -1;
    return 0;
}

/* Names the files that are compared, so that who reads the results knows them. */
static int say_sources(struct run *run, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tensor_value map;
    int result = 0;
    for (int i = 0; i < 2; i++) {
        const struct tu_operand *o = &run->matching.sides[i].operand;
        for (size_t k = 0; k < o->model_count && result == 0; k++) {
            result = tu_compared_source(&o->models[k], run->matching.sources++, i ? "b" : "a",
                                        &arena, &map, error);
            if (result == 0)
                result = run->sink->record(&map, error);
        }
    }
    tu_arena_free(&arena);
    return result;
}

int tu_compare_operands(struct tu_session *session, const char *a, const char *b,
                        const struct tu_pair_options *options, const struct tu_pair_sink *sink,
                        struct tu_error *error)
{
    const char *const paths[2] = {a, b};
    struct run run = {.sink = sink};
    if (strcmp(a, "-") == 0 && strcmp(b, "-") == 0)
        return tu_fail(error, TU_EUSAGE, "both operands are standard input");
    int result = tu_matching_open(&run.matching, session, paths, options, error);
    if (result == 0)
        result = say_sources(&run, error);
    if (result == 0)
        result = open_cache(&run, error);
    if (result == 0)
        result = run_pairs(&run, error);
    tu_cache_close(run.cache);
    tu_matching_close(&run.matching);
    return result;
}
