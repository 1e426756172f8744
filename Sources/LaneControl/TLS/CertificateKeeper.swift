internal import Glibc
internal import LaneCore
internal import LinuxIO

/// Loads certificates, and loads them anew when their files change: each second it looks at them, which finds a renamed file and
/// Kubernetes' exchange of a symbolic link as well as a written one, on every file system.
///
/// What cannot be used changes nothing: the certificates in force stay, and an alert tells.
final class CertificateKeeper {
  /// What to load, and when to tell.
  struct Rules: Equatable {
    var files: TLSFiles
    var minimum = TLSVersion.tls13
    /// How long after the last time files are loaded without a change; 0 where they are loaded only when somebody asks.
    var interval: Nanoseconds = 60_000_000_000
    /// How many days before a certificate ends this is told.
    var warningDays = [30, 7, 1]
  }

  let certificates: TLSCertificates
  private let rules: Rules
  private let sink: any EventSink
  private let clock: () -> Int64
  private var signatures: [FileSignature?]
  /// A change was seen, and the files may still be in the middle of it.
  private var unsettled: [FileSignature?]?
  private var nextLoad: Nanoseconds
  /// The fewest days that were told, by the certificate's serial and issuer.
  private var told: [String: Int] = [:]
  /// What the last failed load said: it is told once.
  private var lastFailure: TLSFailure?

  /// Loads.
  /// - Parameter clock: seconds since 1970.
  /// - Throws: `TLSFailure` where the files cannot be used.
  init(_ rules: Rules, sink: any EventSink, now: Nanoseconds, clock: @escaping () -> Int64 = { Int64(time(nil)) }) throws(TLSFailure) {
    self.rules = rules
    self.sink = sink
    self.clock = clock
    signatures = Self.signatures(rules.files)
    certificates = TLSCertificates(try TLSContext(rules.files, minimum: rules.minimum, now: clock()))
    nextLoad = now &+ rules.interval
  }

  /// Tells what is in force: once the log is open.
  func announce() {
    tellLoaded()
    tellExpiry()
  }

  /// Each second.
  func tick(now: Nanoseconds) {
    defer { tellExpiry() }
    guard rules.interval > 0 else { return }
    let found = Self.signatures(rules.files)
    if let pending = unsettled {
      unsettled = found == pending ? nil : found
      if unsettled == nil { load(found, now: now) }
    } else if found != signatures {
      // Certificate and key may be written one after the other: once they rest.
      unsettled = found
    } else if now >= nextLoad {
      load(found, now: now)
    }
  }

  /// At once: the operator asks.
  func reload(now: Nanoseconds) {
    unsettled = nil
    lastFailure = nil
    load(Self.signatures(rules.files), now: now, isAsked: true)
  }

  private static func signatures(_ files: TLSFiles) -> [FileSignature?] {
    ([files.certificate, files.key, files.authorities] + (files.revocations.map { [$0] } ?? [])).map { FileSignature($0) }
  }

  private func load(_ found: [FileSignature?], now: Nanoseconds, isAsked: Bool = false) {
    signatures = found
    nextLoad = now &+ rules.interval
    do throws(TLSFailure) {
      let fresh = try TLSContext(rules.files, minimum: rules.minimum, now: clock())
      if isMidChange(found) { return }
      let isNew = fresh.chain != certificates.current.chain || fresh.authorities != certificates.current.authorities
      certificates.replace(with: fresh)
      let hadFailed = lastFailure != nil
      lastFailure = nil
      if isNew || isAsked || hadFailed { tellLoaded() }
    } catch {
      guard error != lastFailure, !isMidChange(found) else { return }
      lastFailure = error
      var event = LaneEvent(.tlsReloadFailed)
      event.detail = "\(error); the certificate \(certificates.current.chain[0].serial) stays in force"
      sink.record(event)
    }
  }

  /// The files changed while they were read: what was read may be of two sets. They are looked at again.
  private func isMidChange(_ found: [FileSignature?]) -> Bool {
    let now = Self.signatures(rules.files)
    guard now != found, rules.interval > 0 else { return false }
    unsettled = now
    return true
  }

  private func tellLoaded() {
    let context = certificates.current
    var event = LaneEvent(.tlsLoaded)
    event.detail = ([context.chain[0].sentence] + context.warnings).joined(separator: "; ")
    sink.record(event)
  }

  private func tellExpiry() {
    let now = clock()
    for certificate in certificates.current.chain + certificates.current.authorities {
      let days = Int((certificate.notAfter - now) / 86_400)
      guard let threshold = rules.warningDays.filter({ days < $0 }).min() else { continue }
      let key = "\(certificate.issuer) \(certificate.serial)"
      guard threshold < told[key] ?? .max else { continue }
      told[key] = threshold
      var event = LaneEvent(.tlsExpiring)
      event.detail =
        now > certificate.notAfter ? "has expired: \(certificate.sentence)" : "in less than \(threshold) days: \(certificate.sentence)"
      sink.record(event)
    }
  }
}
