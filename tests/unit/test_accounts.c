/* Whose turn it is: first come, first served for one uid, and none starved among several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/broker/accounts.h"

#define CALLS 64u
#define TABLE 16u

struct fixture {
    struct account table[TABLE];
    struct waiting_link links[CALLS];
    struct accounts accounts;
    uint64_t arrival;
    uint32_t calls;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.arrival = 0};
    accounts_start(&f->accounts, f->table, TABLE, f->links);
}

/* One more call of `uid` waits; its index is returned. */
static uint32_t wait_one(struct fixture *f, uint32_t uid)
{
    uint32_t account = account_open(&f->accounts, uid);

    waiting_add(&f->accounts, account, f->calls, ++f->arrival);
    return f->calls++;
}

/* Lets the next start: its index, NONE if none waits. */
static uint32_t start_one(struct fixture *f)
{
    uint32_t account = NONE;
    uint32_t call = waiting_next(&f->accounts, &account);

    if (call == NONE)
        return NONE;
    waiting_remove(&f->accounts, account, call);
    f->table[account].active++;
    return call;
}

static void one_uid_is_served_in_order(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(start_one(&f), NONE);
    for (uint32_t i = 0; i < 10; i++)
        wait_one(&f, 1000);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(start_one(&f), i);
    assert_int_equal(start_one(&f), NONE);
    assert_int_equal(f.accounts.waiting, 0);
}

static void a_second_uid_does_not_wait_for_all_of_the_first(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (uint32_t i = 0; i < 10; i++)
        wait_one(&f, 1000);
    assert_int_equal(start_one(&f), 0);
    uint32_t other = wait_one(&f, 1001);
    assert_int_equal(start_one(&f), other); /* it has none active, the first has one */
    assert_int_equal(start_one(&f), 1);
}

static void uids_with_as_many_active_alternate_by_arrival(void **state)
{
    struct fixture f;
    uint32_t first[3], second[3];

    (void)state;
    begin(&f);
    for (int i = 0; i < 3; i++)
        first[i] = wait_one(&f, 1);
    for (int i = 0; i < 3; i++)
        second[i] = wait_one(&f, 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(start_one(&f), first[i]);
        assert_int_equal(start_one(&f), second[i]);
    }
}

static void one_is_removed_from_the_middle(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (uint32_t i = 0; i < 4; i++)
        wait_one(&f, 7);
    uint32_t account = account_open(&f.accounts, 7);
    waiting_remove(&f.accounts, account, 1);
    waiting_remove(&f.accounts, account, 3);
    assert_int_equal(start_one(&f), 0);
    assert_int_equal(start_one(&f), 2);
    assert_int_equal(start_one(&f), NONE);
    assert_int_equal(f.table[account].last, NONE);
}

static void an_account_ends_with_what_is_counted_on_it(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (uint32_t uid = 0; uid < 10 * TABLE; uid++) {
        uint32_t account = account_open(&f.accounts, uid);
        f.table[account].connections++;
        assert_int_equal(account_open(&f.accounts, uid), account);
        f.table[account].connections--;
    }
    assert_int_equal(f.accounts.used, 1);
}

static void the_greediest_gives_way_only_to_one_with_less(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (int i = 0; i < 5; i++)
        wait_one(&f, 1);
    uint32_t greedy = account_open(&f.accounts, 1);
    for (int i = 0; i < 3; i++)
        wait_one(&f, 2);
    uint32_t modest = account_open(&f.accounts, 2);
    assert_int_equal(account_of_most_waiting(&f.accounts, greedy), NONE);
    assert_int_equal(account_of_most_waiting(&f.accounts, modest), greedy);
    wait_one(&f, 2);
    assert_int_equal(account_of_most_waiting(&f.accounts, modest), NONE);
    f.table[greedy].connections = 9;
    f.table[modest].connections = 7;
    assert_int_equal(account_of_most_connections(&f.accounts, modest), greedy);
    f.table[modest].connections = 8;
    assert_int_equal(account_of_most_connections(&f.accounts, modest), NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_uid_is_served_in_order),
        cmocka_unit_test(a_second_uid_does_not_wait_for_all_of_the_first),
        cmocka_unit_test(uids_with_as_many_active_alternate_by_arrival),
        cmocka_unit_test(one_is_removed_from_the_middle),
        cmocka_unit_test(an_account_ends_with_what_is_counted_on_it),
        cmocka_unit_test(the_greediest_gives_way_only_to_one_with_less),
    };

    return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
