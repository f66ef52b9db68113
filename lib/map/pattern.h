/* SPDX-License-Identifier: MIT */
/* Names with placeholders, of the language of maps: matched with names of tensors, and written. */
#ifndef TU_PATTERN_H
#define TU_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* Placeholders of whole numbers in one rule. */
#define TU_MAP_NUMBERS_MAX 4

/* A name with placeholders. */
struct tu_pattern {
    struct tu_piece {
        enum { TU_PIECE_TEXT, TU_PIECE_NUMBER, TU_PIECE_PART, TU_PIECE_STAR } kind;
        const char *text; /* of TEXT */
        size_t length;
        unsigned variable; /* of NUMBER: its place in struct tu_bindings */
    } * pieces;
    size_t count;
    unsigned numbers; /* bits of the variables it has */
    bool part, star;
    const char *weight; /* the count that its share of the rows is measured by, or NULL */
};

/* What the placeholders of a rule stand for. */
struct tu_bindings {
    uint64_t numbers[TU_MAP_NUMBERS_MAX];
    unsigned bound; /* bits */
    const char *part, *star;
    size_t part_length, star_length;
};

/* Whether a name is of a pattern, as they stand or else with the prefixes of both left out; the
 * placeholders are then bound, those that were bound before to the same. */
bool tu_pattern_matches(const struct tu_pattern *pattern, const char *name, size_t length,
                        struct tu_bindings *bindings);
/* The name of a pattern whose placeholders are bound; NULL without memory. */
char *tu_pattern_name(const struct tu_pattern *pattern, const struct tu_bindings *bindings,
                      struct tu_arena *arena, size_t *length);
/* A whole number without leading zeros at the start of text; its digits, or 0: there is none, or
 * it has more than nine. */
size_t tu_pattern_number(const char *text, size_t length, uint64_t *out);

#endif
