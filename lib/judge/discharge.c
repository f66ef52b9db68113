/* SPDX-License-Identifier: MIT */
/* Holds what a contract says of a claim's discharge against the evidence of it. */
#include "config.h"

#include "judge/discharge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/path.h"
#include "base/text.h"

/* One comparison on its way. */
struct check {
    struct tu_drift *drift;
    const struct tu_sealed *evidence;
    const struct tu_contract *contract;
    const char *where; /* in messages: "" or "discharged_evidence." */
    struct tu_error *error;
};

static const char *text_of(const struct tensor_value *v)
{
    return v && v->type == TENSOR_STRING ? v->string.bytes : NULL;
}

/* A member of the evidence, or of a map in it. */
static const struct tensor_value *member(const struct check *c, const char *map, const char *key)
{
    const struct tensor_value *from =
        map ? tu_value_get(&c->evidence->value, map) : &c->evidence->value;
    return from && from->type == TENSOR_MAP ? tu_value_get(from, key) : NULL;
}

/* A value as a message shows it. */
static const char *show(const struct tensor_value *v, char *out, size_t size)
{
    double number;
    uint64_t count;
    char digits[TU_NUMBER_SIZE];
    if (!v || v->type == TENSOR_NULL)
        snprintf(out, size, "nothing");
    else if (text_of(v))
        snprintf(out, size, "%s", text_of(v));
    else if (tu_value_uint(v, &count))
        snprintf(out, size, "%" PRIu64, count);
    else if (tu_value_number(v, &number)) {
        tu_format_double(number, digits);
        snprintf(out, size, "%s", digits);
    } else
        snprintf(out, size, "%s",
                 v->type == TENSOR_ARRAY     ? "a list"
                 : v->type == TENSOR_MAP     ? "a mapping"
                 : v->type == TENSOR_BOOLEAN ? (v->boolean ? "true" : "false")
                                             : "something else");
    return out;
}

static int differs(const struct check *c, const char *key, const struct tensor_value *stated,
                   const struct tensor_value *found)
{
    char a[256], b[256];
    return tu_drift_add(c->drift, c->error, "the contract's %s%s is %s, the evidence has %s",
                        c->where, key, show(stated, a, sizeof a), show(found, b, sizeof b));
}

/* Texts to the letter, numbers by their value. */
static bool is_equal(const struct tensor_value *a, const struct tensor_value *b)
{
    double x, y;
    if (!a || !b)
        return false;
    if (text_of(a) || text_of(b))
        return text_of(a) && tu_value_equals(b, text_of(a));
    return tu_value_number(a, &x) && tu_value_number(b, &y) && x == y;
}

typedef int check_fn(const struct check *c, const char *key, const struct tensor_value *stated);

static int check_plain(const struct check *c, const char *key, const struct tensor_value *stated)
{
    const struct tensor_value *found = member(c, NULL, key);
    return is_equal(stated, found) ? 0 : differs(c, key, stated, found);
}

static int check_count(const struct check *c, const char *key, const struct tensor_value *stated)
{
    const struct tensor_value *found = member(c, "results", key);
    return is_equal(stated, found) ? 0 : differs(c, key, stated, found);
}

static int check_host_member(const struct check *c, const char *key,
                             const struct tensor_value *stated)
{
    const struct tensor_value *found = member(c, "host", key);
    return is_equal(stated, found) ? 0 : differs(c, key, stated, found);
}

/* Of a mapping, what the evidence has too is compared. */
static int check_host(const struct check *c, const char *key, const struct tensor_value *stated)
{
    static const char *const known[] = {"hostname", "cpu", "kernel"};
    if (stated->type != TENSOR_MAP) {
        const struct tensor_value *name = member(c, "host", "hostname");
        return is_equal(stated, name) ? 0 : differs(c, key, stated, name);
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct tensor_value *v = tu_value_get(stated, known[i]);
        if (v && check_host_member(c, known[i], v) < 0)
            return -1;
    }
    return 0;
}

/* Pass and pass are one verdict. */
static int check_verdict(const struct check *c, const char *key, const struct tensor_value *stated)
{
    const struct tensor_value *found = member(c, NULL, "verdict");
    if (text_of(stated) && text_of(found) && strcasecmp(text_of(stated), text_of(found)) == 0)
        return 0;
    return differs(c, key, stated, found);
}

/* The value of the tensor that results name as the least or the greatest. */
static int check_extreme(const struct check *c, const char *key, const struct tensor_value *stated)
{
    const struct tensor_value *at = member(c, "results", key);
    const struct tensor_value *found =
        at && at->type == TENSOR_MAP ? tu_value_get(at, "value") : NULL;
    return is_equal(stated, found) ? 0 : differs(c, key, stated, found);
}

static int check_threshold(const struct check *c, const char *key,
                           const struct tensor_value *stated)
{
    const struct tensor_value *wants = tu_value_get(&c->contract->entry, "verdict");
    const struct tensor_value *found = wants ? tu_value_get(wants, key) : NULL;
    char a[256], b[256];
    if (is_equal(stated, found))
        return 0;
    return tu_drift_add(c->drift, c->error, "the contract's %s%s is %s, its verdict.%s is %s",
                        c->where, key, show(stated, a, sizeof a), key, show(found, b, sizeof b));
}

