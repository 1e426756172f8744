#define _GNU_SOURCE
#include "CLinuxDiagnostics.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// The numbers are kernel ABI; the constants are missing from the C libraries of older distributions.
#define CLINUX_IPPROTO_MPTCP 262
#define CLINUX_SO_COOKIE 57

int clinux_diag_open(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
  if (fd < 0) return -errno;
  struct sockaddr_nl kernel;
  memset(&kernel, 0, sizeof kernel);
  kernel.nl_family = AF_NETLINK;
  if (connect(fd, (struct sockaddr *)&kernel, sizeof kernel) < 0) {
    int failure = errno;
    close(fd);
    return -failure;
  }
  return fd;
}

long clinux_diag_send(int fd, const void *request, size_t length) {
  ssize_t count;
  do {
    count = send(fd, request, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

long clinux_diag_receive(int fd, void *buffer, size_t capacity) {
  struct sockaddr_nl from;
  memset(&from, 0, sizeof from);
  socklen_t size = sizeof from;
  ssize_t count;
  do {
    count = recvfrom(fd, buffer, capacity, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &size);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return -errno;
  return from.nl_pid == 0 ? count : -EPROTO;
}

#define TAKE(field, target, code)                                                                                              \
  do {                                                                                                                         \
    _Static_assert(sizeof((struct tcp_info){0}.field) == sizeof counters->target, "tcp_info." #field);                         \
    if (length < offsetof(struct tcp_info, field) + sizeof counters->target) return code;                                      \
    memcpy(&counters->target, (const char *)info + offsetof(struct tcp_info, field), sizeof counters->target);                 \
  } while (0)

enum clinux_tcp_field clinux_tcp_counters(const void *info, size_t length, struct clinux_tcp_counters *counters) {
  memset(counters, 0, sizeof *counters);
  TAKE(tcpi_bytes_acked, bytes_acked, CLINUX_TCP_BYTES_ACKED);
  TAKE(tcpi_bytes_received, bytes_received, CLINUX_TCP_BYTES_RECEIVED);
  TAKE(tcpi_notsent_bytes, not_sent, CLINUX_TCP_NOT_SENT);
  TAKE(tcpi_bytes_sent, bytes_sent, CLINUX_TCP_BYTES_SENT);
  TAKE(tcpi_bytes_retrans, bytes_retrans, CLINUX_TCP_BYTES_RETRANS);
  return CLINUX_TCP_NONE;
}

int clinux_tcp_progress(int fd, struct clinux_tcp_progress *progress) {
  struct tcp_info info;
  // No more is copied than asked for.
  const socklen_t needed = offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received;
  socklen_t size = needed;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return -errno;
  if (size < needed) return -ENOPROTOOPT;
  progress->state = info.tcpi_state;
  progress->bytes_acked = info.tcpi_bytes_acked;
  progress->bytes_received = info.tcpi_bytes_received;
  return 0;
}

int clinux_socket_cookie(int fd, uint64_t *cookie) {
  socklen_t size = sizeof *cookie;
  return getsockopt(fd, SOL_SOCKET, CLINUX_SO_COOKIE, cookie, &size) < 0 ? -errno : 0;
}

int clinux_mptcp_socket(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, CLINUX_IPPROTO_MPTCP);
  return fd < 0 ? -errno : fd;
}

int clinux_wait_readable(int fd, int milliseconds) {
  struct pollfd poller = {.fd = fd, .events = POLLIN};
  int count = poll(&poller, 1, milliseconds);
  return count < 0 ? -errno : count;
}
