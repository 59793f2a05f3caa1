package import ArgumentParser
package import ByzKit
internal import ByzLaunch
import Foundation

/// A training program: what goes wrong is one line on standard error, and exit code 1.
package protocol Program: AsyncParsableCommand {
  /// What it does.
  func execute() async throws
}

extension Program {
  /// Serves as a worker if this process was started as one, else runs the command line.
  package static func start(_ registry: Registry = Registry()) async {
    runWorkerIfRequested(registry)
    // Where a reader has gone, writing is an error, and not the end of the training.
    signal(SIGPIPE, SIG_IGN)
    await main(nil)
  }

  package func run() async throws {
    do {
      try KernelVariant.checkEnvironment()
      try await execute()
    } catch let error as ExitCode {
      throw error
    } catch let error as ValidationError {
      throw error
    } catch is CancellationError {
      // Interrupted before there was anything to show.
      throw ExitCode(130)
    } catch {
      let name = Self.configuration.commandName ?? "\(Self.self)"
      try? FileHandle.standardError.write(contentsOf: Data("\(name): \(error)\n".utf8))
      throw ExitCode.failure
    }
  }
}

/// Something in the command line that only shows when it is used, with what to write instead.
package struct UsageError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}
