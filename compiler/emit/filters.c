/* filters.c and filters.h: seccomp programs as arrays, one instruction a line with its comment. */
#include <linux/filter.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/bpf.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/names.h"
#include "compiler/emit/tables.h"

static const char *const architecture_macros[SYSCALL_ARCHITECTURES] = {
    [SYSCALL_X86_64] = "__x86_64__",
    [SYSCALL_AARCH64] = "__aarch64__",
};

const char *filter_name(struct arena *arena, const struct model_filter *filter)
{
    if (!filter)
        return NULL;
    struct buffer content = {0};
    buffer_format(&content, "%d %d %d %d %d %d", filter->base, filter->net_none, filter->net_ports,
                  filter->unix_none, filter->metadata, filter->own_namespaces);
    for (size_t i = 0; i < filter->change_count; i++)
        buffer_format(&content, " %c%s", filter->changes[i].add ? '+' : '-',
                      filter->changes[i].name);
    const char *name =
        arena_format(arena, "filter_%s", name_hash(arena, content.text, content.length));
    buffer_free(&content);
    return name;
}

/* ---- instructions ---------------------------------------------------------------------------- */

/* The codes that filters use, as linux/filter.h spells them. */
static const char *code_name(uint16_t code)
{
    switch (code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return "BPF_LD | BPF_W | BPF_ABS";
    case BPF_JMP | BPF_JA:
        return "BPF_JMP | BPF_JA";
    case BPF_JMP | BPF_JEQ | BPF_K:
        return "BPF_JMP | BPF_JEQ | BPF_K";
    case BPF_JMP | BPF_JGT | BPF_K:
        return "BPF_JMP | BPF_JGT | BPF_K";
    case BPF_JMP | BPF_JGE | BPF_K:
        return "BPF_JMP | BPF_JGE | BPF_K";
    case BPF_JMP | BPF_JSET | BPF_K:
        return "BPF_JMP | BPF_JSET | BPF_K";
    case BPF_ALU | BPF_AND | BPF_K:
        return "BPF_ALU | BPF_AND | BPF_K";
    case BPF_RET | BPF_K:
        return "BPF_RET | BPF_K";
    default:
        return NULL;
    }
}

static void instruction_add(struct buffer *out, const struct sock_filter *instruction,
                            const char *comment)
{
    const char *name = code_name(instruction->code);
    if (name)
        buffer_format(out, "    {%s, ", name);
    else
        buffer_format(out, "    {0x%02x, ", instruction->code);
    buffer_format(out, "%u, %u, 0x%08x}, /* ", instruction->jt, instruction->jf, instruction->k);
    comment_text(out, comment, strlen(comment));
    buffer_puts(out, " */\n");
}

static void program_add(struct buffer *out, const char *name, const struct bpf_program *program)
{
    buffer_format(out, "static const struct sock_filter %s_program[] = {\n", name);
    for (size_t i = 0; i < program->count; i++)
        instruction_add(out, &program->instructions[i], program->comments[i]);
    buffer_puts(out, "};\n");
    buffer_format(out, "#define %s_PER_CALL %s\n", name, program->per_call ? "true" : "false");
}

/* One filter for every architecture; the C compiler takes its own. */
static void filter_add(struct buffer *out, const char *name,
                       const struct bpf_program *const programs[SYSCALL_ARCHITECTURES])
{
    for (int i = 0; i < SYSCALL_ARCHITECTURES; i++) {
        buffer_format(out, "%s defined(%s)\n", i ? "#elif" : "\n#if", architecture_macros[i]);
        program_add(out, name, programs[i]);
    }
    buffer_puts(out, "#else\n#error \"seccomp filters are made for x86-64 and arm64 alone\"\n#endif\n");
    buffer_format(out,
                  "const struct policy_filter %s = {\n"
                  "    .program = %s_program,\n"
                  "    .count = sizeof %s_program / sizeof *%s_program,\n"
                  "    .per_call = %s_PER_CALL,\n"
                  "};\n",
                  name, name, name, name, name);
}

void filters_emit(struct emitted *emitted, const struct layout *layout)
{
    struct arena *arena = emitted->arena;
    const struct model *model = layout->model;
    struct buffer header = {0}, code = {0};
    emitted_head(&header, model, "The seccomp programs, by what they refuse.");
    buffer_puts(&header, "\n#ifndef FILTERS_H\n#define FILTERS_H\n\n#include \"policy.h\"\n\n");
    emitted_head(&code, model,
                 "Seccomp programs. Each begins with the check of the architecture; calls are found in\n"
                 "a balanced tree over their numbers (docs/confinement.md has the lists).");
    buffer_puts(&code, "#include \"filters.h\"\n");

    const struct bpf_program *programs[SYSCALL_ARCHITECTURES];
    for (size_t i = 0; i < model->filter_count; i++) {
        const char *name = filter_name(arena, model->filters[i]);
        for (int k = 0; k < SYSCALL_ARCHITECTURES; k++)
            programs[k] = bpf_build(arena, model->filters[i], (enum syscall_architecture)k);
        filter_add(&code, name, programs);
        buffer_format(&header, "extern const struct policy_filter %s;\n", name);
    }
    bool every = true;
    for (int k = 0; k < SYSCALL_ARCHITECTURES; k++) {
        programs[k] = bpf_build_broker(arena, model, (enum syscall_architecture)k);
        every = every && programs[k];
    }
    if (every) {
        filter_add(&code, "filter_broker", programs);
        buffer_puts(&header, "extern const struct policy_filter filter_broker; /* the broker's own */\n");
        buffer_puts(&header, "#define FILTER_BROKER &filter_broker\n");
    } else {
        buffer_puts(&header, "#define FILTER_BROKER NULL /* a rule runs without a filter */\n");
    }
    buffer_puts(&header, "\n#endif\n");
    emitted_add(emitted, "filters.h", &header);
    emitted_add(emitted, "filters.c", &code);
    buffer_free(&header);
    buffer_free(&code);
}
