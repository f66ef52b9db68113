/* SPDX-License-Identifier: MIT */
/* A config.json being read: what config.c and position.c share. */
#ifndef TU_FACTS_CONFIG_H
#define TU_FACTS_CONFIG_H

#include "model/facts/desk.h"

struct tu_reading {
    struct tu_desk *d;
    const struct tensor_value *root,
        *text;          /* text: of the language model; the root where it is alone */
    const char *prefix; /* of the keys of text in messages: "text_config." */
    const char *words;  /* of the class; "" where it is not known */
    bool closed;        /* all defaults of the class are known */
    const char *arch;   /* words of the architecture that it becomes; or "" */
};

/* The value of a key, of the language model's part before the root; NULL: it is not there.  ask
 * also gives the key as it is shown. */
const struct tensor_value *tu_config_ask(const struct tu_reading *r, const char *key,
                                         const char **shown);
const struct tensor_value *tu_config_find(const struct tu_reading *r, const char *key);
bool tu_is_null(const struct tensor_value *v);

/* Sets a fact from the first of some keys that is there: whether one was. */
bool tu_config_take(const struct tu_reading *r, enum tu_fact_id id, const char *keys);
/* A finite number: of a key, else of the class's word (NULL: it has none). */
bool tu_config_number(const struct tu_reading *r, const char *key, const char *word, double *out,
                      enum tu_fact_origin *origin, const char **shown);
/* A boolean key, and what stands for its absence. */
bool tu_config_flag(const struct tu_reading *r, const char *key, bool otherwise);
/* A natural number below 2^32. */
bool tu_config_count(const struct tu_reading *r, const char *key, uint64_t *out);

/* Rope, windows and kinds of layers. */
void tu_config_rope(const struct tu_reading *r);
void tu_config_windows(const struct tu_reading *r);

#endif
