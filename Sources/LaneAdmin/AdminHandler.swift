internal import NIOCore
internal import NIOHTTP1

/// One connection: one request, one answer, and the end. A client that scrapes every few seconds loses nothing by that, and
/// pipelining, bodies and idle connections need no rules.
final class AdminHandler<Snapshot: Sendable>: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private enum Phase {
    /// The request's head is not there. → answering
    case reading
    /// The answer is made, or on its way to the kernel. → sent
    case answering
    /// The kernel has the answer; the client is to close.
    case sent
  }

  private let pages: [AdminPage<Snapshot>]
  private let desk: SnapshotDesk<Snapshot>
  private let limit: HeadLimit
  private let patience: TimeAmount
  private var deadline: Scheduled<Void>?
  private var phase = Phase.reading
  private var inputEnded = false

  init(pages: [AdminPage<Snapshot>], desk: SnapshotDesk<Snapshot>, limit: HeadLimit, patience: TimeAmount) {
    self.pages = pages
    self.desk = desk
    self.limit = limit
    self.patience = patience
  }

  // MARK: Events of the connection

  func channelActive(context: ChannelHandlerContext) { giveTime(context.channel) }

  func channelInactive(context: ChannelHandlerContext) { deadline?.cancel() }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // One request is all that is answered; its body, and what was pipelined behind it, are nobody's.
    guard case .head(let head) = unwrapInboundIn(data), phase == .reading else { return }
    begin()
    serve(head, context.channel)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    let channel = context.channel
    // After an error of the socket itself there is nobody to tell.
    guard error is HeadTooLong || error is HTTPParserError else { return channel.close(promise: nil) }
    guard phase == .reading else { return }
    begin()
    let status: HTTPResponseStatus = error is HeadTooLong ? .requestHeaderFieldsTooLarge : .badRequest
    send(status, "\(status.reasonPhrase)\n", to: channel)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard event as? ChannelEvent == .inputClosed else { return context.fireUserInboundEventTriggered(event) }
    inputEnded = true
    // A client that has only shut its sending side still gets its answer.
    if phase != .answering { context.close(promise: nil) }
  }

  private func begin() {
    phase = .answering
    limit.headEnded = true
  }

  private func giveTime(_ channel: any Channel) {
    deadline?.cancel()
    deadline = channel.eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
  }

  // MARK: Answers

  private func serve(_ head: HTTPRequestHead, _ channel: any Channel) {
    guard head.method == .GET || head.method == .HEAD else {
      return send(.methodNotAllowed, "GET and HEAD only\n", headers: [("Allow", "GET, HEAD")], to: channel)
    }
    let withBody = head.method == .GET
    let path = head.uri.prefix { $0 != "?" }
    guard let page = pages.first(where: { $0.path == path }) else {
      let list = pages.map { "\($0.path)\n" }.joined()
      return send(.notFound, "Not here. There is:\n\(list)", withBody: withBody, to: channel)
    }
    desk.snapshot { [weak self] snapshot in
      guard let self, channel.isActive else { return }
      let answer = page.answer(snapshot)
      self.send(
        answer.isAvailable ? .ok : .serviceUnavailable, answer.body,
        contentType: answer.isAvailable ? page.contentType : Self.plain, withBody: withBody, to: channel)
    }
  }

  private static var plain: String { "text/plain; charset=utf-8" }

  private func send(
    _ status: HTTPResponseStatus, _ text: String, headers: [(String, String)] = [], withBody: Bool = true, to channel: any Channel
  ) {
    send(status, Array(text.utf8), contentType: Self.plain, headers: headers, withBody: withBody, to: channel)
  }

  private func send(
    _ status: HTTPResponseStatus, _ body: [UInt8], contentType: String, headers: [(String, String)] = [], withBody: Bool,
    to channel: any Channel
  ) {
    giveTime(channel)
    var fields = HTTPHeaders(headers)
    fields.add(name: "Content-Type", value: contentType)
    fields.add(name: "Content-Length", value: "\(body.count)")
    fields.add(name: "Cache-Control", value: "no-store")
    fields.add(name: "Connection", value: "close")
    channel.write(HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: status, headers: fields)), promise: nil)
    if withBody { channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil) }
    channel.writeAndFlush(HTTPServerResponsePart.end(nil)).assumeIsolated().whenComplete { _ in self.sent(channel) }
  }

  /// Shuts our side only, and waits for the client to close: what it has sent and nobody has read would make the kernel reset
  /// the connection, and take the answer with it.
  private func sent(_ channel: any Channel) {
    phase = .sent
    if inputEnded { channel.close(promise: nil) } else { channel.close(mode: .output, promise: nil) }
  }
}
