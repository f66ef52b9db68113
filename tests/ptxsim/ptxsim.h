/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for the CUDA driver that runs PTX on the processor; README says what it is for.
 *
 * Text goes one way: lex.c (words), parse.c (declarations), decode.c (one instruction), link.c (a
 * kernel: calls inlined, branches resolved, meeting points found), exec.c (blocks, warps, control),
 * with alu.c, convert.c and memory.c doing the work of single instructions.  driver.c and stream.c
 * are the interface that a program sees; device.c is the memory of the device.
 *
 * A register is LANES values, one behind the other, in the register file of a warp; instructions
 * have byte offsets into it.  A predicate is one word, a bit a lane.
 */
#ifndef PTXSIM_H
#define PTXSIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    LANES = 32,
    WARPS_MAX = 32,
    BARRIERS = 16,
    OPERANDS = 8,
    NONE = INT32_MIN, /* no operand */
    STACK_MAX = 4 * LANES,
    SECTOR = 32,
    LOG_MAX = 512,
    LOCAL_MAX = 512 << 10,
};
static const uint32_t ALL_LANES = UINT32_MAX;

/* The windows of generic addresses.  Device memory lies above them all. */
static const uint64_t SHARED_WINDOW = UINT64_C(0x0100000000);
static const uint64_t LOCAL_WINDOW = UINT64_C(0x0200000000);
static const uint64_t WINDOW_SIZE = UINT64_C(0x0100000000);
/* Shared memory begins with what an entry itself declares. Elsewhere lie what is sized at the
 * launch and what the functions of a module have in common. */
static const uint64_t DYNAMIC_SHARED = UINT64_C(0x100000);
static const uint64_t COMMON_SHARED = UINT64_C(0x200000);
/* Parameters of functions that are no entries lie in local memory. */
static const uint64_t FUNCTION_PARAMETERS = UINT64_C(0x100000);

enum space { GENERIC, GLOBAL, SHARED, LOCAL, CONSTANT, PARAMETER };

/* Special registers stand first in every register file. */
enum special {
    TID_X,
    TID_Y,
    TID_Z,
    NTID_X,
    NTID_Y,
    NTID_Z,
    CTAID_X,
    CTAID_Y,
    CTAID_Z,
    NCTAID_X,
    NCTAID_Y,
    NCTAID_Z,
    LANEID,
    WARPID,
    NWARPID,
    LANEMASK_EQ,
    LANEMASK_LT,
    LANEMASK_LE,
    LANEMASK_GT,
    LANEMASK_GE,
    DYNAMIC_SMEM_SIZE,
    TOTAL_SMEM_SIZE,
    SPECIALS,
};
enum { SLOT = LANES * 4, FIRST_REGISTER = SPECIALS * SLOT };

struct warp;
struct instr;
/* Does the work of an instruction for the lanes of the mask, of which there is at least one; false
 * after a fault. */
typedef bool run_fn(struct warp *w, const struct instr *i, uint32_t mask);

/* What the loop of a warp does itself. */
enum control { NO_CONTROL, BRANCH, EXIT, RETURN, CALL, BARRIER, CONVERGE };

enum { SAT = 1, FTZ = 2, RELU = 4 };

struct instr {
    run_fn *run;
    int32_t op[OPERANDS];      /* offset of a register, or ~offset into the constants */
    int64_t displacement;      /* of an address */
    int64_t displacement_from; /* of a copy's second address */
    int32_t guard;             /* predicate, or NONE */
    bool guard_not;
    uint8_t control;
    uint8_t space;
    uint8_t size;     /* bytes of one element in memory */
    uint8_t count;    /* elements of a vector */
    uint8_t width[4]; /* bytes of each register of a vector; 0: written nowhere */
    bool is_signed;
    uint8_t flags;
    uint8_t sub;     /* comparison, atomic operation, rounding */
    uint8_t combine; /* setp: with which operation; cvt: to an integral value; memory: bytes of the
                      * register with the address */
    bool invert;     /* the predicate that is a source; atomics: of floats */
    uint16_t kind;   /* for the statistics */
    uint32_t target; /* of a branch; of a call, the index in the calls of its function */
    uint32_t join;   /* where the sides of a branch meet; the end of the code: nowhere */
    uint32_t line;
};

/* ---- modules ---- */

struct variable {
    char *name;
    enum space space;
    uint64_t address; /* in its space */
    uint64_t size;    /* 0: sized at the launch */
};

struct call {
    char *callee;
    uint64_t results[16], arguments[16]; /* addresses of the caller's parameters */
    uint32_t result_count, argument_count;
};

