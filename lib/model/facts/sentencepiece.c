/* SPDX-License-Identifier: MIT */
/* Facts of the pieces of tokenizer.model, as llama.cpp's converter takes them into a list of
 * tokens. */
#include "config.h"

#include <stdlib.h>

#include "model/facts/lists.h"
#include "model/facts/pieces.h"

/* Ids that other files of the folder give another text, type and score. */
static void mark(bool *added, size_t count, uint64_t id)
{
    if (id < count)
        added[id] = true;
}

/* added_tokens.json has ids by text; added_tokens_decoder of tokenizer_config.json has keys that
 * are ids. */
static void mark_added(const struct tu_desk *d, bool *added, size_t count)
{
    const struct tensor_value *by_text = d->s->added_tokens;
    const struct tensor_value *decoder =
        tu_value_get(d->s->tokenizer_config, "added_tokens_decoder");
    uint64_t id;
    for (size_t i = 0; by_text && by_text->type == TENSOR_MAP && i < by_text->map.count; i++)
        if (tu_value_uint(&by_text->map.pairs[i].value, &id))
            mark(added, count, id);
    for (size_t i = 0; decoder && decoder->type == TENSOR_MAP && i < decoder->map.count; i++)
        mark(added, count, strtoull(decoder->map.pairs[i].key.string.bytes, NULL, 10));
}

/* What a user defined is normal to the converter, unless it was added, too. */
static bool is_normal(const struct tu_sentence_piece *p, bool added)
{
    return !added && (p->type == TU_PIECE_NORMAL || p->type == TU_PIECE_USER_DEFINED);
}

static void take(struct tu_desk *d, const bool *added)
{
    const struct tu_pieces *pieces = d->s->pieces;
    struct tu_digest *texts = tu_list_begin(d), *scores = tu_list_begin(d);
    size_t normals = 0;
    for (size_t i = 0; texts && scores && i < pieces->count; i++) {
        const struct tu_sentence_piece *p = &pieces->items[i];
        if (!is_normal(p, added[i]))
            continue;
        tu_list_put_text(texts, i, p->text, p->length);
        tu_list_put_score(scores, i, p->score);
        normals++;
    }
    if (texts)
        tu_list_end(d, texts, TU_FACT_PIECES, normals, "tokenizer.model");
    if (scores)
        tu_list_end(d, scores, TU_FACT_SCORES, normals, "tokenizer.model");
}

void tu_facts_pieces(struct tu_desk *d)
{
    const struct tu_pieces *pieces = d->s->pieces;
    if (pieces->trouble) {
        tu_set_unknown(d, TU_FACT_PIECES, "tokenizer.model", pieces->trouble);
        return;
    }
    bool *added = calloc(pieces->count, sizeof *added);
    if (!added) {
        d->failed = true;
        return;
    }
    mark_added(d, added, pieces->count);
    take(d, added);
    free(added);
}
