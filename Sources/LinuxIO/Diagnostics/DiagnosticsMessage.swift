internal import CLinux
internal import Glibc
internal import NetEndpoint

/// The messages of sock_diag(7) for one exact look-up: how the request is put together, and how the answer is read.
package enum DiagnosticsMessage {
  /// The bytes of a request: `nlmsghdr` and `inet_diag_req_v2`.
  static let requestSize = MemoryLayout<nlmsghdr>.size + MemoryLayout<inet_diag_req_v2>.size
  /// More than the kernel puts into one answer (about 650 bytes with `tcp_info` and MPTCP's attributes).
  static let answerCapacity = 8192

  /// Writes a request of `requestSize` bytes.
  ///
  /// `AF_INET` finds an `AF_INET6` socket with IPv4-mapped addresses as well: the kernel keeps both in one table, and takes a mapped request
  /// to the very same look-up (`inet_diag_find_one_icsk`). A socket that is bound to a device (`SO_BINDTODEVICE`) is not found.
  static func write(
    _ tuple: SocketTuple, pinned: UInt64?, counters: Bool, sequence: UInt32, into buffer: UnsafeMutableRawBufferPointer
  ) {
    guard buffer.count >= requestSize else { return }
    var header = nlmsghdr()
    header.nlmsg_len = UInt32(requestSize)
    header.nlmsg_type = UInt16(SOCK_DIAG_BY_FAMILY)
    header.nlmsg_flags = UInt16(NLM_F_REQUEST)
    header.nlmsg_seq = sequence
    var request = inet_diag_req_v2()
    request.sdiag_family = UInt8(AF_INET)
    request.sdiag_protocol = UInt8(IPPROTO_TCP)
    // Only INFO makes the kernel take the socket's lock. ULP_INFO has no bit of its own: it comes with INFO (`idiag_get_aux`).
    request.idiag_ext = counters ? 1 << UInt8(INET_DIAG_INFO - 1) : 0
    request.idiag_states = .max
    request.id.idiag_sport = tuple.source.port.bigEndian
    request.id.idiag_dport = tuple.destination.port.bigEndian
    request.id.idiag_src.0 = tuple.source.address.bigEndian
    request.id.idiag_dst.0 = tuple.destination.address.bigEndian
    let cookie = pinned ?? .max
    request.id.idiag_cookie = (UInt32(truncatingIfNeeded: cookie), UInt32(truncatingIfNeeded: cookie >> 32))
    buffer.storeBytes(of: header, as: nlmsghdr.self)
    buffer.storeBytes(of: request, toByteOffset: MemoryLayout<nlmsghdr>.size, as: inet_diag_req_v2.self)
  }

  /// The request that a message claims to answer, nil where it is too short to say.
  static func sequence(of message: UnsafeRawBufferPointer) -> UInt32? { value(nlmsghdr.self, at: 0, of: message)?.nlmsg_seq }

  /// Reads one answer. Every length in it is checked against the bytes that are there before it is believed.
  package static func parse(
    _ message: UnsafeRawBufferPointer, asked tuple: SocketTuple, counters: Bool, sequence: UInt32
  ) throws(DiagnosticsFailure) -> CallerSocket {
    guard let header = value(nlmsghdr.self, at: 0, of: message) else { throw .malformed(.messageLength) }
    let length = Int(header.nlmsg_len)
    guard length >= MemoryLayout<nlmsghdr>.size, length <= message.count else { throw .malformed(.messageLength) }
    guard header.nlmsg_seq == sequence else { throw .malformed(.sequence) }
    let message = UnsafeRawBufferPointer(rebasing: message[..<length])
    switch Int32(header.nlmsg_type) {
    case NLMSG_ERROR: throw refusal(message)
    case SOCK_DIAG_BY_FAMILY: break
    default: throw .malformed(.messageType)
    }
    let start = MemoryLayout<nlmsghdr>.size
    guard let answer = value(inet_diag_msg.self, at: start, of: message) else { throw .malformed(.messageLength) }
    guard let found = found(answer) else { throw .malformed(.family) }
    guard found == tuple else { throw .wrongTuple(found, state: answer.idiag_state) }
    let cookie = answer.id.idiag_cookie
    var socket = CallerSocket(
      cookie: UInt64(cookie.1) << 32 | UInt64(cookie.0), tuple: found, isMapped: answer.idiag_family == UInt8(AF_INET6),
      state: answer.idiag_state, rqueue: answer.idiag_rqueue, wqueue: answer.idiag_wqueue, inode: answer.idiag_inode,
      uid: answer.idiag_uid, hasULP: counters ? false : nil, counters: nil)
    try readAttributes(UnsafeRawBufferPointer(rebasing: message[(start + MemoryLayout<inet_diag_msg>.size)...]), counters, into: &socket)
    // Only a full socket has INFO: one in TIME_WAIT or still in its handshake comes without, and its state says so.
    if counters && socket.counters == nil && socket.isEstablished { throw .malformed(.infoAbsent) }
    return socket
  }

  private static func readAttributes(
    _ attributes: UnsafeRawBufferPointer, _ counters: Bool, into socket: inout CallerSocket
  ) throws(DiagnosticsFailure) {
    let headerSize = MemoryLayout<nlattr>.size
    var offset = 0
    while offset < attributes.count {
      guard let attribute = value(nlattr.self, at: offset, of: attributes) else { throw .malformed(.attributeLength) }
      let length = Int(attribute.nla_len)
      guard length >= headerSize, length <= attributes.count - offset else { throw .malformed(.attributeLength) }
      let payload = UnsafeRawBufferPointer(rebasing: attributes[(offset + headerSize)..<(offset + length)])
      // The two upper bits of the type are flags (NLA_TYPE_MASK).
      switch Int(attribute.nla_type & 0x3FFF) {
      case Int(INET_DIAG_INFO) where counters: socket.counters = try readCounters(payload)
      case Int(INET_DIAG_ULP_INFO) where counters: socket.hasULP = true
      default: break
      }
      offset += (length + 3) & ~3
    }
  }

  private static func readCounters(_ info: UnsafeRawBufferPointer) throws(DiagnosticsFailure) -> CallerSocket.Counters {
    var raw = clinux_tcp_counters()
    let missing: TCPInfoField
    switch clinux_tcp_counters(info.baseAddress, info.count, &raw) {
    case CLINUX_TCP_NONE:
      return CallerSocket.Counters(
        bytesReceived: raw.bytes_received, bytesSent: raw.bytes_sent, bytesRetrans: raw.bytes_retrans, bytesAcked: raw.bytes_acked,
        notSent: raw.not_sent)
    case CLINUX_TCP_BYTES_ACKED: missing = .bytesAcked
    case CLINUX_TCP_BYTES_RECEIVED: missing = .bytesReceived
    case CLINUX_TCP_NOT_SENT: missing = .notSent
    case CLINUX_TCP_BYTES_SENT: missing = .bytesSent
    default: missing = .bytesRetrans
    }
    throw .truncated(field: missing, length: info.count)
  }

  private static func refusal(_ message: UnsafeRawBufferPointer) -> DiagnosticsFailure {
    guard let error = value(Int32.self, at: MemoryLayout<nlmsghdr>.size, of: message) else { return .malformed(.messageLength) }
    guard error < 0, error >= -4095 else { return .malformed(.errorNumber) }
    switch -error {
    case ENOENT, ESTALE: return .notFound
    default: return DiagnosticsFailure(SystemFailure(.diagnosticsQuery, -error))
    }
  }

  private static func found(_ answer: inet_diag_msg) -> SocketTuple? {
    let source: UInt32
    let destination: UInt32
    switch Int32(answer.idiag_family) {
    case AF_INET:
      source = answer.id.idiag_src.0
      destination = answer.id.idiag_dst.0
    case AF_INET6:
      guard isMapped(answer.id.idiag_src), isMapped(answer.id.idiag_dst) else { return nil }
      source = answer.id.idiag_src.3
      destination = answer.id.idiag_dst.3
    default: return nil
    }
    return SocketTuple(
      source: Endpoint(address: UInt32(bigEndian: source), port: UInt16(bigEndian: answer.id.idiag_sport)),
      destination: Endpoint(address: UInt32(bigEndian: destination), port: UInt16(bigEndian: answer.id.idiag_dport)))
  }

  private static func isMapped(_ address: (UInt32, UInt32, UInt32, UInt32)) -> Bool {
    address.0 == 0 && address.1 == 0 && address.2 == UInt32(0xFFFF).bigEndian
  }

  /// The one place where bytes of a message become a value.
  @inline(__always)
  private static func value<Value: BitwiseCopyable>(_ type: Value.Type, at offset: Int, of bytes: UnsafeRawBufferPointer) -> Value? {
    guard offset >= 0, offset <= bytes.count, bytes.count - offset >= MemoryLayout<Value>.size else { return nil }
    return bytes.loadUnaligned(fromByteOffset: offset, as: type)
  }
}

extension DiagnosticsFailure {
  /// Tells a prohibition from any other failure.
  init(_ failure: SystemFailure) {
    switch failure.errno {
    // EAFNOSUPPORT is what systemd's RestrictAddressFamilies= answers.
    case EPERM, EACCES, EAFNOSUPPORT: self = .refused(failure)
    default: self = .system(failure)
    }
  }
}
