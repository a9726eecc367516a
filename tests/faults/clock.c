/* A wall clock that can be moved: preloaded into a gateway, it adds an offset to every reading of the real-time clock.
 *
 * The file named by FAULTS_CLOCK holds two 64-bit integers in the machine's byte order: the offset in seconds, which the
 * campaign writes, and how many readings were answered with an offset, which we count so that a step that nobody noticed
 * does not pass for a fault. The monotonic clock is left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t still[2];
static volatile int64_t *shared = still;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("FAULTS_CLOCK");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *map = mmap(NULL, sizeof still, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map != MAP_FAILED)
        shared = map;
    close(file);
}

static int64_t offset(void)
{
    int64_t seconds = shared[0];
    if (seconds)
        __atomic_add_fetch(&shared[1], 1, __ATOMIC_RELAXED);
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *result)
{
    if (!real_clock_gettime)
        begin();
    int failed = real_clock_gettime(clock, result);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        result->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    if (!failed) {
        result->tv_sec = now.tv_sec;
        result->tv_usec = now.tv_nsec / 1000;
    }
    return failed;
}

time_t time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}
