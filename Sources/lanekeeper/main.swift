import Glibc

// Every subcommand is one row here and one file in Commands.
let subcommands: [Subcommand] = [
  .run,
  .check,
  .decode,
  .certs,
  .alerts,
  .explain,
  .lab,
]

exit(CommandLineProgram(subcommands: subcommands).run(CommandLine.arguments))
