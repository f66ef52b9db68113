/* SPDX-License-Identifier: MIT */
/* The court: hears records, judges each by rules, and counts apart what became of them. */
#ifndef TU_COURT_H
#define TU_COURT_H

#include "base/arena.h"
#include "judge/profile.h"
#include "judge/shares.h"

enum tu_outcome {
    TU_PASSED,
    TU_FAILED,       /* broke a rule */
    TU_INCOMPARABLE, /* has a status that says so */
    TU_MISSING,      /* is on one side only */
    TU_DIFFERS,      /* a fact, which the two models state differently */
    TU_ALLOWED,
    TU_UNJUDGED, /* no rule is about it */
    TU_LISTED,   /* was not compared, and has to be known: no failure, and no pass */
    TU_OUTCOMES
};

/* A field that a rule or an allowance of the user's asks for, and that the schema does not know. */
struct tu_unknown {
    const char *field;
    bool seen; /* a record had it */
};

/* One judged record. */
struct tu_judged {
    const char *name;
    const char *shown; /* the name with control characters escaped */
    const char *status;
    enum tu_outcome outcome;
    bool fact;    /* it is about the models, not about a tensor */
    double value; /* of the leading field; NaN where there is none */
    /* Why it did not pass: the status, or the rules it broke, and what may explain it; escaped. */
    const char *reason;
    const char *hypothesis, *remedy; /* of the record; NULL: there is none */
    struct tensor_value record;      /* where the court keeps records; else empty */
};

/* What became of a rule: whether a record asked for it, and how many it judged.  The two differ
 * where its condition was never met. */
struct tu_use {
    bool asked;
    size_t judged;
};

enum tu_ruling {
    TU_PASS,
    TU_FAIL,
    TU_WRONG_COUNT, /* a fail, too: another number of tensors was expected */
    /* Trouble. */
    TU_UNKNOWN_FIELD, /* a rule asks for a field that is known to nobody */
    TU_WRONG_STREAMS, /* another number of streams was expected */
    TU_WRONG_SHARES,  /* shares of a whole are missing, or came twice */
    TU_IDLE_RULE,
    TU_NOTHING_JUDGED,
    TU_NOT_ALL_JUDGED
};

/* What tensor-cos says of two sides of the same weights. */
enum { TU_RELATIONS = 5 };
extern const char *const tu_relation_words[TU_RELATIONS]; /* "identical", "widened", ... */

/* Zero-initialise, set the rules, of which there must be one at least, and the options, and open.
 */
struct tu_court {
    struct tu_rules rules;
    const char *profile; /* its name; NULL: none was used */
    bool keeping;        /* the records, for reports that show more of them */
    bool empty_passes;   /* where all that came were streams of comparisons */
    /* Of a contract, which expects so many tensors to be compared; NULL: there is none. */
    const char *claim;
    uint64_t expected;         /* tensors; 0: any number */
    uint64_t expected_streams; /* 0: any number */

    struct tu_arena arena;
    struct tu_use *uses; /* of each rule */
    struct tu_unknown *unknown;
    size_t unknown_count, unknown_capacity;
    struct tu_judged *items;
    size_t count, capacity;
    void *names;     /* a tree of those that came */
    size_t repeated; /* records whose kind and name had come before */
    size_t counts[TU_OUTCOMES];
    size_t relations[TU_RELATIONS];  /* how many compare records state each */
    size_t compared;                 /* tensors: of those judged, the compare records */
    size_t substantial;              /* of those that passed, the ones that are not empty */
    size_t facts, differing, listed; /* facts; those that differ, and those of one side */
    bool facts_alone;        /* they are what was to be compared, as a `facts` record says */
    size_t unmeasured;       /* stages of which tensor-origin could not tell what they made */
    size_t below;            /* records that broke a rule on the leading field */
    size_t streams, foreign; /* segments, and those that held no comparison */
    bool is_foreign;         /* the current one did not yet */
    struct tu_shares shares; /* that came */
};

/* Opens a court whose rules and options are set; tu_court_free closes it in any case. */
int tu_court_open(struct tu_court *c, struct tu_error *error) TU_MUST_CHECK;
/* A segment of a stream begins, which a tool has written; a court whose streams are counted or may
 * be empty has to be told. */
void tu_court_stream(struct tu_court *c, const char *tool);

int tu_judge(struct tu_court *c, const struct tensor_value *record,
             struct tu_error *error) TU_MUST_CHECK;
/* Failures come first, what is only listed comes last; else by the leading field, worst first, what
 * has no number before all. */
void tu_court_sort(struct tu_court *c);
void tu_court_free(struct tu_court *c);

enum tu_ruling tu_court_ruling(const struct tu_court *c);
/* "pass", "fail", or what is the trouble. */
const char *tu_court_words(const struct tu_court *c);
/* Why a verdict is neither pass nor fail; "" where it is one of them. */
void tu_court_trouble(const struct tu_court *c, char *out, size_t size);
/* A rule of the user's that was about nothing; NULL: there is none. */
const struct tu_rule *tu_court_idle(const struct tu_court *c);

/* A field that a rule or an allowance asks for, and that neither a record had nor the schema knows;
 * NULL: there is none. */
const char *tu_court_unknown(const struct tu_court *c);

/* The field of the first rule. */
const char *tu_court_field(const struct tu_court *c);
/* Whether a small value of it is a bad one. */
bool tu_court_wants_large(const struct tu_court *c);
/* Records that did not pass, whatever the reason. */
size_t tu_court_failures(const struct tu_court *c);
/* Those, and those that passed: tensors, facts that differ, and records of other kinds. */
size_t tu_court_judged(const struct tu_court *c);
/* Records that reports rank: all but what is only listed, which comes behind them. */
size_t tu_court_ranked(const struct tu_court *c);
bool tu_outcome_fails(enum tu_outcome outcome);
/* How many tensors have which relation, as "3 identical, 0 widened, ..."; false where no record
 * states one. */
bool tu_court_relations(const struct tu_court *c, char *out, size_t size);
/* Whether a report has to name a rule: those of a profile that judged nothing are left out. */
bool tu_court_names(const struct tu_court *c, size_t rule);
/* The judged record with the smallest (or largest) value; NULL if none has a number. */
const struct tu_judged *tu_court_extreme(const struct tu_court *c, bool smallest);

/* "pass", "fail", "allowed", "unjudged"; "passed", "failed", "incomparable", "missing", ... */
extern const char *const tu_outcome_verdicts[TU_OUTCOMES];
extern const char *const tu_outcome_words[TU_OUTCOMES];

#endif
