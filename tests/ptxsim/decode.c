/* SPDX-License-Identifier: MIT */
/*
 * One instruction from its text.  What is not known is refused: a modifier that no decoder took is
 * as bad as an instruction that nobody knows.
 */
#include "config.h"

#include "decode.h"

#include <stdlib.h>
#include <string.h>

static void read_opcode(struct parser *p, struct opcode *o)
{
    memset(o, 0, sizeof *o);
    strcpy(o->text, p->text);
    strcpy(o->copy, p->text);
    char *rest = o->copy;
    for (char *part; (part = strsep(&rest, "."));) {
        if (o->count == PARTS_MAX) {
            refuse(p, "'%s' is not supported", o->text);
            return;
        }
        o->part[o->count++] = part;
    }
    o->used = 1;
    next(p);
}

bool has(struct opcode *o, const char *part)
{
    for (unsigned i = 1; i < o->count; i++) {
        if (same(o->part[i], part)) {
            o->used |= UINT32_C(1) << i;
            return true;
        }
    }
    return false;
}

/* The place in the list of the first that the opcode has, or -1. */
int which(struct opcode *o, const char *const *list)
{
    for (int i = 0; list[i]; i++)
        if (has(o, list[i]))
            return i;
    return -1;
}

void refuse_opcode(struct parser *p, const struct opcode *o)
{
    refuse(p, "'%s' is not supported", o->text);
}

void check_used(struct parser *p, const struct opcode *o)
{
    if (o->used != (UINT32_C(1) << o->count) - 1)
        refuse_opcode(p, o);
}

/* ---- types ---- */

static bool parse_type(const char *text, struct type *t)
{
    static const struct {
        const char *name;
        struct type type;
    } names[] = {
        {"b8", {'b', 1, false}},   {"u8", {'u', 1, false}},   {"s8", {'s', 1, false}},
        {"b16", {'b', 2, false}},  {"u16", {'u', 2, false}},  {"s16", {'s', 2, false}},
        {"b32", {'b', 4, false}},  {"u32", {'u', 4, false}},  {"s32", {'s', 4, false}},
        {"b64", {'b', 8, false}},  {"u64", {'u', 8, false}},  {"s64", {'s', 8, false}},
        {"f16", {'f', 2, false}},  {"f32", {'f', 4, false}},  {"f64", {'f', 8, false}},
        {"bf16", {'h', 2, false}}, {"f16x2", {'f', 2, true}}, {"bf16x2", {'h', 2, true}},
        {"pred", {'p', 0, false}},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (same(text, names[i].name)) {
            *t = names[i].type;
            return true;
        }
    }
    return false;
}

/* The type that stands so many parts before the end: 0 is the last. */
struct type take_type(struct parser *p, struct opcode *o, unsigned from_end)
{
    struct type t = {'b', 4, false};
    unsigned at = o->count - 1 - from_end;
    if (from_end + 1 < o->count && parse_type(o->part[at], &t))
        o->used |= UINT32_C(1) << at;
    else
        refuse_opcode(p, o);
    return t;
}

/* ---- operands ---- */

static bool find_special(const char *name, enum special *s)
{
    static const char *const names[SPECIALS] = {
        "%tid.x",           "%tid.y",       "%tid.z",
        "%ntid.x",          "%ntid.y",      "%ntid.z",
        "%ctaid.x",         "%ctaid.y",     "%ctaid.z",
        "%nctaid.x",        "%nctaid.y",    "%nctaid.z",
        "%laneid",          "%warpid",      "%nwarpid",
        "%lanemask_eq",     "%lanemask_lt", "%lanemask_le",
        "%lanemask_gt",     "%lanemask_ge", "%dynamic_smem_size",
        "%total_smem_size",
    };
    for (int i = 0; i < SPECIALS; i++) {
        if (same(name, names[i])) {
            *s = (enum special)i;
            return true;
        }
    }
    return false;
}

/* A register of this many bytes; 0 is a predicate. */
int32_t read_register(struct parser *p, uint8_t width)
{
    struct symbol s;
    if (p->token != WORD || !find_symbol(p, p->text, &s) || !s.is_register) {
        refuse(p, "'%s' where a register is wanted", p->text);
        return 0;
    }
    if (s.width != width)
        refuse(p, "'%s' is not of %u bits", p->text, width ? 8u * width : 1u);
    next(p);
    return s.offset;
}

