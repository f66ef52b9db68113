/* SPDX-License-Identifier: MIT */
/* Keeps what each step gives of each stage in a temporary file, and puts the steps together. */
#include "config.h"

#include "trace/decode.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 64 * 1024 }; /* bytes that are read at a time */

/* A stage: where the numbers of each step are. */
struct tu_decoded {
    struct tu_stage stage; /* as the first step had it */
    bool wanted;
    uint64_t *offsets, *elements; /* of each step */
    size_t steps, offset_capacity, element_capacity;
    int32_t *experts;
    size_t expert_count, expert_capacity;
};

/* ---- What a step gives ---- */

struct step {
    struct tu_decoding *decoding;
    const struct tu_stage_sink *sink; /* whose wishes count */
};

static bool is_logits(const struct tu_stage *s)
{
    return strcmp(s->stage, "logits") == 0;
}

static bool wants(void *context, const struct tu_stage *s)
{
    const struct step *step = context;
    return is_logits(s) || step->sink->wants(step->sink->context, s);
}

static int copy_text(struct tu_arena *arena, const char **text, struct tu_error *error)
{
    if (*text && !(*text = tu_arena_copy(arena, *text, strlen(*text))))
        return tu_fail_memory(error);
    return 0;
}

/* Texts of a stage live as long as its layer's pass. */
static int copy_stage(struct tu_arena *arena, const struct tu_stage *s, struct tu_stage *out,
                      struct tu_error *error)
{
    *out = *s;
    const char **texts[] = {&out->name,   &out->stage, &out->op,          &out->arithmetic,
                            &out->weight, &out->bias,  &out->weight_dtype};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (copy_text(arena, texts[i], error) < 0)
            return -1;
    for (size_t i = 0; i < TU_STAGE_INPUTS; i++)
        if (copy_text(arena, &out->inputs[i], error) < 0)
            return -1;
    return 0;
}

static int add_experts(struct tu_decoded *k, const struct tu_stage *s, struct tu_error *error)
{
    for (uint64_t i = 0; s->experts && i < s->shape[0] * s->shape[1]; i++) {
        if (!TU_GROW(k->experts, k->expert_count, k->expert_capacity))
            return tu_fail_memory(error);
        k->experts[k->expert_count++] = s->experts[i];
    }
    return 0;
}

/* The stage comes for the first time, or as it came in the step before. */
static struct tu_decoded *find_stage(struct step *step, const struct tu_stage *s,
                                     struct tu_error *error)
{
    struct tu_decoding *d = step->decoding;
    while (d->count <= s->order) {
        if (!TU_GROW(d->stages, d->count, d->capacity)) {
            tu_fail_memory(error);
            return NULL;
        }
        d->stages[d->count++] = (struct tu_decoded){0};
    }
    struct tu_decoded *k = &d->stages[s->order];
    if (k->steps == 0) {
        k->wanted = step->sink->wants(step->sink->context, s);
        if (copy_stage(&d->arena, s, &k->stage, error) < 0)
            return NULL;
    }
    return k;
}

static int begin(void *context, const struct tu_stage *s, struct tu_error *error)
{
    struct step *step = context;
    struct tu_decoded *k = find_stage(step, s, error);
    if (!k || add_experts(k, s, error) < 0)
        return -1;
    if (!TU_GROW(k->offsets, k->steps, k->offset_capacity) ||
        !TU_GROW(k->elements, k->steps, k->element_capacity))
        return tu_fail_memory(error);
    k->offsets[k->steps] = step->decoding->spool.length;
    k->elements[k->steps++] = 0;
    step->decoding->seen = 0;
    return 0;
}

static size_t element_size(const struct tu_stage *s)
{
    return tu_dtype(s->dtype)->bytes;
}

/* The last row of logits stays in memory: the next token is chosen by it. */
static int keep_logits(struct tu_decoding *d, const struct tu_stage *s, const void *values,
                       size_t count, struct tu_error *error)
{
    d->ids = s->shape[1];
    if (!d->logits && !(d->logits = calloc((size_t)d->ids, sizeof *d->logits)))
        return tu_fail_memory(error);
    for (size_t i = 0; i < count; i++, d->seen++)
        d->logits[d->seen % d->ids] = s->dtype == TENSOR_F64 ? ((const double *)values)[i]
                                                             : (double)((const float *)values)[i];
    return 0;
}

static int put(void *context, const struct tu_stage *s, const void *values, size_t count,
               struct tu_error *error)
{
    struct step *step = context;
    struct tu_decoding *d = step->decoding;
    struct tu_decoded *k = &d->stages[s->order];
    if (is_logits(s) && keep_logits(d, s, values, count, error) < 0)
        return -1;
    k->elements[k->steps - 1] += count;
    return k->wanted ? tu_spool_write(&d->spool, values, count * element_size(s), error) : 0;
}

/* ---- Going on ---- */

static int choose(const struct tu_decoding *d, const char *path, struct tu_token_list *tokens,
                  struct tu_error *error)
{
    uint64_t best = 0;
    for (uint64_t i = 0; i < d->ids; i++) {
        if (isnan(d->logits[i]))
            return tu_fail(error, TU_EINVALID,
                           "%s: the logits of token %zu are NaN: there is no next one", path,
                           tokens->count - 1);
        if (d->logits[i] > d->logits[best])
            best = i;
    }
    return tu_tokens_add(tokens, best, path, error);
}

