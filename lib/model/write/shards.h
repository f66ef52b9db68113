/* SPDX-License-Identifier: MIT */
/*
 * A model written to one file, or to as many as a limit of bytes asks for: model.gguf becomes
 * model-00001-of-00003.gguf and so on, as every tool names parts, with an index beside those of
 * SafeTensors.  All files appear under their names when the last one is whole, or none does.
 */
#ifndef TU_SHARDS_H
#define TU_SHARDS_H

#include "model/write/older.h"
#include "model/write/save.h"

struct tu_shards {
    const struct tensor_format *format;
    const char *path;
    uint64_t shard_bytes; /* of data in a file; 0: there is one file */
    bool force;           /* replace files */

    struct tu_saver *files; /* the newest last */
    size_t count, capacity;
    size_t saved; /* tensors in all of them */

    struct tu_older older; /* what an earlier save left, removed once the new files were there */

    struct tu_arena arena; /* of what was announced */
    struct tensor_entry *announced;
    size_t announced_count, announced_capacity;
};

/* Begins the first file.  format, path, shard_bytes and force are set, everything else is zero;
 * tu_shards_close() is due after a failure, too. */
int tu_shards_open(struct tu_shards *s, struct tu_error *error) TU_MUST_CHECK;

/* A tensor that is likely to come, in this order: a hint that spares moving data at the end.  Name
 * and shape are lent until the end; s->arena may hold them. */
int tu_shards_announce(struct tu_shards *s, const struct tu_tensor *t,
                       struct tu_error *error) TU_MUST_CHECK;

/* Begins a tensor, in another file where the newest is full; its bytes go to the newest file. */
int tu_shards_tensor(struct tu_shards *s, const struct tu_tensor *t,
                     struct tu_error *error) TU_MUST_CHECK;
struct tu_saver *tu_shards_newest(struct tu_shards *s);

/* The metadata of a model stands in its first file. */
int tu_shards_metadata(struct tu_shards *s, const struct tensor_value *map,
                       struct tu_error *error) TU_MUST_CHECK;

/* Ends the data: no tensor follows.  Then the files are finished, and get their names; fails where
 * a name of a tensor comes twice, and, without force, where files of an earlier save would stand
 * beside the new ones: with force these are removed. */
int tu_shards_end(struct tu_shards *s, struct tu_error *error) TU_MUST_CHECK;
int tu_shards_publish(struct tu_shards *s, struct tu_error *error) TU_MUST_CHECK;
void tu_shards_close(struct tu_shards *s);

#endif
