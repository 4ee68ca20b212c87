/* What Unicode says of scalars, asked of PCRE2 at run time: the oracle and the automata then agree
 * by construction, whatever version of Unicode the installed PCRE2 knows.
 *
 * The answers live in the arena (one struct unicode in a slot of it), each computed at most once a
 * compilation: a property is one pass over all scalars, the case variants one pass over the few
 * thousand scalars that can have any. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/charset.h"
#include "compiler/regex/oracle.h"

#define PROPERTY_NAME_MAX 60 /* bytes; the longest script names have about 25 */
#define PLANE_SCALARS 0x10000u
#define PLANES 17u
#define CASE_STEP 64u /* scalars whose case variants are looked for together */

struct property {
    struct property *next;
    const char *name; /* NUL-terminated */
    bool known;
    struct charset set;
};

/* A scalar that has case variants, and which class of equal ones it belongs to. */
struct cased {
    uint32_t scalar;
    uint32_t class; /* index into unicode.members of the first member */
};

struct unicode {
    struct property *properties;
    bool cases_known;
    struct cased *cased; /* sorted by scalar */
    size_t cased_count, cased_capacity;
    uint32_t *members; /* classes one behind the other, each ended by 0 */
    size_t member_count, member_capacity;
};

static struct unicode *unicode_of(struct arena *arena)
{
    static const char key;
    void **slot = arena_slot(arena, &key);
    if (!*slot)
        *slot = arena_alloc(arena, sizeof(struct unicode));
    return *slot;
}

static pcre2_code *expression_compile(const char *text, uint32_t options)
{
    int error;
    PCRE2_SIZE offset;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | options, &error, &offset, NULL);
    if (!code && error == ORACLE_PCRE2_NO_MEMORY)
        memory_exhausted("PCRE2");
    return code;
}

/* The end of the match of `code` in valid UTF-8 from `at` on, its begin in *begin; 0 for none. */
static size_t expression_find(const pcre2_code *code, pcre2_match_data *match, const char *text,
                              size_t length, size_t at, size_t *begin)
{
    int status = pcre2_match(code, (PCRE2_SPTR)text, length, at, PCRE2_NO_UTF_CHECK, match, NULL);
    if (status == PCRE2_ERROR_NOMATCH)
        return 0;
    if (status < 0)
        memory_exhausted("PCRE2"); /* these expressions have no other way to fail */
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(match);
    *begin = offsets[0];
    return offsets[1];
}

struct ranges {
    struct arena *arena;
    struct scalar_range *items;
    size_t count, capacity;
};

static void ranges_add(struct ranges *ranges, uint32_t low, uint32_t high)
{
    arena_grow(ranges->arena, &ranges->items, &ranges->capacity, ranges->count + 1,
               sizeof *ranges->items);
    ranges->items[ranges->count++] = (struct scalar_range){low, high};
}

/* ---- properties ------------------------------------------------------------------------------ */

/* Every scalar of one plane in order, as text. Returns its length. */
static size_t plane_spell(uint32_t plane, char *text)
{
    size_t length = 0;
    for (uint32_t i = 0; i < PLANE_SCALARS; i++) {
        uint32_t scalar = plane * PLANE_SCALARS + i;
        if (scalar < 0xD800 || scalar > 0xDFFF)
            length += utf8_encode(scalar, text + length);
    }
    return length;
}

/* Adds the members of one plane: runs of members and runs of others take turns. */
static void plane_scan(uint32_t plane, const char *text, size_t length, const pcre2_code *members,
                       const pcre2_code *others, pcre2_match_data *match, struct ranges *ranges)
{
    for (size_t at = 0, begin = 0, end; at < length; at = end) {
        end = expression_find(members, match, text, length, at, &begin);
        if (end) {
            uint32_t first, next = (plane + 1) * PLANE_SCALARS;
            utf8_decode(text + at, length - at, &first);
            if (end < length)
                utf8_decode(text + end, length - end, &next);
            ranges_add(ranges, first, next - 1);
            continue;
        }
        end = expression_find(others, match, text, length, at, &begin);
        if (!end)
            memory_exhausted("PCRE2"); /* neither in nor out */
    }
}

