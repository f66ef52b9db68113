/* SPDX-License-Identifier: MIT */
/* JSON to trees, piece by piece, and trees to JSON. */
#include "config.h"

#include "tree/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/json-memory.h"
#include "tree/json-check.h"
#include "base/source.h"
#include "base/text.h"

/* ---- Reading ---- */

/* yajl scans a string anew with each piece it goes on in, so a long one costs its square. */
enum { TOKEN_MAX = 16 << 20 };

struct tu_json_parser {
    struct tu_yajl yajl;
    struct tu_builder *builder;
    struct tu_error *error;
    size_t depth; /* open maps and arrays; the outermost map is the builder's own */
    bool done;
    struct tu_jsontext text;
    size_t silent;   /* bytes since the last token */
    size_t end;      /* of the object in the piece that is being parsed */
    const char *key; /* of the value that comes next; owned */
    size_t key_length;
};

/* Values in arrays have no key; a key is used up by its value. */
static int add(struct tu_json_parser *p, const struct tensor_value *value)
{
    if (p->depth == 0)
        return tu_fail(p->error, TU_EINVALID, "the JSON is not an object") == 0;
    p->silent = 0;
    int result = tu_builder_add(p->builder, p->key, p->key_length, value, p->error);
    free((void *)p->key);
    p->key = NULL;
    return result == 0;
}

static int on_null(void *context)
{
    return add(context, &(struct tensor_value){.type = TENSOR_NULL});
}

static int on_boolean(void *context, int boolean)
{
    return add(context, &(struct tensor_value){.type = TENSOR_BOOLEAN, .boolean = boolean != 0});
}

static int on_number(void *context, const char *text, size_t length)
{
    struct tu_json_parser *p = context;
    char copy[512];
    if (length >= sizeof copy)
        return tu_fail(p->error, TU_EINVALID, "%.*s%sa number of %zu digits",
                       p->key && p->key_length < 256 ? (int)p->key_length : 0, p->key ? p->key : "",
                       p->key && p->key_length < 256 ? ": " : "", length) == 0;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *end;
    errno = 0;
    int64_t integer = strtoll(copy, &end, 10);
    if (*end == '\0' && errno == 0 && strcmp(copy, "-0") != 0)
        return add(p, &(struct tensor_value){.type = TENSOR_INT64, .sint = integer});
    uint64_t natural;
    if (tu_parse_u64(copy, &natural))
        return add(p, &(struct tensor_value){.type = TENSOR_UINT64, .uint = natural});
    return add(p, &(struct tensor_value){.type = TENSOR_FLOAT64, .real = strtod(copy, NULL)});
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
    return add(context, &(struct tensor_value){.type = TENSOR_STRING,
                                               .string = {(const char *)text, length}});
}

static int on_key(void *context, const unsigned char *text, size_t length)
{
    struct tu_json_parser *p = context;
    char *copy = malloc(length + 1);
    if (!copy)
        return tu_fail_memory(p->error) == 0;
    memcpy(copy, text, length);
    copy[length] = '\0';
    p->key = copy;
    p->key_length = length;
    p->silent = 0;
    return 1;
}

static int open_level(struct tu_json_parser *p, enum tensor_value_type type)
{
    if (p->depth == 0) {
        if (type != TENSOR_MAP)
            return tu_fail(p->error, TU_EINVALID, "the JSON is not an object") == 0;
        p->depth = 1;
        return 1;
    }
    int result = tu_builder_open(p->builder, p->key, p->key_length, type, TENSOR_NULL, p->error);
    free((void *)p->key);
    p->key = NULL;
    p->depth++;
    return result == 0;
}

static int close_level(void *context)
{
    struct tu_json_parser *p = context;
    p->silent = 0;
    p->done = --p->depth == 0;
    if (p->done)
        p->end = yajl_get_bytes_consumed(p->yajl.handle);
    return p->done || tu_builder_close(p->builder, p->error) == 0;
}

static int on_map(void *context)
{
    return open_level(context, TENSOR_MAP);
}

static int on_array(void *context)
{
    return open_level(context, TENSOR_ARRAY);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_map_key = on_key,
    .yajl_start_map = on_map,
    .yajl_end_map = close_level,
    .yajl_start_array = on_array,
    .yajl_end_array = close_level,
};

struct tu_json_parser *tu_json_parser_new(struct tu_builder *builder, struct tu_error *error)
{
    struct tu_json_parser *p = calloc(1, sizeof *p);
    if (!p || !tu_yajl_open(&p->yajl, &callbacks, p)) {
        free(p);
        tu_fail_memory(error);
        return NULL;
    }
    p->builder = builder;
    p->error = error;
    return p;
}

