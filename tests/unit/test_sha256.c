/* SHA-256 against the examples that NIST publishes for FIPS 180-4, and at every padding length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/base/sha256.h"

static void assert_sum(const char *text, size_t length, const char *expected)
{
    char hex[SHA256_HEX];
    sha256_hex(text, length, hex);
    assert_string_equal(hex, expected);
}

static void published_examples_agree(void **state)
{
    (void)state;
    assert_sum("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_sum("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_sum(two, strlen(two),
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    const char *long_two = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                           "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    assert_sum(long_two, strlen(long_two),
               "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void a_million_times_a_agrees(void **state)
{
    (void)state;
    char *text = malloc(1000000);
    assert_non_null(text);
    memset(text, 'a', 1000000);
    assert_sum(text, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(text);
}

/* Sums of 0..130 bytes 'a', summed again: covers every place of the padding. The value is
 * coreutils' sha256sum of the same. */
static void every_padding_length_agrees(void **state)
{
    (void)state;
    char all[131 * 64];
    char text[131];
    memset(text, 'a', sizeof text);
    for (size_t length = 0; length <= 130; length++) {
        char hex[SHA256_HEX];
        sha256_hex(text, length, hex);
        memcpy(all + 64 * length, hex, 64);
    }
    assert_sum(all, sizeof all, "5eee4c50e1b5ec4f1a47f34c25ca988850b49da7904f5ab1b3abc5cc0ae66ef9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples_agree),
        cmocka_unit_test(a_million_times_a_agrees),
        cmocka_unit_test(every_padding_length_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
