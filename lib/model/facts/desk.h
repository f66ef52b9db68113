/* SPDX-License-Identifier: MIT */
/* One model's facts while they are worked out: what the readers of the dialects share. */
#ifndef TU_FACTS_DESK_H
#define TU_FACTS_DESK_H

#include "model/facts/table.h"

/* More layers, or numbers in a list, than any model has; longer ones are not looked at. */
enum { TU_FACT_LIST_MAX = 4096 };

struct tu_desk {
    const struct tu_statement *s;
    struct tu_arena *arena;
    struct tu_model_facts *out;
    const struct tu_config_class *config_class; /* of CONFIG; NULL: not known */
    const struct tu_gguf_arch *gguf_arch;       /* of GGUF; NULL: not known */
    const char *arch;                           /* of GGUF: general.architecture */
    bool null[TU_FACT_IDS_END];                 /* a key says null where that is no value */
    bool failed;                                /* no memory */
};

/* Text that lives as long as the facts; "" when there is no memory, which is noted. */
const char *tu_desk_text(struct tu_desk *d, const char *format, ...) TU_PRINTF(2, 3);

/* Set a fact, in place of what was there.  key is lent for as long as the facts live. */
void tu_set(struct tu_desk *d, enum tu_fact_id id, struct tensor_value value,
            enum tu_fact_origin origin, const char *key);
void tu_set_count(struct tu_desk *d, enum tu_fact_id id, uint64_t value, enum tu_fact_origin origin,
                  const char *key);
void tu_set_real(struct tu_desk *d, enum tu_fact_id id, double value, enum tu_fact_origin origin,
                 const char *key);
void tu_set_flag(struct tu_desk *d, enum tu_fact_id id, bool value, enum tu_fact_origin origin,
                 const char *key);
void tu_set_word(struct tu_desk *d, enum tu_fact_id id, const char *word,
                 enum tu_fact_origin origin, const char *key);
/* Token ids: a list, unless there is one. */
void tu_set_ids(struct tu_desk *d, enum tu_fact_id id, const uint64_t *ids, size_t count,
                enum tu_fact_origin origin, const char *key);
/* Lists of at most TU_FACT_LIST_MAX items. */
void tu_set_reals(struct tu_desk *d, enum tu_fact_id id, const double *values, size_t count,
                  enum tu_fact_origin origin, const char *key);
void tu_set_flags(struct tu_desk *d, enum tu_fact_id id, const bool *values, size_t count,
                  enum tu_fact_origin origin, const char *key);
void tu_set_unknown(struct tu_desk *d, enum tu_fact_id id, const char *key, const char *note);
/* The same of what is stated, and cannot be. */
void tu_set_wrong(struct tu_desk *d, enum tu_fact_id id, const char *key, const char *note);

/* Sets a fact from the value of a key, if it is what the row wants: true.  Else it is unknown, with
 * a note that says why. */
bool tu_take(struct tu_desk *d, enum tu_fact_id id, const struct tensor_value *value,
             const char *key);

bool tu_known(const struct tu_desk *d, enum tu_fact_id id);
enum tu_fact_origin tu_origin(const struct tu_desk *d, enum tu_fact_id id);
/* One number; false where it is unknown, or differs between layers. */
bool tu_get_count(const struct tu_desk *d, enum tu_fact_id id, uint64_t *out);
bool tu_get_real(const struct tu_desk *d, enum tu_fact_id id, double *out);
bool tu_get_word(const struct tu_desk *d, enum tu_fact_id id, const char *word);
bool tu_get_flag(const struct tu_desk *d, enum tu_fact_id id, bool *out);

/* Adds to what is wrong inside the model: two of its own statements that differ. */
void tu_add_conflict(struct tu_desk *d, const char *format, ...) TU_PRINTF(2, 3);
/* An activation as its family: all forms of GELU are one. */
const char *tu_activation(const struct tensor_value *v);

/* The member of maps in maps: "moe.num_experts". */
const struct tensor_value *tu_value_path(const struct tensor_value *map, const char *path);
/* The number of layers, if it is one that lists can be made for. */
bool tu_layers(const struct tu_desk *d, size_t *out);
/* Windows by a period: true where (i + 1) % period is not 0; period 0: everywhere. */
void tu_set_period(struct tu_desk *d, enum tu_fact_id id, uint64_t period,
                   enum tu_fact_origin origin, const char *key);
/* q and k are multiplied by 1/sqrt(head_dim), where nothing else is known. */
void tu_derive_attn_scale(struct tu_desk *d);

/* The dialects. */
void tu_facts_config(struct tu_desk *d);
void tu_facts_gguf(struct tu_desk *d);
void tu_facts_params(struct tu_desk *d); /* APR, Meta, Mistral */

/* Numbers that follow from the parameters of rope, as transformers computes them. */
/* 0.1 m ln(factor) + 1, or 1 for a factor of at most 1: what yarn scales by. */
double tu_yarn_scale(double m, double factor);
/* The divisors of llama3's scaling, one for each of dim / 2 pairs. */
struct tu_llama3 {
    double base, factor, low, high, original;
};
void tu_llama3_divisors(const struct tu_llama3 *p, size_t dim, double *out);

/* Tokens: of a GGUF file, and of the files beside a config.json. */
void tu_facts_gguf_tokens(struct tu_desk *d);
void tu_facts_config_tokens(struct tu_desk *d);
/* Of the tokenizer.model of a folder. */
void tu_facts_pieces(struct tu_desk *d);

#endif
