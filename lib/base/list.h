/* SPDX-License-Identifier: MIT */
/* Texts one after another, as an option that may be repeated gives them. */
#ifndef TU_LIST_H
#define TU_LIST_H

#include <stddef.h>

/* The texts are lent; items grows by TU_GROW (base/arena.h) and is freed by its owner. */
struct tu_list {
    const char **items;
    size_t count, capacity;
};

#endif
