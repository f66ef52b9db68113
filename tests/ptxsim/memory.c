/* SPDX-License-Identifier: MIT */
/*
 * Instructions on memory.  First the place of every lane's bytes is found, with all that may be
 * wrong about it; then the bytes are moved.
 */
#include "config.h"

#include "ptxsim.h"
#include "driver.h"

#include <stdlib.h>
#include <string.h>

enum access { READ, WRITE, ATOMIC };

struct accesses {
    struct warp *w;
    const struct instr *i;
    uint32_t mask;
    enum access how;
    unsigned bytes; /* of a lane */
    uint64_t address[LANES];
    uint8_t *place[LANES];
};

static const char *verb(enum access how)
{
    return how == READ ? "read" : how == WRITE ? "write" : "atomic operation";
}

static bool check_alignment(struct accesses *a, uint32_t mask)
{
    uint64_t wrong = 0;
    for (unsigned l = 0; l < LANES; l++)
        if (mask >> l & 1)
            wrong |= a->address[l];
    if (!(wrong & (a->bytes - 1)))
        return true;
    for (unsigned l = 0; l < LANES; l++)
        if (mask >> l & 1 && a->address[l] & (a->bytes - 1))
            return fault(a->w, a->i, l, CUDA_ERROR_MISALIGNED_ADDRESS,
                         "misaligned %s of %u bytes at 0x%jx", verb(a->how), a->bytes,
                         (uintmax_t)a->address[l]);
    return true;
}

/* ---- device memory ---- */

static bool refuse_address(struct accesses *a, unsigned lane, const struct allocation *m)
{
    uint64_t address = a->address[lane];
    char where[160] = "no allocation is there";
    if (m && m->freed)
        snprintf(where, sizeof where, "memory that was freed, %jd bytes from its start",
                 (intmax_t)(address - m->base));
    else if (m)
        snprintf(where, sizeof where, "%jd bytes from the start of an allocation of %ju",
                 (intmax_t)(address - m->base), (uintmax_t)m->size);
    return fault(a->w, a->i, lane, CUDA_ERROR_ILLEGAL_ADDRESS, "%s of %u bytes at 0x%jx: %s",
                 verb(a->how), a->bytes, (uintmax_t)address, where);
}

static inline bool inside(const struct allocation *m, uint64_t address, unsigned bytes)
{
    return !m->freed && address >= m->base && bytes <= m->size &&
           address - m->base <= m->size - bytes;
}

static bool touch_global(struct accesses *a, unsigned lane, struct allocation *m)
{
    uint64_t at = a->address[lane] - m->base;
    if (a->how != WRITE && !device_all_set(m->valid, at, a->bytes))
        return fault(a->w, a->i, lane, CUDA_ERROR_LAUNCH_FAILED,
                     "read of device memory that was never written, %ju bytes from the start of an "
                     "allocation of %ju",
                     (uintmax_t)at, (uintmax_t)m->size);
    if (a->how == WRITE)
        device_set_few(m->valid, at, a->bytes);
    else if (m->seen)
        device_set_few(m->seen, at, a->bytes);
    a->place[lane] = m->bytes + at;
    return true;
}

static bool all_bits(const uint8_t *bits, uint64_t at, unsigned count)
{
    unsigned n = 0;
    for (; n + 16 <= count; n += 16)
        if (!device_all_set(bits, at + n, 16))
            return false;
    return true;
}

/* The usual case, all lanes one behind the other, is looked at as one; false: it is something else.
 */
static bool touch_row(struct accesses *a, uint32_t mask)
{
    const uint64_t first = a->address[0];
    const unsigned total = LANES * a->bytes;
    uint64_t different = 0;
    if (mask != ALL_LANES || a->how == ATOMIC)
        return false;
    for (unsigned l = 0; l < LANES; l++)
        different |= a->address[l] ^ (first + (uint64_t)l * a->bytes);
    const struct allocation *m = device_find(first);
    if (different || !m || !inside(m, first, total))
        return false;
    uint64_t at = first - m->base;
    if (a->how == READ && !all_bits(m->valid, at, total))
        return false;
    if (a->how == WRITE)
        device_set_bits(m->valid, at, total);
    else if (m->seen)
        device_set_bits(m->seen, at, total);
    for (unsigned l = 0; l < LANES; l++)
        a->place[l] = m->bytes + at + (size_t)l * a->bytes;
    return true;
}

