/* The contract between the code that sluicec generates and the runtime that it is linked with.
 *
 * Owns: the shape of a compiled policy. Generated code fills exactly one `const struct policy
 * sluice_policy`; the runtime reads it and never writes it. This header includes nothing of the
 * runtime or the compiler, so that generated code depends on it alone.
 *
 * Everything here is immutable and lives as long as the process. Strings are NUL-terminated unless
 * they are a `struct policy_bytes`, which may hold any byte but NUL and need not be terminated. */
#ifndef SLUICE_POLICY_H
#define SLUICE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h> /* struct sock_filter */

/* Raised whenever generated code of an older compiler would not fit the runtime any more. */
#define POLICY_CONTRACT 1u

#define POLICY_VALUE_MAX 4096u         /* bytes in a slot's value unless `allow_max` says otherwise */
#define POLICY_VALUE_MAX_RAISED 65536u /* the most that `allow_max` can say */

struct policy_bytes {
    const char *bytes;
    uint32_t length;
};

/* ---- matching -------------------------------------------------------------------------------- */

/* What one rule, or the policy, says of a request. Only POLICY_YES runs anything; the others but
 * POLICY_NO mean "would have matched, but". */
enum policy_verdict {
    POLICY_NO = 0,
    POLICY_YES,
    POLICY_OPTION_LIKE,   /* every token accepts, but a slot's value starts with '-' */
    POLICY_TOO_LONG,      /* every token accepts, but a slot's value is over its cap */
    POLICY_PATTERN_LIMIT, /* PCRE2 gave up on a value (engine = pcre2) */
};

/* A request as the matcher sees it: argv as the caller sent it, valid UTF-8 without NUL (checked by
 * the caller of the matcher), and the start-time values of `$HOME/...` literals. */
struct policy_request {
    uint32_t count;                        /* arguments, argv[0] included; at least 1 */
    const struct policy_bytes *arguments;  /* `count` of them */
    const struct policy_bytes *expansions; /* one for each of policy.expansions */
};

struct policy_decision {
    enum policy_verdict verdict;
    uint32_t rule; /* index into policy.rules; meaningful unless POLICY_NO */
    uint32_t slot; /* index into that rule's slots, of the value that refused; else 0 */
};

/* The nearest rule: what a person is shown when no rule takes a request. `sluicec match` and the
 * broker find it each in its own way and come to the same answer, which is, of the first
 * POLICY_NEAREST_RULES_MAX rules of the request's program (argv[0] fits), the one
 *   1. with the most of its words anywhere in the request: a forgotten or an additional option does
 *      not hide what was meant. A word is a literal token after the first that equals an argument, or
 *      a token of several pieces whose literal beginning some argument starts with; among the first
 *      POLICY_NEAREST_ARGUMENTS_MAX arguments;
 *   2. then, that fits the most arguments before the first that does not fit;
 *   3. then, that takes a number of arguments nearest to the request's;
 *   4. then, the earliest of the file.
 * What is wrong is said of the first argument that does not fit. */
#define POLICY_NEAREST_RULES_MAX 2000u
#define POLICY_NEAREST_ARGUMENTS_MAX 64u

/* Whether a slot's pattern accepts a value: POLICY_YES, POLICY_NO or POLICY_PATTERN_LIMIT. Knows
 * nothing of leading dashes and caps. Reads exactly `length` bytes. */
typedef enum policy_verdict policy_accept(const char *bytes, uint32_t length);

/* ---- templates ------------------------------------------------------------------------------- */

enum policy_template_kind {
    TEMPLATE_TEXT,
    /* from the broker's environment, at start */
    TEMPLATE_HOME,            /* $HOME */
    TEMPLATE_XDG_RUNTIME_DIR, /* $XDG_RUNTIME_DIR */
    TEMPLATE_XDG_STATE_HOME,  /* $XDG_STATE_HOME, else $HOME/.local/state */
    TEMPLATE_XDG_CONFIG_HOME, /* $XDG_CONFIG_HOME, else $HOME/.config */
    /* of the call */
    TEMPLATE_CALL,  /* #$call: the call's number */
    TEMPLATE_PID,   /* #$pid: the peer's */
    TEMPLATE_UID,   /* #$uid: the peer's */
    TEMPLATE_RULE,  /* #$rule: the rule's line */
    TEMPLATE_TS,    /* #$ts: Unix seconds */
    TEMPLATE_TS_MS, /* #$ts_ms: Unix milliseconds */
    TEMPLATE_DATE,  /* #$date: YYYY-MM-DD, UTC */
};

