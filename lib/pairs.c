/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "pairs.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool.h"
#include "text.h"

/* A tensor that came in a stream: it waits for its partner, its bytes in the temporary file, or it
 * has met it. */
struct waiting {
    struct tu_tensor tensor; /* first: the tree is ordered by its name */
    uint64_t base;
    bool met;
};

/* A record on its way through. */
struct passing {
    struct tu_arena arena;
    struct tensor_value map;
};

struct side {
    struct tu_operand operand;
    bool **met; /* of each model, for its tensors: whether they were given */
    size_t position;
    struct tu_member *order; /* the selected tensors of models */
    size_t selected;

    int spool; /* -1: none yet */
    uint64_t spooled;
    void *tree;
    struct waiting **list;
    size_t count, capacity, next_waiting;
    struct tu_arena arena; /* of the waiting */
    bool ended;
};

/* More than any block has. */
enum { CARRY_BYTES = 512 };

/* Where the bytes of one tensor of a pair come from. */
struct place {
    enum { IN_MODEL, IN_SPOOL, IN_STREAM } where;
    struct side *side;
    const struct tu_model *model;   /* for IN_MODEL */
    const struct tu_tensor *tensor; /* in the side */
    uint64_t base;                  /* in the temporary file, for IN_SPOOL */
    /* IN_STREAM: how many bytes were read, and the last of them.  Tiles that the other side cuts
     * may begin in the block in which the one before ended. */
    uint64_t read;
    uint8_t carry[CARRY_BYTES];
};

struct pair {
    struct tu_arena arena; /* of the copies below */
    enum tu_match match;
    struct tu_tensor tensors[2]; /* a, b */
    bool present[2];
    struct place places[2];
    struct tu_decoder decoders[2];
    int cutter;          /* the side whose rows cut the tiles */
    uint64_t unit, next; /* of tiles */
    struct tu_partial sums;
    /* Maxima of the tiles that were put, for those that are worked on meanwhile: they save work
     * and change no result. */
    _Atomic double max_diff, max_rel_diff;
};

/* A piece of work: some elements of a pair, or a record. */
struct tile {
    struct passing *passing;
    struct pair *pair;
    uint64_t first;
    size_t count;
    bool last;
    uint8_t *raw[2];
    size_t capacity[2];
    struct tu_partial sums;
};

struct run {
    struct tu_tool *tool;
    struct side sides[2];      /* a, b */
    struct tu_selection names; /* what the tool's selection says of names */
    int lead;                  /* the side that is gone through; the other is asked */
    struct pair *filling;      /* being found; a record may come in between */
    struct pair *pair;         /* whose tiles are being taken */
    struct passing *passing;   /* a record that comes before them */
    uint64_t given;
    const struct tu_pair_sink *sink;
    uint64_t done, total;
};

/* What a search came to, where it did not fail. */
enum { ENDED, FOUND, PASSED /* a record was met: put it out and go on */ };

/* ---- Sides ---- */

static int open_side(struct run *run, struct side *s, const char *path, struct tu_error *error)
{
    struct tu_tool *tool = run->tool;
    /* Standard input is read as a stream even where it is a file, so that other records in it pass.
     */
    enum tu_access access = tool->selection.order != TU_ORDER_FILE ? TU_ACCESS_RANDOM
                            : strcmp(path, "-") == 0               ? TU_ACCESS_SEQUENTIAL
                                                                   : TU_ACCESS_PREFERRED;
    *s = (struct side){.spool = -1};
    if (tu_operand_open(&s->operand, tool, path, access, error) < 0)
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
    return tu_operand_select(o, &run->names, &s->order, &s->selected, error);
}

static void ignore(void *node)
{
    (void)node;
}

static void close_side(struct side *s)
{
    for (size_t i = 0; s->met && i < s->operand.model_count; i++)
        free(s->met[i]);
    tu_operand_close(&s->operand);
    if (s->tree)
        tdestroy(s->tree, ignore);
    if (s->spool >= 0)
        close(s->spool);
    free(s->met);
    free(s->order);
    free(s->list);
    tu_arena_free(&s->arena);
}

