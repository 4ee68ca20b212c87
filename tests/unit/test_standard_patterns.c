/* The standard set: each pattern against its examples, its definition in other words, and the
 * programs that have the last word (git for references, Python's ipaddress for addresses). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compiler/regex/oracle.h"
#include "compiler/regex/standard.h"
#include "compiler/regex/witness.h"
#include "tests/unit/regex_arena.h"

extern char **environ;

static bool accepts(const struct automaton *automaton, const char *value)
{
    return automaton_accepts(automaton, value, strlen(value));
}

#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_values(const char *text, const char *const *accepted, const char *const *refused)
{
    struct automaton *automaton = build(text);
    for (; *accepted; accepted++)
        if (!accepts(automaton, *accepted))
            fail_msg("%s refuses `%s`", text, *accepted);
    for (; *refused; refused++)
        if (accepts(automaton, *refused))
            fail_msg("%s accepts `%s`", text, *refused);
}

static const char *reference(const struct standard_pattern *pattern)
{
    return pattern->arguments[0] ? arena_format(arena, "@%s(%s)", pattern->name, pattern->arguments)
                                 : arena_format(arena, "@%s", pattern->name);
}

/* ---- the list -------------------------------------------------------------------------------- */

static void test_every_row_has_its_examples(void **state)
{
    (void)state;
    size_t count;
    const struct standard_pattern *all = standard_patterns(&count);
    assert_int_equal(count, 20);
    for (size_t i = 0; i < count; i++) {
        assert_values(reference(&all[i]), VALUES(all[i].example), VALUES(all[i].counter_example));
        assert_true(pattern_is_standard(all[i].name, strlen(all[i].name)));
        assert_true(strlen(all[i].accepts) > 10);
    }
    assert_false(pattern_is_standard("wordy", 5) || pattern_is_standard("wor", 3));
}

/* PCRE2 on the text, value by value; libfa on the tree. */
static void test_every_row_is_the_same_to_the_oracles(void **state)
{
    (void)state;
    size_t count;
    const struct standard_pattern *all = standard_patterns(&count);
    for (size_t i = 0; i < count; i++) {
        const char *text = reference(&all[i]);
        struct pattern_error error;
        const struct pattern *tree = pattern_parse(arena, text, strlen(text), NULL, &error);
        struct automaton *automaton = build(text);
        const char *expanded = pattern_pcre2(arena, text, strlen(text), NULL, &error);
        struct oracle_pcre2 *oracle = oracle_pcre2_new(expanded, strlen(expanded));
        assert_non_null(oracle);
        struct value *values, *near;
        size_t value_count = witness_cover(arena, automaton, 200, &values);
        for (size_t j = 0; j < value_count; j++) {
            assert_int_equal(oracle_pcre2_accepts(oracle, values[j].bytes, values[j].length),
                             ORACLE_YES);
            size_t near_count = witness_mutate(arena, values[j], 20, &near);
            for (size_t k = 0; k < near_count; k++) {
                bool ours = automaton_accepts(automaton, near[k].bytes, near[k].length);
                if (oracle_pcre2_accepts(oracle, near[k].bytes, near[k].length) !=
                    (ours ? ORACLE_YES : ORACLE_NO))
                    fail_msg("%s and `%s`: %d here", text, near[k].bytes, ours);
            }
        }
        oracle_pcre2_free(oracle);
        const char *witness;
        size_t length;
        enum oracle_answer same = oracle_libfa_equal(arena, tree, automaton, &witness, &length);
        bool unicode = strcmp(all[i].name, "text") == 0;
        if (same != (unicode ? ORACLE_UNKNOWN : ORACLE_YES))
            fail_msg("%s: libfa says %d", text, same);
    }
}

/* A standard pattern can stand in a larger one, and ends where it ends. */
static void test_patterns_in_larger_ones(void **state)
{
    (void)state;
    assert_values("(?@gitref)\\.\\.(?@gitref)", VALUES("main..feature/x", "a..b"),
                  VALUES("a...b", "main", "..b", "a.lock..b"));
    assert_values("(?@hostname):(?@int(1,65535))", VALUES("a.example:443"),
                  VALUES("a.example:0", "a.example:65536", "a.example"));
    assert_values("HEAD~(?@uint)|(?@sha1)", VALUES("HEAD~3"), VALUES("HEAD~03", "HEAD~"));
    assert_values("(?@url(https,api.example.com))\\?q=(?@word)",
                  VALUES("https://api.example.com/a?q=b", "https://api.example.com?q=b"),
                  VALUES("https://api.example.com/a?q="));
}

