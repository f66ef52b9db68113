/* SPDX-License-Identifier: MIT */
/* The formats: a file of any bytes is refused with a message, or read, and then all that model.h
 * promises holds and every format that can store it gives it back. */
#include "config.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "model/plugin.h"
#include "tensor/tensor.h"

extern const struct tensor_format tensor_format_apr, tensor_format_aprt, tensor_format_gguf, tensor_format_npy,
    tensor_format_npz, tensor_format_safetensors;

static const struct tensor_format *const formats[] = {&tensor_format_apr, &tensor_format_gguf,
                                                      &tensor_format_safetensors};

enum {
    FORMATS = sizeof formats / sizeof *formats,
    REWRITE_MAX = 1 << 20, /* compressed files may become larger than is worth the time */
};

static bool open_bytes(struct tu_model *m, const uint8_t *data, size_t size,
                       const struct tensor_format *format, bool lenient)
{
    struct tu_error error = {0};
    struct tu_model_options options = {.lenient = lenient};
    bool opened = tu_model_open_as(m, fuzz_file(data, size), "file", format, &options, &error) == 0;
    if (!opened)
        fuzz_check_error(&error);
    return opened;
}

/* A bid looks at no more than it was given. */
static void check_bids(const uint8_t *data, size_t size)
{
    size_t length = size < TENSOR_BID_BYTES ? size : TENSOR_BID_BYTES;
    uint8_t *head = malloc(length ? length : 1);
    if (!head)
        abort();
    if (length)
        memcpy(head, data, length);
    for (size_t i = 0; i < FORMATS; i++)
        formats[i]->bid(head, length, size);
    free(head);
}

static void check_same_tensor(const struct tu_model *m, const struct tu_tensor *t,
                              const struct tu_model *copy)
{
    const struct tu_tensor *u = tu_model_find(copy, t->name, t->name_length);
    struct tu_error error = {0};
    FUZZ_CHECK(u && u->dtype == t->dtype && u->nbytes == t->nbytes && u->elements == t->elements);
    size_t length = (size_t)t->nbytes;
    uint8_t *bytes = malloc(2 * length + 1);
    if (!bytes)
        abort();
    FUZZ_WORKS(tu_model_read(m, t, 0, bytes, length, &error), &error);
    FUZZ_WORKS(tu_model_read(copy, u, 0, bytes + length, length, &error), &error);
    FUZZ_CHECK(memcmp(bytes, bytes + length, length) == 0);
    free(bytes);
}

/* What a format writes it reads, and writes again the same. */
static void check_rewrite(const struct tu_model *m, const struct tensor_format *format)
{
    struct fuzz_bytes first = {0}, second = {0};
    struct tu_model copy;
    struct tu_error error = {0};
    struct tu_model_options strict = {0};
    if (fuzz_write(m, format, &first)) {
        FUZZ_WORKS(tu_model_open_as(&copy, fuzz_file(first.bytes, first.length), "copy", format,
                                    &strict, &error),
                   &error);
        FUZZ_CHECK(format->bid(first.bytes, first.length, first.length) > 0);
        FUZZ_CHECK(copy.warning_count == 0 && copy.count == m->count);
        for (size_t i = 0; i < m->count; i++)
            check_same_tensor(m, &m->tensors[i], &copy);
        FUZZ_CHECK(fuzz_write(&copy, format, &second));
        bool same =
            first.length == second.length && memcmp(first.bytes, second.bytes, first.length) == 0;
        FUZZ_CHECK(same || fuzz_has_float32(&m->metadata));
        tu_model_close(&copy);
    }
    free(first.bytes);
    free(second.bytes);
}

static void fuzz_format(const struct tensor_format *format, const uint8_t *data, size_t size)
{
    struct tensor_format exact = fuzz_strict_format(format);
    struct tu_model m;
    size_t count = 0;
    check_bids(data, size);
    bool strict = open_bytes(&m, data, size, &exact, false);
    if (strict) {
        count = m.count;
        fuzz_check_model(&m);
        tu_model_close(&m);
    }
    bool lenient = open_bytes(&m, data, size, &exact, true);
    FUZZ_CHECK(lenient || !strict); /* lenient accepts more, never less */
    if (!lenient)
        return;
    FUZZ_CHECK(!strict || m.count == count);
    fuzz_check_model(&m);
    for (size_t i = 0; i < FORMATS && m.source.size <= REWRITE_MAX; i++)
        check_rewrite(&m, formats[i]);
    tu_model_close(&m);
}

void fuzz_apr(const uint8_t *data, size_t size)
{
    fuzz_format(&tensor_format_apr, data, size);
}

void fuzz_aprt(const uint8_t *data, size_t size)
{
    fuzz_format(&tensor_format_aprt, data, size);
}

void fuzz_gguf(const uint8_t *data, size_t size)
{
    fuzz_format(&tensor_format_gguf, data, size);
}

void fuzz_npy(const uint8_t *data, size_t size)
{
    fuzz_format(&tensor_format_npy, data, size);
}

void fuzz_npz(const uint8_t *data, size_t size)
{
    fuzz_format(&tensor_format_npz, data, size);
}

void fuzz_safetensors(const uint8_t *data, size_t size)
{
    fuzz_format(&tensor_format_safetensors, data, size);
}