struct policy_template_piece {
    enum policy_template_kind kind;
    const char *text; /* TEMPLATE_TEXT only */
};

/* A path template. `pieces` NULL: the attribute is not set. */
struct policy_template {
    const struct policy_template_piece *pieces;
    uint32_t count;
};

/* ---- rules ----------------------------------------------------------------------------------- */

struct policy_slot {
    const char *name;      /* without the '#' */
    const char *pattern;   /* as written, for people: lines joined by " and ", "!=" as "not"; or "anything" */
    policy_accept *accept; /* NULL: anything (allow_any) */
    uint32_t max_bytes;    /* longest value */
    bool allow_dash;       /* a leading '-' is the value's own business */
};

enum policy_token_kind {
    TOKEN_LITERAL,   /* pieces[0] is the text */
    TOKEN_EXPANSION, /* the text is request.expansions[expansion] ($HOME/... literals) */
    TOKEN_SLOT,      /* pieces[0] is the slot; the whole token is its value */
    TOKEN_MIXED,     /* literals and slots in one token; the split is unique (the compiler checked) */
    TOKEN_REST,      /* pieces[0] is the slot; minimum..maximum whole tokens, each a value of it */
};

struct policy_piece {
    bool is_slot;
    uint16_t slot;               /* is_slot: index into the rule's slots */
    struct policy_bytes literal; /* !is_slot */
};

struct policy_token {
    const struct policy_piece *pieces;
    policy_accept *accept;    /* TOKEN_MIXED: the whole token's language; linear in the length */
    uint16_t piece_count;
    uint16_t expansion;       /* TOKEN_EXPANSION */
    uint8_t kind;             /* enum policy_token_kind; small, since there are many tokens */
    uint8_t minimum, maximum; /* TOKEN_REST */
};

enum policy_log { LOG_FULL, LOG_ARGV_ONLY, LOG_EXIT_ONLY };
enum policy_kill { KILL_GROUP, KILL_TREE, KILL_TREE_ON_EXIT };
enum policy_disconnect { DISCONNECT_CONTINUE, DISCONNECT_KILL };

/* `refuse`, as a bit mask */
#define REFUSE_CONTROL 1u
#define REFUSE_SHELL 2u

/* `isolate`, as a bit mask */
#define ISOLATE_PID 1u
#define ISOLATE_IPC 2u
#define ISOLATE_UTS 4u
#define ISOLATE_MOUNT 8u
#define ISOLATE_USER 16u

struct policy_variable {
    const char *name;
    const char *value; /* NULL: the broker's own value, when it has one */
};

struct policy_caller_variable {
    const char *name;
    const char *pattern;   /* for people; NULL: no pattern */
    policy_accept *accept; /* NULL: anything without control characters */
};

/* ---- confinement ----------------------------------------------------------------------------- */

#define LIMIT_UNSET UINT64_MAX

struct policy_limits {
    uint64_t memory;     /* bytes */
    uint64_t cpu_time;   /* seconds */
    uint64_t open_files; /* count */
    uint64_t file_size;  /* bytes */
    uint64_t processes;  /* count */
    uint64_t core;       /* bytes */
};

enum policy_access { ACCESS_READ, ACCESS_EXECUTE, ACCESS_WRITE };

enum policy_grant_kind {
    GRANT_PATH, /* path */
    GRANT_SLOT, /* the file that slot `slot` names, for this call alone */
    GRANT_SET,  /* a named set of the language: `set` */
};

enum policy_path_set { SET_SYSTEM, SET_TMP, SET_DEV, SET_HOME_CONFIG };

struct policy_grant {
    enum policy_grant_kind kind;
    enum policy_access access;
    bool optional; /* written with '?': a path that does not exist is skipped */
    enum policy_path_set set;
    uint16_t slot;
    struct policy_template path;  /* GRANT_PATH; GRANT_SLOT: the directory of @under(...) if the
                                   * slot's pattern has one, else not set and the rule's cwd is used */
};

enum policy_protect { PROTECT_DOTFILES = 1, PROTECT_GIT_HOOKS = 2 }; /* bits of `protect` */

enum policy_metadata { METADATA_ALLOW, METADATA_WITHIN, METADATA_DENY };

struct policy_filter {
    const struct sock_filter *program; /* for the architecture this is compiled for */
    uint16_t count;                    /* instructions */
    bool per_call;                     /* refuses what the worker itself needs: every child loads it */
};

/* What one rule's program may touch. Rules with equal confinement share one: it is also the key by
 * which the broker keeps its workers. */
