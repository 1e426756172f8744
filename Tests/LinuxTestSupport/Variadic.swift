internal import Glibc

/// System calls that Swift cannot import because C declares them with `...`; Linux passes such arguments as it passes fixed ones.
public enum Variadic {
  /// `syscall(2)` with up to two arguments.
  public static func syscall(_ number: Int, _ first: Int, _ second: Int = 0) -> Int {
    typealias Function = @convention(c) (Int, Int, Int) -> Int
    guard let symbol = dlsym(nil, "syscall") else { return -1 }
    return unsafeBitCast(symbol, to: Function.self)(number, first, second)
  }

  /// `ioctl(2)` with a pointer.
  public static func ioctl(_ fd: Int32, _ request: UInt, _ argument: UnsafeMutableRawPointer) -> Int32 {
    typealias Function = @convention(c) (Int32, UInt, UnsafeMutableRawPointer) -> Int32
    guard let symbol = dlsym(nil, "ioctl") else { return -1 }
    return unsafeBitCast(symbol, to: Function.self)(fd, request, argument)
  }
}
