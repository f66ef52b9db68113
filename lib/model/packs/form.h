/* SPDX-License-Identifier: MIT */
/*
 * How schemes of packing are recognised, and what a pack is formed from.
 *
 * How to add a scheme: a row of schemes.c, which says by names and types which tensors it is made
 * of; where shapes tell no known form of it, a function of that form in one of the form-*.c, which
 * checks all shapes and fills in the pack; a row of tensor-types(7), and a checkpoint in
 * tests/tools/make-packs.
 */
#ifndef TU_PACK_FORM_H
#define TU_PACK_FORM_H

#include "model/operand.h"
#include "model/packs/pack.h"

/* What a tensor is to the weight that it is part of. */
enum tu_role {
    TU_ROLE_SCALE,
    TU_ROLE_ZERO,
    TU_ROLE_BIAS,
    TU_ROLE_INDEX,  /* the group of each column */
    TU_ROLE_OUTER,  /* a scale of scales */
    TU_ROLE_FACTOR, /* of columns */
    TU_ROLE_SHAPE,
    TU_ROLE_BLOB, /* JSON */
    TU_ROLE_MAP,  /* a table of values */
    TU_ROLE_NESTED,
    TU_ROLE_NESTED_MAP,
    TU_ROLE_BITS,
    TU_ROLE_AXIS,
    TU_ROLES,
};

enum { TU_SCHEME_PARTS = 6, TU_SCHEME_TYPES = 8 };

struct tu_former;
struct tu_group;

/* 1: formed; 0: the shapes are those of another scheme; -1: they are of this one, and wrong. */
typedef int tu_form_fn(struct tu_former *f, struct tu_group *g, struct tu_error *error);

struct tu_scheme {
    const char *name;
    const char *suffix; /* of the primary tensor; "": any */
    const char *plain;  /* takes its place in the name of the weight */
    enum tensor_dtype types[TU_SCHEME_TYPES];
    uint32_t rank; /* of the primary tensor, at least */
    bool alone;    /* the name of the primary tensor proves the scheme: a part that is missing is an
                      error */
    struct tu_scheme_part {
        enum tu_role role;
        const char *suffixes; /* of the others, which take the place of the first: "a|b" */
        bool needed;
    } parts[TU_SCHEME_PARTS];
    tu_form_fn *form;
    const char *sides; /* suffixes of what describes it and is not needed: "a|b" */
};

extern const struct tu_scheme tu_schemes[];
extern const size_t tu_scheme_count;

/* A scheme that nobody here reads: tensors that end so, beside one that ends with the other. */
struct tu_unread {
    const char *name, *suffix, *beside;
    const char *others; /* what else belongs to it: "a|b" */
};
extern const struct tu_unread tu_unread[];
extern const size_t tu_unread_count;

/* Whether the name of a tensor is that of one that belongs to a packed checkpoint and is no weight:
 * scales of activations and caches, markers, descriptions. */
bool tu_is_side(const struct tu_tensor *t);

/* One weight while it is formed. */
struct tu_group {
    const struct tu_scheme *scheme;
    struct tu_member primary;
    struct tu_member parts[TU_ROLES]; /* no model: there is none */
    const char *stem;                 /* of its name */
    size_t stem_length;
    const char *spelling; /* of the scale: the suffix that was found */
    struct tu_pack *pack; /* to be filled in */
    uint64_t shape[TENSOR_MAX_RANK];
    uint32_t rank;
};

/* The pass over one operand. */
struct tu_former {
    struct tu_operand *operand;
    struct tu_session *session;
    struct tu_arena *arena;            /* of the packs */
    const struct tensor_value *config; /* what config.json says of quantization, or NULL */
    const float *fp4, *fp4_spacing;
    const float *floats[TENSOR_DTYPE_LIMIT], *spacings[TENSOR_DTYPE_LIMIT];
    bool told_bits, told_zeros, told_group, told_unread; /* warnings that are given once */
};

