/* SPDX-License-Identifier: MIT */
/*
 * Maps: which tensors of two ways to name a model belong together, and what lies between them.  The
 * language is that of tensor-maps(5): it is parsed, never evaluated.  A rule has a left side, which
 * names tensors as the Hugging Face checkpoint does, and a right side; its steps lead from the left
 * to the right and can be undone.
 */
#ifndef TU_LANGUAGE_H
#define TU_LANGUAGE_H

#include <sys/stat.h>
#include <stdint.h>

#include "base/error.h"
#include "map/pattern.h"

#define TU_MAP_BYTES_MAX (1u << 20)
#define TU_MAP_SIDE_MAX  8 /* names on one side of a rule */
#define TU_MAP_STEPS_MAX 8
#define TU_MAP_RANK_MAX  8
#define TU_MAP_ORDER_MAX 512

struct tu_step {
    enum tu_step_kind {
        TU_STEP_ROPE, /* rows of each head from halves to pairs */
        TU_STEP_UNROPE,
        TU_STEP_TRANSPOSE,
        TU_STEP_PERMUTE, /* axes */
        TU_STEP_RESHAPE,
        TU_STEP_ROWS, /* [first, end) */
        TU_STEP_COLUMNS,
        TU_STEP_ADD,
        TU_STEP_SCALE,
        TU_STEP_ORDER, /* equal shares of the first dimension */
        TU_STEP_TYPE,  /* the bytes are of another type */
        TU_STEP_SWAP,  /* the bytes of each element the other way round */
    } kind;
    const char *heads; /* ROPE: a count, or NULL: as many as head_count */
    uint64_t head_count;
    uint64_t shape[TU_MAP_RANK_MAX]; /* RESHAPE (0: what is left), PERMUTE */
    uint32_t rank;
    uint64_t first, end;
    float addend;                 /* ADD; SCALE: the factor */
    const uint64_t *order, *back; /* ORDER: which share comes where; what undoes it */
    size_t shares;
    uint32_t dtype; /* TYPE */
};

struct tu_map_rule {
    struct tu_pattern left[TU_MAP_SIDE_MAX], right[TU_MAP_SIDE_MAX];
    size_t left_count, right_count;        /* at most one of them is above 1 */
    const char *names[TU_MAP_NUMBERS_MAX]; /* of its variables */
    int stacked;                           /* the variable that the right side lacks, or -1 */
    struct tu_step steps[TU_MAP_STEPS_MAX];
    size_t step_count;
    bool padded; /* either side may have more rows than the other */
    bool tied;   /* the right tensor stands for the left one, but is not made from it */
    size_t section;
    unsigned line;
};

/* A number of the model: the first of its sources that the metadata has. */
struct tu_count {
    const char *name;
    struct {
        const char *text; /* a key; "{architecture}" in it stands for that of the model */
        bool is_count;    /* another count */
    } sources[8];
    size_t source_count;
};

struct tu_word_list {
    const char **items;
    size_t count, capacity;
};

struct tu_map {
    struct tu_arena arena;
    const char *name; /* that of its file, without folder and suffix */
    const char *path; /* of its file; NULL: it was not read from one */
    bool named;       /* that file was found by the name of the map, in a folder of maps */
    struct stat read; /* the file as it was when it was read */
    const char *about, *left;
    struct tu_word_list architectures, model_types, sections;
    bool guessed; /* may be chosen by names alone */
    bool stages;  /* its names are stages of a forward pass, not weights */
    struct tu_count *counts;
    size_t count_count, count_capacity;
    struct tu_map_rule *rules;
    size_t rule_count, rule_capacity;
    struct tu_pattern *extras; /* tensors that carry nothing: without a twin on the other side */
    size_t extra_count, extra_capacity;
};

/* Parses the text of a map.  path is shown in messages and gives the map its name.  On failure
 * everything is given back. */
int tu_map_parse(struct tu_map *map, const char *path, const char *text, size_t length,
                 struct tu_error *error) TU_MUST_CHECK;
void tu_map_free(struct tu_map *map);

#define TU_ANY_SECTION SIZE_MAX

/* Where a name stands in a map. */
struct tu_place {
    const struct tu_map_rule *rule;
    size_t which; /* of the names on its side */
    struct tu_bindings bindings;
};

/* The first rule with a name on one side, among those of a section or TU_ANY_SECTION; rules for
 * tied tensors aside. */
bool tu_map_find(const struct tu_map *map, bool left, size_t section, const char *name,
                 size_t length, struct tu_place *out);

const struct tu_count *tu_map_count(const struct tu_map *map, const char *name);

/* Whether every rule only renames. */
bool tu_map_renames(const struct tu_map *map);

#endif
