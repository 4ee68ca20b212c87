/* policy.c: the rules as data, and `sluice_policy`. */
#include "compiler/emit/tables.h"

#include <inttypes.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/initialisers.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/names.h"

static const char policy_head[] =
    "#include \"filters.h\"\n"
    "#include \"rules.h\"\n"
    "\n"
    "#include \"lines.c\"\n"
    "#include \"source.c\"\n"
    "\n"
    "/* Tokens: a word, or one slot that is the whole token. */\n"
    "#define TEXT(word) \\\n"
    "    {.kind = TOKEN_LITERAL, .piece_count = 1, \\\n"
    "     .pieces = (const struct policy_piece[]){{.literal = {WORD(word)}}}}\n"
    "#define SHARED(word) {.kind = TOKEN_LITERAL, .piece_count = 1, .pieces = &word}\n"
    "#define SLOT(index) \\\n"
    "    {.kind = TOKEN_SLOT, .piece_count = 1, \\\n"
    "     .pieces = (const struct policy_piece[]){{.is_slot = true, .slot = index}}}\n"
    "\n";

struct writer {
    struct arena *arena;
    const struct layout *layout;
    struct buffer out;
    struct table attributes, confinements; /* of names, by address */
    /* In large policies, words and slots that rules share stand there once, before the rules: each is
     * memory of every broker's own, since it holds pointers. */
    bool shares;
    struct names words, slots;
};

/* ---- objects that rules share ---------------------------------------------------------------- */

/* Writes `TYPE NAME = {body};` where NAME depends on the body, and remembers the name by the
 * object's address. Equal objects are written once. */
static void object_add(struct writer *writer, struct table *by_address, struct names *names,
                       const char *type, const char *prefix, const void *const *address,
                       const struct buffer *body)
{
    bool is_new;
    const char *name = names_intern(writer->arena, names, prefix, "", buffer_text(body),
                                    body->length, &is_new);
    table_add(writer->arena, by_address, address, sizeof *address, (void *)name);
    if (!is_new)
        return;
    buffer_format(&writer->out, "static const struct %s %s = {\n", type, name);
    buffer_add(&writer->out, buffer_text(body), body->length);
    buffer_puts(&writer->out, "};\n\n");
}

static void attributes_add(struct writer *writer)
{
    const struct model *model = writer->layout->model;
    struct names names = {0};
    struct buffer body = {0};
    for (size_t i = 0; i < model->attributes_count; i++) {
        buffer_clear(&body);
        attributes_init(&body, writer->layout, model->attributes[i]);
        object_add(writer, &writer->attributes, &names, "policy_attributes", "attributes",
                   (const void *const *)&model->attributes[i], &body);
    }
    buffer_free(&body);
}

static void confinements_add(struct writer *writer)
{
    const struct model *model = writer->layout->model;
    struct names names = {0};
    struct buffer body = {0};
    for (size_t i = 0; i < model->confinement_count; i++) {
        const struct model_confinement *confinement = model->confinements[i];
        buffer_clear(&body);
        confinement_init(&body, confinement, filter_name(writer->arena, confinement->filter));
        object_add(writer, &writer->confinements, &names, "policy_confinement", "confinement",
                   (const void *const *)&model->confinements[i], &body);
    }
    buffer_free(&body);
    buffer_puts(&writer->out,
                "static const struct policy_confinement *const confinements[] = {\n");
    for (size_t i = 0; i < model->confinement_count; i++)
        buffer_format(&writer->out, "    &%s,\n",
                      (const char *)table_find(&writer->confinements, &model->confinements[i],
                                               sizeof(void *)));
    buffer_puts(&writer->out, "};\n\n");
}

/* ---- words and slots that rules share -------------------------------------------------------- */

static const char *word_name(struct writer *writer, const struct model_token *token, bool *is_new)
{
    const struct model_piece *piece = &token->pieces[0];
    struct buffer words = {0};
    name_add_word(&words, piece->literal, piece->literal_length);
    const char *name = names_intern(writer->arena, &writer->words, "word", buffer_text(&words),
                                    piece->literal, piece->literal_length, is_new);
    buffer_free(&words);
    return name;
}

