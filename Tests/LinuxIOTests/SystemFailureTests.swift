import Glibc
import LinuxIO
import Testing

@Suite struct SystemFailureTests {
  @Test func namesCallReasonAndRemedy() {
    #expect("\(SystemFailure(.connect, ECONNREFUSED))" == "connect: ECONNREFUSED (Connection refused)")
    #expect("\(SystemFailure(.mark, EPERM))" == "setsockopt(SO_MARK): EPERM (Operation not permitted): needs CAP_NET_ADMIN")
    #expect("\(SystemFailure(.accept, EMFILE))".hasSuffix("raise RLIMIT_NOFILE"))
    #expect("\(SystemFailure(.receive, 4095))".hasPrefix("recv: errno 4095"))
  }
}
