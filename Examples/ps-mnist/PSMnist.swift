import ArgumentParser
import ByzKit
import ByzLaunch
import ExampleSupport

/// Trains a classifier of handwritten digits on a parameter server while some workers lie to it.
@main
struct PSMnist: Program {
  static let configuration = CommandConfiguration(
    commandName: "ps-mnist",
    abstract: "Train on handwritten digits while some of the workers lie.",
    discussion: """
      With the defaults a median of five workers learns although one sends ten times the honest mean, turned round. \
      The same flags with --aggregator mean end at chance.

      A rule or attack is a name of 'byzkit list', with parameters if it needs some: \
      --aggregator multiKrum:f=1,q=3 --attack alie:tau=1.5 --pre-aggregator nnm:f=1

      Subtasks run on threads, in child processes, on machines where 'byzkit worker' listens, or on all of them: \
      --backend thread*2,process*2,tcp://worker-3:29000. Every choice gives the same digest.
      """)

  @OptionGroup var training: TrainingFlags
  @OptionGroup var workers: WorkerFlags
  @OptionGroup(title: "Other machines") var connection: ConnectionFlags
  @Option(help: "Where to write the final parameters, as .npy.") var save: String?

  static func main() async { await start() }

  func execute() async throws {
    try checkSave()
    let pool = try workers.configurations(connection)
    let problem = try Problem(training.plan)
    let progress = ProgressDisplay(total: training.rounds, toStandardError: training.json)
    let report = try await interruptible {
      try await problem.trainWithServer(on: pool, progress: progress)
    }
    // Neither a folder nor a reader that has gone costs the other result.
    let isPrinted = Result { try printOut(training.json ? try report.json() : report.table) }
    if let save { try report.parameters.write(npy: save) }
    try isPrinted.get()
    if report.wasStopped { throw ExitCode(130) }
  }

  /// Refuses, before there is anything to lose, a place where no file can be written.
  private func checkSave() throws {
    guard let save else { return }
    do {
      // Made beside what is at the path, and gone at once: it is not committed.
      _ = try OutputFile(path: save, byteCount: 0)
    } catch {
      throw UsageError(
        "--save: \(error). Name a file in a folder that is there and may be written to.")
    }
  }
}
