/* SPDX-License-Identifier: MIT */
/* The instructions of several lanes together, and those that decide what runs next, from their
 * text. */
#include "config.h"

#include "decode.h"

#include <stdlib.h>
#include <string.h>

/* ---- lanes together ---- */

void decode_shuffle(struct parser *p, struct opcode *o, struct instr *i)
{
    static const char *const modes[] = {"up", "down", "bfly", "idx", NULL};
    int mode = which(o, modes);
    if (!has(o, "sync") || !has(o, "b32") || mode < 0)
        refuse_opcode(p, o);
    check_used(p, o);
    i->run = lane_shuffle;
    i->control = CONVERGE;
    i->sub = (uint8_t)mode;
    set_kind(i, "shfl", "b32");
    i->op[0] = read_register(p, 4);
    if (take(p, "|"))
        i->op[1] = read_register(p, 0);
    for (int j = 2; j < 6; j++) {
        comma(p);
        i->op[j] = read_source(p, 4, false);
    }
    emit(p, i);
}

void decode_vote(struct parser *p, struct opcode *o, struct instr *i)
{
    static const char *const modes[] = {"all", "any", "uni", "ballot", NULL};
    int mode = which(o, modes);
    if (!has(o, "sync") || mode < 0 || !has(o, mode == 3 ? "b32" : "pred"))
        refuse_opcode(p, o);
    check_used(p, o);
    i->run = lane_vote;
    i->control = CONVERGE;
    i->sub = (uint8_t)mode;
    set_kind(i, "vote", "");
    i->op[0] = read_register(p, mode == 3 ? 4 : 0);
    comma(p);
    i->op[1] = read_predicate(p, i);
    comma(p);
    i->op[5] = read_source(p, 4, false);
    emit(p, i);
}

void decode_match(struct parser *p, struct opcode *o, struct instr *i)
{
    struct type t = take_type(p, o, 0);
    bool all = has(o, "all");
    if (!has(o, "sync") || (!all && !has(o, "any")) || t.class != 'b' || t.size < 4)
        refuse_opcode(p, o);
    check_used(p, o);
    i->run = lane_match;
    i->control = CONVERGE;
    i->sub = all;
    i->size = t.size;
    set_kind(i, "match", "");
    i->op[0] = read_register(p, 4);
    if (all && take(p, "|"))
        i->op[1] = read_register(p, 0);
    comma(p);
    i->op[2] = read_source(p, t.size, false);
    comma(p);
    i->op[5] = read_source(p, 4, false);
    emit(p, i);
}

void decode_redux(struct parser *p, struct opcode *o, struct instr *i)
{
    static const char *const operations[] = {"add", "min", "max", "and", "or", "xor", NULL};
    struct type t = take_type(p, o, 0);
    int operation = which(o, operations);
    if (!has(o, "sync") || operation < 0 || t.size != 4 || t.class == 'f')
        refuse_opcode(p, o);
    check_used(p, o);
    i->run = lane_reduce;
    i->control = CONVERGE;
    i->sub = (uint8_t)operation;
    i->is_signed = t.class == 's';
    set_kind(i, "redux", "");
    i->op[0] = read_register(p, 4);
    comma(p);
    i->op[1] = read_source(p, 4, false);
    comma(p);
    i->op[5] = read_source(p, 4, false);
    emit(p, i);
}

void decode_activemask(struct parser *p, struct opcode *o, struct instr *i)
{
    if (!has(o, "b32"))
        refuse_opcode(p, o);
    check_used(p, o);
    i->run = lane_activemask;
    set_kind(i, "activemask", "");
    i->op[0] = read_register(p, 4);
    emit(p, i);
}

/* bar.sync and barrier.sync.aligned are the same; without aligned, a warp need not come as one, but
 * as it comes as one here, that is no less strict. */