static bool property_scan(struct arena *arena, const char *name, struct charset *set)
{
    char text[PROPERTY_NAME_MAX + 16];
    snprintf(text, sizeof text, "\\p{%s}++", name);
    pcre2_code *members = expression_compile(text, PCRE2_ANCHORED);
    if (!members)
        return false;
    snprintf(text, sizeof text, "\\P{%s}++", name);
    pcre2_code *others = expression_compile(text, PCRE2_ANCHORED);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!others || !match)
        memory_exhausted("PCRE2");
    char *plane = memory_alloc((size_t)PLANE_SCALARS * 4);
    struct ranges ranges = {.arena = arena};
    for (uint32_t i = 0; i < PLANES; i++)
        plane_scan(i, plane, plane_spell(i, plane), members, others, match, &ranges);
    *set = charset_normal(arena, ranges.items, ranges.count);
    free(plane);
    pcre2_match_data_free(match);
    pcre2_code_free(others);
    pcre2_code_free(members);
    return true;
}

static bool compiles(const char *prefix, const char *name)
{
    char text[PROPERTY_NAME_MAX + 16];
    snprintf(text, sizeof text, "\\p{%s%s}", prefix, name);
    pcre2_code *code = expression_compile(text, 0);
    pcre2_code_free(code);
    return code != NULL;
}

/* Whether the dialect has the property: PCRE2 knows others (binary ones, its own X.. ones), on
 * which regular-expression engines do not agree. */
static bool property_is_portable(const char *name)
{
    static const char *const categories[] = {
        "Any", "C",  "Cc", "Cf", "Cn", "Co", "Cs", "L",  "L&", "Ll", "Lm", "Lo", "Lt",
        "Lu",  "M",  "Mc", "Me", "Mn", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Pe",
        "Pf",  "Pi", "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs",
    };
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (strcmp(name, categories[i]) == 0)
            return true;
    /* "sc:" came with PCRE2 10.40; before it, what was no category and no X.. name was a script. */
    if (compiles("sc:", "Latin"))
        return compiles("sc:", name);
    return strlen(name) != 3 || name[0] != 'X' ? compiles("", name) : false;
}

