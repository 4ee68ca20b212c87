#define _GNU_SOURCE 1 /* accept4, splice, struct ucred */

#include "runtime/broker/connection.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/kind.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/state.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/hurry.h"
#include "runtime/shared/wire.h"

/* Connections taken in one turn of the loop. */
#define ACCEPTS_PER_TURN 32u

/* ---- the table ------------------------------------------------------------------------------- */

void connections_start(struct connections *connections, struct connection *table)
{
    *connections = (struct connections){
        .table = table, .free = NONE, .unread = NONE, .unread_last = NONE};
    timer_describe(&connections->accept_timer, TIMER_ACCEPT, 0);
}

/* An entry for `descriptor`, which it then owns; NONE if `limit` are open. */
static uint32_t entry_take(struct connections *connections, int descriptor, uint32_t limit)
{
    uint32_t index = connections->free;

    if (connections->count >= limit)
        return NONE;
    if (index != NONE)
        connections->free = connections->table[index].next;
    else
        index = connections->used++;
    assert(index < CONNECTION_ENTRIES);
    connections->count++;
    struct connection *connection = &connections->table[index];
    uint32_t generation = (connection->generation + 1) & EVENT_GENERATION_MASK;
    *connection = (struct connection){.descriptor = descriptor,
                                      .generation = generation,
                                      .call = NONE,
                                      .account = NONE,
                                      .next = NONE};
    timer_describe(&connection->timer, TIMER_CONNECTION, index);
    return index;
}

static void unread_remove(struct connections *connections, uint32_t index)
{
    uint32_t before = NONE;

    for (uint32_t at = connections->unread; at != index; at = connections->table[at].next)
        before = at;
    if (before == NONE)
        connections->unread = connections->table[index].next;
    else
        connections->table[before].next = connections->table[index].next;
    if (connections->unread_last == index)
        connections->unread_last = before;
    connections->table[index].unread = false;
    connections->unread_count--;
}

static void unread_add(struct connections *connections, uint32_t index)
{
    if (connections->table[index].unread)
        return;
    connections->table[index].unread = true;
    connections->table[index].next = NONE;
    if (connections->unread_last == NONE)
        connections->unread = index;
    else
        connections->table[connections->unread_last].next = index;
    connections->unread_last = index;
    connections->unread_count++;
}

/* Whether there are messages that nobody will read: with descriptors in them that are closed together
 * with it, and whose close may wait. None can come any more after this. */
static bool socket_has_unread(int descriptor)
{
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    shutdown(descriptor, SHUT_RD);
    ssize_t length = recvmsg(descriptor, &header, MSG_PEEK | MSG_DONTWAIT);
    /* A reset is told of before what came earlier. */
    if (length < 0)
        return errno != EAGAIN;
    return length > 0 || (header.msg_flags & MSG_CTRUNC) != 0;
}

/* Closes an accepted socket for which there is no entry. */
static void socket_close(struct broker *broker, int *descriptor)
{
    if (socket_has_unread(*descriptor))
        closers_take(broker, descriptor, 1);
    descriptor_close(descriptor);
}

void connection_close(struct broker *broker, uint32_t index)
{
    struct connections *connections = &broker->connections;
    struct connection *connection = &connections->table[index];

    if (connection->unread)
        unread_remove(connections, index);
    timer_disarm(&broker->timers, &connection->timer);
    bool waits = connection->descriptor >= 0 &&
                 (connection->reply_end || socket_has_unread(connection->descriptor));
    /* The peer of a `reply` may hold a duplicate of the very same open file, and a close would then
     * leave it in the epoll set: epoll(7), question 6. So does a close that comes later. */
    if (connection->watched && waits)
        epoll_ctl(broker->epoll, EPOLL_CTL_DEL, connection->descriptor, NULL);
    if (waits)
        closers_take(broker, &connection->descriptor, 1);
    descriptor_close(&connection->descriptor);
    broker->accounts.table[connection->account].connections--;
    connection->call = NONE;
    connection->next = connections->free;
    connections->free = index;
    connections->count--;
}

