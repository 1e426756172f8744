/// Something that the admin port serves.
public struct AdminPage<Snapshot: Sendable>: Sendable {
  /// What a client gets.
  public struct Answer: Sendable {
    /// Whether the status is 200 OK, or 503 Service Unavailable.
    public var isAvailable: Bool
    /// The body, UTF-8.
    public var body: [UInt8]

    /// An answer of that body.
    public init(isAvailable: Bool = true, body: [UInt8]) {
      self.isAvailable = isAvailable
      self.body = body
    }
  }

  /// The path, as in `/metrics`.
  public var path: String
  /// `Content-Type` of an available page's body.
  public var contentType: String
  /// Makes the answer, on the port's thread; the snapshot is nil where it did not come in time.
  public var answer: @Sendable (Snapshot?) -> Answer

  /// A page at that path.
  public init(path: String, contentType: String, answer: @escaping @Sendable (Snapshot?) -> Answer) {
    self.path = path
    self.contentType = contentType
    self.answer = answer
  }
}
