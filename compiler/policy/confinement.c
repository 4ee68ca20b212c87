#include "compiler/policy/confinement.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/policy/attributes.h"
#include "compiler/policy/intern.h"

/* Bytes of a confinement's name. */
#define NAME_LENGTH_MAX 40u

static bool is_written(const struct settings *settings, enum attribute_key key)
{
    return settings->place[key].begin != SPAN_NONE.begin;
}

static bool confines_files(const struct settings *settings)
{
    return settings->grants[ACCESS_READ].set || settings->grants[ACCESS_EXECUTE].set ||
           settings->grants[ACCESS_WRITE].set;
}

static size_t count_grants(const struct settings *settings, enum policy_access access)
{
    size_t count = 0;
    for (const struct grant_list *list = &settings->grants[access]; list; list = list->inherited)
        count += list->count;
    return count;
}

static size_t count_denies(const struct settings *settings)
{
    size_t count = 0;
    for (const struct deny_list *list = &settings->denies; list; list = list->inherited)
        count += list->count;
    return count;
}

/* ---- contradictions -------------------------------------------------------------------------- */

/* Whether a key asks for Landlock or seccomp, which need no_new_privs. */
static bool asks_for_filter(const struct settings *settings, enum attribute_key key)
{
    switch (key) {
    case KEY_FS_READ:
        return settings->grants[ACCESS_READ].set;
    case KEY_FS_EXEC:
        return settings->grants[ACCESS_EXECUTE].set;
    case KEY_FS_WRITE:
        return settings->grants[ACCESS_WRITE].set;
    case KEY_FS_DENY:
        return count_denies(settings) > 0;
    case KEY_NET:
        return settings->number[key] != NETWORK_INHERIT;
    case KEY_METADATA:
        return is_written(settings, key) && settings->number[key] != METADATA_ALLOW;
    case KEY_SYSCALLS:
        return is_written(settings, key) &&
               (settings->number[key] != SYSCALLS_INHERIT || settings->change_count);
    case KEY_PROTECT:
    case KEY_UNIX:
    case KEY_SIGNALS:
        return settings->number[key] != 0;
    default:
        return false;
    }
}

/* An error about a key in force on a rule: at its value, or, where that is the defaults', at the
 * rule with a note that leads there. */
static struct diagnostic *report_key(struct check *check, const struct settings *settings,
                                     enum attribute_key key, const struct rule_draft *rule,
                                     const char *message)
{
    struct span place = settings->place[key];
    if (place.begin >= rule->tree->stanza.at.begin)
        return diagnostic_error(check->diagnostics, place, "%s", message);
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, rule->tree->stanza.at, "%s", message);
    diagnostic_note(check->diagnostics, error, place, "%s is set here",
                    key_definitions[key].name);
    return error;
}

static bool check_privileges(struct check *check, const struct settings *settings,
                             const struct rule_draft *rule)
{
    struct diagnostic *error = NULL;
    for (size_t i = 0; i < KEY_COUNT && settings->number[KEY_NEW_PRIVS]; i++) {
        enum attribute_key key = (enum attribute_key)i;
        if (!asks_for_filter(settings, key))
            continue;
        if (!error)
            error = report_key(check, settings, KEY_NEW_PRIVS, rule,
                               "new_privs = allow excludes confinement by Landlock and seccomp");
        diagnostic_note(check->diagnostics, error, settings->place[key],
                        "%s asks for such confinement", key_definitions[key].name);
    }
    return error == NULL;
}

/* Keys that only narrow what others grant, where there is nothing to narrow: the rule would look
 * confined and not be. */