static bool locate_global(struct accesses *a, uint32_t mask)
{
    struct stats *stats = a->w->block->launch->stats;
    struct allocation *m = NULL;
    if (!check_alignment(a, mask))
        return false;
    if (stats)
        stats_global(stats, a->address, mask, a->bytes, a->how == WRITE);
    if (touch_row(a, mask))
        return true;
    for (unsigned l = 0; l < LANES; l++) {
        if (!(mask >> l & 1))
            continue;
        if (!m || !inside(m, a->address[l], a->bytes))
            m = device_find(a->address[l]);
        if (!m || !inside(m, a->address[l], a->bytes))
            return refuse_address(a, l, m);
        if (!touch_global(a, l, m))
            return false;
    }
    return true;
}

/* ---- shared memory ---- */

/* Where an address is in the memory of the block; UINT64_MAX: nowhere. */
static uint64_t shared_place(const struct block *b, uint64_t address, unsigned bytes)
{
    uint64_t base = 0, size = b->own, at = address;
    if (address >= COMMON_SHARED) {
        base = b->own;
        size = b->common;
        at -= COMMON_SHARED;
    } else if (address >= DYNAMIC_SHARED) {
        base = b->own + b->common;
        size = b->dynamic;
        at -= DYNAMIC_SHARED;
    }
    return bytes <= size && at <= size - bytes ? base + at : UINT64_MAX;
}

/* What warp v did at that tick is not known to w: no barrier stands between. */
static inline bool unordered(const struct block *b, unsigned w, unsigned v, uint32_t tick)
{
    return v != w && b->seen[w][v] <= tick;
}

static bool refuse_race(struct accesses *a, unsigned lane, const char *before, unsigned warp)
{
    return fault(a->w, a->i, lane, CUDA_ERROR_LAUNCH_FAILED,
                 "shared memory race: %s at 0x%jx, and a %s by warp %u with no barrier between",
                 verb(a->how), (uintmax_t)a->address[lane], before, warp);
}

static bool check_write(struct accesses *a, unsigned lane, const struct cell *c, uint8_t bytes)
{
    const struct block *b = a->w->block;
    unsigned w = a->w->number;
    if (!(c->read_bytes & bytes) || !(c->readers & ~(UINT32_C(1) << w)))
        return true;
    for (unsigned v = 0; v < b->warp_count; v++)
        if (c->readers >> v & 1 && unordered(b, w, v, c->read_tick))
            return refuse_race(a, lane, "read", v);
    return true;
}

/* The lanes of a warp are ordered by barriers, too, unless it is one instruction. */
static bool unordered_lanes(const struct warp *w, unsigned lane, unsigned other, uint32_t serial)
{
    return other != lane && serial > w->synced && serial != w->serial;
}

static bool refuse_lanes(struct accesses *a, unsigned lane, const char *before)
{
    return fault(a->w, a->i, lane, CUDA_ERROR_LAUNCH_FAILED,
                 "shared memory race: %s at 0x%jx, and a %s by another lane of the warp with no "
                 "bar.warp.sync between",
                 verb(a->how), (uintmax_t)a->address[lane], before);
}

/* This warp has read these bytes since the last barrier, and nobody has written them since: another
 * read by it is little news. */
static inline bool read_again(const struct accesses *a, unsigned lane, struct cell *c,
                              uint8_t bytes)
{
    const struct warp *w = a->w;
    if (a->how != READ || c->read_tick != w->block->tick || c->write_tick >= c->read_tick ||
        c->reader != w->number || c->read_serial <= w->synced || (c->read_bytes & bytes) != bytes)
        return false;
    if (c->read_lane != lane)
        c->read_lane = MANY_LANES;
    return true;
}

static bool read_cell(struct accesses *a, unsigned lane, struct cell *c, uint8_t bytes)
{
    struct warp *w = a->w;
    bool known = c->reader == w->number && c->read_serial > w->synced;
    if (c->read_tick != w->block->tick) {
        c->read_tick = w->block->tick;
        c->readers = 0;
        c->read_bytes = 0;
    }
    c->readers |= UINT32_C(1) << w->number;
    c->read_bytes |= bytes;
    c->read_lane = known && c->read_lane != lane ? MANY_LANES : (uint8_t)lane;
    c->reader = (uint8_t)w->number;
    c->read_serial = w->serial;
    return true;
}

