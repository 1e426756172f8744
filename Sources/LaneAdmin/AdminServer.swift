internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
public import NetEndpoint

/// A small HTTP/1 port for operators, on a thread of its own: GET and HEAD of a few pages.
///
/// Nothing in it waits for the source of its snapshots, nor makes that wait: a question is posted, and a page whose snapshot
/// does not come in time says so.
public final class AdminServer<Snapshot: Sendable>: Sendable {
  /// The port cannot be bound.
  public struct BindFailure: Error {
    /// The kernel's reason, a positive errno; 0 where it gave none.
    public let errno: Int32
  }

  /// Posts a question to whoever makes snapshots, without waiting; false where it is not taken. The answer may be given on any
  /// thread.
  public typealias Ask = @Sendable (_ answer: @escaping @Sendable (Snapshot) -> Void) -> Bool

  /// The descriptors that must be free where a server is made. Four for its start: SwiftNIO's loop has an epoll, an eventfd and a
  /// timerfd, and there is the listener; SwiftNIO ends the process where the loop does not get its own
  /// (`MultiThreadedEventLoopGroup.runTheLoop`, 2.101.2). Four for its end, which a start that fails comes to at once: it goes by way
  /// of Dispatch, whose manager opens as many and ends the process without them.
  public static var descriptorsAtStart: Int { 8 }

  /// The address in use, with the real port where 0 was asked for.
  public let endpoint: Endpoint
  private let group: MultiThreadedEventLoopGroup
  private let desk: SnapshotDesk<Snapshot>

  /// Starts the thread and listens.
  public init(
    on endpoint: Endpoint, limits: AdminLimits = AdminLimits(), pages: [AdminPage<Snapshot>], ask: @escaping Ask
  )
    throws(BindFailure)
  {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let desk = SnapshotDesk(
      group.next(), timeout: .milliseconds(Int64(limits.snapshot)), interval: .milliseconds(Int64(limits.snapshotInterval)), ask: ask)
    let connections = OpenConnections(limit: limits.connections)
    let patience = TimeAmount.seconds(Int64(limits.patience))
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: Int32(limits.connections))
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: HeadLimit.readSize))
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          connections.admit(channel)
          let limit = HeadLimit(limit: limits.head)
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(limit)
          try pipeline.addHandler(HTTPResponseEncoder())
          try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder()))
          try pipeline.addHandler(AdminHandler(pages: pages, desk: desk, limit: limit, patience: patience))
        }
      }
    let listener: any Channel
    do {
      listener = try bootstrap.bind(to: try SocketAddress(endpoint)).wait()
    } catch {
      try? group.syncShutdownGracefully()
      throw BindFailure(errno: (error as? IOError)?.errnoCode ?? 0)
    }
    self.group = group
    self.desk = desk
    self.endpoint = Endpoint(address: endpoint.address, port: UInt16(truncatingIfNeeded: listener.localAddress?.port ?? 0))
  }

  /// Closes the listener and every connection, and ends the thread. To be called once at least; more do nothing.
  public func close() {
    desk.close()
    try? group.syncShutdownGracefully()
  }
}

/// The connections that are open, the oldest first. For the event loop's thread.
private final class OpenConnections: @unchecked Sendable {
  private let limit: Int
  private var channels: [any Channel] = []

  init(limit: Int) { self.limit = limit }

  func admit(_ channel: any Channel) {
    if channels.count >= limit { channels.removeFirst().close(promise: nil) }
    channels.append(channel)
    channel.closeFuture.whenComplete { _ in self.channels.removeAll { $0 === channel } }
  }
}

extension SocketAddress {
  fileprivate init(_ endpoint: Endpoint) throws {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: endpoint.address >> (24 - 8 * $0)) }
    try self.init(packedIPAddress: ByteBuffer(bytes: bytes), port: Int(endpoint.port))
  }
}
