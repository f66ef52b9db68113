/* SPDX-License-Identifier: MIT */
/* Models of several files: which files belong to a folder, a shard index or a split. */
#ifndef TU_PARTS_H
#define TU_PARTS_H

#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "model/dumps.h"
#include "tree/value.h"

/* Where the parts of a model lie. */
struct tu_parts {
    char **paths;
    size_t count;
    struct tensor_value weight_map; /* of a shard index: tensor to file name; NULL type: none */
    struct tensor_value total_size; /* as a shard index states it; NULL type: it does not */
    const char *index;              /* path of the index; NULL: none */
    struct stat index_read;         /* as it was before it was read */
    char *config;                   /* path of a config.json beside them, or NULL */
    char **left_out;                /* other model files in the folder of an index */
    size_t left_out_count;
    const char *folder; /* of an index */
    /* Of a folder of dumps, as many as paths: what each file is called; NULL: files name their
     * tensors. */
    const struct tu_dump_file *dumps;
};

/* Whether bytes may be a shard index: a JSON object in a file called *.json. */
bool tu_is_shard_index(const char *path, const uint8_t *head, size_t length);

/* The files of a Hugging Face folder: those of its index, or its only model file; or all files of a
 * folder of dumps.  What could be taken for another model, or for the rest of one, is an error:
 * models of two formats, a model file that the index does not name, one shard without an index. */
int tu_parts_of_folder(const char *folder, struct tu_arena *arena, struct tu_parts *out,
                       struct tu_error *error) TU_MUST_CHECK;

/* The files that a shard index names, which must lie in its folder; those that it does not name are
 * listed. */
int tu_parts_of_index(const char *path, struct tu_arena *arena, struct tu_parts *out,
                      struct tu_error *error) TU_MUST_CHECK;

/* Whether a name is that of a part, as PREFIX-00001-of-00003SUFFIX, and of which. */
bool tu_part_of(const char *name, const char *suffix, uint64_t *part, uint64_t *count);

/* The files of a split: PREFIX-00001-of-00003.gguf and so on, from the name of any of them.  0
 * parts if the name has no such form or another count. */
int tu_parts_of_split(const char *path, uint64_t count, struct tu_arena *arena,
                      struct tu_parts *out, struct tu_error *error) TU_MUST_CHECK;

#endif
