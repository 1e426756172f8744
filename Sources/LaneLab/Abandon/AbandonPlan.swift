internal import CubeFSWire

/// The four courses of events in which callers leave replies unread and pool the connection.
enum AbandonPlan: String, CaseIterable, Sendable {
  /// At every possible place of a stream, also where no CubeFS release leaves: the gate must not depend on it.
  case everywhere = "abandon-everywhere"
  /// After the request and before any read: `streamRepairExtent` on a full disk (v3.3.0), at a detached partition (v3.5.3);
  /// `doStreamFixTinyDeleteRecord` on a stop signal (v3.5.3).
  case beforeFirstRead = "abandon-before-first-read"
  /// The reader of tiny-delete records stops at the size its task named, the sender at its file's.
  case tinyDeleteOverread = "tiny-delete-overread"
  /// The reply after the last one, which nobody reads; an error comes twice.
  case snapshotExtraReply = "snapshot-extra-reply"

  /// The releases whose callers do so. CubeFS sends 17 from v3.4.0 on.
  var releases: [CubeFSRelease] { self == .snapshotExtraReply ? [.v3_5_3] : [.v3_3_0, .v3_5_3] }

  /// True where a caller leaves between replies only, so that a broken packet has no excuse.
  var leavesWholePackets: Bool { self != .everywhere }

  /// Streams that a caller of that release leaves.
  func streams(_ release: CubeFSRelease) -> [UInt8] {
    switch self {
    case .everywhere: release == .v3_3_0 ? [0x09, 0x15, 0x14] : [0x09, 0x15, 0x17, 0x14]
    case .beforeFirstRead: release == .v3_3_0 ? [0x09, 0x15] : [0x09, 0x15, 0x17, 0x14]
    case .tinyDeleteOverread: [0x14]
    case .snapshotExtraReply: [0x17]
    }
  }

  /// Operations that may take the connection next.
  func followUps(_ release: CubeFSRelease) -> [UInt8] {
    [0x07, 0x08, 0x0A, 0x10, 0x11, 0x16, 0x09, 0x15, 0x14] + (release == .v3_3_0 ? [] : [0x17])
  }

  /// Rounds where nobody says how many: those of real tiny-delete chunks move 2.4 MB each.
  var defaultRounds: Int { self == .tinyDeleteOverread ? 2_000 : 20_000 }
}
