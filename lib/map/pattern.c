/* SPDX-License-Identifier: MIT */
/* Matches a name against one with placeholders, binds them, and writes the name that they make. */
#include "config.h"

#include "map/pattern.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tensor/name.h"

enum { DIGITS_MAX = 9 };

size_t tu_pattern_number(const char *text, size_t length, uint64_t *out)
{
    size_t digits = 0;
    *out = 0;
    while (digits < length && isdigit((unsigned char)text[digits]) && digits <= DIGITS_MAX)
        *out = *out * 10 + (uint64_t)(text[digits++] - '0');
    return digits > DIGITS_MAX || (digits > 1 && *text == '0') ? 0 : digits;
}

/* ---- Matching ---- */

static bool bind_number(struct tu_bindings *b, unsigned variable, uint64_t number)
{
    if (b->bound & 1u << variable)
        return b->numbers[variable] == number;
    b->bound |= 1u << variable;
    b->numbers[variable] = number;
    return true;
}

static size_t part_length(const char *text, size_t length)
{
    static const char *const parts[] = {"weight", "bias"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (length >= strlen(parts[i]) && memcmp(text, parts[i], strlen(parts[i])) == 0)
            return strlen(parts[i]);
    return 0;
}

static bool bind_text(const char **bound, size_t *bound_length, const char *text, size_t length)
{
    if (*bound)
        return *bound_length == length && memcmp(*bound, text, length) == 0;
    *bound = text;
    *bound_length = length;
    return true;
}

static bool match_pieces(const struct tu_piece *pieces, size_t count, const char *name,
                         size_t length, struct tu_bindings *b);

/* A pattern has one star at most, so this does not branch again. */
static bool match_star(const struct tu_piece *pieces, size_t count, const char *name, size_t length,
                       const struct tu_bindings *before, struct tu_bindings *b)
{
    for (size_t n = 0; n <= length; n++) {
        *b = *before;
        if (bind_text(&b->star, &b->star_length, name, n) &&
            match_pieces(pieces + 1, count - 1, name + n, length - n, b))
            return true;
    }
    return false;
}

static bool match_pieces(const struct tu_piece *pieces, size_t count, const char *name,
                         size_t length, struct tu_bindings *b)
{
    for (; count; pieces++, count--) {
        size_t n = 0;
        uint64_t number;
        switch (pieces->kind) {
        case TU_PIECE_TEXT:
            n = pieces->length;
            if (length < n || memcmp(name, pieces->text, n) != 0)
                return false;
            break;
        case TU_PIECE_NUMBER:
            n = tu_pattern_number(name, length, &number);
            if (!n || !bind_number(b, pieces->variable, number))
                return false;
            break;
        case TU_PIECE_PART:
            n = part_length(name, length);
            if (!n || !bind_text(&b->part, &b->part_length, name, n))
                return false;
            break;
        case TU_PIECE_STAR: {
            const struct tu_bindings before = *b;
            return match_star(pieces, count, name, length, &before, b);
        }
        }
        name += n;
        length -= n;
    }
    return length == 0;
}

/* The same with the prefixes of both left out. */
static bool match_bare(const struct tu_pattern *pattern, const char *name, size_t length,
                       struct tu_bindings *b)
{
    const struct tu_piece *first = &pattern->pieces[0];
    name = tu_bare_name(name, &length);
    if (first->kind != TU_PIECE_TEXT)
        return match_pieces(first, pattern->count, name, length, b);
    /* A prefix may be all the text before a placeholder, though never the whole name. */
    bool more = pattern->count > 1;
    size_t n = first->length + more;
    const char *text = tu_bare_name(first->text, &n);
    n -= more;
    return length >= n && memcmp(name, text, n) == 0 &&
           match_pieces(first + 1, pattern->count - 1, name + n, length - n, b);
}

bool tu_pattern_matches(const struct tu_pattern *pattern, const char *name, size_t length,
                        struct tu_bindings *bindings)
{
    struct tu_bindings found = *bindings;
    bool matches = match_pieces(pattern->pieces, pattern->count, name, length, &found);
    if (!matches) {
        found = *bindings;
        matches = match_bare(pattern, name, length, &found);
    }
    if (matches)
        *bindings = found;
    return matches;
}

/* ---- Writing ---- */

static size_t put_text(char *out, size_t at, const char *text, size_t length)
{
    if (out)
        memcpy(out + at, text, length);
    return at + length;
}

/* Writes a name, or measures it where out is NULL. */
static size_t write_name(const struct tu_pattern *pattern, const struct tu_bindings *b, char *out)
{
    size_t at = 0;
    for (size_t i = 0; i < pattern->count; i++) {
        const struct tu_piece *p = &pattern->pieces[i];
        char number[24];
        if (p->kind == TU_PIECE_TEXT) {
            at = put_text(out, at, p->text, p->length);
        } else if (p->kind == TU_PIECE_NUMBER) {
            int n = snprintf(number, sizeof number, "%" PRIu64, b->numbers[p->variable]);
            at = put_text(out, at, number, (size_t)n);
        } else if (p->kind == TU_PIECE_PART) {
            at = put_text(out, at, b->part, b->part_length);
        } else {
            at = put_text(out, at, b->star, b->star_length);
        }
    }
    return at;
}

char *tu_pattern_name(const struct tu_pattern *pattern, const struct tu_bindings *bindings,
                      struct tu_arena *arena, size_t *length)
{
    *length = write_name(pattern, bindings, NULL);
    char *name = tu_arena_alloc(arena, *length + 1);
    if (!name)
        return NULL;
    write_name(pattern, bindings, name);
    name[*length] = '\0';
    return name;
}
