internal import NetEndpoint

/// Why the bytes at the beginning of a connection are no header of the PROXY protocol.
public enum ProxyHeaderRefusal: Error, Equatable, Sendable {
  /// They do not begin as every header of version 2 does; so many did.
  case signature(Int)
  /// Another version than 2.
  case version(UInt8)
  /// Neither LOCAL nor PROXY.
  case command(UInt8)
  /// A family and protocol that the protocol does not know.
  case family(UInt8)
  /// So many bytes behind the first 16: more than a sender needs.
  case tooLong(Int)
  /// So many bytes behind the first 16: less than the addresses take.
  case addressesCut(Int)
  /// A TLV of that type goes beyond the header, or is cut before its length.
  case fieldCut(UInt8)
  /// A TLV of that type has a length that it cannot have, bytes.
  case fieldLength(UInt8, Int)
  /// Two TLVs of a type of which there can be one.
  case fieldTwice(UInt8)
  /// The checksum in the header is not that of its bytes.
  case checksum(expected: UInt32, observed: UInt32)
}

extension ProxyHeaderRefusal: CustomStringConvertible {
  /// What is wrong with it, without a full stop.
  public var description: String {
    func hexadecimal(_ number: some BinaryInteger) -> String { "0x" + String(number, radix: 16, uppercase: true) }
    return switch self {
    case .signature(let count): "no PROXY header: the signature of version 2 ends after \(count) bytes"
    case .version(let version): "PROXY header of version \(version)"
    case .command(let command): "PROXY header with the unknown command \(command)"
    case .family(let family): "PROXY header of the unknown family and protocol \(hexadecimal(family))"
    case .tooLong(let count): "PROXY header of \(ProxyHeader.fixedLength + count) bytes, and \(ProxyHeader.longest) are allowed"
    case .addressesCut(let count): "PROXY header with \(count) bytes for its addresses, which take more"
    case .fieldCut(let type): "PROXY header with a TLV \(hexadecimal(type)) beyond its end"
    case .fieldLength(let type, let count): "PROXY header with a TLV \(hexadecimal(type)) of \(count) bytes"
    case .fieldTwice(let type): "PROXY header with two TLVs \(hexadecimal(type))"
    case .checksum(let expected, let observed):
      "PROXY header with the CRC32c \(hexadecimal(observed)) in place of \(hexadecimal(expected))"
    }
  }
}

/// Reads one header from a connection's first bytes, as they come, and not one byte more.
public struct ProxyHeaderParser {
  /// What came so far; at most `ProxyHeader.longest`.
  private var bytes: [UInt8] = []
  /// Of the whole header, as far as is known.
  private var length = ProxyHeader.fixedLength

  /// Nothing has come yet.
  public init() {}

  /// How many bytes have come.
  public var count: Int { bytes.count }

  /// How many bytes are certain to belong to the header still: what may be read without taking any that does not. 0 at its end.
  public var needed: Int { length - bytes.count }

  /// Takes what was read, at most `needed` bytes.
  /// - Returns: the header, once it is whole.
  /// - Throws: why it is none, as soon as that is certain.
  public mutating func take(_ more: UnsafeRawBufferPointer) throws(ProxyHeaderRefusal) -> ProxyHeader? {
    precondition(more.count <= needed, "bytes that do not belong to the header")
    bytes.append(contentsOf: more)
    let alike = zip(bytes, ProxyHeader.signature).prefix { $0 == $1 }.count
    guard alike == min(bytes.count, ProxyHeader.signature.count) else { throw .signature(alike) }
    if length == ProxyHeader.fixedLength, bytes.count == length {
      let rest = Int(number(14, UInt16.self))
      try checkFixedPart(rest)
      length += rest
    }
    return needed == 0 ? try whole() : nil
  }

  private func checkFixedPart(_ rest: Int) throws(ProxyHeaderRefusal) {
    guard bytes[12] >> 4 == 2 else { throw .version(bytes[12] >> 4) }
    guard bytes[12] == ProxyHeader.local || bytes[12] == ProxyHeader.proxy else { throw .command(bytes[12] & 0xF) }
    // Where the sender speaks for itself the family is to be ignored.
    guard bytes[12] == ProxyHeader.local || bytes[13] >> 4 <= 3 && bytes[13] & 0xF <= 2 else { throw .family(bytes[13]) }
    guard rest <= ProxyHeader.longestRest else { throw .tooLong(rest) }
  }

  /// How many bytes the addresses of a family take, both ends and ports: unspecified, IPv4, IPv6, Unix.
  private static let addressLengths = [0, 12, 36, 216]

  private func whole() throws(ProxyHeaderRefusal) -> ProxyHeader {
    // All that follows is to be skipped then, whatever it is.
    guard bytes[12] == ProxyHeader.proxy else { return ProxyHeader() }
    let begin = ProxyHeader.fixedLength + Self.addressLengths[Int(bytes[13] >> 4)]
    guard begin <= bytes.count else { throw .addressesCut(bytes.count - ProxyHeader.fixedLength) }
    var header = ProxyHeader(process: try fields(from: begin))
    if bytes[13] == ProxyHeader.tcpOverIPv4 {
      header.addresses = ProxyHeader.Addresses(
        source: Endpoint(address: number(16, UInt32.self), port: number(24, UInt16.self)),
        destination: Endpoint(address: number(20, UInt32.self), port: number(26, UInt16.self)))
    }
    return header
  }

  /// Goes through the TLVs; the process bits, where they are told.
  private func fields(from begin: Int) throws(ProxyHeaderRefusal) -> UInt64? {
    var process: UInt64?
    var checksum: Int?
    var place = begin
    while place < bytes.count {
      let type = bytes[place]
      guard place + 3 <= bytes.count else { throw .fieldCut(type) }
      let length = Int(number(place + 1, UInt16.self))
      let value = place + 3
      guard value + length <= bytes.count else { throw .fieldCut(type) }
      switch type {
      case ProxyHeader.FieldType.crc32c:
        guard length == 4 else { throw .fieldLength(type, length) }
        guard checksum == nil else { throw .fieldTwice(type) }
        checksum = value
      case ProxyHeader.FieldType.process:
        guard length == 8 else { throw .fieldLength(type, length) }
        guard process == nil else { throw .fieldTwice(type) }
        process = number(value, UInt64.self)
      default: break
      }
      place = value + length
    }
    if let checksum { try verify(checksum) }
    return process
  }

  /// The checksum is that of the whole header with zeros in its own place.
  private func verify(_ place: Int) throws(ProxyHeaderRefusal) {
    let observed = number(place, UInt32.self)
    var cleared = bytes
    cleared.replaceSubrange(place..<place + 4, with: repeatElement(0, count: 4))
    let expected = CRC32C.checksum(cleared)
    guard observed == expected else { throw .checksum(expected: expected, observed: observed) }
  }

  private func number<Number: FixedWidthInteger>(_ place: Int, _: Number.Type) -> Number {
    bytes[place..<place + MemoryLayout<Number>.size].reduce(0) { $0 << 8 | Number($1) }
  }
}
