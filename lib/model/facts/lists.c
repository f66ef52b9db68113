/* SPDX-License-Identifier: MIT */
/* Makes a fact of a list of tokens: how many there are, and a digest of their ids and texts. */
#include "config.h"

#include "model/facts/lists.h"

#include <string.h>

enum { SHOWN_DIGITS = 16 };

void tu_list_put_number(struct tu_digest *digest, uint64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
    tu_digest_add(digest, bytes, sizeof bytes);
}

void tu_list_put_text(struct tu_digest *digest, uint64_t id, const char *text, size_t length)
{
    tu_list_put_number(digest, id);
    tu_list_put_number(digest, length);
    tu_digest_add(digest, text, length);
}

void tu_list_put_token(struct tu_digest *digest, uint64_t id, const struct tensor_value *text)
{
    tu_list_put_text(digest, id, text->string.bytes, text->string.length);
}

void tu_list_put_score(struct tu_digest *digest, uint64_t id, float score)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    tu_list_put_number(digest, id);
    tu_list_put_number(digest, bits);
}

struct tu_digest *tu_list_begin(struct tu_desk *d)
{
    struct tu_error ignored = {0};
    struct tu_digest *digest = tu_digest_new(TU_SHA256, &ignored);
    d->failed |= !digest;
    return digest;
}

void tu_list_end(struct tu_desk *d, struct tu_digest *digest, enum tu_fact_id id, size_t count,
                 const char *key)
{
    char text[TU_DIGEST_TEXT];
    tu_digest_take(digest, text);
    tu_digest_free(digest);
    if (count)
        tu_set_word(d, id, tu_desk_text(d, "%zu, sha256 %.*s", count, SHOWN_DIGITS, text),
                    TU_ORIGIN_GIVEN, key);
}
