import ByzRuntime
import ByzTCP
import Testing

@Suite("TCP address")
struct TCPAddressTests {
  @Test(
    "reads host:port with or without its scheme",
    arguments: [
      ("worker-3:29000", "worker-3", 29000), ("tcp://worker-3:29000", "worker-3", 29000),
      ("10.0.0.7:1", "10.0.0.7", 1), ("a_b.example.org:65535", "a_b.example.org", 65535),
      ("[::1]:0", "::1", 0), ("tcp://[2001:db8::7]:29000", "2001:db8::7", 29000),
    ])
  func valid(text: String, host: String, port: Int) throws {
    let address = try TCPAddress(text)
    #expect(address.host == host && address.port == port)
    #expect(try TCPAddress("\(address)") == address)
  }

  @Test(
    "refuses everything else, with the text and the right form",
    arguments: [
      "", ":", "tcp://", "worker-3", "worker-3:", ":29000", "tcp://:29000", "worker-3:65536",
      "worker-3:-1", "worker-3:+1", "worker-3:29000x", "worker-3: 29000",
      "worker-3:99999999999999999999",
      "::1:29000", "[::1]", "[]:1", "[::1:29000", "[worker-3]:1", "[10.0.0.7]:1", "[::1%eth0]:1",
      "udp://worker-3:29000", "tcp://tcp://worker-3:1", "a b:1", "worker-3/x:1", "user@host:1",
      "wörker:1",
      "worker-3:1/", "host\u{0}:1", "host:\u{0661}",
    ])
  func invalid(text: String) {
    let error = #expect(throws: RuntimeError.self) { try TCPAddress(text) }
    #expect(error?.code == .invalidConfiguration)
    #expect(error?.message.contains("\"\(text)\"") == true)
    #expect(error?.message.contains("tcp://host:port") == true)
  }
}
