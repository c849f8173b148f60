// The bare tunnel that bench/Oxen.Ladder measures against: TUN <-> UDP in C, one thread, no crypto. What C can do on this machine with
// the same system calls and the same work on packets, done the same way as Core/Tunnel does it:
//
//   TUN (IFF_VNET_HDR: TSO4, TSO6, USO, checksums begun) -> cut to segments of the inner MTU: length, id, sequence, flags and checksums
//   made anew for each, payload copied and summed in one pass -> one datagram of 1424 bytes each -> sendmmsg, 45 to a UDP_SEGMENT send
//   recvmmsg + UDP_GRO -> checksums verified -> neighbours of a flow merged -> writev to the TUN with a virtio header
//
//   tun_forwarder TUN LOCAL_ADDRESS LOCAL_PORT PEER_ADDRESS PEER_PORT CPU [RECEIVE_BUFFER_BYTES]
//
// Makes the device TUN in the namespace it is started in; addresses, MTU and queue length are the caller's. Prints "ready". Each line on
// standard input is answered by one line of counters (see answer()); end of input ends it.
//
//   datagram   | kind 1, zero 3, index 4, counter 8 | zero 16 | number 16 | command 1 | type 1, length 2 | packet | zeros | 16 |
//              0                                    16        32          48          49                 52       .. 1408   1424
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// Younger than some systems' headers.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum
{
    CELL = 1424, PACKET_AT = 52, INNER_MTU = 1320, ROOM = CELL - 16 - PACKET_AT,
    PER_SEND = 45, CELLS = 24 * PER_SEND, SENDS = CELLS / PER_SEND,
    SLOTS = 16, SLOT = 65536, READS = 64, READ_ROOM = 64 + 65536, READ_BYTES = 8 * READ_ROOM, CONTROL = 64,
    ENTRIES = SLOTS * (SLOT / CELL), FLOWS = 64, MOST_SEGMENTS = 64, LONGEST = 65535,
    TCP = 6, UDP = 17, FIN = 1, PUSH = 8, ACK = 16, CWR = 128,
};

struct packet
{
    int length, header, payload, transport, checksum; // payload: where it begins, 0 without a whole transport header; checksum: 0 if none
    int version, protocol;
    bool fragment;
};

struct entry { uint8_t *at; int length, next; };
struct group { struct packet ip; uint8_t *head; int first, last, count, length, segment; uint32_t sequence, hash; bool growing, valid, push; };

static uint8_t slots[SLOTS][SLOT] __attribute__((aligned(64)));
static uint8_t reads[READ_BYTES] __attribute__((aligned(64))); // one packet behind the other: 8 of 64 KiB, or 64 short ones
static uint8_t cells[CELLS][CELL] __attribute__((aligned(64)));
static struct mmsghdr in[SLOTS], out[SENDS];
static struct iovec in_piece[SLOTS], out_piece[SENDS];
static struct sockaddr_in from[SLOTS], peer;
static _Alignas(16) uint8_t in_control[SLOTS][CONTROL], out_control[SENDS][CONTROL];
static struct entry entries[ENTRIES];
static struct group groups[ENTRIES];
static int flows[FLOWS], entry_count, group_count, cell_count, tun, udp;
static uint64_t counter, sent, received, receives, tun_in, tun_out, lost_send, lost_tun, lost_bad;
static uint32_t lost_receive;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

// ---- bytes and sums (RFC 1071): native byte order throughout, so a folded sum is stored as it is ----

static inline uint16_t get16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return be16toh(v); }
static inline uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return be32toh(v); }
static inline void put16(uint8_t *p, unsigned v) { uint16_t n = htobe16((uint16_t)v); memcpy(p, &n, 2); }
static inline void put32(uint8_t *p, uint32_t v) { v = htobe32(v); memcpy(p, &v, 4); }
static inline void put64(uint8_t *p, uint64_t v) { v = htobe64(v); memcpy(p, &v, 8); }
static inline void store(uint8_t *p, uint16_t native) { memcpy(p, &native, 2); }

