/* SPDX-License-Identifier: MIT */
/* Memory in blocks that grow, for what is given back together. */
#include "config.h"

#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

struct tu_arena_block {
    struct tu_arena_block *next;
    alignas(max_align_t) unsigned char bytes[];
};

static int add_block(struct tu_arena *arena, size_t need)
{
    size_t size = arena->size * 2;
    size = size < SMALLEST_BLOCK ? SMALLEST_BLOCK : size > LARGEST_BLOCK ? LARGEST_BLOCK : size;
    if (size < need)
        size = need;
    if (size > SIZE_MAX - sizeof(struct tu_arena_block))
        return -1;
    struct tu_arena_block *block = malloc(sizeof *block + size);
    if (!block)
        return -1;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->size = size;
    arena->used = 0;
    return 0;
}

void *tu_arena_alloc(struct tu_arena *arena, size_t size)
{
    size_t mask = alignof(max_align_t) - 1;
    if (size > SIZE_MAX - mask)
        return NULL;
    size = (size + mask) & ~mask;
    if ((!arena->blocks || arena->size - arena->used < size) && add_block(arena, size) < 0)
        return NULL;
    void *result = arena->blocks->bytes + arena->used;
    arena->used += size;
    return result;
}

char *tu_arena_copy(struct tu_arena *arena, const void *bytes, size_t length)
{
    char *copy = length < SIZE_MAX ? tu_arena_alloc(arena, length + 1) : NULL;
    if (!copy)
        return NULL;
    if (length)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

void tu_arena_free(struct tu_arena *arena)
{
    for (struct tu_arena_block *next, *block = arena->blocks; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct tu_arena){0};
}

int tu_grow(void **items, size_t item_size, size_t *capacity)
{
    size_t larger = *capacity ? *capacity * 2 : 16;
    void *moved = larger > *capacity ? reallocarray(*items, larger, item_size) : NULL;
    if (!moved)
        return 0;
    *items = moved;
    *capacity = larger;
    return 1;
}
