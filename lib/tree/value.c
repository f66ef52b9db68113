/* SPDX-License-Identifier: MIT */
/* Trees of values: built, asked, copied, merged. */
#include "config.h"

#include "tree/value.h"

#include <stdlib.h>
#include <string.h>

struct tu_builder_level {
    bool is_map;
    uint8_t element;
    struct tensor_value key; /* of this level in the level around it */
    void *items;             /* struct tensor_pair or struct tensor_value */
    size_t count, capacity;
};

static struct tu_builder_level *top(struct tu_builder *b)
{
    return &b->levels[b->depth - 1];
}

static int copy_string(struct tu_arena *arena, const struct tensor_value *string,
                       struct tensor_value *out, struct tu_error *error)
{
    *out = *string;
    out->string.bytes = tu_arena_copy(arena, string->string.bytes, string->string.length);
    return out->string.bytes ? 0 : tu_fail_memory(error);
}

/* Puts a finished value, with its finished key, into the level. */
static int append(struct tu_builder_level *level, const struct tensor_value *key,
                  const struct tensor_value *value, struct tu_error *error)
{
    size_t size = level->is_map ? sizeof(struct tensor_pair) : sizeof(struct tensor_value);
    if (level->count == level->capacity && !tu_grow(&level->items, size, &level->capacity))
        return tu_fail_memory(error);
    if (level->is_map)
        ((struct tensor_pair *)level->items)[level->count++] = (struct tensor_pair){*key, *value};
    else
        ((struct tensor_value *)level->items)[level->count++] = *value;
    return 0;
}

static int push(struct tu_builder *b, const struct tu_builder_level *level, struct tu_error *error)
{
    if (b->depth == b->max_depth)
        return tu_fail(error, TU_EINVALID, "nested deeper than %zu", b->max_depth);
    b->levels[b->depth++] = *level;
    return 0;
}

int tu_builder_begin(struct tu_builder *b, struct tu_arena *arena, enum tu_duplicates duplicates,
                     struct tu_error *error)
{
    *b = (struct tu_builder){.arena = arena, .max_depth = TU_VALUE_DEPTH, .duplicates = duplicates};
    b->levels = calloc(TU_VALUE_DEPTH, sizeof *b->levels);
    if (!b->levels)
        return tu_fail_memory(error);
    return push(b, &(struct tu_builder_level){.is_map = true}, error);
}

static int make_key(struct tu_builder *b, const char *key, size_t key_length,
                    struct tensor_value *out, struct tu_error *error)
{
    if (top(b)->is_map != (key != NULL))
        return tu_fail(error, TU_EINVALID, "a value with a key in an array, or without in a map");
    struct tensor_value text = {.type = TENSOR_STRING, .string = {key, key_length}};
    return key ? copy_string(b->arena, &text, out, error) : 0;
}

int tu_builder_add(struct tu_builder *b, const char *key, size_t key_length,
                   const struct tensor_value *value, struct tu_error *error)
{
    struct tensor_value name = {0}, copy = *value;
    if (make_key(b, key, key_length, &name, error) < 0)
        return -1;
    if (value->type == TENSOR_STRING && copy_string(b->arena, value, &copy, error) < 0)
        return -1;
    return append(top(b), &name, &copy, error);
}

int tu_builder_open(struct tu_builder *b, const char *key, size_t key_length,
                    enum tensor_value_type type, enum tensor_value_type element,
                    struct tu_error *error)
{
    struct tu_builder_level level = {.is_map = type == TENSOR_MAP, .element = (uint8_t)element};
    if (make_key(b, key, key_length, &level.key, error) < 0)
        return -1;
    return push(b, &level, error);
}

static int compare_keys(const void *a, const void *b)
{
    const struct tensor_pair *const *x = a, *const *y = b;
    const struct tensor_value *p = &(*x)->key, *q = &(*y)->key;
    size_t shorter = p->string.length < q->string.length ? p->string.length : q->string.length;
    int order = memcmp(p->string.bytes, q->string.bytes, shorter);
    if (order == 0)
        order = (p->string.length > q->string.length) - (p->string.length < q->string.length);
    return order ? order : (*x > *y) - (*x < *y);
}

