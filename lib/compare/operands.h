/* SPDX-License-Identifier: MIT */
/*
 * Two operands matched by name.  Each tensor of either side comes up once: with its partner, or
 * alone.  Streams are read as they come; what has to wait for its partner waits in a temporary
 * file.  A tensor whose name the other side lacks is looked for by way of a map; what is found is
 * then seen as it would look on the first one's side.
 */
#ifndef TU_OPERANDS_H
#define TU_OPERANDS_H

#include "compare/result.h"
#include "model/operand.h"

/* Compares every selected tensor of a and b (paths, or "-") on all of the session's threads. */
int tu_compare_operands(struct tu_session *session, const char *a, const char *b,
                        const struct tu_pair_options *options, const struct tu_pair_sink *sink,
                        struct tu_error *error) TU_MUST_CHECK;

#endif
