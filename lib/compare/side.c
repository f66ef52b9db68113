/* SPDX-License-Identifier: MIT */
/* Gives the tensors of one operand, in their order or by name; of a stream, what came early waits.
 */
#include "config.h"

#include "compare/side.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/facts/gather.h"
#include "model/source-record.h"

/* A tensor that came in a stream: it waits for its partner, its bytes in the temporary file, or it
 * has met it. */
struct tu_arrival {
    struct tu_tensor tensor; /* first: the tree is ordered by its name */
    uint64_t base;
    struct tu_met met;
};

/* ---- Streams ---- */

void tu_passing_free(struct tu_passing *p)
{
    tu_arena_free(&p->arena);
    free(p);
}

static int pass_on(struct tu_side *s, const struct tensor_value *map, struct tu_error *error)
{
    struct tu_passing *p = calloc(1, sizeof *p);
    if (!p)
        return tu_fail_memory(error);
    if (tu_value_copy(map, &p->arena, &p->map, error) < 0) {
        tu_passing_free(p);
        return -1;
    }
    s->passing = p;
    return TU_PASSING;
}

/* A source of a stream, as one that was compared. */
static int pass_source(struct tu_side *s, const struct tensor_value *record, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tensor_value map;
    const char *operand = s->operand_name;
    int result = tu_passed_source(record, (*s->sources)++, operand, &arena, &map, error);
    if (result == 0)
        result = pass_on(s, &map, error);
    tu_arena_free(&arena);
    return result;
}

/* Lists of words are long, and of no use here. */
static bool is_short(const struct tensor_value *v)
{
    enum { LONG = 4096 };
    return v->type == TENSOR_ARRAY    ? v->array.count < LONG
           : v->type == TENSOR_STRING ? v->string.length < LONG
                                      : true;
}

/* How many tokens a list of them has; 0: there is none. */
static uint64_t count_tokens(const struct tensor_value *metadata)
{
    static const char *const keys[] = {"tokenizer.ggml.tokens", "tokenizer.vocabulary"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct tensor_value *list = tu_value_get(metadata, keys[i]);
        if (list && list->type == TENSOR_ARRAY)
            return list->array.count;
    }
    return 0;
}

static int keep_metadata(struct tu_side *s, const struct tensor_value *record,
                         struct tu_error *error)
{
    const struct tensor_value *meta = tu_value_get(record, "meta");
    if (s->metadata || !meta || meta->type != TENSOR_MAP)
        return 0;
    struct tensor_pair *pairs = tu_arena_alloc(&s->arena, meta->map.count * sizeof *pairs);
    struct tensor_value *kept = tu_arena_alloc(&s->arena, sizeof *kept), few;
    size_t count = 0;
    if (!pairs || !kept)
        return tu_fail_memory(error);
    for (size_t i = 0; i < meta->map.count; i++)
        if (is_short(&meta->map.pairs[i].value))
            pairs[count++] = meta->map.pairs[i];
    few = (struct tensor_value){.type = TENSOR_MAP, .map = {pairs, count}};
    if (tu_value_copy(&few, &s->arena, kept, error) < 0)
        return -1;
    s->metadata = kept;
    s->stated = (struct tu_stated){kept, tu_value_equals(tu_value_get(record, "format"), "apr"),
                                   count_tokens(meta)};
    return 0;
}

/* What the stream's first source that states facts says. */
static int keep_facts(struct tu_side *s, const struct tensor_value *record, struct tu_error *error)
{
    if (s->facts)
        return 0;
    struct tu_model_facts *facts = tu_arena_alloc(&s->arena, sizeof *facts);
    if (!facts)
        return tu_fail_memory(error);
    if (tu_gather_record(record, &s->arena, facts, error) < 0)
        return -1;
    s->facts = facts->dialect == TU_DIALECT_NONE ? NULL : facts;
    return 0;
}

/* The next tensor of a stream that has a selected name. */
int tu_side_next(struct tu_side *s, struct tu_record *record, struct tu_error *error)
{
    int more;
    while (!s->ended && (more = tu_stream_next(&s->operand.stream, record, error)) != 0) {
        if (more < 0)
            return -1;
        if (record->kind == TU_KIND_TENSOR && tu_selects(s->names, &record->tensor))
            return TU_FOUND;
        if (record->kind == TU_KIND_RESULT)
            return pass_on(s, &record->map, error);
        if (record->kind == TU_KIND_SOURCE)
            return keep_metadata(s, &record->map, error) < 0 ||
                           keep_facts(s, &record->map, error) < 0
                       ? -1
                       : pass_source(s, &record->map, error);
    }
    s->ended = true;
    return TU_ENDED;
}