/* ---- What forms need (form.c) ---- */

/* "file: tensor 'name' looks like a scheme, but: what". */
int tu_form_fail(const struct tu_group *g, struct tu_error *error, const char *format, ...)
    TU_PRINTF(3, 4);

/* A tensor that is named by the group's stem and a suffix. */
struct tu_member tu_form_find(const struct tu_former *f, const char *stem, size_t length,
                              const char *suffix);

/* The shape of the weight; the last two dimensions are rows and columns, those before them slices.
 * Sizes beyond what a tensor may have are refused. */
int tu_form_shape(struct tu_group *g, const uint64_t *shape, uint32_t rank,
                  struct tu_error *error) TU_MUST_CHECK;
/* The shape of the primary tensor, with the last dimension so many times as long. */
int tu_form_shape_like(struct tu_group *g, uint64_t times, struct tu_error *error) TU_MUST_CHECK;

/* All elements of a small tensor of whole numbers. */
int tu_form_whole(const struct tu_former *f, const struct tu_group *g, const struct tu_member *m,
                  int64_t *out, uint64_t count, struct tu_error *error) TU_MUST_CHECK;
/* All elements of a tensor of floats, in the arena; NULL with the error set. */
const float *tu_form_floats(struct tu_former *f, const struct tu_group *g,
                            const struct tu_member *m, uint64_t count, struct tu_error *error);

/* Scales in the shape of the weight, of its rows and columns, or of blocks of them; block: what
 * config.json says, 0 where it does not.  Scales of bytes are powers of two. */
int tu_form_grid(struct tu_former *f, struct tu_group *g, struct tu_plane *plane, enum tu_role role,
                 const uint64_t block[2], struct tu_error *error) TU_MUST_CHECK;
/* The factor of scales: one, or one for each slice. */
int tu_form_outer(struct tu_former *f, struct tu_group *g, bool divides,
                  struct tu_error *error) TU_MUST_CHECK;
/* Factors of columns, where there are some. */
int tu_form_factors(struct tu_former *f, struct tu_group *g, struct tu_error *error) TU_MUST_CHECK;
/* The group of each column out of a tensor of them: none is beyond count. */
int tu_form_index(struct tu_former *f, struct tu_group *g, uint64_t count, uint64_t group,
                  struct tu_error *error) TU_MUST_CHECK;

/* How many elements share one of so many scales: as config.json says, or a power of two where that
 * fits, or an equal share; 0: none does. */
uint64_t tu_form_block(uint64_t elements, uint64_t scales, uint64_t said);

/* The table of 4-bit floats, or of a float type of 8 bits or fewer, and its steps. */
int tu_form_table(struct tu_former *f, struct tu_group *g, enum tensor_dtype dtype,
                  struct tu_error *error) TU_MUST_CHECK;
/* The steps of a table: half way to either neighbour, as rounding to nearest has them. */
void tu_form_spacing(const float *table, size_t count, float *spacing);

/* ---- What config.json says ---- */

const struct tensor_value *tu_form_config(const struct tu_former *f, const char *key);
bool tu_form_says(const struct tu_former *f, const char *key, const char *word);
bool tu_form_number(const struct tu_former *f, const char *key, uint64_t *out);
/* Of compressed-tensors: what the groups of so many bits say of weights under a key; NULL: nothing,
 * or not the same. */
const struct tensor_value *tu_form_weights(const struct tu_former *f, uint64_t bits,
                                           const char *key);

/* ---- Families ---- */

tu_form_fn tu_form_qweight, tu_form_ct_pack, tu_form_mlx; /* form-int.c */
tu_form_fn tu_form_scaled, tu_form_fp4, tu_form_bytes, tu_form_blocks, tu_form_gguf,
    tu_form_v4; /* form-float.c */
tu_form_fn tu_form_bnb, tu_form_int8, tu_form_hqq, tu_form_quanto,
    tu_form_torchao; /* form-flat.c */

#endif
