/* SPDX-License-Identifier: MIT */
/*
 * From functions to kernels: calls are replaced by the code of the callee, so that a warp needs no
 * stack of calls, and every branch learns where its sides meet again: at its nearest post-dominator
 * (the algorithm of Cooper, Harvey and Kennedy, on the graph with its edges turned).
 */
#include "config.h"

#include "ptxsim.h"

#include <stdlib.h>
#include <string.h>

enum { CODE_MAX = 1 << 20, INLINE_DEPTH = 32 };

struct linker {
    struct module *module;
    struct kernel *kernel;
    unsigned depth;
    char *log;
    bool failed;
};

static void fail(struct linker *l, uint32_t line, const char *name, const char *what)
{
    if (l->failed)
        return;
    int used = snprintf(l->log, LOG_MAX, "ptxsim: line %u: ", line);
    snprintf(l->log + used, LOG_MAX - (size_t)used, "%s: %s", name, what);
    l->failed = true;
}

static uint32_t append(struct linker *l, const struct instr *i)
{
    struct kernel *k = l->kernel;
    if (k->count == k->room) {
        k->room = k->room ? k->room * 2 : 256;
        k->code = realloc(k->code, k->room * sizeof *k->code);
        if (!k->code)
            abort();
    }
    if (k->count >= CODE_MAX)
        fail(l, i->line, k->name, "the kernel is too long");
    else
        k->code[k->count++] = *i;
    return (uint32_t)k->count - 1;
}

static int32_t moved(int32_t operand, int32_t base)
{
    return operand >= FIRST_REGISTER ? operand + base : operand;
}

static void move_registers(struct instr *i, int32_t base)
{
    for (int j = 0; j < OPERANDS; j++)
        i->op[j] = moved(i->op[j], base);
    i->guard = moved(i->guard, base);
}

static void append_copy(struct linker *l, const struct instr *call, uint64_t to, uint64_t from,
                        uint64_t size)
{
    struct instr i = {.run = memory_copy_parameter,
                      .displacement = (int64_t)to,
                      .displacement_from = (int64_t)from,
                      .target = (uint32_t)size,
                      .guard = NONE,
                      .line = call->line,
                      .kind = call->kind};
    append(l, &i);
}

static void append_function(struct linker *l, const struct function *f);

static const struct function *find_callee(struct linker *l, const struct call *c, uint32_t line)
{
    for (size_t i = 0; i < l->module->function_count; i++) {
        const struct function *f = l->module->functions[i];
        if (f->has_body && !f->is_entry && strcmp(f->name, c->callee) == 0) {
            if (f->result_count != c->result_count ||
                f->parameter_count != c->result_count + c->argument_count)
                fail(l, line, c->callee, "the call has other parameters");
            return f;
        }
    }
    fail(l, line, c->callee, "there is no code of this function");
    return NULL;
}

/* A guarded call is a branch around it; its target is set when the end of the call is known. */
static void append_call(struct linker *l, const struct function *f, const struct instr *i,
                        int32_t base)
{
    const struct call *c = &f->calls[i->target];
    const struct function *callee = find_callee(l, c, i->line);
    if (l->depth == INLINE_DEPTH)
        fail(l, i->line, c->callee, "it calls itself, or calls are nested too deeply");
    if (l->failed)
        return;
    uint32_t around = UINT32_MAX;
    if (i->guard != NONE) {
        struct instr branch = *i;
        move_registers(&branch, base);
        branch.control = BRANCH;
        branch.guard_not = !branch.guard_not;
        around = append(l, &branch);
    }
    for (uint32_t j = 0; j < c->argument_count; j++)
        append_copy(l, i, callee->parameters[c->result_count + j], c->arguments[j],
                    callee->parameter_sizes[c->result_count + j]);
    append_function(l, callee);
    for (uint32_t j = 0; j < c->result_count; j++)
        append_copy(l, i, c->results[j], callee->parameters[j], callee->parameter_sizes[j]);
    if (around != UINT32_MAX)
        l->kernel->code[around].target = (uint32_t)l->kernel->count;
}

/* Targets are places in the function until all of it has been appended: places[] has where these
 * are now.  In what is called, a return is a branch to the end. */
static void resolve(struct linker *l, const struct function *f, const uint32_t *places)
{
    struct kernel *k = l->kernel;
    for (size_t j = 0; j < f->count; j++) {
        struct instr *i = &k->code[places[j]];
        if (f->code[j].control == BRANCH)
            i->target = places[f->code[j].target];
        if (f->code[j].control == RETURN && l->depth > 1) {
            i->control = BRANCH;
            i->target = (uint32_t)k->count;
        }
    }
}

static void append_function(struct linker *l, const struct function *f)
{
    struct kernel *k = l->kernel;
    int32_t base = k->register_bytes - FIRST_REGISTER;
    uint32_t *places = malloc((f->count + 1) * sizeof *places);
    if (!places)
        abort();
    k->register_bytes += f->register_bytes - FIRST_REGISTER;
    if (k->register_bytes > 1 << 27)
        fail(l, f->code[0].line, f->name, "it needs too many registers");
    l->depth++;
    for (size_t j = 0; j < f->count && !l->failed; j++) {
        struct instr i = f->code[j];
        places[j] = (uint32_t)k->count;
        if (i.control == CALL) {
            append_call(l, f, &i, base);
            continue;
        }
        move_registers(&i, base);
        append(l, &i);
    }
    if (!l->failed)
        resolve(l, f, places);
    l->depth--;
    free(places);
}

