internal import COpenSSL

/// A protocol above TLS that the two ends may agree upon in the handshake (ALPN, RFC 7301). Neither insists on it.
public struct ApplicationProtocol: Sendable, Equatable {
  /// Its name, 1 to 255 bytes.
  public let name: String
  /// What the client's bytes begin with where it was agreed upon.
  public var opening: [UInt8]

  /// A protocol of that name.
  public init(_ name: String, opening: [UInt8] = []) {
    precondition((1...255).contains(name.utf8.count), "a name of ALPN")
    self.name = name
    self.opening = opening
  }
}

extension TLSSession {
  /// Both ends speak the application protocol of the parameters.
  public var speaksApplicationProtocol: Bool {
    guard let name = applicationProtocol?.name else { return false }
    var chosen: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    SSL_get0_alpn_selected(ssl, &chosen, &count)
    // A server may have chosen what nobody offered.
    return UnsafeBufferPointer(start: chosen, count: Int(count)).elementsEqual(name.utf8)
  }

  func offer(_ name: String) throws(TLSFailure) {
    let list = [UInt8(name.utf8.count)] + Array(name.utf8)
    // The one function of OpenSSL's whose success is 0.
    guard SSL_set_alpn_protos(ssl, list, UInt32(list.count)) == 0 else {
      throw TLSFailure(queueOr: .library, "application protocol \(name)")
    }
  }

  /// Called by OpenSSL where a client offers protocols. Another one than ours is no reason to refuse it: it gets no answer.
  static let choose: SSL_CTX_alpn_select_cb_func = { ssl, chosen, chosenCount, offered, count, _ in
    guard let ssl, let chosen, let chosenCount, let offered, let mine = SSL_get_ex_data(ssl, 0) else { return SSL_TLSEXT_ERR_NOACK }
    let list = UnsafeBufferPointer(start: offered, count: Int(count))
    guard let place = Unmanaged<TLSSession>.fromOpaque(mine)._withUnsafeGuaranteedRef({ $0.place(in: list) }) else {
      return SSL_TLSEXT_ERR_NOACK
    }
    chosen.pointee = offered + place.lowerBound
    chosenCount.pointee = UInt8(place.count)
    return SSL_TLSEXT_ERR_OK
  }

  /// Where our protocol's name stands in a list of names, each behind its length; OpenSSL has checked that it is well-formed.
  private func place(in list: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
    guard let name = applicationProtocol?.name.utf8 else { return nil }
    var begin = 0
    while begin < list.count {
      let place = begin + 1..<begin + 1 + Int(list[begin])
      guard place.upperBound <= list.count else { return nil }
      if list[place].elementsEqual(name) { return place }
      begin = place.upperBound
    }
    return nil
  }
}
