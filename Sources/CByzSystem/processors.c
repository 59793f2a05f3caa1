#define _GNU_SOURCE
#include "CByzSystem.h"

#include <errno.h>

#if defined(__linux__)

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

static struct {
  int (*node_of_cpu)(int);
  int (*run_on_node)(int);
  void (*set_localalloc)(void);
} numa;

static void load_numa(void) {
  void *library = dlopen("libnuma.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
  int (*available)(void) = (int (*)(void))dlsym(library, "numa_available");
  if (!available || available() < 0) return;
  numa.node_of_cpu = (int (*)(int))dlsym(library, "numa_node_of_cpu");
  numa.run_on_node = (int (*)(int))dlsym(library, "numa_run_on_node");
  numa.set_localalloc = (void (*)(void))dlsym(library, "numa_set_localalloc");
}

static void load_numa_once(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load_numa);
}

int byz_pin_thread(int cpu) {
  if (cpu < 0 || cpu >= CPU_SETSIZE) return -EINVAL;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int byz_node_of_cpu(int cpu) {
  load_numa_once();
  if (!numa.node_of_cpu) return -ENOSYS;
  const int node = numa.node_of_cpu(cpu);
  return node < 0 ? -EINVAL : node;
}

int byz_run_on_node(int node) {
  load_numa_once();
  if (!numa.run_on_node) return -ENOSYS;
  if (numa.run_on_node(node) < 0) return -errno;
  if (numa.set_localalloc) numa.set_localalloc();
  return 0;
}

#else

int byz_pin_thread(int cpu) { return -ENOSYS; }
int byz_node_of_cpu(int cpu) { return -ENOSYS; }
int byz_run_on_node(int node) { return -ENOSYS; }

#endif
