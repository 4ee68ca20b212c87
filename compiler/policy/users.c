/* allow_uid: who may call. Names are looked up by the broker when it starts, on its own host. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/policy/settings.h"
#include "compiler/policy/values.h"

#define USER_NAME_MAX 32u /* useradd(8) */
/* The largest uid; (uid_t)-1 means "no one" to the kernel. */
#define UID_MAX_VALUE INT64_C(4294967294)

/* useradd's names, capitals and dots allowed as adduser does. */
static bool is_user_name(const struct tree_value *item)
{
    if (item->length > USER_NAME_MAX)
        return false;
    for (uint32_t i = 0; i < item->length; i++) {
        char c = item->text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool later = (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!letter && !(i && later) && !(i && c == '$' && i + 1 == item->length))
            return false;
    }
    return item->length > 0;
}

static bool read_user(struct check *check, const struct tree_value *item, struct policy_user *user)
{
    int64_t uid;
    enum number_result number = number_decimal(item->text, item->length, &uid);
    if (number == NUMBER_MALFORMED) {
        if (is_user_name(item)) {
            user->name = arena_copy(check->arena, item->text, item->length);
            return true;
        }
        diagnostic_error(check->diagnostics, item->at,
                         "allow_uid: `%s` is neither a numeric uid nor a user's name",
                         check_quote_value(check, item));
        return false;
    }
    if (number == NUMBER_TOO_LARGE || uid > UID_MAX_VALUE) {
        diagnostic_error(check->diagnostics, item->at,
                         "allow_uid: `%s` is out of range: 0 to %lld",
                         check_quote_value(check, item), (long long)UID_MAX_VALUE);
        return false;
    }
    user->uid = (uint32_t)uid;
    return true;
}

static bool is_same_user(const struct policy_user *a, const struct policy_user *b)
{
    if (a->name && b->name)
        return strcmp(a->name, b->name) == 0;
    return !a->name && !b->name && a->uid == b->uid;
}

bool settings_users(struct check *check, struct settings *settings, const struct tree_value *value)
{
    struct value_list written;
    if (!value_split(check, "allow_uid", value, &written))
        return false;
    struct policy_user *users = arena_array(check->arena, written.count, sizeof *users);
    bool good = true;
    for (size_t i = 0; i < written.count; i++) {
        if (!read_user(check, &written.items[i], &users[i])) {
            good = false;
            continue;
        }
        for (size_t j = 0; j < i && good; j++) {
            if (!is_same_user(&users[i], &users[j]))
                continue;
            struct diagnostic *error =
                diagnostic_error(check->diagnostics, written.items[i].at,
                                 "allow_uid: `%s` is listed twice",
                                 check_quote_value(check, &written.items[i]));
            diagnostic_note(check->diagnostics, error, written.items[j].at, "it is here as well");
            good = false;
        }
    }
    settings->users = (struct user_list){users, written.count};
    return good;
}
