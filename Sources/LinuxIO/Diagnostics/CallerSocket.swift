public import NetEndpoint

/// A TCP connection as the one who opened it sees it.
public struct SocketTuple: Hashable, Sendable {
  /// Its own address and port.
  public var source: Endpoint
  /// What it connected to, before any netfilter rule.
  public var destination: Endpoint

  /// Takes both ends.
  public init(source: Endpoint, destination: Endpoint) {
    self.source = source
    self.destination = destination
  }
}

extension SocketTuple: CustomStringConvertible {
  /// `a.b.c.d:port > a.b.c.d:port`.
  public var description: String { "\(source) > \(destination)" }
}

/// What the kernel tells of one TCP socket of this network namespace. Numbers only; what they prove is for the caller of this API to say.
///
/// `rqueue` and `wqueue` are sampled before `counters`, and without the socket's lock: the two halves can be of different instants.
public struct CallerSocket: Equatable, Sendable {
  /// `TCP_ESTABLISHED` of the kernel's states.
  public static let established: UInt8 = 1

  /// The socket's identity until the next boot, as `SO_COOKIE` gives it to the socket's owner.
  public var cookie: UInt64
  /// Its tuple, always the one asked for.
  public var tuple: SocketTuple
  /// It is an `AF_INET6` socket with IPv4-mapped addresses (Go's default for a socket that listens, not for one that dials IPv4).
  public var isMapped: Bool
  /// The TCP state, `established` or another number of the kernel's.
  public var state: UInt8
  /// Bytes (and a FIN) received in order and not yet read. Data in the socket's backlog are not counted yet.
  public var rqueue: UInt32
  /// Bytes (and a SYN or FIN) written and not yet acknowledged.
  public var wqueue: UInt32
  /// The inode of the owner's descriptor, 0 where no process holds it any more.
  public var inode: UInt32
  /// The user who owns it.
  public var uid: UInt32
  /// An upper layer (MPTCP, kTLS, …) is attached: the application does not read from this queue. Nil where the counters were not asked for:
  /// the kernel tells it only along with them, and older kernels tell it to CAP_NET_ADMIN only (`SocketDiagnostics.selfTest` says which).
  public var hasULP: Bool?
  /// Byte counts, where they were asked for.
  public var counters: Counters?

  /// The counts of the kernel's `tcp_info` (RFC 4898). A FIN counts as one byte in `bytesReceived` and in `bytesAcked`, the SYN in `bytesAcked`.
  public struct Counters: Equatable, Sendable {
    /// Bytes received in order, whether read or not.
    public var bytesReceived: UInt64
    /// Bytes given to the network, retransmissions included.
    public var bytesSent: UInt64
    /// Bytes given to the network again.
    public var bytesRetrans: UInt64
    /// Bytes that the other end acknowledged.
    public var bytesAcked: UInt64
    /// Bytes written and not yet given to the network.
    public var notSent: UInt32

    /// Takes all counts.
    public init(bytesReceived: UInt64, bytesSent: UInt64, bytesRetrans: UInt64, bytesAcked: UInt64, notSent: UInt32) {
      self.bytesReceived = bytesReceived
      self.bytesSent = bytesSent
      self.bytesRetrans = bytesRetrans
      self.bytesAcked = bytesAcked
      self.notSent = notSent
    }
  }

  /// Takes every number; for tests and models.
  public init(
    cookie: UInt64, tuple: SocketTuple, isMapped: Bool, state: UInt8, rqueue: UInt32, wqueue: UInt32, inode: UInt32, uid: UInt32,
    hasULP: Bool?, counters: Counters?
  ) {
    self.cookie = cookie
    self.tuple = tuple
    self.isMapped = isMapped
    self.state = state
    self.rqueue = rqueue
    self.wqueue = wqueue
    self.inode = inode
    self.uid = uid
    self.hasULP = hasULP
    self.counters = counters
  }

  /// The state is ESTABLISHED.
  public var isEstablished: Bool { state == CallerSocket.established }
}

/// Why a look-up gave no numbers.
public enum DiagnosticsFailure: Error, Equatable, Sendable {
  /// No such socket in this network namespace, or the tuple's socket has another cookie. (Also the answer of a kernel without inet_diag or
  /// tcp_diag: the self-test tells.)
  case notFound
  /// The kernel, a seccomp filter or a security module forbids the query.
  case refused(SystemFailure)
  /// The kernel's `tcp_info` has so many bytes, too few for the field.
  case truncated(field: TCPInfoField, length: Int)
  /// The kernel answered with another socket, in this state: a listener on the caller's address, as a rule.
  case wrongTuple(SocketTuple, state: UInt8)
  /// The answer is not what the kernel's headers say it is.
  case malformed(MalformedAnswer)
  /// The query failed for another reason.
  case system(SystemFailure)
}

/// The fields of `tcp_info` that are needed, with the kernel that brought them.
public enum TCPInfoField: String, Sendable, CaseIterable {
  /// Linux 4.1.
  case bytesAcked = "tcpi_bytes_acked"
  /// Linux 4.1.
  case bytesReceived = "tcpi_bytes_received"
  /// Linux 4.6.
  case notSent = "tcpi_notsent_bytes"
  /// Linux 4.19.
  case bytesSent = "tcpi_bytes_sent"
  /// Linux 4.19.
  case bytesRetrans = "tcpi_bytes_retrans"
}

/// What is wrong with an answer.
public enum MalformedAnswer: String, Sendable, CaseIterable {
  /// No message came although the kernel took the request.
  case absent = "no answer"
  /// It is longer than any answer to the request can be.
  case tooLong = "the answer is too long"
  /// The message ends before its header does, or says it is longer than it is.
  case messageLength = "the message's length does not fit"
  /// It answers another request.
  case sequence = "the answer is to another request"
  /// Neither `SOCK_DIAG_BY_FAMILY` nor `NLMSG_ERROR`.
  case messageType = "the message's type is unknown"
  /// An error message without an error.
  case errorNumber = "the error message has no errno"
  /// The address is neither IPv4 nor IPv4-mapped.
  case family = "the socket is not of IPv4"
  /// An attribute is shorter than its header or longer than the message.
  case attributeLength = "an attribute's length does not fit"
  /// `INET_DIAG_INFO` was asked for and did not come.
  case infoAbsent = "INET_DIAG_INFO is missing"
}
