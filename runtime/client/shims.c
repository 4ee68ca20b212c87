#define _GNU_SOURCE 1

#include "runtime/client/shims.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/client/call.h"
#include "runtime/client/display.h"
#include "runtime/shared/descriptors.h"

/* ---- names ----------------------------------------------------------------------------------- */

/* The first word of a line, as a shell reads it. */
static void word_read(const char *line, size_t length, struct text *word)
{
    char quote = '\0';

    for (size_t at = 0; at < length; at++) {
        char c = line[at];
        if (quote == '\0' && (c == ' ' || c == '\t' || c == '\r'))
            return;
        if (c == '\\' && quote != '\'' && at + 1 < length)
            text_append_char(word, line[++at]);
        else if (quote == '\0' && (c == '\'' || c == '"'))
            quote = c;
        else if (quote != '\0' && c == quote)
            quote = '\0';
        else
            text_append_char(word, c);
    }
}

bool client_menu_next(const char **menu, size_t *length, char *name, size_t capacity)
{
    while (*length > 0) {
        const char *line = *menu;
        size_t line_length = 0;
        while (line_length < *length && line[line_length] != '\n')
            line_length++;
        size_t taken = line_length < *length ? line_length + 1 : line_length;
        *menu += taken;
        *length -= taken;
        if (line_length == 0 || (line[0] != '\0' && strchr(" \t\r#;", line[0])))
            continue;
        struct text word;
        text_start(&word, name, capacity);
        word_read(line, line_length, &word);
        if (word.truncated)
            name[0] = '\0';
        return true;
    }
    return false;
}

bool client_name_is_safe(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > NAME_MAX || name[0] == '.' || name[0] == '-' ||
        strncmp(name, "sluicify", 8) == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !strchr("._+@-", c))
            return false;
    }
    return true;
}

/* ---- links ----------------------------------------------------------------------------------- */

struct shims {
    const char *directory;
    int descriptor;
    char target[PATH_MAX]; /* this program */
    bool failed;
};

static void shims_fail(struct shims *shims, const char *what, const char *name, const char *why)
{
    display_complain(what, name, ": ", why);
    shims->failed = true;
}

/* Whether what is there already is the link that would be made. */
static bool shim_exists(const struct shims *shims, const char *name)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(shims->descriptor, name, target, sizeof(target));

    return length >= 0 && (size_t)length == strlen(shims->target) &&
           memcmp(target, shims->target, (size_t)length) == 0;
}

static void shim_make(struct shims *shims, const char *name)
{
    struct display display;

    if (symlinkat(shims->target, shims->descriptor, name) == 0) {
        display_start(&display, STDOUT_FILENO);
        display_append(&display, name);
        display_append(&display, "\n");
        display_finish(&display);
    } else if (errno != EEXIST) {
        shims_fail(shims, "cannot make the link ", name, strerror(errno));
    } else if (!shim_exists(shims, name)) {
        shims_fail(shims, "cannot make the link ", name, "something else is there, and stays");
    }
}

/* Opens the directory and finds this program's own path. Returns whether both went well. */
static bool shims_start(struct shims *shims)
{
    ssize_t length = readlink("/proc/self/exe", shims->target, sizeof(shims->target) - 1);

    if (length < 0) {
        shims_fail(shims, "cannot find out where sluicify is", NULL, strerror(errno));
        return false;
    }
    shims->target[length] = '\0';
    if (mkdir(shims->directory, 0777) < 0 && errno != EEXIST) {
        shims_fail(shims, "cannot make the directory ", shims->directory, strerror(errno));
        return false;
    }
    shims->descriptor = open(shims->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (shims->descriptor < 0)
        shims_fail(shims, "cannot open the directory ", shims->directory, strerror(errno));
    return shims->descriptor >= 0;
}

int client_shims_run(const struct client_place *place, const char *directory)
{
    struct sluicify_exchange exchange;
    struct sluicify_answer answer = {0};
    struct shims shims = {.directory = directory, .descriptor = -1};
    char name[NAME_MAX + 2];

    int exit_code = client_list_fetch(place, &exchange, &answer);
    if (exit_code == 0 && shims_start(&shims)) {
        const char *menu = answer.text;
        size_t length = answer.text_length;
        while (client_menu_next(&menu, &length, name, sizeof(name))) {
            if (client_name_is_safe(name))
                shim_make(&shims, name);
            else /* no failure: `sluicify NAME` calls that one */
                display_complain("no link for ", name, ", which is no name for one", NULL);
        }
    }
    sluicify_exchange_close(&exchange);
    descriptor_close(&shims.descriptor);
    return shims.failed ? CLIENT_FAILURE : exit_code;
}
