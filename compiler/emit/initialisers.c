#include "compiler/emit/initialisers.h"

#include <inttypes.h>
#include <string.h>

#include "compiler/base/buffer.h"
#include "compiler/emit/layout.h"

#define FIELD "    "

void string_init(struct buffer *out, const char *text)
{
    if (!text) {
        buffer_puts(out, "NULL");
        return;
    }
    buffer_char(out, '"');
    buffer_c_string(out, text, strlen(text));
    buffer_char(out, '"');
}

/* ---- templates ------------------------------------------------------------------------------- */

static const char *template_kind_name(enum policy_template_kind kind)
{
    switch (kind) {
    case TEMPLATE_TEXT:
        return "TEMPLATE_TEXT";
    case TEMPLATE_HOME:
        return "TEMPLATE_HOME";
    case TEMPLATE_XDG_RUNTIME_DIR:
        return "TEMPLATE_XDG_RUNTIME_DIR";
    case TEMPLATE_XDG_STATE_HOME:
        return "TEMPLATE_XDG_STATE_HOME";
    case TEMPLATE_XDG_CONFIG_HOME:
        return "TEMPLATE_XDG_CONFIG_HOME";
    case TEMPLATE_CALL:
        return "TEMPLATE_CALL";
    case TEMPLATE_PID:
        return "TEMPLATE_PID";
    case TEMPLATE_UID:
        return "TEMPLATE_UID";
    case TEMPLATE_RULE:
        return "TEMPLATE_RULE";
    case TEMPLATE_TS:
        return "TEMPLATE_TS";
    case TEMPLATE_TS_MS:
        return "TEMPLATE_TS_MS";
    case TEMPLATE_DATE:
        return "TEMPLATE_DATE";
    }
    return "TEMPLATE_TEXT";
}

static void template_body(struct buffer *out, const struct policy_template *template)
{
    buffer_format(out, "{.count = %u, .pieces = (const struct policy_template_piece[]){",
                  template->count);
    for (uint32_t i = 0; i < template->count; i++) {
        const struct policy_template_piece *piece = &template->pieces[i];
        buffer_format(out, "%s{%s", i ? ", " : "", template_kind_name(piece->kind));
        if (piece->kind == TEMPLATE_TEXT) {
            buffer_puts(out, ", ");
            string_init(out, piece->text);
        } else {
            buffer_puts(out, ", NULL");
        }
        buffer_char(out, '}');
    }
    buffer_puts(out, "}}");
}

void template_element(struct buffer *out, unsigned indent, const struct policy_template *template)
{
    buffer_format(out, "%*s", (int)indent, "");
    template_body(out, template);
    buffer_puts(out, ",\n");
}

