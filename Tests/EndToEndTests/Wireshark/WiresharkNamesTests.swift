import CubeFSWire
import TestBytes
import Testing

/// The names that tshark shows for the 256 opcodes and the 256 result codes.
@Suite(.timeLimit(.minutes(10)))
struct WiresharkNamesTests {
  /// What follows "Opcode: " and "ResultCode: " in tshark's tree, by number; nil for what has no name.
  private static func shown(_ label: String) throws -> [UInt8: String] {
    let capture = Capture()
    for number in UInt8.min...(.max) {
      let request = WirePacket.request(0x10, reqID: 1)
      let connection = capture.connect(from: 20_000 + Int(number))
      if label == "Opcode" {
        connection.ask(WirePacket.request(number, reqID: 1).bytes)
      } else {
        connection.answer(request.mutated(result: number).bytes)
      }
    }
    var names: [UInt8: String] = [:]
    for line in try Tshark.lines(capture, ["-V", "-O", "cubefs"]) where line.hasPrefix("    \(label): ") {
      let words = line.split(separator: " ")
      let number = try #require(words.last.flatMap { UInt8($0.dropFirst(3).dropLast(), radix: 16) })
      names[number] = String(words[1])
    }
    return names
  }

  @Test func opcodesAreNamedAsTheManifestsNameThem() throws {
    let shown = try Self.shown("Opcode")
    var count = 0
    for folder in GoldenManifest.built + GoldenManifest.live {
      for (opcode, name) in try GoldenManifest.opcodeNames(folder) {
        #expect(shown[UInt8(opcode)] == name, "\(folder)")
        count += 1
      }
    }
    #expect(count > 350)
  }

  /// The program and the dissector have their tables from CubeFS's sources independently: neither may lack what the other has.
  @Test func opcodesAndResultCodesAreNamedAsTheProgramNamesThem() throws {
    let opcodes = try Self.shown("Opcode")
    let results = try Self.shown("ResultCode")
    // The metanode's, which stand between the datanode's in CubeFS's table.
    let metanodes: Set<UInt8> = [0x83, 0x86, 0x87]
    for number in UInt8.min...(.max) {
      #expect(opcodes[number] == Opcode(number).knownName ?? "Unknown", "\(number)")
      let name = ResultCode(number).name
      if !metanodes.contains(number) { #expect(results[number] == (name.hasPrefix("0x") ? "Unknown" : name), "\(number)") }
    }
  }
}
