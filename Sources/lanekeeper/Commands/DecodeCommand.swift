import CubeFSWire
import Glibc

extension Subcommand {
  /// `lanekeeper decode`.
  static let decode = Subcommand(
    name: "decode",
    summary: "print the packets of a captured stream, one direction of a connection",
    usage: """
      usage: lanekeeper decode FILE|- [--requests|--replies] [--json] [--release auto|3.3.0|3.4.0|3.5.3]

      Prints the packets of a CubeFS stream, in order, from a file or (-) standard input.

        --requests   caller to peer: the limits of requests apply
        --replies    peer to caller: the limits of replies apply
                     (neither: a packet with result code 0 counts as a request)
        --json       one JSON object per packet and line instead of a table
        --release R  whose rules decide how long a header is: auto (the flags of each packet decide, the default),
                     3.3.0, 3.4.0 or 3.5.3

      HeaderLength counts all before Arg: 57, 65 or 69 bytes and a version list. PayloadCRC is that of the payload found;
      CRC is what the header says. The payload itself is never held or printed.

      Exit status: 0 where the stream ends after a whole packet, also where it is empty; 1 where it breaks or ends within a
      packet (reason and byte offset on standard error, after the packets before); 64 for a wrong command line; 66 where
      the input cannot be read; 74 where standard output cannot be written.
      """,
    run: { arguments in
      let requests = try arguments.flag("--requests")
      let replies = try arguments.flag("--replies")
      let json = try arguments.flag("--json")
      let release = try arguments.option("--release", as: CubeFSRelease.self) ?? .auto
      let path = try arguments.positional("FILE (or - for standard input)")
      try arguments.finish()
      if requests && replies { throw UsageError(reason: "--requests and --replies exclude each other") }
      let direction: FrameDirection? = requests ? .request : replies ? .reply : nil
      try decodeStream(path, PacketReader(direction: direction, release: release), json: json)
      return ExitStatus.success
    })
}

/// Reads the stream piece by piece and prints the packets of each piece before it reads the next.
/// Throws `CommandFailure` where the input cannot be read or the stream breaks, `OutputError` where nothing can be printed.
private func decodeStream(_ path: String, _ reader: PacketReader, json: Bool) throws {
  let name = path == "-" ? "standard input" : printable(path)
  let input = try InputFile(path, name: name)
  var reader = reader
  var output = OutputStream()
  var table = PacketTable()
  var failure: PacketReader.Failure?
  while failure == nil {
    var packets: [DecodedPacket] = []
    let isMore = try reader.read(from: input) { packets.append($0) }
    failure = reader.failure
    for packet in packets {
      if json { try output.write(packet.json) } else { table.add(packet) }
    }
    if !json { try output.write(table.takeLines()) }
    // A reader at the other end of a pipe sees what is known so far.
    try output.flush()
    if !isMore { break }
  }
  if let failure { throw CommandFailure("\(name): \(failure)") }
}

/// Standard input or a file, read in order.
final class InputFile {
  private let descriptor: Int32
  private let name: String

  /// Opens the file; `-` is standard input. Throws `CommandFailure`.
  init(_ path: String, name: String) throws {
    self.name = name
    descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw CommandFailure("cannot open \(name): \(errorText(errno))", status: ExitStatus.noInput) }
  }

  deinit { if descriptor > STDERR_FILENO { close(descriptor) } }

  /// Reads what is there, at most the buffer's length; 0 at the end. Throws `CommandFailure`.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      if errno == EAGAIN {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&wait, 1, -1)
      } else if errno != EINTR {
        throw CommandFailure("cannot read \(name): \(errorText(errno))", status: ExitStatus.noInput)
      }
    }
  }
}
