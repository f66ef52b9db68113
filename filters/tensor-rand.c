/* SPDX-License-Identifier: MIT */
/* tensor-rand: tensors from a seed, the same bytes on every machine. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tool/main.h"
#include "compute/layout.h"
#include "tool/output.h"
#include "compute/random.h"
#include "base/text.h"

enum { PIECE = 16384 };

static struct tu_tool tool;
static struct tu_output output;
static struct tu_list tensor_texts;
static uint64_t seed;
static const struct tu_dtype *type;
static const char *like;
static struct tu_list attention_texts;
static struct tu_layout_options layout;
static bool uniform, have_mean, have_deviation;
static double mean = 0, deviation = 1, low = 0, high = 1;

static int parse_distribution(void *target, const char *text, struct tu_error *error)
{
    return tu_take_word(target, text, "normal", "uniform", error);
}

/* A layout has its own mean and deviation for each tensor, unless the user sets them. */
static int parse_mean(void *target, const char *text, struct tu_error *error)
{
    have_mean = true;
    return tu_option_double(target, text, error);
}

static int parse_deviation(void *target, const char *text, struct tu_error *error)
{
    have_deviation = true;
    return tu_option_double(target, text, error);
}

static const struct tu_option options[] = {
    {0, "seed", "N", "the seed (default 0)", tu_option_u64, &seed},
    {0, "tensor", "NAME=SHAPE", "make a tensor, as w=32x256 or s= (a scalar); may be repeated",
     tu_option_list, &tensor_texts},
    {0, "type", "TYPE", "element type: a floating, integer or boolean one (default F32)",
     tu_option_dtype, &type},
    {0, "distribution", "NAME", "normal (default) or uniform", parse_distribution, &uniform},
    {0, "mean", "X", "of the normal distribution (default 0)", parse_mean, &mean},
    {0, "deviation", "X", "of the normal distribution (default 1)", parse_deviation, &deviation},
    {0, "low", "X", "least value of the uniform distribution (default 0)", tu_option_double, &low},
    {0, "high", "X", "bound of the uniform distribution (default 1)", tu_option_double, &high},
    {0, "like", "ARCH", "make a whole model with the layout of an architecture, see above",
     tu_option_string, &like},
    {0, "attention", "SIZES", "make P.q, P.k and P.v, as heads=28,kv-heads=4,head-dim=128,kv-len=2",
     tu_option_list, &attention_texts},
    {0, "num-layers", "N", "layers of the model (default: as the layout)", tu_option_u64,
     &layout.layers},
    {0, "hidden", "N", "width of the model", tu_option_u64, &layout.hidden},
    {0, "heads", "N", "query heads", tu_option_u64, &layout.heads},
    {0, "kv-heads", "N", "key and value heads", tu_option_u64, &layout.kv_heads},
    {0, "head-dim", "N", "elements of a head", tu_option_u64, &layout.head_dim},
    {0, "ffn", "N", "width of the feed-forward layers", tu_option_u64, &layout.ffn},
    {0, "vocab", "N", "rows of the vocabulary", tu_option_u64, &layout.vocab},
    {0, "experts", "N", "experts of a layer", tu_option_u64, &layout.experts},
    {0, "experts-used", "N", "of these, used for a token", tu_option_u64, &layout.experts_used},
    {0, "expert-ffn", "N", "width of an expert", tu_option_u64, &layout.expert_ffn},
    {0, "shared-ffn", "N", "width of the expert that all tokens share", tu_option_u64,
     &layout.shared_ffn},
    {0, "tied", NULL, "no lm_head: it is tied to the embedding", tu_option_flag, &layout.tied},
    {0, "untied", NULL, "an lm_head, also where the layout has none", tu_option_flag,
     &layout.untied},
    TU_OUTPUT_OPTIONS(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* ---- Elements ---- */

static void make_reals(const struct tu_random *random, const struct tu_layout_tensor *t,
                       uint64_t first, size_t count, float *out)
{
    if (uniform)
        tu_random_uniform(random, first, count, low, high, out);
    else
        tu_random_normal(random, first, count, t->mean, t->deviation, out);
}

/* Integers take the low bytes of 64 random bits each, least significant byte first. */
static void make_integers(const struct tu_random *random, uint64_t first, size_t count,
                          uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = tu_random_bits(random, first + i);
        if (type->kind == TENSOR_KIND_BOOL)
            bits &= 1;
        for (unsigned k = 0; k < type->bytes; k++)
            *out++ = (uint8_t)(bits >> 8 * k);
    }
}

static int write_elements(const struct tu_layout_tensor *t, uint64_t elements,
                          struct tu_error *error)
{
    static float values[PIECE];
    static uint8_t bytes[PIECE * sizeof(double)];
    struct tu_random random = tu_random_init(seed, t->name, strlen(t->name));
    for (uint64_t first = 0; first < elements;) {
        size_t n = elements - first < PIECE ? (size_t)(elements - first) : PIECE;
        if (type->kind == TENSOR_KIND_FLOAT) {
            make_reals(&random, t, first, n, values);
            tool.session.kernels->encode[type->code](values, n, bytes);
        } else {
            make_integers(&random, first, n, bytes);
        }
        if (tu_writer_bytes(&output.writer, bytes, n * type->bytes, error) < 0)
            return -1;
        first += n;
    }
    return 0;
}

static int put_tensor(const struct tu_layout_tensor *t, struct tu_error *error)
{
    struct tu_geometry geometry;
    struct tu_tensor tensor = {.name = t->name,
                               .name_length = strlen(t->name),
                               .dtype = type->code,
                               .rank = t->rank,
                               .shape = t->shape};
    struct tu_error inner = {0};
    if (tu_geometry(type->code, TENSOR_PACKING_ROWS, t->shape, t->rank, &geometry, &inner) < 0)
        return tu_fail(error, inner.code, "tensor '%s': %s", t->name, inner.text);
    tensor.nbytes = geometry.nbytes;
    if (tu_tensor_check(&tensor, &geometry, &inner) < 0)
        return tu_fail(error, inner.code, "tensor '%s': %s", t->name, inner.text);
    if (tu_output_tensor(&output, &tensor, NULL, error) < 0)
        return -1;
    return tu_output_streams(&output) ? write_elements(t, geometry.elements, error) : 0;
}

/* ---- What to make ---- */

static int parse_shape(const char *text, struct tu_layout_tensor *t)
{
    enum { RANK_MAX = sizeof t->shape / sizeof *t->shape };
    for (t->rank = 0; *text; t->rank++) {
        char digits[24];
        size_t n = strspn(text, "0123456789");
        if (n == 0 || n >= sizeof digits || t->rank == RANK_MAX)
            return -1;
        memcpy(digits, text, n);
        digits[n] = '\0';
        if (!tu_parse_u64(digits, &t->shape[t->rank]) ||
            (text[n] && (text[n] != 'x' || !text[n + 1])))
            return -1;
        text += n + (text[n] == 'x');
    }
    return 0;
}

static int put_named(const char *text, struct tu_error *error)
{
    const char *equals = strrchr(text, '=');
    struct tu_layout_tensor t = {.mean = mean, .deviation = deviation};
    if (!equals || equals == text || parse_shape(equals + 1, &t) < 0)
        return tu_fail(error, TU_EUSAGE,
                       "--tensor: '%s' is not NAME=SHAPE with at most 4 dimensions (as w=32x256)",
                       text);
    char *name = strndup(text, (size_t)(equals - text));
    if (!name)
        return tu_fail_memory(error);
    t.name = name;
    int result = put_tensor(&t, error);
    free(name);
    return result;
}

/* What --attention says; 0: not said. */
struct attention_sizes {
    uint64_t heads, kv_heads, head_dim, value_dim, kv_len, q_len, batch;
    const char *name;
    int name_length;
};

/* One KEY=VALUE of --attention. */
static int parse_attention_size(const char *text, size_t length, struct attention_sizes *s)
{
    const struct {
        const char *key;
        uint64_t *to;
    } keys[] = {{"heads", &s->heads},       {"kv-heads", &s->kv_heads},
                {"head-dim", &s->head_dim}, {"value-dim", &s->value_dim},
                {"kv-len", &s->kv_len},     {"q-len", &s->q_len},
                {"batch", &s->batch}};
    char digits[24];
    size_t key = strcspn(text, "=");
    if (key >= length || length - key - 1 == 0)
        return -1;
    const char *value = text + key + 1;
    size_t rest = length - key - 1;
    if (key == 4 && strncmp(text, "name", key) == 0) {
        s->name = value;
        s->name_length = (int)rest;
        return 0;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys && rest < sizeof digits; i++)
        if (strlen(keys[i].key) == key && strncmp(keys[i].key, text, key) == 0) {
            memcpy(digits, value, rest);
            digits[rest] = '\0';
            return tu_parse_u64(digits, keys[i].to) && *keys[i].to ? 0 : -1;
        }
    return -1;
}

static int put_attention_tensor(const struct attention_sizes *s, char part, uint64_t length,
                                uint64_t heads, uint64_t dim, struct tu_error *error)
{
    struct tu_layout_tensor t = {.mean = mean, .deviation = deviation};
    char *name;
    if (s->batch)
        t.shape[t.rank++] = s->batch;
    t.shape[t.rank++] = length;
    t.shape[t.rank++] = heads;
    t.shape[t.rank++] = dim;
    if (asprintf(&name, "%.*s.%c", s->name_length, s->name, part) < 0)
        return tu_fail_memory(error);
    t.name = name;
    int result = put_tensor(&t, error);
    free(name);
    return result;
}

static int put_attention(const char *text, struct tu_error *error)
{
    struct attention_sizes s = {
        .q_len = 1, .head_dim = 128, .name = "attn", .name_length = (int)strlen("attn")};
    for (const char *p = text; *p;) {
        size_t length = strcspn(p, ",");
        if (parse_attention_size(p, length, &s) < 0)
            return tu_fail(error, TU_EUSAGE, "--attention: '%.*s' is no KEY=NUMBER that it knows",
                           (int)length, p);
        p += length + (p[length] == ',');
    }
    if (!s.heads || !s.kv_len)
        return tu_fail(error, TU_EUSAGE, "--attention: heads and kv-len are needed");
    uint64_t kv_heads = s.kv_heads ? s.kv_heads : s.heads;
    uint64_t value_dim = s.value_dim ? s.value_dim : s.head_dim;
    if (put_attention_tensor(&s, 'q', s.q_len, s.heads, s.head_dim, error) < 0 ||
        put_attention_tensor(&s, 'k', s.kv_len, kv_heads, s.head_dim, error) < 0)
        return -1;
    return put_attention_tensor(&s, 'v', s.kv_len, kv_heads, value_dim, error);
}

/* The metadata that such a model's configuration would state. */
static int put_source(struct tu_arena *arena, struct tu_error *error)
{
    struct tu_builder b;
    struct tensor_value map;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", "source", error) < 0 || tu_put_uint(&b, "id", 0, error) < 0 ||
        tu_put_string(&b, "path", "", error) < 0 ||
        tu_put_string(&b, "format", "tensor-rand", error) < 0 ||
        tu_put_uint(&b, "bytes", 0, error) < 0 ||
        tu_builder_open(&b, "meta", 4, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_layout_metadata(like, &layout, &b, error) < 0 || tu_builder_close(&b, error) < 0) {
        tu_builder_cancel(&b);
        return -1;
    }
    if (tu_builder_end(&b, &map, error) < 0)
        return -1;
    return tu_output_record(&output, &map, error);
}

static int put_model(struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_layout_tensor *tensors;
    size_t count;
    int result = tu_layout(like, &layout, &arena, &tensors, &count, error);
    if (result == 0)
        result = put_source(&arena, error);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (have_mean)
            tensors[i].mean = mean;
        if (have_deviation)
            tensors[i].deviation = deviation;
        result = put_tensor(&tensors[i], error);
        tu_progress(&tool.session, i + 1, count);
    }
    tu_arena_free(&arena);
    return result;
}