static void slot_add(struct buffer *out, const struct layout *layout, const struct model_slot *slot,
                     const char *indent)
{
    const struct accept *accept = layout_language(layout, slot->language);
    buffer_format(out, "%s{.name = ", indent);
    string_init(out, slot->name);
    buffer_puts(out, ", .pattern = ");
    string_init(out, slot->description);
    buffer_format(out, ",\n%s .accept = %s, .max_bytes = %u", indent,
                  accept ? accept->name : "NULL", slot->max_bytes);
    buffer_puts(out, slot->allow_dash ? ", .allow_dash = true},\n" : "},\n");
}

static const char *slots_name(struct writer *writer, const struct model_rule *rule, bool *is_new)
{
    struct buffer content = {0};
    for (size_t i = 0; i < rule->slot_count; i++)
        slot_add(&content, writer->layout, &rule->slots[i], "");
    const char *name = names_intern(writer->arena, &writer->slots, "slots", "",
                                    buffer_text(&content), content.length, is_new);
    buffer_free(&content);
    return name;
}

static void shared_word_add(struct writer *writer, const struct model_token *token)
{
    bool is_new = false;
    if (token->kind != TOKEN_LITERAL)
        return;
    const char *name = word_name(writer, token, &is_new);
    if (!is_new)
        return;
    buffer_format(&writer->out, "static const struct policy_piece %s = {.literal = {WORD(\"", name);
    buffer_c_string(&writer->out, token->pieces[0].literal, token->pieces[0].literal_length);
    buffer_puts(&writer->out, "\")}};\n");
}

static void shared_slots_add(struct writer *writer, const struct model_rule *rule)
{
    bool is_new = false;
    if (!rule->slot_count)
        return;
    const char *name = slots_name(writer, rule, &is_new);
    if (!is_new)
        return;
    buffer_format(&writer->out, "static const struct policy_slot %s[] = {\n", name);
    for (size_t i = 0; i < rule->slot_count; i++)
        slot_add(&writer->out, writer->layout, &rule->slots[i], "    ");
    buffer_puts(&writer->out, "};\n");
}

static void shared_add(struct writer *writer)
{
    const struct model *model = writer->layout->model;
    for (size_t i = 0; i < model->rule_count; i++) {
        for (size_t k = 0; k < model->rules[i].token_count; k++)
            shared_word_add(writer, &model->rules[i].tokens[k]);
        shared_slots_add(writer, &model->rules[i]);
    }
    buffer_char(&writer->out, '\n');
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void pieces_add(struct writer *writer, const struct model_token *token)
{
    struct buffer *out = &writer->out;
    buffer_puts(out, "\n             .pieces = (const struct policy_piece[]){\n");
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (piece->is_slot) {
            buffer_format(out, "                 {.is_slot = true, .slot = %u},\n", piece->slot);
        } else {
            buffer_puts(out, "                 {.literal = {WORD(\"");
            buffer_c_string(out, piece->literal, piece->literal_length);
            buffer_puts(out, "\")}},\n");
        }
    }
    buffer_puts(out, "             }},\n");
}

static void token_add(struct writer *writer, const struct layout_rule *placed,
                      const struct model_token *token, size_t at)
{
    struct buffer *out = &writer->out;
    buffer_puts(out, "            ");
    switch (token->kind) {
    case TOKEN_LITERAL:
        if (writer->shares) {
            buffer_format(out, "SHARED(%s),\n", word_name(writer, token, NULL));
            break;
        }
        buffer_puts(out, "TEXT(\"");
        buffer_c_string(out, token->pieces[0].literal, token->pieces[0].literal_length);
        buffer_puts(out, "\"),\n");
        break;
    case TOKEN_EXPANSION:
        buffer_format(out, "{.kind = TOKEN_EXPANSION, .expansion = %s},\n",
                      writer->layout->expansions[token->expansion_index]);
        break;
    case TOKEN_SLOT:
        buffer_format(out, "SLOT(%u),\n", token->pieces[0].slot);
        break;
    case TOKEN_MIXED:
        buffer_format(out, "{.kind = TOKEN_MIXED, .accept = %s, .piece_count = %zu,",
                      placed->tokens[at]->name, token->piece_count);
        pieces_add(writer, token);
        break;
    case TOKEN_REST:
        buffer_format(out, "{.kind = TOKEN_REST, .minimum = %u, .maximum = %u, .piece_count = 1,",
                      token->minimum, token->maximum);
        pieces_add(writer, token);
        break;
    }
}

