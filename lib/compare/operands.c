/* SPDX-License-Identifier: MIT */
/* Compares two operands: pairs as they meet, tiles on all threads, results in order. */
#include "config.h"

#include "compare/operands.h"

#include <stdlib.h>
#include <string.h>

#include "compare/facts.h"
#include "compare/cache/cache.h"
#include "compare/oracle/ask.h"
#include "compare/record.h"
#include "compare/matching.h"
#include "compare/tiles.h"
#include "base/pipeline.h"
#include "model/source-record.h"

/* A pair in work, and the record that a cache has of it. */
struct work {
    struct tu_task task;
    const struct tensor_value *known; /* the record, where the cache has it */
    char key[TU_DIGEST_TEXT];         /* under which it is kept; empty: it is not */
};

/* A place of the pipeline: a tile of a pair, a pair without tiles, or a record. */
struct slot {
    struct tu_passing *passing;
    struct work *work;
    struct tu_tile tile;
    bool last;     /* of the pair */
    bool compared; /* already when it was taken, or there is nothing to compare */
};

struct run {
    struct tu_matching matching;
    struct work *work;        /* whose tiles are being taken */
    struct tu_tile_room room; /* of the thread that takes them */
    const struct tu_pair_sink *sink;
    struct tu_cache *cache;
    uint64_t done, total;
    struct tu_passing **facts; /* records that come before all pairs */
    size_t fact_count, fact_capacity, next_fact;
    bool facts_made, ended;
};

/* ---- Results ---- */

/* What explains a pair, and what the operations say that made it, is more than a cache knows. */
static struct tu_cache *cache_for(const struct run *run, const struct work *w)
{
    const struct tu_pair *p = w->task.pair;
    bool made = p->stored[0].scope.operation.type == TENSOR_MAP ||
                p->stored[1].scope.operation.type == TENSOR_MAP;
    return p->explained || made || w->task.plan.has_logits ? NULL : run->cache;
}

static struct tu_pair_result describe(const struct run *run, const struct work *w)
{
    const struct tu_pair *p = w->task.pair;
    /* Of tied tensors the one that was left over gives the name; else a does. */
    int named = p->left_over ? !p->lead : !p->present[0];
    const char *name = p->stored[named].name, *names[2];
    for (int i = 0; i < 2; i++)
        names[i] = p->present[i] && strcmp(p->stored[i].name, name) != 0 ? p->stored[i].name : NULL;
    return (struct tu_pair_result){
        .match = p->match,
        .a = p->present[0] ? &p->stored[0] : NULL,
        .b = p->present[1] ? &p->stored[1] : NULL,
        .name = name,
        .name_a = names[0],
        .name_b = names[1],
        .transform = *p->transform ? p->transform : NULL,
        .reason = *p->reason ? p->reason : NULL,
        .layout = p->layout,
        .rows_only = {p->rows_only[0], p->rows_only[1]},
        .elements =
            p->partial ? p->elements : p->tensors[!p->present[0]].elements - w->task.plan.hidden,
        .hidden = w->task.plan.hidden,
        .counted = p->counted,
        .identical = p->identical,
        .first_diff = p->first_diff,
        .missing_slots = w->task.plan.slots.missing,
        .row = w->task.plan.comparison.row,
        .sums = w->task.tally.sums,
        .resolution = w->task.plan.comparison.resolution,
        .shifted = p->addend != 0,
        .column_rows = w->task.tally.columns.rows,
        .hypothesis = p->hypothesis,
        .buckets = run->matching.options->buckets ? &w->task.tally.buckets : NULL,
        .cache = cache_for(run, w),
        .known = w->known,
        .key = w->key};
}

/* Looks for the record of a pair of files. */
static int look_up(struct run *run, struct work *w, struct tu_error *error)
{
    struct tu_pair *p = w->task.pair;
    struct tu_pair_result result = describe(run, w);
    struct tu_cache_pair pair = {.result = &result, .lead = p->lead, .addend = p->addend};
    struct tensor_value record;
    if (!result.cache || p->match != TU_MATCH_BOTH)
        return 0;
    for (int i = 0; i < 2; i++) {
        const struct tu_origin *place = &p->places[i];
        if (place->where != TU_IN_MODEL && place->where != TU_IN_VIEW)
            return 0;
        pair.views[i] = place->where == TU_IN_VIEW ? place->view : NULL;
        pair.members[i] = (struct tu_member){place->model, &p->stored[i]};
    }
    int found = tu_cache_find(run->cache, &pair, &p->arena, w->key, &record, error);
    struct tensor_value *known = found > 0 ? tu_arena_alloc(&p->arena, sizeof *known) : NULL;
    if (known)
        *known = record;
    w->known = known;
    return found > 0 && !known ? tu_fail_memory(error) : found < 0 ? -1 : 0;
}

