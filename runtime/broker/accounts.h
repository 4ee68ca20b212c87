/* Accounts: what each caller's uid has in the broker at this moment, and whose turn is next.
 *
 * Owns: per uid the number of connections, of active calls and of waiting calls, and the order of
 * the waiting ones. Never: decides what a limit is, touches a connection or a call, or remembers a
 * uid of which nothing is left.
 *
 * The order: among the uids with calls waiting, the one with the fewest active calls comes next,
 * and of equals the one whose call came first. With one uid that is first come, first served; with
 * several, none can starve another, however many calls it queues. Where a table is full, the uid
 * with the most gives way to one with less (account_of_most_...). */
#ifndef SLUICE_ACCOUNTS_H
#define SLUICE_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#define NONE UINT32_MAX /* no connection, call, account, worker */

struct account {
    uint32_t uid;
    uint32_t connections;
    uint32_t active;  /* calls that hold an active slot */
    uint32_t waiting; /* calls in the queue */
    uint32_t first, last; /* the waiting calls, oldest first; NONE: none */
};

/* A waiting call's place; one for each index of the call table. */
struct waiting_link {
    uint32_t earlier, later;
    uint64_t arrival; /* the call's number: smaller came first */
};

struct accounts {
    struct account *table;
    struct waiting_link *links;
    uint32_t used;     /* entries of `table` that were ever used; those in use lie among them */
    uint32_t capacity; /* room in `table`: one for each connection and each call at most */
    uint32_t active, waiting;
};

void accounts_start(struct accounts *accounts, struct account *table, uint32_t capacity,
                    struct waiting_link *links);

/* The account of `uid`, made if there is none. It lasts while something is counted on it; an index
 * on which nothing was counted must not be kept. */
uint32_t account_open(struct accounts *accounts, uint32_t uid);

/* Puts call `call`, which arrived as number `arrival` (larger than any before), at the end. */
void waiting_add(struct accounts *accounts, uint32_t account, uint32_t call, uint64_t arrival);

/* Takes a waiting call out of its place. */
void waiting_remove(struct accounts *accounts, uint32_t account, uint32_t call);

/* The call whose turn is next, which stays in the queue; NONE if none waits. `*account` is its
 * account. */
uint32_t waiting_next(const struct accounts *accounts, uint32_t *account);

/* The account with the most waiting calls (connections), if it has at least two more than
 * `account`; else NONE. It can give one up and still not be worse off than `account`. */
uint32_t account_of_most_waiting(const struct accounts *accounts, uint32_t account);
uint32_t account_of_most_connections(const struct accounts *accounts, uint32_t account);

#endif