struct function {
    char *name;
    bool is_entry, has_body;
    struct instr *code;
    size_t count, room;
    struct call *calls;
    size_t call_count;
    int32_t register_bytes;                         /* one behind the last register */
    uint64_t parameters[256], parameter_sizes[256]; /* addresses */
    size_t parameter_count, result_count;           /* results stand first, and only in functions */
    uint64_t parameter_bytes;                       /* of an entry */
    uint64_t own_shared;                            /* static shared memory of an entry */
    uint32_t max_threads;                           /* 0: not said */
    int32_t dynamic_limit;                          /* set by cuFuncSetAttribute */
    struct kernel *kernel;                          /* of an entry, when linked */
    struct module *module;
};

struct kernel {
    const char *name;
    struct instr *code;
    size_t count, room;
    int32_t register_bytes;
};

struct module {
    struct function **functions;
    size_t function_count;
    struct variable *variables;
    size_t variable_count;
    uint8_t *constants; /* broadcast to LANES each */
    size_t constant_bytes, constant_room;
    uint64_t common_shared; /* static shared memory that is no entry's own */
    uint64_t local_bytes;   /* of all functions together */
    int target;             /* sm_ number */
};

/* NULL: refused, and log has one line. */
struct module *module_parse(const char *text, char log[LOG_MAX]);
void module_free(struct module *m);
/* Calls inlined, branches resolved; false: refused. */
bool module_link(struct module *m, char log[LOG_MAX]);

/* ---- instructions ---- */

/* An instruction that needs nothing but registers.  Operands, first the result: b h w l for a
 * register of 1 2 4 8 bytes, p for a predicate. */
struct alu_row {
    const char *name; /* with .rn .ftz .sat taken out where allowed names them */
    const char *operands;
    run_fn *run;
    const char *allowed;
};
const struct alu_row *alu_find(const char *name);
run_fn *alu_compare(char class, int size);
run_fn *alu_move(int size);
run_fn alu_pack, alu_unpack, alu_prmt;

/* cvt: types are 'u' 's' 'f' or 'b' (bfloat16) and a size in bytes. */
struct conversion {
    char to, from;
    uint8_t to_size, from_size;
};
run_fn convert_run, convert_pack_run;
uint8_t convert_code(struct conversion c);

run_fn memory_load, memory_store, memory_atomic, memory_copy_parameter, memory_async_copy,
    memory_async_commit, memory_async_wait, memory_nothing, memory_warp_barrier;
run_fn lane_shuffle, lane_vote, lane_match, lane_reduce, lane_activemask, lane_trap, lane_clock;

enum compare { EQ, NE, LT, LE, GT, GE, EQU, NEU, LTU, LEU, GTU, GEU, NUM, NAN_ };
enum atomic {
    ATOMIC_ADD,
    ATOMIC_MIN,
    ATOMIC_MAX,
    ATOMIC_AND,
    ATOMIC_OR,
    ATOMIC_XOR,
    ATOMIC_EXCH,
    ATOMIC_CAS,
    ATOMIC_INC,
    ATOMIC_DEC
};
enum rounding { NEAREST, TO_ZERO, DOWN, UP };

/* ---- numbers ---- */

float half_to_float(uint16_t h);
float bfloat_to_float(uint16_t b);
uint16_t half_from(double x, enum rounding mode);
uint16_t bfloat_from(double x, enum rounding mode);
float float_from(double x, enum rounding mode);
/* a + b and a * b + c of small floats, rounded to odd: rounding again is then as if done once. */
double add_to_odd(double a, double b);

float approx_ex2(float x);
float approx_lg2(float x);
float approx_sin(float x);
float approx_cos(float x);
float approx_tanh(float x);
float approx_rcp(float x);
float approx_rsqrt(float x);
float approx_sqrt(float x);
float approx_div(float x, float y);

/* ---- device memory ---- */

struct allocation {
    uint64_t base, size;
    uint8_t *bytes;
    uint8_t *valid;    /* a bit a byte: written at least once */
    uint8_t *seen;     /* a bit a byte: read in this launch; NULL without statistics */
    bool freed, fixed; /* fixed: a variable of a module, not the user's to free */
    void *owner;       /* the context */
};

/* 0: out of memory. */
uint64_t device_allocate(uint64_t size, void *owner, bool fixed);
bool device_free(uint64_t address, void *owner);
void device_free_all(void *owner);
/* The allocation in whose surroundings the address lies, freed or not, or NULL. */
struct allocation *device_find(uint64_t address);
/* NULL where these bytes are not all of one living allocation. */
uint8_t *device_bytes(uint64_t address, uint64_t size);
void device_set_valid(uint64_t address, uint64_t size);
void device_copy_valid(uint64_t to, uint64_t from, uint64_t size);
uint64_t device_total(void);
uint64_t device_used(void);
/* Distinct bytes read since the last call; starts watching. */
uint64_t device_take_seen(void);
void device_clear_bits(uint8_t *bits, uint64_t at, uint64_t count);
void device_set_bits(uint8_t *bits, uint64_t at, uint64_t count);

