/* What changes in what a rule's program may touch. Grants are compared by what they reach: a path
 * below one that is granted, or reading where writing is granted, adds nothing. */
#include <string.h>

#include "compiler/analysis/changes.h"
#include "compiler/base/arena.h"
#include "compiler/base/syscalls.h"

static const char *const access_keys[] = {[ACCESS_READ] = "fs_read", [ACCESS_EXECUTE] = "fs_exec",
                                          [ACCESS_WRITE] = "fs_write"};

/* ---- paths ------------------------------------------------------------------------------------- */

/* Whether a path is another one or below it, as written: $HOME is the same on both sides. */
static bool path_within(const char *inner, const char *outer)
{
    size_t length = strlen(outer);
    if (strcmp(outer, "/") == 0)
        return true;
    return strncmp(inner, outer, length) == 0 && (!inner[length] || inner[length] == '/');
}

/* The token of a slot's first use: what stays of it when it is renamed. */
static size_t slot_place(const struct model_rule *rule, uint32_t slot)
{
    for (size_t t = 0; t < rule->token_count; t++)
        for (size_t p = 0; p < rule->tokens[t].piece_count; p++)
            if (rule->tokens[t].pieces[p].is_slot && rule->tokens[t].pieces[p].slot == slot)
                return t;
    return 0;
}

static const char *grant_text(struct arena *arena, const struct model_rule *rule,
                              const struct policy_grant *grant)
{
    if (grant->kind == GRANT_SET)
        return describe_set(grant->set);
    if (grant->kind == GRANT_SLOT)
        return arena_format(arena, "#%s", rule->slots[grant->slot].name);
    const char *path = describe_path(arena, &grant->path);
    return grant->optional ? arena_format(arena, "?%s", path) : path;
}

/* Reading is part of executing and of writing (CONFINEMENT, "Keys"). */
static bool access_within(enum policy_access inner, enum policy_access outer)
{
    return inner == outer || inner == ACCESS_READ;
}

/* Whether a grant of one rule lets a program do all that one of another rule does. */
static bool grant_within(struct arena *arena, const struct model_rule *inner_rule,
                         const struct policy_grant *inner, const struct model_rule *outer_rule,
                         const struct policy_grant *outer)
{
    if (!access_within(inner->access, outer->access) || (inner->optional && !outer->optional))
        return false;
    if (outer->kind == GRANT_PATH)
        return inner->kind != GRANT_SET && inner->path.count &&
               path_within(describe_path(arena, &inner->path), describe_path(arena, &outer->path));
    if (inner->kind != outer->kind)
        return false;
    if (outer->kind == GRANT_SET)
        return inner->set == outer->set;
    return slot_place(inner_rule, inner->slot) == slot_place(outer_rule, outer->slot);
}

static bool grant_is_covered(struct arena *arena, const struct model_rule *rule,
                             const struct policy_grant *grant, const struct model_rule *by)
{
    for (size_t i = 0; i < by->confinement->grant_count; i++)
        if (grant_within(arena, rule, grant, by, &by->confinement->grants[i]))
            return true;
    return false;
}

/* The grant of a path that is the same but for its '?', or NULL. */
static const struct policy_grant *grant_twin(struct arena *arena, const struct policy_grant *grant,
                                             const struct model_confinement *in)
{
    for (size_t i = 0; grant->kind == GRANT_PATH && i < in->grant_count; i++) {
        const struct policy_grant *other = &in->grants[i];
        if (other->kind == GRANT_PATH && other->access == grant->access &&
            other->optional != grant->optional &&
            strcmp(describe_path(arena, &other->path), describe_path(arena, &grant->path)) == 0)
            return other;
    }
    return NULL;
}

/* A path that may be missing lets the broker start where it did not: `strict` to `best-effort`. */
static void compare_grants(struct changes *changes, const struct model_rule *old_rule,
                           const struct model_rule *new_rule)
{
    struct arena *arena = changes->arena;
    const struct model_confinement *from = old_rule->confinement, *to = new_rule->confinement;
    for (size_t i = 0; i < from->grant_count; i++) {
        const struct policy_grant *grant = &from->grants[i];
        const struct policy_grant *twin = grant_twin(arena, grant, to);
        if (twin && !grant_twin(arena, twin, to))
            change_add(changes, twin->optional ? DIRECTION_WIDER : DIRECTION_NARROWER,
                       access_keys[grant->access], grant_text(arena, old_rule, grant),
                       grant_text(arena, new_rule, twin));
        else if (!grant_is_covered(arena, old_rule, grant, new_rule))
            change_add(changes, DIRECTION_NARROWER, access_keys[grant->access],
                       grant_text(arena, old_rule, grant), NULL);
    }
    for (size_t i = 0; i < to->grant_count; i++)
        if (!grant_twin(arena, &to->grants[i], from) &&
            !grant_is_covered(arena, new_rule, &to->grants[i], old_rule))
            change_add(changes, DIRECTION_WIDER, access_keys[to->grants[i].access], NULL,
                       grant_text(arena, new_rule, &to->grants[i]));
}