static int copy_tensor(struct tu_arena *arena, const struct tu_tensor *t, struct tu_tensor *out,
                       struct tu_error *error)
{
    *out = *t;
    out->name = tu_arena_copy(arena, t->name, t->name_length);
    uint64_t *shape = tu_arena_alloc(arena, t->rank * sizeof *shape);
    if (!out->name || !shape)
        return tu_fail_memory(error);
    if (t->rank)
        memcpy(shape, t->shape, t->rank * sizeof *shape);
    out->shape = shape;
    return 0;
}

static void free_passing(struct passing *p)
{
    tu_arena_free(&p->arena);
    free(p);
}

static int pass_on(struct run *run, const struct tensor_value *map, struct tu_error *error)
{
    struct passing *p = calloc(1, sizeof *p);
    if (!p)
        return tu_fail_memory(error);
    if (tu_value_copy(map, &p->arena, &p->map, error) < 0) {
        free_passing(p);
        return -1;
    }
    run->passing = p;
    return PASSED;
}

/* The next tensor of a stream that has a selected name. */
static int next_in_stream(struct run *run, struct side *s, struct tu_record *record,
                          struct tu_error *error)
{
    int more;
    while (!s->ended && (more = tu_stream_next(&s->operand.stream, record, error)) != 0) {
        if (more < 0)
            return -1;
        if (record->kind == TU_KIND_TENSOR && tu_selects(&run->names, &record->tensor))
            return FOUND;
        if (record->kind == TU_KIND_RESULT)
            return pass_on(run, &record->map, error);
    }
    s->ended = true;
    return ENDED;
}