static bool check_narrowing(struct check *check, const struct settings *settings,
                            const struct rule_draft *rule)
{
    if (confines_files(settings))
        return true;
    struct diagnostic *error = NULL;
    if (count_denies(settings) > 0)
        error = report_key(check, settings, KEY_FS_DENY, rule,
                           "fs_deny has no effect without fs_read, fs_exec or fs_write");
    if (settings->number[KEY_PROTECT])
        error = report_key(check, settings, KEY_PROTECT, rule,
                           "protect has no effect without fs_read, fs_exec or fs_write");
    if (error)
        check_hint(check, error, "say with those what may be touched; this takes from it");
    if (is_written(settings, KEY_METADATA) && settings->number[KEY_METADATA] == METADATA_WITHIN) {
        error = report_key(check, settings, KEY_METADATA, rule, "metadata = within needs fs_write");
        check_hint(check, error, "it allows changes beneath the paths of fs_write");
    }
    return error == NULL;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* Deny where only reading is granted, within where writing is, else nothing. */
static enum policy_metadata metadata_in_force(const struct settings *settings)
{
    bool writes = count_grants(settings, ACCESS_WRITE) > 0;
    if (is_written(settings, KEY_METADATA)) {
        enum policy_metadata written = (enum policy_metadata)settings->number[KEY_METADATA];
        return written == METADATA_WITHIN && !writes ? METADATA_DENY : written;
    }
    if (writes)
        return METADATA_WITHIN;
    return confines_files(settings) ? METADATA_DENY : METADATA_ALLOW;
}

/* A kill that nobody outruns needs a tree in which nobody can be signalled but its own. */
static bool implies_own_signals(const struct settings *settings)
{
    return !is_written(settings, KEY_SIGNALS) && !settings->number[KEY_NEW_PRIVS] &&
           attributes_kill(settings) != KILL_GROUP;
}

static int compare_texts(const char *a, const char *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

static int compare_templates(const struct policy_template *a, const struct policy_template *b)
{
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        const struct policy_template_piece *left = &a->pieces[i], *right = &b->pieces[i];
        if (left->kind != right->kind)
            return left->kind < right->kind ? -1 : 1;
        int order = compare_texts(left->text, right->text);
        if (order)
            return order;
    }
    return (a->count > b->count) - (a->count < b->count);
}

static int compare_denies(const void *left, const void *right)
{
    return compare_templates(left, right);
}

static int compare_grants(const void *left, const void *right)
{
    const struct policy_grant *a = left, *b = right;
    if (a->access != b->access)
        return a->access < b->access ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == GRANT_SET)
        return (a->set > b->set) - (a->set < b->set);
    if (a->kind == GRANT_SLOT)
        return (a->slot > b->slot) - (a->slot < b->slot);
    int order = compare_templates(&a->path, &b->path);
    return order ? order : (int)a->optional - (int)b->optional;
}

/* The directory beneath which a slot's file is opened. */
static struct policy_template slot_directory(struct check *check, const struct rule_draft *rule,
                                             uint16_t slot)
{
    const char *under = rule->slots[slot].slot.under;
    if (!under)
        return (struct policy_template){0};
    struct policy_template_piece *piece = arena_alloc(check->arena, sizeof *piece);
    *piece = (struct policy_template_piece){TEMPLATE_TEXT, under};
    return (struct policy_template){piece, 1};
}

/* All grants, sorted, each once: the order in which they were written means nothing. In scratch
 * space, as the denies are: most rules' are those of another rule. */
static void collect_grants(struct check *check, const struct settings *settings,
                           const struct rule_draft *rule, struct model_confinement *confinement)
{
    size_t count = 0, kept = 0;
    for (size_t access = 0; access < 3; access++)
        count += count_grants(settings, (enum policy_access)access);
    arena_grow(check->arena, &check->grant_scratch, &check->grant_scratch_capacity, count,
               sizeof *check->grant_scratch);
    struct policy_grant *grants = check->grant_scratch;
    count = 0;
    for (size_t access = 0; access < 3; access++)
        for (const struct grant_list *list = &settings->grants[access]; list;
             list = list->inherited)
            for (size_t i = 0; i < list->count; i++) {
                grants[count] = list->items[i];
                if (grants[count].kind == GRANT_SLOT)
                    grants[count].path = slot_directory(check, rule, grants[count].slot);
                count++;
            }
    if (count)
        qsort(grants, count, sizeof *grants, compare_grants);
    for (size_t i = 0; i < count; i++)
        if (!kept || compare_grants(&grants[kept - 1], &grants[i]) != 0)
            grants[kept++] = grants[i];
    confinement->grants = grants;
    confinement->grant_count = kept;
    confinement->confines_files = confines_files(settings);
}

