/* SPDX-License-Identifier: MIT */
/* Goes over the tensors of a model by names and types, and makes one weight of those that belong
 * together. */
#include "config.h"

#include "model/packs/packs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "model/packs/form.h"

/* What became of a tensor. */
enum fate { PLAIN, MADE, USED, SIDE };

struct pass {
    struct tu_former former;
    struct tu_operand *operand;
    uint8_t **fates;        /* of each model's tensors */
    struct tu_tensor *made; /* what takes the place of tensors that are MADE, in their order */
    size_t made_count, made_capacity;
    size_t packs, sides;
    enum tu_packs_mode mode;
};

static uint8_t *fate_of(const struct pass *p, const struct tu_member *m)
{
    return &p->fates[m->model - p->operand->models][m->tensor - m->model->tensors];
}

/* ---- One weight ---- */

/* A copy of a tensor's description, which stays when the list of tensors changes. */
static int keep(struct pass *p, struct tu_member *m, struct tu_error *error)
{
    struct tu_tensor *copy = tu_arena_alloc(p->former.arena, sizeof *copy);
    if (!copy)
        return tu_fail_memory(error);
    *copy = *m->tensor;
    m->tensor = copy;
    return 0;
}

/* The first of several suffixes that is that of a tensor. */
static struct tu_member find_any(const struct pass *p, const char *stem, size_t length,
                                 const char *suffixes)
{
    struct tu_member m = {0};
    for (; suffixes && !m.model; suffixes = strchr(suffixes, '|')) {
        suffixes += *suffixes == '|';
        m = tu_form_find(&p->former, stem, length, suffixes);
    }
    return m;
}

static bool has_type(const struct tu_scheme *s, const struct tu_tensor *t)
{
    for (size_t i = 0; i < TU_SCHEME_TYPES; i++)
        if (s->types[i] != TENSOR_DTYPE_NONE && s->types[i] == t->dtype)
            return t->rank >= s->rank;
    return false;
}

/* The stem of a name that ends as the scheme's does. */
static bool find_stem(const struct tu_scheme *s, const struct tu_tensor *t, size_t *stem)
{
    *stem = *s->suffix ? tu_stem(t->name, t->name_length, s->suffix) : t->name_length;
    return *stem != 0;
}

/* The parts of a group as they stand in the models; false: one that is needed is not there. */
static bool find_parts(const struct pass *p, const struct tu_group *g,
                       struct tu_member found[TU_ROLES], const struct tu_scheme_part **missing)
{
    for (size_t i = 0; i < TU_SCHEME_PARTS && g->scheme->parts[i].suffixes; i++) {
        const struct tu_scheme_part *part = &g->scheme->parts[i];
        struct tu_member m = find_any(p, g->stem, g->stem_length, part->suffixes);
        if (m.model && *fate_of(p, &m) == PLAIN)
            found[part->role] = m;
        else if (part->needed) {
            *missing = part;
            return false;
        }
    }
    return true;
}

static void mark_sides(struct pass *p, const struct tu_group *g)
{
    for (const char *s = g->scheme->sides; s; s = strchr(s, '|')) {
        s += *s == '|';
        struct tu_member m = tu_form_find(&p->former, g->stem, g->stem_length, s);
        if (m.model && *fate_of(p, &m) == PLAIN) {
            *fate_of(p, &m) = SIDE;
            p->sides++;
        }
    }
}

/* ---- What takes its place ---- */

/* The name of the weight: the stem with the plain suffix; torchao's has an underscore in front of
 * its last part. */
static char *plain_name(struct pass *p, const struct tu_group *g, size_t *length)
{
    size_t more = strlen(g->scheme->plain), skip = g->stem_length;
    const char *dot = memrchr(g->stem, '.', g->stem_length);
    size_t last = dot ? (size_t)(dot + 1 - g->stem) : 0;
    if (strcmp(g->scheme->suffix, "_qdata") == 0 && g->stem[last] == '_')
        skip = last;
    *length = g->stem_length - (skip < g->stem_length) + more;
    char *name = tu_arena_alloc(p->former.arena, *length + 1);
    if (!name)
        return NULL;
    memcpy(name, g->stem, skip);
    if (skip < g->stem_length)
        memcpy(name + skip, g->stem + skip + 1, g->stem_length - skip - 1);
    memcpy(name + *length - more, g->scheme->plain, more);
    name[*length] = '\0';
    return name;
}

