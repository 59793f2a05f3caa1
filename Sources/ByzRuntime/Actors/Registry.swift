/// The types that other processes may name. Whatever is not listed here cannot be made or called from outside.
///
/// ```swift
/// let registry = Registry(actors: [Calculator.self], errors: [DivisionByZero.self])
/// ```
///
/// Both sides of a connection have one. Types go by their qualified names, so a type that is `private` to a file or local to a
/// function cannot be listed. A type whose stored properties or methods change between two releases changes its version.
public struct Registry: Sendable {
  private(set) var actors: [String: any RemoteActor.Type] = [:]
  private(set) var subtasks: [String: any Subtask.Type] = [:]
  private(set) var values: [String: any (Codable & Sendable).Type] = [:]
  private(set) var errors: [String: any (Codable & Error).Type] = [:]

  /// Lists types.
  ///
  /// - Parameters:
  ///   - actors: what may be spawned and called.
  ///   - subtasks: what may be run by a pool's workers.
  ///   - values: residents of pools, and types that stand for the generic parameters of distributed methods.
  ///   - errors: errors that arrive as what they are; others arrive as ``RemoteError``.
  /// - Precondition: no type is private to a file or local to a function.
  public init(
    actors: [any RemoteActor.Type] = [], subtasks: [any Subtask.Type] = [],
    values: [any (Codable & Sendable).Type] = [], errors: [any (Codable & Error).Type] = []
  ) {
    for type in actors { self.actors[Self.listedName(of: type)] = type }
    for type in subtasks { self.subtasks[Self.listedName(of: type)] = type }
    for type in Self.standardValues + values { self.values[Self.listedName(of: type)] = type }
    for type in errors { self.errors[Self.listedName(of: type)] = type }
  }

  /// Both lists in one.
  public func merging(_ other: Registry) -> Registry {
    var result = self
    result.actors.merge(other.actors) { $1 }
    result.subtasks.merge(other.subtasks) { $1 }
    result.values.merge(other.values) { $1 }
    result.errors.merge(other.errors) { $1 }
    return result
  }

  private static let standardValues: [any (Codable & Sendable).Type] = [
    Bool.self, Int.self, Int8.self, Int16.self, Int32.self, Int64.self, UInt.self, UInt8.self,
    UInt16.self, UInt32.self, UInt64.self, Float.self, Double.self, String.self,
  ]

  /// What a type is called on the wire, whatever it is.
  static func wireName(of type: Any.Type) -> String {
    let key = ObjectIdentifier(type)
    if let name = names.withLock({ $0[key] }) { return name }
    let name = String(reflecting: type)
    names.withLock { $0[key] = name }
    return name
  }

  /// Composing a name takes longer than most calls; a program has only so many types.
  private static let names = Monitor([ObjectIdentifier: String]())

  /// What a type is called on the wire.
  ///
  /// - Throws: `RuntimeError` with `invalidConfiguration` for a type that no other process can name.
  static func name(of type: Any.Type) throws(RuntimeError) -> String {
    let name = wireName(of: type)
    guard !name.contains("(unknown context") else {
      throw RuntimeError(
        .invalidConfiguration,
        "\(type) is private or local: other processes cannot name it. Declare it in the module.")
    }
    return name
  }

  /// What a type that is listed is called on the wire.
  private static func listedName(of type: Any.Type) -> String {
    do { return try name(of: type) } catch { preconditionFailure(error.message) }
  }

  private static func version(of type: Any.Type) -> Int {
    (type as? any VersionedOnWire.Type)?.wireVersion ?? 1
  }

  /// The names, each with its version.
  var versions: [String: Int] {
    var versions: [String: Int] = [:]
    for (name, type) in actors { versions[name] = type.wireVersion }
    for (name, type) in subtasks { versions[name] = type.wireVersion }
    for (name, type) in values { versions[name] = Self.version(of: type) }
    for (name, type) in errors { versions[name] = Self.version(of: type) }
    return versions
  }
}

/// A type that other processes may send, with a version: two processes whose versions of it differ refuse to connect.
public protocol VersionedOnWire {
  /// The version, 1 unless it says otherwise. Raise it when what is encoded, or the methods of an actor, change.
  static var wireVersion: Int { get }
}

extension VersionedOnWire {
  /// 1.
  public static var wireVersion: Int { 1 }
}