/* The caller is not there any more, or not to be talked to. */
static void connection_lose(struct broker *broker, uint32_t index)
{
    uint32_t call = broker->connections.table[index].call;

    connection_close(broker, index);
    if (call != NONE)
        call_lose_caller(broker, call);
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* Whoever connected, as the kernel noted it then: unix(7), SO_PEERCRED. */
static struct audit_peer peer_read(int descriptor)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
        size != sizeof(peer) || peer.uid == UINT32_MAX)
        return (struct audit_peer){.uid = UINT32_MAX};
    return (struct audit_peer){.known = true, .pid = peer.pid, .uid = peer.uid};
}

/* Takes a message. The descriptors that a message without room for them brings are closed by the kernel,
 * as if by us. */
static enum message_result message_receive_briefly(int descriptor, struct message *message)
{
    if (message->refuse)
        hurry(true);
    enum message_result result = message_receive(descriptor, message);
    if (message->refuse)
        hurry(false);
    return result;
}

/* Tells a peer for which there is no entry that the broker is busy. What it has sent is read first:
 * closing a socket with unread data makes its end fail with ECONNRESET before it can read the answer
 * (unix(7) does not say so; net/unix/af_unix.c, unix_release_sock). */
static void peer_turn_away(struct broker *broker, int descriptor)
{
    struct message message = {.buffer = broker->frame,
                              .capacity = WIRE_REQUEST_MAX,
                              .refuse = true};
    char header[WIRE_REPLY_HEADER_MAX];
    struct iovec part = {.iov_base = header};
    struct requester requester = {
        .peer = peer_read(descriptor), .connection = NONE, .account = NONE};

    message_receive_briefly(descriptor, &message);
    part.iov_len = wire_reply_header_encode(1, WIRE_BUSY, 0, header);
    message_send(descriptor, &part, 1, NULL, 0);
    request_refuse(broker, &requester, REASON_BUSY, NULL, AUDIT_NO_RULE, NULL, NULL);
}

/* Accepts into the reserved descriptor's place, answers, and makes the reserve again. False when
 * even that does not work and accepting must pause. */
static bool accept_without_descriptors(struct broker *broker)
{
    descriptor_close(&broker->reserve);
    int descriptor = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    bool accepted = descriptor >= 0;
    if (accepted) {
        peer_turn_away(broker, descriptor);
        socket_close(broker, &descriptor);
    }
    broker->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return accepted;
}

/* Gives the table an entry back for a connection of `account`: the uid with the most connections
 * loses one on which nothing has been asked yet, or nothing is under way. */
static bool connections_make_room(struct broker *broker, uint32_t account)
{
    struct connections *connections = &broker->connections;
    uint32_t most = account_of_most_connections(&broker->accounts, account);
    uint32_t victim = NONE;

    if (most == NONE)
        return false;
    for (uint32_t i = 0; i < connections->used; i++) {
        const struct connection *candidate = &connections->table[i];
        if (candidate->descriptor < 0 || candidate->account != most || candidate->call != NONE ||
            candidate->reply_end)
            continue;
        if (victim == NONE || (candidate->version == 0 && connections->table[victim].version != 0))
            victim = i;
    }
    if (victim == NONE)
        return false;
    struct requester requester = {
        .peer = connections->table[victim].peer,
        .connection = victim,
        .account = most,
    };
    uint32_t generation = connections->table[victim].generation;
    request_refuse(broker, &requester, REASON_BUSY, NULL, AUDIT_NO_RULE, NULL, NULL);
    if (connections->table[victim].descriptor >= 0 &&
        connections->table[victim].generation == generation)
        connection_close(broker, victim);
    return true;
}