static int check(struct tu_json_parser *p, yajl_status status)
{
    if (status == yajl_status_ok)
        return 0;
    if (status == yajl_status_client_canceled)
        return p->yajl.exhausted ? tu_fail_memory(p->error) : -1;
    unsigned char *text = tu_yajl_error(&p->yajl);
    size_t length = text ? strcspn((const char *)text, "\n") : 0;
    tu_fail(p->error, TU_EINVALID, "bad JSON (%.*s)", (int)length, text ? (const char *)text : "");
    if (text)
        yajl_free_error(p->yajl.handle, text);
    return -1;
}

/* Behind the object only blanks may come; yajl would take the beginning of a token there. */
static int check_rest(struct tu_json_parser *p, const uint8_t *text, size_t length)
{
    return tu_jsontext_blanks(text, length) == length
               ? 0
               : tu_fail(p->error, TU_EINVALID, "bad JSON (it goes on behind its object)");
}

int tu_json_parser_feed(struct tu_json_parser *p, const void *text, size_t length)
{
    size_t at;
    if (p->done)
        return check_rest(p, text, length);
    const char *why = tu_jsontext_check(&p->text, text, length, &at);
    if (why)
        return tu_fail(p->error, TU_EINVALID, "bad JSON (%s)", why);
    p->silent += length;
    if (check(p, tu_yajl_parse(&p->yajl, text, length)) < 0)
        return -1;
    if (p->silent > TOKEN_MAX)
        return tu_fail(p->error, TU_EINVALID, "the JSON has a string of more than %d bytes",
                       TOKEN_MAX);
    return p->done ? check_rest(p, (const uint8_t *)text + p->end, length - p->end) : 0;
}

int tu_json_parser_end(struct tu_json_parser *p)
{
    int result = p->done ? 0 : check(p, tu_yajl_parse(&p->yajl, NULL, 0));
    if (result == 0 && !p->done)
        result = tu_fail(p->error, TU_EINVALID, "the JSON is not an object");
    tu_json_parser_cancel(p);
    return result;
}

void tu_json_parser_cancel(struct tu_json_parser *p)
{
    free((void *)p->key);
    tu_yajl_close(&p->yajl);
    free(p);
}

int tu_json_parse(const char *text, size_t length, enum tu_duplicates duplicates,
                  struct tu_arena *arena, struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder builder;
    if (tu_builder_begin(&builder, arena, duplicates, error) < 0)
        return -1;
    struct tu_json_parser *parser = tu_json_parser_new(&builder, error);
    int result = parser ? tu_json_parser_feed(parser, text, length) : -1;
    if (result == 0)
        result = tu_json_parser_end(parser);
    else if (parser)
        tu_json_parser_cancel(parser);
    if (result == 0)
        return tu_builder_end(&builder, out, error);
    tu_builder_cancel(&builder);
    return -1;
}

/* ---- Writing ---- */

struct generator {
    struct tu_jsonmemory memory;
    yajl_gen gen;
    char *escaped;
};

static void generate(struct generator *g, const struct tensor_value *value);

static void generate_string(struct generator *g, const struct tensor_value *value)
{
    const char *text = value->string.bytes;
    size_t length = value->string.length;
    if (tu_is_utf8(text, length)) {
        yajl_gen_string(g->gen, (const unsigned char *)text, length);
        return;
    }
    size_t size = 4 * length + 8;
    g->escaped = malloc(size);
    if (!g->escaped)
        longjmp(g->memory.exhausted, 1);
    size_t n = tu_escape(text, length, g->escaped, size);
    yajl_gen_string(g->gen, (const unsigned char *)g->escaped, n);
    free(g->escaped);
    g->escaped = NULL;
}

static void generate_number(struct generator *g, const struct tensor_value *value)
{
    char text[TU_NUMBER_SIZE];
    if (tu_value_is_unsigned(value))
        snprintf(text, sizeof text, "%" PRIu64, value->uint);
    else if (tu_value_is_signed(value))
        snprintf(text, sizeof text, "%" PRId64, value->sint);
    else if (value->type == TENSOR_FLOAT32)
        tu_format_float((float)value->real, text);
    else
        tu_format_double(value->real, text);
    yajl_gen_number(g->gen, text, strlen(text));
}

static void generate_array(struct generator *g, const struct tensor_value *value)
{
    yajl_gen_array_open(g->gen);
    for (size_t i = 0; i < value->array.count; i++)
        generate(g, &value->array.items[i]);
    yajl_gen_array_close(g->gen);
}

static void generate_map(struct generator *g, const struct tensor_value *value)
{
    yajl_gen_map_open(g->gen);
    for (size_t i = 0; i < value->map.count; i++) {
        generate_string(g, &value->map.pairs[i].key);
        generate(g, &value->map.pairs[i].value);
    }
    yajl_gen_map_close(g->gen);
}

