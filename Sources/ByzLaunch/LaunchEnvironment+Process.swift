public import ByzRuntime

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension LaunchEnvironment {
  /// What this process's environment and host name say; and removes the launcher's variables from the environment, so that no child
  /// process takes itself for this one.
  ///
  /// Called once, first in `main`, while there are no other threads.
  ///
  /// - Throws: as ``init(_:variables:hostName:)``.
  public static func takeFromProcess(
    _ given: Given = Given()
  ) throws(RuntimeError) -> LaunchEnvironment {
    let variables = processVariables()
    for name in variables.keys where isLauncherVariable(name) { unsetenv(name) }
    return try LaunchEnvironment(given, variables: variables, hostName: processHostName())
  }

  private static func processVariables() -> [String: String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let text = String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      next += 1
    }
    return variables
  }

  private static func processHostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "" }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
