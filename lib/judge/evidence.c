/* SPDX-License-Identifier: MIT */
/* Writes down what was judged, by what, where and when, and reads it again. */
#include "config.h"

#include "judge/evidence.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "tree/json.h"
#include "judge/canonical.h"
#include "judge/reports/parts.h"
#include "base/source.h"
#include "base/text.h"

enum { EVIDENCE_VERSION = 1, WORST = 5, EVIDENCE_MAX = 16 << 20 };

int tu_makers_note(struct tu_makers *m, const char *name, const char *version,
                   struct tu_error *error)
{
    struct tu_maker maker = {0};
    snprintf(maker.name, sizeof maker.name, "%s", name);
    snprintf(maker.version, sizeof maker.version, "%s", version);
    for (size_t i = 0; i < m->count; i++)
        if (memcmp(&m->items[i], &maker, sizeof maker) == 0)
            return 0;
    if (!TU_GROW(m->items, m->count, m->capacity))
        return tu_fail_memory(error);
    m->items[m->count++] = maker;
    return 0;
}

/* ---- Members ---- */

static int open_member(struct tu_builder *b, const char *key, enum tensor_value_type type,
                       struct tu_error *error)
{
    return tu_builder_open(b, key, key ? strlen(key) : 0, type, TENSOR_NULL, error);
}

/* A member of the claim's entry, where it has one. */
static int put_entry(struct tu_builder *b, const char *key, const struct tensor_value *map,
                     const char *from, struct tu_error *error)
{
    const struct tensor_value *v = tu_value_get(map, from);
    return v ? tu_builder_put_tree(b, key, strlen(key), v, error) : 0;
}

/* Now, or the time that a build which has to be reproducible states. */
static int format_time(char *out, size_t size, struct tu_error *error)
{
    const char *stated = getenv("SOURCE_DATE_EPOCH");
    uint64_t seconds = (uint64_t)time(NULL);
    if (stated && !tu_parse_u64(stated, &seconds))
        return tu_fail(error, TU_EUSAGE, "SOURCE_DATE_EPOCH=%s: no number of seconds", stated);
    time_t moment = (time_t)seconds;
    struct tm parts;
    if (!gmtime_r(&moment, &parts) || !strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts))
        return tu_fail(error, TU_EUSAGE, "SOURCE_DATE_EPOCH=%s: no time", stated ? stated : "");
    return 0;
}

static int put_identity(struct tu_builder *b, const struct tu_evidence *e, struct tu_error *error)
{
    const struct tu_contract *c = e->contract;
    char moment[32], id[1024], reason[512];
    bool passed = tu_court_ruling(e->court) == TU_PASS;
    if (format_time(moment, sizeof moment, error) < 0)
        return -1;
    snprintf(id, sizeof id, "%.900s@%s", c->claim, moment);
    if (tu_put_string(b, "kind", "evidence", error) < 0 ||
        tu_put_uint(b, "version", EVIDENCE_VERSION, error) < 0 ||
        tu_put_string(b, "evidence_id", id, error) < 0 ||
        tu_put_string(b, "claim_id", c->claim, error) < 0 ||
        tu_put_string(b, "falsification_id", c->claim, error) < 0 ||
        put_entry(b, "binds_to", &c->entry, "binds_to", error) < 0 ||
        tu_put_string(b, "time", moment, error) < 0 ||
        tu_put_string(b, "verdict", tu_court_words(e->court), error) < 0)
        return -1;
    tu_court_trouble(e->court, reason, sizeof reason);
    if (!*reason && !passed)
        snprintf(reason, sizeof reason, "%zu tensors did not pass", tu_court_failures(e->court));
    if (!passed)
        return tu_put_string(b, "reason", reason, error);
    if (tu_put_string(b, "discharge_status", c->discharge, error) < 0)
        return -1;
    return put_entry(b, "previous_status", &c->entry, "discharge_status", error);
}

