// The main of a test executable is the test runner's. This stands before the function of the C library that calls main, and hands it
// another main in a worker. Not a constructor: those run before libraries that Swift's tasks need have been set up.
#define _GNU_SOURCE
#include "CByzTesting.h"

#include <string.h>

// Only known once a header of the C library has been read.
#if defined(__GLIBC__)

#include <dlfcn.h>

typedef int (*main_function)(int, char **, char **);
typedef int (*start_function)(main_function, int, char **, void (*)(void), void (*)(void),
                              void (*)(void), void *);

static int worker_main(int argc, char **argv, char **environment) {
  byzkit_test_worker_main();
  return 0;
}

__attribute__((visibility("default"))) int __libc_start_main(
    main_function main, int argc, char **argv, void (*init)(void), void (*fini)(void),
    void (*rtld_fini)(void), void *stack_end) {
  start_function start = (start_function)dlsym(RTLD_NEXT, "__libc_start_main");
  // The C library has not set up its environment yet; it lies behind the arguments.
  for (char **entry = argv + argc + 1; *entry; entry++)
    if (byzkit_test_worker_main && strncmp(*entry, "BYZKIT_WORKER=", 14) == 0) main = worker_main;
  return start(main, argc, argv, init, fini, rtld_fini, stack_end);
}

#endif
