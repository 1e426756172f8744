import Testing

/// An answer of an HTTP server, in its parts.
struct HTTPAnswer {
  var status = 0
  /// Names in lower case.
  var fields: [String: String] = [:]
  var body: [UInt8] = []
  var text: String { String(decoding: body, as: UTF8.self) }

  init(_ bytes: [UInt8]) {
    let end = bytes.indices.first { bytes[$0...].starts(with: Array("\r\n\r\n".utf8)) } ?? bytes.endIndex
    body = Array(bytes[min(end + 4, bytes.endIndex)...])
    let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
    status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    for line in lines.dropFirst() {
      let pair = line.split(separator: ":", maxSplits: 1)
      if pair.count == 2 { fields[pair[0].lowercased()] = String(pair[1].drop { $0 == " " }) }
    }
  }
}

enum HTTP {
  /// Asks a port of 127.0.0.1 and reads until it closes the connection.
  static func ask(_ port: UInt16, _ request: String) throws -> HTTPAnswer {
    let socket = try StreamSocket(port: port)
    socket.send(Array(request.utf8))
    let found = socket.receiveToEnd()
    #expect(found.ending == .end, "\(request.prefix(40))")
    return HTTPAnswer(found.bytes)
  }

  static func request(_ path: String, _ method: String = "GET") -> String { "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" }

  static func get(_ port: UInt16, _ path: String) throws -> HTTPAnswer { try ask(port, request(path)) }
}

/// Prometheus' text format, as far as the tests read it.
struct Scrape {
  private var samples: [(name: String, labels: [String: String], value: Double)] = []

  init(_ text: String) {
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else { continue }
      let series = line[..<space]
      let name = series.prefix { $0 != "{" }
      var labels: [String: String] = [:]
      // No value of a label has a comma or a quote in these tests.
      for pair in series.dropFirst(name.count).split(whereSeparator: { "{},".contains($0) }) {
        let parts = pair.split(separator: "=", maxSplits: 1)
        if parts.count == 2 { labels[String(parts[0])] = parts[1].filter { $0 != "\"" } }
      }
      samples.append((String(name), labels, value))
    }
  }

  /// The sum of that metric's samples that have those labels; nil where there is none.
  func sum(_ name: String, _ labels: [String: String] = [:]) -> Double? {
    let matching = samples.filter { sample in sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value } }
    return matching.isEmpty ? nil : matching.reduce(0) { $0 + $1.value }
  }
}
