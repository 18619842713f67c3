/* Stands between a process and the C library: counts what it does to its run folder and on the
 * network, and kills it, fills its disk or slows it at a chosen event. For tests; by LD_PRELOAD.
 *
 * An event is a call that changes a file below the root (write, sync, truncate, rename, unlink,
 * mkdir) or moves bytes over TCP (send, receive). SQLite's and ChromaDB's are among them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum how { BEFORE, HALF, AFTER, FULL, BROKEN, SLOW };

static atomic_long events;
static long target; /* 0: only count */
static enum how how;
static int report = -1; /* where the last event is told */
static char root[4096]; /* "": nothing is watched */

void campaign_arm(const char *folder, long at, int in_which_way, int tell) {
    target = at, how = in_which_way, report = tell, events = 0;
    snprintf(root, sizeof root, "%s", folder);
}

long campaign_events(void) { return events; }

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    return *root && path && !strncmp(path, root, strlen(root));
}

/* The path of an open file of the run folder, "tcp" for a connection, NULL for anything else. */
static const char *watched(int fd, char *path, size_t size) {
    if (!*root) return NULL;
    struct stat about;
    if (fstat(fd, &about)) return NULL;
    if (S_ISSOCK(about.st_mode)) {
        int domain = 0;
        socklen_t length = sizeof domain;
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length)) return NULL;
        return domain == AF_INET || domain == AF_INET6 ? "tcp" : NULL;
    }
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size - 1);
    if (n < 0) return NULL;
    path[n] = 0;
    return below(path) ? path : NULL;
}

static void rest(long ms) {
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static void die(const char *call, const char *path) {
    char line[5000];
    int n = snprintf(line, sizeof line, "%s %s\n", call, path);
    if (report >= 0 && syscall(SYS_write, report, line, n) < 0) _exit(99);
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Counts an event; returns 1 where it is the chosen one, 2 where it comes after it. */
static int chosen(void) {
    long n = ++events;
    return !target || n < target ? 0 : n == target ? 1 : 2;
}

/* What becomes of a call that changes something: -1 with errno set, or 0 to make it. */
static int met(int is, const char *call, const char *path, int writes) {
    if (!is) return 0;
    if (is == 1 && (how == BEFORE || (how == HALF && !writes))) die(call, path);
    if (how == SLOW) rest(writes ? 1 : 8);
    if (!strcmp(path, "tcp")) return 0;
    if (how == FULL && writes) return errno = ENOSPC, -1;
    if (how == BROKEN && is == 1) return errno = EIO, -1;
    return 0;
}

static void over(int is, const char *call, const char *path) {
    if (is == 1 && how == AFTER) {
        int kept = errno;
        die(call, path);
        errno = kept;
    }
}

/* Writes: half of the bytes go out before the process dies, or before the disk is full. */
#define WRITE(call, size, whole, half) \
    char space[4096]; \
    const char *path = watched(fd, space, sizeof space); \
    if (!path) return whole; \
    int is = chosen(); \
    if (is == 1 && (size) > 1 && (how == HALF || (how == FULL && strcmp(path, "tcp")))) { \
        ssize_t done = half; \
        if (how == HALF) die(call, path); \
        return done; \
    } \
    if (met(is, call, path, 1)) return -1; \
    ssize_t done = whole; \
    over(is, call, path); \
    return done

ssize_t write(int fd, const void *from, size_t size) {
    REAL(write);
    WRITE("write", size, real(fd, from, size), real(fd, from, size / 2));
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
    REAL(pwrite);
    WRITE("pwrite", size, real(fd, from, size, at), real(fd, from, size / 2, at));
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
    REAL(pwrite64);
    WRITE("pwrite", size, real(fd, from, size, at), real(fd, from, size / 2, at));
}

ssize_t writev(int fd, const struct iovec *from, int count) {
    REAL(writev);
    WRITE("writev", count, real(fd, from, count), real(fd, from, count / 2));
}

ssize_t send(int fd, const void *from, size_t size, int flags) {
    REAL(send);
    WRITE("send", size, real(fd, from, size, flags), real(fd, from, size / 2, flags));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg);
    WRITE("send", 1, real(fd, message, flags), 0);
}

ssize_t recv(int fd, void *to, size_t size, int flags) {
    REAL(recv);
    WRITE("recv", 1, real(fd, to, size, flags), 0);
}

#define OPEN_FILE(call, made) \
    char space[4096]; \
    const char *path = watched(fd, space, sizeof space); \
    if (!path) return made; \
    int is = chosen(); \
    if (met(is, call, path, 0)) return -1; \
    int done = made; \
    over(is, call, path); \
    return done

int fsync(int fd) { REAL(fsync); OPEN_FILE("fsync", real(fd)); }
int fdatasync(int fd) { REAL(fdatasync); OPEN_FILE("fsync", real(fd)); }
int ftruncate(int fd, off_t to) { REAL(ftruncate); OPEN_FILE("truncate", real(fd, to)); }
int ftruncate64(int fd, off64_t to) { REAL(ftruncate64); OPEN_FILE("truncate", real(fd, to)); }

#define NAMED(call, name, made) \
    if (!below(name)) return made; \
    int is = chosen(); \
    if (met(is, call, name, 0)) return -1; \
    int done = made; \
    over(is, call, name); \
    return done

int rename(const char *from, const char *to) { REAL(rename); NAMED("rename", to, real(from, to)); }
int unlink(const char *name) { REAL(unlink); NAMED("unlink", name, real(name)); }
int mkdir(const char *name, mode_t mode) { REAL(mkdir); NAMED("mkdir", name, real(name, mode)); }
