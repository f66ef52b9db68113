/* SPDX-License-Identifier: MIT */
/* Goes over any number of operands, of any form, as one sequence of items. */
#include "config.h"

#include "model/feed.h"

#include <stdlib.h>
#include <string.h>

#include "model/dumps.h"
#include "model/facts/gather.h"
#include "model/packs/packs.h"
#include "model/source-record.h"
#include "stream/record.h"

/* An index is one record, whole in memory, and only a hint: one of more tensors is not worth it. */
enum { ANNOUNCED_MAX = 100000 };

static char standard_input[] = "-";
static char *const standard_operands[] = {standard_input};

void tu_feed_open(struct tu_feed *f, struct tu_session *session, char **operands, size_t count,
                  bool filtering)
{
    *f = (struct tu_feed){.session = session,
                          .operands = count ? operands : (char **)standard_operands,
                          .operand_count = count ? count : 1,
                          .filtering = filtering,
                          .operand = {.is_stream = true, .fd = -1}};
}

static void close_operand(struct tu_feed *f)
{
    tu_operand_close(&f->operand);
    free(f->order);
    f->order = NULL;
    f->selected = f->position = f->said = 0;
    f->current = (struct tu_member){0};
    f->step = TU_FEED_OPERAND;
}

void tu_feed_close(struct tu_feed *f)
{
    close_operand(f);
    tu_arena_free(&f->arena);
}

static bool wanted(const struct tu_feed *f, const struct tu_tensor *t)
{
    return !f->filtering || tu_selects(&f->session->selection, t);
}

static bool full(const struct tu_feed *f)
{
    uint64_t limit = f->session->selection.limit;
    return f->filtering && limit && f->given >= limit;
}

/* Leaves those that belong to the share that was asked for. */
static void take_share(struct tu_feed *f, const struct tu_share *share)
{
    struct tu_share_progress progress = {0};
    size_t kept = 0;
    for (size_t i = 0; i < f->selected; i++)
        progress.total += f->order[i].tensor->nbytes;
    for (size_t i = 0; i < f->selected; i++)
        if (tu_share_takes(share, &progress, f->order[i].tensor->nbytes))
            f->order[kept++] = f->order[i];
    f->selected = kept;
    f->shared.total += progress.total;
    f->shared.tensors += progress.tensors;
}

/* Lists the models' tensors in the order asked for, no more than the limit leaves. */
static int select_tensors(struct tu_feed *f, struct tu_error *error)
{
    const struct tu_selection *selection = f->filtering ? &f->session->selection : NULL;
    if (tu_operand_select(&f->operand, selection, &f->order, &f->selected, error) < 0)
        return -1;
    if (selection)
        take_share(f, &selection->share);
    uint64_t limit = selection ? selection->limit : 0;
    if (limit && f->selected > limit - f->given)
        f->selected = (size_t)(limit - f->given);
    for (size_t i = 0; i < f->selected; i++)
        f->total += f->order[i].tensor->nbytes;
    return 0;
}

static int open_operand(struct tu_feed *f, struct tu_error *error)
{
    bool sorted = f->filtering && f->session->selection.order != TU_ORDER_FILE;
    if (tu_operand_open(&f->operand, f->session, f->operands[f->next_operand++],
                        sorted ? TU_ACCESS_RANDOM : f->access, error) < 0)
        return -1;
    for (size_t i = 0; i < f->operand.model_count; i++)
        if (f->operand_count > 1 && !f->operand.company && f->operand.models[i].format->unnamed &&
            !f->operand.models[i].source.standard &&
            tu_dump_name_by_stem(&f->operand.models[i], error) < 0)
            return -1;
    f->segment_sources = f->sources;
    if (f->operand.is_stream && f->filtering && f->session->selection.share.count)
        return tu_fail(error, TU_EUSAGE, "%s: --shard divides files, and this is a stream",
                       f->operand.stream.path);
    f->step = f->operand.is_stream ? TU_FEED_TENSORS : TU_FEED_SOURCE;
    return f->operand.is_stream ? 0 : select_tensors(f, error);
}

/* ---- Items of a model ---- */

