internal import CLinux

/// Nanoseconds of `CLOCK_MONOTONIC`, or a span of them.
public typealias Nanoseconds = UInt64

/// What epoll says of a descriptor, and what it is asked to say (`EPOLLIN` and its siblings, see epoll_ctl(2)).
public struct ReadyEvents: OptionSet, Sendable {
  /// The bits as the kernel has them.
  public let rawValue: UInt32

  /// Takes the bits as the kernel has them.
  @inline(__always)
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// `EPOLLIN`: data or the end of the stream can be read.
  public static let readable = ReadyEvents(rawValue: 0x001)
  /// `EPOLLOUT`: there is room for output.
  public static let writable = ReadyEvents(rawValue: 0x004)
  /// `EPOLLERR`: the socket has a pending error. Reported whether asked for or not.
  public static let error = ReadyEvents(rawValue: 0x008)
  /// `EPOLLHUP`: both directions are shut. Reported whether asked for or not.
  public static let hangUp = ReadyEvents(rawValue: 0x010)
  /// `EPOLLRDHUP`: the peer has shut its sending direction.
  public static let readHangUp = ReadyEvents(rawValue: 0x2000)
}

/// Receives the events of one descriptor. A class and not a protocol: the reactor calls it once per event, without an existential.
open class EventHandler {
  /// A handler that is not registered yet.
  public init() {}

  /// Called from the reactor's loop with what the kernel reported. Level-triggered: what is left undone is reported again.
  open func ready(_ events: ReadyEvents) {}
}

/// A place in the reactor's table. It names one registration for ever: when the place is used again its generation differs.
public struct Registration: Equatable, Sendable {
  let slot: UInt32
  let generation: UInt32

  /// A registration that no reactor knows: changing or removing it does nothing.
  public static let none = Registration(slot: .max, generation: 0)
}
