internal import COpenSSL
internal import Glibc

/// How one connection is to be secured.
public struct TLSParameters {
  /// The certificates and rules in force.
  public let context: TLSContext
  /// The name that is asked for (SNI); nil for none.
  public var serverName: String?
  /// What a client offers, and a server takes where it is offered; nil for nothing.
  public var applicationProtocol: ApplicationProtocol?
  /// Looks at the names in the other end's certificate once it is known to chain to a configured CA: why it is not wanted, nil where
  /// it is.
  public var refusal: (AlternativeNames) -> String?

  /// Parameters that take any certificate of the configured CAs, until `refusal` says otherwise.
  public init(_ context: TLSContext, serverName: String? = nil, refusal: @escaping (AlternativeNames) -> String? = { _ in nil }) {
    self.context = context
    self.serverName = serverName
    self.refusal = refusal
  }
}

/// The TLS state of one connection: an `SSL *` that receives from a socket by itself, and whose output is gathered for the caller to send.
public final class TLSSession {
  /// How much one recv(2) of records asks for, bytes. The memory is there only while it holds something.
  static let readBufferSize = 64 * 1024
  /// The most that one `encrypt` takes, bytes, so that its records fit into `Reactor.recordBufferSize`.
  static let encryptLimit = 256 * 1024
  /// The most records that one `decrypt` takes: they may have one byte each.
  static let decryptLimit = 1024
  /// How many messages of the handshake protocol there may be for nothing, and how many bytes pay for a further one. Key updates cost
  /// as much as a hundred kilobytes each, and nothing in the protocol bounds them.
  private static let freeMessages: UInt64 = 1024
  private static let bytesPerMessage: UInt64 = 64 * 1024

  /// What one step gave.
  enum Step {
    case done(Int)
    /// More from the other end is needed.
    case wantsRead
    /// The other end has said that nothing more comes (close-notify).
    case end
    case failed(TLSFailure)
  }

  /// The other end's certificate, once it has shown one; read anew each time.
  public var peer: CertificateDescription? {
    guard let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
    return CertificateDescription(certificate)
  }

  let ssl: OpaquePointer
  private let socket: UnsafeMutablePointer<copenssl_socket>
  private let refusal: (AlternativeNames) -> String?
  let applicationProtocol: ApplicationProtocol?
  /// What was held against the other end's certificate.
  private var objection: TLSFailure?
  private var closeNotifySent = false
  /// OpenSSL forgets it with the first failure.
  private var handshakeIsOver = false
  /// The protocol was broken, or the connection: nothing may be sent any more (SSL_get_error(3)).
  private var isBroken = false

  init(_ parameters: TLSParameters, isClient: Bool, fd: Int32) throws(TLSFailure) {
    refusal = parameters.refusal
    applicationProtocol = parameters.applicationProtocol
    ssl = try parameters.context.newSession(isClient: isClient)
    socket = .allocate(capacity: 1)
    socket.initialize(to: copenssl_socket())
    socket.pointee.fd = fd
    socket.pointee.heard_record = -1
    socket.pointee.messages_limit = Self.freeMessages
    guard let bio = copenssl_socket_bio(socket) else {
      throw TLSFailure(queueOr: .library, "BIO_new")
    }
    // Takes the reference.
    SSL_set_bio(ssl, bio, bio)
    copenssl_count_messages(ssl, socket)
    SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    if isClient, let name = parameters.serverName, copenssl_set_server_name(ssl, name) != 1 {
      throw TLSFailure(queueOr: .library, "server name \(name)")
    }
    if isClient, let name = applicationProtocol?.name { try offer(name) }
  }

  deinit {
    SSL_free(ssl)
    socket.deallocate()
  }

  /// `TLSv1.3`.
  public var version: String { String(cString: SSL_get_version(ssl)) }
  /// `TLS_AES_128_GCM_SHA256`.
  public var cipher: String { SSL_get_current_cipher(ssl).flatMap { SSL_CIPHER_get_name($0) }.map { String(cString: $0) } ?? "none" }

  /// The other end has begun with a TLS record.
  var hasHeardRecord: Bool { socket.pointee.heard_record == 1 }
  /// Something waits inside of which the socket may not tell any more: whole records, the start of one, or the end.
  var holdsBytes: Bool { endsBehind || SSL_has_pending(ssl) == 1 }
  /// The last `decrypt` found the end, or a failure, behind the bytes that it gave.
  private var endsBehind = false
  /// The last `decrypt` left something behind the bytes that it gave, whatever room it had.
  private(set) var hasMore = false
  /// Application bytes that were received.
  private var decrypted: UInt64 = 0

  /// Runs a step of OpenSSL's with the room for its records; `records` gets those, if any.
  private func run(_ room: UnsafeMutableRawBufferPointer, _ records: (UnsafeRawBufferPointer) -> Void, _ step: () -> Int32) -> Int32 {
    ERR_clear_error()
    socket.pointee.output = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
    socket.pointee.output_count = 0
    socket.pointee.output_capacity = room.count
    let result = step()
    let count = socket.pointee.output_count
    socket.pointee.output = nil
    if count > 0 { records(UnsafeRawBufferPointer(rebasing: room[..<count])) }
    return result
  }

  /// Goes on with the handshake.
  func handshake(_ room: UnsafeMutableRawBufferPointer, _ records: (UnsafeRawBufferPointer) -> Void) -> Step {
    let result = run(room, records) { SSL_do_handshake(ssl) }
    guard result == 1 else { return failed(result) }
    handshakeIsOver = true
    return .done(0)
  }

