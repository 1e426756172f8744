#ifndef CLINUX_DIAGNOSTICS_H
#define CLINUX_DIAGNOSTICS_H

// NETLINK_SOCK_DIAG (sock_diag(7)): structures from the kernel's own headers, and what needs headers that must not be public.

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stddef.h>
#include <stdint.h>

/// A non-blocking netlink socket for socket diagnostics, connected to the kernel: no other process can put a message into it.
int clinux_diag_open(void);
/// Gives a request to the kernel, which answers within the call: it blocks for as long as the kernel waits for the looked-up socket's lock.
long clinux_diag_send(int fd, const void *request, size_t length);
/// Takes one message. Its real length, which may be more than `capacity`; -EPROTO where it does not come from the kernel.
long clinux_diag_receive(int fd, void *buffer, size_t capacity);

/// The fields of the kernel's tcp_info that are read, in the order in which they are checked.
enum clinux_tcp_field {
  CLINUX_TCP_NONE,
  CLINUX_TCP_BYTES_ACKED,
  CLINUX_TCP_BYTES_RECEIVED,
  CLINUX_TCP_NOT_SENT,
  CLINUX_TCP_BYTES_SENT,
  CLINUX_TCP_BYTES_RETRANS,
};

struct clinux_tcp_counters {
  uint64_t bytes_acked;
  uint64_t bytes_received;
  uint64_t bytes_sent;
  uint64_t bytes_retrans;
  uint32_t not_sent;
};

/// Reads the counters from a tcp_info of `length` bytes. CLINUX_TCP_NONE, or the first field that the kernel did not give.
enum clinux_tcp_field clinux_tcp_counters(const void *info, size_t length, struct clinux_tcp_counters *counters);

/// What TCP has done with the bytes of an own socket.
struct clinux_tcp_progress {
  /// tcpi_state; 3 (TCP_SYN_RECV) while the handshake is not over, which TCP Fast Open allows for an accepted socket.
  uint8_t state;
  /// tcpi_bytes_acked and tcpi_bytes_received.
  uint64_t bytes_acked;
  uint64_t bytes_received;
};
enum { CLINUX_TCP_SYN_RECV = 3 };

/// One getsockopt(TCP_INFO). 0, or a negative errno: ENOPROTOOPT where the kernel's tcp_info ends before these fields (Linux 4.1 has them).
int clinux_tcp_progress(int fd, struct clinux_tcp_progress *progress);

/// The socket's cookie (SO_COOKIE, Linux 4.12), unique until the next boot.
int clinux_socket_cookie(int fd, uint64_t *cookie);
/// An IPPROTO_MPTCP socket, close-on-exec and non-blocking.
int clinux_mptcp_socket(void);
/// Waits until there is something to read: 1, 0 where the time ran out, or a negative errno.
int clinux_wait_readable(int fd, int milliseconds);

#endif
