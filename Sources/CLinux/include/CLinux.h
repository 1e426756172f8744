#ifndef CLINUX_H
#define CLINUX_H

// What the Glibc module does not carry, in plain integers. TOOLCHAIN.md: no <linux/tcp.h>, <sys/socket.h> or <netinet/*> here.
// Every function that can fail returns a negative errno, so that no caller has to read the thread's errno after the fact.
// Addresses and ports are in host byte order.

#include "CLinuxDiagnostics.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

// Clock and epoll.

uint64_t clinux_monotonic(void);
int clinux_epoll_create(void);
int clinux_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t token);
/// Waits at most `nanoseconds`, for ever where it is negative. With epoll_pwait2 (Linux 5.11) the wait is exact, else it is rounded up to 1 ms.
int clinux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds);

static inline uint64_t clinux_event_token(const struct epoll_event *event) { return event->data.u64; }
static inline uint32_t clinux_event_bits(const struct epoll_event *event) { return event->events; }

// Counters and signals as descriptors.

int clinux_eventfd_create(void);
/// By how much timers of the calling thread may be late, so that the kernel can fire several at once (PR_SET_TIMERSLACK of prctl(2)).
int clinux_timer_slack(unsigned long nanoseconds);
int clinux_eventfd_signal(int fd);
int clinux_eventfd_drain(int fd);
/// Blocks the signals in the calling thread and returns a non-blocking signalfd for them.
int clinux_signalfd_create(const int *signals, int count);
/// The number of the next pending signal, 0 where there is none.
int clinux_signalfd_next(int fd);

// TCP sockets. All of them are close-on-exec and non-blocking.

int clinux_tcp_socket(void);
int clinux_tcp_bind(int fd, uint32_t address, uint16_t port);
int clinux_tcp_listen(int fd, int backlog);
int clinux_tcp_accept(int fd, uint32_t *address, uint16_t *port);
int clinux_tcp_connect(int fd, uint32_t address, uint16_t port);
int clinux_tcp_local(int fd, uint32_t *address, uint16_t *port);
int clinux_tcp_remote(int fd, uint32_t *address, uint16_t *port);
int clinux_tcp_original_destination(int fd, uint32_t *address, uint16_t *port);
/// The socket's pending error as a positive errno, 0 where there is none; reading clears it.
int clinux_socket_error(int fd);

int clinux_set_reuse_address(int fd);
int clinux_set_reuse_port(int fd);
int clinux_set_no_delay(int fd);
/// `idle` and `interval` in seconds; 0 leaves the kernel's value.
int clinux_set_keep_alive(int fd, int idle, int interval, int count);
int clinux_set_user_timeout(int fd, unsigned milliseconds);
int clinux_set_mark(int fd, uint32_t mark);
int clinux_set_send_buffer(int fd, int bytes);
int clinux_set_receive_buffer(int fd, int bytes);
/// Makes the next close() send RST instead of FIN.
int clinux_set_linger_reset(int fd);

// One system call each; EINTR is retried.

long clinux_receive(int fd, void *buffer, size_t capacity);
/// Looks at the next byte and leaves it: 1, 0 at the end of the stream, or a negative errno.
long clinux_peek(int fd);

/// Bytes in the send queue that the other end has not acknowledged (SIOCOUTQ, tcp(7)), or -errno.
int clinux_send_queue(int fd);
long clinux_send(int fd, const void *bytes, size_t count);

struct clinux_span {
  const void *base;
  size_t count;
};
enum { CLINUX_SPANS_MAX = 16 };
/// Gathers up to CLINUX_SPANS_MAX spans into one sendmsg().
long clinux_send_spans(int fd, const struct clinux_span *spans, int count);
int clinux_shutdown_write(int fd);
int clinux_close(int fd);

// Files and the process.

int clinux_open_append(const char *path, unsigned mode);
long clinux_write(int fd, const void *bytes, size_t count);
/// Waits until the descriptor can be written (a log pipe may be non-blocking because another process made it so).
int clinux_wait_writable(int fd, int milliseconds);
int clinux_ignore_sigpipe(void);
/// Raises the soft RLIMIT_NOFILE to the hard one; the value before and the value after are stored.
int clinux_raise_descriptor_limit(uint64_t *before, uint64_t *after);
int clinux_set_descriptor_limit(uint64_t soft);
/// The name of an errno ("ECONNREFUSED"), or NULL where the C library knows none.
const char *clinux_errno_name(int number);
/// The text of an errno ("Connection refused"), written into `buffer`.
void clinux_errno_text(int number, char *buffer, size_t capacity);

#endif
