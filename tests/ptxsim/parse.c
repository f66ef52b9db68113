/* SPDX-License-Identifier: MIT */
/* Declarations: modules, functions, variables, registers, labels. */
#include "config.h"

#include "parse.h"

#include <stdlib.h>
#include <string.h>

/* ---- constants ---- */

int32_t constant_of(struct module *m, uint64_t value, unsigned size)
{
    size_t at = m->constant_bytes;
    while (at + LANES * sizeof value > m->constant_room)
        m->constants = grow(m->constants, m->constant_room, &m->constant_room, 1);
    for (unsigned l = 0; l < LANES; l++)
        memcpy(m->constants + at + l * size, &value, size);
    m->constant_bytes += (size_t)LANES * size;
    return ~(int32_t)at;
}

/* ---- names ---- */

static struct symbol *add_symbol(struct parser *p, const char *name)
{
    p->symbols = grow(p->symbols, p->symbol_count, &p->symbol_room, sizeof *p->symbols);
    struct symbol *s = &p->symbols[p->symbol_count++];
    memset(s, 0, sizeof *s);
    strcpy(s->name, name);
    return s;
}

static size_t register_bytes(uint8_t width)
{
    return width ? (size_t)width * LANES : 32;
}

/* %r7 is one of %r<9>. */
static bool in_family(const struct symbol *s, const char *name, uint32_t *number)
{
    uint32_t n = 0;
    if (memcmp(s->name, name, s->prefix) != 0 || !name[s->prefix])
        return false;
    for (const char *digit = name + s->prefix; *digit; digit++) {
        if (*digit < '0' || *digit > '9' || n > UINT32_MAX / 16)
            return false;
        n = n * 10 + (uint32_t)(*digit - '0');
    }
    *number = n;
    return n < s->count;
}

bool find_symbol(struct parser *p, const char *name, struct symbol *one)
{
    for (size_t i = p->symbol_count; i-- > 0;) {
        const struct symbol *s = &p->symbols[i];
        uint32_t number = 0;
        if (s->is_family ? in_family(s, name, &number) : same(s->name, name)) {
            one->is_register = s->is_register;
            one->width = s->width;
            one->variable = s->variable;
            one->offset = s->offset;
            one->offset += (int32_t)(number * register_bytes(s->width));
            return true;
        }
    }
    return false;
}

static struct function *find_function(struct module *m, const char *name)
{
    for (size_t i = 0; i < m->function_count; i++)
        if (strcmp(m->functions[i]->name, name) == 0)
            return m->functions[i];
    return NULL;
}

static void read_name(struct parser *p, char name[WORD_MAX])
{
    strcpy(name, p->text);
    if (p->token != WORD)
        refuse(p, "'%s' where a name is wanted", p->text);
    next(p);
}

/* ---- types ---- */

static const struct {
    const char *name;
    int width;
} types[] = {
    {".pred", 0},   {".b8", 1},   {".u8", 1},  {".s8", 1},  {".b16", 2}, {".u16", 2}, {".s16", 2},
    {".f16", 2},    {".bf16", 2}, {".b32", 4}, {".u32", 4}, {".s32", 4}, {".f32", 4}, {".f16x2", 4},
    {".bf16x2", 4}, {".b64", 8},  {".u64", 8}, {".s64", 8}, {".f64", 8},
};

static int read_type(struct parser *p)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (take(p, types[i].name))
            return types[i].width;
    refuse(p, "'%s' where a type is wanted", p->text);
    return 4;
}

/* ---- variables ---- */

static uint64_t align_to(uint64_t at, uint64_t alignment)
{
    return (at + alignment - 1) / alignment * alignment;
}

static uint32_t add_variable(struct parser *p, const char *name, enum space space, uint64_t address,
                             uint64_t size)
{
    struct module *m = p->module;
    struct variable *grown = realloc(m->variables, (m->variable_count + 1) * sizeof *m->variables);
    if (!grown)
        abort();
    m->variables = grown;
    m->variables[m->variable_count] =
        (struct variable){.name = strdup(name), .space = space, .address = address, .size = size};
    add_symbol(p, name)->variable = (uint32_t)m->variable_count;
    return (uint32_t)m->variable_count++;
}

struct declaration {
    char name[WORD_MAX];
    uint64_t align, size, elements;
    unsigned element;
    bool is_float, open; /* open: [] */
};

