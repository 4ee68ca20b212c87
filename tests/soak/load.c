/* The callers of a soak: mixed calls against a running broker, many at once, in one process.
 *
 *   load SOCKET CALLS SECONDS WIDTH SEED FIRST
 *
 * Makes CALLS requests, or as many as SECONDS allow if that is not 0, WIDTH at a time, numbered from
 * FIRST on. Each carries its number as its last argument, so that the broker's record can be held
 * against what callers saw, of which each request gives one line on standard output:
 *
 *   NUMBER SCENARIO STATUS BYTES     the answer, and how much captured output there was to come
 *   NUMBER SCENARIO gone BYTES       it was sent whole, and its caller left before an answer
 *   NUMBER SCENARIO cut BYTES        the broker went away before an answer
 *
 * An answer that the scenario does not allow, or none within 60 s, is told on standard error and ends
 * the program with 1; a broker that has gone ends it with 3. Trusts the broker with nothing. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/wire.h"

#define WIDTH_MAX 1024u
#define WORDS_MAX 8u
#define PATIENCE_MS 60000u
#define PRINT_MAX 200000u
#define LARGE_BYTES 60000u /* of one argument */

enum manner {
    ANSWER,         /* sends, reads what comes, waits for the answer */
    HALF_CLOSED,    /* the same, having shut down its sending side */
    OVER_REPLY,     /* on the connection that all share, with a `reply` of its own */
    IN_MEMFD,       /* the body in a memfd */
    DEAF_TO_OUTPUT, /* closes its end of the output at once */
    SLOW,           /* reads the output after a while only */
    SIGNALS,        /* sends a signal as soon as the program has said something */
    LEAVES_AT_ONCE, /* closes the connection right behind the request */
    LEAVES_LATER,   /* the same after up to 15 ms */
    LEAVES_RUNNING, /* the same as soon as the program has said something */
    LEAVES_UNSENT,  /* connects, and no more */
    MALFORMED,      /* no request at all */
    TWO_DESCRIPTORS,
    LISTS,
    GREETS,
};

struct scenario {
    const char *name;
    unsigned weight;
    unsigned version; /* 0: either */
    const char *verb;
    enum manner manner;
    int32_t expected;
    const char *variable; /* that a caller sends, version 2 */
    const char *cwd;
    int signal;
};

