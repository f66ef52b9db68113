/* SPDX-License-Identifier: MIT */
/* Who sealed evidence: ssh-keygen -Y is run on its bytes, to sign them or to check who did. */
#include "config.h"

#include "judge/signature.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "base/newfile.h"

extern char **environ;

/* A signature is some hundred bytes; a certificate adds some thousand. */
enum { SIGNATURE_MAX = 1 << 16 };

/* A run of ssh-keygen: what it reads, and what came of it.  Files, so that neither side waits. */
struct run {
    FILE *in, *out, *complaints;
    int status;
};

static void close_run(struct run *r)
{
    FILE *files[] = {r->in, r->out, r->complaints};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i])
            fclose(files[i]);
}

static int open_run(struct run *r, const char *text, size_t length, struct tu_error *error)
{
    *r = (struct run){.in = tmpfile(), .out = tmpfile(), .complaints = tmpfile()};
    if (r->in && r->out && r->complaints && fwrite(text, 1, length, r->in) == length &&
        fflush(r->in) == 0 && lseek(fileno(r->in), 0, SEEK_SET) == 0)
        return 0;
    tu_fail_errno(error, "a temporary file for ssh-keygen");
    close_run(r);
    return -1;
}

static int wait_for(pid_t child, int *status, struct tu_error *error)
{
    while (waitpid(child, status, 0) < 0)
        if (errno != EINTR)
            return tu_fail_errno(error, "ssh-keygen");
    return 0;
}

static int start(struct run *r, const char *const words[], struct tu_error *error)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return tu_fail_memory(error);
    int failed = posix_spawn_file_actions_adddup2(&actions, fileno(r->in), STDIN_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, fileno(r->out), STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, fileno(r->complaints), STDERR_FILENO);
    if (!failed)
        failed = posix_spawnp(&child, words[0], &actions, NULL, (char *const *)words, environ);
    posix_spawn_file_actions_destroy(&actions);
    errno = failed;
    if (failed == ENOENT)
        return tu_fail(error, TU_EUSAGE, "ssh-keygen is not there (openssh-client has it)");
    if (failed)
        return tu_fail_errno(error, "ssh-keygen");
    return wait_for(child, &r->status, error);
}

/* The first line of what a run put out, without its end; "" where there is none. */
static void first_line(FILE *file, char *out, size_t size)
{
    rewind(file);
    if (!fgets(out, (int)size, file))
        *out = '\0';
    out[strcspn(out, "\r\n")] = '\0';
}

static bool has_succeeded(const struct run *r)
{
    return WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0;
}

static int fail_run(const struct run *r, const char *what, const char *path, struct tu_error *error)
{
    char line[400], shown[1000];
    first_line(r->complaints, line, sizeof line);
    tu_escape(line, strlen(line), shown, sizeof shown);
    return tu_fail(error, TU_EINVALID, "%s: %s: ssh-keygen: %.500s", path, what,
                   *shown ? shown : "it failed without a word");
}

/* ---- Making ---- */

char *tu_signature_path(const char *path)
{
    size_t room = strlen(path) + sizeof ".sig";
    char *name = malloc(room);
    if (name)
        snprintf(name, room, "%s.sig", path);
    return name;
}

static int save_signature(const struct run *r, const char *path, struct tu_error *error)
{
    char bytes[SIGNATURE_MAX];
    char *name = tu_signature_path(path);
    rewind(r->out);
    size_t length = fread(bytes, 1, sizeof bytes, r->out);
    int result = !name ? tu_fail_memory(error)
                 : length == 0 || length == sizeof bytes
                     ? tu_fail(error, TU_EINVALID, "%s: ssh-keygen made no signature", path)
                     : tu_save_text(name, true, bytes, length, error);
    free(name);
    return result;
}

int tu_signature_make(const char *path, const char *text, size_t length, const char *key,
                      struct tu_error *error)
{
    const char *const words[] = {"ssh-keygen",           "-q", "-Y", "sign", "-n",
                                 TU_SIGNATURE_NAMESPACE, "-f", key,  NULL};
    struct run r;
    if (open_run(&r, text, length, error) < 0)
        return -1;
    int result = start(&r, words, error);
    if (result == 0 && !has_succeeded(&r))
        result = fail_run(&r, "the evidence could not be signed", key, error);
    if (result == 0)
        result = save_signature(&r, path, error);
    close_run(&r);
    return result;
}

int tu_signature_remove(const char *path, struct tu_error *error)
{
    char *name = tu_signature_path(path);
    if (!name)
        return tu_fail_memory(error);
    int result = unlink(name) == 0 || errno == ENOENT ? 0 : tu_fail_errno(error, "%s", name);
    free(name);
    return result;
}

/* ---- Checking ---- */

/* Who of the signers has the key that a signature was made with; "" for none. */
static int find_signer(const char *name, const char *signers, char *signer, size_t size,
                       struct tu_error *error)
{
    const char *const words[] = {"ssh-keygen", "-Y", "find-principals", "-s",
                                 name,         "-f", signers,           NULL};
    struct run r;
    if (open_run(&r, "", 0, error) < 0)
        return -1;
    int result = start(&r, words, error);
    *signer = '\0';
    if (result == 0 && has_succeeded(&r))
        first_line(r.out, signer, size);
    close_run(&r);
    return result;
}

static int verify(const char *name, const char *text, size_t length, const char *signers,
                  const char *signer, struct tu_signature *out, struct tu_error *error)
{
    const char *const words[] = {"ssh-keygen", "-Y",   "verify", "-n", TU_SIGNATURE_NAMESPACE,
                                 "-I",         signer, "-s",     name, "-f",
                                 signers,      NULL};
    char line[200];
    struct run r;
    if (open_run(&r, text, length, error) < 0)
        return -1;
    int result = start(&r, words, error);
    bool good = result == 0 && has_succeeded(&r);
    first_line(good ? r.out : r.complaints, line, sizeof line);
    out->state = good ? TU_SIGNED : TU_SIGNED_WRONGLY;
    snprintf(out->text, sizeof out->text, "%s%s%s", signer, *line ? ": " : "", line);
    close_run(&r);
    return result;
}

static int check_readable(const char *path, struct tu_error *error)
{
    return access(path, R_OK) == 0 ? 0 : tu_fail_errno(error, "%s", path);
}

int tu_signature_check(const char *path, const char *text, size_t length, const char *signers,
                       struct tu_signature *out, struct tu_error *error)
{
    char signer[256];
    struct stat st;
    char *name = tu_signature_path(path);
    if (!name)
        return tu_fail_memory(error);
    *out = (struct tu_signature){.state = TU_UNSIGNED};
    int result = check_readable(signers, error);
    if (result == 0 && stat(name, &st) < 0 && errno == ENOENT) {
        free(name);
        return 0;
    }
    if (result == 0)
        result = check_readable(name, error);
    if (result == 0)
        result = find_signer(name, signers, signer, sizeof signer, error);
    if (result == 0 && *signer)
        result = verify(name, text, length, signers, signer, out, error);
    else if (result == 0)
        *out = (struct tu_signature){TU_SIGNED_WRONGLY, "its key is none of the signers'"};
    free(name);
    return result;
}