static inline uint64_t tail(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    uint16_t half;
    if (n & 2) { memcpy(&half, p, 2); sum += half; p += 2; }
    if (n & 1) { uint8_t last[2] = { *p, 0 }; memcpy(&half, last, 2); sum += half; }
    return sum;
}

static uint64_t sum_of(const uint8_t *restrict p, size_t n)
{
    uint64_t sum = 0;
    size_t words = n / 4;
    for (size_t i = 0; i < words; i++) { uint32_t w; memcpy(&w, p + 4 * i, 4); sum += w; }
    return sum + tail(p + 4 * words, n & 3);
}

static uint64_t copy_and_sum(uint8_t *restrict to, const uint8_t *restrict p, size_t n)
{
    uint64_t sum = 0;
    size_t words = n / 4;
    for (size_t i = 0; i < words; i++) { uint32_t w; memcpy(&w, p + 4 * i, 4); memcpy(to + 4 * i, &w, 4); sum += w; }
    memcpy(to + 4 * words, p + 4 * words, n & 3);
    return sum + tail(p + 4 * words, n & 3);
}

static inline uint16_t fold(uint64_t sum)
{
    sum = (sum >> 32) + (uint32_t)sum;
    sum = (sum >> 32) + (uint32_t)sum;
    uint32_t s = (uint32_t)sum;
    s = (s >> 16) + (uint16_t)s;
    return (uint16_t)(s + (s >> 16));
}

static inline uint64_t pseudo(const uint8_t *packet, const struct packet *ip, int transport)
{
    uint64_t sum = ip->version == 4 ? sum_of(packet + 12, 8) : sum_of(packet + 8, 32);
    return sum + htobe16((uint16_t)ip->protocol) + htobe16((uint16_t)transport);
}

static void write_header4(uint8_t *packet)
{
    store(packet + 10, 0);
    store(packet + 10, (uint16_t)~fold(sum_of(packet, (size_t)(packet[0] & 15) * 4)));
}

// ---- one packet read ----

static bool parse(const uint8_t *p, int length, struct packet *ip)
{
    memset(ip, 0, sizeof *ip);
    if (length < 20) return false;
    ip->version = p[0] >> 4;
    if (ip->version == 4)
    {
        ip->header = (p[0] & 15) * 4;
        ip->length = get16(p + 2);
        if (ip->header < 20 || ip->header > ip->length || ip->length > length || fold(sum_of(p, (size_t)ip->header)) != 0xFFFF) return false;
        ip->fragment = (get16(p + 6) & 0x3FFF) != 0;
        ip->protocol = p[9];
    }
    else if (ip->version == 6 && length >= 40)
    {
        ip->header = 40;
        ip->length = 40 + get16(p + 4);
        if (ip->length > length || ip->length > LONGEST) return false;
        ip->protocol = p[6];
    }
    else
    {
        return false;
    }

    ip->transport = ip->length - ip->header;
    if (ip->fragment) return true;
    const uint8_t *t = p + ip->header;
    if (ip->protocol == TCP)
    {
        int header = ip->transport < 20 ? 0 : (t[12] >> 4) * 4;
        if (header < 20 || header > ip->transport) return false;
        ip->payload = ip->header + header;
        ip->checksum = ip->header + 16;
    }
    else if (ip->protocol == UDP)
    {
        if (ip->transport < 8 || get16(t + 4) < 8 || get16(t + 4) > ip->transport) return false;
        ip->transport = get16(t + 4);
        ip->payload = ip->header + 8;
        ip->checksum = ip->header + 6;
    }

    return true;
}

// ---- TUN -> network ----