/* Of at least this many bytes, as loads and conversions allow it. */
static int32_t read_wide_register(struct parser *p, uint8_t least, uint8_t *width)
{
    struct symbol s;
    *width = 0;
    if (take(p, "_"))
        return NONE;
    if (p->token != WORD || !find_symbol(p, p->text, &s) || !s.is_register) {
        refuse(p, "'%s' where a register is wanted", p->text);
        return 0;
    }
    if (s.width < least)
        refuse(p, "'%s' has less than %u bits", p->text, 8u * least);
    *width = s.width;
    next(p);
    return s.offset;
}

static int32_t read_special(struct parser *p, uint8_t width)
{
    enum special special = 0;
    if (take(p, "WARP_SZ"))
        return constant_of(p->module, LANES, width);
    if (!find_special(p->text, &special))
        refuse(p, "'%s' where an operand is wanted", p->text);
    if (width != 4)
        refuse(p, "'%s' is of 32 bits", p->text);
    next(p);
    return (int32_t)special * SLOT;
}

int32_t read_source(struct parser *p, uint8_t width, bool is_float)
{
    struct module *m = p->module;
    struct symbol s;
    if (p->token != WORD)
        return constant_of(m, read_constant(p, width, is_float), width);
    if (!find_symbol(p, p->text, &s))
        return read_special(p, width);
    if (s.is_register)
        return read_register(p, width);
    next(p);
    uint64_t address = m->variables[s.variable].address;
    if (take(p, "+"))
        address += (uint64_t)read_integer(p);
    if (width < 4)
        refuse(p, "an address in %u bits", 8u * width);
    return constant_of(m, address, width);
}

/* [register+8], [variable+8], [8]; the register may have 32 bits where the space is small. */
static int32_t read_address(struct parser *p, int64_t *displacement, uint8_t *width)
{
    struct symbol s;
    int32_t at;
    *displacement = 0;
    *width = 8;
    want(p, "[");
    if (p->token == WORD && find_symbol(p, p->text, &s) && s.is_register) {
        if (s.width != 4 && s.width != 8)
            refuse(p, "'%s' as an address", p->text);
        *width = s.width;
        at = s.offset;
        next(p);
        if (take(p, "+"))
            *displacement = read_integer(p);
        else if (is(p, "-"))
            *displacement = read_integer(p);
    } else {
        at = read_source(p, 8, false);
    }
    want(p, "]");
    return at;
}

void comma(struct parser *p)
{
    want(p, ",");
}

/* ---- the instruction ---- */

void set_kind(struct instr *i, const char *a, const char *b)
{
    char name[WORD_MAX * 2 + 2];
    char *end = stpcpy(name, a);
    if (*b)
        stpcpy(stpcpy(end, "."), b);
    i->kind = stats_kind(name);
}

void emit(struct parser *p, const struct instr *i)
{
    struct function *f = p->function;
    f->code = grow(f->code, f->count, &f->room, sizeof *f->code);
    f->code[f->count++] = *i;
}

/* Where a comparison, a vote or a move has a predicate for a source, it may be inverted. */
int32_t read_predicate(struct parser *p, struct instr *i)
{
    i->invert = take(p, "!");
    return read_register(p, 0);
}

/* ---- arithmetic: the table of alu.c ---- */

/* Taken out of the name that is looked for; the row says whether they may stand there. */
static bool is_mode(const char *part)
{
    return same(part, "rn") || same(part, "ftz") || same(part, "sat");
}

static void alu_name(const struct opcode *o, char name[WORD_MAX])
{
    name[0] = 0;
    for (unsigned i = 0; i < o->count; i++) {
        if (i && is_mode(o->part[i]))
            continue;
        if (i)
            strcat(name, ".");
        strcat(name, o->part[i]);
    }
}

static void decode_alu(struct parser *p, struct opcode *o, struct instr *i)
{
    static const uint8_t widths[] = {['b'] = 1, ['h'] = 2, ['w'] = 4, ['l'] = 8, ['p'] = 0};
    char name[WORD_MAX];
    alu_name(o, name);
    const struct alu_row *row = alu_find(name);
    if (!row) {
        refuse_opcode(p, o);
        return;
    }
    for (unsigned j = 1; j < o->count; j++)
        if (is_mode(o->part[j]) && !strstr(row->allowed, o->part[j]))
            refuse_opcode(p, o);
    i->run = row->run;
    i->flags = (uint8_t)((has(o, "ftz") ? FTZ : 0) | (has(o, "sat") ? SAT : 0));
    bool is_float = strstr(name, ".f") != NULL;
    for (int j = 0; row->operands[j]; j++) {
        uint8_t width = widths[(unsigned char)row->operands[j]];
        if (j)
            comma(p);
        if (j == 0)
            i->op[j] = read_register(p, width);
        else if (width == 0)
            i->op[j] = read_register(p, 0);
        else
            i->op[j] = read_source(p, width, is_float);
    }
    set_kind(i, name, "");
    emit(p, i);
}

