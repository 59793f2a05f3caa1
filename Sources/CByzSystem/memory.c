#define _GNU_SOURCE
#include "CByzSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)

int byz_memory_create(const char *name, size_t byte_count) {
  const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return -errno;
  // Whoever maps memory that another process then shortens dies of SIGBUS.
  if (ftruncate(fd, (off_t)byte_count) ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
    const int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

void *byz_memory_map(int fd, size_t byte_count, bool writable, int *error) {
  void *address = mmap(NULL, byte_count, PROT_READ | (writable ? PROT_WRITE : 0),
                       MAP_SHARED | MAP_NORESERVE, fd, 0);
  *error = address == MAP_FAILED ? errno : 0;
  return address == MAP_FAILED ? NULL : address;
}

int byz_memory_discard(int fd, size_t offset, size_t byte_count) {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                   (off_t)byte_count)
             ? -errno
             : 0;
}

#else

int byz_memory_create(const char *name, size_t byte_count) { return -ENOSYS; }
void *byz_memory_map(int fd, size_t byte_count, bool writable, int *error) {
  *error = ENOSYS;
  return NULL;
}
int byz_memory_discard(int fd, size_t offset, size_t byte_count) { return -ENOSYS; }

#endif

int64_t byz_memory_size(int fd) {
  struct stat status;
  return fstat(fd, &status) ? -errno : (int64_t)status.st_size;
}

void byz_memory_unmap(void *address, size_t byte_count) { munmap(address, byte_count); }

uint64_t byz_physical_memory(void) {
#if defined(_SC_PHYS_PAGES)
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
#else
  return 0;
#endif
}

bool byz_is_address_sanitized(void) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  return true;
#endif
#endif
  return false;
}