static bool deny_is_covered(struct arena *arena, const char *path,
                            const struct model_confinement *by)
{
    for (size_t i = 0; i < by->deny_count; i++)
        if (path_within(path, describe_path(arena, &by->denies[i])))
            return true;
    return false;
}

static void compare_denies(struct changes *changes, const struct model_confinement *from,
                           const struct model_confinement *to)
{
    struct arena *arena = changes->arena;
    for (size_t i = 0; i < from->deny_count; i++) {
        const char *path = describe_path(arena, &from->denies[i]);
        if (!deny_is_covered(arena, path, to))
            change_add(changes, DIRECTION_WIDER, "fs_deny", path, NULL);
    }
    for (size_t i = 0; i < to->deny_count; i++) {
        const char *path = describe_path(arena, &to->denies[i]);
        if (!deny_is_covered(arena, path, from))
            change_add(changes, DIRECTION_NARROWER, "fs_deny", NULL, path);
    }
}

static void compare_files(struct changes *changes, const struct model_rule *old_rule,
                          const struct model_rule *new_rule)
{
    static const char *const views[] = {"everything", "what the fs_* keys list"};
    const struct model_confinement *from = old_rule->confinement, *to = new_rule->confinement;
    if (from->confines_files != to->confines_files)
        change_add(changes, from->confines_files ? DIRECTION_WIDER : DIRECTION_NARROWER,
                   "file system", views[from->confines_files], views[to->confines_files]);
    else
        compare_grants(changes, old_rule, new_rule);
    compare_denies(changes, from, to);
    compare_bits(changes, KEY_PROTECT, from->protect, to->protect, true);
}

/* ---- the network --------------------------------------------------------------------------------- */

static struct words port_words(struct arena *arena, const struct model_confinement *confinement)
{
    struct words words =
        words_new(arena, confinement->connect_count + confinement->bind_count);
    for (size_t i = 0; i < confinement->connect_count; i++)
        words.items[words.count++] =
            arena_format(arena, "connect:%u", confinement->connect_ports[i]);
    for (size_t i = 0; i < confinement->bind_count; i++)
        words.items[words.count++] = arena_format(arena, "bind:%u", confinement->bind_ports[i]);
    return words;
}

static const char *network_text(struct arena *arena, const struct model_rule *rule)
{
    struct descriptions all = describe_confinement(arena, rule);
    for (size_t i = 0; i < all.count; i++)
        if (strcmp(all.items[i].key, "net") == 0)
            return all.items[i].value;
    return "inherit";
}

static void compare_networks(struct changes *changes, const struct model_rule *old_rule,
                             const struct model_rule *new_rule)
{
    const struct model_confinement *from = old_rule->confinement, *to = new_rule->confinement;
    unsigned before = from->net_none ? 0 : from->net_ports ? 1 : 2;
    unsigned after = to->net_none ? 0 : to->net_ports ? 1 : 2;
    if (before != after)
        change_add(changes, after > before ? DIRECTION_WIDER : DIRECTION_NARROWER, "net",
                   network_text(changes->arena, old_rule), network_text(changes->arena, new_rule));
    else if (before == 1)
        compare_sets(changes, "net", port_words(changes->arena, from),
                     port_words(changes->arena, to), false);
}

/* ---- system calls -------------------------------------------------------------------------------- */

static const struct model_syscall_change *filter_change(const struct model_filter *filter,
                                                        const char *name)
{
    for (size_t i = 0; filter && i < filter->change_count; i++)
        if (strcmp(filter->changes[i].name, name) == 0)
            return &filter->changes[i];
    return NULL;
}

enum reach { REACH_NONE, REACH_SOME_ARGUMENTS, REACH_ALL };

/* How much of a call `syscalls` leaves to a program; what the other keys refuse besides is told of
 * them. The list says of a call that is refused for some arguments "refused only ..." (grammar/syscalls.def). */
static enum reach filter_reach(const struct model_filter *filter, const struct syscall_entry *entry)
{
    const struct model_syscall_change *change = filter_change(filter, entry->name);
    if (change)
        return change->add ? REACH_ALL : REACH_NONE;
    if (!filter || filter->base == SYSCALLS_INHERIT)
        return REACH_ALL;
    if (filter->base == SYSCALLS_STRICT && !(entry->sets & SYSCALL_STRICT_ALLOWED))
        return REACH_NONE;
    if (!(entry->sets & SYSCALL_DEFAULT_REFUSED))
        return REACH_ALL;
    return strncmp(entry->reason, "refused only", 12) == 0 ? REACH_SOME_ARGUMENTS : REACH_NONE;
}

