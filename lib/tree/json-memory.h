/* SPDX-License-Identifier: MIT */
/* Calls of yajl, which does not look at what malloc returns.  These calls of it come back where
 * memory is used up, by a jump out of its allocator.  Compiled into the library and into plugins
 * that use yajl themselves. */
#ifndef TU_JSON_MEMORY_H
#define TU_JSON_MEMORY_H

#include <setjmp.h>
#include <stdbool.h>

#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

/* To be allocated, not copied: yajl keeps its address. */
struct tu_jsonmemory {
    yajl_alloc_funcs functions;
    jmp_buf exhausted;
};

void tu_jsonmemory_init(struct tu_jsonmemory *m);

struct tu_yajl {
    struct tu_jsonmemory memory;
    yajl_handle handle;
    bool exhausted; /* the last call ended early, and it was not for what the text says */
};

/* Opens a parser where y stays; NULL: no memory. */
yajl_handle tu_yajl_open(struct tu_yajl *y, const yajl_callbacks *callbacks, void *context);
/* The next piece of the text, or with NULL its end. */
yajl_status tu_yajl_parse(struct tu_yajl *y, const unsigned char *text, size_t length);
/* What yajl says of the error, to be freed by yajl_free_error; NULL: no memory. */
unsigned char *tu_yajl_error(struct tu_yajl *y);
void tu_yajl_close(struct tu_yajl *y);

#endif
