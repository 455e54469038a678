/* MPI as over a slow link: every sum over processes is done at the earliest SLOW_MPI_LATENCY seconds plus its bytes
 * divided by SLOW_MPI_BANDWIDTH after it began. The processes go on computing meanwhile, as with a real link.
 * benchmarks/distributed.py compiles it and gives it to the native library in the place of MPI (ANEJAX_MPI).
 *
 * Handles and requests are passed on as they come: 64-bit words, whatever MPI library is behind (native/src/processes.cpp). */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define MOST 4096

static struct {
  const void* request;
  double due;
} waiting[MOST]; /* one thread at a time asks MPI */

static void* real(const char* name) {
  static void* library;
  if (!library) library = dlopen(getenv("SLOW_MPI_LIBRARY"), RTLD_NOW | RTLD_GLOBAL);
  return library ? dlsym(library, name) : NULL;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double setting(const char* name) { return strtod(getenv(name), NULL); }

int MPI_Iallreduce(const void* from, void* to, int count, uint64_t type, uint64_t op, uint64_t comm, void* request) {
  int (*call)(const void*, void*, int, uint64_t, uint64_t, uint64_t, void*) = real("MPI_Iallreduce");
  const double bytes = 4.0 * count; /* gradients are float32 */
  for (int i = 0; i < MOST; ++i) {
    if (waiting[i].request) continue;
    waiting[i].request = request;
    waiting[i].due = now() + setting("SLOW_MPI_LATENCY") + bytes / setting("SLOW_MPI_BANDWIDTH");
    break;
  }
  return call(from, to, count, type, op, comm, request);
}

int MPI_Test(void* request, int* done, void* status) {
  int (*call)(void*, int*, void*) = real("MPI_Test");
  for (int i = 0; i < MOST; ++i) {
    if (waiting[i].request != request) continue;
    if (now() < waiting[i].due) return *done = 0;
    waiting[i].request = NULL;
    break;
  }
  return call(request, done, status);
}
