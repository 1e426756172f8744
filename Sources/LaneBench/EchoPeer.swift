import CLinux
import Glibc
import NetEndpoint

/// Answers each CubeFS request at once, on one thread.
///
/// 0x05 StreamRead gets blocks of up to 128 KiB of one fixed pattern; every other request gets its own header back with result
/// OK and Size 0, as a datanode answers a request that has succeeded.
final class EchoPeer {
  private static let listenerToken = -1 & 0xFFFF_FFFF
  private let listener: Int32
  private let poller: Poller
  private let answers = Answers()
  private let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 64)
  private var connections: [Int: EchoConnection] = [:]

  /// The address that it listens on, with the port the kernel chose where 0 was asked for.
  let local: Endpoint

  init(listen: Endpoint) throws {
    (listener, local) = try Sockets.listen(on: listen)
    poller = try Poller()
    try poller.add(listener, token: Self.listenerToken, interest: Poller.readable)
  }

  deinit {
    readBuffer.deallocate()
    close(listener)
  }

  func run() throws -> Never {
    while true {
      try poller.wait(until: nil) { token, events in
        if token == Self.listenerToken { try acceptAll() } else { try serve(token, events) }
      }
    }
  }

  private func acceptAll() throws {
    while true {
      let socket = accept(listener, nil, nil)
      if socket < 0 { return }
      try Sockets.prepare(socket)
      connections[Int(socket)] = EchoConnection(socket: socket, answers: answers)
      try poller.add(socket, token: Int(socket), interest: Poller.readable)
    }
  }

  private func serve(_ token: Int, _ events: UInt32) throws {
    guard let connection = connections[token] else { return }
    let wasBlocked = connection.isBlocked
    do {
      if wasBlocked {
        try connection.flush()
      } else {
        try connection.receive(into: readBuffer)
      }
    } catch let end as EchoConnection.End {
      if case .refused(let why) = end { say("lanekeeper-bench echo: connection closed: \(why)", to: STDERR_FILENO) }
      connections.removeValue(forKey: token)
      close(connection.socket)
      return
    }
    // A reader that is slow stops our reading too: the queue of one connection stays within what one read brought.
    if connection.isBlocked != wasBlocked {
      try poller.change(
        connection.socket, token: token, interest: connection.isBlocked ? Poller.writable : Poller.readable)
    }
  }
}

/// The bytes that answers are made of, computed once.
final class Answers {
  let block = UnsafeRawBufferPointer(Packet.makeBlock())
  private var lastLength = 0
  private var lastCRC: UInt32 = 0

  /// CRC of the first `length` bytes of the block.
  func crc(ofFirst length: Int) -> UInt32 {
    if length != lastLength {
      lastLength = length
      lastCRC = Packet.crc32(UnsafeRawBufferPointer(rebasing: block[..<length]))
    }
    return lastCRC
  }
}
