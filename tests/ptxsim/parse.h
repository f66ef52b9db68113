/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the parser share.  A failure is sticky: after the first, there are only END
 * tokens, so that everything unwinds by itself, and nobody needs to look before the end.
 */
#ifndef PTXSIM_PARSE_H
#define PTXSIM_PARSE_H

#include "ptxsim.h"

enum token { END, WORD, NUMBER, STRING, MARK };
enum { WORD_MAX = 256, PARTS_MAX = 16 };

/* What a name stands for within a function: %r<8> is eight registers that share a prefix. */
struct symbol {
    char name[WORD_MAX];
    bool is_register, is_family;
    uint32_t count;  /* of the family */
    uint32_t prefix; /* bytes of its name */
    uint8_t width;   /* bytes of a register; 0: a predicate */
    int32_t offset;  /* of the (first) register */
    uint32_t variable;
};

/* A place that is named, or a jump to it; the name stands in the text. */
struct label {
    const char *name;
    size_t length;
    uint32_t hash;
    uint32_t at; /* the instruction */
    uint32_t line;
};

struct parser {
    const char *at;
    uint32_t line;
    enum token token; /* the current one */
    char text[WORD_MAX];
    uint32_t token_line;
    bool failed;
    char *log;

    struct module *module;
    struct function *function; /* that is read now, or NULL */
    unsigned depth;            /* of braces in it */
    struct symbol *symbols;    /* those of inner scopes last, as it is with labels and jumps */
    size_t symbol_count, symbol_room;
    struct label *labels, *jumps; /* jumps whose labels are not known yet */
    size_t label_count, label_room, jump_count, jump_room;
};

/* ---- lex.c ---- */

__attribute__((format(printf, 2, 3))) void refuse(struct parser *p, const char *format, ...);
void next(struct parser *p);
/* Most words differ in their first byte from what they might be. */
static inline bool same(const char *a, const char *b)
{
    return a[0] == b[0] && strcmp(a, b) == 0;
}
static inline bool is(const struct parser *p, const char *text)
{
    return p->token != END && p->token != STRING && same(p->text, text);
}
bool take(struct parser *p, const char *text);
void want(struct parser *p, const char *text);
/* An integer, with its sign. */
int64_t read_integer(struct parser *p);
/* A number as an instruction of so many bytes has it; floats of other widths are converted. */
uint64_t read_constant(struct parser *p, unsigned size, bool is_float);

/* The current token, as the name of a label. */
struct label read_label_name(struct parser *p);

/* Room for one more; the array is zeroed where it grows. */
void *grow(void *array, size_t count, size_t *room, size_t size);

/* ---- parse.c ---- */

/* What the name stands for: its kind, width, place. */
bool find_symbol(struct parser *p, const char *name, struct symbol *one);
/* ~offset of LANES times this value. */
int32_t constant_of(struct module *m, uint64_t value, unsigned size);

/* ---- decode.c ---- */

/* The instruction that begins at the current token, up to its semicolon. */
void decode(struct parser *p);

#endif