/* A tensor like that of a pack, or of bytes that nobody reads. */
static int add_made(struct pass *p, const struct tu_member *primary, const struct tu_pack *pack,
                    struct tu_tensor t, struct tu_error *error)
{
    struct tu_geometry geometry;
    t.extents = primary->tensor->extents;
    t.extent_count = pack->unread ? primary->tensor->extent_count : 0;
    t.pack = pack;
    t.scope = primary->tensor->scope;
    t.packing = TENSOR_PACKING_ROWS;
    if (tu_geometry(t.dtype, t.packing, t.shape, t.rank, &geometry, error) < 0)
        return -1;
    t.nbytes = geometry.nbytes;
    t.elements = geometry.elements;
    if (!TU_GROW(p->made, p->made_count, p->made_capacity))
        return tu_fail_memory(error);
    p->made[p->made_count++] = t;
    return 0;
}

static int list_parts(struct pass *p, struct tu_group *g, struct tu_error *error)
{
    struct tu_member *parts = tu_arena_alloc(p->former.arena, (TU_ROLES + 1) * sizeof *parts);
    if (!parts)
        return tu_fail_memory(error);
    g->pack->parts = parts;
    parts[g->pack->part_count++] = g->primary;
    for (int i = 0; i < TU_ROLES; i++)
        if (g->parts[i].model)
            parts[g->pack->part_count++] = g->parts[i];
    for (size_t i = 0; i < g->pack->part_count; i++)
        g->pack->stored += parts[i].tensor->nbytes;
    return 0;
}

/* 1; 0: the weight is not selected, and stays as it is stored. */
static int add_pack(struct pass *p, struct tu_group *g, struct tu_error *error)
{
    struct tu_tensor t = {.rank = g->rank};
    t.name = plain_name(p, g, &t.name_length);
    if (p->mode == TU_PACKS_VALUES && t.name &&
        !tu_selects_name(&p->former.session->selection, t.name))
        return 0;
    uint64_t *shape = tu_arena_alloc(p->former.arena, g->rank * sizeof *shape);
    if (!t.name || !shape)
        return tu_fail_memory(error);
    memcpy(shape, g->shape, g->rank * sizeof *shape);
    t.shape = shape;
    t.dtype = p->mode == TU_PACKS_VALUES ? TENSOR_F32 : (enum tensor_dtype)g->pack->type;
    struct tu_member other = tu_operand_find(p->operand, t.name, t.name_length);
    if (other.model && strcmp(t.name, g->primary.tensor->name) != 0)
        return tu_form_fail(g, error, "there is a tensor '%.200s', too", t.name);
    g->pack->name = g->primary.tensor->name;
    if (list_parts(p, g, error) < 0)
        return -1;
    return add_made(p, &g->primary, g->pack, t, error) < 0 ? -1 : 1;
}

/* ---- Schemes ---- */

/* What was found becomes a pack, if its shapes are those of the scheme: 1; 0: they are not. */
static int form(struct pass *p, struct tu_group *g, const struct tu_member *at,
                const struct tu_member found[TU_ROLES], struct tu_error *error)
{
    g->pack = tu_arena_alloc(p->former.arena, sizeof *g->pack);
    if (!g->pack)
        return tu_fail_memory(error);
    *g->pack = (struct tu_pack){.factor = 1, .kernels = p->former.session->kernels};
    for (int i = 0; i < TU_ROLES; i++) {
        g->parts[i] = found[i];
        if (found[i].model && keep(p, &g->parts[i], error) < 0)
            return -1;
    }
    if (keep(p, &g->primary, error) < 0)
        return -1;
    int formed = g->scheme->form(&p->former, g, error);
    if (formed > 0)
        formed = add_pack(p, g, error);
    if (formed <= 0)
        return formed;
    *fate_of(p, at) = MADE;
    for (int i = 0; i < TU_ROLES; i++)
        if (found[i].model)
            *fate_of(p, &found[i]) = USED;
    mark_sides(p, g);
    p->packs++;
    return 1;
}

static int try_schemes(struct pass *p, const struct tu_member *at, struct tu_error *error)
{
    for (size_t i = 0; i < tu_scheme_count; i++) {
        struct tu_group g = {.scheme = &tu_schemes[i], .primary = *at, .stem = at->tensor->name};
        struct tu_member found[TU_ROLES] = {{0}};
        const struct tu_scheme_part *missing = NULL;
        if (!has_type(g.scheme, at->tensor) || !find_stem(g.scheme, at->tensor, &g.stem_length))
            continue;
        if (!find_parts(p, &g, found, &missing)) {
            if (g.scheme->alone)
                return tu_form_fail(&g, error, "'%.*s%.*s' is missing", (int)g.stem_length, g.stem,
                                    (int)strcspn(missing->suffixes, "|"), missing->suffixes);
            continue;
        }
        int formed = form(p, &g, at, found, error);
        if (formed)
            return formed;
    }
    return 0;
}

