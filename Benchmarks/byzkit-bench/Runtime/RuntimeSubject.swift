import ByzKit
import ByzRuntime
import ByzTensor
import Distributed

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The actor whose calls are timed.
distributed actor RuntimeSubject: RemoteActor {
  typealias ActorSystem = ByzActorSystem

  private var calls = 0

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  /// A call that carries next to nothing. It touches the actor: else the optimizer takes a local call out of its thread.
  distributed func add(_ a: Double, _ b: Double) -> Double {
    calls += 1
    return a + b
  }

  /// Takes a tensor, and reads enough of it to show that it is there.
  distributed func ends(_ tensor: Tensor<Float>) -> [Float] {
    tensor.withUnsafeBufferPointer { [$0[0], $0[$0.count - 1]] }
  }

  /// The process it lives in.
  distributed func processNumber() -> Int { Int(getpid()) }

  static let registry = Registry(
    actors: [RuntimeSubject.self], subtasks: [RuntimeSubtask.self])
}

/// A subtask that does nothing.
struct RuntimeSubtask: Subtask {
  func run(_ operands: Operands) -> Int { 1 }
}