/* ---- mov ---- */

static int read_vector(struct parser *p, struct instr *i, int first, int limit)
{
    int n = 0;
    want(p, "{");
    do {
        if (n == limit)
            refuse(p, "a vector that is too long");
        else
            i->op[first + n] = read_wide_register(p, 1, &i->width[n]);
        n++;
    } while (!p->failed && take(p, ","));
    want(p, "}");
    return n;
}

/* All elements have the same width, but for those that are written nowhere. */
static void check_elements(struct parser *p, struct instr *i, int count, unsigned total)
{
    i->count = (uint8_t)count;
    i->size = (uint8_t)(total / (unsigned)(count ? count : 1));
    for (int j = 0; j < count && !p->failed; j++)
        if (i->width[j] && i->width[j] != i->size)
            refuse(p, "a vector whose elements are not of %u bits", 8u * i->size);
}

static void decode_move(struct parser *p, struct opcode *o, struct instr *i)
{
    struct type t = take_type(p, o, 0);
    check_used(p, o);
    set_kind(i, "mov", o->part[o->count - 1]);
    if (is(p, "{")) {
        i->run = alu_unpack;
        check_elements(p, i, read_vector(p, i, 0, 4), t.size);
        comma(p);
        i->op[4] = read_source(p, t.size, false);
        emit(p, i);
        return;
    }
    i->op[0] = read_register(p, t.size);
    comma(p);
    i->run = alu_move(t.size);
    if (t.class == 'p' && p->token == WORD) {
        i->op[1] = read_predicate(p, i);
    } else if (t.class == 'p') { /* a constant predicate, as nvcc writes it */
        i->op[1] = constant_of(p->module, read_integer(p) ? UINT32_MAX : 0, 4);
    } else if (is(p, "{")) {
        i->run = alu_pack;
        check_elements(p, i, read_vector(p, i, 1, 4), t.size);
    } else if (is(p, "%clock") || is(p, "%clock64")) {
        i->run = lane_clock;
        i->size = t.size;
        next(p);
    } else {
        i->op[1] = read_source(p, t.size, t.class == 'f');
    }
    emit(p, i);
}

/* ---- comparisons ---- */

static const char *const comparisons[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ", "neu",
                                          "ltu", "leu", "gtu", "geu", "num", "nan", NULL};

static int read_comparison(struct opcode *o, struct type t)
{
    static const char *const unsigned_names[] = {"lo", "ls", "hi", "hs", NULL};
    static const int plain[] = {LT, LE, GT, GE};
    int unsigned_name = which(o, unsigned_names);
    if (unsigned_name >= 0)
        return t.class == 'u' ? plain[unsigned_name] : -1;
    int c = which(o, comparisons);
    bool is_float = t.class == 'f' || t.class == 'h';
    return c > GE && !is_float ? -1 : c;
}

static void read_combination(struct parser *p, struct opcode *o, struct instr *i)
{
    static const char *const operations[] = {"and", "or", "xor", NULL};
    i->combine = (uint8_t)(which(o, operations) + 1);
    if (i->combine && !p->failed) {
        comma(p);
        i->op[4] = read_predicate(p, i);
    }
}

static void read_compared(struct parser *p, struct opcode *o, struct instr *i, struct type t)
{
    int c = read_comparison(o, t);
    i->run = t.pair ? NULL : alu_compare(t.class, t.size);
    if (c < 0 || !i->run)
        refuse_opcode(p, o);
    i->sub = (uint8_t)c;
    i->flags = has(o, "ftz") ? FTZ : 0;
    comma(p);
    i->op[2] = read_source(p, t.size, t.class == 'f');
    comma(p);
    i->op[3] = read_source(p, t.size, t.class == 'f');
    read_combination(p, o, i);
    check_used(p, o);
}

static void decode_setp(struct parser *p, struct opcode *o, struct instr *i)
{
    struct type t = take_type(p, o, 0);
    set_kind(i, "setp", o->part[o->count - 1]);
    i->op[0] = read_register(p, 0);
    if (take(p, "|"))
        i->op[1] = read_register(p, 0);
    read_compared(p, o, i, t);
    emit(p, i);
}

