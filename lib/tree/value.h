/* SPDX-License-Identifier: MIT */
/*
 * Trees of values: metadata of a file, records of a stream.  A tree lives in the arena it was
 * built in; nothing in it is freed by itself.
 */
#ifndef TU_VALUE_H
#define TU_VALUE_H

#include "base/arena.h"
#include "base/error.h"
#include "tensorutils/format.h"

/* Nesting that is accepted anywhere: in streams, JSON and files. */
#define TU_VALUE_DEPTH 32
/* The same of a file's metadata, which a stream carries inside a record. */
#define TU_METADATA_DEPTH (TU_VALUE_DEPTH - 1)

/* What a second member with the key of an earlier one means. */
enum tu_duplicates {
    TU_DUPLICATES_REFUSED,
    TU_DUPLICATES_REPLACE,
};

/* Builds a tree from the outside in.  Zero-initialise but for the arena. */
struct tu_builder {
    struct tu_arena *arena;
    struct tu_builder_level *levels; /* open maps and arrays, outermost first */
    size_t depth;
    size_t max_depth; /* TU_VALUE_DEPTH unless set after the beginning to less */
    enum tu_duplicates duplicates;
};

/* Starts with the outermost map open. */
int tu_builder_begin(struct tu_builder *b, struct tu_arena *arena, enum tu_duplicates duplicates,
                     struct tu_error *error);
/* key is NULL inside an array.  Strings are copied. */
int tu_builder_add(struct tu_builder *b, const char *key, size_t key_length,
                   const struct tensor_value *value, struct tu_error *error);
int tu_builder_open(struct tu_builder *b, const char *key, size_t key_length,
                    enum tensor_value_type type, enum tensor_value_type element,
                    struct tu_error *error);
int tu_builder_close(struct tu_builder *b, struct tu_error *error);
/* Adds a whole tree; nothing of it is shared with what was given. */
int tu_builder_put_tree(struct tu_builder *b, const char *key, size_t key_length,
                        const struct tensor_value *tree, struct tu_error *error);
/* Closes the outermost map and gives it. */
int tu_builder_end(struct tu_builder *b, struct tensor_value *out, struct tu_error *error);
/* Gives back what a builder that did not end holds. */
void tu_builder_cancel(struct tu_builder *b);

/* Shorthands for records, whose keys are literals; NULL inside an array. */
int tu_put_string(struct tu_builder *b, const char *key, const char *text, struct tu_error *error);
int tu_put_bytes(struct tu_builder *b, const char *key, const char *text, size_t length,
                 struct tu_error *error);
/* Nothing where text is NULL or empty. */
int tu_put_text(struct tu_builder *b, const char *key, const char *text, struct tu_error *error);
int tu_put_uint(struct tu_builder *b, const char *key, uint64_t value, struct tu_error *error);
int tu_put_real(struct tu_builder *b, const char *key, double value, struct tu_error *error);
int tu_put_shape(struct tu_builder *b, const char *key, const uint64_t *shape, unsigned rank,
                 struct tu_error *error);

/* The member of a map under a key; NULL if there is none or map is no map. */
const struct tensor_value *tu_value_get(const struct tensor_value *map, const char *key);
/* The same for a key of any bytes. */
const struct tensor_value *tu_value_find(const struct tensor_value *map, const char *key,
                                         size_t length);

/* Reads of a type, false where the value is NULL or of another type.  Numbers convert where that
 * is exact; tu_value_number takes any number. */
bool tu_value_uint(const struct tensor_value *value, uint64_t *out);
bool tu_value_number(const struct tensor_value *value, double *out);
bool tu_value_string(const struct tensor_value *value, const char **text, size_t *length);
bool tu_value_equals(const struct tensor_value *value, const char *text);

/* Whether two values have the same type and the same bits, all the way down; of maps, the same keys
 * in the same order. */
bool tu_value_same(const struct tensor_value *a, const struct tensor_value *b);

bool tu_value_is_unsigned(const struct tensor_value *value);
bool tu_value_is_signed(const struct tensor_value *value);
bool tu_value_is_real(const struct tensor_value *value);

/* A copy in another arena. */
int tu_value_copy(const struct tensor_value *value, struct tu_arena *arena,
                  struct tensor_value *out, struct tu_error *error);

/* The members of two maps in one; those of the second replace those of the first. */
int tu_value_merge(const struct tensor_value *first, const struct tensor_value *second,
                   struct tu_arena *arena, struct tensor_value *out, struct tu_error *error);

/* "u32", "str", "[f32]": the type of a value in words, as the wire spells widths. */
const char *tu_value_type_name(enum tensor_value_type type);
bool tu_value_type_parse(const char *text, size_t length, enum tensor_value_type *out);

#endif
