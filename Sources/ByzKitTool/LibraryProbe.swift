import Foundation

/// An optional library: looked for when asked for, never linked.
struct LibraryProbe: Encodable {
  /// What was found, in a few words; nil if it cannot be used.
  let found: String?
  /// Why it cannot be used.
  let problem: String?

  var text: String { found ?? "not available" }

  private init(found: String) { (self.found, problem) = (found, nil) }
  private init(problem: String) { (found, self.problem) = (nil, problem) }
}

extension LibraryProbe {
  /// libnuma and the machine's memory nodes.
  static func numa() -> LibraryProbe {
    guard let library = DynamicLibrary("libnuma.so.1") else {
      return LibraryProbe(problem: "libnuma.so.1 could not be loaded")
    }
    guard
      let available = library.symbol("numa_available", as: (@convention(c) () -> Int32).self),
      let maximum = library.symbol("numa_max_node", as: (@convention(c) () -> Int32).self)
    else { return LibraryProbe(problem: "libnuma.so.1 lacks a function") }
    guard available() >= 0 else {
      return LibraryProbe(problem: "the system has no support for memory nodes")
    }
    let count = Int(maximum()) + 1
    return LibraryProbe(found: "\(count) memory node\(count == 1 ? "" : "s")")
  }

  /// The NVIDIA driver and its devices.
  static func cuda() -> LibraryProbe {
    guard let library = DynamicLibrary("libcuda.so.1") else {
      return LibraryProbe(problem: "libcuda.so.1 could not be loaded")
    }
    typealias Count = @convention(c) (UnsafeMutablePointer<Int32>) -> Int32
    typealias Name = @convention(c) (UnsafeMutablePointer<CChar>, Int32, Int32) -> Int32
    guard
      let start = library.symbol("cuInit", as: (@convention(c) (UInt32) -> Int32).self),
      let getVersion = library.symbol("cuDriverGetVersion", as: Count.self),
      let getCount = library.symbol("cuDeviceGetCount", as: Count.self),
      let getName = library.symbol("cuDeviceGetName", as: Name.self)
    else { return LibraryProbe(problem: "libcuda.so.1 lacks a function") }
    let status = start(0)
    guard status == 0 else {
      return LibraryProbe(problem: "the driver does not start: CUDA error \(status)")
    }
    var (version, count): (Int32, Int32) = (0, 0)
    guard getVersion(&version) == 0, getCount(&count) == 0, count > 0 else {
      return LibraryProbe(problem: "the driver finds no device")
    }
    var name = [CChar](repeating: 0, count: 256)
    let names = (0..<count).map { device in
      guard getName(&name, Int32(name.count), device) == 0 else { return "device \(device)" }
      return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    return LibraryProbe(
      found:
        "\(names.joined(separator: ", ")); driver for CUDA \(version / 1000).\(version % 1000 / 10)"
    )
  }

  /// UCX, by its version.
  static func ucx() -> LibraryProbe {
    guard let library = DynamicLibrary("libucp.so.0") else {
      return LibraryProbe(problem: "libucp.so.0 could not be loaded")
    }
    typealias Text = @convention(c) () -> UnsafePointer<CChar>
    guard let version = library.symbol("ucp_get_version_string", as: Text.self) else {
      return LibraryProbe(problem: "libucp.so.0 lacks a function")
    }
    return LibraryProbe(found: "version \(String(cString: version()))")
  }
}

/// A library that stays loaded until the process ends.
struct DynamicLibrary {
  private let handle: UnsafeMutableRawPointer

  init?(_ name: String) {
    guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else { return nil }
    self.handle = handle
  }

  /// A C function, which must have this type.
  func symbol<Function>(_ name: String, as _: Function.Type) -> Function? {
    guard let address = dlsym(handle, name) else { return nil }
    // A C function pointer has the size of any pointer; its type is the caller's promise.
    return unsafeBitCast(address, to: Function.self)
  }
}
