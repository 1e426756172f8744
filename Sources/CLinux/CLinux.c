#define _GNU_SOURCE
#include "CLinux.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// <linux/netfilter_ipv4.h> clashes with <netinet/in.h> on older headers; the number is kernel ABI.
#define CLINUX_SO_ORIGINAL_DST 80

static int result(int value) { return value < 0 ? -errno : value; }

uint64_t clinux_monotonic(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int clinux_epoll_create(void) { return result(epoll_create1(EPOLL_CLOEXEC)); }

int clinux_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
  struct epoll_event event = {.events = events, .data.u64 = token};
  return result(epoll_ctl(epoll, operation, fd, &event));
}

int clinux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds) {
  static _Atomic int lacksNanoseconds;
  if (nanoseconds < 0) return result(epoll_wait(epoll, events, capacity, -1));
  if (nanoseconds == 0) return result(epoll_wait(epoll, events, capacity, 0));
  if (!lacksNanoseconds) {
    struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int count = epoll_pwait2(epoll, events, capacity, &timeout, NULL);
    // EPERM is what a container's seccomp filter that is older than the call answers.
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return result(count);
    lacksNanoseconds = 1;
  }
  int64_t milliseconds = (nanoseconds + 999999) / 1000000;
  return result(epoll_wait(epoll, events, capacity, milliseconds > INT_MAX ? INT_MAX : (int)milliseconds));
}

int clinux_timer_slack(unsigned long nanoseconds) { return result(prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0)); }

