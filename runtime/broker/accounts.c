#include "runtime/broker/accounts.h"

#include <assert.h>
#include <stddef.h>

void accounts_start(struct accounts *accounts, struct account *table, uint32_t capacity,
                    struct waiting_link *links)
{
    *accounts = (struct accounts){.table = table, .links = links, .capacity = capacity};
}

static bool account_is_in_use(const struct account *account)
{
    return account->connections > 0 || account->active > 0 || account->waiting > 0;
}

/* Few uids call one broker, so a walk over those in use is the fastest way to find one. */
uint32_t account_open(struct accounts *accounts, uint32_t uid)
{
    uint32_t unused = NONE;

    for (uint32_t i = 0; i < accounts->used; i++) {
        if (!account_is_in_use(&accounts->table[i]))
            unused = unused == NONE ? i : unused;
        else if (accounts->table[i].uid == uid)
            return i;
    }
    if (unused == NONE) {
        assert(accounts->used < accounts->capacity);
        unused = accounts->used++;
    }
    accounts->table[unused] = (struct account){.uid = uid, .first = NONE, .last = NONE};
    return unused;
}

void waiting_add(struct accounts *accounts, uint32_t account, uint32_t call, uint64_t arrival)
{
    struct account *owner = &accounts->table[account];
    struct waiting_link *link = &accounts->links[call];

    *link = (struct waiting_link){.earlier = owner->last, .later = NONE, .arrival = arrival};
    if (owner->last == NONE) {
        owner->first = call;
    } else {
        assert(accounts->links[owner->last].arrival < arrival);
        accounts->links[owner->last].later = call;
    }
    owner->last = call;
    owner->waiting++;
    accounts->waiting++;
}

void waiting_remove(struct accounts *accounts, uint32_t account, uint32_t call)
{
    struct account *owner = &accounts->table[account];
    struct waiting_link *link = &accounts->links[call];

    assert(owner->waiting > 0 && accounts->waiting > 0);
    if (link->earlier == NONE)
        owner->first = link->later;
    else
        accounts->links[link->earlier].later = link->later;
    if (link->later == NONE)
        owner->last = link->earlier;
    else
        accounts->links[link->later].earlier = link->earlier;
    owner->waiting--;
    accounts->waiting--;
}

uint32_t waiting_next(const struct accounts *accounts, uint32_t *account)
{
    const struct account *best = NULL;

    if (accounts->waiting == 0)
        return NONE;
    for (uint32_t i = 0; i < accounts->used; i++) {
        const struct account *candidate = &accounts->table[i];
        if (candidate->waiting == 0)
            continue;
        if (!best || candidate->active < best->active ||
            (candidate->active == best->active &&
             accounts->links[candidate->first].arrival < accounts->links[best->first].arrival)) {
            best = candidate;
            *account = i;
        }
    }
    assert(best);
    return best->first;
}

uint32_t account_of_most_waiting(const struct accounts *accounts, uint32_t account)
{
    uint32_t most = account;

    for (uint32_t i = 0; i < accounts->used; i++)
        if (accounts->table[i].waiting > accounts->table[most].waiting)
            most = i;
    return accounts->table[most].waiting > accounts->table[account].waiting + 1 ? most : NONE;
}

uint32_t account_of_most_connections(const struct accounts *accounts, uint32_t account)
{
    uint32_t most = account;

    for (uint32_t i = 0; i < accounts->used; i++)
        if (accounts->table[i].connections > accounts->table[most].connections)
            most = i;
    return accounts->table[most].connections > accounts->table[account].connections + 1 ? most
                                                                                         : NONE;
}