static bool write_cell(struct accesses *a, unsigned lane, struct cell *c, uint8_t bytes)
{
    const struct warp *w = a->w;
    if (!check_write(a, lane, c, bytes))
        return false;
    if (c->read_bytes & bytes && c->reader == w->number &&
        unordered_lanes(w, lane, c->read_lane, c->read_serial))
        return refuse_lanes(a, lane, "read");
    if (c->writer != w->number || c->write_tick != w->block->tick || c->write_lane != lane)
        c->write_bytes = 0;
    c->writer = (uint8_t)w->number;
    c->write_lane = (uint8_t)lane;
    c->write_tick = w->block->tick;
    c->write_serial = w->serial;
    c->write_bytes |= bytes;
    c->atomic = a->how == ATOMIC;
    return true;
}

static bool touch_cell(struct accesses *a, unsigned lane, struct cell *c, uint8_t bytes)
{
    const struct warp *w = a->w;
    bool both_atomic = a->how == ATOMIC && c->atomic;
    if (c->write_bytes & bytes && !both_atomic) {
        if (unordered(w->block, w->number, c->writer, c->write_tick))
            return refuse_race(a, lane, c->atomic ? "atomic operation" : "write", c->writer);
        if (c->writer == w->number && unordered_lanes(w, lane, c->write_lane, c->write_serial))
            return refuse_lanes(a, lane, "write");
    }
    return a->how == READ ? read_cell(a, lane, c, bytes) : write_cell(a, lane, c, bytes);
}

static bool check_race(struct accesses *a, unsigned lane, uint64_t at)
{
    struct cell *c = &a->w->block->cells[at / 4];
    if (a->bytes < 4)
        return touch_cell(a, lane, c, (uint8_t)(((1u << a->bytes) - 1) << at % 4));
    for (unsigned n = 0; n < a->bytes / 4; n++)
        if (!read_again(a, lane, c + n, 15) && !touch_cell(a, lane, c + n, 15))
            return false;
    return true;
}

static bool touch_shared(struct accesses *a, unsigned lane)
{
    struct block *b = a->w->block;
    uint64_t at = shared_place(b, a->address[lane], a->bytes);
    if (at == UINT64_MAX)
        return fault(a->w, a->i, lane, CUDA_ERROR_ILLEGAL_ADDRESS,
                     "%s of %u bytes at 0x%jx of shared memory, which has %ju declared and %ju "
                     "dynamic ones (from 0x%jx)",
                     verb(a->how), a->bytes, (uintmax_t)a->address[lane],
                     (uintmax_t)(b->own + b->common), (uintmax_t)b->dynamic,
                     (uintmax_t)DYNAMIC_SHARED);
    if (a->how != WRITE && !device_all_set(b->shared_valid, at, a->bytes))
        return fault(a->w, a->i, lane, CUDA_ERROR_LAUNCH_FAILED,
                     "read of shared memory at 0x%jx that was never written",
                     (uintmax_t)a->address[lane]);
    if (a->how == WRITE)
        device_set_few(b->shared_valid, at, a->bytes);
    a->place[lane] = b->shared + at;
    return check_race(a, lane, at);
}

/* The lane before has read the same already. */
static void share_read(struct accesses *a, unsigned lane)
{
    struct block *b = a->w->block;
    a->place[lane] = a->place[lane - 1];
    struct cell *c = &b->cells[(uint64_t)(a->place[lane] - b->shared) / 4];
    for (unsigned n = 0; n < (a->bytes + 3) / 4; n++)
        c[n].read_lane = MANY_LANES;
}

static bool locate_shared(struct accesses *a, uint32_t mask)
{
    struct stats *stats = a->w->block->launch->stats;
    if (!check_alignment(a, mask))
        return false;
    if (stats)
        stats_shared(stats, a->address, mask, a->bytes);
    a->w->serial++;
    for (unsigned l = 0; l < LANES; l++) {
        if (!(mask >> l & 1))
            continue;
        if (a->how == READ && l && mask >> (l - 1) & 1 && a->address[l] == a->address[l - 1])
            share_read(a, l);
        else if (!touch_shared(a, l))
            return false;
    }
    return true;
}

/* ---- memory of threads, parameters ---- */

static bool locate_local(struct accesses *a, uint32_t mask, uint64_t base)
{
    const struct launch *launch = a->w->block->launch;
    uint64_t size = launch->function->module->local_bytes;
    for (unsigned l = 0; l < LANES; l++) {
        uint64_t at = a->address[l] - base;
        if (!(mask >> l & 1))
            continue;
        if (a->bytes > size || at > size - a->bytes)
            return fault(a->w, a->i, l, CUDA_ERROR_ILLEGAL_ADDRESS,
                         "%s of %u bytes at 0x%jx of local memory", verb(a->how), a->bytes,
                         (uintmax_t)at);
        a->place[l] = a->w->local + l * size + at;
    }
    return check_alignment(a, mask);
}

