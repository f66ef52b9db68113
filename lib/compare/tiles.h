/* SPDX-License-Identifier: MIT */
/*
 * A pair as pieces of work: tiles are taken one after another by one thread, compared by any, and
 * added up in the order in which they were taken, so that the sums have the same bits for any
 * number of threads.
 */
#ifndef TU_TILES_H
#define TU_TILES_H

#include "base/buffer.h"
#include "compare/plan.h"

/* What the tiles of a pair that were put came to. */
struct tu_tally {
    struct tu_partial sums;
    struct tu_row row; /* of a row that is longer than tiles are, as far as it was put */
    struct tu_row
        *block_sums; /* of the rows whose blocks are being put; NULL: a block has whole rows */
    struct tu_apr_buckets buckets;
    struct tu_columns columns;
    struct tu_full full;
    /* Maxima of the tiles that were put, for those that are worked on meanwhile: they save work
     * and change no result. */
    _Atomic double max_diff, max_rel_diff;
};

/* A pair in work. */
struct tu_task {
    struct tu_pair *pair;
    struct tu_plan plan;
    struct tu_tally tally;
    uint64_t next; /* the element, or the number of the block, at which the next tile begins */
    bool buckets;  /* are wanted */
};

/* A piece of it.  Zeroed before its first use; what it holds is used again. */
struct tu_tile {
    struct tu_task *task;
    uint64_t first;
    size_t count;
    struct tu_area area; /* of a block */
    bool last;
    struct tu_buffer raw[2]; /* bytes of streams */
    struct tu_partial sums;
    struct tu_apr_buckets buckets; /* where they are wanted */
    struct tu_buffer rows;         /* of a block that has pieces of rows: the sums of each piece */
    struct tu_columns columns;
    struct tu_full full;
};

/* What a thread reads files into; zeroed before its first use. */
struct tu_tile_room {
    struct tu_buffer raw[2];
    struct tu_full_rows waiting;
};

/* Starts the tally of a task whose pair has a plan. */
int tu_tally_begin(struct tu_task *task, struct tu_error *error) TU_MUST_CHECK;
void tu_tally_free(struct tu_tally *tally);

/* Takes the next tile of a task that has elements left: bytes of streams are read here, in order;
 * those of files and of the temporary file by tu_tile_compare. */
int tu_tile_take(struct tu_task *task, struct tu_tile *t, struct tu_error *error) TU_MUST_CHECK;
int tu_tile_compare(struct tu_tile *t, struct tu_tile_room *room,
                    struct tu_error *error) TU_MUST_CHECK;
/* Adds a tile to the tally of its task: in the order in which they were taken. */
void tu_tile_add(struct tu_task *task, const struct tu_tile *t);

void tu_tile_free(struct tu_tile *t);
void tu_tile_room_free(struct tu_tile_room *room);

#endif