int clinux_eventfd_create(void) { return result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

int clinux_eventfd_signal(int fd) {
  uint64_t one = 1;
  return write(fd, &one, sizeof one) < 0 && errno != EAGAIN ? -errno : 0;
}

int clinux_eventfd_drain(int fd) {
  uint64_t count;
  return read(fd, &count, sizeof count) < 0 && errno != EAGAIN ? -errno : 0;
}

int clinux_signalfd_create(const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int index = 0; index < count; index++) {
    if (sigaddset(&set, signals[index]) < 0) return -errno;
  }
  int failure = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (failure) return -failure;
  return result(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int clinux_signalfd_next(int fd) {
  struct signalfd_siginfo info;
  ssize_t count = read(fd, &info, sizeof info);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  return count == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

static struct sockaddr_in pack(uint32_t address, uint16_t port) {
  struct sockaddr_in name;
  memset(&name, 0, sizeof name);
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(address);
  name.sin_port = htons(port);
  return name;
}

static void unpack(const struct sockaddr_in *name, uint32_t *address, uint16_t *port) {
  *address = ntohl(name->sin_addr.s_addr);
  *port = ntohs(name->sin_port);
}

int clinux_tcp_socket(void) { return result(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

int clinux_tcp_bind(int fd, uint32_t address, uint16_t port) {
  struct sockaddr_in name = pack(address, port);
  return result(bind(fd, (struct sockaddr *)&name, sizeof name));
}

int clinux_tcp_listen(int fd, int backlog) { return result(listen(fd, backlog)); }

int clinux_tcp_accept(int fd, uint32_t *address, uint16_t *port) {
  struct sockaddr_in name;
  memset(&name, 0, sizeof name);
  socklen_t size = sizeof name;
  int accepted = accept4(fd, (struct sockaddr *)&name, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (accepted < 0) return -errno;
  unpack(&name, address, port);
  return accepted;
}

int clinux_tcp_connect(int fd, uint32_t address, uint16_t port) {
  struct sockaddr_in name = pack(address, port);
  return result(connect(fd, (struct sockaddr *)&name, sizeof name));
}

int clinux_tcp_local(int fd, uint32_t *address, uint16_t *port) {
  struct sockaddr_in name;
  memset(&name, 0, sizeof name);
  socklen_t size = sizeof name;
  if (getsockname(fd, (struct sockaddr *)&name, &size) < 0) return -errno;
  unpack(&name, address, port);
  return 0;
}

int clinux_tcp_remote(int fd, uint32_t *address, uint16_t *port) {
  struct sockaddr_in name;
  memset(&name, 0, sizeof name);
  socklen_t size = sizeof name;
  if (getpeername(fd, (struct sockaddr *)&name, &size) < 0) return -errno;
  unpack(&name, address, port);
  return 0;
}

int clinux_tcp_original_destination(int fd, uint32_t *address, uint16_t *port) {
  struct sockaddr_in name;
  memset(&name, 0, sizeof name);
  socklen_t size = sizeof name;
  if (getsockopt(fd, IPPROTO_IP, CLINUX_SO_ORIGINAL_DST, &name, &size) < 0) return -errno;
  unpack(&name, address, port);
  return 0;
}

int clinux_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

static int set(int fd, int level, int option, int value) { return result(setsockopt(fd, level, option, &value, sizeof value)); }

int clinux_set_reuse_address(int fd) { return set(fd, SOL_SOCKET, SO_REUSEADDR, 1); }
int clinux_set_reuse_port(int fd) { return set(fd, SOL_SOCKET, SO_REUSEPORT, 1); }
int clinux_set_no_delay(int fd) { return set(fd, IPPROTO_TCP, TCP_NODELAY, 1); }
int clinux_set_user_timeout(int fd, unsigned milliseconds) { return set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)milliseconds); }
int clinux_set_mark(int fd, uint32_t mark) { return set(fd, SOL_SOCKET, SO_MARK, (int)mark); }
int clinux_set_send_buffer(int fd, int bytes) { return set(fd, SOL_SOCKET, SO_SNDBUF, bytes); }
int clinux_set_receive_buffer(int fd, int bytes) { return set(fd, SOL_SOCKET, SO_RCVBUF, bytes); }

int clinux_set_keep_alive(int fd, int idle, int interval, int count) {
  int status = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (status == 0 && idle > 0) status = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
  if (status == 0 && interval > 0) status = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
  if (status == 0 && count > 0) status = set(fd, IPPROTO_TCP, TCP_KEEPCNT, count);
  return status;
}

int clinux_set_linger_reset(int fd) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  return result(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

long clinux_receive(int fd, void *buffer, size_t capacity) {
  ssize_t count;
  do {
    count = recv(fd, buffer, capacity, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

long clinux_peek(int fd) {
  char byte;
  ssize_t count;
  do {
    count = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

long clinux_send(int fd, const void *bytes, size_t length) {
  ssize_t count;
  do {
    count = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

long clinux_send_spans(int fd, const struct clinux_span *spans, int length) {
  struct iovec vectors[CLINUX_SPANS_MAX];
  if (length > CLINUX_SPANS_MAX) length = CLINUX_SPANS_MAX;
  for (int index = 0; index < length; index++) {
    vectors[index].iov_base = (void *)spans[index].base;
    vectors[index].iov_len = spans[index].count;
  }
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = vectors;
  message.msg_iovlen = (size_t)(length < 0 ? 0 : length);
  ssize_t count;
  do {
    count = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

int clinux_shutdown_write(int fd) { return result(shutdown(fd, SHUT_WR)); }
int clinux_close(int fd) { return result(close(fd)); }

int clinux_open_append(const char *path, unsigned mode) {
  return result(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, (mode_t)mode));
}

long clinux_write(int fd, const void *bytes, size_t length) {
  ssize_t count;
  do {
    count = write(fd, bytes, length);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

int clinux_wait_writable(int fd, int milliseconds) {
  struct pollfd poller = {.fd = fd, .events = POLLOUT};
  return result(poll(&poller, 1, milliseconds));
}

int clinux_ignore_sigpipe(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_IGN;
  return result(sigaction(SIGPIPE, &action, NULL));
}

int clinux_raise_descriptor_limit(uint64_t *before, uint64_t *after) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  *before = limit.rlim_cur;
  *after = limit.rlim_cur;
  if (limit.rlim_cur == limit.rlim_max) return 0;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  *after = limit.rlim_cur;
  return 0;
}

int clinux_set_descriptor_limit(uint64_t soft) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  limit.rlim_cur = soft;
  return result(setrlimit(RLIMIT_NOFILE, &limit));
}

const char *clinux_errno_name(int number) { return strerrorname_np(number); }

void clinux_errno_text(int number, char *buffer, size_t capacity) {
  if (capacity == 0) return;
  const char *text = strerror_r(number, buffer, capacity);
  if (text != buffer) {
    strncpy(buffer, text, capacity - 1);
    buffer[capacity - 1] = 0;
  }
}

int clinux_send_queue(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}
