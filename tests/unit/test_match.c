/* Walking a rule over a request: where it stops and why, and where a slot's values are. */
#define _GNU_SOURCE /* memrchr */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/broker/match.h"
#include "tests/unit/broker_policy.h"

/* ANYTHING:DIGITS, the last colon counting */
static enum policy_verdict accept_pair(const char *bytes, uint32_t length)
{
    const char *colon = memrchr(bytes, ':', length);

    return colon ? accept_digits(colon + 1, length - (uint32_t)(colon + 1 - bytes)) : POLICY_NO;
}

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

static enum policy_verdict accept_never_decides(const char *bytes, uint32_t length)
{
    (void)bytes;
    return length > 3 ? POLICY_PATTERN_LIMIT : POLICY_YES;
}

/* A pattern that gives up takes nothing, whether its slot is an argument or a part of one. */
static void a_pattern_that_gives_up_stops(void **state)
{
    static const struct policy_piece piece = SLOT(0), pieces[] = {LITERAL("x"), SLOT(0)};
    static const struct policy_slot slots[] = {
        {.name = "v", .pattern = "hard", .accept = accept_never_decides, .max_bytes = 100}};
    static const struct policy_token tokens[] = {
        {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_cp},
        {.kind = TOKEN_SLOT, .piece_count = 1, .pieces = &piece},
        {.kind = TOKEN_MIXED, .piece_count = 2, .pieces = pieces, .accept = accept_never_decides}};
    const struct policy_rule rule = {
        .tokens = tokens, .token_count = 3, .slots = slots, .slot_count = 1};
    struct policy_bytes storage[ARGUMENTS_MAX];
    struct policy_request request = request_of(WORDS("cp", "abc", "xab"), storage);

    (void)state;
    assert_stops(match_walk_rule(&rule, &request), MATCH_ACCEPTS, 3, 3);
    request = request_of(WORDS("cp", "abcd", "xab"), storage);
    assert_stops(match_walk_rule(&rule, &request), MATCH_GAVE_UP, 1, 1);
    request = request_of(WORDS("cp", "abc", "xabc"), storage);
    assert_stops(match_walk_rule(&rule, &request), MATCH_GAVE_UP, 2, 2);
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

/* A word of the rule counts wherever the request has it: an option too many hides nothing. */
static void the_nearest_rule_has_the_words(void **state)
{
    static const struct policy_piece fetch = LITERAL("fetch"), all = LITERAL("--all");
    static const struct policy_token tokens_fetch[] = {
        {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_git},
        {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &all},
        {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &fetch}};
    const struct policy_rule both[] = {{.tokens = tokens_fetch, .token_count = 3}, rules[0],
                                       rules[0]};
    const struct policy of_git = {.rules = both, .rule_count = 3};
    struct policy_bytes storage[ARGUMENTS_MAX];
    struct match_walk here;
    struct policy_request request =
        request_of(WORDS("git", "--all", "push", "origin", "main"), storage);

    (void)state;
    assert_int_equal(match_find_nearest(&of_git, &request, &here), 1);
    assert_stops(here, MATCH_OTHER_WORD, 1, 1);
    request = request_of(WORDS("git", "--all", "fetch", "--force"), storage);
    assert_int_equal(match_find_nearest(&of_git, &request, &here), 0);
    assert_stops(here, MATCH_LEFT_OVER, 3, 3);
    request = request_of(WORDS("git", "pull"), storage);
    assert_int_equal(match_find_nearest(&of_git, &request, &here), 0);
}

/* Only so many rules are looked at. */
static void the_search_for_the_nearest_rule_is_bounded(void **state)
{
    static struct policy_rule many[POLICY_NEAREST_RULES_MAX + 1];
    const struct policy of_many = {.rules = many, .rule_count = POLICY_NEAREST_RULES_MAX + 1};
    static const struct policy_token tokens_git[] = {
        {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_git}};
    struct policy_bytes storage[ARGUMENTS_MAX];
    struct match_walk here;
    struct policy_request request = request_of(WORDS("git", "push", "origin", "-"), storage);

    (void)state;
    for (uint32_t i = 0; i < POLICY_NEAREST_RULES_MAX; i++)
        many[i] = (struct policy_rule){.tokens = tokens_git, .token_count = 1};
    many[POLICY_NEAREST_RULES_MAX] = rules[0];
    assert_int_equal(match_find_nearest(&of_many, &request, &here), 0);
    many[POLICY_NEAREST_RULES_MAX - 1] = rules[0];
    assert_int_equal(match_find_nearest(&of_many, &request, &here), POLICY_NEAREST_RULES_MAX - 1);
}

/* A mixed token whose language takes the argument, while a part passes its slot's bounds. */
static void parts_of_mixed_tokens_have_bounds(void **state)
{
    static const struct policy_piece pieces[] = {SLOT(0), LITERAL(":"), SLOT(1)};
    static const struct policy_slot slots[] = {
        {.name = "from", .pattern = "anything", .max_bytes = 5},
        {.name = "to", .pattern = "[0-9]+", .accept = accept_digits, .max_bytes = 3,
         .allow_dash = true}};
    static const struct policy_token tokens[] = {
        {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_cp},
        {.kind = TOKEN_MIXED, .piece_count = 3, .pieces = pieces, .accept = accept_pair}};
    const struct policy_rule rule = {
        .tokens = tokens, .token_count = 2, .slots = slots, .slot_count = 2};
    const struct {
        const char *value;
        enum match_outcome outcome;
        uint32_t slot;
        const char *refused;
    } cases[] = {
        {"abcde:123", MATCH_ACCEPTS, NO_SLOT, NULL},
        {"abcdef:123", MATCH_TOO_LONG, 0, "abcdef"},
        {"abcde:1234", MATCH_TOO_LONG, 1, "1234"},
        {"abcdef:1234", MATCH_TOO_LONG, 0, "abcdef"},
        {"-a:1", MATCH_OPTION_LIKE, 0, "-a"},
        {"-a:1234", MATCH_OPTION_LIKE, 0, "-a"},
        {"-a:x", MATCH_REFUSED, NO_SLOT, "-a:x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct policy_bytes storage[ARGUMENTS_MAX];
        struct policy_request request = request_of(WORDS("cp", cases[i].value), storage);
        struct match_walk here = match_walk_rule(&rule, &request);
        assert_int_equal(here.outcome, cases[i].outcome);
        assert_int_equal(here.argument, cases[i].refused ? 1 : 2);
        assert_int_equal(here.slot, cases[i].slot);
        if (cases[i].refused) {
            assert_int_equal(here.value.length, strlen(cases[i].refused));
            assert_memory_equal(here.value.bytes, cases[i].refused, here.value.length);
        }
    }
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
        cmocka_unit_test(a_pattern_that_gives_up_stops),
        cmocka_unit_test(the_nearest_rule_got_furthest),
        cmocka_unit_test(the_nearest_rule_has_the_words),
        cmocka_unit_test(the_search_for_the_nearest_rule_is_bounded),
        cmocka_unit_test(parts_of_mixed_tokens_have_bounds),
        cmocka_unit_test(slots_have_values),
        cmocka_unit_test(dividing_a_token_is_bounded),
    };

    return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