static bool same_key(const struct tensor_pair *a, const struct tensor_pair *b)
{
    return a->key.string.length == b->key.string.length &&
           memcmp(a->key.string.bytes, b->key.string.bytes, a->key.string.length) == 0;
}

/* Refuses members with equal keys, or drops all but the last of them. */
static int settle_duplicates(struct tu_builder *b, struct tu_builder_level *level,
                             struct tu_error *error)
{
    struct tensor_pair *pairs = level->items;
    size_t kept = 0, count = level->count;
    struct tensor_pair **sorted = reallocarray(NULL, count, sizeof *sorted);
    if (!sorted)
        return tu_fail_memory(error);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &pairs[i];
    qsort(sorted, count, sizeof *sorted, compare_keys);
    int result = 0;
    for (size_t i = 0; i + 1 < count && result == 0; i++) {
        if (!same_key(sorted[i], sorted[i + 1]))
            continue;
        if (b->duplicates == TU_DUPLICATES_REFUSED)
            result =
                tu_fail(error, TU_EINVALID, "key '%s' occurs twice", sorted[i]->key.string.bytes);
        else
            sorted[i]->key.type = TENSOR_NULL;
    }
    free(sorted);
    for (size_t i = 0; i < count; i++)
        if (pairs[i].key.type == TENSOR_STRING)
            pairs[kept++] = pairs[i];
    level->count = kept;
    return result;
}

/* Moves the items of a level into the arena, as a value. */
static int seal(struct tu_builder *b, struct tu_builder_level *level, struct tensor_value *out,
                struct tu_error *error)
{
    size_t size = level->is_map ? sizeof(struct tensor_pair) : sizeof(struct tensor_value);
    void *items = NULL;
    if (level->is_map && level->count > 1 && settle_duplicates(b, level, error) < 0)
        return -1;
    if (level->count) {
        if (!(items = tu_arena_alloc(b->arena, level->count * size)))
            return tu_fail_memory(error);
        memcpy(items, level->items, level->count * size);
    }
    if (level->is_map)
        *out = (struct tensor_value){.type = TENSOR_MAP, .map = {items, level->count}};
    else
        *out = (struct tensor_value){
            .type = TENSOR_ARRAY, .element = level->element, .array = {items, level->count}};
    return 0;
}

int tu_builder_close(struct tu_builder *b, struct tu_error *error)
{
    if (b->depth < 2)
        return tu_fail(error, TU_EINVALID, "more maps and arrays closed than opened");
    struct tu_builder_level *level = top(b);
    struct tensor_value value;
    if (seal(b, level, &value, error) < 0)
        return -1;
    free(level->items);
    b->depth--;
    return append(top(b), &level->key, &value, error);
}

int tu_builder_put_tree(struct tu_builder *b, const char *key, size_t key_length,
                        const struct tensor_value *tree, struct tu_error *error)
{
    struct tensor_value name = {0}, copy;
    if (make_key(b, key, key_length, &name, error) < 0 ||
        tu_value_copy(tree, b->arena, &copy, error) < 0)
        return -1;
    return append(top(b), &name, &copy, error);
}

int tu_builder_end(struct tu_builder *b, struct tensor_value *out, struct tu_error *error)
{
    int result = b->depth == 1 ? seal(b, top(b), out, error)
                               : tu_fail(error, TU_EINVALID, "a map or array is still open");
    tu_builder_cancel(b);
    return result;
}

void tu_builder_cancel(struct tu_builder *b)
{
    for (size_t i = 0; i < b->depth; i++)
        free(b->levels[i].items);
    free(b->levels);
    *b = (struct tu_builder){0};
}

int tu_put_bytes(struct tu_builder *b, const char *key, const char *text, size_t length,
                 struct tu_error *error)
{
    struct tensor_value value = {.type = TENSOR_STRING, .string = {text, length}};
    return tu_builder_add(b, key, key ? strlen(key) : 0, &value, error);
}

int tu_put_string(struct tu_builder *b, const char *key, const char *text, struct tu_error *error)
{
    return tu_put_bytes(b, key, text, strlen(text), error);
}

