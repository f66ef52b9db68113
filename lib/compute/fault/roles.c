/* SPDX-License-Identifier: MIT */
/* Faults of a part of the network, whose tensors are known by their names: q and k, the vocabulary,
 * an expert; and which tensors change places. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compute/random.h"
#include "base/text.h"
#include "compute/fault/victim.h"
#include "model/facts/gather.h"

/* ---- Names ---- */

/* A part of a name between dots. */
struct part {
    const char *text;
    size_t length;
};

/* The next part of a name, which it moves over; false at the end. */
static bool next_part(const char **name, struct part *part)
{
    if (!**name)
        return false;
    part->text = *name;
    part->length = strcspn(*name, ".");
    *name += part->length + ((*name)[part->length] == '.');
    return true;
}

static bool is_one_of(struct part part, const char *words)
{
    for (; *words; words += strspn(words, " ")) {
        size_t n = strcspn(words, " ");
        if (n == part.length && memcmp(words, part.text, n) == 0)
            return true;
        words += n;
    }
    return false;
}

/* What a weight or bias is of: the last part of its name but for "weight" or "bias". */
static struct part module_of(const struct tu_tensor *t)
{
    const char *name = t->name;
    struct part part, last = {"", 0};
    while (next_part(&name, &part))
        if (!is_one_of(part, "weight bias"))
            last = part;
    return last;
}

static bool is_rotated(const struct tu_tensor *t)
{
    return is_one_of(module_of(t), "attn_q attn_k q_proj k_proj wq wk");
}

static bool is_embedding(const struct tu_tensor *t)
{
    return is_one_of(module_of(t),
                     "token_embd embed_tokens tok_embeddings wte embed_in word_embeddings shared");
}

static bool is_output(const struct tu_tensor *t)
{
    return is_one_of(module_of(t), "lm_head embed_out") || strcmp(t->name, "output.weight") == 0 ||
           strcmp(t->name, "output.bias") == 0;
}

static bool has_token_rows(const struct tu_fault_work *w, const struct tu_tensor *t)
{
    return (is_embedding(t) || is_output(t)) && t->rank > 0 && t->shape[0] == w->vocabulary;
}

static bool parse_part(struct part part, uint64_t *number)
{
    char text[24];
    if (part.length == 0 || part.length >= sizeof text)
        return false;
    memcpy(text, part.text, part.length);
    text[part.length] = '\0';
    return tu_parse_u64(text, number) && *number < UINT64_MAX;
}

enum expert_form { NO_EXPERT, ONE_EXPERT, STACKED_EXPERTS };

/* "experts.3.w1", "ffn_gate.3"; "ffn_gate_exps", "experts.gate_up_proj" */
static enum expert_form expert_of(const struct tu_tensor *t, uint64_t *number)
{
    const char *name = t->name;
    struct part part;
    while (next_part(&name, &part)) {
        const char *behind = name;
        struct part next;
        bool stack = part.length > 5 && memcmp(part.text + part.length - 5, "_exps", 5) == 0;
        bool experts = is_one_of(part, "experts");
        if (stack)
            return t->rank > 1 ? STACKED_EXPERTS : NO_EXPERT;
        if (!experts && !is_one_of(part, "ffn_gate ffn_up ffn_down"))
            continue;
        if (next_part(&behind, &next) && parse_part(next, number))
            return ONE_EXPERT;
        if (experts)
            return t->rank > 1 ? STACKED_EXPERTS : NO_EXPERT;
    }
    return NO_EXPERT;
}

enum tu_fault_fate tu_role_fate(const struct tu_fault_work *w, const struct tu_tensor *t)
{
    uint64_t number = 0;
    switch (w->settings->fault) {
    case TU_FAULT_ROPE_HALVES:
    case TU_FAULT_ROPE_PAIRS:
        return is_rotated(t) && t->elements ? TU_FAULT_CHANGE : TU_FAULT_PASS;
    case TU_FAULT_CUT_VOCABULARY:
        return has_token_rows(w, t) ? TU_FAULT_CHANGE : TU_FAULT_PASS;
    default:
        break;
    }
    enum expert_form form = expert_of(t, &number);
    if (form == ONE_EXPERT)
        return number == w->expert ? TU_FAULT_LEAVE_OUT : TU_FAULT_PASS;
    bool there = form == STACKED_EXPERTS && t->elements && w->expert < t->shape[0];
    return there ? TU_FAULT_CHANGE : TU_FAULT_PASS;
}

/* ---- What an operand has ---- */

typedef void tu_look_fn(struct tu_fault_work *w, const struct tu_tensor *t);

static void look_at_tensors(struct tu_fault_work *w, tu_look_fn *look)
{
    const struct tu_operand *o = w->operand;
    for (size_t i = 0; i < o->model_count; i++)
        for (size_t k = 0; k < o->models[i].count; k++)
            look(w, &o->models[i].tensors[k]);
}

static uint64_t count_in(const struct tu_model_facts *facts, const char *name)
{
    int id = tu_fact_by_name(name, strlen(name));
    uint64_t value;
    return id >= 0 && tu_value_uint(&facts->facts[id].value, &value) ? value : 0;
}

