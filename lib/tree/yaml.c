/* SPDX-License-Identifier: MIT */
/* The part of YAML that contracts are written in, as trees. */
#include "config.h"

#include "tree/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/text.h"

struct reading {
    yaml_parser_t parser;
    struct tu_builder builder;
    struct tu_error *error;
    bool maps[TU_VALUE_DEPTH]; /* of each open level: whether it is a mapping */
    size_t depth;              /* open levels; the outermost is the builder's own */
    char *key;                 /* of the value that comes next; owned */
    size_t key_length;
    bool document, ended;
};

static int fail_at(struct reading *r, const yaml_event_t *event, const char *what)
{
    return tu_fail(r->error, TU_EINVALID, "line %zu: %s", event->start_mark.line + 1, what);
}

/* What libyaml has to say; its reader counts bytes, all others lines. */
static int fail_in_parser(struct reading *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "this is no YAML";
    if (p->error == YAML_MEMORY_ERROR)
        return tu_fail_memory(r->error);
    if (p->error == YAML_READER_ERROR)
        return tu_fail(r->error, TU_EINVALID, "byte %zu: %s", p->problem_offset, problem);
    return tu_fail(r->error, TU_EINVALID, "line %zu: %s", p->problem_mark.line + 1, problem);
}

/* ---- Plain scalars ---- */

static bool is_one_of(const char *text, const char *const words[])
{
    for (size_t i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* [-+] digits [. digits] [e [-+] digits], with a digit before or behind the dot. */
static bool is_number(const char *text)
{
    static const char digits[] = "0123456789";
    text += strchr("+-", *text) && *text;
    size_t whole = strspn(text, digits), part = 0;
    text += whole;
    if (*text == '.') {
        part = strspn(text + 1, digits);
        text += 1 + part;
    }
    if (whole + part == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += strchr("+-", *text) && *text;
        size_t exponent = strspn(text, digits);
        return exponent && !text[exponent];
    }
    return !*text;
}

static struct tensor_value number_of(const char *text)
{
    char *end;
    uint64_t natural;
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (!*end && !errno)
        return (struct tensor_value){.type = TENSOR_INT64, .sint = integer};
    if (tu_parse_u64(text, &natural))
        return (struct tensor_value){.type = TENSOR_UINT64, .uint = natural};
    return (struct tensor_value){.type = TENSOR_FLOAT64, .real = strtod(text, NULL)};
}

static struct tensor_value resolve(const char *text, size_t length)
{
    static const char *const null[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
    static const char *const infinite[] = {".inf", ".Inf", ".INF", NULL};
    bool negative = *text == '-', is_signed = negative || *text == '+';
    if (is_one_of(text, null))
        return (struct tensor_value){.type = TENSOR_NULL};
    if (is_one_of(text, yes) || is_one_of(text, no))
        return (struct tensor_value){.type = TENSOR_BOOLEAN, .boolean = is_one_of(text, yes)};
    if (is_number(text))
        return number_of(text);
    if (is_one_of(text, nan))
        return (struct tensor_value){.type = TENSOR_FLOAT64, .real = NAN};
    if (is_one_of(text + is_signed, infinite))
        return (struct tensor_value){.type = TENSOR_FLOAT64,
                                     .real = negative ? -INFINITY : INFINITY};
    return (struct tensor_value){.type = TENSOR_STRING, .string = {text, length}};
}

/* ---- Events ---- */

static void drop_key(struct reading *r)
{
    free(r->key);
    r->key = NULL;
}

static bool wants_key(const struct reading *r)
{
    return r->depth && r->maps[r->depth - 1] && !r->key;
}

static int on_scalar(struct reading *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (event->data.scalar.tag)
        return fail_at(r, event, "a tag, which is not known here");
    if (memchr(text, '\0', length))
        return fail_at(r, event, "text with a NUL");
    if (r->depth == 0)
        return fail_at(r, event, "this is no mapping");
    if (wants_key(r)) {
        r->key_length = length;
        r->key = malloc(length + 1);
        return r->key ? (memcpy(r->key, text, length + 1), 0) : tu_fail_memory(r->error);
    }
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct tensor_value value = {.type = TENSOR_STRING, .string = {text, length}};
    if (plain)
        value = resolve(text, length);
    int result = tu_builder_add(&r->builder, r->key, r->key_length, &value, r->error);
    drop_key(r);
    return result;
}

static int on_open(struct reading *r, const yaml_event_t *event, bool map, bool tagged)
{
    if (tagged)
        return fail_at(r, event, "a tag, which is not known here");
    if (wants_key(r))
        return fail_at(r, event, "a key that is no text");
    if (r->depth == 0 && !map)
        return fail_at(r, event, "this is no mapping");
    if (r->depth == TU_VALUE_DEPTH)
        return fail_at(r, event, "nested too deep");
    if (r->depth && tu_builder_open(&r->builder, r->key, r->key_length,
                                    map ? TENSOR_MAP : TENSOR_ARRAY, TENSOR_NULL, r->error) < 0)
        return -1;
    drop_key(r);
    r->maps[r->depth++] = map;
    return 0;
}

/* The builder's own level stays open: it ends with the builder. */
static int on_close(struct reading *r, const yaml_event_t *event)
{
    struct tu_error inner = {0};
    if (--r->depth == 0 || tu_builder_close(&r->builder, &inner) == 0)
        return 0;
    return tu_fail(r->error, inner.code, "before line %zu: %s", event->end_mark.line + 1,
                   inner.text);
}

static int on_event(struct reading *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->document)
            return fail_at(r, event, "a second document");
        r->document = true;
        return 0;
    case YAML_ALIAS_EVENT:
        return fail_at(r, event, "an alias (a value that begins with * needs quotes)");
    case YAML_SCALAR_EVENT:
        return on_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, event, false, event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, event, true, event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(r, event);
    case YAML_STREAM_END_EVENT:
        r->ended = true;
        return 0;
    default:
        return 0;
    }
}

static int read_events(struct reading *r)
{
    while (!r->ended) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event))
            return fail_in_parser(r);
        int result = on_event(r, &event);
        yaml_event_delete(&event);
        if (result < 0)
            return -1;
    }
    return r->document ? 0 : tu_fail(r->error, TU_EINVALID, "it is empty");
}

int tu_yaml_parse(const char *text, size_t length, struct tu_arena *arena, struct tensor_value *out,
                  struct tu_error *error)
{
    struct reading r = {.error = error};
    if (tu_builder_begin(&r.builder, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (!yaml_parser_initialize(&r.parser)) {
        tu_builder_cancel(&r.builder);
        return tu_fail_memory(error);
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, length);
    int result = read_events(&r);
    if (result == 0)
        result = tu_builder_end(&r.builder, out, error);
    else
        tu_builder_cancel(&r.builder);
    drop_key(&r);
    yaml_parser_delete(&r.parser);
    return result;
}
