/// How an error travels: a value of a type that both registries list, an error of the runtime, or a description.
struct Failure: Codable {
  enum Kind: Int, Codable { case registered, runtime, cancelled, other }

  let kind: Kind
  /// The type's name, or the code of an error of the runtime.
  let name: String
  let description: String
  /// The error, encoded, if it is registered.
  let value: [UInt8]?

  init(_ error: any Error, registry: Registry) {
    let name = String(reflecting: type(of: error))
    if error is CancellationError {
      self.init(kind: .cancelled, name: name, description: "cancelled", value: nil)
    } else if let error = error as? RuntimeError {
      self.init(
        kind: .runtime, name: error.code.description, description: error.message, value: nil)
    } else if registry.errors[name] != nil, let error = error as? any Codable & Error,
      let value = Self.encode(error)
    {
      self.init(kind: .registered, name: name, description: "\(error)", value: value)
    } else {
      self.init(kind: .other, name: name, description: "\(error)", value: nil)
    }
  }

  private init(kind: Kind, name: String, description: String, value: [UInt8]?) {
    self.kind = kind
    self.name = name
    // An error may describe itself at any length.
    self.description = String(description.prefix(4096))
    self.value = value
  }

  private static func encode(_ error: any Codable & Error) -> [UInt8]? {
    var encoder = WireEncoder()
    guard let value = try? encoder.encode(error), encoder.segments.isEmpty else { return nil }
    return value.serialized()
  }

  /// The error on this side.
  func error(registry: Registry, limits: WireLimits) -> any Error {
    switch kind {
    case .cancelled: return CancellationError()
    case .runtime: return RuntimeError(RuntimeError.Code(wireName: name), description)
    case .registered:
      if let type = registry.errors[name], let value,
        let error = try? Self.decode(type, value, limits)
      {
        return error
      }
      return RemoteError(typeName: name, description: description)
    case .other: return RemoteError(typeName: name, description: description)
    }
  }

  private static func decode<E: Codable & Error>(
    _ type: E.Type, _ bytes: [UInt8], _ limits: WireLimits
  ) throws -> E {
    let value = try WireValue(parsing: bytes, limits: limits)
    return try WireDecoder(segments: []).decode(type, from: value)
  }
}

extension Message {
  /// The answer that says what a call threw.
  package static func failure(_ error: any Error, registry: Registry) -> Message {
    var encoder = WireEncoder()
    let value = (try? encoder.encode(Failure(error, registry: registry))) ?? .null
    return Message(.failure, body: value.serialized())
  }

  /// The answer's value, or what the call threw.
  package func result(registry: Registry, limits: WireLimits) throws -> WireValue {
    let value = try WireValue(parsing: body, limits: limits)
    guard kind == .failure else { return value }
    let failure = try WireDecoder(segments: []).decode(Failure.self, from: value)
    throw failure.error(registry: registry, limits: limits)
  }
}
