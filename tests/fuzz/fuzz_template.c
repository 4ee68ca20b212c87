/* Path templates: any pieces, any environment, any call. A path that comes out is absolute, has no
 * ".." component and fits; and a template that was found good at start comes out for every call. */
#include <string.h>

#include "runtime/broker/template.h"
#include "tests/fuzz/support.h"

#define PIECES_MAX 8u

static void check_path(const char *path, size_t length, size_t size)
{
    FUZZ_CHECK(length < size && strlen(path) == length);
    FUZZ_CHECK(path[0] == '/');
    for (const char *at = path; at; at = strchr(at + 1, '/'))
        FUZZ_CHECK(strncmp(at, "/..", 3) != 0 || (at[3] != '\0' && at[3] != '/'));
}

static void expand(const struct policy_template *template,
                   const struct template_environment *environment,
                   const struct template_call *call, size_t size, bool good)
{
    struct failure failure = {.text = ""};
    char *path = malloc(size);
    FUZZ_CHECK(path);
    ssize_t length = template_expand(template, environment, call, path, size, &failure);
    if (length >= 0)
        check_path(path, (size_t)length, size);
    else
        FUZZ_CHECK(failure.text[0]);
    if (good)
        FUZZ_CHECK(length >= 0);
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct policy_template_piece pieces[PIECES_MAX];
    struct policy_template template = {pieces, 0};
    char *texts[PIECES_MAX], *variables[5] = {0};
    size_t length, room = 1 + input_byte(&input);
    struct template_call call = {.call = input_long(&input),
                                 .pid = (pid_t)(input_number(&input) & INT32_MAX),
                                 .uid = input_number(&input),
                                 .line = input_number(&input),
                                 .realtime_ms = input_long(&input)};
    uint8_t count = input_byte(&input) % PIECES_MAX;

    for (; template.count < count; template.count++) {
        pieces[template.count].kind = input_byte(&input) % (TEMPLATE_DATE + 1);
        texts[template.count] = input_text(&input, &length);
        pieces[template.count].text = texts[template.count];
    }
    for (size_t i = 0; i < 4; i++)
        variables[i] = input_text(&input, &length);
    struct template_environment *environment = malloc(sizeof *environment);
    FUZZ_CHECK(environment);
    template_environment_read(environment, variables);

    struct failure failure;
    bool good = template_check(&template, environment, "logfile", &failure) == 0;
    expand(&template, environment, &call, TEMPLATE_PATH_MAX, good);
    expand(&template, environment, &call, room, false);
    expand(&template, environment, NULL, TEMPLATE_PATH_MAX,
           good && !template_is_per_call(&template));

    free(environment);
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    for (size_t i = 0; i < 4; i++)
        free(variables[i]);
    return 0;
}
