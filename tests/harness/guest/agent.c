/* The tests' hands inside a guest: commands over the serial console, small network services, raw frames.
 *
 *   agent console DEVICE                  answer "@ID SECONDS BASE64-SCRIPT" with "<<ID STATUS BASE64-OUTPUT>>"
 *   agent serve tcp|udp PORT KIND         listen in the background; KIND: talk (says who it sees, then echoes),
 *                                         source (sends for ever), sink (reads for ever)
 *   agent connect tcp|udp ADDRESS PORT SECONDS [PAYLOAD]
 *                                         prints "open OWN-ADDRESS ANSWER", "refused" or "filtered"
 *   agent frame INTERFACE HEX...          send Ethernet frames as they are
 *   agent sniff INTERFACE SECONDS         print the frames that arrive, a line of hex each
 *
 * IPv4 and IPv6. Statically linked, for a guest that has nothing but busybox.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define SCRIPT_BYTES (1 << 20)
#define OUTPUT "/tmp/.agent-output"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void die(const char *what) { perror(what); exit(1); }

static void write_all(int fd, const void *data, size_t size)
{
    for (const char *p = data; size > 0;) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        p += n;
        size -= (size_t)n;
    }
}

static size_t decode64(const char *in, char *out)
{
    size_t size = 0;
    uint32_t bits = 0;
    int have = 0;
    for (; *in && *in != '='; in++) {
        const char *at = strchr(ALPHABET, *in);
        if (!at) continue;
        bits = bits << 6 | (uint32_t)(at - ALPHABET);
        have += 6;
        if (have >= 8) { have -= 8; out[size++] = (char)(bits >> have & 0xff); }
    }
    out[size] = 0;
    return size;
}

static char *encode64(const unsigned char *in, size_t size)
{
    char *out = malloc(size / 3 * 4 + 5), *p = out;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)in[i] << 16 | (i + 1 < size ? in[i + 1] : 0u) << 8 | (i + 2 < size ? in[i + 2] : 0u);
        *p++ = ALPHABET[bits >> 18 & 63];
        *p++ = ALPHABET[bits >> 12 & 63];
        *p++ = i + 1 < size ? ALPHABET[bits >> 6 & 63] : '=';
        *p++ = i + 2 < size ? ALPHABET[bits & 63] : '=';
    }
    *p = 0;
    return out;
}

/* The output goes to a file, so that a command left in the background cannot hold the answer back. */
static int run_script(char *script, const char *seconds)
{
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        int in = open("/dev/null", O_RDONLY), out = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(in, 0), dup2(out, 1), dup2(out, 2);
        closefrom(3);
        execlp("timeout", "timeout", seconds, "sh", "-c", script, (char *)0);
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void answer(int tty, char *line)
{
    static char script[SCRIPT_BYTES];
    char id[64], seconds[16], *payload = malloc(SCRIPT_BYTES);
    if (sscanf(line, "@%63s %15s %1048575s", id, seconds, payload) != 3) { free(payload); return; }
    decode64(payload, script);
    free(payload);
    int status = run_script(script, seconds);
    int file = open(OUTPUT, O_RDONLY);
    struct stat info = {0};
    if (file >= 0) fstat(file, &info);
    unsigned char *output = malloc((size_t)info.st_size + 1);
    ssize_t size = file >= 0 ? read(file, output, (size_t)info.st_size) : 0;
    if (file >= 0) close(file);
    char *text = encode64(output, size > 0 ? (size_t)size : 0), *whole = 0;
    int length = asprintf(&whole, "\n<<%s %d %s>>\n", id, status, text);
    if (length > 0) write_all(tty, whole, (size_t)length);
    tcdrain(tty);
    free(output), free(text), free(whole);
}

static int console(const char *device)
{
    static char line[SCRIPT_BYTES];
    int tty = open(device, O_RDWR | O_NOCTTY);
    if (tty < 0) die(device);
    struct termios mode;
    tcgetattr(tty, &mode);
    cfmakeraw(&mode);
    tcsetattr(tty, TCSANOW, &mode);
    for (size_t used = 0;;) {
        char c;
        ssize_t n = read(tty, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 1;
        if (c != '\n') { if (used < sizeof line - 1) line[used++] = c; continue; }
        line[used] = 0;
        used = 0;
        if (line[0] == '@') answer(tty, line);
    }
}

static socklen_t address_of(const char *text, int port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    struct sockaddr_in *four = (void *)out;
    struct sockaddr_in6 *six = (void *)out;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET, four->sin_port = htons((uint16_t)port);
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6, six->sin6_port = htons((uint16_t)port);
        return sizeof *six;
    }
    fprintf(stderr, "%s: no address\n", text);
    exit(2);
}

static const char *name_of(struct sockaddr_storage *address, int *port)
{
    static char text[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET) {
        struct sockaddr_in *four = (void *)address;
        *port = ntohs(four->sin_port);
        return inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
    }
    struct sockaddr_in6 *six = (void *)address;
    *port = ntohs(six->sin6_port);
    if (!IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) return inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
    return inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], text, sizeof text);
}

static int greeting(char *out, size_t size, struct sockaddr_storage *peer, int port)
{
    char host[65] = "";
    int peer_port;
    gethostname(host, sizeof host - 1);
    const char *name = name_of(peer, &peer_port);
    return snprintf(out, size, "peer=%s port=%d host=%s\n", name, port, host);
}

