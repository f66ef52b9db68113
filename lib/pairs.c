/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "pairs.h"

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "partners.h"
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
    struct tu_arena arena; /* of the waiting, and of the metadata */
    bool ended;
    struct tu_model spooled_model; /* the temporary file, once the stream has ended */
    struct tensor_value *metadata; /* of a stream's first source: its short values */
};

/* More than any block has. */
enum { CARRY_BYTES = 512 };

/* Where the bytes of one tensor of a pair come from. */
struct place {
    enum { IN_MODEL, IN_SPOOL, IN_STREAM, IN_VIEW } where;
    struct side *side;
    const struct tu_model *model;   /* for IN_MODEL */
    const struct tu_view *view;     /* for IN_VIEW */
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
    struct tu_tensor tensors[2]; /* a, b as they are compared */
    struct tu_tensor stored[2];
    int lead;       /* the side that led when it was found */
    bool left_over; /* the other side had it left, though one of the leading side is like it */
    bool present[2];
    struct place places[2];
    struct tu_comparison comparison;
    int cutter;          /* the side whose rows cut the tiles */
    uint64_t tile, next; /* elements of a tile; where the next one begins */
    struct tu_row row;   /* of a row that is longer than tiles are, as far as it was put */
    bool roped, padded;  /* as found by a map */
    float addend;        /* to the leading side */
    char transform[256];
    /* Where one is transposed, tiles are blocks of a matrix instead, numbered by next. */
    const struct tu_view *blocks[2]; /* a, b; NULL: tiles are runs */
    uint64_t block_rows, block_columns;
    struct tu_row
        *block_sums; /* of the rows whose blocks are being put; NULL: a block has whole rows */
    struct tensor_value *known; /* the record, where the cache has it */
    char key[TU_DIGEST_TEXT];
    struct tu_partial sums;
    struct tu_buckets buckets;
    /* Maxima of the tiles that were put, for those that are worked on meanwhile: they save work
     * and change no result. */
    _Atomic double max_diff, max_rel_diff;
};

struct buffer {
    uint8_t *bytes;
    size_t capacity;
};

/* A piece of work: some elements of a pair, or a record. */
struct tile {
    struct passing *passing;
    struct pair *pair;
    uint64_t first;
    size_t count;
    struct tu_area area; /* of a block */
    bool last;
    struct buffer raw[2]; /* bytes of streams */
    struct tu_partial sums;
    struct tu_buckets buckets; /* where they are wanted */
    struct tu_row *rows;       /* of a block that has pieces of rows: the sums of each piece */
};

/* What a thread reads files into. */
struct scratch {
    struct buffer raw[2];
};

struct run {
    struct tu_tool *tool;
    struct side sides[2];      /* a, b */
    struct tu_selection names; /* what the tool's selection says of names */
    int lead;                  /* the side that is gone through; the other is asked */
    struct pair *filling;      /* being found; a record may come in between */
    struct pair *pair;         /* whose tiles are being taken */
    struct passing *passing;   /* a record that comes before them */
    uint64_t given, sources;
    const struct tu_pair_options *options;
    struct tu_cache *cache;
    struct tu_partners partners;
    bool draining;       /* b, a stream that led, is being moved to its temporary file */
    bool warned, mapped; /* a partner was found by way of a map */
    const struct tu_pair_sink *sink;
    uint64_t done, total;
};

/* What a search came to, where it did not fail. */
enum {
    ENDED,
    FOUND,
    PASSED, /* a record was met: put it out and go on */
    AGAIN,  /* the other side leads from now on */
};

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

/* A source of a stream, as one that was compared. */
static int pass_source(struct run *run, const struct side *s, const struct tensor_value *record,
                       struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tensor_value map;
    const char *operand = s == &run->sides[1] ? "b" : "a";
    int result = tu_passed_source(record, run->sources++, operand, &arena, &map, error);
    if (result == 0)
        result = pass_on(run, &map, error);
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

static int keep_metadata(struct side *s, const struct tensor_value *record, struct tu_error *error)
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
    return 0;
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
        if (record->kind == TU_KIND_SOURCE)
            return keep_metadata(s, &record->map, error) < 0
                       ? -1
                       : pass_source(run, s, &record->map, error);
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
    if (p->where == IN_VIEW)
        return tu_view_read(p->view, offset, buffer, length, error);
    /* The file may be growing: it is bounded by what is known to be in it. */
    struct tu_source spool = {
        .fd = p->side->spool, .path = "temporary file", .size = p->base + p->tensor->nbytes};
    return tu_source_read(&spool, p->base + offset, buffer, length, error);
}

static bool is_real(const struct run *run, const struct tu_tensor *t)
{
    return run->tool->kernels->decode[t->dtype] != NULL;
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
    if (tu_decoder_init(&pair->comparison.decoders[i], &geometry, run->tool->kernels, head, error) <
        0)
        return -1;
    pair->comparison.decoders[i].addend = i == pair->lead ? pair->addend : 0;
    return 0;
}