static void collect_denies(struct check *check, const struct settings *settings,
                           struct model_confinement *confinement)
{
    size_t count = count_denies(settings), kept = 0;
    arena_grow(check->arena, &check->deny_scratch, &check->deny_scratch_capacity, count,
               sizeof *check->deny_scratch);
    struct policy_template *denies = check->deny_scratch;
    count = 0;
    for (const struct deny_list *list = &settings->denies; list; list = list->inherited)
        for (size_t i = 0; i < list->count; i++)
            denies[count++] = list->items[i];
    if (count)
        qsort(denies, count, sizeof *denies, compare_denies);
    for (size_t i = 0; i < count; i++)
        if (!kept || compare_templates(&denies[kept - 1], &denies[i]) != 0)
            denies[kept++] = denies[i];
    confinement->denies = denies;
    confinement->deny_count = kept;
}

/* Takes what is in scratch space out of it. */
static void keep_lists(struct check *check, struct model_confinement *confinement)
{
    struct policy_grant *grants =
        arena_array(check->arena, confinement->grant_count, sizeof *grants);
    struct policy_template *denies =
        arena_array(check->arena, confinement->deny_count, sizeof *denies);
    if (confinement->grant_count)
        memcpy(grants, confinement->grants, confinement->grant_count * sizeof *grants);
    if (confinement->deny_count)
        memcpy(denies, confinement->denies, confinement->deny_count * sizeof *denies);
    confinement->grants = grants;
    confinement->denies = denies;
}

/* ---- the filter ------------------------------------------------------------------------------ */