/* Whether count bits, at most 16, are all set.  Arrays of bits have room behind them. */
static inline bool device_all_set(const uint8_t *bits, uint64_t at, unsigned count)
{
    uint32_t word;
    uint32_t wanted = (UINT32_C(1) << count) - 1;
    memcpy(&word, bits + at / 8, sizeof word);
    return (word >> at % 8 & wanted) == wanted;
}

static inline void device_set_few(uint8_t *bits, uint64_t at, unsigned count)
{
    uint32_t word;
    memcpy(&word, bits + at / 8, sizeof word);
    word |= ((UINT32_C(1) << count) - 1) << at % 8;
    memcpy(bits + at / 8, &word, sizeof word);
}

/* ---- running ---- */

struct launch {
    const struct kernel *kernel;
    const struct function *function;
    const uint8_t *constants;
    uint8_t *parameters;
    uint32_t grid[3], block[3];
    uint64_t dynamic_shared;
    uint64_t limit; /* warp instructions still allowed */
    bool seeded;
    uint64_t random;
    struct stats *stats; /* NULL: not asked for */
    int fault;           /* CUresult */
};

/* What happened last to a word of shared memory.  Ticks are those of struct block, serials those of
 * the warp. */
struct cell {
    uint32_t write_tick, read_tick;
    uint32_t readers; /* warps */
    uint32_t write_serial, read_serial;
    uint8_t writer, write_lane, write_bytes;
    uint8_t reader, read_lane, read_bytes; /* reader: the last of them */
    bool atomic;                           /* the write */
};
enum { MANY_LANES = 255 };

struct block {
    struct launch *launch;
    uint32_t index[3];
    uint8_t *shared, *shared_valid; /* own, common, sized at the launch */
    struct cell *cells;
    uint64_t own, common, dynamic;       /* bytes */
    uint32_t tick;                       /* one more with every barrier that was passed */
    uint32_t seen[WARPS_MAX][WARPS_MAX]; /* [w][v]: the tick when w last knew all of v */
    struct warp *warps;
    uint32_t warp_count;
};

struct side {
    uint32_t pc, join, mask;
    bool waits;   /* for those above it to come to its pc */
    bool blocked; /* at a barrier that lanes of another side have not reached */
};

enum warp_state { RUNNING, AT_BARRIER, DONE };

struct async_copy {
    const uint8_t *from;
    uint64_t to;
    uint8_t size, from_size, lane;
    uint32_t group;
};

struct warp {
    uint8_t *registers;
    const uint8_t *constants;
    uint8_t *local; /* of LANES threads, one behind the other */
    struct block *block;
    uint32_t number;
    uint32_t alive;
    uint32_t serial; /* one more with every instruction on shared memory */
    uint32_t synced; /* its value at the last barrier, of the block or of the warp */
    enum warp_state state;
    uint32_t barrier, barrier_threads; /* that it waits at; 0: all */
    struct side stack[STACK_MAX];
    uint32_t depth;
    struct async_copy *copies;
    size_t copy_count, copy_room;
    uint32_t copy_group;
};

/* A CUresult; 0: done. */
int launch_run(struct launch *l);

/* Prints where and what, and ends the launch with this CUresult; false. */
__attribute__((format(printf, 5, 6))) bool fault(struct warp *w, const struct instr *i,
                                                 unsigned lane, int code, const char *format, ...);

static inline const void *source(const struct warp *w, int32_t at)
{
    return at >= 0 ? w->registers + at : w->constants + ~at;
}

static inline void *result(struct warp *w, int32_t at)
{
    return w->registers + at;
}

/* ---- statistics ---- */

struct stats {
    FILE *file;
    uint64_t *warps, *lanes; /* by instruction */
    uint64_t load_bytes, store_bytes, load_sectors, store_sectors;
    uint64_t shared_accesses, bank_conflicts, barriers, divergent_branches;
};

/* NULL: not asked for. */
struct stats *stats_open(const struct kernel *k);
void stats_close(struct stats *s, const struct launch *l);
uint16_t stats_kind(const char *name);
void stats_global(struct stats *s, const uint64_t *address, uint32_t mask, unsigned bytes,
                  bool store);
void stats_shared(struct stats *s, const uint64_t *address, uint32_t mask, unsigned bytes);

/* ---- names ---- */

/* FNV-1a */
static inline uint32_t hash_name(const char *name)
{
    uint32_t h = 2166136261;
    while (*name)
        h = (h ^ (unsigned char)*name++) * 16777619;
    return h ^ h >> 15;
}

/* ---- settings ---- */

uint64_t setting(const char *name, uint64_t otherwise);
bool setting_is(const char *name, const char *value);

#endif
