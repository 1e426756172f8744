internal import CLinux
internal import NetEndpoint

extension AcceptedSocket {
  /// The connection as the one who opened it sees it: from its address to what it meant to reach (`SO_ORIGINAL_DST`), or to our own address
  /// where nothing sent it here. That it can be found under this tuple is not promised: a source address rewritten on the way is not seen.
  public var callerTuple: SocketTuple {
    let destination: Endpoint
    do { destination = try originalDestination() } catch { destination = local }
    return SocketTuple(source: remote, destination: destination)
  }

  /// The identity of our own socket (`SO_COOKIE`): a look-up that answers with it found this socket and not the caller's.
  public func cookie() throws(SystemFailure) -> UInt64 { try socketCookie(fd) }
}

extension Connection {
  /// The identity of our own socket (`SO_COOKIE`, unique until the next boot). Fails with EBADF once closed.
  public final func cookie() throws(SystemFailure) -> UInt64 { try socketCookie(fd) }
}

func socketCookie(_ fd: Int32) throws(SystemFailure) -> UInt64 {
  var cookie: UInt64 = 0
  try check(.cookie, clinux_socket_cookie(fd, &cookie))
  return cookie
}
