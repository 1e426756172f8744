/// Why a subcommand ended without a figure.
enum BenchError: Error, CustomStringConvertible {
  /// The command line is not one that the program understands; usage is printed with it.
  case usage(String)
  /// A system call failed: what was tried, and `errno`.
  case system(String, Int32)
  /// The other side did what it must not.
  case peer(String)

  var description: String {
    switch self {
    case .usage(let text), .peer(let text): text
    case .system(let what, let number): "\(what): \(errorText(number))"
    }
  }

  /// 2 for a wrong command line, 1 for everything that went wrong later.
  var exitCode: Int32 {
    switch self {
    case .usage: 2
    case .system, .peer: 1
    }
  }
}
