/* SPDX-License-Identifier: MIT */
/*
 * Sets of rules: those that are given one by one, and profiles, which are files of them.  The
 * profiles that come with the tool are compiled in (lib/judge/profiles/); tensor-rules(5) has the
 * language.
 */
#ifndef TU_PROFILE_H
#define TU_PROFILE_H

#include "judge/rule.h"

/* Records of a status that are no failure. */
struct tu_allowance {
    char *status;
    char *glob;                /* NULL: every name */
    struct tu_rule *condition; /* NULL: always */
};

struct tu_rules {
    struct tu_rule *items;
    size_t count, capacity;
    bool *given; /* by the user, so that a rule that is about nothing is a mistake */
    size_t given_capacity;
    struct tu_allowance *allowances;
    size_t allowed, allowed_capacity;
};

void tu_rules_free(struct tu_rules *r);

/* Adds one rule, as the user wrote it. */
int tu_rules_add(struct tu_rules *r, const char *text, struct tu_error *error) TU_MUST_CHECK;
/* Adds the rules of --min: a cosine at least as large as a number, which is given as text, and a
 * length that such an angle explains. */
int tu_rules_minimum(struct tu_rules *r, const char *minimum, struct tu_error *error) TU_MUST_CHECK;
/* Adds norm_change <= sqrt(2 (1 - cosine)): the chord between two vectors of one length with that
 * cosine, as a share of the length; B is no longer and no shorter than that makes it. */
int tu_rules_length(struct tu_rules *r, double cosine, struct tu_error *error) TU_MUST_CHECK;
/* Adds "STATUS[:GLOB] [if CONDITION]". */
int tu_rules_allow(struct tu_rules *r, const char *text, struct tu_error *error) TU_MUST_CHECK;
/* Adds what a profile says: one that comes with the tool, or else a file; by_file: one whose name
 * stands in a file, which has to be regular. */
int tu_rules_profile(struct tu_rules *r, const char *name, bool by_file,
                     struct tu_error *error) TU_MUST_CHECK;

/* Where a profile is that a file speaks of: its name, if it comes with the tool, or else a path
 * counted from the folder of that file.  To be freed; NULL: no memory. */
char *tu_profile_beside(const char *file, const char *name);

/* The allowance as tu_rules_allow takes it, cut to the size. */
void tu_allowance_text(const struct tu_allowance *a, char *out, size_t size);

/* A profile that comes with the tool.  The table is made by the build, and ends with no name. */
struct tu_profile {
    const char *name, *text;
};
extern const struct tu_profile tu_profiles[];

/* Whether a record of a status other than ok is no failure. */
bool tu_rules_allowed(const struct tu_rules *r, const struct tensor_value *record,
                      const char *status, const char *name);

/* Statuses that may be allowed.  The last, "unjudged", is that of records no rule is about. */
extern const char *const tu_statuses[];
extern const size_t tu_status_count;

#endif