  /// Decrypts what the socket has, as far as there is room: at least one byte, or why not.
  func decrypt(
    into buffer: UnsafeMutableRawBufferPointer, _ room: UnsafeMutableRawBufferPointer, _ records: (UnsafeRawBufferPointer) -> Void
  ) -> Step {
    var count = 0
    var recordCount = 0
    endsBehind = false
    hasMore = false
    defer {
      decrypted &+= UInt64(count)
      socket.pointee.messages_limit = Self.freeMessages + decrypted / Self.bytesPerMessage
      hasMore = hasMore || endsBehind
    }
    // Each call gives one record at most.
    while count < buffer.count {
      guard recordCount < Self.decryptLimit else {
        hasMore = true
        break
      }
      var taken = 0
      let result = run(room, records) { SSL_read_ex(ssl, buffer.baseAddress! + count, buffer.count - count, &taken) }
      guard result == 1 else {
        // What came before the end or the failure is handed out first; either is found again by the next call.
        let step = failed(result)
        guard count > 0 else { return step }
        switch step {
        case .wantsRead, .done: break
        case .end: endsBehind = true
        case .failed: (endsBehind, pendingFailure) = (true, step)
        }
        return .done(count)
      }
      count += taken
      recordCount += 1
    }
    return .done(count)
  }

  /// A failure found behind bytes that had to be handed out first.
  private var pendingFailure: Step?

  /// Whether an application byte can be read, without taking it. Records that carry none are processed.
  func look(_ room: UnsafeMutableRawBufferPointer, _ records: (UnsafeRawBufferPointer) -> Void) -> Step {
    var byte: UInt8 = 0
    var taken = 0
    let result = run(room, records) { SSL_peek_ex(ssl, &byte, 1, &taken) }
    return result == 1 ? .done(taken) : failed(result)
  }

  /// The most that one record takes, whatever goes with it.
  private static let recordLimit = 16_384 + 512

  /// Makes records of at most `encryptLimit` bytes: of fewer where the other end wants small ones (RFC 6066 section 4), which need
  /// more room.
  func encrypt(
    _ bytes: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer, _ records: (UnsafeRawBufferPointer) -> Void
  ) -> Step {
    var count = 0
    let result = run(room, records) {
      while count < bytes.count {
        var taken = 0
        let result = SSL_write_ex(ssl, bytes.baseAddress! + count, bytes.count - count, &taken)
        if result != 1 { return result }
        count += taken
        if socket.pointee.output_capacity - socket.pointee.output_count < Self.recordLimit { break }
      }
      return 1
    }
    return result == 1 ? .done(count) : failed(result)
  }

  /// Tells the other end that nothing more comes, once.
  func closeNotify(_ room: UnsafeMutableRawBufferPointer, _ records: (UnsafeRawBufferPointer) -> Void) {
    guard !closeNotifySent, !isBroken, SSL_is_init_finished(ssl) == 1 else { return }
    closeNotifySent = true
    _ = run(room, records) { SSL_shutdown(ssl) }
    ERR_clear_error()
  }

  /// The descriptor has gone.
  func detach() { socket.pointee.fd = -1 }

  // MARK: Failures

  private func failed(_ result: Int32) -> Step {
    if let failure = pendingFailure { return failure }
    let error = SSL_get_error(ssl, result)
    switch error {
    case SSL_ERROR_WANT_READ: return .wantsRead
    case SSL_ERROR_ZERO_RETURN: return .end
    default: break
    }
    isBroken = true
    if let objection {
      OpenSSLQueue.clear()
      return .failed(objection)
    }
    // Before the certificate is read, which empties the queue.
    let cause = TLSFailure(queueOr: .protocolError, "")
    // Once the handshake is over nobody asks whose connection broke, and each that ends without a close-notify does.
    let certificate = handshakeIsOver ? nil : peer
    if error == SSL_ERROR_SYSCALL {
      let number = socket.pointee.receive_errno
      guard number != 0 else { return .failed(TLSFailure(.truncated, "the connection ended", certificate: certificate)) }
      return .failed(TLSFailure(.lost, "\(SystemFailure(.receive, number))", certificate: certificate))
    }
    if error == SSL_ERROR_WANT_WRITE {
      // Records are made only where there is room for them.
      return .failed(TLSFailure(.library, "more records than there is room for"))
    }
    return .failed(TLSFailure(cause.kind, cause.detail, certificate: certificate))
  }

  /// Called by OpenSSL in place of X509_verify_cert(3), which it calls.
  static let verify: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = { store, _ in
    guard let store, let ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
      let mine = SSL_get_ex_data(OpaquePointer(ssl), 0)
    else { return 0 }
    return Unmanaged<TLSSession>.fromOpaque(mine)._withUnsafeGuaranteedRef { $0.judge(store) }
  }

  private func judge(_ store: OpaquePointer) -> Int32 {
    let result = X509_verify_cert(store)
    let leaf = X509_STORE_CTX_get0_cert(store)
    guard result == 1, let leaf else {
      let code = Int(X509_STORE_CTX_get_error(store))
      let depth = X509_STORE_CTX_get_error_depth(store)
      let text = String(cString: X509_verify_cert_error_string(code))
      objection = TLSFailure(
        .init(verifyError: code), depth > 0 ? "\(text) (CA \(depth) of the chain)" : text,
        certificate: leaf.map { CertificateDescription($0) })
      if code == 0 { X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED) }
      return 0
    }
    guard let refusal = refusal(AlternativeNames(leaf)) else { return 1 }
    objection = TLSFailure(.wrongName, refusal, certificate: CertificateDescription(leaf))
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION)
    return 0
  }
}
