package import ByzRuntime
package import ByzTensor
import Foundation

extension KernelVariant {
  /// Without this a misspelled `BYZKIT_KERNELS` would quietly mean "the fastest".
  ///
  /// - Throws: `RuntimeError` unless the variable is empty or names a variant that this processor can run.
  package static func checkEnvironment() throws(RuntimeError) {
    guard let wish = ProcessInfo.processInfo.environment["BYZKIT_KERNELS"], !wish.isEmpty,
      KernelVariant(rawValue: wish)?.isAvailable != true
    else { return }
    let available = allCases.filter(\.isAvailable).map(\.rawValue).joined(separator: ", ")
    throw RuntimeError(
      .invalidConfiguration,
      "BYZKIT_KERNELS is '\(wish)', but this processor can run: \(available).")
  }
}
