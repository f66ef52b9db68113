/* SPDX-License-Identifier: MIT */
/* Runs a model from recorded inputs and sums up how far each stage is from the recorded one. */
#include "config.h"

#include "hunt/measure.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "stream/reader.h"
#include "trace/forward.h"

enum { PIECE = 4096 }; /* elements that are held against each other at a time */

/* ---- Traces ---- */

/* Token ids of a `trace` record, as text that --tokens would take. */
static int take_ids(struct tu_hunt_trace *t, const struct tensor_value *record,
                    struct tu_error *error)
{
    const struct tensor_value *ids = tu_value_get(tu_value_get(record, "tokens"), "ids");
    size_t count = ids && ids->type == TENSOR_ARRAY ? ids->array.count : 0, used = 0;
    enum { DIGITS = 12 };
    char *text = malloc(count * DIGITS + 1);
    int result = text ? 0 : tu_fail_memory(error);
    for (size_t i = 0; i < count && result == 0; i++) {
        uint64_t id;
        if (tu_value_uint(&ids->array.items[i], &id) && id <= UINT32_MAX)
            used += (size_t)snprintf(text + used, DIGITS, "%" PRIu64 ",", id);
        else
            result = tu_fail(error, TU_EINVALID, "%s: a token id is no number from 0 to %" PRIu32,
                             tu_operand_name(t->path), UINT32_MAX);
    }
    if (result == 0 && count)
        result = tu_tokens_parse(&t->tokens, text, used, tu_operand_name(t->path), error);
    free(text);
    return result;
}

/* The first record that names tokens stands before the tensors. */
static int find_ids(struct tu_hunt_trace *t, struct tu_error *error)
{
    struct tu_stream_reader stream;
    struct tu_record record;
    int more;
    int fd = tu_open_operand(t->path, error);
    if (fd < 0)
        return -1;
    int result = tu_stream_open(&stream, fd, t->path, error);
    while (result == 0 && (more = tu_stream_next(&stream, &record, error)) != 0) {
        if (more < 0 || record.kind == TU_KIND_TENSOR) {
            result = more < 0 ? -1 : 1;
        } else if (record.kind == TU_KIND_RESULT &&
                   tu_value_equals(tu_value_get(&record.map, "kind"), "trace")) {
            result = take_ids(t, &record.map, error) < 0 ? -1 : 1;
        }
    }
    tu_stream_close(&stream);
    close(fd);
    return result < 0 ? -1 : 0;
}

static bool is_stream_file(const struct tu_operand *o)
{
    return o->model_count == 1 && strcmp(o->models[0].format->name, "tsr") == 0;
}

static bool holds_stages(const struct tu_operand *o, const struct tu_hunt *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (tu_operand_find(o, h->stages[i].name, strlen(h->stages[i].name)).tensor)
            return true;
    return false;
}

int tu_hunt_trace_open(struct tu_hunt_trace *t, struct tu_session *session, const char *path,
                       const char *tokens, const struct tu_hunt *h, struct tu_error *error)
{
    *t = (struct tu_hunt_trace){.path = path, .operand = {.is_stream = true, .fd = -1}};
    if (tu_operand_open(&t->operand, session, path, TU_ACCESS_RANDOM, error) < 0)
        return -1;
    if (!holds_stages(&t->operand, h))
        return tu_fail(error, TU_EUSAGE,
                       "%s: holds none of the stages that were compared (a trace that went by in a "
                       "pipe is gone: --traces A B names files)",
                       tu_operand_name(path));
    if (tokens)
        return tu_tokens_read(&t->tokens, tokens, error);
    if (is_stream_file(&t->operand) && find_ids(t, error) < 0)
        return -1;
    if (t->tokens.count == 0)
        return tu_fail(error, TU_EUSAGE,
                       "%s: does not say which tokens it is of (--tokens LIST says it)",
                       tu_operand_name(path));
    return 0;
}

void tu_hunt_trace_close(struct tu_hunt_trace *t)
{
    tu_operand_close(&t->operand);
    free(t->tokens.ids);
}

/* ---- Distances ---- */

/* Sums of squares, of the difference and of what was recorded; in the order of the elements. */
struct sums {
    double apart, recorded;
    uint64_t count, finite;
};

/* What is above the diagonal of each [query, key] is used by nobody. */
static bool is_hidden(const struct tu_stage *s, uint64_t index)
{
    uint64_t keys = s->shape[2];
    return s->masked && index % keys > index / keys % s->shape[1];
}

static void add(struct sums *sums, double computed, double recorded)
{
    double d = computed - recorded;
    sums->count++;
    if (isfinite(d)) {
        sums->finite++;
        sums->apart += d * d;
        sums->recorded += recorded * recorded;
    } else if (computed != recorded && !(isnan(computed) && isnan(recorded))) {
        sums->apart = INFINITY;
    }
}

static double relative(const struct sums *s)
{
    return s->apart == 0 ? 0 : isinf(s->apart) ? INFINITY : sqrt(s->apart / s->recorded);
}

/* ---- Measuring ---- */

struct run {
    struct tu_hunt *hunt;
    struct tu_session *session;
    const struct tu_recorded *recorded;
    enum tu_hunt_run which;
    struct tu_hunt_stage *stage; /* that is being measured; NULL: it was not recorded so */
    struct sums sums;
    uint64_t seen;
};

