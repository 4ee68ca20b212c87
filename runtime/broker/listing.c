#include "runtime/broker/listing.h"

#include <stddef.h>
#include <string.h>

/* ---- the menu -------------------------------------------------------------------------------- */

static void comment_write(struct text *text, const char *comment)
{
    while (*comment) {
        size_t length = strcspn(comment, "\n");
        text_append(text, "; ");
        text_append_bytes(text, comment, length);
        text_append_char(text, '\n');
        comment += length;
        comment += *comment == '\n';
    }
}

void listing_write(struct text *text, const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->rule_count && !text->truncated; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (i > 0)
            text_append_char(text, '\n');
        comment_write(text, rule->comment);
        text_append(text, rule->text);
        text_append_char(text, '\n');
        for (uint32_t j = 0; j < rule->slot_count; j++) {
            text_append(text, "  ");
            text_append(text, rule->slots[j].name);
            text_append(text, " = ");
            text_append(text, rule->slots[j].pattern);
            text_append_char(text, '\n');
        }
    }
}

static void slot_write_json(struct json *json, const struct policy_slot *slot)
{
    json_open_object(json);
    json_key_text(json, "name", slot->name);
    json_key_text(json, "pattern", slot->pattern);
    json_key_unsigned(json, "max_bytes", slot->max_bytes);
    json_key_bool(json, "allow_dash", slot->allow_dash);
    json_close_object(json);
}

void listing_write_json(struct json *json, const struct policy *policy)
{
    json_open_object(json);
    json_key_text(json, "broker", policy->name);
    json_key(json, "rules");
    json_open_array(json);
    for (uint32_t i = 0; i < policy->rule_count && !json->overflow; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        json_open_object(json);
        json_key_unsigned(json, "line", policy->lines[i]);
        json_key_text(json, "command", rule->text);
        json_key_text(json, "comment", rule->comment);
        json_key(json, "slots");
        json_open_array(json);
        for (uint32_t j = 0; j < rule->slot_count; j++)
            slot_write_json(json, &rule->slots[j]);
        json_close_array(json);
        json_close_object(json);
    }
    json_close_array(json);
    json_close_object(json);
    json_newline(json);
}

/* ---- the policy ------------------------------------------------------------------------------ */

/* The limits of a confinement that are numbers. */
static const struct {
    const char *key;
    size_t offset;
} limits[] = {
    {"memory", offsetof(struct policy_limits, memory)},
    {"cpu_time", offsetof(struct policy_limits, cpu_time)},
    {"open_files", offsetof(struct policy_limits, open_files)},
    {"file_size", offsetof(struct policy_limits, file_size)},
    {"processes", offsetof(struct policy_limits, processes)},
    {"core", offsetof(struct policy_limits, core)},
};

static uint64_t limit_value(const struct policy_limits *from, size_t index)
{
    uint64_t value;

    memcpy(&value, (const char *)from + limits[index].offset, sizeof(value));
    return value;
}

/* The parts of a confinement that are on or off, in the words of the rules file. */
static uint32_t confinement_words(const struct policy_confinement *confinement, const char **words)
{
    const struct {
        bool holds;
        const char *word;
    } all[] = {
        {confinement->confines_files, "files"},
        {confinement->filter != NULL, "syscalls"},
        {confinement->net_none, "net=none"},
        {confinement->net_ports, "net=ports"},
        {confinement->unix_none, "unix=none"},
        {confinement->signals_own, "signals=own"},
        {confinement->metadata == METADATA_WITHIN, "metadata=within"},
        {confinement->metadata == METADATA_DENY, "metadata=deny"},
        {(confinement->isolate & ISOLATE_PID) != 0, "isolate=pid"},
        {(confinement->isolate & ISOLATE_IPC) != 0, "isolate=ipc"},
        {(confinement->isolate & ISOLATE_UTS) != 0, "isolate=uts"},
        {(confinement->isolate & ISOLATE_MOUNT) != 0, "isolate=mount"},
        {(confinement->isolate & ISOLATE_USER) != 0, "isolate=user"},
        {confinement->new_privs, "new_privs=allow"},
    };
    uint32_t count = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].holds)
            words[count++] = all[i].word;
    return count;
}

#define WORDS_MAX 16u

static void confinement_write(struct text *text, const struct policy_confinement *confinement)
{
    const char *words[WORDS_MAX];
    uint32_t count = confinement_words(confinement, words);

    for (uint32_t i = 0; i < count; i++) {
        text_append_char(text, ' ');
        text_append(text, words[i]);
    }
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        uint64_t value = limit_value(&confinement->limits, i);
        if (value == LIMIT_UNSET)
            continue;
        text_append_char(text, ' ');
        text_append(text, limits[i].key);
        text_append_char(text, '=');
        text_append_unsigned(text, value);
        count++;
    }
    if (count == 0)
        text_append(text, " none");
}

void policy_write(struct text *text, const struct policy *policy)
{
    text_append(text, "; ");
    text_append(text, policy->file);
    text_append(text, "\n; sha256 ");
    text_append(text, policy->sha256);
    text_append(text, "\n; compiled by sluicec ");
    text_append(text, policy->compiler);
    text_append(text, "\n; confinement by line:\n");
    for (uint32_t i = 0; i < policy->rule_count && !text->truncated; i++) {
        text_append(text, ";   ");
        text_append_unsigned(text, policy->lines[i]);
        text_append(text, ":");
        confinement_write(text, policy->rules[i].confinement);
        text_append_char(text, '\n');
    }
    text_append(text, "\n");
    text_append_bytes(text, policy->source, policy->source_length);
}

static void confinement_write_json(struct json *json, const struct policy_confinement *confinement)
{
    const char *words[WORDS_MAX];
    uint32_t count = confinement_words(confinement, words);

    json_open_object(json);
    json_key_text(json, "name", confinement->name);
    json_key(json, "applies");
    json_open_array(json);
    for (uint32_t i = 0; i < count; i++)
        json_text(json, words[i]);
    json_close_array(json);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        uint64_t value = limit_value(&confinement->limits, i);
        if (value != LIMIT_UNSET)
            json_key_unsigned(json, limits[i].key, value);
    }
    json_close_object(json);
}

void policy_write_json(struct json *json, const struct policy *policy)
{
    json_open_object(json);
    json_key_text(json, "broker", policy->name);
    json_key_text(json, "file", policy->file);
    json_key_text(json, "sha256", policy->sha256);
    json_key_text(json, "compiler", policy->compiler);
    json_key(json, "rules");
    json_open_array(json);
    for (uint32_t i = 0; i < policy->rule_count && !json->overflow; i++) {
        json_open_object(json);
        json_key_unsigned(json, "line", policy->lines[i]);
        json_key_text(json, "command", policy->rules[i].text);
        json_key(json, "confinement");
        confinement_write_json(json, policy->rules[i].confinement);
        json_close_object(json);
    }
    json_close_array(json);
    json_key(json, "source");
    json_string(json, policy->source, policy->source_length);
    json_close_object(json);
    json_newline(json);
}