static void talk_tcp(int s, struct sockaddr_storage *peer, int port, const char *kind)
{
    char buffer[65536];
    memset(buffer, 'x', sizeof buffer);
    if (!strcmp(kind, "source")) for (;;) if (send(s, buffer, sizeof buffer, 0) <= 0) return;
    if (!strcmp(kind, "talk")) write_all(s, buffer, (size_t)greeting(buffer, sizeof buffer, peer, port));
    for (ssize_t n; (n = recv(s, buffer, sizeof buffer, 0)) > 0;) if (!strcmp(kind, "talk")) write_all(s, buffer, (size_t)n);
}

static int serve(const char *protocol, int port, const char *kind)
{
    int tcp = !strcmp(protocol, "tcp"), one = 1, zero = 0;
    /* A guest whose kernel has IPv6 switched off is served by the older family alone. */
    int s = socket(AF_INET6, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    struct sockaddr_storage any;
    socklen_t length = address_of(s >= 0 ? "::" : "0.0.0.0", port, &any);
    if (s < 0) s = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    else setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (void *)&any, length) || (tcp && listen(s, 64))) die("bind");
    if (fork()) _exit(0);
    setsid();
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0), dup2(null, 1), dup2(null, 2);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        if (tcp) {
            int c = accept(s, (void *)&peer, &size);
            if (c < 0) continue;
            if (fork() == 0) { talk_tcp(c, &peer, port, kind); _exit(0); }
            close(c);
            continue;
        }
        char in[65536], out[65536 + 256];
        ssize_t n = recvfrom(s, in, sizeof in, 0, (void *)&peer, &size);
        if (n < 0) continue;
        int used = greeting(out, sizeof out, &peer, port);
        memcpy(out + used, in, (size_t)n);
        sendto(s, out, (size_t)used + (size_t)n, 0, (void *)&peer, size);
    }
}

static int connect_to(const char *protocol, const char *text, int port, double seconds, const char *payload)
{
    struct sockaddr_storage to, own;
    socklen_t length = address_of(text, port, &to), size = sizeof own;
    int tcp = !strcmp(protocol, "tcp"), own_port;
    int s = socket(to.ss_family, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    struct timeval limit = {(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    char buffer[4096] = "";
    ssize_t n = 0;
    int bad = connect(s, (void *)&to, length);
    if (!bad && (*payload || !tcp)) send(s, *payload ? payload : "?", *payload ? strlen(payload) : 1, MSG_NOSIGNAL);
    if (!bad) n = recv(s, buffer, sizeof buffer - 1, 0);
    if ((bad || n < 0) && errno == ECONNREFUSED) { puts("refused"); return 0; }
    if (bad || (n < 0 && !tcp)) { printf("filtered %s\n", strerror(errno)); return 0; }
    getsockname(s, (void *)&own, &size);
    printf("open %s %s\n", name_of(&own, &own_port), buffer);
    return 0;
}

static int packet_socket(const char *interface)
{
    int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    address.sll_ifindex = (int)if_nametoindex(interface);
    if (s < 0 || bind(s, (void *)&address, sizeof address)) die(interface);
    return s;
}

static int frames(const char *interface, int count, char **texts)
{
    int s = packet_socket(interface);
    for (int i = 0; i < count; i++) {
        unsigned char frame[9216];
        size_t size = 0;
        for (const char *p = texts[i]; p[0] && p[1] && size < sizeof frame; p += 2) {
            unsigned byte;
            if (sscanf(p, "%2x", &byte) != 1) { fprintf(stderr, "no hex: %s\n", p); return 2; }
            frame[size++] = (unsigned char)byte;
        }
        if (send(s, frame, size, 0) < 0) die("send");
    }
    return 0;
}

static int sniff(const char *interface, double seconds)
{
    int s = packet_socket(interface);
    struct timeval now, end;
    gettimeofday(&end, 0);
    end.tv_sec += (time_t)seconds;
    for (;;) {
        gettimeofday(&now, 0);
        long left = (end.tv_sec - now.tv_sec) * 1000 + (end.tv_usec - now.tv_usec) / 1000;
        struct pollfd wait = {.fd = s, .events = POLLIN};
        if (left <= 0 || poll(&wait, 1, (int)left) <= 0) return 0;
        unsigned char frame[9216];
        struct sockaddr_ll from;
        socklen_t length = sizeof from;
        ssize_t n = recvfrom(s, frame, sizeof frame, 0, (void *)&from, &length);
        if (n <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
        for (ssize_t i = 0; i < n; i++) printf("%02x", frame[i]);
        puts("");
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (!strcmp(verb, "console") && argc == 3) return console(argv[2]);
    if (!strcmp(verb, "serve") && argc == 5) return serve(argv[2], atoi(argv[3]), argv[4]);
    if (!strcmp(verb, "connect") && argc >= 6)
        return connect_to(argv[2], argv[3], atoi(argv[4]), atof(argv[5]), argc > 6 ? argv[6] : "");
    if (!strcmp(verb, "frame") && argc >= 4) return frames(argv[2], argc - 3, argv + 3);
    if (!strcmp(verb, "sniff") && argc == 4) return sniff(argv[2], atof(argv[3]));
    fprintf(stderr, "usage: see agent.c\n");
    return 2;
}
