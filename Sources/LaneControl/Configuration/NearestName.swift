/// The name that someone probably meant, whatever its case; nil where none is near.
public func nearest(to text: String, among names: [String]) -> String? {
  // Longer texts are no typing errors, and the distance below is quadratic.
  guard (1...64).contains(text.utf8.count) else { return nil }
  let wanted = Array(text.lowercased().utf8)
  var best: (name: String, distance: Int)?
  for name in names {
    let candidate = Array(name.lowercased().utf8)
    let distance = editDistance(wanted, candidate)
    if distance <= max(1, max(wanted.count, candidate.count) / 3), distance < best?.distance ?? .max { best = (name, distance) }
  }
  return best?.name
}

/// Fewest insertions, deletions, replacements and swaps of neighbours that turn one text into the other
/// (optimal string alignment).
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
  var beforeLast: [Int] = []
  var last = Array(0...right.count)
  for row in left.indices {
    var current = [row + 1]
    for column in right.indices {
      var cost = min(last[column + 1] + 1, current[column] + 1, last[column] + (left[row] == right[column] ? 0 : 1))
      if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
        cost = min(cost, beforeLast[column - 1] + 1)
      }
      current.append(cost)
    }
    beforeLast = last
    last = current
  }
  return last[right.count]
}
