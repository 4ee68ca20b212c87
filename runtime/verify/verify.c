/* The program that a compile links with the generated matchers, runs once, and throws away: it asks
 * them about values and requests that the compiler has chosen, and writes down what they say.
 *
 * Not part of a broker. Reads a list of questions from standard input, writes an answer for each to
 * standard output; the compiler compares (compiler/emit/validate.c). Every value stands at the end
 * of a page with nothing behind it, so that a matcher that reads too far ends the program. Runs with the
 * rights of whoever compiles; its input is the compiler's own.
 *
 * A question, numbers in the machine's own order:
 *   u32 kind · u32 rule · u32 index · u32 count · count times (u32 length · bytes)
 * The answer: u32 verdict · u32 rule · u32 slot (the latter two 0 unless kind is a request). */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/include/policy.h"

enum question {
    QUESTION_SLOT,            /* rule, slot: one value */
    QUESTION_TOKEN,           /* rule, token: one value */
    QUESTION_CALLER_VARIABLE, /* rule, variable: one value */
    QUESTION_CALLER_CWD,      /* rule: one value */
    QUESTION_REQUEST,         /* the values: `index` expansions, then the arguments */
};

#define VALUES_MAX 1024u
#define FENCED_BYTES (4u * 1024 * 1024) /* of one question's values together */

/* Memory that ends at a page which cannot be touched. */
struct fence {
    char *end;
};

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static struct fence fence_make(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *start = mmap(NULL, FENCED_BYTES + page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + FENCED_BYTES, page, PROT_NONE) != 0)
        give_up("no memory for values");
    return (struct fence){start + FENCED_BYTES};
}

static uint32_t number_read(void)
{
    uint32_t number;
    if (fread(&number, sizeof number, 1, stdin) != 1)
        give_up("the questions end early");
    return number;
}

/* PCRE2 is not here: the compiler asks nothing that would need it. */
enum policy_verdict sluice_pcre2_match(uint32_t pattern, const char *bytes, uint32_t length)
{
    (void)pattern, (void)bytes, (void)length;
    return POLICY_PATTERN_LIMIT;
}

/* The accept function that a question names; NULL: anything is accepted. */
static policy_accept *accept_find(enum question kind, uint32_t rule, uint32_t index)
{
    if (rule >= sluice_policy.rule_count)
        give_up("no such rule");
    const struct policy_rule *which = &sluice_policy.rules[rule];
    if (kind == QUESTION_SLOT && index < which->slot_count)
        return which->slots[index].accept;
    if (kind == QUESTION_TOKEN && index < which->token_count)
        return which->tokens[index].accept;
    if (kind == QUESTION_CALLER_VARIABLE && index < which->attributes->caller_environment_count)
        return which->attributes->caller_environment[index].accept;
    if (kind == QUESTION_CALLER_CWD && which->attributes->caller_cwd)
        return which->attributes->caller_cwd->accept;
    give_up("no such question");
}

static struct policy_decision answer(enum question kind, uint32_t rule, uint32_t index,
                                     const struct policy_bytes *values, uint32_t count)
{
    if (kind == QUESTION_REQUEST) {
        struct policy_request request = {count - index, values + index, values};
        return sluice_policy.match(&request);
    }
    policy_accept *accept = accept_find(kind, rule, index);
    return (struct policy_decision){
        accept ? accept(values[0].bytes, values[0].length) : POLICY_YES, 0, 0};
}

/* Reads one value so that it ends at `end`. */
static struct policy_bytes value_read(char *end, const char *limit)
{
    uint32_t length = number_read();
    if (length > (size_t)(end - limit))
        give_up("a value is too long");
    char *bytes = end - length;
    if (length && fread(bytes, length, 1, stdin) != 1)
        give_up("the questions end early");
    return (struct policy_bytes){bytes, length};
}

int main(void)
{
    struct fence fence = fence_make();
    const char *limit = fence.end - FENCED_BYTES;
    struct policy_bytes values[VALUES_MAX];
    uint32_t kind;
    while (fread(&kind, sizeof kind, 1, stdin) == 1) {
        uint32_t rule = number_read(), index = number_read(), count = number_read();
        if (count == 0 || count > VALUES_MAX ||
            (kind == QUESTION_REQUEST ? index >= count : count != 1))
            give_up("a question of the wrong shape");
        /* The first value stands at the fence; the others before it, each read from its own end. */
        char *end = fence.end;
        for (uint32_t i = 0; i < count; i++) {
            values[i] = value_read(end, limit);
            end -= values[i].length;
        }
        struct policy_decision decision = answer((enum question)kind, rule, index, values, count);
        uint32_t said[3] = {decision.verdict, decision.rule, decision.slot};
        if (fwrite(said, sizeof said, 1, stdout) != 1)
            give_up("cannot write the answers");
    }
    if (ferror(stdin) || fflush(stdout) != 0)
        give_up("cannot read the questions or write the answers");
    return 0;
}
