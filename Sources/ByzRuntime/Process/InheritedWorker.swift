#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// If this process was started as a worker by another one, serves it and never returns; else returns at once.
///
/// The main thread only waits here, so nothing in a worker may need the main actor.
package func runInheritedWorker(_ registry: Registry) {
  guard let link = ProcessLink.inherited() else { return }
  Task {
    await serveAsWorker(link, registry: registry, isSameProgram: true)
    exit(0)
  }
  while true { pause() }
}