struct policy_confinement {
    const char *name;                  /* stable, from the first rule that has it */
    const struct policy_filter *filter; /* NULL: no seccomp filter */
    const struct policy_grant *grants;
    uint32_t grant_count;
    bool confines_files;               /* any fs_* key is set: Landlock's file system rights apply */
    const struct policy_template *denies; /* fs_deny */
    uint32_t deny_count;
    uint32_t protect;                  /* PROTECT_* bits */
    bool net_none;                     /* net = none */
    bool net_ports;                    /* net = connect:... or bind:...; the lists below are all */
    const uint16_t *connect_ports;
    uint32_t connect_count;
    const uint16_t *bind_ports;
    uint32_t bind_count;
    bool unix_none;                    /* unix = none: abstract sockets are out of reach too */
    bool signals_own;                  /* signals = own, written or by kill = tree */
    bool signals_implied;              /* ... by kill alone: a kernel that cannot does without */
    enum policy_metadata metadata;
    struct policy_limits limits;
    int32_t nice;                      /* 0: unchanged */
    bool new_privs;                    /* new_privs = allow */
    uint32_t isolate;                  /* ISOLATE_* bits */
};

/* ---- attributes ------------------------------------------------------------------------------ */

struct policy_attributes {
    uint64_t timeout_ms; /* 0: none */
    struct policy_template cwd;
    const struct policy_variable *environment;
    uint32_t environment_count;
    enum policy_log log;
    struct policy_template stdoutfile, stderrfile;
    const char *exec_path; /* NULL: inherit, the broker's PATH */
    uint64_t max_output;   /* bytes of captured output; 0: no limit */
    const struct policy_caller_variable *caller_environment;
    uint32_t caller_environment_count;
    const struct policy_caller_variable *caller_cwd; /* NULL: the caller may not choose */
    uint32_t refuse;  /* REFUSE_* bits */
    uint64_t forward; /* bit N: signal N is passed on from the caller */
    enum policy_disconnect on_disconnect;
    enum policy_kill kill;
    uint32_t umask;
};

struct policy_rule {
    const char *text;    /* the rule line as written */
    const char *comment; /* the comment lines above it, '\n' between; "" when there are none */
    const struct policy_token *tokens;
    uint16_t token_count;
    uint16_t slot_count;
    const struct policy_slot *slots;
    const struct policy_attributes *attributes;
    const struct policy_confinement *confinement;
};

/* A name or number of allow_uid. */
struct policy_user {
    const char *name; /* NULL: `uid` counts */
    uint32_t uid;
};

struct policy {
    uint32_t contract;             /* POLICY_CONTRACT */
    const char *name;              /* the rules file's base name, without ".rules" */
    const char *file;              /* the rules file's base name */
    const char *compiler;          /* sluicec's version */
    const char *source;            /* the rules text, whole */
    uint32_t source_length;
    const char *sha256;            /* of the rules text, 64 lower-case hex digits */

    const struct policy_rule *rules;
    uint32_t rule_count;
    const uint32_t *lines;         /* each rule's source line, rule_count of them */
    const struct policy_confinement *const *confinements; /* each distinct one, once */
    uint32_t confinement_count;

    /* Which rule takes a request: the first, in the file's order. Costs the same for any number
     * of rules. Never fails, never allocates, no state. */
    struct policy_decision (*match)(const struct policy_request *request);

    const struct policy_template *expansions; /* `$HOME/...` literals of rule lines */
    uint32_t expansion_count;

    struct policy_template logfile;
    struct policy_template socket;
    bool audit_strict;
    bool confine_strict;
    bool explain;
    uint32_t max_active;
    uint32_t queue;
    uint64_t stop_timeout_ms;
    const struct policy_user *allow_uid;
    uint32_t allow_uid_count; /* 0: any peer that can connect */

    /* The filter of the broker itself, and whether the file system can be restricted to the union
     * of what its rules may touch. */
    const struct policy_filter *broker_filter;
    bool broker_confines_files;

    /* The patterns that PCRE2 matches (engine = pcre2), for its set-up at start; index n is what
     * sluice_pcre2_match(n, ...) uses. */
    const struct policy_bytes *pcre2_patterns;
    uint32_t pcre2_count;
};

extern const struct policy sluice_policy;

/* Provided by the runtime (broker/pcre2.c) to brokers whose rules ask for it. */
enum policy_verdict sluice_pcre2_match(uint32_t pattern, const char *bytes, uint32_t length);

#endif