static void free_work(struct work *w)
{
    if (w->task.pair)
        tu_pair_free(w->task.pair);
    tu_tally_free(&w->task.tally);
    free(w);
}

/* ---- The pipeline ---- */

/* The next pair, planned. */
static int begin_work(struct run *run, struct tu_error *error)
{
    struct tu_pair *p;
    int more = tu_matching_next(&run->matching, &p, error);
    if (more != TU_FOUND)
        return more;
    struct work *w = run->work = calloc(1, sizeof *w);
    if (!w) {
        tu_pair_free(p);
        return tu_fail_memory(error);
    }
    w->task = (struct tu_task){.pair = p, .buckets = run->matching.options->buckets};
    if (tu_plan_settle(&run->matching.terms, p, &w->task.plan, error) < 0 ||
        tu_tally_begin(&w->task, error) < 0)
        return -1;
    return look_up(run, w, error) < 0 ? -1 : more;
}

/* ---- Facts ---- */

static int queue_fact(void *context, const struct tensor_value *record, struct tu_error *error)
{
    struct run *run = context;
    struct tu_passing *p = calloc(1, sizeof *p);
    if (!p || !TU_GROW(run->facts, run->fact_count, run->fact_capacity)) {
        free(p);
        return tu_fail_memory(error);
    }
    run->facts[run->fact_count++] = p;
    return tu_value_copy(record, &p->arena, &p->map, error);
}

/* Once both sides have come to their first tensor, or their end, it is known what they state. */
static int make_facts(struct run *run, struct tu_error *error)
{
    struct tu_fact_operand operands[2] = {0};
    const struct tu_fact_sink sink = {queue_fact, run};
    run->facts_made = true;
    /* Of several shares the first one says what the models state. */
    if (!run->matching.options->facts || run->matching.session->selection.share.number > 1)
        return 0;
    for (int i = 0; i < 2; i++) {
        struct tu_side *side = &run->matching.sides[i];
        operands[i] = (struct tu_fact_operand){.files = &side->operand, .stated = side->facts};
    }
    return tu_compare_facts(operands, &sink, error);
}

static void free_facts(struct run *run)
{
    while (run->next_fact < run->fact_count)
        tu_passing_free(run->facts[run->next_fact++]);
    free(run->facts);
}

/* Begins the next pair, unless a record or the end comes first. */
static int advance(struct run *run, struct tu_error *error)
{
    if (run->next_fact < run->fact_count)
        return 0;
    int more = begin_work(run, error);
    if (more < 0)
        return -1;
    run->ended = more == TU_ENDED;
    return !run->facts_made && more != TU_PASSING ? make_facts(run, error) : 0;
}

/* Of tensors in streams the first tile says, before the rest has passed, whether they will be
 * needed once more. */
static int look_ahead(struct run *run, struct slot *s, struct tu_error *error)
{
    struct tu_tile *t = &s->tile;
    struct tu_pair *p = s->work->task.pair;
    if (!run->matching.terms.oracle || s->work->task.plan.blocks[0] || t->first ||
        (p->places[0].where != TU_IN_STREAM && p->places[1].where != TU_IN_STREAM))
        return 0;
    if (tu_tile_compare(t, &run->room, error) < 0)
        return -1;
    s->compared = true;
    for (int i = 0; i < 2 && tu_plan_puzzles(&run->matching.terms, p, &t->sums); i++)
        if (p->places[i].where == TU_IN_STREAM &&
            tu_pair_keep(p, i, t->raw[i].bytes, t->raw[i].length, error) < 0)
            return -1;
    return 0;
}

static int take_tile(struct run *run, struct slot *s, struct tu_error *error)
{
    struct work *w = run->work;
    const struct tu_pair *p = w->task.pair;
    s->work = w;
    s->last = s->compared = true;
    if (p->match == TU_MATCH_BOTH && p->tensors[0].elements && !w->known) {
        s->compared = false;
        if (tu_tile_take(&w->task, &s->tile, error) < 0 || look_ahead(run, s, error) < 0) {
            s->work = NULL; /* it is the run's still */
            return -1;
        }
        s->last = s->tile.last;
    }
    if (s->last)
        run->work = NULL;
    return 1;
}

