/* SPDX-License-Identifier: MIT */
/* What JSON may be before its parser sees it. */
#include "config.h"

#include "tree/json-check.h"

#include <string.h>

static unsigned hex_digit(uint8_t c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Whether a byte of the text may follow those before it.  Only halves of surrogate pairs are judged
 * here, which yajl would replace or combine with anything; yajl judges the rest. */
static bool may_follow(struct tu_jsontext *s, uint8_t c)
{
    if (s->digits == 0) {
        s->digits = c == '\\';
        return !s->high || s->digits;
    }
    if (s->digits == 1) {
        s->digits = c == 'u' ? 5 : 0;
        s->code = 0;
        return !s->high || s->digits;
    }
    s->code = s->code << 4 | (hex_digit(c) & 15);
    if (--s->digits > 1)
        return true;
    s->digits = 0;
    bool low = (s->code & 0xfc00) == 0xdc00, expected = s->high;
    s->high = (s->code & 0xfc00) == 0xd800;
    return low == expected;
}

const char *tu_jsontext_check(struct tu_jsontext *s, const uint8_t *text, size_t length, size_t *at)
{
    const uint8_t *control = memchr(text, '\v', length);
    if (!control)
        control = memchr(text, '\f', length);
    if (control) {
        *at = (size_t)(control - text);
        return "a control character";
    }
    for (*at = 0; *at < length; ++*at) {
        if (!s->digits && !s->high) {
            const uint8_t *next = memchr(text + *at, '\\', length - *at);
            if (!next)
                return NULL;
            *at = (size_t)(next - text);
        }
        if (!may_follow(s, text[*at]))
            return "half a surrogate pair in an escape";
    }
    return NULL;
}

size_t tu_jsontext_blanks(const uint8_t *text, size_t length)
{
    size_t i = 0;
    while (i < length && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t'))
        i++;
    return i;
}
