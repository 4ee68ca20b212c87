/* What a refused caller is told, to the byte; the listing; the policy's own text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/broker/explain.h"
#include "runtime/broker/listing.h"
#include "tests/unit/broker_policy.h"

static char buffer[EXPLANATION_MAX];

static const char *explain(enum policy_verdict verdict, uint32_t rule, const char *const *words)
{
    struct policy_bytes storage[ARGUMENTS_MAX];
    struct policy_request request = request_of(words, storage);
    struct policy_decision decision = {.verdict = verdict, .rule = rule};
    struct text text;

    text_start(&text, buffer, sizeof(buffer));
    explain_decision(&text, &policy, &request, &decision);
    return buffer;
}

#define NEAREST_PUSH "the nearest rule is agent.rules:3, git push origin #branch\n"

static void each_refusal_has_its_words(void **state)
{
    (void)state;
    assert_string_equal(explain(POLICY_NO, 0, WORDS("git", "push", "--force")),
                        NEAREST_PUSH "argument 2 `--force`: the rule has `origin` there");
    assert_string_equal(explain(POLICY_NO, 0, WORDS("git", "push", "origin", "Main")),
                        NEAREST_PUSH "argument 3 `Main`: the rule has `#branch` there; "
                                     "#branch accepts [a-z-]+");
    assert_string_equal(explain(POLICY_OPTION_LIKE, 0, WORDS("git", "push", "origin", "-f")),
                        NEAREST_PUSH "argument 3 `-f`: #branch takes no value that starts with '-'");
    assert_string_equal(
        explain(POLICY_TOO_LONG, 0, WORDS("git", "push", "origin", "aaaaaaaaaaaaaaaaaaaaa")),
        NEAREST_PUSH "argument 3 `aaaaaaaaaaaaaaaaaaaaa`: #branch takes at most 20 bytes, and this "
                     "is 21");
    assert_string_equal(explain(POLICY_NO, 0, WORDS("git", "push")),
                        NEAREST_PUSH "the request ends where the rule goes on with `origin`");
    assert_string_equal(explain(POLICY_NO, 0, WORDS("git", "push", "origin", "a", "b")),
                        NEAREST_PUSH "argument 4 `b`: the rule ends before it");
    assert_string_equal(
        explain(POLICY_NO, 0, WORDS("seq", "--range=a:1", "x")),
        "the nearest rule is agent.rules:14, seq --range=#{from}:#{to} $HOME/x\n"
        "argument 1 `--range=a:1`: the rule has `--range=#{from}:#{to}` there; "
        "#from accepts [0-9]+, #to accepts [0-9]+");
    assert_string_equal(explain(POLICY_NO, 0, WORDS("rm", "-rf")),
                        "no rule is for the program `rm`; there are rules for: git, cp, seq");
}

static void a_long_value_is_cut_between_characters(void **state)
{
    char value[400];
    struct text text;

    (void)state;
    for (size_t i = 0; i < sizeof(value); i += 2)
        memcpy(value + i, "\xc3\xa9", 2);
    text_start(&text, buffer, sizeof(buffer));
    explain_value(&text, value, sizeof(value));
    assert_int_equal(text.length, 1 + 120 + 4);
    memmove(value + 1, value, sizeof(value) - 1);
    value[0] = 'x';
    text_start(&text, buffer, sizeof(buffer));
    explain_value(&text, value, sizeof(value) - 1);
    assert_int_equal(text.length, 1 + 119 + 4);
}

static void the_listing_is_a_menu(void **state)
{
    struct text text;

    (void)state;
    text_start(&text, buffer, sizeof(buffer));
    listing_write(&text, &policy);
    assert_string_equal(buffer, "; Publish a branch.\n"
                                "; Never a tag.\n"
                                "git push origin #branch\n"
                                "  branch = [a-z-]+\n"
                                "\n"
                                "cp #files...{1,3} /srv/to\n"
                                "  files = [a-z-]+\n"
                                "\n"
                                "seq --range=#{from}:#{to} $HOME/x\n"
                                "  from = [0-9]+\n"
                                "  to = [0-9]+\n");
    text_start(&text, buffer, 40);
    listing_write(&text, &policy);
    assert_true(text.truncated);
}

static void the_policy_says_what_it_was_made_from(void **state)
{
    struct text text;

    (void)state;
    text_start(&text, buffer, sizeof(buffer));
    policy_write(&text, &policy);
    assert_string_equal(buffer, "; agent.rules\n; sha256 00\n; compiled by sluicec 1\n"
                                "; confinement by line:\n"
                                ";   3: none\n;   9: none\n;   14: none\n"
                                "\n; a rules file\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_has_its_words),
        cmocka_unit_test(a_long_value_is_cut_between_characters),
        cmocka_unit_test(the_listing_is_a_menu),
        cmocka_unit_test(the_policy_says_what_it_was_made_from),
    };

    return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
