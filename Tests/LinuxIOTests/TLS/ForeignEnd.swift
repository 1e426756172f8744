import COpenSSL
import CertificateTestSupport
import Glibc
import LinuxIO
import Testing

/// OpenSSL by itself on a plain socket, to send what our own ends never would.
final class ForeignEnd {
  let ssl: OpaquePointer
  private let raw: RawSocket
  private let input: OpaquePointer
  private let output: OpaquePointer

  /// It verifies nothing, unless `verifies` says that it refuses whatever it is shown.
  init(_ raw: RawSocket, isClient: Bool = true, identity: TestPKI.Issued, verifies: Bool = false) throws {
    self.raw = raw
    let context = try #require(SSL_CTX_new(TLS_method()))
    defer { SSL_CTX_free(context) }
    try #require(SSL_CTX_use_certificate_chain_file(context, identity.certificate) == 1)
    try #require(SSL_CTX_use_PrivateKey_file(context, identity.key, SSL_FILETYPE_PEM) == 1)
    if verifies { SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil) }
    ssl = try #require(SSL_new(context))
    input = try #require(BIO_new(BIO_s_mem()))
    output = try #require(BIO_new(BIO_s_mem()))
    BIO_ctrl(input, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, nil)
    SSL_set_bio(ssl, input, output)
    if isClient { SSL_set_connect_state(ssl) } else { SSL_set_accept_state(ssl) }
  }

  deinit { SSL_free(ssl) }

  /// The records that it has made and not sent.
  func takeRecords() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(output))
    let count = BIO_read(output, &bytes, Int32(bytes.count))
    return Array(bytes.prefix(Int(max(0, count))))
  }

  func flush() { if case let records = takeRecords(), !records.isEmpty { raw.write(records) } }

  /// Takes what the socket has.
  func fill() {
    while let bytes = raw.read(), !bytes.isEmpty { BIO_write(input, bytes, Int32(bytes.count)) }
  }

  /// One step of the handshake; true once it is over.
  func shakeHands() -> Bool {
    fill()
    ERR_clear_error()
    let result = SSL_do_handshake(ssl)
    flush()
    return result == 1
  }

  func write(_ bytes: [UInt8]) { #expect(SSL_write(ssl, bytes, Int32(bytes.count)) == Int32(bytes.count)) }

  /// What can be read now.
  func read() -> [UInt8] {
    fill()
    var all: [UInt8] = []
    var bytes = [UInt8](repeating: 0, count: 16_384)
    while case let count = SSL_read(ssl, &bytes, 16_384), count > 0 { all += bytes.prefix(Int(count)) }
    return all
  }
}

/// A server of ours and a foreign client, their handshake done; until the pair goes.
final class ForeignClientPair {
  let server: TLSEnd
  let raw: RawSocket
  let client: ForeignEnd

  init(
    _ reactor: Reactor, configure: (OpaquePointer) -> Void = { _ in }, server configureServer: (inout TLSParameters) -> Void = { _ in }
  ) throws {
    (server, raw) = try serverAndRawClient(reactor, configure: configureServer)
    let client = try ForeignEnd(raw, identity: TestCertificates.client)
    configure(client.ssl)
    let near = server
    #expect(try turn(reactor) { client.shakeHands() && !near.events.isEmpty })
    #expect(server.events == ["connected"])
    self.client = client
  }

  deinit { server.reset() }
}