/* Elements of a row: the last dimension, with those before it where it is short, as that of a
 * convolution's kernel is. */
static uint64_t row_of(const struct tu_tensor *t)
{
    enum { SHORT = 32 };
    const uint64_t *shape;
    uint32_t i = strip(t, &shape);
    uint64_t row = i ? shape[--i] : 1;
    while (i && row < SHORT)
        row *= shape[--i];
    return row;
}

/* Tiles are as large as the cache of a processor takes with what is made of them: a few large reads
 * are faster than many small ones. */
static uint64_t tile_of(const struct pair *p)
{
    enum { SPAN = 768 << 10, MOST = 8 * TU_TILE };
    uint64_t tile = TU_TILE, bytes = 0;
    for (int i = 0; i < 2; i++) {
        const struct tu_dtype *type = p->comparison.decoders[i].geometry.dtype;
        bytes += TU_TILE / type->elements * type->bytes;
    }
    for (; tile < MOST && 2 * bytes <= SPAN; tile *= 2)
        bytes *= 2;
    return tile;
}

/* Every element is compared with the one of the same index. */
static int settle_runs(struct run *run, struct pair *p, struct tu_error *error)
{
    if (start_decoder(run, p, 0, error) < 0 || start_decoder(run, p, 1, error) < 0)
        return -1;
    const struct tu_geometry *a = &p->comparison.decoders[0].geometry;
    const struct tu_geometry *b = &p->comparison.decoders[1].geometry;
    p->cutter = tu_geometry_unit(b) > tu_geometry_unit(a);
    p->comparison.kernels = run->tool->kernels;
    p->comparison.row = row_of(&p->tensors[0]);
    p->tile = tile_of(p);
    return 0;
}

/* ---- Views ---- */

static struct tu_view_maker maker_of(struct run *run, struct pair *p)
{
    return (struct tu_view_maker){&p->arena, run->tool->kernels};
}

/* A tensor in the temporary file of a side as one of a model of its own. */
static int member_in_spool(struct pair *p, const struct side *s, const struct tu_tensor *t,
                           uint64_t base, struct tu_member *out, struct tu_error *error)
{
    struct tu_model *model = tu_arena_alloc(&p->arena, sizeof *model);
    struct tu_extent *extent = tu_arena_alloc(&p->arena, sizeof *extent);
    struct tu_tensor *copy = tu_arena_alloc(&p->arena, sizeof *copy);
    if (!model || !extent || !copy)
        return tu_fail_memory(error);
    *model = (struct tu_model){
        .source = {.fd = s->spool, .path = "temporary file", .size = base + t->nbytes}};
    *extent = (struct tu_extent){base, t->nbytes};
    *copy = *t;
    copy->extents = extent;
    copy->extent_count = 1;
    *out = (struct tu_member){model, copy};
    return 0;
}

/* One side of a pair as a view, which can be read in any order. */
static const struct tu_view *view_of(struct run *run, struct pair *p, int i, struct tu_error *error)
{
    struct place *place = &p->places[i];
    const struct tu_view_maker maker = maker_of(run, p);
    struct tu_member m = {place->model, &p->stored[i]};
    if (place->where == IN_VIEW)
        return place->view;
    uint64_t base = place->where == IN_STREAM ? place->side->spooled : place->base;
    if (place->where == IN_STREAM && spool_bytes(place->side, p->stored[i].nbytes, error) < 0)
        return NULL;
    if (place->where != IN_MODEL &&
        member_in_spool(p, place->side, &p->stored[i], base, &m, error) < 0)
        return NULL;
    place->view = tu_view_leaf(&maker, m, error);
    if (place->view)
        place->where = IN_VIEW;
    return place->view;
}

static void set_view(struct pair *p, int i, const struct tu_view *v)
{
    const char *name = p->tensors[i].name;
    size_t length = p->tensors[i].name_length;
    p->places[i].where = IN_VIEW;
    p->places[i].view = v;
    p->tensors[i] = v->tensor;
    p->tensors[i].name = name;
    p->tensors[i].name_length = length;
}

/* ---- One of two ways ---- */

/* Decodes and compares some elements. */
static int compare_piece(struct run *run, const struct tu_view *const sides[2], uint64_t first,
                         size_t count, struct tu_partial *sums, struct tu_error *error)
{
    struct tu_comparison c = {.kernels = run->tool->kernels, .row = sides[0]->tensor.elements};
    uint8_t *raw[2] = {NULL, NULL};
    int result = 0;
    for (int i = 0; i < 2 && result == 0; i++) {
        const struct tu_geometry *g = &sides[i]->geometry;
        uint64_t offset, length;
        uint8_t head[8] = {0};
        tu_geometry_span(g, first, count, &offset, &length);
        if (g->dtype->head)
            result = tu_view_read(sides[i], 0, head, g->dtype->head, error);
        if (result == 0)
            result = tu_decoder_init(&c.decoders[i], g, c.kernels, head, error);
        if (result == 0 && !(raw[i] = malloc((size_t)length)))
            result = tu_fail_memory(error);
        if (result == 0)
            result = tu_view_read(sides[i], offset, raw[i], (size_t)length, error);
    }
    if (result == 0)
        tu_compare_range(&c, (const uint8_t *const *)raw, first, count, sums, NULL);
    free(raw[0]);
    free(raw[1]);
    return result;
}

