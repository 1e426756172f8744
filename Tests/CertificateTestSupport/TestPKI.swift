internal import Glibc

/// A public-key infrastructure for one test or many, made by the `openssl` command-line tool alone, in a temporary directory that
/// goes when this does. EC P-256 unless asked otherwise. Several threads may use one.
public final class TestPKI: @unchecked Sendable {
  /// A certificate and its key, as PEM files.
  public struct Issued: Sendable {
    /// The certificate's file; below it in the same file, the intermediate's, where that was asked for.
    public let certificate: String
    /// The key's file, mode 0600.
    public let key: String
    /// Who signed it.
    public let authority: Authority
  }

  /// Who signs. Each has its own key, and is made when it is first asked for.
  public enum Authority: String, Sendable, CaseIterable {
    /// The one that `caFile` holds.
    case own = "ca"
    /// One below it. The certificate's file has its certificate, too.
    case intermediate
    /// The same one, whose certificate is left out of the file: the chain is incomplete.
    case intermediateLeftOut = "intermediate-left-out"
    /// Another name, another key, unknown to `caFile`.
    case unknown
    /// The same name as the own one, another key, and no key identifier that would tell: only the signature does.
    case impostor

    fileprivate var files: String { self == .intermediateLeftOut ? Self.intermediate.rawValue : rawValue }
    fileprivate var subject: String {
      switch self {
      case .own, .impostor: "/O=Lanekeeper tests/CN=Test CA"
      case .intermediate, .intermediateLeftOut: "/O=Lanekeeper tests/CN=Test Intermediate CA"
      case .unknown: "/O=Somebody else/CN=Unknown CA"
      }
    }
  }

  /// From when to when a certificate or a CRL is valid.
  public enum Validity: Sendable {
    /// From an hour ago until an hour after 30 days from now: whole days that are left do not hang on how long a test takes.
    case current
    /// From two days ago until yesterday.
    case expired
    /// From tomorrow for a day.
    case notYetValid
    /// Seconds from now; negative is the past.
    case seconds(from: Int, to: Int)

    fileprivate var bounds: (from: Int, to: Int) {
      switch self {
      case .current: (-3600, 30 * 86_400 + 3600)
      case .expired: (-2 * 86_400, -86_400)
      case .notYetValid: (86_400, 2 * 86_400)
      case .seconds(let from, let to): (from, to)
      }
    }
  }

  /// What a certificate's key may be used for, under OpenSSL's names.
  public enum Usage: String, Sendable, CaseIterable {
    case serverAuth, clientAuth, codeSigning
  }

  /// The kind of a certificate's own key.
  public enum Key: Sendable, CaseIterable {
    case p256, p384, p521, rsa2048, rsaPSS2048, ed25519, ed448

