import Testing

@testable import LaneCore

@Suite struct GateLedgerTests {
  @Test func nothingWrittenMayBeCancelled() {
    var ledger = GateLedger()
    ledger.read(57)
    ledger.requestArrived()
    #expect(ledger.mayCancel)
    #expect(ledger.read == 57)
  }

  @Test func aGatedReplyIsOpenFromItsFirstByteToItsTail() {
    var ledger = GateLedger()
    ledger.wrote(1, as: .gated)
    #expect(!ledger.mayCancel)
    ledger.requestArrived()
    #expect(!ledger.mayCancel)
    ledger.wrote(99, as: .gated)
    ledger.released()
    #expect(ledger.mayCancel)
    #expect(ledger.written == 100)
  }

  @Test func aSingleReplyIsProvedByTheNextRequestIfItWasWhole() {
    var ledger = GateLedger()
    ledger.wrote(30, as: .single)
    ledger.requestArrived()
    #expect(!ledger.mayCancel)
    ledger.wrote(27, as: .single)
    ledger.singleReplyEnded()
    #expect(!ledger.mayCancel)
    ledger.requestArrived()
    #expect(ledger.mayCancel)
    // The next one begins anew.
    ledger.wrote(57, as: .single)
    ledger.requestArrived()
    #expect(!ledger.mayCancel)
  }

  @Test func nothingProvesAnUngatedReply() {
    var ledger = GateLedger()
    ledger.wrote(57, as: .ungated)
    ledger.released()
    ledger.singleReplyEnded()
    ledger.requestArrived()
    #expect(!ledger.mayCancel)
  }

  @Test func noBytesAreNoHanding() {
    var ledger = GateLedger()
    for handing in [GateLedger.Handing.gated, .single, .ungated] { ledger.wrote(0, as: handing) }
    #expect(ledger.mayCancel)
    #expect(ledger.written == 0)
  }
}
