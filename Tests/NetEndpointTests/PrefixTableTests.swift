import NetEndpoint
import Testing

@Suite struct PrefixTableTests {
  private func table(_ texts: [String]) throws -> PrefixTable<String> {
    var table = PrefixTable<String>()
    for text in texts { #expect(table.insert(text, for: try AddressPrefix(text))) }
    return table
  }

  @Test func theLongestPrefixDecidesInWhateverOrderTheyCame() throws {
    let texts = ["10.0.0.0/8", "10.0.12.7/32", "10.0.0.0/16", "10.0.12.0/24", "10.1.0.0/16"]
    for order in [texts, texts.reversed(), Array(texts[2...] + texts[..<2])] {
      let table = try table(order)
      #expect(table.value(for: 0x0A00_0C07) == "10.0.12.7/32")
      #expect(table.value(for: 0x0A00_0C08) == "10.0.12.0/24")
      #expect(table.value(for: 0x0A00_0D08) == "10.0.0.0/16")
      #expect(table.value(for: 0x0A01_0000) == "10.1.0.0/16")
      #expect(table.value(for: 0x0AFF_FFFF) == "10.0.0.0/8")
      #expect(table.value(for: 0x0B00_0000) == nil)
      #expect(table.entries.map(\.value) == ["10.0.12.7/32", "10.0.12.0/24", "10.0.0.0/16", "10.1.0.0/16", "10.0.0.0/8"])
    }
  }

  @Test func aPrefixOfLengthZeroHoldsEveryAddress() throws {
    let table = try table(["0.0.0.0/0", "255.255.255.255/32"])
    #expect(table.value(for: 0) == "0.0.0.0/0" && table.value(for: .max - 1) == "0.0.0.0/0")
    #expect(table.value(for: .max) == "255.255.255.255/32")
  }

  @Test func aSecondEntryForAPrefixIsRefusedAndChangesNothing() throws {
    var table = try table(["10.0.0.1"])
    let before = table
    #expect(!table.insert("again", for: try AddressPrefix("10.0.0.1/32")))
    #expect(table == before && table.count == 1)
    // The same address with another length is another prefix.
    #expect(table.insert("wider", for: try AddressPrefix("10.0.0.0/31")))
    #expect(table != before && table.value(for: 0x0A00_0001) == "10.0.0.1")
  }

  @Test func nothingIsFoundInAnEmptyTable() {
    #expect(PrefixTable<Int>().value(for: 0) == nil)
  }
}