static void send_cells(void)
{
    int n = 0;
    for (int at = 0; at < cell_count; at += PER_SEND, n++)
    {
        int count = cell_count - at < PER_SEND ? cell_count - at : PER_SEND;
        out_piece[n] = (struct iovec){ cells[at], (size_t)count * CELL };
        out[n].msg_hdr = (struct msghdr){ .msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &out_piece[n], .msg_iovlen = 1 };
        if (count > 1)
        {
            out[n].msg_hdr.msg_control = out_control[n];
            out[n].msg_hdr.msg_controllen = CMSG_SPACE(sizeof(uint16_t));
        }
    }

    bool waited = false;
    for (int done = 0; done < n;)
    {
        int m = sendmmsg(udp, out + done, (unsigned)(n - done), MSG_DONTWAIT);
        if (m > 0)
        {
            for (int i = done; i < done + m; i++) sent += out_piece[i].iov_len / CELL;
            done += m;
        }
        else if (errno == EAGAIN && !waited)
        {
            waited = true;
            poll(&(struct pollfd){ udp, POLLOUT, 0 }, 1, 1);
        }
        else
        {
            lost_send += out_piece[done++].iov_len / CELL;
        }
    }

    cell_count = 0;
}

// Where the next packet goes; its header is written, the rest of the cell is the caller's to clear.
static inline uint8_t *begin_cell(void)
{
    if (cell_count == CELLS) send_cells();
    uint8_t *c = cells[cell_count++];
    memset(c, 0, PACKET_AT);
    c[0] = 0x80;
    put32(c + 4, 0xABCD0123);
    put64(c + 8, counter);
    put64(c + 32, counter++);
    c[48] = 0x10;
    c[49] = 1;
    return c + PACKET_AT;
}

static inline void end_cell(uint8_t *packet, unsigned length)
{
    put16(packet - 2, length);
    memset(packet + length, 0, CELL - PACKET_AT - length);
}

static void cut(const uint8_t *packet, int length, const struct virtio_net_hdr *h)
{
    struct packet ip;
    if (!parse(packet, length, &ip)) { lost_bad++; return; }
    bool partial = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    int kind = h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
    if (partial && (!ip.checksum || h->csum_start != ip.header || h->csum_start + h->csum_offset != ip.checksum)) { lost_bad++; return; }
    if (kind == VIRTIO_NET_HDR_GSO_NONE)
    {
        if (ip.length > INNER_MTU) { lost_bad++; return; }
        uint8_t *to = begin_cell();
        memcpy(to, packet, (size_t)ip.length);
        if (partial)
        {
            store(to + ip.checksum, 0);
            uint16_t c = (uint16_t)~fold(pseudo(to, &ip, ip.transport) + sum_of(to + ip.header, (size_t)ip.transport));
            store(to + ip.checksum, c == 0 && ip.protocol == UDP ? 0xFFFF : c);
        }

        end_cell(to, (unsigned)ip.length);
        return;
    }

    bool tcp = ip.protocol == TCP;
    bool fits = kind == VIRTIO_NET_HDR_GSO_TCPV4 ? tcp && ip.version == 4 : kind == VIRTIO_NET_HDR_GSO_TCPV6 ? tcp && ip.version == 6 : kind == VIRTIO_NET_HDR_GSO_UDP_L4 && ip.protocol == UDP;
    int at = ip.payload, end = ip.header + ip.transport, segment = h->gso_size;
    if (!fits || !at || !segment || at + (segment < end - at ? segment : end - at) > INNER_MTU) { lost_bad++; return; }
    uint64_t base = pseudo(packet, &ip, 0);
    for (int next = at, index = 0; next < end || index == 0; index++)
    {
        int payload = segment < end - next ? segment : end - next, bytes = at + payload;
        bool last = next + payload >= end;
        uint8_t *to = begin_cell(), *t = to + ip.header;
        memcpy(to, packet, (size_t)at);
        uint64_t sum = copy_and_sum(to + at, packet + next, (size_t)payload);
        if (ip.version == 4)
        {
            put16(to + 2, (unsigned)bytes);
            put16(to + 4, (unsigned)(get16(packet + 4) + index));
            write_header4(to);
        }
        else
        {
            put16(to + 4, (unsigned)(bytes - 40));
        }

        if (tcp)
        {
            if (index)
            {
                put32(t + 4, get32(packet + ip.header + 4) + (uint32_t)(next - at));
                t[13] &= (uint8_t)~CWR;
            }

            if (!last) t[13] &= (uint8_t)~(FIN | PUSH);
        }
        else
        {
            put16(t + 4, (unsigned)(bytes - ip.header));
        }

        store(to + ip.checksum, 0);
        sum += sum_of(t, (size_t)(at - ip.header)) + base + htobe16((uint16_t)(bytes - ip.header));
        uint16_t c = (uint16_t)~fold(sum);
        store(to + ip.checksum, c == 0 && !tcp ? 0xFFFF : c);
        end_cell(to, (unsigned)bytes);
        next += payload;
    }
}

