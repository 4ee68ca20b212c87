#include "compiler/analysis/summary.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/excerpt.h"
#include "compiler/policy/describe.h"

/* Bytes of one value that are shown. */
#define SHOWN_BYTES_MAX 400u

static void add_visible(struct buffer *out, const char *text)
{
    size_t length = strlen(text), shown = length;
    if (shown > SHOWN_BYTES_MAX) {
        shown = SHOWN_BYTES_MAX;
        while (shown && ((unsigned char)text[shown] & 0xC0) == 0x80)
            shown--;
    }
    excerpt_visible(out, text, shown);
    if (shown < length)
        buffer_puts(out, "...");
}

static bool accepts_dash(const struct model_slot *slot)
{
    const struct automaton_state *first = slot->accepted ? &slot->accepted->states[0] : NULL;
    for (uint32_t i = 0; first && i < first->transition_count; i++)
        if (first->transitions[i].low <= '-' && '-' <= first->transitions[i].high)
            return true;
    return false;
}

static void add_slot(struct buffer *out, const struct model_slot *slot)
{
    buffer_format(out, "    #%s: ", slot->name);
    add_visible(out, slot->description);
    if (slot->language && slot->language->pcre2)
        buffer_puts(out, "  (matched by PCRE2 at call time)");
    if (accepts_dash(slot))
        buffer_puts(out, "  (may begin with '-')");
    if (slot->max_bytes != POLICY_VALUE_MAX)
        buffer_format(out, "  (at most %u bytes)", slot->max_bytes);
    buffer_char(out, '\n');
}

/* "TITLE key value; key value", of what is not the language's own default. */
static void add_descriptions(struct buffer *out, const char *title,
                             const struct descriptions *descriptions)
{
    bool begun = false;
    for (size_t i = 0; i < descriptions->count; i++) {
        const struct description *item = &descriptions->items[i];
        if (item->initial)
            continue;
        buffer_puts(out, begun ? "; " : title);
        buffer_format(out, "%s ", item->key);
        add_visible(out, item->value);
        begun = true;
    }
    if (begun)
        buffer_char(out, '\n');
}

void summary_rule(struct buffer *out, const struct model_rule *rule)
{
    struct arena *arena = arena_new(0); /* descriptions of thousands of rules would add up */
    struct descriptions call = describe_attributes(arena, rule->attributes);
    struct descriptions confinement = describe_confinement(arena, rule);
    buffer_format(out, "%5u: ", rule->line);
    add_visible(out, rule->text);
    buffer_char(out, '\n');
    for (size_t i = 0; i < rule->slot_count; i++)
        add_slot(out, &rule->slots[i]);
    add_descriptions(out, "    call: ", &call);
    add_descriptions(out, "    confined: ", &confinement);
    arena_free(arena);
}

void summary_policy(struct buffer *out, const struct model *model)
{
    buffer_format(out, "%s: rules: %zu, distinct patterns: %zu, confinements: %zu\n", model->file,
                  model->rule_count, model->language_count, model->confinement_count);
}