static int take(void *context, void *slot, struct tu_error *error)
{
    struct run *run = context;
    struct slot *s = slot;
    if (!run->work && !run->ended && advance(run, error) < 0)
        return -1;
    s->tile.count = 0;
    s->passing = run->next_fact < run->fact_count ? run->facts[run->next_fact++]
                                                  : tu_matching_passing(&run->matching);
    if (s->passing)
        return 1;
    return run->ended ? 0 : take_tile(run, s, error);
}

static int work(void *context, void *slot, void *room, struct tu_error *error)
{
    struct slot *s = slot;
    (void)context;
    return s->passing || s->compared ? 0 : tu_tile_compare(&s->tile, room, error);
}

/* The tokens of logits, where either side says them, and they are as many, and below the logits. */
static int find_tokens(struct tu_pair *p, const uint32_t **out, struct tu_error *error)
{
    const struct tu_tensor *t = &p->stored[0];
    uint64_t width = t->shape[t->rank - 1], count = t->elements / width, id;
    *out = NULL;
    for (int side = 0; side < 2; side++) {
        const struct tensor_value *ids = tu_value_get(&p->stored[side].scope.operation, "ids");
        if (!ids || ids->type != TENSOR_ARRAY || ids->array.count != count)
            continue;
        uint32_t *tokens = tu_arena_alloc(&p->arena, (size_t)count * sizeof *tokens);
        if (!tokens)
            return tu_fail_memory(error);
        uint64_t i = 0;
        for (; i < count && tu_value_uint(&ids->array.items[i], &id) && id < width; i++)
            tokens[i] = (uint32_t)id;
        *out = i == count ? tokens : NULL;
        return 0;
    }
    return 0;
}

static int compare_logits(const struct run *run, const struct work *w, struct tu_logits *out,
                          struct tu_error *error)
{
    struct tu_pair *p = w->task.pair;
    const struct tu_kernels *kernels = run->matching.terms.kernels;
    const uint32_t *tokens;
    const struct tu_view *views[2];
    for (int i = 0; i < 2; i++)
        if (!(views[i] = tu_pair_view(p, i, kernels, error)))
            return -1;
    if (find_tokens(p, &tokens, error) < 0)
        return -1;
    return tu_logits_compare(views, kernels, tokens, &p->arena, out, error);
}

static int put_pair(struct run *run, const struct work *w, struct tu_error *error)
{
    struct tu_pair_result result = describe(run, w);
    const struct tu_pair *p = w->task.pair;
    struct tu_full_metrics metrics;
    struct tu_logits logits;
    result.columns = tu_columns_metrics(&w->task.tally.columns);
    if (w->task.plan.has_logits) {
        if (compare_logits(run, w, &logits, error) < 0)
            return -1;
        result.logits = &logits;
    }
    if (w->task.plan.has_full) {
        metrics = tu_full_metrics(&w->task.tally.full);
        result.full = &w->task.tally.full;
        result.full_metrics = &metrics;
    }
    run->done += p->stored[p->lead].nbytes;
    tu_progress(run->matching.session, run->done, run->total);
    return run->sink->pair(run->sink->context, &result, error);
}

static bool is_changed(const struct run *run, const struct work *w)
{
    const struct tu_pair_result result = describe(run, w);
    const char *relation = result.counted ? NULL : tu_compare_relation(&result);
    return relation && strcmp(relation, "changed") == 0;
}

/* What explains a pair may follow from other tensors: it is not kept in a cache.  Where what
 * explains it is that all numbers lie elsewhere, that is what there is to say of it. */
static int explain(const struct run *run, struct work *w, struct tu_error *error)
{
    const struct tu_terms *terms = &run->matching.terms;
    struct tu_pair *p = w->task.pair;
    const struct tu_partial *sums = &w->task.tally.sums;
    /* What a stream brought has passed, unless its first tile disagreed already. */
    bool passed = p->places[0].where == TU_IN_STREAM || p->places[1].where == TU_IN_STREAM;
    p->explained = !passed && !w->task.plan.hidden && tu_plan_puzzles(terms, p, sums);
    if (p->explained && tu_pair_explain(terms, p, sums, error) < 0)
        return -1;
    if (!p->explained && !passed && terms->oracle && !w->known && is_changed(run, w) &&
        tu_pair_explain_change(terms, p, sums, error) < 0)
        return -1;
    p->layout = p->hypothesis.layout && sums->finite == sums->elements &&
                (p->match == TU_MATCH_BOTH || terms->transposing != TU_TRANSPOSE_NEVER);
    return 0;
}

