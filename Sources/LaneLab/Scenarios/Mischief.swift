/// Plans faults for some of a list of operations.
struct Mischief {
  /// How many operations each kind is planned for, at most.
  let each: Int
  let kinds: [FaultKind]

  /// Spreads the faults evenly over the operations that can show them, one to an operation at most.
  func plan(for operations: [LabOperation], in script: FaultScript, random: inout LabRandom) {
    var free = operations.indices.filter { !LabExtent.isAbsent(partition: operations[$0].key) }
    free.shuffle(using: &random)
    // The kinds that suit fewest operations choose first.
    let weighted = kinds.filter { !$0.isOfConnection }.map { kind in
      (kind, free.reduce(0) { $0 + (kind.suits(operations[$1].opcode) ? 1 : 0) })
    }
    for (kind, _) in weighted.sorted(by: { $0.1 < $1.1 }) {
      var left = each
      free.removeAll { index in
        guard left > 0, kind.suits(operations[index].opcode) else { return false }
        left -= 1
        script.plan(kind, for: operations[index].key)
        return true
      }
    }
    if kinds.contains(.replyBeforeRequest) { script.planGreetings(each) }
  }
}
