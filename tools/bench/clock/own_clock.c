/* A clock of its own for a program that steers the machine's (ptp4l, chronyd), so that what it makes of its measurements
   can be held against the truth while the machine's clock stays as it is. Preloaded: what the program reads and sets of
   CLOCK_REALTIME, and the stamps that the kernel gives its packets, are those of the own clock, a line over the
   machine's. At every adjustment a line in the file OWN_CLOCK says how far it is from the machine's: one reading tells
   both, so the difference is exact. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>

typedef long long ns_t;
static const ns_t SECOND = 1000000000;
/* Ahead of the machine's clock by `ahead` at `since`, and by `rate` more each second. */
static ns_t since;
static double ahead, rate;
static struct timex state = {.tick = 10000, .status = STA_UNSYNC, .tolerance = 500 << 16};

static ns_t to_ns(const struct timespec *at) { return at->tv_sec * SECOND + at->tv_nsec; }
static struct timespec of_ns(ns_t at) { return (struct timespec){at / SECOND, at % SECOND}; }
static double ahead_at(ns_t machine) { return ahead + (machine - since) * rate; }
static struct timespec own(ns_t machine) { return of_ns(machine + (ns_t)ahead_at(machine)); }

static int machine_clock(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    return real(clock, at);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int done = machine_clock(clock, at);
    if (done == 0 && clock == CLOCK_REALTIME) *at = own(to_ns(at));
    return done;
}

static void tell(double error) {
    static FILE *file;
    if (!file) file = fopen(getenv("OWN_CLOCK"), "w");
    if (file) { fprintf(file, "%.0f\n", error); fflush(file); }
}

int clock_adjtime(clockid_t clock, struct timex *asked) {
    struct timespec at;
    machine_clock(CLOCK_REALTIME, &at);
    ns_t now = to_ns(&at);
    if (asked->modes & (ADJ_FREQUENCY | ADJ_TICK | ADJ_SETOFFSET)) tell(ahead_at(now));
    ahead = ahead_at(now), since = now;
    if (asked->modes & ADJ_SETOFFSET)
        ahead += asked->time.tv_sec * (double)SECOND + asked->time.tv_usec * (asked->modes & ADJ_NANO ? 1.0 : 1e3);
    if (asked->modes & ADJ_FREQUENCY) state.freq = asked->freq;
    if (asked->modes & ADJ_TICK) state.tick = asked->tick;
    if (asked->modes & ADJ_STATUS) state.status = asked->status;
    rate = state.freq / 65536e6 + (state.tick - 10000) / 1e4;
    struct timespec then = own(now);
    unsigned modes = asked->modes;
    *asked = state;
    asked->modes = modes;
    asked->time.tv_sec = then.tv_sec, asked->time.tv_usec = then.tv_nsec / 1000;
    return TIME_OK;
}
int adjtimex(struct timex *asked) { return clock_adjtime(CLOCK_REALTIME, asked); }
int ntp_adjtime(struct timex *asked) { return clock_adjtime(CLOCK_REALTIME, asked); }

static void restamp(struct msghdr *message) {
    for (struct cmsghdr *note = CMSG_FIRSTHDR(message); note; note = CMSG_NXTHDR(message, note)) {
        int is_stamp = note->cmsg_type == SCM_TIMESTAMPING || note->cmsg_type == SCM_TIMESTAMPNS;
        if (note->cmsg_level != SOL_SOCKET || !is_stamp) continue;
        struct timespec at;
        memcpy(&at, CMSG_DATA(note), sizeof at);
        if (to_ns(&at)) at = own(to_ns(&at));
        memcpy(CMSG_DATA(note), &at, sizeof at);
    }
}

ssize_t recvmsg(int socket, struct msghdr *message, int flags) {
    static ssize_t (*real)(int, struct msghdr *, int);
    if (!real) real = dlsym(RTLD_NEXT, "recvmsg");
    ssize_t read = real(socket, message, flags);
    if (read >= 0) restamp(message);
    return read;
}

int recvmmsg(int socket, struct mmsghdr *messages, unsigned room, int flags, struct timespec *wait) {
    static int (*real)(int, struct mmsghdr *, unsigned, int, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "recvmmsg");
    int read = real(socket, messages, room, flags, wait);
    for (int at = 0; at < read; at++) restamp(&messages[at].msg_hdr);
    return read;
}
