import LaneCore
import Testing

@Suite struct RequiredNameTests {
  @Test func anyNameDoes() throws {
    #expect(try RequiredName("any").accepts(CertificateNames(), address: 1))
  }

  @Test func theAddressThatWasDialledMustBeThere() throws {
    let required = try RequiredName("address")
    let names = CertificateNames(dns: ["10.0.0.9", "a.example"], addresses: [0x0A00_0001, 0x0A00_0002])
    #expect(required.accepts(names, address: 0x0A00_0002))
    #expect(!required.accepts(names, address: 0x0A00_0009))
    #expect(!required.accepts(CertificateNames(), address: 0))
  }

  @Test func theNameMustBeThere() throws {
    let required = try RequiredName("dns:A.example")
    #expect(required.accepts(CertificateNames(dns: ["b.example", "a.EXAMPLE"]), address: 1))
    for other in ["*.example", "a.example.", "a.example\0", "b.a.example", "example", ""] {
      #expect(!required.accepts(CertificateNames(dns: [other], uris: ["a.example"], addresses: [1]), address: 1), "\(other)")
    }
    #expect(!required.accepts(CertificateNames(), address: 1))
    // KELVIN SIGN, whose small letter is k.
    #expect(!(try RequiredName("dns:k.example")).accepts(CertificateNames(dns: ["\u{212A}.example"]), address: 1))
  }

  @Test(arguments: ["any", "address", "dns:a.example"])
  func textSurvivesARoundTrip(text: String) throws {
    #expect(try RequiredName(text).description == text)
  }

  @Test(arguments: [
    ("", PeerNameProblem.kindUnknown), ("Any", .kindMissing(write: "dns:")), ("a.example", .kindMissing(write: "dns:")),
    ("10.0.0.1", .kindUnknown), ("dns:", .notADNSName), ("dns:*.example", .wildcardMisplaced), ("dns:10.0.0.1", .addressAsDNSName),
    ("uri:spiffe://a/b", .kindUnknown),
  ])
  func aWrongNameIsRefusedWithTheReason(text: String, problem: PeerNameProblem) {
    #expect(throws: problem) { try RequiredName(text) }
  }
}
