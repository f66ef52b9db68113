/* SPDX-License-Identifier: MIT */
/* One operand of a filter, whatever it is: a file of any format, a saved stream, a pipe, "-". */
#ifndef TU_OPERAND_H
#define TU_OPERAND_H

#include "model/session.h"
#include "model/model.h"
#include "stream/reader.h"

/* How the filter wants to read it. */
enum tu_access {
    TU_ACCESS_SEQUENTIAL, /* once, in order: streams stay streams */
    TU_ACCESS_PREFERRED,  /* in any order where that costs nothing: pipes stay streams */
    TU_ACCESS_RANDOM,     /* in any order: a pipe is copied to a temporary file first */
};

/* Files are models, of which shards, splits and folders have several; everything else is a stream.
 */
struct tu_operand {
    bool is_stream;
    struct tu_model *models;
    size_t model_count;
    struct tu_member *by_name; /* the tensors of several models */
    size_t tensor_count;
    struct tu_arena arena;          /* of the models' paths */
    const char *folder;             /* of its parts; NULL: it is a file */
    struct tu_company *company;     /* of its parts; NULL: it is a file */
    struct tu_stream_reader stream; /* where it is one */
    int fd;                         /* of the stream */
    struct tu_source file;          /* that the stream is; it does not own fd */
};

/* path must live as long as the operand.  Warnings of its files go to the session. */
int tu_operand_open(struct tu_operand *o, struct tu_session *session, const char *path,
                    enum tu_access access, struct tu_error *error) TU_MUST_CHECK;
void tu_operand_close(struct tu_operand *o);

/* The tensor of a name in the operand's models. */
struct tu_member tu_operand_find(const struct tu_operand *o, const char *name, size_t length);

/* The operand's selected tensors in the order asked for: as they lie in its files, or sorted.  The
 * caller frees them. */
int tu_operand_select(const struct tu_operand *o, const struct tu_selection *selection,
                      struct tu_member **members, size_t *count,
                      struct tu_error *error) TU_MUST_CHECK;

/* Fails if a file was changed since it was opened. */
int tu_operand_unchanged(const struct tu_operand *o, struct tu_error *error) TU_MUST_CHECK;

#endif