/* The cosine of some runs that are spread over both; 0 where there is none. */
static int sample(struct run *run, const struct tu_view *a, const struct tu_view *b, double *out,
                  struct tu_error *error)
{
    enum { RUNS = 16, RUN = 256 };
    const struct tu_view *const sides[2] = {a, b};
    struct tu_partial sums = {0};
    uint64_t elements = a->tensor.elements;
    uint64_t step = elements > RUN ? (elements - RUN) / (RUNS - 1) : 0;
    for (uint64_t i = 0; i < (step ? RUNS : 1); i++) {
        size_t n = elements < RUN ? (size_t)elements : RUN;
        if (n && compare_piece(run, sides, i * step, n, &sums, error) < 0)
            return -1;
    }
    struct tu_metrics m = tu_partial_metrics(&sums);
    *out = m.cosine_similarity > 0 ? m.cosine_similarity : 0;
    return 0;
}

/* Which of two views of one side is more like the other side: the first, unless the second is by
 * far. */
static int choose(struct run *run, const struct tu_view *like, const struct tu_view *first,
                  const struct tu_view *second, bool *take_second, struct tu_error *error)
{
    double x, y;
    if (sample(run, like, first, &x, error) < 0 || sample(run, like, second, &y, error) < 0)
        return -1;
    *take_second = y > x + 0.1;
    return 0;
}

/* ---- Settling how a pair is compared ---- */

/* Of tensors that may have other numbers of rows, the rows that both have. */
static int cut_padding(struct run *run, struct pair *p, struct tu_error *error)
{
    const struct tu_view_maker maker = maker_of(run, p);
    const struct tu_tensor *a = &p->tensors[0], *b = &p->tensors[1];
    if (!p->padded || a->rank != b->rank || a->rank == 0 || a->shape[0] == b->shape[0] ||
        memcmp(a->shape + 1, b->shape + 1, (a->rank - 1) * sizeof *a->shape) != 0)
        return 0;
    int longer = b->shape[0] > a->shape[0];
    uint64_t rows = p->tensors[!longer].shape[0], all = p->tensors[longer].shape[0];
    const struct tu_view *v = view_of(run, p, longer, error);
    if (v)
        v = tu_view_rows(&maker, v, 0, rows, error);
    if (!v)
        return -1;
    tu_say_step(p->transform, sizeof p->transform, "%" PRIu64 " of %" PRIu64 " rows of %c", rows,
                all, "ab"[longer]);
    set_view(p, longer, v);
    return 0;
}

/* Whether one is a matrix, or a stack of some, and the other has its last dimensions the other way
 * round. */
static bool is_turned(const struct tu_tensor *a, const struct tu_tensor *b)
{
    const uint64_t *x, *y;
    uint32_t n = strip(a, &x);
    return n >= 2 && n == strip(b, &y) && x[n - 1] == y[n - 2] && x[n - 2] == y[n - 1] &&
           memcmp(x, y, (n - 2) * sizeof *x) == 0;
}

/* The view without leading and trailing dimensions of 1. */
static const struct tu_view *stripped(const struct tu_view_maker *maker, const struct tu_view *v,
                                      struct tu_error *error)
{
    const uint64_t *shape;
    uint32_t rank = v ? strip(&v->tensor, &shape) : 0;
    return !v || rank == v->tensor.rank ? v : tu_view_reshape(maker, v, shape, rank, error);
}

/* Compares with the transpose; where shapes differ, only the label may: then the bytes agree as
 * they lie. */
static int turn(struct run *run, struct pair *p, struct tu_error *error)
{
    const struct tu_view_maker maker = maker_of(run, p);
    const struct tu_view *a = stripped(&maker, view_of(run, p, 0, error), error);
    const struct tu_view *b = a ? stripped(&maker, view_of(run, p, 1, error), error) : NULL;
    const struct tu_view *turned = b ? tu_view_transpose(&maker, b, error) : NULL;
    bool as_it_lies = false;
    if (!turned)
        return -1;
    if (run->options->transposing == TU_TRANSPOSE_AUTO) {
        const struct tu_view *lying =
            tu_view_reshape(&maker, b, a->tensor.shape, a->tensor.rank, error);
        if (!lying || choose(run, a, turned, lying, &as_it_lies, error) < 0)
            return -1;
        turned = as_it_lies ? lying : turned;
    }
    tu_say_step(p->transform, sizeof p->transform, as_it_lies ? "reshape" : "transpose");
    set_view(p, 0, a);
    set_view(p, 1, turned);
    return 0;
}