/* set is a comparison to a predicate that nobody sees, and a selection by it. */
static void decode_set(struct parser *p, struct opcode *o, struct instr *i)
{
    struct type from = take_type(p, o, 0);
    struct type to = take_type(p, o, 1);
    if (to.size != 4)
        refuse_opcode(p, o);
    int32_t hidden = p->function->register_bytes;
    p->function->register_bytes += 32;
    struct instr selection = *i;
    selection.run = p->failed ? NULL : alu_find("selp.b32")->run;
    selection.op[0] = read_register(p, 4);
    selection.op[1] = constant_of(p->module, to.class == 'f' ? 0x3f800000 : UINT32_MAX, 4);
    selection.op[2] = constant_of(p->module, 0, 4);
    selection.op[3] = hidden;
    set_kind(&selection, "selp", "b32");
    set_kind(i, "set", o->part[o->count - 1]);
    i->op[0] = hidden;
    read_compared(p, o, i, from);
    emit(p, i);
    emit(p, &selection);
}

/* ---- conversions ---- */

static void read_rounding(struct opcode *o, struct instr *i)
{
    static const char *const modes[] = {"rn", "rz", "rm", "rp", NULL};
    static const char *const integral[] = {"rni", "rzi", "rmi", "rpi", NULL};
    int mode = which(o, integral);
    i->combine = mode >= 0;
    if (mode < 0)
        mode = which(o, modes);
    i->sub = (uint8_t)(mode < 0 ? NEAREST : mode);
    i->flags = (uint8_t)((has(o, "ftz") ? FTZ : 0) | (has(o, "sat") ? SAT : 0) |
                         (has(o, "relu") ? RELU : 0));
}

/* Two floats to one register with two small ones; the first is the upper half. */
static void decode_pack(struct parser *p, struct opcode *o, struct instr *i, struct type to)
{
    i->run = convert_pack_run;
    i->size = to.class == 'h';
    if (strcmp(o->part[o->count - 1], "f32") != 0 || i->combine || i->flags & (SAT | FTZ))
        refuse_opcode(p, o);
    i->op[0] = read_register(p, 4);
    comma(p);
    i->op[1] = read_source(p, 4, true);
    comma(p);
    i->op[2] = read_source(p, 4, true);
    emit(p, i);
}

/* The usual ones have rows in the table. */
static void take_fast_conversion(const struct opcode *o, struct instr *i, struct type to,
                                 struct type from)
{
    char name[WORD_MAX];
    alu_name(o, name);
    const struct alu_row *row = alu_find(name);
    if (row && !i->flags && i->width[0] == to.size && i->width[1] == from.size)
        i->run = row->run;
}

static void decode_convert(struct parser *p, struct opcode *o, struct instr *i)
{
    struct type from = take_type(p, o, 0);
    struct type to = take_type(p, o, 1);
    struct symbol s;
    read_rounding(o, i);
    check_used(p, o);
    set_kind(i, "cvt", p->failed ? "" : o->text + (o->part[o->count - 2] - o->copy));
    if (to.pair) {
        decode_pack(p, o, i, to);
        return;
    }
    struct conversion c = {
        .to = to.class, .from = from.class, .to_size = to.size, .from_size = from.size};
    i->run = convert_run;
    i->count = convert_code(c);
    if (from.pair || !i->count || i->flags & RELU)
        refuse_opcode(p, o);
    i->size = from.size;
    i->op[0] = read_wide_register(p, to.size, &i->width[0]);
    comma(p);
    if (p->token == WORD && find_symbol(p, p->text, &s) && s.is_register)
        i->op[1] = read_wide_register(p, from.size, &i->width[1]);
    else
        i->op[1] = read_source(p, i->width[1] = from.size < 4 ? 4 : from.size, from.class == 'f');
    if (to.class == 'f' && i->width[0] != to.size)
        refuse_opcode(p, o);
    take_fast_conversion(o, i, to, from);
    emit(p, i);
}

/* Global and constant addresses are generic ones; the others have windows. */
static void decode_cvta(struct parser *p, struct opcode *o, struct instr *i)
{
    static const char *const spaces[] = {"global", "const", "shared", "local", NULL};
    bool to = has(o, "to");
    int space = which(o, spaces);
    struct type t = take_type(p, o, 0);
    check_used(p, o);
    if (space < 0 || t.size != 8)
        refuse_opcode(p, o);
    uint64_t base = space == 2 ? SHARED_WINDOW : space == 3 ? LOCAL_WINDOW : 0;
    i->run = p->failed ? NULL : alu_find("add.u64")->run;
    set_kind(i, "cvta", "");
    i->op[0] = read_register(p, 8);
    comma(p);
    i->op[1] = read_source(p, 8, false);
    i->op[2] = constant_of(p->module, to ? -base : base, 8);
    emit(p, i);
}

