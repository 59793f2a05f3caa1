import ByzLaunch
import ByzRuntime
import ByzTCP
import Foundation
import Testing

@Suite("What a launcher says")
struct LaunchEnvironmentTests {
  struct Case: Sendable {
    let title: String
    let variables: [String: String]
    var host = "node7"
    var given = LaunchEnvironment.Given()
    let source: LaunchEnvironment.Source
    let rank: Int
    let size: Int
    var localRank = 0
    let rendezvous: String
  }

  static let cases: [Case] = [
    Case(
      title: "torchrun",
      variables: [
        "RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "10.0.0.7",
        "MASTER_PORT": "29500",
      ], source: .torchrun, rank: 3, size: 8, localRank: 1, rendezvous: "10.0.0.7:29500"),
    Case(
      title: "an IPv6 rendezvous",
      variables: ["RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "fd00::7"], source: .torchrun,
      rank: 0, size: 2, rendezvous: "[fd00::7]:29000"),
    Case(
      title: "mpirun on one machine",
      variables: [
        "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "2",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "4", "PMIX_RANK": "2",
      ], source: .mpi, rank: 2, size: 4, localRank: 2, rendezvous: "127.0.0.1:29000"),
    Case(
      title: "mpirun on several",
      variables: [
        "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "0",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "MASTER_ADDR": "head",
      ], source: .mpi, rank: 2, size: 4, rendezvous: "head:29000"),
    Case(
      title: "PMIx alone",
      variables: ["PMIX_RANK": "1", "BYZKIT_SIZE": "2", "MASTER_ADDR": "head"],
      source: .mpi, rank: 1, size: 2, rendezvous: "head:29000"),
    Case(
      title: "srun",
      variables: [
        "SLURM_PROCID": "5", "SLURM_NTASKS": "6", "SLURM_LOCALID": "1", "PMIX_RANK": "5",
        "SLURM_JOB_NODELIST": "node[003-007,9],gpu1", "MASTER_PORT": "4000",
      ], source: .slurm, rank: 5, size: 6, localRank: 1, rendezvous: "node003:4000"),
    Case(
      title: "srun on one node",
      variables: ["SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": "gpu1"],
      source: .slurm, rank: 0, size: 2, rendezvous: "gpu1:29000"),
    Case(
      title: "srun on some nodes of a job",
      variables: [
        "SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": "node[1-4]",
        "SLURM_STEP_NODELIST": "node[2-3]",
      ], source: .slurm, rank: 0, size: 2, rendezvous: "node2:29000"),
    Case(
      title: "srun with numbers in the middle",
      variables: [
        "SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": "r[1-2]n[05,7]x,q",
      ],
      source: .slurm, rank: 0, size: 2, rendezvous: "r1n05x:29000"),
    Case(
      title: "a StatefulSet",
      variables: ["BYZKIT_SIZE": "3", "BYZKIT_SERVICE": "workers.default.svc"],
      host: "byz-node-2.workers", source: .statefulSet, rank: 2, size: 3,
      rendezvous: "byz-node-0.workers.default.svc:29000"),
    Case(
      title: "flags before all else",
      variables: ["RANK": "3", "WORLD_SIZE": "8", "MASTER_ADDR": "a"],
      given: .init(rank: 1, size: 2, rendezvous: try? TCPAddress("b:1")), source: .given, rank: 1,
      size: 2, rendezvous: "b:1"),
    Case(
      title: "flags beside variables that say nothing of use",
      variables: ["RANK": "abc", "LOCAL_RANK": "5"],
      given: .init(rank: 1, size: 2, rendezvous: try? TCPAddress("b:1")), source: .given, rank: 1,
      size: 2, rendezvous: "b:1"),
    Case(
      title: "flags for what the launcher leaves out", variables: ["RANK": "3"],
      given: .init(size: 4, rendezvous: try? TCPAddress("b:1")), source: .torchrun, rank: 3,
      size: 4,
      rendezvous: "b:1"),
    Case(
      title: "alone", variables: [:], given: .init(rank: 0, size: 1), source: .given, rank: 0,
      size: 1, rendezvous: "127.0.0.1:29000"),
  ]

  @Test("each launcher is understood", arguments: cases)
  func understood(_ launch: Case) throws {
    let found = try LaunchEnvironment(
      launch.given, variables: launch.variables, hostName: launch.host)
    #expect(found.source == launch.source, "\(launch.title)")
    #expect(found.rank == launch.rank, "\(launch.title)")
    #expect(found.size == launch.size, "\(launch.title)")
    #expect(found.localRank == launch.localRank, "\(launch.title)")
    #expect(found.rendezvous.description == launch.rendezvous, "\(launch.title)")
  }

  @Test(
    "what is missing or wrong is named",
    arguments: [
      ([:], "rank"), (["RANK": "1"], "size"), (["RANK": "x", "WORLD_SIZE": "2"], "RANK is \"x\""),
      (["RANK": "-1", "WORLD_SIZE": "2"], "RANK is \"-1\""),
      (["RANK": "2", "WORLD_SIZE": "2"], "0 ≤ rank < size"),
      (["RANK": "0", "WORLD_SIZE": "0"], "0 ≤ rank < size"),
      (["RANK": "0", "WORLD_SIZE": "9000000000"], "0 ≤ rank < size"),
      (["RANK": "0", "WORLD_SIZE": "2"], "MASTER_ADDR"),
      (["RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "2"], "local rank is 2"),
      (
        ["RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "70000"], "MASTER_PORT"
      ),
      (["RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "0"], "MASTER_PORT"),
      (["RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a b"], "MASTER_ADDR"),
      (["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"], "MASTER_ADDR"),
      (["SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": "n[1-"], "\"n[1-\""),
      (["SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": "n[]"], "\"n[]\""),
      (["SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": ",a"], "\",a\""),
      (["BYZKIT_SIZE": "2"], "rank"),
    ] as [([String: String], String)])
  func refused(variables: [String: String], names: String) {
    let error = #expect(throws: RuntimeError.self) {
      try LaunchEnvironment(variables: variables, hostName: "node")
    }
    #expect(error?.code == .invalidConfiguration)
    #expect(error?.message.contains(names) == true, "\(String(describing: error))")
  }

  @Test("a StatefulSet without a service cannot say where process 0 is")
  func withoutService() {
    let error = #expect(throws: RuntimeError.self) {
      try LaunchEnvironment(variables: ["BYZKIT_SIZE": "2"], hostName: "web-1")
    }
    #expect(error?.message.contains("MASTER_ADDR") == true)
  }

  @Test("launchers' variables are known, and no others")
  func ofLaunchers() {
    let names = [
      "RANK", "WORLD_SIZE", "OMPI_MCA_x", "PMIX_RANK", "SLURM_PROCID", "TORCHELASTIC_RUN_ID",
    ]
    #expect(names.allSatisfy(LaunchEnvironment.isLauncherVariable))
    #expect(
      !["PATH", "BYZKIT_TOKEN", "MASTER_ADDR", "RANKS"].contains(
        where: LaunchEnvironment.isLauncherVariable))
  }

  #if os(Linux) || os(macOS)
    @Test("a launcher's variables are taken out of the environment, and no others")
    func taken() async {
      // In a process of its own: the environment is everybody's.
      await #expect(processExitsWith: .success) {
        setenv("OMPI_COMM_WORLD_RANK", "2", 1)
        setenv("OMPI_COMM_WORLD_SIZE", "4", 1)
        setenv("PMIX_RANK", "2", 1)
        setenv("SLURM_PROCID", "9", 1)
        setenv("MASTER_ADDR", "10.0.0.7", 1)
        setenv("BYZKIT_OTHER", "stays", 1)
        let taken = try LaunchEnvironment.takeFromProcess()
        #expect(taken.source == .mpi && taken.rank == 2 && taken.size == 4)
        #expect(taken.rendezvous == (try TCPAddress("10.0.0.7:29000")))
        for name in ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "SLURM_PROCID"] {
          #expect(getenv(name) == nil, "\(name)")
        }
        #expect(getenv("BYZKIT_OTHER") != nil && getenv("PATH") != nil)
      }
    }
  #endif
}
