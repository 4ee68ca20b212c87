/* How long a generated matcher takes: linked with the sources that `sluicec --emit` wrote.
 *
 *     match [MATCHES]                     of each line, in each of the rounds
 *
 * Standard input: command lines, a line each, arguments separated by tabs. Prints for each line the
 * verdict, the rule's index and the nanoseconds of one match (the best of several rounds: what the
 * code costs, not what the machine was doing besides). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/include/policy.h"

#define ROUNDS 9
#define MATCHES 200000ul
#define ARGUMENTS_MAX 256

/* Generated code for PCRE2 slots refers to it; the benchmark has none. */
enum policy_verdict sluice_pcre2_match(uint32_t pattern, const char *bytes, uint32_t length);
enum policy_verdict sluice_pcre2_match(uint32_t pattern, const char *bytes, uint32_t length)
{
    (void)pattern, (void)bytes, (void)length;
    return POLICY_PATTERN_LIMIT;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static uint32_t split(char *line, struct policy_bytes arguments[ARGUMENTS_MAX])
{
    uint32_t count = 0;
    for (char *rest = line; rest && count < ARGUMENTS_MAX;) {
        char *argument = strsep(&rest, "\t");
        arguments[count++] = (struct policy_bytes){argument, (uint32_t)strlen(argument)};
    }
    return count;
}

int main(int argc, char **argv)
{
    const unsigned long matches = argc > 1 ? strtoul(argv[1], NULL, 10) : MATCHES;
    static char line[1 << 20];
    static struct policy_bytes arguments[ARGUMENTS_MAX];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        struct policy_request request = {.count = split(line, arguments), .arguments = arguments};
        struct policy_decision decision = {0};
        double best = 1e18;
        for (int round = 0; round < ROUNDS; round++) {
            double begin = now();
            for (unsigned long i = 0; i < matches; i++) {
                /* The compiler may not assume that the request stays the same. */
                __asm__ volatile("" : : "r"(&request) : "memory");
                decision = sluice_policy.match(&request);
            }
            double taken = (now() - begin) / (double)matches;
            best = taken < best ? taken : best;
        }
        printf("%d %u %.1f\n", (int)decision.verdict, decision.rule, best);
    }
    return 0;
}
