import FuzzSupport
import Glibc

/// The one file of this process, without a name, that holds the input of the moment.
struct InputFile {
  let descriptor: Int32
  /// Where it can be opened nevertheless.
  var path: String { "/proc/self/fd/\(descriptor)" }

  init() {
    // In memory where there is such a folder: a million inputs do not wear out a disk.
    var template = Array("\(Self.folder)/byzkit-fuzz-XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    check(descriptor >= 0, "there is a temporary file")
    unlink(template)
  }

  static let folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"

  /// Replaces the contents and goes back to their beginning.
  func hold(_ bytes: UnsafeRawBufferPointer) {
    check(ftruncate(descriptor, 0) == 0, "the file can be emptied")
    check(
      bytes.isEmpty || pwrite(descriptor, bytes.baseAddress, bytes.count, 0) == bytes.count,
      "the file can be written")
    rewind()
  }

  func rewind() { lseek(descriptor, 0, SEEK_SET) }
}
