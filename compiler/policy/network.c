/* net: `inherit`, `none`, or the TCP ports that may be used: `connect:443,8443 bind:8080`. */
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/policy/settings.h"
#include "compiler/policy/values.h"

#define NETWORK_FORM "write inherit, none, or ports as in `connect:443,8443 bind:8080`"

struct port_builder {
    uint16_t *items;
    size_t count, capacity;
};

static int compare_ports(const void *left, const void *right)
{
    uint16_t a = *(const uint16_t *)left, b = *(const uint16_t *)right;
    return (a > b) - (a < b);
}

static struct port_list sorted_ports(struct port_builder *ports)
{
    size_t count = 0;
    if (ports->count)
        qsort(ports->items, ports->count, sizeof *ports->items, compare_ports);
    for (size_t i = 0; i < ports->count; i++)
        if (!count || ports->items[count - 1] != ports->items[i])
            ports->items[count++] = ports->items[i];
    return (struct port_list){ports->items, count};
}

/* Port 0 in `bind:` is the kernel's own choice of an ephemeral port (landlock(7)). */
static bool read_port(struct check *check, const struct tree_value *word, bool bind,
                      struct port_builder *ports)
{
    int64_t port;
    enum number_result result = number_decimal(word->text, word->length, &port);
    if (result == NUMBER_MALFORMED) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, word->at, "net: `%s` is not a port number",
                             check_quote_value(check, word));
        check_hint(check, error, NETWORK_FORM);
        return false;
    }
    if (result == NUMBER_TOO_LARGE || port > 65535 || (port == 0 && !bind)) {
        diagnostic_error(check->diagnostics, word->at, "net: port %s is out of range: %d to 65535",
                         check_quote_value(check, word), bind ? 0 : 1);
        return false;
    }
    arena_grow(check->arena, &ports->items, &ports->capacity, ports->count + 1,
               sizeof *ports->items);
    ports->items[ports->count++] = (uint16_t)port;
    return true;
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

/* One word: `connect:PORT`, `bind:PORT`, or a further PORT of the list before it. */
static bool read_word(struct check *check, struct tree_value word, struct port_builder *connect,
                      struct port_builder *bind, struct port_builder **current)
{
    if (value_starts(&word, "connect:")) {
        *current = connect;
        word = value_rest(&word, (uint32_t)strlen("connect:"));
    } else if (value_starts(&word, "bind:")) {
        *current = bind;
        word = value_rest(&word, (uint32_t)strlen("bind:"));
    } else if (!*current) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, word.at, "net: `%s` is not understood",
                             check_quote_value(check, &word));
        check_hint(check, error, NETWORK_FORM);
        return false;
    }
    return read_port(check, &word, *current == bind, *current);
}

bool settings_network(struct check *check, struct settings *settings,
                      const struct tree_value *value)
{
    struct port_builder connect = {0}, bind = {0}, *current = NULL;
    if (value_is(value, "inherit") || value_is(value, "none")) {
        settings->number[KEY_NET] = value_is(value, "none") ? NETWORK_NONE : NETWORK_INHERIT;
        settings->connect = settings->bind = (struct port_list){0};
        return true;
    }
    for (uint32_t at = 0, end; at < value->length; at = end) {
        for (end = at; end < value->length && !is_separator(value->text[end]);)
            end++;
        if (end == at)
            end++;
        else if (!read_word(check, value_part(value, at, end), &connect, &bind, &current))
            return false;
    }
    if (!current) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, value->at, "net: there is no port");
        check_hint(check, error, NETWORK_FORM);
        return false;
    }
    settings->number[KEY_NET] = NETWORK_PORTS;
    settings->connect = sorted_ports(&connect);
    settings->bind = sorted_ports(&bind);
    return true;
}