static bool connection_watch(struct broker *broker, uint32_t index)
{
    struct connection *connection = &broker->connections.table[index];
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET,
        .data.u64 = event_pack(EVENT_CONNECTION, index, connection->generation),
    };

    if (connection->mute)
        event.events = EPOLLET; /* that nobody is left to read comes unasked */
    connection->watched =
        epoll_ctl(broker->epoll, EPOLL_CTL_ADD, connection->descriptor, &event) == 0;
    return connection->watched;
}

static void connection_read(struct broker *broker, uint32_t index);

static void connection_open(struct broker *broker, int descriptor)
{
    struct connections *connections = &broker->connections;
    struct audit_peer peer = peer_read(descriptor);
    uint32_t account = account_open(&broker->accounts, peer.uid);
    bool surplus = connections->count >= CONNECTIONS_MAX && !connections_make_room(broker, account);
    uint32_t index = entry_take(connections, descriptor, CONNECTION_ENTRIES);

    if (index == NONE) {
        peer_turn_away(broker, descriptor);
        socket_close(broker, &descriptor);
        return;
    }
    struct connection *connection = &connections->table[index];
    connection->peer = peer;
    connection->surplus = surplus;
    connection->account = account;
    broker->accounts.table[account].connections++;
    uint32_t generation = connection->generation;

    /* Most callers have sent by now, and many are answered before anything else needs watching. */
    connection_read(broker, index);
    if (connection->descriptor < 0 || connection->generation != generation)
        return;
    if (!connection_watch(broker, index)) {
        notice("cannot watch a connection: %s", strerror(errno));
        connection_lose(broker, index);
    } else if (connection->version == 0) {
        timer_arm(&broker->timers, &connection->timer,
                  broker->now + (surplus ? SURPLUS_MS : WIRE_FIRST_FRAME_MS));
    }
}

static void accept_pause(struct broker *broker)
{
    struct epoll_event event = {.events = 0, .data.u64 = event_pack(EVENT_LISTENER, 0, 0)};

    broker->connections.accept_paused =
        epoll_ctl(broker->epoll, EPOLL_CTL_MOD, broker->listener, &event) == 0;
    timer_arm(&broker->timers, &broker->connections.accept_timer, broker->now + ACCEPT_PAUSE_MS);
}

void connections_accept_again(struct broker *broker)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = event_pack(EVENT_LISTENER, 0, 0)};

    if (!broker->connections.accept_paused || broker->listener < 0)
        return;
    broker->connections.accept_paused = false;
    if (broker->reserve < 0)
        broker->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    epoll_ctl(broker->epoll, EPOLL_CTL_MOD, broker->listener, &event);
}

void connections_accept(struct broker *broker)
{
    for (uint32_t i = 0; i < ACCEPTS_PER_TURN && broker->listener >= 0; i++) {
        int descriptor = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor >= 0) {
            connection_open(broker, descriptor);
            continue;
        }
        switch (errno) {
        case EAGAIN:
            return;
        case EINTR:
        case ECONNABORTED:
            continue;
        case EMFILE:
        case ENFILE:
            pool_relieve(broker);
            if (accept_without_descriptors(broker))
                continue;
            break;
        default: /* ENOMEM, ENOBUFS: accept(2) */
            break;
        }
        accept_pause(broker);
        return;
    }
}

uint32_t connection_adopt_reply(struct broker *broker, uint32_t from, int descriptor, bool *full)
{
    struct connections *connections = &broker->connections;
    int type = 0;
    int domain = 0;
    socklen_t size = sizeof(type);

    *full = false;
    bool pipe = descriptor_kind(descriptor) == KIND_PIPE;
    if (pipe) {
        int flags = fcntl(descriptor, F_GETFL);
        if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
            goto refuse;
    } else if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
               domain != AF_UNIX ||
               getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
               (type != SOCK_SEQPACKET && type != SOCK_STREAM)) {
        goto refuse;
    }
    uint32_t index = entry_take(connections, descriptor, CONNECTIONS_MAX);
    if (index == NONE) {
        *full = true;
        goto refuse;
    }
    struct connection *connection = &connections->table[index];
    const struct connection *origin = &connections->table[from];
    connection->peer = origin->peer;
    connection->account = origin->account;
    connection->version = 2;
    connection->reply_end = true;
    connection->pipe = pipe;
    connection->mute = type != SOCK_SEQPACKET;
    broker->accounts.table[connection->account].connections++;
    if (connection_watch(broker, index))
        return index;
    connection_close(broker, index);
    *full = true;
    return NONE;

