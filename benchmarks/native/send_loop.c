/*
 * send_loop: the least a WebSocket server can spend on fan-out, as a limit to stand beside.
 *
 * It says "listening", accepts N connections, answers each upgrade with a canned 101 (the key of wsload is always the
 * same), waits for a line on stdin, and then calls send once per connection and publication: no HTTP, no parsing, no
 * event loop. It prints one JSON line with its own CPU time and stays until another line comes or stdin ends.
 *
 * usage: send_loop PORT CONNECTIONS PUBLICATIONS BYTES
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char ANSWER[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static int accept_one(int listener)
{
    char request[4096];
    int one = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0 || read(fd, request, sizeof request) <= 0 || write(fd, ANSWER, sizeof ANSWER - 1) < 0) {
        perror("send_loop: accept");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Sends all of it; a full socket buffer means that the subscriber is behind, and is waited for. */
static void send_all(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t sent = send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            perror("send_loop: send");
            exit(1);
        }
        if (sent < 0) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            poll(&writable, 1, -1);
            continue;
        }
        data += sent;
        length -= sent;
    }
}

/* A text frame whose payload is ##number## and padding; returns the length of the frame. */
static size_t make_frame(char *frame, long number, int size)
{
    size_t head = size < 126 ? 2 : 4;
    frame[0] = (char)0x81;
    frame[1] = size < 126 ? size : 126;
    if (head == 4) {
        frame[2] = size >> 8;
        frame[3] = size;
    }
    memset(frame + head, 'x', size);
    char mark[32];
    memcpy(frame + head, mark, snprintf(mark, sizeof mark, "##%ld##", number));
    return head + size;
}

static void wait_for_line(void)
{
    for (int c; (c = getchar()) != EOF && c != '\n';)
        ;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 64;
    int port = atoi(argv[1]), connections = atoi(argv[2]), size = atoi(argv[4]), one = 1;
    long publications = atol(argv[3]);
    if (size < 32 || size > 65535)
        return 64;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) {
        perror("send_loop: listen");
        return 1;
    }
    puts("listening");
    fflush(stdout);
    int *fds = malloc(connections * sizeof *fds);
    char *frame = malloc(size + 4);
    for (int i = 0; i < connections; i++)
        fds[i] = accept_one(listener);
    wait_for_line();

    double before = cpu_seconds();
    for (long number = 0; number < publications; number++) {
        size_t length = make_frame(frame, number, size);
        for (int i = 0; i < connections; i++)
            send_all(fds[i], frame, length);
    }
    printf("{\"deliveries\": %ld, \"cpu_s\": %.6f}\n", publications * connections, cpu_seconds() - before);
    fflush(stdout);
    wait_for_line(); /* an exit would cut off what the subscribers have not read yet */
    return 0;
}
