/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void refuse(struct parser *p, const char *format, ...)
{
    if (p->failed)
        return;
    va_list arguments;
    va_start(arguments, format);
    int used = snprintf(p->log, LOG_MAX, "ptxsim: line %u: ", p->token_line);
    vsnprintf(p->log + used, LOG_MAX - (size_t)used, format, arguments);
    va_end(arguments);
    p->failed = true;
    p->token = END;
    p->text[0] = 0;
}

void *grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    size_t wanted = *room ? *room * 2 : 16;
    char *grown = realloc(array, wanted * size);
    if (!grown)
        abort();
    memset(grown + *room * size, 0, (wanted - *room) * size);
    *room = wanted;
    return grown;
}

static void skip_comment(struct parser *p)
{
    if (p->at[1] == '/') {
        p->at += strcspn(p->at, "\n");
        return;
    }
    const char *end = strstr(p->at + 2, "*/");
    if (!end) {
        p->token_line = p->line;
        refuse(p, "a comment without an end");
        return;
    }
    for (; p->at < end; p->at++)
        p->line += *p->at == '\n';
    p->at = end + 2;
}

static void skip_space(struct parser *p)
{
    while (!p->failed) {
        if (*p->at == '\n')
            p->line++;
        if (*p->at && isspace((unsigned char)*p->at))
            p->at++;
        else if (p->at[0] == '/' && (p->at[1] == '/' || p->at[1] == '*'))
            skip_comment(p);
        else
            return;
    }
}

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '%' || c == '$';
}

/* Bytes of the token at p->at. */
static size_t measure(struct parser *p)
{
    size_t n = 0;
    if (*p->at == '"') {
        p->token = STRING;
        n = 1 + strcspn(p->at + 1, "\"\n");
        return n + (p->at[n] == '"');
    }
    p->token = isdigit((unsigned char)*p->at) ? NUMBER : WORD;
    while (in_word(p->at[n]) || (n && p->at[n] == ':' && p->at[n + 1] == ':'))
        n += p->at[n] == ':' ? 2 : 1;
    if (n == 0)
        p->token = MARK;
    return n ? n : 1;
}

void next(struct parser *p)
{
    if (p->failed)
        return;
    skip_space(p);
    p->token_line = p->line;
    if (p->failed || !*p->at) {
        p->token = END;
        p->text[0] = 0;
        return;
    }
    size_t n = measure(p);
    if (n >= WORD_MAX) {
        refuse(p, "a word of %zu bytes", n);
        return;
    }
    memcpy(p->text, p->at, n);
    p->text[n] = 0;
    p->at += n;
}

bool take(struct parser *p, const char *text)
{
    if (!is(p, text))
        return false;
    next(p);
    return true;
}

void want(struct parser *p, const char *text)
{
    if (!take(p, text))
        refuse(p, "'%s' where '%s' is wanted", p->token == END ? "the end" : p->text, text);
}

/* Digits in a base that their prefix tells, perhaps with a U behind. */
static uint64_t digits(struct parser *p)
{
    const char *from = p->text;
    int base = 10;
    if (from[0] == '0' && (from[1] == 'x' || from[1] == 'X')) {
        from += 2;
        base = 16;
    } else if (from[0] == '0' && (from[1] == 'b' || from[1] == 'B')) {
        from += 2;
        base = 2;
    } else if (from[0] == '0' && from[1]) {
        base = 8;
    }
    char *end;
    uint64_t value = strtoull(from, &end, base);
    if (end == from && from != p->text)
        refuse(p, "'%s' is no number", p->text);
    else if (*end && strcmp(end, "U") != 0)
        refuse(p, "'%s' is no integer", p->text);
    next(p);
    return value;
}

int64_t read_integer(struct parser *p)
{
    bool negative = take(p, "-");
    if (p->token != NUMBER) {
        refuse(p, "'%s' where a number is wanted", p->text);
        return 0;
    }
    uint64_t value = digits(p);
    return (int64_t)(negative ? -value : value);
}

static uint64_t bits_of(double value, unsigned size)
{
    uint64_t bits = 0;
    float narrow = (float)value;
    if (size == 4)
        memcpy(&bits, &narrow, 4);
    else
        memcpy(&bits, &value, 8);
    return bits;
}

/* 0f and 0d have the bits of a float and of a double. */
static bool read_float_bits(struct parser *p, unsigned size, bool negative, uint64_t *value)
{
    bool is_double = strncasecmp(p->text, "0d", 2) == 0;
    if (!is_double && strncasecmp(p->text, "0f", 2) != 0)
        return false;
    char *end;
    uint64_t bits = strtoull(p->text + 2, &end, 16);
    if (*end || strlen(p->text) != (is_double ? 18 : 10)) {
        refuse(p, "'%s' is no number", p->text);
        return true;
    }
    if (is_double != (size == 8)) {
        double d;
        float f;
        memcpy(&d, &bits, 8);
        memcpy(&f, &bits, 4);
        bits = bits_of(is_double ? d : (double)f, size);
    }
    *value = negative ? bits ^ UINT64_C(1) << (size * 8 - 1) : bits;
    next(p);
    return true;
}

uint64_t read_constant(struct parser *p, unsigned size, bool is_float)
{
    bool negative = take(p, "-");
    uint64_t value = 0;
    if (p->token != NUMBER) {
        refuse(p, "'%s' where a number is wanted", p->text);
        return 0;
    }
    if (read_float_bits(p, size, negative, &value))
        return value;
    if (strchr(p->text, '.')) {
        value = bits_of(strtod(p->text, NULL) * (negative ? -1 : 1), size);
        if (!is_float)
            refuse(p, "'%s' for an integer", p->text);
        next(p);
        return value;
    }
    value = digits(p);
    return negative ? -value : value;
}

struct label read_label_name(struct parser *p)
{
    struct label l = {.length = strlen(p->text), .line = p->token_line};
    if (p->token != WORD)
        refuse(p, "'%s' where a label is wanted", p->text);
    l.name = p->at - l.length;
    l.hash = hash_name(p->text);
    l.at = (uint32_t)p->function->count;
    next(p);
    return l;
}
