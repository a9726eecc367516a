/*
 * wsload: a crowd of WebSocket subscribers in one thread, as cheap as a subscriber can be.
 *
 * It opens N connections, sends each its own first frame, waits until each has been answered, then counts what
 * arrives. It shares the machine with the server under test, so whatever it spends per publication distorts the
 * result: one read per wake-up into one buffer, two memchr per publication, no allocation while counting.
 *
 * A message is one or more lines joined by '\n' (one JSON object each); a line carries at most one publication,
 * marked anywhere in it by   ##<number>##   or   ##<number>##@@<CLOCK_REALTIME ns>@@   for latency.
 *
 * With several ports (--port 1,2) connections go to them in turn.
 *
 * With --stream it is a crowd of readers instead: what else is a first frame is then a whole HTTP request, and the lines
 * of its answer, which does not end, are what arrives: events, or JSON. A chunk's size is one more line without a mark.
 *
 * A subscriber that does something with what it gets takes --busy-ns for each publication.
 *
 * It prints {"ready": N, …} on stderr when every connection is ready, and one JSON line on stdout at the end, which
 * comes with the last expected publication (--expect), when none has come for --quiet seconds since the last, after
 * --timeout seconds, or with SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };
enum state { HANDSHAKE, GREETING, READY, REFUSED, GONE };

#define READ_BYTES (1 << 20)    /* also the largest frame understood */
#define FRAME_BYTES 8192        /* the largest frame sent */
#define PORTS_PER_ADDRESS 20000 /* connections from one loopback address before the next is taken */
#define SERVERS 8               /* ports to connect to, at most */

typedef unsigned char byte;

typedef struct {
    int fd;
    enum state state;
    byte *partial; /* the beginning of a frame whose end has not arrived */
    size_t partial_len;
    unsigned long publications;
    long long last; /* the number on the newest publication */
} connection;

static struct {
    const char *path, *ready_text, *first_frames;
    int ports[SERVERS], servers, connections, opening, answer_pings, engine_io, sample, retry, stream;
    unsigned long expect, busy_ns;
    double timeout, quiet;
} opt = {.path = "/", .ports = {80}, .servers = 1, .connections = 1, .opening = 200, .timeout = 60};

static struct {
    unsigned long frames, publications, bytes, pings, lost, repeated, closed, refused;
    int ready;
    double ready_after, first, last;
    unsigned *latency_us;
    size_t samples, room;
    char close_reason[128];
} seen;

static connection *crowd;
static char **greetings; /* the first frame of each connection */
static int poller;
static volatile sig_atomic_t stopping;

static void on_signal(int number) { (void)number; stopping = 1; }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static long long wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what, const char *detail, size_t length)
{
    fprintf(stderr, "wsload: %s: %.*s\n", what, (int)(length > 600 ? 600 : length), detail);
    exit(1);
}

/* ---- sending ---------------------------------------------------------------------------------------------- */

static void send_frame(int fd, int opcode, const void *payload, size_t length)
{
    static const byte mask[4] = {0x11, 0x22, 0x33, 0x44};
    byte frame[FRAME_BYTES + 8];
    size_t head = 2;

    if (length > FRAME_BYTES)
        fail("frame too long to send", payload, 80);
    frame[0] = 0x80 | opcode;
    if (length < 126) {
        frame[1] = 0x80 | length;
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = length >> 8;
        frame[3] = length;
        head = 4;
    }
    memcpy(frame + head, mask, 4);
    for (size_t i = 0; i < length; i++)
        frame[head + 4 + i] = ((const byte *)payload)[i] ^ mask[i & 3];
    /* Small and rare: the socket buffer of an idle connection always holds it. A dead peer shows up in read. */
    if (write(fd, frame, head + 4 + length) < 0 && errno != EPIPE && errno != ECONNRESET)
        perror("wsload: write");
}

/* ---- counting --------------------------------------------------------------------------------------------- */

static const byte *number(const byte *p, const byte *end, long long *value)
{
    for (*value = 0; p < end && *p >= '0' && *p <= '9'; p++)
        *value = *value * 10 + (*p - '0');
    return p;
}

static void sample_latency(const byte *p, const byte *end, long long arrived_ns)
{
    long long sent_ns;
    if (end - p < 4 || p[0] != '@' || p[1] != '@')
        return;
    number(p + 2, end, &sent_ns);
    if (seen.samples == seen.room) {
        seen.room = seen.room ? 2 * seen.room : 1 << 16;
        seen.latency_us = realloc(seen.latency_us, seen.room * sizeof *seen.latency_us);
    }
    long long us = (arrived_ns - sent_ns) / 1000;
    seen.latency_us[seen.samples++] = us < 0 ? 0 : us > UINT_MAX ? UINT_MAX : us;
}

