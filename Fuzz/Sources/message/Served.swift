import ByzRuntime
import ByzTensor
import Distributed

/// What the other side may name.
let registry = Registry(
  actors: [Echo.self], subtasks: [Sum.self, Shift.self], values: [Note.self], errors: [Refusal.self]
)

struct Refusal: Error, Codable, Hashable {
  var number: Int
  var reason: String?
}

struct Note: Codable, Sendable {
  var text: String
  var tensor: Tensor<Float>?
}

distributed actor Echo: RemoteActor {
  typealias ActorSystem = ByzActorSystem

  init(_ note: Note, actorSystem: ByzActorSystem) throws {
    guard note.text != "refuse" else { throw Refusal(number: 1, reason: note.text) }
    self.actorSystem = actorSystem
  }

  distributed func add(_ a: Double, _ b: Double) -> Double { a + b }
  distributed func fail(_ refusal: Refusal) throws { throw refusal }
  distributed func echo<Value: Codable & Sendable>(_ value: Value) -> Value { value }
}

/// Reads its inputs and a resident.
struct Sum: Subtask {
  var input: Int
  var resident: Int?

  func run(_ operands: Operands) throws -> Double {
    guard operands.inputs.indices.contains(input) else {
      throw Refusal(number: input, reason: nil)
    }
    if let resident, operands.residents[resident] == nil {
      throw Refusal(number: resident, reason: "no such resident")
    }
    guard case .float32(let tensor) = operands.inputs[input] else { return 0 }
    return tensor.withUnsafeBufferPointer { $0.reduce(0) { $0 + Double($1) } }
  }
}

/// Reads the rows and writes the outputs.
struct Shift: FootprintSubtask {
  var columns: Range<Int>?
  var outputRows: Range<Int>?
  var residents: [Int]

  func run(_ operands: Operands) throws -> Int {
    guard let outputs = operands.outputs else { return 0 }
    for case let row? in outputs.pointers {
      let byteCount = outputs.columns * outputs.elementType.byteCount
      row.initializeMemory(as: UInt8.self, repeating: 1, count: byteCount)
    }
    return outputs.pointers.count
  }
}
