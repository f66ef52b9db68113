/* SPDX-License-Identifier: MIT */
/* Finds the weights of an operand that are several tensors, and puts one tensor in their place. */
#ifndef TU_PACKS_H
#define TU_PACKS_H

#include "model/operand.h"

/* Goes over all tensors of an operand that is no stream, as its session says (enum tu_packs_mode).
 * Each pack becomes one tensor, which stands where its primary one stood and is read as others are.
 * Packs live as long as the operand.  What is packed in a way that shapes contradict is an error,
 * or a warning where tensors are only listed. */
int tu_packs_find(struct tu_operand *o, struct tu_session *session,
                  struct tu_error *error) TU_MUST_CHECK;

/* Whether a tensor may be the scales or codes of a packed weight, by its name: parts that come in a
 * stream can be seen together only once all have come. */
bool tu_packs_suspect(const struct tu_tensor *t);
/* Whether its name is that of a part and of nothing else. */
bool tu_packs_certain(const struct tu_tensor *t);

/* What a pack is, in a few words: "GPTQ, 4 bits, groups of 128"; room of at least TU_PACK_WORDS. */
enum { TU_PACK_WORDS = 128 };
void tu_pack_say(const struct tu_pack *p, char *room, size_t size);

#endif
