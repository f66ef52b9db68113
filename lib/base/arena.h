/* SPDX-License-Identifier: MIT */
/* Memory that is taken piece by piece and given back at once. */
#ifndef TU_ARENA_H
#define TU_ARENA_H

#include <stddef.h>

struct tu_arena_block;

struct tu_arena {
    struct tu_arena_block *blocks;
    size_t used, size; /* of the newest block */
};

/* Aligned for any object and not cleared; NULL when there is no memory. */
void *tu_arena_alloc(struct tu_arena *arena, size_t size);
/* Copies length bytes and adds a NUL. */
char *tu_arena_copy(struct tu_arena *arena, const void *bytes, size_t length);
/* Gives everything back; the arena can be used again. */
void tu_arena_free(struct tu_arena *arena);

/* Makes room for one more item in an array that doubles: items, count and capacity are lvalues.
 * Evaluates to false when there is no memory; the array then stays as it was. */
#define TU_GROW(items, count, capacity)                                                            \
    ((count) < (capacity) || tu_grow((void **)&(items), sizeof *(items), &(capacity)))
int tu_grow(void **items, size_t item_size, size_t *capacity);

#endif
