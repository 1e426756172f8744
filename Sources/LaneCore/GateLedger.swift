/// What one caller was ever handed, and how much of that is known to have been consumed by the operation it belonged to.
///
/// It answers the one question that a newer request raises: can anything lie unread in the caller's socket?
public struct GateLedger: Equatable, Sendable {
  /// How bytes went to the caller.
  public enum Handing: Equatable, Sendable {
    /// Part of a reply under the gate.
    case gated
    /// Part of the only reply of an operation whose call site goes from write to read with nothing in between.
    case single
    /// Anything else: a reply of a pipelining caller, of an unknown operation, or of a caller that is not visible.
    case ungated
  }

  /// W: all bytes ever written to the caller.
  public private(set) var written: UInt64 = 0
  /// R: all bytes ever read from the caller.
  public private(set) var read: UInt64 = 0
  // Bytes of a gated reply that was not released.
  private(set) var isGatedOpen = false
  // Bytes of a single reply that is not whole, or whose reading no later request has proved.
  private var singleOpen = false
  private var singleWhole = false
  // Bytes of which nothing will ever be known.
  private var unprovable = false

  /// Nothing written, nothing read.
  public init() {}

  /// Bytes were given to the kernel for the caller.
  public mutating func wrote(_ count: Int, as handing: Handing) {
    guard count > 0 else { return }
    written &+= UInt64(count)
    switch handing {
    case .gated: isGatedOpen = true
    case .single:
      singleOpen = true
      singleWhole = false
    case .ungated: unprovable = true
    }
  }

  /// The last byte of a single reply was written.
  public mutating func singleReplyEnded() { singleWhole = true }

  /// The gated reply was released, and its tail written. At the release the caller had read all but the tail, and was inside
  /// the read that the tail ends: nothing of this reply can be left for another operation.
  public mutating func released() { isGatedOpen = false }

  /// Bytes were read from the caller.
  public mutating func read(_ count: Int) {
    if count > 0 { read &+= UInt64(count) }
  }

  /// A request has begun to arrive. Its caller reads each single reply before it sends anything else, or closes: what was
  /// written whole before now has been read.
  public mutating func requestArrived() {
    if singleOpen, singleWhole { singleOpen = false }
  }

  /// What was handed over unproved stays so: the caller is not visible any more.
  mutating func giveUpProof() {
    if isGatedOpen { unprovable = true }
    isGatedOpen = false
  }

  /// Whether nothing that was written can lie unread: the unfinished operation may be cancelled and the newer one served.
  public var mayCancel: Bool { !isGatedOpen && !singleOpen && !unprovable }
}
