#include "compiler/emit/layout.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/names.h"

/* How often something was seen. */
struct tally {
    size_t count;
};

/* An accept function while it is not named yet. It takes the name of the slot that uses it most (of
 * equals, the first by alphabet), so that one more use seldom renames it. */
struct draft {
    struct accept accept;
    const char *key; /* what it accepts, spelled out; its name ends in a hash of it */
    size_t key_length;
    const char *prefix;
    const char *words;
    size_t uses; /* of `words` */
    struct table tallies; /* of struct tally, by words */
};

struct maker {
    struct arena *arena;
    const struct model *model;
    struct layout *layout;
    struct table by_key; /* of struct draft */
    struct draft **drafts;
    size_t draft_count, draft_capacity;
    struct buffer scratch;
};

size_t token_slot_count(const struct model_token *token)
{
    size_t count = 0;
    for (size_t i = 0; i < token->piece_count; i++)
        count += token->pieces[i].is_slot;
    return count;
}

/* ---- accept functions ------------------------------------------------------------------------ */

static struct tally *tally_of(struct arena *arena, struct table *tallies, const char *name)
{
    struct tally *tally = table_find(tallies, name, strlen(name));
    if (!tally) {
        tally = arena_alloc(arena, sizeof *tally);
        table_add(arena, tallies, name, strlen(name), tally);
    }
    return tally;
}

/* The draft of a key. *is_new: it was not there, and the caller says what it is. */
static struct draft *draft_intern(struct maker *maker, const char *prefix, const struct buffer *key,
                                  bool *is_new)
{
    struct draft *draft = table_find(&maker->by_key, key->text, key->length);
    *is_new = !draft;
    if (draft)
        return draft;
    draft = arena_alloc(maker->arena, sizeof *draft);
    draft->key = arena_copy(maker->arena, key->text, key->length);
    draft->key_length = key->length;
    draft->prefix = prefix;
    table_add(maker->arena, &maker->by_key, draft->key, draft->key_length, draft);
    return draft;
}

/* Gives a new draft its place. What it depends on must have its place before. */
static void draft_place(struct maker *maker, struct draft *draft)
{
    arena_grow(maker->arena, &maker->drafts, &maker->draft_capacity, maker->draft_count + 1,
               sizeof *maker->drafts);
    maker->drafts[maker->draft_count++] = draft;
}

static void draft_used(struct maker *maker, struct draft *draft, const char *words)
{
    size_t uses = ++tally_of(maker->arena, &draft->tallies, words)->count;
    if (uses > draft->uses || (uses == draft->uses && strcmp(words, draft->words) < 0)) {
        draft->uses = uses;
        draft->words = words;
    }
}

static const char *identifier(struct maker *maker, const char *text)
{
    struct buffer name = {0};
    name_add_word(&name, text, strlen(text));
    const char *made = arena_copy(maker->arena, buffer_text(&name), name.length);
    buffer_free(&name);
    return made;
}

static const struct accept *line_accept(struct maker *maker, const struct model_pattern *line,
                                        bool pcre2, const char *words)
{
    bool is_new;
    struct buffer *key = &maker->scratch;
    buffer_clear(key);
    buffer_puts(key, pcre2 ? "pcre2 " : "line ");
    buffer_puts(key, pcre2 ? line->pcre2 : line->canonical);
    struct draft *draft = draft_intern(maker, "accept", key, &is_new);
    if (is_new) {
        draft->accept.kind = pcre2 ? ACCEPT_PCRE2 : ACCEPT_LINE;
        draft->accept.line = line;
        draft_place(maker, draft);
    }
    draft_used(maker, draft, words);
    return &draft->accept;
}

/* The function of a language's values, which a slot (or a caller's value) of that name uses. */
static void language_used(struct maker *maker, const struct model_language *language,
                          const char *name)
{
    if (!language)
        return;
    bool is_new;
    const char *words = identifier(maker, name);
    const struct accept **parts = arena_array(maker->arena, language->line_count, sizeof *parts);
    for (size_t i = 0; i < language->line_count; i++)
        parts[i] = line_accept(maker, &language->lines[i], language->pcre2, words);

    const struct accept *accept = parts[0];
    if (language->line_count > 1) {
        struct buffer *key = &maker->scratch;
        buffer_clear(key);
        buffer_puts(key, language->pcre2 ? "language pcre2 " : "language ");
        buffer_puts(key, language->key);
        struct draft *draft = draft_intern(maker, "accept", key, &is_new);
        if (is_new) {
            draft->accept.kind = ACCEPT_COMBINED;
            draft->accept.language = language;
            draft->accept.parts = parts;
            draft_place(maker, draft);
        }
        draft_used(maker, draft, words);
        accept = &draft->accept;
    }
    if (table_find(&maker->layout->by_language, &language, sizeof language))
        return;
    const struct model_language **address = arena_alloc(maker->arena, sizeof *address);
    *address = language;
    table_add(maker->arena, &maker->layout->by_language, address, sizeof *address, (void *)accept);
}

