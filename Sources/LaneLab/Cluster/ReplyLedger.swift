internal import CubeFSWire

/// Which operation each reply of a run was sent for, also where two replies are alike to the last byte of payload.
///
/// A caller writes the serial number of its operation into KernelOffset, which CubeFS leaves 0 at these call sites and which
/// every reply but a block echoes. Blocks have no field that echoes; they carry a number in RemainingFollowers, which nobody
/// compares (PROTOCOL.md 6.4), that tells the reads of one extent apart.
final class ReplyLedger: @unchecked Sendable {
  /// What a believed reply was.
  enum Verdict: Equatable {
    case own
    /// It was sent for another operation, or for another place of this one.
    case stale
    /// It was sent for this operation, but with other bytes.
    case wrongBytes
  }

  private struct Reader: Hashable {
    let key: ExtentKey
    let number: UInt8
  }

  private struct Sent {
    let offset: Int64
    let crc: UInt32
  }

  private let lock = LabLock()
  private var lastSerial: UInt64 = 0
  private var readers: [Reader: UInt64] = [:]
  private var lastNumber: [ExtentKey: UInt8] = [:]
  private var sent: [UInt64: [Sent]] = [:]

  /// A serial number for one operation.
  func nextSerial() -> UInt64 {
    lock.withLock {
      lastSerial += 1
      return lastSerial
    }
  }

  /// A datanode begins to answer a read with blocks.
  /// - Returns: what all its blocks carry in RemainingFollowers; it repeats after 255 reads of one extent.
  func begin(_ serial: UInt64, _ key: ExtentKey) -> UInt8 {
    lock.withLock {
      let last = lastNumber[key] ?? 0
      let number = last == 255 ? 1 : last + 1
      lastNumber[key] = number
      readers[Reader(key: key, number: number)] = serial
      return number
    }
  }

  /// A datanode sends a reply to that operation.
  func sends(_ reply: LabPacket, for serial: UInt64) {
    let entry = Sent(offset: reply.header.extentOffset, crc: PayloadCRC.of(reply.payload))
    lock.withLock { sent[serial, default: []].append(entry) }
  }

  /// What the reply was that the operation with that serial believed after `index` others.
  func verdict(_ reply: LabPacket, for serial: UInt64, at index: Int) -> Verdict {
    let crc = PayloadCRC.of(reply.payload)
    return lock.withLock {
      guard owner(reply) == serial else { return .stale }
      guard let sent = sent[serial], index < sent.count, sent[index].offset == reply.header.extentOffset else { return .stale }
      return sent[index].crc == crc ? .own : .wrongBytes
    }
  }

  /// True where an error reply answers another operation. An error that nobody sent may be the sidecar's own.
  func isForeign(_ error: LabPacket, to serial: UInt64) -> Bool {
    lock.withLock { owner(error).map { $0 != serial } ?? false }
  }

  private func owner(_ reply: LabPacket) -> UInt64? {
    let header = reply.header
    if header.kernelOffset != 0 { return header.kernelOffset }
    return readers[Reader(key: ExtentKey(partition: header.partitionID, extent: header.extentID), number: header.remainingFollowers)]
  }
}
