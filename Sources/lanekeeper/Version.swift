/// The program's version, as `lanekeeper --version` prints it.
let lanekeeperVersion = "0.1.0"