int tu_find_heads(struct tu_fault_work *w, struct tu_error *error)
{
    struct tu_gathered *g = tu_arena_alloc(&w->arena, sizeof *g);
    if (!g)
        return tu_fail_memory(error);
    if (tu_gather_operand(w->operand, false, &w->arena, g, error) < 0)
        return -1;
    w->head_rows = count_in(&g->facts, "head_dim");
    w->turned = count_in(&g->facts, "rope.dim");
    if (w->turned == 0 || w->turned > w->head_rows)
        w->turned = w->head_rows;
    if (w->head_rows == 0 && w->settings->heads == 0)
        return tu_fail(error, TU_EUSAGE,
                       "'%s' does not say how wide its heads are (--heads says how many a tensor "
                       "has)",
                       w->operand->models[0].source.path);
    return 0;
}

static void find_embedding(struct tu_fault_work *w, const struct tu_tensor *t)
{
    if (!w->vocabulary && is_embedding(t) && t->rank > 1)
        w->vocabulary = t->shape[0];
}

static void find_output(struct tu_fault_work *w, const struct tu_tensor *t)
{
    if (!w->vocabulary && is_output(t) && t->rank > 1)
        w->vocabulary = t->shape[0];
}

int tu_find_vocabulary(struct tu_fault_work *w, struct tu_error *error)
{
    const char *path = w->operand->models[0].source.path;
    look_at_tensors(w, find_embedding);
    look_at_tensors(w, find_output);
    if (w->vocabulary == 0)
        return tu_fail(error, TU_EUSAGE, "'%s' has no embedding and no output to cut", path);
    if (w->settings->rows >= w->vocabulary)
        return tu_fail(error, TU_EUSAGE,
                       "'%s': of its %" PRIu64 " tokens, %" PRIu64 " cannot be cut", path,
                       w->vocabulary, w->settings->rows);
    w->kept = w->vocabulary - w->settings->rows;
    return 0;
}

static void count_experts(struct tu_fault_work *w, const struct tu_tensor *t)
{
    uint64_t number = 0;
    if (!tu_selects(&w->session->selection, t))
        return;
    enum expert_form form = expert_of(t, &number);
    uint64_t count = form == ONE_EXPERT ? number + 1 : form == STACKED_EXPERTS ? t->shape[0] : 0;
    w->experts = count > w->experts ? count : w->experts;
}

/* The same expert in all layers. */
int tu_find_experts(struct tu_fault_work *w, struct tu_error *error)
{
    (void)error; /* that there are none is said at the end, if no operand has any */
    struct tu_random random = tu_random_init(w->settings->seed, "expert", strlen("expert"));
    look_at_tensors(w, count_experts);
    w->expert = w->experts ? tu_random_bits(&random, 0) % w->experts : 0;
    return 0;
}

/* ---- A tensor ---- */

int tu_fault_cut_vocabulary(struct tu_victim *v, struct tu_error *error)
{
    return tu_fault_cut_rows(v, error);
}

/* The slice of a stacked tensor becomes zero. */
int tu_fault_drop_expert(struct tu_victim *v, struct tu_error *error)
{
    uint64_t slices;
    bool changes;
    if (tu_victim_slices(v, &slices, &v->count, error) < 0)
        return -1;
    v->at = v->geometry.dtype->head + v->work->expert * v->count;
    if (tu_victim_changes(v, &changes, error) < 0)
        return -1;
    v->unchanged = !changes;
    return 0;
}

/* ---- Tensors that change places ---- */

static bool are_alike(const struct tu_tensor *a, const struct tu_tensor *b)
{
    return a->dtype == b->dtype && a->packing == b->packing && a->rank == b->rank &&
           a->nbytes == b->nbytes && a->elements &&
           memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0;
}

/* Every tensor of the operand, and which of them have a partner. */
struct hall {
    struct tu_member *members;
    size_t count;
    bool *taken;
};

/* Finds a partner among those that have none, from a place on that the seed chooses. */
static int pair_one(struct tu_fault_work *w, struct hall *h, size_t one, struct tu_error *error)
{
    const struct tu_member *m = &h->members[one];
    struct tu_random random =
        tu_random_init(w->settings->seed, m->tensor->name, m->tensor->name_length);
    size_t first = (size_t)(tu_random_bits(&random, 0) % h->count);
    for (size_t i = 0; i < h->count; i++) {
        size_t other = (first + i) % h->count;
        bool differ = false;
        if (other == one || h->taken[other] || !are_alike(m->tensor, h->members[other].tensor))
            continue;
        if (tu_tensors_differ(m, &h->members[other], &differ, error) < 0)
            return -1;
        if (!differ)
            continue;
        h->taken[one] = h->taken[other] = true;
        w->pairs[w->pair_count++] = (struct tu_fault_pair){m->tensor, h->members[other]};
        w->pairs[w->pair_count++] = (struct tu_fault_pair){h->members[other].tensor, *m};
        return 0;
    }
    return tu_fail(error, TU_EUSAGE,
                   "tensor '%s': no other one of its type and shape, and other numbers, is left "
                   "to exchange it with",
                   m->tensor->name);
}

int tu_pair_tensors(struct tu_fault_work *w, struct tu_error *error)
{
    struct hall h = {0};
    if (tu_operand_select(w->operand, NULL, &h.members, &h.count, error) < 0)
        return -1;
    h.taken = calloc(h.count + 1, sizeof *h.taken);
    w->pairs = calloc(h.count + 1, sizeof *w->pairs);
    int result = h.taken && w->pairs ? 0 : tu_fail_memory(error);
    for (size_t i = 0; i < h.count && result == 0; i++)
        if (!h.taken[i] && tu_selects(&w->session->selection, h.members[i].tensor))
            result = pair_one(w, &h, i, error);
    tu_sort_pairs(w);
    free(h.members);
    free(h.taken);
    return result;
}