static int compare_arrivals(const void *a, const void *b)
{
    const struct tu_tensor *x = a, *y = b;
    size_t shorter = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = memcmp(x->name, y->name, shorter);
    return order ? order : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

/* All of a tensor has met its namesake, or came up itself. */
static int meet(struct tu_met *m, const struct tu_tensor *t, struct tu_error *error)
{
    bool again;
    m->by_name = true;
    return tu_coverage_add(&m->shown, (struct tu_portion){0, t->elements, false}, &again, error);
}

/* Notes a tensor that came, so that a second one of its name is noticed. */
static int note(struct tu_side *s, const struct tu_tensor *t, bool met, struct tu_error *error)
{
    struct tu_arrival *w = tu_arena_alloc(&s->arena, sizeof *w);
    if (!w || !TU_GROW(s->list, s->count, s->capacity))
        return tu_fail_memory(error);
    *w = (struct tu_arrival){.base = s->spool.length};
    if (tu_tensor_copy(&s->arena, t, &w->tensor, error) < 0 || (met && meet(&w->met, t, error) < 0))
        return -1;
    void *node = tsearch(w, &s->tree, compare_arrivals);
    if (!node)
        return tu_fail_memory(error);
    if (*(struct tu_arrival **)node != w)
        return tu_fail(error, TU_EINVALID, "%s: tensor '%s' comes twice", s->operand.stream.path,
                       w->tensor.name);
    s->list[s->count++] = w;
    return 0;
}

int tu_side_keep(struct tu_side *s, const struct tu_tensor *t, struct tu_error *error)
{
    return note(s, t, false, error) < 0
               ? -1
               : tu_spool_stream(&s->spool, &s->operand.stream, t->nbytes, error);
}

int tu_side_unmeet(struct tu_side *s, struct tu_error *error)
{
    struct tu_arrival *w = s->list[s->count - 1];
    tu_coverage_free(&w->met.shown);
    w->met = (struct tu_met){0};
    w->base = s->spool.length;
    return tu_spool_stream(&s->spool, &s->operand.stream, w->tensor.nbytes, error);
}

/* ---- Opening ---- */

int tu_side_open(struct tu_side *s, struct tu_session *session, const struct tu_selection *names,
                 const char *path, const char *operand_name, uint64_t *sources,
                 struct tu_error *error)
{
    /* Standard input is read as a stream even where it is a file, so that other records in it pass.
     */
    enum tu_access access = session->selection.order != TU_ORDER_FILE ? TU_ACCESS_RANDOM
                            : strcmp(path, "-") == 0                  ? TU_ACCESS_SEQUENTIAL
                                                                      : TU_ACCESS_PREFERRED;
    *s = (struct tu_side){.names = names, .operand_name = operand_name, .sources = sources};
    if (tu_operand_open(&s->operand, session, path, access, error) < 0)
        return -1;
    if (s->operand.is_stream)
        return 0;
    const struct tu_operand *o = &s->operand;
    s->met = calloc(o->model_count, sizeof *s->met);
    for (size_t i = 0; s->met && i < o->model_count; i++)
        if (!(s->met[i] = calloc(o->models[i].count + 1, sizeof **s->met)))
            return tu_fail_memory(error);
    if (!s->met)
        return tu_fail_memory(error);
    return tu_operand_select(o, names, &s->order, &s->selected, error);
}

static void ignore(void *node)
{
    (void)node;
}

void tu_side_close(struct tu_side *s)
{
    for (size_t i = 0; s->met && i < s->operand.model_count; i++) {
        for (size_t k = 0; s->met[i] && k < s->operand.models[i].count; k++)
            tu_coverage_free(&s->met[i][k].shown);
        free(s->met[i]);
    }
    for (size_t i = 0; i < s->count; i++)
        tu_coverage_free(&s->list[i]->met.shown);
    tu_operand_close(&s->operand);
    if (s->tree)
        tdestroy(s->tree, ignore);
    tu_spool_close(&s->spool);
    free(s->met);
    free(s->order);
    free(s->list);
    if (s->passing)
        tu_passing_free(s->passing);
    tu_arena_free(&s->arena);
}

/* ---- Finding ---- */

static struct tu_met *met_of(const struct tu_side *s, const struct tu_member *m)
{
    return &s->met[m->model - s->operand.models][m->tensor - m->model->tensors];
}

/* A namesake that came up by its name before is there twice; one that a map gave away is not to be
 * had any more. */
static int meet_namesake(struct tu_met *met, const struct tu_tensor *t, struct tu_error *error)
{
    if (met->by_name)
        return tu_fail(error, TU_EINVALID, "tensor '%s' comes twice on one side", t->name);
    if (tu_coverage_any(&met->shown))
        return TU_ENDED;
    return meet(met, t, error) < 0 ? -1 : TU_FOUND;
}

static int find_in_models(struct tu_side *s, const struct tu_tensor *like, struct tu_origin *out,
                          struct tu_error *error)
{
    struct tu_member m = tu_operand_find(&s->operand, like->name, like->name_length);
    if (!m.model)
        return TU_ENDED;
    *out = (struct tu_origin){.where = TU_IN_MODEL, .model = m.model, .tensor = m.tensor};
    return meet_namesake(met_of(s, &m), m.tensor, error);
}

static int find_waiting(struct tu_side *s, const struct tu_tensor *like, struct tu_origin *out,
                        struct tu_error *error)
{
    void *node = tfind(like, &s->tree, compare_arrivals);
    if (!node)
        return TU_ENDED;
    struct tu_arrival *w = *(struct tu_arrival **)node;
    *out = (struct tu_origin){
        .where = TU_IN_SPOOL, .spool = &s->spool, .tensor = &w->tensor, .base = w->base};
    return meet_namesake(&w->met, &w->tensor, error);
}

/* Looks among those that wait, then reads on until the name comes; what comes before it waits. */
static int find_in_stream(struct tu_side *s, const struct tu_tensor *like, struct tu_record *record,
                          struct tu_origin *out, struct tu_error *error)
{
    int found = find_waiting(s, like, out, error);
    bool gone = found == TU_ENDED && tfind(like, &s->tree, compare_arrivals);
    while (found == TU_ENDED && !gone) {
        int more = tu_side_next(s, record, error);
        if (more != TU_FOUND)
            return more;
        if (compare_arrivals(&record->tensor, like) == 0) {
            *out = (struct tu_origin){
                .where = TU_IN_STREAM, .stream = &s->operand.stream, .tensor = &record->tensor};
            return note(s, &record->tensor, true, error) < 0 ? -1 : TU_FOUND;
        }
        found = tu_side_keep(s, &record->tensor, error);
    }
    return found;
}

int tu_side_find(struct tu_side *s, const struct tu_tensor *like, struct tu_record *record,
                 struct tu_origin *out, struct tu_error *error)
{
    return s->operand.is_stream ? find_in_stream(s, like, record, out, error)
                                : find_in_models(s, like, out, error);
}

/* ---- One after another ---- */

/* The next tensor of the leading side. */
int tu_side_lead(struct tu_side *s, struct tu_record *record, struct tu_origin *out,
                 struct tu_error *error)
{
    *out = (struct tu_origin){.where = TU_IN_MODEL};
    if (s->operand.is_stream) {
        out->where = TU_IN_STREAM;
        out->stream = &s->operand.stream;
        out->tensor = &record->tensor;
        int more = tu_side_next(s, record, error);
        return more == TU_FOUND && note(s, out->tensor, true, error) < 0 ? -1 : more;
    }
    /* Some may have met while the other side led. */
    while (s->position < s->selected && tu_coverage_any(&met_of(s, &s->order[s->position])->shown))
        s->position++;
    if (s->position == s->selected)
        return TU_ENDED;
    out->model = s->order[s->position].model;
    out->tensor = s->order[s->position++].tensor;
    return TU_FOUND;
}

/* The next that waits for a partner which never came. */
static int next_unmet(struct tu_side *s, struct tu_origin *out, const struct tu_coverage **shown)
{
    while (s->next_waiting < s->count) {
        const struct tu_arrival *w = s->list[s->next_waiting++];
        if (tu_coverage_all(&w->met.shown, &w->tensor))
            continue;
        *shown = tu_coverage_any(&w->met.shown) ? &w->met.shown : NULL;
        *out = (struct tu_origin){
            .where = TU_IN_SPOOL, .spool = &s->spool, .tensor = &w->tensor, .base = w->base};
        return TU_FOUND;
    }
    return TU_ENDED;
}

static int next_unmet_in_models(struct tu_side *s, struct tu_origin *out,
                                const struct tu_coverage **shown)
{
    while (s->position < s->selected) {
        const struct tu_member *m = &s->order[s->position++];
        const struct tu_coverage *c = &met_of(s, m)->shown;
        if (tu_coverage_all(c, m->tensor))
            continue;
        *shown = tu_coverage_any(c) ? c : NULL;
        *out = (struct tu_origin){.where = TU_IN_MODEL, .model = m->model, .tensor = m->tensor};
        return TU_FOUND;
    }
    return TU_ENDED;
}

/* What the other side has left when the leading one has ended. */
int tu_side_left_over(struct tu_side *s, struct tu_record *record, struct tu_origin *out,
                      const struct tu_coverage **shown, struct tu_error *error)
{
    *shown = NULL;
    if (!s->operand.is_stream)
        return next_unmet_in_models(s, out, shown);
    if (next_unmet(s, out, shown) == TU_FOUND)
        return TU_FOUND;
    *out = (struct tu_origin){
        .where = TU_IN_STREAM, .stream = &s->operand.stream, .tensor = &record->tensor};
    int more = tu_side_next(s, record, error);
    return more == TU_FOUND && note(s, out->tensor, true, error) < 0 ? -1 : more;
}

/* ---- For maps ---- */

struct tu_stated tu_side_stated(const struct tu_side *s)
{
    if (s->operand.is_stream)
        return s->stated;
    const struct tu_model *m = &s->operand.models[0];
    return (struct tu_stated){&m->metadata, strcmp(m->format->name, "apr") == 0,
                              count_tokens(&m->metadata)};
}

/* What has waited, as tensors of a model. */
static int catalogue_waiting(struct tu_side *s, struct tu_catalogue *c, struct tu_error *error)
{
    s->spooled_model.source =
        (struct tu_source){.fd = s->spool.fd, .path = "temporary file", .size = s->spool.length};
    for (size_t i = 0; i < s->count; i++) {
        struct tu_arrival *w = s->list[i];
        if (tu_coverage_any(&w->met.shown))
            continue;
        struct tu_extent *extent = tu_arena_alloc(&s->arena, sizeof *extent);
        if (!extent)
            return tu_fail_memory(error);
        *extent = (struct tu_extent){w->base, w->tensor.nbytes};
        w->tensor.extents = extent;
        w->tensor.extent_count = 1;
        if (tu_catalogue_add(c, (struct tu_member){&s->spooled_model, &w->tensor}, error) < 0)
            return -1;
    }
    return 0;
}

static int catalogue_models(const struct tu_operand *o, struct tu_catalogue *c,
                            struct tu_error *error)
{
    for (size_t i = 0; i < o->model_count; i++)
        for (size_t k = 0; k < o->models[i].count; k++) {
            struct tu_member m = {&o->models[i], &o->models[i].tensors[k]};
            if (tu_catalogue_add(c, m, error) < 0)
                return -1;
        }
    return 0;
}

int tu_side_catalogue(struct tu_side *s, struct tu_catalogue *c, struct tu_error *error)
{
    if (!s->operand.is_stream)
        return catalogue_models(&s->operand, c, error);
    return s->ended ? catalogue_waiting(s, c, error) : 0;
}

/* Whether portions of a view are free, or they are taken. */
struct marking {
    struct tu_side *side;
    bool taken;
};

static struct tu_met *met_of_member(struct tu_side *s, struct tu_member m)
{
    return s->operand.is_stream ? &((struct tu_arrival *)(void *)(uintptr_t)m.tensor)->met
                                : met_of(s, &m);
}

static int mark(void *context, struct tu_member leaf, struct tu_portion portion,
                struct tu_error *error)
{
    struct marking *m = context;
    bool again;
    if (tu_coverage_add(&met_of_member(m->side, leaf)->shown, portion, &again, error) < 0)
        return -1;
    m->taken |= again;
    return 0;
}

/* Looks, and changes nothing. */
static int look(void *context, struct tu_member leaf, struct tu_portion portion,
                struct tu_error *error)
{
    struct marking *m = context;
    (void)error;
    m->taken |= tu_coverage_shows(&met_of_member(m->side, leaf)->shown, portion);
    return 0;
}

int tu_side_mark(struct tu_side *s, const struct tu_view *v, struct tu_error *error)
{
    struct marking m = {.side = s};
    if (tu_view_portions(v, look, &m, error) < 0)
        return -1;
    if (m.taken)
        return TU_ENDED;
    return tu_view_portions(v, mark, &m, error) < 0 ? -1 : TU_FOUND;
}
