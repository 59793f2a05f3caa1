/// Which methods an actor of a type may be asked for.
///
/// A distributed method is called by its mangled name. The runtime trusts that name: asked for a method of another type it would
/// treat the actor's memory as that type's. So the name is read first, and must be one of the actor's own type.
package enum DistributedTarget {
  /// Whether the name is that of a distributed method or property of the actor type named `typeName`, not of any other type, and
  /// not of one nested in it.
  package static func belongs(_ mangledName: String, to typeName: String) -> Bool {
    // A name from outside can be anything, and a very long one costs time to read.
    guard mangledName.utf8.count <= 4096, let name = demangled(mangledName) else { return false }
    var rest = name[...]
    guard rest.removePrefix("distributed thunk ") else { return false }
    if rest.removePrefix("(extension in ") {
      guard let end = rest.firstIndex(of: ":") else { return false }
      rest = rest[rest.index(after: end)...]
    }
    guard rest.removePrefix(typeName) else { return false }
    // Generic parameters of the actor.
    if rest.first == "<" {
      guard let end = rest.firstIndex(of: ">") else { return false }
      rest = rest[rest.index(after: end)...]
    }
    guard rest.removePrefix(".") else { return false }
    // A method: `add(`, or generic, `add<A>(`. A property: `name.getter : `. Anything with another dot is of a nested type.
    let member = rest.prefix { $0 != "(" && $0 != "<" && $0 != "." && $0 != " " }
    guard !member.isEmpty else { return false }
    rest = rest.dropFirst(member.count)
    return rest.first == "(" || rest.first == "<" || rest.hasPrefix(".getter : ")
  }

  private static func demangled(_ name: String) -> String? {
    let result = name.withCString { bytes in
      swiftDemangle(bytes, UInt(name.utf8.count), nil, nil, 0)
    }
    guard let result else { return nil }
    defer { result.deallocate() }
    return String(cString: result)
  }
}

extension Substring {
  fileprivate mutating func removePrefix(_ prefix: String) -> Bool {
    guard hasPrefix(prefix) else { return false }
    self = dropFirst(prefix.count)
    return true
  }
}

/// The runtime's own reader of names; returns memory that the caller frees, or nil.
@_silgen_name("swift_demangle")
private func swiftDemangle(
  _ name: UnsafePointer<CChar>?, _ length: UInt, _ buffer: UnsafeMutablePointer<CChar>?,
  _ size: UnsafeMutablePointer<UInt>?, _ flags: UInt32
) -> UnsafeMutablePointer<CChar>?

/// Names that have been found to be methods of an actor's type: to read a name takes longer than most calls.
package struct CheckedTargets: Sendable {
  /// More than any program has methods; a peer that makes up names fills it in vain.
  private static let capacity = 1024

  private struct Key: Hashable {
    let type: ObjectIdentifier
    let target: String
  }

  private var keys: Set<Key> = []

  package init() {}

  package func contains(_ target: String, of type: any Any.Type) -> Bool {
    keys.contains(Key(type: ObjectIdentifier(type), target: target))
  }

  package mutating func insert(_ target: String, of type: any Any.Type) {
    if keys.count == Self.capacity { keys = [] }
    keys.insert(Key(type: ObjectIdentifier(type), target: target))
  }
}
