import CertificateTestSupport
import Glibc
import LinuxIO
import Testing

/// What the reading of certificates makes of the odd ones; the ordinary ones are held against `openssl x509` end to end.
@Suite struct CertificateDescriptionTests {
  private let pki: TestPKI

  init() throws { pki = try TestPKI() }

  private func path(_ name: String) -> String { "\(pki.directory)/\(name)" }

  private func bytes(_ path: String) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    return [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
      count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
    }
  }

  private func put(_ name: String, _ bytes: [UInt8]) throws -> String {
    let descriptor = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    try #require(descriptor >= 0 && write(descriptor, bytes, bytes.count) == bytes.count)
    close(descriptor)
    return path(name)
  }

  @Test func aChainIsReadInTheFilesOrder() throws {
    let read = try CertificateDescription.read(path: pki.issue("node-1", by: .intermediate).certificate)
    #expect(read.map(\.subject) == ["CN=node-1", "CN=Test Intermediate CA,O=Lanekeeper tests"])
    #expect(read.map(\.issuer) == ["CN=Test Intermediate CA,O=Lanekeeper tests", "CN=Test CA,O=Lanekeeper tests"])
    #expect(read.map(\.isAuthority) == [false, true])
    #expect(read.map(\.dnsNames) == [["node-1"], []])
    #expect(read[1].keyUsages == ["keyCertSign", "cRLSign"])
    #expect(read[1].extendedKeyUsages == nil)
  }

  @Test func theKeyOfTheSameFileIsPassedOver() throws {
    let issued = try pki.issue("node-1")
    let both = try put("both.pem", bytes(issued.key) + bytes(issued.certificate))
    #expect(try CertificateDescription.read(path: both) == CertificateDescription.read(path: issued.certificate))
  }

  /// Each failure has its own reason, and none of the one before.
  @Test func aFileWithoutReadableCertificateSaysWhy() throws {
    let issued = try pki.issue("node-1")
    let good = try bytes(issued.certificate)
    func failure(_ path: String) -> CertificateFailure? {
      do throws(CertificateFailure) {
        _ = try CertificateDescription.read(path: path)
        return nil
      } catch { return error }
    }
    #expect(failure("/nonexistent/file") == .file(path: "/nonexistent/file", failure: SystemFailure(.open, ENOENT)))
    #expect(failure(pki.directory) == .file(path: pki.directory, failure: SystemFailure(.read, EISDIR)))
    #expect(failure("/dev/null") == .noCertificate(path: "/dev/null"))
    #expect(failure(issued.key) == .noCertificate(path: issued.key))
    #expect(failure("/dev/zero") == .tooLarge(path: "/dev/zero", limit: 4 << 20))
    let cut = try put("cut.pem", good + good.dropLast(60))
    #expect(failure(cut) == .malformed(path: cut, number: 2, reason: "bad end line"))
    let wrong = try put("wrong.pem", Array("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".utf8))
    guard case .malformed(wrong, 1, let reason) = failure(wrong) else {
      Issue.record("\(String(describing: failure(wrong)))")
      return
    }
    #expect(!reason.contains("bad end line") && !reason.contains("no reason"), "\(reason)")
    #expect(failure("/dev/null") == .noCertificate(path: "/dev/null"))
    #expect(failure(issued.certificate) == nil)
  }

  private func selfSigned(_ name: String, _ extensions: String...) throws -> CertificateDescription {
    try pki.openssl.demand(
      [
        "req", "-config", "openssl.cnf", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "\(name).key", "-out", "\(name).pem", "-subj", "/CN=\(name)",
      ] + extensions.flatMap { ["-addext", $0] })
    return try #require(try CertificateDescription.read(path: path("\(name).pem")).first)
  }

  @Test func bytesOfNamesAreEscapedSoThatNoTwoAreAlike() throws {
    // dNSName "a.test<NUL>.evil", dNSName "a\x00b" in six characters.
    let odd = try selfSigned(
      "odd", "subjectAltName=DER:30:15:82:0B:61:2E:74:65:73:74:00:65:76:69:6C:82:06:61:5C:78:30:30:62")
    #expect(odd.dnsNames == ["a.test\\x00evil", "a\\x5Cx00b"])
  }

  @Test func otherKindsOfNamesAreCounted() throws {
    let read = try selfSigned("others", "subjectAltName=email:a@b.test,RID:1.2.3.4,DNS:a.test,IP:2001:db8::ff")
    #expect(read.otherNameCount == 2)
    #expect(read.dnsNames == ["a.test"])
    #expect(read.addresses == ["2001:db8::ff"])
  }

  @Test func namesThatCannotBeParsedAreNone() throws {
    let read = try selfSigned("broken", "subjectAltName=DER:30:7F:82:01:61")
    #expect(read.dnsNames.isEmpty && read.uris.isEmpty && read.addresses.isEmpty && read.otherNameCount == 0)
    // The next failure's reason is its own.
    let cut = try put("cut.pem", bytes(path("broken.pem")).dropLast(60))
    #expect(throws: CertificateFailure.malformed(path: cut, number: 1, reason: "bad end line")) {
      try CertificateDescription.read(path: cut)
    }
  }

  @Test func usagesThatOpenSSLDoesNotKnowAreNumbers() throws {
    let read = try selfSigned("usages", "extendedKeyUsage=codeSigning,1.3.6.1.4.1.99999.1")
    #expect(read.extendedKeyUsages == ["codeSigning", "1.3.6.1.4.1.99999.1"])
    #expect(read.keyUsages == nil)
  }

  /// A time that nobody can read makes a certificate invalid, not valid for ever.
  @Test func timesThatCannotBeReadAreNotValid() throws {
    let issued = try pki.issue("node-1")
    try pki.openssl.demand(["x509", "-in", issued.certificate, "-outform", "DER", "-out", "times.der"])
    var der = try bytes(path("times.der"))
    // The two UTCTimes of the validity: tag 0x17, 13 bytes that end in Z.
    let starts = der.indices.dropLast(15).filter { der[$0] == 0x17 && der[$0 + 1] == 13 && der[$0 + 14] == UInt8(ascii: "Z") }
    try #require(starts.count == 2)
    for start in starts { der[start + 4] = UInt8(ascii: "x") }
    _ = try put("times.der", der)
    let body = try pki.openssl.demand(["base64", "-in", "times.der"])
    let damaged = try put("times.pem", Array("-----BEGIN CERTIFICATE-----\n\(body)-----END CERTIFICATE-----\n".utf8))
    let read = try #require(try CertificateDescription.read(path: damaged).first)
    #expect(CertificateDescription.text(time: read.notBefore) == "9999-12-31T23:59:59Z")
    #expect(CertificateDescription.text(time: read.notAfter) == "1970-01-01T00:00:00Z")
  }

  @Test func timesAreText() {
    #expect(CertificateDescription.text(time: 1_795_867_200) == "2026-11-28T12:00:00Z")
    #expect(CertificateDescription.text(time: -1) == "1969-12-31T23:59:59Z")
    #expect(CertificateDescription.text(time: -62_135_596_800) == "0001-01-01T00:00:00Z")
  }
}
