#define _GNU_SOURCE
#include "CByzSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#if defined(__linux__) && defined(O_TMPFILE)

enum { LINK_SIZE = 32 };

/// Where the system shows an open file, whatever its name is.
static void describe_link(char link[LINK_SIZE], int fd) {
  snprintf(link, LINK_SIZE, "/proc/self/fd/%d", fd);
}

int byz_open_nameless(const char *folder) {
  const int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
  if (fd < 0) return -errno;
  char link[LINK_SIZE];
  describe_link(link, fd);
  // Without /proc it would never get a name.
  if (access(link, F_OK)) {
    const int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int byz_name_file(int fd, const char *path) {
  char link[LINK_SIZE];
  describe_link(link, fd);
  return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

#else

int byz_open_nameless(const char *folder) { return -ENOSYS; }
int byz_name_file(int fd, const char *path) { return -ENOSYS; }

#endif
