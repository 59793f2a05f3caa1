#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Starts a thread that belongs to no one and ends with `body`: for calls that wait in the system, which tasks must not.
///
/// - Returns: whether the system had a thread to give.
func startThread(named name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
  final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
  let start = Unmanaged.passRetained(Start(name: name, body: body))
  #if canImport(Darwin)
    var thread: pthread_t?
  #else
    var thread = pthread_t()
  #endif
  let status = pthread_create(
    &thread, nil,
    { argument in
      let argument: UnsafeMutableRawPointer? = argument
      pthread_detach(pthread_self())
      let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
      setNameOfThread(start.name)
      start.body()
      return nil
    }, start.toOpaque())
  if status != 0 { start.release() }
  return status == 0
}

/// Names the calling thread for debuggers and profilers. Linux keeps 15 bytes: the last ones, which hold the worker's number.
func setNameOfThread(_ name: String) {
  #if canImport(Darwin)
    pthread_setname_np(name)
  #else
    guard let file = fopen("/proc/thread-self/comm", "w") else { return }
    fputs(String(decoding: name.utf8.suffix(15), as: UTF8.self), file)
    fclose(file)
  #endif
}