/* ---- memory ---- */

/* What an interpreter that does one thing after another need not know. */
void take_hints(struct opcode *o)
{
    static const char *const hints[] = {
        "weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "sc", "cta", "gpu", "sys",
        "ca",   "cg",       "cs",      "cv",      "lu",      "wb",      "wt", "nc",  NULL};
    for (int j = 0; hints[j]; j++)
        has(o, hints[j]);
    for (unsigned j = 1; j < o->count; j++)
        if ((strncmp(o->part[j], "L1::", 4) == 0 || strncmp(o->part[j], "L2::", 4) == 0) &&
            strcmp(o->part[j], "L2::cache_hint") != 0)
            o->used |= UINT32_C(1) << j;
}

static const char *read_space(struct opcode *o, struct instr *i)
{
    static const char *const names[] = {"global",       "shared",      "local",
                                        "const",        "param",       "shared::cta",
                                        "param::entry", "param::func", NULL};
    static const uint8_t spaces[] = {GLOBAL,    SHARED, LOCAL,     CONSTANT,
                                     PARAMETER, SHARED, PARAMETER, PARAMETER};
    int n = which(o, names);
    i->space = n < 0 ? GENERIC : spaces[n];
    return n < 0 ? "generic" : names[n];
}

static void read_elements(struct parser *p, struct opcode *o, struct instr *i, struct type t,
                          bool load)
{
    static const char *const vectors[] = {"v2", "v4", NULL};
    int vector = which(o, vectors);
    i->count = (uint8_t)(vector < 0 ? 1 : 2 << vector);
    i->size = t.size;
    i->is_signed = t.class == 's';
    if (i->size * i->count > 16)
        refuse_opcode(p, o);
    if (vector >= 0) {
        int n = read_vector(p, i, 0, 4);
        if (n != i->count)
            refuse(p, "%d elements in '%s'", n, o->text);
        for (int j = 0; j < n && !p->failed; j++)
            if (i->width[j] ? i->width[j] < t.size : !load)
                refuse(p, "an element that is too small for '%s'", o->text);
    } else if (!load && p->token != WORD) {
        i->width[0] = t.size < 2 ? 2 : t.size;
        i->op[0] = read_source(p, i->width[0], t.class == 'f');
    } else {
        i->op[0] = read_wide_register(p, t.size, &i->width[0]);
    }
}

static void decode_load(struct parser *p, struct opcode *o, struct instr *i)
{
    struct type t = take_type(p, o, 0);
    take_hints(o);
    set_kind(i, "ld", read_space(o, i));
    i->run = memory_load;
    read_elements(p, o, i, t, true);
    check_used(p, o);
    comma(p);
    i->op[4] = read_address(p, &i->displacement, &i->combine);
    emit(p, i);
}

static void decode_store(struct parser *p, struct opcode *o, struct instr *i)
{
    struct type t = take_type(p, o, 0);
    take_hints(o);
    set_kind(i, "st", read_space(o, i));
    i->run = memory_store;
    i->op[4] = read_address(p, &i->displacement, &i->combine);
    if (i->space == CONSTANT)
        refuse_opcode(p, o);
    comma(p);
    read_elements(p, o, i, t, false);
    check_used(p, o);
    emit(p, i);
}

static void check_atomic(struct parser *p, struct opcode *o, const struct instr *i, struct type t)
{
    bool bits = i->sub == ATOMIC_AND || i->sub == ATOMIC_OR || i->sub == ATOMIC_XOR ||
                i->sub == ATOMIC_EXCH || i->sub == ATOMIC_CAS;
    bool is_float = t.class == 'f';
    if (t.size < 4 || t.pair || t.class == 'h' || bits != (t.class == 'b') ||
        (is_float && i->sub != ATOMIC_ADD) ||
        ((i->sub == ATOMIC_INC || i->sub == ATOMIC_DEC) && (t.class != 'u' || t.size != 4)))
        refuse_opcode(p, o);
}

