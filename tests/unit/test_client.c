/* The client's parts that read what others wrote: menus, addresses, command lines; and what it
 * shows. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/client/arguments.h"
#include "runtime/client/display.h"
#include "runtime/client/shims.h"
#include "runtime/client/sluicify.h"
#include "runtime/shared/descriptors.h"

/* ---- menus ----------------------------------------------------------------------------------- */

static void takes_commands_from_a_menu(void **state)
{
    static const char menu[] = "; comment\n"
                               "# comment\n"
                               "git status\n"
                               "  path = x\n"
                               "\ttab = x\n"
                               "\r\n"
                               "\n"
                               "'a b'\"c\\\"d\"e\\ f g\n"
                               "\"\" x\n"
                               "tab\tx\r\n"
                               "crlf\r\n"
                               "'unterminated x\n"
                               "trailing\\";
    static const char *const names[] = {"git",  "a bc\"de f",     "",          "tab",
                                        "crlf", "unterminated x", "trailing\\"};
    const char *at = menu;
    size_t length = strlen(menu);
    char name[256];
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_true(client_menu_next(&at, &length, name, sizeof(name)));
        assert_string_equal(name, names[i]);
    }
    assert_false(client_menu_next(&at, &length, name, sizeof(name)));
    assert_false(client_menu_next(&at, &length, name, sizeof(name)));
}

static void gives_no_half_of_a_long_name(void **state)
{
    const char *menu = "abcd x\nabcde x\nabc x\n";
    size_t length = strlen(menu);
    char name[5];
    (void)state;

    assert_true(client_menu_next(&menu, &length, name, sizeof(name)));
    assert_string_equal(name, "abcd");
    assert_true(client_menu_next(&menu, &length, name, sizeof(name)));
    assert_string_equal(name, "");
    assert_true(client_menu_next(&menu, &length, name, sizeof(name)));
    assert_string_equal(name, "abc");
}

/* Whatever a broker sends: no byte beyond it is read, the end is reached, and what is called safe
 * is. */
