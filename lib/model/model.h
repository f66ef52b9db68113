/* SPDX-License-Identifier: MIT */
/* A file as a list of tensors that can be read in any order. */
#ifndef TU_MODEL_H
#define TU_MODEL_H

#include "base/arena.h"
#include "base/error.h"
#include "model/plugin.h"
#include "base/source.h"
#include "tensor/tensor.h"
#include "tree/value.h"

/* A file that says something of a model, beside the one that holds its tensors. */
struct tu_companion {
    const char *role; /* "index", "config" */
    const char *path;
    struct stat read; /* as it was before it was read */
};

/* What belongs to a model beside its files, and what its index says of them. */
struct tu_company {
    struct tu_companion files[2];
    size_t file_count;
    char **left_out; /* model files in the folder of an index that it does not name */
    size_t left_out_count;
    size_t unlisted; /* tensors in its files that it does not name; they are there all the same */
    size_t replaced; /* tensors that it says lie in another file; they are left out */
};

struct tu_model {
    struct tu_arena arena;
    struct tu_source source;
    const struct tensor_format *format;
    struct tensor_value metadata; /* a map */
    /* Of a saved stream: what its first source says of its format and facts; else TENSOR_NULL. */
    struct tensor_value stated;
    struct tu_tensor *tensors; /* in the order of their data */
    size_t count;
    struct tu_tensor **by_name; /* sorted by name */
    const char **warnings;
    size_t warning_count;
    const struct tu_company *company; /* of the first model of an operand; NULL: it has none */
};

/* A tensor of one of several models. */
struct tu_member {
    const struct tu_model *model; /* NULL: there is none */
    const struct tu_tensor *tensor;
};

struct tu_model_options {
    bool lenient, big_header; /* as in struct tensor_reader */
};

/* Takes over fd (a regular file) and reads its index.  path is shown to the user and must live as
 * long as the model.  On failure everything, fd included, is given back. */
int tu_model_open(struct tu_model *m, int fd, const char *path, const struct tu_plugins *plugins,
                  const struct tu_model_options *options, struct tu_error *error) TU_MUST_CHECK;
/* The same for a format that is known. */
int tu_model_open_as(struct tu_model *m, int fd, const char *path,
                     const struct tensor_format *format, const struct tu_model_options *options,
                     struct tu_error *error) TU_MUST_CHECK;
void tu_model_close(struct tu_model *m);

/* Takes tensors out of the model: those of which is_out is true.  How many they are. */
typedef bool tu_leave_fn(const struct tu_model *m, const struct tu_tensor *t, void *context);
size_t tu_model_leave_out(struct tu_model *m, tu_leave_fn *is_out, void *context);

/* To be told when its tensors, now so many, were replaced by others. */
void tu_model_changed(struct tu_model *m, size_t count);

/* The tensor of a name, or NULL. */
const struct tu_tensor *tu_model_find(const struct tu_model *m, const char *name, size_t length);

/* Reads bytes [offset, offset + length) of a tensor of the model.  Safe from several threads. */
int tu_model_read(const struct tu_model *m, const struct tu_tensor *t, uint64_t offset,
                  void *buffer, size_t length, struct tu_error *error) TU_MUST_CHECK;

/* For the stream format, whose tensors may lie in several pieces: the pieces of the tensor that is
 * added next.  Their offsets replace that of the entry. */
int tu_reader_extents(struct tensor_reader *r, const struct tu_extent *extents, size_t count);
/* For the same: of what the tensor that is added next holds values. */
int tu_reader_scope(struct tensor_reader *r, const struct tu_scope *scope);
/* Adds a metadata value of any type. */
int tu_reader_value(struct tensor_reader *r, const char *key, size_t key_length,
                    const struct tensor_value *tree);
/* For the stream format: the source that the metadata comes from. */
int tu_reader_stated(struct tensor_reader *r, const struct tensor_value *source);
struct tu_error *tu_reader_error(struct tensor_reader *r);
struct tu_source *tu_reader_source(struct tensor_reader *r);

#endif