static int put_contract(struct tu_builder *b, const struct tu_contract *c, struct tu_error *error)
{
    if (open_member(b, "contract", TENSOR_MAP, error) < 0 ||
        tu_put_string(b, "path", c->path, error) < 0 ||
        tu_put_string(b, "sha256", c->sha256, error) < 0 ||
        put_entry(b, "version", &c->metadata, "version", error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

/* What the kernel calls the processor, where it does. */
static void name_cpu(char *out, size_t size, const char *fallback)
{
    static const char key[] = "model name";
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(out, size, "%s", fallback);
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, sizeof key - 1) != 0 || !colon)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (file)
        fclose(file);
}

static int put_host(struct tu_builder *b, struct tu_error *error)
{
    struct utsname system;
    char cpu[256], kernel[sizeof system.sysname + sizeof system.release + sizeof system.machine];
    if (uname(&system) < 0)
        return tu_fail_errno(error, "the name of the host");
    name_cpu(cpu, sizeof cpu, system.machine);
    snprintf(kernel, sizeof kernel, "%s %s %s", system.sysname, system.release, system.machine);
    if (open_member(b, "host", TENSOR_MAP, error) < 0 ||
        tu_put_string(b, "hostname", system.nodename, error) < 0 ||
        tu_put_string(b, "cpu", cpu, error) < 0 || tu_put_string(b, "kernel", kernel, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int put_command(struct tu_builder *b, char *const *words, struct tu_error *error)
{
    char *text = tu_shell_line(words, SIZE_MAX);
    int result = text ? tu_put_string(b, "command", text, error) : tu_fail_memory(error);
    free(text);
    return result;
}

static int put_commands(struct tu_builder *b, const struct tu_commands *c, struct tu_error *error)
{
    if (open_member(b, "commands", TENSOR_ARRAY, error) < 0)
        return -1;
    for (size_t i = 0; i < c->count; i++)
        if (tu_put_string(b, NULL, c->items[i], error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

/* ---- Commands ---- */

/* Puts a command before another, unless it is there already; *at is where it is then. */
static int note_command(struct tu_commands *c, const char *text, size_t *at, struct tu_error *error)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->items[i], text) == 0) {
            *at = i;
            return 0;
        }
    char *copy = strdup(text);
    if (!copy || !TU_GROW(c->items, c->count, c->capacity)) {
        free(copy);
        return tu_fail_memory(error);
    }
    memmove(c->items + *at + 1, c->items + *at, (c->count - *at) * sizeof *c->items);
    c->items[*at] = copy;
    c->count++;
    return 0;
}

/* The last of a list is the one that all have in common: the others stand before it. */
int tu_commands_note(struct tu_commands *c, const struct tensor_value *source,
                     struct tu_error *error)
{
    const struct tensor_value *list = tu_value_get(source, "commands");
    size_t at = c->count;
    if (!list)
        return 0;
    if (list->type != TENSOR_ARRAY)
        return tu_fail(error, TU_EINVALID, "a source record: its commands are no list");
    for (size_t i = list->array.count; i--;) {
        const char *text;
        size_t length;
        if (!tu_value_string(&list->array.items[i], &text, &length))
            return tu_fail(error, TU_EINVALID, "a source record: its commands are no texts");
        if (note_command(c, text, &at, error) < 0)
            return -1;
    }
    return 0;
}

void tu_commands_free(struct tu_commands *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->items[i]);
    free(c->items);
    *c = (struct tu_commands){0};
}

static int put_maker(struct tu_builder *b, const char *name, const char *version,
                     struct tu_error *error)
{
    if (open_member(b, NULL, TENSOR_MAP, error) < 0 || tu_put_string(b, "name", name, error) < 0 ||
        (*version && tu_put_string(b, "version", version, error) < 0))
        return -1;
    return tu_builder_close(b, error);
}

static int put_makers(struct tu_builder *b, const struct tu_makers *m, struct tu_error *error)
{
    if (open_member(b, "tools", TENSOR_ARRAY, error) < 0)
        return -1;
    for (size_t i = 0; i < m->count; i++)
        if (put_maker(b, m->items[i].name, m->items[i].version, error) < 0)
            return -1;
    return put_maker(b, "verdict", PACKAGE_VERSION, error) < 0 ? -1 : tu_builder_close(b, error);
}

static int put_artifacts(struct tu_builder *b, const struct tu_artifacts *a, struct tu_error *error)
{
    if (open_member(b, "artifacts", TENSOR_ARRAY, error) < 0)
        return -1;
    for (size_t i = 0; i < a->count; i++) {
        const struct tu_artifact *x = &a->items[i];
        if (open_member(b, NULL, TENSOR_MAP, error) < 0 ||
            tu_put_string(b, x->path ? "path" : "name", x->path ? x->path : x->name, error) < 0 ||
            tu_put_string(b, "role", x->role, error) < 0 ||
            (x->format && tu_put_string(b, "format", x->format, error) < 0) ||
            tu_put_uint(b, "size_bytes", x->bytes, error) < 0 ||
            tu_put_string(b, "sha256", x->sha256, error) < 0 || tu_builder_close(b, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

/* ---- Rules ---- */

/* Room for a rule or an allowance as text. */
static size_t room_for(const struct tu_rule *r)
{
    size_t room = 64 + (r->glob ? strlen(r->glob) : 0) + strlen(r->field) + strlen(r->text);
    return r->condition ? room + room_for(r->condition) : room;
}

static int make_list(size_t count, struct tu_arena *arena, struct tensor_value *out,
                     struct tensor_value **items, struct tu_error *error)
{
    *items = tu_arena_alloc(arena, (count + 1) * sizeof **items);
    *out = (struct tensor_value){.type = TENSOR_ARRAY, .array = {*items, count}};
    return *items ? 0 : tu_fail_memory(error);
}

int tu_evidence_rules(const struct tu_rules *rules, struct tu_arena *arena,
                      struct tensor_value *out, struct tu_error *error)
{
    struct tensor_value *items;
    if (make_list(rules->count, arena, out, &items, error) < 0)
        return -1;
    for (size_t i = 0; i < rules->count; i++) {
        size_t room = room_for(&rules->items[i]);
        char *text = tu_arena_alloc(arena, room);
        if (!text)
            return tu_fail_memory(error);
        tu_rule_text(&rules->items[i], false, text, room);
        items[i] = (struct tensor_value){.type = TENSOR_STRING, .string = {text, strlen(text)}};
    }
    return 0;
}

int tu_evidence_allowances(const struct tu_rules *rules, struct tu_arena *arena,
                           struct tensor_value *out, struct tu_error *error)
{
    struct tensor_value *items;
    if (make_list(rules->allowed, arena, out, &items, error) < 0)
        return -1;
    for (size_t i = 0; i < rules->allowed; i++) {
        const struct tu_allowance *a = &rules->allowances[i];
        size_t room =
            64 + (a->glob ? strlen(a->glob) : 0) + (a->condition ? room_for(a->condition) : 0);
        char *text = tu_arena_alloc(arena, room);
        if (!text)
            return tu_fail_memory(error);
        tu_allowance_text(a, text, room);
        items[i] = (struct tensor_value){.type = TENSOR_STRING, .string = {text, strlen(text)}};
    }
    return 0;
}

static int put_rules(struct tu_builder *b, const struct tu_evidence *e, struct tu_error *error)
{
    const struct tu_rules *rules = &e->court->rules;
    struct tensor_value list;
    if (tu_put_uint(b, "expected_tensors", e->contract->expected, error) < 0 ||
        (e->contract->profile && tu_put_string(b, "profile", e->contract->profile, error) < 0) ||
        tu_evidence_rules(rules, b->arena, &list, error) < 0 ||
        tu_builder_put_tree(b, "rules", strlen("rules"), &list, error) < 0 ||
        tu_evidence_allowances(rules, b->arena, &list, error) < 0)
        return -1;
    return tu_builder_put_tree(b, "allow", strlen("allow"), &list, error);
}

/* ---- Numbers ---- */

static int put_results(struct tu_builder *b, const struct tu_court *c, struct tu_error *error)
{
    size_t ranked = tu_court_ranked(c), worst = ranked < WORST ? ranked : WORST;
    if (tu_put_uint(b, "tensors_compared", c->compared, error) < 0 ||
        tu_put_totals(b, c, error) < 0 ||
        tu_put_uint(b, "below_threshold_count", c->below, error) < 0)
        return -1;
    return tu_put_records(b, "worst_5_tensors", c, 0, worst, error);
}

/* What is written and read again: a NaN has become null, and a whole number an integer. */
static int reread(const struct tensor_value *map, struct tu_arena *arena, struct tensor_value *out,
                  struct tu_error *error)
{
    const char *text;
    size_t length;
    if (tu_json_text(map, arena, &text, &length, error) < 0)
        return -1;
    return tu_json_parse(text, length, TU_DUPLICATES_REFUSED, arena, out, error);
}

/* Builds a map by what fill puts into it. */
typedef int fill_fn(struct tu_builder *b, const void *subject, struct tu_error *error);

static int build(fill_fn *fill, const void *subject, struct tu_arena *arena,
                 struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    struct tensor_value map;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (fill(&b, subject, error) < 0) {
        tu_builder_cancel(&b);
        return -1;
    }
    return tu_builder_end(&b, &map, error) < 0 ? -1 : reread(&map, arena, out, error);
}

static int fill_results(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    return put_results(b, subject, error);
}

int tu_evidence_results(const struct tu_court *c, struct tu_arena *arena, struct tensor_value *out,
                        struct tu_error *error)
{
    return build(fill_results, c, arena, out, error);
}

/* ---- The whole ---- */

static int fill_evidence(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_evidence *e = subject;
    if (put_identity(b, e, error) < 0 || put_contract(b, e->contract, error) < 0 ||
        put_host(b, error) < 0 || put_commands(b, e->commands, error) < 0 ||
        put_command(b, e->command, error) < 0 || put_makers(b, e->makers, error) < 0 ||
        put_artifacts(b, e->artifacts, error) < 0 || put_rules(b, e, error) < 0 ||
        open_member(b, "results", TENSOR_MAP, error) < 0 || put_results(b, e->court, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int fill_sealed(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tensor_value *map = subject;
    char seal[TU_DIGEST_TEXT];
    for (size_t i = 0; i < map->map.count; i++) {
        const struct tensor_pair *pair = &map->map.pairs[i];
        if (tu_builder_put_tree(b, pair->key.string.bytes, pair->key.string.length, &pair->value,
                                error) < 0)
            return -1;
    }
    if (tu_evidence_seal(map, seal, error) < 0 || open_member(b, "seal", TENSOR_MAP, error) < 0 ||
        tu_put_string(b, "algorithm", "sha256", error) < 0 ||
        tu_put_string(b, "digest", seal, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

int tu_evidence_text(const struct tu_evidence *e, struct tu_arena *arena, const char **text,
                     size_t *length, struct tu_error *error)
{
    struct tensor_value map, sealed;
    if (build(fill_evidence, e, arena, &map, error) < 0 ||
        build(fill_sealed, &map, arena, &sealed, error) < 0)
        return -1;
    return tu_json_page(&sealed, arena, text, length, error);
}

static int check_members(const struct tensor_value *map, struct tu_error *error)
{
    static const struct {
        const char *key;
        enum tensor_value_type type;
    } wanted[] = {
        {"claim_id", TENSOR_STRING},
        {"verdict", TENSOR_STRING},
        {"contract", TENSOR_MAP},
        {"artifacts", TENSOR_ARRAY},
        {"expected_tensors", TENSOR_INT64},
        {"rules", TENSOR_ARRAY},
        {"allow", TENSOR_ARRAY},
        {"results", TENSOR_MAP},
        {"seal", TENSOR_MAP},
    };
    uint64_t version;
    if (!tu_value_equals(tu_value_get(map, "kind"), "evidence"))
        return tu_fail(error, TU_EINVALID, "this is no evidence");
    if (!tu_value_uint(tu_value_get(map, "version"), &version) || version != EVIDENCE_VERSION)
        return tu_fail(error, TU_EINVALID, "its version is not %d", EVIDENCE_VERSION);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const struct tensor_value *v = tu_value_get(map, wanted[i].key);
        if (!v || v->type != wanted[i].type)
            return tu_fail(error, TU_EINVALID, "it has no %s", wanted[i].key);
    }
    return 0;
}

int tu_evidence_read(struct tu_sealed *s, const char *path, struct tu_arena *arena,
                     struct tu_error *error)
{
    struct tu_error inner = {0};
    *s = (struct tu_sealed){.path = path};
    if (tu_read_whole(path, "evidence", EVIDENCE_MAX, arena, &s->text, &s->length, error) < 0)
        return -1;
    if (tu_json_parse(s->text, s->length, TU_DUPLICATES_REFUSED, arena, &s->value, &inner) < 0 ||
        check_members(&s->value, &inner) < 0 ||
        tu_sha256(s->text, s->length, s->sha256, &inner) < 0)
        return tu_fail(error, inner.code, "%s: %s", path, inner.text);
    return 0;
}
