#define _GNU_SOURCE
#include "CByzSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__linux__)

int byz_socket_pair(int sockets[2]) {
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets)) return -errno;
  // The system grants what its own limit allows; the default is a quarter of that or less.
  const int size = 4 << 20;
  for (int i = 0; i < 2; i++) setsockopt(sockets[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  return 0;
}

ssize_t byz_send(int socket, const struct iovec *pieces, int count) {
  struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count};
  ssize_t sent;
  do sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

int byz_passage_pair(int sockets[2]) {
  return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) ? -errno : 0;
}

int byz_pass_descriptor(int socket, uint64_t number, int fd) {
  union {
    struct cmsghdr header;  // for its alignment
    char bytes[CMSG_SPACE(sizeof fd)];
  } control = {0};
  struct iovec piece = {.iov_base = &number, .iov_len = sizeof number};
  struct msghdr message = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ssize_t sent;
  do sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : 0;
}

int byz_take_descriptor(int socket, uint64_t *number) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec piece = {.iov_base = number, .iov_len = sizeof *number};
  struct msghdr message = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  ssize_t received;
  do received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (received < 0 && errno == EINTR);
  if (received < 0) return -errno;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
    return -EPIPE;
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  if (received == sizeof *number) return fd;
  close(fd);
  return -EPROTO;
}

#else

int byz_passage_pair(int sockets[2]) { return -ENOSYS; }
int byz_pass_descriptor(int socket, uint64_t number, int fd) { return -ENOSYS; }
int byz_take_descriptor(int socket, uint64_t *number) { return -ENOSYS; }
int byz_socket_pair(int sockets[2]) { return -ENOSYS; }
ssize_t byz_send(int socket, const struct iovec *pieces, int count) { return -ENOSYS; }

#endif

int byz_close_on_exec(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0; }

ssize_t byz_receive(int socket, void *bytes, size_t count, bool waits) {
  while (true) {
    ssize_t received = recv(socket, bytes, count, MSG_DONTWAIT);
    if (received >= 0) return received;
    if (errno == EINTR) continue;
    if (errno != EAGAIN || !waits) return -errno;
    // Not in recv: there Linux wakes a thread each time the other side has taken what was sent to it.
    struct pollfd event = {.fd = socket, .events = POLLIN};
    if (poll(&event, 1, -1) < 0 && errno != EINTR) return -errno;
  }
}

int byz_wait_until_writable(int socket) {
  struct pollfd event = {.fd = socket, .events = POLLOUT};
  int ready;
  do ready = poll(&event, 1, -1);
  while (ready < 0 && errno == EINTR);
  return ready < 0 ? -errno : 0;
}

void byz_shut_down(int socket, bool both) { shutdown(socket, both ? SHUT_RDWR : SHUT_WR); }

void byz_close(int fd) {
  if (fd >= 0) close(fd);
}