/* The thread is busy with one publication, as a subscriber is that decodes it. */
static void be_busy(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    long long until = t.tv_sec * 1000000000LL + t.tv_nsec + (long long)opt.busy_ns;
    do
        clock_gettime(CLOCK_MONOTONIC, &t);
    while (t.tv_sec * 1000000000LL + t.tv_nsec < until);
}

static void count_publication(connection *c, const byte *p, const byte *end, long long arrived_ns)
{
    long long n;
    while ((p = memchr(p, '#', end - p)) != NULL) {
        if (end - p < 5)
            return;
        if (p[1] != '#') {
            p++;
            continue;
        }
        p = number(p + 2, end, &n);
        if (end - p < 2 || p[0] != '#' || p[1] != '#')
            return;
        if (c->publications && n <= c->last)
            seen.repeated++;
        else if (c->publications && n > c->last + 1)
            seen.lost += n - c->last - 1;
        if (!c->publications || n > c->last)
            c->last = n;
        c->publications++;
        if (opt.sample && seen.publications % opt.sample == 0)
            sample_latency(p + 2, end, arrived_ns);
        seen.publications++;
        if (opt.busy_ns)
            be_busy();
        return;
    }
}

static void greeted(connection *c)
{
    c->state = READY;
    seen.ready++;
}

static void message(connection *c, const byte *p, const byte *end, long long arrived_ns)
{
    seen.frames++;
    if (c->state == GREETING) {
        if (memmem(p, end - p, "\"error\"", 7))
            fail("the first frame was refused", (const char *)p, end - p);
        if (memmem(p, end - p, opt.ready_text, strlen(opt.ready_text)))
            greeted(c);
    }
    while (p < end) {
        const byte *line_end = memchr(p, '\n', end - p);
        if (!line_end)
            line_end = end;
        if (line_end - p == 2 && p[0] == '{' && p[1] == '}') {
            seen.pings++;
            if (opt.answer_pings)
                send_frame(c->fd, TEXT, "{}", 2);
        } else if (opt.engine_io && line_end - p == 1 && *p == '2') {
            seen.pings++;
            send_frame(c->fd, TEXT, "3", 1);
        } else {
            count_publication(c, p, line_end, arrived_ns);
        }
        p = line_end + 1;
    }
}

static void note_close(const byte *p, size_t length)
{
    if (seen.close_reason[0] || length < 2)
        return;
    int used = snprintf(seen.close_reason, sizeof seen.close_reason, "%d ", p[0] << 8 | p[1]);
    for (size_t i = 2; i < length && used < (int)sizeof seen.close_reason - 1; i++)
        if (p[i] >= 32 && p[i] < 127 && p[i] != '"' && p[i] != '\\')
            seen.close_reason[used++] = p[i];
}

static void frame(connection *c, int opcode, const byte *p, size_t length, long long arrived_ns)
{
    switch (opcode) {
    case PING:
        seen.pings++;
        send_frame(c->fd, PONG, p, length);
        return;
    case CLOSE:
        note_close(p, length);
        return;
    case PONG:
        return;
    default:
        message(c, p, p + length, arrived_ns);
    }
}

/* ---- one connection --------------------------------------------------------------------------------------- */

static int open_connection(int index)
{
    connection *c = &crowd[index];
    int port = opt.ports[index % opt.servers];
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(port)};
    char request[1024];
    int one = 1;

    if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0)
        return -1;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + index / PORTS_PER_ADDRESS);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (void *)&from, sizeof from) || connect(c->fd, (void *)&to, sizeof to)) {
        close(c->fd);
        return -1;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    if (opt.stream) {
        int whole = strlen(greetings[index]);
        return write(c->fd, greetings[index], whole) == whole ? 0 : -1;
    }
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                          opt.path, port);
    return write(c->fd, request, length) == length ? 0 : -1;
}

/* As rude as can be: whoever is refused is back at once. */
static void come_again(connection *c)
{
    close(c->fd);
    free(c->partial);
    c->partial = NULL;
    c->partial_len = 0;
    c->state = HANDSHAKE;
    if (open_connection(c - crowd))
        fail("cannot connect again", strerror(errno), strlen(strerror(errno)));
}

