public import Distributed

/// Collects what a call of a distributed method takes with it. Made by the compiler's calls.
public struct ByzInvocationEncoder: DistributedTargetInvocationEncoder {
  /// What arguments must be.
  public typealias SerializationRequirement = any Codable

  var encoder = WireEncoder()
  var arguments: [WireValue] = []
  var substitutions: [String] = []

  init() {}

  /// Takes note of the type that stands for a generic parameter.
  public mutating func recordGenericSubstitution<T>(_ type: T.Type) throws {
    substitutions.append(try Registry.name(of: type))
  }

  /// Takes an argument.
  public mutating func recordArgument<Value: Codable>(_ argument: RemoteCallArgument<Value>) throws
  {
    arguments.append(try encoder.encode(argument.value))
  }

  /// Nothing to note: errors name their own type.
  public mutating func recordErrorType<E: Error>(_ type: E.Type) throws {}

  /// Nothing to note: the caller knows.
  public mutating func recordReturnType<R: Codable>(_ type: R.Type) throws {}

  /// Nothing is left to do.
  public mutating func doneRecording() throws {}
}

/// Hands out what a call brought, in order. Every read is checked: the bytes come from outside.
public final class ByzInvocationDecoder: DistributedTargetInvocationDecoder {
  /// What arguments must be.
  public typealias SerializationRequirement = any Codable

  private let decoder: WireDecoder
  private let substitutions: [any Any.Type]
  private var arguments: ArraySlice<WireValue>

  init(
    decoder: WireDecoder, substitutions: [String], arguments: [WireValue], registry: Registry
  ) throws {
    self.decoder = decoder
    self.substitutions = try substitutions.map { name in
      guard let type = registry.values[name] else {
        throw RuntimeError(
          .unknownTarget,
          "\(name) stands for a generic parameter and is not registered: add it to values.")
      }
      return type
    }
    self.arguments = arguments[...]
  }

  /// The types that stand for generic parameters.
  public func decodeGenericSubstitutions() throws -> [any Any.Type] { substitutions }

  /// The next argument.
  public func decodeNextArgument<Argument: Codable>() throws -> Argument {
    guard let value = arguments.popFirst() else {
      throw RuntimeError(.malformedMessage, "The call brings too few arguments.")
    }
    return try decoder.decode(Argument.self, from: value)
  }

  /// None: errors name their own type.
  public func decodeErrorType() throws -> (any Any.Type)? { nil }

  /// None: the caller knows.
  public func decodeReturnType() throws -> (any Any.Type)? { nil }
}

/// Takes what a distributed method returned. Made by the compiler's calls.
public final class ByzResultHandler: DistributedTargetInvocationResultHandler {
  /// What results must be.
  public typealias SerializationRequirement = any Codable

  private let registry: Registry
  /// The answer; used by the task that carries out the call, and by no other.
  private(set) var answer = Message(.reply)

  init(registry: Registry) { self.registry = registry }

  /// The method returned a value.
  public func onReturn<Success: Codable>(value: Success) async throws {
    var encoder = WireEncoder()
    let value = try encoder.encode(value)
    answer = Message(.reply, body: value.serialized(), segments: encoder.segments)
  }

  /// The method returned.
  public func onReturnVoid() async throws {
    answer = Message(.reply, body: WireValue.null.serialized())
  }

  /// The method threw.
  public func onThrow<Failure: Error>(error: Failure) async throws {
    answer = .failure(error, registry: registry)
  }
}