int tu_put_text(struct tu_builder *b, const char *key, const char *text, struct tu_error *error)
{
    return text && *text ? tu_put_string(b, key, text, error) : 0;
}

int tu_put_uint(struct tu_builder *b, const char *key, uint64_t number, struct tu_error *error)
{
    struct tensor_value value = {.type = TENSOR_UINT64, .uint = number};
    return tu_builder_add(b, key, key ? strlen(key) : 0, &value, error);
}

int tu_put_real(struct tu_builder *b, const char *key, double number, struct tu_error *error)
{
    struct tensor_value value = {.type = TENSOR_FLOAT64, .real = number};
    return tu_builder_add(b, key, key ? strlen(key) : 0, &value, error);
}

int tu_put_shape(struct tu_builder *b, const char *key, const uint64_t *shape, unsigned rank,
                 struct tu_error *error)
{
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_UINT64, error) < 0)
        return -1;
    for (unsigned i = 0; i < rank; i++) {
        struct tensor_value value = {.type = TENSOR_UINT64, .uint = shape[i]};
        if (tu_builder_add(b, NULL, 0, &value, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

const struct tensor_value *tu_value_find(const struct tensor_value *map, const char *key,
                                         size_t length)
{
    if (!map || map->type != TENSOR_MAP)
        return NULL;
    for (size_t i = map->map.count; i-- > 0;) {
        const struct tensor_value *k = &map->map.pairs[i].key;
        if (k->string.length == length && memcmp(k->string.bytes, key, length) == 0)
            return &map->map.pairs[i].value;
    }
    return NULL;
}

const struct tensor_value *tu_value_get(const struct tensor_value *map, const char *key)
{
    return tu_value_find(map, key, strlen(key));
}

bool tu_value_is_unsigned(const struct tensor_value *value)
{
    return value->type == TENSOR_UINT8 || value->type == TENSOR_UINT16 ||
           value->type == TENSOR_UINT32 || value->type == TENSOR_UINT64;
}

bool tu_value_is_signed(const struct tensor_value *value)
{
    return value->type == TENSOR_INT8 || value->type == TENSOR_INT16 ||
           value->type == TENSOR_INT32 || value->type == TENSOR_INT64;
}

bool tu_value_is_real(const struct tensor_value *value)
{
    return value->type == TENSOR_FLOAT32 || value->type == TENSOR_FLOAT64;
}

bool tu_value_uint(const struct tensor_value *value, uint64_t *out)
{
    if (!value)
        return false;
    if (tu_value_is_unsigned(value))
        *out = value->uint;
    else if (tu_value_is_signed(value) && value->sint >= 0)
        *out = (uint64_t)value->sint;
    else
        return false;
    return true;
}

bool tu_value_number(const struct tensor_value *value, double *out)
{
    if (!value)
        return false;
    if (tu_value_is_real(value))
        *out = value->real;
    else if (tu_value_is_unsigned(value))
        *out = (double)value->uint;
    else if (tu_value_is_signed(value))
        *out = (double)value->sint;
    else
        return false;
    return true;
}

bool tu_value_string(const struct tensor_value *value, const char **text, size_t *length)
{
    if (!value || value->type != TENSOR_STRING)
        return false;
    *text = value->string.bytes;
    *length = value->string.length;
    return true;
}

bool tu_value_equals(const struct tensor_value *value, const char *text)
{
    return value && value->type == TENSOR_STRING && value->string.length == strlen(text) &&
           memcmp(value->string.bytes, text, value->string.length) == 0;
}

static bool same_bytes(const struct tensor_string *a, const struct tensor_string *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}

static bool same_items(const struct tensor_array *a, const struct tensor_array *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; i < a->count && same; i++)
        same = tu_value_same(&a->items[i], &b->items[i]);
    return same;
}

static bool same_pairs(const struct tensor_map *a, const struct tensor_map *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; i < a->count && same; i++)
        same = tu_value_same(&a->pairs[i].key, &b->pairs[i].key) &&
               tu_value_same(&a->pairs[i].value, &b->pairs[i].value);
    return same;
}

bool tu_value_same(const struct tensor_value *a, const struct tensor_value *b)
{
    if (a->type != b->type || a->element != b->element)
        return false;
    switch (a->type) {
    case TENSOR_NULL:
        return true;
    case TENSOR_BOOLEAN:
        return a->boolean == b->boolean;
    case TENSOR_STRING:
        return same_bytes(&a->string, &b->string);
    case TENSOR_ARRAY:
        return same_items(&a->array, &b->array);
    case TENSOR_MAP:
        return same_pairs(&a->map, &b->map);
    default: /* numbers: 64 bits of any kind */
        return memcmp(&a->uint, &b->uint, sizeof a->uint) == 0;
    }
}

static int copy_items(const struct tensor_value *value, struct tu_arena *arena,
                      struct tensor_value *out, struct tu_error *error)
{
    struct tensor_value *items = tu_arena_alloc(arena, value->array.count * sizeof *items);
    if (!items)
        return tu_fail_memory(error);
    for (size_t i = 0; i < value->array.count; i++)
        if (tu_value_copy(&value->array.items[i], arena, &items[i], error) < 0)
            return -1;
    out->array.items = items;
    return 0;
}

static int copy_pairs(const struct tensor_value *value, struct tu_arena *arena,
                      struct tensor_value *out, struct tu_error *error)
{
    struct tensor_pair *pairs = tu_arena_alloc(arena, value->map.count * sizeof *pairs);
    if (!pairs)
        return tu_fail_memory(error);
    for (size_t i = 0; i < value->map.count; i++)
        if (tu_value_copy(&value->map.pairs[i].key, arena, &pairs[i].key, error) < 0 ||
            tu_value_copy(&value->map.pairs[i].value, arena, &pairs[i].value, error) < 0)
            return -1;
    out->map.pairs = pairs;
    return 0;
}

int tu_value_copy(const struct tensor_value *value, struct tu_arena *arena,
                  struct tensor_value *out, struct tu_error *error)
{
    *out = *value;
    switch (value->type) {
    case TENSOR_STRING:
        return copy_string(arena, value, out, error);
    case TENSOR_ARRAY:
        return copy_items(value, arena, out, error);
    case TENSOR_MAP:
        return copy_pairs(value, arena, out, error);
    default:
        return 0;
    }
}

int tu_value_merge(const struct tensor_value *first, const struct tensor_value *second,
                   struct tu_arena *arena, struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    const struct tensor_value *maps[] = {first, second};
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REPLACE, error) < 0)
        return -1;
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; maps[k]->type == TENSOR_MAP && i < maps[k]->map.count; i++) {
            const struct tensor_pair *pair = &maps[k]->map.pairs[i];
            if (tu_builder_put_tree(&b, pair->key.string.bytes, pair->key.string.length,
                                    &pair->value, error) < 0) {
                tu_builder_cancel(&b);
                return -1;
            }
        }
    }
    return tu_builder_end(&b, out, error);
}

static const char *const type_names[] = {
    [TENSOR_NULL] = "null",  [TENSOR_BOOLEAN] = "bool", [TENSOR_UINT8] = "u8",
    [TENSOR_INT8] = "i8",    [TENSOR_UINT16] = "u16",   [TENSOR_INT16] = "i16",
    [TENSOR_UINT32] = "u32", [TENSOR_INT32] = "i32",    [TENSOR_UINT64] = "u64",
    [TENSOR_INT64] = "i64",  [TENSOR_FLOAT32] = "f32",  [TENSOR_FLOAT64] = "f64",
    [TENSOR_STRING] = "str", [TENSOR_ARRAY] = "array",  [TENSOR_MAP] = "map",
};

const char *tu_value_type_name(enum tensor_value_type type)
{
    return type_names[type];
}

bool tu_value_type_parse(const char *text, size_t length, enum tensor_value_type *out)
{
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (strlen(type_names[i]) == length && memcmp(type_names[i], text, length) == 0) {
            *out = (enum tensor_value_type)i;
            return true;
        }
    }
    return false;
}
