import NetEndpoint
import Testing

@Suite struct AddressPrefixTests {
  @Test(arguments: ["0.0.0.0/0", "10.0.0.0/8", "10.0.12.0/24", "127.77.0.1/32", "128.0.0.0/1", "255.255.255.254/31"])
  func textSurvivesARoundTrip(text: String) throws {
    #expect(try AddressPrefix(text).description == text)
  }

  @Test func aBareAddressIsItselfAlone() throws {
    let prefix = try AddressPrefix("10.0.12.1")
    #expect(prefix == (try AddressPrefix("10.0.12.1/32")))
    #expect(prefix.contains(0x0A00_0C01) && !prefix.contains(0x0A00_0C00) && !prefix.contains(0x0A00_0C02))
  }

  @Test func theRangeHasItsEnds() throws {
    let prefix = try AddressPrefix("10.0.12.0/23")
    #expect(prefix.contains(0x0A00_0C00) && prefix.contains(0x0A00_0DFF))
    #expect(!prefix.contains(0x0A00_0BFF) && !prefix.contains(0x0A00_0E00))
    let all = try AddressPrefix("0.0.0.0/0")
    #expect(all.contains(0) && all.contains(.max))
  }

  @Test(arguments: [
    ("", "not an IPv4 address or prefix"), ("/8", "not an IPv4 address or prefix"), ("10.0.0/8", "not an IPv4 address or prefix"),
    ("10.0.0.0:1/8", "not an IPv4 address or prefix"), ("010.0.0.0/8", "not an IPv4 address or prefix"),
    (" 10.0.0.0/8", "not an IPv4 address or prefix"), ("256.0.0.0/8", "not an IPv4 address or prefix"),
    ("::/0", "not an IPv4 address or prefix"), ("10.0.0.0/", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.0.0/33", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.0.0/99", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.0.0/288", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.0.0/08", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.0.0/-1", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.0.0/+8", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.0.0/8/8", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.0.0/8 ", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.0.0/255.0.0.0", "the length behind / is not a whole number from 0 to 32"),
    ("10.0.12.1/24", "bits beyond the length are set; write 10.0.12.0/24"),
    ("1.0.0.0/0", "bits beyond the length are set; write 0.0.0.0/0"),
    ("10.0.0.1/31", "bits beyond the length are set; write 10.0.0.0/31"),
  ])
  func anythingElseIsRefusedWithTheReason(text: String, reason: String) {
    do throws(AddressPrefixProblem) {
      let prefix = try AddressPrefix(text)
      Issue.record("\(text) was read as \(prefix)")
    } catch {
      #expect(error.description == reason, "\(text)")
    }
  }
}
