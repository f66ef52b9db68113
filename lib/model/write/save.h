/* SPDX-License-Identifier: MIT */
/*
 * Writing a model file from tensors that come one after another.  The file appears under its name
 * when it is whole, flushed to disk, and not before; a run that fails or is killed leaves nothing.
 */
#ifndef TU_SAVE_H
#define TU_SAVE_H

#include "base/arena.h"
#include "base/newfile.h"
#include "model/model.h"
#include "stream/reader.h"

struct tu_saver {
    const struct tensor_format *format;
    struct tu_newfile file;

    struct tu_arena arena;
    struct tensor_entry *tensors;
    size_t count, capacity;
    uint32_t *checksums; /* of the tensors' bytes, where the format has prefixes */
    size_t checksum_capacity;
    struct tensor_value metadata; /* a map; empty until set */

    uint64_t room;       /* where the data section begins in the file so far */
    uint64_t data_bytes; /* written to it, prefixes included */
    uint64_t begun;      /* of those, how many are on their way to the disk */
    uint64_t left;       /* of the current tensor */
    uint32_t crc32;      /* of the data, where the format wants it */
    char *buffer;        /* of bytes on their way out */
    size_t used;
};

/* Begins a file.  Fails if it exists, unless force is set, and if the format cannot be written.
 * On failure nothing is to be given back. */
int tu_save_open(struct tu_saver *s, const struct tensor_format *format, const char *path,
                 bool force, struct tu_error *error) TU_MUST_CHECK;

/* The tensors that are likely to come, so that the head can be given its place at once; without
 * it, or where it turns out wrong, the data is moved at the end. */
int tu_save_expect(struct tu_saver *s, const struct tensor_entry *tensors, size_t count,
                   struct tu_error *error) TU_MUST_CHECK;

/* Why the format cannot store a tensor: NULL if it can. */
const char *tu_save_refuses(const struct tensor_format *format, const struct tu_tensor *t);

/* Copies the metadata to be written; later calls add to it. */
int tu_save_metadata(struct tu_saver *s, const struct tensor_value *map,
                     struct tu_error *error) TU_MUST_CHECK;

/* Begins a tensor, whose bytes follow. */
int tu_save_tensor(struct tu_saver *s, const struct tu_tensor *t,
                   struct tu_error *error) TU_MUST_CHECK;
int tu_save_bytes(struct tu_saver *s, const void *bytes, size_t length,
                  struct tu_error *error) TU_MUST_CHECK;

/* Lets bytes of the tensor be put straight into a file, where the format wants nothing else done
 * with them: at *at of the descriptor that is returned; -1 if it cannot be, or after an error. */
int tu_save_straight(struct tu_saver *s, off_t *at, struct tu_error *error);
/* Tells that so many bytes were. */
void tu_save_put(struct tu_saver *s, uint64_t length);

/* Ends the data: no tensor follows, and little memory is held from here on. */
int tu_save_end(struct tu_saver *s, struct tu_error *error) TU_MUST_CHECK;
/* Writes head and tail, as one part of a model with all_tensors in all parts, and flushes the file
 * to disk. */
int tu_save_finish(struct tu_saver *s, uint32_t part, uint32_t parts, uint64_t all_tensors,
                   struct tu_error *error) TU_MUST_CHECK;
/* Gives the finished file a name. */
int tu_save_publish(struct tu_saver *s, const char *path, struct tu_error *error) TU_MUST_CHECK;
/* Gives everything back; a file that was not finished is gone. */
void tu_save_close(struct tu_saver *s);

#endif