static const struct model_filter *filter_of(struct check *check, const struct settings *settings,
                                            const struct model_confinement *confinement)
{
    struct model_filter filter = {
        .base = (enum model_syscall_base)settings->number[KEY_SYSCALLS],
        .changes = settings->changes,
        .change_count = settings->change_count,
        .net_none = confinement->net_none,
        .net_ports = confinement->net_ports,
        .unix_none = confinement->unix_none,
        .metadata = confinement->metadata,
        .own_namespaces = (confinement->isolate & ISOLATE_USER) != 0,
    };
    bool nothing = filter.base == SYSCALLS_INHERIT && !filter.change_count && !filter.net_none &&
                   !filter.net_ports && !filter.unix_none && filter.metadata == METADATA_ALLOW;
    if (confinement->new_privs || nothing)
        return NULL;
    struct buffer key = {0};
    key_number(&key, filter.base);
    for (size_t i = 0; i < filter.change_count; i++) {
        key_number(&key, filter.changes[i].add);
        key_text(&key, filter.changes[i].name);
    }
    buffer_format(&key, "/ %d %d %d %d %d", filter.net_none, filter.net_ports, filter.unix_none,
                  (int)filter.metadata, filter.own_namespaces);
    struct model_filter *known = intern_find(&check->filters, &key);
    if (!known) {
        known = arena_alloc(check->arena, sizeof *known);
        *known = filter;
        intern_add(check, &check->filters, &key, known);
    }
    buffer_free(&key);
    return known;
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void add_word(struct buffer *name, const char *word)
{
    if (name->length)
        buffer_char(name, '_');
    for (; *word && name->length < NAME_LENGTH_MAX; word++)
        buffer_char(name, is_name_byte(*word) ? *word : '_');
}

/* From the rule's program and the literal word behind it: "git_push". One that is taken gets a
 * number, which moves only when an earlier rule of the same words changes its confinement. */
static const char *make_name(struct check *check, const struct rule_draft *rule)
{
    const struct tree_token *tokens = rule->tree->tokens;
    struct buffer name = {0};
    const char *program = rule->tree->token_count ? tokens[0].pieces[0].text : "rule";
    const char *slash = strrchr(program, '/');
    add_word(&name, slash ? slash + 1 : program);
    if (rule->tree->token_count > 1 && tokens[1].pieces[0].kind == PIECE_LITERAL &&
        is_name_byte(tokens[1].pieces[0].text[0]))
        add_word(&name, tokens[1].pieces[0].text);
    const char *base = arena_copy(check->arena, buffer_text(&name), name.length), *unique = base;
    buffer_free(&name);
    size_t *taken = table_find(&check->confinement_names, base, strlen(base));
    if (!taken) {
        taken = arena_alloc(check->arena, sizeof *taken);
        table_add(check->arena, &check->confinement_names, base, strlen(base), taken);
    }
    if (++*taken > 1)
        unique = arena_format(check->arena, "%s_%zu", base, *taken);
    return unique;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct policy_limits limits_of(const struct settings *settings)
{
    return (struct policy_limits){
        .memory = settings->number[KEY_MEMORY],
        .cpu_time = settings->number[KEY_CPU_TIME],
        .open_files = settings->number[KEY_OPEN_FILES],
        .file_size = settings->number[KEY_FILE_SIZE],
        .processes = settings->number[KEY_PROCESSES],
        .core = settings->number[KEY_CORE],
    };
}

static struct model_confinement read_confinement(struct check *check,
                                                 const struct settings *settings,
                                                 const struct rule_draft *rule)
{
    struct model_confinement confinement = {
        .protect = (uint32_t)settings->number[KEY_PROTECT],
        .net_none = settings->number[KEY_NET] == NETWORK_NONE,
        .net_ports = settings->number[KEY_NET] == NETWORK_PORTS,
        .connect_ports = settings->connect.items,
        .connect_count = settings->connect.count,
        .bind_ports = settings->bind.items,
        .bind_count = settings->bind.count,
        .unix_none = settings->number[KEY_UNIX],
        .signals_own = settings->number[KEY_SIGNALS] || implies_own_signals(settings),
        .signals_implied = implies_own_signals(settings),
        .metadata = metadata_in_force(settings),
        .limits = limits_of(settings),
        .nice = (int32_t)(int64_t)settings->number[KEY_NICE],
        .new_privs = settings->number[KEY_NEW_PRIVS],
        .isolate = (uint32_t)settings->number[KEY_ISOLATE],
    };
    collect_grants(check, settings, rule, &confinement);
    collect_denies(check, settings, &confinement);
    confinement.filter = filter_of(check, settings, &confinement);
    return confinement;
}

static void key_ports(struct buffer *key, const uint16_t *ports, size_t count)
{
    key_number(key, count);
    for (size_t i = 0; i < count; i++)
        key_number(key, ports[i]);
}

static void spell(struct buffer *key, const struct model_confinement *confinement)
{
    key_number(key, (uintptr_t)confinement->filter); /* interned: one address a content */
    key_number(key, confinement->grant_count);
    for (size_t i = 0; i < confinement->grant_count; i++) {
        const struct policy_grant *grant = &confinement->grants[i];
        key_number(key, (uint64_t)grant->access << 32 | (uint64_t)grant->kind);
        key_number(key, (uint64_t)grant->optional << 32 | (uint64_t)grant->set << 16 | grant->slot);
        key_template(key, &grant->path);
    }
    key_number(key, confinement->confines_files);
    key_number(key, confinement->deny_count);
    for (size_t i = 0; i < confinement->deny_count; i++)
        key_template(key, &confinement->denies[i]);
    key_ports(key, confinement->connect_ports, confinement->connect_count);
    key_ports(key, confinement->bind_ports, confinement->bind_count);
    buffer_format(key, "%u %d %d %d %d %d %d ", confinement->protect, confinement->net_none,
                  confinement->net_ports, confinement->unix_none, confinement->signals_own,
                  confinement->signals_implied, (int)confinement->metadata);
    key_number(key, confinement->limits.memory);
    key_number(key, confinement->limits.cpu_time);
    key_number(key, confinement->limits.open_files);
    key_number(key, confinement->limits.file_size);
    key_number(key, confinement->limits.processes);
    key_number(key, confinement->limits.core);
    buffer_format(key, "%d %d %u", confinement->nice, confinement->new_privs,
                  confinement->isolate);
}

const struct model_confinement *confinement_from_settings(struct check *check,
                                                          const struct settings *settings,
                                                          const struct rule_draft *rule)
{
    bool privileges = check_privileges(check, settings, rule);
    if (!check_narrowing(check, settings, rule) || !privileges)
        return NULL;
    struct model_confinement confinement = read_confinement(check, settings, rule);
    struct buffer key = {0};
    spell(&key, &confinement);
    struct model_confinement *known = intern_find(&check->confinements, &key);
    size_t items = confinement.grant_count + confinement.deny_count + confinement.connect_count +
                   confinement.bind_count;
    if (!known && intern_spend(check, items, rule->tree->stanza.at)) {
        known = arena_alloc(check->arena, sizeof *known);
        *known = confinement;
        keep_lists(check, known);
        known->name = make_name(check, rule);
        intern_add(check, &check->confinements, &key, known);
    }
    buffer_free(&key);
    return known;
}