/* What a mask hides was compared as zeros, which are equal. */
static void leave_out_hidden(struct work *w)
{
    struct tu_partial *sums = &w->task.tally.sums;
    uint64_t hidden = w->task.plan.hidden;
    sums->elements -= hidden;
    sums->finite -= hidden;
    sums->identical -= hidden;
}

static int put(void *context, void *slot, struct tu_error *error)
{
    struct run *run = context;
    struct slot *s = slot;
    struct work *w = s->work;
    if (s->passing) {
        int passed = run->sink->record(run->sink->context, &s->passing->map, error);
        tu_passing_free(s->passing);
        s->passing = NULL;
        return passed;
    }
    tu_tile_add(&w->task, &s->tile);
    if (!s->last)
        return 0;
    leave_out_hidden(w);
    int done = explain(run, w, error);
    if (done == 0)
        done = put_pair(run, w, error);
    s->work = NULL;
    free_work(w);
    return done;
}

static void release(void *context, void *slot)
{
    struct slot *s = slot;
    (void)context;
    /* What is still here was not put, because the run failed. */
    if (s->passing)
        tu_passing_free(s->passing);
    if (s->last && s->work)
        free_work(s->work);
    tu_tile_free(&s->tile);
}

static void release_room(void *room)
{
    tu_tile_room_free(room);
}

static int run_pairs(struct run *run, struct tu_error *error)
{
    const struct tu_pipeline pipeline = {.context = run,
                                         .slot_size = sizeof(struct slot),
                                         .scratch_size = sizeof(struct tu_tile_room),
                                         .take = take,
                                         .work = work,
                                         .put = put,
                                         .release = release,
                                         .release_scratch = release_room};
    const struct tu_side *lead = &run->matching.sides[run->matching.lead];
    for (size_t i = 0; i < lead->selected; i++)
        run->total += lead->order[i].tensor->nbytes;
    int result = tu_pipeline_run(&pipeline, (unsigned)run->matching.session->threads, error);
    if (run->work)
        free_work(run->work);
    tu_tile_room_free(&run->room);
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
    const struct tu_selection *part = &run->matching.session->selection;
    for (int i = 0; i < 2 && files && !part->limit && !part->share.count; i++)
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
                result = run->sink->record(run->sink->context, &map, error);
        }
    }
    tu_arena_free(&arena);
    return result;
}

/* A map of a folder of maps lies elsewhere on another machine: its name says which it is. */
static int describe_map(const struct tu_map *map, struct tu_arena *arena, struct tensor_value *out,
                        struct tu_error *error)
{
    char sha256[TU_DIGEST_TEXT];
    if (!map->named)
        return tu_artifact_record("map", map->path, &map->read, arena, out, error);
    return tu_map_digest(map, sha256, error) < 0
               ? -1
               : tu_named_artifact_record("map", map->name, (uint64_t)map->read.st_size, sha256,
                                          arena, out, error);
}

/* Names the map by which tensors met, if any did. */
static int say_map(const struct run *run, struct tu_error *error)
{
    const struct tu_map *map = run->matching.partners.map;
    if (!run->matching.mapped || !map || !map->path)
        return 0;
    struct tu_arena arena = {0};
    struct tensor_value record;
    int result = describe_map(map, &arena, &record, error);
    if (result == 0)
        result = run->sink->record(run->sink->context, &record, error);
    tu_arena_free(&arena);
    return result;
}

/* Says which share this was, so that who reads all of them knows what is missing. */
static int say_share(const struct run *run, struct tu_error *error)
{
    const struct tu_share *share = &run->matching.session->selection.share;
    struct tu_arena arena = {0};
    struct tensor_value record;
    if (!share->count)
        return 0;
    int result = tu_share_record(share, &run->matching.shared, &arena, &record, error);
    if (result == 0)
        result = run->sink->record(run->sink->context, &record, error);
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
    if (result == 0)
        result = say_map(&run, error);
    if (result == 0)
        result = say_share(&run, error);
    free_facts(&run);
    tu_cache_close(run.cache);
    tu_matching_close(&run.matching);
    return result;
}