/* A model whose rows were not put in another order looks like one whose were. */
static int check_rope(struct run *run, struct pair *p, struct tu_error *error)
{
    const struct tu_view_maker maker = maker_of(run, p);
    int other = !run->lead;
    struct tu_found f;
    bool take_second;
    if (!p->roped || !p->tensors[0].elements)
        return 0;
    const struct tu_view *like = view_of(run, p, run->lead, error);
    int found = like ? tu_partners_find(&run->partners, other, &p->tensors[run->lead], true, &maker,
                                        &f, error)
                     : -1;
    if (found <= 0 || f.view->tensor.elements != like->tensor.elements)
        return found < 0 ? -1 : 0;
    if (choose(run, like, p->places[other].view, f.view, &take_second, error) < 0)
        return -1;
    if (take_second) {
        set_view(p, other, f.view);
        snprintf(p->transform, sizeof p->transform, "%s", f.steps);
    }
    return 0;
}

/* Blocks of a matrix that is compared with a transposed one. */
static int settle_blocks(struct run *run, struct pair *p, struct tu_error *error)
{
    enum { SIDE = 1024, BLOCK = SIDE * SIDE };
    const struct tu_view_maker maker = maker_of(run, p);
    for (int i = 0; i < 2; i++) {
        const struct tu_view *v = stripped(&maker, view_of(run, p, i, error), error);
        if (!v || !(v = p->blocks[i] = tu_view_plain(&maker, v, error)))
            return -1;
        struct tu_geometry flat;
        const uint64_t shape = BLOCK;
        if (tu_geometry(v->tensor.dtype, TENSOR_PACKING_ROWS, &shape, 1, &flat, error) < 0 ||
            tu_decoder_init(&p->comparison.decoders[i], &flat, run->tool->kernels, NULL, error) < 0)
            return -1;
        p->comparison.decoders[i].addend = i == p->lead ? p->addend : 0;
    }
    const struct tu_tensor *t = &p->blocks[0]->tensor;
    uint64_t columns = t->rank ? t->shape[t->rank - 1] : 1;
    uint64_t rows = columns ? t->elements / columns : 0;
    p->block_rows = rows < SIDE ? rows : SIDE;
    p->block_columns = columns < SIDE ? columns : SIDE;
    if (rows && rows < SIDE)
        p->block_columns = columns < BLOCK / rows ? columns : BLOCK / rows;
    else if (columns && columns < SIDE)
        p->block_rows = rows < BLOCK / columns ? rows : BLOCK / columns;
    p->comparison.kernels = run->tool->kernels;
    p->comparison.row = columns;
    if (p->block_columns < columns) {
        p->block_sums = tu_arena_alloc(&p->arena, p->block_rows * sizeof *p->block_sums);
        if (!p->block_sums)
            return tu_fail_memory(error);
        memset(p->block_sums, 0, p->block_rows * sizeof *p->block_sums);
    }
    return 0;
}

static bool is_transposed(const struct place *p)
{
    return p->where == IN_VIEW && p->view->transposed;
}

static int settle_match(struct run *run, struct pair *p, struct tu_error *error)
{
    struct tu_tensor *a = &p->tensors[0], *b = &p->tensors[1];
    p->lead = run->lead;
    if (!p->present[0] || !p->present[1]) {
        p->match = p->present[0] ? TU_MATCH_ONLY_A : TU_MATCH_ONLY_B;
        return 0;
    }
    if (cut_padding(run, p, error) < 0)
        return -1;
    bool same = same_shape(a, b), real = is_real(run, a) && is_real(run, b);
    bool turning = is_turned(a, b) && (run->options->transposing == TU_TRANSPOSE_ALWAYS ||
                                       (run->options->transposing == TU_TRANSPOSE_AUTO && !same));
    p->match = !same && !turning ? TU_MATCH_SHAPES : real ? TU_MATCH_BOTH : TU_MATCH_NOT_REAL;
    if (p->match != TU_MATCH_BOTH)
        return 0;
    if ((turning ? turn(run, p, error) : check_rope(run, p, error)) < 0)
        return -1;
    return is_transposed(&p->places[0]) || is_transposed(&p->places[1])
               ? settle_blocks(run, p, error)
               : settle_runs(run, p, error);
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
    if (copy_tensor(&p->arena, place->tensor, &p->stored[i], error) < 0)
        return -1;
    p->tensors[i] = p->stored[i];
    if (place->where == IN_VIEW)
        set_view(p, i, place->view);
    return 0;
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
    /* Some may have met while the other side led. */
    while (s->position < s->selected && *met_of(s, &s->order[s->position]))
        s->position++;
    if (s->position == s->selected)
        return ENDED;
    out->model = s->order[s->position].model;
    out->tensor = s->order[s->position++].tensor;
    return FOUND;
}

