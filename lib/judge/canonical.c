/* SPDX-License-Identifier: MIT */
/* Writes a value so that equal values are equal bytes, which a digest then seals. */
#include "config.h"

#include "judge/canonical.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_value(FILE *out, const struct tensor_value *v);

static void put_string(FILE *out, const struct tensor_value *v)
{
    static const char plain[] = "\"\\\b\t\n\f\r", letters[] = "\"\\btnfr";
    putc('"', out);
    for (size_t i = 0; i < v->string.length; i++) {
        unsigned char c = (unsigned char)v->string.bytes[i];
        const char *found = c ? strchr(plain, c) : NULL;
        if (found)
            fprintf(out, "\\%c", letters[found - plain]);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            putc(c, out);
    }
    putc('"', out);
}

static int compare_pairs(const void *a, const void *b)
{
    const struct tensor_value *x = &((const struct tensor_pair *)a)->key;
    const struct tensor_value *y = &((const struct tensor_pair *)b)->key;
    size_t m = x->string.length, n = y->string.length;
    int order = memcmp(x->string.bytes, y->string.bytes, m < n ? m : n);
    return order ? order : (m > n) - (m < n);
}

/* Sorts the keys of a copy, in all its depth. */
static void sort_keys(const struct tensor_value *v)
{
    if (v->type == TENSOR_ARRAY) {
        for (size_t i = 0; i < v->array.count; i++)
            sort_keys(&v->array.items[i]);
    } else if (v->type == TENSOR_MAP && v->map.count) {
        qsort((struct tensor_pair *)v->map.pairs, v->map.count, sizeof *v->map.pairs,
              compare_pairs);
        for (size_t i = 0; i < v->map.count; i++)
            sort_keys(&v->map.pairs[i].value);
    }
}

static void put_items(FILE *out, const struct tensor_value *v)
{
    bool map = v->type == TENSOR_MAP;
    size_t count = map ? v->map.count : v->array.count;
    putc(map ? '{' : '[', out);
    for (size_t i = 0; i < count; i++) {
        if (i)
            putc(',', out);
        if (map) {
            put_string(out, &v->map.pairs[i].key);
            putc(':', out);
        }
        put_value(out, map ? &v->map.pairs[i].value : &v->array.items[i]);
    }
    putc(map ? '}' : ']', out);
}

static void put_value(FILE *out, const struct tensor_value *v)
{
    if (v->type == TENSOR_MAP || v->type == TENSOR_ARRAY)
        put_items(out, v);
    else if (v->type == TENSOR_STRING)
        put_string(out, v);
    else if (v->type == TENSOR_BOOLEAN)
        fputs(v->boolean ? "true" : "false", out);
    else if (v->type == TENSOR_NULL)
        fputs("null", out);
    else if (tu_value_is_unsigned(v))
        fprintf(out, "%" PRIu64, v->uint);
    else if (tu_value_is_signed(v))
        fprintf(out, "%" PRId64, v->sint);
    else
        fprintf(out, "%.17g", v->real);
}

int tu_evidence_canonical(const struct tensor_value *value, char **text, size_t *length,
                          struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tensor_value sorted;
    if (tu_value_copy(value, &arena, &sorted, error) < 0) {
        tu_arena_free(&arena);
        return -1;
    }
    sort_keys(&sorted);
    *text = NULL;
    FILE *out = open_memstream(text, length);
    if (out)
        put_value(out, &sorted);
    bool whole = out && !ferror(out);
    whole = out && fclose(out) == 0 && whole;
    tu_arena_free(&arena);
    if (whole)
        return 0;
    free(*text);
    return tu_fail_memory(error);
}

int tu_evidence_seal(const struct tensor_value *map, char out[static TU_DIGEST_TEXT],
                     struct tu_error *error)
{
    struct tensor_value rest = {.type = TENSOR_MAP};
    struct tensor_pair *pairs = malloc((map->map.count + 1) * sizeof *pairs);
    char *text;
    size_t length;
    if (!pairs)
        return tu_fail_memory(error);
    for (size_t i = 0; i < map->map.count; i++)
        if (!tu_value_equals(&map->map.pairs[i].key, "seal"))
            pairs[rest.map.count++] = map->map.pairs[i];
    rest.map.pairs = pairs;
    int result = tu_evidence_canonical(&rest, &text, &length, error);
    free(pairs);
    if (result < 0)
        return -1;
    result = tu_sha256(text, length, out, error);
    free(text);
    return result;
}
