/* What a client makes of whatever a broker sends: the answer, in one message or through a pipe in
 * pieces; the menu in it; and how it is shown to a person. The first byte says which way it comes. */
#define _GNU_SOURCE 1 /* memfd_create, pipe2 */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/client/display.h"
#include "runtime/client/shims.h"
#include "runtime/client/sluicify.h"
#include "runtime/shared/wire.h"
#include "tests/fuzz/support.h"

static void check_answer(const struct sluicify_exchange *exchange,
                         const struct sluicify_answer *answer)
{
    FUZZ_CHECK(wire_status_exit_code(answer->status) >= 0);
    FUZZ_CHECK((answer->status < 0) == (wire_status_text(answer->status) != NULL));
    if (answer->text_length)
        FUZZ_CHECK(answer->text >= exchange->buffer &&
                   answer->text + answer->text_length <=
                       exchange->buffer + sizeof exchange->buffer);
}

/* Nothing of a foreign text steers a terminal. */
static void check_display(const char *bytes, size_t length)
{
    int file = memfd_create("shown", MFD_CLOEXEC);
    struct display display;
    char name[64];

    FUZZ_CHECK(file >= 0);
    display_start(&display, file);
    display_append_lines(&display, bytes, length, "  ");
    display_append_escaped(&display, bytes, length);
    /* A word is a string: up to the first NUL. */
    size_t word_length = strnlen(bytes, length < sizeof name - 1 ? length : sizeof name - 1);
    memcpy(name, bytes, word_length);
    name[word_length] = '\0';
    const char *words[] = {"a", name, name};
    display_append_command(&display, words, 3);
    FUZZ_CHECK(display_finish(&display) == 0);
    off_t size = lseek(file, 0, SEEK_END);
    FUZZ_CHECK(size >= 0);
    char *shown = malloc((size_t)size + 1);
    FUZZ_CHECK(shown && pread(file, shown, (size_t)size, 0) == size);
    FUZZ_CHECK(is_printable(shown, (size_t)size, true));
    free(shown);
    close(file);
}

static void check_menu(const char *bytes, size_t length)
{
    char name[32];
    const char *at = bytes;
    size_t left = length;
    while (client_menu_next(&at, &left, name, sizeof name)) {
        FUZZ_CHECK(at + left == bytes + length);
        FUZZ_CHECK(memchr(name, '\0', sizeof name));
        if (client_name_is_safe(name))
            FUZZ_CHECK(name[0] && name[0] != '.' && name[0] != '-' && !strchr(name, '/'));
    }
    FUZZ_CHECK(left == 0);
}

static void check_text(const char *text, size_t length)
{
    char *exact = malloc(length ? length : 1);
    FUZZ_CHECK(exact);
    if (length)
        memcpy(exact, text, length);
    check_menu(exact, length);
    check_display(exact, length);
    free(exact);
}

static void finish(const struct sluicify_exchange *exchange, enum sluicify_state state,
                   const struct sluicify_answer *answer)
{
    FUZZ_CHECK(state >= SLUICIFY_WAITING && state <= SLUICIFY_BROKEN);
    if (state == SLUICIFY_ANSWERED) {
        check_answer(exchange, answer);
        check_text(answer->text, answer->text_length);
    }
    if (state == SLUICIFY_BROKEN)
        FUZZ_CHECK(exchange->problem && exchange->problem[0]);
}

/* As an exchange on a connection of its own: one message of a SOCK_SEQPACKET socket. */
static void receive_message(struct sluicify_exchange *exchange, const char *bytes, size_t length)
{
    int pair[2];
    struct sluicify_answer answer = {0};
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    exchange->address.path = "/nowhere";
    exchange->takes_signals = true;
    exchange->connection = exchange->reply = pair[0];
    if (send(pair[1], bytes, length, MSG_NOSIGNAL) == (ssize_t)length)
        finish(exchange, sluicify_exchange_receive(exchange, &answer), &answer);
    close(pair[1]);
    sluicify_exchange_close(exchange);
}

/* As an exchange on an inherited connection: a pipe, in pieces. */
static void receive_pieces(struct sluicify_exchange *exchange, const char *bytes, size_t length,
                           size_t piece)
{
    int ends[2];
    struct sluicify_answer answer = {0};
    enum sluicify_state state = SLUICIFY_WAITING;
    FUZZ_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    exchange->address = (struct sluicify_address){.path = NULL, .descriptor = -1};
    exchange->connection = -1;
    exchange->reply = ends[0];
    for (size_t at = 0; at < length && state == SLUICIFY_WAITING; at += piece) {
        size_t now = length - at < piece ? length - at : piece;
        if (write(ends[1], bytes + at, now) != (ssize_t)now)
            break;
        state = sluicify_exchange_receive(exchange, &answer);
        finish(exchange, state, &answer);
    }
    close(ends[1]);
    if (state == SLUICIFY_WAITING) {
        state = sluicify_exchange_receive(exchange, &answer);
        FUZZ_CHECK(state != SLUICIFY_WAITING);
        finish(exchange, state, &answer);
    }
    sluicify_exchange_close(exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t how = input_byte(&input);
    size_t length;
    char *bytes = input_rest(&input, &length);
    struct wire_reply reply;
    struct sluicify_exchange *exchange = calloc(1, sizeof *exchange);

    FUZZ_CHECK(exchange);
    exchange->kind = (enum sluicify_kind)(how >> 1 & 3) % 3;
    exchange->version = how & 8 ? 1 : 2;
    exchange->sent = true;
    exchange->reply_remote = exchange->body = -1;
    if (how & 1)
        receive_message(exchange, bytes, length);
    else
        receive_pieces(exchange, bytes, length, 1 + (how >> 4) * 16u);
    const char *problem = wire_reply_decode(&reply, bytes, length);
    FUZZ_CHECK(problem ? problem[0] != '\0' : reply.version == 1 || reply.version == 2);
    check_text(bytes, length);
    free(exchange);
    free(bytes);
    return 0;
}
