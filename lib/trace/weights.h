/* SPDX-License-Identifier: MIT */
/* The weights of a model by the names of Hugging Face, whatever its files call them. */
#ifndef TU_TRACE_WEIGHTS_H
#define TU_TRACE_WEIGHTS_H

#include "map/apply.h"
#include "map/catalogue.h"
#include "map/maps.h"
#include "model/operand.h"
#include "trace/config.h"

struct tu_weights {
    const struct tu_operand *operand;
    const struct tu_trace_config *config;
    const struct tu_kernels *kernels;
    const char *path; /* for messages; lent */
    struct tu_catalogue catalogue;
    struct tu_maps maps;
    const struct tu_map *map;
    struct tu_arena arena;
    struct tensor_value stated; /* what maps ask of metadata */
    bool *used;                 /* of the entries of the catalogue: whether it was found */
};

/* One weight, as rows of columns; it lives as long as the arena it was found with. */
struct tu_weight {
    const struct tu_view *view;
    struct tu_decoder decoder;
    float addend;     /* a number that the file's values hold already */
    bool tied;        /* it stands for one that is not there */
    const char *name; /* as the file has it */
    uint64_t rows, columns;
};

/* Everything but the arena is lent, and has to outlive the weights. */
int tu_weights_open(struct tu_weights *w, const struct tu_operand *operand,
                    const struct tu_trace_config *config, const struct tu_kernels *kernels,
                    const char *path, struct tu_error *error) TU_MUST_CHECK;
void tu_weights_close(struct tu_weights *w);

/* The weight of a name with so many rows and columns, or, with 0 rows, a vector: 1, 0 if there is
 * none, or -1 if it has another shape or no real numbers. */
int tu_weight_find(const struct tu_weights *w, struct tu_arena *arena, const char *name,
                   uint64_t rows, uint64_t columns, struct tu_weight *out,
                   struct tu_error *error) TU_MUST_CHECK;
/* The same; it is an error if there is none. */
int tu_weight_need(const struct tu_weights *w, struct tu_arena *arena, const char *name,
                   uint64_t rows, uint64_t columns, struct tu_weight *out,
                   struct tu_error *error) TU_MUST_CHECK;
/* How many rows a matrix of a name has; 0 if there is none. */
int tu_weight_rows(const struct tu_weights *w, struct tu_arena *arena, const char *name,
                   uint64_t *rows, struct tu_error *error) TU_MUST_CHECK;
/* Rows [first, first + rows) of a weight, as one of its own. */
int tu_weight_part(const struct tu_weights *w, struct tu_arena *arena, const struct tu_weight *of,
                   uint64_t first, uint64_t rows, struct tu_weight *out,
                   struct tu_error *error) TU_MUST_CHECK;

/* What nothing was made of, once everything was found.  A tensor that the map knows is an error,
 * and so is one of a layer of which others are used: the graph lacks something, or the
 * configuration speaks of less than there is.  Others, and an output that is tied, are counted: how
 * many, and the first of them. */
int tu_weights_unused(const struct tu_weights *w, uint64_t *count, const char **first,
                      struct tu_error *error) TU_MUST_CHECK;

/* Elements [first, first + count) in float64, which holds what the file has. */
int tu_weight_values(const struct tu_weight *w, uint64_t first, size_t count, double *out,
                     struct tu_error *error) TU_MUST_CHECK;

#endif