/* ---- words and numbers ----------------------------------------------------------------------- */

static void test_word(void **state)
{
    (void)state;
    assert_values("@word", VALUES("a", "Z_9", "0"), VALUES("", "a-b", "a b", "\xc3\xa9", "a\n"));
}

static void test_integers(void **state)
{
    (void)state;
    assert_values("@int",
                  VALUES("0", "7", "-1", "10", "9223372036854775807", "-9223372036854775808",
                         "999999999999999999"),
                  VALUES("", "-", "-0", "00", "07", "+1", "1.0", "0x1", "9223372036854775808",
                         "-9223372036854775809", "10000000000000000000", "1e3", " 1"));
    assert_values(
        "@uint",
        VALUES("0", "42", "9999999999999999999", "10000000000000000000", "18446744073709551615"),
        VALUES("", "-1", "01", "18446744073709551616", "99999999999999999999"));
    assert_values("@int(18446744073709551614,99999999999999999999)",
                  VALUES("18446744073709551614", "99999999999999999999", "20000000000000000000"),
                  VALUES("18446744073709551613", "100000000000000000000"));
    assert_values("@int( -3 , 3 )", VALUES("-3", "0", "3"), VALUES("-4", "4", "-0"));
}

static void test_integer_ranges_number_by_number(void **state)
{
    (void)state;
    static const int ends[] = {-1001, -1000, -999, -101, -100, -99, -45,  -11, -10,
                               -9,    -5,    -1,   0,    1,    5,   9,    10,  11,
                               42,    99,    100,  101,  119,  999, 1000, 1234};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (size_t j = i; j < sizeof ends / sizeof *ends; j++) {
            struct automaton *automaton =
                build(arena_format(arena, "@int(%d,%d)", ends[i], ends[j]));
            for (int n = -1300; n <= 1300; n++) {
                char text[16];
                snprintf(text, sizeof text, "%d", n);
                if (accepts(automaton, text) != (n >= ends[i] && n <= ends[j]))
                    fail_msg("@int(%d,%d) and %d", ends[i], ends[j], n);
            }
            assert_false(accepts(automaton, "") || accepts(automaton, "-0") ||
                         accepts(automaton, "01") || accepts(automaton, "-"));
        }
}

