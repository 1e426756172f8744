/// Writes metrics in Prometheus' text format 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
///
/// A family is begun with `family`, and its samples follow. Names of metrics and labels are literals of ours and are written as
/// they are; values of labels and help texts are escaped.
public struct PrometheusText {
  /// The media type of the text.
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// What a family's samples mean.
  public enum Kind: String, Sendable {
    /// It grows, and begins at zero with the process.
    case counter
    /// It goes up and down.
    case gauge
    /// Counts by size, with `_bucket`, `_sum` and `_count`.
    case histogram
  }

  /// A label's name and its value.
  public typealias Label = (name: StaticString, value: String)

  /// What was written so far, UTF-8.
  public private(set) var text: [UInt8] = []
  private var name: StaticString = ""

  /// An empty text.
  public init() { text.reserveCapacity(32 * 1024) }

  /// Begins a family.
  public mutating func family(_ name: StaticString, _ kind: Kind, _ help: String) {
    self.name = name
    write("# HELP ")
    write(name)
    write(" ")
    writeEscaped(help, quotes: false)
    write("\n# TYPE ")
    write(name)
    write(" \(kind.rawValue)\n")
  }

  /// One sample of the family, a whole number.
  public mutating func sample(_ labels: Label..., value: UInt64) { sample(suffix: "", labels, "\(value)") }

  /// One sample of the family.
  public mutating func sample(_ labels: Label..., value: Double) { sample(suffix: "", labels, Self.text(value)) }

  /// The family as one histogram of times.
  /// - Parameters:
  ///   - bounds: the buckets' upper bounds, nanoseconds, ascending; written in seconds.
  ///   - counts: of each bucket alone, and of what is above the last bound: one more than there are bounds.
  ///   - sum: of all that was counted, nanoseconds.
  public mutating func histogram(bounds: [UInt64], counts: [UInt64], sum: UInt64) {
    var total: UInt64 = 0
    for (bound, count) in zip(bounds, counts) {
      total &+= count
      sample(suffix: "_bucket", [("le", Self.seconds(bound))], "\(total)")
    }
    total = counts.reduce(0, &+)
    sample(suffix: "_bucket", [("le", "+Inf")], "\(total)")
    sample(suffix: "_sum", [], Self.seconds(sum))
    sample(suffix: "_count", [], "\(total)")
  }

  private mutating func sample(suffix: StaticString, _ labels: [Label], _ value: String) {
    write(name)
    write(suffix)
    for (index, label) in labels.enumerated() {
      write(index == 0 ? "{" : ",")
      write(label.name)
      write("=\"")
      writeEscaped(label.value, quotes: true)
      write("\"")
    }
    write(labels.isEmpty ? " " : "} ")
    write(value)
    write("\n")
  }

  private static func seconds(_ nanoseconds: UInt64) -> String { text(Double(nanoseconds) / 1e9) }

  /// As the format wants it; Swift's own `inf` and `nan` would pass for Go's, but are not what the page above names.
  static func text(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    return "\(value)"
  }

  private mutating func write(_ literal: StaticString) { literal.withUTF8Buffer { text.append(contentsOf: $0) } }

  private mutating func write(_ string: String) { text.append(contentsOf: string.utf8) }

  private mutating func writeEscaped(_ string: String, quotes: Bool) {
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\\"): write("\\\\")
      case UInt8(ascii: "\n"): write("\\n")
      case UInt8(ascii: "\"") where quotes: write("\\\"")
      default: text.append(byte)
      }
    }
  }
}