static void survives_any_menu(void **state)
{
    static const char alphabet[] = "ab/.-'\"\\ \t\n\r;#\0\xff\xc3";
    uint32_t seed = 1;
    (void)state;

    for (unsigned round = 0; round < 20000; round++) {
        size_t length = round % 40;
        char *menu = malloc(length + 1);
        assert_non_null(menu);
        char *exact = realloc(menu, length > 0 ? length : 1);
        assert_non_null(exact);
        for (size_t i = 0; i < length; i++) {
            seed = seed * 1664525 + 1013904223;
            exact[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        const char *at = exact;
        size_t left = length;
        char name[12];
        unsigned lines = 0;
        while (client_menu_next(&at, &left, name, sizeof(name))) {
            assert_true(++lines <= length);
            assert_non_null(memchr(name, '\0', sizeof(name)));
            if (client_name_is_safe(name)) {
                assert_null(strchr(name, '/'));
                assert_true(name[0] != '.' && name[0] != '-' && name[0] != '\0');
            }
        }
        assert_int_equal(left, 0);
        free(exact);
    }
}

static void knows_safe_names(void **state)
{
    static const char *const safe[] = {"git", "g++", "7z", "a.b", "A_b-c@d", "x"};
    static const char *const unsafe[] = {"",     ".",  "..",  ".x",       "-x",
                                         "a/b",  "/",  "a b", "a\n",      "\xc3\xa4",
                                         "a\\b", "a'", "a$b", "sluicify", "sluicify-x"};
    char name[260];
    (void)state;

    for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
        assert_true(client_name_is_safe(safe[i]));
    for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
        assert_false(client_name_is_safe(unsafe[i]));
    memset(name, 'x', sizeof(name));
    name[255] = '\0';
    assert_true(client_name_is_safe(name));
    name[255] = 'x';
    name[256] = '\0';
    assert_false(client_name_is_safe(name));
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void reads_addresses(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int descriptor;
    } cases[] = {
        {"/run/x.sock", true, -1},   {"x", true, -1},
        {"fd:0", true, 0},           {"fd:2147483647", true, 2147483647},
        {"FD:0", true, -1},          {"", false, 0},
        {"fd:", false, 0},           {"fd:x", false, 0},
        {"fd:-1", false, 0},         {"fd:00", false, 0},
        {"fd:2147483648", false, 0}, {"fd:1 ", false, 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sluicify_address address;
        if (sluicify_address_read(&address, cases[i].text) != cases[i].good)
            fail_msg("\"%s\"", cases[i].text);
        if (!cases[i].good)
            continue;
        assert_int_equal(address.descriptor, cases[i].descriptor);
        if (cases[i].descriptor < 0)
            assert_string_equal(address.path, cases[i].text);
        else
            assert_null(address.path);
    }
}

static void checks_inherited_connections(void **state)
{
    struct sluicify_address address = {.path = NULL};
    int ends[2];
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    address.descriptor = ends[0];
    assert_int_equal(sluicify_address_check(&address), 0);
    descriptors_close(ends, 2);
    assert_int_equal(sluicify_address_check(&address), -EBADF);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    address.descriptor = ends[0];
    assert_int_equal(sluicify_address_check(&address), -ENOTSOCK);
    descriptors_close(ends, 2);
    address.path = "/x";
    assert_int_equal(sluicify_address_check(&address), 0);
}

/* An exchange that fails leaves nothing open, at whichever step. */
static void leaves_nothing_open_after_a_failure(void **state)
{
    static struct sluicify_exchange exchange;
    const char *const words[] = {"x"};
    struct sluicify_request request = {
        .argument_count = 1, .arguments = words, .descriptors = {0, 1, 2}};
    struct sluicify_address nowhere = {.path = "/nowhere/at/all", .descriptor = -1};
    struct sluicify_address closed = {.path = NULL, .descriptor = 9999};
    int before = dup(0);
    (void)state;

    close(before);
    assert_int_equal(sluicify_exchange_open(&exchange, &nowhere, SLUICIFY_CALL, &request, 2),
                     -ENOENT);
    assert_int_equal(sluicify_exchange_open(&exchange, &closed, SLUICIFY_CALL, &request, 2),
                     -EBADF);
    assert_int_equal(sluicify_exchange_open(&exchange, &closed, SLUICIFY_LIST, NULL, 1),
                     -EPROTONOSUPPORT);
    assert_int_equal(sluicify_exchange_open(&exchange, &closed, SLUICIFY_HELLO, NULL, 2),
                     -EPROTONOSUPPORT);
    sluicify_exchange_close(&exchange);
    request.argument_count = 0;
    assert_int_equal(sluicify_exchange_open(&exchange, &nowhere, SLUICIFY_CALL, &request, 2),
                     -EINVAL);
    assert_string_equal(exchange.problem, "no command");
    sluicify_exchange_close(&exchange);
    int after = dup(0);
    assert_int_equal(after, before);
    close(after);
}

/* ---- command lines --------------------------------------------------------------------------- */

static const char *read_line(struct client_arguments *arguments, const char **word, char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return client_arguments_read(arguments, argc, argv, word);
}

#define LINE(...) ((char **)(uintptr_t)(const char *[]){__VA_ARGS__, NULL})

static void reads_command_lines(void **state)
{
    static struct client_arguments arguments;
    const char *word;
    (void)state;

    assert_null(read_line(&arguments, &word,
                          LINE("sluicify", "-s", "/x", "-e", "A", "-C", "/d", "git", "-s", "y")));
    assert_int_equal(arguments.command, CLIENT_CALL);
    assert_string_equal(arguments.socket, "/x");
    assert_false(arguments.socket_is_operand);
    assert_int_equal(arguments.variable_count, 1);
    assert_string_equal(arguments.variables[0], "A");
    assert_string_equal(arguments.working_directory, "/d");
    assert_int_equal(arguments.word_count, 3);
    assert_string_equal(arguments.words[0], "git");
    assert_null(arguments.words[3]);

    assert_null(
        read_line(&arguments, &word, LINE("/bin/sluicify", "./s", "--cwd", "--", "--list")));
    assert_string_equal(arguments.socket, "./s");
    assert_true(arguments.socket_is_operand);
    assert_string_equal(arguments.working_directory, ".");
    assert_string_equal(arguments.words[0], "--list");

    assert_null(read_line(&arguments, &word, LINE("sluicify", "--launch", "s", "--", "/bin/sh")));
    assert_int_equal(arguments.command, CLIENT_LAUNCH);
    assert_string_equal(arguments.socket, "s");
    assert_string_equal(arguments.words[0], "/bin/sh");
    assert_null(read_line(&arguments, &word, LINE("sluicify", "--launch", "--", "/bin/sh")));
    assert_null(arguments.socket);
    assert_null(read_line(&arguments, &word, LINE("sluicify", "-s", "s", "--launch", "/bin/sh")));
    assert_string_equal(arguments.socket, "s");
    assert_string_equal(arguments.words[0], "/bin/sh");

    assert_null(read_line(&arguments, &word, LINE("sluicify", "/s", "--shims", "d")));
    assert_int_equal(arguments.command, CLIENT_SHIMS);
    assert_string_equal(arguments.directory, "d");
    assert_null(read_line(&arguments, &word, LINE("sluicify", "--list", "s")));
    assert_string_equal(arguments.socket, "s");

    assert_null(read_line(&arguments, &word, LINE("/shims/git", "--help")));
    assert_int_equal(arguments.command, CLIENT_CALL);
    assert_int_equal(arguments.word_count, 2);
    assert_string_equal(arguments.words[0], "git");

    assert_null(read_line(&arguments, &word, LINE("sluicify", "-s", "x", "--version")));
    assert_int_equal(arguments.command, CLIENT_VERSION);
    assert_string_equal(read_line(&arguments, &word, LINE("sluicify", "-s", "x", "-s", "y", "z")),
                        "more than one socket");
    assert_string_equal(read_line(&arguments, &word, LINE("sluicify", "--nothing")),
                        "unknown option ");
    assert_string_equal(word, "--nothing");
    assert_non_null(client_arguments_read(&arguments, 0, (char *[]){NULL}, &word));
}

/* ---- display --------------------------------------------------------------------------------- */

/* What a display writes, read back from a file. The caller frees it. */
static char *shown(void (*show)(struct display *display, const void *what), const void *what)
{
    struct display display;
    int file = memfd_create("shown", MFD_CLOEXEC);

    assert_true(file >= 0);
    display_start(&display, file);
    show(&display, what);
    assert_int_equal(display_finish(&display), 0);
    size_t length = (size_t)lseek(file, 0, SEEK_END);
    char *text = malloc(length + 1);
    assert_non_null(text);
    assert_int_equal(pread(file, text, length, 0), (ssize_t)length);
    text[length] = '\0';
    close(file);
    return text;
}

static void show_bytes(struct display *display, const void *what)
{
    const struct policy_bytes *bytes = what;

    display_append_escaped(display, bytes->bytes, bytes->length);
}

static void show_words(struct display *display, const void *what)
{
    const char *const *words = what;
    size_t count = 0;

    while (words[count])
        count++;
    display_append_command(display, words, count);
}

/* Every byte string comes out without a control character, whole, and within what a piece can be.
 */
static void lets_no_control_character_through(void **state)
{
    static const char picked[] = "\xc2\x9b\xe2\x80\xae\x1b";
    uint32_t seed = 7;
    (void)state;

    for (unsigned round = 0; round < 3000; round++) {
        char bytes[64];
        struct policy_bytes input = {bytes, round % sizeof(bytes)};
        for (size_t i = 0; i < input.length; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] =
                round % 3 == 0 ? (char)(unsigned char)(seed >> 24) : picked[(seed >> 20) % 6];
        }
        char *text = shown(show_bytes, &input);
        for (size_t i = 0; text[i]; i++) {
            unsigned char byte = (unsigned char)text[i];
            assert_false(byte < 0x20 || byte == 0x7f);
            assert_false(byte == 0xc2 && (unsigned char)text[i + 1] < 0xa0);
        }
        assert_null(strstr(text, "\xe2\x80\xae"));
        free(text);
    }
}

static void shows_commands(void **state)
{
    const char *words[] = {"git", "a b", "", "x'y", "tab\t", "\xff", "caf\xc3\xa9", NULL};
    char *text = shown(show_words, words);
    (void)state;

    assert_string_equal(text, "git 'a b' '' 'x'\\''y' $'tab\\t' $'\\xff' caf\xc3\xa9");
    free(text);
}

static void remembers_that_a_write_failed(void **state)
{
    struct display display;
    (void)state;

    display_start(&display, -1);
    for (int i = 0; i < 3000; i++)
        display_append(&display, "12345678");
    display_append_number(&display, -5);
    assert_int_equal(display_finish(&display), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_commands_from_a_menu),
        cmocka_unit_test(gives_no_half_of_a_long_name),
        cmocka_unit_test(survives_any_menu),
        cmocka_unit_test(knows_safe_names),
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(checks_inherited_connections),
        cmocka_unit_test(leaves_nothing_open_after_a_failure),
        cmocka_unit_test(reads_command_lines),
        cmocka_unit_test(lets_no_control_character_through),
        cmocka_unit_test(shows_commands),
        cmocka_unit_test(remembers_that_a_write_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