refuse:
    closers_take(broker, &descriptor, 1);
    return NONE;
}

void connection_restore(struct broker *broker, const struct state_connection *saved)
{
    struct connections *connections = &broker->connections;

    assert(saved->index >= connections->used && saved->index < CONNECTION_ENTRIES);
    while (connections->used < saved->index) {
        connections->table[connections->used].descriptor = -1;
        connections->table[connections->used].next = connections->free;
        connections->free = connections->used++;
    }
    uint32_t free = connections->free;
    connections->free = NONE;
    uint32_t index = entry_take(connections, saved->descriptor, CONNECTION_ENTRIES);
    connections->free = free;
    assert(index == saved->index);
    struct connection *connection = &connections->table[index];
    connection->peer = saved->peer;
    connection->version = saved->version;
    connection->surplus = saved->surplus;
    connection->reply_end = saved->reply_end;
    connection->pipe = saved->pipe;
    connection->mute = saved->mute;
    connection->shared = saved->shared;
    connection->account = account_open(&broker->accounts, saved->peer.uid);
    broker->accounts.table[connection->account].connections++;
    if (!connection_watch(broker, index)) {
        notice("cannot watch a connection: %s", strerror(errno));
        connection_close(broker, index);
    } else if (saved->deadline != 0) {
        timer_arm(&broker->timers, &connection->timer, saved->deadline);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Whether the peer has closed altogether, rather than shut down its sending side alone: then it may
 * still wait for its answer. */
static bool peer_is_gone(int descriptor)
{
    struct pollfd state = {.fd = descriptor};

    return poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

/* Reads up to FRAMES_PER_TURN messages, and puts the connection in line for another turn if there
 * may be more. */
static void connection_read(struct broker *broker, uint32_t index)
{
    struct connection *connection = &broker->connections.table[index];
    uint32_t generation = connection->generation;
    int descriptors[DESCRIPTORS_MAX];

    for (uint32_t i = 0; i < FRAMES_PER_TURN; i++) {
        struct message message = {.buffer = broker->frame,
                                  .capacity = WIRE_REQUEST_MAX,
                                  .descriptors = descriptors,
                                  .wanted = DESCRIPTORS_MAX, /* all that can come */
                                  .keep = true,
                                  .refuse = closers_are_exhausted(broker)};
        enum message_result result = message_receive_briefly(connection->descriptor, &message);
        if (result == MESSAGE_NONE)
            return;
        if (result == MESSAGE_END || result == MESSAGE_FAILED) {
            if (connection->call == NONE || result == MESSAGE_FAILED ||
                peer_is_gone(connection->descriptor))
                connection_lose(broker, index);
            return;
        }
        timer_disarm(&broker->timers, &connection->timer);
        /* A version 1 connection carries one request. What follows is taken, so that closing with
         * unread data does not spoil the answer, and thrown away. */
        if (connection->version == 1) {
            closers_take(broker, descriptors, message.count);
            continue;
        }
        request_handle(broker, index, result, &message);
        broker_frame_release(broker, message.length);
        if (connection->descriptor < 0 || connection->generation != generation)
            return;
    }
    unread_add(&broker->connections, index);
}

/* Has the next frame of a `reply` read; one at a time. */
static void reply_read(struct broker *broker, uint32_t index)
{
    struct connection *connection = &broker->connections.table[index];

    connection->more = connection->reading;
    if (!connection->reading)
        connection->reading = closers_read(broker, index);
}

void connection_take_frame(struct broker *broker, uint32_t index, uint32_t generation,
                           const char *bytes, int32_t length)
{
    struct connection *connection = &broker->connections.table[index];
    struct message message = {.buffer = broker->frame, .length = (size_t)(length > 0 ? length : 0)};

    if (connection->descriptor < 0 || connection->generation != generation)
        return;
    connection->reading = false;
    if (length > 0) {
        size_t whole = message.length < CLOSER_FRAME_BYTES ? message.length : CLOSER_FRAME_BYTES;
        memcpy(broker->frame, bytes, whole);
        message.length = whole;
        request_handle(broker, index, MESSAGE_RECEIVED, &message);
        if (connection->descriptor < 0 || connection->generation != generation)
            return;
    }
    /* Nothing, and not because there is nothing yet: its end, which its own event tells. */
    if (length > 0 || connection->more)
        reply_read(broker, index);
}

void connection_handle(struct broker *broker, uint32_t index, uint32_t generation, uint32_t events)
{
    struct connection *connection = &broker->connections.table[index];

    if (index >= broker->connections.used || connection->descriptor < 0 ||
        connection->generation != generation)
        return;
    if (connection->reply_end && !connection->mute && (events & (EPOLLHUP | EPOLLERR)) == 0) {
        reply_read(broker, index);
        return;
    }
    /* Whoever has gone gets no answer, but what was sent before is still done: a caller may send a
     * request and leave. */
    if (!connection->reply_end && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) {
        connection_read(broker, index);
        if (connection->descriptor < 0 || connection->generation != generation ||
            connection->unread)
            return;
    }
    if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        connection_lose(broker, index);
}

bool connections_continue(struct broker *broker)
{
    struct connections *connections = &broker->connections;

    /* Counted, since any of them may close, or come in line anew, while others are read. */
    for (uint32_t turns = connections->unread_count; turns > 0 && connections->unread != NONE;
         turns--) {
        uint32_t index = connections->unread;
        unread_remove(connections, index);
        connection_read(broker, index);
    }
    return connections->unread != NONE;
}

void connection_expire(struct broker *broker, uint32_t index)
{
    struct connection *connection = &broker->connections.table[index];
    struct requester requester = {
        .peer = connection->peer,
        .connection = index,
        .account = connection->account,
    };

    request_refuse(broker, &requester, connection->surplus ? REASON_BUSY : REASON_PROTO,
                   "no request within 5 seconds", AUDIT_NO_RULE, NULL, NULL);
}

/* ---- answering ------------------------------------------------------------------------------- */

void connection_answer(struct broker *broker, uint32_t index, int32_t status, const char *text,
                       uint32_t text_length)
{
    struct connection *connection = &broker->connections.table[index];
    char header[WIRE_REPLY_HEADER_MAX];
    uint32_t version = connection->version == 0 ? 1 : connection->version;
    struct iovec parts[2] = {{.iov_base = header}, {.iov_base = (void *)(uintptr_t)text}};
    int result;

    parts[1].iov_len = text_length;
    parts[0].iov_len = wire_reply_header_encode(version, status, text_length, header);
    if (connection->pipe) {
        assert(parts[0].iov_len + text_length <= WIRE_REPLY_MAX);
        if (text_length > 0) /* it may lie in broker->reply already */
            memmove(broker->reply + parts[0].iov_len, text, text_length);
        memcpy(broker->reply, header, parts[0].iov_len);
        if (connection->watched)
            epoll_ctl(broker->epoll, EPOLL_CTL_DEL, connection->descriptor, NULL);
        closers_answer(broker, &connection->descriptor, broker->reply,
                       parts[0].iov_len + text_length);
        result = 0;
    } else {
        result = message_send(connection->descriptor, parts, text_length > 0 ? 2 : 1, NULL, 0);
    }
    /* A peer that does not read its answers is let go. On an inherited connection, though, nobody may
     * be reading what is not sent to a `reply`. */
    if (version == 1 || connection->reply_end || (result < 0 && !connection->shared))
        connection_lose(broker, index);
}
