public import CubeFSWire

/// A value of a packet's field, for logs.
public enum FieldValue: Equatable, Sendable {
  /// An unsigned field.
  case unsigned(UInt64)
  /// ExtentOffset or ReqID.
  case signed(Int64)
  /// An opcode.
  case opcode(Opcode)
  /// A result code.
  case result(ResultCode)
  /// Lengths from the first to the second, bytes.
  case range(UInt64, UInt64)
  /// A text of our own.
  case text(String)
}

extension FieldValue: CustomStringConvertible {
  /// The value as an operator reads it.
  public var description: String {
    switch self {
    case .unsigned(let value): "\(value)"
    case .signed(let value): "\(value)"
    case .opcode(let value): value.name
    case .result(let value): value.name
    case .range(let low, let high): low == high ? "\(low)" : "\(low)...\(high)"
    case .text(let text): text
    }
  }
}

/// Why a reply is not the answer to its request.
public struct Mismatch: Error, Equatable, Sendable {
  /// Which rule it breaks.
  public var reason: Reason
  /// What a correct reply has.
  public var expected: FieldValue
  /// What this one has.
  public var observed: FieldValue

  /// A mismatch of those values.
  public init(_ reason: Reason, expected: FieldValue, observed: FieldValue) {
    self.reason = reason
    self.expected = expected
    self.observed = observed
  }
}

/// What follows from a reply header that was accepted.
public struct ReplyPlan: Equatable, Sendable {
  /// The peer reports an error: the connection is doomed.
  public var isError: Bool
  /// The payload's crc32 must be the header's CRC.
  public var checksPayload: Bool
  /// The header's CRC.
  public var expectedCRC: UInt32
  /// With this reply's last byte the operation has all that it is due.
  public var completes: Bool

  /// A plan of those consequences.
  public init(isError: Bool, checksPayload: Bool, expectedCRC: UInt32, completes: Bool) {
    self.isError = isError
    self.checksPayload = checksPayload
    self.expectedCRC = expectedCRC
    self.completes = completes
  }
}
