/* SPDX-License-Identifier: MIT */
/*
 * A test program in one header, which has its main: TEST defines a test, CHECK says what must hold in
 * it.  Prints TAP.
 *
 *     TEST(addition)
 *     {
 *         CHECK(1 + 1 == 2);
 *     }
 */
#ifndef TAP_H
#define TAP_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { TAP_MAX = 64 };
static struct {
    const char *name;
    void (*run)(void);
} tap_tests[TAP_MAX];
static size_t tap_count;
static bool tap_failed; /* in the current test */
static const char *tap_skipped; /* why the current test is */

#define TEST(name)                                                                                 \
    static void test_##name(void);                                                                 \
    __attribute__((constructor)) static void tap_add_##name(void)                                  \
    {                                                                                              \
        tap_add(#name, test_##name);                                                               \
    }                                                                                              \
    static void test_##name(void)

static void tap_add(const char *name, void (*run)(void))
{
    if (tap_count == TAP_MAX)
        abort();
    tap_tests[tap_count].name = name;
    tap_tests[tap_count++].run = run;
}

/* Goes on after a failure, so that a loop should stop on false. */
#define CHECK(what) tap_check((what), #what, __FILE__, __LINE__)
#define CHECK_STRING(got, wanted) tap_check_string((got), (wanted), #got, __FILE__, __LINE__)
#define CHECK_UINT(got, wanted) tap_check_uint((got), (wanted), #got, __FILE__, __LINE__)
/* Equal as bits: NaN is equal to itself, 0 is not -0. */
#define CHECK_REAL(got, wanted) tap_check_real((got), (wanted), #got, __FILE__, __LINE__)
/* result is -1 and the message has this part. */
#define CHECK_FAILS(result, error, part)                                                           \
    tap_check_fails((result), &(error), (part), #result, __FILE__, __LINE__)

__attribute__((format(printf, 3, 4), unused)) static bool tap_fail(const char *file, int line,
                                                                   const char *format, ...)
{
    va_list arguments;
    tap_failed = true;
    printf("# %s:%d: ", file, line);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    return false;
}

__attribute__((unused)) static bool tap_check(bool holds, const char *what, const char *file,
                                              int line)
{
    return holds || tap_fail(file, line, "%s does not hold", what);
}

__attribute__((unused)) static bool tap_check_string(const char *got, const char *wanted,
                                                     const char *what, const char *file, int line)
{
    bool equal = got && strcmp(got, wanted) == 0;
    return equal || tap_fail(file, line, "%s is '%s', not '%s'", what, got ? got : "NULL", wanted);
}

__attribute__((unused)) static bool tap_check_uint(uint64_t got, uint64_t wanted, const char *what,
                                                   const char *file, int line)
{
    return got == wanted || tap_fail(file, line, "%s is %ju, not %ju", what, (uintmax_t)got,
                                     (uintmax_t)wanted);
}

__attribute__((unused)) static bool tap_check_real(double got, double wanted, const char *what,
                                                   const char *file, int line)
{
    bool equal = memcmp(&got, &wanted, sizeof got) == 0 || (isnan(got) && isnan(wanted));
    return equal || tap_fail(file, line, "%s is %.17g, not %.17g", what, got, wanted);
}

__attribute__((unused)) static bool tap_check_fails(int result, const struct tu_error *error,
                                                    const char *part, const char *what,
                                                    const char *file, int line)
{
    if (result != -1)
        return tap_fail(file, line, "%s is %d, not -1", what, result);
    return strstr(error->text, part) || tap_fail(file, line, "%s says '%s', without '%s'", what,
                                                 error->text, part);
}

/* The current test cannot be run here. */
__attribute__((unused)) static void tap_skip(const char *reason)
{
    tap_skipped = reason;
}

/* A small generator, the same numbers in every run: xorshift64*. */
__attribute__((unused)) static uint64_t tap_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

int main(void)
{
    bool all = true;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%zu\n", tap_count);
    for (size_t i = 0; i < tap_count; i++) {
        tap_failed = false;
        tap_skipped = NULL;
        tap_tests[i].run();
        printf("%sok %zu - %s%s%s\n", tap_failed ? "not " : "", i + 1, tap_tests[i].name,
               tap_skipped ? " # SKIP " : "", tap_skipped ? tap_skipped : "");
        all = all && !tap_failed;
    }
    return all ? 0 : 1;
}

#endif
