/* SPDX-License-Identifier: MIT */
/* The facts of one model while they are worked out: setting, checking and asking. */
#include "config.h"

#include "model/facts/desk.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *tu_desk_text(struct tu_desk *d, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *copy = tu_arena_copy(d->arena, text, strlen(text));
    d->failed |= !copy;
    return copy ? copy : "";
}

/* ---- Setting ---- */

void tu_set(struct tu_desk *d, enum tu_fact_id id, struct tensor_value value,
            enum tu_fact_origin origin, const char *key)
{
    d->out->facts[id] = (struct tu_fact){.value = value, .origin = origin, .key = key};
}

void tu_set_count(struct tu_desk *d, enum tu_fact_id id, uint64_t value, enum tu_fact_origin origin,
                  const char *key)
{
    tu_set(d, id, (struct tensor_value){.type = TENSOR_UINT64, .uint = value}, origin, key);
}

void tu_set_real(struct tu_desk *d, enum tu_fact_id id, double value, enum tu_fact_origin origin,
                 const char *key)
{
    if (isfinite(value))
        tu_set(d, id, (struct tensor_value){.type = TENSOR_FLOAT64, .real = value}, origin, key);
    else
        tu_set_wrong(d, id, key, tu_desk_text(d, "%s is no finite number", key ? key : "it"));
}

void tu_set_flag(struct tu_desk *d, enum tu_fact_id id, bool value, enum tu_fact_origin origin,
                 const char *key)
{
    tu_set(d, id, (struct tensor_value){.type = TENSOR_BOOLEAN, .boolean = value}, origin, key);
}

void tu_set_word(struct tu_desk *d, enum tu_fact_id id, const char *word,
                 enum tu_fact_origin origin, const char *key)
{
    tu_set(d, id, (struct tensor_value){.type = TENSOR_STRING, .string = {word, strlen(word)}},
           origin, key);
}

static void set_list(struct tu_desk *d, enum tu_fact_id id, enum tensor_value_type type,
                     struct tensor_value *items, size_t count, enum tu_fact_origin origin,
                     const char *key)
{
    tu_set(d, id,
           (struct tensor_value){
               .type = TENSOR_ARRAY, .element = (uint8_t)type, .array = {items, count}},
           origin, key);
}

void tu_set_reals(struct tu_desk *d, enum tu_fact_id id, const double *values, size_t count,
                  enum tu_fact_origin origin, const char *key)
{
    struct tensor_value *items = tu_arena_alloc(d->arena, (count + 1) * sizeof *items);
    if (!items) {
        d->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct tensor_value){.type = TENSOR_FLOAT64, .real = values[i]};
        if (!isfinite(values[i])) {
            tu_set_wrong(d, id, key,
                         tu_desk_text(d, "%s: not all of it are finite numbers", key ? key : "it"));
            return;
        }
    }
    set_list(d, id, TENSOR_FLOAT64, items, count, origin, key);
}