static int put_row(struct tu_builder *b, const struct tu_tensor *t, struct tu_error *error)
{
    if (tu_builder_open(b, NULL, 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_tensor(b, t, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int build_index(struct tu_feed *f, struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, &f->arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int result = tu_put_string(&b, "kind", "index", error);
    if (result == 0)
        result = tu_builder_open(&b, "tensors", strlen("tensors"), TENSOR_ARRAY, TENSOR_MAP, error);
    for (size_t i = 0; i < f->selected && result == 0; i++)
        result = put_row(&b, f->order[i].tensor, error);
    if (result == 0 && tu_builder_close(&b, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

/* What a model's tensor record says beside the tensor: where it comes from. */
static int build_origin(struct tu_feed *f, const struct tu_member *member, struct tensor_value *out,
                        struct tu_error *error)
{
    struct tu_builder b;
    uint64_t source = f->segment_sources + (uint64_t)(member->model - f->operand.models);
    if (tu_builder_begin(&b, &f->arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_uint(&b, "source", source, error) == 0 &&
        tu_put_uint(&b, "offset", member->tensor->extents->offset, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

static int give_tensor(struct tu_feed *f, const struct tu_member *member, struct tu_item *item,
                       struct tu_error *error)
{
    item->kind = TU_KIND_TENSOR;
    item->tensor = *member->tensor;
    f->current = *member;
    f->given++;
    if (build_origin(f, member, &item->map, error) < 0)
        return -1;
    return tu_tensor_check(&item->tensor, &item->geometry, error) < 0 ? -1 : 1;
}

/* The first of an operand's models speaks for all. */
static int give_source(struct tu_feed *f, struct tensor_value *out, struct tu_error *error)
{
    struct tu_gathered *gathered = NULL;
    const struct tu_model *m = &f->operand.models[f->said];
    if (f->stating && f->said == 0) {
        gathered = tu_arena_alloc(&f->arena, sizeof *gathered);
        if (!gathered)
            return tu_fail_memory(error);
        if (tu_gather_operand(&f->operand, true, &f->arena, gathered, error) < 0)
            return -1;
    }
    f->said++;
    bool states = gathered && gathered->facts.dialect != TU_DIALECT_NONE;
    return tu_source_record(m, states ? &gathered->facts : NULL, f->sources++, &f->arena, out,
                            error);
}

static int next_of_models(struct tu_feed *f, struct tu_item *item, struct tu_error *error)
{
    if (f->step == TU_FEED_SOURCE && f->said < f->operand.model_count) {
        item->kind = TU_KIND_SOURCE;
        return give_source(f, &item->map, error) < 0 ? -1 : 1;
    }
    if (f->step == TU_FEED_SOURCE) {
        f->step = TU_FEED_TENSORS;
        if (f->announcing && f->selected <= ANNOUNCED_MAX) {
            item->kind = TU_KIND_INDEX;
            return build_index(f, &item->map, error) < 0 ? -1 : 1;
        }
    }
    if (f->position < f->selected)
        return give_tensor(f, &f->order[f->position++], item, error);
    return tu_operand_unchanged(&f->operand, error);
}

/* ---- Items of a stream ---- */

/* A copy of a record in which the number under a key is counted from the start of the output. */
static int renumber(struct tu_feed *f, const struct tensor_value *map, const char *key,
                    struct tensor_value *out, struct tu_error *error)
{
    uint64_t number;
    const struct tensor_value *old = tu_value_get(map, key);
    *out = *map;
    if (!tu_value_uint(old, &number))
        return 0;
    struct tensor_pair *pairs = tu_arena_alloc(&f->arena, map->map.count * sizeof *pairs);
    if (!pairs)
        return tu_fail_memory(error);
    memcpy(pairs, map->map.pairs, map->map.count * sizeof *pairs);
    for (size_t i = 0; i < map->map.count; i++)
        if (&map->map.pairs[i].value == old)
            pairs[i].value =
                (struct tensor_value){.type = TENSOR_UINT64, .uint = number + f->segment_sources};
    out->map.pairs = pairs;
    return 0;
}

/* What belongs together is seen together where the stream announces it. */
static int check_unpacked(const struct tu_feed *f, const struct tu_tensor *t,
                          struct tu_error *error)
{
    if (f->session->packs == TU_PACKS_NEVER || !tu_packs_certain(t))
        return 0;
    return tu_fail(
        error, TU_EINVALID,
        "%s: tensor '%.200s' is part of a packed weight, which its stream did not announce "
        "(save the stream as a file, or --packs never)",
        f->operand.stream.path, t->name);
}

static int next_of_stream(struct tu_feed *f, struct tu_item *item, struct tu_error *error)
{
    struct tu_record record;
    int more;
    while ((more = tu_stream_next(&f->operand.stream, &record, error)) > 0) {
        item->kind = record.kind;
        if (record.kind == TU_KIND_STREAM) {
            f->segment_sources = f->sources;
            if (f->segmenting)
                return 1;
        } else if (record.kind == TU_KIND_SOURCE) {
            f->sources++;
            return renumber(f, &record.map, "id", &item->map, error) < 0 ? -1 : 1;
        } else if (record.kind == TU_KIND_TENSOR && wanted(f, &record.tensor) && !full(f)) {
            f->given++;
            if (check_unpacked(f, &record.tensor, error) < 0)
                return -1;
            item->tensor = record.tensor;
            item->geometry = record.geometry;
            return renumber(f, &record.map, "source", &item->map, error) < 0 ? -1 : 1;
        } else if (record.kind == TU_KIND_RESULT ||
                   (record.kind == TU_KIND_INDEX && f->announcing && !f->filtering)) {
            item->map = record.map;
            return 1;
        }
    }
    return more < 0 ? more : tu_operand_unchanged(&f->operand, error);
}

int tu_feed_next(struct tu_feed *f, struct tu_item *item, struct tu_error *error)
{
    tu_arena_free(&f->arena);
    f->current = (struct tu_member){0};
    f->offset = 0;
    for (;;) {
        *item = (struct tu_item){0};
        if (f->step == TU_FEED_OPERAND) {
            if (f->next_operand == f->operand_count)
                return 0;
            if (open_operand(f, error) < 0)
                return -1;
        }
        int more =
            f->operand.is_stream ? next_of_stream(f, item, error) : next_of_models(f, item, error);
        if (more != 0)
            return more;
        close_operand(f);
    }
}

bool tu_feed_goes_on(const struct tu_feed *f)
{
    return f->current.model && f->position < f->selected;
}

int tu_feed_read(struct tu_feed *f, void *buffer, size_t length, struct tu_error *error)
{
    f->done += length;
    tu_progress(f->session, f->done, f->total);
    if (!f->current.model)
        return tu_stream_read(&f->operand.stream, buffer, length, error);
    int result =
        tu_model_read(f->current.model, f->current.tensor, f->offset, buffer, length, error);
    f->offset += length;
    return result;
}

ssize_t tu_feed_move(struct tu_feed *f, int to, off_t *at, uint64_t length, struct tu_error *error)
{
    if (f->current.model)
        return 0;
    ssize_t n = tu_stream_move(&f->operand.stream, to, at, length, error);
    if (n > 0)
        tu_progress(f->session, f->done += (uint64_t)n, f->total);
    return n;
}
