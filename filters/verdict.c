/* SPDX-License-Identifier: MIT */
/* verdict: judges records by rules.  The only filter that exits 1.  Longer than 400 lines: half of
 * it is what its options want of one another, and of files that must not be replaced. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "judge/artifact.h"
#include "tool/main.h"
#include "judge/contract.h"
#include "judge/discharge.h"
#include "judge/drift.h"
#include "judge/evidence.h"
#include "model/feed.h"
#include "judge/report.h"
#include "judge/signature.h"
#include "judge/shares.h"
#include "base/newfile.h"
#include "base/source.h"
#include "base/text.h"

enum { STATUS_PASS = 0, STATUS_FAIL = 1, WORST_DEFAULT = 5 };

static struct tu_tool tool;
static struct tu_list rule_texts, allow_texts, artifact_paths;
static struct tu_report_orders orders;
static const char *minimum, *profile;
static const char *contract_path, *claim, *evidence_path, *check_path;
static char **command_words;
static uint64_t worst_count = WORST_DEFAULT;
static const char *sign_path, *signers_path;
static bool allow_empty, writes_block;
static bool begun; /* the options were taken, and are looked at */

/* What --expect asks for; 0: any number. */
static struct {
    uint64_t streams, tensors;
} expected;

/* "streams=N,tensors=N" */
static int parse_expected(void *target, const char *text, struct tu_error *error)
{
    (void)target;
    const struct {
        const char *key;
        uint64_t *number;
    } keys[] = {{"streams=", &expected.streams}, {"tensors=", &expected.tensors}};
    for (const char *end;; text = end + 1) {
        char number[24];
        size_t k = 0, length = strcspn(text, ",");
        end = text + length;
        while (k < 2 && strncmp(text, keys[k].key, strlen(keys[k].key)) != 0)
            k++;
        size_t skip = k < 2 ? strlen(keys[k].key) : 0;
        if (k == 2 || length - skip >= sizeof number)
            return tu_fail(error, TU_EUSAGE, "'%s' is not streams=N,tensors=N", text);
        memcpy(number, text + skip, length - skip);
        number[length - skip] = '\0';
        if (!tu_parse_u64(number, keys[k].number) || !*keys[k].number)
            return tu_fail(error, TU_EUSAGE, "'%s' is no number from 1 on", number);
        if (!*end)
            return 0;
    }
}

