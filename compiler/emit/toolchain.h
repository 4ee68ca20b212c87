/* Which compiler and C library make a broker, and their command lines.
 *
 * Owns the flags that make a broker what it is promised to be: static, position-independent, RELRO,
 * BIND_NOW, no executable stack, stack protector, stripped, the same bytes everywhere. Runs nothing
 * itself but a question to the compiler about its own files. */
#ifndef SLUICE_TOOLCHAIN_H
#define SLUICE_TOOLCHAIN_H

#include <stdbool.h>
#include <stddef.h>

struct process_context;

enum toolchain_kind {
    TOOLCHAIN_MUSL,    /* gcc and musl, linked by hand, with the runtime's archive */
    TOOLCHAIN_GLIBC,   /* gcc and glibc, with the runtime's archive: for engine = pcre2 */
    TOOLCHAIN_SOURCES, /* another compiler, with its own C library; the runtime from its sources */
};

struct toolchain {
    enum toolchain_kind kind;
    const char *compiler; /* absolute path */
    const char *linker;   /* the compiler driver that links; TOOLCHAIN_MUSL: plain gcc */
    const char *re2c;
    const char *runtime;  /* the folder with the runtime: archives, runtime/... */
    const char *musl;     /* TOOLCHAIN_MUSL: the folder of its libc.a */
    const char *startup;  /* TOOLCHAIN_MUSL: the folder of gcc's crtbeginS.o */
    bool pcre2;           /* the policy needs PCRE2 */
    bool foreign;         /* what it makes does not run here */
    /* Generated code is so much that the compiler's time counts; or that nothing else does. */
    bool fast, fastest;
};

/* What the user said; any may be NULL. */
struct toolchain_wishes {
    const char *cc, *target, *runtime;
    bool pcre2;
};

/* Finds everything. NULL when it is there; else one line that says what is missing and what to do. */
const char *toolchain_find(struct process_context *context, const struct toolchain_wishes *wishes,
                           struct toolchain *toolchain);

/* A list of arguments that ends with NULL, in the context's arena. */
struct arguments {
    const char **items;
    size_t count, capacity;
};
void arguments_add(struct process_context *context, struct arguments *arguments, const char *item);

/* What is compiled, which decides how much the compiler tries. Small policies are compiled for size;
 * large ones so that it takes no longer than it must: rules are calls in a row, with little to gain. */
enum toolchain_code { TOOLCHAIN_RUNTIME, TOOLCHAIN_RULES, TOOLCHAIN_MATCHERS };

/* Appends how to compile `source` into `object`. Paths are relative to the compile's folder. */
void toolchain_compile(struct process_context *context, const struct toolchain *toolchain,
                       struct arguments *arguments, const char *source, const char *object,
                       enum toolchain_code code);

/* Appends how to link `objects` into a broker, or (verify) into the program that checks matchers. */
void toolchain_link(struct process_context *context, const struct toolchain *toolchain,
                    struct arguments *arguments, const struct arguments *objects,
                    const char *output, bool verify);

#endif
