/* Values of attributes: their text, and where each byte of it stands in the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "compiler/syntax/parse.h"

struct fixture {
    struct arena *arena;
    struct source *source;
    struct diagnostics *diagnostics;
    struct rules_file *file;
};

static struct fixture parse(const char *text)
{
    struct fixture f = {.arena = arena_new(0)};
    f.source = source_from_text(f.arena, "t", text, strlen(text));
    f.diagnostics = diagnostics_new(f.arena, f.source);
    f.file = parse_source(f.arena, f.source, f.diagnostics);
    return f;
}

static struct tree_value only_value(struct fixture *f, const char *text)
{
    *f = parse(text);
    assert_int_equal(diagnostics_errors(f->diagnostics), 0);
    assert_int_equal(f->file->rule_count, 1);
    assert_int_equal(f->file->rules[0]->stanza.attribute_count, 1);
    return f->file->rules[0]->stanza.attributes[0].value;
}

/* Bytes begin..end-1 of the value must stand in the source as `written`. */
static void maps(const struct fixture *f, const struct tree_value *value, uint32_t begin,
                 uint32_t end, const char *written)
{
    struct span span = value_span(value, begin, end);
    assert_int_equal(span.end - span.begin, strlen(written));
    assert_memory_equal(f->source->text + span.begin, written, strlen(written));
}

static void maps_values_to_the_source(void **state)
{
    (void)state;
    struct fixture f;
    struct tree_value value = only_value(&f, "x\n a = b\\;c d ; e\n");
    assert_string_equal(value.text, "b\\;c d");
    maps(&f, &value, 0, 6, "b\\;c d");
    maps(&f, &value, 1, 3, "\\;");
    maps(&f, &value, 6, 6, "");
    assert_int_equal(value_span(&value, 6, 6).begin, value.at.end);
    arena_free(f.arena);

    value = only_value(&f, "x\n a = 'b\\c' ; e\n");
    assert_string_equal(value.text, "b\\c");
    maps(&f, &value, 0, 3, "b\\c");
    maps(&f, &value, 1, 2, "\\");
    assert_int_equal(value.at.end - value.at.begin, 5);
    arena_free(f.arena);

    value = only_value(&f, "x\n a = \"b\\\"\\\\\\dc\"\n");
    assert_string_equal(value.text, "b\"\\dc");
    maps(&f, &value, 0, 5, "b\\\"\\\\\\dc");
    maps(&f, &value, 1, 2, "\\\"");
    maps(&f, &value, 2, 3, "\\\\");
    maps(&f, &value, 3, 4, "\\d");
    maps(&f, &value, 4, 5, "c");
    maps(&f, &value, 5, 5, "");
    arena_free(f.arena);
}

static void unescapes_values(void **state)
{
    (void)state;
    struct fixture f;
    struct tree_value value = only_value(&f, "x\n a = b\\;\\\\\\d\\;c ; e\n");
    const struct tree_value *plain = value_unescape(f.arena, &value);
    assert_string_equal(plain->text, "b;\\\\\\d;c");
    assert_int_equal(plain->length, 8);
    maps(&f, plain, 0, 8, "b\\;\\\\\\d\\;c");
    maps(&f, plain, 1, 2, "\\;");
    maps(&f, plain, 2, 3, "\\");
    maps(&f, plain, 2, 4, "\\\\");
    maps(&f, plain, 5, 6, "d");
    maps(&f, plain, 6, 7, "\\;");
    maps(&f, plain, 7, 8, "c");
    /* An escaped backslash does not escape what is behind it. */
    maps(&f, plain, 4, 6, "\\d");
    assert_ptr_equal(value_unescape(f.arena, plain), plain);
    arena_free(f.arena);

    value = only_value(&f, "x\n a = '\\;'\n");
    assert_ptr_equal(value_unescape(f.arena, &value), &value);
    arena_free(f.arena);
    value = only_value(&f, "x\n a = b c\n");
    assert_ptr_equal(value_unescape(f.arena, &value), &value);
    arena_free(f.arena);
}

static void parts_values(void **state)
{
    (void)state;
    struct fixture f;
    static const char *const texts[] = {"x\n a = one , two\\;2 ,\tthree\n",
                                        "x\n a = 'one , two;2 ,\tthree'\n",
                                        "x\n a = \"one , t\\wo;\\2 ,\tthree\"\n"};
    static const char *const written[] = {"two\\;2", "two;2", "t\\wo;\\2"};
    for (size_t i = 0; i < 3; i++) {
        struct tree_value value = only_value(&f, texts[i]);
        const struct tree_value *plain = value_unescape(f.arena, &value);
        assert_string_equal(plain->text, "one , two;2 ,\tthree");
        struct tree_value part = value_part(plain, 5, 12);
        assert_int_equal(part.length, 5);
        assert_memory_equal(part.text, "two;2", 5);
        maps(&f, &part, 0, 5, written[i]);
        maps(&f, &part, 0, 1, "t");
        assert_memory_equal(f.source->text + part.at.begin, written[i], strlen(written[i]));
        struct tree_value last = value_part(plain, 13, 19);
        maps(&f, &last, 0, 5, "three");
        struct tree_value none = value_part(plain, 11, 12);
        assert_int_equal(none.length, 0);
        assert_int_equal(none.at.begin, none.at.end);
        arena_free(f.arena);
    }
}

static void parts_may_be_blank(void **state)
{
    (void)state;
    struct fixture f;
    struct tree_value value = only_value(&f, "x\n a = b,   ,c\n");
    struct tree_value part = value_part(&value, 2, 4); /* a blank is behind it too */
    assert_int_equal(part.length, 0);
    assert_int_equal(part.at.begin, part.at.end);
    arena_free(f.arena);
}

/* Whatever a value is, walking it byte by byte covers its place in the source without gaps. */
static void maps_every_byte(void **state)
{
    (void)state;
    static const char alphabet[] = "\\;a \"'";
    for (unsigned number = 0; number < 6 * 6 * 6 * 6 * 6; number++) {
        for (int form = 0; form < 3; form++) {
            char text[32] = "x\n a = ", *end = text + 7;
            if (form)
                *end++ = form == 1 ? '\'' : '"';
            for (unsigned i = 0, rest = number; i < 5; i++, rest /= 6)
                *end++ = alphabet[rest % 6];
            if (form)
                *end++ = form == 1 ? '\'' : '"';
            *end = '\0';
            struct fixture f = parse(text);
            const struct tree_stanza *stanza = &f.file->rules[0]->stanza;
            for (size_t i = 0; i < stanza->attribute_count; i++) {
                const struct tree_value *value = &stanza->attributes[i].value;
                for (int unescaped = 0; unescaped < 2; unescaped++) {
                    uint32_t quote = value->form == VALUE_SINGLE || value->form == VALUE_DOUBLE;
                    uint32_t place = value->at.begin + quote;
                    for (uint32_t byte = 0; byte < value->length; byte++) {
                        struct span span = value_span(value, byte, byte + 1);
                        assert_int_equal(span.begin, place);
                        assert_int_equal(f.source->text[span.end - 1], value->text[byte]);
                        place = span.end;
                    }
                    assert_int_equal(place, value->at.end - quote);
                    value = value_unescape(f.arena, value);
                }
            }
            arena_free(f.arena);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_values_to_the_source),
        cmocka_unit_test(unescapes_values),
        cmocka_unit_test(parts_values),
        cmocka_unit_test(parts_may_be_blank),
        cmocka_unit_test(maps_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
