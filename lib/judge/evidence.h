/* SPDX-License-Identifier: MIT */
/*
 * Evidence: what was judged, by what, where and when, sealed so that an edit is noticed.
 * tensor-contract(5) says what is in it.
 */
#ifndef TU_EVIDENCE_H
#define TU_EVIDENCE_H

#include "judge/artifact.h"
#include "judge/contract.h"
#include "judge/court.h"

/* A program that had part in the results. */
struct tu_maker {
    char name[64], version[32];
};

/* Zero-initialise. */
struct tu_makers {
    struct tu_maker *items;
    size_t count, capacity;
};

/* Notes a program, unless it is noted already. */
int tu_makers_note(struct tu_makers *m, const char *name, const char *version,
                   struct tu_error *error) TU_MUST_CHECK;

/* The commands that made what was judged, each once, in the order they came in.  Zero-initialise.
 */
struct tu_commands {
    char **items;
    size_t count, capacity;
};

/* Notes those that a `source` record lists. */
int tu_commands_note(struct tu_commands *c, const struct tensor_value *source,
                     struct tu_error *error) TU_MUST_CHECK;
void tu_commands_free(struct tu_commands *c);

struct tu_evidence {
    const struct tu_court *court; /* sorted, with a verdict that is pass or fail */
    const struct tu_contract *contract;
    const struct tu_artifacts *artifacts; /* with their digests */
    const struct tu_makers *makers;
    const struct tu_commands *commands; /* of the filters before */
    char *const *command;               /* of verdict: words up to NULL */
};

/* Its text, in the arena. */
int tu_evidence_text(const struct tu_evidence *e, struct tu_arena *arena, const char **text,
                     size_t *length, struct tu_error *error) TU_MUST_CHECK;

/* Its member `results`, as it would be read from a file. */
int tu_evidence_results(const struct tu_court *c, struct tu_arena *arena, struct tensor_value *out,
                        struct tu_error *error) TU_MUST_CHECK;

/* Evidence that was written, as it was read. */
struct tu_sealed {
    const char *path; /* lent by the reader */
    const char *text; /* of the file; in its arena */
    size_t length;
    char sha256[TU_DIGEST_TEXT]; /* of that text */
    struct tensor_value value;   /* a map, with all that evidence has to have */
};

/* Reads evidence; fails if it is none, or lacks what it has to have. */
int tu_evidence_read(struct tu_sealed *s, const char *path, struct tu_arena *arena,
                     struct tu_error *error) TU_MUST_CHECK;

/* Rules and allowances as users write them, in the arena. */
int tu_evidence_rules(const struct tu_rules *rules, struct tu_arena *arena,
                      struct tensor_value *out, struct tu_error *error) TU_MUST_CHECK;
int tu_evidence_allowances(const struct tu_rules *rules, struct tu_arena *arena,
                           struct tensor_value *out, struct tu_error *error) TU_MUST_CHECK;

#endif
