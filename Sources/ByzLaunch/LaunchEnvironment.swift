public import ByzRuntime
public import ByzTCP

/// Which of several equal processes this one is, and where they meet: as a launcher on a cluster tells it.
///
/// A pure function of what is given, the variables and the host name, in this order:
///
/// | source | rank, size, local rank | rendezvous |
/// |---|---|---|
/// | flags | `rank`, `size`, `localRank` | `rendezvous` |
/// | torchrun and its like | `RANK`, `WORLD_SIZE`, `LOCAL_RANK` | `MASTER_ADDR`, `MASTER_PORT` |
/// | `mpirun` (Open MPI) | `OMPI_COMM_WORLD_RANK`, `…_SIZE`, `…_LOCAL_RANK`; `PMIX_RANK` for the rank alone | `MASTER_ADDR`, or this machine if all processes are on it |
/// | Slurm | `SLURM_PROCID`, `SLURM_NTASKS`, `SLURM_LOCALID` | the first host of `SLURM_STEP_NODELIST`, else of `SLURM_JOB_NODELIST` |
/// | a Kubernetes StatefulSet | the number at the end of the host name, `BYZKIT_SIZE` | `name-0.$BYZKIT_SERVICE` |
///
/// The port is `MASTER_PORT` where a source has none of its own, else ``defaultPort``.
public struct LaunchEnvironment: Hashable, Sendable {
  /// Where the answer comes from.
  public enum Source: String, Hashable, Codable, Sendable {
    /// All of it was given.
    case given
    /// `RANK` and `WORLD_SIZE`.
    case torchrun
    /// Open MPI's `mpirun`, or another launcher that speaks PMIx.
    case mpi
    /// `srun`.
    case slurm
    /// A host name that ends in a number.
    case statefulSet
  }

  /// What flags of a program say; nil for what the launcher is to say.
  public struct Given: Hashable, Sendable {
    /// The number of this process.
    public var rank: Int?
    /// How many there are.
    public var size: Int?
    /// The number of this process among those on its machine; 0 if the rank is given and this is not.
    public var localRank: Int?
    /// Where process 0 listens.
    public var rendezvous: TCPAddress?

    /// What is given.
    public init(
      rank: Int? = nil, size: Int? = nil, localRank: Int? = nil, rendezvous: TCPAddress? = nil
    ) {
      self.rank = rank
      self.size = size
      self.localRank = localRank
      self.rendezvous = rendezvous
    }
  }

  /// The number of this process, from 0.
  public let rank: Int
  /// How many processes there are.
  public let size: Int
  /// The number of this process among those on its machine; 0 where nobody says.
  public let localRank: Int
  /// Where process 0 listens.
  public let rendezvous: TCPAddress
  /// Where rank and size come from.
  public let source: Source

  /// The port of workers and rendezvous unless another is given.
  public static let defaultPort = 29000

  /// The most processes that may be started together: more is a mistake in a flag or a variable.
  public static let mostProcesses = 1 << 20

  /// Finds out.
  ///
  /// - Parameters:
  ///   - given: what the program's flags say.
  ///   - variables: the process's environment.
  ///   - hostName: the machine's name.
  /// - Throws: `RuntimeError.Code.invalidConfiguration` with what is missing, or with the variable that cannot be read and its
  ///   text.
  public init(
    _ given: Given = Given(), variables: [String: String], hostName: String
  ) throws(RuntimeError) {
    let reader = LaunchVariables(variables: variables, hostName: hostName)
    // Flags go first: nobody asks what variables say beside them.
    let isComplete = given.rank != nil && given.size != nil && given.rendezvous != nil
    let found = isComplete ? nil : try reader.found()
    guard let rank = given.rank ?? found?.rank, let size = given.size ?? found?.size else {
      let lacking = (given.rank ?? found?.rank) == nil ? "rank" : "size"
      throw RuntimeError(
        .invalidConfiguration,
        """
        The \(lacking) of this process is unknown. Give it, or start the program by mpirun, srun or torchrun, or in a StatefulSet \
        with BYZKIT_SIZE: see docs/clusters.md.
        """)
    }
    guard (1...Self.mostProcesses).contains(size), (0..<size).contains(rank) else {
      throw RuntimeError(
        .invalidConfiguration,
        "The rank is \(rank) and the size \(size): 0 ≤ rank < size ≤ \(Self.mostProcesses) is needed."
      )
    }
    // A launcher's goes with the launcher's rank.
    let localRank = given.localRank ?? (given.rank == nil ? found?.localRank : nil) ?? 0
    guard (0..<size).contains(localRank) else {
      throw RuntimeError(
        .invalidConfiguration,
        "The local rank is \(localRank) and the size \(size): 0 ≤ local rank < size is needed.")
    }
    self.rank = rank
    self.size = size
    self.localRank = localRank
    if let rendezvous = given.rendezvous {
      self.rendezvous = rendezvous
    } else {
      rendezvous = try reader.rendezvous(found, size: size)
    }
    source = given.rank != nil && given.size != nil ? .given : found?.source ?? .given
  }
}