static bool wants(void *context, const struct tu_stage *s)
{
    const struct run *r = context;
    return tu_hunt_find(r->hunt, s->name) != NULL;
}

static int begin(void *context, const struct tu_stage *s, struct tu_error *error)
{
    struct run *r = context;
    (void)error;
    struct tu_hunt_stage *stage = tu_hunt_find(r->hunt, s->name);
    bool has = tu_recorded_has(r->recorded, s);
    stage->own[r->which].unlike = !has && tu_recorded_tensor(r->recorded, s);
    r->stage = has ? stage : NULL;
    r->sums = (struct sums){0};
    r->seen = 0;
    return 0;
}

static double value_of(const struct tu_stage *s, const void *values, size_t i)
{
    return s->dtype == TENSOR_I32 ? ((const int32_t *)values)[i] : ((const double *)values)[i];
}

static int put(void *context, const struct tu_stage *s, const void *values, size_t count,
               struct tu_error *error)
{
    struct run *r = context;
    double recorded[PIECE];
    for (size_t done = 0, n; r->stage && done < count; done += n) {
        n = count - done < PIECE ? count - done : PIECE;
        if (tu_recorded_piece(r->recorded, s, r->seen + done, n, recorded, error) < 0)
            return -1;
        for (size_t i = 0; i < n; i++)
            if (!is_hidden(s, r->seen + done + i))
                add(&r->sums, value_of(s, values, done + i), recorded[i]);
    }
    r->seen += count;
    return 0;
}

static int end(void *context, const struct tu_stage *s, struct tu_error *error)
{
    struct run *r = context;
    (void)s, (void)error;
    if (r->stage)
        r->stage->own[r->which] =
            (struct tu_measured){.known = r->sums.finite == r->sums.count || isinf(r->sums.apart),
                                 .error = relative(&r->sums),
                                 .norm = sqrt(r->sums.recorded),
                                 .count = r->sums.count};
    return 0;
}

static void show(void *context, uint64_t done, uint64_t total)
{
    const struct run *r = context;
    tu_progress(r->session, done, total);
}

int tu_hunt_measure(struct tu_hunt *h, struct tu_session *session, struct tu_trace_model *model,
                    struct tu_hunt_trace *trace, enum tu_hunt_run which, struct tu_error *error)
{
    const struct tu_recorded recorded = {.operand = &trace->operand,
                                         .kernels = session->kernels,
                                         .tokens = &trace->tokens,
                                         .path = tu_operand_name(trace->path),
                                         .lenient = true};
    struct run r = {.hunt = h, .session = session, .recorded = &recorded, .which = which};
    const struct tu_stage_sink plan = {.wants = wants, .context = &r},
                               sink = {wants, begin, put, end, &r};
    struct tu_forward f = {.config = &model->config,
                           .weights = &model->weights,
                           .ids = trace->tokens.ids,
                           .tokens = trace->tokens.count,
                           .options = {.wide = true,
                                       .threads = (unsigned)session->threads,
                                       .progress = show,
                                       .context = &r},
                           .sink = &plan,
                           .recorded = &recorded};
    uint64_t wanted;
    if (tu_forward_plan(&f, &wanted, error) < 0)
        return -1;
    if (f.found == 0)
        return tu_fail(error, TU_EINVALID, "%s: holds no stage of %s", tu_operand_name(trace->path),
                       tu_operand_name(model->path));
    f.sink = &sink;
    return wanted ? tu_forward_run(&f, error) : 0;
}

/* ---- Masked stages ---- */

static int unmask(struct tu_hunt_stage *stage, const struct tu_recorded recorded[2],
                  struct tu_error *error)
{
    struct tu_stage s = {.name = stage->name, .stage = stage->stage, .masked = true};
    const struct tu_tensor *t = tu_recorded_tensor(&recorded[0], &s);
    double a[PIECE], b[PIECE];
    struct sums sums = {0};
    s.has_layer = stage->has_layer;
    s.layer = stage->layer;
    s.rank = 3;
    if (!t || t->rank != 3 || !s.stage)
        return 0;
    memcpy(s.shape, t->shape, sizeof s.shape);
    if (!tu_recorded_has(&recorded[1], &s))
        return 0;
    for (uint64_t first = 0, n; first < t->elements; first += n) {
        n = t->elements - first < PIECE ? t->elements - first : PIECE;
        if (tu_recorded_piece(&recorded[0], &s, first, (size_t)n, a, error) < 0 ||
            tu_recorded_piece(&recorded[1], &s, first, (size_t)n, b, error) < 0)
            return -1;
        for (size_t i = 0; i < n; i++)
            if (!is_hidden(&s, first + i))
                add(&sums, b[i], a[i]);
    }
    stage->error = relative(&sums);
    stage->norm = sqrt(sums.recorded);
    return 0;
}

int tu_hunt_unmask(struct tu_hunt *h, struct tu_session *session, struct tu_hunt_trace traces[2],
                   struct tu_error *error)
{
    struct tu_recorded recorded[2];
    for (int i = 0; i < 2; i++)
        recorded[i] = (struct tu_recorded){.operand = &traces[i].operand,
                                           .kernels = session->kernels,
                                           .tokens = &traces[i].tokens,
                                           .path = tu_operand_name(traces[i].path),
                                           .lenient = true};
    for (size_t i = 0; i < h->count; i++)
        if (h->stages[i].masked && unmask(&h->stages[i], recorded, error) < 0)
            return -1;
    return 0;
}
