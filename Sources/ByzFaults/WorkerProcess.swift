import ByzKit
import ByzRuntime
import ByzTCP
import ByzUCX
import CByzSystem
import Glibc

/// Work that takes a while, so that it is in flight when something fails.
struct Errand: Subtask {
  var number: UInt64
  var microseconds: UInt32
  /// Whether it kills the process that runs it: nothing for a worker on a thread.
  var isDeadly = false

  func run(_ operands: Operands) throws -> UInt64 {
    usleep(microseconds)
    if isDeadly { raise(SIGKILL) }
    return result
  }

  var result: UInt64 { (number &* 0x9E37_79B9_7F4A_7C15) ^ (number >> 7) }
}

let faultRegistry = Registry.byzKit.merging(
  Registry(actors: [Correspondent.self, Tally.self], subtasks: [Errand.self]))
let faultLiveness = Liveness(interval: .milliseconds(50), timeout: .milliseconds(400))

/// A child process that serves workers over TCP or UCX.
final class WorkerProcess: Sendable {
  enum Transport: String { case tcp, ucx }

  static let environmentName = "BYZKIT_FAULTS_WORKER"

  let port: Int
  private let child: ChildProcess
  private let socket: CInt

  var identifier: pid_t { child.identifier }

  init(over transport: Transport) throws {
    var sockets: (CInt, CInt) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &sockets) {
      byz_socket_pair($0.assumingMemoryBound(to: CInt.self).baseAddress!)
    }
    guard status == 0 else { throw FaultFailure("There is no socket for a worker process.") }
    defer { byz_close(sockets.1) }
    child = try ChildProcess(
      executable: nil, arguments: ["byzkit-faults"],
      environment: [Self.environmentName: transport.rawValue],
      descriptors: [sockets.1])
    socket = sockets.0
    // It says its port first.
    var port: UInt16 = 0
    guard recv(socket, &port, 2, Int32(MSG_WAITALL)) == 2 else {
      byz_close(sockets.0)
      throw FaultFailure("A worker process did not say its port.")
    }
    self.port = Int(port)
  }

  func stop() {
    byz_close(socket)
    child.end()
  }

  /// In a process that was started as one: serves until its parent goes, and never returns.
  static func runIfRequested() {
    guard let value = getenv(environmentName) else { return }
    let transport = Transport(rawValue: String(cString: value))
    let socket = ChildProcess.firstDescriptor
    Task {
      do {
        var options = WorkerServerOptions()
        options.liveness = faultLiveness
        @Sendable func serve(_ server: WorkerServer) async throws {
          guard var port = server.address.split(separator: ":").last.flatMap({ UInt16($0) }) else {
            throw FaultFailure("No port in \(server.address).")
          }
          _ = send(socket, &port, 2, Int32(MSG_NOSIGNAL))
          // The main thread ends the process.
          await server.waitUntilDraining()
        }
        if transport == .ucx {
          try await withUCXWorkerServer(
            on: "127.0.0.1:0", registry: faultRegistry, options: options, body: serve)
        } else {
          try await withWorkerServer(registry: faultRegistry, options: options, body: serve)
        }
      } catch {
        exit(1)
      }
    }
    var byte: UInt8 = 0
    while recv(socket, &byte, 1, 0) > 0 {}
    exit(0)
  }
}
