public import ByzRuntime
public import ByzTCP
public import ByzUCX

/// Workers as a command line names them.
///
/// ```
/// thread   process   tcp://worker-3:29000   ucx://[fd00::7]:29000        one worker each
/// thread*4   tcp://worker-3:29000*2                                      several
/// thread*4,process*2,tcp://worker-3:29000                                a list
/// ```
///
/// Names are case-sensitive, and there is no white space.
public struct BackendSpecification: Hashable, Sendable {
  /// Where workers live.
  public enum Place: Hashable, Sendable {
    /// Threads of this process.
    case thread
    /// Child processes of this one.
    case process
    /// A host that listens over TCP.
    case tcp(TCPAddress)
    /// A host that listens over UCX.
    case ucx(TCPAddress)
  }

  /// Where they live.
  public let place: Place

  /// Whether they live where a host listens, and not in this process or its children.
  package var isElsewhere: Bool {
    switch place {
    case .thread, .process: false
    case .tcp, .ucx: true
    }
  }

  /// How many there are, 1 to ``maximumCount``.
  public let count: Int

  /// The most workers of one kind that can be asked for: whoever writes more has mistyped.
  public static let maximumCount = 4096

  /// Reads one kind of workers, with or without a count.
  ///
  /// - Throws: `RuntimeError.Code.invalidConfiguration` with the text and the right form.
  public init(_ text: String) throws(RuntimeError) {
    var name = text[...]
    var count = 1
    if let star = text.lastIndex(of: "*") {
      let digits = text[text.index(after: star)...]
      // Int(_:) alone would take a sign.
      guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
        let number = Int(digits), (1...Self.maximumCount).contains(number)
      else {
        throw Self.refusal(
          text, "the count \"\(digits)\" is no number from 1 to \(Self.maximumCount)")
      }
      name = text[..<star]
      count = number
    }
    switch name {
    case "thread": place = .thread
    case "process": place = .process
    case _ where name.hasPrefix("tcp://"):
      place = .tcp(try Self.address(name.dropFirst("tcp://".count), of: text))
    case _ where name.hasPrefix("ucx://"):
      place = .ucx(try Self.address(name.dropFirst("ucx://".count), of: text))
    default: throw Self.refusal(text, "\"\(name)\" is not known")
    }
    self.count = count
  }

  /// Reads a list with commas between its parts.
  ///
  /// - Returns: each place once, where it first stands, with the sum of its counts.
  /// - Throws: as ``init(_:)``.
  public static func list(_ text: String) throws(RuntimeError) -> [BackendSpecification] {
    var list: [BackendSpecification] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard !part.isEmpty else { throw refusal(text, "a part of the list is empty") }
      let next = try BackendSpecification(String(part))
      if let index = list.firstIndex(where: { $0.place == next.place }) {
        let sum = list[index].count + next.count
        guard sum <= maximumCount else {
          throw refusal(text, "it asks for \(sum) times \(next.place), of \(maximumCount) at most")
        }
        list[index] = BackendSpecification(place: next.place, count: sum)
      } else {
        list.append(next)
      }
    }
    return list
  }

  private init(place: Place, count: Int) {
    self.place = place
    self.count = count
  }

  private static func address(
    _ text: Substring, of whole: String
  ) throws(RuntimeError) -> TCPAddress {
    let address: TCPAddress
    do throws(RuntimeError) {
      guard !text.hasPrefix("tcp://") else { throw refusal(whole, "it names two transports") }
      address = try TCPAddress(String(text))
    } catch {
      throw RuntimeError(
        .invalidConfiguration, refusal(whole, "its address cannot be read").message, cause: error)
    }
    guard address.port > 0 else {
      throw refusal(whole, "nobody listens on port 0: give the worker's port")
    }
    return address
  }

  private static func refusal(_ text: String, _ reason: String) -> RuntimeError {
    RuntimeError(
      .invalidConfiguration,
      """
      "\(text)" names no workers: \(reason). The forms are thread, process, tcp://host:port and \
      ucx://host:port, each with *count behind it for several, and commas between kinds: \
      thread*4,process*2,tcp://worker-3:29000.
      """)
  }
}

extension BackendSpecification: CustomStringConvertible {
  /// The text that reads back as the same.
  public var description: String { count == 1 ? "\(place)" : "\(place)*\(count)" }
}

extension BackendSpecification.Place: CustomStringConvertible {
  /// The text without a count.
  public var description: String {
    switch self {
    case .thread: "thread"
    case .process: "process"
    case .tcp(let address): "tcp://\(address)"
    case .ucx(let address): "ucx://\(address)"
    }
  }
}

/// What a text cannot say: secrets, certificates, and what is allowed.
public struct BackendOptions: Sendable {
  /// For hosts that listen over TCP.
  public var tcp: TCPOptions
  /// For hosts that listen over UCX.
  public var ucx: UCXOptions
  /// For child processes: the backend that starts them.
  public var process: ProcessBackend
  /// When a lost worker is replaced.
  public var restarts: RestartPolicy

  /// Options for each kind of backend.
  public init(
    tcp: TCPOptions = TCPOptions(), ucx: UCXOptions = UCXOptions(),
    process: ProcessBackend = .process, restarts: RestartPolicy = RestartPolicy()
  ) {
    self.tcp = tcp
    self.ucx = ucx
    self.process = process
    self.restarts = restarts
  }
}

extension BackendSpecification {
  /// What starts one of these workers, or spawns an actor in their place.
  public func backend(_ options: BackendOptions = BackendOptions()) -> any WorkerBackend {
    switch place {
    case .thread: ThreadBackend()
    case .process: options.process
    case .tcp(let address): TCPBackend(address, options: options.tcp)
    case .ucx(let address): UCXBackend("\(address)", options: options.ucx)
    }
  }

  /// These workers for a pool, named after their place.
  public func configuration(_ options: BackendOptions = BackendOptions()) -> WorkerConfiguration {
    WorkerConfiguration(
      backend: backend(options), count: count, name: "\(place)", restarts: options.restarts)
  }
}

extension WorkerConfiguration {
  /// The workers of a list, for a pool.
  ///
  /// ```swift
  /// try await withActorPool(WorkerConfiguration.parsing("thread*4,tcp://worker-3:29000")) { pool in … }
  /// ```
  ///
  /// - Throws: `RuntimeError.Code.invalidConfiguration` with the text and the right form.
  public static func parsing(
    _ text: String, options: BackendOptions = BackendOptions()
  ) throws(RuntimeError) -> [WorkerConfiguration] {
    try BackendSpecification.list(text).map { $0.configuration(options) }
  }
}
