internal import Glibc

/// systemd's journal as the reader of a standard stream.
public enum JournalStream {
  /// Whether that descriptor leads to the journal: `$JOURNAL_STREAM` has its device and inode, decimal, with a colon between
  /// (systemd.exec(5)). The variable alone says nothing: a service may have redirected the stream since.
  public static func leads(from descriptor: Int32) -> Bool {
    guard let variable = getenv("JOURNAL_STREAM") else { return false }
    var status = stat()
    return fstat(descriptor, &status) == 0 && String(cString: variable) == "\(status.st_dev):\(status.st_ino)"
  }
}
