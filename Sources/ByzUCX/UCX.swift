import ByzRuntime
import CByzUCX

/// UCX, a library for fast networks and for memory shared between processes, which is loaded when first needed.
///
/// UCX chooses how the bytes travel; its environment variables are for the user, `UCX_TLS` (which transports) and
/// `UCX_NET_DEVICES` (which devices) above all. Unless they say otherwise ByzKit has it keep its hands off the signals of crashes
/// (`UCX_ERROR_SIGNALS`) and silent (`UCX_LOG_LEVEL`).
public enum UCX {
  /// Whether UCX works in this process. Loads it.
  public static var isAvailable: Bool { byz_ucx_load() }

  /// UCX's version, such as `1.13.1`; nil without UCX.
  public static var version: String? {
    isAvailable ? String(cString: byz_ucx_version()) : nil
  }

  /// Loads UCX, once per process; cheap when it is loaded already.
  ///
  /// - Throws: `RuntimeError.Code.transportUnavailable` when the library is not installed, lacks a function, or its headers were
  ///   not there when ByzKit was built.
  package static func load() throws(RuntimeError) {
    guard byz_ucx_load() else {
      let reason = byz_ucx_error().map { String(cString: $0) } ?? "unknown error"
      throw RuntimeError(
        .transportUnavailable,
        "UCX is not available (\(reason)). On Debian and Ubuntu: apt-get install libucx0, and libucx-dev to build ByzKit."
      )
    }
  }

  /// A status of UCX's in words.
  static func text(_ status: CInt) -> String { String(cString: byz_ucx_status_text(status)) }
}

/// UCX's devices, opened for a listener and its links or for one link.
///
/// `@unchecked Sendable`: the handle never changes, and UCX's contexts may be shared between threads when made as this one is.
final class UCXContext: @unchecked Sendable {
  let handle: OpaquePointer

  /// Opens the devices.
  ///
  /// - Parameter transports: A list as `UCX_TLS` takes it; nil for UCX's choice.
  /// - Throws: `RuntimeError.Code.transportUnavailable`.
  init(transports: String?) throws(RuntimeError) {
    try UCX.load()
    var opened: OpaquePointer?
    let status = byz_ucx_context_create(transports, &opened)
    guard let opened else {
      throw RuntimeError(
        .transportUnavailable,
        "UCX opens no device: \(UCX.text(status)). Is UCX_TLS set to what ucx_info -d does not list?"
      )
    }
    handle = opened
  }

  deinit { byz_ucx_context_destroy(handle) }
}
