/* SPDX-License-Identifier: MIT */
/*
 * A weight that several tensors hold together: codes, their scales, perhaps zeros, and more.  The
 * value of an element is
 *
 *     (code - zero) * scale [* factor] [* that of its column] [+ bias]
 *
 * where a code is a whole number, or what a table has for it.  Everything that is read later is
 * checked when a pack is formed (form.h), so that reading needs no bounds of its own.
 *
 * A pack is a matrix of `columns` columns and of `rows` rows in each of `slices` slices: experts,
 * or one.
 */
#ifndef TU_PACK_H
#define TU_PACK_H

#include "model/model.h"

/* How codes of a matrix lie in a tensor.  Those of 32 bits are words of little-endian bytes. */
struct tu_codes {
    enum tu_code_kind {
        TU_CODES_STREAM,   /* bits along a row, which begins every row_bytes; 0: one row follows the
                              other */
        TU_CODES_HIGH,     /* the same of 4 bits, of which the upper come first, without gaps */
        TU_CODES_WORDS,    /* as many along a row as a word has room for, from its lowest bit on */
        TU_CODES_COLUMNS,  /* bits down a column of words: the matrix is stored transposed */
        TU_CODES_DOWN,     /* words as of WORDS, down a column */
        TU_CODES_PLANES,   /* 32 codes down a column take `bits` words: the low bits of all of them
                              first, then those above */
        TU_CODES_AWQ,      /* transposed, eight along a stored row in a word, in AWQ's order */
        TU_CODES_AWQ_FAST, /* four rows in a word of 16 bits, and columns in another order */
        TU_CODES_SLABS,    /* over the flat matrix: a byte holds one of each slab */
        TU_CODES_PAIRS,    /* of 4 bits: a byte has two rows, the lower bits the first */
        TU_CODES_VALUES,   /* elements of the tensor's own type */
    } kind;
    struct tu_member from;
    unsigned bits;
    uint64_t row_bytes;   /* STREAM, WORDS: 0: none */
    uint64_t slice_bytes; /* of a matrix of several */
    uint64_t width;       /* COLUMNS to AWQ: words, or rows, that a stored row has */
    uint64_t slab;        /* SLABS: elements of one */
    unsigned slabs;
    unsigned unit; /* SLABS: bytes of a stored element */
    int shift, by; /* SLABS: where the bits of the first are, and of each that follows */
};

/* A number for each element, or for each block of them. */
struct tu_plane {
    enum tu_plane_kind {
        TU_PLANE_NONE,
        TU_PLANE_GRID,   /* at row / row_block, and column / column_block or the column's group */
        TU_PLANE_FLAT,   /* at element / column_block, over all slices */
        TU_PLANE_MODULO, /* at element % column_block */
    } kind;
    struct tu_member from;
    enum tensor_dtype dtype; /* of its elements; of codes: TENSOR_U8 */
    uint64_t row_block, column_block;
    uint64_t slice_step, row_step, column_step; /* GRID: in elements of the tensor */
    const struct tu_codes *codes;               /* NULL: elements; else packed whole numbers */
    bool turned;    /* codes: those of the plane are a matrix [group, row], not [row, group] */
    unsigned added; /* codes: to each, which then keeps its bits */
    bool wraps;     /* codes: added beyond the last becomes 0 */
};

/* A factor that scales have themselves. */
struct tu_outer {
    const float *factors; /* NULL: none */
    uint64_t count;       /* 1, or one for each slice */
    bool divides;
};

/* Scales that are codes themselves: table[code] * scale of its block + offset. */
struct tu_nested {
    const float *table;  /* 256; NULL: scales are numbers */
    const float *scales; /* of blocks */
    uint64_t block;
    float offset;
};

struct tu_pack {
    const char *scheme;  /* as shown: "GPTQ" */
    const char *name;    /* of the primary tensor, as the file calls it */
    bool unread;         /* nothing else is known: its tensors are bytes */
    uint32_t type;       /* enum tu_made */
    unsigned bits;       /* of a code */
    uint64_t group;      /* elements along a row with one scale; 0: whole rows, or no rows */
    uint64_t group_rows; /* rows with one scale, where they are more than one */
    uint64_t stored;     /* bytes of all its tensors */
    uint64_t slices, rows, columns;
    struct tu_codes codes;
    const float *table;                             /* of codes; NULL: they are whole numbers */
    const float *spacing;                           /* of the table: the step at each */
    bool is_signed;                                 /* whole numbers are */
    struct tu_plane zeros, scales, biases, factors; /* factors: of columns */
    float zero;                                     /* where there are no zeros */
    bool inverse;                                   /* values are codes / scale */
    bool minus;                                     /* biases are taken away */
    float factor;                                   /* of all; 1: none */
    struct tu_outer outer;
    struct tu_nested nested;
    const uint32_t *groups; /* of each column; NULL: column / column_block */
    float least;            /* the least step that a scale can make */
    const struct tu_kernels *kernels;
    const struct tu_member *parts; /* all its tensors, the primary first */
    size_t part_count;
};

/* Bytes [offset, offset + length) of its elements as float32, row by row, or, where dtype is a made
 * one, as pairs of a value and a step (kernels/made.h).  Safe from several threads. */
int tu_pack_read(const struct tu_pack *p, enum tensor_dtype dtype, uint64_t offset, void *buffer,
                 size_t length, struct tu_error *error) TU_MUST_CHECK;

/* Whether a tensor's values are made of several. */
static inline bool tu_is_made(const struct tu_tensor *t)
{
    return t->pack && !t->pack->unread;
}

/* Whether a row's codes are spread over the whole tensor: many rows at once are read faster. */
bool tu_pack_turned(const struct tu_pack *p);

#endif
