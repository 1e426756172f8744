import Glibc
import LaneTelemetry
import Testing

@Suite struct TimestampTests {
  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00.000000Z"),
      (951_782_399_999_999_999, "2000-02-28T23:59:59.999999Z"),
      (951_782_400_000_000_000, "2000-02-29T00:00:00.000000Z"),
      (951_868_800_000_001_000, "2000-03-01T00:00:00.000001Z"),
      (1_709_164_800_000_000_999, "2024-02-29T00:00:00.000000Z"),
      (2_147_483_647_000_000_000, "2038-01-19T03:14:07.000000Z"),
      (2_147_483_648_000_000_000, "2038-01-19T03:14:08.000000Z"),
      // 2100 is no leap year.
      (4_107_542_399_000_000_000, "2100-02-28T23:59:59.000000Z"),
      (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000Z"),
      (18_446_744_073_709_551_615, "2554-07-21T23:34:33.709551Z"),
    ] as [(UInt64, String)])
  func knownInstants(_ nanoseconds: UInt64, _ text: String) { #expect(Timestamp.text(nanoseconds: nanoseconds) == text) }

  /// The C library's calendar is the oracle: each day of 1970 to 2553, at a second that moves through the day.
  @Test func everyDayAgreesWithTheCLibrary() {
    var failures = 0
    for day in 0..<213_300 {
      let seconds = day * 86_400 + day * 7919 % 86_400
      var time = time_t(seconds)
      var parts = tm()
      gmtime_r(&time, &parts)
      let date = "\(pad(parts.tm_year + 1900, 4))-\(pad(parts.tm_mon + 1, 2))-\(pad(parts.tm_mday, 2))"
      let expected = "\(date)T\(pad(parts.tm_hour, 2)):\(pad(parts.tm_min, 2)):\(pad(parts.tm_sec, 2)).000042Z"
      if Timestamp.text(nanoseconds: UInt64(seconds) * 1_000_000_000 + 42_999) != expected { failures += 1 }
    }
    #expect(failures == 0)
  }

  @Test func theSystemClockIsRead() {
    let before = time(nil)
    let now = Timestamp.now() / 1_000_000_000
    #expect(now >= UInt64(before) && now <= UInt64(before) + 60)
  }

  private func pad(_ number: Int32, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
