#include "compiler/emit/validate.h"

#include <string.h>
#include <time.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/choices.h"
#include "compiler/emit/expect.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/requests.h"
#include "compiler/emit/simplify.h"
#include "compiler/emit/validation.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/witness.h"

#define ANSWER_BYTES 12u

/* ---- effort ---------------------------------------------------------------------------------- */

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool effort_is_left(const struct effort *effort)
{
    return effort->spent < effort->most;
}

/* Adds what was spent since `since`. */
static void effort_spent(struct effort *effort, double since)
{
    effort->spent += processor_seconds() - since;
}

/* ---- questions ------------------------------------------------------------------------------- */

static void number_add(struct validation *validation, uint32_t number)
{
    buffer_add(&validation->questions, (const char *)&number, sizeof number);
}

static void question_add(struct validation *validation, enum question kind, uint32_t rule,
                         uint32_t index, const struct policy_bytes *values, uint32_t count,
                         struct policy_decision expected)
{
    struct asked asked = {kind, rule, index, expected, validation->questions.length};
    number_add(validation, (uint32_t)kind);
    number_add(validation, rule);
    number_add(validation, index);
    number_add(validation, count);
    for (uint32_t i = 0; i < count; i++) {
        number_add(validation, values[i].length);
        buffer_add(&validation->questions, values[i].bytes, values[i].length);
    }
    arena_grow(validation->arena, &validation->asked, &validation->asked_capacity,
               validation->asked_count + 1, sizeof *validation->asked);
    validation->asked[validation->asked_count++] = asked;
}

void validation_questions(const struct validation *validation, const char **bytes, size_t *length)
{
    *bytes = buffer_text(&validation->questions);
    *length = validation->questions.length;
}

size_t validation_count(const struct validation *validation)
{
    return validation->asked_count;
}

