/* SPDX-License-Identifier: MIT */
/* What the two parts of the decoder share: an instruction's name in parts, its types, its operands.
 */
#ifndef PTXSIM_DECODE_H
#define PTXSIM_DECODE_H

#include "parse.h"

/* fma.rn.f32: its parts, and which of them were understood. */
struct opcode {
    char text[WORD_MAX], copy[WORD_MAX];
    const char *part[PARTS_MAX];
    unsigned count;
    uint32_t used;
};

struct type {
    char class; /* u s f b (bits) h (bfloat16) */
    uint8_t size;
    bool pair; /* f16x2 */
};

bool has(struct opcode *o, const char *part);
/* The place in the list of the first that the opcode has, or -1. */
int which(struct opcode *o, const char *const *list);
void refuse_opcode(struct parser *p, const struct opcode *o);
void check_used(struct parser *p, const struct opcode *o);
/* The type that stands so many parts before the end: 0 is the last. */
struct type take_type(struct parser *p, struct opcode *o, unsigned from_end);
/* A register of this many bytes; 0 is a predicate. */
int32_t read_register(struct parser *p, uint8_t width);
int32_t read_source(struct parser *p, uint8_t width, bool is_float);
void comma(struct parser *p);
void set_kind(struct instr *i, const char *a, const char *b);
void emit(struct parser *p, const struct instr *i);
/* Where a comparison, a vote or a move has a predicate for a source, it may be inverted. */
int32_t read_predicate(struct parser *p, struct instr *i);
/* What an interpreter that does one thing after another need not know. */
void take_hints(struct opcode *o);

/* ---- decode-control.c: a decoder for each instruction, from behind its name to its semicolon ----
 */

void decode_shuffle(struct parser *p, struct opcode *o, struct instr *i);
void decode_vote(struct parser *p, struct opcode *o, struct instr *i);
void decode_match(struct parser *p, struct opcode *o, struct instr *i);
void decode_redux(struct parser *p, struct opcode *o, struct instr *i);
void decode_activemask(struct parser *p, struct opcode *o, struct instr *i);
void decode_barrier(struct parser *p, struct opcode *o, struct instr *i);
void decode_branch(struct parser *p, struct opcode *o, struct instr *i);
void decode_end(struct parser *p, struct opcode *o, struct instr *i);
void decode_call(struct parser *p, struct opcode *o, struct instr *i);
void decode_trap(struct parser *p, struct opcode *o, struct instr *i);
void decode_fence(struct parser *p, struct opcode *o, struct instr *i);
void decode_nanosleep(struct parser *p, struct opcode *o, struct instr *i);
void decode_prmt(struct parser *p, struct opcode *o, struct instr *i);

#endif