/* The next that waits for a partner which never came. */
static int next_unmet(struct side *s, struct place *out)
{
    while (s->next_waiting < s->count) {
        const struct waiting *w = s->list[s->next_waiting++];
        if (w->met)
            continue;
        *out = (struct place){.where = IN_SPOOL, .side = s, .tensor = &w->tensor, .base = w->base};
        return FOUND;
    }
    return ENDED;
}

static int next_unmet_in_models(struct side *s, struct place *out)
{
    while (s->position < s->selected) {
        const struct tu_member *m = &s->order[s->position++];
        if (*met_of(s, m))
            continue;
        *out = (struct place){.where = IN_MODEL, .side = s, .model = m->model, .tensor = m->tensor};
        return FOUND;
    }
    return ENDED;
}

/* What the other side has left when the leading one has ended. */
static int next_left_over(struct run *run, struct tu_record *record, struct place *out,
                          struct tu_error *error)
{
    struct side *s = &run->sides[!run->lead];
    if (!s->operand.is_stream)
        return next_unmet_in_models(s, out);
    if (next_unmet(s, out) == FOUND)
        return FOUND;
    *out = (struct place){.where = IN_STREAM, .side = s, .tensor = &record->tensor};
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

/* ---- Partners with other names ---- */

static bool uses_maps(const struct run *run)
{
    return strcmp(run->options->map, "none") != 0;
}

/* What has waited, as tensors of a model. */
static int catalogue_waiting(struct side *s, struct tu_catalogue *c, struct tu_error *error)
{
    s->spooled_model.source =
        (struct tu_source){.fd = s->spool, .path = "temporary file", .size = s->spooled};
    for (size_t i = 0; i < s->count; i++) {
        struct waiting *w = s->list[i];
        if (w->met)
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

/* Looks at the names and the metadata of both sides, when the first one has no namesake. */
static int open_partners(struct run *run, struct tu_error *error)
{
    if (run->partners.open)
        return 0;
    for (int i = 0; i < 2; i++) {
        struct side *s = &run->sides[i];
        struct tu_catalogue *c = &run->partners.catalogues[i];
        bool models = !s->operand.is_stream;
        run->partners.facts.metadata[i] = models ? &s->operand.models[0].metadata : s->metadata;
        int result = models     ? catalogue_models(&s->operand, c, error)
                     : s->ended ? catalogue_waiting(s, c, error)
                                : 0;
        if (result < 0)
            return -1;
    }
    return tu_partners_open(&run->partners, run->options->map, error);
}

static void mark_met(void *context, struct tu_member m)
{
    struct side *s = context;
    if (s->operand.is_stream)
        ((struct waiting *)(void *)(uintptr_t)m.tensor)->met = true;
    else
        *met_of(s, &m) = true;
}

/* A rule that cannot be kept is a reason to warn, unless the user named the map. */
static int excuse(struct run *run, struct tu_error *reason, struct tu_error *error)
{
    if (strcmp(run->options->map, "auto") != 0 || reason->code != TU_EINVALID)
        return tu_fail(error, reason->code, "%s", reason->text);
    if (!run->warned)
        tu_warn(run->tool, "%s", reason->text);
    run->warned = true;
    return ENDED;
}

static int find_on_side(struct run *run, struct pair *p, int i, const struct tu_tensor *like,
                        struct tu_found *out, struct tu_error *error)
{
    const struct tu_view_maker maker = maker_of(run, p);
    struct tu_error reason = {0};
    if (!uses_maps(run))
        return ENDED;
    if (open_partners(run, error) < 0)
        return -1;
    int found = tu_partners_find(&run->partners, i, like, false, &maker, out, &reason);
    return found < 0 ? excuse(run, &reason, error) : found;
}

/* The place of what was found on a side, which has then met. */
static void place_found(struct run *run, struct pair *p, int i, const struct tu_found *f,
                        struct place *out)
{
    struct side *s = &run->sides[i];
    struct tu_member m = tu_view_first_leaf(f->view);
    *out = (struct place){.where = IN_VIEW, .side = s, .view = f->view, .tensor = m.tensor};
    tu_view_leaves(f->view, mark_met, s);
    run->mapped = true;
    p->roped = f->roped;
    p->padded = f->padded;
    p->addend = f->addend;
    snprintf(p->transform, sizeof p->transform, "%s", f->steps);
}

/* Moves the rest of b to its temporary file, so that it can be read in the order of a. */
static int drain(struct run *run, struct tu_error *error)
{
    struct tu_record record;
    int more;
    while ((more = next_in_stream(run, &run->sides[1], &record, error)) == FOUND)
        if (put_waiting(&run->sides[1], &record.tensor, error) < 0)
            return -1;
    if (more == ENDED) {
        run->draining = false;
        run->lead = 0;
        /* What was looked up while b passed by is looked up anew. */
        tu_partners_close(&run->partners);
    }
    return more;
}

/* b led, as a stream, but its current tensor needs to be seen another way: from now on a leads. */
static int give_up_lead(struct run *run, struct pair *p, struct tu_error *error)
{
    struct side *s = &run->sides[1];
    struct waiting *w = s->list[s->count - 1];
    w->met = false;
    w->base = s->spooled;
    p->present[1] = false;
    run->draining = true;
    return spool_bytes(s, w->tensor.nbytes, error);
}

static bool only_renamed(const struct tu_found *f, const struct tu_tensor *like)
{
    return !*f->steps && f->view->kind == TU_VIEW_LEAF && f->addend == 0 &&
           (!f->padded || same_shape(&f->view->tensor, like));
}

static int find_by_map(struct run *run, struct pair *p, struct place *out, struct tu_error *error)
{
    struct tu_found f;
    int found = find_on_side(run, p, !run->lead, &p->tensors[run->lead], &f, error);
    if (found != FOUND)
        return found;
    if (run->lead == 1 && !only_renamed(&f, &p->tensors[1]))
        return give_up_lead(run, p, error) < 0 ? -1 : AGAIN;
    place_found(run, p, !run->lead, &f, out);
    return FOUND;
}

/* A tensor that is left over may stand for one that its partner is left out for, as tied embeddings
 * are. */
static int find_tied(struct run *run, struct pair *p, struct tu_error *error)
{
    struct tu_found f;
    struct place place;
    int found = find_on_side(run, p, run->lead, &p->tensors[!run->lead], &f, error);
    if (found != FOUND || !f.tied)
        return found < 0 ? -1 : 0;
    place_found(run, p, run->lead, &f, &place);
    p->left_over = true;
    return add_to_pair(p, run->lead, &place, error);
}

/* Whether a tensor without a partner is nothing to speak of: a map says so, or the selection, which
 * knows its partner by another name, left that one out. */
static bool is_passed_over(struct run *run, const struct pair *p)
{
    int i = !p->present[0];
    struct tu_error ignored = {0};
    struct tu_found f;
    struct pair scratch = {0};
    if (!run->partners.open || (p->present[0] && p->present[1]))
        return false;
    if ((run->mapped || run->partners.apart) && tu_partners_extra(&run->partners, &p->tensors[i]))
        return true;
    const struct tu_view_maker maker = maker_of(run, &scratch);
    bool left_out =
        tu_partners_find(&run->partners, !i, &p->tensors[i], false, &maker, &f, &ignored) > 0 &&
        !tu_selects(&run->names, tu_view_first_leaf(f.view).tensor);
    tu_arena_free(&scratch.arena);
    return left_out;
}

/* ---- Filling pairs ---- */

/* Finds the leading tensor of a pair, or one that is left over, unless that was done before a
 * record came in between. */
static int fill_first(struct run *run, struct pair *p, struct tu_error *error)
{
    struct tu_record record;
    struct place place;
    if (p->present[run->lead])
        return FOUND;
    if (run->draining) {
        int left = drain(run, error);
        if (left != ENDED)
            return left;
    }
    int more = next_of_lead(run, &record, &place, error);
    if (more == FOUND)
        return add_to_pair(p, run->lead, &place, error) < 0 ? -1 : FOUND;
    if (more == ENDED)
        more = next_left_over(run, &record, &place, error);
    if (more == FOUND &&
        (add_to_pair(p, !run->lead, &place, error) < 0 || find_tied(run, p, error) < 0))
        return -1;
    return more;
}

static int fill_pair(struct run *run, struct pair *p, struct tu_error *error)
{
    struct tu_record record;
    struct place partner;
    int more = fill_first(run, p, error);
    if (more == FOUND && p->present[run->lead] && !p->present[!run->lead]) {
        int found = find_partner(run, &p->tensors[run->lead], &record, &partner, error);
        if (found == ENDED)
            found = find_by_map(run, p, &partner, error);
        if (found == AGAIN)
            return fill_pair(run, p, error);
        if (found < 0 || found == PASSED)
            return found;
        if (found == FOUND && add_to_pair(p, !run->lead, &partner, error) < 0)
            return -1;
    }
    return more;
}

/* ---- Results ---- */

static struct tu_pair_result describe(const struct run *run, const struct pair *p)
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
                                   .elements = p->tensors[!p->present[0]].elements,
                                   .row = p->comparison.row,
                                   .sums = p->sums,
                                   .buckets = run->options->buckets ? &p->buckets : NULL,
                                   .cache = run->cache,
                                   .known = p->known,
                                   .key = p->key};
}

/* Looks for the record of a pair of files. */
static int look_up(struct run *run, struct pair *p, struct tu_error *error)
{
    struct tu_pair_result result = describe(run, p);
    struct tu_cache_pair pair = {.result = &result, .lead = p->lead, .addend = p->addend};
    struct tensor_value record;
    if (!run->cache || p->match != TU_MATCH_BOTH)
        return 0;
    for (int i = 0; i < 2; i++) {
        const struct place *place = &p->places[i];
        if (place->where != IN_MODEL && place->where != IN_VIEW)
            return 0;
        pair.views[i] = place->where == IN_VIEW ? place->view : NULL;
        pair.members[i] = (struct tu_member){place->model, &p->stored[i]};
    }
    int found = tu_cache_find(run->cache, &pair, &p->arena, p->key, &record, error);
    if (found > 0 && !(p->known = tu_arena_alloc(&p->arena, sizeof *p->known)))
        return tu_fail_memory(error);
    if (found > 0)
        *p->known = record;
    return found < 0 ? -1 : 0;
}

/* Types differ between the sides: a pair is selected where one of them is asked for. */
static bool is_selected(const struct run *run, const struct pair *p)
{
    const struct tu_selection *s = &run->tool->selection;
    return !s->by_dtype || (p->present[0] && s->dtypes[p->stored[0].dtype]) ||
           (p->present[1] && s->dtypes[p->stored[1].dtype]);
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
        bool wanted =
            more == FOUND && is_selected(run, p) && !is_passed_over(run, p) && !beyond_limit(run);
        if (wanted && settle_match(run, p, error) == 0 && look_up(run, p, error) == 0) {
            run->given++;
            run->pair = p;
            return FOUND;
        }
        free_pair(p);
        if (wanted || more != FOUND)
            return wanted ? -1 : more;
    }
}

