/* SPDX-License-Identifier: MIT */
/* Hands what a run has to say to the one who runs it: the library prints nothing itself. */
#include "config.h"

#include "model/session.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

void tu_warn(const struct tu_session *session, const char *format, ...)
{
    const struct tu_listener *listener = &session->listener;
    if (!listener->warn)
        return;
    char raw[1024], text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    tu_escape(raw, strlen(raw), text, sizeof text);
    listener->warn(listener->context, text);
}

void tu_progress(const struct tu_session *session, uint64_t done, uint64_t total)
{
    const struct tu_listener *listener = &session->listener;
    if (listener->progress)
        listener->progress(listener->context, done, total);
}
