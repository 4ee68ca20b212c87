/* A policy by hand, for what walks over rules: each kind of token once. */
#ifndef SLUICE_TESTS_BROKER_POLICY_H
#define SLUICE_TESTS_BROKER_POLICY_H

#include <stddef.h>
#include <string.h>

#include "runtime/include/policy.h"

#define TEXT(string) {string, (uint32_t)(sizeof(string) - 1)}
#define LITERAL(string) {.is_slot = false, .literal = TEXT(string)}
#define SLOT(number) {.is_slot = true, .slot = number}

static enum policy_verdict accept_lower(const char *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if ((bytes[i] < 'a' || bytes[i] > 'z') && bytes[i] != '-')
            return POLICY_NO;
    return length > 0 ? POLICY_YES : POLICY_NO;
}

static enum policy_verdict accept_digits(const char *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (bytes[i] < '0' || bytes[i] > '9')
            return POLICY_NO;
    return length > 0 ? POLICY_YES : POLICY_NO;
}

/* --range=DIGITS:DIGITS */
static enum policy_verdict accept_range(const char *bytes, uint32_t length)
{
    static const char prefix[] = "--range=";
    const uint32_t skip = sizeof(prefix) - 1;

    if (length < skip || memcmp(bytes, prefix, skip) != 0)
        return POLICY_NO;
    const char *colon = memchr(bytes + skip, ':', length - skip);
    if (!colon)
        return POLICY_NO;
    uint32_t first = (uint32_t)(colon - bytes) - skip;
    return accept_digits(bytes + skip, first) == POLICY_YES &&
                   accept_digits(colon + 1, length - skip - first - 1) == POLICY_YES
               ? POLICY_YES
               : POLICY_NO;
}

static const struct policy_piece piece_git = LITERAL("git"), piece_push = LITERAL("push"),
                                 piece_origin = LITERAL("origin"), piece_first = SLOT(0),
                                 piece_cp = LITERAL("cp"), piece_to = LITERAL("/srv/to"),
                                 piece_seq = LITERAL("seq");
static const struct policy_piece pieces_range[] = {LITERAL("--range="), SLOT(0), LITERAL(":"),
                                                   SLOT(1)};

static const struct policy_slot slots_branch[] = {
    {.name = "branch", .pattern = "[a-z-]+", .accept = accept_lower, .max_bytes = 20}};
static const struct policy_slot slots_files[] = {
    {.name = "files", .pattern = "[a-z-]+", .accept = accept_lower, .max_bytes = 4096}};
static const struct policy_slot slots_range[] = {
    {.name = "from", .pattern = "[0-9]+", .accept = accept_digits, .max_bytes = 4096,
     .allow_dash = true},
    {.name = "to", .pattern = "[0-9]+", .accept = accept_digits, .max_bytes = 4096,
     .allow_dash = true}};

static const struct policy_token tokens_push[] = {
    {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_git},
    {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_push},
    {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_origin},
    {.kind = TOKEN_SLOT, .piece_count = 1, .pieces = &piece_first}};
static const struct policy_token tokens_cp[] = {
    {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_cp},
    {.kind = TOKEN_REST, .piece_count = 1, .pieces = &piece_first, .minimum = 1, .maximum = 3},
    {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_to}};
static const struct policy_token tokens_seq[] = {
    {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &piece_seq},
    {.kind = TOKEN_MIXED, .piece_count = 4, .pieces = pieces_range, .accept = accept_range},
    {.kind = TOKEN_EXPANSION, .expansion = 0}};

static const struct policy_attributes attributes_none = {.timeout_ms = 0};
static const struct policy_confinement confinement_none = {
    .name = "none",
    .limits = {LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET}};
static const struct policy_confinement *const confinements[] = {&confinement_none};

static const struct policy_rule rules[] = {
    {.text = "git push origin #branch", .comment = "Publish a branch.\nNever a tag.",
     .tokens = tokens_push, .token_count = 4, .slots = slots_branch, .slot_count = 1,
     .attributes = &attributes_none, .confinement = &confinement_none},
    {.text = "cp #files...{1,3} /srv/to", .comment = "", .tokens = tokens_cp, .token_count = 3,
     .slots = slots_files, .slot_count = 1, .attributes = &attributes_none,
     .confinement = &confinement_none},
    {.text = "seq --range=#{from}:#{to} $HOME/x", .comment = "", .tokens = tokens_seq,
     .token_count = 3, .slots = slots_range, .slot_count = 2, .attributes = &attributes_none,
     .confinement = &confinement_none},
};
static const uint32_t lines[] = {3, 9, 14};

static const struct policy policy = {
    .contract = POLICY_CONTRACT,
    .name = "agent",
    .file = "agent.rules",
    .compiler = "1",
    .source = "; a rules file\n",
    .source_length = 15,
    .sha256 = "00",
    .rules = rules,
    .rule_count = 3,
    .lines = lines,
    .confinements = confinements,
    .confinement_count = 1,
};

static const struct policy_bytes expansions[] = {TEXT("/home/me/x")};

#define ARGUMENTS_MAX 16

/* A request of NULL-terminated `words`. `storage` holds its arguments. */
static struct policy_request request_of(const char *const *words, struct policy_bytes *storage)
{
    uint32_t count = 0;

    for (; words[count]; count++)
        storage[count] = (struct policy_bytes){words[count], (uint32_t)strlen(words[count])};
    return (struct policy_request){
        .count = count, .arguments = storage, .expansions = expansions};
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