static void decode_atomic(struct parser *p, struct opcode *o, struct instr *i)
{
    static const char *const operations[] = {"add",  "min", "max", "and", "or", "xor",
                                             "exch", "cas", "inc", "dec", NULL};
    struct type t = take_type(p, o, 0);
    take_hints(o);
    set_kind(i, o->part[0], read_space(o, i));
    int operation = which(o, operations);
    check_used(p, o);
    if (operation < 0)
        refuse_opcode(p, o);
    i->sub = (uint8_t)operation;
    i->run = memory_atomic;
    i->size = t.size;
    i->count = 1;
    i->is_signed = t.class == 's';
    i->invert = t.class == 'f';
    check_atomic(p, o, i, t);
    if (strcmp(o->part[0], "atom") == 0) {
        if (!take(p, "_"))
            i->op[0] = read_register(p, t.size);
        comma(p);
    }
    i->op[4] = read_address(p, &i->displacement, &i->combine);
    comma(p);
    i->op[1] = read_source(p, t.size, t.class == 'f');
    if (i->sub == ATOMIC_CAS) {
        comma(p);
        i->op[2] = read_source(p, t.size, false);
    }
    emit(p, i);
}

static void decode_copy(struct parser *p, struct opcode *o, struct instr *i)
{
    bool all = has(o, "ca");
    if ((!all && !has(o, "cg")) || (!has(o, "shared") && !has(o, "shared::cta")) ||
        !has(o, "global"))
        refuse_opcode(p, o);
    take_hints(o);
    check_used(p, o);
    i->run = memory_async_copy;
    set_kind(i, "cp", "async");
    i->op[0] = read_address(p, &i->displacement, &i->width[0]);
    comma(p);
    i->op[1] = read_address(p, &i->displacement_from, &i->width[1]);
    comma(p);
    int64_t size = read_integer(p);
    if (size != 16 && (!all || (size != 4 && size != 8)))
        refuse(p, "'%s' of %jd bytes", o->text, (intmax_t)size);
    i->size = (uint8_t)size;
    if (take(p, ","))
        i->op[2] = read_source(p, 4, false);
    emit(p, i);
}

static void decode_cp(struct parser *p, struct opcode *o, struct instr *i)
{
    if (!has(o, "async")) {
        refuse_opcode(p, o);
    } else if (has(o, "commit_group")) {
        i->run = memory_async_commit;
        set_kind(i, "cp", "async.commit_group");
        check_used(p, o);
        emit(p, i);
    } else if (has(o, "wait_group") || has(o, "wait_all")) {
        i->run = memory_async_wait;
        i->invert = has(o, "wait_all");
        set_kind(i, "cp", "async.wait_group");
        check_used(p, o);
        i->displacement = i->invert ? 0 : read_integer(p);
        emit(p, i);
    } else {
        decode_copy(p, o, i);
    }
}

static const struct {
    const char *name;
    void (*decode)(struct parser *, struct opcode *, struct instr *);
} decoders[] = {
    {"mov", decode_move},    {"setp", decode_setp},
    {"set", decode_set},     {"cvt", decode_convert},
    {"cvta", decode_cvta},   {"ld", decode_load},
    {"ldu", decode_load},    {"st", decode_store},
    {"atom", decode_atomic}, {"red", decode_atomic},
    {"cp", decode_cp},       {"shfl", decode_shuffle},
    {"vote", decode_vote},   {"match", decode_match},
    {"redux", decode_redux}, {"activemask", decode_activemask},
    {"bar", decode_barrier}, {"barrier", decode_barrier},
    {"bra", decode_branch},  {"exit", decode_end},
    {"ret", decode_end},     {"call", decode_call},
    {"trap", decode_trap},   {"membar", decode_fence},
    {"fence", decode_fence}, {"nanosleep", decode_nanosleep},
    {"prmt", decode_prmt},
};

static void read_guard(struct parser *p, struct instr *i)
{
    if (!take(p, "@"))
        return;
    i->guard_not = take(p, "!");
    i->guard = read_register(p, 0);
}

void decode(struct parser *p)
{
    struct instr i = {.guard = NONE};
    struct opcode o;
    for (int j = 0; j < OPERANDS; j++)
        i.op[j] = NONE;
    i.line = p->token_line;
    read_guard(p, &i);
    if (p->token != WORD)
        refuse(p, "'%s' where an instruction is wanted", p->text);
    read_opcode(p, &o);
    for (size_t j = 0; !p->failed && j < sizeof decoders / sizeof *decoders; j++) {
        if (same(o.part[0], decoders[j].name)) {
            decoders[j].decode(p, &o, &i);
            want(p, ";");
            return;
        }
    }
    if (!p->failed) {
        decode_alu(p, &o, &i);
        want(p, ";");
    }
}
