import LaneCore
import Testing

@Suite struct AllowListTests {
  /// A rule, and names of a certificate that it must match or must not.
  struct Case: CustomTestStringConvertible, Sendable {
    var rule: String
    var names: CertificateNames
    var allowed: Bool

    init(_ rule: String, _ allowed: Bool, dns: [String] = [], uris: [String] = [], addresses: [UInt32] = []) {
      self.rule = rule
      self.allowed = allowed
      names = CertificateNames(dns: dns, uris: uris, addresses: addresses)
    }

    var testDescription: String { "\(rule) and \(names)" }
  }

  private static let id = "spiffe://prod.example/node/a"

  @Test(arguments: [
    // DNS names, whole.
    Case("dns:a.example", true, dns: ["a.example"]), Case("dns:A.Example", true, dns: ["a.eXAMPLE"]),
    Case("dns:a.example", true, dns: ["b.example", "a.example"]), Case("dns:a.example", false, dns: ["b.example"]),
    Case("dns:a.example", false, dns: ["aa.example"]), Case("dns:a.example", false, dns: ["x.a.example"]),
    Case("dns:a.example", false, dns: ["a.example.net"]), Case("dns:a.example", false, dns: []),
    Case("dns:a.example", false, uris: ["a.example", "dns:a.example"]),
    // A certificate's own oddities match nothing, and spoil no other name.
    Case("dns:a.example", false, dns: ["*.example"]), Case("dns:a.example", false, dns: ["*"]),
    Case("dns:a.example", false, dns: ["a.example\0"]), Case("dns:a.example", false, dns: ["a.example\0.evil.net"]),
    Case("dns:a.example", false, dns: ["a.example."]), Case("dns:a.example", false, dns: [" a.example"]),
    Case("dns:a.example", false, dns: ["a.example\n"]), Case("dns:a.example", false, dns: ["\u{430}.example"]),
    // KELVIN SIGN, whose small letter is k.
    Case("dns:k.example", false, dns: ["\u{212A}.example"]), Case("dns:a.example", false, dns: [""]),
    Case("dns:a.example", true, dns: ["*.example", "a\0", "a.example"]),
    // Below a suffix.
    Case("dns:*.storage.example", true, dns: ["a.storage.example"]), Case("dns:*.storage.example", true, dns: ["b.a.Storage.example"]),
    Case("dns:*.storage.example", false, dns: ["storage.example"]), Case("dns:*.storage.example", false, dns: [".storage.example"]),
    Case("dns:*.storage.example", false, dns: ["xstorage.example"]), Case("dns:*.storage.example", false, dns: ["*.storage.example"]),
    Case("dns:*.storage.example", false, dns: ["a*.storage.example"]), Case("dns:*.storage.example", false, dns: ["a\0.storage.example"]),
    Case("dns:*.storage.example", false, dns: ["a..storage.example"]), Case("dns:*.storage.example", false, dns: ["-.storage.example"]),
    Case("dns:*.storage.example", false, dns: ["a.storage.example.net"]),
    Case("dns:*.storage.example", false, dns: ["\u{E9}.storage.example"]),
    // SPIFFE ids, whole.
    Case("uri:spiffe://prod.example/node/a", true, uris: [id]), Case("uri:SPIFFE://Prod.Example/node/a", true, uris: [id]),
    Case("uri:spiffe://prod.example/node/a", true, uris: ["Spiffe://PROD.example/node/a"]),
    Case("uri:spiffe://prod.example/node/a", false, uris: ["spiffe://prod.example/node/A"]),
    Case("uri:spiffe://prod.example/node/a", false, uris: ["spiffe://prod.example/node/a/b"]),
    Case("uri:spiffe://prod.example/node/a", false, uris: ["spiffe://prod.example/node"]),
    Case("uri:spiffe://prod.example/node/a", false, uris: ["spiffe://prod.example/node/a/"]),
    Case("uri:spiffe://prod.example/node/a", false, uris: ["spiffe://test.example/node/a"]),
    Case("uri:spiffe://prod.example/node/a", false, uris: ["spiffe://prod.example/node/a\0"]),
    Case("uri:spiffe://prod.example/node/a", false, uris: ["spiffe://prod.example/node/%61"]),
    Case("uri:spiffe://prod.example/node/a", false, uris: ["spiffe://prod.example/x/../node/a"]),
    Case("uri:spiffe://prod.example/node/a", false, dns: ["prod.example", id]),
    // Trust domains.
    Case("trustDomain:prod.example", true, uris: [id]), Case("trustDomain:PROD.example", true, uris: ["spiffe://Prod.example/x"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://prod.example"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://prod.example/"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://prod.example.net/x"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://a.prod.example/x"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://prod.example:443/x"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://user@prod.example/x"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://evil@prod.example/x"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://prod.example/*"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://prod.example/x?y"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://prod.example/x#y"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://prod.example/a//b"]),
    Case("trustDomain:prod.example", false, uris: ["https://prod.example/x"]),
    Case("trustDomain:prod.example", false, uris: ["xspiffe://prod.example/x"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe:\u{2F}/prod.example/\u{E9}"]),
    Case("trustDomain:prod.example", false, uris: ["spiffe://prod.example/" + String(repeating: "a", count: 2027)]),
    Case("trustDomain:prod.example", true, uris: ["spiffe://prod.example/" + String(repeating: "a", count: 2026)]),
    Case("trustDomain:prod.example", false, dns: ["prod.example"]),
    // X509-SVID section 5.2: a certificate with two URIs has no SPIFFE identity.
    Case("trustDomain:prod.example", false, uris: [id, id]), Case("uri:spiffe://prod.example/node/a", false, uris: [id, "https://x/"]),
    Case("trustDomain:prod.example", true, dns: ["a.example"], uris: [id]),
    // Other URIs: bytes.
    Case("uri:urn:node:7", true, uris: ["https://x/", "urn:node:7"]), Case("uri:urn:node:7", false, uris: ["URN:node:7"]),
    Case("uri:urn:node:7", false, uris: ["urn:node:77"]), Case("uri:urn:node:7", false, uris: ["urn:node:7\0"]),
    Case("uri:urn:node:7", false, dns: ["urn:node:7"]),
    // Addresses are nobody's name here.
    Case("dns:a.example", false, addresses: [0x0A00_0001]),
  ])
  func aRuleMatchesItsNamesOnly(_ one: Case) throws {
    let pattern = try AllowList.Pattern(one.rule)
    #expect(AllowList([pattern]).allows(one.names) == one.allowed)
    // As written by configuration, it is the same rule.
    #expect(try AllowList.Pattern(pattern.description) == pattern)
  }

  @Test func anEmptyListAllowsNobody() {
    let names = CertificateNames(dns: ["a.example"], uris: [Self.id], addresses: [1])
    #expect(!AllowList().allows(names))
  }

  @Test func oneRuleOfSeveralIsEnoughAndIsTold() throws {
    let list = AllowList([try .init("dns:a.example"), try .init("dns:*.example"), try .init("trustDomain:prod.example")])
    #expect(list.match(CertificateNames(dns: ["b.example"]))?.description == "dns:*.example")
    #expect(list.match(CertificateNames(dns: ["a.example"]))?.description == "dns:a.example")
    #expect(list.match(CertificateNames(uris: [Self.id]))?.description == "trustDomain:prod.example")
    #expect(list.match(CertificateNames(dns: ["example"])) == nil)
  }

  @Test(arguments: [
    ("", PeerNameProblem.kindUnknown), ("a.example", .kindUnknown), ("*.example", .kindUnknown), ("DNS:a.example", .kindUnknown),
    ("ip:10.0.0.1", .kindUnknown), ("spiffe://prod.example/a", .kindMissing(write: "uri:")), ("dns:", .notADNSName),
    ("dns: a.example", .notADNSName), ("dns:a.example.", .notADNSName), ("dns:a..example", .notADNSName), ("dns:-a.example", .notADNSName),
    ("dns:a-.example", .notADNSName), ("dns:a/b", .notADNSName), ("dns:\u{E9}.example", .notADNSName), ("dns:a\0.example", .notADNSName),
    ("dns:\(String(repeating: "a", count: 64)).example", .notADNSName),
    ("dns:\(String(repeating: "a.", count: 126))aa", .notADNSName), ("dns:10.0.0.1", .addressAsDNSName), ("dns:*.0.0.1", .addressAsDNSName),
    ("dns:a.1", .notADNSName), ("dns:::1", .addressAsDNSName), ("dns:*", .wildcardMisplaced), ("dns:*.", .notADNSName),
    ("dns:*.*.example", .wildcardMisplaced), ("dns:a*.example", .wildcardMisplaced), ("dns:a.*.example", .wildcardMisplaced),
    ("uri:", .notAURI), ("uri:a b:c", .notAURI), ("uri:nothing", .notAURI), ("uri::x", .notAURI), ("uri:7a:x", .notAURI),
    ("uri:urn:", .notAURI), ("uri:urn:a*", .notAURI), ("uri:urn:\u{E9}", .notAURI), ("uri:spiffe://", .notASPIFFEID),
    ("uri:spiffe:///a", .notASPIFFEID), ("uri:spiffe://prod.example/", .notASPIFFEID), ("uri:spiffe://prod.example/a/", .notASPIFFEID),
    ("uri:spiffe://prod.example/*", .notASPIFFEID), ("uri:spiffe://prod.example/.", .notASPIFFEID),
    ("uri:SPIFFE://prod.example/..", .notASPIFFEID), ("trustDomain:", .notATrustDomain), ("trustDomain:spiffe://a", .notATrustDomain),
    ("trustDomain:a/b", .notATrustDomain), ("trustDomain:*.a", .notATrustDomain),
    ("trustDomain:\(String(repeating: "a", count: 256))", .notATrustDomain),
  ])
  func aWrongRuleIsRefusedWithTheReason(text: String, problem: PeerNameProblem) {
    #expect(throws: problem) { try AllowList.Pattern(text) }
    #expect(!problem.description.isEmpty)
  }

  @Test func aTrustDomainWrittenAsAnIDIsPointedOut() throws {
    let problem = try #require(throws: PeerNameProblem.self) { try AllowList.Pattern("uri:spiffe://Prod.example") }
    #expect(problem.description == "a SPIFFE id without a path names no peer; for all of them write trustDomain:prod.example")
  }

  @Test func namesOfTheGreatestLengthPass() throws {
    let label = String(repeating: "a", count: 63)
    let longest = "\(label).\(label).\(label).\(String(repeating: "b", count: 61))"
    #expect(longest.utf8.count == 253)
    #expect(AllowList([try .init("dns:\(longest)")]).allows(CertificateNames(dns: [longest])))
    #expect(AllowList([try .init("trustDomain:\(String(repeating: "a", count: 255))")]).patterns.count == 1)
  }
}
