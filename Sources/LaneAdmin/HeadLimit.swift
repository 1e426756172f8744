internal import NIOCore

/// The request's head is longer than it may be.
struct HeadTooLong: Error {}

/// Stands before the decoder, which has no bound on a request as a whole: counts bytes until the head is there.
final class HeadLimit: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  /// The size of one read, bytes. The limit is a multiple of it, so that what comes after a head in the same read cannot
  /// be taken for a part of it.
  static let readSize = 4 * 1024

  private let limit: Int
  private var count = 0
  /// The decoder has found the end of the head: what follows is dropped, and costs nothing.
  var headEnded = false

  init(limit: Int) { self.limit = limit }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if headEnded { return }
    count += unwrapInboundIn(data).readableBytes
    guard count <= limit else {
      headEnded = true
      return context.fireErrorCaught(HeadTooLong())
    }
    context.fireChannelRead(data)
  }
}
