/* SPDX-License-Identifier: MIT */
/*
 * --repeat: the same work again and again, each time made in another way, and whether it came out
 * with the same bits.  It means the same in every tool: N runs in each of the ways there are.
 */
#ifndef TU_REPEAT_H
#define TU_REPEAT_H

#include "kernels/kernels.h"
#include "tree/value.h"

/* How a run is made. */
struct tu_way {
    const struct tu_kernels *kernels; /* lent; NULL: by a device */
    unsigned threads;
};

enum { TU_WAYS_MAX = 32 };

struct tu_ways {
    struct tu_way list[TU_WAYS_MAX];
    size_t count;
    size_t sets;      /* instruction sets among them; 0: a device */
    unsigned threads; /* the most */
};

/* Each instruction set of this machine with 1, 2, 3 and with so many threads. */
struct tu_ways tu_ways_of_processor(unsigned threads);
/* The one way of a device. */
struct tu_ways tu_ways_of_device(void);

/* What of one run differs from the first one. */
struct tu_departure {
    uint64_t count;      /* how many numbers, or fields of a record */
    char field[48];      /* the first such field; empty: it is an element */
    uint64_t element;    /* the first such element */
    double first, other; /* its values */
    bool unvalued;       /* it is a field that is no number in both */
};

/* Adds what differs between numbers of two runs, by their bits; size is that of one: 4 or 8.  The
 * first of them is element `position` of all; parts have to come in order. */
void tu_departure_add(struct tu_departure *d, const void *first, const void *other, size_t size,
                      size_t count, uint64_t position);

/* What differs between the records of two runs, by their bits. */
struct tu_departure tu_departure_of_records(const struct tensor_value *first,
                                            const struct tensor_value *other);

/* What all runs have shown. */
struct tu_repeats {
    const struct tu_ways *ways;    /* lent */
    uint64_t runs, differing;      /* so far; those that differ from the first */
    struct tu_departure departure; /* of the first that does */
    char how[64];                  /* and how it was made */
};

/* Notes one more run; the first one departs from nothing. */
void tu_repeats_note(struct tu_repeats *r, const struct tu_way *way,
                     const struct tu_departure *departure);

/* The fields of a `repeat` record behind those that say what was repeated; tensor-stream(5). */
int tu_repeats_fill(struct tu_builder *b, const struct tu_repeats *r,
                    struct tu_error *error) TU_MUST_CHECK;

#endif
