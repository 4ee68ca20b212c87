/* env-danger and writable-exec-path: what changes which program runs. */
#include <string.h>

#include "compiler/analysis/warnings.h"

struct dangerous_variable {
    const char *name, *what;
};

static const struct dangerous_variable dangerous_variables[] = {
#define DANGEROUS_VARIABLE(name, what) {name, what},
#include "grammar/environment.def"
};

static const struct dangerous_variable *danger_find(const char *name)
{
    for (size_t i = 0; i < sizeof dangerous_variables / sizeof *dangerous_variables; i++) {
        const char *pattern = dangerous_variables[i].name;
        size_t length = strlen(pattern);
        bool begins = pattern[length - 1] == '*';
        if (begins ? strncmp(name, pattern, length - 1) == 0 : strcmp(name, pattern) == 0)
            return &dangerous_variables[i];
    }
    return NULL;
}

static void warn_variable(struct warner *warner, struct span at, const char *name, const char *whose)
{
    const struct dangerous_variable *danger = danger_find(name);
    if (danger)
        diagnostic_note(warner->diagnostics,
                        diagnostic_warning(warner->diagnostics, "env-danger", at,
                                           "%s comes from %s: %s", name, whose, danger->what),
                        SPAN_NONE, "give it a value in the rule, or leave it out");
}

/* Directories that are root's on any host that follows the Filesystem Hierarchy Standard. */
static bool directory_is_system(const char *path, size_t length)
{
    static const char *const roots[] = {"/bin", "/sbin", "/usr", "/lib", "/opt", "/nix/store"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        size_t root = strlen(roots[i]);
        if (length >= root && strncmp(path, roots[i], root) == 0 &&
            (length == root || path[root] == '/'))
            return true;
    }
    return false;
}

static void warn_exec_path(struct warner *warner, const struct model_rule *rule)
{
    const char *path = rule->attributes->exec_path;
    const char *literal = token_literal(&rule->tokens[0]);
    if (literal && literal[0] == '/')
        return; /* nothing is looked up */
    if (!path) {
        diagnostic_note(warner->diagnostics,
                        diagnostic_warning(warner->diagnostics, "writable-exec-path", rule->span,
                                           "exec_path = inherit: who starts the broker chooses "
                                           "which program runs"),
                        SPAN_NONE, "name directories that only root can write");
        return;
    }
    while (*path) {
        size_t length = strcspn(path, ":");
        if (!directory_is_system(path, length))
            diagnostic_note(warner->diagnostics,
                            diagnostic_warning(warner->diagnostics, "writable-exec-path", rule->span,
                                               "exec_path has %.*s, which is not a system directory",
                                               (int)length, path),
                            SPAN_NONE, "whoever can write there chooses which program runs");
        path += length + (path[length] == ':');
    }
}

void warnings_of_environments(struct warner *warner)
{
    for (size_t r = 0; r < warner->model->rule_count; r++) {
        const struct model_rule *rule = &warner->model->rules[r];
        const struct model_attributes *attributes = rule->attributes;
        for (size_t i = 0; i < attributes->environment_count; i++)
            if (!attributes->environment[i].value)
                warn_variable(warner, rule->span, attributes->environment[i].name, "the broker");
        for (size_t i = 0; i < attributes->caller_environment_count; i++)
            warn_variable(warner, attributes->caller_environment[i].span,
                          attributes->caller_environment[i].name, "the caller");
        warn_exec_path(warner, rule);
    }
}
