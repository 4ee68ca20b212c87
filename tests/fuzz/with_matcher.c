#include "tests/fuzz/with_matcher.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/emit/matcher.h"
#include "compiler/regex/automaton.h"

#define STATES_MAX 4000u
#define NOTHING SIZE_MAX

static const struct automaton *automaton_of(struct arena *arena, const struct pattern *tree,
                                            bool *unknown)
{
    void **known = arena_slot(arena, tree);
    if (!*known)
        *known = automaton_from_pattern(arena, tree, STATES_MAX);
    *unknown = *unknown || !*known;
    return *known;
}

static uint32_t step(const struct automaton_state *state, uint32_t scalar)
{
    for (uint32_t i = 0; i < state->transition_count; i++)
        if (scalar >= state->transitions[i].low && scalar <= state->transitions[i].high)
            return state->transitions[i].target;
    return UINT32_MAX;
}

/* Bytes and scalars of the longest value at the start; false when there is none. */
static bool longest(const struct automaton *a, const char *bytes, size_t length, size_t *taken,
                    size_t *scalars)
{
    uint32_t state = 0;
    size_t at = 0, count = 0;
    *taken = *scalars = 0;
    bool found = a->states[0].accepting;
    while (at < length) {
        uint32_t scalar;
        at += utf8_decode(bytes + at, length - at, &scalar);
        count++;
        state = step(&a->states[state], scalar);
        if (state == UINT32_MAX)
            break;
        if (a->states[state].accepting) {
            *taken = at;
            *scalars = count;
            found = true;
        }
    }
    return found;
}

static bool within(const struct matcher_part *part, size_t bytes, size_t scalars)
{
    size_t count = part->ascii ? bytes : scalars;
    return count >= part->least && (part->most == MATCHER_UNBOUNDED || count <= part->most);
}

static bool parts_run(struct arena *arena, const struct matcher *matcher, const char *bytes,
                      size_t length, bool *unknown)
{
    size_t at = 0;
    for (size_t i = 0; i < matcher->part_count; i++) {
        const struct matcher_part *part = &matcher->parts[i];
        const struct automaton *body = automaton_of(arena, part->tree, unknown);
        uint32_t times = 0;
        size_t taken, scalars;
        while (body && times < part->maximum &&
               longest(body, bytes + at, length - at, &taken, &scalars) &&
               within(part, taken, scalars)) {
            at += taken;
            times++;
            if (taken == 0) /* as often as is needed */
                times = part->maximum;
        }
        if (times < part->minimum)
            return false;
    }
    return matcher->rest ? matcher_run(arena, matcher->rest, bytes + at, length - at, unknown)
                         : at == length;
}

static size_t scalar_count(const char *bytes, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)bytes[i] & 0xc0) != 0x80;
    return count;
}

static bool table_run(const struct byte_automaton *table, const char *bytes, size_t length)
{
    uint32_t state = 1;
    for (size_t i = 0; i < length; i++)
        state = table->next[state * table->class_count +
                            table->classes[(unsigned char)bytes[i]]];
    return table->accepting[state];
}

bool matcher_run(struct arena *arena, const struct matcher *matcher, const char *bytes,
                 size_t length, bool *unknown)
{
    const struct automaton *automaton;
    switch (matcher->form) {
    case MATCHER_NOTHING:
        return false;
    case MATCHER_LITERAL:
        return length == matcher->literal_length && memcmp(bytes, matcher->literal, length) == 0;
    case MATCHER_SPLIT:
        automaton = automaton_of(arena, matcher->parts[0].tree, unknown);
        return automaton && within(&matcher->parts[0], length, scalar_count(bytes, length)) &&
               automaton_accepts(automaton, bytes, length);
    case MATCHER_PARTS:
        return parts_run(arena, matcher, bytes, length, unknown);
    case MATCHER_ANY:
        for (size_t i = 0; i < matcher->other_count; i++)
            if (matcher_run(arena, matcher->others[i], bytes, length, unknown))
                return true;
        return false;
    case MATCHER_CODE:
        automaton = automaton_of(arena, matcher->tree, unknown);
        return automaton && automaton_accepts(automaton, bytes, length);
    case MATCHER_TABLE:
        return table_run(matcher->table, bytes, length);
    }
    return false;
}