static int compare_waiting(const void *a, const void *b)
{
    const struct tu_tensor *x = a, *y = b;
    size_t shorter = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = memcmp(x->name, y->name, shorter);
    return order ? order : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

/* Moves the bytes of the stream's current tensor to the temporary file. */
static int spool_bytes(struct side *s, uint64_t length, struct tu_error *error)
{
    char buffer[64 * 1024];
    if (s->spool < 0 && (s->spool = tu_temporary(error)) < 0)
        return -1;
    while (length) {
        size_t n = length < sizeof buffer ? (size_t)length : sizeof buffer;
        if (tu_stream_read(&s->operand.stream, buffer, n, error) < 0)
            return -1;
        for (size_t done = 0; done < n;) {
            ssize_t m = pwrite(s->spool, buffer + done, n - done, (off_t)(s->spooled + done));
            if (m < 0 && errno != EINTR)
                return tu_fail_errno(error, "temporary file");
            done += m > 0 ? (size_t)m : 0;
        }
        s->spooled += n;
        length -= n;
    }
    return 0;
}

/* Notes a tensor that came, so that a second one of its name is noticed. */
static int note(struct side *s, const struct tu_tensor *t, bool met, struct tu_error *error)
{
    struct waiting *w = tu_arena_alloc(&s->arena, sizeof *w);
    if (!w || !TU_GROW(s->list, s->count, s->capacity))
        return tu_fail_memory(error);
    *w = (struct waiting){.base = s->spooled, .met = met};
    if (copy_tensor(&s->arena, t, &w->tensor, error) < 0)
        return -1;
    void *node = tsearch(w, &s->tree, compare_waiting);
    if (!node)
        return tu_fail_memory(error);
    if (*(struct waiting **)node != w)
        return tu_fail(error, TU_EINVALID, "%s: tensor '%s' comes twice", s->operand.stream.path,
                       w->tensor.name);
    s->list[s->count++] = w;
    return 0;
}

static int put_waiting(struct side *s, const struct tu_tensor *t, struct tu_error *error)
{
    return note(s, t, false, error) < 0 ? -1 : spool_bytes(s, t->nbytes, error);
}

/* ---- Finding partners ---- */

static bool *met_of(const struct side *s, const struct tu_member *m)
{
    return &s->met[m->model - s->operand.models][m->tensor - m->model->tensors];
}

static int find_in_models(struct side *s, const struct tu_tensor *like, struct place *out,
                          struct tu_error *error)
{
    struct tu_member m = tu_operand_find(&s->operand, like->name, like->name_length);
    if (!m.model)
        return 0;
    if (*met_of(s, &m))
        return tu_fail(error, TU_EINVALID, "tensor '%s' comes twice on one side", like->name);
    *met_of(s, &m) = true;
    *out = (struct place){.where = IN_MODEL, .side = s, .model = m.model, .tensor = m.tensor};
    return 1;
}

static int find_waiting(struct side *s, const struct tu_tensor *like, struct place *out,
                        struct tu_error *error)
{
    void *node = tfind(like, &s->tree, compare_waiting);
    if (!node)
        return 0;
    struct waiting *w = *(struct waiting **)node;
    if (w->met)
        return tu_fail(error, TU_EINVALID, "tensor '%s' comes twice on one side", w->tensor.name);
    w->met = true;
    *out = (struct place){.where = IN_SPOOL, .side = s, .tensor = &w->tensor, .base = w->base};
    return 1;
}

/* Looks among those that wait, then reads on until the name comes; what comes before it waits. */
static int find_in_stream(struct run *run, struct side *s, const struct tu_tensor *like,
                          struct tu_record *record, struct place *out, struct tu_error *error)
{
    int found = find_waiting(s, like, out, error);
    while (found == 0) {
        int more = next_in_stream(run, s, record, error);
        if (more != FOUND)
            return more;
        if (compare_waiting(&record->tensor, like) == 0) {
            *out = (struct place){.where = IN_STREAM, .side = s, .tensor = &record->tensor};
            return note(s, &record->tensor, true, error) < 0 ? -1 : FOUND;
        }
        found = put_waiting(s, &record->tensor, error);
    }
    return found;
}

/* ---- Making pairs ---- */

/* The shape without leading and trailing ones. */
static uint32_t strip(const struct tu_tensor *t, const uint64_t **shape)
{
    uint32_t first = 0, last = t->rank;
    while (first < last && t->shape[first] == 1)
        first++;
    while (last > first && t->shape[last - 1] == 1)
        last--;
    *shape = t->shape + first;
    return last - first;
}

static bool same_shape(const struct tu_tensor *a, const struct tu_tensor *b)
{
    const uint64_t *x, *y;
    uint32_t n = strip(a, &x);
    return n == strip(b, &y) && memcmp(x, y, n * sizeof *x) == 0;
}

/* Bytes from offset on, which is where the last ones ended or less than a block before. */
static int read_stream(struct place *p, uint64_t offset, uint8_t *buffer, size_t length,
                       struct tu_error *error)
{
    size_t again = (size_t)(p->read - offset), kept = length < CARRY_BYTES ? length : CARRY_BYTES;
    if (again)
        memcpy(buffer, p->carry + CARRY_BYTES - again, again);
    if (tu_stream_read(&p->side->operand.stream, buffer + again, length - again, error) < 0)
        return -1;
    p->read = offset + length;
    memcpy(p->carry + CARRY_BYTES - kept, buffer + length - kept, kept);
    return 0;
}

static int read_place(struct place *p, uint64_t offset, void *buffer, size_t length,
                      struct tu_error *error)
{
    if (p->where == IN_MODEL)
        return tu_model_read(p->model, p->tensor, offset, buffer, length, error);
    if (p->where == IN_STREAM)
        return read_stream(p, offset, buffer, length, error);
    /* The file may be growing: it is bounded by what is known to be in it. */
    struct tu_source spool = {
        .fd = p->side->spool, .path = "temporary file", .size = p->base + p->tensor->nbytes};
    return tu_source_read(&spool, p->base + offset, buffer, length, error);
}

static int start_decoder(struct run *run, struct pair *pair, int i, struct tu_error *error)
{
    struct tu_geometry geometry;
    uint8_t head[8];
    struct tu_tensor *t = &pair->tensors[i];
    if (tu_tensor_check(t, &geometry, error) < 0)
        return -1;
    size_t length = t->elements ? geometry.dtype->head : 0;
    if (length && read_place(&pair->places[i], 0, head, length, error) < 0)
        return -1;
    memset(head + length, 0, sizeof head - length);
    return tu_decoder_init(&pair->decoders[i], &geometry, run->tool->kernels, head, error);
}

static bool is_real(const struct run *run, const struct tu_tensor *t)
{
    return run->tool->kernels->decode[t->dtype] != NULL;
}

static int settle_match(struct run *run, struct pair *p, struct tu_error *error)
{
    if (!p->present[0] || !p->present[1])
        p->match = p->present[0] ? TU_MATCH_ONLY_A : TU_MATCH_ONLY_B;
    else if (!same_shape(&p->tensors[0], &p->tensors[1]))
        p->match = TU_MATCH_SHAPES;
    else if (!is_real(run, &p->tensors[0]) || !is_real(run, &p->tensors[1]))
        p->match = TU_MATCH_NOT_REAL;
    else {
        p->match = TU_MATCH_BOTH;
        if (start_decoder(run, p, 0, error) < 0 || start_decoder(run, p, 1, error) < 0)
            return -1;
        uint64_t a = tu_geometry_unit(&p->decoders[0].geometry);
        uint64_t b = tu_geometry_unit(&p->decoders[1].geometry);
        p->cutter = b > a;
        p->unit = b > a ? b : a;
    }
    return 0;
}

static void free_pair(struct pair *p)
{
    tu_arena_free(&p->arena);
    free(p);
}

static int add_to_pair(struct pair *p, int i, const struct place *place, struct tu_error *error)
{
    p->present[i] = true;
    p->places[i] = *place;
    return copy_tensor(&p->arena, place->tensor, &p->tensors[i], error);
}

/* The next tensor of the leading side. */
static int next_of_lead(struct run *run, struct tu_record *record, struct place *out,
                        struct tu_error *error)
{
    struct side *s = &run->sides[run->lead];
    *out = (struct place){.where = IN_MODEL, .side = s};
    if (s->operand.is_stream) {
        out->where = IN_STREAM;
        out->tensor = &record->tensor;
        int more = next_in_stream(run, s, record, error);
        return more == FOUND && note(s, out->tensor, true, error) < 0 ? -1 : more;
    }
    if (s->position == s->selected)
        return ENDED;
    out->model = s->order[s->position].model;
    out->tensor = s->order[s->position++].tensor;
    return FOUND;
}

/* The next that waits for a partner which never came, or NULL. */
static const struct tu_tensor *next_unmet(struct side *s)
{
    while (s->next_waiting < s->count) {
        const struct waiting *w = s->list[s->next_waiting++];
        if (!w->met)
            return &w->tensor;
    }
    return NULL;
}

static const struct tu_tensor *next_unmet_in_models(struct side *s)
{
    while (s->position < s->selected) {
        const struct tu_member *m = &s->order[s->position++];
        if (!*met_of(s, m))
            return m->tensor;
    }
    return NULL;
}

/* What the other side has left when the leading one has ended.  It has no partner, so nobody will
 * read its bytes. */
static int next_left_over(struct run *run, struct tu_record *record, struct place *out,
                          struct tu_error *error)
{
    struct side *s = &run->sides[!run->lead];
    *out = (struct place){.where = IN_MODEL, .side = s};
    out->tensor = s->operand.is_stream ? next_unmet(s) : next_unmet_in_models(s);
    if (out->tensor || !s->operand.is_stream)
        return out->tensor ? FOUND : ENDED;
    out->tensor = &record->tensor;
    int more = next_in_stream(run, s, record, error);
    return more == FOUND && note(s, out->tensor, true, error) < 0 ? -1 : more;
}

static int find_partner(struct run *run, const struct tu_tensor *like, struct tu_record *record,
                        struct place *out, struct tu_error *error)
{
    struct side *s = &run->sides[!run->lead];
    return s->operand.is_stream ? find_in_stream(run, s, like, record, out, error)
                                : find_in_models(s, like, out, error);
}

/* Finds the leading tensor of a pair, or one that is left over, unless that was done before a
 * record came in between. */
static int fill_first(struct run *run, struct pair *p, struct tu_error *error)
{
    struct tu_record record;
    struct place place;
    if (p->present[run->lead])
        return FOUND;
    int more = next_of_lead(run, &record, &place, error);
    if (more == FOUND)
        return add_to_pair(p, run->lead, &place, error) < 0 ? -1 : FOUND;
    if (more == ENDED)
        more = next_left_over(run, &record, &place, error);
    return more == FOUND && add_to_pair(p, !run->lead, &place, error) < 0 ? -1 : more;
}

static int fill_pair(struct run *run, struct pair *p, struct tu_error *error)
{
    struct tu_record record;
    struct place partner;
    int more = fill_first(run, p, error);
    if (more == FOUND && p->present[run->lead]) {
        int found = find_partner(run, &p->tensors[run->lead], &record, &partner, error);
        if (found < 0 || found == PASSED)
            return found;
        if (found == FOUND && add_to_pair(p, !run->lead, &partner, error) < 0)
            return -1;
    }
    if (more != FOUND)
        return more;
    return settle_match(run, p, error) < 0 ? -1 : FOUND;
}

/* Types differ between the sides: a pair is selected where one of them is asked for. */
static bool is_selected(const struct run *run, const struct pair *p)
{
    const struct tu_selection *s = &run->tool->selection;
    return !s->by_dtype || (p->present[0] && s->dtypes[p->tensors[0].dtype]) ||
           (p->present[1] && s->dtypes[p->tensors[1].dtype]);
}

/* After the limit the rest is gone through without comparing, so that a broken stream is noticed.
 */
static bool beyond_limit(struct run *run)
{
    uint64_t limit = run->tool->selection.limit;
    return limit && run->given >= limit;
}

static int next_pair(struct run *run, struct tu_error *error)
{
    for (;;) {
        if (!run->filling && !(run->filling = calloc(1, sizeof *run->filling)))
            return tu_fail_memory(error);
        struct pair *p = run->filling;
        int more = fill_pair(run, p, error);
        if (more == PASSED)
            return more;
        run->filling = NULL;
        if (more == FOUND && is_selected(run, p) && !beyond_limit(run)) {
            run->given++;
            run->pair = p;
            return FOUND;
        }
        free_pair(p);
        if (more != FOUND)
            return more;
    }
}

/* ---- The pipeline ---- */

static int read_side(struct tile *t, int i, struct tu_error *error)
{
    uint64_t offset, length;
    tu_geometry_span(&t->pair->decoders[i].geometry, t->first, t->count, &offset, &length);
    if (length > t->capacity[i]) {
        uint8_t *larger = realloc(t->raw[i], length);
        if (!larger)
            return tu_fail_memory(error);
        t->raw[i] = larger;
        t->capacity[i] = length;
    }
    return read_place(&t->pair->places[i], offset, t->raw[i], length, error);
}

/* Streams are read here, in order; files and the temporary file by the workers. */
static int take(void *context, void *slot, struct tu_error *error)
{
    struct run *run = context;
    struct tile *t = slot;
    if (!run->pair) {
        int more = next_pair(run, error);
        if (more < 0 || more == ENDED)
            return more;
    }
    t->count = 0;
    t->passing = run->passing;
    run->passing = NULL;
    if (t->passing)
        return 1;
    struct pair *p = t->pair = run->pair;
    const struct tu_geometry *g = &p->decoders[p->cutter].geometry;
    bool compared = p->match == TU_MATCH_BOTH && p->tensors[0].elements;
    t->first = p->next;
    t->count = compared ? tu_geometry_tile(g, p->unit, p->next) : 0;
    t->sums = (struct tu_partial){.max_diff = p->max_diff, .max_rel_diff = p->max_rel_diff};
    p->next += t->count;
    t->last = !compared || p->next == p->tensors[0].elements;
    if (t->last)
        run->pair = NULL;
    for (int i = 0; i < 2 && t->count; i++)
        if (p->places[i].where == IN_STREAM && read_side(t, i, error) < 0)
            return -1;
    return 1;
}

static int work(void *context, void *slot, struct tu_error *error)
{
    struct run *run = context;
    struct tile *t = slot;
    struct pair *p = t->pair;
    if (!t->count)
        return 0;
    for (int i = 0; i < 2; i++)
        if (p->places[i].where != IN_STREAM && read_side(t, i, error) < 0)
            return -1;
    tu_compare_range(run->tool->kernels, &p->decoders[0], t->raw[0], &p->decoders[1], t->raw[1],
                     t->first, t->count, &t->sums);
    return 0;
}

static int put(void *context, void *slot, struct tu_error *error)
{
    struct run *run = context;
    struct tile *t = slot;
    struct pair *p = t->pair;
    if (t->passing) {
        int passed = run->sink->record(&t->passing->map, error);
        free_passing(t->passing);
        t->passing = NULL;
        return passed;
    }
    tu_partial_add(&p->sums, &t->sums);
    p->max_diff = p->sums.max_diff;
    p->max_rel_diff = p->sums.max_rel_diff;
    if (!t->last)
        return 0;
    struct tu_pair_result result = {.match = p->match,
                                    .a = p->present[0] ? &p->tensors[0] : NULL,
                                    .b = p->present[1] ? &p->tensors[1] : NULL,
                                    .sums = p->sums};
    run->done += p->tensors[run->lead].nbytes;
    tu_progress(run->tool, run->done, run->total);
    int done = run->sink->pair(&result, error);
    t->pair = NULL;
    free_pair(p);
    return done;
}

static void release(void *context, void *slot)
{
    struct tile *t = slot;
    (void)context;
    /* What is still here was not put, because the run failed. */
    if (t->passing)
        free_passing(t->passing);
    if (t->last && t->pair)
        free_pair(t->pair);
    free(t->raw[0]);
    free(t->raw[1]);
}

/* A stream leads a file; of two files or two streams, a leads. */
static int choose_lead(const struct run *run)
{
    return run->sides[1].operand.is_stream && !run->sides[0].operand.is_stream;
}

static int run_pairs(struct run *run, struct tu_error *error)
{
    const struct tu_pipeline pipeline = {.context = run,
                                         .slot_size = sizeof(struct tile),
                                         .take = take,
                                         .work = work,
                                         .put = put,
                                         .release = release};
    run->lead = choose_lead(run);
    const struct side *lead = &run->sides[run->lead];
    for (size_t i = 0; i < lead->selected; i++)
        run->total += lead->order[i].tensor->nbytes;
    int result = tu_pipeline_run(&pipeline, (unsigned)run->tool->jobs, error);
    if (run->pair)
        free_pair(run->pair);
    if (run->filling)
        free_pair(run->filling);
    if (result == 0)
        result = tu_operand_unchanged(&run->sides[0].operand, error);
    return result < 0 ? -1 : tu_operand_unchanged(&run->sides[1].operand, error);
}

int tu_compare_operands(struct tu_tool *tool, const char *a, const char *b,
                        const struct tu_pair_sink *sink, struct tu_error *error)
{
    struct run run = {.tool = tool, .names = tool->selection, .sink = sink};
    run.names.by_dtype = false;
    if (strcmp(a, "-") == 0 && strcmp(b, "-") == 0)
        return tu_fail(error, TU_EUSAGE, "both operands are standard input");
    int result = open_side(&run, &run.sides[0], a, error);
    if (result == 0) {
        result = open_side(&run, &run.sides[1], b, error);
        if (result == 0)
            result = run_pairs(&run, error);
        close_side(&run.sides[1]);
    }
    close_side(&run.sides[0]);
    return result;
}
