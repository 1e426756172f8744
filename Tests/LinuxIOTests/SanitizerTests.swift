import Glibc
import Testing

/// Shows that the sanitizer lanes find what they are there for. Each defect is made only where its variable is set; `.ci/run`
/// sets it and expects the run to fail with the sanitizer's report.
@Suite struct SanitizerTests {
  /// Two threads write one variable without a lock: for ThreadSanitizer.
  @Test(.enabled(if: getenv("LANEKEEPER_DELIBERATE_RACE") != nil, "made only to test the sanitizer lane itself"))
  func deliberateRace() {
    let counter = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    counter.initialize(to: 0)
    defer { counter.deallocate() }
    var threads: [pthread_t] = []
    for _ in 0..<2 {
      var thread = pthread_t()
      let started = pthread_create(
        &thread, nil,
        { argument in
          guard let counter = argument?.assumingMemoryBound(to: Int.self) else { return nil }
          for _ in 0..<1000 { counter.pointee &+= 1 }
          return nil
        }, counter)
      #expect(started == 0)
      threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
    #expect(counter.pointee > 0)
  }

  /// A read of the byte after an allocation: for AddressSanitizer.
  @Test(.enabled(if: getenv("LANEKEEPER_DELIBERATE_OVERRUN") != nil, "made only to test the sanitizer lane itself"))
  func deliberateOverrun() {
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 57)
    bytes.initialize(repeating: 1, count: 57)
    defer { bytes.deallocate() }
    #expect((bytes + 57).pointee < 255)
  }
}