// ---- network -> TUN ----

static inline uint32_t hash_of(const uint8_t *p, const struct packet *ip)
{
    uint64_t a, b = 0, mix = (uint64_t)ip->protocol;
    const uint8_t *addresses = ip->version == 4 ? p + 12 : p + 8;
    for (int i = 0; i < (ip->version == 4 ? 8 : 32); i += 8)
    {
        memcpy(&a, addresses + i, 8);
        mix = (mix ^ a) * 0x9E3779B97F4A7C15u;
        mix ^= mix >> 29;
    }

    if (ip->payload) memcpy(&b, p + ip->header, 4);
    mix = (mix ^ b) * 0xD6E8FEB86659FD93u;
    return (uint32_t)(mix >> 32);
}

static bool mergeable(const uint8_t *p, const struct packet *ip)
{
    if (ip->fragment || !ip->payload || ip->header != (ip->version == 4 ? 20 : 40) || ip->length == ip->payload) return false;
    if (ip->protocol == TCP) return (p[ip->header + 13] & ~PUSH) == ACK;
    return ip->transport == ip->length - ip->header && (p[ip->checksum] | p[ip->checksum + 1]) != 0;
}

static bool join(struct group *g, const uint8_t *p, const struct packet *ip)
{
    const uint8_t *head = g->head;
    int payload = ip->length - ip->payload, at = ip->header;
    if (payload > g->segment || g->count == MOST_SEGMENTS || g->length + payload > LONGEST) return false;
    if (ip->payload != g->ip.payload || ip->protocol != g->ip.protocol || ip->version != g->ip.version) return false;
    if (ip->version == 4)
    {
        if (memcmp(p, head, 2) || memcmp(p + 6, head + 6, 4) || memcmp(p + 12, head + 12, 8)) return false;
        if (!(p[6] & 0x40) && get16(p + 4) != (uint16_t)(get16(head + 4) + g->count)) return false;
    }
    else if (memcmp(p, head, 4) || memcmp(p + 6, head + 6, 34))
    {
        return false;
    }

    if (memcmp(p + at, head + at, 4)) return false;
    if (ip->protocol == TCP)
    {
        if (get32(p + at + 4) != g->sequence) return false;
        if (memcmp(p + at + 8, head + at + 8, 5) || memcmp(p + at + 14, head + at + 14, 2) || memcmp(p + at + 18, head + at + 18, (size_t)(ip->payload - at - 18))) return false;
        g->sequence += (uint32_t)payload;
        g->push |= p[at + 13] & PUSH;
    }

    g->length += payload;
    g->count++;
    g->growing = payload == g->segment && !g->push;
    return true;
}