/* .align 4 .b8 name[2][8], as far as a semicolon or an initializer. */
static void read_declaration(struct parser *p, struct declaration *d)
{
    memset(d, 0, sizeof *d);
    unsigned vector = 1;
    if (take(p, ".align"))
        d->align = (uint64_t)read_integer(p);
    if (is(p, ".v2") || is(p, ".v4")) {
        vector = (unsigned)(p->text[2] - '0');
        next(p);
    }
    d->is_float = p->text[0] == '.' && p->text[1] == 'f';
    d->element = (unsigned)read_type(p);
    while (is(p, ".ptr") || is(p, ".global") || is(p, ".shared") || is(p, ".const"))
        next(p);
    if (take(p, ".align")) /* of what a pointer points at */
        read_integer(p);
    read_name(p, d->name);
    d->elements = vector;
    while (take(p, "[")) {
        d->open = is(p, "]");
        uint64_t n = d->open ? 0 : (uint64_t)read_integer(p);
        if (n > UINT32_MAX || d->elements * n > UINT32_MAX)
            refuse(p, "an array that is too large");
        d->elements *= n;
        want(p, "]");
    }
    d->size = d->elements * d->element;
    if (d->align == 0)
        d->align = (uint64_t)d->element * vector;
    if (d->align == 0 || d->align > 4096 || (d->align & (d->align - 1)))
        refuse(p, "an alignment that is no power of two");
    if (p->failed)
        d->align = 1;
}

static void read_initializer(struct parser *p, const struct declaration *d, uint8_t *bytes)
{
    if (take(p, "{")) {
        uint64_t at = 0;
        do {
            uint64_t value = read_constant(p, d->element, d->is_float);
            if (at + d->element > d->size)
                refuse(p, "more values than '%s' has", d->name);
            else
                memcpy(bytes + at, &value, d->element);
            at += d->element;
        } while (take(p, ","));
        want(p, "}");
        return;
    }
    uint64_t value = read_constant(p, d->element, d->is_float);
    memcpy(bytes, &value, d->element);
}

static void read_device_variable(struct parser *p, enum space space, bool is_extern)
{
    struct declaration d;
    read_declaration(p, &d);
    if (is_extern)
        refuse(p, "'%s' is in another module", d.name);
    uint64_t address = p->failed ? 0 : device_allocate(d.size ? d.size : 1, p->module, true);
    if (!address) {
        refuse(p, "no memory for '%s'", d.name);
        return;
    }
    device_set_valid(address, d.size);
    if (take(p, "="))
        read_initializer(p, &d, device_bytes(address, d.size));
    add_variable(p, d.name, space, address, d.size);
    want(p, ";");
}

static void read_shared_variable(struct parser *p, bool is_extern)
{
    struct declaration d;
    read_declaration(p, &d);
    uint64_t address = DYNAMIC_SHARED;
    if (!is_extern && !d.open) {
        bool own = p->function && p->function->is_entry;
        uint64_t *end = own ? &p->function->own_shared : &p->module->common_shared;
        uint64_t at = align_to(*end, d.align);
        *end = at + d.size;
        address = own ? at : COMMON_SHARED + at;
    }
    if (d.size >= DYNAMIC_SHARED)
        refuse(p, "'%s' is too large for shared memory", d.name);
    add_variable(p, d.name, SHARED, address, d.size);
    want(p, ";");
}

/* Every function of a module has local memory of its own: as none calls itself, that is enough. */
static uint64_t place_local(struct parser *p, const struct declaration *d)
{
    struct module *m = p->module;
    uint64_t at = align_to(m->local_bytes, d->align);
    m->local_bytes = at + d->size;
    if (m->local_bytes > LOCAL_MAX)
        refuse(p, "more than %d bytes of local memory", LOCAL_MAX);
    return at;
}

static void read_local_variable(struct parser *p, enum space space)
{
    struct declaration d;
    read_declaration(p, &d);
    uint64_t at = place_local(p, &d);
    add_variable(p, d.name, space, space == LOCAL ? at : FUNCTION_PARAMETERS + at, d.size);
    want(p, ";");
}

static void read_registers(struct parser *p)
{
    uint8_t width = (uint8_t)read_type(p);
    do {
        struct symbol *s = add_symbol(p, p->text);
        read_name(p, s->name);
        s->is_register = true;
        s->width = width;
        s->count = 1;
        if (take(p, "<")) {
            s->is_family = true;
            s->prefix = (uint32_t)strlen(s->name);
            int64_t count = read_integer(p);
            if (count < 0 || count > 1 << 16)
                refuse(p, "%jd registers", (intmax_t)count);
            s->count = p->failed ? 1 : (uint32_t)count;
            want(p, ">");
        }
        s->offset = p->function->register_bytes;
        p->function->register_bytes += (int32_t)(s->count * register_bytes(width));
        if (p->function->register_bytes > 1 << 26)
            refuse(p, "too many registers");
    } while (take(p, ","));
    want(p, ";");
}