static void slots_add(struct writer *writer, const struct model_rule *rule)
{
    struct buffer *out = &writer->out;
    if (!rule->slot_count)
        return;
    buffer_format(out, "        .slot_count = %zu,\n", rule->slot_count);
    if (writer->shares) {
        buffer_format(out, "        .slots = %s,\n", slots_name(writer, rule, NULL));
        return;
    }
    buffer_puts(out, "        .slots = (const struct policy_slot[]){\n");
    for (size_t i = 0; i < rule->slot_count; i++)
        slot_add(out, writer->layout, &rule->slots[i], "            ");
    buffer_puts(out, "        },\n");
}

static void rule_add(struct writer *writer, size_t index)
{
    const struct model_rule *rule = &writer->layout->model->rules[index];
    const struct layout_rule *placed = &writer->layout->rules[index];
    struct buffer *out = &writer->out;
    buffer_format(out, "    [RULE_%s] = {\n        .text = ", placed->name);
    string_init(out, rule->text);
    buffer_format(out, ",\n        .comment = comment_%s,\n", placed->name);
    buffer_format(out, "        .token_count = %zu,\n        .tokens = (const struct policy_token[]){\n",
                  rule->token_count);
    for (size_t i = 0; i < rule->token_count; i++)
        token_add(writer, placed, &rule->tokens[i], i);
    buffer_puts(out, "        },\n");
    slots_add(writer, rule);
    buffer_format(out, "        .attributes = &%s,\n        .confinement = &%s,\n    },\n",
                  (const char *)table_find(&writer->attributes, &rule->attributes, sizeof(void *)),
                  (const char *)table_find(&writer->confinements, &rule->confinement,
                                           sizeof(void *)));
}

/* ---- the policy ------------------------------------------------------------------------------ */

static void expansions_add(struct writer *writer)
{
    const struct model *model = writer->layout->model;
    if (!model->expansion_count)
        return;
    buffer_puts(&writer->out,
                "static const struct policy_template expansions[EXPANSION_COUNT] = {\n");
    for (size_t i = 0; i < model->expansion_count; i++) {
        buffer_format(&writer->out, "    [%s] =\n", writer->layout->expansions[i]);
        template_element(&writer->out, 8, &model->expansions[i]);
    }
    buffer_puts(&writer->out, "};\n\n");
}

static size_t pcre2_add(struct writer *writer)
{
    const struct layout *layout = writer->layout;
    size_t count = 0;
    for (size_t i = 0; i < layout->accept_count; i++) {
        const struct accept *accept = layout->accepts[i];
        if (accept->kind != ACCEPT_PCRE2)
            continue;
        if (!count++)
            buffer_puts(&writer->out,
                        "static const struct policy_bytes pcre2_patterns[PCRE2_COUNT] = {\n");
        buffer_format(&writer->out, "    [PCRE2_%s] = {WORD(\"", accept->name);
        buffer_c_string(&writer->out, accept->line->pcre2, strlen(accept->line->pcre2));
        buffer_puts(&writer->out, "\")},\n");
    }
    if (count)
        buffer_puts(&writer->out, "};\n\n");
    return count;
}

