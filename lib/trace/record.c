/* SPDX-License-Identifier: MIT */
/* Builds the records of a trace: the configuration, and each stage. */
#include "config.h"

#include "trace/record.h"

#include <string.h>

#include "stream/record.h"

const struct tu_column tu_stage_columns[] = {
    {.key = "order", .title = "order", .width = 5},
    {.key = "op", .title = "op", .width = -9},
    {.key = "dtype", .title = "dtype", .width = -5},
    {.key = "shape", .title = "shape", .width = -16},
    {.key = "nbytes", .title = "bytes", .width = 10, .bytes = true},
    {.key = "weight_dtype", .title = "w", .width = -6},
    {.key = "k_dim", .title = "k_dim", .width = 6},
    {.key = "arithmetic", .title = "arithmetic", .width = -10},
    {.key = "stage", .title = "stage", .width = -14, .detail = true},
    {.key = "layer", .title = "layer", .width = 5, .detail = true},
    {.key = "weight", .title = "weight", .width = -30, .detail = true},
    {.key = "bias", .title = "bias", .width = -30, .detail = true},
    {.key = "inputs", .title = "inputs", .width = -30, .detail = true},
    {.key = "name", .title = "name"},
    {0},
};

static int put_texts(struct tu_builder *b, const char *key, const char *const *texts, size_t most,
                     struct tu_error *error)
{
    if (!texts[0])
        return 0;
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_STRING, error) < 0)
        return -1;
    for (size_t i = 0; i < most && texts[i]; i++) {
        const struct tensor_value v = {.type = TENSOR_STRING,
                                       .string = {texts[i], strlen(texts[i])}};
        if (tu_builder_add(b, NULL, 0, &v, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

static int put_numbers(struct tu_builder *b, const char *key, enum tensor_value_type type,
                       const uint32_t *numbers, uint64_t count, struct tu_error *error)
{
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, type, error) < 0)
        return -1;
    for (uint64_t i = 0; i < count; i++) {
        const struct tensor_value v = {.type = (uint8_t)type, .uint = numbers[i]};
        if (tu_builder_add(b, NULL, 0, &v, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

static int put_ids(struct tu_builder *b, const struct tu_token_list *tokens, struct tu_error *error)
{
    return put_numbers(b, "ids", TENSOR_UINT32, tokens->ids, tokens->count, error);
}

/* None of them is negative. */
static int put_experts(struct tu_builder *b, const struct tu_stage *s, struct tu_error *error)
{
    return s->experts ? put_numbers(b, "experts", TENSOR_UINT32, (const uint32_t *)s->experts,
                                    s->shape[0] * s->shape[1], error)
                      : 0;
}

static int put_stage(struct tu_builder *b, const struct tu_trace_about *about,
                     const struct tu_stage *s, struct tu_error *error)
{
    if (tu_put_uint(b, "order", s->order, error) < 0 ||
        put_texts(b, "axes", s->axes, s->rank, error) < 0 ||
        tu_put_text(b, "layout", s->layout, error) < 0 ||
        tu_put_text(b, "mask", s->masked ? "causal" : NULL, error) < 0 ||
        tu_put_string(b, "op", s->op, error) < 0 ||
        put_texts(b, "inputs", s->inputs, TU_STAGE_INPUTS, error) < 0 ||
        tu_put_text(b, "weight", s->weight, error) < 0 ||
        tu_put_text(b, "bias", s->bias, error) < 0 ||
        tu_put_text(b, "weight_dtype", s->weight_dtype, error) < 0 ||
        (s->k_dim && tu_put_uint(b, "k_dim", s->k_dim, error) < 0) ||
        tu_put_string(b, "arithmetic", s->arithmetic, error) < 0 || put_experts(b, s, error) < 0 ||
        (strcmp(s->stage, "logits") == 0 && put_ids(b, about->tokens, error) < 0) ||
        tu_put_uint(b, "source", 0, error) < 0 ||
        tu_put_string(b, "arch", about->config->arch->name, error) < 0)
        return -1;
    return tu_put_string(b, "program", about->program, error);
}

static int describe(const struct tu_trace_about *about, const struct tu_stage *s,
                    struct tu_tensor *out, struct tu_error *error)
{
    struct tu_geometry g;
    *out = (struct tu_tensor){.name = s->name,
                              .name_length = strlen(s->name),
                              .dtype = s->dtype,
                              .rank = s->rank,
                              .shape = s->shape,
                              .scope = {.stage = s->stage,
                                        .stage_length = strlen(s->stage),
                                        .has_layer = s->has_layer,
                                        .layer = s->layer,
                                        .has_tokens = true,
                                        .tokens = {0, about->tokens->count},
                                        .ids = about->tokens->digest,
                                        .ids_length = strlen(about->tokens->digest)}};
    if (tu_geometry(s->dtype, TENSOR_PACKING_ROWS, s->shape, s->rank, &g, error) < 0)
        return -1;
    out->nbytes = g.nbytes;
    return tu_tensor_check(out, &g, error);
}

int tu_stage_tensor(const struct tu_trace_about *about, const struct tu_stage *s,
                    struct tu_arena *arena, struct tu_tensor *out, struct tensor_value *extra,
                    struct tu_error *error)
{
    struct tu_builder b;
    if (describe(about, s, out, error) < 0 ||
        tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (put_stage(&b, about, s, error) == 0)
        return tu_builder_end(&b, extra, error);
    tu_builder_cancel(&b);
    return -1;
}

int tu_stage_put(struct tu_builder *b, const struct tu_trace_about *about, const struct tu_stage *s,
                 struct tu_error *error)
{
    struct tu_tensor t;
    if (describe(about, s, &t, error) < 0 || tu_put_tensor(b, &t, error) < 0)
        return -1;
    return put_stage(b, about, s, error);
}

/* ---- The `trace` record ---- */

static int put_tokens(struct tu_builder *b, const struct tu_token_list *tokens,
                      struct tu_error *error)
{
    static const char key[] = "tokens";
    if (tu_builder_open(b, key, strlen(key), TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_uint(b, "first", 0, error) < 0 ||
        tu_put_uint(b, "count", tokens->count, error) < 0 ||
        tu_put_string(b, "ids_digest", tokens->digest, error) < 0 || put_ids(b, tokens, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

int tu_trace_record(const struct tu_trace_about *about, struct tu_arena *arena,
                    struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    const struct tu_trace_rope *rope = &about->config->rope;
    const char *side = (double)about->tokens->count <= rope->original ? "short" : "long";
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", "trace", error) == 0 &&
        tu_put_uint(&b, "source", 0, error) == 0 &&
        tu_put_string(&b, "arch", about->config->arch->name, error) == 0 &&
        tu_put_string(&b, "program", about->program, error) == 0 &&
        tu_put_string(&b, "precision", about->precision, error) == 0 &&
        tu_put_string(&b, "weights", about->weights, error) == 0 &&
        tu_put_string(&b, "cache", about->cache, error) == 0 &&
        (!about->decoded || tu_put_uint(&b, "decoded", about->decoded, error) == 0) &&
        put_tokens(&b, about->tokens, error) == 0 &&
        tu_put_text(&b, "rope_lists", rope->scaling == TU_ROPE_LONG ? side : NULL, error) == 0 &&
        tu_put_uint(&b, "recorded", about->recorded, error) == 0 &&
        tu_put_uint(&b, "unused", about->unused, error) == 0 &&
        tu_trace_put_config(&b, "config", about->config, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}
