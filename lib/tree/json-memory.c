/* SPDX-License-Identifier: MIT */
/* Bounds what the JSON parser may take. */
#include "config.h"

#include "tree/json-memory.h"

#include <stdlib.h>

static void *take(void *context, size_t size)
{
    struct tu_jsonmemory *m = context;
    void *block = malloc(size);
    if (!block)
        longjmp(m->exhausted, 1);
    return block;
}

/* The old block stays yajl's where there is no larger one: it can still be freed. */
static void *retake(void *context, void *old, size_t size)
{
    struct tu_jsonmemory *m = context;
    void *block = realloc(old, size);
    if (!block)
        longjmp(m->exhausted, 1);
    return block;
}

static void give_back(void *context, void *block)
{
    (void)context;
    free(block);
}

void tu_jsonmemory_init(struct tu_jsonmemory *m)
{
    m->functions =
        (yajl_alloc_funcs){.malloc = take, .realloc = retake, .free = give_back, .ctx = m};
}

yajl_handle tu_yajl_open(struct tu_yajl *y, const yajl_callbacks *callbacks, void *context)
{
    y->handle = NULL;
    y->exhausted = false;
    tu_jsonmemory_init(&y->memory);
    if (setjmp(y->memory.exhausted) == 0)
        y->handle = yajl_alloc(callbacks, &y->memory.functions, context);
    return y->handle;
}

yajl_status tu_yajl_parse(struct tu_yajl *y, const unsigned char *text, size_t length)
{
    if (setjmp(y->memory.exhausted) == 0)
        return text ? yajl_parse(y->handle, text, length) : yajl_complete_parse(y->handle);
    y->exhausted = true;
    return yajl_status_client_canceled;
}

unsigned char *tu_yajl_error(struct tu_yajl *y)
{
    return setjmp(y->memory.exhausted) == 0 ? yajl_get_error(y->handle, 0, NULL, 0) : NULL;
}

void tu_yajl_close(struct tu_yajl *y)
{
    if (y->handle)
        yajl_free(y->handle);
    y->handle = NULL;
}