static void users_add(struct writer *writer)
{
    const struct model *model = writer->layout->model;
    struct buffer *out = &writer->out;
    if (!model->allow_uid_count)
        return;
    buffer_puts(out, "    .allow_uid = (const struct policy_user[]){\n");
    for (size_t i = 0; i < model->allow_uid_count; i++) {
        buffer_puts(out, "        {.name = ");
        string_init(out, model->allow_uid[i].name);
        buffer_format(out, ", .uid = %u},\n", model->allow_uid[i].uid);
    }
    buffer_format(out, "    },\n    .allow_uid_count = %zu,\n", model->allow_uid_count);
}

/* Whether the broker's own view of the file system can be narrowed: every rule's is. */
static bool every_rule_confines_files(const struct model *model)
{
    for (size_t i = 0; i < model->confinement_count; i++)
        if (!model->confinements[i]->confines_files)
            return false;
    return model->confinement_count > 0;
}

static void settings_add(struct writer *writer)
{
    const struct model *model = writer->layout->model;
    struct buffer *out = &writer->out;
    template_init(out, 4, "logfile", &model->logfile);
    template_init(out, 4, "socket", &model->socket);
    buffer_format(out,
                  "    .audit_strict = %s,\n    .confine_strict = %s,\n    .explain = %s,\n"
                  "    .max_active = %u,\n    .queue = %u,\n    .stop_timeout_ms = %" PRIu64 ",\n",
                  model->audit_strict ? "true" : "false", model->confine_strict ? "true" : "false",
                  model->explain ? "true" : "false", model->max_active, model->queue,
                  model->stop_timeout_ms);
    users_add(writer);
    buffer_format(out, "    .broker_filter = FILTER_BROKER,\n    .broker_confines_files = %s,\n",
                  every_rule_confines_files(model) ? "true" : "false");
}

static void sluice_policy_add(struct writer *writer, size_t pcre2_count)
{
    const struct model *model = writer->layout->model;
    struct buffer *out = &writer->out;
    buffer_format(out, "const struct policy sluice_policy = {\n    .contract = %u,\n    .name = ",
                  POLICY_CONTRACT);
    string_init(out, model->name);
    buffer_puts(out, ",\n    .file = ");
    string_init(out, model->file);
    buffer_puts(out, ",\n    .compiler = ");
    string_init(out, SLUICE_VERSION);
    buffer_puts(out, ",\n    .source = source_text,\n"
                     "    .source_length = sizeof source_text - 1,\n"
                     "    .sha256 = source_sha256,\n"
                     "    .rules = rules,\n"
                     "    .rule_count = RULE_COUNT,\n"
                     "    .lines = rule_lines,\n"
                     "    .confinements = confinements,\n"
                     "    .confinement_count = sizeof confinements / sizeof *confinements,\n"
                     "    .match = dispatch,\n");
    if (model->expansion_count)
        buffer_puts(out, "    .expansions = expansions,\n    .expansion_count = EXPANSION_COUNT,\n");
    settings_add(writer);
    if (pcre2_count)
        buffer_puts(out, "    .pcre2_patterns = pcre2_patterns,\n    .pcre2_count = PCRE2_COUNT,\n");
    buffer_puts(out, "};\n");
}

void policy_emit(struct emitted *emitted, const struct layout *layout)
{
    struct writer writer = {.arena = emitted->arena, .layout = layout};
    writer.shares = layout->model->rule_count > LAYOUT_ONE_FILE_MAX;
    emitted_head(&writer.out, layout->model,
                 "What the broker knows: each rule's tokens, slots, attributes and confinement, and the\n"
                 "policy as a whole. Whether a rule matches is in the rules' functions.");
    buffer_puts(&writer.out, policy_head);
    attributes_add(&writer);
    confinements_add(&writer);
    expansions_add(&writer);
    size_t pcre2_count = pcre2_add(&writer);
    if (writer.shares)
        shared_add(&writer);
    buffer_puts(&writer.out, "static const struct policy_rule rules[RULE_COUNT] = {\n");
    for (size_t i = 0; i < layout->model->rule_count; i++)
        rule_add(&writer, i);
    buffer_puts(&writer.out, "};\n\n");
    sluice_policy_add(&writer, pcre2_count);
    emitted_add(emitted, "policy.c", &writer.out);
    buffer_free(&writer.out);
}