static bool locate_parameter(struct accesses *a, uint32_t mask)
{
    const struct launch *launch = a->w->block->launch;
    uint64_t size = launch->function->parameter_bytes;
    unsigned first = (unsigned)__builtin_ctz(mask);
    if (a->address[first] >= FUNCTION_PARAMETERS)
        return locate_local(a, mask, FUNCTION_PARAMETERS);
    for (unsigned l = 0; l < LANES; l++) {
        if (!(mask >> l & 1))
            continue;
        if (a->how != READ || a->bytes > size || a->address[l] > size - a->bytes)
            return fault(a->w, a->i, l, CUDA_ERROR_ILLEGAL_ADDRESS,
                         "%s of %u bytes at 0x%jx of the parameters", verb(a->how), a->bytes,
                         (uintmax_t)a->address[l]);
        a->place[l] = launch->parameters + a->address[l];
    }
    return check_alignment(a, mask);
}

/* ---- generic addresses ---- */

static uint32_t in_window(const struct accesses *a, uint32_t mask, uint64_t window)
{
    uint32_t found = 0;
    for (unsigned l = 0; l < LANES; l++)
        if (mask >> l & 1 && a->address[l] - window < WINDOW_SIZE)
            found |= UINT32_C(1) << l;
    return found;
}

static void leave_window(struct accesses *a, uint32_t mask, uint64_t window)
{
    for (unsigned l = 0; l < LANES; l++)
        if (mask >> l & 1)
            a->address[l] -= window;
}

static bool locate_generic(struct accesses *a, uint32_t mask)
{
    uint32_t shared = in_window(a, mask, SHARED_WINDOW), local = in_window(a, mask, LOCAL_WINDOW);
    uint32_t global = mask & ~shared & ~local;
    leave_window(a, shared, SHARED_WINDOW);
    leave_window(a, local, LOCAL_WINDOW);
    return (!shared || locate_shared(a, shared)) && (!local || locate_local(a, local, 0)) &&
           (!global || locate_global(a, global));
}

static bool locate(struct accesses *a, enum space space)
{
    switch (space) {
    case SHARED:
        return locate_shared(a, a->mask);
    case LOCAL:
        return locate_local(a, a->mask, 0);
    case PARAMETER:
        return locate_parameter(a, a->mask);
    case GENERIC:
        return locate_generic(a, a->mask);
    default:
        return locate_global(a, a->mask);
    }
}

static void read_addresses(struct accesses *a, int32_t operand, unsigned width,
                           int64_t displacement)
{
    const void *registers = source(a->w, operand);
    const uint32_t *narrow = registers;
    const uint64_t *wide = registers;
    for (unsigned l = 0; l < LANES; l++) /* a 32-bit address has no sign, its displacement has */
        a->address[l] = width == 4 ? (uint32_t)(narrow[l] + (uint32_t)displacement)
                                   : wide[l] + (uint64_t)displacement;
}

static struct accesses accesses_of(struct warp *w, const struct instr *i, uint32_t mask,
                                   enum access how)
{
    struct accesses a = {
        .w = w, .i = i, .mask = mask, .how = how, .bytes = (unsigned)i->size * i->count};
    read_addresses(&a, i->op[4], i->combine, i->displacement);
    return a;
}

/* ---- loads and stores ---- */

#define MOVE_EACH(to, from)                                                                        \
    do {                                                                                           \
        for (unsigned l = 0; l < LANES; l++)                                                       \
            if (mask >> l & 1)                                                                     \
                memcpy(to, from, sizeof(T));                                                       \
    } while (0)

#define LOAD_AS(type)                                                                              \
    do {                                                                                           \
        typedef type T;                                                                            \
        MOVE_EACH((T *)registers + l, place[l] + at);                                              \
    } while (0)

#define STORE_AS(type)                                                                             \
    do {                                                                                           \
        typedef type T;                                                                            \
        MOVE_EACH(place[l] + at, (const T *)registers + l);                                        \
    } while (0)

/* Into a register that is larger, by the sign where there is one. */
static void load_extended(uint8_t *registers, unsigned width, uint8_t *const *place, unsigned at,
                          unsigned size, bool is_signed, uint32_t mask)
{
    const unsigned unused = 64 - 8 * size;
    for (unsigned l = 0; l < LANES; l++) {
        if (!(mask >> l & 1))
            continue;
        uint64_t x = 0;
        memcpy(&x, place[l] + at, size);
        if (is_signed)
            x = (uint64_t)((int64_t)(x << unused) >> unused);
        memcpy(registers + l * width, &x, width);
    }
}