void template_init(struct buffer *out, unsigned indent, const char *field,
                   const struct policy_template *template)
{
    if (!template->pieces)
        return;
    buffer_format(out, "%*s.%s = ", (int)indent, "", field);
    template_body(out, template);
    buffer_puts(out, ",\n");
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void flag_init(struct buffer *out, const char *field, bool value)
{
    if (value)
        buffer_format(out, FIELD ".%s = true,\n", field);
}

static void number_init(struct buffer *out, const char *field, uint64_t value)
{
    if (value)
        buffer_format(out, FIELD ".%s = %" PRIu64 ",\n", field, value);
}

/* Bits by name, in the order of `names`; what has no name would be lost, so there must be none. */
struct bit_name {
    uint32_t bit;
    const char *name;
};

static void bits_init(struct buffer *out, const char *field, uint32_t bits,
                      const struct bit_name *names, size_t count)
{
    if (!bits)
        return;
    const char *join = "";
    buffer_format(out, FIELD ".%s = ", field);
    for (size_t i = 0; i < count; i++) {
        if (!(bits & names[i].bit))
            continue;
        buffer_format(out, "%s%s", join, names[i].name);
        join = " | ";
        bits &= ~names[i].bit;
    }
    if (bits)
        buffer_format(out, "%s%uu", join, bits);
    buffer_puts(out, ",\n");
}

static void caller_value_init(struct buffer *out, const struct layout *layout,
                              const struct model_caller_value *value)
{
    const struct accept *accept = layout_language(layout, value->language);
    buffer_puts(out, "{.name = ");
    string_init(out, value->name);
    if (accept) {
        buffer_puts(out, ", .pattern = ");
        string_init(out, value->description);
        buffer_format(out, ", .accept = %s", accept->name);
    }
    buffer_char(out, '}');
}

static void environment_init(struct buffer *out, const struct layout *layout,
                             const struct model_attributes *attributes)
{
    if (attributes->environment_count) {
        buffer_puts(out, FIELD ".environment = (const struct policy_variable[]){\n");
        for (size_t i = 0; i < attributes->environment_count; i++) {
            buffer_puts(out, FIELD FIELD "{");
            string_init(out, attributes->environment[i].name);
            buffer_puts(out, ", ");
            string_init(out, attributes->environment[i].value);
            buffer_puts(out, "},\n");
        }
        buffer_puts(out, FIELD "},\n");
        number_init(out, "environment_count", attributes->environment_count);
    }
    if (attributes->caller_environment_count) {
        buffer_puts(out, FIELD ".caller_environment = (const struct policy_caller_variable[]){\n");
        for (size_t i = 0; i < attributes->caller_environment_count; i++) {
            buffer_puts(out, FIELD FIELD);
            caller_value_init(out, layout, &attributes->caller_environment[i]);
            buffer_puts(out, ",\n");
        }
        buffer_puts(out, FIELD "},\n");
        number_init(out, "caller_environment_count", attributes->caller_environment_count);
    }
    if (attributes->caller_cwd) {
        buffer_puts(out, FIELD ".caller_cwd = &(const struct policy_caller_variable)");
        caller_value_init(out, layout, attributes->caller_cwd);
        buffer_puts(out, ",\n");
    }
}

void attributes_init(struct buffer *out, const struct layout *layout,
                     const struct model_attributes *attributes)
{
    static const char *const log[] = {"LOG_FULL", "LOG_ARGV_ONLY", "LOG_EXIT_ONLY"};
    static const char *const kill[] = {"KILL_GROUP", "KILL_TREE", "KILL_TREE_ON_EXIT"};
    static const char *const disconnect[] = {"DISCONNECT_CONTINUE", "DISCONNECT_KILL"};
    static const struct bit_name refuse[] = {{REFUSE_CONTROL, "REFUSE_CONTROL"},
                                             {REFUSE_SHELL, "REFUSE_SHELL"}};
    number_init(out, "timeout_ms", attributes->timeout_ms);
    template_init(out, 4, "cwd", &attributes->cwd);
    environment_init(out, layout, attributes);
    buffer_format(out, FIELD ".log = %s,\n", log[attributes->log]);
    template_init(out, 4, "stdoutfile", &attributes->stdoutfile);
    template_init(out, 4, "stderrfile", &attributes->stderrfile);
    buffer_puts(out, FIELD ".exec_path = ");
    string_init(out, attributes->exec_path);
    buffer_puts(out, ",\n");
    number_init(out, "max_output", attributes->max_output);
    bits_init(out, "refuse", attributes->refuse, refuse, 2);
    if (attributes->forward) {
        const char *join = "";
        buffer_puts(out, FIELD ".forward = ");
        for (unsigned signal = 0; signal < 64; signal++) {
            if (!(attributes->forward >> signal & 1))
                continue;
            buffer_format(out, "%s1ull << %u", join, signal);
            join = " | ";
        }
        buffer_puts(out, ",\n");
    }
    buffer_format(out, FIELD ".on_disconnect = %s,\n", disconnect[attributes->on_disconnect]);
    buffer_format(out, FIELD ".kill = %s,\n", kill[attributes->kill]);
    buffer_format(out, FIELD ".umask = 0%03o,\n", attributes->umask);
}

/* ---- confinement ----------------------------------------------------------------------------- */

static void grant_init(struct buffer *out, const struct policy_grant *grant)
{
    static const char *const kind[] = {"GRANT_PATH", "GRANT_SLOT", "GRANT_SET"};
    static const char *const access[] = {"ACCESS_READ", "ACCESS_EXECUTE", "ACCESS_WRITE"};
    static const char *const set[] = {"SET_SYSTEM", "SET_TMP", "SET_DEV", "SET_HOME_CONFIG"};
    buffer_format(out, FIELD FIELD "{.kind = %s, .access = %s", kind[grant->kind],
                  access[grant->access]);
    if (grant->optional)
        buffer_puts(out, ", .optional = true");
    if (grant->kind == GRANT_SET)
        buffer_format(out, ", .set = %s", set[grant->set]);
    if (grant->kind == GRANT_SLOT)
        buffer_format(out, ", .slot = %u", grant->slot);
    if (grant->path.pieces) {
        buffer_puts(out, ",\n" FIELD FIELD " .path = ");
        template_body(out, &grant->path);
    }
    buffer_puts(out, "},\n");
}

static void ports_init(struct buffer *out, const char *field, const char *count_field,
                       const uint16_t *ports, size_t count)
{
    if (!count)
        return;
    buffer_format(out, FIELD ".%s = (const uint16_t[]){", field);
    for (size_t i = 0; i < count; i++)
        buffer_format(out, "%s%u", i ? ", " : "", ports[i]);
    buffer_puts(out, "},\n");
    number_init(out, count_field, count);
}

static void limits_init(struct buffer *out, const struct policy_limits *limits)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"memory", limits->memory},         {"cpu_time", limits->cpu_time},
               {"open_files", limits->open_files}, {"file_size", limits->file_size},
               {"processes", limits->processes},   {"core", limits->core}};
    buffer_puts(out, FIELD ".limits = {\n");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        buffer_format(out, FIELD FIELD ".%s = ", all[i].name);
        if (all[i].value == LIMIT_UNSET)
            buffer_puts(out, "LIMIT_UNSET,\n");
        else
            buffer_format(out, "%" PRIu64 ",\n", all[i].value);
    }
    buffer_puts(out, FIELD "},\n");
}