/* Whether a digest is that of the evidence, its seal, or of a file that it names. */
static bool knows_digest(const struct check *c, const char *digest)
{
    const struct tensor_value *seal = member(c, "seal", "digest");
    const struct tensor_value *files = member(c, NULL, "artifacts");
    if (strcasecmp(digest, c->evidence->sha256) == 0 ||
        (text_of(seal) && strcasecmp(digest, text_of(seal)) == 0))
        return true;
    for (size_t i = 0; files && files->type == TENSOR_ARRAY && i < files->array.count; i++) {
        const char *one = files->array.items[i].type == TENSOR_MAP
                              ? text_of(tu_value_get(&files->array.items[i], "sha256"))
                              : NULL;
        if (one && strcasecmp(digest, one) == 0)
            return true;
    }
    return false;
}

static int check_digest(const struct check *c, const char *key, const struct tensor_value *stated)
{
    char a[256];
    if (text_of(stated) && knows_digest(c, text_of(stated)))
        return 0;
    return tu_drift_add(c->drift, c->error,
                        "the contract's %s%s, %s, is no digest of the evidence or of its files",
                        c->where, key, show(stated, a, sizeof a));
}

/* Evidence is found again from another folder by the last part of its path. */
static bool names_evidence(const struct check *c, const struct tensor_value *v)
{
    const char *text = text_of(v);
    return text && (tu_value_equals(member(c, NULL, "evidence_id"), text) ||
                    strcmp(tu_file_name(text), tu_file_name(c->evidence->path)) == 0 ||
                    strcasecmp(text, c->evidence->sha256) == 0);
}

/* A list of what discharged the claim, or the name of the one that did: this evidence is in it. */
static int check_live(const struct check *c, const char *key, const struct tensor_value *stated)
{
    bool found = names_evidence(c, stated);
    for (size_t i = 0; stated->type == TENSOR_ARRAY && i < stated->array.count; i++)
        found = found || names_evidence(c, &stated->array.items[i]);
    if (found)
        return 0;
    return tu_drift_add(c->drift, c->error, "the contract's %s%s does not name this evidence",
                        c->where, key);
}

static int check_summary(const struct check *c, const char *key, const struct tensor_value *stated);

static const struct {
    const char *key;
    check_fn *check;
    bool beside; /* it may stand in the entry itself, where other keys mean other things */
} checks[] = {
    {"evidence_id", check_plain, true},
    {"claim_id", check_plain, false},
    {"falsification_id", check_plain, false},
    {"binds_to", check_plain, true},
    {"discharge_status", check_plain, false},
    {"host", check_host, true},
    {"hostname", check_host_member, false},
    {"cpu", check_host_member, false},
    {"kernel", check_host_member, false},
    {"aggregate_verdict", check_verdict, true},
    {"tensors_compared", check_count, true},
    {"below_threshold_count", check_count, true},
    {"cosine_summary", check_summary, true},
    {"min", check_extreme, false},
    {"max", check_extreme, false},
    {"threshold", check_threshold, false},
    {"sha256", check_digest, true},
    {"evidence", check_live, false},
    {"evidence_discharged_by", check_live, true},
    {"evidence_discharged_by_live", check_live, true},
};

/* Every key of a mapping that is known; of the entry itself only those that may stand there.  What
 * else a block says is noted. */
static int check_map(const struct check *c, const struct tensor_value *map, bool entry)
{
    for (size_t i = 0; i < map->map.count; i++) {
        const struct tensor_pair *pair = &map->map.pairs[i];
        size_t k = 0;
        while (k < sizeof checks / sizeof *checks && !tu_value_equals(&pair->key, checks[k].key))
            k++;
        if (k == sizeof checks / sizeof *checks || (entry && !checks[k].beside)) {
            if (!entry &&
                tu_drift_note(c->drift, c->error, "the contract's %s%.100s was not compared",
                              c->where, pair->key.string.bytes) < 0)
                return -1;
        } else if (checks[k].check(c, checks[k].key, &pair->value) < 0) {
            return -1;
        }
    }
    return 0;
}

static int check_summary(const struct check *c, const char *key, const struct tensor_value *stated)
{
    struct check inner = *c;
    char where[64];
    if (stated->type != TENSOR_MAP)
        return differs(c, key, stated, member(c, "results", key));
    snprintf(where, sizeof where, "%s%s.", c->where, key);
    inner.where = where;
    return check_map(&inner, stated, false);
}

/* A claim may still have the status from before the run, as long as nothing says otherwise. */
static int check_status(const struct check *c, bool has_block)
{
    static const char open[] = "PARTIAL_ALGORITHM_LEVEL";
    const struct tensor_value *stated = tu_value_get(&c->contract->entry, "discharge_status");
    const struct tensor_value *found = member(c, NULL, "discharge_status");
    if (stated && is_equal(stated, found))
        return 0;
    if (!has_block && (!stated || tu_value_equals(stated, open)))
        return tu_drift_note(c->drift, c->error,
                             "the contract does not say that the claim is discharged "
                             "(--write-block enters it)");
    return differs(c, "discharge_status", stated, found);
}

int tu_discharge_check(struct tu_drift *d, const struct tu_sealed *evidence,
                       const struct tu_contract *contract, struct tu_error *error)
{
    struct check c = {d, evidence, contract, "", error};
    const struct tensor_value *block = tu_value_get(&contract->entry, "discharged_evidence");
    if (block && block->type == TENSOR_NULL)
        block = NULL;
    if (check_status(&c, block != NULL) < 0 || check_map(&c, &contract->entry, true) < 0)
        return -1;
    if (!block)
        return 0;
    c.where = "discharged_evidence.";
    if (block->type != TENSOR_MAP)
        return tu_drift_add(d, error, "the contract's discharged_evidence is no mapping");
    return check_map(&c, block, false);
}