/* ---- What is not read ---- */

static int add_unread(struct pass *p, const struct tu_member *m, const struct tu_pack *pack,
                      struct tu_error *error)
{
    uint64_t *shape = tu_arena_alloc(p->former.arena, sizeof *shape);
    if (!shape)
        return tu_fail_memory(error);
    *shape = m->tensor->nbytes;
    const struct tu_tensor t = {.name = m->tensor->name,
                                .name_length = m->tensor->name_length,
                                .dtype = (enum tensor_dtype)TU_PACKED,
                                .rank = 1,
                                .shape = shape};
    *fate_of(p, m) = MADE;
    return add_made(p, m, pack, t, error);
}

static int give_up(struct pass *p, const struct tu_unread *u, const struct tu_member *at,
                   size_t stem, struct tu_error *error)
{
    struct tu_pack *pack = tu_arena_alloc(p->former.arena, sizeof *pack);
    if (!pack)
        return tu_fail_memory(error);
    *pack = (struct tu_pack){.scheme = u->name, .name = at->tensor->name, .unread = true};
    const char *path = at->model->source.path;
    if (p->mode == TU_PACKS_VALUES)
        return tu_fail(
            error, TU_EINVALID,
            "%s: tensor '%.200s' is packed by %s, which is not read (--packs never: as it "
            "is stored)",
            path, at->tensor->name, u->name);
    if (!p->former.told_unread)
        tu_warn(p->former.session, "%s: tensor '%.200s' is packed by %s, which is not read", path,
                at->tensor->name, u->name);
    p->former.told_unread = true;
    if (add_unread(p, at, pack, error) < 0)
        return -1;
    for (const char *s = u->others; s; s = strchr(s, '|')) {
        s += *s == '|';
        struct tu_member m = tu_form_find(&p->former, at->tensor->name, stem, s);
        if (m.model && *fate_of(p, &m) == PLAIN && add_unread(p, &m, pack, error) < 0)
            return -1;
    }
    return 1;
}

/* 1: a scheme that is not read. */
static int try_unread(struct pass *p, const struct tu_member *at, struct tu_error *error)
{
    const struct tu_tensor *t = at->tensor;
    bool coded = tu_dtype(t->dtype)->kind == TENSOR_KIND_INT;
    for (size_t i = 0; i < tu_unread_count && coded; i++) {
        const struct tu_unread *u = &tu_unread[i];
        size_t stem = tu_stem(t->name, t->name_length, u->suffix);
        if (!stem || !tu_form_find(&p->former, t->name, stem, u->beside).model)
            continue;
        return give_up(p, u, at, stem, error);
    }
    return 0;
}

/* ---- The pass ---- */

static int visit(struct pass *p, const struct tu_member *at, struct tu_error *error)
{
    if (*fate_of(p, at) != PLAIN)
        return 0;
    int found = try_unread(p, at, error);
    if (found == 0)
        found = try_schemes(p, at, error);
    if (found >= 0 || p->mode != TU_PACKS_LISTED || error->code == TU_ENOMEM)
        return found < 0 ? -1 : 0;
    tu_warn(p->former.session, "%s", error->text);
    *error = (struct tu_error){0};
    return 0;
}

static int visit_all(struct pass *p, struct tu_error *error)
{
    for (size_t i = 0; i < p->operand->model_count; i++) {
        const struct tu_model *m = &p->operand->models[i];
        for (size_t k = 0; k < m->count; k++)
            if (visit(p, &(struct tu_member){m, &m->tensors[k]}, error) < 0)
                return -1;
    }
    return 0;
}

/* What belongs to packed checkpoints beside their weights. */
static void find_sides(struct pass *p)
{
    for (size_t i = 0; i < p->operand->model_count; i++)
        for (size_t k = 0; k < p->operand->models[i].count; k++) {
            struct tu_tensor *t = &p->operand->models[i].tensors[k];
            if (p->fates[i][k] == PLAIN && tu_is_side(t)) {
                p->fates[i][k] = SIDE;
                p->sides++;
            }
        }
}

