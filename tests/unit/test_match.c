/* Walking a rule over a request: where it stops and why, and where a slot's values are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/broker/match.h"
#include "tests/unit/broker_policy.h"

static struct match_walk walk(uint32_t rule, const char *const *words)
{
    struct policy_bytes storage[ARGUMENTS_MAX];
    struct policy_request request = request_of(words, storage);

    return match_walk_rule(&rules[rule], &request);
}

static void assert_stops(struct match_walk here, enum match_outcome outcome, uint32_t argument,
                         uint32_t token)
{
    assert_int_equal(here.outcome, outcome);
    assert_int_equal(here.argument, argument);
    assert_int_equal(here.token, token);
}

static void each_way_to_stop(void **state)
{
    (void)state;
    assert_stops(walk(0, WORDS("git", "push", "origin", "main")), MATCH_ACCEPTS, 4, 4);
    assert_stops(walk(0, WORDS("git", "pull", "origin", "main")), MATCH_OTHER_WORD, 1, 1);
    assert_stops(walk(0, WORDS("git", "push", "origin", "Main")), MATCH_REFUSED, 3, 3);
    assert_stops(walk(0, WORDS("git", "push", "origin", "-x")), MATCH_OPTION_LIKE, 3, 3);
    assert_stops(walk(0, WORDS("git", "push", "origin", "abcdefghijklmnopqrstu")), MATCH_TOO_LONG,
                 3, 3);
    assert_stops(walk(0, WORDS("git", "push", "origin")), MATCH_MISSING, 3, 3);
    assert_stops(walk(0, WORDS("git", "push", "origin", "main", "x")), MATCH_LEFT_OVER, 4, 4);
    assert_stops(walk(0, WORDS("git", "push", "origin", "")), MATCH_REFUSED, 3, 3);
}

static void a_rest_leaves_room_for_what_follows(void **state)
{
    (void)state;
    assert_stops(walk(1, WORDS("cp", "a", "/srv/to")), MATCH_ACCEPTS, 3, 3);
    assert_stops(walk(1, WORDS("cp", "a", "b", "c", "/srv/to")), MATCH_ACCEPTS, 5, 3);
    assert_stops(walk(1, WORDS("cp", "a", "b", "c", "d", "/srv/to")), MATCH_OTHER_WORD, 4, 2);
    assert_stops(walk(1, WORDS("cp", "a", "B", "/srv/to")), MATCH_REFUSED, 2, 1);
    assert_stops(walk(1, WORDS("cp", "/srv/to")), MATCH_REFUSED, 1, 1);
    assert_stops(walk(1, WORDS("cp")), MATCH_MISSING, 1, 1);
}

static void mixed_tokens_and_expansions(void **state)
{
    (void)state;
    assert_stops(walk(2, WORDS("seq", "--range=1:20", "/home/me/x")), MATCH_ACCEPTS, 3, 3);
    assert_stops(walk(2, WORDS("seq", "--range=1:", "/home/me/x")), MATCH_REFUSED, 1, 1);
    assert_int_equal(walk(2, WORDS("seq", "--range=1:", "/home/me/x")).slot, NO_SLOT);
    assert_stops(walk(2, WORDS("seq", "--range=1:20", "/home/you/x")), MATCH_OTHER_WORD, 2, 2);
}

static void the_nearest_rule_got_furthest(void **state)
{
    struct policy_bytes storage[ARGUMENTS_MAX];
    struct match_walk here;
    struct policy_request request = request_of(WORDS("cp", "a", "B", "/srv/to"), storage);

    (void)state;
    assert_int_equal(match_find_nearest(&policy, &request, &here), 1);
    assert_int_equal(here.argument, 2);
    request = request_of(WORDS("rm", "a"), storage);
    assert_int_equal(match_find_nearest(&policy, &request, &here), policy.rule_count);
}

static int64_t values(uint32_t rule, uint32_t slot, const char *const *words,
                      struct policy_bytes *found, uint32_t capacity)
{
    static struct policy_bytes storage[ARGUMENTS_MAX];
    struct policy_request request = request_of(words, storage);

    return match_slot_values(&rules[rule], &request, slot, found, capacity);
}

static void assert_value(struct policy_bytes value, const char *text)
{
    assert_int_equal(value.length, strlen(text));
    assert_memory_equal(value.bytes, text, value.length);
}

static void slots_have_values(void **state)
{
    struct policy_bytes found[4];

    (void)state;
    assert_int_equal(values(0, 0, WORDS("git", "push", "origin", "main"), found, 4), 1);
    assert_value(found[0], "main");
    assert_int_equal(values(1, 0, WORDS("cp", "a", "b", "/srv/to"), found, 4), 2);
    assert_value(found[0], "a");
    assert_value(found[1], "b");
    assert_int_equal(values(1, 0, WORDS("cp", "a", "b", "c", "/srv/to"), found, 2), 3);
    assert_int_equal(values(2, 0, WORDS("seq", "--range=12:345", "/home/me/x"), found, 4), 1);
    assert_value(found[0], "12");
    assert_int_equal(values(2, 1, WORDS("seq", "--range=12:345", "/home/me/x"), found, 4), 1);
    assert_value(found[0], "345");
    assert_int_equal(values(0, 9, WORDS("git", "push", "origin", "main"), found, 4), 0);
}

/* A value that would take quadratically many bytes to divide is given up on, not waited for. */
static void dividing_a_token_is_bounded(void **state)
{
    const uint32_t length = 100000;
    char *value = malloc(length + 1);
    struct policy_bytes found[1];

    (void)state;
    memset(value, '1', length);
    memcpy(value, "--range=", 8);
    value[length] = '\0';
    assert_int_equal(values(2, 0, WORDS("seq", value, "/home/me/x"), found, 1), -1);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_to_stop),
        cmocka_unit_test(a_rest_leaves_room_for_what_follows),
        cmocka_unit_test(mixed_tokens_and_expansions),
        cmocka_unit_test(the_nearest_rule_got_furthest),
        cmocka_unit_test(slots_have_values),
        cmocka_unit_test(dividing_a_token_is_bounded),
    };

    return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
