import LaneJSON
import LinuxIO

/// A certificate of a file, as `lanekeeper certs show` prints it.
struct CertificateListing {
  let certificate: CertificateDescription
  /// The file it is from.
  let path: String
  /// Its place in the file, from 1.
  let number: Int
  /// How many the file has.
  let count: Int
  /// Unix seconds.
  let now: Int64

  /// Whole days until it ends; negative where it has ended.
  private var daysLeft: Int64 {
    let seconds = certificate.notAfter - now
    return seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
  }

  /// A heading and a line for each thing it says.
  var text: String {
    var lines = ["\(printable(path, limit: 4096)): certificate \(number) of \(count)"]
    func add(_ name: String, _ value: String) {
      lines.append("  \(name)\(String(repeating: " ", count: 12 - name.utf8.count))\(value)")
    }
    add("subject", certificate.subject)
    for name in certificate.dnsNames { add("dns", name) }
    for name in certificate.uris { add("uri", name) }
    for name in certificate.addresses { add("address", name) }
    if certificate.otherNameCount > 0 { add("other names", "\(certificate.otherNameCount)") }
    add("serial", certificate.serial)
    add("issuer", certificate.issuer)
    let notYet = certificate.notBefore > now ? " (not yet valid)" : ""
    add("not before", CertificateDescription.text(time: certificate.notBefore) + notYet)
    let left = certificate.notAfter >= now ? "\(daysLeft) days left" : "expired"
    add("not after", "\(CertificateDescription.text(time: certificate.notAfter)) (\(left))")
    add("key", certificate.keyKind)
    add("authority", certificate.isAuthority ? "yes" : "no")
    add("key usage", certificate.keyUsages?.joined(separator: ", ") ?? "any")
    add("usage", certificate.extendedKeyUsages?.joined(separator: ", ") ?? "any")
    add("sha256", certificate.fingerprint)
    return lines.joined(separator: "\n") + "\n"
  }

  /// One line: a JSON object. Usages are null where the certificate allows every use.
  var json: String {
    var writer = JSONWriter()
    func array(_ name: String, _ values: [String]?, _ object: inout JSONWriter) {
      object.key(name)
      guard let values else { return object.null() }
      object.array { for value in values { $0.string(value) } }
    }
    writer.object {
      $0.member("file", path)
      $0.member("number", number)
      $0.member("subject", certificate.subject)
      array("dnsNames", certificate.dnsNames, &$0)
      array("uris", certificate.uris, &$0)
      array("addresses", certificate.addresses, &$0)
      $0.member("otherNames", certificate.otherNameCount)
      $0.member("serial", certificate.serial)
      $0.member("issuer", certificate.issuer)
      $0.member("notBefore", CertificateDescription.text(time: certificate.notBefore))
      $0.member("notAfter", CertificateDescription.text(time: certificate.notAfter))
      $0.member("daysLeft", daysLeft)
      $0.member("key", certificate.keyKind)
      $0.member("isAuthority", certificate.isAuthority)
      array("keyUsage", certificate.keyUsages, &$0)
      array("extendedKeyUsage", certificate.extendedKeyUsages, &$0)
      $0.member("sha256", certificate.fingerprint)
    }
    return writer.text + "\n"
  }
}