/* ---- The pipeline ---- */

/* Makes room; what was there is lost. */
static int reserve(struct buffer *b, uint64_t length, struct tu_error *error)
{
    if (length <= b->capacity)
        return 0;
    free(b->bytes);
    b->capacity = 0;
    b->bytes = malloc((size_t)length);
    if (!b->bytes)
        return tu_fail_memory(error);
    b->capacity = (size_t)length;
    return 0;
}

static int read_side(const struct tile *t, int i, struct buffer *to, struct tu_error *error)
{
    uint64_t offset, length;
    tu_geometry_span(&t->pair->comparison.decoders[i].geometry, t->first, t->count, &offset,
                     &length);
    if (reserve(to, length, error) < 0)
        return -1;
    return read_place(&t->pair->places[i], offset, to->bytes, (size_t)length, error);
}

/* Streams are read here, in order; files and the temporary file by the workers. */
static int take_run(struct pair *p, struct tile *t, struct tu_error *error)
{
    const struct tu_geometry *g = &p->comparison.decoders[p->cutter].geometry;
    t->first = p->next;
    t->count = tu_geometry_tile(g, p->comparison.row, p->tile, p->next);
    t->sums = (struct tu_partial){.max_diff = p->max_diff, .max_rel_diff = p->max_rel_diff};
    p->next += t->count;
    t->last = p->next == p->tensors[0].elements;
    for (int i = 0; i < 2; i++)
        if (p->places[i].where == IN_STREAM && read_side(t, i, &t->raw[i], error) < 0)
            return -1;
    return 0;
}