    /// As `openssl req` makes it.
    fileprivate var options: [String] {
      switch self {
      case .p256: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
      case .p384: ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]
      case .p521: ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"]
      case .rsa2048: ["rsa:2048"]
      case .rsaPSS2048: ["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"]
      case .ed25519: ["ed25519"]
      case .ed448: ["ed448"]
      }
    }
  }

  /// The directory. Tests may put files of their own beside the others.
  public let directory: String
  /// The own authority's certificate.
  public let caFile: String
  /// The tool, running in the directory.
  public let openssl: OpenSSLTool

  private let folder: TemporaryDirectory
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var made: Set<String> = []
  private var issuedCount = 0
  private var listCount = 0

  /// Makes the directory and the own authority. Throws `OpenSSLToolFailure`.
  public init() throws {
    folder = try TemporaryDirectory("lanekeeper-pki")
    directory = folder.path
    caFile = "\(directory)/ca.pem"
    openssl = OpenSSLTool(directory: directory)
    pthread_mutex_init(mutex, nil)
    try write(Self.configuration, to: "openssl.cnf")
    try make(.own)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// Issues a certificate.
  /// - Parameters:
  ///   - name: the subject's common name, also the first part of the files' names.
  ///   - subject: the whole subject in place of the name's, as `openssl req -subj` takes it: `/O=x/CN=y`.
  ///   - dns: DNS names; the name itself where nil. With all three lists empty there is no subject alternative name.
  ///   - uris: URIs.
  ///   - addresses: IP addresses.
  ///   - usages: the extended key usage; none where empty.
  /// - Returns: its files. Throws `OpenSSLToolFailure`.
  public func issue(
    _ name: String, subject: String? = nil, dns: [String]? = nil, uris: [String] = [], addresses: [String] = [],
    validity: Validity = .current, usages: [Usage] = [.serverAuth, .clientAuth], key: Key = .p256, by authority: Authority = .own
  ) throws -> Issued {
    try withLock {
      try make(authority)
      issuedCount += 1
      let stem = "\(name.replacing("/", with: "_"))-\(issuedCount)"
      try request(stem, subject: subject ?? "/CN=\(name)", key: key)
      let alternatives =
        (dns ?? [name]).enumerated().map { "DNS.\($0 + 1) = \($1)" } + uris.enumerated().map { "URI.\($0 + 1) = \($1)" }
        + addresses.enumerated().map { "IP.\($0 + 1) = \($1)" }
      var lines = ["basicConstraints = critical, CA:FALSE", "keyUsage = critical, digitalSignature"]
      lines.append("subjectKeyIdentifier = hash")
      lines.append("authorityKeyIdentifier = \(authority == .impostor ? "none" : "keyid")")
      if !usages.isEmpty { lines.append("extendedKeyUsage = \(usages.map(\.rawValue).joined(separator: ", "))") }
      if !alternatives.isEmpty { lines += ["subjectAltName = @names", "[names]"] + alternatives }
      try sign(stem, by: authority, validity: validity, extensions: lines)
      let path = "\(directory)/\(stem)"
      if authority == .intermediate { try append("\(directory)/\(authority.files).pem", to: "\(path).pem") }
      return Issued(certificate: "\(path).pem", key: "\(path).key", authority: authority)
    }
  }

  /// Revokes a certificate: the CRLs that its authority gives out from now on name it. Throws `OpenSSLToolFailure`.
  public func revoke(_ issued: Issued) throws {
    try withLock {
      _ = try openssl.demand(["ca", "-config", "openssl.cnf", "-name", issued.authority.files, "-revoke", issued.certificate])
    }
  }

  /// Gives out a CRL.
  /// - Parameters:
  ///   - validity: when it was made and when the next one is due; `.expired` is a stale one.
  ///   - authority: who signs it.
  /// - Returns: its path, a new one each time. Throws `OpenSSLToolFailure`.
  public func crl(_ validity: Validity = .current, of authority: Authority = .own) throws -> String {
    try withLock {
      try make(authority)
      listCount += 1
      let path = "\(directory)/crl-\(listCount).pem"
      let bounds = validity.bounds
      try openssl.demand([
        "ca", "-config", "openssl.cnf", "-name", authority.files, "-gencrl", "-out", path,
        "-crl_lastupdate", Self.time(bounds.from), "-crl_nextupdate", Self.time(bounds.to),
      ])
      return path
    }
  }

  /// What `openssl verify` says of a certificate.
  /// - Parameters:
  ///   - purpose: `sslserver` or `sslclient`; any where nil.
  ///   - crl: a CRL that the certificate is held against.
  /// - Returns: `OK`, or OpenSSL's words for the first error. Throws `OpenSSLToolFailure`.
  public func verdict(_ issued: Issued, purpose: String? = "sslserver", crl: String? = nil) throws -> String {
    var arguments = ["verify", "-CAfile", caFile, "-untrusted", issued.certificate]
    if let purpose { arguments += ["-purpose", purpose] }
    if let crl { arguments += ["-crl_check", "-CRLfile", crl] }
    let output = try openssl.run(arguments + [issued.certificate])
    if output.status == 0 { return "OK" }
    // "error 10 at 0 depth lookup: certificate has expired"
    let marker = " depth lookup: "
    guard let line = output.stderr.split(separator: "\n").first(where: { $0.contains(marker) }),
      let words = line.ranges(of: marker).first.map({ line[$0.upperBound...] })
    else {
      throw OpenSSLToolFailure(description: "openssl verify: status \(output.status): \(output.stderr)")
    }
    return String(words)
  }

  // MARK: - The tool's calls, under the lock

  private func withLock<Value>(_ body: () throws -> Value) throws -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Makes an authority that there is not yet.
  private func make(_ authority: Authority) throws {
    let stem = authority.files
    guard made.insert(stem).inserted else { return }
    try write("", to: "\(stem).database")
    try write("01\n", to: "\(stem).crlnumber")
    let authorityExtensions = [
      "basicConstraints = critical, CA:TRUE", "keyUsage = critical, keyCertSign, cRLSign", "subjectKeyIdentifier = hash",
    ]
    try request(stem, subject: authority.subject, key: .p256)
    switch authority {
    case .own, .unknown, .impostor:
      try sign(stem, by: authority, selfSigned: true, validity: .seconds(from: -7200, to: 60 * 86_400), extensions: authorityExtensions)
    case .intermediate, .intermediateLeftOut:
      try sign(stem, by: .own, validity: .current, extensions: authorityExtensions + ["authorityKeyIdentifier = keyid"])
    }
  }

  /// Makes STEM.key and STEM.csr.
  private func request(_ stem: String, subject: String, key: Key) throws {
    try openssl.demand(
      ["req", "-config", "openssl.cnf", "-new", "-newkey"] + key.options
        + ["-nodes", "-utf8", "-keyout", "\(stem).key", "-out", "\(stem).csr", "-subj", subject])
  }

  /// Makes STEM.pem from STEM.csr.
  private func sign(
    _ stem: String, by authority: Authority, selfSigned: Bool = false, validity: Validity, extensions: [String]
  ) throws {
    try write("[extensions]\n\(extensions.joined(separator: "\n"))\n", to: "\(stem).extensions")
    let bounds = validity.bounds
    try openssl.demand(
      [
        "ca", "-config", "openssl.cnf", "-name", authority.files, "-batch", "-notext", "-utf8", "-in", "\(stem).csr", "-out", "\(stem).pem",
        "-startdate", Self.time(bounds.from), "-enddate", Self.time(bounds.to),
        "-extfile", "\(stem).extensions", "-extensions", "extensions",
      ] + (selfSigned ? ["-selfsign"] : []))
  }

  private static let configuration: String = {
    var text = """
      [req]
      distinguished_name = subject
      string_mask = utf8only
      [subject]
      [policy]
      commonName = optional
      organizationName = optional
      organizationalUnitName = optional
      countryName = optional
      localityName = optional

      """
    for name in Set(Authority.allCases.map(\.files)) {
      text += """
        [\(name)]
        certificate = \(name).pem
        private_key = \(name).key
        database = \(name).database
        crlnumber = \(name).crlnumber
        new_certs_dir = .
        rand_serial = yes
        unique_subject = no
        default_md = sha256
        default_crl_days = 30
        policy = policy
        preserve = yes

        """
    }
    return text
  }()

  /// A time so many seconds from now, as `openssl ca` takes it.
  private static func time(_ seconds: Int) -> String {
    var moment = Glibc.time(nil) + seconds
    var parts = tm()
    gmtime_r(&moment, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let length = strftime(&text, text.count, "%Y%m%d%H%M%SZ", &parts)
    return String(decoding: text[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: - Files

  private func write(_ text: String, to name: String) throws {
    try put(Array(text.utf8), "\(directory)/\(name)", O_CREAT | O_TRUNC)
  }

  private func append(_ source: String, to path: String) throws {
    let descriptor = open(source, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw OpenSSLToolFailure(description: "\(source): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(descriptor, &piece, piece.count)
    try put(Array(piece[..<max(0, count)]), path, O_APPEND)
  }

  private func put(_ bytes: [UInt8], _ path: String, _ flags: Int32) throws {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC | flags, 0o600)
    guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count, close(descriptor) == 0 else {
      throw OpenSSLToolFailure(description: "\(path): \(String(cString: strerror(errno)))")
    }
  }
}