static void generate(struct generator *g, const struct tensor_value *value)
{
    if (value->type == TENSOR_NULL || (tu_value_is_real(value) && !isfinite(value->real)))
        yajl_gen_null(g->gen);
    else if (value->type == TENSOR_BOOLEAN)
        yajl_gen_bool(g->gen, value->boolean);
    else if (value->type == TENSOR_STRING)
        generate_string(g, value);
    else if (value->type == TENSOR_ARRAY)
        generate_array(g, value);
    else if (value->type == TENSOR_MAP)
        generate_map(g, value);
    else
        generate_number(g, value);
}

/* One character as JSON escapes it, in one \\u or two; at most 12 bytes. */
static size_t put_escape(char *out, uint32_t code)
{
    if (code < 0x10000)
        return (size_t)sprintf(out, "\\u%04x", code);
    code -= 0x10000;
    return (size_t)sprintf(out, "\\u%04x\\u%04x", 0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff));
}

/* yajl escapes C0 controls only.  Other characters that are not seen (text.h) stand inside strings
 * alone, and are replaced in the finished text, whose line ends are its own. */
static char *escape_hidden(const unsigned char *bytes, size_t length, struct tu_arena *arena,
                           size_t *out_length)
{
    const char *text = (const char *)bytes;
    size_t found = 0, used = 0;
    uint32_t code;
    for (size_t i = 0; i < length; i++)
        found += bytes[i] >= 0x7f && tu_hidden(text + i, length - i, &code);
    char *out = tu_arena_alloc(arena, length + 12 * found + 1);
    if (!out)
        return NULL;
    for (size_t i = 0, n; i < length; i += n) {
        n = bytes[i] >= 0x7f ? tu_hidden(text + i, length - i, &code) : 0;
        if (n)
            used += put_escape(out + used, code);
        else
            out[used++] = text[i], n = 1;
    }
    out[used] = '\0';
    *out_length = used;
    return out;
}

/* False where memory is used up, by a jump out of yajl or of the above. */
static bool generate_all(struct generator *g, const struct tensor_value *value, bool page)
{
    tu_jsonmemory_init(&g->memory);
    if (setjmp(g->memory.exhausted))
        return false;
    g->gen = yajl_gen_alloc(&g->memory.functions);
    yajl_gen_config(g->gen, yajl_gen_beautify, page);
    yajl_gen_config(g->gen, yajl_gen_indent_string, "  ");
    generate(g, value);
    return true;
}

static int make_text(const struct tensor_value *value, bool page, struct tu_arena *arena,
                     const char **text, size_t *length, struct tu_error *error)
{
    struct generator g = {.gen = NULL};
    *text = NULL;
    if (generate_all(&g, value, page)) {
        const unsigned char *raw = NULL;
        size_t raw_length = 0;
        yajl_gen_get_buf(g.gen, &raw, &raw_length);
        *text = escape_hidden(raw, raw_length, arena, length);
    }
    if (g.gen)
        yajl_gen_free(g.gen);
    free(g.escaped);
    return *text ? 0 : tu_fail_memory(error);
}

int tu_json_text(const struct tensor_value *value, struct tu_arena *arena, const char **text,
                 size_t *length, struct tu_error *error)
{
    return make_text(value, false, arena, text, length, error);
}

int tu_json_page(const struct tensor_value *value, struct tu_arena *arena, const char **text,
                 size_t *length, struct tu_error *error)
{
    return make_text(value, true, arena, text, length, error);
}

/* ---- Files ---- */

static int parse_file(struct tu_source *source, uint64_t limit, struct tu_builder *b,
                      struct tu_error *error)
{
    if (source->size > limit)
        return tu_fail(error, TU_EINVALID, "it has %" PRIu64 " bytes (at most %" PRIu64 ")",
                       source->size, limit);
    struct tu_json_parser *parser = tu_json_parser_new(b, error);
    if (!parser)
        return -1;
    for (uint64_t done = 0; done < source->size;) {
        uint64_t rest = source->size - done;
        size_t n = rest < TENSOR_PEEK_MAX ? (size_t)rest : TENSOR_PEEK_MAX;
        const void *text = tu_source_peek(source, done, n, error);
        if (!text || tu_json_parser_feed(parser, text, n) < 0) {
            tu_json_parser_cancel(parser);
            return -1;
        }
        done += n;
    }
    return tu_json_parser_end(parser);
}

int tu_read_json(const char *path, uint64_t limit, struct tu_arena *arena, struct tensor_value *out,
                 struct tu_error *error)
{
    struct tu_source source;
    struct tu_builder b;
    struct tu_error inner = {0};
    if (tu_source_open_part(&source, path, error) < 0)
        return -1;
    int result = tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error);
    if (result == 0) {
        result = parse_file(&source, limit, &b, &inner);
        if (result == 0)
            result = tu_builder_end(&b, out, &inner);
        else
            tu_builder_cancel(&b);
    }
    tu_source_close(&source);
    return result < 0 ? tu_fail(error, inner.code, "%s: %s", path, inner.text) : 0;
}