void decode_barrier(struct parser *p, struct opcode *o, struct instr *i)
{
    bool warp = has(o, "warp");
    has(o, "cta");
    has(o, "aligned");
    if (!has(o, "sync"))
        refuse_opcode(p, o);
    check_used(p, o);
    if (warp) {
        i->control = CONVERGE;
        i->run = memory_warp_barrier;
        set_kind(i, "bar", "warp.sync");
        i->op[5] = read_source(p, 4, false);
    } else {
        i->control = BARRIER;
        set_kind(i, "bar", "sync");
        i->op[0] = read_source(p, 4, false);
        if (take(p, ","))
            i->op[1] = read_source(p, 4, false);
    }
    emit(p, i);
}

/* ---- control ---- */

void decode_branch(struct parser *p, struct opcode *o, struct instr *i)
{
    has(o, "uni");
    check_used(p, o);
    i->control = BRANCH;
    set_kind(i, "bra", "");
    p->jumps = grow(p->jumps, p->jump_count, &p->jump_room, sizeof *p->jumps);
    p->jumps[p->jump_count++] = read_label_name(p);
    emit(p, i);
}

void decode_end(struct parser *p, struct opcode *o, struct instr *i)
{
    has(o, "uni");
    check_used(p, o);
    i->control = strcmp(o->part[0], "exit") == 0 ? EXIT : RETURN;
    set_kind(i, o->part[0], "");
    emit(p, i);
}

static uint64_t read_call_parameter(struct parser *p)
{
    struct symbol s;
    uint64_t address = 0;
    if (p->token == WORD && find_symbol(p, p->text, &s) && !s.is_register &&
        p->module->variables[s.variable].space == PARAMETER)
        address = p->module->variables[s.variable].address;
    else
        refuse(p, "'%s' where a parameter is wanted", p->text);
    next(p);
    return address;
}

static uint32_t read_call_parameters(struct parser *p, uint64_t *list)
{
    uint32_t n = 0;
    want(p, "(");
    if (!is(p, ")")) {
        do {
            if (n == 16)
                refuse(p, "a call with more than 16 parameters");
            else
                list[n++] = read_call_parameter(p);
        } while (!p->failed && take(p, ","));
    }
    want(p, ")");
    return n;
}

void decode_call(struct parser *p, struct opcode *o, struct instr *i)
{
    struct function *f = p->function;
    struct call c = {0};
    has(o, "uni");
    check_used(p, o);
    if (is(p, "(")) {
        c.result_count = read_call_parameters(p, c.results);
        comma(p);
    }
    c.callee = strdup(p->text);
    next(p);
    if (take(p, ","))
        c.argument_count = read_call_parameters(p, c.arguments);
    struct call *grown = realloc(f->calls, (f->call_count + 1) * sizeof c);
    if (!grown)
        abort();
    f->calls = grown;
    i->control = CALL;
    i->target = (uint32_t)f->call_count;
    f->calls[f->call_count++] = c;
    set_kind(i, "call", "");
    emit(p, i);
}

void decode_trap(struct parser *p, struct opcode *o, struct instr *i)
{
    check_used(p, o);
    i->run = lane_trap;
    set_kind(i, "trap", "");
    emit(p, i);
}

/* Order is kept anyway. */
void decode_fence(struct parser *p, struct opcode *o, struct instr *i)
{
    take_hints(o);
    has(o, "gl");
    check_used(p, o);
    i->run = memory_nothing;
    set_kind(i, "fence", "");
    emit(p, i);
}

void decode_nanosleep(struct parser *p, struct opcode *o, struct instr *i)
{
    has(o, "u32");
    check_used(p, o);
    i->run = memory_nothing;
    i->op[1] = read_source(p, 4, false);
    set_kind(i, "nanosleep", "");
    emit(p, i);
}

void decode_prmt(struct parser *p, struct opcode *o, struct instr *i)
{
    static const char *const modes[] = {"f4e", "b4e", "rc8", "ecl", "ecr", "rc16", NULL};
    if (!has(o, "b32"))
        refuse_opcode(p, o);
    i->sub = (uint8_t)(which(o, modes) + 1);
    check_used(p, o);
    i->run = alu_prmt;
    set_kind(i, "prmt", "b32");
    i->op[0] = read_register(p, 4);
    for (int j = 1; j < 4; j++) {
        comma(p);
        i->op[j] = read_source(p, 4, false);
    }
    emit(p, i);
}
