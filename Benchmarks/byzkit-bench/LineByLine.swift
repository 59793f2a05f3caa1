#if canImport(Glibc)
  @preconcurrency import Glibc
#elseif canImport(Musl)
  @preconcurrency import Musl
#elseif canImport(Darwin)
  @preconcurrency import Darwin
#endif

/// Has each line that is printed appear at once: a run takes long, and may be read from a file.
func printLineByLine() { setvbuf(stdout, nil, _IOLBF, 0) }