static const struct tu_option options[] = {
    {0, "min", "X", "a cosine of at least X, and a length that it explains", tu_option_string,
     &minimum},
    {0, "rule", "RULE", "'[GLOB:]FIELD OP VALUE'; may be repeated", tu_option_list, &rule_texts},
    {0, "profile", "NAME", "rules of auto (default without a rule), exact, same-type or a file",
     tu_option_string, &profile},
    {0, "allow", "STATUS[:GLOB]", "do not fail tensors of this status; may be repeated",
     tu_option_list, &allow_texts},
    {0, "expect", "LIST", "streams=N, tensors=N: how many have to come", parse_expected, NULL},
    {0, "contract", "FILE", "rules and number of tensors from a claim of tensor-contract(5)",
     tu_option_string, &contract_path},
    {0, "claim", "ID", "the claim of the contract", tu_option_string, &claim},
    {0, "evidence", "FILE", "write sealed evidence of the verdict", tu_option_string,
     &evidence_path},
    {0, "artifact", "FILE", "a file that is part of the evidence; may be repeated", tu_option_list,
     &artifact_paths},
    {0, "sign", "KEY", "sign the evidence with an OpenSSH key, into FILE.sig", tu_option_string,
     &sign_path},
    {0, "check-evidence", "FILE", "tell whether evidence, contract and files still agree",
     tu_option_string, &check_path},
    {0, "signers", "FILE", "who may have signed evidence, as ssh-keygen(1) lists them",
     tu_option_string, &signers_path},
    {0, "write-block", NULL, "enter evidence that holds in the contract as discharged_evidence",
     tu_option_flag, &writes_block},
    {0, "allow-empty", NULL, "pass when nothing was judged", tu_option_flag, &allow_empty},
    {0, "report", "LIST", "json=, junit=, tap=, markdown=, html=, sarif=, github=FILE, or github",
     tu_report_parse, &orders},
    {0, "worst", "N", "show the N worst tensors (default 5)", tu_option_u64, &worst_count},
    {0, "table", NULL, "print text (the default, also into a pipe)", tu_option_table, &tool},
    {0, "json", NULL, "print everything as one JSON object", tu_option_json, &tool},
    {0, "tsv", NULL, "print one row a tensor", tu_option_tsv, &tool},
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* One run: the court, and what evidence is made of. */
struct trial {
    struct tu_court court;
    struct tu_contract contract;
    struct tu_artifacts artifacts;
    struct tu_makers makers;
    struct tu_commands commands;
    struct tu_streams streams;
};

/* Options that do not go together. */
static int check_options(struct tu_error *error)
{
    if (contract_path && expected.tensors)
        return tu_fail(error, TU_EUSAGE,
                       "--expect: the contract says how many tensors there have to be");
    bool rules = minimum || profile || rule_texts.count || allow_texts.count || allow_empty;
    if (!contract_path && (claim || evidence_path || check_path))
        return tu_fail(error, TU_EUSAGE, "%s needs a --contract",
                       check_path      ? "--check-evidence"
                       : evidence_path ? "--evidence"
                                       : "--claim");
    if (contract_path && !claim && !check_path)
        return tu_fail(error, TU_EUSAGE, "--contract needs a --claim");
    if (contract_path && rules)
        return tu_fail(error, TU_EUSAGE,
                       "--contract brings its own rules: --min, --rule, --profile, --allow and "
                       "--allow-empty do not go with it");
    if (artifact_paths.count && !evidence_path)
        return tu_fail(error, TU_EUSAGE, "--artifact needs --evidence");
    if (sign_path && !evidence_path)
        return tu_fail(error, TU_EUSAGE, "--sign needs --evidence");
    if (!check_path && (signers_path || writes_block))
        return tu_fail(error, TU_EUSAGE, "%s needs --check-evidence",
                       signers_path ? "--signers" : "--write-block");
    if (check_path && (evidence_path || orders.count))
        return tu_fail(error, TU_EUSAGE, "--check-evidence writes no evidence and no reports");
    return 0;
}

/* ---- Rules ---- */

/* --min comes first: its field leads. */
static int take_rules(struct tu_court *c, struct tu_error *error)
{
    struct tu_rules *rules = &c->rules;
    struct tu_error inner = {0};
    c->profile = profile || minimum || rule_texts.count ? profile : "auto";
    if (minimum && tu_rules_minimum(rules, minimum, &inner) < 0)
        return tu_fail(error, inner.code, "--min: %s", inner.text);
    if (c->profile && tu_rules_profile(rules, c->profile, false, error) < 0)
        return -1;
    for (size_t i = 0; i < rule_texts.count; i++)
        if (tu_rules_add(rules, rule_texts.items[i], error) < 0)
            return -1;
    for (size_t i = 0; i < allow_texts.count; i++)
        if (tu_rules_allow(rules, allow_texts.items[i], &inner) < 0)
            return tu_fail(error, inner.code, "--allow: %s", inner.text);
    if (rules->count == 0)
        return tu_fail(error, TU_EINVALID, "%s: there is no rule in it", c->profile);
    return 0;
}

/* The rules of a claim, and how many records it expects. */
static int take_claim(struct trial *t, const char *id, struct tu_error *error)
{
    struct tu_court *c = &t->court;
    if (tu_contract_open(&t->contract, contract_path, id, &c->rules, error) < 0)
        return -1;
    c->profile = t->contract.profile;
    c->claim = t->contract.claim;
    c->expected = t->contract.expected;
    return 0;
}

static int hear_item(struct trial *t, const struct tu_feed *feed, const struct tu_item *item,
                     struct tu_error *error)
{
    const struct tu_stream_reader *stream = &feed->operand.stream;
    if (item->kind == TU_KIND_STREAM) {
        tu_court_stream(&t->court, stream->tool);
        return tu_streams_next(&t->streams, error);
    }
    if (item->kind == TU_KIND_SOURCE && tu_streams_source(&t->streams, &item->map, error) < 0)
        return -1;
    if (item->kind == TU_KIND_SOURCE && evidence_path)
        return tu_commands_note(&t->commands, &item->map, error) < 0
                   ? -1
                   : tu_artifacts_source(&t->artifacts, &item->map, error);
    if (item->kind != TU_KIND_RESULT)
        return 0;
    if (tu_value_equals(tu_value_get(&item->map, "kind"), "artifact"))
        return evidence_path ? tu_artifacts_record(&t->artifacts, &item->map, error) : 0;
    if (feed->operand.is_stream &&
        tu_makers_note(&t->makers, stream->tool, stream->tool_version, error) < 0)
        return -1;
    return tu_judge(&t->court, &item->map, error) < 0
               ? -1
               : tu_streams_result(&t->streams, &item->map, error);
}

static int hear(struct trial *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_feed feed;
    struct tu_item item;
    int more;
    if (tu_court_open(&t->court, error) < 0)
        return -1;
    tu_feed_open(&feed, &tool.session, operands, count, false);
    feed.segmenting = true;
    while ((more = tu_feed_next(&feed, &item, error)) > 0) {
        if (hear_item(t, &feed, &item, error) < 0) {
            more = -1;
            break;
        }
    }
    tu_feed_close(&feed);
    if (more == 0)
        more = tu_streams_next(&t->streams, error);
    if (more == 0)
        tu_court_sort(&t->court);
    return more;
}

/* ---- Reports ---- */

static bool is_same(const struct stat *a, const char *path)
{
    struct stat b;
    return path && stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* Whether a report would take the place of what this run reads. */
static bool is_input(const struct trial *t, const char *path, char **operands, size_t count)
{
    struct stat st, in;
    if (stat(path, &st) < 0)
        return false;
    if (fstat(STDIN_FILENO, &in) == 0 && in.st_dev == st.st_dev && in.st_ino == st.st_ino)
        return true;
    for (size_t i = 0; i < artifact_paths.count; i++)
        if (is_same(&st, artifact_paths.items[i]))
            return true;
    for (size_t i = 0; i < count; i++)
        if (is_same(&st, operands[i]))
            return true;
    return is_same(&st, profile) || is_same(&st, contract_path) ||
           is_same(&st, t->contract.profile_path);
}

/* The models that were compared are known when the results have come, which is too late. */
static int check_target(const char *option, const char *path, struct tu_error *error)
{
    uint8_t head[TENSOR_BID_BYTES];
    struct tu_error ignored = {0};
    struct tu_source source;
    if (tu_source_open_part(&source, path, &ignored) < 0)
        return 0;
    uint64_t size = source.size;
    size_t length = size < sizeof head ? (size_t)size : sizeof head;
    bool read = tu_source_read(&source, 0, head, length, &ignored) == 0;
    tu_source_close(&source);
    if (!read || !tu_plugins_detect(&tool.session.plugins, head, length, size))
        return 0;
    return tu_fail(error, TU_EUSAGE, "%s: %s is a model, and is not replaced", option, path);
}

static int check_orders(const struct trial *t, char **operands, size_t count,
                        struct tu_error *error)
{
    for (size_t i = 0; i < orders.count; i++) {
        const struct tu_report_order *order = &orders.items[i];
        if (!order->path && tool.mode != TU_MODE_AUTO && tool.mode != TU_MODE_TABLE)
            return tu_fail(error, TU_EUSAGE,
                           "--report: %s goes with the text on standard output; name a file",
                           order->format);
        if (order->path && is_input(t, order->path, operands, count))
            return tu_fail(error, TU_EUSAGE, "--report: %s is read, too", order->path);
        if (order->path && check_target("--report", order->path, error) < 0)
            return -1;
        if (order->path && evidence_path && tu_same_place(order->path, evidence_path))
            return tu_fail(error, TU_EUSAGE, "--report: %s is the evidence, too", order->path);
    }
    if (evidence_path && is_input(t, evidence_path, operands, count))
        return tu_fail(error, TU_EUSAGE, "--evidence: %s is read, too", evidence_path);
    if (evidence_path && check_target("--evidence", evidence_path, error) < 0)
        return -1;
    return tu_report_clear(&orders, error);
}

/* Whether a report shows more of the records than the court has to remember. */
static bool shows_records(void)
{
    for (size_t i = 0; i < orders.count; i++)
        if (orders.items[i].write == tu_report_html)
            return true;
    return false;
}

static int put_report(const struct tu_report_order *order, const struct tu_report *r,
                      struct tu_error *error)
{
    char *text;
    size_t length;
    if (tu_report_make(order, r, &text, &length, error) < 0)
        return -1;
    int result = 0;
    if (order->path)
        result = tu_save_text(order->path, true, text, length, error);
    else
        fwrite(text, 1, length, stdout);
    free(text);
    return result;
}

static int announce(struct tu_court *c, struct tu_error *error)
{
    char trouble[512];
    struct tu_report report = {.court = c, .worst = (size_t)worst_count};
    tu_report_fn *write = tool.mode == TU_MODE_JSON  ? tu_report_json
                          : tool.mode == TU_MODE_TSV ? tu_report_tsv
                                                     : tu_report_text;
    if (write(stdout, &report, error) < 0)
        return -1;
    for (size_t i = 0; i < orders.count; i++)
        if (put_report(&orders.items[i], &report, error) < 0)
            return -1;
    tu_court_trouble(c, trouble, sizeof trouble);
    if (tu_court_ruling(c) > TU_WRONG_COUNT)
        return tu_fail(error, TU_EINVALID, "%s", trouble);
    return tu_court_ruling(c) == TU_PASS ? STATUS_PASS : STATUS_FAIL;
}

/* ---- Evidence ---- */

/* The files are in the evidence with their digests, or there is none. */
static int collect_artifacts(struct tu_artifacts *a, struct tu_error *error)
{
    struct stat st;
    for (size_t i = 0; i < artifact_paths.count; i++)
        if (tu_artifacts_add(a, artifact_paths.items[i], error) < 0)
            return -1;
    size_t files = 0;
    for (size_t i = 0; i < a->count; i++)
        files += a->items[i].path != NULL;
    if (files == 0)
        return tu_fail(error, TU_EINVALID,
                       "--evidence: the results name no file that was compared (--artifact does)");
    bool exists = stat(evidence_path, &st) == 0;
    for (size_t i = 0; i < a->count && exists; i++)
        if (a->items[i].path && is_same(&st, a->items[i].path))
            return tu_fail(error, TU_EUSAGE, "--evidence: %s is one of the artifacts",
                           evidence_path);
    if (tu_artifacts_hash(a, (unsigned)tool.session.threads, error) < 0)
        return -1;
    for (size_t i = 0; i < a->count; i++)
        if (a->items[i].trouble)
            return tu_fail(error, TU_EINVALID, "--evidence: %s", a->items[i].trouble);
    return 0;
}

/* Comes last, since there is no evidence of a run that ended in trouble. */
static int put_evidence(struct trial *t, struct tu_error *error)
{
    struct tu_arena arena = {0};
    const struct tu_evidence evidence = {.court = &t->court,
                                         .contract = &t->contract,
                                         .artifacts = &t->artifacts,
                                         .makers = &t->makers,
                                         .commands = &t->commands,
                                         .command = command_words};
    const char *text;
    size_t length;
    if (fflush(stdout) != 0 || ferror(stdout))
        return tu_fail_errno(error, "standard output");
    int result = tu_evidence_text(&evidence, &arena, &text, &length, error);
    if (result == 0)
        result = sign_path ? tu_signature_make(evidence_path, text, length, sign_path, error)
                           : tu_signature_remove(evidence_path, error);
    if (result == 0)
        result = tu_save_text(evidence_path, true, text, length, error);
    tu_arena_free(&arena);
    return result;
}

/* ---- Whether evidence still holds ---- */

static int announce_check(const struct tu_check *c, struct tu_error *error)
{
    tu_check_fn *write = tool.mode == TU_MODE_JSON  ? tu_check_json
                         : tool.mode == TU_MODE_TSV ? tu_check_tsv
                                                    : tu_check_text;
    if (write(stdout, c, error) < 0)
        return -1;
    return c->drift.reasons.count ? STATUS_FAIL : STATUS_PASS;
}

/* Whose the evidence is.  Where nobody says who may sign, it is told that nobody asked. */
static int check_signature(struct tu_check *c, const struct tu_sealed *evidence,
                           struct tu_signature *found, struct tu_error *error)
{
    char *name = tu_signature_path(evidence->path);
    if (!name)
        return tu_fail_memory(error);
    c->signature = access(name, F_OK) == 0 ? "not checked (--signers)" : "unsigned";
    free(name);
    if (!signers_path)
        return 0;
    if (tu_signature_check(evidence->path, evidence->text, evidence->length, signers_path, found,
                           error) < 0)
        return -1;
    if (found->state == TU_UNSIGNED)
        return tu_drift_add(&c->drift, error, "it is unsigned");
    c->signature = found->state == TU_SIGNED ? found->text : "wrongly";
    return found->state == TU_SIGNED
               ? 0
               : tu_drift_add(&c->drift, error, "its signature does not hold: %s", found->text);
}

/* Enters what the evidence says in the contract, if it is all that stood in the way. */
static int write_block(const struct tu_contract *contract, const struct tu_sealed *evidence,
                       struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_error inner = {0};
    const char *text;
    char *edited;
    size_t length, edited_length;
    int result = tu_contract_text(contract_path, &arena, &text, &length, error);
    if (result == 0 && tu_discharge_write(text, length, contract->claim, evidence, &edited,
                                          &edited_length, &inner) < 0)
        result = tu_fail(error, inner.code, "%s: %s", contract_path, inner.text);
    else if (result == 0) {
        result = tu_save_text(contract_path, true, edited, edited_length, error);
        free(edited);
    }
    tu_arena_free(&arena);
    return result;
}

/* Results are held against the evidence where an operand names some. */
static int check_results(struct trial *t, const struct tensor_value *evidence, char **operands,
                         size_t count, struct tu_drift *drift, struct tu_error *error)
{
    if (count == 0)
        return 0;
    if (hear(t, operands, count, error) < 0)
        return -1;
    return tu_drift_results(drift, evidence, &t->court, error);
}

/* Holds the evidence against all that it is about.  A block that is to be written is not asked
 * for what it says now. */
static int check_evidence(struct trial *t, const struct tu_sealed *evidence, struct tu_check *check,
                          struct tu_signature *signature, char **operands, size_t count,
                          struct tu_error *error)
{
    const char *of = tu_value_get(&evidence->value, "claim_id")->string.bytes;
    if (take_claim(t, claim ? claim : of, error) < 0 ||
        check_signature(check, evidence, signature, error) < 0 ||
        tu_drift_check(&check->drift, evidence, &t->contract, &t->court.rules,
                       (unsigned)tool.session.threads, error) < 0 ||
        (!writes_block && tu_discharge_check(&check->drift, evidence, &t->contract, error) < 0) ||
        check_results(t, &evidence->value, operands, count, &check->drift, error) < 0)
        return -1;
    check->claim = t->contract.claim;
    return 0;
}

static int run_check(struct trial *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_sealed evidence;
    struct tu_signature signature = {0};
    struct tu_check check = {.path = check_path};
    int result = check_options(error);
    if (result == 0)
        result = tu_evidence_read(&evidence, check_path, &arena, error);
    if (result == 0)
        result = check_evidence(t, &evidence, &check, &signature, operands, count, error);
    if (result == 0 && writes_block && check.drift.reasons.count == 0)
        result = write_block(&t->contract, &evidence, error);
    if (result == 0)
        result = announce_check(&check, error);
    tu_drift_free(&check.drift);
    tu_arena_free(&arena);
    return result;
}

/* ---- The run ---- */

static int run_trial(struct trial *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_error later = {0};
    int result = check_options(error);
    if (result == 0)
        result = contract_path ? take_claim(t, claim, error) : take_rules(&t->court, error);
    /* What an earlier run has left goes in any case, and the first trouble is the one to be told.
     */
    if (check_orders(t, operands, count, result == 0 ? error : &later) < 0)
        result = -1;
    if (result == 0)
        result = hear(t, operands, count, error);
    if (result == 0 && evidence_path)
        result = collect_artifacts(&t->artifacts, error);
    if (result == 0)
        result = announce(&t->court, error);
    if (result >= 0 && evidence_path && put_evidence(t, error) < 0)
        result = -1;
    return result;
}

static int run(struct tu_tool *u, char **operands, size_t count, struct tu_error *error)
{
    struct trial t = {.court = {.empty_passes = allow_empty,
                                .keeping = shows_records(),
                                .expected = expected.tensors,
                                .expected_streams = expected.streams}};
    (void)u;
    begun = true;
    int result =
        check_path ? run_check(&t, operands, count, error) : run_trial(&t, operands, count, error);
    tu_court_free(&t.court);
    tu_streams_free(&t.streams);
    tu_contract_close(&t.contract);
    tu_artifacts_free(&t.artifacts);
    free(t.makers.items);
    tu_commands_free(&t.commands);
    return result;
}

/* A run that fails leaves no report of an earlier one, be it for a misspelt option. */
static void forget_reports(char **words)
{
    for (; *words; words++) {
        const char *name = strncmp(*words, "--", 2) == 0 ? *words + 2 : "";
        size_t length = strcspn(name, "=");
        if (length < strlen("rep") || strncmp(name, "report", length) != 0)
            continue;
        if (name[length])
            tu_report_forget(name + length + 1);
        else if (words[1])
            tu_report_forget(*++words);
    }
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "verdict",
        .synopsis = "[OPTION]... [RESULTS|-]...\n"
                    "--check-evidence FILE --contract FILE [OPTION]... [RESULTS|-]...",
        .about =
            "Judges the results that another filter put out, by rules on their fields, and says\n"
            "what was compared, what failed and what was not compared.",
        .options = options,
        .max_operands = SIZE_MAX,
        .judges = true,
        .run = run,
    };
    command_words = argv;
    int status = tu_main(&command, &tool, argc, argv);
    if (status > STATUS_FAIL && !begun)
        forget_reports(argv + 1);
    free(rule_texts.items);
    free(allow_texts.items);
    free(artifact_paths.items);
    tu_report_orders_free(&orders);
    return status;
}