static void load_element(struct warp *w, const struct instr *i, unsigned n, uint8_t *const *place,
                         uint32_t mask)
{
    uint8_t *registers = result(w, i->op[n]);
    const unsigned at = n * i->size;
    if (i->width[n] != i->size)
        load_extended(registers, i->width[n], place, at, i->size, i->is_signed, mask);
    else if (i->size == 4)
        LOAD_AS(uint32_t);
    else if (i->size == 8)
        LOAD_AS(uint64_t);
    else if (i->size == 2)
        LOAD_AS(uint16_t);
    else
        LOAD_AS(uint8_t);
}

bool memory_load(struct warp *w, const struct instr *i, uint32_t mask)
{
    struct accesses a = accesses_of(w, i, mask, READ);
    if (!locate(&a, i->space))
        return false;
    for (unsigned n = 0; n < i->count; n++)
        if (i->op[n] != NONE)
            load_element(w, i, n, a.place, mask);
    return true;
}

static void store_element(const struct warp *w, const struct instr *i, unsigned n,
                          uint8_t *const *place, uint32_t mask)
{
    const uint8_t *registers = source(w, i->op[n]);
    const unsigned at = n * i->size;
    if (i->width[n] != i->size) {
        for (unsigned l = 0; l < LANES; l++)
            if (mask >> l & 1)
                memcpy(place[l] + at, registers + l * i->width[n], i->size);
    } else if (i->size == 4) {
        STORE_AS(uint32_t);
    } else if (i->size == 8) {
        STORE_AS(uint64_t);
    } else if (i->size == 2) {
        STORE_AS(uint16_t);
    } else {
        STORE_AS(uint8_t);
    }
}

bool memory_store(struct warp *w, const struct instr *i, uint32_t mask)
{
    struct accesses a = accesses_of(w, i, mask, WRITE);
    if (!locate(&a, i->space))
        return false;
    for (unsigned n = 0; n < i->count; n++)
        store_element(w, i, n, a.place, mask);
    return true;
}

bool memory_copy_parameter(struct warp *w, const struct instr *i, uint32_t mask)
{
    uint64_t size = w->block->launch->function->module->local_bytes;
    for (unsigned l = 0; l < LANES; l++) {
        uint8_t *frame = w->local + l * size;
        if (mask >> l & 1)
            memmove(frame + (uint64_t)i->displacement - FUNCTION_PARAMETERS,
                    frame + (uint64_t)i->displacement_from - FUNCTION_PARAMETERS, i->target);
    }
    return true;
}

bool memory_nothing(struct warp *w, const struct instr *i, uint32_t mask)
{
    (void)w;
    (void)i;
    (void)mask;
    return true;
}

bool memory_warp_barrier(struct warp *w, const struct instr *i, uint32_t mask)
{
    (void)i;
    (void)mask;
    w->synced = w->serial;
    return true;
}

/* ---- atomic operations ---- */

static uint64_t add_floats(uint64_t x, uint64_t y, unsigned size)
{
    float a, b;
    double c, d;
    memcpy(&a, &x, 4);
    memcpy(&b, &y, 4);
    memcpy(&c, &x, 8);
    memcpy(&d, &y, 8);
    a += b;
    c += d;
    memcpy(&x, size == 4 ? (void *)&a : (void *)&c, size);
    return x;
}

static bool less(uint64_t x, uint64_t y, const struct instr *i)
{
    unsigned unused = 64 - 8u * i->size;
    if (i->is_signed)
        return (int64_t)(x << unused) < (int64_t)(y << unused);
    return x < y;
}

/* What stands there after, where old stood before. */
static uint64_t operate(const struct instr *i, uint64_t old, uint64_t x, uint64_t y)
{
    switch (i->sub) {
    case ATOMIC_ADD:
        return i->invert ? add_floats(old, x, i->size) : old + x;
    case ATOMIC_MIN:
        return less(x, old, i) ? x : old;
    case ATOMIC_MAX:
        return less(old, x, i) ? x : old;
    case ATOMIC_AND:
        return old & x;
    case ATOMIC_OR:
        return old | x;
    case ATOMIC_XOR:
        return old ^ x;
    case ATOMIC_CAS:
        return old == x ? y : old;
    case ATOMIC_INC:
        return old >= x ? 0 : old + 1;
    case ATOMIC_DEC:
        return old == 0 || old > x ? x : old - 1;
    default:
        return x;
    }
}

