// malloc and its kin, in front of glibc's, which keeps its own under other names. A test executable that defines them is where all
// libraries it loads find them.
#include "ByzTestSupport.h"

#include <errno.h>
#include <stdlib.h>

static _Thread_local bool measuring;
// Below 0 where more is freed than was allocated since the start.
static _Thread_local ptrdiff_t held, peak;

void byz_test_start_measuring(void) {
  held = peak = 0;
  measuring = true;
}

size_t byz_test_peak_memory(void) {
  measuring = false;
  return (size_t)peak;
}

#if defined(__GLIBC__) && !__has_feature(thread_sanitizer) && !__has_feature(address_sanitizer)

#include <malloc.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

bool byz_test_can_measure_memory(void) { return true; }

static void *taken(void *memory) {
  if (measuring && memory) {
    held += (ptrdiff_t)malloc_usable_size(memory);
    if (held > peak) peak = held;
  }
  return memory;
}

static void given(void *memory) {
  if (measuring && memory) held -= (ptrdiff_t)malloc_usable_size(memory);
}

void *malloc(size_t bytes) { return taken(__libc_malloc(bytes)); }
void *calloc(size_t count, size_t size) { return taken(__libc_calloc(count, size)); }
void *aligned_alloc(size_t alignment, size_t bytes) { return taken(__libc_memalign(alignment, bytes)); }
void *memalign(size_t alignment, size_t bytes) { return taken(__libc_memalign(alignment, bytes)); }

void *realloc(void *memory, size_t bytes) {
  given(memory);
  return taken(__libc_realloc(memory, bytes));
}

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  if (alignment == 0 || alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
  void *fresh = taken(__libc_memalign(alignment, bytes));
  if (!fresh) return ENOMEM;
  *memory = fresh;
  return 0;
}

void free(void *memory) {
  given(memory);
  __libc_free(memory);
}

#else

bool byz_test_can_measure_memory(void) { return false; }

#endif
