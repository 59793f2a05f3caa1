import Foundation

/// Writes a line to standard output at once, also into a pipe, or says why it cannot be: a full disk is no success.
package func printOut(_ text: String) throws {
  try FileHandle.standardOutput.write(contentsOf: Data("\(text)\n".utf8))
}