static enum model_syscall_base filter_base(const struct model_filter *filter)
{
    return filter ? filter->base : SYSCALLS_INHERIT;
}

static const char *filter_text(const struct model_filter *filter)
{
    static const char *const words[] = {
        [SYSCALLS_INHERIT] = "inherit", [SYSCALLS_DEFAULT] = "default", [SYSCALLS_STRICT] = "strict"};
    return words[filter_base(filter)];
}

/* Every named call whose reach changes; where the bases differ, these stand for all others. */
static void compare_filters(struct changes *changes, const struct model_filter *from,
                            const struct model_filter *to)
{
    bool bases = filter_base(from) != filter_base(to), more = false, less = false;
    size_t count;
    const struct syscall_entry *entries = syscalls_all(&count);
    for (size_t i = 0; i < count && from != to; i++) {
        const char *name = entries[i].name;
        enum reach before = filter_reach(from, &entries[i]), after = filter_reach(to, &entries[i]);
        if (before == after)
            continue;
        if (filter_change(from, name) || filter_change(to, name))
            change_add(changes, after > before ? DIRECTION_WIDER : DIRECTION_NARROWER, "syscalls",
                       after > before ? NULL : name, after > before ? name : NULL);
        else if (after > before)
            more = true;
        else
            less = true;
    }
    /* `inherit` lets through calls that are in no list yet. */
    if (bases && (more || filter_base(to) == SYSCALLS_INHERIT))
        change_add(changes, DIRECTION_WIDER, "syscalls", filter_text(from), filter_text(to));
    if (bases && (less || filter_base(from) == SYSCALLS_INHERIT))
        change_add(changes, DIRECTION_NARROWER, "syscalls", filter_text(from), filter_text(to));
}

/* ---- limits -------------------------------------------------------------------------------------- */

static void compare_limits(struct changes *changes, const struct policy_limits *from,
                           const struct policy_limits *to)
{
    compare_bounds(changes, KEY_MEMORY, from->memory, to->memory, LIMIT_UNSET);
    compare_bounds(changes, KEY_CPU_TIME, from->cpu_time, to->cpu_time, LIMIT_UNSET);
    compare_bounds(changes, KEY_OPEN_FILES, from->open_files, to->open_files, LIMIT_UNSET);
    compare_bounds(changes, KEY_FILE_SIZE, from->file_size, to->file_size, LIMIT_UNSET);
    compare_bounds(changes, KEY_PROCESSES, from->processes, to->processes, LIMIT_UNSET);
    compare_bounds(changes, KEY_CORE, from->core, to->core, LIMIT_UNSET);
}

/* A lower number of `nice` takes more of the machine from others. */
static void compare_priorities(struct changes *changes, int32_t from, int32_t to)
{
    if (from != to)
        change_add(changes, to < from ? DIRECTION_WIDER : DIRECTION_NARROWER, "nice",
                   describe_number(changes->arena, KEY_NICE, (uint64_t)(int64_t)from),
                   describe_number(changes->arena, KEY_NICE, (uint64_t)(int64_t)to));
}

void compare_confinements(struct changes *changes, const struct model_rule *old_rule,
                          const struct model_rule *new_rule)
{
    static const unsigned metadata[] = {
        [METADATA_DENY] = 0, [METADATA_WITHIN] = 1, [METADATA_ALLOW] = 2};
    const struct model_confinement *from = old_rule->confinement, *to = new_rule->confinement;
    bool slots = false;
    for (size_t i = 0; i < to->grant_count && from == to; i++)
        slots |= to->grants[i].kind == GRANT_SLOT; /* a rule's own, though the list is shared */
    if (from == to && !slots)
        return;
    compare_files(changes, old_rule, new_rule);
    compare_networks(changes, old_rule, new_rule);
    compare_ranks(changes, KEY_METADATA, from->metadata, to->metadata, metadata[from->metadata],
                  metadata[to->metadata]);
    compare_ranks(changes, KEY_UNIX, from->unix_none, to->unix_none, !from->unix_none,
                  !to->unix_none);
    compare_ranks(changes, KEY_SIGNALS, from->signals_own, to->signals_own, !from->signals_own,
                  !to->signals_own);
    compare_filters(changes, from->filter, to->filter);
    compare_limits(changes, &from->limits, &to->limits);
    compare_priorities(changes, from->nice, to->nice);
    compare_ranks(changes, KEY_NEW_PRIVS, from->new_privs, to->new_privs, from->new_privs,
                  to->new_privs);
    compare_bits(changes, KEY_ISOLATE, from->isolate, to->isolate, true);
}
