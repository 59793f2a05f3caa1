#define _GNU_SOURCE
#include "CByzSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)

#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

extern char **environ;

static bool same_name(const char *a, const char *b) {
  const size_t length = strcspn(a, "=");
  return strncmp(a, b, length) == 0 && b[length] == '=';
}

/// The additions, then what the environment has of other names. The strings are not copied.
static char **environment_with(const char *const *additions) {
  size_t added = 0, inherited = 0;
  while (additions[added]) added++;
  while (environ && environ[inherited]) inherited++;
  char **result = malloc((added + inherited + 1) * sizeof *result);
  if (!result) return NULL;
  size_t n = 0;
  for (size_t i = 0; i < added; i++) result[n++] = (char *)additions[i];
  for (size_t i = 0; i < inherited; i++) {
    bool replaced = false;
    for (size_t j = 0; j < added; j++) replaced = replaced || same_name(additions[j], environ[i]);
    if (!replaced) result[n++] = environ[i];
  }
  result[n] = NULL;
  return result;
}

/// What the child does before it executes: `copies` become first, first + 1, …
static int describe_descriptors(posix_spawn_file_actions_t *actions, const int *copies, int count,
                                int first) {
  int error = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
  for (int i = 0; i < count && !error; i++)
    if (copies[i] >= 0) error = posix_spawn_file_actions_adddup2(actions, copies[i], first + i);
#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 34)
  // Descriptors of the program's own, or of its other libraries, that are not close-on-exec.
  for (int fd = 3; fd < first && !error; fd++)
    error = posix_spawn_file_actions_addclose(actions, fd);
  for (int i = 0; i < count && !error; i++)
    if (copies[i] < 0) error = posix_spawn_file_actions_addclose(actions, first + i);
  if (!error) error = posix_spawn_file_actions_addclosefrom_np(actions, first + count);
#endif
#endif
  return error;
}

int byz_spawn(const char *path, const char *const *arguments, const char *const *additions,
              const int *fds, int count, int first, pid_t *pid, int *pidfd) {
  enum { LIMIT = 16 };
  if (count > LIMIT) return -E2BIG;
  int copies[LIMIT];
  int error = 0;
  // Out of the way of the numbers that the child will have, or one could overwrite the next.
  for (int i = 0; i < count; i++) {
    copies[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, first + count);
    if (fds[i] >= 0 && copies[i] < 0 && !error) error = errno;
  }
  // Nobody of this library changes it meanwhile, and the child gets none of what is set for a library only.
  byz_environment_lock();
  char **environment = environment_with(additions);
  byz_environment_unlock();
  if (!environment && !error) error = ENOMEM;
  if (!error) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    error = describe_descriptors(&actions, copies, count, first);
    // The thread that spawns may block signals; the child must not inherit that.
    sigset_t none;
    sigemptyset(&none);
    if (!error) error = posix_spawnattr_setsigmask(&attributes, &none);
    if (!error) error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (!error)
      error = posix_spawn(pid, path ? path : "/proc/self/exe", &actions, &attributes,
                          (char *const *)arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
  free(environment);
  for (int i = 0; i < count; i++) byz_close(copies[i]);
  if (error) return -error;
  *pidfd = byz_open_process(*pid);
  return 0;
}

int byz_open_process(pid_t pid) {
#if defined(SYS_pidfd_open)
  return (int)syscall(SYS_pidfd_open, pid, 0);  // close-on-exec by definition
#else
  return -1;
#endif
}

int byz_kill(pid_t pid, int pidfd) {
#if defined(SYS_pidfd_send_signal)
  if (pidfd >= 0) return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) ? -errno : 0;
#endif
  return kill(pid, SIGKILL) ? -errno : 0;
}

int byz_wait_for_exit(int pidfd, int milliseconds) {
  struct pollfd event = {.fd = pidfd, .events = POLLIN};
  int ready;
  do ready = poll(&event, pidfd >= 0, milliseconds);
  while (ready < 0 && errno == EINTR);
  return ready < 0 ? -errno : ready;
}

int byz_die_with_parent(int socket) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL)) return -errno;
  struct ucred maker;
  socklen_t size = sizeof maker;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &maker, &size)) return -errno;
  if (maker.pid != getppid()) _exit(1);
  return 0;
}

#else

int byz_spawn(const char *path, const char *const *arguments, const char *const *additions,
              const int *fds, int count, int first, pid_t *pid, int *pidfd) {
  return -ENOSYS;
}
int byz_open_process(pid_t pid) { return -1; }
int byz_kill(pid_t pid, int pidfd) { return kill(pid, SIGKILL) ? -errno : 0; }
int byz_wait_for_exit(int pidfd, int milliseconds) { return -ENOSYS; }
int byz_die_with_parent(int socket) { return -ENOSYS; }

#endif

int byz_reap(pid_t pid) {
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -errno;
  return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}