bool charset_property(struct arena *arena, const char *name, size_t length, struct charset *set)
{
    if (length == 0 || length > PROPERTY_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!strchr("&_", name[i]) && !((name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z'))
            return false;
    struct unicode *unicode = unicode_of(arena);
    struct property *property = unicode->properties;
    while (property &&
           (strncmp(property->name, name, length) != 0 || property->name[length] != '\0'))
        property = property->next;
    if (!property) {
        property = arena_alloc(arena, sizeof *property);
        property->name = arena_copy(arena, name, length);
        property->known = property_is_portable(property->name) &&
                          property_scan(arena, property->name, &property->set);
        property->next = unicode->properties;
        unicode->properties = property;
    }
    *set = property->set;
    return property->known;
}

/* ---- case ------------------------------------------------------------------------------------ */

/* The scalars that may have case variants: cased letters, letter-like numbers (Roman numerals), and
 * the others that CaseFolding.txt has for compatibility with older versions. Unicode's stability
 * policy keeps new cased characters within the letters; test_charset.c checks all scalars. */
static struct charset cased_candidates(struct arena *arena)
{
    struct charset letters = charset_empty(), numbers = charset_empty();
    charset_property(arena, "L&", 2, &letters);
    charset_property(arena, "Nl", 2, &numbers);
    struct charset marks = charset_union(arena, charset_range(arena, 0x345, 0x345),
                                         charset_range(arena, 0x24B6, 0x24E9));
    return charset_union(arena, charset_union(arena, letters, numbers), marks);
}

static void cased_add(struct arena *arena, struct unicode *unicode, uint32_t scalar, uint32_t class)
{
    arena_grow(arena, &unicode->cased, &unicode->cased_capacity, unicode->cased_count + 1,
               sizeof *unicode->cased);
    unicode->cased[unicode->cased_count++] = (struct cased){scalar, class};
}

static void member_add(struct arena *arena, struct unicode *unicode, uint32_t scalar)
{
    arena_grow(arena, &unicode->members, &unicode->member_capacity, unicode->member_count + 1,
               sizeof *unicode->members);
    unicode->members[unicode->member_count++] = scalar;
}

/* Records the class of `scalar`: what PCRE2 finds for it, without regard to case, among `text`. */
static void class_find(struct arena *arena, struct unicode *unicode, uint32_t scalar,
                       const char *text, size_t length, pcre2_match_data *match)
{
    char expression[24];
    snprintf(expression, sizeof expression, "\\x{%x}", scalar);
    pcre2_code *code = expression_compile(expression, PCRE2_CASELESS);
    if (!code)
        memory_exhausted("PCRE2");
    uint32_t class = (uint32_t)unicode->member_count;
    size_t begin = 0, end = 0;
    while ((end = expression_find(code, match, text, length, end, &begin)) != 0) {
        uint32_t member;
        utf8_decode(text + begin, length - begin, &member);
        member_add(arena, unicode, member);
    }
    pcre2_code_free(code);
    size_t found = unicode->member_count - class;
    if (found < 2) {
        unicode->member_count = class;
        return;
    }
    for (size_t i = 0; i < found; i++)
        cased_add(arena, unicode, unicode->members[class + i], class);
    member_add(arena, unicode, 0);
}

static int cased_compare(const void *a, const void *b)
{
    const struct cased *x = a, *y = b;
    return x->scalar < y->scalar ? -1 : x->scalar > y->scalar;
}

static const struct cased *cased_find(const struct unicode *unicode, uint32_t scalar)
{
    struct cased key = {scalar, 0};
    return unicode->cased_count == 0
               ? NULL
               : bsearch(&key, unicode->cased, unicode->cased_count, sizeof key, cased_compare);
}

/* What PCRE2 finds in `text`, without regard to case, for the scalars first..last: their variants
 * and themselves. Written to `near` as text; returns its length. */
static size_t variants_find(uint32_t first, uint32_t last, const char *text, size_t length,
                            pcre2_match_data *match, char *near)
{
    char expression[40];
    snprintf(expression, sizeof expression, "[\\x{%x}-\\x{%x}]++", first, last);
    pcre2_code *code = expression_compile(expression, PCRE2_CASELESS);
    if (!code)
        memory_exhausted("PCRE2");
    size_t begin = 0, end = 0, written = 0;
    while ((end = expression_find(code, match, text, length, end, &begin)) != 0) {
        memcpy(near + written, text + begin, end - begin);
        written += end - begin;
    }
    pcre2_code_free(code);
    return written;
}

/* Finds the classes of the candidates low..high. In two steps, since to look for the variants of
 * each scalar among all candidates would take longer: those of CASE_STEP together, then of each
 * among these. */
static void classes_find(struct arena *arena, struct unicode *unicode, struct scalar_range range,
                         const char *text, size_t length, pcre2_match_data *match, bool *seen)
{
    char *near = memory_alloc(length);
    for (uint32_t first = range.low; first <= range.high; first += CASE_STEP) {
        uint32_t last = range.high - first < CASE_STEP ? range.high : first + CASE_STEP - 1;
        size_t near_length = variants_find(first, last, text, length, match, near);
        for (uint32_t c = first; c <= last; c++) {
            size_t known = unicode->cased_count;
            if (!seen[c])
                class_find(arena, unicode, c, near, near_length, match);
            for (; known < unicode->cased_count; known++)
                seen[unicode->cased[known].scalar] = true;
        }
    }
    free(near);
}

static void cases_fill(struct arena *arena, struct unicode *unicode)
{
    struct charset candidates = cased_candidates(arena);
    char *text = memory_alloc((size_t)charset_size(candidates) * 4);
    size_t length = 0;
    for (size_t i = 0; i < candidates.count; i++)
        for (uint32_t c = candidates.ranges[i].low; c <= candidates.ranges[i].high; c++)
            length += utf8_encode(c, text + length);
    bool *seen = memory_zeroed(SCALAR_MAX + 1, sizeof *seen);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match)
        memory_exhausted("PCRE2");
    for (size_t i = 0; i < candidates.count; i++)
        classes_find(arena, unicode, candidates.ranges[i], text, length, match, seen);
    pcre2_match_data_free(match);
    free(seen);
    free(text);
    if (unicode->cased_count)
        qsort(unicode->cased, unicode->cased_count, sizeof *unicode->cased, cased_compare);
    unicode->cases_known = true;
}

static void class_add(const struct unicode *unicode, const struct cased *cased,
                      struct ranges *ranges)
{
    for (uint32_t i = cased->class; unicode->members[i] != 0; i++)
        ranges_add(ranges, unicode->members[i], unicode->members[i]);
}

struct charset charset_fold(struct arena *arena, struct charset set)
{
    struct unicode *unicode = unicode_of(arena);
    if (!unicode->cases_known)
        cases_fill(arena, unicode);
    struct ranges ranges = {.arena = arena};
    if (charset_size(set) < 64) {
        for (size_t i = 0; i < set.count; i++)
            for (uint32_t c = set.ranges[i].low; c <= set.ranges[i].high; c++) {
                const struct cased *cased = cased_find(unicode, c);
                if (cased)
                    class_add(unicode, cased, &ranges);
            }
    } else {
        for (size_t i = 0; i < unicode->cased_count; i++)
            if (charset_contains(set, unicode->cased[i].scalar))
                class_add(unicode, &unicode->cased[i], &ranges);
    }
    return charset_union(arena, set, charset_normal(arena, ranges.items, ranges.count));
}
