#include "runtime/broker/explain.h"

#include <stddef.h>
#include <string.h>

#include "runtime/broker/match.h"

#define VALUE_SHOWN_MAX 120u /* bytes of a value in an explanation */
#define PROGRAMS_SHOWN_MAX 40u

void explain_place(struct text *text, const struct policy *policy, uint32_t rule)
{
    text_append(text, policy->file);
    text_append_char(text, ':');
    text_append_unsigned(text, policy->lines[rule]);
}

void explain_value(struct text *text, const char *bytes, uint32_t length)
{
    uint32_t shown = length;

    if (length > VALUE_SHOWN_MAX) {
        shown = VALUE_SHOWN_MAX;
        /* Back to the start of the character that the cut fell into (RFC 3629, section 3). */
        while (shown > 0 && ((unsigned char)bytes[shown] & 0xc0) == 0x80)
            shown--;
    }
    text_append_char(text, '`');
    text_append_bytes(text, bytes, shown);
    text_append(text, shown < length ? "...`" : "`");
}

static void explain_slot_name(struct text *text, const struct policy_rule *rule, uint32_t slot)
{
    text_append_char(text, '#');
    text_append(text, rule->slots[slot].name);
}

/* What a rule's token is, for "the rule has ... here". */
static void explain_token(struct text *text, const struct policy_rule *rule,
                          const struct policy_token *token, const struct policy_request *request)
{
    if (token->kind == TOKEN_EXPANSION) {
        const struct policy_bytes *value = &request->expansions[token->expansion];
        explain_value(text, value->bytes, value->length);
        return;
    }
    if (token->kind == TOKEN_LITERAL) {
        explain_value(text, token->pieces[0].literal.bytes, token->pieces[0].literal.length);
        return;
    }
    text_append_char(text, '`');
    for (uint32_t i = 0; i < token->piece_count; i++) {
        const struct policy_piece *piece = &token->pieces[i];
        if (!piece->is_slot) {
            text_append_bytes(text, piece->literal.bytes, piece->literal.length);
            continue;
        }
        text_append(text, token->kind == TOKEN_MIXED ? "#{" : "#");
        text_append(text, rule->slots[piece->slot].name);
        if (token->kind == TOKEN_MIXED)
            text_append_char(text, '}');
    }
    text_append(text, token->kind == TOKEN_REST ? "...`" : "`");
}

/* "#branch accepts [a-z]+", for each slot of the token. */
static void explain_patterns(struct text *text, const struct policy_rule *rule,
                             const struct policy_token *token)
{
    const char *between = "";

    for (uint32_t i = 0; i < token->piece_count; i++) {
        if (!token->pieces[i].is_slot)
            continue;
        text_append(text, between);
        explain_slot_name(text, rule, token->pieces[i].slot);
        text_append(text, " accepts ");
        text_append(text, rule->slots[token->pieces[i].slot].pattern);
        between = ", ";
    }
}

static void explain_walk(struct text *text, const struct policy_rule *rule,
                         const struct policy_request *request, const struct match_walk *walk)
{
    const struct policy_token *token =
        walk->token < rule->token_count ? &rule->tokens[walk->token] : NULL;

    if (walk->outcome == MATCH_MISSING) {
        text_append(text, "the request ends where the rule goes on with ");
        explain_token(text, rule, token, request);
        return;
    }
    if (walk->outcome == MATCH_ACCEPTS) /* which part refuses was beyond SPLIT_BYTES_MAX */
        return;
    text_append(text, "argument ");
    text_append_unsigned(text, walk->argument);
    text_append_char(text, ' ');
    explain_value(text, request->arguments[walk->argument].bytes,
                  request->arguments[walk->argument].length);
    switch (walk->outcome) {
    case MATCH_OTHER_WORD:
        text_append(text, ": the rule has ");
        explain_token(text, rule, token, request);
        text_append(text, " there");
        break;
    case MATCH_REFUSED:
        text_append(text, ": the rule has ");
        explain_token(text, rule, token, request);
        text_append(text, " there; ");
        explain_patterns(text, rule, token);
        break;
    case MATCH_OPTION_LIKE:
        text_append(text, ": ");
        explain_slot_name(text, rule, walk->slot);
        text_append(text, " takes no value that starts with '-'");
        break;
    case MATCH_TOO_LONG:
        text_append(text, ": ");
        explain_slot_name(text, rule, walk->slot);
        text_append(text, " takes at most ");
        text_append_unsigned(text, rule->slots[walk->slot].max_bytes);
        text_append(text, " bytes, and this is ");
        text_append_unsigned(text, walk->value.length);
        break;
    case MATCH_GAVE_UP:
        text_append(text, ": it takes more work to match than the broker spends");
        break;
    default: /* MATCH_LEFT_OVER */
        text_append(text, ": the rule ends before it");
        break;
    }
}

static bool bytes_are_equal(const struct policy_bytes *a, const struct policy_bytes *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* What the policy's programs are, when no rule is for the one asked for. */
static void explain_programs(struct text *text, const struct policy *policy,
                             const struct policy_request *request)
{
    const struct policy_bytes *shown[PROGRAMS_SHOWN_MAX];
    uint32_t count = 0;

    text_append(text, "no rule is for the program ");
    explain_value(text, request->arguments[0].bytes, request->arguments[0].length);
    text_append(text, "; there are rules for: ");
    for (uint32_t i = 0; i < policy->rule_count && i < POLICY_NEAREST_RULES_MAX; i++) {
        const struct policy_token *token = &policy->rules[i].tokens[0];
        const struct policy_bytes *name = token->kind == TOKEN_EXPANSION
                                              ? &request->expansions[token->expansion]
                                              : &token->pieces[0].literal;
        uint32_t known = 0;
        while (known < count && !bytes_are_equal(shown[known], name))
            known++;
        if (known < count)
            continue;
        if (count == PROGRAMS_SHOWN_MAX) {
            text_append(text, ", ...");
            return;
        }
        text_append(text, count > 0 ? ", " : "");
        text_append_bytes(text, name->bytes, name->length);
        shown[count++] = name;
    }
}

void explain_decision(struct text *text, const struct policy *policy,
                      const struct policy_request *request,
                      const struct policy_decision *decision)
{
    struct match_walk walk;
    uint32_t rule = decision->rule;

    if (decision->verdict == POLICY_NO)
        rule = match_find_nearest(policy, request, &walk);
    else
        walk = match_walk_rule(&policy->rules[rule], request);
    if (rule == policy->rule_count) {
        explain_programs(text, policy, request);
        return;
    }
    text_append(text, "the nearest rule is ");
    explain_place(text, policy, rule);
    text_append(text, ", ");
    text_append(text, policy->rules[rule].text);
    text_append(text, "\n");
    explain_walk(text, &policy->rules[rule], request, &walk);
}
