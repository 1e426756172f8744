internal import COpenSSL

/// OpenSSL's error queue of the calling thread.
enum OpenSSLQueue {
  struct Entry {
    let text: String
    let kind: TLSFailure.Kind?
  }

  /// Takes all entries, the earliest first.
  static func drain() -> [Entry] {
    var entries: [Entry] = []
    while true {
      let code = ERR_get_error()
      guard code != 0 else { return entries }
      // Nobody needs more than the first few.
      if entries.count < 4 { entries.append(Entry(text: text(code), kind: kind(code))) }
    }
  }

  static func clear() { ERR_clear_error() }

  /// OpenSSL's own reasons, the first cause first, each once; the queue is empty afterwards.
  static func drainText() -> String {
    var reasons: [String] = []
    for entry in drain() where !reasons.contains(entry.text) { reasons.append(entry.text) }
    return reasons.isEmpty ? "OpenSSL gives no reason" : reasons.joined(separator: ", ")
  }

  private static func text(_ code: UInt) -> String {
    if let text = ERR_reason_error_string(code) { return String(cString: text) }
    // The operating system's errors have no text in OpenSSL's tables.
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let base = buffer.baseAddress else { return "" }
      ERR_error_string_n(code, base, buffer.count)
      return String(cString: base)
    }
  }

  private static func kind(_ code: UInt) -> TLSFailure.Kind? {
    guard copenssl_error_library(code) == ERR_LIB_SSL else { return nil }
    let reason = copenssl_error_reason(code)
    switch reason {
    case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_UNKNOWN_PROTOCOL,
      SSL_R_BAD_RECORD_TYPE, SSL_R_RECORD_TOO_SMALL:
      return .notTLS
    case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, SSL_R_UNSUPPORTED_SSL_VERSION,
      SSL_R_INAPPROPRIATE_FALLBACK:
      return .noCommonVersion
    case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SUITABLE_GROUPS,
      SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
      return .noCommonCipher
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return .noCertificate
    case SSL_R_UNEXPECTED_EOF_WHILE_READING: return .truncated
    // Alerts received stand at 1000 and above (SSL_AD_REASON_OFFSET).
    case SSL_AD_REASON_OFFSET...: return .refusedByPeer
    default: return .protocolError
    }
  }
}
