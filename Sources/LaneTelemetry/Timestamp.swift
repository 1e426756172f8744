internal import Glibc

/// RFC 3339 in UTC with microseconds, from nanoseconds since 1970-01-01T00:00:00Z. Leap seconds do not exist in Unix time.
public enum Timestamp {
  /// The system's wall clock, nanoseconds since 1970; 0 where it stands before that.
  public static func now() -> UInt64 {
    var time = timespec()
    guard clock_gettime(CLOCK_REALTIME, &time) == 0, time.tv_sec >= 0 else { return 0 }
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  /// `2026-11-23T04:05:06.123456Z`. UInt64 nanoseconds end in the year 2554, so that the year always has four digits.
  public static func text(nanoseconds: UInt64) -> String {
    let seconds = nanoseconds / 1_000_000_000
    let date = civil(days: Int(seconds / 86_400))
    let second = Int(seconds % 86_400)
    let microsecond = Int(nanoseconds / 1000 % 1_000_000)
    return String(unsafeUninitializedCapacity: 27) { bytes in
      var end = 0
      func put(_ value: Int, _ width: Int, _ after: UInt8) {
        var rest = value
        for index in stride(from: end + width - 1, through: end, by: -1) {
          bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
          rest /= 10
        }
        bytes[end + width] = after
        end += width + 1
      }
      put(date.year, 4, UInt8(ascii: "-"))
      put(date.month, 2, UInt8(ascii: "-"))
      put(date.day, 2, UInt8(ascii: "T"))
      put(second / 3600, 2, UInt8(ascii: ":"))
      put(second / 60 % 60, 2, UInt8(ascii: ":"))
      put(second % 60, 2, UInt8(ascii: "."))
      put(microsecond, 6, UInt8(ascii: "Z"))
      return end
    }
  }

  /// The date of a day counted from 1970-01-01. Years are counted from 1 March, so that the leap day is a year's last; 400 such
  /// years have 146,097 days.
  private static func civil(days: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
  }
}
