/// A distributed method of an actor type, as other processes name it.
///
/// A distributed method is called by its mangled name, and by the names of the types that stand for its generic parameters, first for
/// those of the actor. The runtime trusts both: asked for a method of another type, or given another type or fewer of them, it would
/// take the actor's memory, or what lies behind the last type, for what they are not. So the names are read first.
package struct DistributedTarget: Hashable, Sendable {
  /// The types that stand for the generic parameters of the actor.
  private let ownArguments: [String]
  /// How many generic parameters the method has.
  private let parameterCount: Int

  /// Reads the name of a distributed method or property of the actor type named `typeName`. It is one that the program has, see
  /// ``exists(_:)``.
  ///
  /// - Returns: nil when it is of any other type, also of one nested in it, of a protocol's extension or of one for some generic
  ///   arguments only, when it has parameters other than types, and when both it and the actor are generic.
  package init?(_ mangledName: String, of typeName: String) {
    guard let name = Self.demangled(mangledName),
      let (plainName, ownArguments) = Self.takeApart(typeName)
    else { return nil }
    var rest = name[...]
    guard rest.removePrefix("distributed thunk ") else { return nil }
    if rest.removePrefix("(extension in ") {
      guard let end = rest.firstIndex(of: ":") else { return nil }
      rest = rest[rest.index(after: end)...]
    }
    guard rest.removePrefix(plainName), rest.removePrefix(".") else { return nil }
    // A method: `add(`, or generic, `add<A, B where A: P>(`. A property: `name.getter : `. Anything with another dot is of a nested type.
    let member = rest.prefix { $0 != "(" && $0 != "<" && $0 != "." && $0 != " " }
    guard !member.isEmpty else { return nil }
    rest = rest.dropFirst(member.count)
    if rest.first == "<" {
      guard let (clause, signature) = Self.bracketed(rest) else { return nil }
      // One word each, up to the first that says something about them: `each` and `let` are for what are no types.
      var words = clause.split(separator: " ")[...]
      if let end = words.firstIndex(of: "where") { words = words[..<end] }
      let names = words.map { $0.last == "," ? $0.dropLast() : $0 }
      guard !names.isEmpty, words.dropLast().allSatisfy({ $0.last == "," }),
        names.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isLetter || $0.isNumber } })
      else { return nil }
      // What stands in a class's brackets the runtime takes from the object, and the next type in its place.
      guard let (parameters, _) = Self.bracketed(signature),
        names.count == 1 || Self.namesOnlySwiftsGenericTypes(parameters)
      else { return nil }
      parameterCount = names.count
    } else {
      guard rest.first == "(" || rest.hasPrefix(".getter : ") else { return nil }
      parameterCount = 0
    }
    // The runtime hands such a method the actor's arguments in place of its own.
    guard parameterCount == 0 || ownArguments.isEmpty else { return nil }
    self.ownArguments = ownArguments
  }

  /// Whether this program has a distributed method of this name. Only such a name is to be read: one that is made up may be short, and
  /// stand for a text of gigabytes, since each part of a name may repeat what is before it.
  package static func exists(_ mangledName: String) -> Bool {
    var mangledName = mangledName
    return mangledName.withUTF8 { bytes in
      guard let start = bytes.baseAddress, bytes.count <= 4096 else { return false }
      return swiftFindAccessibleFunction(start, UInt(bytes.count)) != nil
    }
  }

  /// Whether these types may stand for the generic parameters; whether they conform to what is asked of them the runtime checks.
  package func accepts(_ substitutions: [String]) -> Bool {
    substitutions.count == ownArguments.count + parameterCount
      && substitutions.starts(with: ownArguments)
  }

  /// What lies between the bracket that a text begins with and the one that closes it, and what follows; nil when there is none.
  private static func bracketed(_ text: Substring) -> (inside: Substring, rest: Substring)? {
    var depth = 0
    var last: Character?
    for index in text.indices {
      let character = text[index]
      defer { last = character }
      switch character {
      case "<", "(", "[": depth += 1
      // The second half of an arrow closes nothing.
      case ">" where last == "-": break
      case ">", ")", "]": depth -= 1
      default: break
      }
      if depth == 0 {
        guard index != text.startIndex else { return nil }
        return (text[text.index(after: text.startIndex)..<index], text[text.index(after: index)...])
      }
    }
    return nil
  }

  /// Whether all types in a list that have generic arguments are Swift's own, of which none is a class that could travel.
  private static func namesOnlySwiftsGenericTypes(_ list: Substring) -> Bool {
    list.split(separator: "<", omittingEmptySubsequences: false).dropLast().allSatisfy { before in
      let name = before.reversed().prefix {
        $0.isLetter || $0.isNumber || $0 == "." || $0 == "_"
      }
      return String(name.reversed()).hasPrefix("Swift.")
    }
  }

  /// A type's name without its generic arguments, and these: `M.Box<Swift.Int>` is `M.Box` and `Swift.Int`. Nil when brackets do not
  /// match.
  private static func takeApart(_ typeName: String) -> (name: String, arguments: [String])? {
    var (name, arguments, depth) = ("", [String](), 0)
    var last: Character?
    for character in typeName {
      defer { last = character }
      switch character {
      case "<", "(", "[":
        depth += 1
        if depth > 1 { break }
        guard character == "<" else { return nil }
        arguments.append("")
        continue
      // The second half of an arrow closes nothing.
      case ">" where last == "-": break
      case ">", ")", "]":
        depth -= 1
        guard depth >= 0 else { return nil }
        if depth == 0 { continue }
      case "," where depth == 1:
        arguments.append("")
        continue
      case " " where depth == 1 && arguments.last == "": continue
      default: break
      }
      if depth == 0 {
        name.append(character)
      } else {
        arguments[arguments.count - 1].append(character)
      }
    }
    return depth == 0 ? (name, arguments) : nil
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

/// The runtime's own record of a distributed method, which it looks up by the name that a call brings; nil when there is none.
@_silgen_name("swift_findAccessibleFunction")
private func swiftFindAccessibleFunction(
  _ name: UnsafePointer<UInt8>, _ length: UInt
) -> UnsafeRawPointer?

/// The runtime's own reader of names; returns memory that the caller frees, or nil.
@_silgen_name("swift_demangle")
private func swiftDemangle(
  _ name: UnsafePointer<CChar>?, _ length: UInt, _ buffer: UnsafeMutablePointer<CChar>?,
  _ size: UnsafeMutablePointer<UInt>?, _ flags: UInt32
) -> UnsafeMutablePointer<CChar>?

/// What has been read of names that are methods of an actor's type: to read a name takes longer than most calls.
package struct CheckedTargets: Sendable {
  /// More than any program has methods; a peer that makes up names fills it in vain.
  private static let capacity = 1024

  private struct Key: Hashable {
    let type: ObjectIdentifier
    let target: String
  }

  private var targets: [Key: DistributedTarget] = [:]

  package init() {}

  package subscript(name: String, type: any Any.Type) -> DistributedTarget? {
    get { targets[Key(type: ObjectIdentifier(type), target: name)] }
    set {
      if targets.count == Self.capacity { targets = [:] }
      targets[Key(type: ObjectIdentifier(type), target: name)] = newValue
    }
  }
}
