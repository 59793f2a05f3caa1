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

    let result = try tool(["aggregate"] + arguments + ["-o", "out.npy"])
    #expect(result.status == 1)
    #expect(result.errors == "byzkit: \(complaint)\n")
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

  @Test("an output where no file can be put, or none should, is refused before any work")
  func impossibleOutput() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy")
    try FileManager.default.createDirectory(
      at: tool.folder.appending(path: "folder"), withIntermediateDirectories: false)
    #expect(mkfifo(tool.path("pipe"), 0o600) == 0)
    let before = tool.files
    for (output, complaint) in [
      ("folder", "folder: Is a directory"), ("folder/", "folder/: Is a directory"),
      ("pipe", "no regular file at pipe: Invalid argument"), ("", "No such file or directory"),
    ] {
      let result = try tool("aggregate", "mean", "x.npy", "-o", output)
      #expect(result.status == 1)
      #expect(result.errors.contains(complaint), "\(result.errors)")
      #expect(tool.files == before)
    }
  }

  @Test("a file above the limit of sizes is an error, and nothing of it is left")
  func fileSizeLimit() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy", d: 10_000)
    let executable = try #require(try tool.process([]).executableURL)
    let process = try tool.process([
      "-c", "ulimit -f 10 && exec \"$0\" aggregate mean x.npy -o out.npy", executable.path,
    ])
    process.executableURL = URL(filePath: "/bin/sh")
    let errors = Pipe()
    process.standardError = errors
    try process.run()
    let said = String(
      decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit && process.terminationStatus == 1)
    #expect(said.contains("File too large"), "\(said)")
    #expect(tool.files == ["x.npy"])
  }

  @Test("a transposed file is refused before there is memory for every pair of its rows")
  func transposed() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy", n: 16_385, d: 1)
    let result = try tool("aggregate", "krum", "--f", "2", "x.npy", "-o", "out.npy")
    #expect(result.status == 1)
    #expect(result.errors.contains("n = 16385"), "\(result.errors)")
    #expect(tool.files == ["x.npy"])
  }

  @Test("an attack's options that it does not take, and lists with holes, are refused")
  func attackOptions() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy")
    try Tensor<Float>([0, 1, 2]).write(npy: tool.path("labels.npy"))
    let before = tool.files
    for (arguments, complaint) in [
      (["alie", "--seed", "7", "x.npy"], "alie does not take --seed"),
      (["alie", "--classes", "7", "x.npy"], "alie does not take --classes"),
      (["empire", "--rule", "median", "x.npy"], "empire does not take --rule"),
      (["optimalALIE", "--f", "2", "x.npy"], "optimalALIE needs --rule"),
      (["optimalALIE", "--rule", "median", "--f", "two", "x.npy"], "a whole number"),
      (["labelFlip", "--mapping", "0:1,0:2", "labels.npy"], "mapping"),
      (["labelFlip", "--mapping", "0:16777217", "labels.npy"], "16777217"),
      (["empire:scale=1,", "x.npy"], "written as name=value"),
    ] {
      let result = try tool(["attack"] + arguments + ["-o", "out.npy"])
      #expect(result.status == 1, "\(arguments)")
      #expect(result.errors.contains(complaint), "\(result.errors)")
      #expect(tool.files == before)
    }
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
      result.errors.contains("BYZKIT_KERNELS is 'sse9', but this processor can run: plain"))
    #expect(try tool("version", environment: ["BYZKIT_KERNELS": "plain"]).status == 0)
  }
}
