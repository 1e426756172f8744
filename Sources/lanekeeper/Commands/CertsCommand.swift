import Glibc
import LinuxIO

extension Subcommand {
  private enum Verb: String, CaseIterable { case initialise = "init", show }

  /// `lanekeeper certs`.
  static let certs = Subcommand(
    name: "certs",
    summary: "make certificates for a trial with TLS, or print what certificates say",
    usage: """
      usage: lanekeeper certs init DIR --name NODE [OPTIONS] | lanekeeper certs show FILE... [--json]

      init makes NODE.pem and NODE.key in DIR, signed by the authority ca.pem and ca.key there. Where there are none, it makes
      the directory (mode 0700; the one above it must be there) and the authority (10 years), too. Run it once for each node
      with the same DIR. No file is ever overwritten. Keys are EC P-256 without a passphrase, mode 0600. For trials: in
      production ca.key does not belong on a node.

        --name NODE      the certificate's common name and the files' names
        --dns NAME       a DNS name that the certificate bears; several times for several. Default: NODE, where no name of
                         any kind is given
        --address IP     an IPv4 address that it bears; several times for several
        --uri URI        a URI that it bears, such as spiffe://domain/node; several times for several
        --days N         how long it is valid, 1 to 36500; default: 365

      show prints every certificate of the PEM files: names, serial number, issuer, validity, key, usages, fingerprint.

        --json           one JSON object per certificate and line

      Exit status: 0 done; 1 nothing was made, or a file has no certificate that can be read (the other files are printed);
      64 wrong usage; 66 a file cannot be opened or read; 74 standard output cannot be written.
      """,
    run: { arguments in
      switch try arguments.verb(as: Verb.self) {
      case .initialise: try initialise(&arguments)
      case .show: try show(&arguments)
      }
    })

  /// Two paths, or a URI, and words around them.
  private static let longestMessage = 8192

  private static func initialise(_ arguments: inout Arguments) throws -> Int32 {
    let name = try arguments.option("--name")
    let dnsNames = try arguments.options("--dns")
    let addresses = try arguments.options("--address")
    let uris = try arguments.options("--uri")
    let days: Int64 = try arguments.option("--days", in: 1...36_500) ?? 365
    let path = try arguments.positional("DIR")
    try arguments.finish()
    guard let name else { throw UsageError(reason: "--name NODE is missing") }
    guard !path.isEmpty else { throw UsageError(reason: "DIR is empty") }
    let issued: CertificateDirectory.Issued
    do {
      let names = try NodeNames(node: name, dnsNames: dnsNames, addresses: addresses, uris: uris)
      issued = try CertificateDirectory(path: path).issue(names, days: days, now: Int64(time(nil)))
    } catch let failure as CertificateNameFailure {
      throw UsageError(reason: printable(failure.description, limit: longestMessage))
    } catch let failure as CertificateFailure {
      throw CommandFailure(printable(failure.description, limit: longestMessage))
    }
    var output = OutputStream()
    try output.write(
      "\(issued.isNewAuthority ? "authority" : "authority (was there)")  \(printable(issued.authority, limit: longestMessage))\n"
        + "certificate  \(printable(issued.certificate, limit: longestMessage))\nkey  \(printable(issued.key, limit: longestMessage))\n")
    try output.flush()
    return ExitStatus.success
  }

  private static func show(_ arguments: inout Arguments) throws -> Int32 {
    let json = try arguments.flag("--json")
    let paths = try arguments.positionals("FILE")
    try arguments.finish()
    let now = Int64(time(nil))
    var output = OutputStream()
    var status = ExitStatus.success
    for path in paths {
      do {
        let certificates = try CertificateDescription.read(path: path)
        for (index, certificate) in certificates.enumerated() {
          let listing = CertificateListing(
            certificate: certificate, path: path, number: index + 1, count: certificates.count, now: now)
          try output.write(json ? listing.json : listing.text)
        }
      } catch let error as CertificateFailure {
        // The other files are still of use.
        try output.flush()
        StandardError.write("lanekeeper certs: \(printable(error.description, limit: longestMessage))\n")
        if status == ExitStatus.success {
          if case .file = error { status = ExitStatus.noInput } else { status = 1 }
        }
      }
    }
    try output.flush()
    return status
  }
}
