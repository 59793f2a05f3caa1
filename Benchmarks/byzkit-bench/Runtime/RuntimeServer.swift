import ArgumentParser
import ByzKit
import ByzRuntime
import ByzTCP
import ByzUCX
import Foundation

/// The other side of the rows over TCP and UCX: the same program once more, on loopback.
struct RuntimeServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runtime-server", abstract: "Serve 'runtime' until the input ends.",
    shouldDisplay: false)

  @Option(help: "Where the certificates are.") var certificates: String

  func run() async throws {
    var options = TCPListenerOptions()
    try await listen(options) { plain in
      options.tls = TLSOptions(
        certificateChainFile: "\(certificates)/server.pem",
        privateKeyFile: "\(certificates)/server.key")
      try await listen(options) { tls in
        guard UCX.isAvailable else { return serve("\(plain) \(tls)") }
        try await withUCXListener(
          on: "127.0.0.1:0",
          accept: { link in Task { await serveAsWorker(link, registry: Self.registry) } }
        ) { ucx in serve("\(plain) \(tls) \(ucx.address)") }
      }
    }
  }

  /// Says where it listens, and waits until the input ends.
  private func serve(_ addresses: String) {
    FileHandle.standardOutput.write(Data("\(addresses)\n".utf8))
    _ = FileHandle.standardInput.readDataToEndOfFile()
  }

  private static var registry: Registry { .byzKit.merging(RuntimeSubject.registry) }

  private func listen(
    _ options: TCPListenerOptions, body: (TCPAddress) async throws -> Void
  ) async throws {
    try await withTCPListener(
      options: options,
      accept: { link, authenticator in
        Task { await serveAsWorker(link, registry: Self.registry, authenticator: authenticator) }
      }, body: body)
  }
}

/// A server in a child process, and how to connect to it.
struct RuntimeServerProcess {
  let plain: TCPBackend
  let tls: TCPBackend
  /// Nil where there is no UCX.
  let ucx: UCXBackend?

  /// Runs a server while `body` does.
  static func run<R>(body: (RuntimeServerProcess) async throws -> R) async throws -> R {
    let directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("byzkit-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let path = directory.path
    try makeCertificate(in: path)
    let server = Process()
    server.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    server.arguments = ["runtime-server", "--certificates", path]
    let (input, output) = (Pipe(), Pipe())
    server.standardInput = input
    server.standardOutput = output
    try server.run()
    defer {
      try? input.fileHandleForWriting.close()
      server.waitUntilExit()
    }
    let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    let addresses = line.split(whereSeparator: \.isWhitespace).map(String.init)
    guard addresses.count >= 2 else { throw BenchmarkError.server(line) }
    let options = TCPOptions(
      tls: TLSOptions(trustRootsFile: "\(path)/server.pem", serverName: "worker.test"))
    return try await body(
      RuntimeServerProcess(
        plain: .tcp(addresses[0]), tls: .tcp(addresses[1], options),
        ucx: addresses.count > 2 ? .ucx(addresses[2]) : nil))
  }

  /// A certificate that signs itself, for this run only.
  private static func makeCertificate(in directory: String) throws {
    let openssl = Process()
    openssl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    openssl.arguments = [
      "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
      "-days", "2", "-subj", "/CN=worker.test", "-addext", "subjectAltName=DNS:worker.test",
      "-keyout", "\(directory)/server.key", "-out", "\(directory)/server.pem",
    ]
    openssl.standardError = FileHandle.nullDevice
    try openssl.run()
    openssl.waitUntilExit()
    guard openssl.terminationStatus == 0 else {
      throw BenchmarkError.server("openssl made no certificate")
    }
  }
}
