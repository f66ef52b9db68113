/* SPDX-License-Identifier: MIT */
/* Makes the one message of a failure, where its cause is known. */
#include "config.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

int tu_vfail(struct tu_error *error, enum tu_code code, const char *format, va_list arguments)
{
    if (error->code != TU_OK)
        return -1;
    char raw[sizeof error->text];
    vsnprintf(raw, sizeof raw, format, arguments);
    error->code = code;
    tu_escape(raw, strlen(raw), error->text, sizeof error->text);
    return -1;
}

int tu_fail(struct tu_error *error, enum tu_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tu_vfail(error, code, format, arguments);
    va_end(arguments);
    return -1;
}

int tu_fail_errno(struct tu_error *error, const char *format, ...)
{
    int number = errno;
    char what[sizeof error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    enum tu_code code = number == EPIPE ? TU_EPIPE : number == ENOMEM ? TU_ENOMEM : TU_EIO;
    return tu_fail(error, code, "%s: %s", what, strerror(number));
}

int tu_fail_memory(struct tu_error *error)
{
    return tu_fail(error, TU_ENOMEM, "out of memory");
}
