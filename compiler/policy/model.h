/* The checked policy: what a rules file means, after every check and with every default filled in.
 *
 * Owns nothing by itself: everything lives in the compilation's arena and never changes once
 * model_check has returned it. Emitters and analyses see only this, never the syntax tree. Where a
 * value has the same form at compile time and at run time, the type is the contract's
 * (runtime/include/policy.h). */
#ifndef SLUICE_MODEL_H
#define SLUICE_MODEL_H

#include "compiler/base/source.h"
#include "compiler/regex/automaton.h"
#include "compiler/regex/pattern.h"
#include "runtime/include/policy.h"

struct diagnostics;
struct rules_file; /* compiler/syntax/tree.h */

/* The language's stated limits; each is reported with its number. */
#define MODEL_RULES_MAX 20000u
#define MODEL_SLOTS_MAX 64u /* of one rule */
#define MODEL_TOKENS_MAX 256u
#define MODEL_NAMES_DEPTH_MAX 64u /* named patterns that use named patterns */
/* The work and memory of all automata of a file together: a state counts 8, a transition 1, what
 * ran into AUTOMATON_STATES_MAX counts MODEL_FAILURE_COST. Some four seconds, half a gigabyte. */
#define MODEL_AUTOMATA_MAX 40000000u
#define MODEL_STATE_COST 8u
#define MODEL_FAILURE_COST 400000u
/* Variables, paths and ports of all distinct attributes and confinements together: a list of
 * defaults, added to by every rule, multiplies. */
#define MODEL_ITEMS_MAX 1000000u

/* ---- patterns -------------------------------------------------------------------------------- */

/* One `name = PATTERN` or `name != PATTERN` line. */
struct model_pattern {
    const char *text; /* as written, quotes resolved; NUL-terminated */
    size_t length;
    struct span span;
    bool excluded; /* != */
    const struct pattern *tree;        /* NULL with engine = pcre2 */
    const struct automaton *automaton; /* of this line alone; NULL with engine = pcre2 */
    const char *canonical;             /* pattern_canonical(tree); the text itself with pcre2 */
    const char *pcre2;                 /* pattern_pcre2(text): named patterns put in their places.
                                        * The oracle of a compile; with engine = pcre2, the pattern.
                                        * NULL when it is too long (PATTERN_EXPANDED_MAX) */
};

/* What a set of pattern lines accepts together: the intersection of the `=` lines without the `!=`
 * lines. Shared by every slot, of any rule, whose lines are the same (by canonical text, in any
 * order), so that identical languages are one object. */
struct model_language {
    const char *key;                  /* identifies it: the sorted canonical texts */
    const struct model_pattern *lines; /* sorted: inclusions first; at least one inclusion */
    size_t line_count;
    bool pcre2;                        /* matched at call time by PCRE2 */
    const struct automaton *automaton; /* values with a leading '-' included; NULL with pcre2 */
    const char *first_name;            /* a slot name for it, from its first use: for naming code */
};

/* ---- rules ----------------------------------------------------------------------------------- */

struct model_slot {
    const char *name;
    struct span span; /* where the rule line has it */
    const struct model_language *language; /* NULL: anything (allow_any) */
    /* As written, for people: lines joined by " and ", exclusions with "not"; "anything". */
    const char *description;
    bool any;        /* in allow_any */
    bool allow_dash; /* in allow_dash or allow_any, or never at a token's start: no dash check */
    uint32_t max_bytes;
    /* What it accepts, the leading-dash rule applied (not the cap); NULL: pcre2 or allow_any. */
    const struct automaton *accepted;
    /* The directory of @under(PATH) when the slot is declared with it alone, for fs_* = #slot. */
    const char *under;
};

struct model_piece {
    bool is_slot;
    uint32_t slot; /* is_slot: index into the rule's slots */
    const char *literal;
    size_t literal_length;
    struct span span;
};

struct model_token {
    enum policy_token_kind kind;
    const struct model_piece *pieces; /* LITERAL: a literal; SLOT, REST: a slot; MIXED: several */
    size_t piece_count;
    struct policy_template expansion;    /* TOKEN_EXPANSION */
    uint32_t expansion_index;            /* ... its place in model.expansions */
    uint32_t minimum, maximum;           /* TOKEN_REST */
    const struct automaton *automaton;   /* TOKEN_MIXED: the whole token's language, allow_any
                                          * slots as everything, the leading-dash rule not applied;
                                          * NULL when a slot is matched by PCRE2 */
    struct span span;
};