static void take(uint8_t *cell, int length)
{
    struct packet ip;
    int bytes = length == CELL && cell[0] == 0x80 && cell[49] == 1 ? get16(cell + 50) : 0;
    uint8_t *p = cell + PACKET_AT;
    if (bytes == 0 || bytes > ROOM || !parse(p, bytes, &ip)) { lost_bad++; return; }
    uint32_t hash = hash_of(p, &ip);
    int *flow = &flows[hash % FLOWS];
    bool can = mergeable(p, &ip);
    can = can && fold(pseudo(p, &ip, ip.transport) + sum_of(p + ip.header, (size_t)ip.transport)) == 0xFFFF;
    int payload = ip.length - ip.payload;
    if (can && *flow >= 0 && groups[*flow].growing && groups[*flow].hash == hash && join(&groups[*flow], p, &ip))
    {
        struct group *g = &groups[*flow];
        entries[g->last].next = entry_count;
        g->last = entry_count;
        entries[entry_count++] = (struct entry){ p + ip.payload, payload, -1 };
        return;
    }

    groups[group_count] = (struct group){
        .ip = ip, .head = p, .first = entry_count, .last = entry_count, .count = 1, .length = ip.length, .segment = payload, .hash = hash, .valid = can,
        .sequence = can && ip.protocol == TCP ? get32(p + ip.header + 4) + (uint32_t)payload : 0,
        .growing = can && !(ip.protocol == TCP && p[ip.header + 13] & PUSH),
    };
    *flow = group_count++;
    entries[entry_count++] = (struct entry){ p, ip.length, -1 };
}

static void write_groups(void)
{
    for (int i = 0; i < group_count; i++)
    {
        struct group *g = &groups[i];
        struct iovec pieces[1 + MOST_SEGMENTS];
        struct virtio_net_hdr h = { 0 };
        int n = 1;
        pieces[0] = (struct iovec){ &h, sizeof h };
        for (int e = g->first; e >= 0; e = entries[e].next) pieces[n++] = (struct iovec){ entries[e].at, (size_t)entries[e].length };
        if (g->count == 1)
        {
            if (g->valid) h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
        }
        else
        {
            bool tcp = g->ip.protocol == TCP;
            int transport = g->length - g->ip.header;
            if (g->ip.version == 4)
            {
                put16(g->head + 2, (unsigned)g->length);
                write_header4(g->head);
            }
            else
            {
                put16(g->head + 4, (unsigned)(g->length - 40));
            }

            if (!tcp) put16(g->head + g->ip.header + 4, (unsigned)transport);
            else if (g->push) g->head[g->ip.header + 13] |= PUSH;
            store(g->head + g->ip.checksum, fold(pseudo(g->head, &g->ip, transport)));
            h = (struct virtio_net_hdr){
                .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                .gso_type = tcp ? g->ip.version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_UDP_L4,
                .hdr_len = (uint16_t)g->ip.payload, .gso_size = (uint16_t)g->segment,
                .csum_start = (uint16_t)g->ip.header, .csum_offset = (uint16_t)(g->ip.checksum - g->ip.header),
            };
        }

        if (writev(tun, pieces, n) >= 0) tun_out++;
        else lost_tun++;
    }

    entry_count = 0;
    group_count = 0;
    memset(flows, 0xFF, sizeof flows);
}

// ---- the loop ----

static void answer(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    printf("sent %llu received %llu cpu %llu receives %llu tun_in %llu tun_out %llu lost_send %llu lost_receive %u lost_tun %llu lost_bad %llu\n",
        (unsigned long long)sent, (unsigned long long)received, (unsigned long long)t.tv_sec * 1000000000u + (unsigned long long)t.tv_nsec, (unsigned long long)receives,
        (unsigned long long)tun_in, (unsigned long long)tun_out, (unsigned long long)lost_send, lost_receive, (unsigned long long)lost_tun, (unsigned long long)lost_bad);
    fflush(stdout);
}

static void open_tun(const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request)) die("TUN");
    int size = sizeof(struct virtio_net_hdr);
    unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (ioctl(tun, TUNSETVNETHDRSZ, &size)) die("TUNSETVNETHDRSZ");
    if (ioctl(tun, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) && ioctl(tun, TUNSETOFFLOAD, tcp)) die("TUNSETOFFLOAD");
}

static struct sockaddr_in address(const char *host, const char *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) die(host);
    return a;
}

