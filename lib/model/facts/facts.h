/* SPDX-License-Identifier: MIT */
/*
 * What a model says of itself beside its tensors: heads, rope, norms, windows, experts, tokens.
 * Each fact has one canonical name, whatever the format calls it, the value that the format's
 * reader would work with, and where that comes from.  tensor-facts(7) lists them.
 */
#ifndef TU_MODEL_FACTS_H
#define TU_MODEL_FACTS_H

#include "base/arena.h"
#include "tree/value.h"

struct tu_pieces;

/* Who reads a statement, and so whose defaults count. */
enum tu_dialect {
    TU_DIALECT_NONE,    /* nothing is said */
    TU_DIALECT_CONFIG,  /* config.json, by transformers */
    TU_DIALECT_GGUF,    /* by llama.cpp */
    TU_DIALECT_APR,     /* metadata of an APR file, by aprender */
    TU_DIALECT_META,    /* Meta's params.json */
    TU_DIALECT_MISTRAL, /* Mistral's params.json */
};

enum tu_fact_origin {
    TU_ORIGIN_UNKNOWN,
    TU_ORIGIN_GIVEN,   /* a key says so */
    TU_ORIGIN_DERIVED, /* it follows from other facts */
    TU_ORIGIN_DEFAULT, /* the reader takes it where the key is not there */
    TU_ORIGIN_ARCH,    /* the reader's code fixes it for the architecture, whatever a key says */
};

enum tu_fact_kind {
    TU_FACT_COUNT, /* a natural number, or one for each layer where they differ */
    TU_FACT_REAL,  /* finite */
    TU_FACT_FLAG,  /* true or false */
    TU_FACT_WORD,  /* text */
    TU_FACT_REALS, /* a list of finite numbers */
    TU_FACT_FLAGS, /* a list of booleans, one for each layer */
    TU_FACT_IDS,   /* token ids: any of them will do */
};

/* What a difference means. */
enum tu_fact_policy {
    TU_FACT_FAILS,  /* another network */
    TU_FACT_LISTED, /* worth knowing, and legitimate */
};

/* One fact of one model.  key is that which gives it, or would; NULL: none does.  note is for
 * people, or NULL. */
struct tu_fact {
    struct tensor_value value; /* TENSOR_NULL: not known */
    enum tu_fact_origin origin;
    const char *key, *note;
    bool wrong; /* not known, since what is stated cannot be: a reader refuses it, or does as it
                   likes */
};

/* What is known of a fact beside its value in a model. */
struct tu_fact_row {
    const char *name;
    enum tu_fact_kind kind;
    enum tu_fact_policy policy;
    const char *neutral; /* the value that does nothing, as text; NULL: there is none */
    /* Keys by dialect, separated by blanks, the first that is there counts; "a.b" is b in the map
     * a. Those of GGUF begin with the name of the architecture, which is left out, unless they
     * begin with "tokenizer." or "general.". */
    const char *config, *gguf, *apr, *meta, *mistral;
};

size_t tu_fact_rows(const struct tu_fact_row **rows);
/* The number of the fact of a name, or -1. */
int tu_fact_by_name(const char *name, size_t length);

enum { TU_FACTS_MAX = 128 };

/* The facts of one model, by the numbers of their rows; they live in the arena they were made in.
 */
struct tu_model_facts {
    enum tu_dialect dialect; /* NONE: there are none */
    const char *file;        /* where they stand, for messages: "config.json", "GGUF" */
    const char *reader;      /* who takes the defaults, for messages: "GGUF", "transformers" */
    struct tu_fact facts[TU_FACTS_MAX];
    /* Of GGUF: all its keys but those that facts come from or that nothing hangs on; to be listed
     * between two such files.  Else empty. */
    struct tensor_value others;
};

/* What there is to resolve.  Everything is lent. */
struct tu_statement {
    enum tu_dialect dialect;
    const char *file;
    const struct tensor_value *metadata; /* a map */
    /* Files beside a config.json, or NULL: tokenizer.json, tokenizer_config.json,
     * generation_config.json, added_tokens.json; tokenizer.model. */
    const struct tensor_value *tokenizer, *tokenizer_config, *generation_config, *added_tokens;
    const struct tu_pieces *pieces;
    const char *chat_template; /* text of chat_template.jinja; NULL: there is none */
    size_t chat_template_length;
    /* Of the tensors. */
    bool tensors_known;      /* the following can be relied on */
    uint64_t embedding_rows; /* 0: there is no embedding */
    bool whole;              /* the tensors are all of the model that a config.json beside states */
    uint64_t layers;         /* one more than the largest number of one; 0: there are none */
    bool output_present;     /* the output has a tensor of its own */
    /* Numbers of small tensors that state facts; TENSOR_NULL: there is no such tensor. */
    struct tensor_value rope_freqs, rope_long, rope_short;
};

/* Which dialect a model's metadata is in, by the name of its file format. */
enum tu_dialect tu_dialect_of(const char *format, const struct tensor_value *metadata);
/* "config", "gguf", ... and back; NONE if there is none of the name. */
const char *tu_dialect_name(enum tu_dialect dialect);
enum tu_dialect tu_dialect_by_name(const char *name);

/* Resolves every fact.  What has a wrong type is unknown, with a note; it only fails for want of
 * memory. */
int tu_facts_resolve(const struct tu_statement *statement, struct tu_arena *arena,
                     struct tu_model_facts *out, struct tu_error *error) TU_MUST_CHECK;

/* Puts all facts that are known, or have a note, into a map that is being built, under a key, as
 * tensor-stream(5) describes; and reads them again: what it does not know is left out. */
int tu_facts_put(struct tu_builder *b, const char *key, const struct tu_model_facts *facts,
                 struct tu_error *error) TU_MUST_CHECK;
int tu_facts_get(const struct tensor_value *map, struct tu_arena *arena, struct tu_model_facts *out,
                 struct tu_error *error) TU_MUST_CHECK;

/* "given", "derived", ... */
const char *tu_fact_origin_name(enum tu_fact_origin origin);

/* The value for people, cut where it is long. */
void tu_fact_text(const struct tensor_value *value, char *out, size_t size);

#endif