/* A variable of env_from_caller, or cwd_from_caller's pattern (name "cwd"). */
struct model_caller_value {
    const char *name;
    struct span span;
    const struct model_language *language; /* NULL: no pattern given */
    const char *description;
};

struct model_attributes {
    uint64_t timeout_ms;
    struct policy_template cwd;
    const struct policy_variable *environment;
    size_t environment_count;
    enum policy_log log;
    struct policy_template stdoutfile, stderrfile;
    const char *exec_path; /* NULL: inherit */
    uint64_t max_output;
    const struct model_caller_value *caller_environment;
    size_t caller_environment_count;
    const struct model_caller_value *caller_cwd; /* NULL: not accepted */
    uint32_t refuse;
    uint64_t forward;
    enum policy_disconnect on_disconnect;
    enum policy_kill kill;
    uint32_t umask;
};

/* ---- confinement ----------------------------------------------------------------------------- */

enum model_syscall_base { SYSCALLS_INHERIT, SYSCALLS_DEFAULT, SYSCALLS_STRICT };

struct model_syscall_change {
    bool add; /* +name allows, -name refuses */
    const char *name;
    struct span span;
};

/* What decides a seccomp program: equal ones share one filter. */
struct model_filter {
    enum model_syscall_base base;
    const struct model_syscall_change *changes; /* sorted by name */
    size_t change_count;
    bool net_none, net_ports, unix_none;
    enum policy_metadata metadata;
    bool own_namespaces; /* isolate = user: namespace creation is the runtime's affair */
};

/* What is in force where a rules file says nothing (the pages say less than a machine needs):
 *   syscalls  `default` on every rule, since it refuses only what no ordinary program needs; with
 *             new_privs = allow, which excludes filters, none
 *   metadata  deny where fs_* keys grant no writing, within where they do, allow without fs_* keys;
 *             a written `within` without anything to write is deny
 *   kill      tree with a timeout, else group
 * Of fs_read, fs_exec and fs_write, `none` is an empty list, which confines; `inherit` is no list,
 * as if the defaults' had never been. fs_deny, protect and metadata = within are errors where no
 * fs_* list is in force: they would look as if they did something. */
struct model_confinement {
    const char *name;                  /* for code: from the first rule that has it */
    const struct model_filter *filter; /* NULL: none needed. Interned: compare pointers */
    const struct policy_grant *grants;
    size_t grant_count;
    bool confines_files;
    const struct policy_template *denies;
    size_t deny_count;
    uint32_t protect;
    bool net_none, net_ports;
    const uint16_t *connect_ports, *bind_ports; /* sorted */
    size_t connect_count, bind_count;
    bool unix_none, signals_own;
    bool signals_implied; /* own only because of kill: a kernel that cannot is put up with */
    enum policy_metadata metadata;
    struct policy_limits limits;
    int32_t nice;
    bool new_privs;
    uint32_t isolate;
};

struct model_rule {
    uint32_t line;
    struct span span;    /* the rule line */
    const char *text;    /* as written */
    const char *comment; /* the comment lines above it, or "" */
    const struct model_token *tokens;
    size_t token_count;
    const struct model_slot *slots;
    size_t slot_count;
    const struct model_attributes *attributes;   /* interned: rules with equal ones share */
    const struct model_confinement *confinement; /* interned */
};

struct model {
    const struct source *source;
    const char *name; /* base name without ".rules"; [A-Za-z0-9_-] only, else '_' */
    const char *file; /* base name */
    const struct model_rule *rules;
    size_t rule_count;
    /* Interned objects, each once, in the order of first use. */
    const struct model_language *const *languages;
    size_t language_count;
    const struct model_confinement *const *confinements;
    size_t confinement_count;
    const struct model_filter *const *filters;
    size_t filter_count;
    const struct model_attributes *const *attributes;
    size_t attributes_count;
    const struct policy_template *expansions;
    size_t expansion_count;

    struct policy_template logfile, socket;
    bool audit_strict, confine_strict, explain;
    uint32_t max_active, queue;
    uint64_t stop_timeout_ms;
    const struct policy_user *allow_uid;
    size_t allow_uid_count;
    bool uses_pcre2;
};

/* Checks a parsed file and gives its meaning. Every error is reported (up to the diagnostics' own
 * limit); NULL when there was any. */
const struct model *model_check(struct arena *arena, const struct rules_file *file,
                                struct diagnostics *diagnostics);

/* Parses and checks in one go: what every subcommand starts with. */
const struct model *model_from_source(struct arena *arena, const struct source *source,
                                      struct diagnostics *diagnostics);

#endif
