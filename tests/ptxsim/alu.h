/* SPDX-License-Identifier: MIT */
/*
 * How instructions on registers are written.  A handler is a loop over the lanes; where all of them
 * are active, it has no condition, so that the compiler can make vector instructions of it.  A
 * result may lie where an operand does, lane for lane, and never otherwise: hence the pragma.
 */
#ifndef PTXSIM_ALU_H
#define PTXSIM_ALU_H

#include "ptxsim.h"

#ifdef __clang__
#define LANES_APART /* it finds out while the program runs */
#else
#define LANES_APART _Pragma("GCC ivdep")
#endif

#define EACH_LANE(work)                                                                            \
    do {                                                                                           \
        if (mask == ALL_LANES) {                                                                   \
            LANES_APART for (int l = 0; l < LANES; l++)                                            \
            {                                                                                      \
                work;                                                                              \
            }                                                                                      \
        } else {                                                                                   \
            for (int l = 0; l < LANES; l++)                                                        \
                if (mask >> l & 1) {                                                               \
                    work;                                                                          \
                }                                                                                  \
        }                                                                                          \
    } while (0)

#define HANDLER(name) static bool name(struct warp *w, const struct instr *i, uint32_t mask)

/* d = what is made of x, y, z, which are of the types A, B, C. */
#define UNARY(name, D, A, what)                                                                    \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        D *d = result(w, i->op[0]);                                                                \
        const A *a = source(w, i->op[1]);                                                          \
        EACH_LANE(const A x = a[l]; d[l] = (D)(what));                                             \
        return true;                                                                               \
    }

#define BINARY(name, D, A, B, what)                                                                \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        D *d = result(w, i->op[0]);                                                                \
        const A *a = source(w, i->op[1]);                                                          \
        const B *b = source(w, i->op[2]);                                                          \
        EACH_LANE(const A x = a[l]; const B y = b[l]; d[l] = (D)(what));                           \
        return true;                                                                               \
    }

#define TERNARY(name, D, A, B, C, what)                                                            \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        D *d = result(w, i->op[0]);                                                                \
        const A *a = source(w, i->op[1]);                                                          \
        const B *b = source(w, i->op[2]);                                                          \
        const C *c = source(w, i->op[3]);                                                          \
        EACH_LANE(const A x = a[l]; const B y = b[l]; const C z = c[l]; d[l] = (D)(what));         \
        return true;                                                                               \
    }

/* ---- rows of the tables ---- */

#define ROW(name, operands, run)                                                                   \
    {                                                                                              \
        name, operands, run, ""                                                                    \
    }
#define MODES(name, operands, run, allowed)                                                        \
    {                                                                                              \
        name, operands, run, allowed                                                               \
    }

/* The same for signed and unsigned. */
#define BOTH(name, suffix, operands, run)                                                          \
    ROW(name ".u" suffix, operands, run), ROW(name ".s" suffix, operands, run)
/* One for each. */
#define EACH(name, suffix, operands, run)                                                          \
    ROW(name ".u" #suffix, operands, run##_u##suffix),                                             \
        ROW(name ".s" #suffix, operands, run##_s##suffix)

/* The instructions on integers and bits, which are in alu-integer.c. */
extern const struct alu_row alu_integer_rows[];
extern const unsigned alu_integer_row_count;

#endif
