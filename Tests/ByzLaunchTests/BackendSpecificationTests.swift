import ByzLaunch
import ByzRuntime
import ByzTCP
import ByzTensor
import Testing

@Suite("Backends by name")
struct BackendSpecificationTests {
  @Test(
    "what is written reads back as the same",
    arguments: [
      "thread", "process", "thread*4", "tcp://worker-3:29000", "tcp://[fd00::7]:1*2",
      "ucx://10.0.0.7:29000", "ucx://[::1]:65535*4096",
    ])
  func roundTrip(text: String) throws {
    #expect(try BackendSpecification(text).description == text)
  }

  @Test("of 10,000 texts put together at random each is refused, or reads back as the same")
  func invented() {
    var random = RandomStream(RandomKey(3))
    for _ in 0..<10_000 {
      let text = (0..<1 + random.integer(below: 6)).map { _ in
        Self.pieces[random.integer(below: Self.pieces.count)]
      }.joined()
      do throws(RuntimeError) {
        let list = try BackendSpecification.list(text)
        let again = list.map(\.description).joined(separator: ",")
        #expect((try? BackendSpecification.list(again)) == list, "\(text)")
      } catch {
        #expect(error.code == .invalidConfiguration, "\(text)")
      }
      for name in ["SLURM_JOB_NODELIST", "SLURM_PROCID", "SLURM_NTASKS", "MASTER_ADDR", "RANK"] {
        var variables = ["SLURM_PROCID": "0", "SLURM_NTASKS": "2", "WORLD_SIZE": "2"]
        variables[name] = text
        do throws(RuntimeError) {
          _ = try LaunchEnvironment(variables: variables, hostName: text)
        } catch {
          #expect(error.code == .invalidConfiguration, "\(text)")
        }
      }
    }
  }

  private static let pieces = [
    "thread", "process", "tcp://", "ucx://", "a", "host-7", "[", "]", "::", "1", "29000", "65536",
    "18446744073709551616", "-", "*", ",", ":", ".", " ", "%", "\0", "\u{301}", "½", "9", "gpu",
  ]

  @Test("each part has its place and its count")
  func parts() throws {
    let list = try BackendSpecification.list("thread*4,process,tcp://a:1*2,ucx://[::1]:2")
    #expect(list.map(\.count) == [4, 1, 2, 1])
    #expect(
      list.map(\.place) == [
        .thread, .process, .tcp(try TCPAddress("a:1")), .ucx(try TCPAddress("[::1]:2")),
      ])
    #expect(list.map { $0.backend().name } == ["thread", "process", "tcp", "ucx"])
  }

  @Test("places that come twice are one kind of workers, since their names must differ")
  func repeated() throws {
    let workers = try WorkerConfiguration.parsing("thread,tcp://a:1,thread*2,tcp://a:2")
    #expect(workers.map(\.name) == ["thread", "tcp://a:1", "tcp://a:2"])
    #expect(workers.map(\.count) == [3, 1, 1])
  }

  @Test(
    "what cannot be read is refused with the text and the right form",
    arguments: [
      ("", "is empty"), ("Thread", "not known"), ("threads", "not known"),
      ("thread*", "count \"\""),
      ("thread*0", "count \"0\""), ("thread*-1", "count \"-1\""), ("thread*+1", "count \"+1\""),
      ("thread*4097", "1 to 4096"), ("thread*2*2", "not known"), ("thread ,process", "not known"),
      ("thread,,process", "is empty"), ("thread,", "is empty"), ("TCP://a:1", "not known"),
      ("tcp:a:1", "not known"), ("tcp://", "no port"), ("tcp://:1", "host is empty"),
      ("tcp://a", "no port"), ("tcp://a:", "port is empty"), ("tcp://a:65536", "0 to 65535"),
      ("tcp://a:0", "port 0"), ("tcp://::1:1", "in brackets"), ("tcp://[a]:1", "no IPv6"),
      ("tcp://tcp://a:1", "two transports"), ("ucx://tcp://a:1", "two transports"),
      ("ucx://:1", "host is empty"), ("ucx://a:0", "port 0"), ("gpu", "not known"),
      ("thread*4096,thread", "4097"),
    ])
  func refused(text: String, reason: String) {
    let error = #expect(throws: RuntimeError.self) { try BackendSpecification.list(text) }
    #expect(error?.code == .invalidConfiguration)
    let says = "\(error.map(String.init(describing:)) ?? "")"
    #expect(says.contains(reason), "\(says)")
    #expect(says.contains("tcp://host:port and ucx://host:port"), "\(says)")
  }
}