/* Blocks come row by row.  Their maxima start anew: the first place of equal ones is found when
 * they are added. */
static void take_block(struct pair *p, struct tile *t)
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
    int result = 0;
    t->last = true;
    t->sums = (struct tu_partial){0};
    if (p->match == TU_MATCH_BOTH && p->tensors[0].elements && !p->known) {
        if (p->blocks[0])
            take_block(p, t);
        else
            result = take_run(p, t, error);
    }
    if (t->last)
        run->pair = NULL;
    return result < 0 ? -1 : 1;
}

/* Counts the differences of a tile by size, where that is wanted: it is decoded once more. */
static void count_tile(const struct run *run, struct tile *t, const uint8_t *const spans[2],
                       uint64_t first)
{
    const struct tu_decoder *decoders = t->pair->comparison.decoders;
    t->buckets = (struct tu_buckets){0};
    if (run->options->buckets)
        tu_buckets_range(&t->buckets, &decoders[0], spans[0], &decoders[1], spans[1], first,
                         t->count);
}

/* The numbers of a block, which has places of its own, as those of the matrix. */
static void place_block(const struct pair *p, struct tile *t)
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

static int compare_block(struct run *run, struct tile *t, struct scratch *s, struct tu_error *error)
{
    const struct pair *p = t->pair;
    struct tu_comparison c = p->comparison;
    const uint8_t *spans[2];
    c.row = t->area.columns;
    if (p->block_sums && !t->rows && !(t->rows = calloc(p->block_rows, sizeof *t->rows)))
        return tu_fail_memory(error);
    for (int i = 0; i < 2; i++) {
        if (reserve(&s->raw[i], t->count * c.decoders[i].geometry.dtype->bytes, error) < 0 ||
            tu_view_read_area(p->blocks[i], t->area, s->raw[i].bytes, error) < 0)
            return -1;
        spans[i] = s->raw[i].bytes;
    }
    tu_compare_range(&c, spans, 0, t->count, &t->sums, p->block_sums ? t->rows : NULL);
    count_tile(run, t, spans, 0);
    place_block(p, t);
    return 0;
}

