/* Connections that send without end: each gets its turn, and none more than one. What a message asks
 * for is not part of this: request_handle is here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/broker.h"

#define PEERS 3u
#define FLOOD (FRAMES_PER_TURN * 8)

struct fixture {
    struct broker *broker;
    struct connection table[PEERS];
    struct account account;
    struct timer *heap[2];
    int theirs[PEERS];
};

static uint32_t handled[PEERS];
static uint32_t closes[PEERS]; /* which one a message on this one has closed; NONE */

const char *reason_text(enum reason reason)
{
    return reason == REASON_COUNT ? "" : "reason";
}

void request_refuse(struct broker *broker, const struct requester *requester, enum reason reason,
                    const char *detail, uint32_t rule, const struct wire_request *request,
                    const char *explanation)
{
    (void)broker, (void)requester, (void)reason, (void)detail, (void)rule, (void)request;
    (void)explanation;
    fail();
}

bool request_decide(struct broker *broker, const struct requester *requester,
                    const struct wire_request *request, uint32_t *rule)
{
    (void)broker, (void)requester, (void)request, (void)rule;
    fail();
    return false;
}

void request_handle(struct broker *broker, uint32_t index, enum message_result result,
                    struct message *message)
{
    assert_int_equal(result, MESSAGE_RECEIVED);
    assert_int_equal(message->length, 1);
    handled[index]++;
    if (closes[index] != NONE && broker->connections.table[closes[index]].descriptor >= 0)
        connection_close(broker, closes[index]);
}

/* Peer N has sent messages[N], and has been read once: it is in line if there may be more. */
static struct fixture *make(const uint32_t messages[PEERS])
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    struct broker *broker = fixture->broker = calloc(1, sizeof *broker);
    assert_non_null(broker);
    broker->frame = malloc(WIRE_REQUEST_MAX + 1);
    assert_non_null(broker->frame);
    broker->accounts.table = &fixture->account;
    broker->epoll = epoll_create1(EPOLL_CLOEXEC);
    timers_start(&broker->timers, fixture->heap, 1);
    closers_begin(&broker->closers);
    connections_start(&broker->connections, fixture->table);
    for (uint32_t i = 0; i < PEERS; i++) {
        int ends[2];
        assert_int_equal(
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        fixture->table[i] =
            (struct connection){.descriptor = ends[0], .version = 2, .call = NONE, .next = NONE};
        fixture->theirs[i] = ends[1];
        broker->connections.used++;
        broker->connections.count++;
        fixture->account.connections++;
        handled[i] = 0;
        closes[i] = NONE;
        for (uint32_t k = 0; k < messages[i]; k++)
            assert_int_equal(send(ends[1], "", 1, 0), 1);
    }
    for (uint32_t i = 0; i < PEERS; i++)
        connection_handle(broker, i, 0, EPOLLIN);
    for (uint32_t i = 0; i < PEERS; i++)
        assert_int_equal(handled[i], FRAMES_PER_TURN);
    return fixture;
}

static void release(struct fixture *fixture)
{
    for (uint32_t i = 0; i < PEERS; i++) {
        close(fixture->theirs[i]);
        if (fixture->table[i].descriptor >= 0)
            close(fixture->table[i].descriptor);
    }
    close(fixture->broker->epoll);
    free(fixture->broker->frame);
    free(fixture->broker);
    free(fixture);
}

static void each_gets_one_turn(void **state)
{
    struct fixture *fixture = make((uint32_t[PEERS]){FLOOD, FRAMES_PER_TURN * 2 + 1, FLOOD});

    (void)state;
    for (uint32_t turn = 2; turn <= 4; turn++) {
        assert_true(connections_continue(fixture->broker));
        assert_int_equal(handled[0], turn * FRAMES_PER_TURN);
        assert_int_equal(handled[1], turn == 2 ? 2 * FRAMES_PER_TURN : 2 * FRAMES_PER_TURN + 1);
        assert_int_equal(handled[2], turn * FRAMES_PER_TURN);
    }
    for (uint32_t turn = 5; connections_continue(fixture->broker); turn++)
        assert_true(turn <= FLOOD / FRAMES_PER_TURN);
    assert_int_equal(handled[0], FLOOD);
    assert_int_equal(handled[2], FLOOD);
    assert_int_equal(fixture->broker->connections.unread_count, 0);
    release(fixture);
}

/* The walk would have ended with the one that is closed. */
static void the_last_in_line_closes(void **state)
{
    struct fixture *fixture = make((uint32_t[PEERS]){FLOOD, FLOOD, FRAMES_PER_TURN});

    (void)state;
    closes[0] = 2;
    assert_true(connections_continue(fixture->broker));
    assert_int_equal(fixture->table[2].descriptor, -1);
    assert_in_range(handled[0], 2 * FRAMES_PER_TURN, 3 * FRAMES_PER_TURN);
    assert_int_equal(handled[1], 2 * FRAMES_PER_TURN);
    assert_int_equal(fixture->broker->connections.unread_count, 2);
    release(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_one_turn),
        cmocka_unit_test(the_last_in_line_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