void tu_set_ids(struct tu_desk *d, enum tu_fact_id id, const uint64_t *ids, size_t count,
                enum tu_fact_origin origin, const char *key)
{
    struct tensor_value *items = tu_arena_alloc(d->arena, (count + 1) * sizeof *items);
    if (!items) {
        d->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        items[i] = (struct tensor_value){.type = TENSOR_UINT64, .uint = ids[i]};
    if (count == 1)
        tu_set(d, id, items[0], origin, key);
    else
        set_list(d, id, TENSOR_UINT64, items, count, origin, key);
}

void tu_set_flags(struct tu_desk *d, enum tu_fact_id id, const bool *values, size_t count,
                  enum tu_fact_origin origin, const char *key)
{
    struct tensor_value *items = tu_arena_alloc(d->arena, (count + 1) * sizeof *items);
    if (!items) {
        d->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        items[i] = (struct tensor_value){.type = TENSOR_BOOLEAN, .boolean = values[i]};
    set_list(d, id, TENSOR_BOOLEAN, items, count, origin, key);
}

void tu_set_unknown(struct tu_desk *d, enum tu_fact_id id, const char *key, const char *note)
{
    d->out->facts[id] = (struct tu_fact){.origin = TU_ORIGIN_UNKNOWN, .key = key, .note = note};
}

void tu_set_wrong(struct tu_desk *d, enum tu_fact_id id, const char *key, const char *note)
{
    tu_set_unknown(d, id, key, note);
    d->out->facts[id].wrong = true;
}

/* ---- Values of keys ---- */

/* A natural number, also where a writer made it a float. */
static bool natural(const struct tensor_value *v, uint64_t *out)
{
    double number;
    if (tu_value_uint(v, out))
        return true;
    if (!tu_value_is_real(v) || !tu_value_number(v, &number) || !(number >= 0) || number > 0x1p53 ||
        number != floor(number))
        return false;
    *out = (uint64_t)number;
    return true;
}

/* Numbers of layers: one where all are equal. */
static const char *take_counts(struct tu_desk *d, enum tu_fact_id id, const struct tensor_value *v,
                               const char *key)
{
    size_t count = v->array.count, layers;
    uint64_t more = 0;
    bool equal = true;
    (void)tu_get_count(d, TU_FACT_MTP, &more);
    if (count > 1 && tu_layers(d, &layers) && count != layers && count != layers + more)
        return tu_desk_text(d, "it has %zu items for %zu layers", count, layers);
    if (count == 0 || count > TU_FACT_LIST_MAX)
        return tu_desk_text(d, "it has %zu items", count);
    struct tensor_value *items = tu_arena_alloc(d->arena, count * sizeof *items);
    if (!items) {
        d->failed = true;
        return "";
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct tensor_value){.type = TENSOR_UINT64};
        if (!natural(&v->array.items[i], &items[i].uint))
            return "not all of it are natural numbers";
        equal = equal && items[i].uint == items[0].uint;
    }
    if (equal)
        tu_set_count(d, id, items[0].uint, TU_ORIGIN_GIVEN, key);
    else
        set_list(d, id, TENSOR_UINT64, items, count, TU_ORIGIN_GIVEN, key);
    return NULL;
}

/* Numbers, of the width that they have in the file. */
static const char *take_reals(struct tu_desk *d, enum tu_fact_id id, const struct tensor_value *v,
                              const char *key)
{
    double number;
    if (v->type != TENSOR_ARRAY)
        return "it is no list";
    if (v->array.count > TU_FACT_LIST_MAX)
        return tu_desk_text(d, "it has %zu items", v->array.count);
    struct tensor_value *items = tu_arena_alloc(d->arena, (v->array.count + 1) * sizeof *items);
    if (!items) {
        d->failed = true;
        return "";
    }
    for (size_t i = 0; i < v->array.count; i++) {
        if (!tu_value_number(&v->array.items[i], &number) || !isfinite(number))
            return "not all of it are finite numbers";
        items[i] = v->array.items[i];
    }
    set_list(d, id, (enum tensor_value_type)v->element, items, v->array.count, TU_ORIGIN_GIVEN,
             key);
    return NULL;
}

static const char *take_flags(struct tu_desk *d, enum tu_fact_id id, const struct tensor_value *v,
                              const char *key)
{
    bool values[TU_FACT_LIST_MAX];
    if (v->type != TENSOR_ARRAY)
        return "it is no list";
    if (v->array.count > TU_FACT_LIST_MAX)
        return tu_desk_text(d, "it has %zu items", v->array.count);
    for (size_t i = 0; i < v->array.count; i++) {
        if (v->array.items[i].type != TENSOR_BOOLEAN)
            return "not all of it are true or false";
        values[i] = v->array.items[i].boolean;
    }
    tu_set_flags(d, id, values, v->array.count, TU_ORIGIN_GIVEN, key);
    return NULL;
}

/* Token ids: numbers below 0 are none. */
static const char *take_ids(struct tu_desk *d, enum tu_fact_id id, const struct tensor_value *v,
                            const char *key)
{
    uint64_t values[TU_FACT_LIST_MAX];
    size_t count = v->type == TENSOR_ARRAY ? v->array.count : 1, kept = 0;
    const struct tensor_value *items = v->type == TENSOR_ARRAY ? v->array.items : v;
    if (count > TU_FACT_LIST_MAX)
        return tu_desk_text(d, "it has %zu items", count);
    for (size_t i = 0; i < count; i++) {
        double number;
        uint64_t token;
        if (tu_value_number(&items[i], &number) && number < 0)
            continue;
        if (!natural(&items[i], &token) || token > UINT32_MAX)
            return "it is no token id";
        values[kept++] = token;
    }
    tu_set_ids(d, id, values, kept, TU_ORIGIN_GIVEN, key);
    return NULL;
}

static const char *take_scalar(struct tu_desk *d, enum tu_fact_id id, enum tu_fact_kind kind,
                               const struct tensor_value *v, const char *key)
{
    uint64_t count;
    double number;
    if (kind == TU_FACT_COUNT && !natural(v, &count))
        return "a natural number is expected";
    if (kind == TU_FACT_REAL && (!tu_value_number(v, &number) || !isfinite(number)))
        return "a finite number is expected";
    if (kind == TU_FACT_FLAG && v->type != TENSOR_BOOLEAN)
        return "true or false is expected";
    if (kind == TU_FACT_WORD && v->type != TENSOR_STRING)
        return "text is expected";
    if (kind == TU_FACT_COUNT)
        tu_set_count(d, id, count, TU_ORIGIN_GIVEN, key);
    else
        tu_set(d, id, *v, TU_ORIGIN_GIVEN, key);
    return NULL;
}

bool tu_take(struct tu_desk *d, enum tu_fact_id id, const struct tensor_value *v, const char *key)
{
    const struct tu_fact_row *rows;
    (void)tu_fact_rows(&rows);
    enum tu_fact_kind kind = rows[id].kind;
    const char *wrong = kind == TU_FACT_COUNT && v->type == TENSOR_ARRAY
                            ? take_counts(d, id, v, key)
                        : kind == TU_FACT_REALS ? take_reals(d, id, v, key)
                        : kind == TU_FACT_FLAGS ? take_flags(d, id, v, key)
                        : kind == TU_FACT_IDS   ? take_ids(d, id, v, key)
                                                : take_scalar(d, id, kind, v, key);
    if (wrong)
        tu_set_wrong(d, id, key, tu_desk_text(d, "%s has a value that cannot be: %s", key, wrong));
    return !wrong;
}

void tu_add_conflict(struct tu_desk *d, const char *format, ...)
{
    struct tu_fact *f = &d->out->facts[TU_FACT_CONFLICT];
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    f->note = f->note ? tu_desk_text(d, "%s; %s", f->note, text) : tu_desk_text(d, "%s", text);
}

const char *tu_activation(const struct tensor_value *v)
{
    const char *text;
    size_t length;
    if (!tu_value_string(v, &text, &length) || length > 64)
        return NULL;
    if (length >= 4 && memcmp(text, "gelu", 4) == 0)
        return "gelu";
    if (tu_value_equals(v, "swish"))
        return "silu";
    return text;
}

/* ---- Asking ---- */

bool tu_known(const struct tu_desk *d, enum tu_fact_id id)
{
    return d->out->facts[id].origin != TU_ORIGIN_UNKNOWN;
}

enum tu_fact_origin tu_origin(const struct tu_desk *d, enum tu_fact_id id)
{
    return d->out->facts[id].origin;
}

bool tu_get_count(const struct tu_desk *d, enum tu_fact_id id, uint64_t *out)
{
    return tu_known(d, id) && tu_value_uint(&d->out->facts[id].value, out);
}

bool tu_get_real(const struct tu_desk *d, enum tu_fact_id id, double *out)
{
    return tu_known(d, id) && tu_value_number(&d->out->facts[id].value, out);
}

bool tu_get_word(const struct tu_desk *d, enum tu_fact_id id, const char *word)
{
    return tu_known(d, id) && tu_value_equals(&d->out->facts[id].value, word);
}

bool tu_get_flag(const struct tu_desk *d, enum tu_fact_id id, bool *out)
{
    if (!tu_known(d, id) || d->out->facts[id].value.type != TENSOR_BOOLEAN)
        return false;
    *out = d->out->facts[id].value.boolean;
    return true;
}

const struct tensor_value *tu_value_path(const struct tensor_value *map, const char *path)
{
    for (const char *dot; map && (dot = strchr(path, '.')); path = dot + 1)
        map = tu_value_find(map, path, (size_t)(dot - path));
    return map ? tu_value_get(map, path) : NULL;
}

/* ---- Deriving ---- */

bool tu_layers(const struct tu_desk *d, size_t *out)
{
    uint64_t layers;
    if (!tu_get_count(d, TU_FACT_LAYERS, &layers) || layers == 0 || layers > TU_FACT_LIST_MAX)
        return false;
    *out = (size_t)layers;
    return true;
}

void tu_set_period(struct tu_desk *d, enum tu_fact_id id, uint64_t period,
                   enum tu_fact_origin origin, const char *key)
{
    bool flags[TU_FACT_LIST_MAX];
    size_t layers;
    if (!tu_layers(d, &layers))
        return;
    for (size_t i = 0; i < layers; i++)
        flags[i] = period == 0 || (i + 1) % period != 0;
    tu_set_flags(d, id, flags, layers, origin, key);
}

void tu_derive_attn_scale(struct tu_desk *d)
{
    uint64_t width;
    if (!tu_known(d, TU_FACT_ATTN_SCALE) && tu_get_count(d, TU_FACT_HEAD_DIM, &width) && width)
        tu_set_real(d, TU_FACT_ATTN_SCALE, 1 / sqrt((double)width), TU_ORIGIN_DERIVED,
                    "1/sqrt(head_dim)");
}

double tu_yarn_scale(double m, double factor)
{
    return factor > 1 ? 0.1 * m * log(factor) + 1 : 1;
}

void tu_llama3_divisors(const struct tu_llama3 *p, size_t dim, double *out)
{
    for (size_t i = 0; i < dim / 2; i++) {
        double wave = 2 * M_PI * pow(p->base, (double)(2 * i) / (double)dim);
        double share = (p->original / wave - p->low) / (p->high - p->low);
        if (wave < p->original / p->high)
            out[i] = 1;
        else if (wave > p->original / p->low)
            out[i] = p->factor;
        else
            out[i] = 1 / ((1 - share) / p->factor + share);
    }
}