/* A token's key says each literal, and of each slot the language. */
static const struct accept *token_accept(struct maker *maker, const struct model_rule *rule,
                                         const struct model_token *token)
{
    bool is_new;
    struct buffer *key = &maker->scratch, words = {0};
    buffer_clear(key);
    buffer_puts(key, "token");
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (piece->is_slot) {
            const struct model_slot *slot = &rule->slots[piece->slot];
            const char *language = slot->language ? slot->language->key : "";
            buffer_format(key, " slot %zu %d ", strlen(language),
                          slot->language && slot->language->pcre2);
            buffer_puts(key, language);
            name_add_word(&words, slot->name, strlen(slot->name));
        } else {
            buffer_format(key, " literal %zu ", piece->literal_length);
            buffer_add(key, piece->literal, piece->literal_length);
            name_add_word(&words, piece->literal, piece->literal_length);
        }
    }
    struct draft *draft = draft_intern(maker, "token", key, &is_new);
    if (is_new) {
        draft->accept.kind = ACCEPT_TOKEN;
        draft->accept.token = token;
        draft->accept.rule = rule;
        draft_place(maker, draft);
    }
    draft_used(maker, draft, identifier(maker, buffer_text(&words)));
    buffer_free(&words);
    return &draft->accept;
}

static void accepts_name(struct maker *maker)
{
    struct names names = {0};
    const struct accept **accepts =
        arena_array(maker->arena, maker->draft_count, sizeof *accepts);
    for (size_t i = 0; i < maker->draft_count; i++) {
        struct draft *draft = maker->drafts[i];
        draft->accept.name = names_intern(maker->arena, &names, draft->prefix, draft->words,
                                          draft->key, draft->key_length, NULL);
        accepts[i] = &draft->accept;
    }
    maker->layout->accepts = accepts;
    maker->layout->accept_count = maker->draft_count;
}

static void rule_accepts(struct maker *maker, const struct model_rule *rule,
                         struct layout_rule *placed)
{
    for (size_t i = 0; i < rule->slot_count; i++)
        language_used(maker, rule->slots[i].language, rule->slots[i].name);
    for (size_t i = 0; i < rule->token_count; i++) {
        if (rule->tokens[i].kind != TOKEN_MIXED)
            continue;
        if (!placed->tokens)
            placed->tokens = arena_array(maker->arena, rule->token_count, sizeof *placed->tokens);
        placed->tokens[i] = token_accept(maker, rule, &rule->tokens[i]);
    }
    const struct model_attributes *attributes = rule->attributes;
    for (size_t i = 0; i < attributes->caller_environment_count; i++)
        language_used(maker, attributes->caller_environment[i].language,
                      attributes->caller_environment[i].name);
    if (attributes->caller_cwd)
        language_used(maker, attributes->caller_cwd->language, attributes->caller_cwd->name);
}

const struct accept *layout_language(const struct layout *layout,
                                     const struct model_language *language)
{
    return language ? table_find(&layout->by_language, &language, sizeof language) : NULL;
}

/* ---- names of rules -------------------------------------------------------------------------- */

/* The rule's literal words, as one name. */
static const char *rule_words(struct maker *maker, const struct model_rule *rule)
{
    struct buffer name = {0};
    for (size_t i = 0; i < rule->token_count; i++) {
        const struct model_token *token = &rule->tokens[i];
        if (token->kind == TOKEN_EXPANSION) {
            for (uint32_t k = 0; k < token->expansion.count; k++)
                if (token->expansion.pieces[k].kind == TEMPLATE_TEXT)
                    name_add_word(&name, token->expansion.pieces[k].text,
                                  strlen(token->expansion.pieces[k].text));
            continue;
        }
        for (size_t k = 0; k < token->piece_count; k++)
            if (!token->pieces[k].is_slot)
                name_add_word(&name, token->pieces[k].literal, token->pieces[k].literal_length);
    }
    const char *made = arena_copy(maker->arena, buffer_text(&name), name.length);
    buffer_free(&name);
    return made;
}

