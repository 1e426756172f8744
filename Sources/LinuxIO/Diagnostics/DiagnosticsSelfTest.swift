/// What a trial on an own pair of loopback connections showed of this kernel's socket diagnostics.
public enum DiagnosticsSelfTest: Equatable, Sendable {
  /// Every number was what the bytes written and read make it.
  case works(mptcp: MPTCPVisibility)
  /// The kernel, a seccomp filter or a security module forbids it.
  case refused(SystemFailure)
  /// The kernel does not find the own connection: it has no inet_diag or tcp_diag.
  case unknownToKernel
  /// `tcp_info` is too short.
  case kernelTooOld(field: TCPInfoField, length: Int)
  /// A number that is not what the traffic makes it.
  case wrongNumber(CheckedNumber, expected: UInt64, found: UInt64)
  /// An answer that cannot be read, or another socket's.
  case unreadable(DiagnosticsFailure)
  /// The trial itself could not be made.
  case notTried(SystemFailure)

  /// Whether a caller with an upper layer on its socket can be told from a plain one.
  public enum MPTCPVisibility: Sendable {
    /// An own MPTCP socket was reported as such.
    case shown
    /// An own MPTCP socket looked like a plain one: older kernels tell CAP_NET_ADMIN only.
    case hidden
    /// There is no MPTCP here: nobody can have such a socket.
    case absent
  }

  /// The numbers that the trial checks.
  public enum CheckedNumber: String, Sendable, CaseIterable {
    case cookie, state, rqueue, wqueue, bytesReceived
    /// `bytes_sent - bytes_retrans + notsent_bytes`.
    case bytesWritten = "bytesSent - bytesRetrans + notSent"
    /// `bytes_acked + wqueue - 1`.
    case bytesAcked = "bytesAcked + wqueue - 1"
  }

  /// The numbers can be relied on. (With `mptcp: .hidden` for callers that are plain TCP.)
  public var isUsable: Bool {
    if case .works = self { return true }
    return false
  }
}

extension DiagnosticsSelfTest: CustomStringConvertible {
  /// A sentence for the operator: what was found, and what would be right.
  public var description: String {
    switch self {
    case .works(.shown), .works(.absent):
      "socket diagnostics work"
    case .works(.hidden):
      "socket diagnostics work, but this kernel does not show which callers use MPTCP: grant CAP_NET_ADMIN, or use a newer kernel"
    case .refused(let failure):
      "socket diagnostics are forbidden here (\(failure)): allow netlink sockets (AF_NETLINK, NETLINK_SOCK_DIAG) in the seccomp profile, "
        + "systemd's RestrictAddressFamilies and the SELinux or AppArmor policy"
    case .unknownToKernel:
      "the kernel does not find even this program's own connection: load the modules inet_diag and tcp_diag"
    case .kernelTooOld(let field, let length):
      "the kernel's tcp_info has \(length) bytes and lacks \(field.rawValue): Linux 4.19 or newer is needed"
    case .wrongNumber(let number, let expected, let found):
      "the kernel's socket diagnostics are wrong for this program's own connection: \(number.rawValue) is \(found) where \(expected) is right"
    case .unreadable(let failure):
      "the kernel's answer about this program's own connection cannot be used: \(failure)"
    case .notTried(let failure):
      "socket diagnostics could not be tried on an own loopback connection (\(failure))"
    }
  }
}

extension DiagnosticsFailure: CustomStringConvertible {
  /// What happened, with the kernel's reason where there is one.
  public var description: String {
    switch self {
    case .notFound: "no such socket in this network namespace"
    case .refused(let failure): "refused: \(failure)"
    case .truncated(let field, let length): "tcp_info has \(length) bytes and lacks \(field.rawValue)"
    case .wrongTuple(let tuple, let state): "found another socket, \(tuple) in state \(state)"
    case .malformed(let reason): reason.rawValue
    case .system(let failure): failure.description
    }
  }
}