/* Scales and zeros whose weight is not there, or does not want them. */
static void warn_of_lonely(const struct pass *p)
{
    static const char *const suffixes[] = {
        ".weight_scale",      ".weight_scale_inv", ".qzeros",       ".weight_global_scale",
        ".weight_zero_point", ".weight_scale_2",   ".scale_weight", ".SCB"};
    const struct tu_tensor *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < p->operand->model_count; i++)
        for (size_t k = 0; k < p->operand->models[i].count; k++) {
            const struct tu_tensor *t = &p->operand->models[i].tensors[k];
            for (size_t s = 0; s < sizeof suffixes / sizeof *suffixes && p->fates[i][k] == PLAIN;
                 s++)
                if (tu_stem(t->name, t->name_length, suffixes[s])) {
                    first = first ? first : t;
                    count++;
                }
        }
    if (count)
        tu_warn(p->former.session,
                "%s: %zu tensor%s like scales of a packed weight that is not there, "
                "first '%.200s'",
                p->operand->models->source.path, count, count == 1 ? " looks" : "s look",
                first->name);
}

/* Puts what was made in the place of what it was made from. */
static void replace(struct pass *p)
{
    size_t made = 0;
    bool keeps_sides = p->mode != TU_PACKS_VALUES;
    /* Tensors are made in the order of the models; others of a scheme that is not read may not be.
     */
    for (size_t i = 0; i < p->operand->model_count; i++) {
        struct tu_model *m = &p->operand->models[i];
        size_t kept = 0;
        for (size_t k = 0; k < m->count; k++) {
            struct tu_tensor t = m->tensors[k];
            if (p->fates[i][k] == USED || (p->fates[i][k] == SIDE && !keeps_sides))
                continue;
            t.side = p->fates[i][k] == SIDE;
            if (p->fates[i][k] == MADE) {
                while (p->made[made].extents != t.extents)
                    made = (made + 1) % p->made_count;
                t = p->made[made];
            }
            m->tensors[kept++] = t;
        }
        tu_model_changed(m, kept);
    }
}

/* Two weights that would have one name. */
static int check_names(const struct tu_operand *o, struct tu_error *error)
{
    for (size_t i = 0; i < o->model_count; i++) {
        const struct tu_model *m = &o->models[i];
        for (size_t k = 1; k < m->count; k++) {
            const struct tu_tensor *a = m->by_name[k - 1], *b = m->by_name[k];
            if (tu_compare_names(a->name, a->name_length, b->name, b->name_length) == 0)
                return tu_fail(error, TU_EINVALID,
                               "%s: two packed weights would be called '%.200s' (--packs never: as "
                               "they are stored)",
                               m->source.path, a->name);
        }
    }
    return 0;
}

/* What config.json says of quantization: transformers' key, or MLX's. */
static const struct tensor_value *find_config(const struct tu_operand *o)
{
    static const char *const keys[] = {"quantization_config", "quantization", "compression_config"};
    const struct tensor_value *text = tu_value_get(&o->models->metadata, "text_config");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct tensor_value *v = tu_value_get(&o->models->metadata, keys[i]);
        if (!v && text)
            v = tu_value_get(text, keys[i]);
        if (v && v->type == TENSOR_MAP)
            return v;
    }
    return NULL;
}

int tu_packs_find(struct tu_operand *o, struct tu_session *session, struct tu_error *error)
{
    struct pass p = {.former = {.operand = o, .session = session, .arena = &o->arena},
                     .operand = o,
                     .mode = session->packs};
    if (p.mode == TU_PACKS_NEVER || o->model_count == 0)
        return 0;
    p.former.config = find_config(o);
    p.fates = calloc(o->model_count, sizeof *p.fates);
    int result = p.fates ? 0 : tu_fail_memory(error);
    for (size_t i = 0; i < o->model_count && result == 0; i++)
        if (!(p.fates[i] = calloc(o->models[i].count + 1, 1)))
            result = tu_fail_memory(error);
    if (result == 0)
        result = visit_all(&p, error);
    if (result == 0 && p.made_count) {
        find_sides(&p);
        warn_of_lonely(&p);
        replace(&p);
        result = check_names(o, error);
    }
    for (size_t i = 0; i < o->model_count && p.fates; i++)
        free(p.fates[i]);
    free(p.fates);
    free(p.made);
    return result < 0 ? -1 : p.made_count != 0;
}

void tu_pack_say(const struct tu_pack *p, char *room, size_t size)
{
    int n = snprintf(room, size, "%s", p->scheme);
    if (p->unread)
        snprintf(room + n, size - (size_t)n, ", not read");
    else if (p->group_rows)
        snprintf(room + n, size - (size_t)n, ", %u bits, blocks of %" PRIu64 " x %" PRIu64, p->bits,
                 p->group_rows, p->group);
    else if (p->group)
        snprintf(room + n, size - (size_t)n, ", %u bits, groups of %" PRIu64, p->bits, p->group);
    else
        snprintf(room + n, size - (size_t)n, ", %u bits", p->bits);
}