bool memory_atomic(struct warp *w, const struct instr *i, uint32_t mask)
{
    struct accesses a = accesses_of(w, i, mask, ATOMIC);
    const uint8_t *x = source(w, i->op[1]);
    const uint8_t *y = i->op[2] == NONE ? x : source(w, i->op[2]);
    if (!locate(&a, i->space))
        return false;
    for (unsigned l = 0; l < LANES; l++) {
        uint64_t old = 0, operand = 0, other = 0;
        if (!(mask >> l & 1))
            continue;
        memcpy(&old, a.place[l], i->size);
        memcpy(&operand, x + l * i->size, i->size);
        memcpy(&other, y + l * i->size, i->size);
        uint64_t new = operate(i, old, operand, other);
        memcpy(a.place[l], &new, i->size);
        if (i->op[0] != NONE)
            memcpy((uint8_t *)result(w, i->op[0]) + l * i->size, &old, i->size);
    }
    return true;
}

/* ---- copies that go on by themselves ---- */

/* They happen as late as they may: when the warp waits for them.  Until then, what is to be
 * overwritten counts as never written, and nobody else may touch it. */
static struct async_copy *add_copy(struct warp *w)
{
    if (w->copy_count == w->copy_room) {
        w->copy_room = w->copy_room ? w->copy_room * 2 : 256;
        w->copies = realloc(w->copies, w->copy_room * sizeof *w->copies);
        if (!w->copies)
            abort();
    }
    return &w->copies[w->copy_count++];
}

static void hide_shared(const struct accesses *a)
{
    struct block *b = a->w->block;
    for (unsigned l = 0; l < LANES; l++)
        if (a->mask >> l & 1)
            device_clear_bits(b->shared_valid, (uint64_t)(a->place[l] - b->shared), a->bytes);
}

bool memory_async_copy(struct warp *w, const struct instr *i, uint32_t mask)
{
    struct accesses to = {.w = w, .i = i, .mask = mask, .how = WRITE, .bytes = i->size};
    struct accesses from = {.w = w, .i = i, .mask = mask, .how = READ, .bytes = i->size};
    const uint32_t *sizes = i->op[2] == NONE ? NULL : source(w, i->op[2]);
    read_addresses(&to, i->op[0], i->width[0], i->displacement);
    read_addresses(&from, i->op[1], i->width[1], i->displacement_from);
    for (unsigned l = 0; sizes && l < LANES; l++)
        if (sizes[l] == 0) /* zeros only: nothing is read */
            from.mask &= ~(UINT32_C(1) << l);
    if (!locate(&to, SHARED) || (from.mask && !locate(&from, GLOBAL)))
        return false;
    hide_shared(&to);
    for (unsigned l = 0; l < LANES; l++) {
        if (!(mask >> l & 1))
            continue;
        uint32_t size = sizes && sizes[l] < i->size ? sizes[l] : i->size;
        *add_copy(w) = (struct async_copy){.from = from.place[l],
                                           .to = to.address[l],
                                           .size = i->size,
                                           .from_size = (uint8_t)size,
                                           .lane = (uint8_t)l,
                                           .group = w->copy_group};
    }
    return true;
}

bool memory_async_commit(struct warp *w, const struct instr *i, uint32_t mask)
{
    (void)i;
    (void)mask;
    w->copy_group++;
    return true;
}

static bool finish_copy(struct warp *w, const struct instr *i, const struct async_copy *c)
{
    struct accesses a = {
        .w = w, .i = i, .mask = UINT32_C(1) << c->lane, .how = WRITE, .bytes = c->size};
    a.address[c->lane] = c->to;
    if (!touch_shared(&a, c->lane))
        return false;
    memset(a.place[c->lane], 0, c->size);
    if (c->from_size)
        memcpy(a.place[c->lane], c->from, c->from_size);
    return true;
}

bool memory_async_wait(struct warp *w, const struct instr *i, uint32_t mask)
{
    size_t kept = 0;
    bool good = true;
    (void)mask;
    for (size_t n = 0; n < w->copy_count; n++) {
        const struct async_copy *c = &w->copies[n];
        if (i->invert || (int64_t)c->group + i->displacement < (int64_t)w->copy_group)
            good = good && finish_copy(w, i, c);
        else
            w->copies[kept++] = *c;
    }
    w->copy_count = kept;
    return good;
}
