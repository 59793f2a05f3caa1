import ByzRuntime
import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Starts a thread that drives an endpoint and ends by itself.
///
/// - Throws: `RuntimeError.Code.workerStartFailed` when the system refuses.
func startUCXThread(_ body: @escaping @Sendable () -> Void) throws(RuntimeError) {
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  defer { pthread_attr_destroy(&attributes) }
  pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
  #if canImport(Darwin)
    var thread: pthread_t?
  #else
    var thread = pthread_t()
  #endif
  let box = Unmanaged.passRetained(ThreadBody(run: body))
  let status = pthread_create(
    &thread, &attributes,
    { argument in
      let argument: UnsafeMutableRawPointer? = argument
      Unmanaged<ThreadBody>.fromOpaque(argument!).takeRetainedValue().run()
      return nil
    }, box.toOpaque())
  guard status == 0 else {
    box.release()
    throw RuntimeError(
      .workerStartFailed, "A thread could not be created: \(String(cString: strerror(status))).")
  }
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(run: @escaping @Sendable () -> Void) { self.run = run }
}