/* What is asked, and how often. "exit" ends with a code by chance; `expected` does not count there. */
static const struct scenario scenarios[] = {
    {.name = "exit", .weight = 250, .verb = "exit"},
    {.name = "half-closed", .weight = 30, .verb = "exit", .manner = HALF_CLOSED},
    {.name = "reply", .weight = 80, .version = 2, .verb = "exit", .manner = OVER_REPLY},
    {.name = "memfd", .weight = 15, .version = 2, .verb = "large", .manner = IN_MEMFD},
    {.name = "confined", .weight = 80, .verb = "confined"},
    {.name = "variable", .weight = 30, .version = 2, .verb = "variable", .variable = "COLOR=red"},
    {.name = "fall", .weight = 20, .verb = "fall", .expected = 128 + SIGKILL},
    {.name = "print", .weight = 60, .verb = "print"},
    {.name = "slow", .weight = 15, .verb = "print", .manner = SLOW},
    {.name = "unread", .weight = 15, .verb = "print", .manner = DEAF_TO_OUTPUT},
    {.name = "share", .weight = 20, .verb = "share"},
    {.name = "linger", .weight = 10, .verb = "linger"},
    {.name = "leave", .weight = 15, .verb = "leave"},
    {.name = "flood", .weight = 15, .verb = "flood", .expected = WIRE_OUTPUT},
    {.name = "hang", .weight = 15, .verb = "hang", .expected = WIRE_TIMEOUT},
    {.name = "tree", .weight = 10, .verb = "tree", .expected = WIRE_TIMEOUT},
    {.name = "deaf", .weight = 1, .verb = "deaf", .expected = WIRE_TIMEOUT},
    {.name = "signal", .weight = 30, .version = 2, .verb = "wait", .manner = SIGNALS,
     .expected = 128 + SIGTERM, .signal = SIGTERM},
    {.name = "interrupt", .weight = 10, .version = 2, .verb = "wait", .manner = SIGNALS,
     .expected = 128 + SIGINT, .signal = SIGINT},
    {.name = "no-rule", .weight = 80, .verb = "nothing", .expected = WIRE_NO_RULE},
    {.name = "option", .weight = 20, .verb = "option", .expected = WIRE_NO_RULE},
    {.name = "variable-refused", .weight = 20, .version = 2, .verb = "variable",
     .variable = "LD_PRELOAD=x", .expected = WIRE_NO_RULE},
    {.name = "cwd-refused", .weight = 20, .version = 2, .verb = "variable", .cwd = "/tmp",
     .expected = WIRE_NO_RULE},
    {.name = "missing", .weight = 15, .verb = "missing", .expected = WIRE_SPAWN},
    {.name = "descriptors", .weight = 20, .verb = "exit", .manner = TWO_DESCRIPTORS,
     .expected = WIRE_FDS},
    {.name = "malformed", .weight = 40, .manner = MALFORMED, .expected = WIRE_PROTO},
    {.name = "list", .weight = 10, .manner = LISTS},
    {.name = "hello", .weight = 10, .version = 2, .manner = GREETS},
    {.name = "unsent", .weight = 30, .manner = LEAVES_UNSENT},
    {.name = "left-at-once", .weight = 30, .verb = "nap", .manner = LEAVES_AT_ONCE},
    {.name = "left-later", .weight = 30, .verb = "nap", .manner = LEAVES_LATER},
    {.name = "left-print", .weight = 15, .verb = "print", .manner = LEAVES_LATER},
    {.name = "left-killed", .weight = 15, .verb = "stay", .manner = LEAVES_RUNNING},
    {.name = "left-stay", .weight = 15, .verb = "stay", .manner = LEAVES_LATER},
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

struct caller {
    const struct scenario *scenario; /* NULL: free */
    unsigned long number;
    unsigned version;
    int32_t expected;
    size_t bytes;     /* of captured output to come */
    size_t seen;      /* of output */
    uint64_t deadline, act_at; /* ms; act_at 0: nothing to do later; of a free one: to rest until */
    int connection;   /* where the answer comes; -1 */
    int output;       /* our end of the program's standard output; -1 */
    bool keep;        /* a version 2 connection that serves the next request too */
};

struct load {
    const char *socket;
    unsigned long calls, made, first;
    uint64_t end; /* ms; 0: none */
    uint64_t random;
    unsigned width;
    unsigned weights;
    int null;
    int shared; /* an inherited connection, as a sandbox has it */
    bool cut;   /* the broker has gone */
    struct caller callers[WIDTH_MAX];
    char frame[WIRE_REQUEST_MAX];
    char large[LARGE_BYTES + 1];
    char reply[WIRE_REPLY_MAX];
};

static struct load load;

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* xorshift64*: the same calls for the same seed. */
static unsigned draw(unsigned below)
{
    load.random ^= load.random >> 12;
    load.random ^= load.random << 25;
    load.random ^= load.random >> 27;
    return (unsigned)((load.random * 2685821657736338717ull >> 33) % below);
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    fflush(stdout);
    exit(1);
}

/* ---- one caller's end ------------------------------------------------------------------------ */

static void caller_finish(struct caller *caller, const char *outcome)
{
    printf("%lu %s %s %zu\n", caller->number, caller->scenario->name, outcome, caller->bytes);
    descriptor_close(&caller->output);
    if (!caller->keep)
        descriptor_close(&caller->connection);
    caller->scenario = NULL;
    caller->act_at = 0;
}

static void caller_leave(struct caller *caller)
{
    caller->keep = false;
    caller_finish(caller, "gone");
}

static void broker_gone(struct caller *caller)
{
    load.cut = true;
    caller->keep = false;
    caller_finish(caller, "cut");
}

/* ---- sending --------------------------------------------------------------------------------- */

static int dial(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    strncpy(to.sun_path, load.socket, sizeof(to.sun_path) - 1);
    if (connection >= 0 && connect(connection, (struct sockaddr *)&to, sizeof(to)) == 0)
        return connection;
    int error = errno;
    descriptor_close(&connection);
    if (error != ECONNREFUSED && error != ENOENT && error != ECONNRESET)
        fail("cannot connect: %s", strerror(error));
    load.cut = true;
    return -1;
}

static struct policy_bytes bytes_of(const char *text)
{
    return (struct policy_bytes){text, (uint32_t)strlen(text)};
}

/* The command line of a scenario, ending in the caller's number; `numbers` holds what is written. */
static struct wire_call command_line(struct caller *caller, struct policy_bytes *words,
                                     char numbers[2][24], struct policy_bytes *variable)
{
    const struct scenario *scenario = caller->scenario;
    uint32_t count = 0;

    snprintf(numbers[0], sizeof(numbers[0]), "%lu", caller->number);
    snprintf(numbers[1], sizeof(numbers[1]), "%zu",
             caller->bytes > 0 ? caller->bytes : (size_t)(uint32_t)caller->expected);
    words[count++] = bytes_of(strcmp(scenario->verb, "missing") == 0 ? "missing" : "payload");
    words[count++] = bytes_of(scenario->verb);
    if (strcmp(scenario->verb, "exit") == 0 || strcmp(scenario->verb, "print") == 0 ||
        strcmp(scenario->verb, "share") == 0)
        words[count++] = bytes_of(numbers[1]);
    if (strcmp(scenario->verb, "option") == 0)
        words[count++] = bytes_of("--receive-pack=x");
    if (strcmp(scenario->verb, "large") == 0)
        words[count++] = (struct policy_bytes){load.large, LARGE_BYTES};
    words[count++] = bytes_of(numbers[0]);
    struct wire_call call = {.argument_count = count, .arguments = words};
    if (scenario->variable) {
        *variable = bytes_of(scenario->variable);
        call.variable_count = 1;
        call.variables = variable;
    }
    if (scenario->cwd)
        call.cwd = bytes_of(scenario->cwd);
    return call;
}

/* A sealed memfd with the body of `call`. */
static int body_make(const struct wire_call *call)
{
    size_t size = wire_body_size(2, call);
    int memfd = memfd_create("body", MFD_ALLOW_SEALING | MFD_CLOEXEC);

    wire_body_encode(2, call, load.frame);
    if (memfd < 0 || write(memfd, load.frame, size) != (ssize_t)size ||
        fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        fail("cannot make a memfd: %s", strerror(errno));
    return memfd;
}

/* Something that is no request: a true frame cut off, added to, or changed in one place that counts. */
static size_t frame_spoil(size_t length)
{
    switch (draw(4)) {
    case 0:
        return 1 + draw((unsigned)length - 1);
    case 1:
        load.frame[length] = 'x';
        return length + 1;
    case 2:
        load.frame[draw(4)] ^= 0x40; /* of the magic number */
        return length;
    default:
        memset(load.frame + 8, 0xff, 4); /* a count, or a type */
        return length;
    }
}

/* Sends the frame of `caller` on `to`; with `reply` as the fourth descriptor if that is one. False
 * when the broker has gone. */
static bool frame_send(struct caller *caller, int to, int output, int reply)
{
    const struct scenario *scenario = caller->scenario;
    struct policy_bytes words[WORDS_MAX], variable;
    char numbers[2][24];
    int descriptors[WIRE_DESCRIPTORS_MAX] = {load.null, output >= 0 ? output : load.null, load.null};
    size_t count = 3, length;
    int body = -1;

    if (scenario->manner == LISTS || scenario->manner == GREETS) {
        length = wire_frame_encode(caller->version, scenario->manner == LISTS ? WIRE_LIST : WIRE_HELLO,
                                   0, load.frame);
        count = 0;
    } else if (scenario->manner == MALFORMED) {
        static const char *const verb = "exit";
        struct policy_bytes two[2] = {bytes_of("payload"), bytes_of(verb)};
        struct wire_call call = {.argument_count = 2, .arguments = two};
        size_t header = wire_call_header_encode(caller->version, 0, load.frame);
        wire_body_encode(caller->version, &call, load.frame + header);
        length = frame_spoil(header + wire_body_size(caller->version, &call));
    } else {
        struct wire_call call = command_line(caller, words, numbers, &variable);
        bool in_memfd = scenario->manner == IN_MEMFD;
        if (in_memfd)
            body = body_make(&call);
        size_t header = wire_call_header_encode(caller->version, in_memfd ? WIRE_FLAG_BODY : 0,
                                                load.frame);
        if (!in_memfd)
            wire_body_encode(caller->version, &call, load.frame + header);
        length = header + (in_memfd ? 0 : wire_body_size(caller->version, &call));
        if (scenario->manner == TWO_DESCRIPTORS)
            count = 2;
    }
    if (reply >= 0)
        descriptors[count++] = reply;
    if (body >= 0)
        descriptors[count++] = body;
    struct iovec part = {.iov_base = load.frame, .iov_len = length};
    int result = message_send(to, &part, 1, descriptors, count);
    while (result == -EAGAIN) {
        struct pollfd room = {.fd = to, .events = POLLOUT};
        if (poll(&room, 1, (int)PATIENCE_MS) == 0)
            fail("request %lu cannot be sent for %u s", caller->number, PATIENCE_MS / 1000);
        result = message_send(to, &part, 1, descriptors, count);
    }
    descriptor_close(&body);
    if (result < 0 && result != -EPIPE && result != -ECONNRESET)
        fail("request %lu cannot be sent: %s", caller->number, strerror(-result));
    /* A broker that has answered and closed, as it does when it is full, has done so with a reply. */
    return result == 0 || reply < 0;
}

static bool has_output(const struct scenario *scenario)
{
    static const char *const verbs[] = {"print", "share", "flood", "wait", "stay", "hang",
                                        "deaf", "tree", "linger", "leave"};

    for (size_t i = 0; scenario->verb && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(scenario->verb, verbs[i]) == 0)
            return true;
    return false;
}

/* What happens behind a request that has been sent. */
static void caller_sent(struct caller *caller)
{
    switch (caller->scenario->manner) {
    case LEAVES_AT_ONCE:
        caller_leave(caller);
        break;
    case LEAVES_LATER:
        caller->act_at = now_ms() + draw(16);
        break;
    case HALF_CLOSED:
        shutdown(caller->connection, SHUT_WR);
        break;
    case DEAF_TO_OUTPUT:
        descriptor_close(&caller->output);
        break;
    case SLOW:
        caller->act_at = now_ms() + 1 + draw(30);
        break;
    default:
        break;
    }
}

static void caller_send(struct caller *caller)
{
    int output[2] = {-1, -1}, pair[2] = {-1, -1};
    bool over_reply = caller->scenario->manner == OVER_REPLY;

    if (has_output(caller->scenario) && pipe2(output, O_CLOEXEC) < 0)
        fail("cannot make a pipe: %s", strerror(errno));
    if (over_reply && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        fail("cannot make a socket pair: %s", strerror(errno));
    caller->output = output[0];
    if (over_reply)
        caller->connection = pair[0];
    bool sent = frame_send(caller, over_reply ? load.shared : caller->connection, output[1], pair[1]);
    descriptor_close(&output[1]);
    descriptor_close(&pair[1]);
    if (sent)
        caller_sent(caller);
    else
        broker_gone(caller);
}

static const struct scenario *scenario_draw(void)
{
    unsigned at = draw(load.weights), i = 0;

    while (at >= scenarios[i].weight)
        at -= scenarios[i++].weight;
    return &scenarios[i];
}

/* Whether a request may follow others on one connection. */
static bool fits_kept(const struct scenario *scenario)
{
    return scenario->version != 1 && scenario->manner != OVER_REPLY &&
           scenario->manner != LEAVES_UNSENT && scenario->manner != MALFORMED &&
           scenario->manner != HALF_CLOSED;
}

static void caller_begin(struct caller *caller)
{
    const struct scenario *scenario = scenario_draw();
    bool kept = caller->connection >= 0 && fits_kept(scenario);

    if (!kept)
        descriptor_close(&caller->connection);
    *caller = (struct caller){
        .scenario = scenario,
        .number = load.first + load.made++,
        .version = scenario->version ? scenario->version : 1 + draw(2),
        .expected = scenario->expected,
        .deadline = now_ms() + PATIENCE_MS,
        .connection = caller->connection,
        .output = -1,
    };
    if (kept)
        caller->version = 2;
    caller->keep = caller->version == 2 && fits_kept(scenario) && draw(3) > 0;
    if (scenario->verb && strcmp(scenario->verb, "exit") == 0 && scenario->manner != TWO_DESCRIPTORS)
        caller->expected = (int32_t)draw(256);
    if (scenario->verb &&
        (strcmp(scenario->verb, "print") == 0 || strcmp(scenario->verb, "share") == 0))
        caller->bytes = scenario->verb[0] == 's' ? 16 * (1 + draw(100)) : 1 + draw(PRINT_MAX);
    if (scenario->manner != OVER_REPLY && caller->connection < 0)
        caller->connection = dial();
    if (scenario->manner != OVER_REPLY && caller->connection < 0)
        broker_gone(caller);
    else if (scenario->manner == LEAVES_UNSENT)
        caller_leave(caller);
    else
        caller_send(caller);
}

/* ---- what comes ------------------------------------------------------------------------------ */

/* The output has come as far as it is going to: the program's end is known, and so is its length. */
/* Whether this process was too slow: the pipe was full when the answer came. The broker then answers
 * without waiting, and may give the rest to the file alone (ANSWER_PATIENCE_MS). */
static bool output_drain(struct caller *caller)
{
    char buffer[65536];
    int capacity = fcntl(caller->output, F_GETPIPE_SZ);
    size_t found = 0;
    ssize_t got;

    while ((got = read(caller->output, buffer, sizeof(buffer))) > 0)
        found += (size_t)got;
    if (got < 0 || capacity < 0)
        fail("request %lu: reading output: %s", caller->number, strerror(errno));
    descriptor_close(&caller->output);
    caller->seen += found;
    return found >= (size_t)capacity;
}

static bool reads_output(const struct caller *caller)
{
    return caller->output >= 0 && !(caller->scenario->manner == SLOW && caller->act_at != 0);
}

static void output_handle(struct caller *caller)
{
    char buffer[65536];
    ssize_t got = read(caller->output, buffer, sizeof(buffer));

    if (got <= 0) {
        descriptor_close(&caller->output);
        return;
    }
    bool first = caller->seen == 0;
    caller->seen += (size_t)got;
    if (!first)
        return;
    if (caller->scenario->manner == LEAVES_RUNNING) {
        caller_leave(caller);
    } else if (caller->scenario->manner == SIGNALS) {
        char frame[16];
        struct iovec part = {.iov_base = frame};
        part.iov_len = wire_frame_encode(2, WIRE_SIGNAL, caller->scenario->signal, frame);
        message_send(caller->connection, &part, 1, NULL, 0); /* what is lost shows as a timeout */
    }
}

static void answer_check(struct caller *caller, const struct wire_reply *reply)
{
    bool queue_full = reply->status == WIRE_BUSY && caller->scenario->verb;
    char status[16];

    if (reply->status != caller->expected && !queue_full)
        fail("request %lu (%s, version %u): status %d, not %d: %.*s", caller->number,
             caller->scenario->name, caller->version, reply->status, caller->expected,
             (int)reply->text.length, reply->text.bytes);
    if (caller->bytes > 0 && reply->status == 0 && caller->scenario->manner != DEAF_TO_OUTPUT) {
        bool too_slow = caller->output >= 0 && output_drain(caller);
        if (caller->seen != caller->bytes && !too_slow)
            fail("request %lu (%s): %zu bytes of output, not %zu", caller->number,
                 caller->scenario->name, caller->seen, caller->bytes);
    }
    snprintf(status, sizeof(status), "%d", reply->status);
    if (reply->version == 1 || reply->status == WIRE_PROTO || reply->status == WIRE_FDS)
        caller->keep = false;
    caller_finish(caller, status);
    caller->act_at = queue_full ? now_ms() + 1 + draw(50) : 0; /* "try again later" */
}

static void answer_handle(struct caller *caller)
{
    struct wire_reply reply;
    ssize_t got = recv(caller->connection, load.reply, sizeof(load.reply), MSG_DONTWAIT);

    if (got < 0 && errno == ECONNRESET) /* told once; what was answered before is still there */
        got = recv(caller->connection, load.reply, sizeof(load.reply), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        broker_gone(caller);
        return;
    }
    const char *problem = wire_reply_decode(&reply, load.reply, (size_t)got);
    if (problem)
        fail("request %lu (%s): %s", caller->number, caller->scenario->name, problem);
    answer_check(caller, &reply);
}

static void caller_act(struct caller *caller)
{
    caller->act_at = 0;
    if (caller->scenario->manner == LEAVES_LATER)
        caller_leave(caller);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool more_to_make(uint64_t now)
{
    return !load.cut && (load.end != 0 ? now < load.end : load.made < load.calls);
}

/* One turn: waits for what can come, and deals with it. False when nobody waits for anything. */
static bool turn(uint64_t now)
{
    static struct pollfd polled[2 * WIDTH_MAX];
    static struct caller *owner[2 * WIDTH_MAX];
    nfds_t count = 0;
    uint64_t next = now + 1000;
    bool busy = false;

    for (unsigned i = 0; i < load.width; i++) {
        struct caller *caller = &load.callers[i];
        if (caller->act_at > now && caller->act_at < next)
            next = caller->act_at;
        busy |= caller->scenario || caller->act_at > now;
        if (!caller->scenario)
            continue;
        if (caller->act_at != 0 && caller->act_at <= now)
            next = now;
        owner[count] = caller;
        polled[count++] = (struct pollfd){.fd = caller->connection, .events = POLLIN};
        if (!reads_output(caller))
            continue;
        owner[count] = caller;
        polled[count++] = (struct pollfd){.fd = caller->output, .events = POLLIN};
    }
    if (!busy)
        return false;
    poll(polled, count, next > now ? (int)(next - now) : 0);
    for (nfds_t i = 0; i < count; i++) {
        struct caller *caller = owner[i];
        if (!caller->scenario)
            continue;
        /* Who was late before the look, and has nothing to be read: on a machine that let this
         * process wait for longer than that, an answer may lie there. */
        if (polled[i].revents == 0 && polled[i].fd == caller->connection && now > caller->deadline)
            fail("request %lu (%s): no answer within %u s", caller->number, caller->scenario->name,
                 PATIENCE_MS / 1000);
        if (polled[i].revents == 0)
            continue;
        if (polled[i].fd == caller->output)
            output_handle(caller);
        else if (polled[i].fd == caller->connection)
            answer_handle(caller);
    }
    now = now_ms();
    for (unsigned i = 0; i < load.width; i++)
        if (load.callers[i].scenario && load.callers[i].act_at != 0 && now >= load.callers[i].act_at)
            caller_act(&load.callers[i]);
    return true;
}

static void load_run(void)
{
    for (;;) {
        uint64_t now = now_ms();
        for (unsigned i = 0; i < load.width && more_to_make(now); i++)
            if (!load.callers[i].scenario && load.callers[i].act_at <= now)
                caller_begin(&load.callers[i]);
        if (!turn(now) && !more_to_make(now_ms()))
            return;
    }
}

/* A connection on which others' calls go, kept by a greeting. */
static int share_connection(void)
{
    char frame[16];
    struct iovec part = {.iov_base = frame};
    int connection = dial();

    if (connection < 0)
        return -1;
    part.iov_len = wire_frame_encode(2, WIRE_HELLO, 0, frame);
    if (message_send(connection, &part, 1, NULL, 0) < 0 ||
        recv(connection, load.reply, sizeof(load.reply), 0) < (ssize_t)WIRE_HEADER_1)
        descriptor_close(&connection);
    return connection;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: load SOCKET CALLS SECONDS WIDTH SEED FIRST\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    load.socket = argv[1];
    load.calls = strtoul(argv[2], NULL, 10);
    load.end = strtoul(argv[3], NULL, 10) * 1000;
    load.end += load.end != 0 ? now_ms() : 0;
    load.width = (unsigned)strtoul(argv[4], NULL, 10);
    load.random = strtoul(argv[5], NULL, 10) * 2654435761u + 1;
    load.first = strtoul(argv[6], NULL, 10);
    if (load.width < 1 || load.width > WIDTH_MAX)
        fail("at most %u at once", WIDTH_MAX);
    memset(load.large, 'x', LARGE_BYTES);
    for (size_t i = 0; i < SCENARIOS; i++)
        load.weights += scenarios[i].weight;
    for (unsigned i = 0; i < load.width; i++)
        load.callers[i].connection = load.callers[i].output = -1;
    load.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    load.shared = share_connection();
    if (load.null < 0)
        fail("cannot open /dev/null");
    if (load.shared >= 0)
        load_run();
    fflush(stdout);
    return load.cut || load.shared < 0 ? 3 : 0;
}