static int run_step(struct tu_decoding *d, const struct tu_forward *like,
                    const struct tu_token_list *tokens, uint64_t first, struct tu_error *error)
{
    struct step step = {d, like->sink};
    const struct tu_stage_sink plan = {.wants = wants, .context = &step},
                               sink = {
                                   .wants = wants, .begin = begin, .put = put, .context = &step};
    struct tu_forward f = *like;
    uint64_t wanted;
    f.ids = tokens->ids + first;
    f.tokens = tokens->count - first;
    f.first = first;
    f.keys = &d->keys;
    f.length = d->total;
    f.sink = &plan;
    if (tu_forward_plan(&f, &wanted, error) < 0)
        return -1;
    f.sink = &sink;
    return tu_forward_run(&f, error);
}

int tu_decode_run(struct tu_decoding *d, const struct tu_forward *f, uint64_t further,
                  struct tu_token_list *tokens, struct tu_error *error)
{
    uint64_t first = 0;
    if (tokens->count > TU_TOKENS_MAX || further > TU_TOKENS_MAX - tokens->count)
        return tu_fail(error, TU_EUSAGE, "more than %d tokens", TU_TOKENS_MAX);
    d->total = tokens->count + further;
    if (tu_keys_make(&d->keys, f->config, f->options.wide, d->total, error) < 0)
        return -1;
    for (uint64_t i = 0; i <= further; i++) {
        if (run_step(d, f, tokens, first, error) < 0)
            return -1;
        first = tokens->count;
        if (i < further && choose(d, f->weights->path, tokens, error) < 0)
            return -1;
    }
    return tu_tokens_digest(tokens, error);
}

/* ---- Putting together ---- */

struct putter {
    const struct tu_decoding *decoding;
    const struct tu_stage_sink *sink;
    const struct tu_stage *stage;
};

static int put_stored(const struct putter *p, uint64_t offset, uint64_t count,
                      struct tu_error *error)
{
    _Alignas(double) uint8_t bytes[PIECE];
    size_t size = element_size(p->stage), most = sizeof bytes / size;
    for (uint64_t done = 0, n; done < count; done += n) {
        n = count - done < most ? count - done : most;
        if (tu_spool_read(&p->decoding->spool, offset + done * size, bytes, (size_t)n * size,
                          error) < 0 ||
            p->sink->put(p->sink->context, p->stage, bytes, (size_t)n, error) < 0)
            return -1;
    }
    return 0;
}

static int put_zeros(const struct putter *p, uint64_t count, struct tu_error *error)
{
    static const double zeros[PIECE / sizeof(double)];
    for (uint64_t done = 0, n; done < count; done += n) {
        n = count - done < PIECE / sizeof(double) ? count - done : PIECE / sizeof(double);
        if (p->sink->put(p->sink->context, p->stage, zeros, (size_t)n, error) < 0)
            return -1;
    }
    return 0;
}

/* Rows of a token each: those of one step behind those of the one before. */
static int put_rows(const struct putter *p, const struct tu_decoded *k, struct tu_error *error)
{
    for (size_t i = 0; i < k->steps; i++)
        if (put_stored(p, k->offsets[i], k->elements[i], error) < 0)
            return -1;
    return 0;
}

/* [head, query, key]: of each head the queries of all steps, which see more keys in each. */
static int put_pairs(const struct putter *p, const struct tu_decoded *k, uint64_t given,
                     struct tu_error *error)
{
    uint64_t size = element_size(p->stage), total = p->decoding->total;
    for (uint64_t head = 0; head < k->stage.shape[0]; head++)
        for (size_t i = 0; i < k->steps; i++) {
            uint64_t queries = i ? 1 : given, keys = given + i;
            for (uint64_t q = 0; q < queries; q++)
                if (put_stored(p, k->offsets[i] + (head * queries + q) * keys * size, keys, error) <
                        0 ||
                    put_zeros(p, total - keys, error) < 0)
                    return -1;
        }
    return 0;
}

static int put_stage(const struct tu_decoding *d, const struct tu_decoded *k,
                     const struct tu_stage_sink *sink, struct tu_error *error)
{
    struct tu_stage s = k->stage;
    const struct putter p = {d, sink, &s};
    bool pairs = strcmp(s.axes[0], "head") == 0;
    uint64_t given = pairs ? s.shape[1] : s.shape[0];
    s.experts = k->experts;
    if (pairs)
        s.shape[1] = s.shape[2] = d->total;
    else
        s.shape[0] = d->total;
    if (sink->begin && sink->begin(sink->context, &s, error) < 0)
        return -1;
    if (sink->put && (pairs ? put_pairs(&p, k, given, error) : put_rows(&p, k, error)) < 0)
        return -1;
    return sink->end ? sink->end(sink->context, &s, error) : 0;
}

int tu_decode_put(const struct tu_decoding *d, const struct tu_stage_sink *sink,
                  struct tu_error *error)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->stages[i].wanted && put_stage(d, &d->stages[i], sink, error) < 0)
            return -1;
    return 0;
}

void tu_decode_free(struct tu_decoding *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free(d->stages[i].offsets);
        free(d->stages[i].elements);
        free(d->stages[i].experts);
    }
    free(d->stages);
    free(d->logits);
    tu_keys_free(&d->keys);
    tu_spool_close(&d->spool);
    tu_arena_free(&d->arena);
    *d = (struct tu_decoding){0};
}