/* ---- functions ---- */

static void add_parameter(struct parser *p)
{
    struct function *f = p->function;
    struct declaration d;
    want(p, ".param");
    read_declaration(p, &d);
    if (f->parameter_count == sizeof f->parameters / sizeof *f->parameters) {
        refuse(p, "too many parameters");
        return;
    }
    uint64_t at;
    if (f->is_entry) {
        at = align_to(f->parameter_bytes, d.align);
        f->parameter_bytes = at + d.size;
    } else {
        at = FUNCTION_PARAMETERS + place_local(p, &d);
    }
    if (f->is_entry && f->parameter_bytes > 4352)
        refuse(p, "more than 4352 bytes of parameters");
    f->parameters[f->parameter_count] = at;
    f->parameter_sizes[f->parameter_count++] = d.size;
    add_variable(p, d.name, PARAMETER, at, d.size);
}

static void read_parameters(struct parser *p)
{
    want(p, "(");
    if (!is(p, ")")) {
        do
            add_parameter(p);
        while (!p->failed && take(p, ","));
    }
    want(p, ")");
}

/* What stands between the parameters of an entry and its code. */
static void read_bounds(struct parser *p)
{
    struct function *f = p->function;
    for (;;) {
        if (is(p, ".maxntid") || is(p, ".reqntid")) {
            uint64_t threads = 1;
            do {
                next(p);
                threads *= (uint64_t)read_integer(p);
            } while (is(p, ","));
            f->max_threads = (uint32_t)threads;
        } else if (take(p, ".minnctapersm") || take(p, ".maxnreg")) {
            read_integer(p);
        } else if (!take(p, ".noreturn")) {
            return;
        }
    }
}

static bool at_label(const struct parser *p)
{
    return p->token == WORD && p->at[strspn(p->at, " \t")] == ':';
}

static void read_label(struct parser *p)
{
    p->labels = grow(p->labels, p->label_count, &p->label_room, sizeof *p->labels);
    p->labels[p->label_count++] = read_label_name(p);
    want(p, ":");
}

static bool same_name(const struct label *a, const struct label *b)
{
    return a->hash == b->hash && a->length == b->length && memcmp(a->name, b->name, a->length) == 0;
}

/* At the end of a scope, with its first label and jump: jumps to labels of this scope are resolved;
 * others go on to the scope around it. */
static void end_labels(struct parser *p, size_t first_label, size_t first_jump)
{
    size_t kept = first_jump;
    for (size_t j = first_jump; j < p->jump_count; j++) {
        const struct label *jump = &p->jumps[j], *found = NULL;
        for (size_t l = first_label; l < p->label_count; l++)
            if (same_name(&p->labels[l], jump))
                found = &p->labels[l];
        if (found)
            p->function->code[jump->at].target = found->at;
        else
            p->jumps[kept++] = *jump;
    }
    p->jump_count = kept;
    p->label_count = first_label;
}

static void skip_line(struct parser *p)
{
    p->at += strcspn(p->at, "\n");
    next(p);
}

static void read_statement(struct parser *p)
{
    if (take(p, ".reg")) {
        read_registers(p);
    } else if (take(p, ".shared")) {
        read_shared_variable(p, false);
    } else if (take(p, ".local")) {
        read_local_variable(p, LOCAL);
    } else if (take(p, ".param")) {
        read_local_variable(p, PARAMETER);
    } else if (is(p, ".loc") || is(p, ".pragma")) {
        skip_line(p);
    } else if (at_label(p)) {
        read_label(p);
    } else if (p->token == WORD && p->text[0] != '.') {
        decode(p);
    } else if (p->token == MARK && is(p, "@")) {
        decode(p);
    } else {
        refuse(p, "'%s' is not known here", p->token == END ? "the end" : p->text);
    }
}

static void read_block(struct parser *p)
{
    size_t symbols = p->symbol_count, labels = p->label_count, jumps = p->jump_count;
    if (p->depth == 64)
        refuse(p, "more than 64 braces");
    p->depth++;
    want(p, "{");
    while (!p->failed && !is(p, "}")) {
        if (is(p, "{"))
            read_block(p);
        else
            read_statement(p);
    }
    end_labels(p, labels, jumps);
    p->depth--;
    p->symbol_count = symbols;
    want(p, "}");
}

