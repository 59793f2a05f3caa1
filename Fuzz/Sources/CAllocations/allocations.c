#include <pthread.h>
#include <sanitizer/allocator_interface.h>
#include <stdbool.h>

#include "CAllocations.h"

static _Thread_local bool counting;
// What was there before may be freed meanwhile, so the sum can be negative.
static _Thread_local long long live, peak;

static void allocated(const volatile void *address, size_t count) {
  if (!counting || !address) return;
  live += (long long)count;
  if (live > peak) peak = live;
}

static void freed(const volatile void *address) {
  if (!counting || !address) return;
  live -= (long long)__sanitizer_get_allocated_size(address);
}

static void install(void) { __sanitizer_install_malloc_and_free_hooks(allocated, freed); }

void byz_allocations_begin(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
  live = peak = 0;
  counting = true;
}

size_t byz_allocations_end(void) {
  counting = false;
  return (size_t)peak;
}