int main(int argc, char **argv)
{
    if (argc < 7)
    {
        fprintf(stderr, "usage: tun_forwarder TUN LOCAL_ADDRESS LOCAL_PORT PEER_ADDRESS PEER_PORT CPU [RECEIVE_BUFFER_BYTES]\n");
        return 2;
    }

    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(atoi(argv[6]), &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
    open_tun(argv[1]);

    int one = 1, big = argc > 7 ? atoi(argv[7]) : 32 << 20;
    udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (udp < 0) die("socket");
    if (setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big)) setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    big = 8 << 20;
    if (setsockopt(udp, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big)) setsockopt(udp, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    if (setsockopt(udp, IPPROTO_UDP, UDP_GRO, &one, sizeof one)) die("UDP_GRO");
    setsockopt(udp, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one);
    struct sockaddr_in local = address(argv[2], argv[3]);
    peer = address(argv[4], argv[5]);
    if (bind(udp, (struct sockaddr *)&local, sizeof local)) die("bind");

    for (int i = 0; i < SLOTS; i++)
    {
        in_piece[i] = (struct iovec){ slots[i], SLOT };
        in[i].msg_hdr = (struct msghdr){ .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &in_piece[i], .msg_iovlen = 1, .msg_control = in_control[i], .msg_controllen = CONTROL };
    }

    for (int i = 0; i < SENDS; i++)
    {
        struct cmsghdr *c = (struct cmsghdr *)out_control[i];
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t segment = CELL;
        memcpy(CMSG_DATA(c), &segment, 2);
    }

    memset(flows, 0xFF, sizeof flows);
    puts("ready");
    fflush(stdout);
    struct pollfd fds[3] = { { udp, POLLIN, 0 }, { tun, POLLIN, 0 }, { 0, POLLIN, 0 } };
    for (unsigned turn = 0;; turn++)
    {
        int n = recvmmsg(udp, in, SLOTS, MSG_DONTWAIT, NULL), packets = 0;
        struct { uint8_t *at; int length; } read_in[READS];
        for (uint8_t *at = reads; packets < READS && at + READ_ROOM <= reads + READ_BYTES; packets++)
        {
            ssize_t length = read(tun, at, READ_ROOM) - (ssize_t)sizeof(struct virtio_net_hdr);
            if (length <= 0) break;
            read_in[packets].at = at;
            read_in[packets].length = (int)length;
            at += (sizeof(struct virtio_net_hdr) + (size_t)length + 63) & ~(size_t)63;
        }

        bool idle = n <= 0 && packets == 0;
        if (idle || turn % 1024 == 0)
        {
            if (poll(fds, 3, idle ? 1000 : 0) > 0 && fds[2].revents)
            {
                char line[64];
                if (read(0, line, sizeof line) <= 0) return 0;
                answer();
            }

            if (idle) continue;
        }

        for (int i = 0; i < n; i++)
        {
            int length = (int)in[i].msg_len, segment = length;
            for (struct cmsghdr *c = CMSG_FIRSTHDR(&in[i].msg_hdr); c; c = CMSG_NXTHDR(&in[i].msg_hdr, c))
            {
                if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) memcpy(&segment, CMSG_DATA(c), sizeof segment);
                else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) memcpy(&lost_receive, CMSG_DATA(c), sizeof lost_receive);
            }

            receives++;
            for (int at = 0; at < length && segment > 0; at += segment)
            {
                received++;
                if (entry_count == ENTRIES) { lost_bad++; continue; } // not with our datagrams: 46 to a receive
                take(slots[i] + at, length - at < segment ? length - at : segment);
            }

            in[i].msg_hdr.msg_namelen = sizeof from[i];
            in[i].msg_hdr.msg_controllen = CONTROL;
        }

        tun_in += (uint64_t)packets;
        for (int i = 0; i < packets; i++)
        {
            struct virtio_net_hdr h;
            memcpy(&h, read_in[i].at, sizeof h);
            cut(read_in[i].at + sizeof h, read_in[i].length, &h);
        }

        if (cell_count) send_cells();
        if (group_count) write_groups();
    }
}