static void test_digests_and_versions(void **state)
{
    (void)state;
    assert_values("@sha1", VALUES("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
                  VALUES("DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
                         "da39a3ee5e6b4b0d3255bfef95601890afd8070", "HEAD", ""));
    assert_values(
        "@uuid",
        VALUES("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "00000000-0000-0000-0000-000000000000"),
        VALUES("f81d4fae7dec11d0a76500a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf",
               "g81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
    assert_values("@semver",
                  VALUES("0.0.0", "1.20.300", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-0.3.7",
                         "1.0.0-x-y-z.--", "1.0.0+20130313144700", "1.0.0-beta+exp.sha.5114f85",
                         "1.0.0+21AF26D3---117B344092BD", "1.0.0-0a", "1.0.0--", "1.0.0-a-0.0-b",
                         "1.0.0+001.00", "99999999999999999999999.0.0", "1.0.0-00a"),
                  VALUES("1", "1.2", "1.2.3.4", "01.2.3", "1.02.3", "1.2.03", "v1.2.3", "1.2.3-",
                         "1.2.3+", "1.2.3-01", "1.2.3-a..b", "1.2.3-a.", "1.2.3+a..b", "1.2.3+a+b",
                         "1.2.3-\xc3\xa9", "", "1.2.3 ", "1.2.3-0123", "1.2.3-0123.0123",
                         "-1.0.3"));
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* In other words: slashes part components, none of which is empty, `.` or `..`. */
static bool has_good_components(const char *path)
{
    for (;;) {
        size_t length = strcspn(path, "/");
        if (length == 0 || (length == 1 && path[0] == '.') ||
            (length == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        for (size_t i = 0; i < length; i++)
            if ((unsigned char)path[i] < ' ' || path[i] == 0x7f)
                return false;
        if (path[length] == '\0')
            return true;
        path += length + 1;
    }
}

static void test_paths_exhaustively(void **state)
{
    (void)state;
    static const char letters[] = "./a-\n~";
    struct automaton *relative = build("@relpath"), *absolute = build("@abspath");
    struct automaton *name = build("@filename"), *under = build("@under(/a)");
    struct automaton *below_root = build("@under(/)");
    char value[8];
    for (size_t size = 0; size <= 6; size++) {
        size_t total = 1;
        for (size_t i = 0; i < size; i++)
            total *= sizeof letters - 1;
        for (size_t n = 0; n < total; n++) {
            for (size_t i = 0, rest = n; i < size; i++, rest /= sizeof letters - 1)
                value[i] = letters[rest % (sizeof letters - 1)];
            value[size] = '\0';
            bool good = has_good_components(value);
            bool rooted =
                strcmp(value, "/") == 0 || (value[0] == '/' && has_good_components(value + 1));
            bool in_a = strcmp(value, "/a") == 0 ||
                        (strncmp(value, "/a/", 3) == 0 && has_good_components(value + 3));
            if (accepts(relative, value) != good || accepts(absolute, value) != rooted ||
                accepts(name, value) != (good && !strchr(value, '/')) ||
                accepts(under, value) != in_a || accepts(below_root, value) != rooted)
                fail_msg("`%s`", value);
        }
    }
}

static void test_under(void **state)
{
    (void)state;
    assert_values(
        "@under(/srv/my work/a+b.c#{2}[x]^$|?*\\@-)",
        VALUES("/srv/my work/a+b.c#{2}[x]^$|?*\\@-", "/srv/my work/a+b.c#{2}[x]^$|?*\\@-/file"),
        VALUES("/srv/my work/aab.c#{2}[x]^$|?*\\@-", "/srv/my work",
               "/srv/my work/a+b.c#{2}[x]^$|?*\\@-/../x"));
    assert_values("@under(/d\xc3\xa9j\xc3\xa0)", VALUES("/d\xc3\xa9j\xc3\xa0/vu"), VALUES("/deja"));
    assert_values("@relpath", VALUES("...", ".a", "..a", "a..", "-a", "~", "\xc3\xa9/\xe2\x82\xac"),
                  VALUES("\xc2\x85", "a\x7f", "a\tb", "a/"));
}

/* ---- references ------------------------------------------------------------------------------ */

/* git-check-ref-format(1), rule by rule. */
static bool is_git_reference(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || strcmp(name, "@") == 0 || name[0] == '/' || name[length - 1] == '/' ||
        name[length - 1] == '.' || strstr(name, "..") || strstr(name, "//") || strstr(name, "@{") ||
        strpbrk(name, " ~^:?*[\\"))
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return false;
    for (const char *component = name; component;
         component = strchr(component, '/') ? strchr(component, '/') + 1 : NULL) {
        size_t size = strcspn(component, "/");
        if (component[0] == '.' || (size >= 5 && memcmp(component + size - 5, ".lock", 5) == 0))
            return false;
    }
    return true;
}

static void test_gitref_exhaustively(void **state)
{
    (void)state;
    static const char *const units[] = {"a", ".", "/", "@", "{", "-", "lock", "l", "~"};
    const size_t kinds = sizeof units / sizeof *units;
    struct automaton *automaton = build("@gitref");
    for (size_t size = 0; size <= 6; size++) {
        size_t total = 1;
        for (size_t i = 0; i < size; i++)
            total *= kinds;
        for (size_t n = 0; n < total; n++) {
            char name[32] = "";
            for (size_t i = 0, rest = n; i < size; i++, rest /= kinds)
                strcat(name, units[rest % kinds]);
            bool expected = is_git_reference(name) && name[0] != '-';
            if (accepts(automaton, name) != expected)
                fail_msg("`%s`", name);
        }
    }
    assert_values("@gitref",
                  VALUES("main", "feature/x-1", "v1.0", "a@b", "@a", "@@", "a/@", "{", "a{b}",
                         "x.locks", "a.lock./b", "lock", "a/b./c", "\xc3\xa9\xe2\x82\xac",
                         "a.lock.x", "lo.loc", "a.loc"),
                  VALUES("", "@", "-x", ".a", "a.", "a..b", "a/.b", "a.lock", "a.lock/b", "a b",
                         "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a\x7f", "a\n", "/a", "a/",
                         "a//b", "a@{1}", "a.b.lock", "a.lock."));
}

static bool git_takes(const char *name)
{
    char *arguments[] = {(char *)"git", (char *)"check-ref-format", (char *)"--allow-onelevel",
                         (char *)name, NULL};
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, "git", NULL, NULL, arguments, environ) != 0)
        fail_msg("git is not there");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 0;
}

static void test_gitref_is_gits(void **state)
{
    (void)state;
    struct automaton *automaton = build("@gitref");
    struct value *values, *near;
    size_t count = witness_cover(arena, automaton, 60, &values);
    for (size_t i = 0; i < count; i++) {
        assert_true(git_takes(values[i].bytes));
        size_t near_count = witness_mutate(arena, values[i], 4, &near);
        for (size_t j = 0; j < near_count; j++)
            if (near[j].bytes[0] != '-' &&
                git_takes(near[j].bytes) !=
                    automaton_accepts(automaton, near[j].bytes, near[j].length))
                fail_msg("`%s`: git says otherwise", near[j].bytes);
    }
    static const char *const others[] = {"a.lock", "a.lock/b", "@",        "@/a",  "a/@",   "a@{b",
                                         "a.",     "a./b",     ".a",       "a//b", "a\x7f", "a b",
                                         "*",      "a*",       "x.lock.y", "{@"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (git_takes(others[i]) != accepts(automaton, others[i]))
            fail_msg("`%s`: git says otherwise", others[i]);
}

/* ---- hosts and addresses --------------------------------------------------------------------- */

static void test_hostname(void **state)
{
    (void)state;
    char label[80];
    memset(label, 'a', sizeof label);
    label[63] = '\0';
    char longer[80];
    memset(longer, 'a', sizeof longer);
    longer[64] = '\0';
    assert_values(
        "@hostname",
        VALUES("a", "localhost", "A-1.example.com", "3com.example", "x--y", label, "1.2.3.a"),
        VALUES("", "-a", "a-", "a.", ".a", "a..b", "a_b", "127.0.0.1", "1", "1.2", "a.1",
               "0x7f000001", "a.0x7f", longer, "\xc3\xa9.example", "a b", "a-.b", "a/b", "host:80",
               "[::1]"));
}

static void test_email(void **state)
{
    (void)state;
    assert_values("@email", VALUES("a@b.cd", "ann.lee+ci@sub.example.org", "a_b-c@x1.example"),
                  VALUES("", "a", "a@b", "@b.cd", "a@", ".a@b.cd", "a.@b.cd", "a..b@c.de",
                         "-a@b.cd", "a b@c.de", "a@b.c1.", "a@-b.cd", "a@b_c.de", "\"a\"@b.cd",
                         "a@b@c.de", "a@1.2", "a%b@c.de", "a@b.cd\n"));
}

static void test_url(void **state)
{
    (void)state;
    assert_values("@url(https,api.example.com)",
                  VALUES("https://api.example.com", "https://api.example.com/",
                         "https://api.example.com:1/v1/~a(b);c,d=%2F@:!$&'*+",
                         "https://api.example.com//", "https://api.example.com:65535"),
                  VALUES("http://api.example.com", "https://api.example.com.",
                         "https://api.example.co", "https://apixexample.com/",
                         "https://api.example.com@evil.test/", "https://user@api.example.com/",
                         "https://api.example.com:0/", "https://api.example.com:65536/",
                         "https://api.example.com:/", "https://api.example.com?x",
                         "https://api.example.com/#x", "https://api.example.com/%2",
                         "https://api.example.com/ ", "https://api.example.com/\xc3\xa9",
                         "HTTPS://api.example.com/", "https://api.example.com\\@evil.test/",
                         "https://api.example.com/\n"));
    assert_values("@url(http,[::1])", VALUES("http://[::1]:80/x"), VALUES("http://::1/x"));
    assert_values("@url( git+ssh , 192.0.2.1 )", VALUES("git+ssh://192.0.2.1/r"),
                  VALUES("git+ssh://192a0.2.1"));
}

/* What Python's ipaddress says of values: a '1' or '0' for each. */
static char *python_says(const char *class, const struct value *values, size_t count)
{
    char path[] = "/tmp/sluice-unit-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    for (size_t i = 0; i < count; i++)
        fwrite(values[i].bytes, 1, values[i].length + 1, file);
    fclose(file);
    const char *command =
        arena_format(arena,
                     "/usr/bin/python3 -I -c 'import ipaddress, sys\n"
                     "def good(text):\n"
                     "    try:\n"
                     "        ipaddress.%s(text)\n"
                     "        return True\n"
                     "    except ValueError:\n"
                     "        return False\n"
                     "for text in open(sys.argv[1], \"rb\").read().split(b\"\\0\")[:-1]:\n"
                     "    print(int(good(text.decode())), end=\"\")' %s",
                     class, path);
    FILE *said = popen(command, "r");
    assert_non_null(said);
    char *answers = arena_alloc(arena, count + 1);
    size_t got = fread(answers, 1, count, said);
    assert_int_equal(pclose(said), 0);
    unlink(path);
    assert_int_equal(got, count);
    return answers;
}

static void compare_with_python(const char *text, const char *class, const char *const *more)
{
    struct automaton *automaton = build(text);
    struct value *values, *near;
    struct value *all = arena_array(arena, 40000, sizeof *all);
    size_t total = 0, count = witness_cover(arena, automaton, 800, &values), accepted = 0;
    for (size_t i = 0; i < count; i++) {
        all[total++] = values[i];
        size_t near_count = witness_mutate(arena, values[i], 30, &near);
        for (size_t j = 0; j < near_count && total < 39900; j++)
            all[total++] = near[j];
    }
    for (; *more; more++)
        all[total++] = (struct value){*more, strlen(*more)};
    const char *answers = python_says(class, all, total);
    for (size_t i = 0; i < total; i++) {
        bool ours = automaton_accepts(automaton, all[i].bytes, all[i].length);
        accepted += ours;
        if (ours != (answers[i] == '1'))
            fail_msg("%s and `%s`: %d here", text, all[i].bytes, ours);
    }
    assert_true(accepted > 100 && total - accepted > 1000);
}

static void test_addresses_are_pythons(void **state)
{
    (void)state;
    compare_with_python("@ipv4", "IPv4Address",
                        VALUES("0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3", "1.2.3.4.5",
                               "01.2.3.4", "1.2.3.04", "1..2.3", "", "1.2.3.4 ", "0x1.2.3.4"));
    compare_with_python(
        "@ipv6", "IPv6Address",
        VALUES("::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
               "1::3:4:5:6:7:8", "::ffff:192.0.2.1", "64:ff9b::192.0.2.33", "1:2:3:4:5:6:192.0.2.1",
               "::192.0.2.256", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", ":::", ":1",
               "1:", "12345::", "g::", "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4", "[::1]", "2001:DB8::A",
               "", "::1.2.3.4:5", "1:2:3:4:5:6:7::8"));
    assert_values("@ipv6", VALUES("fe80::1"), VALUES("fe80::1%eth0", "fe80::1%25eth0", "::1/128"));
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void test_texts(void **state)
{
    (void)state;
    assert_values(
        "@text(1,3)", VALUES("a", "a b", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc2\xa0"),
        VALUES("", "abcd", "a\n", "\t", "\x7f", "\xc2\x85", "\xe2\x80\xae", "\xe2\x80\xa8",
               "\xe2\x80\xa9", "\xe2\x80\x8b", "\xef\xbb\xbf", "\xc2\xad", "\xee\x80\x80"));
    assert_values("@ascii(0,2)", VALUES("", " ", "~!"),
                  VALUES("abc", "\xc3\xa9", "\t", "\x7f", "\n"));
    assert_values("@text(0,4000)", VALUES(""), VALUES("\n"));
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t begin, end;
        const char *message, *hint;
    } rows[] = {
        {"@wrod", 0, 5, "there is no pattern named @wrod", "did you mean @word?"},
        {"@hostnames", 0, 10, "there is no pattern named @hostnames", "did you mean @hostname?"},
        {"@entirely-else", 0, 14, "there is no pattern named @entirely-else",
         "define it in `patterns:`; for a literal `@`, write \\@"},
        {"@word()", 0, 7, "@word: takes no arguments", NULL},
        {"@under", 0, 6, "@under: needs arguments", "as in @under(/srv/work)"},
        {"@url", 0, 4, "@url: needs arguments", "as in @url(https,api.example.com)"},
        {"@int(1)", 5, 6, "@int: needs two arguments",
         "the least and the greatest integer, as in @int(1,99)"},
        {"@int(1,2,3)", 5, 10, "@int: needs two arguments",
         "the least and the greatest integer, as in @int(1,99)"},
        {"@int(1,x)", 7, 8,
         "@int: not a decimal integer of at most 20 digits without leading zeros", NULL},
        {"@int(01,2)", 5, 7,
         "@int: not a decimal integer of at most 20 digits without leading zeros", NULL},
        {"@int(1,999999999999999999999)", 7, 28,
         "@int: not a decimal integer of at most 20 digits without leading zeros", NULL},
        {"@int(-0,2)", 5, 7,
         "@int: not a decimal integer of at most 20 digits without leading zeros", NULL},
        {"@int(2,1)", 5, 8, "@int: the first integer is greater than the second", NULL},
        {"@int(-1,-2)", 5, 10, "@int: the first integer is greater than the second", NULL},
        {"@text(5,1)", 6, 9, "@text: the lengths are 0 to 65535, the least first", NULL},
        {"@ascii(0,65536)", 7, 14, "@ascii: the lengths are 0 to 65535, the least first", NULL},
        {"@text(-1,5)", 6, 10, "@text: the lengths are 0 to 65535, the least first", NULL},
        {"@under(srv)", 7, 10,
         "@under: needs an absolute path without empty, `.` and `..` components",
         "as in @under(/srv/work)"},
        {"@under(/a/)", 7, 10,
         "@under: needs an absolute path without empty, `.` and `..` components",
         "as in @under(/srv/work)"},
        {"@under(/a/../b)", 7, 14,
         "@under: needs an absolute path without empty, `.` and `..` components",
         "as in @under(/srv/work)"},
        {"@under(/a\tb)", 7, 11,
         "@under: needs an absolute path without empty, `.` and `..` components",
         "as in @under(/srv/work)"},
        {"@under()", 0, 8, "@under: needs an absolute path without empty, `.` and `..` components",
         "as in @under(/srv/work)"},
        {"@url(https)", 5, 10, "@url: needs two arguments",
         "a scheme and a host, as in @url(https,api.example.com)"},
        {"@url(HTTP,a)", 5, 9, "@url: not the scheme of a URL (lower-case letters)", NULL},
        {"@url(https,a b)", 11, 14,
         "@url: not the host of a URL: a name, an IPv4 address or [IPv6 address]", NULL},
        {"@url(https,a/b)", 11, 14,
         "@url: not the host of a URL: a name, an IPv4 address or [IPv6 address]", NULL},
        {"@url(https,a@b)", 11, 14,
         "@url: not the host of a URL: a name, an IPv4 address or [IPv6 address]", NULL},
        {"@url(https,)", 0, 12,
         "@url: not the host of a URL: a name, an IPv4 address or [IPv6 address]", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pattern_error error = {0};
        assert_null(pattern_parse(arena, rows[i].text, strlen(rows[i].text), NULL, &error));
        if (strcmp(error.message, rows[i].message) != 0 || error.begin != rows[i].begin ||
            error.end != rows[i].end)
            fail_msg("%s: %u-%u: %s", rows[i].text, error.begin, error.end, error.message);
        if (rows[i].hint)
            assert_string_equal(error.hint, rows[i].hint);
        else
            assert_null(error.hint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_its_examples),
        cmocka_unit_test(test_every_row_is_the_same_to_the_oracles),
        cmocka_unit_test(test_patterns_in_larger_ones),
        cmocka_unit_test(test_word),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_integer_ranges_number_by_number),
        cmocka_unit_test(test_digests_and_versions),
        cmocka_unit_test(test_paths_exhaustively),
        cmocka_unit_test(test_under),
        cmocka_unit_test(test_gitref_exhaustively),
        cmocka_unit_test(test_gitref_is_gits),
        cmocka_unit_test(test_hostname),
        cmocka_unit_test(test_email),
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_addresses_are_pythons),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
