import ByzKit
import CByzRates
import Dispatch

/// Measures what the machine can do; the best of several tries counts, so that a floor is not raised by noise.
struct RateMeasurement {
  /// The variant that is fastest here, whatever the kernels are told to use.
  private let level: Int32

  init() {
    level = KernelVariant.avx512.isAvailable ? 2 : KernelVariant.avx2.isAvailable ? 1 : 0
  }

  /// Operations per second on one core, for numbers of `size` bytes; of memory nothing is known yet.
  func arithmetic(size: Int) -> Rates {
    // Others may use the core's other half for longer than one try takes.
    func rate(_ kind: rate_kind) -> Double {
      best(10_000) { rate_arithmetic(level, size == 8, kind, 10_000) }
    }
    return Rates(
      bytesRead: 0, bytesReadAgain: 0, bytesWritten: 0,
      multiplyAdds: rate(RATE_MULTIPLY_ADD),
      squaredDifferences: rate(RATE_SQUARED_DIFFERENCE), minMax: rate(RATE_MIN_MAX),
      transcendentals: rate(RATE_TRANSCENDENTAL))
  }

  /// Bytes read per second when these inputs take turns.
  func reading(_ inputs: [UnsafeRawBufferPointer]) -> Double {
    fastest { apart in
      var next = 0
      return best(16 * inputs.count) {
        let input = inputs[next % inputs.count]
        next += 1
        return read(input, apart: apart)
      }
    }
  }

  /// Bytes read per second from an input that was read just before, when these inputs take turns.
  func readingAgain(_ inputs: [UnsafeRawBufferPointer]) -> Double {
    fastest { apart in
      var next = 0
      return best(
        16 * inputs.count,
        after: {
          next += 1
          _ = read(inputs[next % inputs.count], apart: apart)
        },
        { read(inputs[next % inputs.count], apart: apart) })
    }
  }

  /// Bytes written per second to memory of this size that is used again.
  func writing(_ byteCount: Int) -> Double {
    let size = max(4096, byteCount / 4096 * 4096)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
    defer { memory.deallocate() }
    memory.initializeMemory(as: UInt8.self, repeating: 1, count: size)
    return fastest { streaming in
      best(8) {
        rate_write(level, memory, size, streaming)
        return Double(size)
      }
    }
  }

  /// What two cores gain: in multiply-adds, and in reading halves of these inputs.
  func gainOfTwo(_ inputs: [UnsafeRawBufferPointer]) -> (arithmetic: Double, memory: Double) {
    let rounds = 100_000
    // Both in rounds per second.
    let one = best(5) {
      _ = rate_arithmetic(level, false, RATE_MULTIPLY_ADD, rounds)
      return Double(rounds)
    }
    let both = best(5) {
      DispatchQueue.concurrentPerform(iterations: 2) { _ in
        _ = rate_arithmetic(level, false, RATE_MULTIPLY_ADD, rounds)
      }
      return Double(2 * rounds)
    }
    var next = 0
    let halves = fastest { apart in
      best(16 * inputs.count) {
        let input = inputs[next % inputs.count]
        next += 1
        // Both halves are only read, and outlive the call.
        nonisolated(unsafe) let bytes = input
        let half = bytes.count / 2
        DispatchQueue.concurrentPerform(iterations: 2) { part in
          let mine = part == 0 ? bytes[..<half] : bytes[half...]
          _ = read(UnsafeRawBufferPointer(rebasing: mine), apart: apart)
        }
        return Double(input.count)
      }
    }
    return (both / one, halves / reading(inputs))
  }

  private func read(_ input: UnsafeRawBufferPointer, apart: Bool) -> Double {
    guard let start = input.baseAddress else { return 0 }
    let size = input.count / 4096 * 4096
    _ = rate_read(level, start, size, apart)
    return Double(size)
  }

  /// The better of two ways.
  private func fastest(_ rate: (Bool) -> Double) -> Double { max(rate(false), rate(true)) }

  /// The greatest amount per second of several tries.
  ///
  /// - Parameter prepare: What comes before each of them and is not timed.
  private func best(_ tries: Int, after prepare: () -> Void = {}, _ body: () -> Double) -> Double {
    let clock = ContinuousClock()
    var best = 0.0
    for _ in 0..<tries {
      prepare()
      let start = clock.now
      let amount = body()
      best = max(best, amount / ((clock.now - start) / .seconds(1)))
    }
    return best
  }
}

extension Rates {
  /// These rates with those of memory, when these inputs take turns and as much is written. What memory was found to do before
  /// counts where it was more: a slow moment of the machine is not to raise a floor.
  func withMemory(reading inputs: [UnsafeRawBufferPointer], writing byteCount: Int) -> Rates {
    let measurement = RateMeasurement()
    var rates = self
    rates.bytesRead = max(bytesRead, measurement.reading(inputs))
    rates.bytesReadAgain = max(bytesReadAgain, measurement.readingAgain(inputs))
    rates.bytesWritten = max(bytesWritten, measurement.writing(byteCount))
    return rates
  }
}
