/* SPDX-License-Identifier: MIT */
/* JSON text to trees and back, over yajl. */
#ifndef TU_JSON_H
#define TU_JSON_H

#include "tree/value.h"

/* Parses one JSON object, given in pieces, into the map that is open in a builder; later members
 * replace earlier ones when the builder says so.  Integers that fit 64 bits keep their value,
 * other numbers become doubles. */
struct tu_json_parser;
struct tu_json_parser *tu_json_parser_new(struct tu_builder *builder, struct tu_error *error);
int tu_json_parser_feed(struct tu_json_parser *parser, const void *text, size_t length);
/* Fails unless exactly one object was read.  Frees the parser. */
int tu_json_parser_end(struct tu_json_parser *parser);
void tu_json_parser_cancel(struct tu_json_parser *parser);

/* Parses one object that is in memory. */
int tu_json_parse(const char *text, size_t length, enum tu_duplicates duplicates,
                  struct tu_arena *arena, struct tensor_value *out,
                  struct tu_error *error) TU_MUST_CHECK;

/* The value as one line of JSON in the arena.  NaN and infinities are null, control characters
 * are escaped whatever their encoding, strings that are no UTF-8 have the bad bytes as \xHH. */
int tu_json_text(const struct tensor_value *value, struct tu_arena *arena, const char **text,
                 size_t *length, struct tu_error *error);
/* The same on many lines, for people. */
int tu_json_page(const struct tensor_value *value, struct tu_arena *arena, const char **text,
                 size_t *length, struct tu_error *error);

/* A whole JSON file of at most limit bytes as a tree. */
int tu_read_json(const char *path, uint64_t limit, struct tu_arena *arena, struct tensor_value *out,
                 struct tu_error *error) TU_MUST_CHECK;

#endif