/* What tells rules of equal words apart: the line as written and what its slots accept. */
static const char *rule_hash(struct maker *maker, const struct model_rule *rule)
{
    struct buffer *content = &maker->scratch;
    buffer_clear(content);
    buffer_puts(content, rule->text);
    for (size_t i = 0; i < rule->slot_count; i++) {
        const struct model_slot *slot = &rule->slots[i];
        buffer_format(content, "\n%s %u %d ", slot->name, slot->max_bytes, slot->allow_dash);
        buffer_puts(content, slot->language ? slot->language->key : "");
    }
    return name_hash(maker->arena, content->text, content->length);
}

/* Words alone where they are unique; else words and a hash; and where the very same rule stands
 * there again (it can never match, but may be written), a number after that. */
static void rules_name(struct maker *maker, struct layout_rule *placed)
{
    const struct model *model = maker->model;
    struct table by_words = {0}, by_name = {0};
    for (size_t i = 0; i < model->rule_count; i++) {
        placed[i].name = rule_words(maker, &model->rules[i]);
        tally_of(maker->arena, &by_words, placed[i].name)->count++;
    }
    for (size_t i = 0; i < model->rule_count; i++) {
        const char *name = placed[i].name;
        if (!*name)
            name = rule_hash(maker, &model->rules[i]);
        else if (tally_of(maker->arena, &by_words, name)->count > 1)
            name = arena_format(maker->arena, "%s_%s", name, rule_hash(maker, &model->rules[i]));
        size_t again = tally_of(maker->arena, &by_name, name)->count++;
        placed[i].name = again ? arena_format(maker->arena, "%s_%zu", name, again + 1) : name;
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Whether a file may end after this rule: one in 256, by content, so that a change of one rule moves
 * no other file's bounds. */
static bool rule_ends_share(struct maker *maker, const struct model_rule *rule)
{
    const char *hash = name_hash(maker->arena, rule->text, strlen(rule->text));
    return hash[0] == '0' && hash[1] == '0';
}

static void rules_share(struct maker *maker, const struct layout_rule *placed)
{
    const struct model *model = maker->model;
    struct layout_share *shares = NULL;
    size_t capacity = 0, count = 0;
    bool one = model->rule_count <= LAYOUT_ONE_FILE_MAX;
    for (size_t first = 0, i = 0; i < model->rule_count; i++) {
        size_t held = i - first + 1;
        bool ends = i + 1 == model->rule_count || held == LAYOUT_SHARE_MAX ||
                    (held >= LAYOUT_SHARE_MIN && rule_ends_share(maker, &model->rules[i]));
        if (i + 1 < model->rule_count && (one || !ends))
            continue;
        arena_grow(maker->arena, &shares, &capacity, count + 1, sizeof *shares);
        const char *file =
            one ? "rules.c" : arena_format(maker->arena, "rules_%s.c", placed[first].name);
        shares[count++] = (struct layout_share){file, first, held};
        first = i + 1;
    }
    maker->layout->shares = shares;
    maker->layout->share_count = count;
}

static void expansions_name(struct maker *maker)
{
    const struct model *model = maker->model;
    const char **names = arena_array(maker->arena, model->expansion_count, sizeof *names);
    for (size_t i = 0; i < model->expansion_count; i++) {
        struct buffer words = {0};
        struct buffer *content = &maker->scratch;
        buffer_clear(content);
        for (uint32_t k = 0; k < model->expansions[i].count; k++) {
            const struct policy_template_piece *piece = &model->expansions[i].pieces[k];
            buffer_format(content, "%d ", piece->kind);
            if (piece->kind != TEMPLATE_TEXT)
                continue;
            buffer_puts(content, piece->text);
            name_add_word(&words, piece->text, strlen(piece->text));
        }
        names[i] = arena_format(maker->arena, "EXPANSION_%s_%s", buffer_text(&words),
                                name_hash(maker->arena, content->text, content->length));
        buffer_free(&words);
    }
    maker->layout->expansions = (const char *const *)names;
}

const struct layout *layout_make(struct arena *arena, const struct model *model)
{
    struct layout *layout = arena_alloc(arena, sizeof *layout);
    struct maker maker = {.arena = arena, .model = model, .layout = layout};
    layout->model = model;

    struct layout_rule *placed = arena_array(arena, model->rule_count, sizeof *placed);
    for (size_t i = 0; i < model->rule_count; i++)
        rule_accepts(&maker, &model->rules[i], &placed[i]);
    accepts_name(&maker);
    rules_name(&maker, placed);
    layout->rules = placed;
    rules_share(&maker, placed);
    expansions_name(&maker);
    buffer_free(&maker.scratch);
    return layout;
}