static void drop(connection *c)
{
    if (c->state == READY)
        seen.ready--;
    c->state = GONE;
    seen.closed++;
    close(c->fd);
}

/* Returns what follows the server's answer to the upgrade, or NULL while it is incomplete. */
static const byte *handshake(connection *c, const byte *p, const byte *end)
{
    const byte *blank = memmem(p, end - p, "\r\n\r\n", 4);
    if (!blank)
        return NULL;
    if (opt.retry && !memcmp(p, "HTTP/1.1 503", 12)) {
        seen.refused++;
        c->state = REFUSED;
        return end;
    }
    if (memcmp(p, opt.stream ? "HTTP/1.1 200" : "HTTP/1.1 101", 12))
        fail("it was refused", (const char *)p, end - p);
    if (opt.stream) {
        c->state = GREETING;
        if (!*opt.ready_text)
            greeted(c);
    } else if (!greetings) {
        greeted(c);
    } else {
        const char *text = greetings[c - crowd];
        c->state = GREETING;
        send_frame(c->fd, TEXT, text, strlen(text));
        if (!opt.ready_text)
            greeted(c);
    }
    return blank + 4;
}

static const byte *frames(connection *c, const byte *p, const byte *end)
{
    long long arrived_ns = opt.sample ? wall_ns() : 0;
    while (end - p >= 2) {
        size_t length = p[1] & 127, head = 2;
        if (length == 126) {
            if (end - p < 4)
                break;
            length = (size_t)p[2] << 8 | p[3];
            head = 4;
        } else if (length == 127) {
            if (end - p < 10)
                break;
            length = 0;
            for (int i = 2; i < 10; i++)
                length = length << 8 | p[i];
            head = 10;
        }
        if ((size_t)(end - p) < head + length)
            break;
        frame(c, p[0] & 15, p + head, length, arrived_ns);
        p += head + length;
    }
    return p;
}

/* As frames, of a stream: all lines that have ended are one message. */
static const byte *lines(connection *c, const byte *p, const byte *end)
{
    const byte *last = memrchr(p, '\n', end - p);
    if (!last)
        return p;
    message(c, p, last, opt.sample ? wall_ns() : 0);
    return last + 1;
}

static void readable(connection *c)
{
    static byte buffer[READ_BYTES];
    size_t kept = c->partial_len;

    if (kept)
        memcpy(buffer, c->partial, kept);
    ssize_t got = read(c->fd, buffer + kept, sizeof buffer - kept);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        drop(c);
        return;
    }
    seen.bytes += got;

    const byte *p = buffer, *end = buffer + kept + got;
    if (c->state == HANDSHAKE)
        p = handshake(c, p, end);
    if (c->state == REFUSED) {
        come_again(c);
        return;
    }
    if (!p)
        p = buffer;
    if (c->state != HANDSHAKE) {
        unsigned long before = seen.publications;
        p = opt.stream ? lines(c, p, end) : frames(c, p, end);
        if (seen.publications != before) {
            seen.last = now();
            if (!seen.first)
                seen.first = seen.last;
        }
    }
    c->partial_len = end - p;
    if (c->partial_len == sizeof buffer)
        fail("a frame is larger than the buffer", "", 0);
    if (c->partial_len) {
        c->partial = realloc(c->partial, c->partial_len);
        memcpy(c->partial, p, c->partial_len);
    } else if (c->partial) {
        free(c->partial);
        c->partial = NULL;
    }
}

/* ---- set-up and report ------------------------------------------------------------------------------------ */

/* Line i of the file is the first frame of connection i; a backslash and an n or r stand for what they do in C. */
static void read_greetings(void)
{
    FILE *file = fopen(opt.first_frames, "r");
    char *line = NULL;
    size_t room = 0;

    if (!file)
        fail("cannot open", opt.first_frames, strlen(opt.first_frames));
    greetings = calloc(opt.connections, sizeof *greetings);
    for (int i = 0; i < opt.connections; i++) {
        if (getline(&line, &room, file) <= 0)
            fail("fewer first frames than connections", opt.first_frames, strlen(opt.first_frames));
        char *to = line;
        for (char *from = line; *from && *from != '\n'; from++)
            if (from[0] == '\\' && (from[1] == 'n' || from[1] == 'r')) {
                *to++ = *++from == 'n' ? '\n' : '\r';
            } else {
                *to++ = *from;
            }
        *to = 0;
        greetings[i] = strdup(line);
    }
    free(line);
    fclose(file);
}

