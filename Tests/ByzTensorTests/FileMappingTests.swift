import ByzTensor
import CByzSystem
import Foundation
import Testing

/// A folder of its own for each test, removed with it.
@Suite("Mapped files")
final class FileMappingTests {
  let folder = FileManager.default.temporaryDirectory.appending(path: "byz-\(UUID().uuidString)")
    .path

  init() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func write(_ bytes: [UInt8], to name: String) throws -> String {
    try Data(bytes).write(to: URL(filePath: "\(folder)/\(name)"))
    return "\(folder)/\(name)"
  }

  func contents() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder) }

  @Test("a mapping for reading holds the bytes of the file")
  func reading() throws {
    let mapping = try FileMapping(reading: write([1, 2, 3], to: "a"))
    #expect(mapping.withUnsafeBytes { Array($0) } == [1, 2, 3])
    #expect(!mapping.isWritable)
  }

  @Test("an empty file is an empty mapping")
  func emptyFile() throws {
    #expect(try FileMapping(reading: write([], to: "a")).withUnsafeBytes { $0.isEmpty })
  }

  @Test("what is written to a mapping reaches the file")
  func updating() throws {
    let path = try write([1, 2, 3], to: "a")
    try FileMapping(updating: path).withUnsafeMutableBytes { $0[1] = 9 }
    #expect(try Array(Data(contentsOf: URL(filePath: path))) == [1, 9, 3])
  }

  @Test("the mapping outlives the file's name")
  func unlinked() throws {
    let mapping = try FileMapping(reading: write([1, 2, 3], to: "a"))
    try FileManager.default.removeItem(atPath: "\(folder)/a")
    #expect(mapping.withUnsafeBytes { Array($0) } == [1, 2, 3])
  }

  @Test("errors carry the path and the system's words")
  func errors() throws {
    let missing = #expect(throws: FileError.self) { try FileMapping(reading: "\(folder)/none") }
    #expect(missing?.code == ENOENT)
    #expect(missing?.description == "Cannot open \(folder)/none: No such file or directory")
    #expect(#expect(throws: FileError.self) { try FileMapping(reading: folder) }?.code == EINVAL)
    #expect(#expect(throws: FileError.self) { try FileMapping(updating: folder) }?.code == EISDIR)
  }

  @Test("a named pipe is refused at once instead of being waited for")
  func pipe() throws {
    #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
    let error = #expect(throws: FileError.self) { try FileMapping(reading: "\(folder)/pipe") }
    #expect(error?.code == EINVAL)
  }

  @Test("an output appears at its path when it is committed, and nothing else remains")
  func commit() throws {
    let path = try write([7], to: "out")
    let output = try OutputFile(path: path, byteCount: 4)
    #expect(output.withUnsafeMutableBytes { Array($0) } == [0, 0, 0, 0])
    output.withUnsafeMutableBytes { $0.copyBytes(from: [1, 2, 3, 4]) }
    #expect(try Array(Data(contentsOf: URL(filePath: path))) == [7])
    let mapping = try output.commit()
    #expect(mapping.withUnsafeBytes { Array($0) } == [1, 2, 3, 4])
    #expect(try Array(Data(contentsOf: URL(filePath: path))) == [1, 2, 3, 4])
    #expect(try contents() == ["out"])
  }

  @Test("an abandoned output leaves everything as it was")
  func abandon() throws {
    let path = try write([7], to: "out")
    do {
      let output = try OutputFile(path: path, byteCount: 4)
      output.withUnsafeMutableBytes { $0[0] = 1 }
      #expect(try Array(Data(contentsOf: URL(filePath: path))) == [7])
    }
    #expect(try contents() == ["out"])
    #expect(try Array(Data(contentsOf: URL(filePath: path))) == [7])
  }

  @Test("an output under way has no name, where there can be such: a killed process leaves nothing")
  func nameless() throws {
    let probe = byz_open_nameless(folder)
    byz_close(probe)
    let output = try OutputFile(path: "\(folder)/out", byteCount: 4)
    output.withUnsafeMutableBytes { $0.copyBytes(from: [1, 2, 3, 4]) }
    #expect(try contents().count == (probe < 0 ? 1 : 0))
    _ = try output.commit()
    #expect(try contents() == ["out"])
    #expect(try Array(Data(contentsOf: URL(filePath: "\(folder)/out"))) == [1, 2, 3, 4])
    // What everyone may do with it is what they may do with any new file.
    close(open("\(folder)/other", O_WRONLY | O_CREAT, 0o666))
    let modes = ["out", "other"].map { name in
      var status = stat()
      return stat("\(folder)/\(name)", &status) == 0 ? status.st_mode : 0
    }
    #expect(modes[0] != 0 && modes[0] == modes[1])
  }

  @Test(
    "an output that needs a name has one until it is committed or abandoned",
    arguments: [true, false])
  func named(isCommitted: Bool) throws {
    // As long as leaves room for a small number behind it, but for none that a file without a name has.
    let name = String(repeating: "o", count: 255 - ".tmp-\(getpid())-1".utf8.count)
    do {
      let output = try OutputFile(path: "\(folder)/\(name)", byteCount: 4)
      output.withUnsafeMutableBytes { $0.copyBytes(from: [1, 2, 3, 4]) }
      #expect(try contents() == ["\(name).tmp-\(getpid())-1"])
      if isCommitted { _ = try output.commit() }
    }
    #expect(try contents() == (isCommitted ? [name] : []))
  }

  @Test("two outputs for one path do not share bytes; the last commit stays")
  func concurrentOutputs() throws {
    let first = try OutputFile(path: "\(folder)/out", byteCount: 1)
    let second = try OutputFile(path: "\(folder)/out", byteCount: 1)
    first.withUnsafeMutableBytes { $0[0] = 1 }
    second.withUnsafeMutableBytes { $0[0] = 2 }
    _ = try second.commit()
    _ = try first.commit()
    #expect(try Array(Data(contentsOf: URL(filePath: "\(folder)/out"))) == [1])
    #expect(try contents() == ["out"])
  }

  @Test("an empty output can be committed")
  func emptyOutput() throws {
    let mapping = try OutputFile(path: "\(folder)/out", byteCount: 0).commit()
    #expect(mapping.byteCount == 0)
    #expect(try contents() == ["out"])
  }

  @Test("an output that cannot be made leaves nothing behind")
  func impossibleOutput() throws {
    #expect(throws: FileError.self) { try OutputFile(path: "\(folder)/none/out", byteCount: 4) }
    #expect(throws: FileError.self) { try OutputFile(path: "\(folder)/out", byteCount: .max) }
    #expect(throws: FileError.self) { try OutputFile(path: "\(folder)/out", byteCount: -1) }
    #expect(try contents() == [])
  }

  @Test("a commit over a folder fails and can be abandoned; one that is there before is refused")
  func commitOverFolder() throws {
    do {
      let output = try OutputFile(path: "\(folder)/out", byteCount: 4)
      try FileManager.default.createDirectory(
        atPath: "\(folder)/out", withIntermediateDirectories: false)
      #expect(throws: FileError.self) { try output.commit() }
    }
    let error = #expect(throws: FileError.self) {
      try OutputFile(path: "\(folder)/out", byteCount: 4)
    }
    #expect(error?.code == EISDIR)
    #expect(try contents() == ["out"])
  }
}
