import ByzTensor
import Crypto
import Foundation

extension Array where Element == Tensor<Float> {
  /// SHA-256 of the elements' little-endian bytes, one tensor after another, in hexadecimal.
  package var digest: String {
    var hash = SHA256()
    for tensor in self {
      tensor.withUnsafeBufferPointer { elements in
        if Int(littleEndian: 1) == 1 {
          hash.update(bufferPointer: UnsafeRawBufferPointer(elements))
        } else {
          for element in elements {
            Swift.withUnsafeBytes(of: element.bitPattern.littleEndian) {
              hash.update(bufferPointer: $0)
            }
          }
        }
      }
    }
    return hash.finalize().map { String(format: "%02x", $0) }.joined()
  }
}

extension Encodable {
  /// One line of JSON with its keys in order.
  package func sortedJSON() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