static void read_ports(const char *text)
{
    opt.servers = 0;
    for (char *rest; *text && opt.servers < SERVERS; text = *rest ? rest + 1 : rest)
        opt.ports[opt.servers++] = strtol(text, &rest, 10);
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"port", 1, 0, 'p'},         {"path", 1, 0, 'u'},         {"connections", 1, 0, 'n'},
        {"first-frames", 1, 0, 'S'}, {"ready-text", 1, 0, 'R'},   {"expect", 1, 0, 'w'},
        {"timeout", 1, 0, 't'},      {"answer-pings", 0, 0, 'C'}, {"sample", 1, 0, 'e'},
        {"opening", 1, 0, 'i'},      {"retry", 0, 0, 'r'},        {"engine-io", 0, 0, 'E'},
        {"quiet", 1, 0, 'q'},        {"busy-ns", 1, 0, 'b'},      {"stream", 0, 0, 's'},
        {0},
    };
    for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (o) {
        case 'p': read_ports(optarg); break;
        case 'u': opt.path = optarg; break;
        case 'n': opt.connections = atoi(optarg); break;
        case 'S': opt.first_frames = optarg; break;
        case 'R': opt.ready_text = optarg; break;
        case 'w': opt.expect = strtoul(optarg, NULL, 10); break;
        case 't': opt.timeout = atof(optarg); break;
        case 'C': opt.answer_pings = 1; break;
        case 'e': opt.sample = atoi(optarg); break;
        case 'i': opt.opening = atoi(optarg); break;
        case 'r': opt.retry = 1; break;
        case 'E': opt.engine_io = 1; break;
        case 'q': opt.quiet = atof(optarg); break;
        case 's': opt.stream = 1; break;
        case 'b': opt.busy_ns = strtoul(optarg, NULL, 10); break;
        default: exit(64);
        }
}

static int ascending(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return x < y ? -1 : x > y;
}

static double percentile_ms(double share)
{
    return seen.samples ? seen.latency_us[(size_t)((seen.samples - 1) * share)] / 1000.0 : -1;
}

static void report(void)
{
    unsigned long fewest = ULONG_MAX, most = 0;
    struct rusage used;

    for (int i = 0; i < opt.connections; i++) {
        if (crowd[i].publications < fewest)
            fewest = crowd[i].publications;
        if (crowd[i].publications > most)
            most = crowd[i].publications;
    }
    qsort(seen.latency_us, seen.samples, sizeof *seen.latency_us, ascending);
    getrusage(RUSAGE_SELF, &used);
    printf("{\"ready\": %d, \"closed\": %lu, \"close_reason\": \"%s\", \"frames\": %lu, \"publications\": %lu, "
           "\"fewest\": %lu, \"most\": %lu, \"lost\": %lu, \"repeated\": %lu, \"bytes\": %lu, \"pings\": %lu, "
           "\"refused\": %lu, \"span_s\": %.6f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, "
           "\"cpu_s\": %.3f}\n",
           seen.ready, seen.closed, seen.close_reason, seen.frames, seen.publications, fewest, most, seen.lost,
           seen.repeated, seen.bytes, seen.pings, seen.refused, seen.last - seen.first,
           percentile_ms(.5), percentile_ms(.99), percentile_ms(1),
           used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6);
}

int main(int argc, char **argv)
{
    static struct epoll_event events[1024];
    struct rlimit files;
    int opened = 0;
    double started = now();

    read_options(argc, argv);
    if (opt.first_frames)
        read_greetings();
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(0);
    crowd = calloc(opt.connections, sizeof *crowd);

    while (!stopping) {
        while (opened < opt.connections && opened - seen.ready - (int)seen.closed < opt.opening) {
            if (open_connection(opened)) {
                perror("wsload: connect");
                return 1;
            }
            opened++;
        }
        int count = epoll_wait(poller, events, 1024, 100);
        for (int i = 0; i < count; i++)
            if (crowd[events[i].data.u32].state != GONE)
                readable(&crowd[events[i].data.u32]);
        if (!seen.ready_after && seen.ready == opt.connections) {
            seen.ready_after = now() - started;
            fprintf(stderr, "{\"ready\": %d, \"seconds\": %.6f}\n", seen.ready, seen.ready_after);
        }
        if ((opt.expect && seen.publications >= opt.expect) || now() - started > opt.timeout)
            break;
        if (opt.quiet && seen.last && now() - seen.last > opt.quiet)
            break;
    }
    report();
    return 0;
}