static int check_options(struct tu_error *error)
{
    if (!type)
        type = tu_dtype(TENSOR_F32);
    bool plain = type->elements == 1 && type->head == 0;
    if (!plain || (type->kind == TENSOR_KIND_FLOAT && !tool.session.kernels->encode[type->code]) ||
        type->kind == TENSOR_KIND_QUANT || type->kind == TENSOR_KIND_COMPLEX)
        return tu_fail(error, TU_EUSAGE, "--type: %s cannot be made here (pipe into tensor-quant)",
                       type->name);
    if (!like && tensor_texts.count == 0 && attention_texts.count == 0)
        return tu_fail(error, TU_EUSAGE, "nothing to make: give --tensor, --like or --attention");
    if (!(low < high) || !(deviation >= 0))
        return tu_fail(error, TU_EUSAGE, "--low must be below --high, --deviation not negative");
    return 0;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    (void)operands, (void)count;
    if (check_options(error) < 0 ||
        tu_output_open(&output, t, "tensor", tu_tensor_columns, error) < 0)
        return -1;
    if (like && put_model(error) < 0)
        return -1;
    for (size_t i = 0; i < tensor_texts.count; i++)
        if (put_named(tensor_texts.items[i], error) < 0)
            return -1;
    for (size_t i = 0; i < attention_texts.count; i++)
        if (put_attention(attention_texts.items[i], error) < 0)
            return -1;
    return tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-rand",
        .synopsis = "--tensor NAME=SHAPE... [OPTION]...\n--like ARCH [OPTION]...\n"
                    "--attention SIZES... [OPTION]...",
        .about = "Makes tensors from a seed, the same bytes on every machine: single ones, or a\n"
                 "whole model with the layout of an architecture: llama, mistral, mixtral, qwen2,\n"
                 "qwen2moe, qwen3, qwen3moe, gemma, gemma2, gemma3 or phi3.",
        .options = options,
        .run = run,
    };
    int status = tu_main(&command, &tool, argc, argv);
    free(tensor_texts.items);
    free(attention_texts.items);
    return status;
}