void validation_free(struct validation *validation)
{
    buffer_free(&validation->questions);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Where values of a language are asked for, and what they are held to. */
struct subject {
    struct arena *scratch; /* ends with the questions about it */
    enum question kind;
    uint32_t rule, index;
    const struct model_language *language; /* NULL: a token */
    const struct automaton *automaton;
    struct oracle_pcre2 **oracles; /* for each line of the language; NULL where PCRE2 cannot */
    size_t bytes; /* of values so far, of one kind (covering, outside) */
};

static const char *quoted(struct arena *arena, const char *bytes, size_t length)
{
    struct buffer text = {0};
    buffer_json_string(&text, bytes, length);
    const char *made = arena_copy(arena, buffer_text(&text), text.length);
    buffer_free(&text);
    return made;
}

/* What PCRE2 says of a value: of every line, the exclusions turned round. */
static enum oracle_answer subject_oracle(const struct subject *subject, struct value value)
{
    if (!subject->language)
        return ORACLE_UNKNOWN;
    bool unknown = false;
    for (size_t i = 0; i < subject->language->line_count; i++) {
        if (!subject->oracles[i]) {
            unknown = true;
            continue;
        }
        enum oracle_answer answer =
            oracle_pcre2_accepts(subject->oracles[i], value.bytes, value.length);
        bool refuses = answer == (subject->language->lines[i].excluded ? ORACLE_YES : ORACLE_NO);
        if (refuses)
            return ORACLE_NO;
        unknown = unknown || answer == ORACLE_UNKNOWN;
    }
    return unknown ? ORACLE_UNKNOWN : ORACLE_YES;
}

static const char *value_ask(struct validation *validation, struct subject *subject,
                             struct value value)
{
    if (subject->bytes + value.length > VALIDATE_BYTES ||
        validation->questions.length > VALIDATE_QUESTIONS_MAX)
        return NULL;
    subject->bytes += value.length;
    bool expected = automaton_accepts(subject->automaton, value.bytes, value.length);
    enum oracle_answer oracle = ORACLE_UNKNOWN;
    if (effort_is_left(&validation->pcre2)) {
        double since = processor_seconds();
        oracle = subject_oracle(subject, value);
        effort_spent(&validation->pcre2, since);
    }
    if (oracle != ORACLE_UNKNOWN && (oracle == ORACLE_YES) != expected)
        return arena_format(validation->arena,
                            "pattern %s: PCRE2 %s %s, the compiler's automaton does not agree",
                            subject->language->lines[0].text,
                            oracle == ORACLE_YES ? "accepts" : "refuses",
                            quoted(validation->arena, value.bytes, value.length));
    struct policy_bytes bytes = {value.bytes, (uint32_t)value.length};
    question_add(validation, subject->kind, subject->rule, subject->index, &bytes, 1,
                 (struct policy_decision){expected ? POLICY_YES : POLICY_NO, 0, 0});
    return NULL;
}

/* Values that cover an automaton, and near ones of each, asked of the subject. */
static const char *cover_ask(struct validation *validation, struct subject *subject,
                             const struct automaton *automaton)
{
    struct value *values, *near;
    subject->bytes = 0;
    size_t count = witness_cover(subject->scratch, automaton, VALIDATE_VALUES, &values);
    const char *failure = NULL;
    double since = processor_seconds();
    for (size_t i = 0; i < count && !failure; i++) {
        failure = value_ask(validation, subject, values[i]);
        if (failure || !effort_is_left(&validation->values))
            continue;
        size_t near_count = witness_mutate(subject->scratch, values[i], VALIDATE_NEAR, &near);
        for (size_t k = 0; k < near_count && !failure; k++)
            failure = value_ask(validation, subject, near[k]);
    }
    effort_spent(&validation->values, since);
    return failure;
}

/* Values that the pattern would take if one of its repetitions were allowed once more or once less:
 * just outside of the bounds that matchers count. */
static const char *loose_ask(struct validation *validation, struct subject *subject,
                             const struct pattern *tree, const struct automaton *automaton)
{
    struct arena *arena = subject->scratch;
    const char *failure = NULL;
    subject->bytes = 0;
    double since = processor_seconds();
    for (uint32_t i = 0; i < VALIDATE_REPEATS && !failure && effort_is_left(&validation->loose);
         i++) {
        const struct pattern *loosened = tree_loosen(arena, tree, i);
        if (!loosened)
            break;
        const struct automaton *all = automaton_from_pattern(arena, loosened, AUTOMATON_STATES_MAX);
        const struct automaton *outside =
            all ? automaton_subtract(arena, all, automaton, AUTOMATON_STATES_MAX) : NULL;
        if (!outside || automaton_is_empty(outside))
            continue;
        struct value *values;
        size_t count = witness_cover(arena, outside, VALIDATE_LOOSE, &values);
        for (size_t k = 0; k < count && !failure; k++)
            failure = value_ask(validation, subject, values[k]);
    }
    effort_spent(&validation->loose, since);
    return failure;
}

static const char *language_ask(struct validation *validation, struct subject subject)
{
    const struct model_language *language = subject.language;
    subject.automaton = language->automaton;
    subject.oracles = arena_array(validation->arena, language->line_count,
                                  sizeof(struct oracle_pcre2 *));
    for (size_t i = 0; i < language->line_count; i++)
        if (language->lines[i].pcre2)
            subject.oracles[i] =
                oracle_pcre2_new(language->lines[i].pcre2, strlen(language->lines[i].pcre2));
    const char *failure = value_ask(validation, &subject, (struct value){"", 0});
    if (!failure)
        failure = cover_ask(validation, &subject, language->automaton);
    for (size_t i = 0; i < language->line_count && language->line_count > 1 && !failure; i++)
        failure = cover_ask(validation, &subject, language->lines[i].automaton);
    for (size_t i = 0; i < language->line_count && !failure; i++)
        failure = loose_ask(validation, &subject, language->lines[i].tree,
                            language->lines[i].automaton);
    for (size_t i = 0; i < language->line_count; i++)
        oracle_pcre2_free(subject.oracles[i]);
    return failure;
}

/* ---- all of a policy ------------------------------------------------------------------------- */

/* Whether an object is met for the first time. */
static bool is_new(struct validation *validation, const void *object)
{
    if (table_find(&validation->seen, &object, sizeof object))
        return false;
    const void **key = arena_alloc(validation->arena, sizeof *key);
    *key = object;
    table_add(validation->arena, &validation->seen, key, sizeof *key, validation);
    return true;
}

static const char *language_ask_once(struct validation *validation, enum question kind,
                                     uint32_t rule, uint32_t index,
                                     const struct model_language *language)
{
    if (!language || language->pcre2 || !is_new(validation, language))
        return NULL;
    struct subject subject = {.scratch = arena_new(0), .kind = kind, .rule = rule, .index = index,
                              .language = language};
    const char *failure = language_ask(validation, subject);
    arena_free(subject.scratch);
    return failure;
}

static const char *token_ask(struct validation *validation, uint32_t rule, uint32_t index)
{
    const struct accept *accept = validation->layout->rules[rule].tokens[index];
    if (!is_new(validation, accept))
        return NULL;
    struct arena *scratch = arena_new(0);
    struct subject subject = {.scratch = scratch, .kind = QUESTION_TOKEN, .rule = rule,
                              .index = index, .automaton = token_automaton(scratch, accept)};
    const struct pattern *tree = token_tree(scratch, accept);
    const char *failure = NULL;
    if (subject.automaton) {
        failure = value_ask(validation, &subject, (struct value){"", 0});
        if (!failure)
            failure = cover_ask(validation, &subject, subject.automaton);
        if (!failure && tree)
            failure = loose_ask(validation, &subject, tree, subject.automaton);
    }
    arena_free(scratch);
    return failure;
}

static const char *rule_ask(struct validation *validation, uint32_t index)
{
    const struct model_rule *rule = &validation->layout->model->rules[index];
    const char *failure = NULL;
    for (uint32_t i = 0; i < rule->slot_count && !failure; i++)
        failure = language_ask_once(validation, QUESTION_SLOT, index, i, rule->slots[i].language);
    for (uint32_t i = 0; i < rule->token_count && !failure; i++)
        if (rule->tokens[i].kind == TOKEN_MIXED)
            failure = token_ask(validation, index, i);
    const struct model_attributes *attributes = rule->attributes;
    for (uint32_t i = 0; i < attributes->caller_environment_count && !failure; i++)
        failure = language_ask_once(validation, QUESTION_CALLER_VARIABLE, index, i,
                                    attributes->caller_environment[i].language);
    if (!failure && attributes->caller_cwd)
        failure = language_ask_once(validation, QUESTION_CALLER_CWD, index, 0,
                                    attributes->caller_cwd->language);
    return failure;
}

static void request_ask(struct validation *validation, const struct made_request *made)
{
    const struct policy_request request = {made->count, made->values + made->expansion_count,
                                           made->values};
    struct policy_decision expected;
    if (validation->questions.length < VALIDATE_QUESTIONS_MAX &&
        expect_decision(validation->layout->model, &request, &expected))
        question_add(validation, QUESTION_REQUEST, made->rule, made->expansion_count, made->values,
                     made->expansion_count + made->count, expected);
}

/* Every rule gets at least its own request; near ones as far as the expectations' cost allows. */
static void requests_ask(struct validation *validation)
{
    const struct model *model = validation->layout->model;
    size_t each = model->rule_count ? VALIDATE_LOOKS / model->rule_count / model->rule_count : 0;
    for (uint32_t rule = 0; rule < model->rule_count; rule++) {
        struct made_request *made;
        struct arena *scratch = arena_new(0);
        size_t count = requests_make(scratch, model, rule, each > 1 ? each : 1, &made);
        for (size_t i = 0; i < count && effort_is_left(&validation->requests); i++) {
            double since = processor_seconds();
            request_ask(validation, &made[i]);
            effort_spent(&validation->requests, since);
        }
        arena_free(scratch);
    }
}

const char *validation_make(struct arena *arena, const struct layout *layout,
                            struct validation **validation)
{
    struct validation *made = arena_alloc(arena, sizeof *made);
    made->arena = arena;
    made->layout = layout;
    made->pcre2.most = VALIDATE_PCRE2_SECONDS;
    made->loose.most = VALIDATE_LOOSE_SECONDS;
    made->values.most = VALIDATE_VALUE_SECONDS;
    made->requests.most = VALIDATE_REQUEST_SECONDS;
    *validation = made;
    for (uint32_t i = 0; i < layout->model->rule_count; i++) {
        const char *failure = rule_ask(made, i);
        if (failure)
            return failure;
    }
    requests_ask(made);
    return NULL;
}

/* ---- answers --------------------------------------------------------------------------------- */

static const char *verdict_word(uint32_t verdict)
{
    static const char *const words[] = {"no", "yes", "option-like", "too long", "pattern limit"};
    return verdict < sizeof words / sizeof *words ? words[verdict] : "nonsense";
}

/* The question's values again, for a message. */
static const char *question_text(struct arena *arena, const struct validation *validation,
                                 const struct asked *asked)
{
    struct buffer text = {0};
    const char *at = validation->questions.text + asked->at + 3 * sizeof(uint32_t);
    uint32_t count, length;
    memcpy(&count, at, sizeof count);
    at += sizeof count;
    for (uint32_t i = 0; i < count; i++, at += length) {
        memcpy(&length, at, sizeof length);
        at += sizeof length;
        if (asked->kind == QUESTION_REQUEST && i < asked->index)
            continue;
        if (text.length)
            buffer_char(&text, ' ');
        buffer_json_string(&text, at, length);
    }
    const char *made = arena_copy(arena, buffer_text(&text), text.length);
    buffer_free(&text);
    return made;
}

static const char *difference_text(struct arena *arena, const struct validation *validation,
                                   const struct asked *asked, const uint32_t said[3])
{
    const struct model *model = validation->layout->model;
    const struct model_rule *rule = &model->rules[asked->rule];
    const char *values = question_text(arena, validation, asked);
    if (asked->kind == QUESTION_REQUEST)
        return arena_format(arena,
                            "the request %s: the generated dispatch says %s (rule %u, slot %u), the "
                            "rules say %s (rule %u, slot %u)",
                            values, verdict_word(said[0]), said[1], said[2],
                            verdict_word(asked->expected.verdict), asked->expected.rule,
                            asked->expected.slot);
    const char *what = asked->kind == QUESTION_SLOT
                           ? arena_format(arena, "the pattern of #%s", rule->slots[asked->index].name)
                       : asked->kind == QUESTION_TOKEN
                           ? arena_format(arena, "token %u", asked->index + 1)
                           : "the pattern of a caller's value";
    return arena_format(arena, "%s in the rule at line %u: the generated matcher says %s to %s, the "
                        "automaton says %s",
                        what, rule->line, verdict_word(said[0]), values,
                        verdict_word(asked->expected.verdict));
}

const char *validation_compare(struct arena *arena, const struct validation *validation,
                               const char *answers, size_t length)
{
    for (size_t i = 0; i < validation->asked_count; i++) {
        const struct asked *asked = &validation->asked[i];
        uint32_t said[3];
        if (length < (i + 1) * ANSWER_BYTES)
            return "the program that checks the matchers answered too little";
        memcpy(said, answers + i * ANSWER_BYTES, sizeof said);
        /* Which rule and slot means nothing where none matches. */
        bool same = said[0] == asked->expected.verdict &&
                    (said[0] == POLICY_NO ||
                     (said[1] == asked->expected.rule && said[2] == asked->expected.slot));
        if (!same)
            return difference_text(arena, validation, asked, said);
    }
    return length == validation->asked_count * ANSWER_BYTES
               ? NULL
               : "the program that checks the matchers answered too much";
}
