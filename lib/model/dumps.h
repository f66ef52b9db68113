/* SPDX-License-Identifier: MIT */
/* Folders of dumped tensors, a file for each, which is called after its file. */
#ifndef TU_DUMPS_H
#define TU_DUMPS_H

#include "base/arena.h"
#include "base/error.h"
#include "model/model.h"

/* What files of dumps are called. */
enum tu_dump_kind { TU_DUMP_NPY, TU_DUMP_STAGE, TU_DUMP_KINDS };
extern const char *const tu_dump_suffixes[TU_DUMP_KINDS];

/* A file of a dump. */
struct tu_dump_file {
    const char *path;
    const char *name; /* the path in the folder, without its suffix */
    bool in_layer;    /* it lies in the folder of a layer, layer-N */
    uint64_t layer;
};

/* The files by kind, in the order of their names. */
struct tu_dumps {
    struct tu_dump_file *files[TU_DUMP_KINDS];
    size_t count[TU_DUMP_KINDS], capacity[TU_DUMP_KINDS];
};

/* Lists *.npy and *.bin of a folder and of the folders layer-N in it.  Files *.bin are many things:
 * they are a dump where one of them begins as aprender's stages do, and then all of them have to.
 * What it holds is given back by tu_dumps_free, also after an error. */
int tu_dumps_list(struct tu_dumps *d, const char *folder, struct tu_arena *arena,
                  struct tu_error *error) TU_MUST_CHECK;
void tu_dumps_free(struct tu_dumps *d);

/* Calls the one tensor of a model by the name of its file, and checks that a layer which the file
 * states is that of its folder. */
int tu_dump_name(struct tu_model *m, const struct tu_dump_file *file,
                 struct tu_error *error) TU_MUST_CHECK;

/* The name of a file that is named by itself: its own, without the suffix. */
int tu_dump_name_by_stem(struct tu_model *m, struct tu_error *error) TU_MUST_CHECK;

#endif
