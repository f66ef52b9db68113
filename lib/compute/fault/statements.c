/* SPDX-License-Identifier: MIT */
/* Faults of what a model says of itself: one of its facts, or its vocabulary, is another one. */
#include "config.h"

#include <string.h>

#include "compute/random.h"
#include "compute/fault/victim.h"
#include "model/facts/facts.h"

/* The member of a map in a copy that is this file's to change. */
static struct tensor_value *change_in(const struct tensor_value *map, const char *key)
{
    return (struct tensor_value *)tu_value_get(map, key);
}

/* Gives a number the value of another one, in the type that it has. */
static void set_number(struct tensor_value *v, double number)
{
    if (tu_value_is_real(v))
        v->real = number;
    else if (tu_value_is_unsigned(v))
        v->uint = (uint64_t)number;
    else if (tu_value_is_signed(v))
        v->sint = (int64_t)number;
}

/* Another count, number or flag; false where the value is none of these. */
static bool change_value(struct tensor_value *v, enum tu_fact_kind kind)
{
    double number;
    if (kind == TU_FACT_FLAG && v->type == TENSOR_BOOL) {
        v->boolean = !v->boolean;
        return true;
    }
    if ((kind != TU_FACT_COUNT && kind != TU_FACT_REAL) || !tu_value_number(v, &number))
        return false;
    set_number(v, number == 0 ? 1 : number * (kind == TU_FACT_COUNT ? 2 : 10));
    return true;
}

/* Whether a fact is one to change: that is asked for, or any that is given, is a number or a flag,
 * and must agree. */
static bool is_meant(const struct tu_fault_work *w, const struct tensor_value *fact)
{
    const struct tu_fact_row *rows;
    const char *name;
    size_t length;
    const char *wanted = w->settings->fact;
    if (!tu_value_string(tu_value_get(fact, "name"), &name, &length))
        return false;
    tu_fact_rows(&rows);
    int id = tu_fact_by_name(name, length);
    const struct tensor_value *value = tu_value_get(fact, "value");
    struct tensor_value copy = value ? *value : (struct tensor_value){0};
    if (id < 0 || !value || !change_value(&copy, rows[id].kind))
        return false;
    if (wanted)
        return strcmp(rows[id].name, wanted) == 0;
    /* That some more tokens are there is padding; the vocabulary has a fault of its own. */
    return rows[id].policy == TU_FACT_FAILS && strcmp(rows[id].name, "vocab") != 0 &&
           tu_value_equals(tu_value_get(fact, "origin"), "given");
}

/* Changes a fact, and the metadata that gives it. */
static void change(const struct tensor_value *source, const struct tensor_value *fact)
{
    const struct tu_fact_row *rows;
    const char *text;
    size_t length;
    tu_fact_rows(&rows);
    if (!tu_value_string(tu_value_get(fact, "name"), &text, &length))
        return;
    enum tu_fact_kind kind = rows[tu_fact_by_name(text, length)].kind;
    change_value(change_in(fact, "value"), kind);
    if (!tu_value_string(tu_value_get(fact, "key"), &text, &length))
        return;
    const struct tensor_value *meta = tu_value_get(source, "meta");
    struct tensor_value *given = (struct tensor_value *)tu_value_find(meta, text, length);
    if (given)
        change_value(given, kind);
}

int tu_change_fact(struct tu_fault_work *w, struct tensor_value *source, struct tu_error *error)
{
    struct tu_random random = tu_random_init(w->settings->seed, "fact", strlen("fact"));
    struct tensor_value copy;
    const char *path = w->operand->models[0].source.path;
    if (tu_value_copy(source, &w->arena, &copy, error) < 0)
        return -1;
    const struct tensor_value *list = tu_value_get(tu_value_get(&copy, "facts"), "list");
    size_t count = list && list->type == TENSOR_ARRAY ? list->array.count : 0, meant = 0;
    for (size_t i = 0; i < count; i++)
        meant += is_meant(w, &list->array.items[i]);
    if (meant == 0 && w->settings->fact)
        return tu_fail(error, TU_EUSAGE, "'%s' states no %s that is a number or a flag", path,
                       w->settings->fact);
    if (meant == 0)
        return tu_fail(error, TU_EUSAGE,
                       "'%s' states no fact that is a number or a flag (tensor-ls --facts)", path);
    size_t place = (size_t)(tu_random_bits(&random, 0) % meant);
    for (size_t i = 0; i < count; i++)
        if (is_meant(w, &list->array.items[i]) && place-- == 0) {
            change(&copy, &list->array.items[i]);
            break;
        }
    w->damaged++;
    *source = copy;
    return 0;
}

/* The fact "vocab", and metadata of that name that gives the number of rows. */
int tu_state_vocabulary(struct tu_fault_work *w, struct tensor_value *source,
                        struct tu_error *error)
{
    struct tensor_value copy;
    if (tu_value_copy(source, &w->arena, &copy, error) < 0)
        return -1;
    const struct tensor_value *list = tu_value_get(tu_value_get(&copy, "facts"), "list");
    const struct tensor_value *meta = tu_value_get(&copy, "meta");
    uint64_t stated;
    for (size_t i = 0; list && list->type == TENSOR_ARRAY && i < list->array.count; i++) {
        struct tensor_value *value = change_in(&list->array.items[i], "value");
        if (tu_value_equals(tu_value_get(&list->array.items[i], "name"), "vocab") &&
            tu_value_uint(value, &stated) && stated > w->kept)
            set_number(value, (double)w->kept);
    }
    for (size_t i = 0; meta && meta->type == TENSOR_MAP && i < meta->map.count; i++) {
        const struct tensor_pair *pair = &meta->map.pairs[i];
        size_t length = pair->key.string.length, n = strlen("vocab_size");
        if (length >= n && memcmp(pair->key.string.bytes + length - n, "vocab_size", n) == 0 &&
            tu_value_uint(&pair->value, &stated) && stated == w->vocabulary)
            set_number((struct tensor_value *)&pair->value, (double)w->kept);
    }
    *source = copy;
    return 0;
}
