/* Preloaded into a terminal's daemon: notes each flush, and makes it as slow as a worse disk's.
 *
 * Every fsync and fdatasync of the process is carried out in full; then it sleeps for the delay
 * that stands in a shared file, and notes when it began and ended. benchmarks/ward/flushes.py lays
 * that file out, reads it, and changes the delay while the daemon runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KEPT 65536

struct flush { uint64_t began_ns, ended_ns; };
struct shared { _Atomic uint64_t delay_us, count; struct flush kept[KEPT]; };

static struct shared *shared;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WARD_FLUSHES");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *there = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (there != MAP_FAILED)
        shared = there;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int flush(const char *name, int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (!shared)
        return real(file);
    uint64_t began_ns = now_ns();
    int result = real(file), error = errno;
    uint64_t delay_us = atomic_load(&shared->delay_us);
    if (delay_us) {
        struct timespec left = { delay_us / 1000000, (long)(delay_us % 1000000) * 1000 };
        while (nanosleep(&left, &left) && errno == EINTR) { }
    }
    struct flush *mine = &shared->kept[atomic_fetch_add(&shared->count, 1) % KEPT];
    mine->began_ns = began_ns;
    mine->ended_ns = now_ns();
    errno = error;
    return result;
}

int fsync(int file) { return flush("fsync", file); }
int fdatasync(int file) { return flush("fdatasync", file); }
