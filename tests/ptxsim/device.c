/* SPDX-License-Identifier: MIT */
/*
 * The memory of the device.  Its addresses are none of the host: what dereferences one crashes, as
 * it ought to.  No address is used twice, so that a stale one is always known for what it is.
 */
#include "config.h"

#include "ptxsim.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t FIRST_ADDRESS = UINT64_C(0x700000000000);
enum { CHUNK_BITS = 21, ALIGNMENT = 256 };

static struct allocation *allocations;
static size_t allocation_count;
static uint32_t *chunks; /* the number of an allocation, by address */
static size_t chunk_count;
static uint64_t used;

uint64_t device_total(void)
{
    return setting("PTXSIM_MEMORY", UINT64_C(16) << 30);
}

uint64_t device_used(void)
{
    return used;
}

static bool extend(uint64_t size, size_t *first)
{
    /* One chunk more than needed, so that no two allocations touch. */
    size_t wanted = (size_t)((size + ALIGNMENT) >> CHUNK_BITS) + 2;
    uint32_t *grown = realloc(chunks, (chunk_count + wanted) * sizeof *chunks);
    struct allocation *list = realloc(allocations, (allocation_count + 1) * sizeof *list);
    chunks = grown ? grown : chunks;
    allocations = list ? list : allocations;
    if (!grown || !list)
        return false;
    *first = chunk_count;
    for (size_t i = 0; i < wanted; i++)
        chunks[chunk_count++] = (uint32_t)allocation_count;
    return true;
}

uint64_t device_allocate(uint64_t size, void *owner, bool fixed)
{
    size_t first;
    if (!fixed && (size > device_total() || used + size > device_total()))
        return 0;
    struct allocation a = {.size = size, .owner = owner, .fixed = fixed};
    a.bytes = calloc(size + 16, 1);
    a.valid = calloc(size / 8 + 16, 1);
    if (!a.bytes || !a.valid || !extend(size, &first)) {
        free(a.bytes);
        free(a.valid);
        return 0;
    }
    /* Not better aligned than the driver promises. */
    a.base = FIRST_ADDRESS + ((uint64_t)first << CHUNK_BITS) + ALIGNMENT;
    allocations[allocation_count++] = a;
    if (!fixed)
        used += size;
    return a.base;
}

struct allocation *device_find(uint64_t address)
{
    uint64_t chunk = (address - FIRST_ADDRESS) >> CHUNK_BITS;
    if (address < FIRST_ADDRESS || chunk >= chunk_count)
        return NULL;
    return &allocations[chunks[chunk]];
}

static void release(struct allocation *a)
{
    if (!a->fixed)
        used -= a->size;
    free(a->bytes);
    free(a->valid);
    free(a->seen);
    a->bytes = a->valid = a->seen = NULL;
    a->freed = true;
}

bool device_free(uint64_t address, void *owner)
{
    struct allocation *a = device_find(address);
    if (!a || a->freed || a->base != address || a->owner != owner)
        return false;
    release(a);
    return true;
}

void device_free_all(void *owner)
{
    for (size_t i = 0; i < allocation_count; i++)
        if (allocations[i].owner == owner && !allocations[i].freed)
            release(&allocations[i]);
}

uint8_t *device_bytes(uint64_t address, uint64_t size)
{
    struct allocation *a = device_find(address);
    if (!a || a->freed || address < a->base || size > a->size || address - a->base > a->size - size)
        return NULL;
    return a->bytes + (address - a->base);
}

void device_set_bits(uint8_t *bits, uint64_t at, uint64_t count)
{
    for (; count && at % 8; at++, count--)
        bits[at / 8] |= (uint8_t)(1u << at % 8);
    memset(bits + at / 8, 0xff, count / 8);
    at += count / 8 * 8;
    if (count % 8)
        bits[at / 8] |= (uint8_t)((1u << count % 8) - 1);
}

void device_clear_bits(uint8_t *bits, uint64_t at, uint64_t count)
{
    for (; count; at++, count--)
        bits[at / 8] &= (uint8_t) ~(1u << at % 8);
}

void device_set_valid(uint64_t address, uint64_t size)
{
    struct allocation *a = device_find(address);
    if (a && device_bytes(address, size))
        device_set_bits(a->valid, address - a->base, size);
}

/* Copies of what was never written were never written. */
void device_copy_valid(uint64_t to, uint64_t from, uint64_t size)
{
    struct allocation *a = device_find(to), *b = device_find(from);
    uint64_t at = to - a->base, source = from - b->base;
    for (uint64_t n = 0; n < size; n++) {
        if (b->valid[(source + n) / 8] >> (source + n) % 8 & 1)
            device_set_bits(a->valid, at + n, 1);
        else
            device_clear_bits(a->valid, at + n, 1);
    }
}

uint64_t device_take_seen(void)
{
    uint64_t count = 0;
    for (size_t i = 0; i < allocation_count; i++) {
        struct allocation *a = &allocations[i];
        if (a->freed)
            continue;
        for (uint64_t n = 0; a->seen && n < a->size / 8 + 1; n++)
            count += (uint64_t)__builtin_popcount(a->seen[n]);
        free(a->seen);
        a->seen = calloc(a->size / 8 + 16, 1);
        if (!a->seen)
            abort();
    }
    return count;
}