/* ---- where sides meet ---- */

struct graph {
    const struct instr *code;
    uint32_t count;
    uint32_t *order;         /* numbers in a post-order walk of the turned graph, from the end */
    uint32_t *list;          /* by that number */
    uint32_t *meet;          /* immediate post-dominator; count is the virtual end */
    uint32_t *first, *edges; /* predecessors of n: edges[first[n]] up to edges[first[n + 1]] */
};

/* Where control may go after an instruction: at most two. */
static unsigned successors(const struct graph *g, uint32_t n, uint32_t to[2])
{
    const struct instr *i = &g->code[n];
    unsigned count = 0;
    if (i->control == BRANCH)
        to[count++] = i->target;
    else if (i->control == EXIT || i->control == RETURN)
        to[count++] = g->count;
    bool ends = i->control == BRANCH || i->control == EXIT || i->control == RETURN;
    if (!ends || i->guard != NONE)
        to[count++] = n + 1;
    return count;
}

static void turn_edges(struct graph *g)
{
    uint32_t to[2];
    for (uint32_t n = 0; n < g->count; n++)
        for (unsigned k = successors(g, n, to); k-- > 0;)
            g->first[to[k] + 1]++;
    for (uint32_t n = 0; n <= g->count; n++)
        g->first[n + 1] += g->first[n];
    for (uint32_t n = 0; n < g->count; n++)
        for (unsigned k = successors(g, n, to); k-- > 0;)
            g->edges[g->first[to[k]]++] = n;
    for (uint32_t n = g->count + 1; n > 0; n--)
        g->first[n] = g->first[n - 1];
    g->first[0] = 0;
}

/* A walk without recursion: next[] is the edge of each node on the stack that is to be taken next.
 */
static uint32_t number_nodes(struct graph *g, uint32_t *stack, uint32_t *next)
{
    uint32_t depth = 0, number = 0;
    for (uint32_t n = 0; n <= g->count; n++)
        g->order[n] = UINT32_MAX;
    stack[depth] = g->count;
    next[depth++] = g->first[g->count];
    g->order[g->count] = UINT32_MAX - 1; /* seen */
    while (depth) {
        uint32_t n = stack[depth - 1];
        if (next[depth - 1] == g->first[n + 1]) {
            g->order[n] = number;
            g->list[number++] = n;
            depth--;
            continue;
        }
        uint32_t from = g->edges[next[depth - 1]++];
        if (g->order[from] == UINT32_MAX) {
            g->order[from] = UINT32_MAX - 1;
            stack[depth] = from;
            next[depth++] = g->first[from];
        }
    }
    return number;
}

static uint32_t intersect(const struct graph *g, uint32_t a, uint32_t b)
{
    while (a != b) {
        while (g->order[a] < g->order[b])
            a = g->meet[a];
        while (g->order[b] < g->order[a])
            b = g->meet[b];
    }
    return a;
}

static bool improve(struct graph *g, uint32_t n)
{
    uint32_t to[2], best = UINT32_MAX;
    for (unsigned k = successors(g, n, to); k-- > 0;)
        if (g->meet[to[k]] != UINT32_MAX)
            best = best == UINT32_MAX ? to[k] : intersect(g, best, to[k]);
    if (best == UINT32_MAX || best == g->meet[n])
        return false;
    g->meet[n] = best;
    return true;
}

/* What never ends is in no order: there the sides meet nowhere. */
static void find_meetings(struct graph *g, uint32_t numbered)
{
    for (uint32_t n = 0; n <= g->count; n++)
        g->meet[n] = UINT32_MAX;
    g->meet[g->count] = g->count;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t k = numbered - 1; k-- > 0;)
            changed = improve(g, g->list[k]) || changed;
    }
}

static void find_joins(struct kernel *k)
{
    size_t n = k->count + 2;
    uint32_t *space = calloc(n * 8, sizeof *space);
    if (!space)
        abort();
    struct graph g = {.code = k->code,
                      .count = (uint32_t)k->count,
                      .order = space,
                      .list = space + n,
                      .meet = space + 2 * n,
                      .first = space + 3 * n,
                      .edges = space + 4 * n};
    turn_edges(&g);
    find_meetings(&g, number_nodes(&g, space + 6 * n, space + 7 * n));
    for (uint32_t j = 0; j < k->count; j++)
        k->code[j].join = g.meet[j] == UINT32_MAX ? g.count : g.meet[j];
    free(space);
}

static void link_entry(struct linker *l, struct function *f)
{
    struct kernel *k = calloc(1, sizeof *k);
    if (!k)
        abort();
    f->kernel = l->kernel = k;
    k->name = f->name;
    k->register_bytes = FIRST_REGISTER;
    append_function(l, f);
    if (!l->failed)
        find_joins(k);
}

bool module_link(struct module *m, char log[LOG_MAX])
{
    struct linker l = {.module = m, .log = log};
    for (size_t i = 0; i < m->function_count && !l.failed; i++)
        if (m->functions[i]->is_entry && m->functions[i]->has_body)
            link_entry(&l, m->functions[i]);
    return !l.failed;
}