static int compare_run(struct run *run, struct tile *t, struct scratch *s, struct tu_error *error)
{
    struct pair *p = t->pair;
    const uint8_t *spans[2];
    for (int i = 0; i < 2; i++) {
        bool here = p->places[i].where != IN_STREAM;
        struct buffer *raw = here ? &s->raw[i] : &t->raw[i];
        if (here && read_side(t, i, raw, error) < 0)
            return -1;
        spans[i] = raw->bytes;
    }
    tu_compare_range(&p->comparison, spans, t->first, t->count, &t->sums, NULL);
    count_tile(run, t, spans, t->first);
    return 0;
}

static int work(void *context, void *slot, void *scratch, struct tu_error *error)
{
    struct tile *t = slot;
    struct scratch *s = scratch;
    if (!t->count)
        return 0;
    return t->pair->blocks[0] ? compare_block(context, t, s, error)
                              : compare_run(context, t, s, error);
}

/* A row that is longer than tiles are is noted with its last piece. */
static void add_run(struct pair *p, const struct tile *t)
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
static void add_block_rows(struct pair *p, const struct tile *t)
{
    const struct tu_tensor *m = &p->blocks[0]->tensor;
    bool complete = t->area.column + t->area.columns == m->shape[m->rank - 1];
    for (uint64_t i = 0; p->block_sums && i < t->area.rows; i++) {
        tu_row_add(&p->block_sums[i], &t->rows[i]);
        if (!complete)
            continue;
        tu_note_row(&p->sums.rows, &p->comparison, t->area.row + i, &p->block_sums[i]);
        p->block_sums[i] = (struct tu_row){0};
    }
}

/* Of blocks, an earlier place may come later. */
static void add_block(struct pair *p, const struct tile *t)
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

static void add_tile(struct pair *p, const struct tile *t)
{
    if (!t->count)
        return;
    if (p->blocks[0])
        add_block(p, t);
    else
        add_run(p, t);
    tu_buckets_add(&p->buckets, &t->buckets);
    p->max_diff = p->sums.max_diff;
    p->max_rel_diff = p->sums.max_rel_diff;
}

static int put_pair(struct run *run, const struct pair *p, struct tu_error *error)
{
    struct tu_pair_result result = describe(run, p);
    run->done += p->stored[p->lead].nbytes;
    tu_progress(run->tool, run->done, run->total);
    return run->sink->pair(&result, error);
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
    add_tile(p, t);
    if (!t->last)
        return 0;
    int done = put_pair(run, p, error);
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
    free(t->raw[0].bytes);
    free(t->raw[1].bytes);
    free(t->rows);
}

static void release_scratch(void *scratch)
{
    struct scratch *s = scratch;
    free(s->raw[0].bytes);
    free(s->raw[1].bytes);
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
                                         .scratch_size = sizeof(struct scratch),
                                         .take = take,
                                         .work = work,
                                         .put = put,
                                         .release = release,
                                         .release_scratch = release_scratch};
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

/* Opens the cache, and makes the digests that it goes by, unless few of them will be needed. */
static int open_cache(struct run *run, struct tu_error *error)
{
    if (!run->options->cache)
        return 0;
    run->cache = tu_cache_open(run->options->cache, run->options->measured, error);
    if (!run->cache)
        return -1;
    bool files = !run->sides[0].operand.is_stream && !run->sides[1].operand.is_stream;
    for (int i = 0; i < 2 && files && !run->tool->selection.limit; i++)
        if (tu_cache_learn(run->cache, run->tool, run->sides[i].order, run->sides[i].selected,
                           error) < 0)
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
        const struct tu_operand *o = &run->sides[i].operand;
        for (size_t k = 0; k < o->model_count && result == 0; k++) {
            result = tu_compared_source(&o->models[k], run->sources++, i ? "b" : "a", &arena, &map,
                                        error);
            if (result == 0)
                result = run->sink->record(&map, error);
        }
    }
    tu_arena_free(&arena);
    return result;
}

int tu_compare_operands(struct tu_tool *tool, const char *a, const char *b,
                        const struct tu_pair_options *options, const struct tu_pair_sink *sink,
                        struct tu_error *error)
{
    struct run run = {.tool = tool, .names = tool->selection, .options = options, .sink = sink};
    run.names.by_dtype = false;
    if (strcmp(a, "-") == 0 && strcmp(b, "-") == 0)
        return tu_fail(error, TU_EUSAGE, "both operands are standard input");
    int result = open_side(&run, &run.sides[0], a, error);
    if (result == 0) {
        result = open_side(&run, &run.sides[1], b, error);
        if (result == 0)
            result = say_sources(&run, error);
        if (result == 0)
            result = open_cache(&run, error);
        if (result == 0)
            result = run_pairs(&run, error);
        tu_cache_close(run.cache);
        close_side(&run.sides[1]);
    }
    close_side(&run.sides[0]);
    tu_partners_close(&run.partners);
    return result;
}