static void files_init(struct buffer *out, const struct model_confinement *confinement)
{
    flag_init(out, "confines_files", confinement->confines_files);
    if (confinement->grant_count) {
        buffer_puts(out, FIELD ".grants = (const struct policy_grant[]){\n");
        for (size_t i = 0; i < confinement->grant_count; i++)
            grant_init(out, &confinement->grants[i]);
        buffer_puts(out, FIELD "},\n");
        number_init(out, "grant_count", confinement->grant_count);
    }
    if (confinement->deny_count) {
        buffer_puts(out, FIELD ".denies = (const struct policy_template[]){\n");
        for (size_t i = 0; i < confinement->deny_count; i++)
            template_element(out, 8, &confinement->denies[i]);
        buffer_puts(out, FIELD "},\n");
        number_init(out, "deny_count", confinement->deny_count);
    }
}

void confinement_init(struct buffer *out, const struct model_confinement *confinement,
                      const char *filter)
{
    static const char *const metadata[] = {"METADATA_ALLOW", "METADATA_WITHIN", "METADATA_DENY"};
    static const struct bit_name protect[] = {{PROTECT_DOTFILES, "PROTECT_DOTFILES"},
                                              {PROTECT_GIT_HOOKS, "PROTECT_GIT_HOOKS"}};
    static const struct bit_name isolate[] = {{ISOLATE_PID, "ISOLATE_PID"},
                                              {ISOLATE_IPC, "ISOLATE_IPC"},
                                              {ISOLATE_UTS, "ISOLATE_UTS"},
                                              {ISOLATE_MOUNT, "ISOLATE_MOUNT"},
                                              {ISOLATE_USER, "ISOLATE_USER"}};
    buffer_puts(out, FIELD ".name = ");
    string_init(out, confinement->name);
    buffer_puts(out, ",\n");
    if (filter)
        buffer_format(out, FIELD ".filter = &%s,\n", filter);
    files_init(out, confinement);
    bits_init(out, "protect", confinement->protect, protect, 2);
    flag_init(out, "net_none", confinement->net_none);
    flag_init(out, "net_ports", confinement->net_ports);
    ports_init(out, "connect_ports", "connect_count", confinement->connect_ports,
               confinement->connect_count);
    ports_init(out, "bind_ports", "bind_count", confinement->bind_ports, confinement->bind_count);
    flag_init(out, "unix_none", confinement->unix_none);
    flag_init(out, "signals_own", confinement->signals_own);
    flag_init(out, "signals_implied", confinement->signals_implied);
    buffer_format(out, FIELD ".metadata = %s,\n", metadata[confinement->metadata]);
    limits_init(out, &confinement->limits);
    if (confinement->nice)
        buffer_format(out, FIELD ".nice = %d,\n", confinement->nice);
    flag_init(out, "new_privs", confinement->new_privs);
    bits_init(out, "isolate", confinement->isolate, isolate, 5);
}
