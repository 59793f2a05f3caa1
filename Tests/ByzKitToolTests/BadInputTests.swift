import ByzKit
import Foundation
import Testing

@Suite("byzkit on bad input")
struct BadInputTests {
  @Test(
    "says in one line what to change and ends with 1",
    arguments: [
      (["krumm", "x.npy"], "There is no aggregator called 'krumm'. Did you mean 'krum'?"),
      (["krum", "x.npy"], "krum needs the parameter f: 0 ≤ 2f < n and f ≤ n - 2."),
      (
        ["krum", "--f", "5", "x.npy"],
        "Krum cannot tolerate f = 5 of n = 9 vectors: it requires 0 ≤ 2f < n and f ≤ n - 2."
      ),
      (["krum", "--f", "two", "x.npy"], "krum: the parameter f must be a whole number."),
      (["mean", "--f", "1", "x.npy"], "mean takes no parameters, so no 'f'."),
      (
        ["nnm", "--f", "1", "x.npy"],
        "nnm makes several vectors: put '--pre-aggregator nnm' before an aggregator."
      ),
      (
        ["mean", "x.npy", "y.npy"], "y.npy has shape [4], but x.npy has [9, 20]: all must be equal."
      ),
      (["mean", "none.npy"], "Cannot open none.npy: No such file or directory"),
      (["mean", "text"], "text: This is not a .npy file: it does not begin with \\x93NUMPY."),
      (["mean", "cut.npy"], "cut.npy: The shape [4] needs a file of 144 bytes, but it has 140."),
      (["mean", "none"], "There are no vectors to work on, or they have no coordinates."),
      (
        ["mean", "-"], "standard input: This is not a .npy file: it does not begin with \\x93NUMPY."
      ),
      (["mean", "-", "-"], "Standard input, '-', can be read only once."),
      (
        ["centeredClipping", "--tau", "-1", "x.npy"],
        "CenteredClipping: tau = -1.0 is not allowed; it must be a finite number ≥ 0."
      ),
    ])
  func complaints(arguments: [String], complaint: String) throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy")
    try Tensor<Float>([1, 2, 3, 4]).write(npy: tool.path("y.npy"))
    try Data("hello".utf8).write(to: tool.folder.appending(path: "text"))
    try Data(contentsOf: tool.folder.appending(path: "y.npy")).dropLast(4)
      .write(to: tool.folder.appending(path: "cut.npy"))
    try Tensor<Float>([], shape: [0, 4]).write(npy: tool.path("none"))
    let before = tool.files

    let process = try tool.process(["aggregate"] + arguments + ["-o", "out.npy"])
    let errors = Pipe()
    process.standardError = errors
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let said = String(
      decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 1)
    #expect(said == "byzkit: \(complaint)\n")
    #expect(tool.files == before)
  }

  @Test("a pipe whose header announces more than the disk holds is refused before it is read")
  func absurdDimensions() throws {
    let tool = try Tool()
    defer { tool.remove() }
    for shape in ["(64, 4611686018427387904)", "(64, 2305843009213)"] {
      let text = "{'descr': '<f4', 'fortran_order': False, 'shape': \(shape), }\n"
      let header = Data([0x93] + "NUMPY".utf8 + [1, 0, UInt8(text.utf8.count), 0] + text.utf8)
      let result = try tool("aggregate", "mean", "-", "-o", "out.npy", input: header)
      #expect(result.status == 1)
      #expect(result.errors.hasPrefix("byzkit: "))
      #expect(tool.files == [])
    }
  }

  @Test(
    "a file that announces more vectors than can be is refused",
    arguments: ["(0, 4294967296, 4294967296)", "(1125899906842624, 0)"], ["<f2", "<f4"])
  func absurdCount(shape: String, element: String) throws {
    let tool = try Tool()
    defer { tool.remove() }
    let text = "{'descr': '\(element)', 'fortran_order': False, 'shape': \(shape), }\n"
    let file = Data([0x93] + "NUMPY".utf8 + [1, 0, UInt8(text.utf8.count), 0] + text.utf8)
    try file.write(to: tool.folder.appending(path: "x.npy"))
    let result = try tool("aggregate", "mean", "x.npy", "-o", "out.npy")
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("byzkit: "))
    #expect(tool.files == ["x.npy"])
  }

  @Test("missing arguments are a matter of usage: 64")
  func usage() throws {
    let tool = try Tool()
    defer { tool.remove() }
    #expect(try tool("aggregate", "mean", "x.npy").status == 64)
    #expect(try tool("list", "colours").status == 64)
    #expect(try tool("--help").status == 0)
  }

  @Test("a kernel variant that is unknown is refused by every command")
  func kernels() throws {
    let tool = try Tool()
    defer { tool.remove() }
    let result = try tool("version", environment: ["BYZKIT_KERNELS": "sse9"])
    #expect(result.status == 1)
    #expect(
      result.errors.hasPrefix("byzkit: BYZKIT_KERNELS is 'sse9', but this processor can run: plain")
    )
    #expect(try tool("version", environment: ["BYZKIT_KERNELS": "plain"]).status == 0)
  }
}
