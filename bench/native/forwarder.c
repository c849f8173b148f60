// The bare UDP forwarder that bench/Oxen.Ladder measures against: recvmmsg + UDP_GRO in, sendmmsg + UDP_SEGMENT out, one thread,
// one CPU, no crypto, nothing looked at. What C can do on this machine with the same system calls.
//
//   forwarder LISTEN_PORT TARGET_PORT CPU
//
// Forwards everything from 127.0.0.1:LISTEN_PORT to 127.0.0.1:TARGET_PORT. Each line on standard input is answered by one line
// "packets cpu_nanoseconds receives"; end of input ends it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { SLOTS = 16, SLOT_BYTES = 65536, CONTROL_BYTES = 64 };

static unsigned char slots[SLOTS][SLOT_BYTES] __attribute__((aligned(64)));
static struct mmsghdr in[SLOTS], out[SLOTS];
static struct iovec in_piece[SLOTS], out_piece[SLOTS];
static struct sockaddr_in from[SLOTS], target;
static _Alignas(16) unsigned char in_control[SLOTS][CONTROL_BYTES], out_control[SLOTS][CONTROL_BYTES];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 4)
    {
        fprintf(stderr, "usage: forwarder LISTEN_PORT TARGET_PORT CPU\n");
        return 2;
    }

    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(atoi(argv[3]), &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);

    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), one = 1, big = 32 << 20;
    if (fd < 0) die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    big = 8 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big)) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one)) die("UDP_GRO");
    struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (bind(fd, (struct sockaddr *)&local, sizeof local)) die("bind");
    target = local;
    target.sin_port = htons((uint16_t)atoi(argv[2]));

    for (int i = 0; i < SLOTS; i++)
    {
        in_piece[i] = (struct iovec){ slots[i], SLOT_BYTES };
        in[i].msg_hdr = (struct msghdr){ .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &in_piece[i], .msg_iovlen = 1, .msg_control = in_control[i], .msg_controllen = CONTROL_BYTES };
        struct cmsghdr *c = (struct cmsghdr *)out_control[i];
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    }

    puts("ready");
    fflush(stdout);
    uint64_t packets = 0, receives = 0;
    struct pollfd fds[2] = { { fd, POLLIN, 0 }, { 0, POLLIN, 0 } };
    for (unsigned turn = 0;; turn++)
    {
        int n = recvmmsg(fd, in, SLOTS, MSG_DONTWAIT, NULL);
        if (n <= 0 || turn % 1024 == 0)
        {
            if (poll(fds, 2, n <= 0 ? 1000 : 0) > 0 && fds[1].revents)
            {
                char line[64];
                if (read(0, line, sizeof line) <= 0) return 0;
                printf("%llu %llu %llu\n", (unsigned long long)packets, (unsigned long long)cpu_ns(), (unsigned long long)receives);
                fflush(stdout);
            }

            if (n <= 0) continue;
        }

        receives += (uint64_t)n;
        for (int i = 0; i < n; i++)
        {
            uint32_t length = in[i].msg_len, segment = length;
            for (struct cmsghdr *c = CMSG_FIRSTHDR(&in[i].msg_hdr); c; c = CMSG_NXTHDR(&in[i].msg_hdr, c))
            {
                if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) segment = (uint32_t) * (int *)CMSG_DATA(c);
            }

            out_piece[i] = (struct iovec){ slots[i], length };
            out[i].msg_hdr = (struct msghdr){ .msg_name = &target, .msg_namelen = sizeof target, .msg_iov = &out_piece[i], .msg_iovlen = 1 };
            if (segment < length)
            {
                out[i].msg_hdr.msg_control = out_control[i];
                out[i].msg_hdr.msg_controllen = CMSG_SPACE(sizeof(uint16_t));
                *(uint16_t *)CMSG_DATA((struct cmsghdr *)out_control[i]) = (uint16_t)segment;
            }

            packets += segment ? (length + segment - 1) / segment : 1;
            in[i].msg_hdr.msg_namelen = sizeof from[i];
            in[i].msg_hdr.msg_controllen = CONTROL_BYTES;
        }

        for (int done = 0; done < n;)
        {
            int sent = sendmmsg(fd, out + done, (unsigned)(n - done), 0);
            if (sent > 0)
            {
                done += sent;
            }
            else if (errno == EAGAIN)
            {
                struct pollfd w = { fd, POLLOUT, 0 };
                poll(&w, 1, 1);
            }
            else
            {
                done++;
            }
        }
    }
}
