/* SPDX-License-Identifier: MIT */
/*
 * Errors are values.  A function that can fail takes a struct tu_error last, returns 0 or -1 (or
 * NULL), and has the message made by the first who knows the cause; callers pass it up untouched.
 */
#ifndef TU_ERROR_H
#define TU_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum tu_code {
    TU_OK = 0,
    TU_EINVALID, /* the input breaks a rule of its format */
    TU_EUSAGE,   /* the user asked for something that makes no sense */
    TU_EIO,      /* the system refused a call */
    TU_EPIPE,    /* the reader of our output is gone */
    TU_ENOMEM,
};

struct tu_error {
    enum tu_code code;
    char text[1024]; /* "operand: what is wrong (what to do)", control characters escaped */
};

#define TU_MUST_CHECK            __attribute__((warn_unused_result))
#define TU_PRINTF(format, first) __attribute__((__format__(__printf__, format, first)))

/* Sets the error unless one is set already; returns -1. */
int tu_fail(struct tu_error *error, enum tu_code code, const char *format, ...) TU_PRINTF(3, 4);
int tu_vfail(struct tu_error *error, enum tu_code code, const char *format, va_list arguments)
    TU_PRINTF(3, 0);

/* The same for a failed system call: appends ": " and the text of errno. */
int tu_fail_errno(struct tu_error *error, const char *format, ...) TU_PRINTF(2, 3);

int tu_fail_memory(struct tu_error *error);

#endif
