public import Distributed

/// A distributed actor that can be spawned on any backend, with plain Swift calls to reach it.
///
/// ```swift
/// distributed actor Calculator: RemoteActor {
///   typealias ActorSystem = ByzActorSystem
///   private let name: String
///
///   init(_ name: String, actorSystem: ByzActorSystem) {
///     self.name = name
///     self.actorSystem = actorSystem
///   }
///
///   distributed func add(_ a: Double, _ b: Double) -> Double { a + b }
/// }
/// ```
///
/// It runs on a thread of its own, wherever it lives, so its methods may block without harm to anyone else.
///
/// The actor may be generic, with each type that it is used with in the registry, or its methods may, not both. A method with several generic parameters takes them alone or in Swift's own types, such as arrays. A method that a
/// protocol's extension declares, or an extension for some generic arguments only, can be called on a thread of the same process only: no
/// other process can tell by its name that it is the actor's.
public protocol RemoteActor: DistributedActor, VersionedOnWire
where ActorSystem == ByzActorSystem {
  /// What it is made of; travels to where it will live.
  associatedtype Arguments: Codable & Sendable

  /// Makes the actor where it will live.
  init(_ arguments: Arguments, actorSystem: ByzActorSystem) async throws
}

extension RemoteActor {
  /// The actor's own thread.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    actorSystem.executor(of: id).asUnownedSerialExecutor()
  }
}

/// Names an actor: the process it lives in, and its number there.
public struct ByzActorID: Hashable, Codable, Sendable, CustomStringConvertible {
  /// The process.
  package let host: UInt64
  /// The number in the process.
  package let number: UInt64

  /// Both numbers.
  public var description: String { "\(String(host, radix: 16)).\(number)" }
}

/// An error that another process threw and whose type is not in this one's ``Registry``.
public struct RemoteError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name of its type there.
  public let typeName: String
  /// What it says.
  public let description: String
}
