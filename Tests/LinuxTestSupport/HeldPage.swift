internal import Glibc

/// A page of memory whose first touch waits until the test lets go of it (userfaultfd): a `recv` into it stands still in the
/// kernel, and holds its socket's lock meanwhile.
public final class HeldPage: @unchecked Sendable {
  /// The system call that this machine refuses, and its reason.
  public struct Refusal: Error, CustomStringConvertible {
    /// As a message gives it.
    public let description: String

    init(_ call: String) { description = "\(call): \(String(cString: strerror(errno)))" }
  }

  /// Why this machine has none, nil where it has: a test that cannot hold a page must say so.
  public static let refusal: String? = {
    do throws(Refusal) {
      _ = try HeldPage()
      return nil
    } catch {
      return error.description
    }
  }()

  /// How many bytes there are.
  public static let size = 4096

  /// Where they are.
  public let address: UnsafeMutableRawPointer
  private let faults: Int32

  /// Takes a page that nobody has touched.
  public init() throws(Refusal) {
    #if arch(x86_64)
      let userfaultfd = 323
    #else
      let userfaultfd = 282
    #endif
    // Faults of the kernel are what this is for: without UFFD_USER_MODE_ONLY, which needs CAP_SYS_PTRACE or the sysctl
    // vm.unprivileged_userfaultfd.
    let faults = Int32(truncatingIfNeeded: Variadic.syscall(userfaultfd, Int(O_CLOEXEC | O_NONBLOCK)))
    guard faults >= 0 else { throw Refusal("userfaultfd") }
    guard let page = mmap(nil, Self.size, PROT_READ | PROT_WRITE, Int32(MAP_PRIVATE | MAP_ANONYMOUS), -1, 0), page != MAP_FAILED else {
      let refusal = Refusal("mmap")
      close(faults)
      throw refusal
    }
    self.faults = faults
    address = page
    // UFFDIO_API (api 0xAA) and UFFDIO_REGISTER (range, mode MISSING), see ioctl_userfaultfd(2).
    var api: [UInt64] = [0xAA, 0, 0]
    guard Variadic.ioctl(faults, 0xC018_AA3F, &api) == 0 else { throw Refusal("ioctl(UFFDIO_API)") }
    var range: [UInt64] = [UInt64(UInt(bitPattern: page)), UInt64(Self.size), 1, 0]
    guard Variadic.ioctl(faults, 0xC020_AA00, &range) == 0 else { throw Refusal("ioctl(UFFDIO_REGISTER)") }
  }

  deinit {
    close(faults)
    munmap(address, Self.size)
  }

  /// Waits until somebody stands still in the page; false where nobody came in time.
  public func waitUntilTouched(milliseconds: Int32 = 10_000) -> Bool {
    // The fault is reported by the descriptor.
    var poller = pollfd(fd: faults, events: Int16(POLLIN), revents: 0)
    return poll(&poller, 1, milliseconds) == 1
  }

  /// Gives the page its memory: whoever stands there goes on. More calls do nothing.
  public func letGo() {
    // UFFDIO_ZEROPAGE (range, mode 0), which wakes, too.
    var range: [UInt64] = [UInt64(UInt(bitPattern: address)), UInt64(Self.size), 0, 0]
    _ = Variadic.ioctl(faults, 0xC020_AA04, &range)
  }
}