/* A function that runs off its end returns. */
static void end_function(struct parser *p)
{
    struct function *f = p->function;
    if (p->jump_count && !p->failed) {
        p->token_line = p->jumps[0].line;
        refuse(p, "there is no label '%.*s'", (int)p->jumps[0].length, p->jumps[0].name);
    }
    f->code = grow(f->code, f->count, &f->room, sizeof *f->code);
    f->code[f->count++] = (struct instr){
        .control = RETURN, .guard = NONE, .line = p->token_line, .kind = stats_kind("ret")};
}

static struct function *add_function(struct parser *p, bool is_entry)
{
    struct module *m = p->module;
    struct function **grown = realloc(m->functions, (m->function_count + 1) * sizeof *grown);
    struct function *f = calloc(1, sizeof *f);
    if (!grown || !f)
        abort();
    m->functions = grown;
    m->functions[m->function_count++] = f;
    f->module = m;
    f->name = strdup("");
    f->is_entry = is_entry;
    f->register_bytes = FIRST_REGISTER;
    p->function = f;
    return f;
}

static void read_function(struct parser *p, bool is_entry)
{
    struct function *f = add_function(p, is_entry);
    size_t symbols = p->symbol_count;
    char name[WORD_MAX];
    if (!is_entry && is(p, "("))
        read_parameters(p);
    f->result_count = f->parameter_count;
    read_name(p, name);
    struct function *before = find_function(p->module, name);
    if (before && before->has_body)
        refuse(p, "a second function '%s'", name);
    else if (before) /* a declaration gives way */
        before->name[0] = 0;
    free(f->name);
    f->name = strdup(name);
    if (is(p, "("))
        read_parameters(p);
    read_bounds(p);
    if (!take(p, ";")) {
        f->has_body = true;
        read_block(p);
        end_function(p);
    }
    p->symbol_count = symbols;
    p->function = NULL;
}

/* ---- modules ---- */

static void skip_section(struct parser *p)
{
    unsigned depth = 0;
    do {
        depth += is(p, "{");
        depth -= is(p, "}");
        next(p);
    } while (p->token != END && (depth || is(p, "{")));
}

static void read_target(struct parser *p)
{
    if (strncmp(p->text, "sm_", 3) != 0)
        refuse(p, "target '%s'", p->text);
    p->module->target = atoi(p->text + 3);
    next(p);
    while (take(p, ","))
        next(p);
}

static void read_top(struct parser *p)
{
    bool is_extern = false;
    while (is(p, ".visible") || is(p, ".extern") || is(p, ".weak")) {
        is_extern = is_extern || is(p, ".extern");
        next(p);
    }
    if (take(p, ".entry")) {
        read_function(p, true);
    } else if (take(p, ".func")) {
        read_function(p, false);
    } else if (take(p, ".global")) {
        read_device_variable(p, GLOBAL, is_extern);
    } else if (take(p, ".const")) {
        read_device_variable(p, CONSTANT, is_extern);
    } else if (take(p, ".shared")) {
        read_shared_variable(p, is_extern);
    } else if (is(p, ".file") || is(p, ".pragma")) {
        skip_line(p);
    } else if (take(p, ".section")) {
        skip_section(p);
    } else {
        refuse(p, "'%s' is not known here", p->text);
    }
}

static void read_header(struct parser *p)
{
    want(p, ".version");
    next(p);
    want(p, ".target");
    read_target(p);
    if (take(p, ".address_size") && read_integer(p) != 64)
        refuse(p, "addresses that are not of 64 bits");
}

void module_free(struct module *m)
{
    for (size_t i = 0; i < m->function_count; i++) {
        struct function *f = m->functions[i];
        if (f->kernel)
            free(f->kernel->code);
        free(f->kernel);
        for (size_t j = 0; j < f->call_count; j++)
            free(f->calls[j].callee);
        free(f->calls);
        free(f->code);
        free(f->name);
        free(f);
    }
    for (size_t i = 0; i < m->variable_count; i++)
        free(m->variables[i].name);
    free(m->variables);
    free(m->functions);
    free(m->constants);
    device_free_all(m);
    free(m);
}

struct module *module_parse(const char *text, char log[LOG_MAX])
{
    struct module *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    struct parser p = {.at = text, .line = 1, .module = m, .log = log};
    log[0] = 0;
    next(&p);
    read_header(&p);
    while (p.token != END)
        read_top(&p);
    free(p.symbols);
    free(p.labels);
    free(p.jumps);
    if (p.failed || !module_link(m, log)) {
        module_free(m);
        return NULL;
    }
    return m;
}
