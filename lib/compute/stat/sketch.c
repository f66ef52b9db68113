/* SPDX-License-Identifier: MIT */
/* Counts values by their leading bits, and coarser where they would take too much memory. */
#include "config.h"

#include "compute/stat/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The mantissa of float64, and the distinct signs and exponents. */
enum { MANTISSA = 52, IDS = 4096, FIRST_CAPACITY = 16 };

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static size_t page_size(const struct tu_sketch_room *room)
{
    return sizeof(uint64_t) << room->bits;
}

/* The place of an id in a table: where it is, or where it would be put.  A table of all ids is
 * never probed twice. */
static struct tu_sketch_page *place_of(struct tu_sketch_page *pages, uint32_t capacity, uint32_t id)
{
    uint32_t at = (id - 1) & (capacity - 1);
    while (pages[at].id && pages[at].id != id)
        at = (at + 1) & (capacity - 1);
    return &pages[at];
}

/* A sketch that is alone begins with a place for every id. */
static int enlarge(struct tu_sketch_room *room, struct tu_sketch *s, struct tu_error *error)
{
    uint32_t first = room->count == 1 ? IDS : FIRST_CAPACITY;
    uint32_t capacity = s->capacity ? 2 * s->capacity : first;
    struct tu_sketch_page *pages = calloc(capacity, sizeof *pages);
    if (!pages)
        return tu_fail_memory(error);
    for (uint32_t i = 0; i < s->capacity; i++)
        if (s->pages[i].id)
            *place_of(pages, capacity, s->pages[i].id) = s->pages[i];
    room->used += (capacity - s->capacity) * sizeof *pages;
    free(s->pages);
    s->pages = pages;
    s->capacity = capacity;
    return 0;
}

static void give_up(struct tu_sketch_room *room)
{
    for (size_t i = 0; i < room->count; i++)
        tu_sketch_free(&room->sketches[i]);
    room->given_up = true;
    room->used = 0;
}

/* Adds up neighbours: what counts of one bit less would have been from the start. */
static void halve(struct tu_sketch_room *room, struct tu_sketch_page *page)
{
    size_t half = ((size_t)1 << room->bits) / 2;
    for (size_t i = 0; i < half; i++)
        page->counts[i] = page->counts[2 * i] + page->counts[2 * i + 1];
    uint64_t *smaller = realloc(page->counts, half * sizeof *smaller);
    if (smaller)
        page->counts = smaller;
    room->used -= half * sizeof *smaller;
}

static void make_coarser(struct tu_sketch_room *room)
{
    if (room->bits == 0) {
        give_up(room);
        return;
    }
    for (size_t i = 0; i < room->count; i++)
        for (uint32_t k = 0; k < room->sketches[i].capacity; k++)
            if (room->sketches[i].pages[k].id)
                halve(room, &room->sketches[i].pages[k]);
    room->bits--;
}

static int add_page(struct tu_sketch_room *room, struct tu_sketch *s, uint32_t id,
                    struct tu_error *error)
{
    if ((s->held + 1) * 4 > s->capacity * 3 && s->capacity < IDS && enlarge(room, s, error) < 0)
        return -1;
    struct tu_sketch_page *page = place_of(s->pages, s->capacity, id);
    page->counts = calloc(1, page_size(room));
    if (!page->counts)
        return tu_fail_memory(error);
    page->id = id;
    s->held++;
    room->used += page_size(room);
    while (room->used > room->budget && !room->given_up)
        make_coarser(room);
    return 0;
}

int tu_sketch_add(struct tu_sketch_room *room, struct tu_sketch *s, const double *values,
                  size_t count, struct tu_error *error)
{
    for (size_t i = 0; i < count && !room->given_up; i++) {
        uint64_t bits = bits_of(values[i]);
        uint32_t id = (uint32_t)(bits >> MANTISSA) + 1;
        s->values++;
        if (values[i] == 0) {
            s->zeros++;
            continue;
        }
        if ((!s->capacity || place_of(s->pages, s->capacity, id)->id == 0) &&
            add_page(room, s, id, error) < 0)
            return -1;
        if (!room->given_up) {
            uint64_t bucket = bits >> (MANTISSA - room->bits) & (((uint64_t)1 << room->bits) - 1);
            place_of(s->pages, s->capacity, id)->counts[bucket]++;
        }
    }
    return 0;
}

void tu_sketch_reset(struct tu_sketch_room *room, struct tu_sketch *s)
{
    for (uint32_t i = 0; i < s->capacity; i++) {
        if (!s->pages[i].id)
            continue;
        free(s->pages[i].counts);
        s->pages[i] = (struct tu_sketch_page){0};
        room->used -= page_size(room);
    }
    s->held = 0;
    s->zeros = s->values = 0;
}

void tu_sketch_free(struct tu_sketch *s)
{
    for (uint32_t i = 0; i < s->capacity; i++)
        free(s->pages[i].counts);
    free(s->pages);
    *s = (struct tu_sketch){0};
}

/* ---- Quantiles ---- */

/* The middle of a bucket. */
static double middle(const struct tu_sketch_room *room, uint32_t id, uint64_t bucket)
{
    uint64_t bits = (uint64_t)(id - 1) << MANTISSA | bucket << (MANTISSA - room->bits) |
                    (uint64_t)1 << (MANTISSA - room->bits - 1);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Goes through the buckets of one sign: by size, from the largest for negative ones. */
static bool go_through(const struct tu_sketch_room *room, const struct tu_sketch *s, bool negative,
                       uint64_t *left, double *out)
{
    uint64_t buckets = (uint64_t)1 << room->bits;
    for (uint32_t e = 0; e < IDS / 2; e++) {
        uint32_t id = 1 + (negative ? IDS - 1 - e : e);
        const struct tu_sketch_page *page = place_of(s->pages, s->capacity, id);
        for (uint64_t i = 0; page->id && i < buckets; i++) {
            uint64_t bucket = negative ? buckets - 1 - i : i;
            *out = middle(room, id, bucket);
            if (*left <= page->counts[bucket])
                return true;
            *left -= page->counts[bucket];
        }
    }
    return false;
}

double tu_sketch_quantile(const struct tu_sketch_room *room, const struct tu_sketch *s, double p)
{
    double x = 0, rank = ceil(p * (double)s->values);
    uint64_t left = rank < 1 ? 1 : rank > (double)s->values ? s->values : (uint64_t)rank;
    if (s->capacity && go_through(room, s, true, &left, &x))
        return x;
    if (left <= s->zeros)
        return 0;
    left -= s->zeros;
    if (s->capacity)
        go_through(room, s, false, &left, &x);
    return x;
}

double tu_sketch_error(const struct tu_sketch_room *room)
{
    return ldexp(1, -(int)room->bits - 1);
}
