import ByzKit
import ByzRuntime
import ByzTensor
import Foundation

/// A file of n vectors of d numbers.
struct MappedFile {
  let path: String
  let n: Int
  let d: Int
  var byteCount: Int { n * d * 4 }

  init(in folder: URL, n: Int, d: Int) throws {
    path = folder.appending(path: "\(n)x\(d).npy").path
    self.n = n
    self.d = d
    let output = try NpyOutput<Float>(path: path, shape: [n, d])
    // A block of random numbers, each time scaled a little differently: quick to make, and no two rows are alike.
    let block = Tensor<Float>.normal(shape: [1 << 16], key: RandomKey(1))
    output.tensor.withUnsafeMutableBufferPointer { numbers in
      block.withUnsafeBufferPointer { block in
        for start in stride(from: 0, to: numbers.count, by: block.count) {
          let scale = 1 + Float(start / block.count % 1009) / 1009
          for j in 0..<min(block.count, numbers.count - start) {
            numbers[start + j] = scale * block[j]
          }
        }
      }
    }
    try output.commit()
  }

  /// The rows, where they lie in the file.
  func mapped() throws -> [Tensor<Float>] {
    guard case .float32(let tensor) = try AnyTensor(mappingNpy: path) else { return [] }
    return tensor.rows
  }

  /// The time of one pass of `read` over the file when none of it is in memory.
  func readTime() throws -> Double {
    try drop()
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    defer { try? file.close() }
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 8 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    let start = ContinuousClock.now
    while read(file.fileDescriptor, buffer, 8 << 20) > 0 {}
    return (ContinuousClock.now - start) / .seconds(1)
  }

  /// The median of the times on memory and on the mapped file in the page cache, in turns; the outputs in memory and in a new file.
  func timesInMemory(_ rule: MappedRule, scratch: URL) async throws -> (
    heap: Double, cached: Double
  ) {
    let heap = try Tensor<Float>(npy: path).rows
    let rows = try mapped()
    var (heapTimes, cachedTimes): ([Double], [Double]) = ([], [])
    for round in 0..<6 {
      // Memory that an earlier round has left, while the output's file is new in each.
      var outputs = (0..<rule.outputs(n)).map { _ in Tensor<Float>(shape: [d]) { _ in } }
      let start = ContinuousClock.now
      try await rule.rule.apply(to: heap, into: &outputs, in: OperatorContext())
      let first = (ContinuousClock.now - start) / .seconds(1)
      let second = try await time(rule, on: rows, scratch: scratch)
      // The first brings the file into the page cache.
      if round > 0 {
        heapTimes.append(first)
        cachedTimes.append(second)
      }
    }
    return (Times.median(heapTimes), Times.median(cachedTimes))
  }

  /// The time when nothing of the file is in memory, and the most anonymous memory that took, in MiB.
  func timeFromDisk(_ rule: MappedRule, scratch: URL) async throws -> (
    seconds: Double, rssAnon: Double
  ) {
    try drop()
    let before = Usage.current.rssAnon
    let peak = PeakMemory()
    let seconds = try await time(rule, on: mapped(), scratch: scratch)
    return (seconds, max(0, peak.stop() - before))
  }

  /// Into a file that is mapped.
  private func time(_ rule: MappedRule, on rows: [Tensor<Float>], scratch: URL) async throws
    -> Double
  {
    var outputs: [Tensor<Float>] = try Tensor.scratch(
      count: rule.outputs(n), shape: [d], beside: scratch.appending(path: "out.npy").path)
    let start = ContinuousClock.now
    try await rule.rule.apply(to: rows, into: &outputs, in: OperatorContext())
    return (ContinuousClock.now - start) / .seconds(1)
  }

  /// Has the system forget the file's pages, as far as it does.
  private func drop() throws {
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    defer { try? file.close() }
    try file.synchronize()
    posix_fadvise(file.fileDescriptor, 0, 0, POSIX_FADV_DONTNEED)
  }
}

/// The most anonymous memory of this process for as long as it is watched.
///
/// `@unchecked Sendable`: the thread writes `most` only before `done` is signalled, and it is read only after.
final class PeakMemory: @unchecked Sendable {
  private var most = 0.0
  private let ending = DispatchSemaphore(value: 0)
  private let done = DispatchSemaphore(value: 0)

  init() {
    Thread.detachNewThread { [self] in
      repeat {
        most = max(most, Usage.current.rssAnon)
      } while ending.wait(timeout: .now() + .milliseconds(2)) == .timedOut
      done.signal()
    }
  }

  /// MiB.
  func stop() -> Double {
    ending.signal()
    done.wait()
    return most
  }
}
