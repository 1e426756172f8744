import TestBytes
import Testing

@testable import LaneCore

@Suite struct AccountingTests {
  @Test func countsAgreeWithAList() {
    var generator = SeededGenerator(seed: 3)
    var accounting = Accounting()
    var begun: [OperationClass] = []
    var ended: [(OperationClass, Outcome)] = []
    var open: [OperationClass] = []
    for _ in 0..<5000 {
      if open.isEmpty || Bool.random(using: &generator) {
        let operationClass = OperationClass.allCases.randomElement(using: &generator) ?? .other
        accounting.begin(operationClass)
        begun.append(operationClass)
        open.append(operationClass)
      } else {
        let operationClass = open.remove(at: Int.random(in: 0..<open.count, using: &generator))
        let outcome = Outcome.allCases.randomElement(using: &generator) ?? .reset
        accounting.end(operationClass, outcome)
        ended.append((operationClass, outcome))
      }
      #expect(accounting.unfinished == UInt64(open.count))
    }
    for operationClass in OperationClass.allCases {
      #expect(accounting.started(operationClass) == UInt64(begun.filter { $0 == operationClass }.count))
      for outcome in Outcome.allCases {
        #expect(accounting.ended(operationClass, outcome) == UInt64(ended.filter { $0.0 == operationClass && $0.1 == outcome }.count))
      }
    }
    #expect(accounting.started == UInt64(begun.count))
    for outcome in Outcome.allCases { #expect(accounting.ended(outcome) == UInt64(ended.filter { $0.1 == outcome }.count)) }
    #expect(accounting.started == Outcome.allCases.reduce(0) { $0 + accounting.ended($1) } + accounting.unfinished)
  }

  @Test func namesAreUniqueAndReadBack() {
    for operationClass in OperationClass.allCases { #expect(OperationClass(name: operationClass.name) == operationClass) }
    #expect(OperationClass(name: "Read") == nil && OperationClass(name: "") == nil)
    #expect(Set(OperationClass.allCases.map(\.name)).count == 7)
    #expect(Set(Outcome.allCases.map(\.name)).count == 5)
  }
}
